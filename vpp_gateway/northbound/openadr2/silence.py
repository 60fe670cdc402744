"""The VTN is silent: what the program wants done with the events that were accepted.

    contact ---- release_after_s ----> EventReleased + Withdrawn(silence)    for every event that is carried out
                                            |
    contact again, still listed  <----------+  Instructed once more, same randomised start

By default nothing happens here: an event stays in force until its end whatever becomes of the line. How long the VTN
has been silent is not durable; after a restart the wait begins anew, so a restart never releases an event early.
"""

from __future__ import annotations

from vpp_gateway.domain.fact import Withdrawn
from vpp_gateway.northbound.openadr2.desk import Desk, Facts
from vpp_gateway.northbound.openadr2.facts import EventReleased
from vpp_gateway.northbound.openadr2.held import HeldEvent
from vpp_gateway.northbound.openadr2.mapping import instruction_id


def release_at(desk: Desk) -> float | None:
    """When the events in hand are let go unless the VTN is heard before; None = never."""
    after_s = desk.program.loss_of_communication.release_after_s
    since = desk.pace.silent_from if desk.pace.last_contact_at is None else desk.pace.last_contact_at
    if after_s is None or since is None or not _carried(desk):
        return None
    return since + after_s


def moments(desk: Desk) -> list[float]:
    """`release_at`, for the session's next wake."""
    at = release_at(desk)
    return [] if at is None else [at]


def _carried(desk: Desk) -> list[HeldEvent]:
    """Events that are carried out, or may be; what was opted out of, by gateway or operator, is not."""
    return [
        event
        for event in desk.state.events.values()
        if event.instructed and not event.cancelled and event.ending_at is None and event.opt != "optOut"
    ]


def due(desk: Desk, now: float) -> Facts:
    """Facts that let go of every event, once the VTN has been silent for too long."""
    if desk.pace.last_contact_at is None and desk.pace.silent_from is None:
        desk.pace.silent_from = now
    at = release_at(desk)
    after_s = desk.program.loss_of_communication.release_after_s
    if at is None or after_s is None or now < at:
        return []
    facts: Facts = []
    for event in _carried(desk):
        facts.append(
            EventReleased(
                at=now,
                room=desk.room,
                event_id=event.event_id,
                modification=event.modification,
                silent_s=now - at + after_s,
            )
        )
        facts.append(
            Withdrawn(
                at=now,
                instruction=instruction_id(desk.room, event.event_id),
                modification=event.modification,
                cause="silence",
            )
        )
    return facts
