"""What to say next. One exchange at a time, in this order:

    what is owed to the VTN  ->  registration  ->  METADATA  ->  opts  ->  due reports  ->  the event list  ->  poll

Everything received is answered before the next poll (rule 64). Responses to events wait for each other, so that one
oadrCreatedEvent carries them all, but never longer than the program's answer deadline.
"""

from __future__ import annotations

from typing import assert_never

from vpp_gateway.northbound.openadr2 import report_offer, reports, silence, speak_opt
from vpp_gateway.northbound.openadr2.desk import Desk, Facts, Parcel, Sent
from vpp_gateway.northbound.openadr2.facts import Opted, ReplyOwed, ReportClosed, ReportSent, ResponseOwed
from vpp_gateway.northbound.openadr2.messages import (
    CanceledPartyRegistration,
    CancelPartyRegistration,
    CreatedEvent,
    CreatePartyRegistration,
    EventResponse,
    Message,
    Poll,
    Post,
    QueryRegistration,
    RequestEvent,
    Response,
    Service,
)
from vpp_gateway.northbound.openadr2.report_words import (
    CanceledReport,
    CreatedReport,
    EiResponse,
    RegisteredReport,
    RegisterReport,
    UpdatedReport,
    UpdateReport,
)
from vpp_gateway.northbound.openadr2.state import Phase
from vpp_gateway.northbound.turn import Telemetry


def overdue(desk: Desk, now: float) -> Facts:
    """Let go of events after too long a silence; opt out of those without a decision by the program's deadline."""
    facts = silence.due(desk, now)
    if facts:
        return facts
    deadline_s = desk.program.answer_deadline_s
    late = [
        event for event in desk.state.events.values() if event.undecided and event.held_at + deadline_s <= now
    ]
    for offset, event in enumerate(late):
        reason = f"no decision within {deadline_s:g} s"
        facts.append(
            Opted(
                at=now,
                room=desk.room,
                event_id=event.event_id,
                modification=event.modification,
                opt="optOut",
                reason=reason,
            )
        )
        facts.append(
            ResponseOwed(
                at=now,
                room=desk.room,
                number=desk.state.next_number + offset,
                event_id=event.event_id,
                modification=event.modification,
                request_id=event.request_id,
                code="200",
                description=reason,
                opt="optOut",
            )
        )
    return facts


def answerable(desk: Desk) -> tuple[ResponseOwed | ReplyOwed, ...]:
    """What of the outbox can be sent in the present phase."""
    state = desk.state
    owed = tuple(state.owed.values())
    if state.listening:
        waiting = any(event.undecided for event in state.events.values())
        return tuple(one for one in owed if isinstance(one, ReplyOwed) or not waiting)
    kind = "canceled-registration" if state.phase is Phase.CANCELLED else "response"
    return tuple(one for one in owed if isinstance(one, ReplyOwed) and one.kind == kind)


def next_at(desk: Desk) -> float | None:
    """When there is something to send, not counting the back-off (UTC, Unix s; 0 = at once)."""
    state, pace = desk.state, desk.pace
    if (
        answerable(desk)
        or desk.offer_changed
        or state.phase
        in (
            Phase.UNREGISTERED,
            Phase.REGISTERING,
            Phase.REPORTING,
            Phase.LEAVING,
        )
    ):
        return 0.0
    if state.phase is Phase.CANCELLED:
        return None
    times = [] if _waiting(desk) or _idle(desk) else [0.0 if pace.refresh else pace.next_poll_at or 0.0]
    times += [at for at in (_report_at(desk), speak_opt.next_at(desk)) if at is not None]
    return min(times, default=None)


