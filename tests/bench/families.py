"""Which rows there are, and where each is measured. A family is imported only when one of its rows is wanted.

A family's module has `rows(wanted)`: it measures and yields at least the wanted rows. One run often gives several.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import import_module
from typing import cast

from tests.bench.report import Row

Measure = Callable[[frozenset[str]], Iterable[Row]]


@dataclass(frozen=True, slots=True)
class Family:
    """Rows that one module measures."""

    module: str
    """Below `tests.bench`."""
    names: tuple[str, ...]

    def measure(self, wanted: frozenset[str]) -> Iterator[Row]:
        """The wanted rows, as they are measured."""
        rows = cast(Measure, import_module(f"tests.bench.{self.module}").rows)
        return (row for row in rows(wanted) if row.name in wanted)


def _dispatch(batteries: int) -> Family:
    names = ("dispatch", "dispatch_arming", "dispatch_readback")
    return Family("dispatch", tuple(f"{name}_{batteries}" for name in names))


FAMILIES = (
    Family("start", ("start_help", "start_status")),
    Family(
        "allocate",
        ("allocate_closed_form_6", "allocate_closed_form_100", "allocate_closed_form_1000"),
    ),
    Family("horizon", ("horizon", "horizon_peer", "horizon_lag")),
    Family("simulate_link", ("simulate_link",)),
    Family("replay", ("replay_day", "replay_day_decode")),
    Family("simulate_house", ("simulate_modbus", "simulate_repeat")),
    Family("openadr2_sign", ("openadr2_sign_p256", "openadr2_sign_rsa2048")),
    Family(
        "openadr2_parse",
        (
            "openadr2_parse_1",
            "openadr2_parse_100",
            "openadr2_parse_1000",
            "openadr2_parse_intervals_1000",
            "openadr2_parse_lag",
        ),
    ),
    Family("openadr2_poll", ("openadr2_poll_cpu", "openadr2_poll_signal", "openadr2_push_signal")),
    _dispatch(6),
    _dispatch(100),
    _dispatch(300),
)
NAMES = tuple(name for family in FAMILIES for name in family.names)


class UnknownRow(ValueError):
    """A name on the command line that fits no row."""


def select(patterns: Sequence[str]) -> frozenset[str]:
    """Names of rows that fit any pattern: a name, a beginning of names, or a glob; all when there is no pattern.

    A pattern that is a name means that row alone, also where other names begin with it.

    Raises:
        UnknownRow: a pattern fits nothing; the text lists what there is.
    """
    if not patterns:
        return frozenset(NAMES)
    chosen: set[str] = set()
    for pattern in patterns:
        fitting = [name for name in NAMES if name == pattern] or [
            name for name in NAMES if name.startswith(pattern) or fnmatchcase(name, pattern)
        ]
        if not fitting:
            raise UnknownRow(f"no row {pattern!r}; there are: {', '.join(NAMES)}")
        chosen.update(fitting)
    return frozenset(chosen)
