"""Composition of the plan of the hour: settings and awards -> RollingPolicy."""

from __future__ import annotations

from collections.abc import Iterator

from vpp_gateway.dispatch.policy import RollingPolicy
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.product import Product
from vpp_gateway.portfolio.outlook import Armed
from vpp_gateway.product_profile import load_products, resolve
from vpp_gateway.settings import Settings
from vpp_gateway.settings_words import unix_of

BRIDGE_LEAST_S, BRIDGE_MOST_S = 10.0, 300.0
"""Batteries carry a product alone until work can be real: 10 s for a primary reserve, 5 min for a secondary one."""


def rolling_of(settings: Settings) -> RollingPolicy | None:
    """The operator's policy; None: he wants no plan.

    Raises:
        InvalidFile: the profile of an awarded product is wrong, or is not there.
    """
    chosen = settings.horizon
    if not chosen.enabled:
        return None
    return RollingPolicy(
        every_s=chosen.every_s,
        ahead_s=chosen.ahead_s,
        bridge_s=chosen.bridge_s,
        wanted_soc=chosen.wanted_soc,
        recharge_share=chosen.recharge_share,
        armed=tuple(_armed(settings)),
    )


def _armed(settings: Settings) -> Iterator[Armed]:
    """What the market has taken: each award may be called at any moment of its time."""
    for number, award in enumerate(settings.capacity.awards, 1):
        known = load_products((award.product,), settings.gateway.profile_dirs)
        start_at, w = unix_of(award.since), 1000.0 * award.quantity_kw
        product = resolve(known[award.product], known, start_at)
        if product is None:
            continue
        yield Armed(
            product=f"{award.product} {award.area} {number}",
            sites=tuple(SiteId(site.id) for site in settings.sites if site.area == award.area),
            start_at=start_at,
            end_at=unix_of(award.until),
            down_w=0.0 if award.direction == "up" else w,
            up_w=0.0 if award.direction == "down" else w,
            bridge_s=_bridge_s(product, alone=not settings.plugins),
        )


def _bridge_s(product: Product, *, alone: bool) -> float:
    """So long the batteries must be able to carry it.

    Args:
        alone: There is no work that could take over, so they carry it to its end.
    """
    if alone:
        return product.sustain_s
    return min(product.sustain_s, max(BRIDGE_LEAST_S, min(product.response_s, BRIDGE_MOST_S)))
