"""Where one value lies in a device, and how. Pure.

A SunSpec point is known by its model and its offset in it; the address comes from a scan. A plain point lies at a wire
address (counted from 0, as on the wire, never as in a manual that counts from 1 or from 40001).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Table = Literal["holding", "input"]
"""Which registers: holding (FC3, written by FC6 or FC16) or input (FC4, read only)."""
Scale = int | Fraction
"""An exponent of ten (int, as SunSpec has it) or a factor: value = raw * 10**exponent, or raw * factor."""
ONE = 0
"""The scale that changes nothing."""
PLAIN = 0
"""Model number of a point that belongs to no SunSpec model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point of a device."""

    model: int
    """SunSpec model, or PLAIN."""
    name: str
    offset: int
    """Registers from the model's ID register; of a plain point its wire address."""
    size: int
    """Registers."""
    type: str
    """SunSpec type name, for instance `int16`; a plain point's integers are `s16`, `u16`, `s32` and so on."""
    scale: str | Scale | None
    """Name of the scale factor point, a fixed scale, or None."""
    writable: bool
    table: Table = "holding"
    low_word_first: bool = False
    """The least significant register comes first."""
    swapped_bytes: bool = False
    """The low byte of each register comes first on the wire."""
    bias: float = 0.0
    """Added after scaling: value = raw * scale + bias."""
    unknown: tuple[int, ...] = ()
    """Raw patterns (unsigned) that mean "no value", besides those of the type."""
    nth: int = 0
    """In a group that repeats: which of them, counted from 1; 0 outside."""
    counted_by: str | None = None
    """Point of the model that says how often the group repeats; None = the length of the model does."""
    scale_at: int | None = None
    """Where the scale factor is read along with every value, in registers from the model's ID register."""

    @property
    def key(self) -> str:
        """`<model>.<point>`, or the bare name of a plain point: the way profiles name it."""
        return self.name if self.model == PLAIN else f"{self.model}.{self.name}"
