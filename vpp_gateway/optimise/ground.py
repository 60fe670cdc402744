"""What would be missing if levers gave less: arithmetic on sums, for one target.

    need   what is asked less what levers give             the batteries' part, signed
    room   sum over sites of the least of (batteries and their feeders together, what the grid connection carries)
    off    what of the need is beyond the room

Limits are nested, so that is what pouring comes to, whatever the order. Where targets have devices at each other's sites
a later one has what earlier ones leave of a connection: that is taken as it stands in the plan.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vpp_gateway.domain.fleet import FeederId
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.plan import Plan, Resource, Target
from vpp_gateway.optimise.by_site import BySite
from vpp_gateway.optimise.side import EPSILON_W, finite

Less = tuple[SiteId, float, float]
"""A site, what is taken away of its levers' regulation (W, signed), and what they give before (W)."""
Taken = dict[tuple[SiteId, FeederId | None, bool], float]
"""What targets take of each connection and feeder, down (True) and up, W (>= 0)."""


@dataclass(frozen=True, slots=True)
class Place:
    """The batteries of one target at one site."""

    able_w: tuple[float, float]
    """What they and their feeders can give, down and up."""
    max_w: tuple[float | None, float | None]
    """What the grid connection carries down and up, levers left out; None = it has no bounds, and so no room."""

    def room_w(self, down: bool, levers_w: float) -> float:
        """What they can give in one direction beside the levers there, W (>= 0)."""
        most_w = self.max_w[0 if down else 1]
        if most_w is None:
            return 0.0
        return min(self.able_w[0 if down else 1], finite(most_w - levers_w if down else most_w + levers_w))


@dataclass(slots=True)
class Ground:
    """One target, with what its levers give and its batteries can."""

    target: Target
    need_w: float
    down_room_w: float
    up_room_w: float
    places: Mapping[SiteId, Place]

    @property
    def over(self) -> bool:
        """It is given more than it asks."""
        asked = self.target.regulation_w
        return (self.need_w * asked < 0.0 or asked == 0.0) and self.off_w() > 0.0

    def off_w(self, less: Iterable[Less] = ()) -> float:
        """What is missing or too much, W (>= 0).

        Args:
            less: What levers give less than now.
        """
        rows = [row for row in less if row[0] in self.places]
        need_w = self.need_w + math.fsum(w for site, w, _ in rows if site in self.target.sites)
        down = need_w >= 0.0
        room_w = self.down_room_w if down else self.up_room_w
        for site, w, before_w in rows:
            place = self.places[site]
            room_w += place.room_w(down, before_w - w) - place.room_w(down, before_w)
        off_w = abs(need_w) - room_w
        return off_w if off_w > EPSILON_W else 0.0

    def take(self, site: SiteId, less_w: float, levers_w: float) -> None:
        """Levers at a site give so much less: `levers_w` from now on."""
        place = self.places[site]
        if site in self.target.sites:
            self.need_w += less_w
        before_w = levers_w + less_w
        self.down_room_w += place.room_w(True, levers_w) - place.room_w(True, before_w)
        self.up_room_w += place.room_w(False, levers_w) - place.room_w(False, before_w)


def grounds_of(lies: BySite, plan: Plan, levers_w: Mapping[SiteId, float]) -> list[Ground]:
    """All targets of a problem as a plan leaves them.

    Args:
        levers_w: What levers give by site in that plan, W.
    """
    taken: Taken = {}
    given = {share.id: share.regulation_w for share in plan.shares} if lies.apart else {}
    grounds = []
    for target in lies.problem.targets:
        resources = lies.resources_of(target)
        places = _places(lies, target, resources, taken)
        down_w, up_w = (
            math.fsum(place.room_w(down, levers_w.get(site, 0.0)) for site, place in places.items())
            for down in (True, False)
        )
        asked_w = 0.0 if math.isnan(target.regulation_w) else target.regulation_w
        need_w = asked_w - math.fsum(levers_w.get(site, 0.0) for site in target.sites)
        grounds.append(Ground(target, need_w, down_w, up_w, places))
        for resource in resources if lies.apart else ():
            w = given.get(resource.id, 0.0)
            for line in dict.fromkeys((None, resource.feeder)):
                key = (resource.site, line, w > 0.0)
                taken[key] = taken.get(key, 0.0) + abs(w)
    return grounds


def _places(lies: BySite, target: Target, resources: Sequence[Resource], taken: Taken) -> dict[SiteId, Place]:
    lines: dict[SiteId, dict[FeederId | None, list[Resource]]] = {site: {} for site in target.sites}
    for resource in resources:
        lines.setdefault(resource.site, {}).setdefault(resource.feeder, []).append(resource)
    places = {}
    for site, behind in lines.items():
        able_w = [
            math.fsum(_able_w(lies, feeder, rows, down, taken) for feeder, rows in behind.items())
            for down in (True, False)
        ]
        max_w = [_carried_w(lies, site, down, taken) for down in (True, False)]
        places[site] = Place((able_w[0], able_w[1]), (max_w[0], max_w[1]))
    return places


def _able_w(
    lies: BySite, feeder: FeederId | None, rows: Sequence[Resource], down: bool, taken: Taken
) -> float:
    """What the batteries on one feeder, or on none, can give together in one direction, W."""
    rooms_w = math.fsum(finite(r.down_room_w if down else r.up_room_w) for r in rows)
    if feeder is None:
        return rooms_w
    line = lies.lines.get(feeder)
    if line is None:
        return 0.0
    most_w = line.down_max_w if down else line.up_max_w
    return min(rooms_w, finite(most_w - taken.get((line.site, feeder, down), 0.0)))


def _carried_w(lies: BySite, site: SiteId, down: bool, taken: Taken) -> float | None:
    """What a grid connection carries in one direction beside what other targets take of it, W; None = it is unknown."""
    bounds = lies.bounds.get(site)
    if bounds is None:
        return None
    most_w = bounds.down_max_w if down else bounds.up_max_w
    return most_w - taken.get((site, None, down), 0.0)
