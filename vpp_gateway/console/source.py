"""Where the console gets what it shows. The engine implements `StatusSource`; the console only reads.

    engine --publish(beat)--> Feed --+--> Subscription (page 1)     bounded, newest wins: a slow page loses the
                                     +--> Subscription (page 2)     oldest beats and is told so, the engine never waits

A page that lost beats asks `history` for the points in between: what is drawn has no holes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from vpp_gateway.console.history import HistoryPoint
from vpp_gateway.console.status import Status

BEATS_MAX = 8
"""Beats (one a second) that a slow page may lie behind before it loses the oldest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """What one second brings to a page."""

    status: Status
    point: HistoryPoint


class Subscription:
    """One listener's bounded queue of beats: the newest wins."""

    def __init__(self, size: int = BEATS_MAX) -> None:
        self._beats: deque[Beat] = deque(maxlen=size)
        self._stirred = asyncio.Event()
        self._closed = False
        self._lost = 0

    def put(self, beat: Beat) -> None:
        """Add a beat, pushing the oldest out when full. Never waits."""
        self._lost += len(self._beats) == self._beats.maxlen
        self._beats.append(beat)
        self._stirred.set()

    def close(self) -> None:
        """Wake the listener for the last time."""
        self._closed = True
        self._stirred.set()

    @property
    def waiting(self) -> int:
        """Beats not taken yet."""
        return len(self._beats)

    def lost(self) -> int:
        """Beats pushed out since this was asked last."""
        lost, self._lost = self._lost, 0
        return lost

    async def get(self, timeout_s: float) -> Beat | None:
        """The next beat; None when closed.

        Raises:
            TimeoutError: no beat came within `timeout_s`.
        """
        async with asyncio.timeout(timeout_s):
            while not self._beats and not self._closed:
                self._stirred.clear()
                await self._stirred.wait()
        return self._beats.popleft() if self._beats else None


class Feed:
    """Hands every beat to every listener; what `StatusSource.subscribe` is made of."""

    def __init__(self) -> None:
        self._subscriptions: list[Subscription] = []

    @property
    def listeners(self) -> int:
        """How many listen now; a source may skip building beats for nobody."""
        return len(self._subscriptions)

    def publish(self, beat: Beat) -> None:
        """Hand `beat` to every listener. Never waits."""
        for subscription in self._subscriptions:
            subscription.put(beat)

    @contextmanager
    def subscribe(self) -> Iterator[Subscription]:
        """Listen from here to the end of the block."""
        subscription = Subscription()
        self._subscriptions.append(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.remove(subscription)


class StatusSource(Protocol):
    """What the console may ask of the engine. All three return at once and change nothing."""

    def status(self) -> Status:
        """The picture of now."""
        ...

    def history(self, since: float) -> Sequence[HistoryPoint]:
        """Points with `at` > `since` (UTC, Unix s), in time order, raw (1 Hz), as far back as they are kept."""
        ...

    def subscribe(self) -> AbstractContextManager[Subscription]:
        """Listen to one beat a second, from now to the end of the block."""
        ...
