"""Who gives what now: the exact closed form.

One direction per target, one tier after the other; inside a tier by water-filling. The caps form a tree
(resource inside site inside target), so filling tier by tier is the optimum of the linear program in
`optimise.linear` (proven against scipy in the tests); levers come in whole steps, rounded up, and batteries give
back what a step is too much.

    easy part of batteries -> levers by cost -> rest of the batteries (the part kept for bridging)

Levers with two legs (moves) couple targets: then `optimise.linear` decides how much of each is called, and this
module only shares out what remains.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from vpp_gateway.domain.instruction import DeviceId, InstructionId, SiteId
from vpp_gateway.domain.order import OfferId
from vpp_gateway.domain.plan import Call, Lever, Plan, Problem, Reason, Resource, Share, Target
from vpp_gateway.optimise.steps import Carried, step_up
from vpp_gateway.optimise.water import share_out

EPSILON_W = 1e-6
Used = dict[tuple[SiteId, float], float]
"""Per connection and direction (1 down, -1 up): what targets before have taken of it, W (>= 0)."""


@dataclass(slots=True)
class _Side:
    """One target in one direction: magnitudes only."""

    target: Target
    sign: float
    resources: tuple[Resource, ...]
    caps: dict[SiteId, float]
    """Room left at the grid connection per site, in this direction."""
    given: dict[DeviceId, float] = field(default_factory=dict)

    def room(self, resource: Resource) -> float:
        return _finite(resource.down_room_w if self.sign > 0 else resource.up_room_w)

    def easy(self, resource: Resource) -> float:
        easy = resource.easy_down_w if self.sign > 0 else resource.easy_up_w
        return min(_finite(easy), self.room(resource))

    def weight(self, resource: Resource) -> float:
        weight = resource.weight_down if self.sign > 0 else resource.weight_up
        return weight if math.isfinite(weight) and weight > 0 else 1e-9

    def pour(self, amount: float, caps: Sequence[float]) -> float:
        """Give `amount` to the resources, each up to its cap on top of what it has; returns what was placed."""
        shares = share_out(
            amount,
            caps,
            [self.weight(r) for r in self.resources],
            [r.site for r in self.resources],
            self.caps,
        )
        for resource, share in zip(self.resources, shares, strict=True):
            self.given[resource.id] = self.given.get(resource.id, 0.0) + share
            self.caps[resource.site] = self.caps.get(resource.site, 0.0) - share
        return math.fsum(shares)


def closed_form(
    problem: Problem, called: Mapping[OfferId, float] | None = None, *, explain: bool = True
) -> Plan:
    """Solve `problem` exactly where its rows are nested.

    Args:
        problem: Every resource belongs to at most one target; where two of them share a connection, because one
            has single devices of the other's site, the earlier one has the first word.
        called: Share of each lever that is already decided (by `optimise.linear`); None = decide the
            single-leg levers here and leave moves uncalled.
        explain: Say why each device gives what it gives; half of the work, for nothing where nobody reads it.

    Returns:
        A plan; never raises for want of room: what is missing is `shortfall_w`, and `binding` says why. A target that
        is no number asks for nothing, and `binding` names it.
    """
    shares: list[Share] = []
    binding: list[Reason] = []
    shortfall: list[tuple[InstructionId, float]] = []
    calls = {} if called is None else dict(called)
    carried = Carried(problem)
    apart = any(target.devices for target in problem.targets)
    used: Used = {}
    for target in problem.targets:
        if math.isnan(target.regulation_w):
            binding.append(_no_number("target", target.instruction))
            target = replace(target, regulation_w=0.0)
        levers = [lever for lever in problem.levers if any(leg.site in target.sites for leg in lever.legs)]
        if called is None:
            _call_levers(problem, target, levers, calls, carried, used)
        need = target.regulation_w - math.fsum(
            leg.regulation_w * calls.get(lever.offer, lever.at_least)
            for lever in levers
            for leg in lever.legs
            if leg.site in target.sites
        )
        side = _side(problem, target, need, calls, used)
        missing = _fill(side, abs(need))
        if apart:  # else no other target has to do with the connections of this one
            _use(side, used)
        shares.extend(_shares(side, explain))
        if missing > EPSILON_W:
            binding.extend(_binding(side, missing))
            binding.extend(_unsound(problem, target))
        shortfall.append((target.instruction, math.copysign(missing, need) if missing > EPSILON_W else 0.0))
    return Plan(
        problem=problem.id,
        method="closed_form",
        shares=tuple(shares),
        calls=tuple(_call(lever, calls) for lever in problem.levers),
        shortfall_w=tuple(shortfall),
        binding=tuple(binding),
    )


def _finite(value: float) -> float:
    """A room that is not a number is no room: NaN must never mean unlimited."""
    return value if math.isfinite(value) and value > 0 else 0.0


def _use(side: _Side, used: Used) -> None:
    """Note what this target's devices take of each connection. Nothing is credited: a device that fails shall not
    break the limit for another target that leans on it."""
    for resource in side.resources:
        key = (resource.site, side.sign)
        used[key] = used.get(key, 0.0) + side.given.get(resource.id, 0.0)


def _side(problem: Problem, target: Target, need: float, calls: Mapping[OfferId, float], used: Used) -> _Side:
    sign = 1.0 if need >= 0 else -1.0
    caps: dict[SiteId, float] = {}
    for bounds in problem.bounds:
        levers_w = math.fsum(
            leg.regulation_w * calls.get(lever.offer, lever.at_least)
            for lever in problem.levers
            for leg in lever.legs
            if leg.site == bounds.site
        )
        cap = bounds.down_max_w - levers_w if sign > 0 else bounds.up_max_w + levers_w
        caps[bounds.site] = _finite(cap - used.get((bounds.site, sign), 0.0))
    resources = tuple(
        r for r in problem.resources if r.site in target.sites or (target.devices and r.id in target.devices)
    )
    if target.without:
        resources = tuple(r for r in resources if target.has(r.id, r.site))
    for site in (*target.sites, *(r.site for r in resources)):
        caps.setdefault(site, 0.0)
    return _Side(target=target, sign=sign, resources=resources, caps=caps)


def _fill(side: _Side, amount: float) -> float:
    """Fill the easy parts, then the rest; returns what is missing."""
    left = amount
    left -= side.pour(left, [side.easy(r) for r in side.resources])
    if left > EPSILON_W:
        left -= side.pour(left, [side.room(r) - side.given.get(r.id, 0.0) for r in side.resources])
    return max(left, 0.0)


def _call_levers(
    problem: Problem,
    target: Target,
    levers: Sequence[Lever],
    calls: dict[OfferId, float],
    carried: Carried,
    used: Used,
) -> None:
    """Call single-leg levers of this target, cheapest first, for what the easy parts of batteries leave open."""
    single = [lever for lever in levers if len(lever.legs) == 1]
    for lever in levers:
        if lever.offer not in calls:
            calls[lever.offer] = lever.at_least
            carried.take(lever, lever.at_least)
    held = math.fsum(
        leg.regulation_w * calls[v.offer] for v in levers for leg in v.legs if leg.site in target.sites
    )
    if not single:
        return
    need = target.regulation_w - held
    side = _side(problem, target, need, calls, used)
    left = abs(need) - side.pour(abs(need), [side.easy(r) for r in side.resources])
    for lever in sorted(single, key=lambda v: (problem.tiers.index(v.tier), *_disruption(v))):
        leg = lever.legs[0]
        gain = side.sign * leg.regulation_w
        if left <= EPSILON_W or gain <= 0:
            continue
        open_share = max(0.0, 1.0 - calls[lever.offer])
        wanted = calls[lever.offer] + min(open_share, left / gain)
        share = _fitting_step(lever, wanted, calls[lever.offer], side.caps.get(leg.site, 0.0) / gain, carried)
        carried.take(lever, share - calls[lever.offer])
        left -= (share - calls[lever.offer]) * gain
        side.caps[leg.site] = side.caps.get(leg.site, 0.0) - (share - calls[lever.offer]) * gain
        calls[lever.offer] = share


def _disruption(lever: Lever) -> tuple[int, float, float, OfferId]:
    """Least first: SLA tier, cost, downtime; a cost that is no number comes last."""
    return (
        lever.sla_tier,
        math.inf if math.isnan(lever.cost) else lever.cost,
        math.inf if math.isnan(lever.downtime_s) else lever.downtime_s,
        lever.offer,
    )


def _fitting_step(lever: Lever, wanted: float, now: float, room: float, carried: Carried) -> float:
    """The step that gives `wanted`, or the largest below it that the grid connection and the couplings carry."""
    share = step_up(lever, wanted)
    fitting = [
        step
        for step in lever.steps
        if now < step <= share + 1e-9
        and step - now <= room + 1e-9
        and carried.couplings_fit(lever, step - now)
    ]
    return fitting[-1] if fitting else now


def _shares(side: _Side, explain: bool) -> list[Share]:
    rows = []
    for resource in side.resources:
        given = side.given.get(resource.id, 0.0)
        rows.append(
            Share(
                id=resource.id,
                site=resource.site,
                tier=resource.tier,
                regulation_w=side.sign * given if given else 0.0,
                reason=_why(side, resource, given) if explain else None,
            )
        )
    return rows


def _why(side: _Side, resource: Resource, given: float) -> Reason:
    room = side.room(resource)
    values = (("site", resource.site), ("w", f"{given:.0f}"), ("room_w", f"{room:.0f}"))
    if room <= EPSILON_W:
        code = "share.no_room"
    elif given >= room - EPSILON_W:
        code = "share.full"
    elif given > side.easy(resource) + EPSILON_W:
        code = "share.bridging"
    elif given > EPSILON_W:
        code = "share.proportional"
    else:
        code = "share.not_needed"
    return Reason(code=code, values=values)


def _call(lever: Lever, calls: Mapping[OfferId, float]) -> Call:
    share = step_up(lever, calls.get(lever.offer, lever.at_least))
    step = next((i for i, value in enumerate(lever.steps) if value >= share - 1e-9), -1) if share else -1
    code = "call.needed" if share > lever.at_least else "call.held" if share else "call.not_needed"
    return Call(
        offer=lever.offer,
        tier=lever.tier,
        step=step,
        share=share,
        reason=Reason(code=code, values=(("share", f"{share:.2f}"), ("cost", f"{lever.cost:g}"))),
    )


def _binding(side: _Side, missing: float) -> list[Reason]:
    """Name what bound when a target could not be met: lifting exactly what is named lets it be met.

    The limit of a site, or the rooms of its batteries, whichever is less; where that would still not do, what lies
    behind. The cut of `optimise.cut`, for a tree of two levels.
    """
    rows = [Reason(code="bind.missing", values=(("w", f"{missing:.0f}"),))]
    if not side.resources:
        places = ", ".join((*side.target.sites, *side.target.devices))
        rows.append(Reason(code="bind.no_resources", values=(("sites", places),)))
    sites = (*side.target.sites, *(r.site for r in side.resources))
    rooms = dict.fromkeys(sites, 0.0)
    given = dict.fromkeys(sites, 0.0)
    for resource in side.resources:
        rooms[resource.site] += side.room(resource)
        given[resource.site] += side.given.get(resource.id, 0.0)
    caps = {site: side.caps.get(site, 0.0) + given[site] for site in rooms}
    asked = missing + math.fsum(given.values())
    helpful = [site for site in rooms if any(r.site == site for r in side.resources)]
    full: list[SiteId] = []
    while helpful and math.fsum(min(rooms[s], caps[s]) for s in helpful) < asked - EPSILON_W:
        for site in helpful:
            if caps[site] < math.inf and caps[site] <= rooms[site] + EPSILON_W:
                code = "bind.export" if side.sign > 0 else "bind.import"
                rows.append(Reason(code=code, values=(("site", site),)))
                caps[site] = math.inf
            elif rooms[site] < math.inf:
                full.append(site)
                rooms[site] = math.inf
    if full and set(full) == set(helpful):
        rows.append(Reason(code="bind.rooms", values=(("count", str(len(side.resources))),)))
    else:
        rows.extend(Reason(code="bind.site_rooms", values=(("site", site),)) for site in full)
    return rows


def _unsound(problem: Problem, target: Target) -> list[Reason]:
    """Rooms and limits of a target's sites that are no usable numbers; they count as 0."""
    rows = [
        _no_number("battery", r.id)
        for r in problem.resources
        if target.has(r.id, r.site) and not all(0.0 <= w < math.inf for w in (r.down_room_w, r.up_room_w))
    ]
    bounds = [b for b in problem.bounds if b.site in target.sites]
    rows += [_no_number("site", b.site) for b in bounds if not (b.down_max_w >= 0.0 and b.up_max_w >= 0.0)]
    return rows


def _no_number(kind: str, name: str) -> Reason:
    return Reason(code=f"bind.no_number_{kind}", values=(("name", name),))
