"""Rows `horizon`: one rolling plan; `horizon_peer`: beside FlexMeasures' scheduler; `horizon_lag`: the loop meanwhile.

FlexMeasures 1.0.1 has dependencies that this project does not want: its interpreter is made once, in
`build/flexmeasures-1.0.1`, by pip and the network. Without it the row `horizon_peer` does not hold, and says why.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.horizon_cases import common, portfolio
from tests.bench.report import Check, Figure, Goal, Row, row
from tests.bench.samples import median, percentile
from tests.repository import ROOT
from tests.unit.test_optimise import A, B, battery, move, problem, target
from vpp_gateway.domain.horizon import HorizonPlan
from vpp_gateway.domain.plan import Plan
from vpp_gateway.optimise.horizon import solve
from vpp_gateway.optimise.horizon_cells import together
from vpp_gateway.planner import PLANNER
from vpp_gateway.solver import SOLVER
from vpp_gateway.worker import ProcessWorker

PEER, VERSION = "FlexMeasures", "1.0.1"
HOME = ROOT / "build" / f"flexmeasures-{VERSION}"
PLANS, WARM, PEER_PLANS = 300, 20, 12
LAG_S, TICK_S = 30.0, 0.001


def rows(wanted: frozenset[str]) -> Iterator[Row]:
    """Measure what is wanted."""
    if "horizon" in wanted:
        yield plan_row()
    if "horizon_peer" in wanted:
        yield peer_row()
    if "horizon_lag" in wanted:
        yield asyncio.run(lag_row())


def plan_row() -> Row:
    """Problem in, plan out, each time another problem."""
    cases = [portfolio(seed) for seed in range(PLANS)]
    for case in cases[:WARM]:
        solve(case)
    took, cpu, plans = [], [], []
    for case in cases:
        began, spent = time.perf_counter(), time.process_time()
        plans.append(solve(case))
        took.append(1000.0 * (time.perf_counter() - began))
        cpu.append(1000.0 * (time.process_time() - spent))
    short = sum(any(any(s.regulation_w) for s in plan.shortfalls) for plan in plans)
    return row(
        "horizon",
        quantity="one rolling plan, values in, values out, p99",
        ours=percentile(took, 99),
        unit="ms",
        better="lower",
        against="nothing",
        goal=(Goal(of="ours", at_most=60.0),),
        note=(
            f"three sites, 12 batteries, 18 offers, 48 steps over 90 min ({together(cases[0])[1].count} cells); ramps, "
            f"dwell, longest hold, return of shifted work, an armed product both ways, sun; {PLANS} different problems, "
            f"{short} of them more than can be had."
        ),
        origin="perf_counter of this process around one call",
        figures=(
            Figure(name="median", value=median(took), unit="ms"),
            Figure(name="slowest", value=max(took), unit="ms"),
            Figure(name="processor time, median", value=median(cpu), unit="ms"),
            Figure(name="processor time, p99", value=percentile(cpu, 99), unit="ms"),
        ),
        checks=(Check(what="every problem has a plan", true=len(plans) == PLANS),),
    )


def peer_row() -> Row:
    """The same problems through both, in turn."""
    interpreter, why = prepared()
    ours: list[float] = []
    theirs: list[float] = []
    gaps: list[float] = []
    if interpreter is not None:
        command = (interpreter, Path(__file__).with_name("horizon_peer.py"), "highspy")
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as peer:
            assert peer.stdin is not None and peer.stdout is not None
            peer.stdout.readline()
            for seed in range(PEER_PLANS):
                case = common(seed)
                peer.stdin.write(PLANNER.problem.dump_json(case) + b"\n")
                peer.stdin.flush()
                answer = json.loads(peer.stdout.readline())
                began = time.perf_counter()
                plan = solve(case, 10.0)
                ours.append(1000.0 * (time.perf_counter() - began))
                theirs.append(1000.0 * answer["s"])
                gaps.append(abs(plan.cost - answer["cost"]) / abs(answer["cost"]))
            peer.stdin.close()
    else:
        for seed in range(PEER_PLANS):
            began = time.perf_counter()
            solve(common(seed), 10.0)
            ours.append(1000.0 * (time.perf_counter() - began))
    return row(
        "horizon_peer",
        quantity="one plan of 48 equal steps, median",
        ours=median(ours),
        unit="ms",
        better="lower",
        against=f"{PEER} {VERSION} device_scheduler",
        theirs=median(theirs) if theirs else None,
        goal=(Goal(of="ratio", at_most=0.1),),
        note=(
            f"{PEER_PLANS} problems that both can state, in turn: three sites, 12 batteries, 18 offers with energy budgets, "
            f"one demand; {PEER} in a process of its own with its own default solver (highspy). {why}"
        ),
        origin="perf_counter around one call, each in its own process",
        figures=(Figure(name="largest relative gap of the cost", value=max(gaps, default=1.0), unit=""),),
        checks=(Check(what="both find the same cost (1e-6)", true=bool(gaps) and max(gaps) <= 1e-6),),
    )


def prepared() -> tuple[Path | None, str]:
    """The peer's interpreter, made when it is missing; None and why when it cannot be made."""
    interpreter = HOME / "bin" / "python"
    done = HOME / "ready"
    if done.exists():
        return interpreter, ""
    steps = (
        (sys.executable, "-m", "venv", HOME),
        (
            interpreter,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            f"flexmeasures=={VERSION}",
        ),
    )
    for step in steps:
        made = subprocess.run(step, capture_output=True, text=True, timeout=1200, check=False)
        if made.returncode:
            return None, f"{PEER} could not be installed: {made.stderr.strip().splitlines()[-1:]}"
    done.touch()
    return interpreter, ""


