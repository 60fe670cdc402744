"""A problem read once by site: what a target costs is then what lies at its own sites, not what the portfolio has.

site -> its levers' legs, its batteries, its grid connection       feeder -> what it carries
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vpp_gateway.domain.fleet import FeederId
from vpp_gateway.domain.instruction import DeviceId, SiteId
from vpp_gateway.domain.order import OfferId
from vpp_gateway.domain.plan import FeederBounds, Lever, Problem, Resource, SiteBounds, Target


@dataclass(slots=True)
class BySite:
    """What a problem has at each site, in the order of the problem."""

    problem: Problem
    legs: dict[SiteId, list[tuple[Lever, float]]]
    """Each leg there: its lever, and the regulation of that leg at full step, W."""
    bounds: dict[SiteId, SiteBounds]
    lines: dict[FeederId, FeederBounds]
    apart: bool
    """Some target has devices at sites of others."""
    _at: dict[SiteId, list[int]]
    _of: dict[DeviceId, int]

    def levers_of(self, sites: Iterable[SiteId]) -> list[Lever]:
        """Levers with a leg at one of these sites, each once, in the order of the problem."""
        found = {id(lever): lever for site in sites for lever, _ in self.legs.get(site, ())}
        if len(found) == len(self.problem.levers):
            return list(self.problem.levers)
        return [lever for lever in self.problem.levers if id(lever) in found] if found else []

    def levers_w(self, site: SiteId, calls: Mapping[OfferId, float]) -> float:
        """Regulation of all levers at one site, W: what is called of them, or cannot be given back."""
        return math.fsum(w * calls.get(v.offer, v.at_least) for v, w in self.legs.get(site, ()))

    def resources_of(self, target: Target) -> tuple[Resource, ...]:
        """The batteries that give for one target, in the order of the problem."""
        rows = {at for site in target.sites for at in self._at.get(site, ())}
        rows |= {self._of[device] for device in target.devices if device in self._of}
        found = (self.problem.resources[at] for at in sorted(rows))
        return tuple(r for r in found if target.has(r.id, r.site)) if target.without else tuple(found)


def by_site(problem: Problem) -> BySite:
    """Read a problem by site."""
    legs: dict[SiteId, list[tuple[Lever, float]]] = {}
    for lever in problem.levers:
        for leg in lever.legs:
            legs.setdefault(leg.site, []).append((lever, leg.regulation_w))
    at: dict[SiteId, list[int]] = {}
    for number, resource in enumerate(problem.resources):
        at.setdefault(resource.site, []).append(number)
    apart = any(target.devices for target in problem.targets)
    return BySite(
        problem=problem,
        legs=legs,
        bounds={bounds.site: bounds for bounds in problem.bounds},
        lines={line.id: line for line in problem.feeders},
        apart=apart,
        _at=at,
        _of={r.id: number for number, r in enumerate(problem.resources)} if apart else {},
    )
