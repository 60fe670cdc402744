"""What every profile must pass on its simulated device: it is whole, says what it means, and falls back.

    for check in checks(profile): check.play(profile)     raises Breach with what was expected and what was seen

A profile that passes is *silver*. No check says anything about the real product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vpp_gateway.commission.meter_rig import MeterRig
from vpp_gateway.commission.rig import REVERSION_S, BatteryRig, Breach
from vpp_gateway.domain.fact import Obeyed, Refused
from vpp_gateway.domain.reading import Health
from vpp_gateway.southbound.modbus.measures import Measure, points_of
from vpp_gateway.southbound.modbus.profile import DeviceProfile
from vpp_gateway.southbound.modbus.states import State
from vpp_gateway.southbound.modbus.wire import Purpose, Read, Write

NEAR_W = 150.0
"""Resolution that a profile may have at 10 kW."""


FOLLOWING = ("paper", "half", "inverted", "sign_flipped", "zero")
"""Faults with which the power does not follow the setpoint."""


@dataclass(frozen=True, slots=True)
class Check:
    """One of them."""

    name: str
    play: Callable[[DeviceProfile], None]


def checks(profile: DeviceProfile) -> Iterator[Check]:
    """All that a profile of this kind must pass."""
    if profile.kind == "meter":
        yield Check("shows import and export with their signs", _meter_signs)
        yield Check("nonsense is not believed", _meter_nonsense)
        yield Check("another product is not taken for it", _meter_stranger)
        return
    yield Check("is met, armed, ordered both ways and released", _both_ways)
    yield Check("stays while it is refreshed, falls back when it is not", _falls_back)
    if profile.command is not None and profile.command.proof == "readback":
        yield Check("an order that is accepted and dropped is refused", _dropped)
        yield Check("an enabling that is dropped is refused", _never_enabled)
        yield Check("a setpoint that is taken away is asserted again", _taken_away)
    yield Check("a power that does not follow is found out", _not_following)
    yield Check("nonsense is not believed", _nonsense)
    yield Check("an inverter that is off is said", _stopped)
    yield Check("another product is not taken for it", _stranger)
    yield Check("nothing is written that the profile does not name", _only_named)


def play(profile: DeviceProfile) -> Iterator[tuple[Check, str]]:
    """Each check with what is wrong, in words; empty = passed."""
    for check in checks(profile):
        try:
            check.play(profile)
        except Breach as breach:
            yield check, str(breach)
        else:
            yield check, ""


def _hold(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise Breach(f"{what}: {found}, expected {expected}")


def _near(what: str, found_w: float | None, expected_w: float, by_w: float) -> None:
    if found_w is None or abs(found_w - expected_w) > by_w:
        said = "nothing" if found_w is None else f"{found_w:g} W"
        raise Breach(f"{what}: {said}, expected {expected_w:g} W")


def armed(profile: DeviceProfile) -> BatteryRig:
    """A battery that was met, released and armed. Raises Breach when it cannot be."""
    rig = BatteryRig(profile).connect()
    _in_state(rig, "after meeting it", State.FREE)
    rig.session.arm()
    rig.settle()
    _in_state(rig, "after arming it", State.ARMED)
    return rig


def _in_state(rig: BatteryRig, when: str, state: State) -> None:
    if rig.session.state is not state:
        raise Breach(f"{when} the device is {rig.session.state}: {rig.reason}")


def _both_ways(profile: DeviceProfile) -> None:
    rig = armed(profile)
    for w in (5000.0, -4000.0, 0.0, 10_000.0, -8_000.0, 10.0):
        rig.told.clear()
        rig.order(w).cycle()
        told = rig.told[-1] if rig.told else None
        if not isinstance(told, Obeyed):
            raise Breach(f"an order of {w:g} W came to {told}: {rig.reason}")
        _near("confirmed", told.discharge_w, w, NEAR_W)
        if abs(told.discharge_w) > abs(w):
            raise Breach(f"more was confirmed than was asked: {told.discharge_w:g} W for {w:g} W")
        _near("what the battery gives", rig.given_w, told.discharge_w, 1.0)
        reading = rig.session.reading
        _near("what is read", None if reading is None else reading.discharge_w, told.discharge_w, NEAR_W)
    rig.order(None).cycle()
    _hold("after the release the device is", rig.session.state, State.FREE)
    _near("after the release it gives", rig.given_w, 0.0, 0.0)


def _falls_back(profile: DeviceProfile) -> None:
    rig = armed(profile).order(5000.0)
    for _ in range(200):
        rig.cycle()
        _near("while it is refreshed it gives", rig.given_w, 5000.0, NEAR_W)
    _hold("fall-backs while it is refreshed", len(rig.behaviour.reversions), 0)
    after_s = profile.reversion_s(REVERSION_S)
    rig.clock.now += 86_400.0 if after_s is None else after_s + 1.0
    rig.behaviour.refresh(rig.clock.now)
    _hold("fall-backs once it is not", len(rig.behaviour.reversions), 0 if after_s is None else 1)


def _dropped(profile: DeviceProfile) -> None:
    rig = armed(profile)
    rig.faults.set("ignore")
    rig.order(5000.0)
    _hold("outcome", [type(told).__name__ for told in rig.told], [Refused.__name__])


def _never_enabled(profile: DeviceProfile) -> None:
    rig = BatteryRig(profile).connect()
    rig.faults.set("never_enables")
    rig.order(5000.0)
    _hold("outcome", [type(told).__name__ for told in rig.told], [Refused.__name__])


def _not_following(profile: DeviceProfile) -> None:
    by_effect = profile.command is not None and profile.command.proof == "effect"
    for fault in ("ignore", *FOLLOWING) if by_effect else FOLLOWING:
        rig = armed(profile)
        rig.faults.set(fault)
        rig.order(5000.0)
        for _ in range(int(profile.settle_s) + 5):
            rig.cycle()
        if rig.health is not Health.REFUSING or "delivers" not in rig.reason:
            raise Breach(f"{fault}: the device is {rig.health}: {rig.reason or 'no reason'}")


def _taken_away(profile: DeviceProfile) -> None:
    for fault, value in (("forgets", 8.0), ("early_revert", 8.0), ("overrides", None)):
        rig = BatteryRig(profile).connect()
        rig.faults.set(fault, value)
        rig.order(5000.0)
        rig.asked.clear()
        for _ in range(3 * int(profile.slow_s)):
            rig.cycle()
        if not any(request.purpose is Purpose.ENABLE for request in rig.asked):
            raise Breach(f"{fault}: not armed again within {3 * profile.slow_s:g} s")


def _nonsense(profile: DeviceProfile) -> None:
    faults: list[tuple[str, float | None]] = [("soc_beyond", None), ("wrong_scale", 100.0), ("spikes", None)]
    rig = BatteryRig(profile)
    power = rig.profile.points["discharge_w"]
    silence_counts = isinstance(power, Measure) and power.silence_is_zero
    if not silence_counts and all(rig.bank.can_say_nothing(name) for name in points_of(power)):
        faults.append(("nan", None))
    for fault, value in faults:
        rig = armed(profile).order(5000.0)
        for _ in range(3):
            rig.cycle()
        rig.faults.set(fault, value)
        seen = set()
        for _ in range(2 * int(profile.slow_s) + 6):
            rig.cycle()
            seen.add(rig.health)
            reading = rig.session.reading
            _near(
                f"{fault}: the last good reading",
                None if reading is None else reading.discharge_w,
                5000.0,
                NEAR_W,
            )
        if Health.IMPLAUSIBLE not in seen:
            raise Breach(f"{fault}: the device was never implausible")


def _stopped(profile: DeviceProfile) -> None:
    if "running" not in profile.points:
        return
    rig = armed(profile)
    rig.faults.set("stopped")
    rig.cycle()
    _hold("an inverter that is off", rig.health, Health.REFUSING)


def _stranger(profile: DeviceProfile) -> None:
    if not profile.identity and profile.sunspec:
        return  # its chain of models is its identity
    if not profile.identity:
        raise Breach("the profile has no identity: any device at this address would be written to")
    rig = BatteryRig(profile)
    rig.faults.set("stranger")
    rig.connect()
    _hold("a stranger is", rig.session.state, State.DOWN)
    written = [request for request in rig.asked if isinstance(request, Write)]
    _hold("writes to a stranger", len(written), 0)


def _only_named(profile: DeviceProfile) -> None:
    rig = armed(profile).order(5000.0)
    for _ in range(40):
        rig.cycle()
    rig.order(-5000.0).cycle().order(None).cycle()
    named = rig.named_registers()
    for request in rig.asked:
        if isinstance(request, Read):
            if request.count > profile.max_read:
                raise Breach(f"a read of {request.count} registers; {profile.max_read} are allowed")
        elif not {request.address + offset for offset in range(len(request.registers))} <= named:
            raise Breach(f"{request.words()} touches registers that the profile does not write")


def _meter_signs(profile: DeviceProfile) -> None:
    rig = MeterRig(profile)
    for w in (250_000.0, -40_000.0, 0.0):
        rig.import_w = w
        rig.cycle()
        reading = rig.session.reading
        _near("import", None if reading is None else reading.import_w, w, 0.01 * abs(w) + 10.0)


def _meter_nonsense(profile: DeviceProfile) -> None:
    rig = MeterRig(profile)
    rig.import_w = 250_000.0
    rig.cycle()
    rig.faults.set("wrong_scale", 1000.0)
    rig.cycle()
    _hold("a thousand times too much is", rig.health, Health.IMPLAUSIBLE)


def _meter_stranger(profile: DeviceProfile) -> None:
    if not profile.identity:
        return  # many meters say nothing of themselves, and nothing is written to a meter
    rig = MeterRig(profile, stranger=True)
    rig.cycle()
    _hold("a stranger is read", rig.session.reading, None)
