"""The field: every device of one or more sites on real Modbus/TCP, one loopback port each, in one event loop.

    async with SimField(spec, clock=clock, rng=rng) as field:
        host, port = field.address("tokyo-b1")

Runs alike under real asyncio and under the virtual-time loop; nothing in it ticks by itself. As a process of its own
(`python -m vpp_gateway.sim.field SPEC.json`) it is steered by JSON lines: see `sim.control`.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Literal, cast

from pydantic import BaseModel, ConfigDict, Field
from pymodbus.server import ModbusTcpServer

from vpp_gateway.clock import Clock, SeededRng
from vpp_gateway.errors import ConfigError
from vpp_gateway.sim.battery import SimBattery
from vpp_gateway.sim.meter import SimMeter
from vpp_gateway.sim.plant import BatteryPlate, ConstantLoad, Load, NoisyLoad, SitePlant
from vpp_gateway.sim.sun import PvPlant, PvPlate

HOST = "127.0.0.1"
LoadFactory = Callable[[str, Mapping[str, object]], Load]
"""(site id, `load_config` of the spec) -> a load that is added to the site's own."""


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BatterySpec(_Spec):
    """One battery."""

    id: str
    discharge_max_w: float = Field(gt=0)
    charge_max_w: float = Field(gt=0)
    energy_wh: float = Field(gt=0)
    soc: float = Field(default=0.6, ge=0, le=1)
    soc_min: float = 0.05
    soc_max: float = 1.0
    efficiency: float = Field(default=0.95, gt=0, le=1)
    ramp_w_per_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """None = full power in one second."""
    derate: tuple[tuple[float, float], ...] = ()
    local_w: float = 0.0
    delay_ms: float = 0.0
    heartbeat_timeout_s: float | None = None
    restarts: tuple[Literal["enable", "setpoint", "timer"], ...] = ("enable",)
    port: int = 0
    """0 = any free one."""


class MeterSpec(_Spec):
    """The meter at the grid connection point."""

    id: str
    accuracy: float = 0.002
    delay_ms: float = 0.0
    port: int = 0


class PvSpec(_Spec):
    """A PV plant, modelled (`sim.sun`), with a meter of its own or without."""

    peak_w: float = Field(ge=0, allow_inf_nan=False)
    latitude_deg: float = Field(default=35.7, ge=-90, le=90)
    longitude_deg: float = Field(default=139.7, ge=-180, le=180)
    cover: float = Field(default=0.2, ge=0, le=0.9)
    sigma: float = Field(default=0.15, ge=0, le=1)
    tau_s: float = Field(default=600.0, gt=0, allow_inf_nan=False)
    meter: MeterSpec | None = None
    """Shows what the plant feeds in as a negative import."""


class SiteSpec(_Spec):
    """One site."""

    id: str
    load_w: float = 0.0
    sigma_w: float = 0.0
    tau_s: float = Field(default=60.0, gt=0)
    pv_w: float = 0.0
    """Constant generation."""
    pv: PvSpec | None = None
    meter: MeterSpec
    check_meter: MeterSpec | None = None
    """A second meter at the same connection."""
    batteries: tuple[BatterySpec, ...] = ()
    load_module: str | None = None
    """`package.module:factory` of a further load, see LoadFactory."""
    load_config: dict[str, object] = Field(default_factory=dict)


class FieldSpec(_Spec):
    """The world."""

    seed: int | str = 0
    sites: tuple[SiteSpec, ...] = Field(min_length=1)


