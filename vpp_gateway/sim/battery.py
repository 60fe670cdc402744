"""A battery inverter that speaks SunSpec 701/702/704/713/715/802, with the habits and faults of real ones.

The registers are a view: what the device holds lies in fields here and in its `BatteryPlant`. A reversion (timer
ran out, controller's heartbeat stopped) takes effect at its own moment, even if nobody looks until later.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from pymodbus.constants import ExcCodes
from pymodbus.simulator import SimDevice

from vpp_gateway.clock import Clock
from vpp_gateway.sim.faults import FAULTS, Faults, known
from vpp_gateway.sim.image import Image, fitting_exponent
from vpp_gateway.sim.plant import BatteryPlant, BatteryPlate
from vpp_gateway.southbound.modbus.codec import decode

KNOWS = frozenset(
    ["nan", "frozen_soc", "ignore", "clip", "local", "dead_timer", "frozen_timer", "never_revert", "stopped"]
) | {name for name, fault in FAULTS.items() if fault.where in ("wire", "answer")}
"""Faults that it can have."""
MODELS = (1, 701, 702, 704, 713, 715, 802)
_RESTARTS = frozenset({"enable"})


@dataclass(frozen=True, slots=True)
class Written:
    """One write that reached the device, for the evidence."""

    at: float
    """UTC (Unix s)."""
    address: int
    values: tuple[int, ...]
    taken: bool
    """False: acknowledged and dropped, or answered with an exception."""


class SimBattery:
    """One battery.

    Args:
        name: serial number in model 1.
        plate: as built.
        soc: at the start, 0..1.
        clock: of the world.
        base: wire address of `SunS`.
        unit: Modbus unit id.
        local_w: discharge_w that its own local control keeps up.
        delay_ms: how long an answer takes.
        heartbeat_timeout_s: falls back when the controller's heartbeat stands still for so long; None = does not care.
        restarts: which writes restart the reversion timer: enable, setpoint, timer.
    """

    def __init__(
        self,
        name: str,
        plate: BatteryPlate,
        *,
        soc: float,
        clock: Clock,
        base: int = 40000,
        unit: int = 1,
        local_w: float = 0.0,
        delay_ms: float = 0.0,
        heartbeat_timeout_s: float | None = None,
        restarts: frozenset[str] = _RESTARTS,
    ) -> None:
        self.name = name
        self.faults = Faults(delay_ms)
        self.plant = BatteryPlant(plate, soc=soc, at=clock.utc())
        self.log: list[Written] = []
        """Every write but the heartbeats."""
        self.heartbeats = 0
        self.reversions: list[float] = []
        """UTC (Unix s) of each fall-back by itself."""
        self.enabled = False
        self._clock = clock
        self._unit = unit
        self._local_w = local_w
        self._heartbeat_timeout_s = heartbeat_timeout_s
        self._restarts = restarts
        self._set_w = 0.0
        self._expires_at = math.inf
        self._beat_at = clock.utc()
        self._frozen_soc: float | None = None
        self.image = self._build(plate, base)
        self.plant.want(local_w, clock.utc())
        self._show: dict[int, Callable[[float], None]] = {
            701: self._show_701,
            704: self._show_704,
            713: self._show_713,
            715: self._show_715,
            802: self._show_802,
        }

    def _build(self, plate: BatteryPlate, base: int) -> Image:
        largest_w = max(plate.discharge_max_w, plate.charge_max_w) * 1.2
        w_sf, wh_sf = fitting_exponent(largest_w), fitting_exponent(plate.energy_wh)
        exponents = {
            "701.W_SF": w_sf,
            "701.Hz_SF": -2,
            "702.W_SF": w_sf,
            "704.WSet_SF": 0,
            "704.WSetPct_SF": -1,
        }
        exponents |= {"713.WH_SF": wh_sf, "713.Pct_SF": -2}
        exponents |= {"802.SoC_SF": -2, "802.WHRtg_SF": wh_sf, "802.WChaDisChaMax_SF": w_sf, "802.W_SF": w_sf}
        image = Image(MODELS, base=base, exponents=exponents)
        plated: dict[str, float | str] = {
            "1.Mn": "Simulated Storage",
            "1.Md": "SB-700",
            "1.Vr": "1.0",
            "1.SN": self.name,
            "1.DA": self._unit,
            "702.WMaxRtg": plate.discharge_max_w,
            "702.WChaRteMaxRtg": plate.charge_max_w,
            "702.WDisChaRteMaxRtg": plate.discharge_max_w,
            "702.WMax": plate.discharge_max_w,
            "702.WChaRteMax": plate.charge_max_w,
            "702.WDisChaRteMax": plate.discharge_max_w,
            "702.CtrlModes": 0b11,
            "713.WHRtg": plate.energy_wh,
            "713.SoH": 100,
            "713.Sta": 0,
            "715.ControllerHb": 0,
            "715.OpCtl": 1,
            "802.WHRtg": plate.energy_wh,
            "802.WChaRteMax": plate.charge_max_w,
            "802.WDisChaRteMax": plate.discharge_max_w,
            "802.SoCMax": plate.soc_max * 100,
            "802.SoCMin": plate.soc_min * 100,
            "802.CtrlHb": 0,
        }
        for key, value in plated.items():
            image.put(key, value)
        for name in (
            "WSetEna",
            "WSetMod",
            "WSet",
            "WSetRvrt",
            "WSetPct",
            "WSetPctRvrt",
            "WSetEnaRvrt",
            "WSetRvrtTms",
        ):
            image.put(f"704.{name}", 0)
        return image

    # --- for the world ---------------------------------------------------------------------------------------

    def device(self) -> SimDevice:
        """For a pymodbus server."""
        return self.image.device(self._unit, self._access)

    def discharge_w(self, now: float) -> float:
        """Power at `now`, after whatever fell back until then."""
        self._settle(now)
        return self.plant.look(now)

    def fault(self, name: str, value: float | None = None) -> None:
        """Switch a fault on; see `sim.faults`."""
        now = self._clock.utc()
        self._settle(now)
        self.faults.set(known(name, KNOWS), value)
        self.plant.stop("stopped" in self.faults, now)
        if name == "frozen_soc":
            self.plant.look(now)
            self._frozen_soc = self.plant.soc

    def heal(self, name: str | None = None) -> None:
        """Switch one fault off, or all."""
        self._settle(self._clock.utc())
        self.faults.heal(name)
        self.plant.stop("stopped" in self.faults, self._clock.utc())

    # --- the device ------------------------------------------------------------------------------------------

    def _settle(self, now: float) -> None:
        """Fall back at the moments that have passed."""
        while self.enabled:
            due_at = self._expires_at
            if self._heartbeat_timeout_s is not None:
                due_at = min(due_at, self._beat_at + self._heartbeat_timeout_s)
            if due_at > now:
                return
            self._expires_at = math.inf
            self._beat_at = math.inf if self._heartbeat_timeout_s is not None else self._beat_at
            if "never_revert" in self.faults or "frozen_timer" in self.faults:
                return
            self.reversions.append(due_at)
            self.enabled = self._raw("704.WSetEnaRvrt") == 1
            self._set_w = self._raw("704.WSetRvrt")
            self.plant.want(self._set_w if self.enabled else self._local_w, due_at)
            self.image.put("704.WSet", self._set_w)

    def _raw(self, key: str) -> float:
        point = self.image.point(key)
        value = decode(point, self.image.registers, self.image.index(point))
        return value if isinstance(value, int | float) else 0.0

    async def _access(
        self,
        function_code: int,
        start: int,
        address: int,
        count: int,
        registers: list[int],
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Hook of the server for each request."""
        if refusal := await self.faults.gate(writing=values is not None):
            if values is not None:
                self._note(address, values, taken=False)
            return refusal
        now = self._clock.utc()
        self._settle(now)
        if values is None:
            self._read(address, count, now)
        elif not self.image.writable(address, count):
            self._note(address, values, taken=False)
            return ExcCodes.ILLEGAL_ADDRESS
        else:
            cast(list[int], values)[:] = self._write(address, [int(value) for value in values], now)
        at = address - self.image.base
        registers[at : at + count] = self.image.registers[at : at + count]
        return None

    def _note(self, address: int, values: list[int] | list[bool], *, taken: bool) -> None:
        self.log.append(Written(self._clock.utc(), address, tuple(int(value) for value in values), taken))

    def _write(self, address: int, values: list[int], now: float) -> list[int]:
        """Carry a write out; returns what the registers hold afterwards."""
        at, count = address - self.image.base, len(values)
        covers = self.image.covers
        beat = covers("715.ControllerHb", address, count) or covers("802.CtrlHb", address, count)
        taken = beat or not ("ignore" in self.faults or "local" in self.faults)
        if beat:
            self.heartbeats += 1
            self._beat_at = now
        else:
            self._note(address, values, taken=taken)
        if not taken:
            return self.image.registers[at : at + count]
        self.image.registers[at : at + count] = values
        if not beat:
            self._take(address, count, now)
        return self.image.registers[at : at + count]

    def _take(self, address: int, count: int, now: float) -> None:
        covers = self.image.covers
        sets, enables = covers("704.WSet", address, count), covers("704.WSetEna", address, count)
        if sets:
            self._set_w = self._raw("704.WSet")
            if "clip" in self.faults:
                most_w = self.faults.value("clip")
                self._set_w = min(max(self._set_w, -most_w), most_w)
                self.image.put("704.WSet", self._set_w)
        if enables:
            self.enabled = self._raw("704.WSetEna") == 1
        written = {"enable": enables, "setpoint": sets, "timer": covers("704.WSetRvrtTms", address, count)}
        if self.enabled and any(written[kind] for kind in self._restarts):
            timer_s = self._raw("704.WSetRvrtTms")
            self._expires_at = now + timer_s if timer_s > 0 and "dead_timer" not in self.faults else math.inf
        if enables or sets:
            self.plant.want(self._set_w if self.enabled else self._local_w, now)

    # --- the view --------------------------------------------------------------------------------------------

    def _read(self, address: int, count: int, now: float) -> None:
        for model, show in self._show.items():
            if self.image.overlaps(model, address, count):
                show(now)

    def _show_701(self, now: float) -> None:
        put, off = self.image.put, self.plant.stopped
        put("701.St", 0 if off else 1)
        put("701.InvSt", 0 if off else 3)
        put("701.ConnSt", 1)
        put("701.Hz", 50.0)
        put("701.W", None if "nan" in self.faults else self.plant.look(now))

    def _show_704(self, now: float) -> None:
        timer_s = self._raw("704.WSetRvrtTms")
        remaining_s = max(0.0, math.ceil(self._expires_at - now)) if self._expires_at < math.inf else 0.0
        if "frozen_timer" in self.faults and self.enabled:
            remaining_s = timer_s
        self.image.put("704.WSetEna", 1 if self.enabled else 0)
        self.image.put("704.WSetRvrtRem", remaining_s if self.enabled else 0)

    def _soc_percent(self, now: float) -> float | None:
        self.plant.look(now)
        if "nan" in self.faults:
            return None
        frozen = "frozen_soc" in self.faults and self._frozen_soc is not None
        return 100 * (self._frozen_soc if frozen and self._frozen_soc is not None else self.plant.soc)

    def _show_713(self, now: float) -> None:
        percent = self._soc_percent(now)
        self.image.put("713.SoC", percent)
        self.image.put("713.WHAvail", None if percent is None else percent / 100 * self.plant.plate.energy_wh)

    def _show_715(self, now: float) -> None:
        self.image.put("715.LocRemCtl", 1 if "local" in self.faults else 0)
        self.image.put("715.DERHb", int(now) & 0xFFFF)

    def _show_802(self, now: float) -> None:
        put, w = self.image.put, self.plant.look(now)
        put("802.SoC", self._soc_percent(now))
        put("802.W", None if "nan" in self.faults else w)
        put("802.ChaSt", 3 if w > 0 else 4 if w < 0 else 6)
        put("802.LocRemCtl", 1 if "local" in self.faults else 0)
        put("802.State", 4 if self.plant.stopped else 3)
        put("802.Hb", int(now) & 0x7FFF)
