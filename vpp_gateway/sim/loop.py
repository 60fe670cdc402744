"""An asyncio loop in virtual time: idle time costs nothing, and a seed gives the same run again.

asyncio learns time from two places only, `loop.time()` and the selector's `select(timeout)`. Both are ours here:

    something ready, or callbacks due  ->  handle it; virtual time stands still, however long it really takes
    nothing ready, a timer is set      ->  add the rest to the virtual clock and return at once: the jump
    nothing ready, no timer            ->  nothing can ever happen again: `Deadlock`, naming who waits where

Unmodified aiohttp (server and client, TLS with client certificates), pymodbus and Unix sockets run on it over real
loopback sockets, all ends in this one loop. Speed is that of the code itself.

What makes two runs the same:
- A write on TCP returns when it has arrived (`delivery`), so an instant is always seen whole, never by the mood of
  the kernel. A connection to somebody outside this loop is refused: time would jump over the answer.
- Sockets that are ready together are handled in the order of their registration, not in the kernel's order and not
  by descriptor number (which depends on what the process inherited).
- `run_in_executor`, `to_thread` and name look-up run inline: no threads.
- Tasks hash by their number. Their usual hash is a memory address, so that the order in which a TaskGroup cancels
  its children (it keeps them in a set) would hang on how memory happens to be laid out.

What stays outside, so keep it out of a trace: ephemeral port numbers, TLS bytes, and what libraries read from
the machine's clock: OpenSSL judges certificates by the real date (so they must be valid today, whatever the virtual
date is), aiohttp stamps `Date`, ages cookies, cached names and pooled connections (`keepalive_timeout` of its
connector) by real time. Sets of futures or coroutines, and `asyncio.as_completed` over coroutines, still iterate by
address. Child processes, threads and UDP live in real time: no place for them here. How a megabyte written at once is
cut into pieces is up to the kernel's buffers: the same in every run on one machine, but not on every kernel.

A bad network between two ends: `line`. Measured: about 860 virtual seconds per real second on one core with six devices
read and written at 1 Hz and a poll over mutual TLS each 10 s; making TCP instant costs about 3 % of it.

UTC: `clock.LoopClock(loop, origin_utc)`, where `origin_utc` is the date at loop time zero.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Awaitable, Callable, Coroutine, Generator
from concurrent.futures import Executor
from typing import NoReturn, TypeVar

from vpp_gateway.errors import MisuseError
from vpp_gateway.sim.delivery import Delivery
from vpp_gateway.sim.selector import TIME_MAX_S, Deadlock, JumpingSelector, LimitReached
from vpp_gateway.sim.trace import Trace

__all__ = ["Deadlock", "LimitReached", "Trace", "VirtualLoop", "run"]

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    """Event loop in virtual time.

    Args:
        start: virtual time at birth, seconds. Keep it small: see `TIME_MAX_S`.
        grace_s: real seconds to wait for a socket before `Deadlock`, and for TCP bytes under way.
    """

    def __init__(self, start: float = 1000.0, *, grace_s: float = 0.5) -> None:
        self.delivery = Delivery(grace_s)
        self._virtual = JumpingSelector(start, grace_s, self.delivery, self._deadlock)
        self._numbers = itertools.count(1)
        self._gates: dict[tuple[str, int], Callable[[], Awaitable[None]]] = {}
        super().__init__(self._virtual)
        if not 0 <= start < TIME_MAX_S:
            self.close()
            raise MisuseError(f"virtual time starts at {start!r}; allowed is 0 <= start < {TIME_MAX_S:.0f} s")
        self.set_task_factory(self._numbered)  # type: ignore[arg-type]

    def time(self) -> float:
        """Virtual time, seconds."""
        return self._virtual.now

    @property
    def jumps(self) -> int:
        """How often time has jumped."""
        return self._virtual.jumps

    def limit(self, *, virtual_s: float | None = None, wall_s: float | None = None) -> None:
        """Raise `LimitReached` from the loop after this much more virtual or real time; None lifts a limit.

        Raised once; clean-up that follows may take as much again in real time and any virtual time.
        """
        self._virtual.limit(virtual_s, wall_s)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[..., T], *args: object
    ) -> asyncio.Future[T]:
        """Run `func` inline, now, whatever the executor: no threads, so no races."""
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - the boundary that an executor is
            done.set_exception(error)
        return done

    async def create_server(self, *args: object, **kwargs: object) -> asyncio.Server:
        """As in asyncio; the loop learns the listening sockets."""
        server = await super().create_server(*args, **kwargs)  # type: ignore[call-overload]
        assert isinstance(server, asyncio.Server)
        for listener in server.sockets:
            self.delivery.listen(listener)
        return server

    async def sock_accept(self, sock: socket.socket) -> tuple[socket.socket, object]:
        """As in asyncio; the loop learns the listening socket."""
        self.delivery.listen(sock)
        return await super().sock_accept(sock)

    def gate(self, address: tuple[str, int], passed: Callable[[], Awaitable[None]] | None) -> None:
        """Let every new connection to `address` await `passed()` first (None: no longer); see `line`."""
        if passed is None:
            self._gates.pop(address, None)
        else:
            self._gates[address] = passed

    async def sock_connect(self, sock: socket.socket, address: object) -> None:
        """As in asyncio, but TCP over loopback is connected at once, when its gate lets it pass."""
        if sock.family in (socket.AF_INET, socket.AF_INET6) and sock.type == socket.SOCK_STREAM:
            assert isinstance(address, tuple)
            gate = self._gates.get(address[:2])
            if gate is not None:
                await gate()
            if self.delivery.connect(sock, address):
                return
        await super().sock_connect(sock, address)  # type: ignore[arg-type]

    async def subprocess_exec(self, *args: object, **kwargs: object) -> NoReturn:
        """Refused: a child process lives in real time."""
        raise MisuseError(
            "no child processes in virtual time: they live in real time and would never be waited for"
        )

    subprocess_shell = subprocess_exec

    # The two hooks below are asyncio's own (BaseEventLoop): where a connected socket gets its transport.

    def _make_socket_transport(
        self, sock: socket.socket, *args: object, **kwargs: object
    ) -> asyncio.Transport:
        made = super()._make_socket_transport(self.delivery.adopt(sock), *args, **kwargs)  # type: ignore[misc]
        assert isinstance(made, asyncio.Transport)
        return made

    def _make_ssl_transport(
        self, rawsock: socket.socket, *args: object, **kwargs: object
    ) -> asyncio.Transport:
        made = super()._make_ssl_transport(self.delivery.adopt(rawsock), *args, **kwargs)  # type: ignore[misc]
        assert isinstance(made, asyncio.Transport)
        return made

    def _numbered(
        self,
        loop: asyncio.AbstractEventLoop,
        coro: Coroutine[object, object, T] | Generator[object, object, T],
        **kwargs: object,
    ) -> asyncio.Task[T]:
        return _NumberedTask(next(self._numbers), coro, loop, kwargs)

    def _deadlock(self) -> Deadlock:
        waiting = [f"  {_where(task)}" for task in sorted(asyncio.all_tasks(self), key=hash)]
        return Deadlock(
            f"virtual time {self.time():.3f}: no socket is ready and no timer is set, so nothing can ever happen "
            f"again; {len(waiting)} tasks wait:\n" + "\n".join(waiting)
        )


class _NumberedTask(asyncio.Task[T]):
    """A task whose hash, and so its place in a set, is the same in every process."""

    def __init__(
        self,
        number: int,
        coro: Coroutine[object, object, T] | Generator[object, object, T],
        loop: asyncio.AbstractEventLoop,
        kwargs: dict[str, object],
    ) -> None:
        self._number = number  # before the base class, which enters the task into a set
        super().__init__(coro, loop=loop, **kwargs)  # type: ignore[arg-type]

    def __hash__(self) -> int:
        return self._number


def run(
    main: Callable[[], Awaitable[T]] | Coroutine[object, object, T],
    *,
    loop: VirtualLoop | None = None,
    max_virtual_s: float | None = None,
    wall_limit_s: float | None = None,
) -> T:
    """Run `main` in virtual time to its end and clean up like `asyncio.run`; closes `loop`.

    Args:
        main: a coroutine, or a function without arguments that returns an awaitable.
        loop: a loop of the caller's, for instance with another start; a new one otherwise.
        max_virtual_s: most virtual time, seconds.
        wall_limit_s: most real time, seconds.

    Raises:
        Deadlock: nothing can happen any more.
        LimitReached: one of the two limits.
    """
    loop = loop or VirtualLoop()
    chosen = loop
    loop.limit(virtual_s=max_virtual_s, wall_s=wall_limit_s)
    with asyncio.Runner(loop_factory=lambda: chosen) as runner:
        return runner.run(main if asyncio.iscoroutine(main) else _call(main))


async def _call(main: Callable[[], Awaitable[T]]) -> T:
    return await main()


def _where(task: asyncio.Task[object]) -> str:
    """Name of a task and the chain of awaits in which it is stuck, outermost first."""
    places: list[str] = []
    waiting: object = task.get_coro()
    while (frame := getattr(waiting, "cr_frame", None)) is not None:
        places.append(f"{frame.f_code.co_qualname} ({frame.f_code.co_filename}:{frame.f_lineno})")
        waiting = getattr(waiting, "cr_await", None)
    return f"{task.get_name()}: " + (" > ".join(places) or "not a coroutine")
