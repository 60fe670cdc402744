"""A changed opt of an event reaches the VTN by exactly one path (rule 206).

    first answer                                     oadrCreatedEvent, as the event asks
    a change, no oadrCreateOpt was sent for it       as the program says (`opt.change_by`)
    a change after an oadrCreateOpt                  oadrCancelOpt of that one, a new oadrCreateOpt
    a new modification after an oadrCreateOpt        oadrCreatedEvent, since the modification wants its answer, and
                                                     a new oadrCreateOpt when the opt is another one

An event with response required `never` gets no oadrCreatedEvent (rule 12); what the operator says of it goes by
oadrCreateOpt.
"""

from __future__ import annotations

from vpp_gateway.northbound.openadr2.desk import Desk, Facts
from vpp_gateway.northbound.openadr2.facts import Opted, ResponseOwed
from vpp_gateway.northbound.openadr2.opt_facts import OptCancelWanted, OptCreated, Origin
from vpp_gateway.northbound.openadr2.opt_words import Opt
from vpp_gateway.northbound.openadr2.state import HeldEvent


def change(
    desk: Desk,
    held: HeldEvent,
    opt: Opt,
    text: str,
    now: float,
    *,
    origin: Origin,
    reason: str | None = None,
    skip: int = 0,
) -> Facts:
    """Facts that the opt on `held` is `opt` from now on, and that the VTN is told.

    Args:
        text: Why, in words.
        reason: optReason, should it go by oadrCreateOpt; None = the usual one.
        skip: Outbox numbers already taken in the same turn.
    """
    facts: Facts = [
        Opted(
            at=now,
            room=desk.room,
            event_id=held.event_id,
            modification=held.modification,
            opt=opt,
            reason=text,
        )
    ]
    said = desk.state.opts.of_event(held.event_id)
    changes = held.opt is not None
    by_opt = (
        bool(said)
        or (changes and desk.program.opt.change_by == "create-opt")
        or (origin == "operator" and not held.answer_required)
    )
    if held.answer_required and not (changes and by_opt):
        facts.append(response(desk, held, opt, text, now, skip))
    if not by_opt:
        return facts
    live = [known for known in said if known.live]
    if not changes and live and live[-1].created.opt == opt:
        return facts
    facts += [OptCancelWanted(at=now, room=desk.room, opt_id=known.created.opt_id) for known in live]
    facts.append(
        OptCreated(
            at=now,
            room=desk.room,
            opt_id=desk.new_id(),
            opt=opt,
            reason=reason or usual_reason(opt, origin),
            origin=origin,
            event_id=held.event_id,
            modification=held.modification,
            before=said[0].created.before if said else held.opt,
        )
    )
    return facts


def response(desk: Desk, held: HeldEvent, opt: Opt, text: str, now: float, skip: int = 0) -> ResponseOwed:
    """The fact that an eventResponse is to be sent."""
    return ResponseOwed(
        at=now,
        room=desk.room,
        number=desk.state.next_number + skip,
        event_id=held.event_id,
        modification=held.modification,
        request_id=held.request_id,
        code="200",
        description=text,
        opt=opt,
    )


def usual_reason(opt: Opt, origin: Origin) -> str:
    """optReason where nobody gave one."""
    if opt == "optIn":
        return "participating"
    return "overrideStatus" if origin == "operator" else "notParticipating"
