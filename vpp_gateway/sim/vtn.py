"""A utility for virtual time and tests: an OpenADR 2.0b VTN that does what the script says and remembers all it hears.

    script:  add_event  modify  cancel  drop (implied cancel)  queue(any message)  order_report  forget_ven
    VEN:     every message it sends is kept in `heard`, with its time; opts and report points also by name

Pure: `answer(service, message, now)` takes and gives typed messages. `sim.vtn_http` puts it behind HTTPS. It plays
the other side with the VEN's own words, but shares no logic with the VEN: what it answers is written out here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from vpp_gateway.clock import Rng, uuid
from vpp_gateway.errors import MisuseError
from vpp_gateway.northbound.openadr2.messages import (
    CanceledPartyRegistration,
    CancelPartyRegistration,
    CreatedEvent,
    CreatedPartyRegistration,
    CreatePartyRegistration,
    DistributeEvent,
    Event,
    EventResponse,
    Message,
    Poll,
    QueryRegistration,
    RequestEvent,
    RequestReregistration,
    Response,
    Service,
    Signal,
    SignalInterval,
    Targets,
)
from vpp_gateway.northbound.openadr2.opt_words import CanceledOpt, CancelOpt, CreatedOpt, CreateOpt
from vpp_gateway.northbound.openadr2.report_words import (
    CancelReport,
    CreateReport,
    EiResponse,
    Point,
    RegisteredReport,
    RegisterReport,
    ReportRequest,
    Unit,
    UpdatedReport,
    UpdateReport,
    Wanted,
)

WATTS = Unit(name="powerReal", units="W", scale="none", hertz=50.0, voltage=6600.0, ac=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One message of the VEN."""

    at: float
    service: Service
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardOpt:
    """What the VEN said about an event."""

    at: float
    response: EventResponse


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardPoint:
    """One report point as it came in."""

    at: float
    report_request_id: str
    point: Point


def dispatch(
    event_id: str,
    *,
    start_at: float,
    duration_s: float,
    value: float,
    type: str = "delta",
    name: str = "LOAD_DISPATCH",
    unit: Unit | None = WATTS,
    resource_ids: Sequence[str] = (),
    ven_ids: Sequence[str] = (),
    market_context: str = "http://utility.example/program",
    priority: int | None = None,
    startafter_s: float = 0.0,
    response_required: bool = True,
    created_at: float = 0.0,
) -> Event:
    """An event with one signal and one interval; change it further with `dataclasses.replace`."""
    interval = SignalInterval(duration_s=duration_s, value=value, uid="0")
    signal = Signal(name=name, type=type, id=f"{event_id}-signal", intervals=(interval,), unit=unit)
    return Event(
        event_id=event_id,
        modification=0,
        status="far",
        market_context=market_context,
        start_at=start_at,
        duration_s=duration_s,
        signals=(signal,),
        targets=Targets(resource_ids=tuple(resource_ids), ven_ids=tuple(ven_ids)),
        response_required=response_required,
        created_at=created_at,
        priority=priority,
        startafter_s=startafter_s,
    )


