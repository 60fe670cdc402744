"""What each received message means: facts, and the pace that follows.

Error codes of the whole exchange (only their class is fixed by rule 48; the readings below are the field's):

    463, and 452 on a poll      the VTN does not know us    register again
    452, 461 on a report        it does not know the order  close the report, offer METADATA again
    4xx on something owed       it does not want it         given up, named to the operator
"""

from __future__ import annotations

from vpp_gateway.northbound.openadr2 import hear_opt, hear_party, hear_report
from vpp_gateway.northbound.openadr2.desk import Desk, Facts, Sent, reply_owed
from vpp_gateway.northbound.openadr2.facts import (
    ReportClosed,
    Settled,
)
from vpp_gateway.northbound.openadr2.judge import Judge
from vpp_gateway.northbound.openadr2.messages import (
    CanceledPartyRegistration,
    CancelPartyRegistration,
    CreatedPartyRegistration,
    CreatePartyRegistration,
    DistributeEvent,
    Message,
    Poll,
    QueryRegistration,
    RequestEvent,
    RequestReregistration,
    Response,
    name_of,
)
from vpp_gateway.northbound.openadr2.opt_words import CanceledOpt, CreatedOpt
from vpp_gateway.northbound.openadr2.report_words import (
    CancelReport,
    CreateReport,
    EiResponse,
    RegisteredReport,
    RegisterReport,
    UpdatedReport,
    UpdateReport,
)
from vpp_gateway.northbound.openadr2.state import Phase
from vpp_gateway.northbound.openadr2.xml_text import shown

GIVE_UP_AFTER = 5
"""Sendings of something owed that the VTN's server fails on, until it is given up."""


def message(desk: Desk, sent: Sent, said: Message, now: float) -> Facts:
    """Facts that follow from the answer `said` to `sent`."""
    error = _error_of(said)
    if error is not None and not isinstance(said, CreatedPartyRegistration):
        return _peer_error(desk, sent, error, now)
    facts = settle(desk, sent, now)
    match said:
        case Response():
            facts += _quiet(desk, sent, now)
        case CreatedPartyRegistration():
            facts += hear_party.created(desk, sent, said, now)
        case DistributeEvent() if isinstance(sent.post.message, Poll | RequestEvent):
            facts += events(desk, said, now)
        case CreateReport():
            facts += hear_report.orders(desk, said.requests, said.request_id, now)
        case RegisteredReport():
            facts += hear_report.registered(desk, sent, said, now)
        case CancelReport():
            facts += hear_report.cancel(desk, said, now)
        case UpdatedReport():
            facts += hear_report.updated(desk, sent, now)
            if said.cancel is not None:
                facts += hear_report.cancel(desk, said.cancel, now, len(facts))
        case RegisterReport():
            facts.append(reply_owed(desk, "registered-report", said.request_id, now))
        case UpdateReport():
            facts.append(hear_report.theirs(desk, said, now))
        case RequestReregistration():
            facts += hear_party.reregister(desk, now)
        case CancelPartyRegistration():
            facts += hear_party.cancelled_by_vtn(desk, said, now)
        case CreatedOpt() | CanceledOpt():
            facts += hear_opt.taken(desk, sent, said.opt_id, now)
        case CanceledPartyRegistration() if desk.state.phase is Phase.LEAVING:
            facts += hear_party.leave(desk, "ven", "cancelled at our request", now)
        case _:
            reason = f"{name_of(said)} is no answer to {name_of(sent.post.message)}"
            desk.refuse("unexpected", reason)
    if sent.parcel is not None and desk.pace.parcel is not None:  # answered, but not as a report is
        hear_report.hold(desk, now)
    if sent.opt_id and not isinstance(said, CreatedOpt | CanceledOpt | Response):  # nor as an opt is
        hear_opt.hold(desk, now)
    if (
        not facts
        and desk.state.phase not in (Phase.REGISTERED, Phase.CANCELLED)
        and desk.pace.hold_until <= now
    ):
        desk.fail(now, f"{name_of(said)} does not bring {desk.state.phase} forward")
    if isinstance(sent.post.message, Poll | RequestEvent) and desk.state.listening:
        _polled(desk, sent, said, now)
    return facts


def empty(desk: Desk, sent: Sent, now: float) -> Facts:
    """HTTP 200 without a body: the usual end of an exchange that the VEN began with an answer."""
    if not sent.owed:
        desk.refuse("empty", f"{name_of(sent.post.message)} was answered with an empty body")
        if not isinstance(sent.post.message, Poll):
            desk.fail(now, desk.pace.last_refusal)
        if sent.opt_id:
            return hear_opt.undelivered(desk, sent, desk.pace.last_refusal, now, reached=True)
        return []
    return settle(desk, sent, now)


def settle(desk: Desk, sent: Sent, now: float) -> Facts:
    """What the exchange carried is the VTN's now."""
    for number in sent.owed:
        desk.pace.attempts.pop(number, None)
    if not sent.owed:
        return []
    return [Settled(at=now, room=desk.room, numbers=sent.owed, outcome="taken", detail="")]


