"""What shifted work still takes when it is given back: an offer promises how much at most, an order owes its part."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vpp_gateway.dispatch.shift_record import ShiftRecord
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.plan import MoveLeg

LONGEST_S = 3600.0
"""No debt is waited for longer, whatever its offer says: so long the baseline of its site stands still at most."""
LEAST_WH = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Debt:
    """What work that was given back still takes."""

    legs: tuple[MoveLeg, ...]
    """What it gave where, W of regulation: its energy comes back at the same places."""
    owed_wh: float
    """In all, at its larger leg."""
    since: float
    """UTC (Unix s)."""
    within_s: float

    def left_s(self, now: float) -> float:
        return self.since + self.within_s - now

    def left_wh(self, now: float) -> float:
        """What is still to come if it comes evenly, Wh."""
        return self.owed_wh * min(1.0, max(0.0, self.left_s(now)) / self.within_s)

    def part(self, site: SiteId) -> float:
        """Part of it that one site takes on top, 0..1."""
        largest = max((abs(leg.regulation_w) for leg in self.legs), default=0.0)
        here = math.fsum(leg.regulation_w for leg in self.legs if leg.site == site)
        return max(0.0, here) / largest if largest > 0.0 else 0.0

    def back_w(self, site: SiteId) -> float:
        """Import that it adds at one site if it comes evenly, W."""
        return self.part(site) * self.owed_wh * 3600.0 / self.within_s


def debt_of(record: ShiftRecord, now: float) -> Debt | None:
    """What an order owes if it is given back now; None: nothing to speak of."""
    offer = record.offer
    if record.active_at is None or offer.sustain_s <= 0.0 or not 0.0 < offer.rebound_within_s < math.inf:
        return None
    held = min(1.0, max(0.0, now - record.active_at) / offer.sustain_s)
    owed_wh = offer.rebound_wh * record.share * held
    if not LEAST_WH <= owed_wh < math.inf:
        return None
    sites = dict.fromkeys(leg.site for leg in offer.legs)
    return Debt(
        legs=tuple(MoveLeg(site=site, regulation_w=record.regulation_w(site)) for site in sites),
        owed_wh=owed_wh,
        since=now,
        within_s=min(offer.rebound_within_s, LONGEST_S),
    )
