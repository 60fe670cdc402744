"""Commissioning of simulated batteries over real Modbus/TCP in virtual time: who obeys, who falls back, who lies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.unit.idioms import IDIOMS, SIGNED
from tests.unit.modbus_playbook import PROFILES, profile
from vpp_gateway.clock import LoopClock, SeededRng
from vpp_gateway.commission.bench import BenchSetup, Nameplate, failsafe_test, nameplate, step_test
from vpp_gateway.commission.failsafe import FailsafeResult, Verdict
from vpp_gateway.commission.steptest import Step
from vpp_gateway.errors import ConfigError, Rejected, Unreachable
from vpp_gateway.sim.faults import Faults
from vpp_gateway.sim.loop import run
from vpp_gateway.sim.plant import BatteryPlate, ConstantLoad, SitePlant
from vpp_gateway.sim.profiled import BatteryBehaviour, ProfiledDevice
from vpp_gateway.sim.served import Served, battery, meter
from vpp_gateway.southbound.modbus.client import Address, Timing
from vpp_gateway.southbound.modbus.profile import DeviceProfile

SHIPPED = [profile(path.stem) for path in sorted(PROFILES.glob("*.yaml"))]
BATTERIES = [pytest.param(one, id=one.name) for one in (*SHIPPED, *IDIOMS) if one.kind == "battery"]
SUNSPEC, METER = profile("sunspec-700-battery"), profile("sunspec-meter")
OLDER, EITHER = profile("sunspec-storage-legacy"), profile("sunspec-battery")
PLATE = BatteryPlate(discharge_max_w=10e3, charge_max_w=10e3, energy_wh=20e3, ramp_w_per_s=5e3)
BUILT = Nameplate(discharge_max_w=10e3, charge_max_w=10e3, energy_wh=20e3)
TIMING = Timing(refresh_s=5.0, reversion_s=30.0)
STEPS_W = (2000.0, -2000.0, 0.0)


class Bench:
    """A battery of a profile and the meter behind which it stands."""

    def __init__(
        self, device: ProfiledDevice, behaviour: BatteryBehaviour, setup: BenchSetup, clock: LoopClock
    ):
        self.device, self.behaviour, self.setup, self.clock = device, behaviour, setup, clock

    @property
    def rng(self) -> SeededRng:
        return SeededRng("bench")


@asynccontextmanager
async def a_bench(
    chosen: DeviceProfile, faults: Faults, models: tuple[int, ...] | None = None
) -> AsyncIterator[Bench]:
    clock = LoopClock(asyncio.get_running_loop(), 1e9)
    device, behaviour = battery(
        chosen, PLATE, soc=0.5, clock=clock, faults=faults, local_w=300.0, models=models
    )
    site = SitePlant(load=ConstantLoad(20e3), batteries=[Source(behaviour)])
    async with (
        Served(device) as one,
        Served(meter(METER, site.import_w, clock=clock, faults=Faults())) as two,
    ):
        setup = BenchSetup(
            address=Address(*one.address),
            profile=chosen,
            plate=BUILT,
            timing=TIMING,
            meter=(Address(*two.address), METER),
        )
        yield Bench(device, behaviour, setup, clock)


class Source:
    """A battery as its site sees it."""

    def __init__(self, behaviour: BatteryBehaviour) -> None:
        self._behaviour = behaviour

    def discharge_w(self, now: float) -> float:
        self._behaviour.settle(now)
        return self._behaviour.plant.look(now)


def assert_released(bench: Bench) -> None:
    """In the end nothing is held; where releasing is a setpoint of 0 W, that."""
    assert not bench.behaviour.armed or abs(bench.behaviour.plant.look(bench.clock.utc())) < 1.0


def stepped(
    chosen: DeviceProfile,
    fault: str = "",
    value: float | None = None,
    *,
    models: tuple[int, ...] | None = None,
) -> tuple[Step, ...]:
    async def story() -> tuple[Step, ...]:
        faults = Faults(delay_ms=20)
        if fault:
            faults.set(fault, value)
        async with a_bench(chosen, faults, models) as bench:
            steps = await step_test(bench.setup, STEPS_W, hold_s=8.0, clock=bench.clock, rng=bench.rng)
            assert_released(bench)
            return steps

    return run(story, max_virtual_s=600)


def left_alone(
    chosen: DeviceProfile,
    fault: str = "",
    value: float | None = None,
    *,
    models: tuple[int, ...] | None = None,
) -> FailsafeResult:
    async def story() -> FailsafeResult:
        faults = Faults(delay_ms=20)
        if fault:
            faults.set(fault, value)
        async with a_bench(chosen, faults, models) as bench:
            result = await failsafe_test(bench.setup, 3000.0, clock=bench.clock, rng=bench.rng)
            assert_released(bench)
            return result

    return run(story, max_virtual_s=600)


@pytest.mark.parametrize("chosen", BATTERIES)
def test_a_battery_that_obeys_passes_each_step_and_the_meter_agrees(chosen: DeviceProfile) -> None:
    steps = stepped(chosen)
    assert [step.faults for step in steps] == [(), (), ()], [step.refusal for step in steps]
    assert [step.to_w for step in steps] == list(STEPS_W)
    for step in steps:
        assert step.held_w == pytest.approx(step.to_w, abs=120)
        assert step.acknowledged_s is not None and step.acknowledged_s < 1.0
        assert step.arrived_s is not None and step.arrived_s < 3.0
        assert step.meter_w == pytest.approx(step.from_w - step.to_w, abs=200)


def test_the_ramp_is_measured() -> None:
    up = stepped(SUNSPEC)[1]
    assert up.ramp_w_per_s == pytest.approx(5e3, rel=0.5)


@pytest.mark.parametrize(
    ("fault", "value", "found"),
    [
        ("ignore", None, "refused"),
        ("clip", 500.0, "refused"),
        ("paper", None, "not_moved"),
        ("half", None, "not_arrived"),
        ("inverted", None, "wrong_way"),
        ("offset", 900.0, "meter_disagrees"),
    ],
)
def test_a_battery_that_does_not_obey_is_told_apart(fault: str, value: float | None, found: str) -> None:
    steps = stepped(SUNSPEC, fault, value)
    if fault == "offset":
        assert all(step.faults for step in steps)
    else:
        assert found in steps[0].faults, steps[0]


@pytest.mark.parametrize("chosen", BATTERIES)
def test_a_battery_falls_back_as_its_profile_says(chosen: DeviceProfile) -> None:
    result = left_alone(chosen)
    promised_s = chosen.reversion_s(30.0)
    assert result.promised_s == promised_s
    if promised_s is None:
        assert result.verdict == "nothing_promised"
        assert not result.passed
        return
    assert result.verdict == "falls_back", result
    assert result.passed
    assert result.back_s is not None and result.back_s <= promised_s + 3.0


LIARS: tuple[tuple[str, float | None, Verdict], ...] = (
    ("dead_timer", None, "never"),
    ("frozen_timer", None, "never"),
    ("never_revert", None, "never"),
    ("slow_revert", 1.4, "late"),
    ("reverts_elsewhere", 2500.0, "never"),
)


@pytest.mark.parametrize(("fault", "value", "verdict"), LIARS)
@pytest.mark.parametrize("chosen", [SUNSPEC, OLDER, SIGNED], ids=["sunspec", "older", "plain"])
def test_every_liar_is_found(
    chosen: DeviceProfile, fault: str, value: float | None, verdict: Verdict
) -> None:
    if chosen is SUNSPEC and fault == "dead_timer":
        with pytest.raises(Rejected, match="reversion timer"):
            left_alone(chosen, fault, value)
        return
    result = left_alone(chosen, fault, value)
    assert result.verdict == verdict, result
    assert not result.passed


@pytest.mark.parametrize("models", [(103, 120, 124), (113, 124, 802)], ids=["integer", "float"])
def test_a_battery_of_the_older_generation_is_commissioned_without_saying_which(
    models: tuple[int, ...],
) -> None:
    steps = stepped(EITHER, models=models)
    assert [step.faults for step in steps] == [(), (), ()], [step.refusal for step in steps]
    result = left_alone(EITHER, models=models)
    assert result.verdict == "falls_back", result
    assert result.counted_down is None, "the older one has no countdown"


def test_a_heartbeat_that_nobody_misses_is_found() -> None:
    window = next(one for one in IDIOMS if one.name == "window")
    assert left_alone(window, "deaf_to_heartbeat").verdict == "never"


def test_a_battery_that_refuses_writes_is_not_tested() -> None:
    with pytest.raises(Rejected, match=r"not ready within 15 s: .*exception 4"):
        stepped(SUNSPEC, "exception_on_write", 4)


def test_the_nameplate_is_that_of_the_device_or_what_the_engineer_says() -> None:
    async def story() -> None:
        async with a_bench(SUNSPEC, Faults()) as bench:
            found = await nameplate(bench.setup.address, SUNSPEC, kw=5.0, kwh=30.0)
            assert found == Nameplate(discharge_max_w=5e3, charge_max_w=5e3, energy_wh=20e3)
        async with a_bench(SIGNED, Faults()) as bench:
            with pytest.raises(ConfigError, match="does not tell its discharge_max_w; give it with --kw"):
                await nameplate(bench.setup.address, SIGNED, kw=None, kwh=None)

    run(story, max_virtual_s=60)


def test_a_device_that_is_not_there_is_unreachable() -> None:
    async def story() -> None:
        async with a_bench(SUNSPEC, Faults()) as bench:
            bench.device.faults.set("silent")
            with pytest.raises(Unreachable, match="not ready within 15 s"):
                await step_test(bench.setup, STEPS_W, hold_s=5.0, clock=bench.clock, rng=bench.rng)

    run(story, max_virtual_s=120)
