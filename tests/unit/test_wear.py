"""Batteries that wear less first: the live split beside arrays and scipy, what it never changes, and what is said of it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.unit.test_feeders import behind, feeder, random_moves
from tests.unit.test_optimise import A, B, battery, pause, problem, target
from tests.unit.wear_cases import answered, by_ranks, comes_to, question, random_worn, worn
from vpp_gateway.domain.plan import Plan, Problem, Reason, Resource, SiteBounds
from vpp_gateway.optimise.allocate import closed_form
from vpp_gateway.optimise.explain import reasons_of, sentence
from vpp_gateway.optimise.linear import solve

CASES, BLOCK = 2_000, 100


def wearing(one: Resource, cost: float, lasting_w: float = math.inf) -> Resource:
    return replace(one, wear_cost=cost, lasting_down_w=lasting_w, lasting_up_w=lasting_w)


def given(plan: Plan) -> dict[str, float]:
    return {share.id: share.regulation_w for share in plan.shares}


def alike(case: Problem, cost: float = 0.0) -> Problem:
    return replace(case, resources=tuple(replace(r, wear_cost=cost) for r in case.resources))


# -- against others ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lasting", [False, True])
def test_equals_the_core_on_arrays_with_ranks_of_part_and_wear(lasting: bool) -> None:
    moved = 0
    for seed in range(CASES):
        case = random_worn(seed, lasting=lasting)
        ours = given(closed_form(case, explain=False))
        for asked in case.targets:
            for id, w in by_ranks(case, asked).items():
                assert ours[id] == pytest.approx(w, rel=1e-9, abs=2e-6), (seed, id)
        moved += ours != pytest.approx(given(closed_form(alike(case), explain=False)), abs=1.0)
    assert moved > CASES // 4, "wear decides something"


@pytest.mark.parametrize("block", range(CASES // BLOCK))
def test_equals_scipy_purpose_by_purpose(block: int) -> None:
    """Feeders, connections, own sun, ties and zeros; what each purpose reaches is what scipy reaches."""
    asked = []
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        case = random_worn(seed, sun=True)
        ours = {id: abs(w) for id, w in given(closed_form(case, explain=False)).items()}
        asked += [(seed, question(case, one), ours) for one in case.targets]
    answered([one for _, one, _ in asked])
    for seed, one, ours in asked:
        assert comes_to(one, ours) == pytest.approx(one.reached, rel=1e-9, abs=2e-5), seed


# -- what it never changes ---------------------------------------------------------------------------------------


def test_neither_what_is_delivered_nor_what_is_called_depends_on_wear() -> None:
    for seed in range(1_000):
        base = random_worn(seed, lasting=True, sun=True)
        levers = (pause(A, 10.0 + seed % 50), pause(B, 30.0, cost=2.0))
        case = replace(base, levers=levers)
        plan, plain = closed_form(case), closed_form(alike(case))
        assert [c.share for c in plan.calls] == [c.share for c in plain.calls], seed
        for (_, missing), (_, before) in zip(plan.shortfall_w, plain.shortfall_w, strict=True):
            assert missing == pytest.approx(before, abs=2e-6), seed
        for asked in case.targets:
            here = [id for id, w in given(plan).items() if id[0] in asked.sites]
            ours, theirs = (math.fsum(given(p)[id] for id in here) for p in (plan, plain))
            assert ours == pytest.approx(theirs, abs=5e-6), seed


def test_where_all_wear_alike_nothing_changes_by_a_bit() -> None:
    for seed in range(500):
        case = random_worn(seed, lasting=True, sun=True)
        plain = closed_form(random_like(case))
        assert closed_form(alike(case, 7.5)) == plain, seed
        assert closed_form(alike(case, math.nan)) == plain, seed


def random_like(case: Problem) -> Problem:
    """The same without a word of wear."""
    resources = (
        replace(r, wear_cost=0.0, lasting_down_w=math.inf, lasting_up_w=math.inf) for r in case.resources
    )
    return replace(case, resources=tuple(resources))


# -- by hand -----------------------------------------------------------------------------------------------------


def test_the_least_wearing_first_and_equals_by_charge() -> None:
    resources = (
        wearing(battery("old", A, 100, 100), 20.0),
        wearing(battery("one", A, 60, 60, weight=1.0), 8.0),
        wearing(battery("two", B, 60, 60, weight=3.0), 8.0),
    )
    for asked, shares in (
        (40.0, (0, 10, 30)),
        (100.0, (0, 40, 60)),
        (150.0, (30, 60, 60)),
        (-100.0, (0, -40, -60)),
    ):
        plan = closed_form(problem((target("t", (A, B), asked),), resources))
        assert [share.regulation_w for share in plan.shares] == pytest.approx(shares), asked


def test_the_easy_part_of_all_comes_before_the_reserve_of_the_least_wearing() -> None:
    resources = (
        wearing(battery("new", A, 100, 0, easy=0.5), 1.0),
        wearing(battery("old", A, 100, 0, easy=0.5), 9.0),
    )
    case = problem((target("t", (A,), 90.0),), resources)
    assert list(given(closed_form(case)).values()) == pytest.approx([50.0, 40.0])
    more = replace(case, targets=(target("t", (A,), 130.0),))
    assert list(given(closed_form(more)).values()) == pytest.approx([80.0, 50.0])


def test_own_sun_comes_before_wear() -> None:
    """The old battery's site has 30 W of sun to spare."""
    resources = (wearing(battery("old", A, 100, 100), 9.0), wearing(battery("new", B, 100, 100), 1.0))
    bounds = (
        SiteBounds(site=A, down_max_w=1e9, up_max_w=1e9, spare_sun_w=30.0),
        SiteBounds(site=B, down_max_w=1e9, up_max_w=1e9),
    )
    plan = closed_form(problem((target("t", (A, B), -80.0),), resources, bounds=bounds))
    assert given(plan) == pytest.approx({"old": -30.0, "new": -50.0})


