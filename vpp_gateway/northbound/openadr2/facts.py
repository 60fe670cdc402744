"""What this room remembers: facts of one OpenADR 2.0b session, journalled before anything follows from them.

Domain facts (`Instructed`, `Withdrawn`) tell the gateway; these tell the session, so that after a restart it still
knows its registration, each event's modification and opt, every answer it owes, and up to where it has reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vpp_gateway.domain.instruction import RoomName
from vpp_gateway.northbound.openadr2.messages import OptType
from vpp_gateway.northbound.openadr2.opt_facts import OPT_FACT_TYPES, OperatorFact, OptFact

ReplyKind = Literal[
    "response",
    "created-report",
    "canceled-report",
    "registered-report",
    "updated-report",
    "register-report",
    "canceled-registration",
]
"""Which message is owed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queried:
    """The VTN answered our query; registration comes next."""

    at: float
    room: RoomName
    vtn_id: str
    registrar: int = 0
    """Which of the utility's sites it is of, where each has a memory of its own; see `program.Standby`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """The VTN registered us. Report requests of an earlier registration end here."""

    at: float
    room: RoomName
    registration_id: str
    ven_id: str
    vtn_id: str
    poll_s: float | None
    """The VTN's requested poll period; None = the profile's."""
    registrar: int = 0
    """Which of the utility's sites it is of, where each has a memory of its own; see `program.Standby`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportsRegistered:
    """The VTN took our METADATA report."""

    at: float
    room: RoomName
    digest: str = ""
    """Of what was offered; another digest later means that it is offered again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unregistered:
    """The registration ended.

    `unknown`: the VTN does not know us any more; `reregister`: it asks for a new registration (both register again);
    `vtn` / `ven`: cancelled by that side (both stay out until the operator rejoins).
    """

    at: float
    room: RoomName
    cause: Literal["unknown", "reregister", "vtn", "ven"]
    detail: str
    registrar: int = 0
    """Which of the utility's sites it is of, where each has a memory of its own; see `program.Standby`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveWanted:
    """The operator wants the registration cancelled."""

    at: float
    room: RoomName


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinWanted:
    """The operator wants to register again after a cancellation."""

    at: float
    room: RoomName


@dataclass(frozen=True, slots=True, kw_only=True)
class EventHeld:
    """An event, or a higher modification of it, is known."""

    at: float
    room: RoomName
    event_id: str
    modification: int
    request_id: str
    """Of the oadrDistributeEvent that brought it."""
    answer_required: bool
    instructed: bool
    """True: the gateway was told (`Instructed`) and its opt is awaited; False: refused or over on arrival."""
    cancelled: bool
    """Kept as a mark until the VTN stops listing it."""
    end_at: float | None
    """UTC (Unix s), startafter included; None = open end."""
    startafter_s: float
    offset_s: float
    """Drawn once, kept over modifications unless startafter changes (rule 30)."""
    start_at: float | None = None
    """dtstart, startafter included; None in journals of versions that did not keep it."""
    active_until: float | None = None
    """End of the active period, startafter included, recovery not; None = open end, or not kept."""
    notification_s: float = 0.0
    """x-eiNotification: how long before dtstart the VEN was to know."""
    ramp_up_s: float = 0.0
    """x-eiRampUp: > 0 before dtstart, < 0 after it."""
    recovery_s: float = 0.0
    """x-eiRecovery: > 0 after the end, < 0 before it."""
    market_context: str = ""
    priority: int | None = None
    """As the VTN wrote it: 1 is highest, 0 or None lowest."""
    test: bool = False
    endpoint: int = 0
    """Address of the VTN whose list brought it: 0 = the main one."""
    comment: str = ""
    """vtnComment, cut off where it is long."""
    modified_at: float | None = None
    """modificationDateTime, UTC (Unix s)."""
    modification_reason: str = ""
    """modificationReason, cut off where it is long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventEnding:
    """An active event was cancelled and runs on until a randomised moment (rule 65)."""

    at: float
    room: RoomName
    event_id: str
    modification: int
    ending_at: float
    """UTC (Unix s) of the termination, drawn once."""
    cause: Literal["cancelled", "implied"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventEnded:
    """The randomised termination of a cancelled event is over."""

    at: float
    room: RoomName
    event_id: str
    modification: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDropped:
    """An event is no longer known; the reason is for the reader of the journal."""

    at: float
    room: RoomName
    event_id: str
    modification: int
    cause: Literal["implied", "ended", "unregistered", "mark-gone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventReleased:
    """The VTN was silent for longer than the program allows: the event is withdrawn here, and still known.

    When the VTN lists it again it is taken up again, with the same randomised start.
    """

    at: float
    room: RoomName
    event_id: str
    modification: int
    silent_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Opted:
    """The opt on an event: the gateway's, or `out` because no decision came in time."""

    at: float
    room: RoomName
    event_id: str
    modification: int
    opt: OptType
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseOwed:
    """An eventResponse is to be sent; a later one for the same event replaces it."""

    at: float
    room: RoomName
    number: int
    event_id: str
    modification: int
    request_id: str
    code: str
    description: str
    opt: OptType


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyOwed:
    """Another message is to be sent as answer to something received."""

    at: float
    room: RoomName
    number: int
    kind: ReplyKind
    request_id: str
    code: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Owed messages are done with: taken by the VTN, or given up."""

    at: float
    room: RoomName
    numbers: tuple[int, ...]
    outcome: Literal["taken", "refused", "given-up"]
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRequested:
    """The VTN ordered a report."""

    at: float
    room: RoomName
    request_id: str
    specifier_id: str
    r_ids: tuple[str, ...]
    granularity_s: float
    back_duration_s: float
    start_at: float
    end_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSent:
    """Points up to `through` are the VTN's (or were skipped, says `note`)."""

    at: float
    room: RoomName
    request_id: str
    through: float
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportEnding:
    """The VTN cancelled a report and wants what was measured until now as a last one (reportToFollow)."""

    at: float
    room: RoomName
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportClosed:
    """A report ended."""

    at: float
    room: RoomName
    request_id: str
    cause: Literal["cancelled", "completed", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NonceSeen:
    """A signed message had an effect; after a restart it must not have it again."""

    at: float
    room: RoomName
    nonce: str
    signed_at: float


VenFact = (
    Queried
    | Registered
    | ReportsRegistered
    | Unregistered
    | LeaveWanted
    | JoinWanted
    | EventHeld
    | EventDropped
    | EventReleased
    | EventEnding
    | EventEnded
    | Opted
    | ResponseOwed
    | ReplyOwed
    | Settled
    | ReportRequested
    | ReportSent
    | ReportEnding
    | ReportClosed
    | NonceSeen
    | OptFact
    | OperatorFact
)
FACT_TYPES: tuple[type, ...] = (
    Queried,
    Registered,
    ReportsRegistered,
    Unregistered,
    LeaveWanted,
    JoinWanted,
    EventHeld,
    EventDropped,
    EventReleased,
    EventEnding,
    EventEnded,
    Opted,
    ResponseOwed,
    ReplyOwed,
    Settled,
    ReportRequested,
    ReportSent,
    ReportEnding,
    ReportClosed,
    NonceSeen,
    *OPT_FACT_TYPES,
)
