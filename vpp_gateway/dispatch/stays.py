"""How long work stays once it is real, as the plan of the hour counts on it.

What work with a rebound saves comes back when it ends. So such work is not taken to end before less is asked for: to
spare it for a while would cost what it had saved.

    steps of the plan   |  |  |   |    |      |        |      who rules is read once for each, in its middle, as the
    asked of its site         [==========================)    plan does
    work, real from               |......................|    stays so long
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from operator import itemgetter

from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.order import Offer
from vpp_gateway.portfolio.outlook import middles
from vpp_gateway.portfolio.timeline import InForce, Timeline

_end = itemgetter(0)


class Stays:
    """The dwell of work in one problem of the hour.

    Args:
        now: UTC (Unix s), when the first step begins.
        lengths_s: Of the steps.
        dwell_s: No work is taken to end earlier than that.
    """

    def __init__(self, timeline: Timeline, now: float, lengths_s: Sequence[float], dwell_s: float) -> None:
        self._dwell_s, self._horizon_s = dwell_s, math.fsum(lengths_s)
        ends = (now + after_s for after_s in accumulate(lengths_s))
        self._steps = [(end, timeline.at(at)) for end, at in zip(ends, middles(now, lengths_s), strict=True)]
        self._of: dict[tuple[SiteId, ...], list[tuple[float, InForce]]] = {}

    def dwell_s(self, offer: Offer, since: float) -> float:
        """How long work that is real from `since` (UTC, Unix s) on stays, s."""
        least_s = max(self._dwell_s, offer.min_dwell_s)
        if offer.rebound_wh <= 0.0:
            return least_s
        rows = self._ruling(tuple(dict.fromkeys(leg.site for leg in offer.legs)))
        for _, row in rows[bisect_right(rows, since, key=_end) :]:
            end_at = since + self._horizon_s if row.phase.end_at is None else row.phase.end_at
            if end_at > since:
                return max(least_s, end_at - max(since, row.phase.start_at))
        return least_s

    def _ruling(self, sites: tuple[SiteId, ...]) -> list[tuple[float, InForce]]:
        """The steps in which something is asked of one of these sites, by their ends, and what that is."""
        if sites not in self._of:
            found = (
                (end, next((r for r in rows if set(sites) & set(r.sites)), None)) for end, rows in self._steps
            )
            self._of[sites] = [(end, row) for end, row in found if row is not None]
        return self._of[sites]
