"""Opts: what the VTN's words on them mean.

oadrCreatedOpt 200      taken
oadrCreatedOpt 4xx      refused, named to the operator; an event's opt then goes by oadrCreatedEvent
oadrCanceledOpt 200     gone; any 4xx: the VTN does not know it, so it is gone as well
no OpenADR answer       tried again with growing pauses while the polls go on, given up after `GIVE_UP_AFTER`
"""

from __future__ import annotations

from vpp_gateway.northbound.openadr2.desk import Desk, Facts, Sent
from vpp_gateway.northbound.openadr2.messages import name_of
from vpp_gateway.northbound.openadr2.opt_change import response
from vpp_gateway.northbound.openadr2.opt_facts import OptCancelled, OptRefused, OptTaken
from vpp_gateway.northbound.openadr2.opt_words import CancelOpt
from vpp_gateway.northbound.openadr2.xml_text import shown

GIVE_UP_AFTER = 5
"""Sendings of an opt that the VTN's server fails on, until it is given up."""


def taken(desk: Desk, sent: Sent, opt_id: str | None, now: float) -> Facts:
    """oadrCreatedOpt or oadrCanceledOpt with a good code (or a bare oadrResponse 200)."""
    if not sent.opt_id or (opt_id is not None and opt_id != sent.opt_id):
        expected = shown(sent.opt_id) if sent.opt_id else "no word on an opt"
        desk.refuse("unexpected", f"{name_of(sent.post.message)}: expected {expected}, found {shown(opt_id)}")
        hold(desk, now)
        return []
    _answered(desk)
    if isinstance(sent.post.message, CancelOpt):
        return [OptCancelled(at=now, room=desk.room, opt_id=sent.opt_id)]
    return [OptTaken(at=now, room=desk.room, opt_id=sent.opt_id)]


def refused(desk: Desk, sent: Sent, code: str, detail: str, now: float) -> Facts:
    """The VTN answered with an error code."""
    _answered(desk)
    if isinstance(sent.post.message, CancelOpt):
        return [OptCancelled(at=now, room=desk.room, opt_id=sent.opt_id, detail=detail)]
    desk.refuse("opt refused", detail)
    facts: Facts = [OptRefused(at=now, room=desk.room, opt_id=sent.opt_id, code=code, detail=detail)]
    known = desk.state.opts.held.get(sent.opt_id)
    held = None if known is None else desk.state.events.get(known.created.event_id or "")
    if known is None or held is None or not held.answer_required or held.opt != known.created.opt:
        return facts
    if held.modification == known.created.modification:
        facts.append(response(desk, held, known.created.opt, held.reason, now))
    return facts


def undelivered(desk: Desk, sent: Sent, detail: str, now: float, *, reached: bool) -> Facts:
    """The exchange failed below the protocol. `reached`: a server did answer, but not with OpenADR."""
    hold(desk, now)
    if not reached:
        return []
    desk.pace.opt_attempts += 1
    if desk.pace.opt_attempts < GIVE_UP_AFTER:
        return []
    return refused(desk, sent, "", f"{detail}; given up", now)


def hold(desk: Desk, now: float) -> None:
    """The VTN does not take an opt now: it waits, the polls go on."""
    desk.pace.opt_failures += 1
    desk.pace.opt_hold_until = now + desk.backoff_s(desk.pace.opt_failures)


def _answered(desk: Desk) -> None:
    desk.pace.opt_failures, desk.pace.opt_attempts, desk.pace.opt_hold_until = 0, 0, 0.0
