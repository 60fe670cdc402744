"""The selector that never sleeps: where virtual time jumps, and where a run ends that cannot go on."""

from __future__ import annotations

import itertools
import selectors
import time
from collections.abc import Callable
from typing import Protocol

from vpp_gateway.errors import GatewayError
from vpp_gateway.sim.delivery import Delivery


class _HasFileno(Protocol):
    def fileno(self) -> int: ...


FileDescriptor = int | _HasFileno

TIME_MAX_S = 2.0**22
"""Largest virtual time, 48 days: beyond it a float's step comes near asyncio's clock resolution of 1 ns, and a
timer could be due and not due at once."""


class Deadlock(GatewayError):
    """No socket is ready, no timer is set: nothing can ever happen again. The text names the pending tasks."""


class LimitReached(GatewayError):
    """A run went beyond the virtual or real time that its caller granted."""


class JumpingSelector(selectors.DefaultSelector):
    """The selector that never sleeps: it moves the virtual clock instead."""

    def __init__(
        self, now: float, grace_s: float, delivery: Delivery, deadlock: Callable[[], Deadlock]
    ) -> None:
        super().__init__()
        self.now = now
        self.jumps = 0
        self._grace_s = grace_s
        self._delivery = delivery
        self._deadlock = deadlock
        self._order: dict[int, int] = {}
        self._registered = itertools.count()
        self._end = TIME_MAX_S
        self._wall_s: float | None = None
        self._wall_end = float("inf")

    def limit(self, virtual_s: float | None, wall_s: float | None) -> None:
        self._end = TIME_MAX_S if virtual_s is None else min(self.now + virtual_s, TIME_MAX_S)
        self._wall_s = wall_s
        self._wall_end = float("inf") if wall_s is None else time.perf_counter() + wall_s

    def register(self, fileobj: FileDescriptor, events: int, data: object = None) -> selectors.SelectorKey:
        key = super().register(fileobj, events, data)
        self._order[key.fd] = next(self._registered)
        return key

    def unregister(self, fileobj: FileDescriptor) -> selectors.SelectorKey:
        key = super().unregister(fileobj)
        del self._order[key.fd]
        return key

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready now; if nothing is and `timeout` is not 0, jump by `timeout` virtual seconds."""
        if time.perf_counter() > self._wall_end:
            self.limit(None, self._wall_s)
            raise LimitReached(f"more than {self._wall_s} s of real time, at virtual time {self.now:.3f}")
        ready = super().select(0)
        if not ready and timeout != 0:
            ready = self._idle(timeout)
        if len(ready) > 1:
            ready.sort(key=lambda item: self._order[item[0].fd])
        return ready

    def _idle(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._outstanding()
        if ready:
            return ready
        if timeout is not None:
            self._jump(timeout)
            return []
        ready = super().select(self._grace_s)
        if not ready:
            raise self._deadlock()
        return ready

    def _jump(self, timeout: float) -> None:
        if self.now + timeout > self._end:
            self.now, self._end = max(self.now, self._end), TIME_MAX_S
            raise LimitReached(f"virtual time {self.now:.3f} is the end of what this run was granted")
        self.now += timeout
        self.jumps += 1

    def _outstanding(self) -> list[tuple[selectors.SelectorKey, int]]:
        """Real wait, bounded, for bytes that a window held back and that their reader now wants."""
        deadline = time.perf_counter() + self._grace_s
        while self._delivery.under_way(self._reading, self._writing):
            ready = super().select(0.001)
            if ready:
                return ready
            if time.perf_counter() > deadline:
                self._delivery.give_up()
        return []

    def _reading(self, fd: int) -> bool:
        return fd in self._order and bool(self.get_key(fd).events & selectors.EVENT_READ)

    def _writing(self, fd: int) -> bool:
        return fd in self._order and bool(self.get_key(fd).events & selectors.EVENT_WRITE)
