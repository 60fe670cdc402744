"""The door of our own address: accepts connections, and bounds those that are still shaking hands.

asyncio's own servers accept without end, and tell of a TLS connection only once its handshake is done: whoever opens
connections and says nothing would use up the descriptors of the whole process.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

HANDSHAKES_MAX = 64
"""When more are under way, the oldest makes room: an honest one takes some milliseconds."""
HANDSHAKE_S = 10.0
_BACKLOG = 128
_REST_S = 1.0
"""No descriptor left, or the like: accepting goes on after so long."""


class Door:
    """Listens until closed. What came in before goes on.

    Args:
        make: Makes the protocol of a connection.
        tls: A server context; None = no handshake.
        group: Where its tasks run; it ends when the door is closed.
        most: Handshakes at a time.
    """

    def __init__(
        self,
        make: Callable[[], asyncio.Protocol],
        tls: ssl.SSLContext | None,
        group: asyncio.TaskGroup,
        most: int = HANDSHAKES_MAX,
    ) -> None:
        self._make, self._tls, self._group, self._most = make, tls, group, most
        self._sockets: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._shaking: dict[asyncio.Task[None], None] = {}

    async def open(self, host: str, port: int, sock: socket.socket | None = None) -> None:
        """Bind and listen; `sock`: a bound socket to use instead. Raises OSError."""
        loop = asyncio.get_running_loop()
        try:
            if sock is not None:
                sock.listen(_BACKLOG)
                self._sockets.append(sock)
            else:
                try:  # an address in figures needs no look-up, and the door stands open at once
                    found = socket.getaddrinfo(
                        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICHOST
                    )
                except socket.gaierror:
                    found = await loop.getaddrinfo(
                        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
                    )
                for family, _, _, _, address in dict.fromkeys(found):
                    self._sockets.append(_bound(family, address))
        except OSError:
            self.close()
            raise
        for one in self._sockets:
            one.setblocking(False)
            self._accepting.append(self._group.create_task(self._accept(one)))

    def close(self) -> None:
        """Listen no more, and drop what is still shaking hands."""
        for task in (*self._accepting, *self._shaking):
            task.cancel()
        self._shaking.clear()
        for one in self._sockets:
            one.close()
        self._accepting, self._sockets = [], []

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listening)
            except OSError:
                await asyncio.sleep(_REST_S)
                continue
            if len(self._shaking) >= self._most:
                oldest = next(iter(self._shaking))
                del self._shaking[oldest]
                oldest.cancel()
            task = self._group.create_task(self._greet(connection))
            self._shaking[task] = None
            task.add_done_callback(self._greeted)
            await asyncio.sleep(0)  # it begins, and so do others: accepting many does not hold the loop

    async def _greet(self, connection: socket.socket) -> None:
        """The handshake; then the connection belongs to its protocol."""
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._make,
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=None if self._tls is None else HANDSHAKE_S,
            )
        except (OSError, TimeoutError):  # a failed handshake is the peer's affair; ssl.SSLError is an OSError
            connection.close()

    def _greeted(self, task: asyncio.Task[None]) -> None:
        self._shaking.pop(task, None)


def _bound(family: int, address: object) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(address)  # type: ignore[arg-type]  # as getaddrinfo gave it
        one.listen(_BACKLOG)
    except OSError:
        one.close()
        raise
    return one
