"""Feeders between battery and grid connection, links between sites: the split, against scipy's linear program and against
the core on arrays, and what is said when they bind."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linprog

from tests.unit.test_allocate import lifted, without
from tests.unit.test_optimise import A, B, C, battery, move, pause, problem, random_nested, target
from vpp_gateway.domain.fleet import FeederId
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.order import OfferId
from vpp_gateway.domain.plan import Coupling, FeederBounds, Plan, Problem, Resource, Target, Use
from vpp_gateway.optimise.allocate import closed_form
from vpp_gateway.optimise.explain import sentence
from vpp_gateway.optimise.linear import shares, solve
from vpp_gateway.optimise.nested import allocate
from vpp_gateway.optimise.tree import compile_tree

TREES = 1_200


def feeder(id: str, site: SiteId, down: float, up: float = 0.0) -> FeederBounds:
    return FeederBounds(id=FeederId(id), site=site, down_max_w=down, up_max_w=up)


def behind(one: Resource, id: str) -> Resource:
    return replace(one, feeder=FeederId(id))


def random_tree(seed: int) -> Problem:
    """Sites with up to two feeders each; batteries on one of them or on none, with ties and zeros everywhere."""
    rng = random.Random(seed)
    base = random_nested(seed)

    def value() -> float:
        return rng.choice([0.0, 10.0, 10.0, rng.uniform(0, 100)])

    lines = [
        feeder(f"{s}-f{n}", s, value(), value()) for s in (A, B, C) for n in range(rng.choice([0, 1, 2]))
    ]
    more = tuple(
        battery(f"{s}-more{n}", s, value(), value(), easy=rng.choice([0.0, 0.5, 1.0]))
        for s in (A, B, C)
        for n in range(rng.randint(0, 2))
    )
    resources = tuple(
        replace(
            r,
            weight_down=rng.choice([1.0, 1.0, rng.uniform(0.1, 9.0)]),
            weight_up=rng.choice([1.0, 2.0]),
            feeder=rng.choice([None, *(line.id for line in lines if line.site == r.site)]),
        )
        for r in base.resources + more
    )
    return replace(base, resources=resources, feeders=tuple(lines))


def ways(case: Problem, asked: Target) -> tuple[bool, list[Resource], list[float], list[float]]:
    """Direction of a target, and the batteries of its scope with their rooms and the easy parts of them."""
    down = asked.regulation_w >= 0
    here = [r for r in case.resources if r.site in asked.sites]
    room = [r.down_room_w if down else r.up_room_w for r in here]
    easy = [min(w, r.easy_down_w if down else r.easy_up_w) for w, r in zip(room, here, strict=True)]
    return down, here, room, easy


def by_linprog(case: Problem, asked: Target) -> tuple[float, float]:
    """What is missing and how much of the bridging parts is used: easy parts, the rest of them, shortfall as columns."""
    down, here, room, easy = ways(case, asked)
    rows, limits = [], []
    for site in asked.sites:
        rows.append([float(r.site == site) for r in here])
        bound = next((b for b in case.bounds if b.site == site), None)
        limits.append(0.0 if bound is None else bound.down_max_w if down else bound.up_max_w)
    for line in case.feeders:
        rows.append([float(r.feeder == line.id) for r in here])
        limits.append(line.down_max_w if down else line.up_max_w)
    upper = np.hstack([np.array(rows), np.array(rows), np.zeros((len(rows), 1))])
    answer = linprog(
        [0.0] * len(here) + [1.0] * len(here) + [1e3],
        A_ub=upper,
        b_ub=limits,
        A_eq=[[1.0] * (2 * len(here) + 1)],
        b_eq=[abs(asked.regulation_w)],
        bounds=[(0, w) for w in easy]
        + [(0, w - e) for w, e in zip(room, easy, strict=True)]
        + [(0, math.inf)],
        method="highs",
    )
    return float(answer.x[-1]), float(sum(answer.x[len(here) : -1]))


def test_the_closed_form_equals_scipys_linear_program_on_random_trees() -> None:
    short = bound = 0
    for seed in range(TREES):
        case = random_tree(seed)
        plan = closed_form(case, explain=False)
        given = {share.id: abs(share.regulation_w) for share in plan.shares}
        for asked in case.targets:
            _, here, _, easy = ways(case, asked)
            missing, rest = by_linprog(case, asked)
            close = {"rel": 1e-9, "abs": 1e-9 * abs(asked.regulation_w)}
            ours = abs(dict(plan.shortfall_w)[asked.instruction])
            assert ours == pytest.approx(missing, rel=1e-9, abs=2e-6), seed
            assert sum(given[r.id] for r in here) == pytest.approx(
                abs(asked.regulation_w) - missing, **close
            ), seed
            beyond = sum(max(0.0, given[r.id] - e) for r, e in zip(here, easy, strict=True))
            assert beyond == pytest.approx(rest, rel=1e-9, abs=1e-7), seed
            short += missing > 1e-6
            free = replace(
                case, feeders=tuple(replace(f, down_max_w=1e9, up_max_w=1e9) for f in case.feeders)
            )
            bound += by_linprog(free, asked)[0] < missing - 1e-6
    assert short > TREES // 4 and bound > TREES // 10, "shortfalls, and feeders that cause them, do occur"


def by_core(case: Problem, asked: Target) -> dict[str, float]:
    """One target by `optimise.nested`: feeders below sites below a root, easy parts in front of the rest."""
    down, here, room, easy = ways(case, asked)
    sites, lines = list(asked.sites), [f for f in case.feeders if f.site in asked.sites]
    bounds = {b.site: b for b in case.bounds}
    place = {f.id: 1 + len(sites) + at for at, f in enumerate(lines)}
    node = [1 + sites.index(r.site) if r.feeder is None else place[r.feeder] for r in here]
    parent = [-1] + [0] * len(sites) + [1 + sites.index(f.site) for f in lines]
    tree = compile_tree(parent, node * 2, [0] * len(here) + [1] * len(here))
    cap = [math.inf]
    cap += [bounds[s].down_max_w if down else bounds[s].up_max_w for s in sites]
    cap += [f.down_max_w if down else f.up_max_w for f in lines]
    weight = [r.weight_down if down else r.weight_up for r in here]
    rest = [w - e for w, e in zip(room, easy, strict=True)]
    answer = allocate(tree, abs(asked.regulation_w), easy + rest, weight * 2, cap)
    given = answer.x[: len(here)] + answer.x[len(here) :]
    return dict(zip((r.id for r in here), (given if down else -given).tolist(), strict=True))


def test_the_shares_are_those_of_the_core_on_arrays() -> None:
    for seed in range(TREES):
        case = random_tree(seed)
        given = {share.id: share.regulation_w for share in closed_form(case, explain=False).shares}
        for asked in case.targets:
            for id, w in by_core(case, asked).items():
                assert given[id] == pytest.approx(w, rel=1e-9, abs=1e-6), (seed, id)


def test_the_worker_solves_the_same_tree() -> None:
    for seed in range(250):
        case = random_tree(seed)
        ours = sum(abs(w) for _, w in closed_form(case, explain=False).shortfall_w)
        assert shares(case)[0] == pytest.approx(ours, rel=1e-9, abs=1e-6), seed


def test_lifting_what_is_named_lets_the_target_be_met() -> None:
    short, lines = 0, 0
    for seed in range(2_000):
        base = random_tree(seed)
        for asked in base.targets:
            case = replace(base, targets=(asked,))
            plan = closed_form(case)
            if not plan.shortfall_w[0][1] or not any(r.site in asked.sites for r in case.resources):
                continue
            short += 1
            lines += any(reason.code == "bind.feeder" for reason in plan.binding)
            assert closed_form(lifted(case, plan, asked)).shortfall_w[0][1] == 0.0, (seed, plan.binding)
    assert short > 500 and lines > 100


def test_a_feeder_that_is_full_is_named_in_both_languages_and_the_others_fill_in() -> None:
    """Two batteries of 60 W share 40 W of line by their energy, 1 to 3; the third gives the rest."""
    near, far = behind(battery("a1", A, 60, 0), "east"), behind(battery("a2", A, 60, 0, weight=3.0), "east")
    case = problem((target("t", (A,), 90.0),), (near, far, battery("a3", A, 100, 0)))
    plan = closed_form(replace(case, feeders=(feeder("east", A, 40.0),)))
    assert [share.regulation_w for share in plan.shares] == pytest.approx([10.0, 30.0, 50.0])
    assert plan.binding == ()
    said = [share.reason for share in plan.shares if share.reason is not None]
    assert [reason.code for reason in said] == ["share.feeder", "share.feeder", "share.proportional"]
    told = replace(said[0], values=(("device", "a1"), *said[0].values))
    assert sentence(told, "en") == (
        "a1 at a is ordered 0.0 kW of the 0.1 kW it could give: the limit of feeder east binds."
    )
    assert "フィーダー east の上限" in sentence(told, "ja")


def test_what_lies_behind_a_feeder_is_named_too() -> None:
    resources = (behind(battery("a1", A, 60, 0), "east"), battery("a2", A, 10, 0))
    case = replace(problem((target("t", (A,), 300.0),), resources), feeders=(feeder("east", A, 40.0),))
    for plan in (closed_form(case), solve(replace(case, levers=(move(B, A, 0.0),)))):
        named = {(r.code, *(v for _, v in r.values)) for r in plan.binding}
        assert ("bind.feeder", "east", "a") in named and ("bind.missing", "250") in named, plan.method
        assert named & {("bind.rooms", "2"), ("bind.site_rooms", "a")}, plan.method
        assert all(sentence(r, lang) for r in plan.binding for lang in ("en", "ja"))


@pytest.mark.parametrize("w", [math.nan, -5.0])
def test_a_feeder_without_a_usable_limit_carries_nothing_and_is_named(w: float) -> None:
    resources = (behind(battery("a1", A, 60, 0), "east"), behind(battery("a2", A, 60, 0), "unheard"))
    case = replace(problem((target("t", (A,), 30.0),), resources), feeders=(feeder("east", A, w),))
    plan = closed_form(case)
    assert [share.regulation_w for share in plan.shares] == [0.0, 0.0]
    assert ("bind.no_number_feeder", "east") in [(r.code, r.values[0][1]) for r in plan.binding]
    assert shares(case)[0] == pytest.approx(30.0)


# --- moves over links ---------------------------------------------------------------------------------------


def random_moves(seed: int) -> Problem:
    """The same trees with moves at the PUE of both ends over links, and pauses."""
    rng = random.Random(seed)
    base = random_tree(seed)
    pue = {site: rng.choice([1.0, 1.2, rng.uniform(1.0, 1.6)]) for site in (A, B, C)}
    levers, links = [], []
    for source in (A, B, C):
        for destination in (A, B, C):
            if source == destination or rng.random() < 0.3:
                continue
            w = rng.choice([10.0, rng.uniform(1.0, 90.0)])
            shift = move(source, destination, w)
            legs = tuple(replace(leg, regulation_w=leg.regulation_w * pue[leg.site]) for leg in shift.legs)
            levers.append(replace(shift, legs=legs))
            uses = (Use(offer=shift.offer, w=legs[0].regulation_w),)
            limit = rng.choice([0.0, 10.0, rng.uniform(0.0, 120.0)])
            if rng.random() < 0.8:
                links.append(Coupling(name="link", uses=uses, limit_w=limit, between=(source, destination)))
        if rng.random() < 0.5:
            levers.append(pause(source, rng.uniform(1.0, 60.0)))
    spare = tuple(battery(f"{site}-spare", site, 1.0, 1.0) for site in (A, B, C))
    return replace(base, levers=tuple(levers), couplings=tuple(links), resources=base.resources + spare)


def least_missing(case: Problem) -> float:
    """The least that all targets together can miss, by a program of its own: rows as one says them."""
    n, m = len(case.resources), len(case.levers)
    scopes = [set(t.sites) for t in case.targets]
    columns = 2 * n + m + 2 * len(scopes)

    def net(sites: set[SiteId], batteries: float = 1.0) -> np.ndarray:
        row = np.zeros(columns)
        for i, r in enumerate(case.resources):
            if r.site in sites:
                row[i], row[n + i] = batteries, -batteries
        for j, v in enumerate(case.levers):
            row[2 * n + j] = sum(leg.regulation_w for leg in v.legs if leg.site in sites)
        return row

    upper, limits, equal = [], [], []
    for bound in case.bounds:
        for batteries in (1.0, 0.0):  # an offer must fit the connection without any battery's help
            row = net({bound.site}, batteries)
            upper += [row, -row]
            limits += [bound.down_max_w, bound.up_max_w]
    for line in case.feeders:
        row = np.zeros(columns)
        for i, r in enumerate(case.resources):
            if r.feeder == line.id:
                row[i], row[n + i] = 1.0, -1.0
        upper += [row, -row]
        limits += [line.down_max_w, line.up_max_w]
    for link in case.couplings:
        row = np.zeros(columns)
        for j, v in enumerate(case.levers):
            row[2 * n + j] = sum(use.w for use in link.uses if use.offer == v.offer)
        upper.append(row)
        limits.append(link.limit_w)
    for t, scope in enumerate(scopes):
        row = net(scope)
        row[2 * n + m + 2 * t], row[2 * n + m + 2 * t + 1] = 1.0, -1.0
        equal.append(row)
    most = [r.down_room_w for r in case.resources] + [r.up_room_w for r in case.resources] + [1.0] * m
    answer = linprog(
        [0.0] * (2 * n + m) + [1.0] * (2 * len(scopes)),
        A_ub=np.array(upper),
        b_ub=limits,
        A_eq=np.array(equal),
        b_eq=[t.regulation_w for t in case.targets],
        bounds=[(0, w) for w in most] + [(0, None)] * (2 * len(scopes)),
        method="highs",
    )
    return float(answer.fun)


def test_moves_over_links_beside_feeders_equal_a_program_of_its_own() -> None:
    tight = 0
    for seed in range(400):
        case = random_moves(seed)
        missing = shares(case)[0]
        assert missing == pytest.approx(least_missing(case), rel=1e-9, abs=1e-6), seed
        tight += shares(replace(case, couplings=()))[0] < missing - 1e-6
    assert tight > 40, "links that cost something do occur"


def test_with_moves_too_lifting_what_is_named_lets_all_targets_be_met() -> None:
    codes: set[str] = set()
    for seed in range(120):
        case = random_moves(seed)
        if shares(case)[0] < 0.01:
            continue
        plan = solve(case)
        codes |= {reason.code for reason in plan.binding}
        assert all(sentence(r, lang) for r in plan.binding for lang in ("en", "ja"))
        assert shares(without(case, plan))[0] == pytest.approx(0.0, abs=1e-4), (seed, plan.binding)
    assert {"bind.feeder", "bind.link"} <= codes


def test_a_step_that_a_link_does_not_carry_is_not_called_and_the_link_is_named() -> None:
    """The program would call 60 of 80 W; the next whole step takes 80, which the link does not carry."""
    lever = move(A, B, 80.0, steps=(0.5, 1.0))
    link = Coupling(name="a > b", uses=(Use(offer=lever.offer, w=80.0),), limit_w=65.0, between=(A, B))
    batteries = (battery("a1", A, 5, 0), battery("b1", B, 100, 100))
    case = problem((target("t", (A,), 60.0),), batteries, (lever,))
    plan = solve(replace(case, couplings=(link,)))
    assert plan.calls[0].share == 0.5
    assert ("bind.link", "a", "b") in [(r.code, *(v for _, v in r.values)) for r in plan.binding]
    assert sentence(plan.binding[-1], "en") == "The link from a to b carries no more work."


# --- offers that would not last -----------------------------------------------------------------------------


def called(plan: Plan) -> list[OfferId]:
    return [call.offer for call in plan.calls if call.share]


def test_an_offer_that_would_not_last_is_called_when_nothing_else_is_left_and_that_is_said() -> None:
    short = replace(pause(A, 50.0, cost=0.1), offer=OfferId("short"), short_s=1800.0)
    long = replace(pause(A, 50.0, cost=9.0), offer=OfferId("long"), sla_tier=3)
    batteries = (battery("a1", A, 100, 0, easy=0.0),)
    for w, offers in ((50.0, ["long"]), (90.0, ["short", "long"])):
        case = problem((target("t", (A,), w),), batteries, (short, long))
        for plan in (closed_form(case), solve(case)):
            assert called(plan) == offers, plan.method
    reasons = {call.offer: call.reason for call in plan.calls}
    assert reasons["long"].code == "call.needed" and reasons["short"].code == "call.short_lived"
    told = replace(reasons["short"], values=(("offer", "short"), *reasons["short"].values))
    assert "given back 30 min before the end" in sentence(told, "en")
    assert "終了の 30 分前" in sentence(told, "ja")


def test_an_order_that_stands_is_held_or_taken_back_but_not_raised() -> None:
    """Its only step is its share: the program must look elsewhere for the rest."""
    held = replace(move(A, B, 80.0, steps=(0.25,)), offer=OfferId("order:1"), at_least=0.25)
    fresh = replace(move(A, B, 80.0), cost=9.0)
    batteries = (battery("a1", A, 0, 0), battery("b1", B, 100, 100))
    plan = solve(problem((target("t", (A,), 40.0), target("u", (B,), 0.0)), batteries, (held, fresh)))
    assert {call.offer: call.share for call in plan.calls} == {held.offer: 0.25, fresh.offer: 0.25}
    assert all(missing == 0.0 for _, missing in plan.shortfall_w)


def test_no_step_is_begun_for_noise_unless_the_batteries_have_nothing_left() -> None:
    """A hundredth of what is asked is worth a step, less is not; without a reserve every watt is."""
    lever = move(A, B, 80.0)
    other = battery("b1", B, 100, 100)
    for w, easy, share in (
        (50.4, 0.5, 0.0),
        (51.0, 0.5, 0.25),
        (100.4, 1.0, 0.25),
        (70.4, 0.5, 0.25),
        (71.0, 0.5, 0.5),
    ):
        batteries = (battery("a1", A, 100, 0, easy=easy), other)
        plan = solve(problem((target("t", (A,), w), target("u", (B,), 0.0)), batteries, (lever,)))
        assert plan.calls[0].share == share, w
        assert all(missing == 0.0 for _, missing in plan.shortfall_w)
