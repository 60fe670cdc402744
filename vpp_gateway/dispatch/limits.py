"""A limit is kept whether or not anybody asks for something: what the load alone would pass, batteries hold.

    load 400 kW, import_max 300 kW     ->  at least 100 kW of regulation at that site
    load -80 kW, export_max  50 kW     ->  at most -30 kW (the batteries take 30 kW)

The allocation knows a limit as room that it does not use up. Where that is not enough, the site is taken out of the
instruction that rules it, given what the limit demands, and the instruction gets the difference from its other sites.
What is then still missing is lent by batteries of the site that somebody rules alone, on top of what they give for him.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from vpp_gateway.dispatch.sites import Sites
from vpp_gateway.domain.fleet import FeederId
from vpp_gateway.domain.instruction import DeviceId, InstructionId, Limit, SiteId
from vpp_gateway.domain.plan import FeederBounds, Plan, Problem, Share, SiteBounds, Target
from vpp_gateway.optimise.allocate import closed_form
from vpp_gateway.portfolio.timeline import Bound, InForce, Timeline

Bounded = TypeVar("Bounded", SiteBounds, FeederBounds)
EPSILON_W = 1e-3
TOLERANCE = 0.01
"""Of a limit: what it is passed by from one second to the next, while the load moves, is no breach."""


def passed_w(limit: Limit, load_w: float) -> float:
    """Regulation that a limit demands of a site with this load, W; 0 while the load alone keeps it."""
    if limit.import_max_w is not None and load_w > limit.import_max_w:
        return load_w - limit.import_max_w
    if limit.export_max_w is not None and load_w < -limit.export_max_w:
        return load_w + limit.export_max_w
    return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An allocation that keeps every limit in force."""

    problem: Problem
    plan: Plan
    rows: tuple[InForce, ...]
    """Who rules what in it; a site that is held to its limit is ruled by the limit."""
    lent: Mapping[DeviceId, tuple[float, InstructionId]] = field(default_factory=dict)
    """What batteries give for a limit of their site beside what they give for him who rules them alone: W of
    regulation, and whose limit it is."""
    short: Mapping[SiteId, InstructionId] = field(default_factory=dict)
    """Sites whose limit asks for more than their batteries can give and their connection carries, and whose it is."""


def keep_limits(problem: Problem, rows: tuple[InForce, ...], timeline: Timeline, now: float) -> Kept:
    """Solve, and solve again while a site would be beyond a limit that was ordered for it.

    Args:
        problem: Of this second, with every battery that may be needed, and with `SiteBounds.must_w`.
    """
    kept = Kept(problem=problem, plan=closed_form(problem, explain=False), rows=rows)
    musts = {b.site: b for b in problem.bounds if b.must_w}
    if not musts:
        return kept
    orders = _orders(timeline.bounds_at(now), musts)
    pinned: dict[SiteId, float] = {}
    while beyond := _beyond(kept.plan, musts, pinned):
        pinned |= beyond
        kept = _pin(problem, rows, pinned, orders, timeline, kept.plan, now)
    kept = _lend(kept, musts, orders, timeline.home)
    short = {site: orders[site] for site in _beyond(kept.plan, musts, {}) if site in orders}
    return replace(kept, short=short)


def _beyond(
    plan: Plan, musts: Mapping[SiteId, SiteBounds], pinned: Mapping[SiteId, float]
) -> dict[SiteId, float]:
    """Sites where the plan gives less than their limit demands."""
    given = _given(plan.shares)
    return {
        site: bounds.must_w
        for site, bounds in musts.items()
        if site not in pinned
        and (bounds.must_w - given.get(site, 0.0)) * math.copysign(1.0, bounds.must_w) > EPSILON_W
    }


def _given(shares: Iterable[Share]) -> dict[SiteId, float]:
    given: dict[SiteId, float] = {}
    for share in shares:
        given[share.site] = given.get(share.site, 0.0) + share.regulation_w
    return given


def _orders(bounds: Iterable[Bound], musts: Mapping[SiteId, SiteBounds]) -> dict[SiteId, InstructionId]:
    """Whose limit it is that demands something of a site."""
    found = {}
    for bound in bounds:
        if bound.device is None and bound.site in musts:
            by = bound.import_by if musts[bound.site].must_w > 0 else bound.export_by
            if by is not None:
                found[bound.site] = by
    return found


