"""The VEN and the scripted VTN over HTTPS with client certificates and signatures, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.playbook.ven_stage import START, xsd
from tests.wire.ven_bench import Bench
from vpp_gateway.clock import LoopClock, SeededRng
from vpp_gateway.identity.dev_ca import DevCa, make_dev_ca
from vpp_gateway.northbound.openadr2.codec import Codec
from vpp_gateway.northbound.openadr2.messages import Poll
from vpp_gateway.northbound.openadr2.signature import Signer, Verifier, fingerprint
from vpp_gateway.sim.loop import run
from vpp_gateway.sim.vtn import Vtn, dispatch
from vpp_gateway.sim.vtn_http import VtnServer, server_tls

PORT = 18443
POLLING = {"poll_s": 10.0, "jitter_share": 0.0}


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> DevCa:
    return make_dev_ca(tmp_path_factory.mktemp("pki") / "ca", now=START + 10 * 365 * 86400, vens=("ven",))


Scene = Callable[[Bench, VtnServer], Awaitable[None]]


def play(
    pki: DevCa, scene: Scene, *, vtn: Vtn | None = None, listening: bool = True
) -> tuple[Bench, VtnServer]:
    """Run a scene; returns what took part."""

    async def main() -> tuple[Bench, VtnServer]:
        loop = asyncio.get_running_loop()
        clock = LoopClock(loop, START - loop.time())
        codec = Codec(
            schema=xsd(),
            signer=Signer(
                key_pem=pki.vtn_key.read_bytes(), cert_pem=pki.vtn_cert.read_bytes(), rng=SeededRng(2)
            ),
            verifier=Verifier(pins=[fingerprint(pki.ven_cert("ven").read_bytes())]),
        )
        tls = server_tls(ca_file=str(pki.ca), cert_file=str(pki.vtn_cert), key_file=str(pki.vtn_key))
        server = VtnServer(vtn=vtn or Vtn(rng=SeededRng(1)), codec=codec, clock=clock, tls=tls)
        bench = Bench(pki, PORT, clock=clock, polling=POLLING)
        async with server.serve(PORT), bench.running():
            await scene(bench, server)
        return bench, server

    return run(main, max_virtual_s=2 * 86400, wall_limit_s=120)


def test_an_hour_with_an_event_and_reports(pki: DevCa) -> None:
    async def scene(bench: Bench, server: VtnServer) -> None:
        await asyncio.sleep(60)
        server.vtn.add_event(
            dispatch("007", start_at=START + 600, duration_s=1800, value=-1e6, resource_ids=["tokyo"])
        )
        await asyncio.sleep(1200)
        server.vtn.cancel("007")
        await asyncio.sleep(2340)

    vtn = Vtn(rng=SeededRng(1), order=(60.0, 300.0))
    bench, server = play(pki, scene, vtn=vtn)
    assert bench.failures == [] and server.refused == []
    assert [(i.event_id, i.scope) for i in bench.instructions] == [("007", ("tokyo",))]
    assert bench.withdrawn == [("tso/007", "cancelled")]
    assert [heard.response.opt for heard in vtn.opts["007"]] == ["optIn", "optIn"]
    assert 355 <= len(vtn.said(Poll)) <= 361
    starts = [heard.point.start_at for heard in vtn.points if heard.point.r_id == "portfolio"]
    assert starts == [START + 60 * index for index in range(55)]


def test_same_seed_same_day(pki: DevCa) -> None:
    async def scene(bench: Bench, server: VtnServer) -> None:
        server.vtn.add_event(dispatch("E", start_at=START + 600, duration_s=600, value=-1e6, startafter_s=60))
        await asyncio.sleep(900)

    def facts() -> list[object]:
        # the nonces come from the seeded source as well, so even those repeat
        return list(play(pki, scene)[0].facts)

    assert facts() == facts()


def test_vtn_outage_is_lost_and_regained(pki: DevCa) -> None:
    async def scene(bench: Bench, server: VtnServer) -> None:
        await asyncio.sleep(30)
        server.down = True
        await asyncio.sleep(1800)
        assert bench.state() == "lost"
        assert "expected HTTP 200, found 503" in bench.session.status().detail
        server.vtn.add_event(dispatch("E", start_at=START + 7200, duration_s=600, value=-1e6))
        server.down = False
        await asyncio.sleep(120)

    bench, _ = play(pki, scene)
    assert bench.state() == "registered" and bench.session.status().detail == ""
    assert [i.event_id for i in bench.instructions] == ["E"]
    assert len(bench.failures) < 60


def test_tampered_and_replayed_answers_are_refused(pki: DevCa) -> None:
    async def scene(bench: Bench, server: VtnServer) -> None:
        await asyncio.sleep(30)
        old: list[bytes] = []

        def replay(answer: bytes) -> bytes:
            old.append(answer)
            return old[0]

        server.spoil = replay
        await asyncio.sleep(25)
        assert bench.session.refused().get("replay", 0) >= 1
        assert "replayed" in bench.session.status().detail
        server.spoil = lambda answer: answer.replace(b">200<", b">463<")
        await asyncio.sleep(120)
        server.spoil = None
        await asyncio.sleep(120)

    bench, _ = play(pki, scene)
    assert bench.session.refused()["malformed"] >= 1
    assert any("altered on the way" in failure.detail for failure in bench.failures)
    assert bench.state() == "registered"  # the forged 463 did nothing


def test_a_vtn_whose_clock_is_wrong_is_named(pki: DevCa) -> None:
    class Late:
        def __init__(self, bench: Bench) -> None:
            self._clock = bench.clock

        def utc(self) -> float:
            return self._clock.utc() - 100.0

        def monotonic(self) -> float:
            return self._clock.monotonic()

    async def scene(bench: Bench, server: VtnServer) -> None:
        await asyncio.sleep(30)
        server.clock = Late(bench)
        await asyncio.sleep(60)
        detail = bench.session.status().detail
        assert "expected HTTP 200, found 403 'signed 100 s ahead" in detail
        assert "100 s behind us" in detail

    play(pki, scene)
