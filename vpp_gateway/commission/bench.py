"""A battery on the bench: met, nameplate read, commanded by the real client, watched, released."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from vpp_gateway.clock import Clock, Rng
from vpp_gateway.commission.failsafe import FailsafeResult, LeftAlone
from vpp_gateway.commission.probe import Probe
from vpp_gateway.commission.steptest import Step, StepTest, Witness, connect
from vpp_gateway.domain.fact import Obeyed, Outcome
from vpp_gateway.domain.fleet import Battery
from vpp_gateway.domain.instruction import DeviceId, SiteId
from vpp_gateway.errors import ConfigError, GatewayError, Rejected
from vpp_gateway.southbound.modbus.client import Address, BatteryClient, DeviceOrder, MeterClient, Timing
from vpp_gateway.southbound.modbus.profile import DeviceProfile

METER_BOUND_W = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Nameplate:
    """What the tests may ask for."""

    discharge_max_w: float
    charge_max_w: float
    energy_wh: float


async def nameplate(
    address: Address, profile: DeviceProfile, *, kw: float | None, kwh: float | None
) -> Nameplate:
    """The nameplate as the device tells it, or as the engineer does.

    Args:
        address: of the device.
        profile: its profile.
        kw: power both ways, kW, where the device does not tell it; a smaller one counts.
        kwh: energy, kWh, likewise.

    Raises:
        ConfigError: neither tells.
        DeviceError: it does not answer, or is another one.
    """
    async with Probe(address, unit=profile.unit, timeout_s=profile.timeout_s) as probe:
        values = await probe.values(profile, await probe.meet(profile))
    told = {role: values.get(role) or None for role in ("discharge_max_w", "charge_max_w", "energy_wh")}
    given = {
        "discharge_max_w": None if kw is None else kw * 1e3,
        "charge_max_w": None if kw is None else kw * 1e3,
        "energy_wh": None if kwh is None else kwh * 1e3,
    }
    found: dict[str, float] = {}
    for role in told:
        known = [value for value in (told[role], given[role]) if value is not None and value > 0]
        if not known:
            option = "--kwh" if role == "energy_wh" else "--kw"
            raise ConfigError(f"{address}: the device does not tell its {role}; give it with {option}")
        found[role] = min(known)
    return Nameplate(**found)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchSetup:
    """One battery, and perhaps a meter that sees it."""

    address: Address
    profile: DeviceProfile
    plate: Nameplate
    timing: Timing
    meter: tuple[Address, DeviceProfile] | None = None


@asynccontextmanager
async def _driven(
    setup: BenchSetup, clock: Clock, rng: Rng
) -> AsyncIterator[tuple[BatteryClient, list[Outcome], Witness | None]]:
    """The battery with its client at work; it is cancelled at the end, which resets the connection."""
    outcomes: list[Outcome] = []
    battery = Battery(
        id=DeviceId("battery"),
        site=SiteId("bench"),
        discharge_max_w=setup.plate.discharge_max_w,
        charge_max_w=setup.plate.charge_max_w,
        energy_wh=setup.plate.energy_wh,
    )
    client = BatteryClient(
        battery=battery,
        address=setup.address,
        profile=setup.profile,
        timing=setup.timing,
        clock=clock,
        rng=rng,
        on_outcome=outcomes.append,
    )
    meter: MeterClient | None = None
    wrong: GatewayError | None = None
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(client.run())]
        if setup.meter is not None:
            address, profile = setup.meter
            meter = MeterClient(
                device=DeviceId("meter"),
                address=address,
                profile=profile,
                timing=setup.timing,
                clock=clock,
                rng=rng,
                bound_w=METER_BOUND_W,
            )
            tasks.append(group.create_task(meter.run()))
        try:
            yield client, outcomes, meter
        except GatewayError as error:
            wrong = error  # as it is, not in a group
        finally:
            for task in tasks:
                task.cancel()
    if wrong is not None:
        raise wrong


async def step_test(
    setup: BenchSetup, steps_w: tuple[float, ...], *, hold_s: float, clock: Clock, rng: Rng
) -> tuple[Step, ...]:
    """Play steps; the battery is released afterwards. Raises DeviceError when it cannot be commanded."""
    async with _driven(setup, clock, rng) as (client, outcomes, witness):
        await connect(client, clock)
        test = StepTest(client, outcomes, clock=clock, hold_s=hold_s, witness=witness)
        return await test.run(steps_w)


async def failsafe_test(setup: BenchSetup, setpoint_w: float, *, clock: Clock, rng: Rng) -> FailsafeResult:
    """Give a setpoint, die, watch, and release in the end. Raises DeviceError when it cannot be commanded."""
    async with _driven(setup, clock, rng) as (client, outcomes, _):
        await connect(client, clock)
        rest_w = 0.0 if client.reading is None else client.reading.discharge_w
        deadline_at = clock.utc() + 60.0
        client.order(DeviceOrder(epoch=1, seq=1, discharge_w=setpoint_w, deadline_at=deadline_at))
        for _ in range(5):
            await client.cycle(0.8)
            await asyncio.sleep(1.0)
        refused = next((one.reason for one in outcomes if not isinstance(one, Obeyed)), None)
        if refused is not None or not outcomes:
            raise Rejected(
                f"a setpoint of {setpoint_w:g} W was not carried out: {refused or client.health.reason}"
            )
        since = clock.monotonic()
    promised_s = setup.profile.reversion_s(setup.timing.reversion_s)
    try:
        async with Probe(setup.address, unit=setup.profile.unit, timeout_s=setup.profile.timeout_s) as probe:
            watched = LeftAlone(probe, setup.profile, clock)
            return await watched.watch(
                setpoint_w=setpoint_w, rest_w=rest_w, promised_s=promised_s, since=since
            )
    finally:
        async with _driven(setup, clock, rng) as (client, _, _):
            await connect(client, clock)
