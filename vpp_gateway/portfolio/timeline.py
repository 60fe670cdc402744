"""Overlapping, prioritised instructions become one answer: who is in force where, now.

    EV-1 (rank 2)        |===============|           whole portfolio
    EV-2 (rank 1)            |=======|               site A
    EV-3 (rank 0)              |==|                  battery A/b1 alone
    in force at A/b1     |111|2|33|22|111|
    in force at A        |111|2222222|111|           from its grid connection on, less what A/b1 gives for EV-3
    in force at B        |111111111111111|

Rule: instructions in force are taken by urgency (lower rank first), then by earlier activation (its ramp does not
count), then by earlier reception (OpenADR 2.0b rule 18: on a tie the one activated first wins). Each takes the sites of its scope that no
earlier one has taken; what it loses is named. Limits never compete: they bound all others.

An instruction for single devices takes these alone, and the rest of their site goes on. Whoever has a site has all of
its devices that no more urgent one has taken before, and nobody takes one from it after.

`sweep` is the index: a second costs the few that rule, not the thousands that are accepted.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TypeVar

from vpp_gateway.domain.instruction import DeviceId, Instruction, InstructionId, Limit, SiteId
from vpp_gateway.portfolio.in_force import Bound, InForce, Segment, ends_of, in_force, limits, rules
from vpp_gateway.portfolio.limit_index import LimitIndex
from vpp_gateway.portfolio.look import Look, look_ahead
from vpp_gateway.portfolio.sweep import Edge, Place, Row, Sweep, covered, rows_of, share_out, urgency_of

__all__ = ["Bound", "InForce", "Segment", "Timeline", "ends_of"]

CACHED_MAX = 256
_at = attrgetter("at")
_key = attrgetter("key")
Answer = TypeVar("Answer")


@dataclass(slots=True)
class Timeline:
    """All instructions that are accepted and not over.

    Args:
        sites: Every site of the portfolio, in order.
        home: The site of every device that an instruction may name alone, in order.
    """

    sites: tuple[SiteId, ...]
    home: Mapping[DeviceId, SiteId] = field(default_factory=dict)
    changes: int = 0
    """Counts what was admitted and withdrawn."""
    _accepted: dict[InstructionId, Instruction] = field(default_factory=dict)
    _claims: dict[InstructionId, tuple[Place, ...]] = field(default_factory=dict)
    _rows: dict[tuple[Place, ...], list[Row]] = field(default_factory=dict)
    """Rows of demands by claim, the most urgent first."""
    limits: LimitIndex = field(default_factory=LimitIndex)
    """Limits by place, whenever they are in force."""
    _edges: list[Edge] = field(default_factory=list)
    _ends: list[tuple[float, InstructionId]] = field(default_factory=list)
    _starts: list[tuple[float, InstructionId]] = field(default_factory=list)
    """Of those that are not handed out as begun."""
    _all_claims: list[tuple[Place, ...]] = field(default_factory=list)
    """Every claim that was ever made, by its number."""
    _numbers: dict[tuple[Place, ...], int] = field(default_factory=dict)
    _here: Sweep = field(init=False)
    """Stands where time has come to."""
    _ahead: Sweep = field(init=False)
    """Stands where somebody looked last."""
    _ruling: dict[int, tuple[InForce, ...]] = field(default_factory=dict)
    """Answers by the number of edges that have passed."""
    _bounds: dict[int, tuple[Bound, ...]] = field(default_factory=dict)
    _look: Look | None = None

    def __post_init__(self) -> None:
        self._here = Sweep(self._all_claims)
        self._ahead = Sweep(self._all_claims)

    # -- what is accepted -----------------------------------------------------------------------------------

    def admit(self, instruction: Instruction) -> None:
        """Take an instruction in, or replace its earlier modification."""
        if instruction.id in self._accepted:
            self._forget(self._accepted[instruction.id])
        self._accepted[instruction.id] = instruction
        claim = self._claims[instruction.id] = self.claim_of(instruction)
        if claim not in self._numbers:
            self._numbers[claim] = len(self._all_claims)
            self._all_claims.append(claim)
        for row in rows_of(instruction, claim, self._numbers[claim]):
            start_at = row.phase.start_at
            insort(self._edges, Edge(start_at, False, row.key, row))
            if row.end_at < math.inf:
                insort(self._edges, Edge(row.end_at, True, row.key, row))
            if row.limit is None:
                insort(self._rows.setdefault(row.claim, []), row, key=_key)
            self.limits.enter(row)
            for sweep in (self._here, self._ahead):
                if start_at <= sweep.at < row.end_at:
                    sweep.enter(row)
            self._doubt(row)
        if instruction.end_at is not None:
            insort(self._ends, (instruction.end_at, instruction.id))
        insort(self._starts, (instruction.start_at, instruction.id))
        self._changed()

    def withdraw(self, id: InstructionId) -> Instruction | None:
        """Forget an instruction; returns it if it was known."""
        known = self._accepted.pop(id, None)
        if known is not None:
            self._forget(known)
            self._changed()
        return known

    def copy(self) -> Timeline:
        """A copy that stays as it is while the original goes on."""
        return Timeline(
            sites=self.sites,
            home=self.home,
            _accepted=self._accepted.copy(),
            _claims=self._claims.copy(),
            _all_claims=self._all_claims.copy(),
            _numbers=self._numbers.copy(),
            _rows={claim: rows.copy() for claim, rows in self._rows.items()},
            limits=self.limits.copy(),
            _edges=self._edges.copy(),
            _ends=self._ends.copy(),
            _starts=self._starts.copy(),
        )

    def get(self, id: InstructionId) -> Instruction | None:
        return self._accepted.get(id)

    def __iter__(self) -> Iterator[Instruction]:
        return iter(self._accepted.values())

    def scope_of(self, instruction: Instruction) -> tuple[SiteId, ...]:
        """The sites an instruction speaks of, as a whole or for some of their devices, in portfolio order."""
        if not instruction.scope and not instruction.devices:
            return self.sites
        named = {*instruction.scope, *(self.home[d] for d in instruction.devices if d in self.home)}
        return tuple(site for site in self.sites if site in named)

    def claim_of(self, instruction: Instruction) -> tuple[Place, ...]:
        """Its sites, each as a whole unless devices of it are named: then these alone."""
        named = {device for device in instruction.devices if device in self.home}
        if not named:
            return tuple((site, None) for site in self.scope_of(instruction))
        narrow = {self.home[device] for device in named}
        whole: list[Place] = [(s, None) for s in self.scope_of(instruction) if s not in narrow]
        return (*whole, *((site, device) for device, site in self.home.items() if device in named))

    def demands(self) -> Iterator[tuple[tuple[Place, ...], list[Row]]]:
        """Phases other than limits by what they claim, the most urgent first."""
        return iter(self._rows.items())

    # -- what is in force -----------------------------------------------------------------------------------

    def reach(self, now: float) -> None:
        """Time has come to `now`: what is asked about `now` and later is at hand."""
        if now < self._here.at:
            self._here = Sweep(self._all_claims)
        self._here.advance(self._edges, now)

    def at(self, now: float) -> tuple[InForce, ...]:
        """Instructions (other than limits) that rule something at `now`, most urgent first, with disjoint places."""
        passed = self._passed(now)
        if passed not in self._ruling:
            _keep(self._ruling, passed, rules(self._sweep(now)))
        return self._ruling[passed]

    def competing(self, now: float) -> tuple[InForce, ...]:
        """Those of `at`, and those in force that have lost everything: for eyes, at the price of reading all."""
        return tuple(map(in_force, share_out(self._sweep(now).rows)))

    def bounds_at(self, now: float) -> tuple[Bound, ...]:
        """Limits in force at `now`, one row per site or device that is limited."""
        passed = self._passed(now)
        if passed not in self._bounds:
            _keep(self._bounds, passed, limits(self._sweep(now)))
        return self._bounds[passed]

    def lost_to_others(
        self, ids: Iterable[InstructionId], now: float
    ) -> Iterator[tuple[InstructionId, str, InstructionId]]:
        """Of accepted instructions: which one, the site or device of its scope, and who rules that at `now`.

        A limit loses nothing: it bounds whoever rules.
        """
        rows = self.at(now)
        ruler: dict[Place, InstructionId] = {
            **{(site, None): row.instruction.id for row in rows for site in row.sites},
            **{(self.home[d], d): row.instruction.id for row in rows for d in row.devices},
        }
        for id in ids:
            for place in () if self._limits(id, now) else self._claims.get(id, ()):
                by = covered(place, ruler)
                if by is not None and ruler[by] != id:
                    yield id, place[1] or place[0], ruler[by]

    def takings(self, instruction: Instruction, most: int) -> list[tuple[float, float, frozenset[Place]]]:
        """When more urgent accepted instructions rule places of its scope: from, until (inf = open), which places.

        A device is among them also where the instruction has the whole of its site.

        Args:
            most: Where there are more, all their places count as taken for all of its life.
        """
        claim = self.claim_of(instruction)
        whole = {site for site, device in claim if device is None}
        sites = {site for site, _ in claim}
        taken: set[Place] = set()
        found: list[tuple[float, float, frozenset[Place]]] = []
        for places, rows in self._rows.items():
            meet = frozenset(p for p in places if p in claim or p[0] in (whole if p[1] else sites))
            if not meet or (len(found) > most and meet <= taken):
                continue
            for row in _before(instruction, rows):
                taken |= meet
                found.append((row.phase.start_at, row.end_at, meet))
                if len(found) > most:
                    break
        return found if len(found) <= most else [(-math.inf, math.inf, frozenset(taken))]

    def beside(self, instruction: Instruction) -> Iterator[Row]:
        """More urgent phases during its life that have devices alone at sites of its scope."""
        sites = set(self.scope_of(instruction))
        for places, rows in self._rows.items():
            if any(device is not None and site in sites for site, device in places):
                yield from _before(instruction, rows)

    # -- time -----------------------------------------------------------------------------------------------

    def idle(self, now: float, ahead_s: float = 60.0) -> bool:
        """Whether no phase is in force and none begins within `ahead_s` seconds."""
        change = self.next_change(now)
        return not self._sweep(now).count and (change is None or change > now + ahead_s)

    def next_change(self, now: float) -> float | None:
        """The next moment after `now` at which a phase starts or ends; None = never."""
        passed = self._passed(now)
        return self._edges[passed].at if passed < len(self._edges) else None

    def changes_in(self, since: float, until: float) -> tuple[float, ...]:
        """The moments after `since`, up to `until`, at which a phase starts or ends, in order."""
        first, last = self._passed(since), self._passed(until)
        return tuple(dict.fromkeys(edge.at for edge in self._edges[first:last]))

    def next_turn(self, now: float) -> float | None:
        """The next moment after `now` at which it changes who rules what, or a limit that binds; None = never.

        Where `LOOK_EDGES_MAX` edges change nothing, a moment before which nothing does.
        """
        coming = self.coming(now)
        return coming[0].start_at if coming else None

    def coming(self, now: float) -> tuple[Segment, ...]:
        """The segments after the present one, as far as is known, at most `LOOK_TURNS_MAX` of them."""
        look = self._look
        if look is None or not look.holds(now):
            look = self._look = look_ahead(self._sweep(now).copy(), self._edges, now, self.home)
        return look.segments

    def over(self, now: float, most: int | None = None) -> tuple[Instruction, ...]:
        """Instructions whose end has passed, the earliest first, at most so many."""
        count = bisect_right(self._ends, now, key=lambda end: end[0])
        count = count if most is None else min(most, count)
        return tuple(self._accepted[id] for _, id in self._ends[:count])

    def begin(self, now: float, most: int) -> tuple[Instruction, ...]:
        """Instructions whose start has come, the earliest first; each is handed out once, and again when modified."""
        count = min(most, bisect_right(self._starts, now, key=lambda start: start[0]))
        begun = self._starts[:count]
        del self._starts[:count]
        return tuple(self._accepted[id] for _, id in begun)

    # -- small hands ----------------------------------------------------------------------------------------

    def _limits(self, id: InstructionId, now: float) -> bool:
        """Whether this accepted instruction is a limit at `now`."""
        known = self._accepted.get(id)
        phase = None if known is None else known.phase_at(now)
        return phase is not None and isinstance(phase.demand, Limit)

    def _passed(self, now: float) -> int:
        return bisect_right(self._edges, now, key=_at)

    def _sweep(self, now: float) -> Sweep:
        """A sweep that stands at `now`."""
        if now == self._here.at:
            return self._here
        if now < self._ahead.at or self._ahead.at < self._here.at <= now:
            self._ahead = self._here.copy() if self._here.at <= now else Sweep(self._all_claims)
        self._ahead.advance(self._edges, now)
        return self._ahead

    def _forget(self, instruction: Instruction) -> None:
        claim = self._claims.pop(instruction.id)
        for row in rows_of(instruction, claim, self._numbers[claim]):
            start_at = row.phase.start_at
            del self._edges[bisect_left(self._edges, Edge(start_at, False, row.key, row))]
            if row.end_at < math.inf:
                del self._edges[bisect_left(self._edges, Edge(row.end_at, True, row.key, row))]
            if row.limit is None:
                rows = self._rows[row.claim]
                del rows[bisect_left(rows, row.key, key=_key)]
                if not rows:
                    del self._rows[row.claim]
            self.limits.leave(row)
            for sweep in (self._here, self._ahead):
                if start_at <= sweep.at < row.end_at:
                    sweep.leave(row)
            self._doubt(row)
        if instruction.end_at is not None:
            _discard(self._ends, (instruction.end_at, instruction.id))
        _discard(self._starts, (instruction.start_at, instruction.id))

    def _doubt(self, row: Row) -> None:
        """Look anew, unless a row that came or went has no say in what was seen."""
        if self._look is not None and self._look.heeds(row):
            self._look = None

    def _changed(self) -> None:
        self.changes += 1
        self._ruling.clear()
        self._bounds.clear()


def _before(instruction: Instruction, rows: list[Row]) -> Iterator[Row]:
    """Rows of others that go before an instruction at some moment of its life; the most urgent first."""
    end_at = math.inf if instruction.end_at is None else instruction.end_at
    for row in rows[: bisect_left(rows, (*urgency_of(instruction), -1), key=_key)]:
        if (
            row.instruction.id != instruction.id
            and row.phase.start_at < end_at
            and row.end_at > instruction.start_at
        ):
            yield row


def _keep(answers: dict[int, Answer], passed: int, answer: Answer) -> None:
    if len(answers) >= CACHED_MAX:
        answers.clear()
    answers[passed] = answer


def _discard(entries: list[tuple[float, InstructionId]], entry: tuple[float, InstructionId]) -> None:
    index = bisect_left(entries, entry)
    if entries[index : index + 1] == [entry]:
        del entries[index]
