"""Composition of what can be offered: settings and product profiles -> CapacityPolicy."""

from __future__ import annotations

from functools import partial

from vpp_gateway.domain.product import Award, Product, ProductName
from vpp_gateway.portfolio.capacity import CapacityPolicy
from vpp_gateway.product_profile import ProductProfile, load_products, resolve
from vpp_gateway.settings import Settings
from vpp_gateway.settings_portfolio import AwardSettings
from vpp_gateway.settings_words import unix_of


def capacity_policy(settings: Settings) -> CapacityPolicy:
    """The operator's policy.

    Raises:
        InvalidFile: a product profile is wrong, or is not there.
    """
    chosen, search = settings.capacity, settings.gateway.profile_dirs
    known = load_products(chosen.products, search)
    shown = tuple(ProductName(name) for name in chosen.products or known)
    for award in chosen.awards:
        known |= load_products((award.product,), search)
    return CapacityPolicy(
        products=shown,
        resolve=partial(_resolve, known),
        confidence=chosen.confidence,
        load_margin=chosen.load_margin,
        workload_share=chosen.workload_share,
        recharge_share=chosen.recharge_share,
        awards=tuple(_award(row) for row in chosen.awards),
    )


def _resolve(known: dict[str, ProductProfile], name: ProductName, at: float) -> Product | None:
    return resolve(known[name], known, at)


def _award(row: AwardSettings) -> Award:
    return Award(
        product=ProductName(row.product),
        area=row.area,
        direction=row.direction,
        w=1000.0 * row.quantity_kw,
        start_at=unix_of(row.since),
        end_at=unix_of(row.until),
    )
