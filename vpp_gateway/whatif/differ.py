"""Where two decisions differ: the first field, with its path and both values; a plan is too long to be read whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

SHORT = 240
"""So much of a decision or of a value is shown."""

_ABSENT = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Differs:
    """One field of a decision that is not the same."""

    kind: str
    """Of the decision."""
    path: str
    """Where the field stands in it: `problem.stores.1.energy_wh`."""
    was: str
    """Its value in the run, as JSON; empty: there is no such field."""
    now: str
    """Its value in the replay, likewise."""


def is_decision(line: str) -> bool:
    """Whether a line of decisions is whole."""
    return _read(line) is not None


def first_field(was: str, now: str) -> Differs | None:
    """The first field that differs between two decisions of one kind, each a line as `keep.spell` writes it.

    Returns:
        None: they are not of one kind, or one of them cannot be read.
    """
    before, after = _read(was), _read(now)
    if before is None or after is None or before["kind"] != after["kind"]:
        return None
    for path, one, other in _fields("", before, after):
        return Differs(kind=str(before["kind"]), path=path, was=_shown(one), now=_shown(other))
    return None


def _read(line: str) -> dict[str, object] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "kind" in found else None


def _fields(path: str, was: object, now: object) -> Iterator[tuple[str, object, object]]:
    """Every innermost place at which two values differ, in the order of the file."""
    if isinstance(was, dict) and isinstance(now, dict):
        for name in sorted({*was, *now}):
            yield from _fields(_below(path, name), was.get(name, _ABSENT), now.get(name, _ABSENT))
    elif isinstance(was, list) and isinstance(now, list):
        for n in range(max(len(was), len(now))):
            one, other = (rows[n] if n < len(rows) else _ABSENT for rows in (was, now))
            yield from _fields(_below(path, str(n)), one, other)
    elif was != now:
        yield path, was, now


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(value: object) -> str:
    return "" if value is _ABSENT else json.dumps(value, ensure_ascii=False)[:SHORT]
