"""What batteries wear, as the rolling plan prices it.

    wear_cost   8      12          20            any unit
    price       0.7    0.9         1.4           around 1, the mean of the fleet

The map is a straight line, so that the plan orders batteries, and weighs one pair against another, as their wear does: of
a given throughput it makes the least wear. Where the numbers lie far apart the line is flatter: a kWh through any battery
stays far dearer than the wish to be charged, a round trip stays cheaper than local generation that is lost, and the
dearest battery stays below the cheapest work (`domain.horizon.Prices`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from vpp_gateway.domain.fleet import Battery
from vpp_gateway.domain.instruction import DeviceId

LEAST, MOST = 0.5, 1.4


def wear_prices(batteries: Iterable[Battery]) -> dict[DeviceId, float]:
    """Price of each battery inside its tier, LEAST to MOST; empty when all wear alike."""
    wears = {battery.id: battery.wear_cost for battery in batteries}
    if len(set(wears.values())) < 2:
        return {}
    most = max(wears.values())
    parts = {id: wear / most for id, wear in wears.items()}
    mean = math.fsum(parts.values()) / len(parts)
    apart = {id: part / mean - 1.0 for id, part in parts.items()}
    slope = min(1.0, (MOST - 1.0) / max(apart.values()), (1.0 - LEAST) / -min(apart.values()))
    return {id: 1.0 + slope * part for id, part in apart.items()}
