"""Loopback TCP, made instant: a write returns when the peer's kernel queue holds the bytes.

Virtual time jumps whenever nothing is ready. That is only right if nothing is under way, and a byte written to a
loopback socket can be: the kernel hands it over in a softirq, normally inside `send()` itself, but later when
ksoftirqd is already running on that CPU (all kernels before 6.5 under network load), with receive packet steering
(RPS) or on a real-time kernel. Measured: 0 of 2.4 million sends late on an idle or loaded 6.18 kernel, but 99.8 %
late (worst 20 ms) with RPS switched on in a network namespace of its own. Two things would then go wrong: time
jumps past an answer that is already on its way, and two messages of the same instant are seen in another order.
With RPS a run of three devices fails without this module, and has the usual trace with it.

    send(n)   ->  sent += n   ->  TCP_INFO of the peer: bytes received >= sent?   yes: return (one getsockopt)
                                                                                  no:  look again, bounded
    close()   ->  peer's TCP state has seen the FIN (or RST)
    connect() ->  handshake finished and the connection stands in the listener's accept queue

So the selector sees all of an instant or nothing of it, and nothing needs to be waited for before a jump. Bytes
that a closed window holds back (the peer does not read) are not under way; they are remembered as outstanding, and
only then, while their reader wants to read, the selector waits in real time before it jumps.

Not used: SIOCOUTQ counts what is not *acknowledged*, and acknowledgements are delayed by up to 40 ms although the
bytes have long been read; waiting for it would cost 42 ms (measured) at nearly every jump.

Linux only (`TCP_INFO`, struct tcp_info of linux/tcp.h, kernel >= 4.19). Unix sockets need none of this: `send()`
puts the bytes into the peer's queue itself. UDP is not covered.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterable

from vpp_gateway.errors import MisuseError

Address = tuple[str, int]
Buffer = bytes | bytearray | memoryview

_TCP_INFO_BYTES = 232
_STATE = 0
_ACCEPT_QUEUE = struct.Struct("@I").unpack_from, 24
"""tcpi_unacked: for a listening socket, the connections not yet accepted."""
_RECEIVED = struct.Struct("@Q").unpack_from, 128
_NOT_SENT = struct.Struct("@I").unpack_from, 144
_SENT_RESENT = struct.Struct("@QQ").unpack_from, 200
_CLOSED = 7
_PEER_FINISHED = frozenset({6, _CLOSED, 8, 9, 11})
"""TIME_WAIT, CLOSE, CLOSE_WAIT, LAST_ACK, CLOSING: states after the peer's FIN or RST."""


class WatchedSocket(socket.socket):
    """A connected TCP socket of the loop that waits for its own writes to arrive. Takes `sock` over."""

    def __init__(self, sock: socket.socket, delivery: Delivery, local: Address, peer: Address) -> None:
        super().__init__(sock.family, sock.type, sock.proto, sock.detach())
        self.setblocking(False)
        self.local = local
        self.peer = peer
        self.sent = 0
        """Bytes that the kernel took over from us."""
        self.finished = False
        """FIN or RST sent."""
        self._delivery = delivery

    def send(self, data: Buffer, flags: int = 0) -> int:  # type: ignore[override]
        """As `socket.send`; returns when the peer's queue holds the bytes, unless its window is closed."""
        count = super().send(data, flags)
        self.sent += count
        self._delivery.settle(self, whole=count == len(data))
        return count

    def sendmsg(self, buffers: Iterable[Buffer]) -> int:  # type: ignore[override]
        """As `socket.sendmsg`, like `send`."""
        parts = list(buffers)
        count = super().sendmsg(parts)
        self.sent += count
        self._delivery.settle(self, whole=count == sum(map(len, parts)))
        return count

    def shutdown(self, how: int) -> None:
        """As `socket.shutdown`; returns when the peer has seen it."""
        super().shutdown(how)
        if how != socket.SHUT_RD:
            self.finished = True
            self._delivery.settle(self)

    def close(self) -> None:
        """As `socket.close`; returns when the peer has seen it."""
        if self.fileno() < 0:
            return
        waiting = _NOT_SENT[0](_tcp_info(self), _NOT_SENT[1])[0] > 0
        super().close()
        self.finished = True
        self._delivery.closed(self, waiting)


