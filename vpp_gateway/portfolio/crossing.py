"""Limits that cannot be kept together: at one place, at one moment, import at most less than minus export at most.

    import <= -50 kW   at least 50 kW must flow out
    export <=  10 kW   at most 10 kW may flow out      ->  no flow keeps both

Limits do not compete by urgency, they bound all others; so of two that cross, the one that was accepted first stands.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
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
    if not mine:
        return None
    claim = timeline.claim_of(instruction)
    for other in timeline:
        if other.id == instruction.id:
            continue
        pairs = ((a, b) for a in mine for b in _limits(other) if _meet(a[0], b[0], since))
        for (_, one), (_, two) in pairs:
            for imports, exports in ((one, two), (two, one)):
                import_w, export_w = imports.import_max_w, exports.export_max_w
                if import_w is None or export_w is None or import_w >= -export_w:
                    continue
                shared = [place for place in timeline.claim_of(other) if place in claim]
                if shared:
                    return Crossing(
                        place=shared[0], other=other.id, import_max_w=import_w, export_max_w=export_w
                    )
    return None


def _limits(instruction: Instruction) -> Iterator[tuple[Phase, Limit]]:
    return ((phase, phase.demand) for phase in instruction.phases if isinstance(phase.demand, Limit))


def _meet(one: Phase, two: Phase, since: float) -> bool:
    """Whether both are in force at some moment after `since`."""
    start_at = max(one.start_at, two.start_at, since)
    return start_at < min(math.inf if phase.end_at is None else phase.end_at for phase in (one, two))