async def lag_row() -> Row:
    """How late the event loop wakes while both workers solve without a pause."""
    plans: list[HorizonPlan] = []
    moves: list[Plan] = []
    move_case = problem(
        (target("down", (A,), 50.0), target("up", (B,), -50.0)),
        (battery("a1", A, 40, 40, easy=0.25), battery("b1", B, 40, 40, easy=0.25)),
        (move(A, B, 80.0),),
    )
    cases = [portfolio(seed) for seed in range(8)]

    def planned(_: str, plan: HorizonPlan | None, reason: str = "") -> None:
        if plan is not None:
            plans.append(plan)
        planner.submit(cases[len(plans) % len(cases)])

    def solved(_: str, plan: Plan | None, reason: str = "") -> None:
        if plan is not None:
            moves.append(plan)
        solver.submit(move_case)

    planner, solver = ProcessWorker(PLANNER, planned), ProcessWorker(SOLVER, solved)
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(planner.run()), group.create_task(solver.run())]
        while planner.state != "ready" or solver.state != "ready":  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.05)
        idle = await _lateness(LAG_S / 3)
        planner.submit(cases[0])
        solver.submit(move_case)
        busy = await _lateness(LAG_S)
        for task in running:
            task.cancel()
    return row(
        "horizon_lag",
        quantity="lateness of the event loop while both workers solve, p99.9",
        ours=percentile(busy, 99.9),
        unit="ms",
        better="lower",
        against="the same loop, idle",
        theirs=percentile(idle, 99.9),
        goal=(Goal(of="ours", at_most=10.0),),
        note=(
            f"a task that sleeps 1 ms at a time for {LAG_S:.0f} s; meanwhile {len(plans)} plans in the planner's process and "
            f"{len(moves)} allocations with moves in the solver's, written, read and checked by this loop."
        ),
        origin="monotonic clock of the loop, wanted against real time of waking",
        figures=(
            Figure(name="median", value=median(busy), unit="ms"),
            Figure(name="latest", value=max(busy), unit="ms"),
            Figure(name="plans", value=len(plans), unit=""),
        ),
        checks=(
            Check(what="both workers solved all the while", true=len(plans) >= 20 and len(moves) >= 100),
        ),
    )


async def _lateness(seconds: float) -> list[float]:
    loop = asyncio.get_running_loop()
    late = []
    until = loop.time() + seconds
    while (now := loop.time()) < until:
        await asyncio.sleep(TICK_S)
        late.append(1000.0 * (loop.time() - now - TICK_S))
    return late
