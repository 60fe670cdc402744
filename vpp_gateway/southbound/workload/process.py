"""The plug-in as a process of its own: fenced in, heard line by line, killed as a group.

    host                                 child (own session, empty environment, limits by launch.py)
    write() -> stdin pipe                serve.py
    lines() <- stdout pipe, bounded      prints -> stderr -> the host's log, bounded

Memory here is bounded whatever the child does: at most two lines' worth of bytes wait to be read, then the pipe is
left full and the child blocks; of standard error only the tail is kept, and so many lines a second are logged.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

import vpp_gateway
from vpp_gateway.errors import PeerError
from vpp_gateway.southbound.workload.contract import LINE_MAX_BYTES
from vpp_gateway.southbound.workload.spec import PluginSpec, Transport, TransportFactory

log = structlog.get_logger(__name__)

_UNREAD_MAX_BYTES = 2 * LINE_MAX_BYTES
_UNWRITTEN_MAX_BYTES = 1024 * 1024
_STDERR_TAIL_BYTES = 4096
_STDERR_LINES_MAX = 200
"""Lines of standard error logged in one life; the rest only counts."""
_REAP_S = 5.0
_LAST_BREATH_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the child may use."""

    memory_max_bytes: int = 1024 * 1024 * 1024
    files_max: int = 256


def command(spec: PluginSpec, limits: Limits) -> list[str]:
    """Command line that starts the plug-in of `spec` behind the launcher."""
    here = Path(__file__).parent
    home = str(Path(vpp_gateway.__file__).parent.parent)
    return [
        sys.executable,
        "-I",
        str(here / "launch.py"),
        f"--parent={os.getpid()}",
        f"--path={home}",
        f"--memory={limits.memory_max_bytes}",
        f"--files={limits.files_max}",
        spec.entry_point,
    ]


class _Hearing(asyncio.Protocol):
    """Standard output of the child, as lines."""

    def __init__(self) -> None:
        self._pipe: asyncio.ReadTransport | None = None
        self._buffer = bytearray()
        self._paused = False
        self._stirred = asyncio.Event()
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.ReadTransport)
        self._pipe = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._pipe is not None and not self._paused and len(self._buffer) > _UNREAD_MAX_BYTES:
            self._paused = True
            self._pipe.pause_reading()
        self._stirred.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._stirred.set()

    async def lines(self) -> AsyncIterator[bytes]:
        """Lines until the end of output; what is left without a newline is no line."""
        while True:
            while (end := self._buffer.find(b"\n", 0, LINE_MAX_BYTES)) >= 0:
                line = bytes(self._buffer[: end + 1])
                del self._buffer[: end + 1]
                yield line
            if len(self._buffer) >= LINE_MAX_BYTES:
                raise PeerError(f"line longer than {LINE_MAX_BYTES} bytes")
            if self._ended:
                return
            if self._pipe is not None and self._paused:
                self._paused = False
                self._pipe.resume_reading()
            self._stirred.clear()
            await self._stirred.wait()


class _Overhearing(asyncio.Protocol):
    """Standard error of the child: some lines to the log, the tail kept."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lines = 0
        self.tail = b""

    def data_received(self, data: bytes) -> None:
        self.tail = (self.tail + data)[-_STDERR_TAIL_BYTES:]
        for text in data.decode("utf-8", "replace").splitlines():
            self._lines += 1
            if self._lines <= _STDERR_LINES_MAX:
                log.info("plug-in says", plugin=self._name, text=text[:500])


class ProcessTransport:
    """Host's end of a plug-in process.

    The process is started at once and without waiting, so that no cancellation can lose it; its end is told by a
    pidfd to the event loop, without a thread.
    """

    def __init__(self, name: str, argv: Sequence[str], cwd: str) -> None:
        self._name = name
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            env={},
            cwd=cwd,
        )
        self._hearing = _Hearing()
        self._overhearing = _Overhearing(name)
        self._pipes: list[asyncio.ReadTransport] = []
        self._speaking: asyncio.WriteTransport | None = None
        self._exited = asyncio.Event()
        self._pidfd = os.pidfd_open(self._process.pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._note_exit)

    async def connect(self) -> None:
        """Join the three pipes to the event loop."""
        loop = asyncio.get_running_loop()
        hearing, _ = await loop.connect_read_pipe(lambda: self._hearing, self._process.stdout)
        self._pipes.append(hearing)
        overhearing, _ = await loop.connect_read_pipe(lambda: self._overhearing, self._process.stderr)
        self._pipes.append(overhearing)
        self._speaking, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, self._process.stdin)

    @property
    def pid(self) -> int | None:
        return self._process.pid

    async def lines(self) -> AsyncIterator[bytes]:
        async for line in self._hearing.lines():
            yield line
        # Its output ended: a moment for its own exit status, before the host kills what is left.
        try:
            async with asyncio.timeout(_LAST_BREATH_S):
                await self._exited.wait()
        except TimeoutError:
            log.info("plug-in closed its output and lives on", plugin=self._name)

    def write(self, line: bytes) -> None:
        if self._speaking is None or self._speaking.is_closing():
            raise PeerError("gone")
        if self._speaking.get_write_buffer_size() > _UNWRITTEN_MAX_BYTES:
            raise PeerError("does not read what it is told")
        self._speaking.write(line)

    def epitaph(self) -> str:
        code = self._process.returncode
        if code is None:
            how = "still running"
        elif code < 0:
            how = f"killed by {signal.Signals(-code).name}"
        else:
            how = f"exit status {code}"
        told = self._overhearing.tail.decode("utf-8", "replace").strip().splitlines()
        return f"{how}; last on stderr: {told[-1][:300]}" if told else how

    async def end(self) -> None:
        """Kill the process group and wait until its leader is buried."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            log.debug("plug-in group already gone", plugin=self._name)
        # A killed process is gone in milliseconds: it is buried first, even while this task is being cancelled.
        deadline = asyncio.get_running_loop().call_later(_REAP_S, self._exited.set)
        cancelled: asyncio.CancelledError | None = None
        while not self._exited.is_set():
            try:
                await self._exited.wait()
            except asyncio.CancelledError as error:
                cancelled = error
        deadline.cancel()
        self._close()
        if self._process.returncode is None:
            log.error("plug-in survives SIGKILL", plugin=self._name, waited_s=_REAP_S)
        if cancelled is not None:
            raise cancelled

    def _note_exit(self) -> None:
        if self._process.poll() is not None:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            self._exited.set()

    def _close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        if self._speaking is not None and not self._speaking.is_closing():
            self._speaking.abort()  # without waiting for what it did not read
        for pipe in self._pipes:
            pipe.close()
        for file in (self._process.stdin, self._process.stdout, self._process.stderr):
            if file is not None:
                file.close()


def process_factory(
    limits: Limits | None = None, *, argv: Callable[[PluginSpec], Sequence[str]] | None = None
) -> TransportFactory:
    """A factory of plug-in processes.

    Args:
        limits: what each child may use.
        argv: command line instead of the package's own runner, for plug-ins in another language.
    """
    bounds = limits or Limits()

    @asynccontextmanager
    async def start(spec: PluginSpec) -> AsyncIterator[Transport]:
        line = list(argv(spec)) if argv else command(spec, bounds)
        child = ProcessTransport(spec.name, line, spec.state_dir or "/")
        try:
            await child.connect()
            yield child
        finally:
            await child.end()

    return start
