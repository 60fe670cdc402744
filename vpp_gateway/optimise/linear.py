"""A problem of the gateway as a network, and the network's optimum as a plan.

The linear program decides how much of each offer is called; offers come in whole steps, so shares are rounded up
where the connections carry it. What then remains is nested again, and `optimise.allocate` shares it out fairly.

    rank      easy part of batteries, by tier -> offers by tier and SLA tier -> offers that would not last
              -> offers that must prove themselves -> the part kept for bridging
    in a rank cost per W, then downtime, then what is not taken from own sun

An offer must fit the grid connections of its sites without any battery's help: a battery that fails shall cost its
own power, not the site's contracted import. So offers are coupled by rows of their own beside those of the sites.

This module imports scipy; only the solver worker imports it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vpp_gateway.domain.fleet import FeederId, TierName
from vpp_gateway.domain.instruction import DeviceId, SiteId
from vpp_gateway.domain.order import OfferId
from vpp_gateway.domain.plan import FeederBounds, Lever, Plan, Problem, Reason, Resource
from vpp_gateway.optimise.allocate import closed_form
from vpp_gateway.optimise.named import named
from vpp_gateway.optimise.network import Network
from vpp_gateway.optimise.overshoot import without_overshoot
from vpp_gateway.optimise.program import solve as solve_network
from vpp_gateway.optimise.steps import Carried, step_up
from vpp_gateway.optimise.tree import Floats, Ints

SHORT_W = 1e-3
"""What may be missing without a word."""
LEAST_PART = 0.01
"""No step is begun for less than this part of what is asked: noise at the edge of a step would move work to and fro."""
COST_LEAST, COST_MOST = 1e-3, 1e3
"""Costs compare offers of one SLA tier; an offer for nothing still waits for the batteries."""

RESIDUE_W = 1e-6


def solve(problem: Problem, time_limit_s: float = 1.0) -> Plan:
    """Solve with HiGHS, then round levers up to whole steps and share out what remains fairly.

    Raises:
        ArithmeticError: HiGHS gave no answer in time, or a target is no finite number.
    """
    if not all(math.isfinite(target.regulation_w) for target in problem.targets):
        raise ArithmeticError(f"problem {problem.id}: a target is no finite number")
    case = posed(problem)
    answer = solve_network(case.network, time_limit_s / 2)
    wanted = {v.offer: share for v, share in zip(problem.levers, answer.share.tolist(), strict=True)}
    called, stopped = _whole_steps(problem, wanted, LEAST_PART)
    plan = replace(closed_form(problem, called), method="highs")
    if plan.binding:  # the batteries' reserve does not make up for what was spared
        called, stopped = _whole_steps(problem, wanted, 0.0)
        plan = replace(closed_form(problem, called), method="highs")
    plan = replace(
        without_overshoot(problem, plan, lambda other: closed_form(problem, other)), method="highs"
    )
    if plan.binding:
        plan = replace(plan, binding=tuple(dict.fromkeys((*plan.binding, *stopped))))
    if float(np.abs(answer.missing).sum()) <= SHORT_W:
        return plan
    try:
        why = named(problem, case.network, case.places, case.lanes, time_limit_s / 8)
    except ArithmeticError:  # the plan stands without it, with what the closed form could say
        return plan
    known = {"bind.export", "bind.import", "bind.feeder", "bind.rooms", "bind.site_rooms"}
    return replace(plan, binding=(*(r for r in plan.binding if r.code not in known), *why))


def shares(problem: Problem, time_limit_s: float = 10.0) -> tuple[float, dict[OfferId, float]]:
    """What the optimum misses in W, summed over targets, and the share of each lever before it is rounded."""
    answer = solve_network(posed(problem).network, time_limit_s)
    offers = [lever.offer for lever in problem.levers]
    return float(np.abs(answer.missing).sum()), dict(zip(offers, answer.share.tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Posed:
    """A problem as a network."""

    network: Network
    places: tuple[tuple[SiteId, FeederId | None], ...]
    """Site of each node, and its feeder where it is one."""
    lanes: dict[int, tuple[str, SiteId]]
    """Couplings that are grid connections for the offers alone: reason code and site."""


def posed(problem: Problem) -> Posed:
    """Sites, their feeders, and devices that give for another target than their site as nodes, one inside the other;
    both parts of every battery as resources, levers as moves."""
    sites, lines = _sites(problem), _lines(problem)
    node = {id: len(sites) + at for at, id in enumerate(lines)}
    nodes = [sites[line.site] for line in lines.values()]
    inside, lies_in = _inside(problem, len(sites) + len(lines))
    bounds = {b.site: b for b in problem.bounds}
    target = {site: t for t, one in enumerate(problem.targets) for site in one.sites}
    rank = _ranks(problem)
    parts = [
        (lies_in.get(r.id, sites[r.site] if r.feeder is None else node[r.feeder]), rank[key], down, up)
        for r in problem.resources
        for key, down, up in (
            (_rank_of(r), min(r.easy_down_w, r.down_room_w), min(r.easy_up_w, r.up_room_w)),
            (REST, r.down_room_w - max(r.easy_down_w, 0.0), r.up_room_w - max(r.easy_up_w, 0.0)),
        )
    ]
    number = {lever.offer: m for m, lever in enumerate(problem.levers)}
    legs = [(number[v.offer], sites[leg.site], leg.regulation_w) for v in problem.levers for leg in v.legs]
    uses = [
        (number[use.offer], row, use.w)
        for row, coupling in enumerate(problem.couplings)
        for use in coupling.uses
        if use.offer in number
    ]
    limit = [coupling.limit_w for coupling in problem.couplings]
    lanes: dict[int, tuple[str, SiteId]] = {}
    for site, at in sites.items():
        here = [(m, w) for m, node, w in legs if node == at]
        bound = bounds.get(site)
        ways = (
            ((1.0, bound.down_max_w, "bind.export"), (-1.0, bound.up_max_w, "bind.import")) if bound else ()
        )
        for sign, most, code in ways if here else ():
            lanes[len(limit)] = (code, site)
            uses += [(m, len(limit), sign * w) for m, w in here]
            limit.append(most)
    down_max = [*(line.down_max_w for line in lines.values()), *(math.inf for _ in inside)]
    up_max = [*(line.up_max_w for line in lines.values()), *(math.inf for _ in inside)]
    nodes += [sites[site] if feeder is None else node[feeder] for site, feeder, _ in inside]
    counted = [target.get(s, -1) for s in (*sites, *(line.site for line in lines.values()))]
    size = [max((abs(leg.regulation_w) for leg in v.legs), default=0.0) for v in problem.levers]
    network = Network(
        parent=_ints([-1] * len(sites) + nodes),
        down_max=_floats([w.down_max_w if (w := bounds.get(s)) else 0.0 for s in sites] + down_max),
        up_max=_floats([w.up_max_w if (w := bounds.get(s)) else 0.0 for s in sites] + up_max),
        target=_ints(counted + [t for _, _, t in inside]),
        # A rounding residue is nothing to be served, and HiGHS refuses rows of such numbers.
        asked=_floats([t.regulation_w if abs(t.regulation_w) > RESIDUE_W else 0.0 for t in problem.targets]),
        node=_ints([p[0] for p in parts]),
        rank=_ints([p[1] for p in parts]),
        down=_floats([p[2] for p in parts]),
        up=_floats([p[3] for p in parts]),
        leg_move=_ints([leg[0] for leg in legs]),
        leg_node=_ints([leg[1] for leg in legs]),
        leg_w=_floats([leg[2] for leg in legs]),
        least=_floats([v.at_least for v in problem.levers]),
        most=_floats(
            [_most(v) if w > 0.0 else v.at_least for v, w in zip(problem.levers, size, strict=True)]
        ),
        move_rank=_ints([rank[_rank_of(v)] for v in problem.levers]),
        price=_floats([w * _cost(v) for v, w in zip(problem.levers, size, strict=True)]),
        downtime=_floats([v.downtime_s for v in problem.levers]),
        sunless=_floats([w * (1.0 - _sun(v)) for v, w in zip(problem.levers, size, strict=True)])
        if any(_sun(v) for v in problem.levers)
        else _floats([]),
        use_move=_ints([u[0] for u in uses]),
        use_row=_ints([u[1] for u in uses]),
        use_w=_floats([u[2] for u in uses]),
        limit=_floats(limit),
    )
    places = (
        *((site, None) for site in sites),
        *((line.site, line.id) for line in lines.values()),
        *((site, None) for site, _, _ in inside),
    )
    return Posed(network, places, lanes)


def _inside(
    problem: Problem, first: int
) -> tuple[list[tuple[SiteId, FeederId | None, int]], dict[DeviceId, int]]:
    """Nodes, from number `first`, of devices that give for another target than their site; and who lies in which."""
    apart = {device: t for t, target in enumerate(problem.targets) for device in target.devices}
    keys = {r.id: (r.site, r.feeder, apart[r.id]) for r in problem.resources if r.id in apart}
    number = {key: first + at for at, key in enumerate(dict.fromkeys(keys.values()))}
    return list(number), {device: number[key] for device, key in keys.items()}


Rank = tuple[bool, bool, TierName, int]
"""Whether it must prove itself, whether it would not last, its tier, its SLA tier."""
REST: Rank = (True, True, TierName(""), 0)
"""Stands for the bridging part of every battery: after all tiers."""


def _rank_of(one: Resource | Lever) -> Rank:
    if isinstance(one, Lever):
        return one.unproven, one.short_s > 0.0, one.tier, one.sla_tier
    return False, False, one.tier, 0


def _ranks(problem: Problem) -> dict[Rank, int]:
    keys = {_rank_of(r) for r in problem.resources} | {_rank_of(v) for v in problem.levers}
    order = sorted(keys, key=lambda key: (*key[:2], problem.tiers.index(key[2]), key[3]))
    return {key: rank for rank, key in enumerate([*order, REST])}


def _lines(problem: Problem) -> dict[FeederId, FeederBounds]:
    """The feeders that have batteries; one without bounds has no room."""
    lines = {line.id: line for line in problem.feeders}
    return {
        r.feeder: lines.get(r.feeder, FeederBounds(id=r.feeder, site=r.site, down_max_w=0.0, up_max_w=0.0))
        for r in problem.resources
        if r.feeder is not None
    }


def _sites(problem: Problem) -> dict[SiteId, int]:
    named = (
        *(b.site for b in problem.bounds),
        *(r.site for r in problem.resources),
        *(site for t in problem.targets for site in t.sites),
        *(leg.site for v in problem.levers for leg in v.legs),
    )
    return {site: at for at, site in enumerate(dict.fromkeys(named))}


def _most(lever: Lever) -> float:
    """Its last step: of an order that stands that is its share, and it cannot be raised."""
    return max(lever.steps[-1], lever.at_least)


def _cost(lever: Lever) -> float:
    if math.isnan(lever.cost):
        return COST_MOST
    return min(max(lever.cost, COST_LEAST), COST_MOST)


def _sun(lever: Lever) -> float:
    return 0.0 if math.isnan(lever.own_sun) else min(max(lever.own_sun, -1.0), 1.0)


def _floats(values: Sequence[float]) -> Floats:
    return np.array(values, dtype=float)


def _ints(values: Sequence[int]) -> Ints:
    return np.array(values, dtype=np.intp)


def _whole_steps(
    problem: Problem, wanted: Mapping[OfferId, float], least_part: float
) -> tuple[dict[OfferId, float], list[Reason]]:
    """Round every lever up to a whole step, or down where a connection or coupling, which is named, could not carry it.

    A step is not begun for less than `least_part` of what is asked where its legs are.
    """
    limits = Carried(problem)
    asked = {site: abs(target.regulation_w) for target in problem.targets for site in target.sites}
    called: dict[OfferId, float] = {}
    stopped: list[Reason] = []
    for lever in sorted(problem.levers, key=lambda v: -wanted[v.offer]):
        least_w = least_part * max((asked.get(leg.site, 0.0) for leg in lever.legs), default=0.0)
        share = _worth_it(lever, wanted[lever.offer], least_w)
        options = [share, *(step for step in reversed(lever.steps) if lever.at_least <= step < share)]
        called[lever.offer] = next((s for s in options if limits.fits(lever, s)), lever.at_least)
        if called[lever.offer] < share:
            stopped.extend(limits.stops(lever, share))
        limits.take(lever, called[lever.offer])
    return called, stopped


def _worth_it(lever: Lever, wanted: float, least_w: float) -> float:
    """The step that gives `wanted`, or the one below it where less than `least_w` of the next is needed."""
    share = step_up(lever, wanted)
    below = max((step for step in lever.steps if step < share), default=0.0)
    below = max(below, lever.at_least)
    size_w = max((abs(leg.regulation_w) for leg in lever.legs), default=0.0)
    spared = not lever.stands and (wanted - below) * size_w < least_w
    return min(below, share) if spared else share
