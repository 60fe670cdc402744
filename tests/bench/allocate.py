"""Rows `allocate_closed_form_N`: one allocation in closed form beside scipy's linear program on the same problem."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from tests.bench.report import Check, Row, row
from tests.bench.samples import interleaved, median
from vpp_gateway.domain.fleet import BATTERY, WORKLOAD
from vpp_gateway.domain.instruction import DeviceId, InstructionId, SiteId
from vpp_gateway.domain.plan import Problem, Resource, SiteBounds, Target
from vpp_gateway.optimise.allocate import closed_form
from vpp_gateway.optimise.linear import shares

SIZES = (6, 100, 1000)
SITES = tuple(SiteId(f"s{n}") for n in range(3))
ROUNDS = 15


def rows(wanted: frozenset[str]) -> Iterator[Row]:
    """Measure what is wanted."""
    for size in SIZES:
        if f"allocate_closed_form_{size}" in wanted:
            yield measure(size)


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
