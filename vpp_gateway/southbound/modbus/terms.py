"""What is put into a register, in words, and back: a setpoint as a device wants it said.

    discharge_w  --put-->  number in the register's unit  --scale, type-->  registers
    discharge_w  <--told--  numbers that the registers hold

`told` is the inverse: what a device that holds these numbers was told to do. It says what is left of a setpoint after it
was cut to the resolution of the registers, and a simulated device understands its orders by it. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Word = Literal["w", "-w", "discharge_w", "charge_w", "magnitude_w", "timer_s", "nothing"]
Part = Literal["w", "-w", "discharge_w", "charge_w", "magnitude_w"]
Rating = Literal["discharge_max_w", "charge_max_w", "side", "largest"]
_PARTS: Mapping[object, Part] = {
    "w": "w",
    "-w": "-w",
    "discharge_w": "discharge_w",
    "charge_w": "charge_w",
    "magnitude_w": "magnitude_w",
}


class Percent(BaseModel):
    """A part of the setpoint as a share of a rating, %."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    percent: Part
    """The part."""
    of: Rating = "side"
    """`side`: the rating of the direction in which the setpoint goes; `largest`: the larger of the two."""


class ByDirection(BaseModel):
    """A code that says the direction."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    discharge: int
    charge: int
    idle: int
    """At a setpoint of 0 W."""


Term = Annotated[
    Word | Percent | ByDirection | Annotated[float, Field(allow_inf_nan=False)], Field(union_mode="smart")
]
"""What to put: a word, a share, a code by direction, or a number in the unit of the point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratings:
    """Of the device itself, W: what its percentages are shares of."""

    discharge_max_w: float
    charge_max_w: float

    def of(self, rating: Rating, w: float) -> float:
        """The rating that counts at a setpoint of `w` (positive discharges)."""
        match rating:
            case "discharge_max_w":
                return self.discharge_max_w
            case "charge_max_w":
                return self.charge_max_w
            case "largest":
                return max(self.discharge_max_w, self.charge_max_w)
            case "side":
                return self.charge_max_w if w < 0 else self.discharge_max_w


def part_of(part: Part, w: float) -> float:
    """A part of the setpoint, W."""
    match part:
        case "w":
            return w
        case "-w":
            return 0.0 - w
        case "discharge_w":
            return max(0.0, w)
        case "charge_w":
            return max(0.0, 0.0 - w)
        case "magnitude_w":
            return abs(w)


def put(term: Term, w: float, ratings: Ratings, timer_s: float) -> float | None:
    """The number for a register; None = nothing.

    Args:
        term: What the profile says.
        w: Setpoint in the device's sign, W.
        ratings: Of the device.
        timer_s: After how long it falls back.
    """
    if isinstance(term, Percent):
        rating_w = ratings.of(term.of, w)
        return 100.0 * part_of(term.percent, w) / rating_w if rating_w > 0 else 0.0
    if isinstance(term, ByDirection):
        return float(term.idle if w == 0 else term.discharge if w > 0 else term.charge)
    if isinstance(term, float | int):
        return float(term)
    if term == "timer_s":
        return float(round(timer_s))
    return None if term == "nothing" else part_of(term, w)


def told(held: Mapping[str, float | None], script: Mapping[str, Term], ratings: Ratings) -> float | None:
    """The setpoint that these numbers say, in the device's sign, W; None when they say none.

    Args:
        held: Number in the unit of the point, by point; None = no value.
        script: What is put where.
        ratings: Of the device.
    """
    parts: dict[Part, float] = {}
    towards: float | None = None
    for point, term in script.items():
        value = held.get(point)
        if value is None or not math.isfinite(value):
            continue
        if isinstance(term, ByDirection):
            towards = {term.discharge: 1.0, term.charge: -1.0}.get(int(value), 0.0)
        elif isinstance(term, Percent):
            parts[term.percent] = value / 100.0 * ratings.of(term.of, _sign(term.percent) * value)
        elif (part := _PARTS.get(term)) is not None:
            parts[part] = value
    if "w" in parts:
        return parts["w"]
    if "-w" in parts:
        return 0.0 - parts["-w"]
    if "discharge_w" in parts or "charge_w" in parts:
        if towards is not None:
            return parts.get("discharge_w", 0.0) * max(0.0, towards) - parts.get("charge_w", 0.0) * max(
                0.0, -towards
            )
        return parts.get("discharge_w", 0.0) - parts.get("charge_w", 0.0)
    if "magnitude_w" in parts and towards is not None:
        return parts["magnitude_w"] * towards
    return None


def says_setpoint(script: Mapping[str, Term]) -> bool:
    """Whether these lines say a setpoint at all: its sign and its size."""
    terms = list(script.values())
    parts = {
        term.percent if isinstance(term, Percent) else term
        for term in terms
        if not isinstance(term, ByDirection)
    }
    by_direction = any(isinstance(term, ByDirection) for term in terms)
    return (
        bool({"w", "-w"} & parts)
        or {"discharge_w", "charge_w"} <= parts
        or (by_direction and "magnitude_w" in parts)
    )


def _sign(part: Part) -> float:
    return -1.0 if part in ("-w", "charge_w") else 1.0
