"""A telecommunication line with faults, between a client and a server that both run in virtual time.

    client  --TCP-->  Line (127.0.0.1:port)  --TCP-->  server
              delay + jitter each way, in order; cut; reset

The bytes pass as they are, so TLS and Modbus alike go through it and neither end is changed: the client is given the
line's port instead of the server's. What a line can do is what TCP does over a bad network:

- A delay never reorders bytes of one direction.
- A cut loses nothing: TCP would send again, so whatever was sent during the cut arrives after `heal`. This is what
  makes a *late write* possible, a setpoint that reaches the device long after its sender gave up. If the sender has
  aborted meanwhile, the reset waits behind the bytes that it had sent, as it does in a network that was down.
- New connections wait while the line is cut, and take one round trip otherwise.
- `reset` ends all connections at both ends at once, as a rebooting router or firewall does.

A cut may be one-way: "up" is client to server, "down" is server to client. Chance comes from the given Rng alone.
Not modelled: bandwidth, and the sender's kernel buffer running full during a long cut.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from types import TracebackType
from typing import Literal, Self

from vpp_gateway.clock import Rng
from vpp_gateway.sim.loop import VirtualLoop

Direction = Literal["up", "down"]
BOTH: tuple[Direction, ...] = ("up", "down")
Finish = Literal["end of stream", "reset"]

HOST = "127.0.0.1"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""struct linger: on, 0 s. asyncio's `abort` alone would end the stream in an orderly way."""


class Line:
    """A line to one server; an async context manager, and open inside it.

    Args:
        server: host and port of the server.
        rng: where jitter is drawn.
        delay_s: one-way delay, seconds.
        jitter_s: most that is added to the delay of each piece, seconds.
    """

    def __init__(
        self, server: tuple[str, int], rng: Rng, *, delay_s: float = 0.0, jitter_s: float = 0.0
    ) -> None:
        self.delay_s = delay_s
        self.jitter_s = jitter_s
        self.port = 0
        """Where clients connect, on 127.0.0.1; known inside the context."""
        self._server = server
        self._rng = rng
        self._cut: set[Direction] = set()
        self._whole = asyncio.Event()
        self._whole.set()
        self._ends: dict[_End, None] = {}
        self._dialling = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        await self._dialling.__aenter__()
        self._listener = await loop.create_server(lambda: _End(self, "up"), HOST, 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        if isinstance(loop, VirtualLoop):
            loop.gate((HOST, self.port), self._passed)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        loop = asyncio.get_running_loop()
        if isinstance(loop, VirtualLoop):
            loop.gate((HOST, self.port), None)
        self._listener.close()
        self.reset()
        await self._listener.wait_closed()
        await self._dialling.__aexit__(None, None, None)  # the body's error goes on as it is, not in a group

    def cut(self, *directions: Direction) -> None:
        """Let nothing pass in these directions (none named: both) until `heal`."""
        self._cut.update(directions or BOTH)
        self._whole.clear()

    def heal(self) -> None:
        """Let everything pass again, first what had to wait."""
        self._cut.clear()
        self._whole.set()
        for end in list(self._ends):
            end.forward()

    def reset(self) -> None:
        """End all connections at both ends, now."""
        for end in list(self._ends):
            end.abort()

    def is_cut(self, direction: Direction) -> bool:
        """Whether nothing passes in this direction."""
        return direction in self._cut

    def _due(self, earliest: float) -> float:
        """When a piece that enters the line now leaves it, not before `earliest`."""
        delay_s = self.delay_s + (self._rng.uniform(0, self.jitter_s) if self.jitter_s else 0.0)
        return max(earliest, asyncio.get_running_loop().time() + delay_s)

    async def _passed(self) -> None:
        """What a new connection waits for: the line, and one round trip."""
        while self._cut:
            await self._whole.wait()
        await asyncio.sleep(2 * self.delay_s)

    def _opened(self, end: _End) -> None:
        self._ends[end] = None
        if end.direction == "up":
            self._dialling.create_task(self._dial(end))

    async def _dial(self, client: _End) -> None:
        far = _End(self, "down")
        far.other = client
        try:
            await asyncio.get_running_loop().create_connection(lambda: far, *self._server)
        except OSError:
            client.abort()
            return
        client.other = far
        if client.is_closing():
            far.abort()
        client.forward()


class _End(asyncio.Protocol):
    """One TCP end of the line; holds what came in here until it leaves at the other end."""

    def __init__(self, line: Line, direction: Direction) -> None:
        self.direction = direction
        self.other: _End | None = None
        self._line = line
        self._queue: deque[tuple[float, bytes | Finish]] = deque()
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._finished = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._line._opened(self)

    def data_received(self, data: bytes) -> None:
        self._enter(data)

    def eof_received(self) -> bool:
        self._enter("end of stream")
        return True  # the other direction may still be in use

    def connection_lost(self, error: Exception | None) -> None:
        self._line._ends.pop(self, None)
        if error is not None:
            self._enter("reset")

    def is_closing(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def abort(self) -> None:
        """Reset this end, now, and forget what waits here."""
        self._queue.clear()
        if self._transport is None or self._transport.is_closing():
            return
        sock = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()

    def forward(self) -> None:
        """Pass on what is due, and come back for the rest."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._queue and self.other is not None and not self._line.is_cut(self.direction):
            due, piece = self._queue[0]
            if due > loop.time():
                self._timer = loop.call_at(due, self.forward)
                return
            self._queue.popleft()
            self.other._leave(piece, self)

    def _enter(self, piece: bytes | Finish) -> None:
        self._due = self._line._due(self._due)
        self._queue.append((self._due, piece))
        self.forward()

    def _leave(self, piece: bytes | Finish, sender: _End) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if isinstance(piece, bytes):
            self._transport.write(piece)
        elif piece == "reset":
            self.abort()
        else:
            self._transport.write_eof()
            self._finished = True
            if sender._finished:
                self._transport.close()
                if sender._transport is not None:
                    sender._transport.close()