def undelivered(desk: Desk, sent: Sent, detail: str, now: float, *, reached: bool) -> Facts:
    """The exchange failed below the protocol. `reached`: the VTN's server did answer, but not with OpenADR."""
    if isinstance(sent.post.message, Poll | RequestEvent):  # the lost reply may have carried the list
        desk.pace.refresh = True
    if sent.parcel is not None:
        hear_report.hold(desk, now)
    if sent.opt_id:
        return hear_opt.undelivered(desk, sent, detail, now, reached=reached)
    if not reached:
        return []
    if (
        isinstance(sent.post.message, RegisterReport)
        and desk.pace.failures >= GIVE_UP_AFTER
        and not sent.owed
    ):
        desk.pace.trouble = f"{detail}; going on without reports"
        return [hear_report.taken(desk, now)]
    desk.pace.attempts.update(sent.owed)
    hopeless = tuple(number for number in sent.owed if desk.pace.attempts[number] >= GIVE_UP_AFTER)
    for number in hopeless:
        del desk.pace.attempts[number]
    if not hopeless:
        return []
    return [Settled(at=now, room=desk.room, numbers=hopeless, outcome="given-up", detail=detail)]


def _error_of(said: Message) -> EiResponse | None:
    response = getattr(said, "response", None)
    return response if isinstance(response, EiResponse) and not response.ok else None


def _peer_error(desk: Desk, sent: Sent, error: EiResponse, now: float) -> Facts:
    name = name_of(sent.post.message)
    trouble = f"the VTN answered {name} with {error.code} {shown(error.description, 200)}"
    polled = isinstance(sent.post.message, Poll | RequestEvent)
    if desk.state.listening and (error.code == "463" or (error.code == "452" and polled)):
        desk.pace.relapses += 1
        desk.pace.trouble = f"{trouble}; registering again"
        if desk.pace.relapses > 1:
            desk.pace.hold_until = now + desk.backoff_s(desk.pace.relapses)
        return [hear_party.unknown(desk, trouble, now)]
    if sent.opt_id:
        return hear_opt.refused(desk, sent, error.code, trouble, now)
    if sent.owed:
        desk.refuse("answer refused", trouble)
        return [Settled(at=now, room=desk.room, numbers=sent.owed, outcome="refused", detail=trouble)]
    if sent.parcel is not None and error.code in ("452", "461"):
        desk.pace.parcel = None
        desk.pace.trouble = f"{trouble}; offering the report again"
        closed = ReportClosed(at=now, room=desk.room, request_id=sent.parcel.duty, cause="unknown")
        return [closed, reply_owed(desk, "register-report", "", now)]
    if sent.parcel is not None:
        hear_report.hold(desk, now)
        desk.pace.trouble = trouble
        return []
    if desk.state.phase is Phase.LEAVING:
        return hear_party.leave(desk, "ven", f"{trouble}; left all the same", now)
    if (desk.state.phase is Phase.REPORTING and not polled) or hear_report.offered(sent):
        desk.pace.trouble = f"{trouble}; going on without reports"
        return [hear_report.taken(desk, now)]
    desk.fail(now, trouble)
    asked = sent.post.message
    if isinstance(asked, CreatePartyRegistration) and (asked.registration_id or desk.membership.ven_id):
        return [hear_party.unknown(desk, trouble, now)]
    return []


def _quiet(desk: Desk, sent: Sent, now: float) -> Facts:
    """oadrResponse 200: nothing more to say."""
    if sent.parcel is not None:
        return hear_report.updated(desk, sent, now)
    if sent.opt_id:
        return hear_opt.taken(desk, sent, None, now)
    match sent.post.message:
        case RegisterReport() if not sent.owed:
            return [hear_report.taken(desk, now)]
        case QueryRegistration() | CreatePartyRegistration():
            desk.fail(
                now,
                f"{name_of(sent.post.message)}: expected oadrCreatedPartyRegistration, found oadrResponse",
            )
        case CancelPartyRegistration():
            return hear_party.leave(desk, "ven", "cancelled at our request", now)
    return []


def events(desk: Desk, said: DistributeEvent, now: float) -> Facts:
    """The VTN's list of events, fetched or posted to us."""
    if not desk.state.listening:
        desk.refuse("unexpected", "oadrDistributeEvent while not registered")
        return []
    judge = Judge(
        state=desk.state,
        party=desk.party,
        program=desk.program,
        rng=desk.rng,
        now=now,
        endpoint=desk.pace.endpoint,
    )
    judge.distribute(said)
    for reason in judge.refusals:
        desk.refuse("event", reason)
    desk.pace.remarks = tuple(judge.remarks)
    return judge.facts


def _polled(desk: Desk, sent: Sent, said: Message, now: float) -> None:
    """Pace after a good poll."""
    pace, polling = desk.pace, desk.program.polling
    if isinstance(sent.post.message, RequestEvent):
        pace.refresh = False
        if desk.pushed:  # there are no polls to show that we are still known
            pace.relapses = 0
        return
    pace.relapses = 0 if isinstance(said, Response | DistributeEvent) else pace.relapses
    if isinstance(said, Response) or desk.state.poll_s is not None:
        pace.drained = 0
    elif pace.drained < polling.drain_max:
        pace.drained += 1
        pace.next_poll_at = now
