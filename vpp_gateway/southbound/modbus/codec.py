"""Registers <-> values, pure: types, scales, absent values, signs, plausibility, and few reads.

Every SunSpec type has one bit pattern that says "not implemented"; a plain register has those that its profile names.
Such a pattern decodes to None, never to a number. Signs are turned into the words of the field here and nowhere else:
`discharge_w` > 0 leaves the battery, `import_w` > 0 is taken from the grid.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from vpp_gateway.errors import ConfigError, Implausible, MisuseError
from vpp_gateway.southbound.modbus.point import ONE, Point, Scale, Table

READ_MAX = 125
"""Most registers of one FC3/FC4 request (Modbus application protocol v1.1b3 6.3)."""
WRITE_MAX = 123
"""Most registers of one FC16 request (6.12)."""

Sign = Literal[1, -1]
Raw = int | float | str | None
Reader = Callable[[Sequence[int]], float | None]


@dataclass(frozen=True, slots=True)
class _Kind:
    """How an integer type lies in registers."""

    size: int
    signed: bool
    absent: int | None


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
    "s16": _Kind(1, True, None),
    "u16": _Kind(1, False, None),
    "s32": _Kind(2, True, None),
    "u32": _Kind(2, False, None),
    "s64": _Kind(4, True, None),
    "u64": _Kind(4, False, None),
}
_FLOATS: Mapping[str, str] = {"float32": ">f", "float64": ">d"}
SIZES: Mapping[str, int] = {name: kind.size for name, kind in _INTEGERS.items()} | {
    "float32": 2,
    "float64": 4,
}
"""Registers of every type but text."""


# --- registers to values -------------------------------------------------------------------------------------


def decode(point: Point, registers: Sequence[int], index: int = 0) -> Raw:
    """The unscaled value of `point` at `registers[index:]`; None when the device has no value there."""
    words = _as_read(point, registers[index : index + point.size])
    if point.type == "string":
        packed = struct.pack(f">{point.size}H", *words)
        return packed.split(b"\0", 1)[0].decode("utf-8", "replace").strip() or None
    if (form := _FLOATS.get(point.type)) is not None:
        value = struct.unpack(form, struct.pack(f">{point.size}H", *words))[0]
        return None if math.isnan(value) or _pattern(words) in point.unknown else float(value)
    kind, raw = _kind(point), _pattern(words)
    if raw == kind.absent or raw in point.unknown:
        return None
    return raw - (1 << 16 * kind.size) if kind.signed and raw >> (16 * kind.size - 1) else raw


def _as_read(point: Point, words: Sequence[int]) -> Sequence[int]:
    """The words, most significant first, as the type has them; the same change leads back."""
    if point.swapped_bytes:
        words = [word >> 8 | word << 8 & 0xFF00 for word in words]
    return words[::-1] if point.low_word_first else words


def _pattern(words: Sequence[int]) -> int:
    raw = 0
    for word in words:
        raw = raw << 16 | word
    return raw


def _kind(point: Point) -> _Kind:
    try:
        return _INTEGERS[point.type]
    except KeyError:
        raise ConfigError(
            f"point {point.key} has type {point.type}, which is not read or written here"
        ) from None


def reader(point: Point, index: int, scale: Scale = ONE) -> Reader:
    """A fast reader of one numeric point at a fixed place of a reply, scaled."""
    times = _scaled(point, scale)
    kind = _INTEGERS.get(point.type)
    if kind is not None and kind.size == 1 and not point.swapped_bytes:
        wrap = 0x10000 if kind.signed else 0
        missing = frozenset(point.unknown if kind.absent is None else (kind.absent, *point.unknown))

        def read_one(registers: Sequence[int]) -> float | None:
            raw = registers[index]
            if raw in missing:
                return None
            return times(raw - wrap if wrap and raw & 0x8000 else raw)

        return read_one

    def read_many(registers: Sequence[int]) -> float | None:
        raw = decode(point, registers, index)
        return times(raw) if isinstance(raw, int | float) else None

    return read_many


def scaled_reader(point: Point, index: int, scale_index: int) -> Reader:
    """A reader of one numeric point with the scale factor that stands in the same reply.

    Args:
        index: of the point in the reply.
        scale_index: of its scale factor; one that cannot be makes the value none.
    """

    def read(registers: Sequence[int]) -> float | None:
        raw, exponent = decode(point, registers, index), registers[scale_index]
        exponent -= 0x10000 if exponent & 0x8000 else 0
        if not isinstance(raw, int | float) or not -10 <= exponent <= 10:
            return None
        return scaler(exponent)(raw)

    return read


def _scaled(point: Point, scale: Scale) -> Callable[[float], float]:
    times, bias = scaler(scale), point.bias
    return (lambda raw: times(raw) + bias) if bias else times


def scaler(scale: Scale) -> Callable[[float], float]:
    """Multiplication by a scale; divides for 10**-n and 1/n, so that 0.1 steps stay exact."""
    above, below = _ratio(scale)
    if below == 1.0:
        return float if above == 1.0 else lambda value: value * above
    return (lambda value: value / below) if above == 1.0 else (lambda value: value * above / below)


def _ratio(scale: Scale) -> tuple[float, float]:
    """Numerator and denominator. Raises Implausible when the scale cannot be one."""
    if isinstance(scale, Fraction):
        if scale <= 0:
            raise Implausible(f"scale {scale} is not positive")
        return float(scale.numerator), float(scale.denominator)
    if not -10 <= scale <= 10:
        raise Implausible(f"scale factor {scale} is outside -10..10")
    return (float(10**scale), 1.0) if scale >= 0 else (1.0, float(10**-scale))


# --- values to registers -------------------------------------------------------------------------------------


def encode(point: Point, value: float, scale: Scale = ONE) -> list[int]:
    """Registers that carry `value`, cut towards zero to the point's resolution.

    Raises:
        MisuseError: the value is not a number, or does not fit the point, or would read as "no value".
    """
    if not math.isfinite(value):
        raise MisuseError(f"{point.key}: {value!r} cannot be written")
    above, below = _ratio(scale)
    unbiased = value - point.bias
    unscaled = unbiased / above if below == 1.0 else unbiased * below / above
    if (form := _FLOATS.get(point.type)) is not None:
        words = list(struct.unpack(f">{point.size}H", struct.pack(form, unscaled)))
        return list(_as_read(point, words))
    kind = _kind(point)
    raw = math.trunc(unscaled + math.copysign(1e-6, unscaled))
    bits = 16 * kind.size
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if kind.signed else (0, (1 << bits) - 1)
    pattern = raw & (1 << bits) - 1
    reserved = pattern in point.unknown or (pattern == kind.absent and not point.type.startswith("acc"))
    if not low <= raw <= high or reserved:
        raise MisuseError(f"{point.key}: {value!r} does not fit {point.type} with scale {_words_of(scale)}")
    return list(_as_read(point, _words(pattern, kind.size)))


def _words_of(scale: Scale) -> str:
    return f"{float(scale):g}" if isinstance(scale, Fraction) else f"10^{scale}"


def absent(point: Point) -> list[int]:
    """The registers that say "no value" for `point`. Raises MisuseError when it has no such pattern."""
    if point.type == "string":
        return [0] * point.size
    if point.type in _FLOATS:
        return list(_as_read(point, [0x7FC0 if point.type == "float32" else 0x7FF8, *[0] * (point.size - 1)]))
    kind = _kind(point)
    pattern = next(iter(point.unknown), None) if kind.absent is None else kind.absent
    if pattern is None:
        raise MisuseError(f"{point.key}: nothing is known that would say 'no value'")
    return list(_as_read(point, _words(pattern, kind.size)))


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
    table: Table = "holding"


def plan_reads(
    spans: Iterable[tuple[int, int]], most: int, *, gap: int = READ_MAX, table: Table = "holding"
) -> tuple[Block, ...]:
    """The fewest reads of at most `most` registers that cover all (address, size) spans of one table.

    Gaps of up to `gap` registers are read along and ignored: inside a SunSpec chain every register exists, and one longer
    read is cheaper for both sides than two short ones. Other devices refuse a read that touches a register they lack.
    """
    blocks: list[Block] = []
    for address, size in sorted(spans):
        if size > most:
            raise ConfigError(f"a point of {size} registers does not fit a read of {most}")
        last = blocks[-1] if blocks else None
        near = last is not None and address <= last.address + last.count + gap
        if last is not None and near and address + size - last.address <= most:
            blocks[-1] = Block(last.address, max(last.count, address + size - last.address), table)
        else:
            blocks.append(Block(address, size, table))
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
