"""The planner: the rolling plan in a process of its own, beside the solver's.

    HorizonProblem -> stdin (one JSON line) -> HiGHS -> stdout (one JSON line) -> HorizonPlan

A plan of the hour never makes an allocation wait: it has its own process, which gives way to all others (`NICE`). What
cannot be true is left out there, and named in the plan. No answer, a late answer or a dead worker cost the new plan
only: the last good one stands, read at the moment that has come (`optimise.handover`). Started as
`python -m vpp_gateway.planner` this module is the worker.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from pydantic import TypeAdapter

from vpp_gateway.clock import Clock, Rng, SystemClock
from vpp_gateway.domain.horizon import HandOver, HorizonPlan, HorizonProblem
from vpp_gateway.optimise.handover import brief, hand_over
from vpp_gateway.worker import LineWorker, line_of, serve

TIME_LIMIT_S = 1.0
DEADLINE_S = 2.0
"""Longer than the time limit: HiGHS looks at its clock now and then only."""
NICE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the worker says of one problem."""

    problem: str
    plan: HorizonPlan | None
    reason: str = ""


PROBLEM: TypeAdapter[HorizonProblem] = TypeAdapter(HorizonProblem)
ANSWER: TypeAdapter[Answer] = TypeAdapter(Answer)


class OnPlanned(Protocol):
    """Takes each answer: a plan, or why there is none."""

    def __call__(self, problem: str, plan: HorizonPlan | None, reason: str = "") -> None: ...


def answer_to(problem: HorizonProblem, clock: Clock) -> Answer:
    """Plan, in this process; the plan as far as the allocation reads it."""
    from vpp_gateway.optimise.horizon import solve

    began = clock.monotonic()
    try:
        plan = brief(solve(problem, TIME_LIMIT_S))
    except (ArithmeticError, ValueError) as error:
        return Answer(problem=problem.id, plan=None, reason=str(error))
    return Answer(problem=problem.id, plan=replace(plan, solve_s=clock.monotonic() - began))


class _Standing:
    """The last good plan."""

    def __init__(self, on_planned: OnPlanned) -> None:
        self._on_planned = on_planned
        self.plan: HorizonPlan | None = None

    def take(self, answer: Answer) -> None:
        self.plan = answer.plan or self.plan
        self._on_planned(answer.problem, answer.plan, answer.reason)

    def hand_over(self, now: float) -> HandOver | None:
        return None if self.plan is None else hand_over(self.plan, now)


class ProcessPlanner:
    """Runs the worker process and keeps the last good plan.

    Args:
        on_planned: Takes each answer.
        command: How to start the worker; the default is this module under this interpreter.
        deadline_s: A worker that is silent for longer is killed and started again.
    """

    def __init__(
        self,
        on_planned: OnPlanned,
        command: Sequence[str] | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._standing = _Standing(on_planned)
        self.worker: LineWorker[HorizonProblem, Answer] = LineWorker(
            name="planner",
            command=command or (sys.executable, "-m", "vpp_gateway.planner"),
            deadline_s=deadline_s,
            encode=partial(line_of, PROBLEM),
            decode=ANSWER.validate_json,
            answered=self._standing.take,
            failed=lambda problem, reason: on_planned(problem.id, None, reason),
            loading="scipy is being loaded",
        )

    @property
    def state(self) -> str:
        """starting | ready | down"""
        return self.worker.state

    @property
    def reason(self) -> str:
        return self.worker.reason

    @property
    def restarts(self) -> int:
        return self.worker.restarts

    @property
    def plan(self) -> HorizonPlan | None:
        """The last good plan, however old."""
        return self._standing.plan

    def hand_over(self, now: float) -> HandOver | None:
        """What the last good plan says of `now` (UTC, Unix s); None before the first and after its end."""
        return self._standing.hand_over(now)

    def submit(self, problem: HorizonProblem) -> None:
        """Plan as soon as possible; replaces a problem that still waits."""
        self.worker.ask(problem)

    async def run(self) -> None:
        """Keep a worker alive until cancelled."""
        await self.worker.run()


class InlinePlanner:
    """Plans in this process after a seeded delay: for virtual time, where no process can live."""

    def __init__(self, on_planned: OnPlanned, rng: Rng, clock: Clock) -> None:
        self._standing = _Standing(on_planned)
        self._rng, self._clock = rng, clock
        self._on_planned = on_planned
        self.state, self.reason = "ready", ""
        self.restarts = 0

    def fail(self, how: str) -> None:
        """Break it (`dead`: like a worker that does not come back), or mend it ("")."""
        self.state, self.reason = ("down", "EOFError: the worker ended") if how else ("ready", "")

    @property
    def plan(self) -> HorizonPlan | None:
        return self._standing.plan

    def hand_over(self, now: float) -> HandOver | None:
        return self._standing.hand_over(now)

    def submit(self, problem: HorizonProblem) -> None:
        """The answer comes after 20 to 100 ms of loop time."""
        if self.state != "ready":
            self._on_planned(problem.id, None, f"planner {self.state}: {self.reason}")
            return
        asyncio.get_running_loop().call_later(self._rng.uniform(0.02, 0.1), self._answer, problem)

    def _answer(self, problem: HorizonProblem) -> None:
        if self.state != "ready":
            return
        answer = answer_to(problem, self._clock)
        plan = None if answer.plan is None else replace(answer.plan, solve_s=0.0)
        self._standing.take(replace(answer, plan=plan))

    async def run(self) -> None:
        await asyncio.Event().wait()


def main(read: Callable[[], bytes] | None = None, write: Callable[[bytes], None] | None = None) -> None:
    """The worker: one problem a line in, one answer a line out, until stdin ends."""
    import vpp_gateway.optimise.horizon  # noqa: F401  # warm: the first problem shall not wait for scipy

    clock = SystemClock()
    serve(
        PROBLEM.validate_json,
        lambda problem: line_of(ANSWER, answer_to(problem, clock)),
        lambda reason: line_of(ANSWER, Answer(problem="", plan=None, reason=reason)),
        read,
        write,
    )


if __name__ == "__main__":
    os.nice(NICE)
    main()
