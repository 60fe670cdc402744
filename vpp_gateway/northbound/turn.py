"""What every northbound room offers to the engine; the rooms themselves do not know each other.

    client (sockets)  --message-->  engine  --receive(message, now)-->  session (pure)
                                      |  Turn(facts, requests)
                                      v
                       journal: all facts durable  ->  session.apply(own facts), gateway.step(domain facts)
                                      |  Answer commands
                                      v
                       session.answer(answers, now) -> Turn  ->  journal  ->  requests to the client

A session changes only by `apply(fact)`, so that replaying the journal rebuilds it: starting is recovering.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from vpp_gateway.domain.command import Answer
from vpp_gateway.domain.fact import Fact, Instructed
from vpp_gateway.domain.instruction import RoomName, SiteId


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSample:
    """One second of measured import, for reports."""

    at: float
    """UTC (Unix s), start of the interval."""
    import_w: float
    modelled: bool = False
    checked: bool = False
    """By the check meter of a site whose meter failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One second of any other quantity, for reports."""

    at: float
    """UTC (Unix s), start of the interval."""
    value: float
    """In the plain unit of the quantity: W, Wh, or 0/1."""
    modelled: bool = False
    checked: bool = False
    """By the check meter of a site whose meter failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusSample:
    """How one site stood in one second."""

    at: float
    online: bool
    """Its link is up and one of its meters can be trusted."""
    override: bool
    """A device of the site answers but takes no orders: it is in local control."""
    offset_percent: float | None = None
    """Import against the baseline, in percent of it: -10 = a tenth less; None = no baseline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpareBlock:
    """What the portfolio could hold in one block of time, beside what it owes already."""

    start_at: float
    """UTC (Unix s)."""
    end_at: float
    regulation_w: float
    """Magnitude in the direction asked for, >= 0."""


class Telemetry(Protocol):
    """What a session may ask of the measured past when a report is due, and of what can be offered."""

    def usage(self, site: SiteId | None, since: float, until: float) -> Sequence[UsageSample]:
        """Samples in [since, until) of one site, or of the portfolio's sum when `site` is None."""
        ...

    def series(self, quantity: str, site: SiteId | None, since: float, until: float) -> Sequence[Sample]:
        """Samples in [since, until) of a quantity by its OpenADR reportType; empty where it is not known."""
        ...

    def status(self, site: SiteId, since: float, until: float) -> Sequence[StatusSample]:
        """How the site stood, second by second in [since, until)."""
        ...

    def spare(
        self, direction: Literal["down", "up"], now: float, block_s: float, horizon_s: float
    ) -> Sequence[SpareBlock]:
        """Spare regulation per block from `now` to the horizon; empty while no site can be read."""
        ...


class SessionFact(Protocol):
    """A fact of a protocol session: a frozen dataclass of its room with these two fields (plus its own)."""

    @property
    def at(self) -> float: ...
    @property
    def room(self) -> RoomName: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Result of one act of a session."""

    facts: tuple[Fact | SessionFact, ...] = ()
    """To be journalled, in order, before anything is sent."""
    requests: tuple[Any, ...] = ()
    """Messages for this room's client to send; typed inside the room."""
    refused: str = ""
    """Why the message that was received, or a part of it, is not acted on, in words; "" = it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomStatus:
    """What the operator sees of one northbound connection."""

    room: RoomName
    protocol: str
    state: str
    """One word from the session's transition table, for instance `registered`."""
    detail: str = ""
    """In words: why, what comes next; names the faulty message or field."""
    last_contact_at: float | None = None
    """UTC (Unix s) of the last good exchange with the peer."""
    refused_messages: int = 0
    """Messages refused since start (hostile, malformed, for somebody else)."""


class Session(Protocol):
    """A northbound protocol as a pure object."""

    room: RoomName
    fact_types: tuple[type, ...]
    """Dataclasses of this session's own facts, for the journal."""

    def receive(self, message: Any, now: float) -> Turn:
        """Take one message (or transport failure) from the client. Never raises on what a peer can cause."""
        ...

    def wake(self, now: float, telemetry: Telemetry) -> Turn:
        """Time passed: whatever is due now."""
        ...

    def next_wake(self) -> float | None:
        """UTC (Unix s) when `wake` wants to be called next; None = only after a message."""
        ...

    def answer(self, answers: Sequence[Answer], now: float) -> Turn:
        """The gateway opted on instructions of the message received last (also later changes of mind)."""
        ...

    def operate(self, request: Any, now: float) -> tuple[Turn, Mapping[str, Any]]:
        """An act of the operator, or a look: what follows, and what he is told in plain values.

        Raises:
            GatewayError: The act is not possible now, in words.
        """
        ...

    def apply(self, fact: SessionFact | Instructed) -> None:
        """Change state; called for every journalled fact of this room, live and on replay."""
        ...

    def status(self) -> RoomStatus: ...


class Client(Protocol):
    """The shell of a room: owns sockets and timeouts, knows nothing of the protocol's state."""

    async def run(self) -> None:
        """Serve until cancelled: send requests, hand replies to the engine."""
        ...

    def send(self, request: Any) -> None:
        """Queue a request of this room's session; never blocks."""
        ...
