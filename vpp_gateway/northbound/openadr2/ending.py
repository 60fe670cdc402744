"""The end of a cancelled event that is active and has startafter (rules 61, 65): randomised, so that not every VEN of a
programme returns in the same second.

    cancelled or dropped from the list  ->  EventEnding(ending_at = now + 0..startafter), answered at once
    ending_at, also after a restart     ->  EventEnded (implied: EventDropped), Withdrawn
    listed again before that            ->  EventHeld: it goes on

An event that has not begun, one that we opted out of, and one without startafter end at once: whatever stands behind
this gateway can be stopped at once, so the exception of rule 61 (run on while it cannot be stopped) is used for this
draw alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from vpp_gateway.clock import Rng
from vpp_gateway.domain.fact import Fact, Withdrawn
from vpp_gateway.domain.instruction import RoomName
from vpp_gateway.northbound.openadr2.facts import EventDropped, EventEnded, EventEnding, VenFact
from vpp_gateway.northbound.openadr2.held import HeldEvent
from vpp_gateway.northbound.openadr2.mapping import instruction_id
from vpp_gateway.northbound.openadr2.program import ProgramProfile
from vpp_gateway.northbound.openadr2.state import VenState


def drawn(known: HeldEvent, program: ProgramProfile, rng: Rng, now: float) -> float | None:
    """When a cancelled event ends (UTC, Unix s); None = at once. Drawn once: a second cancellation keeps the moment."""
    if known.ending_at is not None:
        return known.ending_at
    begun = known.start_at is not None and known.start_at <= now
    over = known.active_until is not None and known.active_until <= now
    if not (
        program.randomise_cancellation and known.running and begun and not over and known.startafter_s > 0
    ):
        return None
    if known.opt == "optOut":
        return None
    return now + rng.uniform(0.0, known.startafter_s)


def begun(
    room: RoomName,
    event_id: str,
    modification: int,
    ending_at: float,
    cause: Literal["cancelled", "implied"],
    now: float,
) -> EventEnding:
    """The fact that a cancelled event runs on until `ending_at`."""
    return EventEnding(
        at=now, room=room, event_id=event_id, modification=modification, ending_at=ending_at, cause=cause
    )


def due(state: VenState, room: RoomName, now: float) -> list[Fact | VenFact]:
    """Events whose randomised end has come. One that ran out by itself meanwhile needs no withdrawal."""
    facts: list[Fact | VenFact] = []
    done: EventDropped | EventEnded
    for event in state.events.values():
        if event.ending_at is None or event.ending_at > now:
            continue
        id, modification = event.event_id, event.modification
        if event.ending_cause == "implied":
            done = EventDropped(at=now, room=room, event_id=id, modification=modification, cause="implied")
        else:
            done = EventEnded(at=now, room=room, event_id=id, modification=modification)
        facts.append(done)
        if event.end_at is None or event.end_at > event.ending_at:
            facts.append(
                Withdrawn(
                    at=now,
                    instruction=instruction_id(room, id),
                    modification=modification,
                    cause=event.ending_cause,
                )
            )
    return facts


def moments(events: Iterable[HeldEvent]) -> list[float]:
    """When `due` has something to say (UTC, Unix s)."""
    return [event.ending_at for event in events if event.ending_at is not None]
