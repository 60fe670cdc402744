"""The solver worker as a process: answers, comes back when killed, never keeps a problem waiting in silence."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from tests.unit.test_optimise import A, B, battery, move, problem, target
from vpp_gateway.domain.plan import Plan
from vpp_gateway.solver import SOLVER
from vpp_gateway.worker import ProcessWorker

CASE = problem(
    (target("down", (A,), 50.0), target("up", (B,), -50.0)),
    (battery("a1", A, 40, 40, easy=0.25), battery("b1", B, 40, 40, easy=0.25)),
    (move(A, B, 80.0),),
)


async def until(what: Callable[[], bool]) -> None:
    """Look every 10 ms: nothing in the solver's contract announces these states."""
    async with asyncio.timeout(60):
        while not what():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def test_it_solves_survives_a_kill_and_says_when_it_cannot() -> None:
    answers: list[tuple[str, Plan | None, str]] = []

    def solved(problem: str, plan: Plan | None, reason: str = "") -> None:
        answers.append((problem, plan, reason))

    async def main() -> None:
        solver = ProcessWorker(SOLVER, solved)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(solver.run())
            solver.submit(CASE)
            assert answers[0][1] is None and "starting" in answers[0][2]
            await until(lambda: solver.state == "ready")
            solver.submit(CASE)
            await until(lambda: len(answers) == 2)
            plan = answers[1][1]
            assert plan is not None and plan.method == "highs" and plan.calls[0].share == 0.5
            assert plan.solve_s > 0
            assert solver.pid is not None
            os.kill(solver.pid, signal.SIGKILL)
            solver.submit(CASE)
            await until(lambda: len(answers) == 3)
            await until(lambda: solver.state == "ready" and solver.restarts == 1)
            solver.submit(CASE)
            await until(lambda: answers[-1][1] is not None)
            running.cancel()

    asyncio.run(main())


def test_a_worker_that_no_longer_starts_is_tried_less_and_less_often(tmp_path: Path) -> None:
    once = f"[ -e {tmp_path}/f ] && exit 1; touch {tmp_path}/f; exec {sys.executable} -m vpp_gateway.solver"
    answers: list[Plan | None] = []

    async def main() -> None:
        solver = ProcessWorker(
            SOLVER, lambda _, plan, __="": answers.append(plan), command=("/bin/sh", "-c", once)
        )
        async with asyncio.TaskGroup() as group:
            running = group.create_task(solver.run())
            await until(lambda: solver.state == "ready")
            solver.submit(CASE)
            await until(lambda: len(answers) == 1)
            assert answers[0] is not None and solver.pid is not None
            os.kill(solver.pid, signal.SIGKILL)
            await asyncio.sleep(2.0)
            assert 3 <= solver.restarts <= 5, "after 0.1, 0.2, 0.4, 0.8 s"
            assert solver.state == "down" and "ended while starting" in solver.reason
            running.cancel()

    asyncio.run(main())
