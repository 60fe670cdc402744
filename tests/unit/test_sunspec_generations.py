"""Which SunSpec generation a battery is, which of several places holds a value: decided when it is met."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.unit.modbus_playbook import profile
from tests.unit.test_modbus_codec import walk
from vpp_gateway.commission.contract import armed, checks
from vpp_gateway.commission.meter_rig import MeterRig
from vpp_gateway.commission.rig import BatteryRig
from vpp_gateway.domain.fact import Obeyed
from vpp_gateway.domain.reading import Health
from vpp_gateway.errors import ConfigError, MisuseError, Rejected
from vpp_gateway.sim.image import Image
from vpp_gateway.southbound.modbus.choice import imagined, settle
from vpp_gateway.southbound.modbus.profile import DeviceProfile
from vpp_gateway.southbound.modbus.scan import Scan
from vpp_gateway.southbound.modbus.shelf import load_device
from vpp_gateway.southbound.modbus.states import State
from vpp_gateway.southbound.modbus.tables import tables_of
from vpp_gateway.southbound.modbus.wire import Purpose, Write
from vpp_gateway.yaml_source import InvalidFile

EITHER, OLDER, NEWER = (profile(f"sunspec-{name}") for name in ("battery", "storage-legacy", "700-battery"))
METER, GEN24 = profile("sunspec-meter"), profile("fronius-gen24")
NEW, OLD = (701, 702, 704, 713, 715), (103, 120, 124)
INVERTERS = (101, 102, 103, 111, 112, 113)
METERS = (201, 202, 203, 204, 211, 212, 213, 214)
SCALES = {
    **{f"{id}.W_SF": 1 for id in (101, 102, 103, 701, 702)},
    "124.InOutWRte_SF": -2,
    "124.ChaState_SF": -2,
    "124.WChaMax_SF": 0,
    "120.MaxDisChaRte_SF": 0,
    "704.WSet_SF": 0,
    "713.Pct_SF": -2,
}


def built(
    models: tuple[int, ...], said: Mapping[str, float | None] | None = None, *, base: int = 40000
) -> dict[int, int]:
    """The registers of a device with these models that says so much of itself."""
    image = Image((1, *models), base=base, exponents=SCALES)
    known: dict[str, float | None] = {
        "702.CtrlModes": 0b11,
        "124.WChaMax": 8000,
        "120.MaxDisChaRte": 10_000,
        "124.ChaState": 50,
        **{f"{id}.W": 1000 for id in INVERTERS},
    }
    for key, value in {**known, **(said or {})}.items():
        if int(key.split(".")[0]) in models:
            image.put(key, value)
    return {base + index: word for index, word in enumerate(image.registers)}


def met(chosen: DeviceProfile, device: dict[int, int]) -> DeviceProfile:
    """What a device of these registers turns out to be."""
    tables = tables_of(chosen)
    scan = Scan(chosen, tables, [tables.point(name) for name in chosen.names()])
    walk(scan, device)
    assert scan.result is not None
    return settle(chosen, tables, scan.result)


# --- the generation ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", [40000, 0, 50000])
@pytest.mark.parametrize(
    ("models", "said", "expected"),
    [
        (NEW, {}, "sunspec-700-battery"),
        (OLD, {}, "sunspec-storage-legacy"),
        ((*OLD, *NEW), {}, "sunspec-700-battery"),
        ((*OLD, *NEW), {"702.CtrlModes": None}, "sunspec-700-battery"),
        ((*OLD, *NEW), {"702.CtrlModes": 0b01}, "sunspec-storage-legacy"),
        (NEW, {"702.CtrlModes": 0b01}, "sunspec-700-battery"),
        ((*OLD, 701, 702, 713), {}, "sunspec-storage-legacy"),
        ((113, 124), {}, "sunspec-storage-legacy"),
    ],
    ids=[
        "new",
        "old",
        "both",
        "both, modes unsaid",
        "both, new cannot",
        "new cannot",
        "new is not whole",
        "float",
    ],
)
def test_the_newest_generation_that_can_command_is_chosen(
    base: int, models: tuple[int, ...], said: dict[str, float | None], expected: str
) -> None:
    found = met(EITHER, built(models, said, base=base))
    assert found.command == profile(expected).command
    assert found.heartbeat == profile(expected).heartbeat


def test_a_device_of_no_generation_is_told_what_it_lacks_for_each() -> None:
    with pytest.raises(Rejected, match="lacks SunSpec model 702, 704, 713, 715; profile sunspec-700-battery; "
                       "the device lacks SunSpec model 124; profile sunspec-storage-legacy"):  # fmt: skip
        met(EITHER, built((103, 701)))


def test_a_battery_of_the_older_one_is_commanded_as_such() -> None:
    rig = BatteryRig(EITHER, models=OLD).connect()
    assert rig.session.state is State.FREE, rig.reason
    rig.asked.clear()
    rig.order(5000.0).cycle()
    starts = {
        name: rig.bank.addresses(f"124.{name}").start
        for name in ("StorCtl_Mod", "OutWRte", "InOutWRte_RvrtTms")
    }
    writes = [(r.address, r.registers) for r in rig.asked if isinstance(r, Write)]
    assert writes == [
        (starts["InOutWRte_RvrtTms"], (30,)),
        (starts["OutWRte"], (5000, 0x10000 - 6250)),
        (starts["StorCtl_Mod"], (3,)),
    ]
    assert isinstance(rig.told[-1], Obeyed)
    assert rig.given_w == pytest.approx(5000.0)
    for _ in range(40):
        rig.cycle()
    assert rig.health is Health.GOOD, rig.reason
    assert rig.behaviour.reversions == []
    rig.clock.now += 31.0
    rig.behaviour.refresh(rig.clock.now)
    assert len(rig.behaviour.reversions) == 1


def test_after_a_reconnect_the_same_battery_is_known_and_released_at_once() -> None:
    rig = BatteryRig(EITHER, models=OLD).connect().order(5000.0).cycle()
    rig.lose().asked.clear()
    rig.connect()
    assert rig.session.state is State.HOLDING
    first = next(r for r in rig.asked if isinstance(r, Write))
    assert first.purpose is Purpose.CONFIGURE
    rig.order(None).cycle()
    assert rig.session.state is State.FREE
    assert rig.given_w == 0.0


def test_what_has_generations_waits_for_the_slowest_of_them() -> None:
    assert EITHER.reversion_s(30.0) == 30.0
    assert EITHER.reversion_s(70_000.0) == 70_000.0, "an older one is cut to 65534 s, a newer one is not"
    assert OLDER.reversion_s(70_000.0) == 65_534.0


def test_generations_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "devices"
    folder.mkdir()
    text = (
        "name: {name}\nkind: battery\nsource: [{{document: none}}]\nverified: unverified\n"
        "product: {{vendor: none, models: [none]}}\ngenerations: [{of}]\n"
    )
    for name, of, wrong in (
        ("a", "sunspec-meter", "sunspec-meter is a meter; allowed are SunSpec profiles of kind battery"),
        ("b", "growatt-vpp", "growatt-vpp is no SunSpec device"),
        ("c", "sunspec-battery", "sunspec-battery names generations itself"),
    ):
        (folder / f"{name}.yaml").write_text(text.format(name=name, of=of), encoding="utf-8")
        with pytest.raises(ConfigError, match=wrong):
            load_device(name, [tmp_path])
    (folder / "d.yaml").write_text(text.format(name="d", of="nothing-such"), encoding="utf-8")
    with pytest.raises(InvalidFile):
        load_device("d", [tmp_path])
    (folder / "e.yaml").write_text(
        text.format(name="e", of="sunspec-battery") + "fast: [soc]\n", encoding="utf-8"
    )
    with pytest.raises(InvalidFile, match="no points, registers or commands beside them"):
        load_device("e", [tmp_path])


# --- the first of several places -----------------------------------------------------------------------------


def test_the_first_place_that_says_a_value_counts() -> None:
    both = (103, 113, 120, 124)
    assert met(OLDER, built(both)).points["discharge_w"] == "103.W"
    assert met(OLDER, built(both, {"103.W": None})).points["discharge_w"] == "113.W"
    asleep = met(OLDER, built((113, 124), {"113.W": None}))
    assert asleep.points["discharge_w"] == "113.W", "where none says one, the first that is there"


def test_what_the_device_lacks_is_left_out_and_what_it_must_have_is_named() -> None:
    found = met(OLDER, built((103, 124)))
    assert "soc_max" not in found.points and "energy_wh" not in found.points
    assert found.points["discharge_max_w"] == "124.WChaMax"
    assert met(OLDER, built(OLD)).points["discharge_max_w"] == "120.MaxDisChaRte"
    assert met(OLDER, built(OLD, {"120.MaxDisChaRte": None})).points["discharge_max_w"] == "124.WChaMax"
    with pytest.raises(
        Rejected, match=r"the device has none of 103.W, 113.W.* profile sunspec-storage-legacy"
    ):
        met(OLDER, built((120, 124)))


def test_a_rating_without_its_scale_factor_says_nothing() -> None:
    image = Image((1, 103, 120, 124), base=0, exponents={"103.W_SF": 1, "124.WChaMax_SF": 0})
    image.put("120.MaxDisChaRte", 10_000)
    image.put("124.WChaMax", 8000)
    found = met(OLDER, dict(enumerate(image.registers)))
    assert found.points["discharge_max_w"] == "124.WChaMax"


def test_a_share_is_of_the_rating_on_its_own_side() -> None:
    """120 says 10 kW of discharge, 124 8 kW of charge: both limits mean the same power."""
    rig = armed(OLDER).order(-4000.0).cycle()
    assert rig.bank.get("124.OutWRte") == -40.0
    assert rig.bank.get("124.InWRte") == 50.0


# --- every model of a family ---------------------------------------------------------------------------------


@pytest.mark.parametrize("model", METERS)
def test_a_meter_of_every_model_is_read(model: int) -> None:
    rig = MeterRig(METER, models=[model])
    for w in (250_000.0, -40_000.0):
        rig.import_w = w
        rig.cycle()
        assert rig.session.reading is not None
        assert rig.session.reading.import_w == w
    assert imagined(METER, [model]).models == {1, model}


@pytest.mark.parametrize("model", [701, *INVERTERS])
def test_a_pv_inverter_of_every_model_is_read_as_a_meter(model: int) -> None:
    rig = MeterRig(profile("sunspec-inverter"), models=[model])
    rig.import_w = -30_000.0
    rig.cycle()
    assert rig.session.reading is not None
    assert rig.session.reading.import_w == -30_000.0


@pytest.mark.parametrize("model", [113, 101])
def test_a_battery_with_another_inverter_model_passes_the_contract(model: int) -> None:
    other = imagined(OLDER, [model, 124, 802])
    assert other.points["discharge_w"] == f"{model}.W"
    assert other.points["discharge_max_w"] == "124.WChaMax"
    for check in checks(other):
        check.play(other)


def test_models_that_no_device_of_a_profile_has_are_refused() -> None:
    with pytest.raises(
        MisuseError, match="with the models 704 is one of profile sunspec-meter; it speaks of 1, 201"
    ):
        imagined(METER, [704])
    with pytest.raises(
        MisuseError, match="no device with the models 103 is one of profile sunspec-storage-legacy"
    ):
        imagined(OLDER, [103])
    with pytest.raises(MisuseError, match="it speaks of no SunSpec model"):
        imagined(profile("growatt-vpp"), [103])


# --- Fronius -------------------------------------------------------------------------------------------------


def test_the_timer_is_written_before_each_arming_and_at_each_refresh() -> None:
    """As shipped it is 0: what was written last would stay for ever."""
    rig = BatteryRig(GEN24)
    assert rig.bank.get("124.InOutWRte_RvrtTms") == 0.0
    rig.connect().asked.clear()
    rig.order(3000.0)
    timer = rig.bank.addresses("124.InOutWRte_RvrtTms").start
    writes = [r for r in rig.asked if isinstance(r, Write)]
    assert (writes[0].address, writes[0].registers) == (timer, (30,))
    rig.asked.clear()
    for _ in range(20):
        rig.cycle()
    again = [r for r in rig.asked if isinstance(r, Write) and r.address == timer]
    assert len(again) == 4
    assert rig.behaviour.reversions == []


def test_an_input_that_is_off_says_nothing_and_counts_as_zero() -> None:
    role = GEN24.points["discharge_w"]
    assert not isinstance(role, str)
    for charge, discharge, expected in ((None, 2000.0, 2000.0), (1500.0, None, -1500.0), (None, None, 0.0)):
        values = {"160.module[3].DCW": charge, "160.module[4].DCW": discharge}
        assert role.value(values) == expected
    assert role.model_copy(update={"silence_is_zero": False}).value({"160.module[4].DCW": 2000.0}) is None


def test_inputs_that_fall_silent_under_an_order_are_found_out() -> None:
    rig = armed(GEN24)
    rig.faults.set("nan")
    rig.order(5000.0)
    for _ in range(20):
        rig.cycle()
    assert rig.health in (Health.REFUSING, Health.IMPLAUSIBLE)
    assert "delivers 0 W" in rig.reason or "state of charge" in rig.reason


# --- what a profile may not say ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "wrong"),
    [
        (
            {"first_of": ["103.W"], "plus": ["113.W"]},
            "exactly one of plus/minus, product, magnitude, state, first_of",
        ),
        ({"first_of": []}, "exactly one of"),
        ({"first_of": ["103.W"], "silence_is_zero": True}, "silence_is_zero: only of a sum"),
        ({"first_of": [{"plus": ["103.W"], "silence_is_zero": 3}]}, "silence_is_zero"),
    ],
)
def test_a_role_that_makes_no_sense_is_refused(role: dict[str, object], wrong: str) -> None:
    with pytest.raises(ValidationError, match=wrong):
        profile("sunspec-meter", points={"import_w": role})


def test_the_model_of_a_place_that_is_open_need_not_be_there_and_any_other_must() -> None:
    assert OLDER.needed == {1, 124}
    assert METER.needed == {1}
    assert GEN24.needed == {1, 120, 124, 160}
    assert NEWER.needed == {1, 701, 702, 704, 713, 715}, "802 is optional"
    assert EITHER.needed == {1}
    assert EITHER.models == OLDER.models | NEWER.models
    assert profile("growatt-vpp").needed == frozenset()
