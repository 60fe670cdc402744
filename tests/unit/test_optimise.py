"""Allocation: invariants of the closed form, and its equality with scipy's linear program on nested cases."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vpp_gateway.domain.fleet import BATTERY, WORKLOAD
from vpp_gateway.domain.instruction import DeviceId, InstructionId, SiteId
from vpp_gateway.domain.order import OfferId
from vpp_gateway.domain.plan import Lever, MoveLeg, Problem, Resource, SiteBounds, Target
from vpp_gateway.optimise.allocate import closed_form
from vpp_gateway.optimise.linear import shares, solve
from vpp_gateway.optimise.water import share_out

A, B, C = SiteId("a"), SiteId("b"), SiteId("c")


def battery(
    id: str, site: SiteId, down: float, up: float, easy: float = 1.0, weight: float = 1.0
) -> Resource:
    return Resource(
        id=DeviceId(id),
        site=site,
        tier=BATTERY,
        down_room_w=down,
        up_room_w=up,
        easy_down_w=down * easy,
        easy_up_w=up * easy,
        weight_down=weight,
        weight_up=weight,
    )


def target(name: str, sites: tuple[SiteId, ...], regulation_w: float) -> Target:
    return Target(instruction=InstructionId(name), sites=sites, regulation_w=regulation_w)


def problem(
    targets: tuple[Target, ...],
    resources: tuple[Resource, ...],
    levers: tuple[Lever, ...] = (),
    bounds: tuple[SiteBounds, ...] | None = None,
) -> Problem:
    sites = sorted({r.site for r in resources} | {leg.site for v in levers for leg in v.legs})
    return Problem(
        id="p",
        at=0.0,
        tiers=(BATTERY, WORKLOAD),
        targets=targets,
        resources=resources,
        levers=levers,
        bounds=bounds or tuple(SiteBounds(site=s, down_max_w=1e9, up_max_w=1e9) for s in sites),
    )


def move(
    source: SiteId, destination: SiteId, w: float, steps: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)
) -> Lever:
    return Lever(
        offer=OfferId(f"move:{source}-{destination}"),
        tier=WORKLOAD,
        legs=(MoveLeg(site=source, regulation_w=w), MoveLeg(site=destination, regulation_w=-w)),
        steps=steps,
        cost=1.0,
    )


def pause(site: SiteId, w: float, cost: float = 1.0) -> Lever:
    return Lever(
        offer=OfferId(f"pause:{site}"),
        tier=WORKLOAD,
        legs=(MoveLeg(site=site, regulation_w=w),),
        steps=(0.5, 1.0),
        cost=cost,
    )


def test_ties_are_shared_in_proportion_to_headroom() -> None:
    plan = closed_form(
        problem(
            (target("t", (A, B), 30.0),),
            (battery("a1", A, 100, 0, weight=1), battery("b1", B, 100, 0, weight=2)),
        )
    )
    assert [share.regulation_w for share in plan.shares] == pytest.approx([10.0, 20.0])
    assert {share.reason.code for share in plan.shares} == {"share.proportional"}


def test_up_direction_charges() -> None:
    plan = closed_form(problem((target("t", (A,), -30.0),), (battery("a1", A, 100, 100),)))
    assert plan.shares[0].regulation_w == -30.0


def test_shortfall_is_priced_not_infeasible_and_says_why() -> None:
    plan = closed_form(problem((target("t", (A,), 300.0),), (battery("a1", A, 100, 100),)))
    assert plan.shortfall_w == ((InstructionId("t"), 200.0),)
    assert [reason.code for reason in plan.binding] == ["bind.missing", "bind.rooms"]


def test_export_limit_binds_and_is_named() -> None:
    bounds = (SiteBounds(site=A, down_max_w=40.0, up_max_w=1e9),)
    plan = closed_form(problem((target("t", (A,), 60.0),), (battery("a1", A, 100, 0),), bounds=bounds))
    assert plan.shares[0].regulation_w == pytest.approx(40.0)
    assert "bind.export" in [reason.code for reason in plan.binding]


def test_workload_takes_over_and_batteries_give_back_what_a_step_is_too_much() -> None:
    plan = closed_form(
        problem((target("t", (A,), 90.0),), (battery("a1", A, 100, 100, easy=0.5),), (pause(A, 100.0),))
    )
    assert plan.calls[0].share == 0.5
    assert plan.shares[0].regulation_w == pytest.approx(40.0)


@pytest.mark.parametrize("cost", [0.0, 0.001, 1.0, 1e6])
def test_no_cost_moves_an_offer_out_of_its_tier(cost: float) -> None:
    """Costs are relative inside a tier: one for nothing waits for the batteries, a dear one spares their reserve."""
    batteries = (battery("a1", A, 100, 100, easy=0.5),)
    small = problem((target("t", (A,), 40.0),), batteries, (pause(A, 200.0, cost),))
    assert solve(small).calls[0].step == -1
    large = problem((target("t", (A,), 90.0),), batteries, (pause(A, 200.0, cost),))
    assert solve(large).calls[0].step >= 0


def test_battery_reserve_is_used_when_no_lever_helps() -> None:
    plan = closed_form(problem((target("t", (A,), 90.0),), (battery("a1", A, 100, 100, easy=0.5),)))
    assert plan.shares[0].regulation_w == pytest.approx(90.0)
    assert plan.shares[0].reason.code == "share.bridging"
    assert plan.shortfall_w[0][1] == 0.0


def test_move_serves_two_site_targets_at_once() -> None:
    plan = solve(
        problem(
            (target("down", (A,), 50.0), target("up", (B,), -50.0)),
            (battery("a1", A, 40, 40, easy=0.25), battery("b1", B, 40, 40, easy=0.25)),
            (move(A, B, 80.0),),
        )
    )
    assert plan.method == "highs"
    assert plan.calls[0].share == 0.5
    given = {share.id: share.regulation_w for share in plan.shares}
    assert given == pytest.approx({"a1": 10.0, "b1": -10.0})
    assert all(missing == 0.0 for _, missing in plan.shortfall_w)


def test_move_is_useless_for_a_portfolio_target() -> None:
    plan = solve(
        problem(
            (target("t", (A, B), 100.0),),
            (battery("a1", A, 40, 40, easy=0.25), battery("b1", B, 40, 40)),
            (move(A, B, 80.0),),
        )
    )
    assert plan.calls[0].share == 0.0
    assert plan.shortfall_w[0][1] == pytest.approx(20.0)


def test_a_nan_room_is_no_room() -> None:
    resources = (battery("a1", A, math.nan, math.nan), battery("a2", A, 50, 50))
    plan = closed_form(problem((target("t", (A,), 60.0),), resources))
    assert [share.regulation_w for share in plan.shares] == pytest.approx([0.0, 50.0])
    lifted = replace(resources[0], weight_down=math.nan, down_room_w=50.0, easy_down_w=50.0)
    assert closed_form(problem((target("t", (A,), 60.0),), (lifted, resources[1]))).shortfall_w[0][1] == 0.0


watts = st.one_of(st.just(0.0), st.integers(0, 200).map(float), st.floats(0, 200))


@given(
    amount=watts,
    items=st.lists(st.tuples(watts, st.floats(0.01, 10), st.integers(0, 3)), max_size=12),
    group_caps=st.dictionaries(st.integers(0, 3), watts, max_size=4),
)
def test_water_filling_places_what_fits(
    amount: float, items: list[tuple[float, float, int]], group_caps: dict[int, float]
) -> None:
    caps, weights, groups = [i[0] for i in items], [i[1] for i in items], [i[2] for i in items]
    shares = share_out(amount, caps, weights, groups, group_caps)
    room = sum(
        min(group_caps.get(g, math.inf), sum(c for c, h in zip(caps, groups, strict=True) if h == g))
        for g in set(groups)
    )
    assert sum(shares) == pytest.approx(min(amount, room), abs=1e-6)
    assert all(-1e-9 <= x <= cap + 1e-6 for x, cap in zip(shares, caps, strict=True))
    for group, cap in group_caps.items():
        assert sum(x for x, g in zip(shares, groups, strict=True) if g == group) <= cap + 1e-6


def random_nested(seed: int) -> Problem:
    rng = random.Random(seed)
    sites = (A, B, C)

    def value() -> float:
        return rng.choice([0.0, 10.0, 10.0, rng.uniform(0, 100)])

    resources = tuple(
        battery(f"{site}{i}", site, value(), value(), easy=rng.choice([0.0, 0.5, 1.0]))
        for site in sites
        for i in range(rng.randint(0, 3))
    )
    bounds = tuple(SiteBounds(site=s, down_max_w=value() * 2, up_max_w=value() * 2) for s in sites)
    split = rng.choice([((A, B, C),), ((A,), (B, C)), ((A,), (B,), (C,))])
    targets = tuple(target(f"t{i}", scope, rng.uniform(-250, 250)) for i, scope in enumerate(split))
    return problem(targets, resources, bounds=bounds)


def test_closed_form_equals_the_linear_program_on_nested_cases() -> None:
    for seed in range(400):
        case = random_nested(seed)
        plan = closed_form(case)
        missing, _ = shares(case)
        ours = sum(abs(w) for _, w in plan.shortfall_w)
        assert ours == pytest.approx(missing, rel=1e-9, abs=1e-6), f"seed {seed}"
        for t in case.targets:
            given = sum(s.regulation_w for s in plan.shares if s.site in t.sites)
            short = dict(plan.shortfall_w)[t.instruction]
            assert given + short == pytest.approx(t.regulation_w, abs=1e-6), f"seed {seed}"


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_network_plan_stays_inside_every_limit(seed: int) -> None:
    rng = random.Random(seed)
    base = random_nested(seed)
    levers = tuple(move(x, y, rng.uniform(10, 100)) for x in (A, B) for y in (B, C) if x != y)
    bounds = tuple(SiteBounds(site=s, down_max_w=150.0, up_max_w=150.0) for s in (A, B, C))
    case = replace(base, levers=levers, bounds=bounds)
    plan = solve(case)
    called = {call.offer: call.share for call in plan.calls}
    for share, resource in zip(
        sorted(plan.shares, key=lambda s: s.id), sorted(case.resources, key=lambda r: r.id), strict=True
    ):
        assert -resource.up_room_w - 1e-6 <= share.regulation_w <= resource.down_room_w + 1e-6
    for bound in bounds:
        total = sum(s.regulation_w for s in plan.shares if s.site == bound.site)
        total += sum(
            leg.regulation_w * called[v.offer] for v in levers for leg in v.legs if leg.site == bound.site
        )
        assert -bound.up_max_w - 1e-6 <= total <= bound.down_max_w + 1e-6
