"""The OpenADR 2.0b VEN as a pure object: messages, failures and time in; facts and posts out.

    phase (state.TABLE)   says                            hears
    unregistered          oadrQueryRegistration           oadrCreatedPartyRegistration  -> registering
    registering           oadrCreatePartyRegistration     ... with a registrationID     -> reporting
    reporting             oadrRegisterReport (METADATA)   oadrRegisteredReport          -> registered
    registered            oadrRequestEvent, oadrPoll,     events, report orders, cancellations;
                          what is owed, due reports       463, 452 or oadrRequestReregistration -> registering
    leaving               oadrCancelPartyRegistration     oadrCanceledPartyRegistration -> cancelled
    cancelled             (nothing more)                  rejoin() -> unregistered

One exchange is under way at a time. `receive` and `answer` only decide facts; `wake` says what follows from facts
that are durable, so after each turn `next_wake()` lies in the past whenever there is something to send. Durable
state (`VenState`) changes only in `apply`; the moment (`Pace`: in flight, back-off, next poll) is not state, and a
restart begins without it.

An unanswered exchange is repeated with jittered, doubling waits for ever; it never ends the session. After each
doubt the full event list is asked for before the next poll, so nothing that a lost reply carried stays lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from vpp_gateway.clock import Rng
from vpp_gateway.domain.command import Answer
from vpp_gateway.domain.fact import Fact, Instructed
from vpp_gateway.domain.instruction import RoomName, SiteId
from vpp_gateway.errors import ConfigError
from vpp_gateway.northbound.openadr2 import ending, endpoints, hear, hear_push, silence, speak
from vpp_gateway.northbound.openadr2.desk import Desk, Facts, Pace, Sent
from vpp_gateway.northbound.openadr2.event_remarks import remarks_held
from vpp_gateway.northbound.openadr2.facts import (
    FACT_TYPES,
    JoinWanted,
    LeaveWanted,
    NonceSeen,
    ResponseOwed,
    VenFact,
)
from vpp_gateway.northbound.openadr2.mapping import event_id_of
from vpp_gateway.northbound.openadr2.messages import (
    Failed,
    Listening,
    OptType,
    Pushed,
    Received,
    Reply,
    Unreadable,
    name_of,
)
from vpp_gateway.northbound.openadr2.misaddressed import for_another, misheard
from vpp_gateway.northbound.openadr2.operate import VenRequest, operate
from vpp_gateway.northbound.openadr2.operate_view import Shown
from vpp_gateway.northbound.openadr2.opt_change import change
from vpp_gateway.northbound.openadr2.party import NamedDevice, first_names
from vpp_gateway.northbound.openadr2.program import ProgramProfile
from vpp_gateway.northbound.openadr2.report_offer import offer_of
from vpp_gateway.northbound.openadr2.signature import ReplayGuard
from vpp_gateway.northbound.openadr2.state import Phase, VenState
from vpp_gateway.northbound.openadr2.xml_text import write_date
from vpp_gateway.northbound.turn import RoomStatus, SessionFact, Telemetry, Turn

PROTOCOL = "OpenADR 2.0b"
_GUARD_S = 15.0
"""Beyond the client's own deadline; a reply later than this is not waited for."""


