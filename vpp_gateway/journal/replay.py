"""Starting is recovering: every fact of the journal once more, in order, through the same `apply`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vpp_gateway.clock import Clock
from vpp_gateway.domain.fact import Concluded, Instructed
from vpp_gateway.domain.instruction import InstructionId
from vpp_gateway.journal.records import Dated
from vpp_gateway.journal.store import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult:
    """What a replay went through."""

    count: int
    """Facts that were applied."""
    skipped: int
    """Ticks that were verified but not applied."""
    seconds: float
    last_at: float | None
    """UTC (Unix s) of the last record; None when the journal is empty. The gap to now is how long we were away."""


def replay(
    journal: Journal,
    apply: Callable[[Dated], None],
    *,
    clock: Clock,
    skip_ticks_before: float | None = None,
) -> ReplayResult:
    """Apply every fact of `journal` in order.

    Args:
        journal: Where from.
        apply: Takes one fact; what it raises ends the replay.
        clock: For the measured duration only; facts bring their own time.
        skip_ticks_before: UTC (Unix s). Ticks learnt before it are verified, but neither decoded nor applied: for
            a caller whose projections forget readings of that age anyway.

    Raises:
        JournalError: A record does not match its hash or has an unknown kind; the text names it.
    """
    began = clock.monotonic()
    count = skipped = 0
    last_at: float | None = None
    for entry in journal.entries():
        last_at = entry.at
        if skip_ticks_before is not None and entry.kind == "Tick" and entry.at < skip_ticks_before:
            skipped += 1
            continue
        apply(journal.decode(entry))
        count += 1
    return ReplayResult(count=count, skipped=skipped, seconds=clock.monotonic() - began, last_at=last_at)


def open_since(journal: Journal) -> float:
    """UTC (Unix s) from which a projection may still need readings: the oldest instruction that is not concluded.

    Without one, the moment of the last record; 0 when the journal is empty.
    """
    waiting: dict[InstructionId, float] = {}
    last_at = 0.0
    for entry in journal.entries():
        last_at = entry.at
        if entry.kind == "Instructed" and isinstance(fact := journal.decode(entry), Instructed):
            waiting[fact.instruction.id] = min(fact.at, fact.instruction.start_at)
        elif entry.kind == "Concluded" and isinstance(fact := journal.decode(entry), Concluded):
            waiting.pop(fact.record.instruction, None)
    return min([last_at, *waiting.values()])
