"""The control socket and its light client: permissions, questions, refusals, and a gateway that is not there."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.repository import ROOT
from tests.unit.console_fake import START_S, FakeSource, ToyClock, World
from tests.unit.console_http import BEGIN, EVENT
from vpp_gateway.console.api import EventsReply
from vpp_gateway.console.ask import Declined, Json, NotAllowed, NotRunning, ask
from vpp_gateway.console.control import LINE_MAX_BYTES, serve_control
from vpp_gateway.console.status import EventView, Status
from vpp_gateway.errors import ConfigError, MisuseError, PeerError


def source() -> FakeSource:
    return FakeSource(World(BEGIN), ToyClock(BEGIN + START_S + 30))


def play(folder: Path, act: Callable[[Path], Awaitable[None]]) -> None:
    async def run() -> None:
        async with serve_control(source(), folder) as path:
            await act(path)

    asyncio.run(run())


async def asked(path: Path, request: Mapping[str, str]) -> dict[str, Json]:
    """`ask` blocks, as the command line may: here it waits in a thread of its own."""
    with ThreadPoolExecutor(1) as thread:
        return await asyncio.get_running_loop().run_in_executor(thread, ask, path, request)


async def said(path: Path, line: bytes) -> bytes:
    """What the socket answers to raw bytes."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(line)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def test_read_verbs_give_the_published_models(tmp_path: Path) -> None:
    async def act(path: Path) -> None:
        picture = source().status()
        assert Status.model_validate(await asked(path, {"get": "status"}), strict=False) == picture
        assert EventsReply.model_validate(await asked(path, {"get": "events"})).events == picture.events
        event = await asked(path, {"get": "event", "id": EVENT})
        assert EventView.model_validate(event) == picture.events[0]

    play(tmp_path, act)


def test_socket_is_for_its_owner_alone_and_goes_with_the_server(tmp_path: Path) -> None:
    async def act(path: Path) -> None:
        found.append((path, os.lstat(path).st_mode))

    found: list[tuple[Path, int]] = []
    before = os.umask(0)
    try:
        play(tmp_path, act)
        assert os.umask(0) == 0, "the umask was not put back"
    finally:
        os.umask(before)
    assert found == [(tmp_path / "control.sock", stat.S_IFSOCK | 0o600)]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_is_told_so() -> None:
    async def act(path: Path) -> None:
        stranger = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            f"import os, pathlib, sys; sys.path.insert(0, {str(ROOT)!r}); from vpp_gateway.console.ask import ask\n"
            f"os.setuid(65534); ask(pathlib.Path({str(path)!r}), {{'get': 'status'}})",
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await stranger.communicate()
        assert stranger.returncode == 1
        assert NotAllowed.__name__ in errors.decode()
        assert "no permission to talk to" in errors.decode()

    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)  # whoever may reach the socket still may not use it
        play(Path(folder), act)


def test_no_gateway(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="no gateway is running here"):
        ask(tmp_path / "control.sock", {"get": "status"})


def test_socket_of_a_dead_gateway_is_not_running_and_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(NotRunning):
        ask(path, {"get": "status"})

    async def act(path: Path) -> None:
        assert "sites" in await asked(path, {"get": "status"})

    play(tmp_path, act)


def test_second_gateway_is_refused_and_the_first_lives_on(tmp_path: Path) -> None:
    async def act(path: Path) -> None:
        with pytest.raises(MisuseError, match="another gateway answers"):
            async with serve_control(source(), tmp_path):
                pytest.fail("two gateways on one socket")
        assert "sites" in await asked(path, {"get": "status"})

    play(tmp_path, act)


@pytest.mark.parametrize("where", ["absent", "n" * 120])
def test_impossible_path_is_a_config_error(tmp_path: Path, where: str) -> None:
    async def run() -> None:
        async with serve_control(source(), tmp_path / where):
            pytest.fail("it cannot listen there")

    with pytest.raises(ConfigError, match=r"control socket .*control\.sock"):
        asyncio.run(run())


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"\n", b"expected"),
        (b"nonsense\n", b"Invalid JSON"),
        (b'{"get":"keys"}\n', b"'status', 'events' or 'event'"),
        (b'{"get":"status","more":1}\n', b"more: Extra inputs"),
        (b'{"get":"event","id":"nope"}\n', EVENT.encode()),
        (b"x" * (LINE_MAX_BYTES * 3) + b"\n", f"at most {LINE_MAX_BYTES} bytes".encode()),
    ],
)
def test_bad_requests_are_told_what_is_allowed(tmp_path: Path, line: bytes, told: bytes) -> None:
    async def act(path: Path) -> None:
        answer = await said(path, line)
        assert answer.startswith(b'{"ok": false, "error": ')
        assert told in answer

    play(tmp_path, act)


def test_refusal_reaches_the_caller(tmp_path: Path) -> None:
    async def act(path: Path) -> None:
        with pytest.raises(Declined, match="no event 'nope'; known: tso/EV-2026-0117"):
            await asked(path, {"get": "event", "id": "nope"})

    play(tmp_path, act)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"", "0 other bytes came"),
        (b"hello\n", "6 other bytes came"),
        (b'{"ok":1}\n', "neither a reply nor an error"),
    ],
)
def test_a_stranger_on_the_socket_is_a_peer_error(tmp_path: Path, answer: bytes, told: str) -> None:
    path = tmp_path / "control.sock"

    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        writer.close()

    async def run() -> None:
        async with await asyncio.start_unix_server(stranger, str(path)):
            with pytest.raises(PeerError, match=told):
                await asked(path, {"get": "status"})

    asyncio.run(run())


def test_silence_is_a_peer_error(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(path))
        mute.listen()
        with pytest.raises(PeerError, match=r"did not answer within 0\.01 s"):
            ask(path, {"get": "status"}, timeout_s=0.01)


def test_asking_imports_nothing_heavy() -> None:
    script = "import sys, vpp_gateway.console.ask; print(*sorted(m for m in sys.modules))"
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); {script}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"pydantic", "aiohttp", "asyncio", "scipy", "numpy", "openleadr", "lxml"}
