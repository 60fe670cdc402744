"""Whole steps that are too much: called only where the batteries take the rest back, or where less would be farther off."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.fleets import SITES, fleet
from tests.unit.test_gateway import LEVER, House, instruction, offer
from tests.unit.test_optimise import A, B, battery, pause, problem, target
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.domain.fact import Instructed, Offered, Started
from vpp_gateway.domain.instruction import Delta
from vpp_gateway.domain.plan import Plan, Problem
from vpp_gateway.gateway import Gateway
from vpp_gateway.optimise.allocate import closed_form
from vpp_gateway.optimise.linear import solve
from vpp_gateway.sim.link_plant import LinkPlant

BOTH = pytest.mark.parametrize("planned", [closed_form, solve], ids=["closed form", "linear"])


def called(plan: Plan) -> list[float]:
    return [call.share for call in plan.calls]


@BOTH
@pytest.mark.parametrize(
    ("charge_w", "steps", "shares"),
    [
        (0.0, (1.0,), [0.0]),  # 90 short is better than 800 too much
        (750.0, (1.0,), [1.0]),  # 50 too much is better than 90 short
        (900.0, (1.0,), [1.0]),  # the battery takes all of it back
        (0.0, (0.1, 1.0), [0.1]),
        (0.0, (0.05, 1.0), [0.05]),
    ],
)
def test_a_coarse_offer_is_called_when_that_comes_nearest(
    planned: Callable[[Problem], Plan], charge_w: float, steps: tuple[float, ...], shares: list[float]
) -> None:
    coarse = replace(pause(A, 900.0), steps=steps)
    case = problem((target("t", (A,), 100.0),), (battery("b", A, 10.0, charge_w),), (coarse,))
    assert called(planned(case)) == shares


@BOTH
def test_the_dearest_step_that_is_too_much_is_taken_back(planned: Callable[[Problem], Plan]) -> None:
    fine, coarse = replace(pause(A, 60.0), steps=(1.0,)), replace(pause(B, 500.0, cost=2.0), steps=(1.0,))
    case = problem((target("t", (A, B), 100.0),), (battery("b", A, 10.0, 0.0),), (fine, coarse))
    assert called(planned(case)) == [1.0, 0.0]


def test_what_cannot_be_taken_back_is_said_as_too_much() -> None:
    standing = replace(pause(A, 300.0), stands=True, at_least=1.0)
    case = problem((target("t", (A,), 100.0),), (battery("b", A, 50.0, 0.0),), (standing,))
    plan = closed_form(case)
    assert plan.binding[0].code == "bind.over"
    assert dict(plan.binding[0].values) == {"w": "200"}
    assert plan.shortfall_w[0][1] == pytest.approx(-200.0)


@BOTH
def test_no_single_step_less_would_come_nearer(planned: Callable[[Problem], Plan]) -> None:
    for seed in range(300):
        rng = random.Random(seed)
        levers = tuple(
            replace(
                pause(site, rng.uniform(10.0, 900.0), cost=rng.uniform(1.0, 5.0)),
                steps=rng.choice([(1.0,), (0.3, 1.0)]),
            )
            for site in (A, B)
        )
        cells = tuple(
            battery(f"b{n}", site, rng.uniform(0, 80), rng.uniform(0, 80)) for n, site in enumerate((A, B))
        )
        case = problem((target("t", (A, B), rng.uniform(-500.0, 500.0)),), cells, levers)
        plan = planned(case)
        shares = {call.offer: call.share for call in plan.calls}
        off = math.fsum(abs(w) for _, w in plan.shortfall_w)
        if plan.shortfall_w[0][1] * case.targets[0].regulation_w >= 0.0:
            continue
        for lever in levers:
            below = max((s for s in lever.steps if s < shares[lever.offer]), default=0.0)
            other = closed_form(case, shares | {lever.offer: below})
            assert math.fsum(abs(w) for _, w in other.shortfall_w) >= off - 1.0, seed


@pytest.mark.parametrize("charge_max_w", [0.0, 30_000.0])
def test_a_small_order_is_not_answered_by_a_pause_nine_times_its_size(charge_max_w: float) -> None:
    one = fleet(power_w=30_000.0, energy_wh=100_000.0)
    sites = tuple(
        replace(s, batteries=tuple(replace(b, charge_max_w=charge_max_w) for b in s.batteries))
        for s in one.sites
    )
    one = replace(one, sites=sites)
    house = House(
        gateway=Gateway(one, Policy(), {LEVER: SITES[0]}), plant=LinkPlant(one, seed=1, load_w=1_000_000.0)
    )
    house.feed(Started(at=house.now, epoch=1, version="t"))
    house.run_until(960.0)
    house.feed(Offered(at=house.now, plugin=LEVER, offers=(offer("pause", (0, -900_000.0), steps=(1.0,)),)))
    house.feed(Instructed(at=house.now, instruction=instruction(demand=Delta(regulation_w=100_000.0))))
    house.run_until(1100.0)
    record = house.delivery()
    assert record.samples_within == record.samples > 80
