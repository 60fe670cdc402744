"""Our VEN against openleadr's VTN in every security that the standard knows: plain, mutual TLS, signed RSA, signed P-256.

One day per kind, all four at once, each VTN in its own process: register, event up and down, modify, cancel, reports
each second, restart of the VTN, reports each ten seconds, restart of the VEN.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from tests.wire.ven_bench import Bench, OpenLeadr, Security, free_port, openleadr
from vpp_gateway.domain.instruction import Delta, Setpoint
from vpp_gateway.identity.dev_ca import make_dev_ca
from vpp_gateway.identity.keys import KeyKind
from vpp_gateway.northbound.openadr2.facts import Registered

KINDS: dict[str, tuple[Security, KeyKind]] = {
    "plain": ("plain", "p256"),
    "mutual-tls": ("tls", "p256"),
    "signed-rsa": ("signed", "rsa2048"),
    "signed-p256": ("signed", "p256"),
}


@dataclass
class Day:
    """What was seen in one day."""

    instructions: list[tuple[str, int, object]] = field(default_factory=list)
    opts: dict[str, list[str]] = field(default_factory=dict)
    withdrawn: list[tuple[str, str]] = field(default_factory=list)
    registrations: int = 0
    registrations_after_ven_restart: int = 0
    each_second: list[float] = field(default_factory=list)
    each_ten: list[float] = field(default_factory=list)
    after_restart: list[str] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    remark: str = ""


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Day]:
    async def all_at_once() -> dict[str, Day]:
        async with asyncio.TaskGroup() as group:
            tasks = {
                kind: group.create_task(
                    play(tmp_path_factory.mktemp(kind), *how, tmp_path_factory.mktemp(f"{kind}-log"))
                )
                for kind, how in KINDS.items()
            }
        return {kind: task.result() for kind, task in tasks.items()}

    return asyncio.run(all_at_once())


async def play(folder: Path, security: Security, keys: KeyKind, logs: Path) -> Day:
    pki = make_dev_ca(folder / "ca", now=time.time(), vens=("ven",), kind=keys)
    port, day = free_port(), Day()
    bench = Bench(pki, port, security=security)

    def vtn_with(granularity: str, whom: Bench):  # type: ignore[no-untyped-def]
        options = ("--security", security, "--granularity-s", granularity)
        return openleadr(pki, port, whom.notice, logs / "vtn.log", *options)

    async with bench.running():
        async with vtn_with("1", bench) as vtn:
            await _events(bench, vtn, day)
            await bench.until(lambda: len(_starts(vtn)) >= 3, "reports each second")
            day.each_second = _starts(vtn)
        await bench.until(lambda: bench.failures, "the VTN is gone")
        async with vtn_with("10", bench) as vtn:
            await bench.until(lambda: len(_starts(vtn)) >= 2, "reports each ten seconds")
            day.each_ten = _starts(vtn)
            day.registrations = sum(isinstance(fact, Registered) for fact in bench.facts)
    day.instructions = [(i.event_id, i.modification, i.phases[0].demand) for i in bench.instructions]
    day.withdrawn, day.refused = bench.withdrawn, dict(bench.session.refused())
    day.remark = bench.session.status().detail
    await _second_life(Bench(pki, port, security=security), vtn_with, day)
    return day


async def _events(bench: Bench, vtn: OpenLeadr, day: Day) -> None:
    await bench.until(lambda: bench.state() == "registered", "registration")
    start = int(time.time()) + 600
    vtn.do(do="event", event_id="down", value=-300, scale="k", start_at=start, duration_s=900)
    await bench.until(lambda: vtn.opts("down"), "opt on the event down")
    vtn.do(do="event", event_id="up", value=200, scale="k", start_at=start + 900, duration_s=900)
    await bench.until(lambda: vtn.opts("up"), "opt on the event up")
    vtn.do(do="event", event_id="hold", type="setpoint", value=1.5, scale="M", start_at=start + 1800,
           duration_s=900, resource="tokyo")  # fmt: skip
    await bench.until(lambda: vtn.opts("hold"), "opt on the setpoint")
    await _answered(bench, vtn, do="modify", event_id="down", value=-250)
    await _answered(bench, vtn, do="cancel", event_id="up")
    day.opts = {event_id: vtn.opts(event_id) for event_id in ("down", "up", "hold")}


async def _answered(bench: Bench, vtn: OpenLeadr, **order: object) -> None:
    """Openleadr lists all events anew with each change and forgets whom it asked: one change after the other."""
    before = {id: len(vtn.opts(id)) for id in ("down", "up", "hold")}
    vtn.do(**order)
    await bench.until(
        lambda: all(len(vtn.opts(id)) > count for id, count in before.items()), f"answer to {order}"
    )


async def _second_life(bench: Bench, vtn_with, day: Day) -> None:  # type: ignore[no-untyped-def]
    """The VEN is restarted from its facts while the VTN goes on: it polls on without registering again."""
    async with vtn_with("1", bench) as vtn:
        async with bench.running():
            await bench.until(lambda: len(_starts(vtn)) >= 1, "the first life")
            vtn.do(do="event", event_id="before", value=-1000, start_at=time.time() + 60, duration_s=60)
            await bench.until(lambda: vtn.opts("before"), "opt in the first life")
        again = bench.again()
        async with again.running():
            seen = len(_starts(vtn))
            vtn.do(do="event", event_id="after", value=-2000, start_at=time.time() + 120, duration_s=60)
            await again.until(lambda: vtn.opts("after"), "opt after the restart of the VEN")
            await again.until(lambda: len(_starts(vtn)) > seen + 1, "reports after the restart of the VEN")
        day.registrations_after_ven_restart = len(vtn.seen("registration"))
        day.after_restart = [i.event_id for i in again.instructions]
        _contiguous(_starts(vtn), 1.0)


def _starts(vtn: OpenLeadr) -> list[float]:
    return [
        start for line in vtn.seen("report") if line["r_id"] == "portfolio" for start, _ in line["points"]
    ]


def _contiguous(starts: list[float], step_s: float) -> None:
    """Each interval once, none missing."""
    assert all(b - a == step_s for a, b in pairwise(starts)), starts


@pytest.mark.parametrize("kind", KINDS)
def test_events_up_and_down_modified_and_cancelled(days: dict[str, Day], kind: str) -> None:
    day = days[kind]
    assert ("down", 0, Delta(regulation_w=300_000.0)) in day.instructions
    assert ("up", 0, Delta(regulation_w=-200_000.0)) in day.instructions
    assert ("hold", 0, Setpoint(import_w=1_500_000.0)) in day.instructions
    assert day.instructions[-1] == ("down", 1, Delta(regulation_w=250_000.0))
    assert day.withdrawn[0] == ("tso/up", "cancelled")
    assert all(day.opts.values()) and {opt for opts in day.opts.values() for opt in opts} == {"optIn"}
    assert day.refused == {}, day.remark


@pytest.mark.parametrize("kind", KINDS)
def test_reports_each_second_and_each_ten(days: dict[str, Day], kind: str) -> None:
    day = days[kind]
    assert len(day.each_second) >= 3 and len(day.each_ten) >= 2
    _contiguous(day.each_second, 1.0)
    _contiguous(day.each_ten, 10.0)


@pytest.mark.parametrize("kind", KINDS)
def test_restarts_of_either_side(days: dict[str, Day], kind: str) -> None:
    day = days[kind]
    assert day.registrations == 2  # openleadr's VTN forgets its VENs with its process
    assert day.registrations_after_ven_restart == 1
    assert day.after_restart == ["before", "after"]  # the first is known from the facts, not told again
