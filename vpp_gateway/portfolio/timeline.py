"""Overlapping, prioritised instructions become one answer: who is in force where, now.

    EV-1 (rank 1)        |=========|                 whole portfolio
    EV-2 (rank 0)            |===|                   site A
    in force at A        |111|222|11|
    in force at B        |111111111|

Rule: instructions in force are taken by urgency (lower rank first), then by earlier activation (its ramp does not
count), then by earlier reception (OpenADR 2.0b rule 18: on a tie the one activated first wins). Each takes the sites of its scope that no
earlier one has taken; what it loses is named. Limits never compete: they bound all others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from vpp_gateway.domain.instruction import Instruction, InstructionId, Limit, Phase, SiteId


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """One instruction that rules some sites at a moment."""

    instruction: Instruction
    phase: Phase
    sites: tuple[SiteId, ...]
    """Sites it rules; a part of its scope where a more urgent one took the others."""
    lost: tuple[tuple[SiteId, InstructionId], ...]
    """Sites of its scope that another instruction took, and which one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A limit in force at one site."""

    site: SiteId
    import_max_w: float | None
    export_max_w: float | None
    instruction: InstructionId


@dataclass(slots=True)
class Timeline:
    """All instructions that are accepted and not over.

    Args:
        sites: Every site of the portfolio, in order.
    """

    sites: tuple[SiteId, ...]
    _accepted: dict[InstructionId, Instruction] = field(default_factory=dict)

    def admit(self, instruction: Instruction) -> None:
        """Take an instruction in, or replace its earlier modification."""
        self._accepted[instruction.id] = instruction

    def withdraw(self, id: InstructionId) -> Instruction | None:
        """Forget an instruction; returns it if it was known."""
        return self._accepted.pop(id, None)

    def get(self, id: InstructionId) -> Instruction | None:
        return self._accepted.get(id)

    def __iter__(self) -> Iterator[Instruction]:
        return iter(self._accepted.values())

    def scope_of(self, instruction: Instruction) -> tuple[SiteId, ...]:
        """The sites an instruction speaks of, in portfolio order."""
        if not instruction.scope:
            return self.sites
        return tuple(site for site in self.sites if site in instruction.scope)

    def at(self, now: float) -> tuple[InForce, ...]:
        """Instructions (other than limits) in force at `now`, most urgent first, with disjoint sites."""
        taken: dict[SiteId, InstructionId] = {}
        result: list[InForce] = []
        for instruction, phase in self._by_urgency(now):
            if isinstance(phase.demand, Limit):
                continue
            scope = self.scope_of(instruction)
            mine = tuple(site for site in scope if site not in taken)
            lost = tuple((site, taken[site]) for site in scope if site in taken)
            taken.update((site, instruction.id) for site in mine)
            result.append(InForce(instruction=instruction, phase=phase, sites=mine, lost=lost))
        return tuple(result)

    def bounds_at(self, now: float) -> tuple[Bound, ...]:
        """Limits in force at `now`, one row per instruction and site."""
        return tuple(
            Bound(
                site=site,
                import_max_w=phase.demand.import_max_w,
                export_max_w=phase.demand.export_max_w,
                instruction=instruction.id,
            )
            for instruction, phase in self._by_urgency(now)
            if isinstance(phase.demand, Limit)
            for site in self.scope_of(instruction)
        )

    def taken_from(self, instruction: Instruction) -> frozenset[SiteId]:
        """Sites of its scope that a more urgent accepted instruction rules at some moment of its life."""
        scope = set(self.scope_of(instruction))
        return frozenset(
            site
            for other in self._accepted.values()
            if other.id != instruction.id
            and _overlap(other, instruction)
            and _urgency(other) < _urgency(instruction)
            for site in self.scope_of(other)
            if site in scope and not _only_limits(other)
        )

    def others(self, instruction: Instruction) -> tuple[Instruction, ...]:
        """Every other accepted instruction."""
        return tuple(other for other in self._accepted.values() if other.id != instruction.id)

    def idle(self, now: float, ahead_s: float = 60.0) -> bool:
        """Whether no phase is in force and none begins within `ahead_s` seconds."""
        change = self.next_change(now)
        return not self._by_urgency(now) and (change is None or change > now + ahead_s)

    def next_change(self, now: float) -> float | None:
        """The next moment after `now` at which a phase starts or ends; None = never."""
        moments = [
            moment
            for instruction in self._accepted.values()
            for phase in instruction.phases
            for moment in (phase.start_at, phase.end_at)
            if moment is not None and moment > now
        ]
        return min(moments, default=None)

    def over(self, now: float) -> tuple[Instruction, ...]:
        """Instructions whose end has passed."""
        return tuple(i for i in self._accepted.values() if i.end_at is not None and i.end_at <= now)

    def _by_urgency(self, now: float) -> list[tuple[Instruction, Phase]]:
        rows = [(i, phase) for i in self._accepted.values() if (phase := i.phase_at(now)) is not None]
        rows.sort(key=lambda row: _urgency(row[0]))
        return rows


def _urgency(instruction: Instruction) -> tuple[int, float, float, str]:
    """Sorts the more urgent first."""
    return (instruction.priority.rank, instruction.active_from, instruction.received_at, instruction.id)


def _overlap(a: Instruction, b: Instruction) -> bool:
    return (b.end_at is None or a.start_at < b.end_at) and (a.end_at is None or b.start_at < a.end_at)


def _only_limits(instruction: Instruction) -> bool:
    return all(isinstance(phase.demand, Limit) for phase in instruction.phases)
