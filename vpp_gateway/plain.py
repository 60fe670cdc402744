"""A look at plain values (of YAML or JSON) that may be wrong anywhere, without a model and without surprises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

Loc = tuple[str | int, ...]
"""Path to a value: keys and list indices, as pydantic writes it."""


@dataclass(frozen=True, slots=True)
class View:
    """One value and the path to it. What is absent or of another kind is empty, never an error."""

    value: object
    loc: Loc = ()

    def __getitem__(self, key: str) -> View:
        inner = self.value.get(key) if isinstance(self.value, Mapping) else None
        return View(inner, (*self.loc, key))

    def each(self) -> Iterator[View]:
        """The items of a list."""
        if isinstance(self.value, Sequence) and not isinstance(self.value, str):
            for index, item in enumerate(self.value):
                yield View(item, (*self.loc, index))

    def items(self) -> Iterator[tuple[str, View]]:
        """The entries of a mapping."""
        if isinstance(self.value, Mapping):
            for key, item in self.value.items():
                yield str(key), View(item, (*self.loc, str(key)))

    @property
    def text(self) -> str | None:
        """The value if it is text."""
        return self.value if isinstance(self.value, str) else None

    @property
    def number(self) -> float | None:
        """The value if it is a number."""
        if isinstance(self.value, int | float) and not isinstance(self.value, bool):
            return float(self.value)
        return None

    @property
    def true(self) -> bool:
        """Whether it is exactly true."""
        return self.value is True
