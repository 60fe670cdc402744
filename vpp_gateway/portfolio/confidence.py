"""How much of what was promised came: the record of past deliveries as a factor on what is offered.

    kept = 1 - mean shortfall / target          of each event that was measured; too much is no credit

Of n such events in order of `kept`, the k-th lowest with k = floor((n + 1)(1 - confidence)) is the factor: whatever
their distribution, the next one keeps at least that much with the confidence asked for, as long as it is like the past
ones (order statistics; the same count as split conformal prediction). Below 1 / (1 - confidence) - 1 events there is no
such k, and it is said that there is no history.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from vpp_gateway.domain.delivery import DeliveryRecord
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.portfolio.asset import Direction

SAMPLES_MIN = 30
"""Seconds that an event must have been measured to count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One past event: how much of its target came."""

    sites: frozenset[SiteId]
    direction: Direction
    share: float
    """0..1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """What the history says about the next delivery."""

    factor: float
    """On what is offered, 0..1; 1 without history."""
    events: int
    """Events that it rests on."""
    needed: int
    """Events that the confidence asked for needs."""

    @property
    def known(self) -> bool:
        """Whether there was enough history."""
        return self.events >= self.needed


def kept(record: DeliveryRecord, sites: Iterable[SiteId]) -> Kept | None:
    """What one record tells; None when nothing was asked, or it was not measured long enough."""
    target = record.target_regulation_w
    numbers = (target, record.shortfall_w)
    if record.samples < SAMPLES_MIN or not all(map(math.isfinite, numbers)) or abs(target) < 1.0:
        return None
    share = 1.0 - record.shortfall_w / abs(target)
    return Kept(
        sites=frozenset(sites),
        direction="down" if target > 0 else "up",
        share=min(1.0, max(0.0, share)),
    )


def confidence(
    history: Iterable[Kept], scope: frozenset[SiteId], direction: Direction, level: float
) -> Confidence:
    """The factor for `scope`, from the events that touched it in this direction.

    Args:
        level: How often at least the offer is to be delivered in full, 0..1 (1 excluded).
    """
    shares = sorted(
        row.share for row in history if row.direction == direction and (row.sites & scope or not row.sites)
    )
    needed = math.ceil(1.0 / (1.0 - level) - 1.0 - 1e-9)
    k = math.floor((len(shares) + 1) * (1.0 - level) + 1e-9)
    factor = shares[k - 1] if k >= 1 and len(shares) >= needed else 1.0
    return Confidence(factor=factor, events=len(shares), needed=needed)
