"""The solver worker: scipy in a process of its own, so that the control loop neither imports it nor waits for it.

    Command: Solve -> stdin of the worker (one JSON line) -> HiGHS -> stdout (one JSON line) -> Fact: Solved

One problem at a time, the newest waits; a worker that is silent past its deadline is killed and started again. The
closed form and the last plan hold meanwhile. Started as `python -m vpp_gateway.solver` this module is the worker.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import structlog
from pydantic import TypeAdapter, ValidationError

from vpp_gateway.clock import Clock, Rng, SystemClock
from vpp_gateway.domain.plan import Plan, Problem

LINE_MAX_BYTES = 16 * 1024 * 1024
DEADLINE_S = 2.0
WARM_UP_S = 60.0
"""The first answer may wait for scipy's import."""
TIME_LIMIT_S = 1.0
FIRST_PAUSE_S, LAST_PAUSE_S = 0.1, 5.0
"""Before a worker that ended is started again; doubles while it answers nothing."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the worker says of one problem."""

    problem: str
    plan: Plan | None
    reason: str = ""


PROBLEM: TypeAdapter[Problem] = TypeAdapter(Problem)
ANSWER: TypeAdapter[Answer] = TypeAdapter(Answer)


T = TypeVar("T")


def line_of(adapter: TypeAdapter[T], value: T) -> bytes:
    """One line of JSON, with NaN and infinity by name: `dump_json` would write null, and the other side refuse it."""
    return json.dumps(adapter.dump_python(value, mode="json")).encode() + b"\n"


class OnSolved(Protocol):
    """`Engine.solved`."""

    def __call__(self, problem: str, plan: Plan | None, reason: str = "") -> None: ...


def answer_to(problem: Problem, clock: Clock) -> Answer:
    """Solve one problem, in this process."""
    from vpp_gateway.optimise.linear import solve

    began = clock.monotonic()
    try:
        plan = solve(problem, TIME_LIMIT_S)
    except (ArithmeticError, ValueError) as error:
        return Answer(problem=problem.id, plan=None, reason=str(error))
    return Answer(problem=problem.id, plan=replace(plan, solve_s=clock.monotonic() - began))


class ProcessSolver:
    """Runs the worker process and talks to it.

    Args:
        on_solved: Takes each answer.
        command: How to start the worker; the default is this module under this interpreter.
    """

    def __init__(self, on_solved: OnSolved, command: Sequence[str] | None = None) -> None:
        self._on_solved = on_solved
        self._command = tuple(command or (sys.executable, "-m", "vpp_gateway.solver"))
        self._next: Problem | None = None
        self._stirred = asyncio.Event()
        self.state = "starting"
        self.reason = "scipy is being loaded"
        self.pid: int | None = None
        self.restarts = -1
        self._served = False
        """This life of the worker has answered at least once."""

    def submit(self, problem: Problem) -> None:
        """Solve as soon as possible; replaces a problem that still waits."""
        if self.state != "ready":
            self._on_solved(problem.id, None, f"solver {self.state}: {self.reason}")
            return
        self._next = problem
        self._stirred.set()

    async def run(self) -> None:
        """Keep a worker alive until cancelled."""
        delay_s = FIRST_PAUSE_S
        while True:
            self.restarts += 1
            try:
                await self._life()
            except (OSError, ValidationError, ValueError, TimeoutError, EOFError) as error:
                self.state, self.reason = "down", f"{type(error).__name__}: {error}"
                log.warning("solver worker down", reason=self.reason)
                delay_s = FIRST_PAUSE_S if self._served else delay_s
                waiting, self._next = self._next, None
                if waiting is not None:
                    self._on_solved(waiting.id, None, self.reason)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, LAST_PAUSE_S)

    async def _life(self) -> None:
        self._served = False
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_MAX_BYTES,
        )
        self.pid = process.pid
        assert process.stdin is not None and process.stdout is not None
        try:
            async with asyncio.timeout(WARM_UP_S):
                if not await process.stdout.readline():
                    raise EOFError("the worker ended while starting")
            self.state, self.reason = "ready", ""
            while True:
                await self._stirred_or_ended(process)
                self._stirred.clear()
                problem, self._next = self._next, None
                if problem is not None:
                    await self._one(process.stdin, process.stdout, problem)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def _stirred_or_ended(self, process: asyncio.subprocess.Process) -> None:
        """Wait for work; a worker that ends meanwhile is noticed at once, not at the next problem."""
        async with asyncio.TaskGroup() as group:
            ended = group.create_task(process.wait())
            stirred = group.create_task(self._stirred.wait())
            await asyncio.wait((ended, stirred), return_when=asyncio.FIRST_COMPLETED)
            over = ended.done()
            ended.cancel()
            stirred.cancel()
        if over:
            raise EOFError(f"the worker ended with {process.returncode}")

    async def _one(self, stdin: asyncio.StreamWriter, stdout: asyncio.StreamReader, problem: Problem) -> None:
        self._next = problem  # still owed, should the worker die
        async with asyncio.timeout(DEADLINE_S):
            stdin.write(line_of(PROBLEM, problem))
            await stdin.drain()
            line = await stdout.readline()
        if not line:
            raise EOFError("the worker ended")
        answer = ANSWER.validate_json(line)
        if self._next is problem:
            self._next = None
        self._served = True
        self._on_solved(answer.problem, answer.plan, answer.reason)


class InlineSolver:
    """Solves in this process after a seeded delay: for virtual time, where no process can live."""

    def __init__(self, on_solved: OnSolved, rng: Rng, clock: Clock) -> None:
        self._on_solved, self._rng, self._clock = on_solved, rng, clock
        self.state, self.reason = "ready", ""
        self.pid: int | None = None
        self.restarts = 0

    def submit(self, problem: Problem) -> None:
        """The answer comes after 5 to 50 ms of loop time."""
        asyncio.get_running_loop().call_later(self._rng.uniform(0.005, 0.05), self._answer, problem)

    def _answer(self, problem: Problem) -> None:
        answer = answer_to(problem, self._clock)
        plan = None if answer.plan is None else replace(answer.plan, solve_s=0.0)
        self._on_solved(answer.problem, plan, answer.reason)

    async def run(self) -> None:
        await asyncio.Event().wait()


def main(read: Callable[[], bytes] | None = None, write: Callable[[bytes], None] | None = None) -> None:
    """The worker: one problem a line in, one answer a line out, until stdin ends."""
    import vpp_gateway.optimise.linear  # noqa: F401  # warm: the first problem shall not wait for scipy

    clock = SystemClock()
    read = read or sys.stdin.buffer.readline
    out = sys.stdout.buffer

    def say(line: bytes) -> None:
        if write is not None:
            write(line)
            return
        out.write(line)
        out.flush()

    say(b'"ready"\n')
    while line := read():
        try:
            problem = PROBLEM.validate_json(line)
        except ValidationError as error:
            say(line_of(ANSWER, Answer(problem="", plan=None, reason=str(error))))
            continue
        say(line_of(ANSWER, answer_to(problem, clock)))


if __name__ == "__main__":
    main()
