"""SunSpec registers <-> values, pure: point tables, scale factors, absent values, signs, plausibility.

A SunSpec device is a chain of models in 16-bit registers. Each model starts with its number (ID) and length (L);
its points follow at fixed offsets, counted from the ID register:

    base   base+2              +L+2                                   end
    SunS | ID=1 L=66 points... | ID=701 L=153 points... | ... | ID=0xFFFF

A point's number means something only together with its scale factor point (value = raw * 10**SF), and every type
has one bit pattern that says "not implemented". Such a pattern decodes to None, never to a number. Signs are
turned into the words of the field here and nowhere else: `discharge_w` > 0 leaves the battery, `import_w` > 0 is
taken from the grid.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from vpp_gateway.errors import ConfigError, Implausible, MisuseError

READ_MAX = 125
"""Most registers of one FC3/FC4 request (Modbus application protocol v1.1b3 6.3)."""
WRITE_MAX = 123
"""Most registers of one FC16 request (6.12)."""
SUNS = (0x5375, 0x6E53)
END_MODEL = 0xFFFF

Sign = Literal[1, -1]
Raw = int | float | str | None
Reader = Callable[[Sequence[int]], float | None]


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a SunSpec type lies in registers."""

    size: int
    signed: bool
    absent: int


_INTEGERS: Mapping[str, _Kind] = {
    "int16": _Kind(1, True, 0x8000),
    "uint16": _Kind(1, False, 0xFFFF),
    "count": _Kind(1, False, 0xFFFF),
    "enum16": _Kind(1, False, 0xFFFF),
    "bitfield16": _Kind(1, False, 0xFFFF),
    "acc16": _Kind(1, False, 0),
    "sunssf": _Kind(1, True, 0x8000),
    "pad": _Kind(1, False, 0x8000),
    "int32": _Kind(2, True, 0x8000_0000),
    "uint32": _Kind(2, False, 0xFFFF_FFFF),
    "enum32": _Kind(2, False, 0xFFFF_FFFF),
    "bitfield32": _Kind(2, False, 0xFFFF_FFFF),
    "acc32": _Kind(2, False, 0),
    "int64": _Kind(4, True, 0x8000_0000_0000_0000),
    "uint64": _Kind(4, False, 0xFFFF_FFFF_FFFF_FFFF),
    "bitfield64": _Kind(4, False, 0xFFFF_FFFF_FFFF_FFFF),
    "acc64": _Kind(4, False, 0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point of a model."""

    model: int
    name: str
    offset: int
    """Registers from the model's ID register."""
    size: int
    """Registers."""
    type: str
    """SunSpec type name, for instance `int16`."""
    scale: str | int | None
    """Name of the scale factor point, a fixed power of ten, or None."""
    writable: bool

    @property
    def key(self) -> str:
        """`<model>.<point>`, the way profiles name it."""
        return f"{self.model}.{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Point table of one SunSpec model, without repeating groups."""

    id: int
    length: int
    """Registers with the two header registers."""
    points: Mapping[str, Point]

    def point(self, name: str) -> Point:
        """The point called `name`. Raises ConfigError that lists nothing but the near truth: there is none."""
        try:
            return self.points[name]
        except KeyError:
            raise ConfigError(f"SunSpec model {self.id} has no point {name!r}") from None


def model_table(text: str) -> Model:
    """Build the table of one model from its published JSON.

    Fixed groups are laid out in place with names like `PFWInj.PF`; repeating groups (their count is only known
    at run time) are left out.
    """
    document = json.loads(text)
    points: dict[str, Point] = {}
    offset = _lay_out(int(document["id"]), document["group"], "", 0, points)
    return Model(id=int(document["id"]), length=offset, points=points)


def _lay_out(
    model: int, group: Mapping[str, object], prefix: str, offset: int, into: dict[str, Point]
) -> int:
    points = group.get("points", [])
    assert isinstance(points, list)
    for entry in points:
        name = prefix + str(entry["name"])
        scale = entry.get("sf")
        into[name] = Point(
            model=model,
            name=name,
            offset=offset,
            size=int(entry["size"]),
            type=str(entry["type"]),
            scale=scale if isinstance(scale, int) or scale is None else str(scale),
            writable=entry.get("access") == "RW",
        )
        offset += int(entry["size"])
    groups = group.get("groups", [])
    assert isinstance(groups, list)
    for inner in groups:
        if inner.get("count", 1) == 1:
            offset = _lay_out(model, inner, f"{prefix}{inner['name']}.", offset, into)
    return offset


# --- registers to values -------------------------------------------------------------------------------------


def decode(point: Point, registers: Sequence[int], index: int = 0) -> Raw:
    """The unscaled value of `point` at `registers[index:]`; None when the device does not implement it."""
    if point.type == "string":
        packed = struct.pack(f">{point.size}H", *registers[index : index + point.size])
        return packed.split(b"\0", 1)[0].decode("utf-8", "replace").strip() or None
    if point.type in ("float32", "float64"):
        form = ">f" if point.type == "float32" else ">d"
        value = struct.unpack(form, struct.pack(f">{point.size}H", *registers[index : index + point.size]))[0]
        return None if math.isnan(value) else float(value)
    kind = _kind(point)
    raw = 0
    for register in registers[index : index + kind.size]:
        raw = raw << 16 | register
    if raw == kind.absent:
        return None
    return raw - (1 << 16 * kind.size) if kind.signed and raw >> (16 * kind.size - 1) else raw


def _kind(point: Point) -> _Kind:
    try:
        return _INTEGERS[point.type]
    except KeyError:
        raise ConfigError(
            f"SunSpec point {point.key} has type {point.type}, which is not read or written here"
        ) from None


def reader(point: Point, index: int, exponent: int = 0) -> Reader:
    """A fast reader of one numeric point at a fixed place of a reply, scaled by 10**exponent."""
    times = scaler(exponent)
    kind = _INTEGERS.get(point.type)
    if kind is not None and kind.size == 1:
        absent, wrap = kind.absent, 0x10000 if kind.signed else 0

        def read_one(registers: Sequence[int]) -> float | None:
            raw = registers[index]
            if raw == absent:
                return None
            return times(raw - wrap if wrap and raw & 0x8000 else raw)

        return read_one

    def read_many(registers: Sequence[int]) -> float | None:
        raw = decode(point, registers, index)
        return times(raw) if isinstance(raw, int | float) else None

    return read_many


def scaler(exponent: int) -> Callable[[float], float]:
    """Multiplication by 10**exponent; divides for negative exponents, so that 0.1 steps stay exact."""
    if not -10 <= exponent <= 10:
        raise Implausible(f"scale factor {exponent} is outside -10..10")
    if exponent == 0:
        return float
    factor = float(10 ** abs(exponent))
    return (lambda value: value * factor) if exponent > 0 else (lambda value: value / factor)


# --- values to registers -------------------------------------------------------------------------------------


def encode(point: Point, value: float, exponent: int = 0) -> list[int]:
    """Registers that carry `value` (before scaling by 10**exponent), cut towards zero to the point's resolution.

    Raises:
        MisuseError: the value is not a number, or does not fit the point, or would read as "not implemented".
    """
    if not math.isfinite(value):
        raise MisuseError(f"{point.key}: {value!r} cannot be written")
    unscaled = value / 10**exponent if exponent >= 0 else value * 10**-exponent
    if point.type == "float32":
        return list(struct.unpack(">2H", struct.pack(">f", unscaled)))
    kind = _kind(point)
    raw = math.trunc(unscaled + math.copysign(1e-6, unscaled))
    bits = 16 * kind.size
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if kind.signed else (0, (1 << bits) - 1)
    pattern = raw & (1 << bits) - 1
    if not low <= raw <= high or (pattern == kind.absent and not point.type.startswith("acc")):
        raise MisuseError(f"{point.key}: {value!r} does not fit {point.type} with scale factor {exponent}")
    return _words(pattern, kind.size)


def absent(point: Point) -> list[int]:
    """The registers that say "not implemented" for `point`."""
    if point.type == "string":
        return [0] * point.size
    if point.type == "float32":
        return [0x7FC0, 0]
    return _words(_kind(point).absent, point.size)


def _words(pattern: int, size: int) -> list[int]:
    return [pattern >> 16 * (size - 1 - i) & 0xFFFF for i in range(size)]


def encode_text(point: Point, text: str) -> list[int]:
    """Registers of a string point, zero padded. Raises MisuseError when it is too long."""
    packed = text.encode()
    if len(packed) > 2 * point.size:
        raise MisuseError(f"{point.key}: {text!r} is longer than {2 * point.size} bytes")
    return list(struct.unpack(f">{point.size}H", packed.ljust(2 * point.size, b"\0")))


# --- few reads -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Block:
    """One read: `count` registers from `address`."""

    address: int
    count: int


def plan_reads(spans: Iterable[tuple[int, int]], most: int) -> tuple[Block, ...]:
    """The fewest reads of at most `most` registers that cover all (address, size) spans.

    Gaps inside a block are read along and ignored: inside a SunSpec chain every register exists, and one longer
    read is cheaper for both sides than two short ones.
    """
    blocks: list[Block] = []
    for address, size in sorted(spans):
        if size > most:
            raise ConfigError(f"a point of {size} registers does not fit a read of {most}")
        last = blocks[-1] if blocks else None
        if last is not None and address + size - last.address <= most:
            blocks[-1] = Block(last.address, max(last.count, address + size - last.address))
        else:
            blocks.append(Block(address, size))
    return tuple(blocks)


# --- signs and plausibility ----------------------------------------------------------------------------------


def discharge_of(device_w: float, sign: Sign) -> float:
    """discharge_w of a device value; SunSpec 701.W is positive for generation, so `sign` is 1 there."""
    return device_w if sign == 1 else 0.0 - device_w


def device_of(discharge_w: float, sign: Sign) -> float:
    """Device value of a discharge_w setpoint."""
    return discharge_w if sign == 1 else 0.0 - discharge_w


def import_of(meter_w: float, sign: Sign) -> float:
    """import_w of a meter value; `sign` is 1 when the meter counts consumption positive."""
    return meter_w if sign == 1 else 0.0 - meter_w


def plausible(what: str, value: float | None, low: float, high: float) -> float:
    """`value` when it lies in [low, high].

    Raises:
        Implausible: it is absent, not a number or outside; nothing is ever clamped in silence.
    """
    if value is None:
        raise Implausible(f"{what} reads 'not implemented', expected {low:g}..{high:g}")
    if not low <= value <= high:  # also catches NaN
        raise Implausible(f"{what} reads {value:g}, expected {low:g}..{high:g}")
    return value


# --- exceptions ----------------------------------------------------------------------------------------------


EXCEPTIONS = {
    1: "illegal function",
    2: "illegal address",
    3: "illegal value",
    4: "device failure",
    5: "acknowledged, still working",
    6: "busy",
    7: "negative acknowledge",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway: no response",
}
"""Exception codes of the Modbus application protocol v1.1b3, section 7."""


def exception_words(code: int) -> str:
    """An exception code for people."""
    return f"exception {code} ({EXCEPTIONS.get(code, 'unknown')})"
