"""The words of OpenADR 2.0b as frozen values: what stands between bytes and the session.

    VEN (we)                              VTN (utility)
    QueryRegistration            ->       CreatedPartyRegistration
    CreatePartyRegistration      ->       CreatedPartyRegistration
    RegisterReport (METADATA)    ->       RegisteredReport (may carry report requests)
    Poll                         ->       Response | DistributeEvent | CreateReport | CancelReport | ...
    CreatedEvent, CreatedReport  ->       Response
    CreateOpt, CancelOpt         ->       CreatedOpt, CanceledOpt
    UpdateReport                 ->       UpdatedReport (may carry a CancelReport)

Identifiers are text as received ("007" stays "007"). Times are UTC as Unix seconds, durations are seconds, powers
keep the unit they came with until `mapping` turns them into W. Report words stand in `report_words`,
those of opts in `opt_words`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vpp_gateway.northbound.openadr2.opt_words import CanceledOpt, CancelOpt, CreatedOpt, CreateOpt
from vpp_gateway.northbound.openadr2.report_words import (
    CanceledReport,
    CancelReport,
    CreatedReport,
    CreateReport,
    EiResponse,
    RegisteredReport,
    RegisterReport,
    Unit,
    UpdatedReport,
    UpdateReport,
)

Service = Literal["EiRegisterParty", "EiEvent", "EiReport", "EiOpt", "OadrPoll"]
"""Last part of the URL that a message is posted to."""
EventStatus = Literal["none", "far", "near", "active", "completed", "cancelled"]
OptType = Literal["optIn", "optOut"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryRegistration:
    """Ask the VTN who it is and what it speaks."""

    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePartyRegistration:
    """Ask to be registered, or registered anew when `registration_id` is given."""

    request_id: str
    registration_id: str | None = None
    ven_id: str | None = None
    ven_name: str | None = None
    report_only: bool = False
    xml_signature: bool = False
    """Whether this VEN signs its messages."""
    http_pull: bool = True
    transport_address: str | None = None
    """Where the VTN posts to us, with push."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedPartyRegistration:
    """The VTN's answer to a query or a registration."""

    response: EiResponse
    vtn_id: str
    registration_id: str | None = None
    ven_id: str | None = None
    profiles: tuple[str, ...] = ("2.0b",)
    poll_s: float | None = None
    """oadrRequestedOadrPollFreq: at most one poll per this many seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelPartyRegistration:
    """Either side ends the registration."""

    request_id: str
    registration_id: str
    ven_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CanceledPartyRegistration:
    """The other side took the cancellation."""

    response: EiResponse
    registration_id: str | None = None
    ven_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestReregistration:
    """The VTN wants the VEN to register anew."""

    ven_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """Anything for me?"""

    ven_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """oadrResponse: nothing more to say, or an error of the whole exchange."""

    response: EiResponse
    ven_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestEvent:
    """Ask for the full list of events."""

    request_id: str
    ven_id: str
    reply_limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """eiTarget; criteria are OR-ed, an empty one means the receiving VEN (rule 22)."""

    ven_ids: tuple[str, ...] = ()
    resource_ids: tuple[str, ...] = ()
    group_ids: tuple[str, ...] = ()
    party_ids: tuple[str, ...] = ()
    device_classes: tuple[str, ...] = ()
    """mRIDs of endDeviceAsset."""
    others: tuple[str, ...] = ()
    """Names of the criteria of other kinds (pnode, serviceArea, ...), which this VEN cannot match."""

    @property
    def empty(self) -> bool:
        """True when nothing is named at all."""
        return not any(
            (
                self.ven_ids,
                self.resource_ids,
                self.group_ids,
                self.party_ids,
                self.device_classes,
                self.others,
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalInterval:
    """One step of a signal."""

    duration_s: float
    value: float
    start_at: float | None = None
    """UTC (Unix s) when the VTN gave it; otherwise it follows from the durations before."""
    uid: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """eiEventSignal."""

    name: str
    type: str
    id: str
    intervals: tuple[SignalInterval, ...]
    unit: Unit | None = None
    targets: Targets = Targets()
    current_value: float | None = None
    """The value of the interval in force, as the VTN has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """oadrEvent: an event with all its signals."""

    event_id: str
    modification: int
    status: EventStatus
    market_context: str
    start_at: float
    duration_s: float
    """0 = open end, active until cancelled (rule 47)."""
    signals: tuple[Signal, ...]
    targets: Targets
    response_required: bool
    created_at: float
    priority: int | None = None
    """1 is highest, larger is lower, 0 or None is lowest."""
    test: bool = False
    """Any testEvent text except `false` (rule 6)."""
    comment: str = ""
    """vtnComment: a word to the operator."""
    modified_at: float | None = None
    """modificationDateTime, UTC (Unix s)."""
    modification_reason: str = ""
    baseline: str | None = None
    """baselineName of an eiEventBaseline; None = the VTN gave none."""
    startafter_s: float = 0.0
    """Randomise the start by 0..this many seconds (rule 30)."""
    notification_s: float | None = None
    ramp_up_s: float | None = None
    recovery_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenEvent:
    """An event that cannot be read; it costs only itself (rule 19)."""

    event_id: str
    modification: int
    response_required: bool
    reason: str
    """What was expected and what was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributeEvent:
    """The VTN's full list of events."""

    request_id: str
    vtn_id: str
    events: tuple[Event | BrokenEvent, ...] = ()
    response: EiResponse | None = None
    unreadable: tuple[str, ...] = ()
    """Events that could not even be named, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventResponse:
    """Our word on one event."""

    code: str
    request_id: str
    """Of the oadrDistributeEvent that brought the event (rule 42)."""
    event_id: str
    modification: int
    opt: OptType
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedEvent:
    """Our opt for events; `response.request_id` stays empty when there are event responses (rule 42)."""

    response: EiResponse
    ven_id: str
    event_responses: tuple[EventResponse, ...] = ()


Message = (
    QueryRegistration
    | CreatePartyRegistration
    | CreatedPartyRegistration
    | CancelPartyRegistration
    | CanceledPartyRegistration
    | RequestReregistration
    | Poll
    | Response
    | RequestEvent
    | DistributeEvent
    | CreatedEvent
    | RegisterReport
    | RegisteredReport
    | CreateReport
    | CreatedReport
    | UpdateReport
    | UpdatedReport
    | CancelReport
    | CanceledReport
    | CreateOpt
    | CreatedOpt
    | CancelOpt
    | CanceledOpt
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A request of the session to its client: POST this message to this service."""

    number: int
    """Counts the posts of one process; the reply names it."""
    service: Service
    message: Message
    endpoint: int = 0
    """Which of the VTN's addresses: 0 = the main one, then the standbys in the operator's order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """The VTN answered a post with a message that passed intake, schema and signature."""

    number: int
    message: Message | None
    """None = HTTP 200 with an empty body."""
    skew_s: float | None = None
    """VTN's HTTP Date minus our clock, seconds (whole-second resolution); None = no Date."""
    nonce: str | None = None
    """ReplayProtect of a signed message."""
    signed_at: float | None = None
    fingerprint: str | None = None
    """Of the certificate that signed it."""
    arrived_at: float | None = None
    """UTC (Unix s) when its last byte was here, before it was read; None = when it is judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A post brought no usable answer."""

    number: int
    cause: Literal["unreachable", "timeout", "tls", "http", "refused"]
    """`http`: a status other than 200; `refused`: the body did not pass intake, schema or signature."""
    detail: str
    """Who, what was expected, what was found."""
    skew_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """The VTN posted to us a message that passed intake, schema and signature; it waits for the `Reply`."""

    number: int
    """Counts what one listener took; the reply names it."""
    service: str
    """Last part of the address that it was posted to."""
    message: Message
    nonce: str | None = None
    signed_at: float | None = None
    arrived_at: float | None = None
    """UTC (Unix s) when its last byte was here; None = when it is judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Something was posted to us that is no message, or not one that we may trust; it was refused below the protocol."""

    number: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Our own address stands open, or does not."""

    trouble: str
    """Why not; empty = it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the session says to a `Pushed`, in the HTTP response; sent once the facts beside it are durable."""

    number: int
    message: Message | None
    """None = no OpenADR message, only the status."""
    status: int = 200
    """HTTP status."""
    detail: str = ""
    """Why, in words, when there is no message."""
    refused: str = ""
    """Why the message, or a part of it, was not acted on; for the record."""


def name_of(message: Message) -> str:
    """The element name of a message, for instance `oadrPoll`."""
    return f"oadr{type(message).__name__}"
