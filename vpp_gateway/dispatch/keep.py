"""How the plan of the hour bounds what the batteries may plan with, now.

    floor    what lies above it must last until work that is ordered now is real
    others   what the plan leaves to the tiers after the batteries is not the batteries'
    held     orders that go on in the plan stay

Without a plan (`Keep` is None) everything is as before: a battery's energy is spread over the time that is left.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from vpp_gateway.domain.fleet import Battery
from vpp_gateway.domain.horizon import StoreBounds
from vpp_gateway.domain.instruction import DeviceId, InstructionId, SiteId
from vpp_gateway.domain.order import OfferId
from vpp_gateway.domain.plan import Lever, Resource, Target
from vpp_gateway.domain.reading import BatteryReading
from vpp_gateway.portfolio.envelope import battery_room


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """What the plan of the hour says of one moment, as far as it bounds the batteries."""

    stores: Mapping[DeviceId, StoreBounds]
    """Floors and ceilings."""
    others_w: Mapping[tuple[InstructionId, tuple[SiteId, ...]], float]
    """Regulation that the tiers after the batteries carry of an instruction, signed, W."""
    held: frozenset[OfferId]
    """Orders that stand and go on in it: they are not given back."""
    lasts_s: float
    """What lies between charge and floor must last so long: until work that is ordered now is real."""


def held(lever: Lever, keep: Keep | None) -> Lever:
    """An order that goes on in the plan is not given back."""
    going_on = keep is not None and lever.offer in keep.held
    return replace(lever, at_least=lever.steps[-1]) if going_on else lever


def left_to_others(
    resources: tuple[Resource, ...], targets: Iterable[Target], keep: Keep | None
) -> tuple[Resource, ...]:
    """Easy parts bounded, instruction by instruction, by what the plan does not leave to the other tiers."""
    if keep is None:
        return resources
    shares: dict[SiteId, tuple[float, float]] = {}
    for target in targets:
        others = keep.others_w.get((target.instruction, target.sites))
        if others is None:
            continue
        rest = target.regulation_w - others
        here = [row for row in resources if row.site in target.sites]
        down, up = math.fsum(row.easy_down_w for row in here), math.fsum(row.easy_up_w for row in here)
        share_down = min(1.0, max(0.0, rest) / down) if down > 0.0 else 1.0
        share_up = min(1.0, max(0.0, -rest) / up) if up > 0.0 else 1.0
        shares.update((site, (share_down, share_up)) for site in target.sites)
    return tuple(
        row
        if (found := shares.get(row.site)) is None
        else replace(row, easy_down_w=row.easy_down_w * found[0], easy_up_w=row.easy_up_w * found[1])
        for row in resources
    )


def sustained_w(
    battery: Battery, reading: BatteryReading, hold: float, keep: Keep | None
) -> tuple[float, float]:
    """(down, up) W that its energy carries: to the end, or down to the floor of the plan and until work is real."""
    bounds = None if keep is None else keep.stores.get(battery.id)
    if keep is None or bounds is None:
        sustained = battery_room(battery, reading, hold)
        return sustained.down_w, sustained.up_w
    stored_wh = reading.soc * battery.energy_wh
    hours = min(keep.lasts_s, hold) / 3600.0
    return (
        max(0.0, stored_wh - bounds.floor_wh) * battery.efficiency / hours,
        max(0.0, bounds.ceiling_wh - stored_wh) / battery.efficiency / hours,
    )
