"""What is remembered of one event: the durable state behind every answer on it.

EventHeld   -> known, taken or refused, or a mark that it was cancelled
EventEnding -> cancelled, and running on until a randomised moment (rule 65); EventHeld undoes it
EventEnded  -> that moment has come
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from vpp_gateway.domain.instruction import RoomName
from vpp_gateway.northbound.openadr2.facts import EventEnded, EventEnding, EventHeld
from vpp_gateway.northbound.openadr2.messages import OptType

LocalStatus = Literal["far", "near", "active", "completed", "cancelled"]
"""Where an event stands by our clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldEvent:
    """What is remembered of an event; the fields are those of `EventHeld`."""

    event_id: str
    modification: int
    request_id: str
    answer_required: bool
    instructed: bool
    cancelled: bool
    end_at: float | None
    startafter_s: float
    offset_s: float
    held_at: float
    opt: OptType | None = None
    reason: str = ""
    start_at: float | None = None
    active_until: float | None = None
    notification_s: float = 0.0
    ramp_up_s: float = 0.0
    recovery_s: float = 0.0
    market_context: str = ""
    priority: int | None = None
    test: bool = False
    endpoint: int = 0
    comment: str = ""
    modified_at: float | None = None
    modification_reason: str = ""
    ending_at: float | None = None
    """Cancelled, and to be withdrawn at this moment (rule 65); None = not so."""
    ending_cause: Literal["cancelled", "implied"] = "cancelled"

    @property
    def undecided(self) -> bool:
        """The VTN wants an answer and the gateway has not given its opt yet."""
        return self.answer_required and self.instructed and not self.cancelled and self.opt is None

    @property
    def running(self) -> bool:
        """The gateway has its instruction: taken, and not withdrawn yet."""
        return self.instructed and (not self.cancelled or self.ending_at is not None)

    def status(self, now: float) -> LocalStatus:
        """Where the event stands by our clock, whatever the VTN says.

        `near` begins with a ramp-up before dtstart, as in openleadr 0.5.36 (`utils.determine_event_status`); a
        negative ramp lies after dtstart and makes nothing near.
        """
        if self.cancelled or self.ending_at is not None:
            return "cancelled"
        if self.active_until is not None and now >= self.active_until:
            return "completed"
        if self.start_at is None or now >= self.start_at:
            return "active"
        return "near" if now >= self.start_at - max(self.ramp_up_s, 0.0) else "far"


def held_again(known: HeldEvent, at: float, room: RoomName) -> EventHeld:
    """The fact that says again what is known of an event."""
    return EventHeld(
        at=at,
        room=room,
        event_id=known.event_id,
        modification=known.modification,
        request_id=known.request_id,
        answer_required=known.answer_required,
        instructed=known.instructed,
        cancelled=known.cancelled,
        end_at=known.end_at,
        startafter_s=known.startafter_s,
        offset_s=known.offset_s,
        start_at=known.start_at,
        active_until=known.active_until,
        notification_s=known.notification_s,
        ramp_up_s=known.ramp_up_s,
        recovery_s=known.recovery_s,
        market_context=known.market_context,
        priority=known.priority,
        test=known.test,
        endpoint=known.endpoint,
        comment=known.comment,
        modified_at=known.modified_at,
        modification_reason=known.modification_reason,
    )


def apply_ending(events: dict[str, HeldEvent], fact: EventEnding | EventEnded) -> None:
    """Take a fact on a randomised termination over; a cancelled event stays as a mark until the VTN drops it."""
    known = events.get(fact.event_id)
    if known is None:
        return
    match fact:
        case EventEnding():
            events[fact.event_id] = replace(known, ending_at=fact.ending_at, ending_cause=fact.cause)
        case EventEnded():
            events[fact.event_id] = replace(known, ending_at=None)
