"""The supervisor: starts two centres and one agent per site as processes of their own, and starts them again.

It holds no state and does no work, so it has nothing to lose. A child that ends is started again after a back-off
that doubles while it keeps ending early. SIGTERM and SIGINT end the children in order: centres first, agents last,
without releasing the batteries: their own reversion timers end an order that nobody renews.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from vpp_gateway.clock import Clock
from vpp_gateway.errors import MisuseError

SETTLED_S = 5.0
"""A life this long resets the back-off."""
GRACE_S = 5.0
"""Between SIGTERM and SIGKILL."""
PR_SET_PDEATHSIG = 1

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Pauses before a child is started again, seconds."""

    first_s: float = 0.1
    max_s: float = 5.0


def die_with_parent(parent: int | None) -> None:
    """In a child, first thing: ask the kernel for SIGTERM when the parent ends, however it ends (Linux).

    Args:
        parent: Process id of the supervisor that started it; None = started by hand, then nothing is asked.

    Raises:
        MisuseError: the kernel refused, or the parent ended before it could be asked.
    """
    if parent is None:
        return
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise MisuseError(f"cannot be tied to process {parent}: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:
        raise MisuseError(f"the supervisor, process {parent}, is gone already")


class Child:
    """One supervised process."""

    def __init__(self, name: str, command: Sequence[str], clock: Clock, backoff: Backoff) -> None:
        self.name, self._command, self._clock, self._backoff = name, tuple(command), clock, backoff
        self.process: asyncio.subprocess.Process | None = None
        self.starts = 0

    async def run(self) -> None:
        """Keep it alive until cancelled; ends it on the way out."""
        delay_s = self._backoff.first_s
        while True:
            began = self._clock.monotonic()
            code = await self._live()
            if self._clock.monotonic() - began >= SETTLED_S:
                delay_s = self._backoff.first_s
            log.warning("process ended, starting it again", process=self.name, code=code, in_s=delay_s)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, self._backoff.max_s)

    async def _live(self) -> int | str:
        """One life; the exit code, or why it could not begin (no memory, no process left)."""
        try:
            self.process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.DEVNULL
            )
        except OSError as error:
            return f"not started: {error.strerror or error}"
        self.starts += 1
        try:
            return await self.process.wait()
        except asyncio.CancelledError:
            await end(self.process)
            raise


async def end(process: asyncio.subprocess.Process) -> None:
    """SIGTERM, then SIGKILL after `GRACE_S`."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(GRACE_S):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def supervise(
    groups: Sequence[Mapping[str, Sequence[str]]], clock: Clock, backoffs: Mapping[str, Backoff]
) -> None:
    """Run all children until SIGTERM or SIGINT.

    Args:
        groups: Command line per child; groups are ended in this order, the children of one group together.
        backoffs: Pauses per child; a missing one gets the default.
    """
    children = [
        [Child(name, command, clock, backoffs.get(name, Backoff())) for name, command in group.items()]
        for group in groups
    ]
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as group:
        running = [[group.create_task(child.run(), name=child.name) for child in row] for row in children]
        await stop.wait()
        for tasks in running:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
