"""The durable half of the session: a projection of its facts, changed by `apply` and by nothing else.

                                     Unregistered(unknown | reregister)
                                  +-------------------------------------+
                                  v                                     |
    unregistered --Queried--> registering --Registered--> reporting --ReportsRegistered--> registered
         ^                                                    |                              |
         | JoinWanted                                         +---- LeaveWanted ----> leaving
         +-------------------- cancelled <-- Unregistered(vtn | ven) --------------------+

A fact that the table does not know in the present phase changes no phase: an answer still in flight after a
cancellation registers nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from vpp_gateway.domain.instruction import Instruction
from vpp_gateway.northbound.openadr2 import held
from vpp_gateway.northbound.openadr2.facts import (
    EventDropped,
    EventEnded,
    EventEnding,
    EventHeld,
    EventReleased,
    JoinWanted,
    LeaveWanted,
    NonceSeen,
    Opted,
    Queried,
    Registered,
    ReplyOwed,
    ReportClosed,
    ReportEnding,
    ReportRequested,
    ReportSent,
    ReportsRegistered,
    ResponseOwed,
    Settled,
    Unregistered,
    VenFact,
)
from vpp_gateway.northbound.openadr2.held import HeldEvent
from vpp_gateway.northbound.openadr2.opt_facts import (
    FactoryReset,
    Operated,
    OptCancelled,
    OptCancelWanted,
    OptCreated,
    OptOver,
    OptRefused,
    OptTaken,
)
from vpp_gateway.northbound.openadr2.opts import Opts

__all__ = ["TABLE", "Duty", "HeldEvent", "Phase", "VenState"]


class Phase(StrEnum):
    """Where the registration stands."""

    UNREGISTERED = "unregistered"
    REGISTERING = "registering"
    REPORTING = "reporting"
    """Registered; our METADATA report is not yet taken."""
    REGISTERED = "registered"
    LEAVING = "leaving"
    CANCELLED = "cancelled"


TABLE: dict[tuple[Phase, str], Phase] = {
    (Phase.UNREGISTERED, "queried"): Phase.REGISTERING,
    (Phase.UNREGISTERED, "registered"): Phase.REPORTING,
    (Phase.REGISTERING, "registered"): Phase.REPORTING,
    (Phase.REGISTERING, "lost"): Phase.UNREGISTERED,
    (Phase.REGISTERING, "leave"): Phase.CANCELLED,
    (Phase.UNREGISTERED, "leave"): Phase.CANCELLED,
    (Phase.REPORTING, "reports-registered"): Phase.REGISTERED,
    (Phase.REPORTING, "lost"): Phase.REGISTERING,
    (Phase.REGISTERED, "lost"): Phase.REGISTERING,
    (Phase.REPORTING, "leave"): Phase.LEAVING,
    (Phase.REGISTERED, "leave"): Phase.LEAVING,
    (Phase.REPORTING, "cancelled"): Phase.CANCELLED,
    (Phase.REGISTERED, "cancelled"): Phase.CANCELLED,
    (Phase.REGISTERING, "cancelled"): Phase.CANCELLED,
    (Phase.LEAVING, "cancelled"): Phase.CANCELLED,
    (Phase.CANCELLED, "join"): Phase.UNREGISTERED,
    (Phase.LEAVING, "join"): Phase.UNREGISTERED,
}
"""(phase, what happened) -> phase; whatever is missing changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """A running report request."""

    request_id: str
    specifier_id: str
    r_ids: tuple[str, ...]
    granularity_s: float
    back_duration_s: float
    start_at: float
    end_at: float | None
    through: float
    """Everything before is sent (UTC, Unix s)."""
    ending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """What one site of the utility knows us by, and we it."""

    registration_id: str | None = None
    ven_id: str | None = None
    vtn_id: str | None = None


