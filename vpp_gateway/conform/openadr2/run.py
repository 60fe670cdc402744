"""Plays procedures against a subject and judges; mutants show that each procedure can fail.

In virtual time each procedure has an event loop of its own, a fresh VEN and a fresh VTN, and runs from a fixed seed.
"""

from __future__ import annotations

import asyncio
import math
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from vpp_gateway.clock import Clock, LoopClock, Rng, SeededRng
from vpp_gateway.conform.openadr2.filters import Wire
from vpp_gateway.conform.openadr2.guise import Security, security_of
from vpp_gateway.conform.openadr2.laws import Breach
from vpp_gateway.conform.openadr2.own import OwnVen
from vpp_gateway.conform.openadr2.papers import lay
from vpp_gateway.conform.openadr2.play import Breached, Play
from vpp_gateway.conform.openadr2.procedure import Mutant, Procedure
from vpp_gateway.conform.openadr2.server import Server
from vpp_gateway.conform.openadr2.subject import NotPossible, Subject
from vpp_gateway.conform.openadr2.vtn import Heard, LiteralVtn
from vpp_gateway.conform.report import Procedure as Judged
from vpp_gateway.conform.report import Verdict
from vpp_gateway.northbound.openadr2 import schema
from vpp_gateway.northbound.openadr2.record import Recorder
from vpp_gateway.sim import loop as virtual

START = 1_767_225_600.0
"""2026-01-01T00:00:00Z: when virtual procedures begin."""
VIRTUAL_MAX_S = 4 * 86400.0
WALL_MAX_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Of one procedure, or of one with a mutant."""

    procedure: Procedure
    mutant: Mutant | None
    verdict: Verdict
    reason: str
    seconds: float
    wall_s: float
    acted: bool = True
    """The mutant altered something."""
    breaches: tuple[Breach, ...] = ()
    """Laws that did not hold of some message meanwhile."""
    heard: int = 0
    """Messages of the VEN."""

    @property
    def caught(self) -> bool:
        """The defect was found."""
        return self.mutant is not None and self.verdict == "fail" and self.acted

    def judged(self) -> Judged:
        """As it stands in the report."""
        return Judged(
            id=self.procedure.id,
            title=self.procedure.title,
            rules=self.procedure.rules,
            verdict=self.verdict,
            reason=self.reason,
            seconds=round(self.seconds, 3),
        )


async def play(
    procedure: Procedure,
    mutant: Mutant | None,
    subject: Subject,
    *,
    clock: Clock,
    rng: Rng,
    xsd: etree.XMLSchema,
    security: Security | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    poll_s: float = 10.0,
    longest_s: float = math.inf,
) -> Result:
    """One procedure against one VEN."""
    began, wall = clock.monotonic(), time.perf_counter()
    wire = Wire(mutant)
    breaches: list[Breach] = []
    heard: list[Heard] = []

    def result(verdict: Verdict, reason: str = "") -> Result:
        return Result(
            procedure=procedure,
            mutant=mutant,
            verdict=verdict,
            reason=reason,
            seconds=clock.monotonic() - began,
            wall_s=time.perf_counter() - wall,
            acted=wire.touched > 0 or (mutant is not None and mutant.answers is not None),
            breaches=tuple(breaches),
            heard=len(heard),
        )

    missing = procedure.claims - subject.claims
    if missing:
        return result("not_applicable", f"{subject.name} does not claim {', '.join(sorted(missing))}")
    if (least_s := procedure.least_s(poll_s)) > longest_s:
        return result("not_applicable", f"it takes {least_s:g} s at the least; --longest-s is {longest_s:g}")
    vtn = LiteralVtn(
        rng=rng,
        schema=xsd,
        t0=float(round(clock.utc() + 0.5)),
        breaches=breaches,
        heard=heard,
        signs=security is not None and security.signer is not None,
        **{"poll_s": poll_s, **procedure.vtn.given},
    )
    server = Server(vtn, wire, clock, security or Security())
    if lacks := server.lacks():
        return result("not_applicable", lacks)
    async with server.serve(host, port) as url, subject.running(procedure, url) as operator:
        one = Play(procedure=procedure, server=server, clock=clock, operator=operator, mutant=mutant)
        verdict, reason = await _judge(one)  # judged inside: what leaves a task group is wrapped
    return result(verdict, reason)


async def _judge(one: Play) -> tuple[Verdict, str]:
    try:
        await one.run()
    except Breached as breach:
        return "fail", str(breach)
    except NotPossible as why:
        return "not_applicable", str(why)
    return "pass", ""


def play_own(
    procedure: Procedure, mutant: Mutant | None, xsd: etree.XMLSchema, recorder: Recorder | None = None
) -> Result:
    """One procedure against our own VEN, in virtual time."""

    async def main() -> Result:
        loop = asyncio.get_running_loop()
        clock = LoopClock(loop, START - loop.time())
        rng = SeededRng(procedure.id)
        ven = OwnVen(clock=clock, rng=rng.fork("ven"), schema=xsd, recorder=recorder)
        vtn = rng.fork("vtn")
        if "tls" not in procedure.needs:
            return await play(procedure, mutant, ven, clock=clock, rng=vtn, xsd=xsd)
        with tempfile.TemporaryDirectory(prefix="vppgw-conform-") as folder:
            ven.papers = lay(Path(folder), procedure.keys)
            signed = "signed" in procedure.needs
            security = security_of(ven.papers, signed=signed, rng=rng.fork("nonces"))
            return await play(procedure, mutant, ven, clock=clock, rng=vtn, xsd=xsd, security=security)

    return virtual.run(main, max_virtual_s=VIRTUAL_MAX_S, wall_limit_s=WALL_MAX_S)


def all_own(
    procedures: Iterable[Procedure],
    *,
    mutants: bool,
    told: Callable[[Result], None] | None = None,
    recorder: Recorder | None = None,
) -> Iterator[Result]:
    """All procedures against our own VEN, each followed by its mutants if they are wanted."""
    xsd = schema.load()
    for procedure in procedures:
        for mutant in (None, *(procedure.mutants if mutants else ())):
            result = play_own(procedure, mutant, xsd, recorder)
            if told is not None:
                told(result)
            yield result
