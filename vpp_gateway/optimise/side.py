"""One target in one direction: what its batteries may give, and how an amount is poured into them.

Where sites have PV of their own it is poured in two passes: to charge, each site first up to its spare sun; to discharge,
each site first up to what it takes itself, so that no sun is driven out. The second pass goes to the caps.

Where batteries wear differently each pass is poured kind by kind, the least wearing first, and those that wear alike share
by weight. That holds for what a battery's energy carries to the end; more is shared by all together, by weight: a battery
that is spent before the end would be missing in power, and wear is no reason to give less.

No pass and no order changes how much the batteries give together: the caps form a tree, and whatever fills it greedily
fills it as far as it can be filled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vpp_gateway.domain.fleet import FeederId
from vpp_gateway.domain.instruction import DeviceId, SiteId
from vpp_gateway.domain.plan import Resource, Target
from vpp_gateway.optimise.water import below, share_out

EPSILON_W = 1e-6


@dataclass(slots=True)
class Side:
    """One target in one direction: magnitudes only."""

    target: Target
    sign: float
    resources: tuple[Resource, ...]
    caps: dict[SiteId, float]
    """Room left at the grid connection per site, in this direction."""
    feeders: dict[FeederId | None, float]
    """Room left on each line inside a site; what is on none of them (None) is not bounded by one."""
    own: dict[SiteId, float]
    """What comes first for the sake of own sun; empty = no site has any."""
    kinds: tuple[tuple[int, ...], ...] = ()
    """Numbers of the resources that wear alike, the least wearing first; empty = all do."""
    given: dict[DeviceId, float] = field(default_factory=dict)
    sunny: set[DeviceId] = field(default_factory=set)
    """Resources that take up own sun."""

    def room(self, resource: Resource) -> float:
        return finite(resource.down_room_w if self.sign > 0 else resource.up_room_w)

    def easy(self, resource: Resource) -> float:
        easy = resource.easy_down_w if self.sign > 0 else resource.easy_up_w
        return min(finite(easy), self.room(resource))

    def weight(self, resource: Resource) -> float:
        weight = resource.weight_down if self.sign > 0 else resource.weight_up
        return weight if math.isfinite(weight) and weight > 0 else 1e-9

    def lasting(self, resource: Resource) -> float:
        """What of it wear decides about."""
        lasting = resource.lasting_down_w if self.sign > 0 else resource.lasting_up_w
        return 0.0 if math.isnan(lasting) else max(0.0, lasting)

    def pour(self, amount: float, caps: Sequence[float]) -> float:
        """Give `amount` to the resources, each up to its cap on top of what it has; returns what was placed."""
        if not self.own:
            return math.fsum(self._pass(amount, caps, self.caps))
        first = {site: max(0.0, min(cap, self.own.get(site, math.inf))) for site, cap in self.caps.items()}
        shares = self._pass(amount, caps, first)
        for resource, share in zip(self.resources, shares, strict=True):
            if resource.site in self.own:
                self.own[resource.site] -= share
            if self.sign < 0 and share > EPSILON_W:
                self.sunny.add(resource.id)
        if (left := amount - math.fsum(shares)) <= EPSILON_W:
            return amount - left
        rest = [max(0.0, cap - share) for cap, share in zip(caps, shares, strict=True)]
        return math.fsum((*shares, *self._pass(left, rest, self.caps)))

    def _pass(self, amount: float, caps: Sequence[float], site_caps: dict[SiteId, float]) -> list[float]:
        """One pass: the least wearing first, as far as they last, then all together."""
        if not self.kinds:
            return self._share_out(self.resources, amount, caps, site_caps)
        given, left = [0.0] * len(caps), amount
        open_w = [
            max(0.0, min(cap, self.lasting(r) - self.given.get(r.id, 0.0)))
            for r, cap in zip(self.resources, caps, strict=True)
        ]
        turns: list[Sequence[int]] = [*self.kinds, range(len(caps))]
        for turn in turns:
            if left <= 0.0:
                break
            if turn is turns[-1]:
                open_w = [max(0.0, cap - share) for cap, share in zip(caps, given, strict=True)]
            members = [self.resources[i] for i in turn]
            shares = self._share_out(members, left, [open_w[i] for i in turn], site_caps)
            for i, resource, share in zip(turn, members, shares, strict=True):
                given[i] += share
                if site_caps is not self.caps:
                    site_caps[resource.site] = site_caps.get(resource.site, 0.0) - share
            left -= math.fsum(shares)
        return given

    def _share_out(
        self,
        resources: Sequence[Resource],
        amount: float,
        caps: Sequence[float],
        site_caps: Mapping[SiteId, float],
    ) -> list[float]:
        weights = [self.weight(r) for r in resources]
        if self.feeders:
            caps = below(caps, weights, [r.feeder for r in resources], self.feeders)
        shares = share_out(amount, caps, weights, [r.site for r in resources], site_caps)
        for resource, share in zip(resources, shares, strict=True):
            if resource.feeder is not None:
                self.feeders[resource.feeder] -= share
            self.given[resource.id] = self.given.get(resource.id, 0.0) + share
            self.caps[resource.site] = self.caps.get(resource.site, 0.0) - share
        return shares


def by_wear(resources: Sequence[Resource]) -> tuple[tuple[int, ...], ...]:
    """Numbers of those that wear alike, the least wearing first; a wear that is no number comes last, empty = all alike."""
    if len({resource.wear_cost for resource in resources}) < 2:
        return ()
    kinds: dict[float, list[int]] = {}
    for number, resource in enumerate(resources):
        wear = resource.wear_cost
        kinds.setdefault(math.inf if math.isnan(wear) else wear, []).append(number)
    return tuple(tuple(kinds[wear]) for wear in sorted(kinds)) if len(kinds) > 1 else ()


def finite(value: float) -> float:
    """A room that is not a number is no room: NaN must never mean unlimited."""
    return value if math.isfinite(value) and value > 0 else 0.0


def own_first(
    spare: Mapping[SiteId, float], sign: float, caps: Mapping[SiteId, float]
) -> dict[SiteId, float]:
    """How much each site takes before others for the sake of own sun; a site without sun discharges freely."""
    own = {site: max(0.0, -sign * w) for site, w in spare.items()}
    if sign > 0:
        return own
    return {site: own.get(site, 0.0) for site in caps} if any(own.values()) else {}
