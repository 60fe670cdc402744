"""The plug-in in this process, for virtual time: the same runner, the same lines, no process.

Nothing isolates here, so it is for the first-party doubles of `sim` and for tests alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from vpp_gateway.clock import Clock
from vpp_gateway.errors import PeerError
from vpp_gateway.southbound.workload.contract import LINE_MAX_BYTES
from vpp_gateway.southbound.workload.plugin import PluginFactory
from vpp_gateway.southbound.workload.serve import serve
from vpp_gateway.southbound.workload.spec import PluginSpec, Transport, TransportFactory

Program = Callable[[AsyncIterator[bytes], Callable[[bytes], None]], Awaitable[None]]
"""What stands for a process: reads lines, writes bytes, ends."""
_BUFFER_MAX_BYTES = 1024 * 1024
_TOO_LONG = f"line longer than {LINE_MAX_BYTES} bytes"


@dataclass(slots=True)
class _Pipe:
    """One direction: bytes in, lines out."""

    buffer: bytearray = field(default_factory=bytearray)
    ready: deque[bytes] = field(default_factory=deque)
    held_bytes: int = 0
    closed: bool = False
    stirred: asyncio.Event = field(default_factory=asyncio.Event)

    def feed(self, piece: bytes) -> None:
        self.buffer += piece
        while (end := self.buffer.find(b"\n")) >= 0:
            self.ready.append(bytes(self.buffer[: end + 1]))
            del self.buffer[: end + 1]
            self.held_bytes += end + 1
        self.stirred.set()

    def close(self) -> None:
        self.closed = True
        self.stirred.set()

    async def lines(self) -> AsyncIterator[bytes]:
        while True:
            while self.ready:
                line = self.ready.popleft()
                self.held_bytes -= len(line)
                if len(line) > LINE_MAX_BYTES:
                    raise PeerError(_TOO_LONG)
                yield line
            if len(self.buffer) > LINE_MAX_BYTES:
                raise PeerError(_TOO_LONG)
            if self.closed:
                return
            self.stirred.clear()
            await self.stirred.wait()


@dataclass(slots=True)
class MemoryTransport:
    """Host's end of a plug-in in this process."""

    to_plugin: _Pipe = field(default_factory=_Pipe)
    from_plugin: _Pipe = field(default_factory=_Pipe)
    ending: str = "ended by itself"

    @property
    def pid(self) -> int | None:
        return None

    def lines(self) -> AsyncIterator[bytes]:
        return self.from_plugin.lines()

    def write(self, line: bytes) -> None:
        if self.from_plugin.closed:
            raise PeerError("gone")
        if self.to_plugin.held_bytes > _BUFFER_MAX_BYTES:
            raise PeerError("does not read what it is told")
        self.to_plugin.feed(line)

    def epitaph(self) -> str:
        return self.ending

    def hear(self, piece: bytes) -> None:
        """The plug-in writes; past the buffer it breaks like a pipe whose reader does not keep up."""
        if self.from_plugin.held_bytes + len(self.from_plugin.buffer) > _BUFFER_MAX_BYTES:
            raise BrokenPipeError("the host does not read this fast")
        self.from_plugin.feed(piece)

    async def live(self, program: Program) -> None:
        """Run the program; its end, by itself or by an exception, is the end of the plug-in."""
        try:
            await program(self.to_plugin.lines(), self.hear)
        except Exception as error:  # noqa: BLE001 - stands for the process boundary: it ends in an epitaph
            self.ending = f"crashed: {type(error).__name__}: {error}"
        finally:
            self.from_plugin.close()


def program_factory(program: Program) -> TransportFactory:
    """A factory of transports that run `program` in this process."""

    @asynccontextmanager
    async def start(spec: PluginSpec) -> AsyncIterator[Transport]:
        transport = MemoryTransport()
        async with asyncio.TaskGroup() as group:
            life = group.create_task(transport.live(program))
            try:
                yield transport
            finally:
                life.cancel()

    return start


def memory_factory(plugin: PluginFactory, clock: Clock) -> TransportFactory:
    """A factory of transports that serve a fresh `plugin()` each time, on `clock`."""

    async def program(lines: AsyncIterator[bytes], write: Callable[[bytes], None]) -> None:
        await serve(plugin(), lines, write, clock)

    return program_factory(program)
