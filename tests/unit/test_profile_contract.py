"""Every shipped profile, and every way of telling a battery what to do, against the contract."""

from __future__ import annotations

import json
from fractions import Fraction

import jsonschema
import pytest

from tests.repository import ROOT
from tests.unit.idioms import DIRECTION, IDIOMS, SIGNED, WINDOW
from tests.unit.modbus_playbook import PROFILES, profile
from vpp_gateway.commission.contract import Check, armed, checks, play
from vpp_gateway.commission.rig import BatteryRig
from vpp_gateway.domain.reading import Health
from vpp_gateway.errors import MisuseError
from vpp_gateway.profile import list_profiles, read_profile
from vpp_gateway.southbound.modbus.profile import DeviceProfile, device_schema
from vpp_gateway.southbound.modbus.wire import Purpose, Write

ALL = [profile(path.stem) for path in sorted(PROFILES.glob("*.yaml"))]
CASES = [
    pytest.param(one, check, id=f"{one.name}-{check.name}")
    for one in (*ALL, *IDIOMS)
    for check in checks(one)
]


@pytest.mark.parametrize(("shipped", "check"), CASES)
def test_a_profile_passes_the_contract(shipped: DeviceProfile, check: Check) -> None:
    check.play(shipped)


def changed(battery: DeviceProfile, **command: object) -> DeviceProfile:
    """With other commands; not validated, as a mistake that validation cannot see."""
    assert battery.command is not None
    return battery.model_copy(update={"command": battery.command.model_copy(update=command)})


def scaled(battery: DeviceProfile, point: str, scale: int) -> DeviceProfile:
    row = battery.registers[point].model_copy(update={"scale": Fraction(scale)})
    return battery.model_copy(update={"registers": battery.registers | {point: row}})


@pytest.mark.parametrize(
    ("wrong", "caught_by"),
    [
        (changed(SIGNED, release=({"mode": 4},)), "is met, armed, ordered both ways and released"),
        (
            changed(SIGNED, arm=({"power": 0.0}, {"mode": 4})),
            "stays while it is refreshed, falls back when it is not",
        ),
        (changed(SIGNED, refresh=()), "stays while it is refreshed, falls back when it is not"),
        (changed(DIRECTION, function=16, separate=False), ""),
        (SIGNED.model_copy(update={"identity": {}}), "another product is not taken for it"),
        (scaled(SIGNED, "power", 3000), "is met, armed, ordered both ways and released"),
    ],
)
def test_a_wrong_profile_is_caught(wrong: DeviceProfile, caught_by: str) -> None:
    said = {check.name: text for check, text in play(wrong)}
    assert [name for name, text in said.items() if text][:1] == ([caught_by] if caught_by else []), said


def test_direction_and_size_apart_go_through_zero() -> None:
    rig = armed(DIRECTION).order(5000.0)
    rig.asked.clear()
    rig.order(-4000.0)
    writes = [r.registers for r in rig.asked if isinstance(r, Write) and r.purpose is Purpose.SETPOINT]
    assert writes == [(204,), (0,), (170,), (400,)]
    assert all(r.function == 6 for r in rig.asked if isinstance(r, Write))


def test_a_timer_in_minutes_is_never_shorter_than_the_device_takes() -> None:
    rig = armed(SIGNED)
    timer = next(r for r in rig.asked if isinstance(r, Write) and r.purpose is Purpose.CONFIGURE)
    assert (timer.address, timer.registers) == (11, (0, 0, 1)), "0 W, low word first, and one minute for 30 s"


def test_a_register_that_this_model_lacks_is_left_out_or_named() -> None:
    state = SIGNED.registers["state"].model_copy(update={"at": 999})
    for optional in (False, True):
        row = state.model_copy(update={"optional": optional})
        rig = BatteryRig(SIGNED.model_copy(update={"registers": SIGNED.registers | {"state": row}}))
        rig.bank.drop("state")
        rig.connect().cycle()
        if optional:
            assert rig.health is Health.GOOD, rig.reason
        else:
            assert "exception 2 on reading state at 999 (input)" in rig.reason


def test_a_watchdog_that_cannot_be_fed_in_time_is_a_mistake() -> None:
    with pytest.raises(MisuseError, match="more than half of its reversion of 15 s"):
        BatteryRig(WINDOW, refresh_s=8.0)


def test_the_schema_is_current_and_takes_what_is_shipped() -> None:
    committed = json.loads((ROOT / "docs" / "schemas" / "device.schema.json").read_text("utf-8"))
    assert committed == device_schema(), "run: vpp-gateway device schema > docs/schemas/device.schema.json"
    validator = jsonschema.Draft202012Validator(committed)
    for name in list_profiles("devices"):
        assert not list(validator.iter_errors(read_profile("devices", name).plain)), name
