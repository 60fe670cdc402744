"""A job of the simulated data centre: a program of its own that burns a little CPU and can prove what it did.

    python -I -S worker_program.py --duty 0.04 [--seed N] [--leash FILE] [--standby]

It works in its current folder. Work is a chain: 64-bit state after N steps is a function of N and the seed alone
(`state_after`), so a step lost or done twice across a pause or a move shows in the output. Every tenth of a second
it appends one line to `output.log`:

    <from step> <to step> <UTC s> <monotonic s> <state, hex>           the steps (from, to] were done

SIGTERM: finish the step, append what was done, write `checkpoint.json` (temporary file, fsync, rename), exit 0.
Start: continue from the last line of the output or from the checkpoint, whichever is further.
--standby: get ready, wait for a line on standard input, then start; end without it.
--leash FILE: end when nobody holds the lock of FILE any more (the floor that owns all workers is gone).

It runs by path with few imports, so that it starts in some ten milliseconds and takes little memory; that is why
it does not use the package's Clock: it is outside world, never part of the gateway, never in virtual time.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import sys
import time

PERIOD_S = 0.05
"""One burst of CPU each."""
REPORT_S = 0.1
STEP_ITERATIONS = 500
"""Iterations of the chain in one step: some 30 us of CPU."""
OUTPUT_MAX_BYTES = 8 * 1024 * 1024
"""Then the output is set aside as `output.log.1`."""
DEBT_MAX_S = 0.2
"""CPU time that a worker kept waiting may catch up on."""

_A = 6364136223846793005
_C = 1442695040888963407
_MASK = (1 << 64) - 1


def state_after(steps: int, seed: int = 0) -> int:
    """State of the chain after so many steps, in closed form (doubling): proof without redoing the work."""
    a, c = _A, _C
    total_a, total_c = 1, 0
    count = steps * STEP_ITERATIONS
    while count:
        if count & 1:
            total_a, total_c = total_a * a & _MASK, (total_c * a + c) & _MASK
        a, c = a * a & _MASK, (c * a + c) & _MASK
        count >>= 1
    return (total_a * seed + total_c) & _MASK


def one_step(state: int) -> int:
    """The work: advance the chain by one step."""
    for _ in range(STEP_ITERATIONS):
        state = (state * _A + _C) & _MASK
    return state


def last_reported(path: str) -> tuple[int, int]:
    """(step, state) of the last line of the output; (0, -1) when there is none."""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(file.tell() - 512, 0))
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return 0, -1
    words = lines[-2].split() if len(lines) > 1 else []
    return (int(words[1]), int(words[4], 16)) if len(words) == 5 else (0, -1)


def checkpointed(path: str) -> tuple[int, int]:
    """(step, state) of the checkpoint; (0, -1) when there is none."""
    try:
        with open(path, encoding="ascii") as file:
            words = file.read().replace(",", " ").replace("}", " ").split()
    except FileNotFoundError:
        return 0, -1
    return int(words[1]), int(words[3])


def write_checkpoint(path: str, step: int, state: int) -> None:
    """Replace the checkpoint, durably."""
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(f'{{"step": {step}, "state": {state}}}\n')
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".new", path)


class Worker:
    """The working loop."""

    def __init__(self, duty: float, seed: int, leash: str) -> None:
        self._duty = duty
        self._seed = seed
        self._leash = os.open(leash, os.O_RDONLY) if leash else -1
        self._output = -1
        self._told = False

    def run(self) -> None:
        """Work until SIGTERM or until the leash is let go."""
        step, state = max(checkpointed("checkpoint.json"), last_reported("output.log"))
        if step == 0:
            state = self._seed
        reported = step
        self._output = os.open("output.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        alarm = self._listen()
        begin = monotonic()
        next_report = begin
        cpu_0, owed_0 = time.thread_time(), begin
        while True:
            now = monotonic()
            # Owed CPU grows with time; a worker that was stopped or kept waiting does not make up for all of it.
            owed = (now - owed_0) * self._duty - (time.thread_time() - cpu_0)
            if owed > DEBT_MAX_S:
                cpu_0, owed_0 = time.thread_time(), now - PERIOD_S
            until = time.thread_time() + min(owed, DEBT_MAX_S)
            while time.thread_time() < until:
                state = one_step(state)
                step += 1
            if monotonic() >= next_report and step > reported:
                self._report(reported, step, state)
                reported, next_report = step, monotonic() + REPORT_S
                if not self._held():
                    break
            # Not sigtimedwait: after SIGSTOP and SIGCONT it returns as if the signal had come (CPython to 3.13).
            select.select([alarm], [], [], PERIOD_S)
            if self._told:
                break
        if step > reported:
            self._report(reported, step, state)
        write_checkpoint("checkpoint.json", step, state)

    def _listen(self) -> int:
        """From now on SIGTERM is noted, and wakes whoever waits on the descriptor returned."""
        alarm, ring = os.pipe()
        os.set_blocking(ring, False)
        signal.signal(signal.SIGTERM, self._note)
        signal.set_wakeup_fd(ring)
        return alarm

    def _note(self, number: int, frame: object) -> None:
        self._told = True

    def _report(self, first: int, last: int, state: int) -> None:
        line = f"{first} {last} {utc():.6f} {monotonic():.6f} {state:016x}\n"
        os.write(self._output, line.encode())
        if os.fstat(self._output).st_size > OUTPUT_MAX_BYTES:
            os.rename("output.log", "output.log.1")
            os.close(self._output)
            self._output = os.open("output.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.write(self._output, f"{last} {last} {utc():.6f} {monotonic():.6f} {state:016x}\n".encode())

    def _held(self) -> bool:
        if self._leash < 0:
            return True
        try:
            fcntl.flock(self._leash, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def monotonic() -> float:
    """CLOCK_MONOTONIC, the same for every process of the machine: gaps across a move are real."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def utc() -> float:
    """Unix seconds."""
    return time.clock_gettime(time.CLOCK_REALTIME)


def main(arguments: list[str]) -> int:
    """Command line as in the module's text."""
    options = {"--duty": "0.04", "--seed": "0", "--leash": ""}
    standby = "--standby" in arguments
    words = [word for word in arguments if word != "--standby"]
    for name, value in zip(words[::2], words[1::2], strict=True):
        if name not in options:
            sys.stderr.write(f"unknown option {name}; allowed are {', '.join(options)}, --standby\n")
            return 2
        options[name] = value
    os.nice(19)
    worker = Worker(float(options["--duty"]), int(options["--seed"]), options["--leash"])
    if standby and not sys.stdin.readline():
        return 0
    worker.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
