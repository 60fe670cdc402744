"""The planner as a process: plans, gives way to others, is killed when it overruns, and comes back."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

from tests.unit.horizon_cases import A, asked, problem, store, work
from vpp_gateway.clock import LoopClock, SeededRng, SystemClock
from vpp_gateway.domain.horizon import HorizonPlan, HorizonProblem
from vpp_gateway.planner import PLANNER, main
from vpp_gateway.worker import InlineWorker, ProcessWorker, answer_to, line_of

CASE = problem(
    (100.0, 200.0, 300.0),
    (asked("i", (A,), (100e3,) * 3),),
    (store("b", A),),
    (work("w", A, latency_s=100.0),),
)


async def until(what: Callable[[], bool]) -> None:
    """Look every 10 ms: nothing in the planner's contract announces these states."""
    async with asyncio.timeout(60):
        while not what():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class Answers(list[tuple[str, HorizonPlan | None, str]]):
    def __call__(self, problem: str, plan: HorizonPlan | None, reason: str = "") -> None:
        self.append((problem, plan, reason))


def named(id: str) -> HorizonProblem:
    return replace(CASE, id=id)


def test_it_plans_and_survives_a_kill() -> None:
    answers = Answers()

    async def main() -> None:
        planner = ProcessWorker(PLANNER, answers)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(planner.run())
            planner.submit(named("early"))
            assert answers[0][1] is None and "starting" in answers[0][2]
            await until(lambda: planner.state == "ready")
            planner.submit(named("one"))
            await until(lambda: len(answers) == 2)
            assert answers[1][1] is not None and answers[1][1].solve_s > 0
            pid = planner.pid
            assert pid is not None
            ours = os.getpriority(os.PRIO_PROCESS, 0)
            assert os.getpriority(os.PRIO_PROCESS, pid) == min(ours + 10, 19), "gives way to allocations"
            os.kill(pid, signal.SIGKILL)
            planner.submit(named("two"))
            await until(lambda: len(answers) == 3)
            assert answers[2][:2] == ("two", None)
            await until(lambda: planner.state == "ready" and planner.restarts == 1)
            planner.submit(named("three"))
            await until(lambda: answers[-1][1] is not None)
            assert answers[-1][0] == "three"
            running.cancel()

    asyncio.run(main())


def test_what_makes_no_sense_is_refused_by_name() -> None:
    answers = Answers()

    async def main() -> None:
        planner = ProcessWorker(PLANNER, answers)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(planner.run())
            await until(lambda: planner.state == "ready")
            planner.submit(replace(CASE, lengths_s=(100.0, -1.0, 5.0)))
            await until(lambda: len(answers) == 1)
            assert answers[0][1] is None and "lengths_s[1]" in answers[0][2]
            planner.submit(replace(CASE, stores=(replace(CASE.stores[0], stored_wh=float("nan")),)))
            await until(lambda: len(answers) == 2)
            plan = answers[1][1]
            assert plan is not None and dict(plan.refused[0].values)["name"] == "b"
            running.cancel()

    asyncio.run(main())


def test_an_overrun_is_killed_and_the_next_plan_comes_from_a_new_worker() -> None:
    once = f"trap '' TERM; echo '\"ready\"'; read line; exec {sys.executable} -c 'while True: pass'"
    answers = Answers()

    async def main() -> None:
        planner = ProcessWorker(PLANNER, answers, command=("/bin/sh", "-c", once), deadline_s=0.5)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(planner.run())
            await until(lambda: planner.state == "ready")
            first = planner.pid
            planner.submit(CASE)
            await until(lambda: len(answers) == 1)
            assert answers[0][1] is None and "TimeoutError" in answers[0][2]
            await until(lambda: planner.state == "ready" and planner.pid != first)
            running.cancel()

    asyncio.run(main())


def test_the_centre_carries_no_numpy_for_it() -> None:
    asked = "import sys, vpp_gateway.planner; print([m for m in ('numpy', 'scipy') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_problem_and_plan_travel_unchanged() -> None:
    assert PLANNER.problem.validate_json(line_of(PLANNER.problem, CASE)) == CASE
    answer = answer_to(PLANNER, CASE, SystemClock())
    assert PLANNER.answer.validate_json(line_of(PLANNER.answer, answer)) == answer


def test_what_is_no_number_is_named_by_the_worker_as_well() -> None:
    """It travels by name, and the worker plans the rest and says who the culprit is."""
    broken = replace(CASE, stores=(replace(CASE.stores[0], stored_wh=float("nan")),))
    lines, said = [line_of(PLANNER.problem, broken) + b"\n", b"{}\n", b""], list[bytes]()
    main(lambda: lines.pop(0), said.append)
    assert said[0] == b'"ready"\n' and len(said) == 3
    plan = PLANNER.answer.validate_json(said[1]).plan
    assert plan is not None and dict(plan.refused[0].values)["name"] == "b"
    assert plan.works and not plan.stores
    refused = PLANNER.answer.validate_json(said[2])
    assert refused.plan is None and "at" in refused.reason


def test_inline_answers_are_the_same_each_time() -> None:
    def run() -> Answers:
        answers = Answers()

        async def main() -> None:
            clock = LoopClock(asyncio.get_running_loop(), 0.0)
            planner = InlineWorker(PLANNER, answers, SeededRng(1), clock)
            planner.submit(CASE)
            await until(lambda: len(answers) == 1)
            assert answers[0][1] is not None

        asyncio.run(main())
        return answers

    assert run() == run()
