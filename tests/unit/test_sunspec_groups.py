"""Groups that repeat in SunSpec models: where their points lie, how many there are, whose scale factor counts."""

from __future__ import annotations

import json
import struct

import pytest
from pydantic import ValidationError

from tests.unit.modbus_playbook import profile
from tests.unit.test_modbus_codec import walk
from vpp_gateway.domain.instruction import DeviceId
from vpp_gateway.errors import ConfigError
from vpp_gateway.sim.image import Image
from vpp_gateway.southbound.modbus.codec import Block
from vpp_gateway.southbound.modbus.layout import read_plans, role_spans
from vpp_gateway.southbound.modbus.meter import MeterSession
from vpp_gateway.southbound.modbus.profile import DeviceProfile
from vpp_gateway.southbound.modbus.scan import Scan, SunSpecMap
from vpp_gateway.southbound.modbus.sunspec import Model, model_table
from vpp_gateway.southbound.modbus.tables import load_models, tables_of


def model(id: int) -> Model:
    return load_models([id])[id]


# Offsets counted by hand in the published tables: header and fixed points, then so many registers for each of the group.
@pytest.mark.parametrize(
    ("key", "offset", "scale", "counted_by"),
    [
        ("160.module[1].DCW", 10 + 11, "DCW_SF", "N"),
        ("160.module[3].DCW", 10 + 2 * 20 + 11, "DCW_SF", "N"),
        ("160.module[4].DCWH", 10 + 3 * 20 + 12, "DCWH_SF", "N"),
        ("803.string[1].StrSoC", 28 + 4, "SoC_SF", "NStr"),
        ("803.string[2].StrA", 28 + 32 + 6, "A_SF", "NStr"),
        ("804.lithium_ion_string_module[5].ModSoC", 48 + 4 * 16 + 1, "SoC_SF", "NMod"),
        ("133.repeating[2].X_SF", 8 + 60 + 6, None, None),
    ],
)
def test_a_point_of_a_group_lies_where_the_model_says(
    key: str, offset: int, scale: str | None, counted_by: str | None
) -> None:
    number, _, name = key.partition(".")
    point = model(int(number)).point(name)
    assert point.key == key
    assert point.nth == int(key[key.index("[") + 1])
    assert (point.offset, point.scale, point.counted_by) == (offset, scale, counted_by)


def test_a_scale_factor_inside_a_group_is_that_of_the_same_one() -> None:
    own = model(133).point("repeating[2].X1")
    assert own.scale == "repeating[2].X_SF"
    factor = model(133).point(str(own.scale))
    assert factor.type == "sunssf"
    assert own.scale_at == factor.offset
    assert model(133).point("repeating[1].X1").scale == "repeating[1].X_SF"


SYNTHETIC = {
    "id": 64999,
    "group": {
        "name": "m",
        "points": [
            {"name": "ID", "type": "uint16", "size": 1},
            {"name": "L", "type": "uint16", "size": 1},
            {"name": "A_SF", "type": "sunssf", "size": 1},
        ],
        "groups": [
            {
                "name": "Fixed",
                "points": [
                    {"name": "A", "type": "int16", "size": 1, "sf": "A_SF"},
                    {"name": "B", "type": "int16", "size": 1, "sf": "B_SF"},
                    {"name": "B_SF", "type": "sunssf", "size": 1},
                ],
            },
            {"name": "Many", "count": 0, "points": [{"name": "C", "type": "int32", "size": 2, "sf": "A_SF"}]},
            {"name": "After", "points": [{"name": "D", "type": "int16", "size": 1}]},
        ],
    },
}


def test_what_lies_behind_a_group_that_repeats_has_no_place() -> None:
    table = model_table(json.dumps(SYNTHETIC))
    assert (table.point("Fixed.A").scale, table.point("Fixed.B").scale) == ("A_SF", "Fixed.B_SF")
    assert table.point("Many[3].C").offset == 3 + 3 + 2 * 2
    assert table.point("Many[3].C").counted_by is None
    with pytest.raises(ConfigError, match=r"no point 'After.D'; of its group, for instance Many\[1\].C"):
        table.point("After.D")
    grown = table.repeated(2)
    assert (table.length, grown.length) == (6, 10)
    assert grown.points["Many[2].C"].offset == 8


def test_a_group_in_which_another_one_repeats_is_not_read() -> None:
    for name in ("Crv[1].ActPt", "Crv[1].Pt[1].V"):
        with pytest.raises(ConfigError, match="SunSpec model 705 has no point"):
            model(705).point(name)


@pytest.mark.parametrize("name", ["160.module[0].DCW", "160.module[].DCW", "160.module[1]DCW", "160.[1].DCW"])
def test_a_number_that_cannot_be_is_refused_in_a_profile(name: str) -> None:
    with pytest.raises(ValidationError, match="String should match pattern"):
        profile("sunspec-meter", points={"import_w": name})


