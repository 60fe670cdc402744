"""The stream: what a page hears first, after a gap, when it is slow, when nothing happens, and at the end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientResponse, ClientSession, web

from tests.unit.console_fake import START_S, FakeSource, World
from tests.unit.console_http import BEGIN, HOLDER, Served, served
from vpp_gateway.clock import LoopClock, SeededRng
from vpp_gateway.console.access import Access
from vpp_gateway.console.history import HistoryPoint, HistoryReply
from vpp_gateway.console.source import BEATS_MAX
from vpp_gateway.console.status import Status
from vpp_gateway.console.stream import KEEP_ALIVE_S, STREAMS_MAX
from vpp_gateway.console.web import Listen, serve_console
from vpp_gateway.sim.loop import run as run_virtually

REQUEST = (
    f"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {HOLDER['Authorization']}\r\n\r\n"
).encode()
Message = tuple[str, str, str]
"""id, event, data."""


async def message(answer: ClientResponse) -> Message:
    """The next event; comments and `retry` are skipped."""
    found = {"id": "", "event": "", "data": ""}
    while True:
        line = (await answer.content.readline()).decode().rstrip("\n")
        if line == "" and found["event"]:
            return found["id"], found["event"], found["data"]
        name, _, value = line.partition(": ")
        if name in found:
            found[name] = value


@asynccontextmanager
async def listening(console: Served, query: str = "", **headers: str) -> AsyncIterator[ClientResponse]:
    async with console.client.get(
        f"{console.url}/api/v1/stream{query}", headers={**HOLDER, **headers}, read_bufsize=2**20
    ) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Accel-Buffering"] == "no"
        yield answer


def second_on(console: Served) -> None:
    console.clock.now += 1.0
    console.source.beat()


def test_a_new_page_hears_the_picture_then_each_second(tmp_path: Path) -> None:
    async def run() -> None:
        async with served(tmp_path) as console, listening(console) as answer:
            id_, event, data = await message(answer)
            assert (id_, event) == ("", "status")
            assert Status.model_validate_json(data) == console.source.status()
            for _ in range(3):
                second_on(console)
                _, event, data = await message(answer)
                assert (event, Status.model_validate_json(data)) == ("status", console.source.status())
                id_, event, data = await message(answer)
                assert event == "point"
                assert id_ == str(int(console.clock.now * 1000))
                assert HistoryPoint.model_validate_json(data).at == console.clock.now

    asyncio.run(run())


@pytest.mark.parametrize("how", ["Last-Event-ID", "since", "both"])
def test_a_page_that_comes_back_gets_exactly_what_it_missed(tmp_path: Path, how: str) -> None:
    async def run() -> None:
        async with served(tmp_path) as console:
            last = console.clock.now - 5.0
            query = "?since=-5" if how == "since" else "?since=-500" if how == "both" else ""
            headers = {} if how == "since" else {"Last-Event-ID": str(int(last * 1000))}
            async with listening(console, query, **headers) as answer:
                id_, event, data = await message(answer)
                assert (id_, event) == (str(int(console.clock.now * 1000)), "history")
                seconds = [point.at for point in HistoryReply.model_validate_json(data).points]
                assert seconds == [last + n for n in range(1, 6)]
                assert (await message(answer))[1] == "status"
                console.source.beat()  # the second that history held already
                second_on(console)
                assert [(await message(answer))[1] for _ in range(3)] == ["status", "status", "point"]

    asyncio.run(run())


def test_slow_page_loses_old_pictures_but_no_points_and_never_stops_the_engine(tmp_path: Path) -> None:
    """The page stops reading; beats go on at once; when it reads again, history fills the gap."""

    async def run() -> None:
        async with served(tmp_path) as console:
            loop = asyncio.get_running_loop()
            with socket.socket() as page:
                page.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
                page.setblocking(False)
                await loop.sock_connect(page, ("127.0.0.1", int(console.url.rpartition(":")[2])))
                await loop.sock_sendall(page, REQUEST)
                heard = bytearray(await loop.sock_recv(page, 100))
                first = int(console.clock.now)
                rounds = 1500  # about 12 MB: more than every buffer between us holds
                for _ in range(rounds):
                    second_on(console)
                    await asyncio.sleep(0)
                assert console.source.feed.listeners == 1
                last = f'"schema_version":1,"at":{console.clock.now}'.encode()
                async with asyncio.timeout(20):
                    while last not in heard[-65536:] or not heard.endswith(b"\n\n\r\n"):
                        piece = await loop.sock_recv(page, 65536)
                        assert piece, "the server hung up"
                        heard += piece
            check_the_gap_was_filled(heard.decode("utf-8", "replace"), first, rounds)

    asyncio.run(run())


def check_the_gap_was_filled(text: str, first: int, rounds: int) -> None:
    pictures = text.count("event: status\n")
    assert "event: history\n" in text, "the gap was not filled"
    assert BEATS_MAX <= pictures < rounds, "a slow page cannot have got every picture"
    seconds: set[int] = set()
    for line in text.splitlines():
        if line.startswith('data: {"at":'):
            seconds.add(int(HistoryPoint.model_validate_json(line[6:]).at))
        elif line.startswith('data: {"schema_version":1,"points"'):
            reply = HistoryReply.model_validate_json(line[6:])
            seconds.update(int(point.at) for point in reply.points)
    expected = set(range(first + 1, first + rounds + 1))
    assert max(seconds) == max(expected)
    # Decimated history may thin a long gap out, so its points are counted, not each second.
    assert len(seconds & expected) > rounds / 4


def test_silence_is_kept_alive_in_virtual_time() -> None:
    async def run() -> tuple[int, float]:
        loop = asyncio.get_running_loop()
        clock = LoopClock(loop, BEGIN)
        source = FakeSource(World(BEGIN - START_S), clock)
        access = Access(clock, SeededRng(7), HOLDER["Authorization"].removeprefix("Bearer "))
        async with (
            serve_console(source, access, clock, Listen(port=0)) as url,
            ClientSession() as client,
            client.get(f"{url}/api/v1/stream", headers=HOLDER) as answer,
        ):
            await message(answer)
            began = loop.time()
            alive = 0
            while alive < 4:
                alive += (await answer.content.readline()).startswith(b": keep-alive")
            return alive, loop.time() - began

    alive, lasted = run_virtually(run, wall_limit_s=30)
    assert alive == 4
    assert lasted == pytest.approx(4 * KEEP_ALIVE_S, abs=0.5)


def test_streams_are_bounded_and_given_back(tmp_path: Path) -> None:
    async def run() -> None:
        async with served(tmp_path) as console:
            answers = [
                await console.client.get(f"{console.url}/api/v1/stream", headers=HOLDER)
                for _ in range(STREAMS_MAX)
            ]
            async with console.client.get(f"{console.url}/api/v1/stream", headers=HOLDER) as refused:
                assert refused.status == web.HTTPServiceUnavailable.status_code
                assert b"32 streams" in await refused.read()
            answers[0].close()
            async with asyncio.timeout(5):
                while console.source.feed.listeners == STREAMS_MAX:
                    second_on(console)  # the server notices when it writes
                    await asyncio.sleep(0.01)
            async with listening(console) as answer:
                assert (await message(answer))[1] == "status"
            for left in answers:
                left.close()

    asyncio.run(run())


def test_end_of_the_server_ends_the_streams() -> None:
    async def run() -> float:
        loop = asyncio.get_running_loop()
        clock = LoopClock(loop, BEGIN)
        source = FakeSource(World(BEGIN), clock)
        access = Access(clock, SeededRng(7), HOLDER["Authorization"].removeprefix("Bearer "))
        async with ClientSession() as client:
            async with serve_console(source, access, clock, Listen(port=0)) as url:
                answer = await client.get(f"{url}/api/v1/stream", headers=HOLDER)
                await message(answer)
                ended_at = loop.time()
            assert await answer.content.read() == b""
            assert source.feed.listeners == 0
            return loop.time() - ended_at

    assert run_virtually(run, wall_limit_s=30) < 1.0
