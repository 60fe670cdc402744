"""Our VEN against openleadr's VTN: another process, another code base, mutual TLS, P-256 signatures."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Coroutine
from pathlib import Path

import pytest

from tests.wire.ven_bench import Bench, free_port, openleadr
from vpp_gateway.domain.instruction import Setpoint
from vpp_gateway.identity.dev_ca import DevCa, make_dev_ca
from vpp_gateway.northbound.openadr2.facts import Registered


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> DevCa:
    return make_dev_ca(tmp_path_factory.mktemp("pki") / "ca", now=time.time(), vens=("ven", "other"))


def play(scene: Coroutine[None, None, None]) -> None:
    asyncio.run(scene)


def test_event_opt_modification_and_cancellation(pki: DevCa, tmp_path: Path) -> None:
    """The id is not "007": openleadr reads that as the number 7 and then does not know its own event."""

    async def scene() -> None:
        port = free_port()
        bench = Bench(pki, port)
        bench.opt = lambda instruction: "out" if instruction.event_id == "too-much" else "in"
        async with openleadr(pki, port, bench.notice, tmp_path / "log") as vtn, bench.running():
            await bench.until(lambda: bench.state() == "registered", "registration")
            assert vtn.seen("registration")[0]["accepted"]
            start = int(time.time()) + 60
            vtn.do(do="event", event_id="EV-007", type="setpoint", value=300, scale="k", start_at=start,
                   duration_s=900, resource="tokyo", priority=1)  # fmt: skip
            await bench.until(lambda: vtn.opts("EV-007"), "opt in")
            first = bench.instructions[0]
            assert (first.event_id, first.scope, first.priority.rank) == ("EV-007", ("tokyo",), 0)
            assert first.phases[0].demand == Setpoint(import_w=300_000.0)
            assert (first.start_at, first.end_at) == (start, start + 900)
            assert vtn.opts("EV-007") == ["optIn"]

            vtn.do(do="event", event_id="too-much", value=-9e6, start_at=start, duration_s=900)
            await bench.until(lambda: vtn.opts("too-much"), "opt out")
            assert vtn.opts("too-much") == ["optOut"]

            vtn.do(do="modify", event_id="EV-007", value=250)
            answered = len(vtn.opts("EV-007"))
            await bench.until(lambda: bench.instructions[-1].modification == 1, "the modification")
            await bench.until(lambda: len(vtn.opts("EV-007")) > answered, "opt on the modification")
            latest = bench.instructions[-1]
            assert (latest.modification, latest.phases[0].demand) == (1, Setpoint(import_w=250_000.0))

            vtn.do(do="cancel", event_id="EV-007")
            answered = len(vtn.opts("EV-007"))
            await bench.until(lambda: bench.withdrawn, "the cancellation")
            await bench.until(lambda: len(vtn.opts("EV-007")) > answered, "answer to the cancellation")
            assert bench.withdrawn == [("tso/EV-007", "cancelled")]

            vtn.do(
                do="event",
                event_id="simple",
                signal="SIMPLE",
                type="level",
                value=2,
                start_at=start,
                duration_s=60,
            )
            await bench.until(lambda: bench.instructions[-1].event_id == "simple", "SIMPLE")
            assert bench.session.status().refused_messages == 0

    play(scene())


def test_reports_reach_the_vtn_each_point_once(pki: DevCa, tmp_path: Path) -> None:
    async def scene() -> None:
        port = free_port()
        bench = Bench(pki, port)
        options = ("--granularity-s", "1", "--back-duration-s", "2")
        async with openleadr(pki, port, bench.notice, tmp_path / "log", *options) as vtn, bench.running():
            await bench.until(lambda: len(vtn.seen("report")) >= 8, "reports")
            offered = vtn.seen("reports_offered")[0]
            assert offered["name"] == "METADATA_TELEMETRY_USAGE"
            assert offered["r_ids"] == ["portfolio", "tokyo", "chubu", "kansai"]
            for r_id in offered["r_ids"]:
                points = [
                    point for line in vtn.seen("report") if line["r_id"] == r_id for point in line["points"]
                ]
                starts = [start for start, _ in points]
                assert starts == [starts[0] + index for index in range(len(starts))]  # no gap, no repetition
                assert all(value == start % 1000 for start, value in points)

    play(scene())


def test_vtn_down_at_start_then_up_then_restarted(pki: DevCa, tmp_path: Path) -> None:
    async def scene() -> None:
        port = free_port()
        bench = Bench(pki, port)
        async with bench.running():
            await bench.until(lambda: bench.state() == "lost", "lost while the VTN is down")
            assert {failure.cause for failure in bench.failures} == {"unreachable"}
            async with openleadr(pki, port, bench.notice, tmp_path / "log"):
                await bench.until(lambda: bench.state() == "registered", "registration by itself")
            await bench.until(lambda: bench.state() == "lost", "lost again")
            async with openleadr(pki, port, bench.notice, tmp_path / "log") as vtn:
                await bench.until(
                    lambda: vtn.seen("registration") and bench.state() == "registered", "return"
                )
                assert sum(isinstance(fact, Registered) for fact in bench.facts) == 2
                vtn.do(do="event", event_id="after", value=-1000, start_at=time.time() + 60, duration_s=60)
                await bench.until(lambda: vtn.seen("opt"), "opt after the restart")

    play(scene())


def test_a_ven_with_another_certificate_is_not_registered(pki: DevCa, tmp_path: Path) -> None:
    async def scene() -> None:
        port = free_port()
        bench = Bench(pki, port, ven="other")
        async with openleadr(pki, port, bench.notice, tmp_path / "log") as vtn, bench.running():
            await bench.until(lambda: vtn.seen("registration"), "an attempt")
            await bench.until(lambda: "registration refused" in bench.session.status().detail, "the refusal")
            assert not vtn.seen("registration")[0]["accepted"]
            assert not any(isinstance(fact, Registered) for fact in bench.facts)

    play(scene())


def test_control_lines_over_a_socket(pki: DevCa, tmp_path: Path) -> None:
    async def scene() -> None:
        path = tmp_path / "control"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "vpp_gateway.sim.vtn_openleadr",
            "--port", str(free_port()), "--cert", str(pki.vtn_cert), "--key", str(pki.vtn_key), "--ca", str(pki.ca),
            "--ven-name", "centre", "--ven-fingerprint", "00", "--control-socket", str(path),
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        async with asyncio.timeout(30):
            while True:  # another process makes the socket: there is nothing here to wait for
                try:
                    reader, writer = await asyncio.open_unix_connection(path)
                    break
                except (FileNotFoundError, ConnectionRefusedError):
                    await asyncio.sleep(0.05)
            writer.write(b'{"do": "dance"}\nnot json\n{"do": "cancel", "event_id": "E"}\n')
            told: list[dict[str, str]] = []
            while len(told) < 3:
                line = json.loads(await reader.readline())
                told += [line] if line["saw"] == "refused" else []
            assert "dance" in told[0]["reason"] and told[1]["line"] == "not json"
            assert "listed event" in told[2]["reason"]
            writer.write(b'{"do": "stop"}\n')
            assert await process.wait() == 0
        writer.close()

    play(scene())