def test_a_point_that_the_group_lacks_is_named_with_an_example() -> None:
    wrong = profile("sunspec-meter", points={"import_w": "160.module[1].W"})
    with pytest.raises(ConfigError, match=r"no point 'module\[1\].W'; of its group, for instance module"):
        tables_of(wrong)


# --- in a device ---------------------------------------------------------------------------------------------


def inputs(times: int, *, said: int | None = None) -> Image:
    """An inverter with so many inputs; `said`: what it counts itself."""
    image = Image((1, 160), base=40000, exponents={"160.DCW_SF": 1}, repeats={160: times})
    if said is not None:
        image.put("160.N", said)
    return image


def registers(image: Image) -> dict[int, int]:
    return {image.base + index: word for index, word in enumerate(image.registers)}


def seen(chosen: DeviceProfile, image: Image) -> SunSpecMap:
    tables = tables_of(chosen)
    scan = Scan(chosen, tables, [tables.point(name) for name in chosen.names()])
    walk(scan, registers(image))
    assert scan.result is not None
    return scan.result


def by_input(nth: int) -> DeviceProfile:
    return profile("sunspec-meter", points={"import_w": f"160.module[{nth}].DCW"})


def test_a_device_has_as_many_as_it_counts_and_as_fit_into_its_model() -> None:
    for image, there in ((inputs(4), [1, 2, 3, 4]), (inputs(4, said=2), [1, 2]), (inputs(2, said=9), [1, 2])):
        found = [
            nth
            for nth in range(1, 6)
            if seen(by_input(nth), image).has(tables_of(by_input(nth)).point(f"160.module[{nth}].DCW"))
        ]
        assert found == there


def test_the_value_of_one_input_is_read_with_its_scale() -> None:
    image = inputs(3)
    image.put("160.module[3].DCW", 4200)
    assert image.registers[image.index(image.point("160.module[3].DCW"))] == 420
    chosen = by_input(3)
    device = seen(chosen, image)
    spans = role_spans(chosen.points, tables_of(chosen), device)
    (plan,) = read_plans(spans, device, 122, 0xFFFF)
    start = 40000 + 2 + 68
    assert plan.block == Block(start + 4, 10 + 2 * 20 + 11 - 4 + 1), "from the scale factor to the value"
    words = registers(image)
    reply = [words[plan.block.address + offset] for offset in range(plan.block.count)]
    assert {name: read(reply) for name, read in plan.readers} == {"import_w": 4200.0}


# --- scale factors that change -------------------------------------------------------------------------------


def measured(session: MeterSession, image: Image, now: float) -> float | None:
    session.cycle(now)
    while (request := session.next(now)) is not None:
        at = request.address - image.base
        found = image.registers[max(at, 0) : at + request.count] if at >= 0 else []
        if len(found) == request.count:
            session.receive(found, now)
        else:
            session.refused(2, now)
    return None if session.reading is None or session.reading.at != now else session.reading.import_w


def test_a_scale_factor_that_changes_while_the_device_runs_is_followed() -> None:
    chosen = profile("sunspec-meter")
    image = Image((1, 203), base=40000, exponents={"203.W_SF": 2, "203.Hz_SF": -2})
    image.put("203.W", 250_000)
    session = MeterSession(DeviceId("m"), chosen, tables_of(chosen), bound_w=1e6, heartbeat_s=1.0)
    session.connected(0.0)
    while (request := session.next(0.0)) is not None:
        at = request.address - image.base
        session.receive(image.registers[at : at + request.count], 0.0)
    assert measured(session, image, 1.0) == 250_000.0
    w, factor = (image.index(image.point(f"203.{name}")) for name in ("W", "W_SF"))
    image.registers[w], image.registers[factor] = 25_001, 1
    assert measured(session, image, 2.0) == 250_010.0
    image.registers[w], image.registers[factor] = struct.unpack(">HH", struct.pack(">hh", -2500, 0))
    assert measured(session, image, 3.0) == -2500.0
    for nonsense in (0x8000, 11):
        image.registers[factor] = nonsense
        assert measured(session, image, 4.0) is None
        assert "not implemented" in session.health(4.0).reason


def test_only_a_scale_factor_that_is_read_once_makes_it_another_device() -> None:
    chosen = profile("sunspec-storage-legacy")

    def device(**exponents: int) -> SunSpecMap:
        told = {"103.W_SF": 1, "124.InOutWRte_SF": -2, "124.ChaState_SF": -2, "124.WChaMax_SF": 0}
        image = Image(
            (1, 103, 124), base=0, exponents=told | {f"{k[1:4]}.{k[5:]}": v for k, v in exponents.items()}
        )
        image.put("1.SN", "7")
        return seen(chosen, image)

    assert device().same_device(device(m103_W_SF=2))
    assert not device().same_device(device(m124_InOutWRte_SF=0))
