"""The scripted VTN of virtual time and openleadr's VTN pass the same suite, so a house played with one holds for both."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from tests.playbook.ven_stage import xsd
from tests.wire.ven_bench import Bench, OpenLeadr, free_port, openleadr
from vpp_gateway.clock import SeededRng, SystemClock
from vpp_gateway.identity.dev_ca import DevCa, make_dev_ca
from vpp_gateway.northbound.openadr2.codec import Codec
from vpp_gateway.northbound.openadr2.signature import Signer, Verifier, fingerprint
from vpp_gateway.sim.vtn import Vtn, dispatch
from vpp_gateway.sim.vtn_http import VtnServer, server_tls

GRANULARITY_S, BACK_S = 1.0, 2.0


class Utility(Protocol):
    """What a test may ask of any VTN."""

    def event(self, id: str, *, w: float, start_at: float, duration_s: float) -> None: ...
    def cancel(self, id: str) -> None: ...
    def registered(self) -> bool: ...
    def opts(self) -> list[tuple[str, str]]: ...
    def reported(self, r_id: str) -> list[tuple[float, float]]: ...


class Scripted:
    """sim/vtn in this process."""

    def __init__(self, vtn: Vtn) -> None:
        self._vtn = vtn

    def event(self, id: str, *, w: float, start_at: float, duration_s: float) -> None:
        self._vtn.add_event(
            dispatch(id, start_at=start_at, duration_s=duration_s, value=w, ven_ids=(self._vtn.ven_id,))
        )

    def cancel(self, id: str) -> None:
        self._vtn.cancel(id)

    def registered(self) -> bool:
        return self._vtn.registration_id is not None

    def opts(self) -> list[tuple[str, str]]:
        rows = [(heard.at, id, heard.response.opt) for id, all in self._vtn.opts.items() for heard in all]
        return [(id, opt) for _, id, opt in sorted(rows)]

    def reported(self, r_id: str) -> list[tuple[float, float]]:
        points = [heard.point for heard in self._vtn.points if heard.point.r_id == r_id]
        return [(point.start_at, point.value) for point in points]


class Foreign:
    """openleadr in its own process."""

    def __init__(self, peer: OpenLeadr) -> None:
        self._peer = peer

    def event(self, id: str, *, w: float, start_at: float, duration_s: float) -> None:
        self._peer.do(do="event", event_id=id, value=w, start_at=start_at, duration_s=duration_s)

    def cancel(self, id: str) -> None:
        self._peer.do(do="cancel", event_id=id)

    def registered(self) -> bool:
        return any(line["accepted"] for line in self._peer.seen("registration"))

    def opts(self) -> list[tuple[str, str]]:
        return [(line["event_id"], line["opt"]) for line in self._peer.seen("opt")]

    def reported(self, r_id: str) -> list[tuple[float, float]]:
        lines = [line for line in self._peer.seen("report") if line["r_id"] == r_id]
        return [(start, value) for line in lines for start, value in line["points"]]


@asynccontextmanager
async def scripted(pki: DevCa, port: int, bench: Bench, log: Path) -> AsyncIterator[Utility]:
    pin = fingerprint(pki.ven_cert("ven").read_bytes())
    signer = Signer(key_pem=pki.vtn_key.read_bytes(), cert_pem=pki.vtn_cert.read_bytes(), rng=SeededRng(1))
    vtn = Vtn(rng=SeededRng(2), ven_name="centre", poll_s=1.0, order=(GRANULARITY_S, BACK_S))
    server = VtnServer(
        vtn=vtn,
        codec=Codec(schema=xsd(), signer=signer, verifier=Verifier(pins=[pin])),
        clock=SystemClock(),
        tls=server_tls(ca_file=str(pki.ca), cert_file=str(pki.vtn_cert), key_file=str(pki.vtn_key)),
    )
    async with server.serve(port):
        yield Scripted(vtn)


@asynccontextmanager
async def foreign(pki: DevCa, port: int, bench: Bench, log: Path) -> AsyncIterator[Utility]:
    options = ("--granularity-s", str(GRANULARITY_S), "--back-duration-s", str(BACK_S))
    async with openleadr(pki, port, bench.notice, log, *options) as peer:
        yield Foreign(peer)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> DevCa:
    return make_dev_ca(tmp_path_factory.mktemp("pki") / "ca", now=time.time(), vens=("ven",))


@pytest.fixture(params=[scripted, foreign], ids=["sim.vtn", "openleadr"])
def play(request: pytest.FixtureRequest, pki: DevCa, tmp_path: Path) -> Callable[[Scene], None]:
    def run(scene: Scene) -> None:
        async def main() -> None:
            port = free_port()
            bench = Bench(pki, port)
            async with request.param(pki, port, bench, tmp_path / "log") as utility, bench.running():
                await scene(bench, utility)

        asyncio.run(main())

    return run


Scene = Callable[[Bench, Utility], Awaitable[None]]


def test_it_registers_the_ven_it_knows(play: Callable[[Scene], None]) -> None:
    async def scene(bench: Bench, utility: Utility) -> None:
        await bench.until(lambda: bench.state() == "registered", "registration")
        assert utility.registered()
        assert bench.session.status().refused_messages == 0

    play(scene)


def test_it_lists_events_hears_opts_and_cancels(play: Callable[[Scene], None]) -> None:
    async def scene(bench: Bench, utility: Utility) -> None:
        bench.opt = lambda instruction: "out" if instruction.event_id == "too-much" else "in"
        await bench.until(lambda: bench.state() == "registered", "registration")
        start = float(int(time.time()) + 60)
        utility.event("E-1", w=-1000.0, start_at=start, duration_s=300)
        await bench.until(lambda: ("E-1", "optIn") in utility.opts(), "opt in")
        one = bench.instructions[0]
        assert (one.event_id, one.start_at, one.end_at, one.scope) == ("E-1", start, start + 300, ())
        utility.event("too-much", w=-9e9, start_at=start, duration_s=300)
        await bench.until(lambda: ("too-much", "optOut") in utility.opts(), "opt out")
        before = len(utility.opts())
        utility.cancel("E-1")
        await bench.until(lambda: bench.withdrawn == [("tso/E-1", "cancelled")], "cancellation")
        await bench.until(lambda: ("E-1", "optIn") in utility.opts()[before:], "answer to it")

    play(scene)


def test_it_takes_each_point_of_the_reports_it_ordered_once(play: Callable[[Scene], None]) -> None:
    async def scene(bench: Bench, utility: Utility) -> None:
        await bench.until(lambda: len(utility.reported("portfolio")) >= 4, "reports")
        points = utility.reported("portfolio")
        assert [start for start, _ in points] == [points[0][0] + n for n in range(len(points))]
        assert all(value == start % 1000 for start, value in points)

    play(scene)