def test_what_is_spent_early_would_be_missing_so_more_than_lasts_goes_by_charge() -> None:
    """New lasts with 40 W, old with 60; asked is more than both can hold: beyond that nobody is preferred."""
    new, old = wearing(battery("new", A, 100, 0), 1.0, 40.0), wearing(battery("old", A, 100, 0), 9.0, 60.0)
    for asked, shares in ((30.0, (30, 0)), (90.0, (40, 50)), (120.0, (50, 70))):
        plan = closed_form(problem((target("t", (A,), asked),), (new, old)))
        assert [share.regulation_w for share in plan.shares] == pytest.approx(shares), asked
    unknown = replace(new, lasting_down_w=math.nan)
    plan = closed_form(problem((target("t", (A,), 90.0),), (unknown, old)))
    assert [share.regulation_w for share in plan.shares] == pytest.approx([15.0, 75.0])


def test_a_wear_that_is_no_number_comes_last() -> None:
    resources = (wearing(battery("odd", A, 100, 0), math.nan), wearing(battery("old", A, 100, 0), 9.0))
    plan = closed_form(problem((target("t", (A,), 120.0),), resources))
    assert given(plan) == pytest.approx({"odd": 20.0, "old": 100.0})


def test_a_feeder_is_filled_by_the_least_wearing_behind_it() -> None:
    old, new = wearing(battery("old", A, 50, 0), 9.0), wearing(battery("new", A, 50, 0), 1.0)
    case = problem(
        (target("t", (A,), 90.0),), (behind(old, "east"), behind(new, "east"), battery("mid", A, 90, 0))
    )
    case = replace(case, feeders=(feeder("east", A, 60.0),))
    case = replace(case, resources=(*case.resources[:2], wearing(case.resources[2], 4.0)))
    assert given(closed_form(case)) == pytest.approx({"old": 0.0, "new": 50.0, "mid": 40.0})
    more = replace(case, targets=(target("t", (A,), 145.0),))
    assert given(closed_form(more)) == pytest.approx({"old": 5.0, "new": 50.0, "mid": 90.0})