class VenState:
    """Registration, events, outbox and report duties as the facts say."""

    def __init__(self) -> None:
        self.phase = Phase.UNREGISTERED
        self.memberships: dict[int, Membership] = {}
        """By registrar, those that had a word on it."""
        self._newest = Membership()
        """For a site that had none yet: what the last one said."""
        self.poll_s: float | None = None
        self.detail = ""
        self.events: dict[str, HeldEvent] = {}
        self.owed: dict[int, ResponseOwed | ReplyOwed] = {}
        self._response_number: dict[str, int] = {}
        """event id -> number of the last response owed on it; a thousand come in one turn."""
        self.duties: dict[str, Duty] = {}
        self.offered = ""
        """Digest of the METADATA that the VTN took."""
        self.opts = Opts()
        self.instructions: dict[str, Instruction] = {}
        """What each event in `events` asks, by event id, so that an operator's opt-in can give it again."""
        self.next_number = 1

    @property
    def listening(self) -> bool:
        """Registered well enough to poll, answer and report."""
        return self.phase in (Phase.REPORTING, Phase.REGISTERED)

    def membership(self, registrar: int) -> Membership:
        """How one site and we know each other."""
        return self.memberships.get(registrar, self._newest)

    def _know(self, registrar: int, known: Membership) -> None:
        self.memberships[registrar] = self._newest = known

    def apply(self, fact: VenFact) -> None:
        """Take one fact over."""
        match fact:
            case Queried():
                self._know(fact.registrar, replace(self.membership(fact.registrar), vtn_id=fact.vtn_id))
                self._turn("queried")
            case Registered():
                self._register(fact)
            case ReportsRegistered():
                self.offered = fact.digest
                self._turn("reports-registered")
            case Unregistered():
                self._unregister(fact)
            case LeaveWanted():
                self._turn("leave")
            case JoinWanted():
                if self._turn("join"):
                    self._join()
            case EventHeld() | EventDropped() | EventReleased() | Opted():
                self._apply_event(fact)
            case EventEnding() | EventEnded():
                held.apply_ending(self.events, fact)
            case ResponseOwed() | ReplyOwed() | Settled():
                self._apply_outbox(fact)
            case ReportRequested() | ReportSent() | ReportEnding() | ReportClosed():
                self._apply_report(fact)
            case OptCreated() | OptTaken() | OptRefused() | OptCancelWanted() | OptCancelled() | OptOver():
                self.opts.apply(fact)
            case FactoryReset():
                self._reset(fact)
            case NonceSeen() | Operated():
                pass  # the session's replay guard remembers the one, the journal the other
            case _:
                assert_never(fact)

    def remember(self, instruction: Instruction) -> None:
        """An instruction of this room was given to the gateway."""
        self.instructions[instruction.event_id] = instruction

    def _reset(self, fact: FactoryReset) -> None:
        """No row of the table: from any phase into the state before the first contact."""
        number = self.next_number
        VenState.__init__(self)
        self.next_number = number
        if fact.stay:
            self.phase, self.detail = (
                Phase.CANCELLED,
                "reset by the operator; stays out until told to register",
            )

    def _turn(self, happened: str) -> bool:
        """Follow the table; True when the phase knew what to do."""
        after = TABLE.get((self.phase, happened))
        if after is None:
            return False
        self.phase = after
        return True

    def _join(self) -> None:
        """A registration that was cancelled is none any more, at any site."""
        self.detail = ""
        self._newest = replace(self._newest, registration_id=None)
        self.memberships = {
            registrar: replace(known, registration_id=None) for registrar, known in self.memberships.items()
        }

    def _register(self, fact: Registered) -> None:
        if not self._turn("registered"):
            return
        self._know(
            fact.registrar,
            Membership(registration_id=fact.registration_id, ven_id=fact.ven_id, vtn_id=fact.vtn_id),
        )
        self.poll_s = fact.poll_s
        self.detail = ""
        self.opts.registered()
        self.offered = ""
        self.duties.clear()
        self.owed = {number: owed for number, owed in self.owed.items() if isinstance(owed, ResponseOwed)}

    def _unregister(self, fact: Unregistered) -> None:
        again = fact.cause in ("unknown", "reregister")
        registering = self.phase is Phase.REGISTERING
        if not self._turn("lost" if again else "cancelled"):
            return
        self.detail = fact.detail
        if fact.cause == "unknown":
            known = self.membership(fact.registrar)
            # one that is told again while registering does not take the venID it once gave either: begin from nothing
            ven_id = None if registering else known.ven_id
            self._know(fact.registrar, replace(known, registration_id=None, ven_id=ven_id))
        self.duties.clear()
        if not again:
            self.events.clear()
            self._response_number.clear()
            self.instructions.clear()
            self.opts.drop_events()
            self.owed = {
                number: owed
                for number, owed in self.owed.items()
                if isinstance(owed, ReplyOwed) and owed.kind == "canceled-registration"
            }

    def _apply_event(self, fact: EventHeld | EventDropped | EventReleased | Opted) -> None:
        match fact:
            case EventHeld():
                known = self.events.get(fact.event_id)
                same = known is not None and known.modification == fact.modification and not fact.cancelled
                if not same or not fact.instructed:
                    self.instructions.pop(fact.event_id, None)
                self.events[fact.event_id] = HeldEvent(
                    event_id=fact.event_id,
                    modification=fact.modification,
                    request_id=fact.request_id,
                    answer_required=fact.answer_required,
                    instructed=fact.instructed,
                    cancelled=fact.cancelled,
                    end_at=fact.end_at,
                    startafter_s=fact.startafter_s,
                    offset_s=fact.offset_s,
                    held_at=known.held_at if known is not None and same else fact.at,
                    opt=known.opt if known is not None and same else None,
                    reason=known.reason if known is not None and same else "",
                    start_at=fact.start_at,
                    active_until=fact.active_until,
                    notification_s=fact.notification_s,
                    ramp_up_s=fact.ramp_up_s,
                    recovery_s=fact.recovery_s,
                    market_context=fact.market_context,
                    priority=fact.priority,
                    test=fact.test,
                    endpoint=fact.endpoint,
                    comment=fact.comment,
                    modified_at=fact.modified_at,
                    modification_reason=fact.modification_reason,
                )
            case EventDropped():
                self.events.pop(fact.event_id, None)
                self.instructions.pop(fact.event_id, None)
                self.opts.drop_event(fact.event_id)
            case EventReleased():
                known = self.events.get(fact.event_id)
                if known is not None:
                    self.events[fact.event_id] = replace(known, instructed=False)
            case Opted():
                known = self.events.get(fact.event_id)
                if known is not None and known.modification == fact.modification:
                    self.events[fact.event_id] = replace(known, opt=fact.opt, reason=fact.reason)

    def _apply_outbox(self, fact: ResponseOwed | ReplyOwed | Settled) -> None:
        match fact:
            case ResponseOwed():
                earlier = self.owed.get(self._response_number.get(fact.event_id, 0))
                if isinstance(earlier, ResponseOwed) and earlier.event_id == fact.event_id:
                    del self.owed[earlier.number]
                self.owed[fact.number] = fact
                self._response_number[fact.event_id] = fact.number
                self.next_number = max(self.next_number, fact.number + 1)
            case ReplyOwed():
                self.owed[fact.number] = fact
                self.next_number = max(self.next_number, fact.number + 1)
            case Settled():
                for number in fact.numbers:
                    taken = self.owed.pop(number, None)
                    if isinstance(taken, ResponseOwed):
                        self._response_number.pop(taken.event_id, None)

    def _apply_report(self, fact: ReportRequested | ReportSent | ReportEnding | ReportClosed) -> None:
        match fact:
            case ReportRequested():
                self.duties[fact.request_id] = Duty(
                    request_id=fact.request_id,
                    specifier_id=fact.specifier_id,
                    r_ids=fact.r_ids,
                    granularity_s=fact.granularity_s,
                    back_duration_s=fact.back_duration_s,
                    start_at=fact.start_at,
                    end_at=fact.end_at,
                    through=fact.start_at,
                )
            case ReportSent():
                if fact.request_id in self.duties:
                    self.duties[fact.request_id] = replace(self.duties[fact.request_id], through=fact.through)
            case ReportEnding():
                if fact.request_id in self.duties:
                    duty = self.duties[fact.request_id]
                    self.duties[fact.request_id] = replace(duty, end_at=fact.at, ending=True)
            case ReportClosed():
                self.duties.pop(fact.request_id, None)
