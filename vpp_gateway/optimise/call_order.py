"""Which lever is called before which, and which is taken back first: the other way round."""

from __future__ import annotations

import math
from collections.abc import Sequence

from vpp_gateway.domain.fleet import TierName
from vpp_gateway.domain.order import OfferId
from vpp_gateway.domain.plan import Lever

Turn = tuple[bool, bool, int, int, float, float, float, OfferId]


def turn(lever: Lever, tiers: Sequence[TierName]) -> Turn:
    """Sorts levers, first called first: those that must prove themselves and those that would not last come last, then
    by tier, SLA tier, cost, downtime, own sun; a cost that is no number comes last.

    Args:
        tiers: Order of call.
    """
    return (
        lever.unproven,
        lever.short_s > 0.0,
        tiers.index(lever.tier),
        lever.sla_tier,
        math.inf if math.isnan(lever.cost) else lever.cost,
        math.inf if math.isnan(lever.downtime_s) else lever.downtime_s,
        0.0 if math.isnan(lever.own_sun) else -lever.own_sun,
        lever.offer,
    )
