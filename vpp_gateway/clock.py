"""The one seam for time and chance.

Pure code takes `now` as an argument; shells ask a `Clock`. Nothing else in the package may read the machine's
clock or its random source (ruff enforces it), so that the whole house also runs in virtual time from a seed.

Units: `utc()` is UTC as Unix seconds, `monotonic()` is seconds of an arbitrary origin. Durations are always
differences of `monotonic()`; dates come from `utc()`.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """What a shell may know about time."""

    def utc(self) -> float:
        """UTC now, Unix seconds."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary origin; never jumps."""
        ...

    def step_s(self) -> float:
        """How far the machine's wall clock is ahead of `utc()`, seconds; 0 where there is no other clock."""
        ...

    def reanchor(self) -> None:
        """Take the machine's wall clock over, in one step; for moments when nothing is running."""
        ...

    def align(self, utc: float) -> None:
        """Make `utc()` say `utc` now: all processes of one gateway follow the centre's clock."""
        ...


class SystemClock:
    """The machine's clock, disciplined: UTC advances with the monotonic clock and never jumps by itself.

    A wall clock that is set back or forth while an event runs would end or restart the event. So UTC is
    anchored once and then follows the monotonic clock; `step_s()` tells how far the machine's wall clock has
    drifted from it, for the alarm, and `reanchor()` takes the new time over when nothing is running.

    Args:
        wall: The machine's wall clock, Unix seconds.
        monotonic: Its monotonic clock, seconds.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._anchor_utc = wall()
        self._anchor_monotonic = monotonic()

    def utc(self) -> float:
        return self._anchor_utc + (self._monotonic() - self._anchor_monotonic)

    def monotonic(self) -> float:
        return self._monotonic()

    def step_s(self) -> float:
        """How far the machine's wall clock is ahead of ours, seconds (positive: it was set forward)."""
        return self._wall() - self.utc()

    def reanchor(self) -> None:
        self.align(self._wall())

    def align(self, utc: float) -> None:
        self._anchor_utc = utc
        self._anchor_monotonic = self._monotonic()


class LoopClock:
    """Time of the running event loop; under `sim.loop` that is virtual time.

    Args:
        origin_utc: UTC (Unix seconds) at loop time zero.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, origin_utc: float) -> None:
        self._loop = loop
        self._origin_utc = origin_utc

    def utc(self) -> float:
        return self._origin_utc + self._loop.time()

    def monotonic(self) -> float:
        return self._loop.time()

    def step_s(self) -> float:
        return 0.0

    def reanchor(self) -> None:
        """Nothing to take over: the loop's time is the only one."""

    def align(self, utc: float) -> None:
        """Nothing to follow: all of a simulated house lives in one loop."""


class Rng(Protocol):
    """What the package may know about chance."""

    def uniform(self, low: float, high: float) -> float:
        """A float in [low, high]."""
        ...

    def token(self, size: int) -> bytes:
        """`size` bytes, unguessable in the real thing."""
        ...


class SystemRng:
    """The operating system's random source."""

    def __init__(self) -> None:
        self._random = random.SystemRandom()

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)

    def token(self, size: int) -> bytes:
        return os.urandom(size)


class SeededRng:
    """Reproducible chance, for simulation and tests only."""

    def __init__(self, seed: int | str) -> None:
        self._random = random.Random(seed)

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)

    def token(self, size: int) -> bytes:
        return self._random.randbytes(size)

    def fork(self, name: str) -> SeededRng:
        """An independent stream named `name`, so that one consumer's draws do not shift another's."""
        return SeededRng(f"{self._random.getrandbits(64)}/{name}")


def uuid(rng: Rng) -> str:
    """A random UUID (version 4) as text, drawn from `rng`."""
    raw = bytearray(rng.token(16))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
