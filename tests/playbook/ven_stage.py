"""A stage for the VEN session: the scripted VTN on one side, a stand-in for the engine on the other, time by hand.

Every message of either side passes through bytes and the 2.0b schema, so a message that is not valid fails the test
in which it was said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from lxml import etree
from ruamel.yaml import YAML

from tests.outgoing import Tap
from vpp_gateway.clock import SeededRng
from vpp_gateway.domain.command import Answer
from vpp_gateway.domain.fact import Instructed, Withdrawn
from vpp_gateway.domain.instruction import Instruction, RoomName, SiteId
from vpp_gateway.northbound.openadr2 import schema
from vpp_gateway.northbound.openadr2.codec import Codec
from vpp_gateway.northbound.openadr2.messages import Failed, Message, Post, Received
from vpp_gateway.northbound.openadr2.program import ProgramProfile
from vpp_gateway.northbound.openadr2.session import VenSession
from vpp_gateway.northbound.turn import Sample, StatusSample, Turn, UsageSample
from vpp_gateway.sim.vtn import Vtn

ROOM = RoomName("tso")
SITES = (SiteId("tokyo"), SiteId("chubu"), SiteId("kansai"))
START = 1_767_225_600.0
"""2026-01-01T00:00:00Z."""
PROGRAMS = Path(__file__).resolve().parents[2] / "profiles" / "programs"

F = TypeVar("F")


@cache
def xsd() -> etree.XMLSchema:
    return schema.load()


def program(name: str = "generic-2.0b", **changes: Any) -> ProgramProfile:
    """A shipped profile, with top-level keys changed; signatures off unless the test is about them."""
    found = YAML(typ="safe").load((PROGRAMS / f"{name}.yaml").read_text(encoding="utf-8"))
    return ProgramProfile.model_validate({**found, "signature": {"required": False}, **changes})


class Meter:
    """Telemetry: one sample a second, `import_w(site, at)`; seconds in `missing` have none."""

    def __init__(self) -> None:
        self.missing: set[int] = set()
        self.values: dict[str, float] = {}
        """Constant of each other quantity, by reportType; what is not here is not known."""
        self.online: Callable[[SiteId, float], bool] = lambda site, at: True
        self.import_w: Callable[[SiteId | None, float], float] = lambda site, at: 1000.0

    def usage(self, site: SiteId | None, since: float, until: float) -> Sequence[UsageSample]:
        seconds = range(int(-(-since // 1)), int(-(-until // 1)))
        return [
            UsageSample(at=at, import_w=self.import_w(site, at)) for at in seconds if at not in self.missing
        ]

    def series(self, quantity: str, site: SiteId | None, since: float, until: float) -> Sequence[Sample]:
        if quantity not in self.values:
            return []
        return [Sample(at=one.at, value=self.values[quantity]) for one in self.usage(site, since, until)]

    def status(self, site: SiteId, since: float, until: float) -> Sequence[StatusSample]:
        return [
            StatusSample(at=one.at, online=self.online(site, one.at), override=False, offset_percent=-10.0)
            for one in self.usage(site, since, until)
        ]


@dataclass
class Stage:
    """Session, VTN and engine stand-in."""

    vtn: Vtn = field(default_factory=lambda: Vtn(rng=SeededRng("vtn")))
    program: ProgramProfile = field(default_factory=program)
    ven_id: str | None = None
    sites: Sequence[SiteId] = SITES
    seed: int = 1
    now: float = START
    opt: Callable[[Instruction], Answer | None] = lambda instruction: Answer(
        room=ROOM, instruction=instruction.id, modification=instruction.modification, opt="in", reason="fits"
    )
    down: str = ""
    """Cause of failure of every exchange while not empty."""
    mangle: Callable[[Message], Message | None] = lambda message: message
    """The VTN's answer on its way."""
    rewrite: Callable[[bytes], bytes] = lambda body: body
    """The same, as bytes."""

    def __post_init__(self) -> None:
        self.codec = Codec(schema=xsd())
        self.meter = Meter()
        self.facts: list[Any] = []
        self.refused: list[str] = []
        """What the record is told of messages that are not acted on."""
        self.posts: list[tuple[float, Post]] = []
        self.session = self.make_session()

    def make_session(self) -> VenSession:
        return VenSession(
            room=ROOM,
            ven_name="centre",
            ven_id=self.ven_id,
            program=self.program,
            sites=self.sites,
            rng=SeededRng(self.seed),
            signing=self.program.signature.required,
            level_base_w=dict.fromkeys(self.sites, 100000.0),
        )

    def restart(self) -> None:
        """A new process: only the facts survive."""
        self.session = self.make_session()
        for fact in self.facts:
            if isinstance(fact, self.session.fact_types):
                self.session.apply(fact)

    def run(self, seconds: float) -> None:
        """Let time pass; wakes happen when the session asks for them."""
        until = self.now + seconds
        wakes = 0
        while True:
            due = self.session.next_wake()
            if due is None or due > until:
                break
            wakes = 0 if due > self.now else wakes + 1
            assert wakes < 200, f"the session spins at {self.now}: {self.session.status()}"
            self.now = max(self.now, due)
            self.take(self.session.wake(self.now, self.meter))
        self.now = until

    def take(self, turn: Turn) -> None:
        """What the engine does with a turn: durable, applied, answered, sent."""
        answers = []
        self.refused += [turn.refused] if turn.refused else []
        for fact in turn.facts:
            self.facts.append(fact)
            if isinstance(fact, self.session.fact_types):
                self.session.apply(fact)  # type: ignore[arg-type]
            if isinstance(fact, Instructed) and (answer := self.opt(fact.instruction)) is not None:
                answers.append(answer)
        if answers:
            self.take(self.session.answer(answers, self.now))
        for post in turn.requests:
            self.posts.append((self.now, post))
            self.take(self.session.receive(self.carry(post), self.now))

    def carry(self, post: Post) -> Received | Failed:
        """One exchange: bytes there, bytes back."""
        body = self.codec.encode(post.message, self.now)
        Tap().keep(body)
        sent = self.codec.decode(body, self.now).message
        assert self.codec.encode(sent, self.now) == body  # nothing was lost on the way
        if self.down:
            return Failed(number=post.number, cause=self.down, detail="the line is cut")  # type: ignore[arg-type]
        said = self.vtn.answer(post.service, sent, self.now)
        said = None if said is None else self.mangle(said)
        if said is None:
            return Received(number=post.number, message=None)
        back = self.codec.decode(self.rewrite(self.codec.encode(said, self.now)), self.now).message
        return Received(number=post.number, message=back)

    def facts_of(self, kind: type[F]) -> list[F]:
        return [fact for fact in self.facts if isinstance(fact, kind)]

    @property
    def instructions(self) -> list[Instruction]:
        return [fact.instruction for fact in self.facts_of(Instructed)]

    @property
    def withdrawn(self) -> list[tuple[str, str]]:
        return [(fact.instruction, fact.cause) for fact in self.facts_of(Withdrawn)]

    def sent(self, kind: type[F]) -> list[F]:
        return [post.message for _, post in self.posts if isinstance(post.message, kind)]

    def opts(self, event_id: str) -> list[tuple[str, str, int]]:
        """(code, opt, modification) the VTN heard on an event."""
        return [
            (heard.response.code, heard.response.opt, heard.response.modification)
            for heard in self.vtn.opts.get(event_id, [])
        ]


def registered(stage: Stage | None = None) -> Stage:
    """A stage whose VEN is registered and has polled."""
    ready = stage or Stage()
    ready.run(1.0)
    assert ready.session.status().state == "registered", ready.session.status()
    return ready
