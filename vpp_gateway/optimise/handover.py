"""From the plan of the hour to the second: what the allocation may take now, and what is to be ordered now.

    plan   |--|--|----|--------|----------------|
                   ^ now: the step that holds it speaks
             floor      a battery goes below it for nothing but the product it is kept for
             cap        what a tier carries; the allocation goes beyond only where the tiers below it cannot
             calls      an offer that is to be real a latency from now is ordered now

A plan is read at any moment until it ends, so an old plan goes on: that is all that `the last good plan` needs. Pure.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import replace
from itertools import accumulate

from vpp_gateway.domain.horizon import HandOver, HorizonPlan, Series, StoreBounds, TierShare
from vpp_gateway.domain.order import OfferId


def step_at(plan: HorizonPlan, at: float) -> int | None:
    """Number of the step that holds `at` (UTC, Unix s); None outside the plan."""
    ends = list(accumulate(plan.lengths_s))
    since = at - plan.at
    if not 0.0 <= since < ends[-1]:
        return None
    return bisect_right(ends, since)


def hand_over(plan: HorizonPlan, now: float) -> HandOver | None:
    """What the plan says of `now`; None before it begins and after it has ended."""
    t = step_at(plan, now)
    if t is None:
        return None
    return HandOver(
        problem=plan.problem,
        until=plan.at + sum(plan.lengths_s[: t + 1]),
        stores=tuple(
            StoreBounds(
                id=store.id,
                discharge_w=store.discharge_w[t],
                floor_wh=store.floor_wh[t],
                ceiling_wh=store.ceiling_wh[t],
            )
            for store in plan.stores
        ),
        caps=tuple(
            TierShare(instruction=cap.instruction, sites=cap.sites, tier=cap.tier, regulation_w=w)
            for cap in plan.caps
            if (w := cap.regulation_w[t]) is not None
        ),
        calls=tuple((work.offer, work.share[t]) for work in plan.works),
    )


def due(
    plan: HorizonPlan, latency_s: Mapping[OfferId, float], now: float, within_s: float = 0.0
) -> dict[OfferId, float]:
    """Share of each offer that must be ordered by now, or within `within_s`, to be real when the plan wants it.

    Only for ordering more: what may end is told by the calls of `hand_over`, since work ends at once.

    Args:
        latency_s: From the order until the meter shows it; an offer that is missing has none.
        within_s: Until somebody asks again, s: what would fall due meanwhile is due now.
    """
    wanted: dict[OfferId, float] = {}
    for work in plan.works:
        shares = [
            work.share[t]
            for at in (now + latency_s.get(work.offer, 0.0), now + latency_s.get(work.offer, 0.0) + within_s)
            if (t := step_at(plan, at)) is not None
        ]
        wanted[work.offer] = max(shares, default=0.0)
    return wanted


def brief(plan: HorizonPlan) -> HorizonPlan:
    """What the allocation reads of a plan, in whole W and Wh: a journal keeps every plan of an armed day.

    Raises:
        ArithmeticError: a number is not finite.
    """
    rows = [row for one in plan.stores for row in (one.discharge_w, one.floor_wh, one.ceiling_wh)]
    rows += [one.share for one in plan.works] + [plan.lengths_s, (plan.at, plan.cost, plan.solve_s)]
    rows += [tuple(w for w in one.regulation_w if w is not None) for one in plan.caps]
    if not all(math.isfinite(w) for row in rows for w in row):
        raise ArithmeticError("the plan holds a number that is not finite")

    def whole(row: Series, down: bool = True) -> Series:
        # Floors are rounded up, ceilings down: never less is kept back than was planned.
        return tuple(float(math.floor(w + 1e-6) if down else math.ceil(w - 1e-6)) for w in row)

    return replace(
        plan,
        stores=tuple(
            replace(
                one,
                discharge_w=whole(one.discharge_w),
                stored_wh=(),
                floor_wh=whole(one.floor_wh, down=False),
                ceiling_wh=whole(one.ceiling_wh),
            )
            for one in plan.stores
        ),
        works=tuple(
            replace(one, share=tuple(round(share, 4) for share in one.share), rebound=())
            for one in plan.works
        ),
        connections=(),
        caps=tuple(
            replace(one, regulation_w=tuple(None if w is None else float(round(w)) for w in one.regulation_w))
            for one in plan.caps
        ),
        shortfalls=(),
        reserve_missing_w=(),
    )


def shifted(plan: HorizonPlan, now: float) -> HorizonPlan | None:
    """The plan from `now` on: steps that have passed are gone, the one in course is cut; None when it is over."""
    t = step_at(plan, now)
    if t is None:
        return None
    begun = now - plan.at - sum(plan.lengths_s[:t])

    def rest(row: Series) -> Series:
        return row[t:]

    return replace(
        plan,
        at=now,
        method="shifted",
        lengths_s=(plan.lengths_s[t] - begun, *plan.lengths_s[t + 1 :]),
        stores=tuple(
            replace(
                one,
                discharge_w=rest(one.discharge_w),
                stored_wh=rest(one.stored_wh),
                floor_wh=rest(one.floor_wh),
                ceiling_wh=rest(one.ceiling_wh),
            )
            for one in plan.stores
        ),
        works=tuple(replace(one, share=rest(one.share), rebound=rest(one.rebound)) for one in plan.works),
        connections=tuple(
            replace(
                one,
                import_w=rest(one.import_w),
                curtailed_w=rest(one.curtailed_w),
                over_limit_w=rest(one.over_limit_w),
            )
            for one in plan.connections
        ),
        caps=tuple(replace(one, regulation_w=one.regulation_w[t:]) for one in plan.caps),
        shortfalls=tuple(replace(one, regulation_w=rest(one.regulation_w)) for one in plan.shortfalls),
        reserve_missing_w=tuple((product, rest(row)) for product, row in plan.reserve_missing_w),
    )
