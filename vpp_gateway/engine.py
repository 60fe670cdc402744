"""The one loop: fact -> journal (durable first) -> gateway.step -> outboxes.

    clients, agents, workers -facts--> take() -> journal.append -> gateway.step / session.apply -> perform(commands)
                                                                                                |
                               Answer -> session -> client   Arrange, Shift -> link   Solve, Plan -> worker

Everything between a fact and its commands is synchronous, so no two facts interleave and replay is exact: the fold
uses `fact.at`, never the clock. Facts born of commands (an answer that is owed, a concluded record) queue behind.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from vpp_gateway.clock import Clock
from vpp_gateway.domain.command import Answer, Arrange, Command, Conclude, Plan, Shift, Solve
from vpp_gateway.domain.fact import (
    FACT_TYPES,
    Concluded,
    Fact,
    Instructed,
    Linked,
    Obeyed,
    Planned,
    Solved,
    Started,
    Tick,
    Woke,
)
from vpp_gateway.domain.horizon import HorizonPlan
from vpp_gateway.domain.instruction import RoomName, SiteId
from vpp_gateway.domain.reading import SiteReading, Snapshot
from vpp_gateway.gateway import Gateway
from vpp_gateway.history import History
from vpp_gateway.journal.replay import ReplayResult, open_since, replay
from vpp_gateway.journal.reserve import JournalFull
from vpp_gateway.journal.store import Journal
from vpp_gateway.journal.telemetry import TelemetryStore, series_of
from vpp_gateway.link.messages import (
    Down,
    LostReport,
    ObeyedReport,
    OfferedReport,
    Readings,
    RefusedReport,
    ScheduleOrder,
    ShiftCommand,
    ShiftedReport,
    Up,
    Welcome,
)
from vpp_gateway.northbound.turn import SessionFact, Turn
from vpp_gateway.shells import Link, Planner, Room, Solver

TICK_OFFSET_S = 0.25
"""The tick comes so long after the whole second, when the sites sample: their readings have arrived."""
FRESH_S = 2.5
"""A site whose newest reading is older than this is not in the snapshot."""
CLOCK_STEP_S = 1.0
"""A wall clock set by more than this is an alarm; it is followed as soon as no instruction is near."""
FLUSH_S = 5.0
"""Ticks are committed at least so often."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """Facts to fold, and what a session wants to send once they are durable."""

    facts: tuple[Fact | SessionFact, ...] = ()
    room: Room | None = None
    requests: tuple[Any, ...] = ()


class Engine:
    """Owns the order of things; the work is done by gateway, sessions and shells."""

    def __init__(
        self,
        *,
        gateway: Gateway,
        journal: Journal,
        telemetry: TelemetryStore | None,
        clock: Clock,
        version: str,
        on_fact: Callable[[Fact | SessionFact], None] | None = None,
        on_command: Callable[[Command], None] | None = None,
    ) -> None:
        self.gateway = gateway
        self.journal = journal
        self.clock = clock
        self.history = History(telemetry, gateway)
        self.rooms: dict[RoomName, Room] = {}
        self.trouble: dict[str, str] = {}
        """Standing troubles of the engine's own boundary, by source, in words."""
        self._telemetry = telemetry
        self._version = version
        self._on_fact = on_fact
        self._on_command = on_command
        self._link: Link | None = None
        self._solver: Solver | None = None
        self._planner: Planner | None = None
        self._readings: dict[SiteId, SiteReading] = {}
        self._inbox: deque[_Work] = deque()
        self._busy = False
        self._stirred = asyncio.Event()
        self._flushed_at = clock.monotonic()
        self._acknowledged = False
        """An acknowledgement waits for the disk."""
        self.started_at = clock.utc()
        self.on_second: Callable[[], None] | None = None
        """Told after each tick."""

    def connect(
        self, *, rooms: Mapping[RoomName, Room], link: Link, solver: Solver, planner: Planner | None = None
    ) -> None:
        """Attach the shells; before `recover`. Without a planner there is no plan of the hour."""
        self.rooms, self._link, self._solver, self._planner = dict(rooms), link, solver, planner

    # -- life -----------------------------------------------------------------------------------------------

    def refold(self, fact: Fact | SessionFact) -> list[Command]:
        """Fold one durable fact. On recovery its commands are dropped: an earlier life carried them out.

        A fact that a projection cannot digest is our fault, not its sender's: it is named in `trouble`, and the
        rest goes on, the same way live and on replay.
        """
        try:
            if isinstance(fact, Instructed) and (own := self.rooms.get(fact.instruction.room)) is not None:
                own.session.apply(fact)
            if isinstance(fact, FACT_TYPES):
                return self.gateway.step(fact, fact.at)  # type: ignore[arg-type]  # narrowed by FACT_TYPES
            room = self.rooms.get(fact.room)  # type: ignore[union-attr]  # a session fact, it has a room
            if room is not None:
                room.session.apply(fact)  # type: ignore[arg-type]
        except Exception as error:  # the engine's boundary: ends in a visible state
            self.trouble["engine"] = f"{type(fact).__name__} at {fact.at:.3f}: {error!r}"
            log.exception("a fact could not be folded", fact=type(fact).__name__)
        return []

    def recover(self) -> ReplayResult:
        """Fold the journal: everything but ticks that no projection remembers any more.

        Ticks count from the baseline window before the oldest instruction that is not concluded.
        """
        since = open_since(self.journal) - self.gateway.policy.baseline_window_s - FRESH_S
        return replay(self.journal, self._remember, clock=self.clock, skip_ticks_before=since)

    def _remember(self, fact: Any) -> None:
        self.refold(fact)
        if isinstance(fact, Tick):
            self.history.add(self.gateway, fact.snapshot)

    def start(self) -> None:
        """Take over after recovery: a new epoch, from here on commands are carried out."""
        now = self.clock.utc()
        self.take([Started(at=now, epoch=self.gateway.epoch + 1, version=self._version)])

    async def run(self) -> None:
        """Serve until cancelled."""
        assert self._link is not None and self._solver is not None, "connect() comes before run()"
        async with asyncio.TaskGroup() as group:
            for shell in (self._link, self._solver, self._planner):
                if shell is not None:
                    group.create_task(shell.run())
            group.create_task(self._tick())
            group.create_task(self._wake())
            for room in self.rooms.values():
                group.create_task(room.client.run())
                group.create_task(self._wake_room(room))

    # -- intake ---------------------------------------------------------------------------------------------

    def take(self, facts: Iterable[Fact | SessionFact]) -> None:
        """Make facts durable, fold them, carry out what follows. Facts taken meanwhile queue behind.

        Raises:
            JournalError: the journal cannot be written or trusted; nothing of `facts` has had an effect.
        """
        self._queue(_Work(facts=tuple(facts)))

    def receive(self, room: RoomName, message: Any) -> str:
        """A client got a message (or a failure): the session judges it, the gateway answers.

        Returns:
            Why it, or a part of it, is not acted on; "" when it is.
        """
        entry = self.rooms[room]
        try:
            turn = entry.session.receive(message, self.clock.utc())
        except Exception as error:  # the engine's boundary: one message costs itself, visibly
            self.trouble[f"room {room}"] = f"{type(message).__name__}: {error!r}"
            log.exception("a message could not be judged", room=room)
            return f"it could not be judged: {error!r}"
        self._turn(entry, turn)
        return turn.refused

    def operate(self, room: RoomName, request: Any) -> Mapping[str, Any]:
        """An act of the operator on one session, journalled as his; what he is told.

        Raises:
            GatewayError: The act is not possible now, in words; nothing has changed.
        """
        entry = self.rooms[room]
        turn, told = entry.session.operate(request, self.clock.utc())
        self._turn(entry, turn)
        return told

    def from_site(self, site: SiteId, message: Up) -> None:
        """A site agent said something."""
        now = self.clock.utc()
        match message:
            case Readings():
                first = site not in self._readings
                self._readings[site] = message.reading
                if first:  # the site is back: do not wait for the next second to take it into control
                    self.take([Tick(at=now, snapshot=self._snapshot(now))])
            case ObeyedReport() | RefusedReport() | LostReport() | OfferedReport() | ShiftedReport():
                self.take([replace(message.fact, at=now)])
            case _:
                log.warning("unexpected message", site=site, type=message.type)

    def linked(self, site: SiteId, up: bool, reason: str = "", silent: bool = False) -> None:
        """A site agent came or went."""
        if not up:
            self._readings.pop(site, None)
        self.take([Linked(at=self.clock.utc(), site=site, up=up, reason=reason, silent=silent)])

    def solved(self, problem: str, plan: Any, reason: str = "") -> None:
        """The solver answered, or could not."""
        self.take([Solved(at=self.clock.utc(), problem=problem, plan=plan, reason=reason)])

    def planned(self, problem: str, plan: HorizonPlan | None, reason: str = "") -> None:
        """The planner answered, or could not."""
        self.take([Planned(at=self.clock.utc(), problem=problem, plan=plan, reason=reason)])

    # -- fold and perform -----------------------------------------------------------------------------------

    def _turn(self, room: Room, turn: Turn) -> None:
        """Journal what a session said, then send what it wants to send: in this order."""
        self._queue(_Work(facts=turn.facts, room=room, requests=turn.requests))
        room.stirred.set()

    def _queue(self, work: _Work) -> None:
        self._inbox.append(work)
        if self._busy:
            return
        self._busy = True
        try:
            while self._inbox:
                self._carry_out(self._inbox.popleft())
        finally:
            self._busy = False
        self._stirred.set()

    def _carry_out(self, work: _Work) -> None:
        commands = self._fold(work.facts) if work.facts else []
        if work.room is not None:
            for request in work.requests:
                work.room.client.send(request)
        self._perform(commands)

    def _fold(self, facts: Sequence[Fact | SessionFact]) -> list[Command]:
        self._write(facts)
        commands: list[Command] = []
        for fact in facts:
            if self._on_fact is not None:
                self._on_fact(fact)
            commands.extend(self.refold(fact))
        return commands

    def _write(self, facts: Sequence[Fact | SessionFact]) -> None:
        """Into the journal; acknowledgements reach the disk with the next tick, everything that commands at once.

        Nothing is ordered because a battery obeyed, so a few hundred of them need not wait for the disk one by one.
        """
        durable = not all(isinstance(fact, Tick | Woke | Obeyed) for fact in facts)
        if self._acknowledged and any(isinstance(fact, Tick) for fact in facts):
            durable = True
        self._acknowledged = not durable and (
            self._acknowledged or any(isinstance(fact, Obeyed) for fact in facts)
        )
        try:
            self.journal.append(facts, durable=durable)
        except JournalFull as error:
            self._go_on_in_ram(error)
            self.journal.append(facts, durable=durable)

    def _flush(self) -> None:
        """Commit the ticks that wait; while degraded, try the disk again."""
        try:
            self.journal.flush()
        except JournalFull as error:
            self._go_on_in_ram(error)
        if not self.journal.degraded and self.trouble.pop("journal", None) is not None:
            log.info("journal has room again", head=self.journal.head[0])

    def _go_on_in_ram(self, error: JournalFull) -> None:
        """Losing the disk must not lose the event: go on from memory, visibly."""
        self.trouble["journal"] = str(error)
        log.error("journal is full, going on from memory", error=str(error))
        self.journal.continue_in_ram()

    def _perform(self, commands: Sequence[Command]) -> None:
        answers: dict[RoomName, list[Answer]] = {}
        for command in commands:
            if self._on_command is not None:
                self._on_command(command)
            match command:
                case Answer():
                    answers.setdefault(command.room, []).append(command)
                case Arrange():
                    self._send(command.schedule.site, ScheduleOrder(schedule=command.schedule))
                case Shift():
                    self._send(command.site, ShiftCommand(order=command.order))
                case Solve() if self._solver is not None:
                    self._solver.submit(command.problem)
                case Plan() if self._planner is not None:
                    self._planner.submit(command.problem)
                case Conclude():
                    self.take([Concluded(at=self.clock.utc(), record=command.record)])
        for name, rows in answers.items():
            room = self.rooms.get(name)
            if room is not None:
                self._turn(room, room.session.answer(rows, self.clock.utc()))

    def _send(self, site: SiteId, message: Down) -> None:
        if self._link is not None:
            self._link.send(site, message)

    # -- time -----------------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            now = self.clock.utc()
            await asyncio.sleep(1.0 - (now - TICK_OFFSET_S) % 1.0)
            self.tick()

    def tick(self) -> None:
        """One second: freeze what the sites said, fold it, keep the history."""
        if abs(self.clock.step_s()) > CLOCK_STEP_S and self.gateway.timeline.idle(self.clock.utc()):
            log.warning("the wall clock was set; taking it over", by_s=round(self.clock.step_s(), 3))
            self.clock.reanchor()
        self._tell_time()
        now = self.clock.utc()
        snapshot = self._snapshot(now)
        self.take([Tick(at=now, snapshot=snapshot)])
        self.history.add(self.gateway, snapshot)
        if self.on_second is not None:
            self.on_second()
        if self._telemetry is not None:
            self._telemetry.append(now, {**series_of(snapshot), **self.history.extras(snapshot)})
        if self.clock.monotonic() >= self._flushed_at + FLUSH_S:
            self._flushed_at = self.clock.monotonic()
            self._flush()

    def _snapshot(self, now: float) -> Snapshot:
        """What the sites said last, as far as it is fresh."""
        return Snapshot(at=now, sites=tuple(r for r in self._readings.values() if r.at > now - FRESH_S))

    def _tell_time(self) -> None:
        """Each second: we are alive, and this is our clock. An agent that does not hear it gives the link up."""
        welcome = Welcome(epoch=self.gateway.epoch, at=self.clock.utc())
        for site in self.gateway.sites.ids:
            self._send(site, welcome)

    async def _wake(self) -> None:
        """Wake the gateway exactly when a phase begins or ends."""
        while True:
            self._stirred.clear()
            now = self.clock.utc()
            due = self.gateway.next_wake(now)
            try:
                async with asyncio.timeout(None if due is None else max(0.0, due - now)):
                    await self._stirred.wait()
            except TimeoutError:
                self.take([Woke(at=max(self.clock.utc(), due or 0.0))])

    async def _wake_room(self, room: Room) -> None:
        """Wake a session when it wants to poll, retry or report."""
        while True:
            room.stirred.clear()
            now = self.clock.utc()
            due = room.session.next_wake()
            if due is not None and due <= now:
                self._turn(room, room.session.wake(now, self.history))
                await asyncio.sleep(0)
                continue
            try:
                async with asyncio.timeout(None if due is None else due - now):
                    await room.stirred.wait()
            except TimeoutError:
                continue
