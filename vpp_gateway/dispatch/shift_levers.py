"""What a plan may call of the workload tier: fresh offers, and orders that stand and can be held still.

fresh offer       called by its cost; an unproven one after all others while an order works that could be let go for it
order that works  held or taken back, with what it would take on top then; held for its dwell, and while an unproven
                  one beside it is on trial
order that waits  nothing: it is over, and returns in its turn (`rebound`)
order on its way  held: the batteries bridge until it is real
order overdue     nothing: what the meters show of it is all there is
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from vpp_gateway.dispatch.debt import debt_of
from vpp_gateway.dispatch.shift import Shifts
from vpp_gateway.dispatch.shift_record import ShiftRecord, held_id, lever_name
from vpp_gateway.domain.fleet import WORKLOAD
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.order import Offer, ShiftState
from vpp_gateway.domain.plan import Lever, MoveLeg
from vpp_gateway.domain.quantity import regulation_of

HELD_COST = 0.5
"""An order that stands is cheaper than a fresh one of the same cost: moving work back and forth costs service."""


def levers_of(
    shifts: Shifts, at: float, now: float, ends: Mapping[SiteId, float] | None = None
) -> tuple[Lever, ...]:
    """What a plan for `at` may call.

    Args:
        ends: When what is asked of a site ends, UTC (Unix s). What only becomes real after that is no
            lever: it would disturb the work and serve nothing.
    """
    works = shifts.works()
    fresh = (
        replace(_lever(offer), unproven=works and shifts.doubts.unproven(offer))
        for offer in shifts.callable_offers(now)
        if offer.valid_until > at and (ends is None or not too_late(offer, at, ends))
    )
    orders = [r for r in shifts.standing() if r.committed and not r.waits and not r.overdue(now)]
    on_trial = any(shifts.doubts.unproven(record.offer) for record in orders)
    standing = (
        _standing(
            record, max(at, now), now, kept=_dwells(record, shifts.dwell_s, now) or (on_trial and trusted)
        )
        for record in orders
        if record.lasts_s(now) > 0.0
        for trusted in (not shifts.doubts.unproven(record.offer),)
    )
    return (*fresh, *standing)


def too_late(offer: Offer, at: float, ends: Mapping[SiteId, float]) -> bool:
    """Whether an offer that is called at `at` becomes real only when nothing is asked of its sites any more."""
    until = max((ends[leg.site] for leg in offer.legs if leg.site in ends), default=math.inf)
    return at + max(leg.latency_s for leg in offer.legs) >= until


def _dwells(record: ShiftRecord, dwell_s: float, now: float) -> bool:
    """A mere new plan leaves it alone: it is on its way, or not active for long enough."""
    return record.active_at is None or now < record.active_at + max(dwell_s, record.offer.min_dwell_s)


def at_stake_w(shifts: Shifts, now: float) -> dict[SiteId, float]:
    """Regulation per site that would be missing if all active orders were given back now, W: what they give, and what
    they would take on top. Orders that wait to return are nobody's to give back."""
    total = shifts.active_w()
    for record in shifts.standing():
        if record.waits or record.state is not ShiftState.ACTIVE or (debt := debt_of(record, now)) is None:
            continue
        for leg in debt.legs:
            total[leg.site] = total.get(leg.site, 0.0) + debt.back_w(leg.site)
    return total


def _standing(record: ShiftRecord, at: float, now: float, *, kept: bool) -> Lever:
    """An order as a lever: held, it gives what it gives and spares what it would take on top (`at_stake_w`)."""
    lever, debt = _lever(record.offer), debt_of(record, now)
    if debt is not None and record.state is ShiftState.ACTIVE:
        owed = {leg.site: debt.back_w(leg.site) / record.share for leg in debt.legs}
        legs = (replace(leg, regulation_w=leg.regulation_w + owed.get(leg.site, 0.0)) for leg in lever.legs)
        lever = replace(lever, legs=tuple(legs))
    return replace(
        lever,
        offer=held_id(record),
        steps=(record.share,),
        cost=record.offer.cost * HELD_COST,
        at_least=record.share if kept else 0.0,
        lasts_s=record.lasts_s(at),
        stands=True,
    )


def _lever(offer: Offer) -> Lever:
    return Lever(
        offer=offer.id,
        tier=WORKLOAD,
        legs=tuple(
            MoveLeg(site=leg.site, regulation_w=regulation_of(leg.import_delta_w)) for leg in offer.legs
        ),
        steps=offer.steps,
        cost=offer.cost,
        name=lever_name(offer),
        sla_tier=offer.sla_tier,
        downtime_s=offer.downtime_s,
        lasts_s=offer.sustain_s,
    )
