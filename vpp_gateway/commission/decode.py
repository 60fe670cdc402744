"""What may stand in a few registers: every type in every order of words and bytes, the plausible ones first. Pure.

Vendors' manuals leave the order of words open more often than not. An engineer knows roughly what a register must show
(some 230 V, 50 Hz, 47 % of charge, a few kW); the reading that fits is the order that holds.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from vpp_gateway.southbound.modbus.codec import SIZES, decode
from vpp_gateway.southbound.modbus.point import PLAIN, Point

Order = Literal["big", "little"]
TYPES = ("u16", "s16", "u32", "s32", "float32", "u64", "s64", "float64")
SCALES = (1.0, 0.1, 0.01, 0.001, 10.0, 100.0, 1000.0)
"""Factors that real devices use, usual ones first."""
_ABSENT = {0x8000, 0xFFFF, 0x8000_0000, 0xFFFF_FFFF, 0x7FFF_FFFF, 0x7FFF}


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """One way to read some registers."""

    at: int
    """Index of the first register."""
    type: str
    words: Order
    bytes: Order
    value: float
    """Before scaling."""
    scale: float = 1.0
    """The factor with which it fits what is expected."""
    fits: bool = False
    """It is what is expected; without any expectation, a number of usual size."""


def guesses(registers: Sequence[int], *, expect: float | None = None, within: float = 0.1) -> Iterator[Guess]:
    """All ways to read `registers`, in the order of registers and types.

    Args:
        registers: values 0..65535.
        expect: what should stand there, in its own unit.
        within: share by which it may differ.
    """
    orders: tuple[Order, ...] = ("big", "little")
    for at in range(len(registers)):
        for kind in TYPES:
            size = SIZES[kind]
            if at + size > len(registers):
                continue
            for words in orders if size > 1 else orders[:1]:
                for order in orders:
                    value = _read(registers[at : at + size], kind, words, order)
                    if value is not None:
                        scale, fits = _judged(value, kind, expect, within)
                        yield Guess(
                            at=at, type=kind, words=words, bytes=order, value=value, scale=scale, fits=fits
                        )


def text_of(registers: Sequence[int]) -> str:
    """The registers as text, with a dot for what cannot be printed."""
    packed = struct.pack(f">{len(registers)}H", *registers)
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in packed)


def _read(registers: Sequence[int], kind: str, words: Order, order: Order) -> float | None:
    point = Point(
        model=PLAIN, name="x", offset=0, size=len(registers), type=kind, scale=None, writable=False,
        low_word_first=words == "little", swapped_bytes=order == "little",
    )  # fmt: skip
    value = decode(point, registers)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _judged(value: float, kind: str, expect: float | None, within: float) -> tuple[float, bool]:
    if expect is None:
        return 1.0, _usual(value, kind)
    for scale in SCALES if not kind.startswith("float") else (1.0, 1000.0, 0.001):
        if abs(value * scale - expect) <= within * abs(expect) + 1e-9:
            return scale, True
    return 1.0, False


def _usual(value: float, kind: str) -> bool:
    """A number as devices show them: no 'not implemented', no float of absurd size, no long integer that is a code."""
    if kind.startswith("float"):
        return value == 0 or 1e-3 <= abs(value) <= 1e7
    return value not in _ABSENT and abs(value) < 1e7
