"""What a plan left uncalled, with its price and why: worked out from the problem and its plan when somebody asks.

    wrong way      at the sites that are asked it would add to what is to be relieved
    no step fits   a grid connection, or a limit that offers share, carries no further step of it
    unproven       it failed or was late, and what works suffices
    not needed     the batteries alone, or levers that come before it, suffice: what lasts to the end, then by
                   service level, cost, downtime

So the path that a plan is made on carries nothing of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.order import OfferId
from vpp_gateway.domain.plan import Lever, Plan, Problem, Reason
from vpp_gateway.optimise.steps import SLACK_W, Carried

SHARE_SLACK = 1e-9


def not_called(problem: Problem, plan: Plan, sites: Sequence[SiteId]) -> tuple[Reason, ...]:
    """One reason per lever at `sites` of which something was left; what a plan would call first comes first.

    Args:
        problem: What was asked.
        plan: Its answer.
        sites: Those that the instruction in question rules.
    """
    shares = {call.offer: call.share for call in plan.calls}
    rows = [
        (_price(lever), _why(problem, lever, shares, sites))
        for lever in problem.levers
        if any(leg.site in sites for leg in lever.legs)
        and shares.get(lever.offer, 0.0) < lever.steps[-1] - SHARE_SLACK
    ]
    return tuple(reason for _, reason in sorted(rows, key=lambda row: row[0]))


def _price(lever: Lever) -> tuple[bool, bool, int, float, float]:
    """What decides between two levers, least first; a number that is none comes last."""
    cost, downtime = lever.cost, lever.downtime_s
    return (
        lever.unproven,
        lever.short_s > 0.0,
        lever.sla_tier,
        math.inf if math.isnan(cost) else cost,
        math.inf if math.isnan(downtime) else downtime,
    )


def _why(problem: Problem, lever: Lever, shares: Mapping[OfferId, float], sites: Sequence[SiteId]) -> Reason:
    share = shares.get(lever.offer, 0.0)
    here = [leg for leg in lever.legs if leg.site in sites]
    sign = _sign(problem, sites)
    values = (
        ("offer", lever.name or lever.offer),
        ("cost", f"{lever.cost:g}"),
        ("w", f"{abs(math.fsum(leg.regulation_w for leg in here)) * (lever.steps[-1] - share):.0f}"),
    )
    if math.fsum(sign * leg.regulation_w for leg in here) <= 0.0:
        return Reason(code="lever.wrong_way", values=(*values, ("sites", ", ".join(sites))))
    step = next(step for step in lever.steps if step > share + SHARE_SLACK)
    bound = next(_misfits(problem, lever, shares, step - share), None)
    if bound is not None:
        return Reason(code=bound.code, values=(*values, *bound.values))
    beside = [v for v in problem.levers if any(leg.site in sites for leg in v.legs)]
    return _unneeded(beside, lever, shares, values)


def _sign(problem: Problem, sites: Sequence[SiteId]) -> float:
    """The direction that is asked of `sites`: 1 down, -1 up."""
    asked = math.fsum(t.regulation_w for t in problem.targets if set(t.sites) & set(sites))
    return -1.0 if asked < 0.0 else 1.0


def _misfits(
    problem: Problem, lever: Lever, shares: Mapping[OfferId, float], more: float
) -> Iterator[Reason]:
    """What cannot carry this much more of a lever, beside all that is called."""
    carried = Carried(problem)
    called_w: dict[SiteId, float] = {}
    for other in problem.levers:
        carried.take(other, shares.get(other.offer, 0.0))
        for leg in other.legs:
            w = leg.regulation_w * shares.get(other.offer, 0.0)
            called_w[leg.site] = called_w.get(leg.site, 0.0) + w
    bounds = {bound.site: bound for bound in problem.bounds}
    for leg in lever.legs:
        bound, w = bounds.get(leg.site), leg.regulation_w * more
        before = called_w.get(leg.site, 0.0)
        room = 0.0 if bound is None else bound.down_max_w - before if w > 0 else bound.up_max_w + before
        if abs(w) > room + SLACK_W or math.isnan(room):
            values = (("site", leg.site), ("step_w", f"{abs(w):.0f}"), ("room_w", f"{max(room, 0.0):.0f}"))
            yield Reason(code="lever.export" if w > 0 else "lever.import", values=values)
    if not carried.couplings_fit(lever, more):
        names = (c.name for c in problem.couplings if any(use.offer == lever.offer for use in c.uses))
        yield Reason(code="lever.coupling", values=(("name", ", ".join(names)),))


def _unneeded(
    beside: Sequence[Lever],
    lever: Lever,
    shares: Mapping[OfferId, float],
    values: tuple[tuple[str, str], ...],
) -> Reason:
    """Nothing hindered it: what came before it was enough."""
    used = [v for v in beside if shares.get(v.offer, 0.0) > 0.0 and v.offer != lever.offer]
    if shares.get(lever.offer, 0.0) > 0.0:
        return Reason(code="lever.enough", values=(*values, ("share", f"{shares[lever.offer]:.0%}")))
    if lever.unproven and used:
        return Reason(code="lever.unproven", values=values)
    if lever.offer.startswith(STANDING):
        return Reason(code="lever.back", values=values)
    fresh = [v for v in used if not v.offer.startswith(STANDING)]
    if not fresh:
        return Reason(code="lever.standing" if used else "lever.batteries", values=values)
    last = max(fresh, key=_price)
    other: tuple[tuple[str, str], ...] = (
        ("other", last.name or last.offer),
        ("other_cost", f"{last.cost:g}"),
    )
    mine, its = _price(lever), _price(last)
    if mine <= its and mine != its:
        code = "lever.optimum"
    elif mine[1] != its[1]:
        held = (("seconds", f"{lever.lasts_s:.0f}"), ("left", f"{lever.lasts_s + lever.short_s:.0f}"))
        code, other = "lever.short", (*other, *held)
    elif mine[2] != its[2]:
        code = "lever.service"
    elif mine[3] != its[3]:
        code = "lever.dearer"
    elif mine[4] != its[4]:
        code, other = "lever.downtime", (*other, ("seconds", f"{lever.downtime_s:g}"))
    else:
        code = "lever.equal"
    return Reason(code=code, values=(*values, *other))


STANDING = "order:"
"""Levers that are orders already given are named so by `dispatch.shift`."""
