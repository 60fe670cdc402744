"""Every shipped profile, and every way of telling a battery what to do, driven by our session on a simulated device."""

from __future__ import annotations

import pytest

from tests.unit.idioms import DIRECTION, IDIOMS, SIGNED, WINDOW
from tests.unit.modbus_playbook import PROFILES, profile
from tests.unit.profile_contract import ContractBench
from vpp_gateway.domain.fact import Obeyed, Refused
from vpp_gateway.domain.reading import Health
from vpp_gateway.errors import MisuseError
from vpp_gateway.southbound.modbus.profile import DeviceProfile
from vpp_gateway.southbound.modbus.states import State
from vpp_gateway.southbound.modbus.wire import Purpose, Read, Write

ALL = [profile(path.stem) for path in sorted(PROFILES.glob("*.yaml"))]
BATTERIES = [pytest.param(one, id=one.name) for one in (*ALL, *IDIOMS) if one.kind == "battery"]
ON_EVERY_BATTERY = pytest.mark.parametrize("shipped", BATTERIES)


def armed(shipped: DeviceProfile) -> ContractBench:
    bench = ContractBench(shipped).connect()
    assert bench.session.state is State.FREE, bench.reason
    bench.session.arm()
    bench.settle()
    assert bench.session.state is State.ARMED, bench.reason
    return bench


@ON_EVERY_BATTERY
def test_it_is_met_armed_ordered_both_ways_and_released(shipped: DeviceProfile) -> None:
    bench = armed(shipped)
    for w in (5000.0, -4000.0, 0.0, 10_000.0, -8_000.0):
        bench.told.clear()
        bench.order(w).cycle()
        (told,) = bench.told
        assert isinstance(told, Obeyed), told
        assert told.discharge_w == pytest.approx(w, abs=100)
        assert abs(told.discharge_w) <= abs(w), "never more than was asked"
        assert bench.given_w == pytest.approx(told.discharge_w, abs=1)
        assert bench.session.reading is not None
        assert bench.session.reading.discharge_w == pytest.approx(w, abs=150)
    bench.order(None).cycle()
    assert bench.session.state is State.FREE
    assert bench.given_w == 0.0


@ON_EVERY_BATTERY
def test_it_stays_while_it_is_refreshed_and_falls_back_when_it_is_not(shipped: DeviceProfile) -> None:
    bench = armed(shipped).order(5000.0)
    for _ in range(200):
        bench.cycle()
        assert bench.given_w == pytest.approx(5000.0, abs=100)
    assert bench.session.state is State.HOLDING
    assert bench.behaviour.reversions == []
    falls_after_s = shipped.reversion_s(30.0)
    assert falls_after_s is not None
    bench.clock.now += falls_after_s + 1.0
    bench.behaviour.refresh(bench.clock.now)
    bench.clock.now += 1.0
    assert bench.given_w == 0.0
    (fell_at,) = bench.behaviour.reversions
    assert bench.clock.now - fell_at <= 6.0


@ON_EVERY_BATTERY
def test_what_it_accepts_and_drops_is_refused(shipped: DeviceProfile) -> None:
    bench = armed(shipped)
    bench.faults.set("ignore")
    bench.order(5000.0)
    assert [type(told) for told in bench.told] == [Refused]
    assert "reads back" in bench.reason


@ON_EVERY_BATTERY
@pytest.mark.parametrize("fault", ["paper", "half", "inverted", "sign_flipped", "zero"])
def test_a_power_that_does_not_follow_is_found_out(shipped: DeviceProfile, fault: str) -> None:
    bench = armed(shipped)
    bench.faults.set(fault)
    bench.order(5000.0)
    for _ in range(15):
        bench.cycle()
    assert bench.health is Health.REFUSING
    assert "delivers" in bench.reason


@ON_EVERY_BATTERY
def test_an_enabling_that_is_dropped_is_refused(shipped: DeviceProfile) -> None:
    bench = ContractBench(shipped).connect()
    bench.faults.set("never_enables")
    bench.order(5000.0)
    assert [type(told) for told in bench.told] == [Refused]
    assert "reads back" in bench.reason