class Vtn:
    """One VTN with one VEN.

    Args:
        ven_id: The venID it gives at registration.
        ven_name: The only oadrVenName it registers; None = any.
        poll_s: oadrRequestedOadrPollFreq; None = none is asked for.
        order: (granularity, back duration) in s of the report it orders when METADATA come in; None = none.
        rng: Chance for request ids.
    """

    def __init__(
        self,
        *,
        rng: Rng,
        vtn_id: str = "VTN-1",
        ven_id: str = "VEN-1",
        ven_name: str | None = None,
        poll_s: float | None = 10.0,
        order: tuple[float, float] | None = None,
    ) -> None:
        self.vtn_id = vtn_id
        self.ven_id = ven_id
        self.ven_name = ven_name
        self.poll_s = poll_s
        self.order = order
        self.registration_id: str | None = None
        self.heard: list[Heard] = []
        self.opts: dict[str, list[HeardOpt]] = {}
        self.live_opts: dict[str, CreateOpt] = {}
        """EiOpt: what holds, by optID."""
        self.refuse_opts = ""
        """Response code for every oadrCreateOpt; empty = they are taken."""
        self.points: list[HeardPoint] = []
        self.offered: tuple[str, ...] = ()
        """rIDs of the METADATA report."""
        self.orders: dict[str, ReportRequest] = {}
        self._rng = rng
        self._events: dict[str, Event] = {}
        self._changed = False
        self._queue: deque[Message] = deque()
        self._piggyback: deque[CancelReport] = deque()

    # -- script -----------------------------------------------------------------------------------------------

    def add_event(self, event: Event) -> None:
        """List a new event (or one changed by hand)."""
        self._events[event.event_id] = event
        self._changed = True

    def modify(self, event_id: str, **changes: Any) -> None:
        """Change fields of a listed event; its modification number rises unless it is given."""
        event = self._known(event_id)
        changes.setdefault("modification", event.modification + 1)
        self.add_event(replace(event, **changes))

    def cancel(self, event_id: str) -> None:
        """Cancel a listed event explicitly."""
        self.modify(event_id, status="cancelled")

    def drop(self, event_id: str) -> None:
        """Take an event off the list without a word: an implied cancel."""
        self._known(event_id)
        del self._events[event_id]
        self._changed = True

    def queue(self, message: Message) -> None:
        """Say this in answer to the next poll."""
        self._queue.append(message)

    def order_report(
        self,
        r_ids: Sequence[str],
        *,
        granularity_s: float,
        back_duration_s: float,
        specifier_id: str = "usage",
    ) -> str:
        """Order a report with the next poll; returns its reportRequestID."""
        request = self._request(tuple(r_ids), specifier_id, granularity_s, back_duration_s)
        self.queue(CreateReport(request_id=uuid(self._rng), requests=(request,), ven_id=self.ven_id))
        return request.request_id

    def cancel_report(self, report_request_id: str, *, follow: bool = False, piggyback: bool = False) -> None:
        """Cancel a report with the next poll, or inside the next oadrUpdatedReport."""
        cancel = CancelReport(
            request_id=uuid(self._rng),
            report_request_ids=(report_request_id,),
            follow=follow,
            ven_id=self.ven_id,
        )
        self.orders.pop(report_request_id, None)
        if piggyback:
            self._piggyback.append(cancel)
        else:
            self.queue(cancel)

    def ask_reregistration(self) -> None:
        """oadrRequestReregistration with the next poll."""
        self.queue(RequestReregistration(ven_id=self.ven_id))

    def cancel_registration(self) -> None:
        """oadrCancelPartyRegistration with the next poll."""
        self.queue(
            CancelPartyRegistration(
                request_id=uuid(self._rng), registration_id=self.registration_id or "", ven_id=self.ven_id
            )
        )

    def forget_ven(self) -> None:
        """Lose everything about the VEN, as a restart without a memory does."""
        self.registration_id = None
        self.orders.clear()
        self.live_opts.clear()

    def said(self, kind: type) -> list[Any]:
        """All messages of one type that the VEN sent, in order."""
        return [heard.message for heard in self.heard if isinstance(heard.message, kind)]

    # -- protocol ---------------------------------------------------------------------------------------------

    def answer(self, service: Service, message: Message, now: float) -> Message | None:
        """The answer to one message of the VEN; None = HTTP 200 with an empty body."""
        self.heard.append(Heard(at=now, service=service, message=message))
        match message:
            case QueryRegistration():
                return self._party(message.request_id, None)
            case CreatePartyRegistration():
                return self._register(message)
            case CancelPartyRegistration():
                self.registration_id = None
                response = self._ok(message.request_id)
                return CanceledPartyRegistration(
                    response=response, registration_id=message.registration_id, ven_id=self.ven_id
                )
            case CanceledPartyRegistration():
                if message.response.ok:
                    self.registration_id = None
                return None
            case Response():
                return None
            case _ if self.registration_id is None:
                return self._error("463", "not registered")
            case Poll():
                return self._poll(now)
            case RequestEvent():
                return self._list(now)
            case CreatedEvent():
                return self._created(message, now)
            case RegisterReport():
                return self._metadata(message)
            case UpdateReport():
                return self._update(message, now)
            case CreateOpt():
                return self._opt(message)
            case CancelOpt():
                return self._cancel_opt(message)
            case _:
                return self._ok_response("")

    def _register(self, message: CreatePartyRegistration) -> Message:
        if self.ven_name is not None and message.ven_name != self.ven_name:
            return CreatedPartyRegistration(
                response=EiResponse(code="452", description="unknown venName", request_id=message.request_id),
                vtn_id=self.vtn_id,
            )
        self.registration_id = message.registration_id or uuid(self._rng)
        self._changed = bool(self._events)
        return self._party(message.request_id, self.registration_id)

    def _party(self, request_id: str, registration_id: str | None) -> CreatedPartyRegistration:
        return CreatedPartyRegistration(
            response=self._ok(request_id),
            registration_id=registration_id,
            ven_id=None if registration_id is None else self.ven_id,
            vtn_id=self.vtn_id,
            poll_s=self.poll_s,
        )

    def _poll(self, now: float) -> Message:
        if self._queue:
            return self._queue.popleft()
        if self._changed:
            return self._list(now)
        return self._ok_response("")

    def _list(self, now: float) -> DistributeEvent:
        self._changed = False
        events = tuple(_dated(event, now) for event in self._events.values())
        return DistributeEvent(request_id=uuid(self._rng), vtn_id=self.vtn_id, events=events)

    def _created(self, message: CreatedEvent, now: float) -> Message:
        for response in message.event_responses:
            self.opts.setdefault(response.event_id, []).append(HeardOpt(at=now, response=response))
        return self._ok_response("")

    def _metadata(self, message: RegisterReport) -> Message:
        requests: list[ReportRequest] = []
        for report in message.reports:
            if report.name != "METADATA_TELEMETRY_USAGE":
                continue
            self.offered = tuple(description.r_id for description in report.descriptions)
            if self.order is not None:
                requests.append(self._request(self.offered, report.specifier_id, *self.order))
        response = self._ok(message.request_id)
        return RegisteredReport(response=response, requests=tuple(requests), ven_id=self.ven_id)

    def _update(self, message: UpdateReport, now: float) -> Message:
        for report in message.reports:
            if report.request_id not in self.orders:
                return self._error("452", f"reportRequestID {report.request_id} was not ordered")
            self.points.extend(
                HeardPoint(at=now, report_request_id=report.request_id, point=point)
                for point in report.points
            )
        cancel = self._piggyback.popleft() if self._piggyback else None
        return UpdatedReport(response=self._ok(message.request_id), cancel=cancel, ven_id=self.ven_id)

    def _opt(self, message: CreateOpt) -> CreatedOpt:
        if self.refuse_opts:
            refused = EiResponse(
                code=self.refuse_opts, description="not taken", request_id=message.request_id
            )
            return CreatedOpt(response=refused, opt_id=message.opt_id)
        self.live_opts[message.opt_id] = message
        return CreatedOpt(response=self._ok(message.request_id), opt_id=message.opt_id)

    def _cancel_opt(self, message: CancelOpt) -> CanceledOpt:
        if self.live_opts.pop(message.opt_id, None) is None:
            unknown = EiResponse(code="452", description="unknown optID", request_id=message.request_id)
            return CanceledOpt(response=unknown, opt_id=message.opt_id)
        return CanceledOpt(response=self._ok(message.request_id), opt_id=message.opt_id)

    def _request(
        self, r_ids: tuple[str, ...], specifier_id: str, granularity_s: float, back_duration_s: float
    ) -> ReportRequest:
        request = ReportRequest(
            request_id=uuid(self._rng),
            specifier_id=specifier_id,
            granularity_s=granularity_s,
            back_duration_s=back_duration_s,
            wanted=tuple(Wanted(r_id=r_id) for r_id in r_ids),
        )
        self.orders[request.request_id] = request
        return request

    def _known(self, event_id: str) -> Event:
        if event_id not in self._events:
            raise MisuseError(f"script: expected a listed event, found {event_id}")
        return self._events[event_id]

    def _ok(self, request_id: str) -> EiResponse:
        return EiResponse(code="200", description="OK", request_id=request_id)

    def _ok_response(self, request_id: str) -> Response:
        return Response(response=self._ok(request_id), ven_id=self.ven_id)

    def _error(self, code: str, description: str) -> Response:
        return Response(response=EiResponse(code=code, description=description))


def _dated(event: Event, now: float) -> Event:
    """The event with the status that the clock gives it."""
    if event.status in ("cancelled", "completed") or now < event.start_at:
        return event
    over = event.duration_s > 0 and now >= event.start_at + event.duration_s + event.startafter_s
    return replace(event, status="completed" if over else "active")
