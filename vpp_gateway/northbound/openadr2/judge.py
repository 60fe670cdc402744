"""Judges one oadrDistributeEvent: each event on its own, against what is known of it (rules 12, 19, 56-61).

    listed, unknown                     -> new:      Instructed, or refused with 4xx
    listed, higher modification         -> replaces: Instructed, or refused (then the old one is withdrawn too)
    listed, same modification           -> nothing new; answered again when an answer is asked for
    listed, lower modification          -> 450, whatever its status
    listed as cancelled                 -> Withdrawn when known; answered either way, never an error
    listed as completed                 -> answered; what runs goes on (rule 66)
    known, not listed                   -> Withdrawn (implied cancel), also by an empty list

The VTN sends its whole list each time. One bad event costs only itself.
"""

from __future__ import annotations

from typing import Literal

from vpp_gateway.clock import Rng
from vpp_gateway.domain.fact import Fact, Instructed, Withdrawn
from vpp_gateway.domain.instruction import Instruction
from vpp_gateway.northbound.openadr2.facts import EventDropped, EventHeld, ResponseOwed, VenFact
from vpp_gateway.northbound.openadr2.mapping import Party, Refusal, instruction_id, instruction_of
from vpp_gateway.northbound.openadr2.messages import BrokenEvent, DistributeEvent, Event, OptType
from vpp_gateway.northbound.openadr2.program import ProgramProfile
from vpp_gateway.northbound.openadr2.state import HeldEvent, VenState
from vpp_gateway.northbound.openadr2.xml_text import shown


class Judge:
    """One judgement; `facts` is its result, `refusals` names what was refused, for the operator."""

    def __init__(
        self, *, state: VenState, party: Party, program: ProgramProfile, rng: Rng, now: float
    ) -> None:
        self._state = state
        self._party = party
        self._program = program
        self._rng = rng
        self._now = now
        self._number = state.next_number
        self._request_id = ""
        self.facts: list[Fact | VenFact] = []
        self.refusals: list[str] = []

    def distribute(self, message: DistributeEvent) -> None:
        """Judge the whole list."""
        self._request_id = message.request_id
        self.refusals.extend(message.unreadable)
        expected = self._program.vtn_id or self._state.vtn_id
        if expected is not None and message.vtn_id != expected:  # rule 21
            reason = f"vtnID: expected {shown(expected)}, found {shown(message.vtn_id)}"
            if not message.events:
                self.refusals.append(f"empty event list: {reason}")
            for event in message.events:
                self._refuse(event, "452", reason)
            return
        listed: set[str] = set()
        for event in message.events:
            if event.event_id in listed:
                self._refuse(event, "454", "the same eventID stands twice in one list")
                continue
            listed.add(event.event_id)
            self._event(event)
        if not message.unreadable:  # an event without a readable id may be any of the known ones
            self._implied(listed)

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
            self._hold(event, known, instructed=False)
        elif known is not None and known.opt is not None:
            opt = known.opt  # what was read before goes on
        self._refuse(event, "454", event.reason, opt)

    def _cancelled(self, event: Event, known: HeldEvent | None) -> None:
        """Rules 36, 59, 60: optIn says the cancellation is followed."""
        if known is not None and not known.cancelled:
            self._hold(event, known, instructed=known.instructed, cancelled=True)
            self._withdraw(known, "cancelled")
        self._respond(event, "200", "cancelled" if known is not None else "unknown and cancelled", "optIn")

    def _completed(self, event: Event, known: HeldEvent | None) -> None:
        opt: OptType = "optOut" if known is None or known.opt is None else known.opt
        self._respond(
            event, "200", "completed" if known is not None else "completed before it was known", opt
        )

    def _unchanged(self, event: Event, known: HeldEvent) -> None:
        if not event.response_required:
            return
        if known.opt is not None:
            self._respond(event, "200", known.reason, known.opt)
        elif known.request_id != self._request_id or not known.answer_required:
            self._hold(event, known, instructed=True, end_at=known.end_at, offset_s=known.offset_s)

    def _new(self, event: Event, known: HeldEvent | None) -> None:
        offset_s = self._offset(event, known)
        result = instruction_of(
            event, party=self._party, program=self._program, received_at=self._now, offset_s=offset_s
        )
        if isinstance(result, Refusal):
            self._not_taken(event, known, result.code, result.reason)
            self.refusals.append(f"event {shown(event.event_id)}: {result.code} {result.reason}")
        elif result.end_at is not None and result.end_at <= self._now:
            self._not_taken(event, known, "200", "over before it was received")
        else:
            self._take(event, known, result, offset_s)

    def _take(self, event: Event, known: HeldEvent | None, instruction: Instruction, offset_s: float) -> None:
        self._hold(event, known, instructed=True, end_at=instruction.end_at, offset_s=offset_s)
        self.facts.append(Instructed(at=self._now, instruction=instruction))

    def _not_taken(self, event: Event, known: HeldEvent | None, code: str, reason: str) -> None:
        """The VTN learns optOut, so an older modification must not run on either."""
        if known is None or known.modification != event.modification:
            self._hold(event, known, instructed=False)
        if known is not None:
            self._withdraw(known, "cancelled")
        self._respond(event, code, reason, "optOut")

    def _offset(self, event: Event, known: HeldEvent | None) -> float:
        if not self._program.apply_startafter or event.startafter_s <= 0:
            return 0.0
        if known is not None and known.startafter_s == event.startafter_s:
            return known.offset_s
        return self._rng.uniform(0.0, event.startafter_s)

    def _implied(self, listed: set[str]) -> None:
        """Rule 61, also for an empty list."""
        for known in self._state.events.values():
            if known.event_id in listed:
                continue
            cause: Literal["implied", "ended", "mark-gone"] = "implied"
            if known.cancelled or not known.instructed:
                cause = "mark-gone"
            elif known.end_at is not None and known.end_at <= self._now:
                cause = "ended"
            self.facts.append(
                EventDropped(
                    at=self._now,
                    room=self._party.room,
                    event_id=known.event_id,
                    modification=known.modification,
                    cause=cause,
                )
            )
            if cause == "implied":
                self._withdraw(known, "implied")

    def _withdraw(self, known: HeldEvent, cause: Literal["cancelled", "implied"]) -> None:
        if known.instructed and not known.cancelled:
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
        known: HeldEvent | None,
        *,
        instructed: bool,
        cancelled: bool = False,
        end_at: float | None = None,
        offset_s: float = 0.0,
    ) -> None:
        self.facts.append(
            EventHeld(
                at=self._now,
                room=self._party.room,
                event_id=event.event_id,
                modification=event.modification,
                request_id=self._request_id,
                answer_required=event.response_required,
                instructed=instructed,
                cancelled=cancelled,
                end_at=end_at,
                startafter_s=event.startafter_s if isinstance(event, Event) else 0.0,
                offset_s=offset_s,
            )
        )

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