@ON_EVERY_BATTERY
@pytest.mark.parametrize(("fault", "value"), [("forgets", 8.0), ("early_revert", 8.0), ("overrides", None)])
def test_a_setpoint_that_is_taken_away_is_asserted_again(
    shipped: DeviceProfile, fault: str, value: float | None
) -> None:
    bench = ContractBench(shipped).connect()
    bench.faults.set(fault, value)
    bench.order(5000.0)
    bench.asked.clear()
    for _ in range(15):
        bench.cycle()
    armed_again = [r for r in bench.asked if r.purpose is Purpose.ENABLE]
    assert 1 <= len(armed_again) <= 3, "again, but not every second"


@ON_EVERY_BATTERY
@pytest.mark.parametrize(
    ("fault", "value"), [("nan", None), ("soc_beyond", None), ("wrong_scale", 100.0), ("spikes", None)]
)
def test_nonsense_is_not_believed(shipped: DeviceProfile, fault: str, value: float | None) -> None:
    bench = armed(shipped).order(5000.0)
    for _ in range(3):
        bench.cycle()
    bench.faults.set(fault, value)
    seen = set()
    for _ in range(12):
        bench.cycle()
        seen.add(bench.health)
    assert Health.IMPLAUSIBLE in seen
    reading = bench.session.reading
    assert reading is not None
    assert reading.discharge_w == pytest.approx(5000.0, abs=100), "the last good one stands"


@ON_EVERY_BATTERY
def test_an_inverter_that_is_off_and_a_stranger_are_said(shipped: DeviceProfile) -> None:
    bench = armed(shipped)
    bench.faults.set("stopped")
    bench.cycle()
    assert bench.health is Health.REFUSING
    bench.faults.heal()
    if shipped.identity:
        bench.faults.set("stranger")
        bench.lose().connect().cycle()
        assert bench.session.state is State.DOWN
        assert "expects" in bench.reason or "another device" in bench.reason


@ON_EVERY_BATTERY
def test_nothing_is_written_that_the_profile_does_not_name(shipped: DeviceProfile) -> None:
    bench = armed(shipped).order(5000.0)
    for _ in range(40):
        bench.cycle()
    bench.order(-5000.0).cycle().order(None).cycle()
    named = bench.named_registers()
    written = {
        request.address + offset
        for request in bench.asked
        if isinstance(request, Write)
        for offset in range(len(request.registers))
    }
    assert written
    assert written <= named
    assert max(request.count for request in bench.asked if isinstance(request, Read)) <= shipped.max_read


def test_direction_and_size_apart_go_through_zero() -> None:
    bench = armed(DIRECTION).order(5000.0)
    bench.asked.clear()
    bench.order(-4000.0)
    writes = [r.registers for r in bench.asked if isinstance(r, Write) and r.purpose is Purpose.SETPOINT]
    assert writes == [(204,), (0,), (170,), (400,)]
    assert all(r.function == 6 for r in bench.asked if isinstance(r, Write))


def test_a_timer_in_minutes_is_never_shorter_than_the_device_takes() -> None:
    bench = armed(SIGNED)
    timer = next(r for r in bench.asked if isinstance(r, Write) and r.purpose is Purpose.CONFIGURE)
    assert (timer.address, timer.registers) == (11, (0, 0, 1)), "0 W, low word first, and one minute for 30 s"


def test_a_register_that_this_model_lacks_is_left_out_or_named() -> None:
    lacking = SIGNED.model_copy(
        update={
            "registers": SIGNED.registers
            | {"state": SIGNED.registers["state"].model_copy(update={"at": 999})}
        }
    )
    bench = ContractBench(lacking)
    bench.bank.drop("state")
    bench.connect()
    assert "exception 2 on reading state at 999 (input)" in bench.reason
    optional = lacking.registers["state"].model_copy(update={"optional": True})
    bench = ContractBench(lacking.model_copy(update={"registers": lacking.registers | {"state": optional}}))
    bench.bank.drop("state")
    bench.connect().cycle()
    assert bench.health is Health.GOOD, bench.reason


def test_a_watchdog_that_cannot_be_fed_in_time_is_a_mistake() -> None:
    with pytest.raises(MisuseError, match="more than half of its reversion of 15 s"):
        ContractBench(WINDOW, refresh_s=8.0)
