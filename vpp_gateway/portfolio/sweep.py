"""The index of the timeline: a line that sweeps over the edges of all phases and knows which are in force under it.

    edges      |<      |<   >|       |<        >|  >|      sorted; `<` a phase begins, `>` it ends
    sweep                          ^
    in force   sorted by urgency: two of them

Admitting a phase is two insertions into the sorted edges (and one into a sweep that stands inside it); going to the next
edge is one insertion or removal. Who rules what is read from the top of the list, and the reading stops when every
place that anybody claims is taken: the thousands below it have lost everything, and nobody looks at them.

A place is a grid connection, or one device beside it.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

from vpp_gateway.domain.instruction import (
    Delta,
    DeviceId,
    Instruction,
    InstructionId,
    Level,
    Limit,
    Phase,
    SiteId,
)

Place = tuple[SiteId, DeviceId | None]
"""A site as a whole (None), or one device of it alone."""
Urgency = tuple[int, float, float, str, int]
"""Rank, activation, reception, id, phase: the lower is the more urgent, no two are equal."""


class Row(NamedTuple):
    """One phase of one instruction, ready to be compared."""

    key: Urgency
    end_at: float
    """inf = open."""
    claim: tuple[Place, ...]
    instruction: Instruction
    phase: Phase
    regulation_w: float | None
    """What it asks for; None = that depends on a load, or it is a limit."""
    limit: Limit | None
    number: int
    """Of the claim: equal claims have the same."""


class Edge(NamedTuple):
    """A moment at which a phase begins or ends; beginnings come first, so that a phase of no length leaves nothing."""

    at: float
    ends: bool
    key: Urgency
    row: Row


class Taken(NamedTuple):
    """What one row gets of its claim."""

    row: Row
    mine: tuple[Place, ...]
    lost: tuple[tuple[Place, InstructionId], ...]
    """Places that a more urgent one took; devices, too, that it took out of a site that is mine."""


FEW_EDGES = 8
_key = attrgetter("key")
_number = attrgetter("number")
_at = attrgetter("at")


def urgency_of(instruction: Instruction) -> tuple[int, float, float, str]:
    """Sorts the more urgent first."""
    return (instruction.priority.rank, instruction.active_from, instruction.received_at, instruction.id)


def rows_of(instruction: Instruction, claim: tuple[Place, ...], number: int) -> tuple[Row, ...]:
    """One row per phase."""
    urgency = urgency_of(instruction)
    return tuple(
        Row(
            key=(*urgency, index),
            end_at=math.inf if phase.end_at is None else phase.end_at,
            claim=claim,
            instruction=instruction,
            phase=phase,
            regulation_w=phase.demand.regulation_w if isinstance(phase.demand, Delta | Level) else None,
            limit=phase.demand if isinstance(phase.demand, Limit) else None,
            number=number,
        )
        for index, phase in enumerate(instruction.phases)
    )


def covered(place: Place, by: Mapping[Place, object]) -> Place | None:
    """The entry of `by` that this place falls under: itself, or its whole site."""
    if place in by:
        return place
    whole: Place = (place[0], None)
    return whole if place[1] is not None and whole in by else None


def share_out(rows: Iterable[Row], wanted: set[Place] | None = None) -> Iterator[Taken]:
    """Places to rows, the most urgent row first.

    Args:
        rows: Sorted by urgency.
        wanted: Every place that any of the rows claims; then rows that get nothing are left out, and the reading
            stops as soon as all is taken.
    """
    taken: dict[Place, InstructionId] = {}
    out_of: dict[SiteId, list[Place]] = {}
    open_places = wanted
    for row in rows:
        if open_places is not None and not open_places:
            return
        mine: list[Place] = []
        lost: list[tuple[Place, InstructionId]] = []
        for place in row.claim:
            by = covered(place, taken)
            if by is None:
                mine.append(place)
            else:
                lost.append((place, taken[by]))
        if not mine and open_places is not None:
            continue
        for place in mine:
            site, device = place
            if device is None:
                lost += [(part, taken[part]) for part in out_of.get(site, ())]
            else:
                out_of.setdefault(site, []).append(place)
        taken.update(dict.fromkeys(mine, row.instruction.id))
        if open_places is not None:
            whole = {site for site, device in mine if device is None}
            open_places = {one for one in open_places if one[0] not in whole and one not in taken}
        yield Taken(row, tuple(mine), tuple(lost))


@dataclass(slots=True)
class Sweep:
    """What is in force at one moment."""

    claims: Sequence[tuple[Place, ...]]
    """By their numbers."""
    at: float = -math.inf
    count: int = 0
    """Phases in force, limits among them."""
    rows: list[Row] = field(default_factory=list)
    """Demands, the most urgent first."""
    wanted: Counter[int] = field(default_factory=Counter)
    """How many of the rows have which claim."""
    imports: dict[Place, list[tuple[float, InstructionId]]] = field(default_factory=dict)
    """Limits of import in force, the tightest first."""
    exports: dict[Place, list[tuple[float, InstructionId]]] = field(default_factory=dict)
    rulers: dict[Place, Urgency] | None = None
    """Who had what when it was last read; None = something has changed since."""

    def copy(self) -> Sweep:
        return Sweep(
            claims=self.claims,
            at=self.at,
            count=self.count,
            rows=self.rows.copy(),
            wanted=self.wanted.copy(),
            imports={place: found.copy() for place, found in self.imports.items()},
            exports={place: found.copy() for place, found in self.exports.items()},
            rulers=self.rulers,
        )

    def advance(self, edges: list[Edge], to: float) -> None:
        """Go forward to the moment `to`."""
        first, last = (bisect_right(edges, at, key=_at) for at in (self.at, to))
        self.cross(edges[first:last])
        self.at = to

    def cross(self, edges: Sequence[Edge]) -> bool:
        """Go over these edges; whether that may change who rules what, or a limit that binds."""
        if len(edges) > FEW_EDGES:
            return self._cross_many(edges)
        turned = False
        for edge in edges:
            turned = (self.leave(edge.row) if edge.ends else self.enter(edge.row)) or turned
        return turned

    def _cross_many(self, edges: Sequence[Edge]) -> bool:
        """The same at once: sorting in what is sorted already is cheaper than thousands of insertions."""
        turned = False
        for edge in [edge for edge in edges if edge.row.limit is not None]:
            turned = (self.leave(edge.row) if edge.ends else self.enter(edge.row)) or turned
        come = [edge.row for edge in edges if not edge.ends and edge.row.limit is None]
        gone = [edge.row for edge in edges if edge.ends and edge.row.limit is None]
        turned = turned or any(self._matters(row, ends=False) for row in come)
        turned = turned or any(self._matters(row, ends=True) for row in gone)
        if come:
            self.rows += come
            self.rows.sort(key=_key)
        if gone:
            keys = set(map(_key, gone))
            self.rows = [row for row in self.rows if row.key not in keys]
        self.wanted.update(map(_number, come))
        self.wanted.subtract(Counter(map(_number, gone)))
        self.count += len(come) - len(gone)
        return self._turn() if turned else False

    def _turn(self) -> bool:
        self.rulers = None
        return True

    def _matters(self, row: Row, *, ends: bool) -> bool:
        """Whether a demand that begins or ends has a say in who rules what."""
        rulers = self.rulers
        if rulers is None:
            return True
        if ends:
            return row.key in rulers.values()
        return any((by := covered(place, rulers)) is None or row.key < rulers[by] for place in row.claim)

    def enter(self, row: Row) -> bool:
        """A phase comes into force."""
        self.count += 1
        if row.limit is not None:
            turned = False
            for found, entry in self._bounds(row):
                insort(found, entry)
                turned = turned or found[0] == entry
            return turned
        insort(self.rows, row, key=_key)
        self.wanted[row.number] += 1
        return self._turn() if self._matters(row, ends=False) else False

    def leave(self, row: Row) -> bool:
        """A phase ends, or is forgotten."""
        self.count -= 1
        if row.limit is not None:
            turned = False
            for found, entry in self._bounds(row):
                turned = turned or found[0] == entry
                del found[bisect_left(found, entry)]
            return turned
        del self.rows[bisect_left(self.rows, row.key, key=_key)]
        self.wanted[row.number] -= 1
        return self._turn() if self._matters(row, ends=True) else False

    def ruling(self) -> tuple[Taken, ...]:
        """The rows that rule something, the most urgent first."""
        wanted = {place for number, count in self.wanted.items() if count for place in self.claims[number]}
        found = tuple(share_out(self.rows, wanted))
        self.rulers = {place: taken.row.key for taken in found for place in taken.mine}
        return found

    def _bounds(
        self, row: Row
    ) -> Iterator[tuple[list[tuple[float, InstructionId]], tuple[float, InstructionId]]]:
        """The lists that a limit stands in, and its entry. A limit that is no number lets nothing pass."""
        assert row.limit is not None
        limits = (row.limit.import_max_w, self.imports), (row.limit.export_max_w, self.exports)
        for most, lists in limits:
            if most is not None:
                entry = (0.0 if math.isnan(most) else most, row.instruction.id)
                for place in row.claim:
                    yield lists.setdefault(place, []), entry
