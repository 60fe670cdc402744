"""The loop in virtual time: jumps, exact timers, order, deadlock, limits, clean-up."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from vpp_gateway.clock import LoopClock
from vpp_gateway.errors import MisuseError
from vpp_gateway.sim.loop import Deadlock, LimitReached, Trace, VirtualLoop, run
from vpp_gateway.sim.selector import TIME_MAX_S

HOST = "127.0.0.1"


async def echo_in_capitals(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
    finally:
        writer.close()


def port_of(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


def test_an_hour_of_sleep_takes_no_time() -> None:
    async def sleep() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    real = time.perf_counter()
    assert run(sleep) == 4600.0
    assert time.perf_counter() - real < 1.0


def test_a_sleep_of_days_passes_asyncios_longest_select() -> None:
    async def sleep() -> float:
        await asyncio.sleep(10 * 86_400)
        return asyncio.get_running_loop().time()

    assert run(sleep) == 1000.0 + 10 * 86_400


def test_timers_fire_at_their_exact_times_in_order() -> None:
    async def main() -> list[tuple[float, str]]:
        loop = asyncio.get_running_loop()
        seen: list[tuple[float, str]] = []
        for delay, name in ((5.0, "c"), (0.25, "a"), (1.5, "b"), (86_400.0, "d")):
            loop.call_later(delay, lambda name=name: seen.append((loop.time(), name)))
        await asyncio.sleep(86_401)
        return seen

    assert run(main) == [(1000.25, "a"), (1001.5, "b"), (1005.0, "c"), (87_400.0, "d")]


def test_timeouts_fire_at_exact_virtual_times_on_a_silent_peer() -> None:
    async def main() -> tuple[float, float]:
        loop = asyncio.get_running_loop()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await reader.read()
            finally:
                writer.close()

        async with await asyncio.start_server(silent, HOST, 0) as server:
            reader, writer = await asyncio.open_connection(HOST, port_of(server))
            writer.write(b"anybody there?")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(2.5):
                    await reader.read()
            first = loop.time()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(), 10)
            writer.close()
            await writer.wait_closed()
            return first, loop.time()

    assert run(main) == (1002.5, 1012.5)


def test_an_answer_over_tcp_costs_no_virtual_time() -> None:
    async def main() -> tuple[list[bytes], float]:
        async with await asyncio.start_server(echo_in_capitals, HOST, 0) as server:
            reader, writer = await asyncio.open_connection(HOST, port_of(server))
            answers = []
            for _ in range(100):
                writer.write(b"word\n")
                answers.append(await reader.readline())
            writer.close()
            await writer.wait_closed()
            return answers, asyncio.get_running_loop().time()

    assert run(main) == ([b"WORD\n"] * 100, 1000.0)


def test_a_host_name_is_looked_up_inline() -> None:
    async def main() -> bytes:
        async with await asyncio.start_server(
            echo_in_capitals, "localhost", 0, family=socket.AF_INET
        ) as server:
            reader, writer = await asyncio.open_connection("localhost", port_of(server))
            writer.write(b"a\n")
            answer = await reader.readline()
            writer.close()
            await writer.wait_closed()
            return answer

    assert run(main) == b"A\n"


def test_unix_sockets(tmp_path: Path) -> None:
    path = str(tmp_path / "link.sock")

    async def main() -> tuple[bytes, float]:
        async with await asyncio.start_unix_server(echo_in_capitals, path) as server:
            reader, writer = await asyncio.open_unix_connection(path)
            for minute in range(60):
                writer.write(f"minute {minute}\n".encode())
                answer = await reader.readline()
                await asyncio.sleep(60)
            writer.close()
            await writer.wait_closed()
            server.close()
            return answer, asyncio.get_running_loop().time()

    assert run(main) == (b"MINUTE 59\n", 4600.0)


def test_a_slow_reader_gets_every_byte_at_its_own_pace() -> None:
    size, pause_s = 3_000_000, 0.5

    async def main() -> tuple[int, float, int]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)

        async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(bytes(size))
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(pour, HOST, 0) as server:
            reader, writer = await asyncio.open_connection(HOST, port_of(server))
            got = 0
            while got < size:
                got += len(await reader.readexactly(50_000))
                await asyncio.sleep(pause_s)
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
            return got, loop.time(), loop.delivery.stalled

    assert run(main) == (size, 1000.0 + 60 * pause_s, 0)


def test_the_end_of_a_connection_is_seen_in_the_same_instant() -> None:
    async def main() -> tuple[bytes, float]:
        async def part(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(5)
            writer.write(b"bye")
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(part, HOST, 0) as server:
            reader, writer = await asyncio.open_connection(HOST, port_of(server))
            rest = await reader.read()
            at = asyncio.get_running_loop().time()
            writer.close()
            await writer.wait_closed()
            return rest, at

    assert run(main) == (b"bye", 1005.0)


def test_an_aborted_connection_is_seen_in_the_same_instant() -> None:
    async def main() -> float:
        async def abort(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(5)  # what the client wrote stays unread, so that the kernel resets
            writer.transport.abort()

        async with await asyncio.start_server(abort, HOST, 0) as server:
            reader, writer = await asyncio.open_connection(HOST, port_of(server))
            writer.write(b"unread")
            await asyncio.sleep(1)
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
            at = asyncio.get_running_loop().time()
            writer.close()
            return at

    assert run(main) == 1005.0


def test_a_refused_connection_is_an_ordinary_error() -> None:
    with socket.create_server((HOST, 0)) as taken:
        free = taken.getsockname()[1]

    async def main() -> None:
        await asyncio.open_connection(HOST, free)

    with pytest.raises(ConnectionRefusedError, match="Connect call failed"):
        run(main)


def test_a_peer_outside_the_loop_is_refused() -> None:
    with socket.create_server((HOST, 0)) as outside:
        port = outside.getsockname()[1]

        async def main() -> None:
            await asyncio.open_connection(HOST, port)

        with pytest.raises(MisuseError, match="all ends must live in one loop"):
            run(main)


def test_child_processes_are_refused() -> None:
    async def main() -> None:
        await asyncio.create_subprocess_exec(sys.executable, "-c", "")

    with pytest.raises(MisuseError, match="real time"):
        run(main)


def test_simultaneous_sockets_are_handled_in_order_of_registration() -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        pairs = [socket.socketpair() for _ in range(6)]
        order = [4, 1, 5, 0, 3, 2]
        seen: list[int] = []
        for number in order:
            loop.add_reader(pairs[number][0], lambda number=number: seen.append(pairs[number][0].recv(1)[0]))
        for number, pair in enumerate(pairs):
            pair[1].send(bytes([number]))
        await asyncio.sleep(1)
        for pair in pairs:
            loop.remove_reader(pair[0])
            pair[0].close()
            pair[1].close()
        return seen

    assert run(main) == [4, 1, 5, 0, 3, 2]


def test_a_task_group_cancels_its_children_in_order_of_creation() -> None:
    async def main() -> list[int]:
        cancelled: list[int] = []

        async def child(number: int) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(number)
                raise

        with pytest.raises(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                for number in range(40):
                    group.create_task(child(number))
                await asyncio.sleep(1)
                raise ValueError("one fails, all go")
        return cancelled

    assert run(main) == list(range(40))


def test_executor_and_threads_run_inline() -> None:
    async def main() -> tuple[bool, tuple[int, int]]:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        same_thread = await asyncio.to_thread(threading.get_ident) == threading.get_ident()
        return same_thread, await asyncio.get_running_loop().run_in_executor(None, divmod, 7, 2)

    assert run(main) == (True, (3, 1))


def test_a_deadlock_names_who_waits_where() -> None:
    async def wait_for_godot() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        await asyncio.sleep(5)
        async with asyncio.TaskGroup() as group:
            group.create_task(wait_for_godot(), name="estragon")

    with pytest.raises(Deadlock) as caught:
        run(main, loop=VirtualLoop(grace_s=0.05))
    text = str(caught.value)
    assert "virtual time 1005.000" in text
    assert "estragon: " in text
    assert "wait_for_godot" in text
    assert Path(__file__).name in text


def test_limits_end_a_run_and_let_it_clean_up() -> None:
    cleaned: list[float] = []

    async def forever() -> None:
        try:
            while True:  # noqa: ASYNC110 - passing time is the subject
                await asyncio.sleep(7)
        finally:
            await asyncio.sleep(3)
            cleaned.append(asyncio.get_running_loop().time())

    with pytest.raises(LimitReached, match=r"virtual time 1100\.000"):
        run(forever, max_virtual_s=100)
    assert cleaned == [1103.0]

    async def spin() -> None:
        while True:  # noqa: ASYNC110
            await asyncio.sleep(0)

    with pytest.raises(LimitReached, match="real time"):
        run(spin, wall_limit_s=0.05)


def test_time_cannot_outgrow_the_clock_resolution() -> None:
    with pytest.raises(MisuseError, match="allowed is"):
        VirtualLoop(start=1.7e9)

    async def main() -> float:
        await asyncio.sleep(1e-6)
        return asyncio.get_running_loop().time()

    late = TIME_MAX_S - 1
    assert run(main, loop=VirtualLoop(start=late)) == pytest.approx(late + 1e-6, abs=1e-9)

    async def beyond() -> None:
        await asyncio.sleep(2)

    with pytest.raises(LimitReached):
        run(beyond, loop=VirtualLoop(start=late))


def test_run_cleans_up_after_cancellation() -> None:
    ended: list[str] = []

    async def serve_and_leave() -> str:
        async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await reader.read()
            finally:
                ended.append("handler")
                writer.close()

        async def background(name: str) -> None:
            try:
                await asyncio.sleep(1e6)
            finally:
                ended.append(name)

        loop = asyncio.get_running_loop()
        loop.tasks = [loop.create_task(background(name)) for name in ("first", "second")]  # type: ignore[attr-defined]
        server = await asyncio.start_server(hold, HOST, 0)
        _, writer = await asyncio.open_connection(HOST, port_of(server))
        await asyncio.sleep(10)
        server.close()
        writer.close()
        return "left"

    loop = VirtualLoop()
    assert run(serve_and_leave(), loop=loop) == "left"
    assert sorted(ended) == ["first", "handler", "second"]
    assert loop.is_closed()
    del loop
    gc.collect()  # an unclosed socket or transport would warn here, and warnings are errors


def test_an_exception_of_main_comes_out_as_it_is() -> None:
    async def main() -> None:
        await asyncio.sleep(1)
        raise LookupError("lost")

    with pytest.raises(LookupError, match="lost"):
        run(main)


def test_loop_clock_maps_virtual_time_to_utc() -> None:
    origin = 1_780_000_000.0

    async def main() -> tuple[float, float]:
        clock = LoopClock(asyncio.get_running_loop(), origin - 1000.0)
        before = clock.utc()
        await asyncio.sleep(86_400)
        return before, clock.utc()

    assert run(main) == (origin, origin + 86_400)


def test_trace_digests_time_kind_and_text() -> None:
    now = [1.0]

    def digest(*records: tuple[float, str, str]) -> str:
        trace = Trace(lambda: now[0], keep=2)
        for now[0], kind, text in records:
            trace.add(kind, text)
        return trace.hexdigest()

    same = digest((1.0, "a", "b"), (2.0, "c", "d"))
    assert same == digest((1.0 + 1e-9, "a", "b"), (2.0, "c", "d"))
    others = [
        digest((1.0, "a", "b")),
        digest((1.00001, "a", "b"), (2.0, "c", "d")),
        digest((1.0, "ab", ""), (2.0, "c", "d")),
        digest((2.0, "c", "d"), (1.0, "a", "b")),
    ]
    assert len({same, *others}) == 5


def test_trace_keeps_the_last_records_for_comparison() -> None:
    trace = Trace(lambda: 5.0, keep=2)
    for text in ("one", "two", "three"):
        trace.add("say", text)
    assert trace.last() == ((5.0, "say", "two"), (5.0, "say", "three"))
    assert trace.count == 3


ORDER = """
import asyncio, json
from vpp_gateway.sim.loop import run
async def child(number, seen):
    try:
        await asyncio.Event().wait()
    finally:
        seen.append(number)
async def main():
    seen = []
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(child(number, seen))
            await asyncio.sleep(1)
            raise ValueError
    except ExceptionGroup:
        return seen
print(json.dumps(run(main)))
"""


def test_the_order_is_the_same_in_another_process() -> None:
    orders = {
        subprocess.run(
            [sys.executable, "-c", ORDER],
            env={"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(orders) == 1
    assert json.loads(orders.pop()) == list(range(20))
