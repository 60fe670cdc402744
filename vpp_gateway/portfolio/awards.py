"""What is sold already: every block of an award may be called, so each is a promise of its own in the ledger."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.product import Award, Product
from vpp_gateway.portfolio.asset import Direction
from vpp_gateway.portfolio.ledger import Ledger, Promise

AWARDS_AHEAD_S = 8 * 86400.0
"""Awards beyond this do not bind what is offered now."""
SPARE_FOR_S = 1800.0
"""Awards are placed so that most can still be held for so long: the sustain time of most products."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwardRoom:
    """Whether an award can be kept."""

    award: Award
    short_w: float
    """What no battery of its area can carry (>= 0)."""


def book(
    award: Award, product: Product | None, ledger: Ledger, sites: frozenset[SiteId], now: float
) -> Generator[None, None, AwardRoom]:
    """Book an award in the ledger, as far as it fits; pauses after each block.

    Args:
        product: As it stands when the award begins; None = it does not exist then, and nothing fits.
        sites: Those of the award's area.
    """
    if award.end_at <= now:
        return AwardRoom(award=award, short_w=0.0)
    if product is None:
        return AwardRoom(award=award, short_w=award.w)
    directions: tuple[Direction, ...] = ("down", "up") if award.direction == "both" else (award.direction,)
    short = 0.0
    for start_at in _block_starts(
        award.start_at, min(award.end_at, now + AWARDS_AHEAD_S), product.block_s, now
    ):
        for direction in directions:
            promise = Promise(
                name=award.product,
                sites=sites,
                direction=direction,
                w=award.w,
                hold_s=product.sustain_s,
                start_at=max(start_at, now),
                end_at=min(start_at + product.block_s, award.end_at) + product.recovery_s,
                response_s=product.response_s,
            )
            short = max(short, ledger.place(promise, SPARE_FOR_S))
        yield
    return AwardRoom(award=award, short_w=short)


def _block_starts(start_at: float, until: float, block_s: float, now: float) -> Iterator[float]:
    """Each block of an award can be called; those that are over are left out."""
    for index in range(math.ceil(max(0.0, until - start_at) / block_s)):
        if start_at + (index + 1) * block_s > now:
            yield start_at + index * block_s
