"""What is odd in a list of events and yet no reason to refuse one: for the operator, never for the VTN.

    status against our clock        we act by dtstart; a VTN that says otherwise has another clock, or we have
    createdDateTime in the future   the same, and modificationDateTime
    eiEventBaseline                 the VTN's baseline; what is delivered is measured against ours
    overlap in one market context   rule 18 forbids it to the VTN and leaves the outcome open; ours is named
    currentValue while pending      rule 14
    a notice that came late         x-eiNotification (rule 31)
    a ramp on a setpoint            rule 31 asks for what cannot be done without a load forecast

Remarks on a list stand until the next list; those on known events (`remarks_held`) as long as they are true.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence, Set

from vpp_gateway.northbound.openadr2.held import HeldEvent
from vpp_gateway.northbound.openadr2.messages import Event
from vpp_gateway.northbound.openadr2.program import ProgramProfile
from vpp_gateway.northbound.openadr2.xml_text import shown, write_date

NOT_CARRIED_OUT = "test event, not carried out"
SHOWN_MAX = 5
"""Remarks on one list that are spelled out."""


def remarks_on(events: Sequence[Event], unknown: Set[str], program: ProgramProfile, now: float) -> list[str]:
    """In words, the first `SHOWN_MAX` and how many more.

    Args:
        unknown: Ids of the events that came for the first time.
    """
    found = [remark for event in events for remark in _on_one(event, program, now)]
    found += [remark for event in events if event.event_id in unknown for remark in _late(event, now)]
    found += _overlaps(events, now)
    more = len(found) - SHOWN_MAX
    return found if more <= 0 else [*found[:SHOWN_MAX], f"{more} more remarks on the list of events"]


def remarks_held(events: Iterable[HeldEvent]) -> list[str]:
    """What of the known events the operator should know although nothing is wrong with it."""
    found = []
    for event in events:
        if event.ending_at is not None:
            at = write_date(math.floor(event.ending_at))
            found.append(f"event {shown(event.event_id)}: cancelled and active, ends by draw at {at}")
        elif event.test and not event.instructed and event.opt == "optIn" and not event.cancelled:
            found.append(f"event {shown(event.event_id)}: {NOT_CARRIED_OUT}")
    return found[:SHOWN_MAX]


def _on_one(event: Event, program: ProgramProfile, now: float) -> Iterable[str]:
    name, slack = f"event {shown(event.event_id)}", program.clock_tolerance_s
    if event.status == "cancelled":
        return
    contradiction = _contradiction(event, slack, now)
    if contradiction:
        yield f"{name}: {contradiction}"
    if event.created_at > now + slack:
        yield f"{name}: created {event.created_at - now:.0f} s in our future"
    if event.modified_at is not None and event.modified_at > now + slack:
        yield f"{name}: modified {event.modified_at - now:.0f} s in our future"
    if event.baseline is not None:
        yield f"{name}: carries the VTN's baseline {shown(event.baseline)}, delivery is measured against our own"
    pending = event.status in ("none", "far", "near")
    values = {signal.current_value for signal in event.signals if signal.name.upper() == "SIMPLE"}
    if pending and not values <= {None, 0.0}:  # rule 14
        yield f"{name}: currentValue is not 0 while the event is pending"
    targets = [rule for rule in program.signals if rule.meaning in ("setpoint", "capacity")]
    absolute = any((s.name, s.type) == (r.name, r.type) for s in event.signals for r in targets)
    if program.apply_ramps and absolute and (event.ramp_up_s or event.recovery_s):
        yield f"{name}: a setpoint has no ramp, it is asked in full from dtstart to the end"


def _late(event: Event, now: float) -> Iterable[str]:
    """x-eiNotification: the event was to be here so long before dtstart."""
    notice_s, told_s = event.notification_s or 0.0, event.start_at - now
    if event.status not in ("cancelled", "completed") and notice_s > 0 and 0.0 < told_s < notice_s:
        yield (
            f"event {shown(event.event_id)}: told {told_s:.0f} s before its start, "
            f"its notification is {notice_s:.0f} s"
        )


def _contradiction(event: Event, slack: float, now: float) -> str:
    """How the VTN's status contradicts our clock; empty when it does not."""
    end_at = event.start_at + event.duration_s + event.startafter_s if event.duration_s else None
    early, late = event.start_at - now, now - event.start_at
    if event.status == "active" and early > slack:
        return f"the VTN says active, by our clock it begins in {early:.0f} s"
    if event.status == "active" and end_at is not None and now - end_at > slack:
        return f"the VTN says active, by our clock it ended {now - end_at:.0f} s ago"
    if event.status in ("none", "far", "near") and late - event.startafter_s > slack:
        return f"the VTN says {event.status}, by our clock it began {late:.0f} s ago"
    if event.status == "completed":
        until = event.start_at + event.duration_s
        if not event.duration_s:
            return "the VTN says completed, the event has no end"
        if until - now > slack:
            return f"the VTN says completed, by our clock it ends in {until - now:.0f} s"
    return ""


def _overlaps(events: Sequence[Event], now: float) -> Iterable[str]:
    """Pairs of one market context whose active periods overlap: one remark for each event that begins inside another."""
    alive = [
        event
        for event in events
        if event.status not in ("cancelled", "completed")
        and (not event.duration_s or event.start_at + event.duration_s > now)
    ]
    latest: dict[str, tuple[float, Event]] = {}
    for event in sorted(alive, key=lambda one: (one.start_at, one.event_id)):
        until = event.start_at + event.duration_s if event.duration_s else float("inf")
        before = latest.get(event.market_context)
        if before is not None and event.start_at < before[0]:
            yield (
                f"events {shown(before[1].event_id)} and {shown(event.event_id)} overlap in one market context: "
                "priority decides, then the one that is active first"
            )
        if before is None or until > before[0]:
            latest[event.market_context] = (until, event)
