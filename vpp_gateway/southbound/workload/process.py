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


class _Pipes(asyncio.SubprocessProtocol):
    """Callbacks of the event loop for one child."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._transport: asyncio.SubprocessTransport | None = None
        self._buffer = bytearray()
        self._paused = False
        self._stirred = asyncio.Event()
        self._heard_all = False
        self._stderr = b""
        self._stderr_lines = 0
        self.exited = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 2:
            self._overhear(data)
            return
        self._buffer += data
        if len(self._buffer) > _UNREAD_MAX_BYTES and not self._paused:
            self._paused = True
            self._stdout().pause_reading()
        self._stirred.set()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 1:
            self._heard_all = True
            self._stirred.set()

    def process_exited(self) -> None:
        self.exited.set()

    async def lines(self) -> AsyncIterator[bytes]:
        while True:
            while (end := self._buffer.find(b"\n", 0, LINE_MAX_BYTES)) >= 0:
                line = bytes(self._buffer[: end + 1])
                del self._buffer[: end + 1]
                yield line
            if len(self._buffer) >= LINE_MAX_BYTES:
                raise PeerError(f"line longer than {LINE_MAX_BYTES} bytes")
            if self._heard_all:
                await self._wait_for_exit()
                return
            if self._paused:
                self._paused = False
                self._stdout().resume_reading()
            self._stirred.clear()
            await self._stirred.wait()

    async def _wait_for_exit(self) -> None:
        """Its output ended: a moment for its own exit status, before the host kills what is left."""
        try:
            async with asyncio.timeout(_LAST_BREATH_S):
                await self.exited.wait()
        except TimeoutError:
            log.info("plug-in closed its output and lives on", plugin=self._name)

    def epitaph(self) -> str:
        code = None if self._transport is None else self._transport.get_returncode()
        if code is None:
            how = "still running"
        elif code < 0:
            how = f"killed by {signal.Signals(-code).name}"
        else:
            how = f"exit status {code}"
        told = self._stderr.decode("utf-8", "replace").strip().splitlines()
        return f"{how}; last on stderr: {told[-1][:300]}" if told else how

    def _stdout(self) -> asyncio.ReadTransport:
        assert self._transport is not None
        pipe = self._transport.get_pipe_transport(1)
        assert isinstance(pipe, asyncio.ReadTransport)
        return pipe

    def _overhear(self, data: bytes) -> None:
        self._stderr = (self._stderr + data)[-_STDERR_TAIL_BYTES:]
        for text in data.decode("utf-8", "replace").splitlines():
            self._stderr_lines += 1
            if self._stderr_lines <= _STDERR_LINES_MAX:
                log.info("plug-in says", plugin=self._name, text=text[:500])


@dataclass(frozen=True, slots=True)
class ProcessTransport:
    """Host's end of a plug-in process."""

    transport: asyncio.SubprocessTransport
    pipes: _Pipes

    @property
    def pid(self) -> int | None:
        return self.transport.get_pid()

    def lines(self) -> AsyncIterator[bytes]:
        return self.pipes.lines()

    def write(self, line: bytes) -> None:
        pipe = self.transport.get_pipe_transport(0)
        if not isinstance(pipe, asyncio.WriteTransport) or pipe.is_closing():
            raise PeerError("gone")
        if pipe.get_write_buffer_size() > _UNWRITTEN_MAX_BYTES:
            raise PeerError("does not read what it is told")
        pipe.write(line)

    def epitaph(self) -> str:
        return self.pipes.epitaph()

    async def end(self) -> None:
        """Kill the process group and wait until its leader is reaped."""
        pid = self.transport.get_pid()
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            log.debug("plug-in group already gone", pid=pid)
        try:
            async with asyncio.timeout(_REAP_S):
                await self.pipes.exited.wait()
        except TimeoutError:
            log.error("plug-in survives SIGKILL", pid=pid, waited_s=_REAP_S)
        finally:
            self.transport.close()


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
        transport, pipes = await asyncio.get_running_loop().subprocess_exec(
            lambda: _Pipes(spec.name),
            *line,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            env={},
            cwd=spec.state_dir or "/",
        )
        child = ProcessTransport(transport, pipes)
        try:
            yield child
        finally:
            await child.end()

    return start