def _pin(
    problem: Problem,
    rows: tuple[InForce, ...],
    pinned: Mapping[SiteId, float],
    orders: Mapping[SiteId, InstructionId],
    timeline: Timeline,
    before: Plan,
    now: float,
) -> Kept:
    """The same problem with some sites held to their limits."""
    devices = {device for row in rows for device in row.devices}
    apart = _given(share for share in before.shares if share.id in devices)
    holding, targets = [], []
    for site, must_w in pinned.items():
        limit = timeline.get(orders[site]) if site in orders else None
        phase = None if limit is None else limit.phase_at(now)
        if limit is None or phase is None:
            continue
        lost = tuple((device, limit.id) for device in sorted(devices))
        holding.append(InForce(instruction=limit, phase=phase, sites=(site,), lost=(), lost_devices=lost))
        targets.append(
            Target(
                instruction=limit.id,
                sites=(site,),
                regulation_w=must_w - apart.get(site, 0.0),
                without=tuple(sorted(devices)),
            )
        )
    # What a site held to its limit gives, not what is demanded of it: that may be more than it has.
    # Devices that give for another instruction use the same connection, and their power is not the award's.
    own = (target for target in problem.targets if target.devices)
    alone = [
        replace(
            target,
            sites=(),
            regulation_w=math.fsum(s.regulation_w for s in before.shares if s.id in target.devices),
        )
        for target in own
    ]
    first = closed_form(replace(problem, targets=(*alone, *targets)), explain=False)
    got = _given(share for share in first.shares if share.id not in devices)
    targets = [
        replace(
            target,
            sites=tuple(site for site in target.sites if site not in pinned),
            regulation_w=target.regulation_w
            - math.fsum(got.get(s, 0.0) for s in target.sites if s in pinned),
        )
        for target in problem.targets
    ] + targets
    held = replace(problem, targets=tuple(targets))
    left = tuple(replace(row, sites=tuple(site for site in row.sites if site not in pinned)) for row in rows)
    return Kept(problem=held, plan=closed_form(held, explain=False), rows=(*left, *holding))


def _lend(
    kept: Kept,
    musts: Mapping[SiteId, SiteBounds],
    orders: Mapping[SiteId, InstructionId],
    home: Mapping[DeviceId, SiteId],
) -> Kept:
    """With what is still beyond a limit, from batteries that are ruled alone, as far as they have room left."""
    given = _given(kept.plan.shares)
    alone = [device for row in kept.rows for device in row.devices]
    missing = {site: must_w - given.get(site, 0.0) for site, must_w in _beyond(kept.plan, musts, {}).items()}
    targets = tuple(
        Target(instruction=orders[site], sites=(), regulation_w=w, devices=devices)
        for site, w in missing.items()
        if site in orders and (devices := tuple(device for device in alone if home[device] == site))
    )
    if not targets:
        return kept
    by = {device: target.instruction for target in targets for device in target.devices}
    left = replace(_left(kept.problem, kept.plan, given), targets=targets)
    lent_w = {share.id: share.regulation_w for share in closed_form(left, explain=False).shares}
    shares = tuple(
        replace(share, regulation_w=share.regulation_w + lent_w.get(share.id, 0.0))
        for share in kept.plan.shares
    )
    lent = {device: (w, by[device]) for device, w in lent_w.items() if abs(w) > EPSILON_W}
    return replace(kept, plan=replace(kept.plan, shares=shares), lent=lent)


def _left(problem: Problem, plan: Plan, given: Mapping[SiteId, float]) -> Problem:
    """The room beside a plan."""
    gives = {share.id: share.regulation_w for share in plan.shares}
    on_line: dict[FeederId | None, float] = {}
    resources = []
    for one in problem.resources:
        w = gives.get(one.id, 0.0)
        on_line[one.feeder] = on_line.get(one.feeder, 0.0) + w
        down_w, up_w = max(0.0, one.down_room_w - w), max(0.0, one.up_room_w + w)
        left = replace(one, down_room_w=down_w, up_room_w=up_w, easy_down_w=down_w, easy_up_w=up_w)
        lasting_down_w, lasting_up_w = one.lasting_down_w - w, one.lasting_up_w + w
        resources.append(replace(left, lasting_down_w=lasting_down_w, lasting_up_w=lasting_up_w))
    return replace(
        problem,
        resources=tuple(resources),
        bounds=tuple(_shifted(bounds, given.get(bounds.site, 0.0)) for bounds in problem.bounds),
        feeders=tuple(_shifted(line, on_line.get(line.id, 0.0)) for line in problem.feeders),
    )


def _shifted(bounds: Bounded, w: float) -> Bounded:
    return replace(bounds, down_max_w=max(0.0, bounds.down_max_w - w), up_max_w=max(0.0, bounds.up_max_w + w))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limited:
    """What one limit demands this second, and what of it is kept, W of regulation by site."""

    must_w: float
    by_site_w: Mapping[SiteId, float]
    passed: tuple[SiteId, ...]
    """Sites that are beyond it now."""


def kept_now(sites: Sites, bounds: Iterable[Bound]) -> dict[InstructionId, Limited]:
    """Every limit that is seen by a meter now: what it demands of its sites, and how much of that the meters show."""
    found: dict[InstructionId, dict[SiteId, tuple[float, float]]] = {}
    passed: dict[InstructionId, list[SiteId]] = {}
    for bound in bounds:
        state = sites[bound.site]
        if bound.device is not None or state.seen_w is None or state.load_w is None:
            continue
        for by, limit_w, sign in (
            (bound.import_by, bound.import_max_w, 1.0),
            (bound.export_by, bound.export_max_w, -1.0),
        ):
            if by is None or limit_w is None:
                continue
            must = max(0.0, sign * state.load_w - limit_w)
            excess = max(0.0, sign * state.seen_w - limit_w - TOLERANCE * abs(limit_w))
            found.setdefault(by, {})[bound.site] = (sign * must, sign * (must - excess))
            if excess > 0.0:
                passed.setdefault(by, []).append(bound.site)
    return {
        id: Limited(
            must_w=math.fsum(must for must, _ in rows.values()),
            by_site_w={site: kept for site, (_, kept) in rows.items()},
            passed=tuple(passed.get(id, ())),
        )
        for id, rows in found.items()
    }
