"""The operator's opts: facts for one event or one schedule.

Opting out of an event takes its instruction back from the gateway (`Withdrawn`); opting in again gives it anew
(`Instructed`), and the gateway judges it as if it had come just now: what cannot be held is opted out of again. An
opt stands for the modification it was given for; a higher modification is a new question.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

from vpp_gateway.catalogue import Told
from vpp_gateway.domain.fact import Instructed, Withdrawn
from vpp_gateway.northbound.openadr2.desk import Desk, Facts
from vpp_gateway.northbound.openadr2.facts import Opted
from vpp_gateway.northbound.openadr2.mapping import instruction_id
from vpp_gateway.northbound.openadr2.operate_view import Shown
from vpp_gateway.northbound.openadr2.opt_change import change, usual_reason
from vpp_gateway.northbound.openadr2.opt_facts import OptCancelWanted, OptCreated, Origin
from vpp_gateway.northbound.openadr2.opt_words import OPT_REASONS, Availability, Opt, valid_reason
from vpp_gateway.northbound.openadr2.opts import HeldOpt
from vpp_gateway.northbound.openadr2.state import HeldEvent
from vpp_gateway.northbound.openadr2.xml_text import shown as quoted

INTERVALS_MAX = 500
"""Of one schedule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A schedule as the operator gives it."""

    opt: Opt
    reason: str
    available: tuple[Availability, ...]
    market_context: str | None = None
    ven_ids: tuple[str, ...] = ()
    resource_ids: tuple[str, ...] = ()
    group_ids: tuple[str, ...] = ()
    party_ids: tuple[str, ...] = ()
    device_classes: tuple[str, ...] = ()
    origin: Origin = "operator"


def opt(desk: Desk, event_id: str, wanted: Opt, reason: str, now: float) -> tuple[Facts, Shown]:
    """The operator overrides the opt of an event.

    Raises:
        Told: The event is unknown, over, cancelled or was refused; or the reason is none of the schema's.
    """
    _check_reason(reason)
    held = _event(desk, event_id, now)
    told: Shown = {"event": event_id, "modification": held.modification, "opt": wanted}
    if held.opt == wanted:
        return [], told
    text = f"operator: {reason or wanted}"
    facts = change(desk, held, wanted, text, now, origin="operator", reason=reason or None)
    return [*facts, *_gateway(desk, held, wanted, now)], told


def create_for_event(desk: Desk, event_id: str, wanted: Opt, reason: str, now: float) -> tuple[Facts, Shown]:
    """oadrCreateOpt for an event, also where its opt stays what it is; from then on its changes go this way."""
    _check_reason(reason)
    held = _event(desk, event_id, now)
    said = desk.state.opts.of_event(event_id)
    opt_id = desk.new_id()
    facts: Facts = []
    if held.opt != wanted:
        facts.append(
            Opted(
                at=now,
                room=desk.room,
                event_id=event_id,
                modification=held.modification,
                opt=wanted,
                reason=f"operator: {reason or wanted}",
            )
        )
    facts += [OptCancelWanted(at=now, room=desk.room, opt_id=one.created.opt_id) for one in said if one.live]
    facts.append(
        OptCreated(
            at=now,
            room=desk.room,
            opt_id=opt_id,
            opt=wanted,
            reason=reason or usual_reason(wanted, "operator"),
            origin="operator",
            event_id=event_id,
            modification=held.modification,
            before=said[0].created.before if said else held.opt,
        )
    )
    if held.opt != wanted:
        facts += _gateway(desk, held, wanted, now)
    return facts, {"event": event_id, "modification": held.modification, "opt": wanted, "opt_id": opt_id}


def create_schedule(desk: Desk, draft: Draft, now: float) -> tuple[Facts, Shown]:
    """oadrCreateOpt with a vavailability.

    Raises:
        Told: There is no interval, one is over or not of whole seconds, or they overlap.
    """
    _check_reason(draft.reason)
    spans = tuple(sorted(draft.available, key=lambda one: one.start_at))
    if not 1 <= len(spans) <= INTERVALS_MAX:
        raise Told("ven.schedule_count", found=len(spans), most=INTERVALS_MAX)
    for span in spans:
        if span.duration_s < 1 or span.duration_s != round(span.duration_s):
            raise Told("ven.schedule_duration", found=f"{span.duration_s:g}")
    if spans[-1].end_at <= now:
        raise Told("ven.schedule_over")
    if any(after.start_at < before.end_at for before, after in itertools.pairwise(spans)):
        raise Told("ven.schedule_overlap")
    opt_id = desk.new_id()
    made = OptCreated(
        at=now,
        room=desk.room,
        opt_id=opt_id,
        opt=draft.opt,
        reason=draft.reason or usual_reason(draft.opt, draft.origin),
        origin=draft.origin,
        available=spans,
        market_context=draft.market_context,
        ven_ids=draft.ven_ids,
        resource_ids=draft.resource_ids,
        group_ids=draft.group_ids,
        party_ids=draft.party_ids,
        device_classes=draft.device_classes,
    )
    return [made], {"opt": draft.opt, "opt_id": opt_id, "intervals": len(spans)}


def cancel(desk: Desk, opt_id: str, now: float) -> tuple[Facts, Shown]:
    """oadrCancelOpt; what was said of an event before its oadrCreateOpt counts again.

    Raises:
        Told: No such opt.
    """
    known = desk.state.opts.held.get(opt_id)
    if known is None:
        raise Told("ven.unknown_opt", found=opt_id, known=", ".join(desk.state.opts.held) or "-")
    told: Shown = {"opt_id": opt_id}
    if known.standing in ("cancelling", "cancelled"):
        return [], told
    facts: Facts = [OptCancelWanted(at=now, room=desk.room, opt_id=opt_id)]
    return [*facts, *_restored(desk, known, now)], told


def _restored(desk: Desk, known: HeldOpt, now: float) -> Facts:
    """The event's opt from before, unless it is the same or nothing was said before."""
    made = known.created
    held = desk.state.events.get(made.event_id or "")
    before = made.before
    if held is None or before is None or held.opt == before or known.standing == "refused":
        return []
    if held.modification != made.modification or held.event_id not in desk.state.instructions:
        return []  # a later modification has been answered for itself
    back = Opted(
        at=now,
        room=desk.room,
        event_id=held.event_id,
        modification=held.modification,
        opt=before,
        reason="the opt was cancelled",
    )
    return [back, *_gateway(desk, held, before, now)]


def _gateway(desk: Desk, held: HeldEvent, wanted: Opt, now: float) -> Facts:
    """What the gateway is told of a changed opt."""
    if wanted == "optOut":
        if held.opt != "optIn":
            return []
        return [
            Withdrawn(
                at=now,
                instruction=instruction_id(desk.room, held.event_id),
                modification=held.modification,
                cause="opted-out",
            )
        ]
    instruction = desk.state.instructions[held.event_id]
    return [Instructed(at=now, instruction=replace(instruction, received_at=now))]


def _event(desk: Desk, event_id: str, now: float) -> HeldEvent:
    held = desk.state.events.get(event_id)
    if held is None:
        raise Told("ven.unknown_event", found=event_id, known=", ".join(desk.state.events) or "-")
    if held.cancelled or held.ending_at is not None:
        raise Told("ven.event_cancelled", event=event_id)
    if held.end_at is not None and held.end_at <= now:
        raise Told("ven.event_over", event=event_id)
    if not held.instructed or event_id not in desk.state.instructions:
        raise Told("ven.event_refused", event=event_id)
    return held


def _check_reason(reason: str) -> None:
    if reason and not valid_reason(reason):
        raise Told("ven.reason", found=quoted(reason), allowed=", ".join(OPT_REASONS))