class VenSession:
    """One VEN of one room; implements `northbound.turn.Session`.

    Args:
        room: The operator's name of this connection.
        ven_name: oadrVenName, as agreed with the utility.
        ven_id: venID when the utility gave one beforehand; None = the VTN assigns it at registration.
        program: What this utility's signals mean.
        sites: The portfolio's sites.
        rng: Chance for request ids, jitter and start randomisation.
        signing: Whether our messages are signed (told to the VTN; the codec does it).
        resources: resourceID -> site as the utility names them; None = the site ids themselves.
        level_base_w: W that a SIMPLE share of 1 means, per site.
        capacity_w: Contracted import per site, W: what a load capacity of 100 % means.
        areas: resourceID -> the sites of an area, where the utility names one.
        devices: resourceID -> a single device, where the utility names one.
        groups: groupIDs that we belong to.
        parties: partyIDs that we are.
        poll_s: The operator's poll period, s; None = as the VTN asks, else the profile's.
        push_url: Where the VTN posts to us; needed where the program says push.
        addresses: Of the VTN, the main one first; the client knows them in this order.

    Raises:
        ConfigError: The profile asks for something that was not given.
    """

    fact_types: tuple[type, ...] = (*FACT_TYPES, Instructed)
    """Its own, and the one of the domain that it remembers."""

    def __init__(
        self,
        *,
        room: RoomName,
        ven_name: str,
        ven_id: str | None,
        program: ProgramProfile,
        sites: Sequence[SiteId],
        rng: Rng,
        signing: bool,
        resources: Mapping[str, SiteId] | None = None,
        level_base_w: Mapping[SiteId, float] | None = None,
        capacity_w: Mapping[SiteId, float] | None = None,
        areas: Mapping[str, tuple[SiteId, ...]] | None = None,
        devices: Mapping[str, NamedDevice] | None = None,
        groups: Sequence[str] = (),
        parties: Sequence[str] = (),
        poll_s: float | None = None,
        push_url: str | None = None,
        addresses: Sequence[str] = ("",),
    ) -> None:
        base_w, most_w = dict(level_base_w or {}), dict(capacity_w or {})
        _check(room, program, sites, signing, base_w, most_w)
        if (program.transport == "push") != (push_url is not None):
            raise ConfigError(
                f"northbound {room}: program {program.name} says transport {program.transport}, so push: with the "
                f"address that the utility posts to is {'missing' if push_url is None else 'out of place'}"
            )
        named: Mapping[str, SiteId] = {str(site): site for site in sites} if resources is None else resources
        self.room = room
        self._guard = ReplayGuard(
            window_s=program.signature.replay_window_s, capacity=program.signature.nonces_max
        )
        self._desk = Desk(
            room=room,
            ven_name=ven_name,
            ven_id=ven_id,
            program=program,
            resources=named,
            level_base_w=base_w,
            capacity_w=most_w,
            areas=dict(areas or {}),
            devices=dict(devices or {}),
            groups=frozenset(groups),
            parties=frozenset(parties),
            offer=None if program.reports is None else offer_of(program.reports, first_names(named)),
            signing=signing,
            poll_s=poll_s,
            rng=rng,
            state=VenState(),
            pace=Pace(),
            push_url=push_url,
            addresses=tuple(addresses),
        )

    def receive(self, message: Received | Failed | Pushed | Unreadable | Listening, now: float) -> Turn:
        """Take the client's word on the exchange under way, or what the VTN posted to us.

        A word on any other exchange is out of date and dropped.
        """
        pace = self._desk.pace
        before = pace.refused.total()
        turn = self._heard(message, now)
        return turn if pace.refused.total() == before else _refused(turn, pace.last_refusal)

    def _heard(self, message: Received | Failed | Pushed | Unreadable | Listening, now: float) -> Turn:
        pace = self._desk.pace
        if isinstance(message, Unreadable):
            self._desk.refuse("malformed", message.detail)
            return Turn()
        if isinstance(message, Listening):
            pace.listener = message.trouble
            return Turn()
        if isinstance(message, Pushed):
            heard = hear_push.pushed(self._desk, self._guard, message, now)
            arrived_at = now if message.arrived_at is None else min(message.arrived_at, now)
            return Turn(
                facts=tuple(_arrived(fact, arrived_at) for fact in heard.facts), requests=(heard.reply,)
            )
        sent = pace.in_flight
        if sent is None or message.number != sent.post.number:
            return Turn()
        pace.in_flight = None
        if message.skew_s is not None:
            pace.skew_s = message.skew_s
        if isinstance(message, Failed):
            return self._failed(sent, message.cause, message.detail, now)
        return self._received(sent, message, now)

    def wake(self, now: float, telemetry: Telemetry) -> Turn:
        """Say what is due. Facts, if any, come alone: what follows from them is said at the next wake."""
        pace = self._desk.pace
        facts = [*ending.due(self._desk.state, self.room, now), *speak.overdue(self._desk, now)]
        if facts:
            return Turn(facts=tuple(facts))
        if pace.in_flight is not None:
            if now < pace.in_flight.at + self._patience_s:
                return Turn()
            sent, pace.in_flight = pace.in_flight, None
            return self._failed(sent, "timeout", "the client brought no word on the exchange", now)
        if now < pace.hold_until:
            return Turn()
        endpoints.turn_back(self._desk, now)
        facts, due = speak.say_next(self._desk, now, telemetry)
        pace.in_flight = due
        return Turn(facts=tuple(facts), requests=() if due is None else (due.post,))

    def next_wake(self) -> float | None:
        """UTC (Unix s); a time in the past means at once."""
        pace = self._desk.pace
        deadline_s = self._desk.program.answer_deadline_s
        times = [event.held_at + deadline_s for event in self._desk.state.events.values() if event.undecided]
        times += [*ending.moments(self._desk.state.events.values()), *silence.moments(self._desk)]
        if pace.in_flight is not None:
            return min([*times, pace.in_flight.at + self._patience_s])
        times += endpoints.moments(self._desk)
        due = speak.next_at(self._desk)
        if due is not None:
            times.append(max(due, pace.hold_until))
        return min(times, default=None)

    def answer(self, answers: Sequence[Answer], now: float) -> Turn:
        """Opt in or out; a later answer that differs is a change of mind and is sent as well (rule 42)."""
        facts: Facts = []
        for one in answers:
            held = self._desk.state.events.get(event_id_of(self.room, one.instruction))
            opt: OptType = "optIn" if one.opt == "in" else "optOut"
            if one.room != self.room or held is None or held.cancelled or not held.instructed:
                continue
            if held.ending_at is not None:
                continue
            if held.modification != one.modification or held.opt == opt:
                continue
            skip = sum(1 for fact in facts if isinstance(fact, ResponseOwed))
            facts += change(self._desk, held, opt, one.reason, now, origin="gateway", skip=skip)
        return Turn(facts=tuple(facts))

    def leave(self, now: float) -> Turn:
        """The operator ends the registration; every instruction of this room is withdrawn when the VTN confirms."""
        if self._desk.state.phase in (Phase.LEAVING, Phase.CANCELLED):
            return Turn()
        return Turn(facts=(LeaveWanted(at=now, room=self.room),))

    def rejoin(self, now: float) -> Turn:
        """The operator wants to register again after a cancellation by either side."""
        return Turn(facts=(JoinWanted(at=now, room=self.room),))

    def operate(self, request: VenRequest, now: float) -> tuple[Turn, Shown]:
        """An act of the operator: see `operate`."""
        return operate(self, request, now)

    @property
    def desk(self) -> Desk:
        """What the operator's acts work on."""
        return self._desk

    def apply(self, fact: SessionFact | Instructed) -> None:
        """Change durable state; live and on replay alike."""
        if isinstance(fact, Instructed):
            if fact.instruction.room == self.room:
                self._desk.state.remember(fact.instruction)
        elif isinstance(fact, NonceSeen):
            self._guard.remember(fact.signed_at, fact.nonce)
        elif isinstance(fact, FACT_TYPES):
            self._desk.state.apply(fact)  # type: ignore[arg-type]  # FACT_TYPES are exactly VenFact

    def status(self) -> RoomStatus:
        """What the operator sees."""
        state, pace = self._desk.state, self._desk.pace
        lost = pace.failures >= self._desk.program.polling.lost_after
        return RoomStatus(
            room=self.room,
            protocol=PROTOCOL,
            state="lost" if lost and state.phase is not Phase.CANCELLED else state.phase.value,
            detail="; ".join(self._remarks()),
            last_contact_at=pace.last_contact_at,
            refused_messages=pace.refused.total(),
        )

    def refused(self) -> Mapping[str, int]:
        """Refused messages since start, by kind."""
        return dict(self._desk.pace.refused)

    @property
    def _patience_s(self) -> float:
        return self._desk.program.polling.deadline_s + _GUARD_S

    def _failed(self, sent: Sent, cause: str, detail: str, now: float) -> Turn:
        name = name_of(sent.post.message)
        if cause == "refused":
            self._desk.refuse("malformed", f"answer to {name}: {detail}")
        self._desk.fail(now, f"{name}: {detail}")
        endpoints.failed(self._desk, now)
        reached = cause in ("http", "refused")
        return Turn(facts=tuple(hear.undelivered(self._desk, sent, detail, now, reached=reached)))

    def _received(self, sent: Sent, message: Received, now: float) -> Turn:
        if message.nonce is not None and message.signed_at is not None:
            stale = self._guard.check(message.signed_at, message.nonce, now)
            if stale:
                self._desk.refuse("replay", stale)
                return self._failed(sent, "replay", stale, now)
            self._guard.remember(message.signed_at, message.nonce)
        failures = self._desk.pace.failures
        self._contact(now)
        if message.message is None:
            return Turn(facts=tuple(hear.empty(self._desk, sent, now)))
        reason = for_another(self._desk, message.message)
        if reason:
            facts = misheard(self._desk, sent, message.message, reason, failures, now)
        else:
            facts = hear.message(self._desk, sent, message.message, now)
        if facts and message.nonce is not None and message.signed_at is not None:
            facts.append(NonceSeen(at=now, room=self.room, nonce=message.nonce, signed_at=message.signed_at))
        arrived_at = now if message.arrived_at is None else min(message.arrived_at, now)
        return Turn(facts=tuple(_arrived(fact, arrived_at) for fact in facts))

    def _contact(self, now: float) -> None:
        """A usable answer came. While registering, only being registered ends the back-off."""
        pace = self._desk.pace
        pace.last_contact_at = now
        endpoints.answered(self._desk)
        if self._desk.state.listening:
            pace.failures, pace.trouble = 0, ""

    def _remarks(self) -> list[str]:
        state, pace, program = self._desk.state, self._desk.pace, self._desk.program
        remarks = []
        if pace.trouble:
            remarks.append(pace.trouble)
        elif state.detail:
            remarks.append(state.detail)
        if pace.failures and state.phase is not Phase.CANCELLED:
            remarks.append(f"attempt {pace.failures} failed, next try at {write_date(pace.hold_until)}")
        if pace.skew_s is not None and abs(pace.skew_s) > program.clock_tolerance_s:
            side = "ahead of" if pace.skew_s > 0 else "behind"
            remarks.append(
                f"clock: the VTN is {abs(pace.skew_s):.0f} s {side} us, allowed are "
                f"{program.clock_tolerance_s:g} s; compare time sources"
            )
        remarks += [*endpoints.remarks(self._desk), *([pace.listener] if pace.listener else [])]
        remarks += [*remarks_held(state.events.values()), *pace.remarks]
        if state.owed and pace.failures:
            remarks.append(f"{len(state.owed)} answers wait for the VTN")
        if pace.refused:
            remarks.append(f"{pace.refused.total()} messages refused, last: {pace.last_refusal}")
        return remarks


