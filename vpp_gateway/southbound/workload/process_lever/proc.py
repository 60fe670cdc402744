"""What the kernel says about a process: /proc/<pid>/stat and its CPU clock.

A pid alone names nobody, because pids are used again; pid and start time together do.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

_GONE = ("Z", "X", "x")


@dataclass(frozen=True, slots=True)
class Ident:
    """One process, for ever."""

    pid: int
    start_time: int
    """Clock ticks since boot (field 22 of /proc/<pid>/stat)."""


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/<pid>/stat from the third on; None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()  # the name may hold spaces and brackets


def ident(pid: int) -> Ident | None:
    """Who has this pid now; None when nobody has."""
    fields = _stat(pid)
    return None if fields is None else Ident(pid, int(fields[19]))


def letter(who: Ident) -> str | None:
    """State letter of the process (R, S, D, T, ...); None when it is gone (a zombie is gone)."""
    fields = _stat(who.pid)
    if fields is None or int(fields[19]) != who.start_time or fields[0] in _GONE:
        return None
    return fields[0]


def alive(who: Ident | None) -> bool:
    """Whether it still is."""
    return who is not None and letter(who) is not None


def stopped(who: Ident) -> bool:
    """Whether it is alive and stopped (SIGSTOP)."""
    return letter(who) in ("T", "t")


def cpu_ns(who: Ident) -> int | None:
    """CPU time that all its threads have used, nanoseconds; None when it is gone. Its child processes do not count."""
    try:
        used_ns = time.clock_gettime_ns(
            (~who.pid << 3) | 2
        )  # of the whole process; see clock_getcpuclockid(3)
    except OSError:
        return None
    return used_ns if alive(who) else None  # asked afterwards: who has the pid now, had it then
