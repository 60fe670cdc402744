"""Judges one oadrDistributeEvent: each event on its own, against what is known of it (rules 12, 19, 56-61).

    listed, unknown                     -> new:      Instructed, or refused with 4xx
    listed, higher modification         -> replaces: Instructed, or refused (then the old one is withdrawn too)
    listed, same modification           -> nothing new; answered again when an answer is asked for
    listed, lower modification          -> 450, whatever its status
    listed as cancelled                 -> Withdrawn when known; answered either way, never an error
    listed as completed                 -> answered; what runs goes on (rule 66)
    known, not listed                   -> Withdrawn (implied cancel), also by an empty list
    ending (rule 65) and listed again   -> a higher modification replaces it; after an implied cancel the same
                                           modification takes it up again
    test event, not to be executed      -> judged and answered optIn, nothing instructed (rule 6)

The VTN sends its whole list each time. One bad event costs only itself. Of an eventID that stands twice in one list
the highest modification counts; the other is named to the operator, for two answers to one event would contradict.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from typing import Literal, TypedDict

from vpp_gateway.clock import Rng
from vpp_gateway.domain.fact import Fact, Instructed, Withdrawn
from vpp_gateway.domain.instruction import Instruction
from vpp_gateway.northbound.openadr2 import ending
from vpp_gateway.northbound.openadr2.event_remarks import NOT_CARRIED_OUT, remarks_on
from vpp_gateway.northbound.openadr2.facts import EventDropped, EventHeld, Opted, ResponseOwed, VenFact
from vpp_gateway.northbound.openadr2.held import HeldEvent, held_again
from vpp_gateway.northbound.openadr2.mapping import (
    Party,
    Refusal,
    active_period,
    instruction_id,
    instruction_of,
)
from vpp_gateway.northbound.openadr2.messages import BrokenEvent, DistributeEvent, Event, OptType
from vpp_gateway.northbound.openadr2.program import ProgramProfile
from vpp_gateway.northbound.openadr2.state import VenState
from vpp_gateway.northbound.openadr2.xml_text import shown

WORDS_MAX = 300
"""Characters that are kept of what a VTN writes for people."""


class Judge:
    """One judgement; `facts` is its result.

    `refusals` names what was refused, `remarks` what is odd in the list without being refused, for the operator.
    """

    def __init__(
        self,
        *,
        state: VenState,
        party: Party,
        program: ProgramProfile,
        rng: Rng,
        now: float,
        endpoint: int = 0,
    ) -> None:
        self._state = state
        self._party = party
        self._program = program
        self._rng = rng
        self._now = now
        self._endpoint = endpoint
        self._number = state.next_number
        self._request_id = ""
        self.facts: list[Fact | VenFact] = []
        self.refusals: list[str] = []
        self.remarks: list[str] = []

    def distribute(self, message: DistributeEvent) -> None:
        """Judge the whole list."""
        self._request_id = message.request_id
        self.refusals.extend(message.unreadable)
        registrar = self._program.standby.registrar(self._endpoint)
        expected = self._program.vtn_id or self._state.membership(registrar).vtn_id
        if expected is not None and message.vtn_id != expected:  # rule 21
            reason = f"vtnID: expected {shown(expected)}, found {shown(message.vtn_id)}"
            if not message.events:
                self.refusals.append(f"empty event list: {reason}")
            for event in message.events:
                self._refuse(event, "452", reason)
            return
        newest = self._newest(message)
        if not message.unreadable:  # an event without a readable id may be any of the known ones
            self._implied(newest.keys())
        for event in sorted(newest.values(), key=_wanted):  # what is given up makes room for what is new
            self._event(event)
        readable = tuple(event for event in newest.values() if isinstance(event, Event))
        unknown = frozenset(newest) - self._state.events.keys()
        self.remarks = remarks_on(readable, unknown, self._program, self._now)

    def _newest(self, message: DistributeEvent) -> dict[str, Event | BrokenEvent]:
        """Each event of the list once."""
        newest: dict[str, Event | BrokenEvent] = {}
        for event in message.events:
            other = newest.get(event.event_id)
            if other is None or event.modification > other.modification:
                newest[event.event_id] = event
            if other is not None:
                self.refusals.append(
                    f"event {shown(event.event_id)}: the same eventID stands twice in one list"
                )
        return newest

    def _event(self, event: Event | BrokenEvent) -> None:
        known = self._state.events.get(event.event_id)
        if known is not None and event.modification < known.modification:  # rule 58
            reason = (
                f"modificationNumber: expected {known.modification} or higher, found {event.modification}"
            )
            self._refuse(event, "450", reason, known.opt or "optOut")
        elif isinstance(event, BrokenEvent):
            self._broken(event, known)
        elif event.status == "cancelled":
            self._cancelled(event, known)
        elif event.status == "completed":
            self._completed(event, known)
        elif known is not None and known.modification == event.modification and known.cancelled:
            self._refuse(event, "450", "this modification was cancelled before; send a higher one")
        elif known is not None and known.modification == event.modification and known.instructed:
            self._unchanged(event, known)
        else:
            self._new(event, known)

    def _broken(self, event: BrokenEvent, known: HeldEvent | None) -> None:
        opt: OptType = "optOut"
        if known is not None and known.instructed and event.modification > known.modification:
            self._withdraw(known, "cancelled")
            self._hold(event, instructed=False)
        elif known is not None and known.opt is not None:
            opt = known.opt  # what was read before goes on
        self._refuse(event, "454", event.reason, opt)

    def _cancelled(self, event: Event, known: HeldEvent | None) -> None:
        """Rules 36, 59, 60: optIn says the cancellation is followed."""
        if known is not None and (not known.cancelled or event.modification > known.modification):
            self._hold(event, like=known, instructed=known.instructed, cancelled=True)
            self._end(known, event.modification, "cancelled")
        self._respond(event, "200", "cancelled" if known is not None else "unknown and cancelled", "optIn")

    def _completed(self, event: Event, known: HeldEvent | None) -> None:
        """Rules 62, 66: answered, nothing else. An opt that is decided later replaces this answer."""
        opt: OptType = "optOut" if known is None or known.opt is None else known.opt
        self._respond(
            event, "200", "completed" if known is not None else "completed before it was known", opt
        )

    def _unchanged(self, event: Event, known: HeldEvent) -> None:
        changed = known.answer_required != event.response_required
        undecided = known.opt is None and event.response_required and known.request_id != self._request_id
        if changed or undecided or known.ending_at is not None:
            self._hold(event, like=known, instructed=True)
        if known.opt is not None:
            self._respond(event, "200", known.reason, known.opt)

    def _new(self, event: Event, known: HeldEvent | None) -> None:
        offset_s = self._offset(event, known)
        result = instruction_of(
            event, party=self._party, program=self._program, received_at=self._now, offset_s=offset_s
        )
        if isinstance(result, Refusal):
            self._not_taken(event, known, offset_s, result.code, result.reason)
            self.refusals.append(f"event {shown(event.event_id)}: {result.code} {result.reason}")
        elif self._over(event, known, result, offset_s):
            self._not_taken(event, known, offset_s, "200", "over before it was received")
        elif event.test and not self._program.execute_test_events:
            self._only_tested(event, known, result, offset_s)
        else:
            self._hold(event, instruction=result, instructed=True, offset_s=offset_s)
            self.facts.append(Instructed(at=self._now, instruction=result))

    def _over(self, event: Event, known: HeldEvent | None, instruction: Instruction, offset_s: float) -> bool:
        """Whether nothing of it is left to do. A recovery that runs already goes on; none is begun for its own sake."""
        _, end_at = active_period(event, offset_s)
        if known is not None and known.running:
            end_at = instruction.end_at
        return end_at is not None and end_at <= self._now

    def _only_tested(
        self, event: Event, known: HeldEvent | None, instruction: Instruction, offset_s: float
    ) -> None:
        """Rule 6: the program says that its test events are not to be carried out."""
        if known is None or known.modification != event.modification:
            self._hold(event, instruction=instruction, instructed=False, offset_s=offset_s)
            self.facts.append(
                Opted(
                    at=self._now,
                    room=self._party.room,
                    event_id=event.event_id,
                    modification=event.modification,
                    opt="optIn",
                    reason=NOT_CARRIED_OUT,
                )
            )
        if known is not None:
            self._withdraw(known, "cancelled")
        self._respond(event, "200", NOT_CARRIED_OUT, "optIn")

    def _not_taken(
        self, event: Event, known: HeldEvent | None, offset_s: float, code: str, reason: str
    ) -> None:
        """The VTN learns optOut, so an older modification must not run on either. The draw stays (rule 30)."""
        if known is None or known.modification != event.modification:
            self._hold(event, instructed=False, offset_s=offset_s)
        if known is not None:
            self._withdraw(known, "cancelled")
        self._respond(event, code, reason, "optOut")

    def _offset(self, event: Event, known: HeldEvent | None) -> float:
        if not self._program.apply_startafter or event.startafter_s <= 0:
            return 0.0
        if known is not None and known.startafter_s == event.startafter_s:
            return known.offset_s
        return self._rng.uniform(0.0, event.startafter_s)

    def _implied(self, listed: Set[str]) -> None:
        """Rule 61, also for an empty list."""
        for known in self._state.events.values():
            if known.event_id in listed or known.ending_at is not None:
                continue
            if self._endpoint not in (0, known.endpoint) and not self._program.standby.standby_shares_state:
                continue  # another site's event, and this site does not know it
            over_at = known.end_at if known.active_until is None else known.active_until
            if known.cancelled or not known.instructed:
                self._drop(known, "mark-gone")
            elif over_at is not None and over_at <= self._now:
                self._drop(known, "ended")
            else:
                self._end(known, known.modification, "implied")

    def _drop(self, known: HeldEvent, cause: Literal["implied", "ended", "mark-gone"]) -> None:
        self.facts.append(
            EventDropped(
                at=self._now,
                room=self._party.room,
                event_id=known.event_id,
                modification=known.modification,
                cause=cause,
            )
        )

    def _end(self, known: HeldEvent, modification: int, cause: Literal["cancelled", "implied"]) -> None:
        """A cancellation takes effect: at once, or for an active event with startafter later (rule 65)."""
        ending_at = ending.drawn(known, self._program, self._rng, self._now)
        if ending_at is not None:
            self.facts.append(
                ending.begun(self._party.room, known.event_id, modification, ending_at, cause, self._now)
            )
            return
        if cause == "implied":
            self._drop(known, cause)
        self._withdraw(known, cause)

    def _withdraw(self, known: HeldEvent, cause: Literal["cancelled", "implied"]) -> None:
        if known.running:
            self.facts.append(
                Withdrawn(
                    at=self._now,
                    instruction=instruction_id(self._party.room, known.event_id),
                    modification=known.modification,
                    cause=cause,
                )
            )

    def _hold(
        self,
        event: Event | BrokenEvent,
        *,
        instructed: bool,
        instruction: Instruction | None = None,
        like: HeldEvent | None = None,
        cancelled: bool = False,
        offset_s: float = 0.0,
    ) -> None:
        """Remember the event.

        Args:
            instruction: What it became.
            like: Keep the times of what is known; the gateway goes on with those.
        """
        now, room = self._now, self._party.room
        if like is not None:
            self.facts.append(
                replace(
                    held_again(like, now, room),
                    modification=event.modification,
                    request_id=self._request_id,
                    answer_required=event.response_required,
                    instructed=instructed,
                    cancelled=cancelled,
                    endpoint=self._endpoint,
                    **_words(event),
                )
            )
            return
        held = EventHeld(
            at=now,
            room=room,
            event_id=event.event_id,
            modification=event.modification,
            request_id=self._request_id,
            answer_required=event.response_required,
            instructed=instructed,
            cancelled=cancelled,
            end_at=None if instruction is None else instruction.end_at,
            startafter_s=event.startafter_s if isinstance(event, Event) else 0.0,
            offset_s=offset_s,
            endpoint=self._endpoint,
        )
        if isinstance(event, Event):
            start_at, end_at = active_period(event, offset_s)
            held = replace(
                held,
                start_at=start_at,
                active_until=end_at,
                notification_s=event.notification_s or 0.0,
                ramp_up_s=event.ramp_up_s or 0.0,
                recovery_s=event.recovery_s or 0.0,
                market_context=event.market_context,
                priority=event.priority,
                test=event.test,
                **_words(event),
            )
        self.facts.append(held)

    def _refuse(self, event: Event | BrokenEvent, code: str, reason: str, opt: OptType = "optOut") -> None:
        self.refusals.append(f"event {shown(event.event_id)}: {code} {reason}")
        self._respond(event, code, reason, opt)

    def _respond(self, event: Event | BrokenEvent, code: str, description: str, opt: OptType) -> None:
        if not event.response_required:  # rule 12: never means never
            return
        self.facts.append(
            ResponseOwed(
                at=self._now,
                room=self._party.room,
                number=self._number,
                event_id=event.event_id,
                modification=event.modification,
                request_id=self._request_id,
                code=code,
                description=description,
                opt=opt,
            )
        )
        self._number += 1


class _Words(TypedDict, total=False):
    comment: str
    modified_at: float | None
    modification_reason: str


def _words(event: Event | BrokenEvent) -> _Words:
    """What the VTN says of this modification to people."""
    if isinstance(event, BrokenEvent):
        return {}
    return {
        "comment": event.comment[:WORDS_MAX],
        "modified_at": event.modified_at,
        "modification_reason": event.modification_reason[:WORDS_MAX],
    }


def _wanted(event: Event | BrokenEvent) -> bool:
    return isinstance(event, BrokenEvent) or event.status != "cancelled"