def say_next(desk: Desk, now: float, telemetry: Telemetry) -> tuple[Facts, Sent | None]:
    """The next exchange, if one is due; or facts that must be durable before it."""
    owed = answerable(desk)
    if owed:
        return [], _owed(desk, owed, now)
    match desk.state.phase:
        case Phase.UNREGISTERED if desk.program.query_first:
            return [], _sent(desk, "EiRegisterParty", QueryRegistration(request_id=desk.new_id()), now)
        case Phase.UNREGISTERED | Phase.REGISTERING:
            return [], _sent(desk, "EiRegisterParty", _registration(desk), now)
        case Phase.LEAVING:
            return [], _sent(desk, "EiRegisterParty", _leave(desk), now)
        case Phase.REPORTING:
            return [], _sent(desk, "EiReport", _metadata(desk, "", now), now)
        case Phase.REGISTERED if desk.offer_changed:
            return [], _sent(desk, "EiReport", _metadata(desk, "", now), now)
        case Phase.REGISTERED:
            facts, due = speak_opt.say(desk, now, telemetry)
            if facts or due is not None:
                return facts, due
            return _report_or_poll(desk, now, telemetry)
        case Phase.CANCELLED:
            return [], None
        case _:
            assert_never(desk.state.phase)


def _sent(
    desk: Desk,
    service: Service,
    message: Message,
    now: float,
    owed: tuple[int, ...] = (),
    parcel: Parcel | None = None,
) -> Sent:
    desk.pace.number += 1
    post = Post(number=desk.pace.number, service=service, message=message, endpoint=desk.pace.endpoint)
    return Sent(post=post, at=now, owed=owed, parcel=parcel)


def _owed(desk: Desk, owed: tuple[ResponseOwed | ReplyOwed, ...], now: float) -> Sent:
    """All event responses in one message, else the oldest other reply."""
    responses = tuple(one for one in owed if isinstance(one, ResponseOwed))
    if responses:
        message = CreatedEvent(
            response=EiResponse(code="200", description="OK"),
            ven_id=desk.name,
            event_responses=tuple(
                EventResponse(
                    code=one.code,
                    description=one.description,
                    request_id=one.request_id,
                    event_id=one.event_id,
                    modification=one.modification,
                    opt=one.opt,
                )
                for one in responses
            ),
        )
        return _sent(desk, "EiEvent", message, now, tuple(one.number for one in responses))
    reply = next(one for one in owed if isinstance(one, ReplyOwed))
    service, answer = reply_of(desk, reply, now)
    return _sent(desk, service, answer, now, (reply.number,))


def reply_of(
    desk: Desk, reply: ReplyOwed, now: float, running: tuple[str, ...] | None = None
) -> tuple[Service, Message]:
    """The message that is owed. `running`: reportRequestIDs in force; None = as the state says."""
    said = EiResponse(code=reply.code, description=reply.description, request_id=reply.request_id)
    pending, ven_id = tuple(desk.state.duties) if running is None else running, desk.name
    match reply.kind:
        case "response":
            return "EiRegisterParty", Response(response=said, ven_id=ven_id)
        case "created-report":
            return "EiReport", CreatedReport(response=said, pending=pending, ven_id=ven_id)
        case "canceled-report":
            return "EiReport", CanceledReport(response=said, pending=pending, ven_id=ven_id)
        case "registered-report":
            return "EiReport", RegisteredReport(response=said, ven_id=ven_id)
        case "updated-report":
            return "EiReport", UpdatedReport(response=said, ven_id=ven_id)
        case "register-report":
            return "EiReport", _metadata(desk, reply.request_id, now)
        case "canceled-registration":
            return "EiRegisterParty", CanceledPartyRegistration(
                response=said, registration_id=desk.membership.registration_id, ven_id=ven_id
            )
        case _:
            assert_never(reply.kind)


def _registration(desk: Desk) -> CreatePartyRegistration:
    return CreatePartyRegistration(
        request_id=desk.new_id(),
        registration_id=desk.membership.registration_id,
        ven_id=desk.name or None,
        ven_name=desk.ven_name,
        xml_signature=desk.signing,
        http_pull=not desk.pushed,
        transport_address=desk.push_url if desk.pushed else None,
    )


def _leave(desk: Desk) -> CancelPartyRegistration:
    return CancelPartyRegistration(
        request_id=desk.new_id(), registration_id=desk.membership.registration_id or "", ven_id=desk.name
    )


def _metadata(desk: Desk, asked_by: str, now: float) -> RegisterReport:
    """What can be reported; where the program takes no reports, an empty list says so."""
    if desk.offer is None:
        return RegisterReport(request_id=desk.new_id(), ven_id=desk.name)
    return report_offer.metadata(
        desk.offer, request_id=desk.new_id(), ven_id=desk.name, now=now, asked_by=asked_by or None
    )


