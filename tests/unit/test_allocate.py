"""The gateway's closed form beside the core on arrays, and what it says when something binds."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.test_optimise import A, B, C, battery, move, pause, problem, random_nested, target
from vpp_gateway.domain.order import OfferId
from vpp_gateway.domain.plan import Coupling, Plan, Problem, SiteBounds, Target, Use
from vpp_gateway.optimise.allocate import closed_form
from vpp_gateway.optimise.explain import sentence
from vpp_gateway.optimise.linear import shares, solve
from vpp_gateway.optimise.nested import allocate
from vpp_gateway.optimise.tree import compile_tree
from vpp_gateway.solver import SOLVER
from vpp_gateway.worker import line_of


def by_core(case: Problem, asked: Target) -> dict[str, float]:
    """One target by `optimise.nested`: sites under a root, the easy part of each battery in front of the rest."""
    sites = list(asked.sites)
    bounds = {b.site: b for b in case.bounds}
    here = [r for r in case.resources if r.site in sites]
    down = asked.regulation_w >= 0
    room = np.array([r.down_room_w if down else r.up_room_w for r in here])
    easy = np.minimum(room, [r.easy_down_w if down else r.easy_up_w for r in here])
    weight = np.array([r.weight_down if down else r.weight_up for r in here])
    node = [1 + sites.index(r.site) for r in here]
    tree = compile_tree([-1] + [0] * len(sites), node * 2, [0] * len(here) + [1] * len(here))
    cap = [math.inf, *(bounds[s].down_max_w if down else bounds[s].up_max_w for s in sites)]
    answer = allocate(
        tree, abs(asked.regulation_w), np.concatenate([easy, room - easy]), np.tile(weight, 2), cap
    )
    given = answer.x[: len(here)] + answer.x[len(here) :]
    return dict(zip((r.id for r in here), (given if down else -given).tolist(), strict=True))


def test_equals_the_core_on_arrays() -> None:
    for seed in range(1_000):
        rng = random.Random(seed)
        base = random_nested(seed)
        case = replace(
            base,
            resources=tuple(
                replace(r, weight_down=rng.uniform(0.1, 9.0), weight_up=rng.choice([1.0, 2.0]))
                for r in base.resources
            ),
        )
        plan = closed_form(case, explain=False)
        given = {share.id: share.regulation_w for share in plan.shares}
        for asked in case.targets:
            for id, w in by_core(case, asked).items():
                assert given[id] == pytest.approx(w, rel=1e-9, abs=1e-6), (seed, id)


def free_feeder(case: Problem, id: str) -> Problem:
    """The problem without the limit of one feeder."""
    free = tuple(replace(f, down_max_w=1e9, up_max_w=1e9) if f.id == id else f for f in case.feeders)
    return replace(case, feeders=free)


def lifted(case: Problem, plan: Plan, asked: Target) -> Problem:
    """The problem without what the plan names."""
    for reason in plan.binding:
        values = dict(reason.values)
        match reason.code:
            case "bind.export" | "bind.import":
                name = "down_max_w" if reason.code == "bind.export" else "up_max_w"
                bounds = tuple(
                    replace(b, **{name: 1e12}) if b.site == values["site"] else b for b in case.bounds
                )
                case = replace(case, bounds=bounds)
            case "bind.feeder":
                case = free_feeder(case, values["feeder"])
            case "bind.rooms" | "bind.site_rooms":
                sites = asked.sites if reason.code == "bind.rooms" else (values["site"],)
                resources = tuple(
                    replace(r, down_room_w=1e12, up_room_w=1e12) if r.site in sites else r
                    for r in case.resources
                )
                case = replace(case, resources=resources)
    return case


def test_lifting_what_is_named_lets_the_target_be_met() -> None:
    short = 0
    for seed in range(2_000):
        base = random_nested(seed)
        for asked in base.targets:
            case = replace(base, targets=(asked,))
            plan = closed_form(case)
            if not plan.shortfall_w[0][1] or not any(r.site in asked.sites for r in case.resources):
                continue
            short += 1
            assert closed_form(lifted(case, plan, asked)).shortfall_w[0][1] == 0.0, (seed, plan.binding)
    assert short > 500


def test_what_lies_behind_a_limit_is_named_too() -> None:
    bounds = (
        SiteBounds(site=A, down_max_w=40.0, up_max_w=0.0),
        SiteBounds(site=B, down_max_w=90.0, up_max_w=0.0),
    )
    resources = (battery("a1", A, 60, 0), battery("b1", B, 10, 0))
    plan = closed_form(problem((target("t", (A, B), 300.0),), resources, bounds=bounds))
    assert [(r.code, *(v for _, v in r.values)) for r in plan.binding] == [
        ("bind.missing", "250"),
        ("bind.export", "a"),
        ("bind.export", "b"),
        ("bind.rooms", "2"),
    ]


def test_what_is_no_number_is_named_in_both_languages() -> None:
    bounds = (
        SiteBounds(site=A, down_max_w=math.nan, up_max_w=0.0),
        SiteBounds(site=B, down_max_w=9.0, up_max_w=9.0),
    )
    resources = (battery("a1", A, 60, 0), battery("b1", B, math.nan, 0))
    targets = (target("t", (A, B), 30.0), target("u", (C,), math.nan))
    plan = closed_form(problem(targets, resources, bounds=bounds))
    assert all(share.regulation_w == 0.0 for share in plan.shares)
    assert dict(plan.shortfall_w) == {"t": 30.0, "u": 0.0}
    named = [(r.code, r.values[0][1]) for r in plan.binding if "no_number" in r.code]
    assert named == [
        ("bind.no_number_battery", "b1"),
        ("bind.no_number_site", "a"),
        ("bind.no_number_target", "u"),
    ]
    assert all(sentence(r, lang) for r in plan.binding for lang in ("en", "ja"))


@pytest.mark.parametrize("asked", [1e30, math.inf, -math.inf])
def test_a_target_beyond_anything_gets_all_there_is(asked: float) -> None:
    plan = closed_form(problem((target("t", (A,), asked),), (battery("a1", A, 100, 70),)))
    assert plan.shares[0].regulation_w == (100.0 if asked > 0 else -70.0)
    assert plan.shortfall_w[0][1] == pytest.approx(asked)


def test_reasons_are_made_only_when_asked_for() -> None:
    case = problem((target("t", (A,), 60.0),), (battery("a1", A, 100, 0),))
    told, silent = closed_form(case), closed_form(case, explain=False)
    assert told.shares[0].reason is not None and silent.shares[0].reason is None
    assert replace(told.shares[0], reason=None) == silent.shares[0]


def test_the_least_promised_workload_first_then_cost_then_downtime() -> None:
    asked = (target("t", (A,), 50.0),)
    dear = replace(pause(A, 50.0, cost=9.0), offer=OfferId("dear"))
    promised = replace(pause(A, 50.0, cost=0.1), offer=OfferId("promised"), sla_tier=1)
    quick = replace(pause(A, 50.0, cost=9.0), offer=OfferId("quick"), downtime_s=0.5)
    slow = replace(pause(A, 50.0, cost=9.0), offer=OfferId("slow"), downtime_s=60.0)
    for levers, called in (((promised, dear), "dear"), ((slow, quick), "quick")):
        case = problem(asked, (battery("a1", A, 0, 0),), levers)
        for plan in (closed_form(case), solve(case)):
            assert [c.offer for c in plan.calls if c.share] == [called], plan.method


def test_a_shared_limit_stops_offers_in_both_ways_of_solving() -> None:
    levers = (pause(A, 50.0), move(A, B, 80.0))
    link = Coupling(name="link a > b", uses=(Use(offer=levers[1].offer, w=60.0),), limit_w=31.0)
    feeder = Coupling(name="feeder 1", uses=(Use(offer=levers[0].offer, w=50.0),), limit_w=30.0)
    batteries = (battery("a1", A, 0, 0), battery("b1", B, 100, 100))
    case = problem((target("t", (A,), 90.0), target("u", (B,), 0.0)), batteries, levers)
    case = replace(case, couplings=(link, feeder))
    assert {c.offer: c.share for c in solve(case).calls} == {levers[0].offer: 0.5, levers[1].offer: 0.5}
    assert {c.offer: c.share for c in closed_form(case).calls} == {levers[0].offer: 0.5, levers[1].offer: 0.0}
    free = replace(case, couplings=())
    assert {c.offer: c.share for c in solve(free).calls}[levers[1].offer] == 0.5
    assert shares(free)[0] == pytest.approx(0.0) and shares(case)[0] == pytest.approx(
        90.0 - 30.0 - 80.0 * 31.0 / 60.0
    )


def test_whole_steps_lose_less_than_a_step() -> None:
    """Rounding a share to a step leaves at most what the batteries cannot make up for, and the plan says it."""
    for seed in range(100):
        rng = random.Random(seed)
        base = random_nested(seed)
        fine = tuple(n / 1000 for n in range(1, 1001))
        levers = tuple(
            replace(move(x, y, rng.uniform(10, 100)), steps=fine) for x in (A, B) for y in (B, C) if x != y
        )
        bounds = tuple(SiteBounds(site=s, down_max_w=150.0, up_max_w=150.0) for s in (A, B, C))
        case = replace(base, levers=levers, bounds=bounds)
        ours = sum(abs(w) for _, w in solve(case).shortfall_w)
        assert ours <= shares(case)[0] + 2 * 4 * 100 / 1000 + 1e-6, seed


def test_a_bad_number_reaches_the_solver_as_what_it_is() -> None:
    """JSON has no NaN; written as null the worker would refuse the whole problem for one battery."""
    case = problem(
        (target("t", (A,), 60.0),), (battery("a1", A, math.nan, 5), battery("a2", A, 50, math.inf))
    )
    read = SOLVER.problem.validate_json(line_of(SOLVER.problem, case))
    assert math.isnan(read.resources[0].down_room_w) and read.resources[1].up_room_w == math.inf
    plan = solve(read)
    assert [share.regulation_w for share in plan.shares] == [0.0, 50.0]
    with pytest.raises(ArithmeticError, match="no finite number"):
        solve(replace(case, targets=(target("t", (A,), math.inf),)))


def without(case: Problem, plan: Plan) -> Problem:
    """The problem without what the plan names, moves included."""
    for reason in plan.binding:
        name = reason.values[0][1]
        match reason.code:
            case "bind.export" | "bind.import":
                way = "down_max_w" if reason.code == "bind.export" else "up_max_w"
                bounds = tuple(replace(b, **{way: 1e7}) if b.site == name else b for b in case.bounds)
                case = replace(case, bounds=bounds)
            case "bind.site_rooms":
                wide = dict.fromkeys(("down_room_w", "up_room_w"), 1e7)
                resources = tuple(replace(r, **wide) if r.site == name else r for r in case.resources)
                case = replace(case, resources=resources)
            case "bind.feeder":
                case = free_feeder(case, name)
            case "bind.link":
                between = tuple(value for _, value in reason.values)
                free = tuple(replace(c, limit_w=1e7) if c.between == between else c for c in case.couplings)
                case = replace(case, couplings=free)
            case "bind.coupling":
                couplings = tuple(replace(c, limit_w=1e7) if c.name == name else c for c in case.couplings)
                case = replace(case, couplings=couplings)
            case "bind.offer":
                levers = tuple(
                    replace(
                        v, legs=tuple(replace(leg, regulation_w=1e4 * leg.regulation_w) for leg in v.legs)
                    )
                    if v.offer == name
                    else v
                    for v in case.levers
                )
                case = replace(case, levers=levers)
    return case


def test_with_moves_too_lifting_what_is_named_lets_all_targets_be_met() -> None:
    short = 0
    for seed in range(150):
        rng = random.Random(seed)
        base = random_nested(seed)
        levers = tuple(move(x, y, rng.uniform(10, 100)) for x in (A, B) for y in (B, C) if x != y)
        bounds = tuple(SiteBounds(site=s, down_max_w=rng.uniform(0, 200), up_max_w=150.0) for s in (A, B, C))
        links = tuple(
            Coupling(name=f"link {v.offer}", uses=(Use(offer=v.offer, w=50.0),), limit_w=rng.uniform(0, 60))
            for v in levers
        )
        more = tuple(battery(f"{site}-more", site, 1.0, 1.0) for site in (A, B, C))
        case = replace(base, resources=base.resources + more, levers=levers, bounds=bounds, couplings=links)
        missing = shares(case)[0]
        if missing < 0.01:
            continue
        short += 1
        plan = solve(case)
        assert plan.binding[0].code == "bind.missing", seed
        assert all(sentence(r, lang) for r in plan.binding for lang in ("en", "ja"))
        assert shares(without(case, plan))[0] == pytest.approx(0.0, abs=1e-5), (seed, plan.binding)
    assert short > 30