def _refused(turn: Turn, why: str) -> Turn:
    """The turn with what the record is told of the message."""
    requests = tuple(replace(one, refused=why) if isinstance(one, Reply) else one for one in turn.requests)
    return replace(turn, requests=requests, refused=why)


def _arrived(fact: Fact | VenFact, at: float) -> Fact | VenFact:
    """The stopwatch of an instruction begins with the last byte of its message, not with its judgement."""
    if not isinstance(fact, Instructed):
        return fact
    return replace(fact, instruction=replace(fact.instruction, received_at=at))


def _check(
    room: RoomName,
    program: ProgramProfile,
    sites: Sequence[SiteId],
    signing: bool,
    base_w: Mapping[SiteId, float],
    most_w: Mapping[SiteId, float],
) -> None:
    if program.signature.required and not signing:
        raise ConfigError(
            f"northbound {room}: program {program.name} requires XML signatures, found no signing key and certificate"
        )
    levels = any(rule.in_levels for rule in program.signals)
    shares = levels and any(rule.share for rule in program.levels)
    missing = [site for site in sites if site not in base_w]
    if shares and missing:
        raise ConfigError(
            f"northbound {room}: program {program.name} gives SIMPLE levels as shares, so each site needs a "
            f"level base in W; missing for {', '.join(missing)}"
        )
    unmeasured = [site for site in sites if site not in most_w]
    if unmeasured and any(rule.meaning == "capacity" for rule in program.signals):
        raise ConfigError(
            f"northbound {room}: program {program.name} sends load capacities, so each site needs its contracted "
            f"import; missing for {', '.join(unmeasured)}"
        )
