"""aiohttp over mutual TLS and pymodbus, both ends, unmodified, in virtual time and reproducibly."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import pytest
from aiohttp import ClientConnectionError, ClientSession, ClientTimeout, TCPConnector
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusIOException

from tests.house.virtual_site import HOST, Device, Pki, pki, poll_device, poll_utility, site, start_utility
from vpp_gateway.sim.loop import Trace, VirtualLoop, run

ROOT = Path(__file__).parents[2]
SEED, SECONDS, DEVICES = "7", "300", "3"


@pytest.fixture(scope="module")
def keys() -> Iterator[Pki]:
    with pki() as made:
        yield made


def texts(trace: Trace, kind: str) -> list[tuple[float, str]]:
    return [(at, text) for at, is_kind, text in trace.last() if is_kind == kind]


def test_polls_over_mutual_tls_for_ten_minutes(keys: Pki) -> None:
    loop = VirtualLoop()
    trace = Trace(loop.time, keep=1000)

    async def main() -> None:
        async with AsyncExitStack() as stack:
            port = await start_utility(stack, keys, trace)
            await poll_utility(keys, port, trace, seconds=600, period_s=10)

    real = time.perf_counter()
    run(main, loop=loop)
    assert time.perf_counter() - real < 60
    assert texts(trace, "utility") == [(1000.0 + 10 * n, f"end body {n}") for n in range(60)]
    assert texts(trace, "gateway") == [(1000.0 + 10 * n, f"200 {{'poll': '{n}'}}") for n in range(60)]


def test_a_client_without_certificate_is_turned_away(keys: Pki) -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        async with AsyncExitStack() as stack:
            port = await start_utility(stack, keys, Trace(loop.time))
            connector = TCPConnector(ssl=keys.stranger())
            async with ClientSession(connector=connector, timeout=ClientTimeout(total=5)) as session:
                with pytest.raises(ClientConnectionError):
                    await session.post(f"https://{HOST}:{port}/poll?n=1")
        return loop.time()

    assert run(main) == 1000.0


def test_modbus_at_one_hertz_for_ten_minutes() -> None:
    loop = VirtualLoop()
    trace = Trace(loop.time, keep=2000)

    async def main() -> None:
        device = Device()
        port = await device.start()
        await poll_device("device", port, trace, seconds=600, period_s=1.0, rng=None)
        await device.server.shutdown()

    run(main, loop=loop)
    expected = []
    for turn in range(600):
        expected += [
            (1000.0 + turn, f"read {turn + 1} {max(turn - 1, 0)}"),
            (1000.0 + turn, f"wrote {turn}"),
        ]
    assert texts(trace, "device") == expected


def test_a_silent_device_times_out_at_the_exact_virtual_time() -> None:
    async def main() -> tuple[float, float]:
        loop = asyncio.get_running_loop()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await reader.read()
            finally:
                writer.close()

        async with await asyncio.start_server(silent, HOST, 0) as server:
            port = server.sockets[0].getsockname()[1]
            client = AsyncModbusTcpClient(HOST, port=port, timeout=0.3, retries=1)
            assert await client.connect()
            connected = loop.time()
            with pytest.raises(ModbusIOException):
                await client.read_holding_registers(0, count=1, device_id=1)
            client.close()
            return connected, loop.time()

    connected, gave_up = run(main)
    assert connected == 1000.0
    assert gave_up == pytest.approx(1000.6, abs=1e-9)


def test_who_accepts_by_hand_is_served_by_the_loop_as_well() -> None:
    """The address of our own for push has an accept loop of its own (`northbound.openadr2.door`)."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        with socket.create_server((HOST, 0)) as listening:
            listening.setblocking(False)

            async def serve() -> None:
                connection, _ = await loop.sock_accept(listening)
                _, writer = await asyncio.open_connection(sock=connection)
                await asyncio.sleep(5)
                writer.write(b"late\n")
                writer.close()

            async with asyncio.TaskGroup() as group:
                group.create_task(serve())
                await asyncio.sleep(0)
                reader, writer = await asyncio.open_connection(*listening.getsockname())
                assert await reader.readline() == b"late\n"
                writer.close()
        return loop.time()

    assert run(main) == 1005.0


def test_a_house_torn_down_half_way_leaves_nothing_open() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(42):
                await site(Trace(loop.time), seed=1, seconds=600, devices=2)
        return loop.time()

    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    assert run(main) == pytest.approx(1042, abs=0.5)
    gc.collect()  # an unclosed socket, transport or session would warn here, and warnings are errors
    assert len(os.listdir("/proc/self/fd")) == before


def one_run(*prefix: str, hash_seed: str) -> dict[str, object]:
    program = [sys.executable, "-W", "error", "-m", "tests.house.virtual_site", SEED, SECONDS, DEVICES]
    done = subprocess.run(
        [*prefix, *program],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(result, dict)
    return result


def same(result: dict[str, object]) -> tuple[object, ...]:
    return result["digest"], result["records"], result["end"], result["jumps"], result["stalled"]


@pytest.fixture(scope="module")
def reference_run() -> dict[str, object]:
    result = one_run(hash_seed="1")
    assert isinstance(result["records"], int)
    assert result["records"] > 1500
    assert result["stalled"] == 0
    return result


def test_two_processes_see_the_same_run_under_different_load(reference_run: dict[str, object]) -> None:
    with ExitStack() as stack:
        for _ in range(3):
            hog = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(hog.wait)
            stack.callback(hog.send_signal, signal.SIGKILL)
        loaded = one_run(hash_seed="4711")
    assert same(loaded) == same(reference_run)


STEERED = """
set -e
ip link set lo up
mount -t sysfs none "$1"
echo 3 > "$1/class/net/lo/queues/rx-0/rps_cpus"
shift
exec "$@"
"""
"""Let other CPUs deliver loopback packets (RPS), so that nearly every write arrives after `send` has returned. It
happens in a network namespace of its own and does not touch the machine."""


def can_steer() -> bool:
    if shutil.which("unshare") is None or shutil.which("ip") is None or (os.cpu_count() or 1) < 2:
        return False
    script = STEERED.replace('exec "$@"', "true")
    tried = subprocess.run(
        ["unshare", "-nm", "sh", "-c", script, "sh", "/sys"], capture_output=True, check=False
    )
    return tried.returncode == 0


@pytest.mark.skipif(not can_steer(), reason="needs root, two CPUs and receive packet steering")
def test_a_kernel_that_delivers_late_changes_nothing(reference_run: dict[str, object]) -> None:
    steered = one_run("unshare", "-nm", "sh", "-c", STEERED, "sh", "/sys", hash_seed="2")
    assert isinstance(steered["late"], int)
    assert steered["late"] > 100
    assert same(steered) == same(reference_run)