def _waiting(desk: Desk) -> bool:
    return any(event.undecided for event in desk.state.events.values())


def _report_at(desk: Desk) -> float | None:
    """When the next report is due, its own back-off counted."""
    if desk.offer is None or not desk.state.duties:
        return None
    if desk.pace.parcel is not None:
        return desk.pace.report_hold_until
    rule = desk.offer.rule
    return max(
        desk.pace.report_hold_until, min(reports.due_at(duty, rule) for duty in desk.state.duties.values())
    )


def _report_or_poll(desk: Desk, now: float, telemetry: Telemetry) -> tuple[Facts, Sent | None]:
    report_at = _report_at(desk)
    due = (desk.pace.next_poll_at or 0.0) <= now and not _idle(desk)
    poll_due = not _waiting(desk) and (desk.pace.refresh or due)
    turn = not (poll_due and desk.pace.reported)  # a backlog of reports leaves the polls their turn
    if turn and desk.offer is not None and report_at is not None and report_at <= now:
        facts, sent = _report(desk, desk.offer, now, telemetry)
        desk.pace.reported = True
        if facts or sent is not None:
            return facts, sent
    if _waiting(desk):
        return [], None
    if desk.pace.refresh or due:
        desk.pace.reported = False
    if desk.pace.refresh or (due and desk.pushed):
        return [], _request(desk, now)
    if due:
        return [], _poll(desk, now)
    return [], None


def _idle(desk: Desk) -> bool:
    """With push and without a safety period nothing is asked for but in doubt."""
    return desk.pushed and desk.program.push.safety_s is None and not desk.pace.refresh


def _request(desk: Desk, now: float) -> Sent:
    """The full list; with push the next time to ask counts from here, and after a start the first poll (rule 54)."""
    if desk.pushed and desk.program.push.safety_s is not None:
        longer = 1.0 + desk.rng.uniform(0.0, desk.program.polling.jitter_share)
        desk.pace.next_poll_at = now + desk.program.push.safety_s * longer
    elif desk.pace.next_poll_at is None:
        desk.pace.next_poll_at = now + desk.poll_period_s
    return _sent(desk, "EiEvent", RequestEvent(request_id=desk.new_id(), ven_id=desk.name), now)


def _poll(desk: Desk, now: float) -> Sent:
    polling = desk.program.polling
    period_s = desk.poll_period_s
    desk.pace.next_poll_at = now + period_s * (1.0 + desk.rng.uniform(0.0, polling.jitter_share))
    return _sent(desk, "OadrPoll", Poll(ven_id=desk.name), now)


def _report(
    desk: Desk, offer: report_offer.Offer, now: float, telemetry: Telemetry
) -> tuple[Facts, Sent | None]:
    """The report most overdue: facts when an interval passes without points, an oadrUpdateReport otherwise."""
    parcel = desk.pace.parcel
    if parcel is not None and parcel.duty in desk.state.duties:
        return [], _sent(desk, "EiReport", parcel.message, now, parcel=parcel)
    desk.pace.parcel = None
    duty = min(desk.state.duties.values(), key=lambda one: reports.due_at(one, offer.rule))
    if reports.due_at(duty, offer.rule) > now:
        return [], None
    made = reports.batch(duty, offer, telemetry, now)
    if not made.points:
        facts: Facts = []
        if made.through > duty.through:
            note = made.note or "no readings"
            facts.append(
                ReportSent(
                    at=now, room=desk.room, request_id=duty.request_id, through=made.through, note=note
                )
            )
        elif reports.over(duty) or duty.ending:
            facts.append(ReportClosed(at=now, room=desk.room, request_id=duty.request_id, cause="completed"))
        return facts, None
    message = UpdateReport(
        request_id=desk.new_id(),
        ven_id=desk.name,
        reports=(reports.data_report(duty, offer, made, report_id=desk.new_id(), now=now),),
    )
    desk.pace.parcel = Parcel(duty=duty.request_id, through=made.through, note=made.note, message=message)
    return [], _sent(desk, "EiReport", message, now, parcel=desk.pace.parcel)
