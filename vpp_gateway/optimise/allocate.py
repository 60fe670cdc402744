"""Who gives what now: the exact closed form.

One direction per target, one tier after the other; inside a tier by water-filling. The caps form a tree
(resource inside feeder inside site inside target), so filling tier by tier is the optimum of the linear program in
`optimise.linear` (proven against scipy in the tests); levers come in whole steps, rounded up, and batteries give
back what a step is too much.

    easy part of batteries -> levers by cost -> those that would not last -> those that must prove themselves
                           -> rest of the batteries (kept for bridging)

Levers of equal disruption are taken by their share of own sun. How batteries use it, and that those which wear least
go first, before charge decides: `optimise.side`.

Levers with two legs (moves) couple targets: then `optimise.linear` decides how much of each is called, and this
module only shares out what remains.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from vpp_gateway.domain.fleet import FeederId
from vpp_gateway.domain.instruction import DeviceId, InstructionId, SiteId
from vpp_gateway.domain.order import OfferId
from vpp_gateway.domain.plan import Call, Lever, Plan, Problem, Reason, Resource, Share, Target
from vpp_gateway.optimise.by_site import BySite, by_site
from vpp_gateway.optimise.call_order import turn
from vpp_gateway.optimise.overshoot import without_overshoot
from vpp_gateway.optimise.side import EPSILON_W, Side, by_wear, finite, own_first
from vpp_gateway.optimise.steps import Carried, step_up

Used = dict[tuple[SiteId, FeederId | None, float], float]
"""Per connection or feeder and direction (1 down, -1 up): what targets before have taken of it, W (>= 0)."""


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
    carried, lies = Carried(problem), by_site(problem)
    used: Used = {}
    for target in problem.targets:
        if math.isnan(target.regulation_w):
            binding.append(_no_number("target", target.instruction))
            target = replace(target, regulation_w=0.0)
        if called is None:
            _call_levers(lies, target, calls, carried, used)
        need = target.regulation_w - _levers_w(lies, target, calls)
        side = _side(lies, target, need, calls, used)
        missing = _fill(side, abs(need))
        if lies.apart:  # else no other target has to do with the connections of this one
            _use(side, used)
        shares.extend(_shares(side, explain))
        if missing > EPSILON_W:
            over = need * target.regulation_w <= 0.0 and need != target.regulation_w
            binding.extend(_binding(side, missing, "bind.over" if over else "bind.missing"))
            binding.extend(_unsound(problem, side))
        shortfall.append((target.instruction, math.copysign(missing, need) if missing > EPSILON_W else 0.0))
    plan = Plan(
        problem=problem.id,
        method="closed_form",
        shares=tuple(shares),
        calls=tuple(_call(lever, calls) for lever in problem.levers),
        shortfall_w=tuple(shortfall),
        binding=tuple(binding),
    )
    if called is None:
        return without_overshoot(problem, plan, lambda other: closed_form(problem, other, explain=explain))
    return plan


def _use(side: Side, used: Used) -> None:
    """Note what this target's devices take of each connection. Nothing is credited: a device that fails shall not
    break the limit for another target that leans on it."""
    for resource in side.resources:
        for line in dict.fromkeys((None, resource.feeder)):
            key = (resource.site, line, side.sign)
            used[key] = used.get(key, 0.0) + side.given.get(resource.id, 0.0)


def _levers_w(lies: BySite, target: Target, calls: Mapping[OfferId, float]) -> float:
    """Regulation that levers give for one target, W."""
    return math.fsum(lies.levers_w(site, calls) for site in target.sites)


def _side(lies: BySite, target: Target, need: float, calls: Mapping[OfferId, float], used: Used) -> Side:
    sign = 1.0 if need >= 0 else -1.0
    caps: dict[SiteId, float] = {}
    spare: dict[SiteId, float] = {}
    resources = lies.resources_of(target)
    for site in dict.fromkeys((*target.sites, *(r.site for r in resources))):
        bounds = lies.bounds.get(site)
        if bounds is None:
            caps[site] = 0.0
            continue
        levers_w = lies.levers_w(site, calls)
        cap = bounds.down_max_w - levers_w if sign > 0 else bounds.up_max_w + levers_w
        caps[site] = finite(cap - used.get((site, None, sign), 0.0))
        if bounds.spare_sun_w is not None and math.isfinite(bounds.spare_sun_w):
            spare[site] = bounds.spare_sun_w + levers_w
    feeders: dict[FeederId | None, float] = {r.feeder: 0.0 for r in resources if r.feeder is not None}
    for id in [id for id in feeders if id is not None and id in lies.lines]:
        line = lies.lines[id]
        most = line.down_max_w if sign > 0 else line.up_max_w
        feeders[id] = finite(most - used.get((line.site, id, sign), 0.0))
    return Side(
        target=target,
        sign=sign,
        resources=resources,
        caps=caps,
        feeders=feeders,
        own=own_first(spare, sign, caps),
        kinds=by_wear(resources),
    )


def _fill(side: Side, amount: float) -> float:
    """Fill the easy parts, then the rest; returns what is missing."""
    left = amount
    left -= side.pour(left, [side.easy(r) for r in side.resources])
    if left > EPSILON_W:
        left -= side.pour(left, [side.room(r) - side.given.get(r.id, 0.0) for r in side.resources])
    return max(left, 0.0)


def _call_levers(
    lies: BySite, target: Target, calls: dict[OfferId, float], carried: Carried, used: Used
) -> None:
    """Call single-leg levers of this target, cheapest first, for what the easy parts of batteries leave open."""
    levers, tiers = lies.levers_of(target.sites), lies.problem.tiers
    for lever in levers:
        if lever.offer not in calls:
            calls[lever.offer] = lever.at_least
            carried.take(lever, lever.at_least)
    single = [lever for lever in levers if len(lever.legs) == 1]
    if not single:
        return
    need = target.regulation_w - _levers_w(lies, target, calls)
    side = _side(lies, target, need, calls, used)
    left = abs(need) - side.pour(abs(need), [side.easy(r) for r in side.resources])
    for lever in sorted(single, key=lambda v: turn(v, tiers)):
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


def _shares(side: Side, explain: bool) -> list[Share]:
    rows = []
    before = _before(side) if explain and side.kinds else {}
    for resource in side.resources:
        given = side.given.get(resource.id, 0.0)
        rows.append(
            Share(
                id=resource.id,
                site=resource.site,
                tier=resource.tier,
                regulation_w=side.sign * given if given else 0.0,
                reason=_why(side, resource, given, before.get(resource.id)) if explain else None,
            )
        )
    return rows


def _before(side: Side) -> dict[DeviceId, Resource]:
    """Of each battery one that gives something and comes before it, for it wears less: the nearest to it in wear."""
    found: dict[DeviceId, Resource] = {}
    last: Resource | None = None
    for kind in side.kinds:
        members = [side.resources[i] for i in kind]
        if last is not None:
            found.update(dict.fromkeys((r.id for r in members), last))
        last = next((r for r in members if side.given.get(r.id, 0.0) > EPSILON_W), last)
    return found


def _why(side: Side, resource: Resource, given: float, before: Resource | None) -> Reason:
    room = side.room(resource)
    values: tuple[tuple[str, str], ...]
    values = (("site", resource.site), ("w", f"{given:.0f}"), ("room_w", f"{room:.0f}"))
    if room <= EPSILON_W:
        code = "share.no_room"
    elif given >= room - EPSILON_W:
        code = "share.full"
    elif resource.feeder is not None and side.feeders[resource.feeder] <= EPSILON_W:
        code, values = "share.feeder", (*values, ("feeder", resource.feeder))
    elif given > side.easy(resource) + EPSILON_W:
        code = "share.bridging"
    elif resource.id in side.sunny:
        code = "share.own_sun"
    elif before is not None and given < min(side.easy(resource), side.lasting(resource)) - EPSILON_W:
        code, values = "share.wear", (*values, *_wears(resource, before))
    elif given > EPSILON_W:
        code = "share.proportional"
    else:
        code = "share.not_needed"
    return Reason(code=code, values=values)


def _wears(resource: Resource, before: Resource) -> tuple[tuple[str, str], ...]:
    wear, other = resource.wear_cost, before.wear_cost
    return ("wear", f"{wear:g}"), ("other", before.id), ("other_wear", f"{other:g}")


def _call(lever: Lever, calls: Mapping[OfferId, float]) -> Call:
    share = step_up(lever, calls.get(lever.offer, lever.at_least))
    step = next((i for i, value in enumerate(lever.steps) if value >= share - 1e-9), -1) if share else -1
    code = "call.needed" if share > lever.at_least else "call.held" if share else "call.not_needed"
    values: tuple[tuple[str, str], ...] = (("share", f"{share:.2f}"), ("cost", f"{lever.cost:g}"))
    if share and lever.short_s > 0.0:
        code, values = "call.short_lived", (*values, ("minutes", f"{math.ceil(lever.short_s / 60.0)}"))
    elif code == "call.needed" and lever.own_sun >= 0.01:
        code, values = "call.own_sun", (*values, ("sun_pct", f"{lever.own_sun * 100:.0f}"))
    return Call(
        offer=lever.offer,
        tier=lever.tier,
        step=step,
        share=share,
        reason=Reason(code=code, values=values),
    )


@dataclass(slots=True)
class _Line:
    """Batteries of a site on one feeder, or on none."""

    site: SiteId
    feeder: FeederId | None
    cap: float
    """What the feeder carries; infinite where there is none."""
    rooms: float = 0.0
    given: float = 0.0

    @property
    def able(self) -> float:
        return min(self.rooms, self.cap)


def _binding(side: Side, missing: float, code: str) -> list[Reason]:
    """Name what bound when a target could not be met: lifting exactly what is named lets it be met.

    The limit of a site, or of its feeders, or the rooms of its batteries, whichever is least; where that would still
    not do, what lies behind. The cut of `optimise.cut`, for a tree of three levels.
    """
    rows = [Reason(code=code, values=(("w", f"{missing:.0f}"),))]
    if not side.resources:
        places = ", ".join((*side.target.sites, *side.target.devices))
        rows.append(Reason(code="bind.no_resources", values=(("sites", places),)))
    sites = _lines(side)
    given = {site: math.fsum(line.given for line in lines) for site, lines in sites.items()}
    caps = {site: side.caps.get(site, 0.0) + given[site] for site in sites}
    asked = missing + math.fsum(given.values())
    full: dict[SiteId, None] = {}

    def able(site: SiteId) -> float:
        return math.fsum(line.able for line in sites[site])

    while sites and math.fsum(min(able(s), caps[s]) for s in sites) < asked - EPSILON_W:
        for site, lines in sites.items():
            if caps[site] < math.inf and caps[site] <= able(site) + EPSILON_W:
                at = "bind.export" if side.sign > 0 else "bind.import"
                rows.append(Reason(code=at, values=(("site", site),)))
                caps[site] = math.inf
                continue
            for line in lines:
                if line.cap < math.inf and line.cap <= line.rooms + EPSILON_W:
                    rows.append(_at_feeder(line))
                    line.cap = math.inf
                elif line.rooms < math.inf:
                    full[site] = None
                    line.rooms = math.inf
    if full and set(full) == set(sites):
        rows.append(Reason(code="bind.rooms", values=(("count", str(len(side.resources))),)))
    else:
        rows.extend(Reason(code="bind.site_rooms", values=(("site", site),)) for site in full)
    return rows


def _lines(side: Side) -> dict[SiteId, list[_Line]]:
    """The batteries of each site that has some, feeder by feeder."""
    lines: dict[tuple[SiteId, FeederId | None], _Line] = {}
    for resource in side.resources:
        key = (resource.site, resource.feeder)
        if key not in lines:
            lines[key] = _Line(site=key[0], feeder=key[1], cap=side.feeders.get(key[1], math.inf))
        given = side.given.get(resource.id, 0.0)
        lines[key].rooms += side.room(resource)
        lines[key].given += given
        lines[key].cap += given
    sites: dict[SiteId, list[_Line]] = {}
    for line in lines.values():
        sites.setdefault(line.site, []).append(line)
    return sites


def _at_feeder(line: _Line) -> Reason:
    return Reason(code="bind.feeder", values=(("feeder", str(line.feeder)), ("site", line.site)))


def _unsound(problem: Problem, side: Side) -> list[Reason]:
    """Rooms and limits of a target's sites that are no usable numbers; they count as 0."""
    target = side.target
    rows = [
        _no_number("battery", r.id)
        for r in side.resources
        if not all(0.0 <= w < math.inf for w in (r.down_room_w, r.up_room_w))
    ]
    bounds = [b for b in problem.bounds if b.site in target.sites]
    rows += [_no_number("site", b.site) for b in bounds if not (b.down_max_w >= 0.0 and b.up_max_w >= 0.0)]
    lines = [f for f in problem.feeders if f.site in target.sites]
    rows += [_no_number("feeder", f.id) for f in lines if not (f.down_max_w >= 0.0 and f.up_max_w >= 0.0)]
    return rows


def _no_number(kind: str, name: str) -> Reason:
    return Reason(code=f"bind.no_number_{kind}", values=(("name", name),))