class Delivery:
    """All TCP ends and listeners of one loop.

    Args:
        patience_s: real seconds to wait for bytes that are under way; far above the kernel's retransmission
            timeout of 0.2 s, so that even a dropped segment arrives.
    """

    def __init__(self, patience_s: float) -> None:
        self.late = 0
        """Writes that had not arrived at the first look; 0 on most machines."""
        self.stalled = 0
        """Times that bytes under way did not arrive within the patience: virtual time went on without them."""
        self._patience_s = patience_s
        self._ends: dict[tuple[Address, Address], WatchedSocket] = {}
        self._listeners: dict[Address, socket.socket] = {}
        self._outstanding: dict[WatchedSocket, None] = {}

    def listen(self, listener: socket.socket) -> None:
        """Learn a listening socket of the loop."""
        if listener.family in (socket.AF_INET, socket.AF_INET6):
            self._listeners[_address(listener.getsockname())] = listener

    def connect(self, sock: socket.socket, address: Address) -> bool:
        """Connect in one go; False if the peer does not take the connection now (its accept queue is full).

        Raises:
            OSError: refused, unreachable.
            MisuseError: the peer is not served by this loop, so virtual time would not wait for it.
        """
        listener = self._listener(_address(address))
        queued = _accept_queue(listener) if listener else 0
        error = sock.connect_ex(address)
        if error == errno.EINPROGRESS:
            if not self._until(lambda: _writable(sock)):
                return False
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, f"Connect call failed {address}")
        if listener is None:
            raise MisuseError(
                f"connected to {address}, which is not served by this loop: in virtual time all ends must live "
                "in one loop, because time would jump over the answer of a process outside"
            )
        self._until(lambda: _accept_queue(listener) > queued)
        return True

    def adopt(self, sock: socket.socket) -> socket.socket:
        """The socket that a transport shall use instead of `sock`: watched, if it is TCP."""
        if sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.type != socket.SOCK_STREAM:
            return sock
        try:
            local, peer = _address(sock.getsockname()), _address(sock.getpeername())
        except OSError:  # the peer has reset it already: the transport will find out
            return sock
        end = self._ends[local, peer] = WatchedSocket(sock, self, local, peer)
        partner = self._ends.get((peer, local))
        if partner is not None:
            self.settle(partner)
        return end

    def settle(self, sender: WatchedSocket, whole: bool = True) -> None:
        """Wait until all that `sender` wrote has arrived, or is held back by a closed window.

        Args:
            whole: False if the kernel took only a part: the sender waits for room.
        """
        receiver = self._ends.get((sender.peer, sender.local))
        if receiver is None:  # not accepted yet: looked at again on adoption, before anybody can read
            return
        if not _arrived(sender, receiver):
            if not _held_back(sender, receiver):
                self.late += 1
                self._until(lambda: _arrived(sender, receiver) or _held_back(sender, receiver))
            whole = whole and _arrived(sender, receiver)
        if not whole:
            self._outstanding[sender] = None

    def closed(self, sender: WatchedSocket, waiting: bool) -> None:
        """`sender` is closed; `waiting` if the kernel still holds bytes that it could not send."""
        partner = self._ends.get((sender.peer, sender.local))
        if partner is not None and partner.fileno() < 0:
            del self._ends[sender.local, sender.peer], self._ends[partner.local, partner.peer]
            self._outstanding.pop(partner, None)
        elif waiting:
            self._outstanding[sender] = None
        else:
            self.settle(sender)

    def under_way(self, reading: Callable[[int], bool], writing: Callable[[int], bool]) -> bool:
        """Whether something that happened already will still make a socket ready.

        Args:
            reading: whether the loop waits for this file descriptor to become readable.
            writing: the same for writable.
        """
        found = False
        for sender in list(self._outstanding):
            receiver = self._ends.get((sender.peer, sender.local))
            if receiver is None or (_arrived(sender, receiver) and not writing(sender.fileno())):
                del self._outstanding[sender]
            elif reading(receiver.fileno()):
                found = True
        return found

    def give_up(self) -> None:
        """Do not wait again for what is under way now."""
        self.stalled += 1
        self._outstanding.clear()

    def _listener(self, address: Address) -> socket.socket | None:
        _, port = address
        for candidate in (address, ("0.0.0.0", port), ("::", port)):
            listener = self._listeners.get(candidate)
            if listener is not None and listener.fileno() >= 0:
                return listener
        return None

    def _until(self, happened: Callable[[], bool]) -> bool:
        deadline = time.perf_counter() + self._patience_s
        while not happened():
            if time.perf_counter() > deadline:
                return False
            os.sched_yield()
        return True


def _address(name: tuple[str, int] | tuple[str, int, int, int]) -> Address:
    return name[0].removeprefix("::ffff:"), name[1]


def _tcp_info(sock: socket.socket) -> bytes:
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    assert isinstance(info, bytes)
    return info


def _accept_queue(listener: socket.socket) -> int:
    unpack, offset = _ACCEPT_QUEUE
    return int(unpack(_tcp_info(listener), offset)[0])


def _arrived(sender: WatchedSocket, receiver: WatchedSocket) -> bool:
    if receiver.fileno() < 0:
        return True
    info = _tcp_info(receiver)
    state = info[_STATE]
    if state == _CLOSED:
        return True
    unpack, offset = _RECEIVED
    return bool(unpack(info, offset)[0] >= sender.sent) and (not sender.finished or state in _PEER_FINISHED)


def _held_back(sender: WatchedSocket, receiver: WatchedSocket) -> bool:
    if sender.fileno() < 0 or receiver.fileno() < 0:
        return False
    info = _tcp_info(sender)
    unsent: int = _NOT_SENT[0](info, _NOT_SENT[1])[0]
    sent, resent = _SENT_RESENT[0](info, _SENT_RESENT[1])
    received: int = _RECEIVED[0](_tcp_info(receiver), _RECEIVED[1])[0]
    return bool(unsent and sent - resent <= received)


def _writable(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLOUT)
    return bool(poll.poll(0))
