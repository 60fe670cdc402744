"""A problem of the gateway as a network, and the network's optimum as a plan.

The linear program decides how much of each offer is called; offers come in whole steps, so shares are rounded up
where the connections carry it. What then remains is nested again, and `optimise.allocate` shares it out fairly.

    rank      easy part of batteries, by tier -> offers by tier and SLA tier -> the part kept for bridging
    in a rank cost per W, then downtime

An offer must fit the grid connections of its sites without any battery's help: a battery that fails shall cost its
own power, not the site's contracted import. So offers are coupled by rows of their own beside those of the sites.

This module imports scipy; only the solver worker imports it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vpp_gateway.domain.fleet import TierName
from vpp_gateway.domain.instruction import DeviceId, SiteId
from vpp_gateway.domain.order import OfferId
from vpp_gateway.domain.plan import Lever, Plan, Problem
from vpp_gateway.optimise.allocate import closed_form
from vpp_gateway.optimise.named import named
from vpp_gateway.optimise.network import Network
from vpp_gateway.optimise.program import solve as solve_network
from vpp_gateway.optimise.steps import Carried, step_up
from vpp_gateway.optimise.tree import Floats, Ints

SHORT_W = 1e-3
"""What may be missing without a word."""
COST_LEAST, COST_MOST = 1e-3, 1e3
"""Costs compare offers of one SLA tier; an offer for nothing still waits for the batteries."""


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
    plan = replace(closed_form(problem, _whole_steps(problem, wanted)), method="highs")
    if float(np.abs(answer.missing).sum()) <= SHORT_W:
        return plan
    try:
        why = named(problem, case.network, case.sites, case.lanes, time_limit_s / 8)
    except ArithmeticError:  # the plan stands without it, with what the closed form could say
        return plan
    known = {"bind.export", "bind.import", "bind.rooms", "bind.site_rooms"}
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
    sites: tuple[SiteId, ...]
    """Site of each node."""
    lanes: dict[int, tuple[str, SiteId]]
    """Couplings that are grid connections for the offers alone: reason code and site."""


def posed(problem: Problem) -> Posed:
    """Sites as nodes, both parts of every battery as resources, levers as moves.

    Devices that give for another target than their site are a node inside it: they share its connection alone.
    """
    sites = _sites(problem)
    inside, lies_in = _inside(problem, sites)
    bounds = {b.site: b for b in problem.bounds}
    target = {site: t for t, one in enumerate(problem.targets) for site in one.sites}
    rank = _ranks(problem)
    parts = [
        (lies_in.get(r.id, sites[r.site]), rank[key], down, up)
        for r in problem.resources
        for key, down, up in (
            ((r.tier, 0), min(r.easy_down_w, r.down_room_w), min(r.easy_up_w, r.up_room_w)),
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
    free = [math.inf] * len(inside)
    size = [max((abs(leg.regulation_w) for leg in v.legs), default=0.0) for v in problem.levers]
    network = Network(
        parent=_ints([-1] * len(sites) + [sites[site] for site, _ in inside]),
        down_max=_floats([bounds[s].down_max_w if s in bounds else 0.0 for s in sites] + free),
        up_max=_floats([bounds[s].up_max_w if s in bounds else 0.0 for s in sites] + free),
        target=_ints([target.get(s, -1) for s in sites] + [t for _, t in inside]),
        asked=_floats([t.regulation_w for t in problem.targets]),
        node=_ints([p[0] for p in parts]),
        rank=_ints([p[1] for p in parts]),
        down=_floats([p[2] for p in parts]),
        up=_floats([p[3] for p in parts]),
        leg_move=_ints([leg[0] for leg in legs]),
        leg_node=_ints([leg[1] for leg in legs]),
        leg_w=_floats([leg[2] for leg in legs]),
        least=_floats([v.at_least for v in problem.levers]),
        most=_floats([1.0 if w > 0.0 else v.at_least for v, w in zip(problem.levers, size, strict=True)]),
        move_rank=_ints([rank[v.tier, v.sla_tier] for v in problem.levers]),
        price=_floats([w * _cost(v) for v, w in zip(problem.levers, size, strict=True)]),
        downtime=_floats([v.downtime_s for v in problem.levers]),
        use_move=_ints([u[0] for u in uses]),
        use_row=_ints([u[1] for u in uses]),
        use_w=_floats([u[2] for u in uses]),
        limit=_floats(limit),
    )
    return Posed(network, (*sites, *(site for site, _ in inside)), lanes)


def _inside(
    problem: Problem, sites: Mapping[SiteId, int]
) -> tuple[list[tuple[SiteId, int]], dict[DeviceId, int]]:
    """Nodes of devices that give for another target than their site: (site, target) each; and who lies in which."""
    apart = {device: t for t, target in enumerate(problem.targets) for device in target.devices}
    keys = {r.id: (r.site, apart[r.id]) for r in problem.resources if r.id in apart}
    number = {key: len(sites) + at for at, key in enumerate(dict.fromkeys(keys.values()))}
    return list(number), {device: number[key] for device, key in keys.items()}


REST = (TierName(""), 0)
"""Stands for the bridging part of every battery: after all tiers."""


def _ranks(problem: Problem) -> dict[tuple[TierName, int], int]:
    keys = {(r.tier, 0) for r in problem.resources} | {(v.tier, v.sla_tier) for v in problem.levers}
    order = sorted(keys, key=lambda key: (problem.tiers.index(key[0]), key[1]))
    return {key: rank for rank, key in enumerate([*order, REST])}


def _sites(problem: Problem) -> dict[SiteId, int]:
    named = (
        *(b.site for b in problem.bounds),
        *(r.site for r in problem.resources),
        *(site for t in problem.targets for site in t.sites),
        *(leg.site for v in problem.levers for leg in v.legs),
    )
    return {site: at for at, site in enumerate(dict.fromkeys(named))}


def _cost(lever: Lever) -> float:
    if math.isnan(lever.cost):
        return COST_MOST
    return min(max(lever.cost, COST_LEAST), COST_MOST)


def _floats(values: Sequence[float]) -> Floats:
    return np.array(values, dtype=float)


def _ints(values: Sequence[int]) -> Ints:
    return np.array(values, dtype=np.intp)


def _whole_steps(problem: Problem, wanted: Mapping[OfferId, float]) -> dict[OfferId, float]:
    """Round every lever up to a whole step, or down where a connection or coupling could not carry the step."""
    limits = Carried(problem)
    called: dict[OfferId, float] = {}
    for lever in sorted(problem.levers, key=lambda v: -wanted[v.offer]):
        share = step_up(lever, wanted[lever.offer])
        options = [share, *(step for step in reversed(lever.steps) if lever.at_least <= step < share)]
        called[lever.offer] = next((s for s in options if limits.fits(lever, s)), lever.at_least)
        limits.take(lever, called[lever.offer])
    return called
