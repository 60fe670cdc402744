"""Push: what a message that the VTN posts to us means, and what it gets in the HTTP response.

    oadrDistributeEvent            oadrResponse; the opts follow as an oadrCreatedEvent of our own
    oadrCreateReport               oadrCreatedReport       (METADATA: oadrRegisterReport follows)
    oadrCancelReport               oadrCanceledReport
    oadrRegisterReport             oadrRegisteredReport
    oadrUpdateReport               oadrUpdatedReport 452: we order none (rule 304)
    oadrRequestReregistration      oadrResponse; the registration follows
    oadrCancelPartyRegistration    oadrCanceledPartyRegistration
    for another venID or vtnID     the same with 452 (rule 21)
    while we are not registered    the same with 463
    anything else                  oadrResponse 451
    a nonce used before            no message, HTTP 403

What would be owed with pull, and then posted, is the reply here: it is not kept, for a VTN that got none posts again.
Taking the same message twice changes nothing the second time. A message that comes says nothing of whether our own posts
arrive, so neither back-off nor choice of address is touched.
"""

from __future__ import annotations

from dataclasses import dataclass

from vpp_gateway.northbound.openadr2 import hear, hear_party, hear_report, speak
from vpp_gateway.northbound.openadr2.desk import Desk, Facts
from vpp_gateway.northbound.openadr2.facts import (
    NonceSeen,
    ReplyOwed,
    ReportClosed,
    ReportRequested,
)
from vpp_gateway.northbound.openadr2.messages import (
    CancelPartyRegistration,
    DistributeEvent,
    Message,
    Pushed,
    Reply,
    RequestReregistration,
    name_of,
)
from vpp_gateway.northbound.openadr2.misaddressed import for_another, reply_to
from vpp_gateway.northbound.openadr2.report_words import (
    CancelReport,
    CreateReport,
    RegisterReport,
    ReportRequest,
    UpdateReport,
)
from vpp_gateway.northbound.openadr2.reports import accept
from vpp_gateway.northbound.openadr2.signature import ReplayGuard
from vpp_gateway.northbound.openadr2.state import Phase
from vpp_gateway.northbound.openadr2.xml_text import shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What follows from one message."""

    facts: Facts
    reply: Reply


def pushed(desk: Desk, guard: ReplayGuard, said: Pushed, now: float) -> Heard:
    """Judge one message and say the reply."""
    if said.nonce is not None and said.signed_at is not None:
        stale = guard.check(said.signed_at, said.nonce, now)
        if stale:
            desk.refuse("replay", stale)
            return Heard(
                facts=[],
                reply=Reply(number=said.number, message=None, status=403, detail=f"signature: {stale}"),
            )
        guard.remember(said.signed_at, said.nonce)
    facts, answer = _judged(desk, said.message, now)
    reply = Reply(number=said.number, message=_written(desk, facts, answer, now))
    if facts and said.nonce is not None and said.signed_at is not None:
        facts.append(NonceSeen(at=now, room=desk.room, nonce=said.nonce, signed_at=said.signed_at))
    return Heard(facts=facts, reply=reply)


def _judged(desk: Desk, message: Message, now: float) -> tuple[Facts, ReplyOwed]:
    """(facts without the reply, the reply)."""
    if desk.program.transport != "push":
        reason = f"{name_of(message)}: this VEN fetches its messages"
        desk.refuse("unexpected", reason)
        return [], reply_to(desk, message, "451", reason, now)
    if not desk.state.listening:
        if desk.state.phase is Phase.REGISTERING and isinstance(message, RequestReregistration):
            return [], reply_to(desk, message, "200", "registering already", now)
        desk.refuse("unexpected", f"{name_of(message)} while not registered")
        return [], reply_to(desk, message, "463", f"not registered, {desk.state.phase.value}", now)
    reason = for_another(desk, message) or _of_another(desk, message)
    if reason:
        desk.refuse("misaddressed", reason)
        return [], reply_to(desk, message, "452", reason, now)
    desk.pace.last_contact_at = now
    facts: Facts
    match message:
        case DistributeEvent():
            facts = hear.events(desk, message, now)
        case CreateReport():
            fresh = tuple(one for one in message.requests if not _running(desk, one))
            facts = hear_report.orders(desk, fresh, message.request_id, now)
        case CancelReport():
            facts = hear_report.cancel(desk, message, now)
        case RegisterReport():
            facts = []
        case UpdateReport():
            facts = [hear_report.theirs(desk, message, now)]
        case RequestReregistration():
            facts = hear_party.reregister(desk, now)
        case CancelPartyRegistration():
            facts = hear_party.cancelled_by_vtn(desk, message, now)
        case _:
            reason = f"{name_of(message)} is nothing that a VTN posts to a VEN"
            desk.refuse("unexpected", reason)
            return [], reply_to(desk, message, "451", reason, now)
    replies = [fact for fact in facts if isinstance(fact, ReplyOwed) and fact.kind != "register-report"]
    rest = [fact for fact in facts if fact not in replies]
    return rest, replies[0] if replies else reply_to(desk, message, "200", "OK", now)


def _of_another(desk: Desk, message: Message) -> str:
    """Why a list is not of our VTN; empty when it is."""
    expected = desk.program.vtn_id or desk.membership.vtn_id
    if not isinstance(message, DistributeEvent) or expected is None or message.vtn_id == expected:
        return ""
    return f"oadrDistributeEvent: expected vtnID {shown(expected)}, found {shown(message.vtn_id)}"


def _running(desk: Desk, request: ReportRequest) -> bool:
    """The VTN posts an order again when its reply was lost: the report that runs is not begun anew.

    One that asks for anything else under the same reportRequestID is a new order.
    """
    duty = desk.state.duties.get(request.request_id)
    accepted = accept(request, desk.offer, room=desk.room, now=0.0)
    if duty is None or duty.ending or isinstance(accepted, tuple):
        return False
    lasts_s = None if duty.end_at is None else duty.end_at - duty.start_at
    held = (duty.specifier_id, duty.r_ids, duty.granularity_s, duty.back_duration_s, lasts_s or 0.0)
    asked = (accepted.specifier_id, accepted.r_ids, accepted.granularity_s, accepted.back_duration_s)
    return held == (*asked, request.duration_s or 0.0) and request.start_at in (None, duty.start_at)


def _written(desk: Desk, facts: Facts, answer: ReplyOwed, now: float) -> Message:
    """The reply as a message. Its facts are not applied yet, so what they change is counted here."""
    running = dict.fromkeys(desk.state.duties)
    for fact in facts:
        if isinstance(fact, ReportRequested):
            running[fact.request_id] = None
        elif isinstance(fact, ReportClosed):
            running.pop(fact.request_id, None)
    return speak.reply_of(desk, answer, now, tuple(running))[1]
