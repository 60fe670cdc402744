"""The solver worker: scipy in a process of its own, so that the control loop neither imports it nor waits for it.

    Command: Solve -> stdin of the worker (one JSON line) -> HiGHS -> stdout (one JSON line) -> Fact: Solved

One problem at a time, the newest waits; a worker that is silent past its deadline is killed and started again. The
closed form and the last plan hold meanwhile. Started as `python -m vpp_gateway.solver` this module is the worker.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from pydantic import TypeAdapter

from vpp_gateway.clock import Clock, Rng, SystemClock
from vpp_gateway.domain.plan import Plan, Problem
from vpp_gateway.worker import LineWorker, line_of, serve

DEADLINE_S = 2.0
TIME_LIMIT_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the worker says of one problem."""

    problem: str
    plan: Plan | None
    reason: str = ""


PROBLEM: TypeAdapter[Problem] = TypeAdapter(Problem)
ANSWER: TypeAdapter[Answer] = TypeAdapter(Answer)


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
        self._worker: LineWorker[Problem, Answer] = LineWorker(
            name="solver",
            command=command or (sys.executable, "-m", "vpp_gateway.solver"),
            deadline_s=DEADLINE_S,
            encode=partial(line_of, PROBLEM),
            decode=ANSWER.validate_json,
            answered=lambda answer: on_solved(answer.problem, answer.plan, answer.reason),
            failed=lambda problem, reason: on_solved(problem.id, None, reason),
            loading="scipy is being loaded",
        )

    @property
    def state(self) -> str:
        """starting | ready | down"""
        return self._worker.state

    @property
    def reason(self) -> str:
        return self._worker.reason

    @property
    def pid(self) -> int | None:
        return self._worker.pid

    @property
    def restarts(self) -> int:
        return self._worker.restarts

    def submit(self, problem: Problem) -> None:
        """Solve as soon as possible; replaces a problem that still waits."""
        self._worker.ask(problem)

    async def run(self) -> None:
        """Keep a worker alive until cancelled."""
        await self._worker.run()


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
    serve(
        PROBLEM.validate_json,
        lambda problem: line_of(ANSWER, answer_to(problem, clock)),
        lambda reason: line_of(ANSWER, Answer(problem="", plan=None, reason=reason)),
        read,
        write,
    )


if __name__ == "__main__":
    main()
