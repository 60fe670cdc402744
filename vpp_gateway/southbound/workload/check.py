"""Offer arithmetic: what a list of offers must satisfy before anybody plans with it.

An offer that cannot be true is worth less than none: it is refused with its name and field, and the others of the
list stay. Nothing is clamped or left out in silence.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from vpp_gateway.domain.order import Offer, OfferId
from vpp_gateway.southbound.workload.spec import PluginSpec

KINDS = ("cap", "pause", "shed", "move", "absorb")
SHEDDING = ("cap", "pause", "shed")
LEG_MAX_W = 1e9
"""No data centre shifts a gigawatt: a larger leg is a unit error."""
VALID_MAX_S = 86_400.0
LATENCY_MAX_S = 3_600.0
SLA_TIER_MAX = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A list of offers after the door."""

    sound: tuple[Offer, ...]
    refused: tuple[tuple[OfferId, str], ...]
    """Offers that cannot be true, each with the plug-in, the offer, the field and what is allowed."""


def check_offers(offers: Sequence[Offer], spec: PluginSpec, now: float) -> Checked:
    """Which offers can be true at `now` (UTC, Unix s), and why the others cannot."""
    counts = Counter(offer.id for offer in offers)
    sound, refused = [], {}
    for offer in offers:
        fault = "its id is given twice" if counts[offer.id] > 1 else _fault(offer, spec, now)
        if fault:
            refused[offer.id] = f"plug-in {spec.name}, offer {offer.id!r}: {fault}"
        else:
            sound.append(offer)
    return Checked(sound=tuple(sound), refused=tuple(refused.items()))


def _fault(offer: Offer, spec: PluginSpec, now: float) -> str:
    if offer.plugin != spec.name:
        return f"plugin is {offer.plugin!r}, expected {spec.name!r}"
    if offer.kind not in KINDS:
        return f"kind is {offer.kind!r}, allowed are {', '.join(KINDS)}"
    if not now < offer.valid_until <= now + VALID_MAX_S:
        return (
            f"valid_until is {offer.valid_until - now:+.1f} s from now, allowed are 0 to {VALID_MAX_S:.0f} s"
        )
    for name in ("sustain_s", "min_dwell_s", "cost", "downtime_s", "rebound_wh"):
        if not 0 <= getattr(offer, name) < math.inf:
            return f"{name} is {getattr(offer, name)}, allowed are values >= 0"
    if not 0 < offer.rebound_within_s < math.inf:
        return f"rebound_within_s is {offer.rebound_within_s}, allowed are values > 0"
    if offer.min_dwell_s > offer.sustain_s:
        return f"min_dwell_s is {offer.min_dwell_s}, it can be held for {offer.sustain_s} s only (sustain_s)"
    if not 0 <= offer.sla_tier <= SLA_TIER_MAX:
        return f"sla_tier is {offer.sla_tier}, allowed are 0 to {SLA_TIER_MAX}"
    return _fault_of_steps(offer.steps) or _fault_of_legs(offer, spec)


def _fault_of_steps(steps: Sequence[float]) -> str:
    if not steps or steps[-1] != 1.0:
        return f"steps are {list(steps)}, the last must be 1"
    if any(not 0 < step <= 1 for step in steps) or any(a >= b for a, b in pairwise(steps)):
        return f"steps are {list(steps)}, they must ascend inside (0, 1]"
    return ""


def _fault_of_legs(offer: Offer, spec: PluginSpec) -> str:
    expected = 2 if offer.kind == "move" else 1
    if len(offer.legs) != expected:
        return f"{len(offer.legs)} legs, a {offer.kind} has {expected}"
    for leg in offer.legs:
        if leg.site not in spec.sites:
            return f"site {leg.site!r} is not one of this plug-in's: {', '.join(spec.sites)}"
        if not 0 < abs(leg.import_delta_w) <= LEG_MAX_W:
            return f"import_delta_w is {leg.import_delta_w}, allowed are up to {LEG_MAX_W:.0e} W and not 0"
        if not 0 <= leg.latency_s <= LATENCY_MAX_S:
            return f"latency_s is {leg.latency_s}, allowed are 0 to {LATENCY_MAX_S:.0f}"
    return _fault_of_signs(offer)


def _fault_of_signs(offer: Offer) -> str:
    deltas = [leg.import_delta_w for leg in offer.legs]
    if offer.kind in SHEDDING and deltas[0] > 0:
        return f"a {offer.kind} takes less from the grid, import_delta_w is {deltas[0]}"
    if offer.kind == "absorb" and deltas[0] < 0:
        return f"an absorb takes more from the grid, import_delta_w is {deltas[0]}"
    if offer.kind == "move":
        if not deltas[0] < 0 < deltas[1]:
            return f"legs of a move are (source < 0, destination > 0), found {deltas}"
        if offer.legs[0].site == offer.legs[1].site:
            return "source and destination of a move are the same site"
    return ""
