"""Limits that cannot be kept together: at one place, at one moment, import at most less than minus export at most.

    import <= -50 kW   at least 50 kW must flow out
    export <=  10 kW   at most 10 kW may flow out      ->  no flow keeps both

Limits do not compete by urgency, they bound all others; so of two that cross, the one that was accepted first stands.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from vpp_gateway.domain.instruction import Instruction, InstructionId, Limit, Phase
from vpp_gateway.portfolio.sweep import Place
from vpp_gateway.portfolio.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """Two limits that no flow keeps, and where."""

    place: Place
    other: InstructionId
    """The accepted one."""
    import_max_w: float
    export_max_w: float


def crossing(timeline: Timeline, instruction: Instruction, since: float) -> Crossing | None:
    """The first accepted limit that crosses one of this instruction at some moment after `since`."""
    mine = list(_limits(instruction))
    claim = timeline.claim_of(instruction) if mine else ()
    ids = {
        id
        for phase, limit in mine
        for place in claim
        for id in timeline.limits.crossed_by(phase, limit, place, since)
    } - {instruction.id}
    other = next((one for one in timeline if one.id in ids), None) if ids else None
    return None if other is None else _between(mine, other, claim, timeline.claim_of(other), since)


def _between(
    mine: Iterable[tuple[Phase, Limit]],
    other: Instruction,
    claim: Collection[Place],
    others: Iterable[Place],
    since: float,
) -> Crossing | None:
    """The first crossing with one accepted instruction."""
    shared = next(place for place in others if place in claim)
    for phase, one in mine:
        for its, two in _limits(other):
            for imports, exports in ((one, two), (two, one)) if _meet(phase, its, since) else ():
                import_w, export_w = imports.import_max_w, exports.export_max_w
                if import_w is not None and export_w is not None and import_w < -export_w:
                    return Crossing(
                        place=shared, other=other.id, import_max_w=import_w, export_max_w=export_w
                    )
    return None


def _limits(instruction: Instruction) -> Iterator[tuple[Phase, Limit]]:
    return ((phase, phase.demand) for phase in instruction.phases if isinstance(phase.demand, Limit))


def _meet(one: Phase, two: Phase, since: float) -> bool:
    """Whether both are in force at some moment after `since`."""
    start_at = max(one.start_at, two.start_at, since)
    return start_at < min(math.inf if phase.end_at is None else phase.end_at for phase in (one, two))
