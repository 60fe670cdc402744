"""A measured value that lies in more than one register, as a code, or in one of several places. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

_STEP = r"[A-Za-z][A-Za-z0-9_]*(\[[1-9][0-9]{0,2}\])?"
PointName = Annotated[str, StringConstraints(pattern=rf"^([0-9]{{1,5}}\.)?{_STEP}(\.{_STEP})*$")]
"""`<model>.<point>` of a SunSpec device, for instance `701.W`, in a group that repeats `<model>.<group>[n].<point>`, for
instance `160.module[1].DCW`; or the name of a point that the profile lists."""
Values = Mapping[str, float | None]


class Measure(BaseModel):
    """One of: a sum, a product, a magnitude with its direction, a state, or one of several of these."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    plus: tuple[PointName, ...] = ()
    """Sum of these."""
    minus: tuple[PointName, ...] = ()
    """Less these."""
    silence_is_zero: bool = False
    """A part of the sum without a value counts as 0: an input that is off says nothing."""
    product: tuple[PointName, ...] = ()
    """These multiplied, for instance voltage and current."""
    magnitude: PointName | None = None
    """A size whose sign is told by `by`."""
    by: PointName | None = None
    positive: frozenset[int] = frozenset()
    """Codes of `by` with which the size counts positive."""
    negative: frozenset[int] = frozenset()
    state: PointName | None = None
    """A state: 1 when it is as wanted, else 0."""
    is_in: frozenset[int] = frozenset()
    """Wanted values of `state`."""
    not_in: frozenset[int] = frozenset()
    """Values of `state` that are not wanted; all others are."""
    bits: int = 0
    """All of these bits of `state` must be set."""
    no_bits: int = 0
    """None of these bits of `state` may be set."""
    first_of: tuple[PointName | Measure, ...] = ()
    """The first of these that the device has, and says a value of when it is met; chosen once."""

    @model_validator(mode="after")
    def _one_kind(self) -> Measure:
        kinds = [
            bool(self.plus or self.minus),
            bool(self.product),
            self.magnitude is not None,
            self.state is not None,
            bool(self.first_of),
        ]
        if sum(kinds) != 1:
            raise ValueError("exactly one of plus/minus, product, magnitude, state, first_of is allowed")
        if self.silence_is_zero and not (self.plus or self.minus):
            raise ValueError("silence_is_zero: only of a sum")
        if (self.magnitude is None) != (self.by is None):
            raise ValueError("magnitude and by belong together")
        if self.by is not None and (
            (not self.positive and not self.negative) or self.positive & self.negative
        ):
            raise ValueError("positive and negative: at least one code, and none in both")
        if self.state is not None and not (self.is_in or self.not_in or self.bits or self.no_bits):
            raise ValueError("state: one of is_in, not_in, bits, no_bits is needed")
        return self

    @property
    def points(self) -> tuple[str, ...]:
        """All that it is made of."""
        single = (self.magnitude, self.by, self.state)
        several = (point for one in self.first_of for point in points_of(one))
        return (
            *self.plus,
            *self.minus,
            *self.product,
            *(name for name in single if name is not None),
            *several,
        )

    def value(self, values: Values) -> float | None:
        """The value; None when a part of it is missing."""
        if self.first_of:
            chosen = (values.get(one) if isinstance(one, str) else one.value(values) for one in self.first_of)
            return next((value for value in chosen if value is not None), None)
        silent = 0.0 if self.silence_is_zero else None
        found = {name: silent if (value := values.get(name)) is None else value for name in self.points}
        known = {name: value for name, value in found.items() if value is not None}
        if len(known) != len(found):
            return None
        if self.state is not None:
            return 1.0 if self._as_wanted(int(known[self.state])) else 0.0
        if self.product:
            return reduce(lambda so_far, name: so_far * known[name], self.product, 1.0)
        if self.magnitude is not None and self.by is not None:
            code = int(known[self.by])
            return known[self.magnitude] * ((code in self.positive) - (code in self.negative))
        return sum(known[name] for name in self.plus) - sum(known[name] for name in self.minus)

    def _as_wanted(self, code: int) -> bool:
        return (
            (not self.is_in or code in self.is_in)
            and code not in self.not_in
            and code & self.bits == self.bits
            and not code & self.no_bits
        )


Role = PointName | Measure
"""Where a value comes from: one point, or several."""


def points_of(role: Role) -> tuple[str, ...]:
    """All points that a role is made of."""
    return role.points if isinstance(role, Measure) else (role,)


def derive(roles: Mapping[str, Role]) -> Callable[[dict[str, float | None]], None] | None:
    """Fills in all roles that are not a point themselves, as far as their points were read; None when there is none."""
    made = [(name, role) for name, role in roles.items() if isinstance(role, Measure)]
    if not made:
        return None

    def fill(values: dict[str, float | None]) -> None:
        for name, measure in made:
            if all(point in values for point in measure.points):  # others are read in another cycle
                values[name] = measure.value(values)

    return fill
