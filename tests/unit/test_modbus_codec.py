"""SunSpec registers: tables against the published offsets, absent values, scales, ranges, few reads, the scan."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from ruamel.yaml import YAML

from vpp_gateway.errors import ConfigError, Implausible, MisuseError, Rejected
from vpp_gateway.southbound.modbus.codec import (
    Block,
    absent,
    decode,
    device_of,
    discharge_of,
    encode,
    import_of,
    plan_reads,
    plausible,
    reader,
    scaler,
)
from vpp_gateway.southbound.modbus.point import Point
from vpp_gateway.southbound.modbus.profile import DeviceProfile
from vpp_gateway.southbound.modbus.scan import Scan
from vpp_gateway.southbound.modbus.shelf import with_generations
from vpp_gateway.southbound.modbus.tables import load_models, tables_of

PROFILES = Path(__file__).parents[2] / "profiles" / "devices"


def profile(name: str, **changes: object) -> DeviceProfile:
    document = YAML(typ="safe").load((PROFILES / f"{name}.yaml").read_text(encoding="utf-8"))
    return with_generations(DeviceProfile.model_validate(document | changes))


def a_point(type: str, size: int) -> Point:
    return Point(model=9, name="X", offset=0, size=size, type=type, scale=None, writable=True)


# Offsets as printed in the SunSpec model reference, counted from the ID register.
@pytest.mark.parametrize(
    ("key", "offset", "size", "writable"),
    [
        ("701.St", 3, 1, False),
        ("701.W", 10, 1, False),
        ("701.Hz", 17, 2, False),
        ("701.ThrotPct", 110, 1, False),
        ("701.W_SF", 116, 1, False),
        ("702.WChaRteMaxRtg", 10, 1, False),
        ("702.CtrlModes", 23, 2, False),
        ("702.WDisChaRteMax", 35, 1, True),
        ("704.WMaxLimPctEna", 14, 1, True),
        ("704.WSetEna", 22, 1, True),
        ("704.WSet", 24, 2, True),
        ("704.WSetRvrt", 26, 2, True),
        ("704.WSetEnaRvrt", 30, 1, True),
        ("704.WSetRvrtTms", 31, 2, True),
        ("704.WSetRvrtRem", 33, 2, False),
        ("704.WSet_SF", 55, 1, False),
        ("713.SoC", 4, 1, False),
        ("715.LocRemCtl", 2, 1, False),
        ("715.ControllerHb", 5, 2, True),
        ("802.SocRsvMax", 9, 1, True),
        ("802.SoCRsvMin", 10, 1, True),
        ("802.CtrlHb", 19, 1, True),
        ("802.W", 47, 1, False),
    ],
)
def test_a_point_lies_where_the_model_reference_says(
    key: str, offset: int, size: int, writable: bool
) -> None:
    model, name = key.split(".")
    point = load_models([int(model)])[int(model)].point(name)
    assert (point.offset, point.size, point.writable) == (offset, size, writable)


@pytest.mark.parametrize(
    ("model", "length"), [(1, 68), (701, 155), (702, 52), (704, 67), (713, 9), (715, 9), (802, 64)]
)
def test_a_model_is_as_long_as_published(model: int, length: int) -> None:
    assert load_models([model])[model].length == length


def test_an_unknown_model_or_point_is_named() -> None:
    with pytest.raises(ConfigError, match="SunSpec model 9999 is unknown"):
        load_models([9999])
    with pytest.raises(ConfigError, match="model 713 has no point 'Soc'"):
        load_models([713])[713].point("Soc")


@pytest.mark.parametrize(
    ("type", "registers"),
    [
        ("int16", [0x8000]),
        ("uint16", [0xFFFF]),
        ("enum16", [0xFFFF]),
        ("acc16", [0]),
        ("sunssf", [0x8000]),
        ("int32", [0x8000, 0]),
        ("uint32", [0xFFFF, 0xFFFF]),
        ("acc32", [0, 0]),
        ("uint64", [0xFFFF] * 4),
        ("acc64", [0] * 4),
        ("float32", [0x7FC0, 0]),
        ("string", [0, 0]),
    ],
)
def test_not_implemented_is_absent_and_never_a_number(type: str, registers: list[int]) -> None:
    point = a_point(type, len(registers))
    assert decode(point, registers) is None
    assert absent(point) == registers
    if type != "string":
        assert reader(point, 0, 3)(registers) is None


def test_words_are_big_endian_and_signed_where_the_type_says() -> None:
    assert decode(a_point("int32", 2), [0xFFFF, 0xFFFE]) == -2
    assert decode(a_point("uint32", 2), [0x0001, 0x0000]) == 65536
    assert decode(a_point("float32", 2), list(struct.unpack(">2H", struct.pack(">f", -1.5)))) == -1.5
    assert reader(a_point("int16", 1), 2, -1)([0, 0, 0xFFF6]) == -1.0


def test_a_negative_scale_divides_so_that_tenths_stay_exact() -> None:
    assert scaler(-1)(3) == 0.3
    assert scaler(2)(25) == 2500.0
    with pytest.raises(Implausible, match=r"scale factor 11 is outside -10\.\.10"):
        scaler(11)


INTEGER = st.sampled_from([("int16", 1), ("uint16", 1), ("int32", 2), ("uint32", 2), ("uint64", 4)])


@given(INTEGER, st.integers(-(2**70), 2**70), st.integers(-3, 3))
def test_what_is_written_reads_back_or_is_refused(kind: tuple[str, int], value: int, exponent: int) -> None:
    point = a_point(*kind)
    try:
        registers = encode(point, value, exponent)
    except MisuseError:
        bits = 16 * point.size
        unscaled = value / 10.0**exponent
        signed = kind[0].startswith("int")
        low, high = (-(2 ** (bits - 1)) + 1, 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 2)
        assert not low + 1 <= unscaled <= high - 1 or bits == 64
        return
    assert all(0 <= register <= 0xFFFF for register in registers)
    read = reader(point, 0, exponent)(registers)
    assert read is not None
    resolution = max(10.0**exponent, abs(value) * 1e-12)
    assert abs(read - value) <= resolution * 1.001
    assert abs(read) <= abs(value) * (1 + 1e-9) + 2e-6 * resolution, "a setpoint is never rounded up"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 40000, -40000, -32768])
def test_a_value_that_does_not_fit_its_register_is_not_sent(value: float) -> None:
    with pytest.raises(MisuseError):
        encode(a_point("int16", 1), value)


@given(st.lists(st.tuples(st.integers(0, 2000), st.sampled_from([1, 2, 4])), min_size=1), st.integers(4, 125))
def test_planned_reads_cover_every_point_within_the_limit(spans: list[tuple[int, int]], most: int) -> None:
    blocks = plan_reads(spans, most)
    assert all(1 <= block.count <= most for block in blocks)
    for address, size in spans:
        assert any(b.address <= address and address + size <= b.address + b.count for b in blocks)


def test_neighbours_are_read_at_once_and_far_ones_apart() -> None:
    assert plan_reads([(40, 2), (0, 1), (100, 1)], 122) == (Block(0, 101),)
    assert plan_reads([(0, 1), (122, 1)], 122) == (Block(0, 1), Block(122, 1))


@pytest.mark.parametrize("value", [None, float("nan"), -0.1, 100.1])
def test_what_cannot_be_true_is_said_and_not_clamped(value: float | None) -> None:
    with pytest.raises(Implausible, match="SoC reads"):
        plausible("SoC", value, 0, 100)


@given(st.floats(-1e7, 1e7))
def test_signs_turn_there_and_back(w: float) -> None:
    assert discharge_of(w, 1) == w
    assert discharge_of(device_of(w, -1), -1) == w
    assert import_of(w, -1) == -w


# --- profiles ------------------------------------------------------------------------------------------------


def test_the_shipped_profiles_speak_of_real_points() -> None:
    paths = sorted(PROFILES.glob("*.yaml"))
    assert len(paths) >= 3
    for path in paths:
        shipped = profile(path.stem)
        assert shipped.name == path.stem
        tables = tables_of(shipped)
        assert all(tables.point(name).key == name for name in shipped.names())


def test_a_wrong_profile_names_the_field_and_what_is_allowed() -> None:
    with pytest.raises(
        ValidationError, match=r"'import' is not a role of a battery; allowed: alarm, charge_max_w"
    ):
        profile("sunspec-700-battery", points={"import": "213.W"})
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        profile("sunspec-meter", timeout_s=3)
    with pytest.raises(ValidationError, match="command: required for a battery"):
        profile("sunspec-700-battery", command=None)
    with pytest.raises(ValidationError, match="a battery must read soc"):
        profile("sunspec-700-battery", slow=[])


# --- the scan ------------------------------------------------------------------------------------------------


def walk(scan: Scan, registers: dict[int, int]) -> list[Block]:
    """Answer a scan from a register map; what it asked."""
    asked = []
    while not scan.done:
        block = scan.next()
        asked.append(block)
        wanted = range(block.address, block.address + block.count)
        if all(address in registers for address in wanted):
            scan.receive([registers[address] for address in wanted])
        else:
            scan.refuse(2)
    return asked


def meter_map(base: int, *, model: int = 213, length: int = 124) -> dict[int, int]:
    words = [0x5375, 0x6E53, 1, 66, *struct.unpack(">16H", b"Acme".ljust(32, b"\0")), *[0] * 50]
    words += [model, length, *[0] * length, 0xFFFF, 0]
    return {base + index: word for index, word in enumerate(words)}


def meter_scan(**changes: object) -> Scan:
    chosen = profile("sunspec-meter", **changes)
    return Scan(chosen, tables_of(chosen), [])


@pytest.mark.parametrize("base", [40000, 0, 50000])
def test_the_chain_is_found_at_any_of_the_three_bases(base: int) -> None:
    scan = meter_scan()
    asked = walk(scan, meter_map(base))
    assert asked[0] == Block(40000, 2)
    assert scan.result is not None
    assert scan.result.addresses == {1: base + 2, 213: base + 70}
    assert scan.result.raw["1.Mn"] == "Acme"


def test_a_device_that_is_not_the_expected_one_is_rejected_in_words() -> None:
    with pytest.raises(Rejected, match="no SunSpec map at any of 40000, 0, 50000"):
        walk(meter_scan(), {})
    with pytest.raises(Rejected, match="no SunSpec map"):
        walk(meter_scan(bases=[0]), dict.fromkeys(range(10), 7))
    with pytest.raises(Rejected, match="lacks SunSpec model 213"):
        walk(meter_scan(points={"import_w": "213.W"}), meter_map(40000, model=203))
    with pytest.raises(Rejected, match=r"1\.Mn is 'Acme', profile sunspec-meter expects '\^Other'"):
        walk(meter_scan(identity={"1.Mn": {"matches": "^Other", "example": "Other"}}), meter_map(40000))


def test_a_chain_without_end_is_broken_off() -> None:
    words = {40000: 0x5375, 40001: 0x6E53} | {
        address: (1 if address % 2 == 0 else 0) for address in range(40002, 41000)
    }
    with pytest.raises(Implausible, match="does not end"):
        walk(meter_scan(), words)
