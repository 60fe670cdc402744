"""Rows `allocate_*`: one allocation on arrays and on the gateway's values, beside scipy's linprog and Pyomo with HiGHS.

allocate_arrays_N        arrays in, arrays out, with SoC sharing; the fleet's tree is compiled beforehand
allocate_network         the same with moves between sites, which is a linear program        allocate_network
allocate_closed_form_N   the gateway's problem in, its plan out, reasons included
allocate_setpoints_N     a whole second of the gateway in an event                            allocate_setpoints
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from tests.bench.report import Check, Figure, Goal, Row, row
from tests.bench.samples import best_of, interleaved, median
from vpp_gateway.domain.fleet import BATTERY, WORKLOAD
from vpp_gateway.domain.instruction import DeviceId, InstructionId, SiteId
from vpp_gateway.domain.plan import Problem, Resource, SiteBounds, Target
from vpp_gateway.optimise.allocate import closed_form
from vpp_gateway.optimise.linear import shares

SIZES = (6, 100, 1000)
ARRAY_GOALS_MS = {1000: 0.2, 10_000: 1.0, 100_000: 20.0}
SITES = tuple(SiteId(f"s{n}") for n in range(3))
ROUNDS = 15


def rows(wanted: frozenset[str]) -> Iterator[Row]:
    """Measure what is wanted."""
    for size in SIZES:
        if f"allocate_closed_form_{size}" in wanted:
            yield measure(size)
        if f"allocate_setpoints_{size}" in wanted:
            from tests.bench.allocate_setpoints import measure as measure_setpoints

            yield measure_setpoints(size)
    for size, goal_ms in ARRAY_GOALS_MS.items():
        if f"allocate_arrays_{size}" in wanted:
            yield arrays(size, goal_ms)
    if "allocate_network" in wanted:
        from tests.bench.allocate_network import measure as measure_network

        yield measure_network()


def arrays(size: int, goal_ms: float) -> Row:
    """Ours many times and the others in turn; each figure is the median of rounds, a round the best of its calls."""
    from tests.bench.allocate_fleet import Scipys, cost, fleet_case, pyomos

    case = fleet_case(size, seed=1)
    scipys = Scipys(case)
    both = size <= 10_000
    costs: list[float] = []

    def ours() -> float:
        answer, took = best_of(20, case.ours)
        costs.append(cost(case, answer.x, float(answer.shortfall[0])))
        return took

    def theirs() -> float:
        optimum, took = best_of(2 if both else 1, scipys.solve)
        costs.append(optimum)
        return took

    def pyomo() -> float:
        optimum, took = best_of(1, lambda: pyomos(case))
        costs.append(optimum)
        return took

    case.ours()
    mine, linprogs, models = [], [], []
    for _ in range(9 if both else 1):
        mine += [ours() for _ in range(1 if both else 9)]
        linprogs.append(theirs())
        if both:
            models.append(pyomo())
    goals = [Goal(of="ours", at_most=goal_ms)]
    if size == 10_000:
        goals += [Goal(of="times linprog", at_least=100.0), Goal(of="times Pyomo", at_least=500.0)]
    figures = [Figure(name="times linprog", value=median(linprogs) / median(mine), unit="x")]
    if models:
        figures += [
            Figure(name="Pyomo with HiGHS", value=median(models), unit="ms"),
            Figure(name="times Pyomo", value=median(models) / median(mine), unit="x"),
        ]
    return row(
        f"allocate_arrays_{size}",
        quantity="one allocation, arrays in, arrays out, with SoC sharing",
        ours=median(mine),
        unit="ms",
        better="lower",
        against="scipy linprog (HiGHS), matrix ready-made, a vertex",
        theirs=median(linprogs),
        goal=tuple(goals),
        note=f"{size} resources on feeders, sites, areas, about half of the nodes at their limit, 6 ranks; the tree is "
        "compiled beforehand, explanations are not made. Medians of rounds, each the best of 20 (ours), 2 (linprog), "
        "1 (Pyomo, model built anew)." + ("" if both else " linprog once, Pyomo not at all: minutes."),
        origin="perf_counter of this process around one call",
        figures=tuple(figures),
        checks=(
            Check(
                what="all have the same optimum (1e-9)",
                true=max(costs) - min(costs) <= 1e-9 * max(costs),
            ),
        ),
    )


def problem(size: int, seed: int) -> Problem:
    """A nested case: three sites, ties and zero rooms among the batteries, one site at its limit."""
    rng = random.Random(seed)
    resources = tuple(
        Resource(
            id=DeviceId(f"b{n}"),
            site=SITES[n % len(SITES)],
            tier=BATTERY,
            down_room_w=(room := rng.choice((0.0, 50e3, 50e3, rng.uniform(1e3, 9e4)))),
            up_room_w=room,
            easy_down_w=room / 2,
            easy_up_w=room / 2,
            weight_down=rng.uniform(1.0, 9.0),
            weight_up=1.0,
        )
        for n in range(size)
    )
    total = sum(resource.down_room_w for resource in resources)
    return Problem(
        id=f"bench-{seed}",
        at=0.0,
        tiers=(BATTERY, WORKLOAD),
        targets=(Target(instruction=InstructionId("t"), sites=SITES, regulation_w=0.6 * total),),
        resources=resources,
        levers=(),
        bounds=tuple(
            SiteBounds(site=s, down_max_w=(0.25 if s == SITES[0] else 1.0) * total, up_max_w=total)
            for s in SITES
        ),
    )


def measure(size: int) -> Row:
    """Time both on the same problems, and compare what they miss."""
    cases = iter([problem(size, seed) for seed in range(2 * ROUNDS)])
    gaps: list[float] = []

    def ours() -> float:
        case = next(cases)
        began = time.perf_counter()
        plan = closed_form(case)
        took = time.perf_counter() - began
        missing, _ = shares(case)
        gaps.append(abs(abs(plan.shortfall_w[0][1]) - missing))
        return 1000.0 * took

    def theirs() -> float:
        case = next(cases)
        began = time.perf_counter()
        shares(case)
        return 1000.0 * (time.perf_counter() - began)

    mine, scipys = interleaved(ours, theirs, ROUNDS)
    return row(
        f"allocate_closed_form_{size}",
        quantity="one allocation, values in, reasons out, median",
        ours=median(mine),
        unit="ms",
        better="lower",
        against="scipy linprog (HiGHS)",
        theirs=median(scipys),
        note=f"{size} batteries at three sites, one target; {ROUNDS} problems each in turn. For information.",
        origin="perf_counter of this process around one call",
        checks=(Check(what="both miss the same amount (1 W)", true=max(gaps) <= 1.0),),
    )
