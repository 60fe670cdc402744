"""Offer arithmetic: what a list of offers must satisfy before anybody plans with it.

An offer that cannot be true is worth less than none, so one bad offer refuses the whole list; nothing is clamped
or left out in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from vpp_gateway.domain.order import Offer
from vpp_gateway.errors import PeerError
from vpp_gateway.southbound.workload.spec import PluginSpec

KINDS = ("cap", "pause", "shed", "move", "absorb")
SHEDDING = ("cap", "pause", "shed")
LEG_MAX_W = 1e9
"""No data centre shifts a gigawatt: a larger leg is a unit error."""
VALID_MAX_S = 86_400.0
LATENCY_MAX_S = 3_600.0


def check_offers(offers: Sequence[Offer], spec: PluginSpec, now: float) -> None:
    """Raise PeerError, naming offer and field, unless every offer can be true at `now` (UTC, Unix s)."""
    ids = [offer.id for offer in offers]
    if len(set(ids)) != len(ids):
        raise PeerError(f"offers: an id is given twice among {sorted(ids)[:5]}")
    for offer in offers:
        fault = _fault(offer, spec, now)
        if fault:
            raise PeerError(f"offer {offer.id!r}: {fault}")


def _fault(offer: Offer, spec: PluginSpec, now: float) -> str:
    if offer.plugin != spec.name:
        return f"plugin is {offer.plugin!r}, expected {spec.name!r}"
    if offer.kind not in KINDS:
        return f"kind is {offer.kind!r}, allowed are {', '.join(KINDS)}"
    if not now < offer.valid_until <= now + VALID_MAX_S:
        return (
            f"valid_until is {offer.valid_until - now:+.1f} s from now, allowed are 0 to {VALID_MAX_S:.0f} s"
        )
    for name in ("sustain_s", "min_dwell_s", "cost", "downtime_s"):
        if getattr(offer, name) < 0:
            return f"{name} is {getattr(offer, name)}, allowed are values >= 0"
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
