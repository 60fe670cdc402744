"""Why one instruction goes before another, and who holds the sites of one that was refused."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from vpp_gateway.domain.instruction import Instruction, InstructionId, Limit
from vpp_gateway.domain.plan import Reason
from vpp_gateway.portfolio.sweep import urgency_of
from vpp_gateway.portfolio.timeline import Timeline


def order_of(
    timeline: Timeline, instruction: Instruction, others: Iterable[InstructionId]
) -> tuple[tuple[InstructionId, str], ...]:
    """Why each of the others goes before this one: urgent | earlier | received | named."""
    known = ((id, timeline.get(id)) for id in dict.fromkeys(others))
    return tuple((id, _why(other, instruction)) for id, other in known if other is not None)


def _why(one: Instruction, other: Instruction) -> str:
    steps = zip(("urgent", "earlier", "received"), urgency_of(one), urgency_of(other), strict=False)
    return next((name for name, mine, theirs in steps if mine != theirs), "named")


def holders(timeline: Timeline, instruction: Instruction) -> Iterator[Reason]:
    """Accepted instructions that go before one and rule sites of it in its time, the most urgent first."""
    scope = timeline.scope_of(instruction)
    for other in sorted(timeline, key=urgency_of):
        sites = [site for site in timeline.scope_of(other) if site in scope]
        if other.id != instruction.id and sites and _before(other, instruction):
            yield Reason(code="opt.held", values=(("other", other.id), ("sites", ", ".join(sites))))


def _before(other: Instruction, instruction: Instruction) -> bool:
    end_at = math.inf if instruction.end_at is None else instruction.end_at
    return urgency_of(other) < urgency_of(instruction) and any(
        not isinstance(phase.demand, Limit)
        and phase.start_at < end_at
        and (phase.end_at is None or phase.end_at > instruction.start_at)
        for phase in other.phases
    )
