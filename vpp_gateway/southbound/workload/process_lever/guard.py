"""The guard of one throttled job: a program of its own that lets the job run as much as it may, and no more.

    python -I -S guard.py PID START_TIME CORES          standard input: the lever; its end is the guard's end

CPU time is credit: it grows with time at CORES, is spent by the job, and never exceeds what BUCKET_S brings. Without
credit the job is stopped (SIGSTOP), with a little of it the job goes on (SIGCONT):

    credit  ^      /|      /|        resume at CORES x RESUME_S
            |     / |     / |
          0 +----/--|----/--|----    a burst may overdraw: then it stays stopped for longer, so the mean is right
            |   /   |/

However the guard ends (end of input, signal, end of the job), it leaves the job running. Only SIGKILL is beyond it:
then the lever's next look starts another guard, whose first act is SIGCONT.

It measures what the lever's model of power measures, the CPU time of the job's process, and stops the whole process
group that the job leads. The process is named by a pidfd, so that no other process is ever stopped in its place. It
runs by path with few imports; like the job it is outside the lever's clock.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from contextlib import suppress

BUCKET_S = 0.1
RESUME_S = 0.05
LOOK_MIN_S = 0.001
LOOK_MAX_S = 0.05


class Target:
    """The job's process. Raises ProcessLookupError when it is not there (any more)."""

    def __init__(self, pid: int, start_time: str) -> None:
        self.pid = pid
        self.fd = os.pidfd_open(pid)
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            found = file.read().rpartition(")")[2].split()[19]
        if found != start_time:
            raise ProcessLookupError(f"pid {pid} is another process now")
        self.leads = os.getpgid(pid) == pid

    def cpu_s(self) -> float:
        """CPU time used so far, seconds."""
        try:
            with open(f"/proc/{self.pid}/schedstat", encoding="ascii") as file:
                return int(file.read().split()[0]) / 1e9
        except FileNotFoundError as error:
            raise ProcessLookupError(f"pid {self.pid} ended") from error

    def send(self, number: signal.Signals) -> None:
        """Signal it, with its group if it leads one."""
        signal.pidfd_send_signal(self.fd, number)
        if self.leads:
            os.killpg(self.pid, number)


def throttle(target: Target, cores: float) -> None:
    """Hold `target` to `cores` until standard input or the process ends."""
    ends = select.poll()
    ends.register(0, select.POLLIN)
    ends.register(target.fd, select.POLLIN)
    target.send(signal.SIGCONT)  # a guard before this one may have been killed
    running, credit_s = True, 0.0
    at, used_s = now(), target.cpu_s()
    while not ends.poll(1000.0 * wait_s(credit_s, cores, running)):
        before_s, before = used_s, at
        at, used_s = now(), target.cpu_s()
        credit_s = min(credit_s + cores * (at - before), cores * BUCKET_S) - (used_s - before_s)
        if credit_s <= 0:
            target.send(signal.SIGSTOP)
            running = False
        elif not running and credit_s >= cores * RESUME_S:
            target.send(signal.SIGCONT)
            running = True


def wait_s(credit_s: float, cores: float, running: bool) -> float:
    """Until the credit could be spent, or is enough to go on."""
    if running:
        return min(max(credit_s, LOOK_MIN_S), LOOK_MAX_S)
    return max((cores * RESUME_S - credit_s) / cores, LOOK_MIN_S)


def now() -> float:
    """CLOCK_MONOTONIC, seconds."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def leave(number: int, frame: object) -> None:
    """End by the way that lets the job go on; a second signal must not cut that short."""
    for signals in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signals, signal.SIG_IGN)
    sys.exit(0)


def main(arguments: list[str]) -> int:
    """Command line as in the module's text."""
    pid, start_time, cores = int(arguments[0]), arguments[1], float(arguments[2])
    try:
        target = Target(pid, start_time)
    except (FileNotFoundError, ProcessLookupError):
        return 0  # ended before it could be throttled
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, leave)
    try:
        throttle(target, cores)
    except ProcessLookupError:
        return 0  # ended between two looks
    finally:
        let_go(target)
    return 0


def let_go(target: Target) -> None:
    """The job goes on, and the rest of its group also when the job itself has ended."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(target.fd, signal.SIGCONT)
    with suppress(ProcessLookupError, PermissionError):
        if target.leads:
            os.killpg(target.pid, signal.SIGCONT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
