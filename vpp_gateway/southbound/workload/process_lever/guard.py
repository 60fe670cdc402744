"""The guard of one throttled job: a program of its own that lets the job run as much as it may, and no more.

    python -I -S guard.py PID START_TIME CORES          standard input: the lever; its end is the guard's end

CPU time is credit: it grows with time at CORES, is spent by the job, and never exceeds what BUCKET_S brings (or
BUCKET_MIN_S of CPU, so that a small job is stopped a few times a second and not a hundred). Without credit the job is
stopped (SIGSTOP), with half a bucket it goes on (SIGCONT):

    credit  ^      /|      /|        resume at half a bucket
            |     / |     / |
          0 +----/--|----/--|----    a burst may overdraw: then it stays stopped for longer, so the mean is right
            |   /   |/

While the job runs it is looked at when its credit could be spent, at the speed seen last (threads spend it faster than
time passes). One that keeps half a bucket is looked at less and less often: each look costs some 20 to 50 us of CPU,
and a guard must cost much less than it saves. It is not niced: a guard kept waiting lets its job overdraw.

However the guard ends (end of input, signal, end of the job), it leaves the job running: a signal is only noted, and
never interrupts. Only SIGKILL is beyond it: then the lever's next look starts another guard, whose first act is SIGCONT.

It measures what the lever's model of power measures, the CPU time of the job's process with all its threads, and stops
the whole process group that the job leads. The process is named by a pidfd, so that no other process is ever stopped
in its place. It runs by path with few imports; like the job it is outside the lever's clock.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from contextlib import suppress

BUCKET_S = 0.1
BUCKET_MIN_S = 0.003
"""Of CPU."""
LOOK_MIN_S = 0.001
LOOK_MAX_S = 0.05
OVERDRAW_S = 0.1
"""So much time's credit may be overdrawn for the sake of fewer looks at a job that is short of credit ..."""
OVERDRAW_CALM_S = 2.0
"""... and, looking less and less often, at one that is not."""


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
        self._cpu_clock = (~pid << 3) | 2  # of the whole process; see clock_getcpuclockid(3)

    def cpu_s(self) -> float:
        """CPU time that all its threads have used so far, seconds."""
        try:
            return time.clock_gettime(self._cpu_clock)
        except OSError as error:
            raise ProcessLookupError(f"pid {self.pid} ended") from error

    def send(self, number: signal.Signals) -> None:
        """Signal it, with its group if it leads one."""
        signal.pidfd_send_signal(self.fd, number)
        if self.leads:
            os.killpg(self.pid, number)


class Credit:
    """What the job may still use, and when to look again. Pure: time and use are told."""

    def __init__(self, cores: float, at: float, used_s: float) -> None:
        self._cores = cores
        self._at = at
        self._used_s = used_s
        self._bucket_s = max(cores * BUCKET_S, BUCKET_MIN_S)
        self._speed = 1.0
        self._calm_s = 0.0
        self.left_s = 0.0
        """Of CPU; < 0: overdrawn."""
        self.running = True
        """Whether the job may run."""

    def look(self, at: float, used_s: float) -> bool:
        """Account for what was used until now; whether the job is to be signalled, to do as `running` says."""
        passed_s, spent_s = at - self._at, used_s - self._used_s
        self._at, self._used_s = at, used_s
        self.left_s = min(self.left_s + self._cores * passed_s, self._bucket_s) - spent_s
        if self.running:
            self._speed = max(spent_s / max(passed_s, LOOK_MIN_S), 1.0)
        calm = self.running and self.left_s >= self._bucket_s / 2
        self._calm_s = self._calm_s + passed_s if calm else 0.0
        if self.left_s <= 0:
            self.running = False
            return True
        if not self.running and self.left_s >= self._bucket_s / 2:
            self.running = True
            return True
        return False

    def wait_s(self) -> float:
        """Until the credit could be spent, or is enough to go on."""
        if not self.running:
            return max((self._bucket_s / 2 - self.left_s) / self._cores, LOOK_MIN_S)
        least_s = max(self._cores * OVERDRAW_S, min(self._cores * OVERDRAW_CALM_S, self._calm_s), LOOK_MIN_S)
        return min(max(self.left_s / self._speed, least_s), LOOK_MAX_S)


def throttle(target: Target, cores: float, alarm: int) -> None:
    """Hold `target` to `cores` until standard input or the process ends, or a signal rings the alarm."""
    ends = select.poll()
    for fd in (0, target.fd, alarm):
        ends.register(fd, select.POLLIN)
    target.send(signal.SIGCONT)  # a guard before this one may have been killed
    credit = Credit(cores, now(), target.cpu_s())
    while not ends.poll(1000.0 * credit.wait_s()):
        if credit.look(now(), target.cpu_s()):
            target.send(signal.SIGCONT if credit.running else signal.SIGSTOP)


def now() -> float:
    """CLOCK_MONOTONIC, seconds."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def listen() -> int:
    """From now on a signal is noted, and wakes whoever waits on the descriptor returned; it interrupts nothing."""
    alarm, ring = os.pipe()
    os.set_blocking(ring, False)
    signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: None)
    return alarm


def main(arguments: list[str]) -> int:
    """Command line as in the module's text."""
    alarm = listen()
    pid, start_time, cores = int(arguments[0]), arguments[1], float(arguments[2])
    try:
        target = Target(pid, start_time)
    except (FileNotFoundError, ProcessLookupError):
        return 0  # ended before it could be throttled
    try:
        throttle(target, cores, alarm)
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
