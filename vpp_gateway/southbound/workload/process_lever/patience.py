"""How long the hands wait for what they ask of processes, and how they wait and signal."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from vpp_gateway.errors import Unreachable
from vpp_gateway.southbound.workload.process_lever import proc

log = structlog.get_logger(__name__)

_LOOK_S = 0.003


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long each act may take, seconds."""

    signal_s: float = 2.0
    """SIGSTOP or SIGCONT until the kernel shows it."""
    held_s: float = 3.0
    """Throttled until seen to keep to its share."""
    checkpoint_s: float = 5.0
    """SIGTERM until gone."""
    lock_s: float = 2.0
    work_s: float = 5.0
    """Let go until seen to work."""
    warm_s: float = 5.0
    """Spawn until it waits at the gate."""


async def until(true: Callable[[], bool], seconds: float, told: str) -> None:
    """Wait until `true`. Raises Unreachable, beginning with `told`, when it is not so in time."""
    try:
        async with asyncio.timeout(seconds):
            while not true():  # noqa: ASYNC110 - what is waited for happens in other processes, without an event
                await asyncio.sleep(_LOOK_S)
    except TimeoutError as error:
        raise Unreachable(f"{told} within {seconds:g} s") from error


def send(who: proc.Ident, number: signal.Signals, *, group: bool = False) -> None:
    """Signal the process, or its whole group if it leads one; one that is gone needs no signal."""
    try:
        if group and os.getpgid(who.pid) == who.pid:
            os.killpg(who.pid, number)
        else:
            os.kill(who.pid, number)
    except ProcessLookupError:
        log.debug("signal to a process that is gone", pid=who.pid, signal=number.name)
