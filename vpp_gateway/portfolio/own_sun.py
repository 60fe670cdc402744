"""A site's own sun: what its PV gives beyond what the site takes, and which offers would take it up.

    spare sun = PV - what the site takes = -(import at the PCC without what we command)         W, signed

Above zero it flows out over the grid connection, or charges what we let charge; below zero the site takes all of it.
Where the import stands at the export limit, the inverters probably hold PV back, and nobody measures what they could give:
then the spare sun is what a forecast says or, without one, without bound. Once more is taken up there than the sun gives,
the import leaves the limit and the spare sun is measured again: so the doubt ends by itself within a plan or two.

It decides between equals only (`optimise.allocate`), never how much is given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.plan import Lever
from vpp_gateway.portfolio.envelope import NO_BOUND_W

AT_LIMIT = 0.01
"""Nearer to the export limit than this share of its power, PV is taken to be held back."""


def spare_sun_w(
    load_w: float,
    pv_w: float | None,
    import_w: float | None,
    export_max_w: float,
    forecast_w: float | None = None,
) -> float | None:
    """PV of a site beyond its own use, W; < 0 = use beyond its PV; None = nothing is known of its sun.

    Args:
        load_w: Import at the PCC without our batteries and shifts.
        pv_w: What PV gives by its meter.
        import_w: Import at the PCC as it is now; None = not seen now, then nothing is said of PV held back.
        export_max_w: Export that is allowed there.
        forecast_w: What PV could give by a forecast; None = there is none.
    """
    if pv_w is None or not (math.isfinite(pv_w) and math.isfinite(load_w)):
        return None
    pv_w, beyond_w = max(0.0, pv_w), -load_w
    if pv_w > 0.0 and import_w is not None and import_w <= AT_LIMIT * pv_w - export_max_w:
        if forecast_w is None or not math.isfinite(forecast_w):
            return NO_BOUND_W
        return beyond_w + max(0.0, forecast_w - pv_w)
    return min(beyond_w, pv_w)


def with_own_sun(levers: tuple[Lever, ...], spare_w: Mapping[SiteId, float]) -> tuple[Lever, ...]:
    """The levers with their share of own sun.

    Each surplus is given out once: to the least disruptive lever first.

    Args:
        spare_w: Spare sun by site, signed (`spare_sun_w`); a site that is missing has no sun of its own.
    """
    if not spare_w:
        return levers
    left = dict(spare_w)
    shares = {}
    for lever in sorted(
        levers, key=lambda v: (v.unproven, v.short_s > 0.0, v.sla_tier, v.cost, v.downtime_s, v.offer)
    ):
        size_w = max((abs(leg.regulation_w) for leg in lever.legs), default=0.0)
        gained_w = 0.0
        for leg in lever.legs:
            spare = left.get(leg.site)
            if spare is None:
                continue
            if leg.regulation_w < 0.0:
                taken = min(max(spare, 0.0), -leg.regulation_w)
                left[leg.site] = spare - taken
                gained_w += taken
            else:
                gained_w -= min(max(spare + leg.regulation_w, 0.0), leg.regulation_w)
        shares[lever.offer] = gained_w / size_w if 0.0 < size_w < math.inf else 0.0
    return tuple(replace(lever, own_sun=shares[lever.offer]) for lever in levers)
