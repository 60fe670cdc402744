"""Looking ahead: the segments to come, in each of which nothing changes about who rules what and what binds.

    edges      | | |  |||  |   |    || |        thousands of them, of phases that rule nothing
    segments       [====)[=========)[====)      a few

What was seen stays true while phases come and go that have no say in it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import NamedTuple

from vpp_gateway.domain.instruction import DeviceId, Instruction, Limit, SiteId
from vpp_gateway.portfolio.in_force import Bound, InForce, Segment, limits, rules
from vpp_gateway.portfolio.sweep import Edge, Place, Row, Sweep, Urgency, covered, urgency_of

LOOK_EDGES_MAX = 200
"""Edges looked at for those that change anything; beyond, nothing is known yet."""
LOOK_TURNS_MAX = 32
"""Segments that are looked ahead; an event with two ramps of ten steps has 21."""
LOOK_ROUND_S = 60.0
"""What is known then ends at a whole minute where it can: it shall not move with each edge that passes."""
_at = attrgetter("at")


class Ruled(NamedTuple):
    """Who has what in one segment, and what binds there."""

    start_at: float
    end_at: float
    ruler: Mapping[Place, Urgency]
    bounds: Mapping[Place, tuple[float, float]]
    """Import and export, W; inf = none."""

    def heeds(self, row: Row) -> bool:
        """Whether this row has, or would have, something to rule here, or to bind."""
        if row.phase.start_at >= self.end_at or row.end_at <= self.start_at:
            return False
        if row.limit is not None:
            return any(self._binds(row.limit, place) for place in row.claim)
        by = (covered(place, self.ruler) for place in row.claim)
        return any(one is None or row.key <= self.ruler[one] for one in by)

    def _binds(self, limit: Limit, place: Place) -> bool:
        bounds = zip((limit.import_max_w, limit.export_max_w), self.bounds.get(place, _OPEN), strict=True)
        return any(mine is not None and not mine > tightest for mine, tightest in bounds)


_OPEN = (math.inf, math.inf)


class Look(NamedTuple):
    """What was seen when somebody looked ahead."""

    first: Segment
    """The present one, from then on."""
    segments: tuple[Segment, ...]
    ruled: tuple[Ruled, ...]
    whole: bool
    """All edges were looked at, or all turns found that are looked for."""

    def holds(self, now: float) -> bool:
        """Whether `now` is still in the first segment, and in the same minute: then as much as then is known."""
        since, until = self.first.start_at, self.first.end_at
        same = self.whole or math.floor(since / LOOK_ROUND_S) == math.floor(now / LOOK_ROUND_S)
        return same and since <= now and (until is None or now < until)

    def heeds(self, row: Row) -> bool:
        """Whether this row has a say in what was seen."""
        return any(one.heeds(row) for one in self.ruled)


def look_ahead(sweep: Sweep, edges: list[Edge], now: float, home: Mapping[DeviceId, SiteId]) -> Look:
    """What comes after `now`.

    Args:
        sweep: Stands at `now`, and is taken along.
        edges: Of all phases, sorted.
        home: The site of every device.
    """
    present, bounds = rules(sweep), limits(sweep)
    unseen = len(edges) - bisect_right(edges, now, key=_at) > LOOK_EDGES_MAX
    segments = tuple(_segments(sweep, edges, now))
    end_at = segments[0].start_at if segments else None
    first = Segment(start_at=now, end_at=end_at, rows=present, bounds=bounds)
    whole = not unseen or len(segments) == LOOK_TURNS_MAX or bool(segments and segments[-1].end_at is None)
    return Look(first, segments, tuple(_ruled(one, home) for one in (first, *segments)), whole)


def _ruled(segment: Segment, home: Mapping[DeviceId, SiteId]) -> Ruled:
    ruler: dict[Place, Urgency] = {}
    for row in segment.rows:
        mine: list[Place] = [(site, None) for site in row.sites]
        mine += [(home[device], device) for device in row.devices]
        ruler.update(dict.fromkeys(mine, _urgency(row.instruction)))
    bounds: dict[Place, tuple[float, float]] = {
        (one.site, one.device): (
            math.inf if one.import_max_w is None else one.import_max_w,
            math.inf if one.export_max_w is None else one.export_max_w,
        )
        for one in segment.bounds
    }
    end_at = math.inf if segment.end_at is None else segment.end_at
    return Ruled(segment.start_at, end_at, ruler, bounds)


def _segments(sweep: Sweep, edges: list[Edge], now: float) -> Iterator[Segment]:
    known = (now, rules(sweep), limits(sweep))
    index, found = bisect_right(edges, now, key=_at), 0
    last = min(len(edges), index + LOOK_EDGES_MAX)
    while index < last:
        at = edges[index].at
        index, turned = _cross(sweep, edges, index)
        if turned:
            if found:
                yield _segment(known, at)
                if found == LOOK_TURNS_MAX:
                    return
            found += 1
            known = (at, rules(sweep), limits(sweep))
    if index == len(edges):
        if found:
            yield _segment(known, None)
        return
    end_at = edges[index].at
    calm_at = LOOK_ROUND_S * math.floor(end_at / LOOK_ROUND_S)
    if calm_at <= known[0]:
        calm_at = end_at
    if found:
        yield _segment(known, calm_at)
    elif calm_at < end_at:
        yield _segment((calm_at, *known[1:]), end_at)
    else:
        index, _ = _cross(sweep, edges, index)
        following = edges[index].at if index < len(edges) else None
        yield _segment((end_at, rules(sweep), limits(sweep)), following)


Known = tuple[float, tuple[InForce, ...], tuple[Bound, ...]]
"""Since when, who rules what, and what binds."""


def _cross(sweep: Sweep, edges: list[Edge], index: int) -> tuple[int, bool]:
    """Over all edges of one moment; the index of the next one, and whether that may have changed anything."""
    following = bisect_right(edges, edges[index].at, index, key=_at)
    return following, sweep.cross(edges[index:following])


def _segment(known: Known, end_at: float | None) -> Segment:
    start_at, rows, bounds = known
    return Segment(start_at=start_at, end_at=end_at, rows=rows, bounds=bounds)


def _urgency(instruction: Instruction) -> Urgency:
    """Not before any of its own phases, and before those of all that are less urgent."""
    return (*urgency_of(instruction), len(instruction.phases))
