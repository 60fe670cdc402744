"""Reports: what the VTN's words on them mean."""

from __future__ import annotations

from vpp_gateway.northbound.openadr2 import reports
from vpp_gateway.northbound.openadr2.desk import Desk, Facts, Sent, reply_owed
from vpp_gateway.northbound.openadr2.facts import (
    ReplyOwed,
    ReportClosed,
    ReportEnding,
    ReportSent,
    ReportsRegistered,
)
from vpp_gateway.northbound.openadr2.messages import name_of
from vpp_gateway.northbound.openadr2.report_offer import METADATA
from vpp_gateway.northbound.openadr2.report_words import (
    CancelReport,
    RegisteredReport,
    RegisterReport,
    ReportRequest,
    UpdateReport,
)
from vpp_gateway.northbound.openadr2.state import Phase
from vpp_gateway.northbound.openadr2.xml_text import shown


def hold(desk: Desk, now: float) -> None:
    """The VTN does not take a report now: it waits, the polls go on."""
    desk.pace.report_failures += 1
    desk.pace.report_hold_until = now + desk.backoff_s(desk.pace.report_failures)


def orders(desk: Desk, requests: tuple[ReportRequest, ...], request_id: str, now: float) -> Facts:
    """oadrCreateReport: each request keeps its own rIDs; one bad request does not spoil the others."""
    facts: Facts = []
    code, text = "200", "OK"
    asked: list[str] = []
    for request in requests:
        if request.specifier_id == METADATA:
            asked.append(request.request_id)
            continue
        accepted = reports.accept(request, desk.offer, room=desk.room, now=now)
        if isinstance(accepted, tuple):
            code, text = accepted
            desk.refuse("report request", f"report request {shown(request.request_id)}: {code} {text}")
        else:
            if desk.pace.parcel is not None and desk.pace.parcel.duty == accepted.request_id:
                desk.pace.parcel = None  # the order is replaced, and its points with it
            facts.append(accepted)
    facts.append(reply_owed(desk, "created-report", request_id, now, code, text))
    for skip, one in enumerate(dict.fromkeys(asked), 1):
        facts.append(reply_owed(desk, "register-report", one, now, skip=skip))
    return facts


def theirs(desk: Desk, said: UpdateReport, now: float) -> ReplyOwed:
    """oadrUpdateReport from the VTN: we order none, so its reportRequestID is nobody's (rule 304)."""
    named = ", ".join(shown(report.request_id) for report in said.reports) or "none"
    text = f"reportRequestID: expected none, as this VEN orders no reports; found {named}"
    desk.refuse("unexpected", text)
    return reply_owed(desk, "updated-report", said.request_id, now, "452", text)


def offered(sent: Sent) -> bool:
    """We told the VTN, unasked, what can be reported."""
    return isinstance(sent.post.message, RegisterReport) and not sent.owed


def taken(desk: Desk, now: float) -> ReportsRegistered:
    """What is offered now needs not be said again."""
    return ReportsRegistered(at=now, room=desk.room, digest="" if desk.offer is None else desk.offer.digest)


def registered(desk: Desk, sent: Sent, said: RegisteredReport, now: float) -> Facts:
    """oadrRegisteredReport: our METADATA are taken; orders may come with it."""
    facts: Facts = []
    if desk.state.phase is Phase.REPORTING or offered(sent):
        facts.append(taken(desk, now))
    if said.requests:
        facts += orders(desk, said.requests, said.response.request_id, now)
    return facts


def cancel(desk: Desk, said: CancelReport, now: float, skip: int = 0) -> Facts:
    """oadrCancelReport, polled or piggy-backed: end the reports named, or finish them with a last one."""
    facts: Facts = []
    code, text = "200", "OK"
    for request_id in said.report_request_ids:
        if request_id not in desk.state.duties:
            code, text = "452", f"reportRequestID: expected a running report, found {shown(request_id)}"
        elif said.follow:
            facts.append(ReportEnding(at=now, room=desk.room, request_id=request_id))
        else:
            facts.append(ReportClosed(at=now, room=desk.room, request_id=request_id, cause="cancelled"))
    facts.append(reply_owed(desk, "canceled-report", said.request_id, now, code, text, skip))
    return facts


def updated(desk: Desk, sent: Sent, now: float) -> Facts:
    """oadrUpdatedReport: the points are the VTN's."""
    parcel = sent.parcel
    if parcel is None:
        desk.refuse("unexpected", f"oadrUpdatedReport is no answer to {name_of(sent.post.message)}")
        return []
    desk.pace.parcel, desk.pace.report_failures, desk.pace.report_hold_until = None, 0, 0.0
    duty = desk.state.duties.get(parcel.duty)
    if duty is None:
        return []
    return [
        ReportSent(at=now, room=desk.room, request_id=parcel.duty, through=parcel.through, note=parcel.note)
    ]