class SimField:
    """All devices of a spec, served while the context is open.

    Args:
        spec: the world; its seed makes the noise.
        clock: of the world.
        loads: further loads by site, from the caller's own process.
    """

    def __init__(self, spec: FieldSpec, *, clock: Clock, loads: Mapping[str, Load] | None = None) -> None:
        self.batteries: dict[str, SimBattery] = {}
        self.meters: dict[str, SimMeter] = {}
        self.sites: dict[str, SitePlant] = {}
        self._clock = clock
        self._means: dict[str, ConstantLoad] = {}
        self._ports: dict[str, int] = {}
        self._servers: dict[str, ModbusTcpServer] = {}
        rng = SeededRng(spec.seed)
        for site in spec.sites:
            self._build(site, rng.fork(site.id))
        for site_id, load in (loads or {}).items():
            self.sites[site_id].extra.append(load)

    def _build(self, site: SiteSpec, rng: SeededRng) -> None:
        mean = self._means[site.id] = ConstantLoad(site.load_w)
        load: Load = mean
        if site.sigma_w:
            noise = rng.fork("load")
            load = NoisyLoad(
                mean, sigma_w=site.sigma_w, tau_s=site.tau_s, rng=noise, start_at=self._clock.utc()
            )
        batteries = [self._battery(spec) for spec in site.batteries]
        pv = () if site.pv is None else (self._pv(site.pv, rng.fork("pv")),)
        plant = SitePlant(load=load, batteries=batteries, pv_w=site.pv_w, pv=pv)
        if site.load_module is not None:
            plant.extra.append(load_factory(site.load_module)(site.id, site.load_config))
        self.sites[site.id] = plant
        for meter in (site.meter, site.check_meter):
            if meter is None:
                continue
            self._enter(meter.id, meter.port)
            self.meters[meter.id] = SimMeter(
                meter.id,
                plant.import_w,
                clock=self._clock,
                rng=rng.fork(meter.id),
                accuracy=meter.accuracy,
                delay_ms=meter.delay_ms,
            )

    def _pv(self, spec: PvSpec, rng: SeededRng) -> PvPlant:
        plate = PvPlate(**spec.model_dump(exclude={"meter"}))
        plant = PvPlant(plate, rng=rng.fork("clouds"), start_at=self._clock.utc())
        if spec.meter is not None:
            self._enter(spec.meter.id, spec.meter.port)
            self.meters[spec.meter.id] = SimMeter(
                spec.meter.id,
                lambda now: 0.0 - plant.power_w(now),
                clock=self._clock,
                rng=rng.fork(spec.meter.id),
                model="SM-213 modelled PV",
                accuracy=spec.meter.accuracy,
                delay_ms=spec.meter.delay_ms,
            )
        return plant

    def _battery(self, spec: BatterySpec) -> SimBattery:
        self._enter(spec.id, spec.port)
        ramp_w_per_s = spec.ramp_w_per_s or max(spec.discharge_max_w, spec.charge_max_w)
        plate = BatteryPlate(
            discharge_max_w=spec.discharge_max_w,
            charge_max_w=spec.charge_max_w,
            energy_wh=spec.energy_wh,
            ramp_w_per_s=ramp_w_per_s,
            efficiency=spec.efficiency,
            soc_min=spec.soc_min,
            soc_max=spec.soc_max,
            derate=spec.derate,
        )
        battery = self.batteries[spec.id] = SimBattery(
            spec.id,
            plate,
            soc=spec.soc,
            clock=self._clock,
            local_w=spec.local_w,
            delay_ms=spec.delay_ms,
            heartbeat_timeout_s=spec.heartbeat_timeout_s,
            restarts=frozenset(spec.restarts),
        )
        return battery

    def _enter(self, device: str, port: int) -> None:
        if device in self._ports:
            raise ConfigError(f"device id {device!r} occurs twice in the field's spec")
        self._ports[device] = port

    # --- serving ---------------------------------------------------------------------------------------------

    async def __aenter__(self) -> SimField:
        logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
        try:
            for device in self._ports:
                await self.revive(device)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for device in self._ports:
            self.device(device).heal("hang")
            await self.kill(device)

    def device(self, device: str) -> SimBattery | SimMeter:
        """The device of that id; KeyError when there is none."""
        return self.batteries[device] if device in self.batteries else self.meters[device]

    def address(self, device: str) -> tuple[str, int]:
        """(host, port) where it listens, also while it is killed."""
        return HOST, self._ports[device]

    async def kill(self, device: str) -> None:
        """Its process dies: connections are reset, the port is closed. What it holds stays."""
        server = self._servers.pop(device, None)
        if server is None:
            return
        for handler in list(server.active_connections.values()):
            if handler.transport is not None:
                cast(asyncio.WriteTransport, handler.transport).abort()
        await server.shutdown()  # type: ignore[no-untyped-call]

    async def revive(self, device: str) -> None:
        """Serve it (again), on the same port as before."""
        if device in self._servers:
            return
        target = self.device(device)
        server = ModbusTcpServer(
            target.device(), address=(HOST, self._ports[device]), trace_packet=target.faults.packet
        )
        await server.serve_forever(background=True)
        listening = cast(asyncio.Server, server.transport)
        self._ports[device] = listening.sockets[0].getsockname()[1]
        self._servers[device] = server

    # --- the world -------------------------------------------------------------------------------------------

    def set_load(self, site: str, w: float) -> None:
        """Set the mean of a site's own load."""
        self._means[site].w = w

    def truth(self) -> dict[str, dict[str, float]]:
        """What really is, by site and battery."""
        now = self._clock.utc()
        truth: dict[str, dict[str, float]] = {}
        for id, site in self.sites.items():
            truth[id] = {"import_w": site.import_w(now), "load_w": site.load_w(now)}
            if site.pv:
                truth[id]["pv_w"] = site.generated_w(now)
        for id, battery in self.batteries.items():
            discharge_w = battery.discharge_w(now)
            truth[id] = {
                "discharge_w": discharge_w,
                "soc": battery.plant.soc,
                "enabled": float(battery.enabled),
                "heartbeats": float(battery.heartbeats),
                "reversions": float(len(battery.reversions)),
            }
        return truth


def load_factory(path: str) -> LoadFactory:
    """The factory named `package.module:name`.

    Raises:
        ConfigError: it cannot be found, with what is missing.
    """
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"load_module {path!r}: {error}; expected `package.module:factory`") from error
    if not callable(found):
        raise ConfigError(f"load_module {path!r} is not callable; expected (site, config) -> Load")
    return cast(LoadFactory, found)


if __name__ == "__main__":
    from vpp_gateway.sim.control import main

    main(sys.argv[1:])