# -- with moves --------------------------------------------------------------------------------------------------


def test_with_moves_the_same_is_called_and_what_remains_goes_by_wear() -> None:
    differ = 0
    for seed in range(200):
        plain = random_moves(seed)
        case = worn(plain, seed)
        plan, before = solve(case), solve(plain)
        assert plan.calls == before.calls, seed
        assert dict(plan.shortfall_w) == pytest.approx(dict(before.shortfall_w), abs=2e-6), seed
        share = {call.offer: call.share for call in plan.calls}
        taken = {
            site: math.fsum(
                leg.regulation_w * share[v.offer] for v in case.levers for leg in v.legs if leg.site == site
            )
            for asked in case.targets
            for site in asked.sites
        }
        ours = given(plan)
        for asked in case.targets:
            need = asked.regulation_w - math.fsum(taken[site] for site in asked.sites)
            rest = replace(asked, regulation_w=need)
            way = {site: w if need >= 0 else -w for site, w in taken.items()}
            for id, w in by_ranks(case, rest, way).items():
                assert ours[id] == pytest.approx(w, rel=1e-9, abs=2e-6), (seed, id)
        differ += ours != pytest.approx(given(before), abs=1.0)
    assert differ > 40


# -- what is said ------------------------------------------------------------------------------------------------


def said(plan: Plan, case: Problem) -> dict[str, Reason]:
    return {
        dict(r.values)["device"]: r
        for r in reasons_of(plan, case.targets[0], case)
        if "device" in dict(r.values)
    }


def test_why_a_battery_is_spared_and_at_what_price() -> None:
    resources = (
        wearing(battery("old", A, 50e3, 0), 20.0),
        wearing(battery("mid", A, 50e3, 0), 12.5),
        wearing(battery("new", A, 50e3, 0), 8.0),
    )
    case = problem((target("t", (A,), 70e3),), resources)
    reasons = said(closed_form(case), case)
    assert {id: r.code for id, r in reasons.items()} == {
        "new": "share.full",
        "mid": "share.wear",
        "old": "share.wear",
    }
    assert list(reasons) == ["mid", "new", "old"], "who gives nothing comes last"
    assert sentence(reasons["old"], "en") == (
        "old at a is spared: 0.0 of the 50.0 kW it could give. It wears more (wear cost 20) than mid (12.5), which comes first."
    )
    assert "劣化コスト 12.5 が new(8)より高く" in sentence(reasons["mid"], "ja")
    some = replace(case, targets=(target("t", (A,), 30e3),))
    assert dict(said(closed_form(some), some)["old"].values)["other"] == "new", "mid gives nothing either"


def test_who_is_not_spared_for_wear_is_told_the_true_reason() -> None:
    old, new = wearing(battery("old", A, 50, 0), 9.0), wearing(battery("new", A, 50, 0), 1.0)
    asked = (target("t", (A,), 100.0),)
    for case, code in (
        (problem(asked, (old, new)), "share.full"),
        (problem(asked, (replace(old, down_room_w=0.0, easy_down_w=0.0), new)), "share.no_room"),
        (problem(asked, (replace(old, easy_down_w=0.0), new)), "share.full"),
        (problem((target("t", (A,), 0.0),), (old, new)), "share.not_needed"),
        (problem((target("t", (A,), 80.0),), (replace(old, easy_down_w=10.0), new)), "share.bridging"),
        (problem((target("t", (A,), 80.0),), (wearing(old, 9.0, 10.0), new)), "share.proportional"),
        (problem(asked, (wearing(old, math.nan), wearing(new, math.nan))), "share.full"),
    ):
        assert said(closed_form(case), case)["old"].code == code
    assert all(r.code != "share.wear" for r in said(closed_form(alike(case)), case).values())
