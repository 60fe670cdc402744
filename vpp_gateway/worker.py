"""A worker process that makes plans: one problem a line in, one answer a line out, one at a time.

    submit -> (newest waits) -> stdin of the worker ... stdout -> on_answer
                                silent past its deadline, or ended: killed, the asker is told, started again

The control loop neither imports what the worker imports nor waits for it. `Duty` says what a worker is for,
`ProcessWorker` is the asker's end, `serve` the worker's; `InlineWorker` stands for both in virtual time. All that the
solver and the planner have in common is here.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

import structlog
from pydantic import TypeAdapter, ValidationError

from vpp_gateway.clock import Clock, Rng
from vpp_gateway.domain.horizon import HorizonPlan, HorizonProblem
from vpp_gateway.domain.plan import Plan, Problem

LINE_MAX_BYTES = 16 * 1024 * 1024
WARM_UP_S = 60.0
"""The first line, by which a worker says that it is ready, may wait for its imports."""
DEADLINE_S = 2.0
"""Longest wait for one answer; longer than a time limit, as HiGHS looks at its clock now and then only."""
FIRST_PAUSE_S, LAST_PAUSE_S = 0.1, 5.0
"""Before a worker that ended is started again; doubles while it answers nothing."""

Q = TypeVar("Q", Problem, HorizonProblem)
P = TypeVar("P", Plan, HorizonPlan)
P_contra = TypeVar("P_contra", Plan, HorizonPlan, contravariant=True)
T = TypeVar("T")
READY = b'"ready"\n'
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Generic[P]):
    """What the worker says of one problem."""

    problem: str
    plan: P | None
    reason: str = ""


class OnAnswer(Protocol[P_contra]):
    """Takes each answer: a plan, or why there is none."""

    def __call__(self, problem: str, plan: P_contra | None, reason: str = "") -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty(Generic[Q, P]):
    """What one worker is for."""

    name: str
    """For the log and the status."""
    module: str
    """What is run as the worker process."""
    problem: TypeAdapter[Q]
    answer: TypeAdapter[Answer[P]]
    solve: Callable[[Q], P]
    """Imports what it needs when it is called."""
    inline_s: tuple[float, float]
    """In virtual time an answer takes between these, s."""


def line_of(adapter: TypeAdapter[T], value: T) -> bytes:
    """One line of JSON without its end, with NaN and infinity by name: `dump_json` would write null, and the other side refuse it."""
    return json.dumps(adapter.dump_python(value, mode="json")).encode()


def answer_to(duty: Duty[Q, P], problem: Q, clock: Clock) -> Answer[P]:
    """Solve one problem, in this process."""
    began = clock.monotonic()
    try:
        plan = duty.solve(problem)
    except (ArithmeticError, ValueError) as error:
        return Answer(problem=problem.id, plan=None, reason=str(error))
    return Answer(problem=problem.id, plan=replace(plan, solve_s=clock.monotonic() - began))


def serve(
    duty: Duty[Q, P],
    clock: Clock,
    read: Callable[[], bytes] | None = None,
    write: Callable[[bytes], None] | None = None,
) -> None:
    """The worker's end: say that it is ready, then one answer a line for one problem a line, until stdin ends.

    A problem that cannot be read is answered, too, with the reason.

    Args:
        read: Instead of stdin: the next line, empty at its end.
        write: Instead of stdout.
    """
    read = read or sys.stdin.buffer.readline
    write = write or _say
    write(READY)
    while line := read():
        try:
            answer = answer_to(duty, duty.problem.validate_json(line), clock)
        except ValidationError as error:
            answer = Answer(problem="", plan=None, reason=str(error))
        write(line_of(duty.answer, answer) + b"\n")


def _say(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


class ProcessWorker(Generic[Q, P]):
    """Runs a worker process and talks to it.

    Args:
        duty: What it is for.
        on_answer: Takes each answer, and why a problem got none; it may submit at once.
        command: How to start the worker; the default is its module under this interpreter.
        deadline_s: A worker that is silent for longer is killed and started again.
    """

    def __init__(
        self,
        duty: Duty[Q, P],
        on_answer: OnAnswer[P],
        command: Sequence[str] | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._duty: Duty[Q, P] = duty
        self._on_answer: OnAnswer[P] = on_answer
        self._deadline_s = deadline_s
        self._command = tuple(command or (sys.executable, "-m", duty.module))
        self._next: Q | None = None
        self._stirred = asyncio.Event()
        self.state, self.reason = "starting", "scipy is being loaded"
        """starting | ready | down, and why it is not ready."""
        self.pid: int | None = None
        self.restarts = -1
        self._served = False
        """This life of the worker has answered at least once."""

    def submit(self, problem: Q) -> None:
        """Solve as soon as possible; replaces a problem that still waits."""
        if self.state != "ready":
            self._on_answer(problem.id, None, f"{self._duty.name} {self.state}: {self.reason}")
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
                log.warning(f"{self._duty.name} worker down", reason=self.reason)
                delay_s = FIRST_PAUSE_S if self._served else delay_s
                waiting, self._next = self._next, None
                if waiting is not None:
                    self._on_answer(waiting.id, None, self.reason)
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

    async def _one(self, stdin: asyncio.StreamWriter, stdout: asyncio.StreamReader, problem: Q) -> None:
        self._next = problem  # still owed, should the worker die
        async with asyncio.timeout(self._deadline_s):
            stdin.write(line_of(self._duty.problem, problem) + b"\n")
            await stdin.drain()
            line = await stdout.readline()
        if not line:
            raise EOFError("the worker ended")
        answer = self._duty.answer.validate_json(line)
        if self._next is problem:
            self._next = None
        self._served = True
        self._on_answer(answer.problem, answer.plan, answer.reason)


class InlineWorker(Generic[Q, P]):
    """Answers in this process after a seeded delay: for virtual time, where no process can live."""

    def __init__(self, duty: Duty[Q, P], on_answer: OnAnswer[P], rng: Rng, clock: Clock) -> None:
        self._duty: Duty[Q, P] = duty
        self._on_answer: OnAnswer[P] = on_answer
        self._rng, self._clock = rng, clock
        self.state, self.reason = "ready", ""
        self.restarts = 0

    def fail(self, how: str) -> None:
        """Break it (`dead`: like a worker that does not come back), or mend it ("")."""
        self.state, self.reason = ("down", "EOFError: the worker ended") if how else ("ready", "")

    def submit(self, problem: Q) -> None:
        """The answer comes after a little loop time."""
        if self.state != "ready":
            self._on_answer(problem.id, None, f"{self._duty.name} {self.state}: {self.reason}")
            return
        delay_s = self._rng.uniform(*self._duty.inline_s)
        asyncio.get_running_loop().call_later(delay_s, self._answer, problem)

    def _answer(self, problem: Q) -> None:
        if self.state != "ready":
            return
        answer = answer_to(self._duty, problem, self._clock)
        plan = None if answer.plan is None else replace(answer.plan, solve_s=0.0)
        self._on_answer(answer.problem, plan, answer.reason)

    async def run(self) -> None:
        await asyncio.Event().wait()
