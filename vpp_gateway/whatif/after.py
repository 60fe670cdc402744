"""What the sites took after an event: work that came back, and the highest import while it did.

Of each site that work of the event came back to, from the end of the event on until another event rules the site or the
play is over; against the baseline that the gateway froze.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise

from vpp_gateway.domain.instruction import Limit, SiteId
from vpp_gateway.whatif.course import Course
from vpp_gateway.whatif.house import instruction_id
from vpp_gateway.whatif.world import Asked, Play

MEAN_OVER = 60
"""Seconds over which an import is a mean: contracts look at minutes, and batteries follow within seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class After:
    """One site after one event."""

    site: SiteId
    until_s: float
    """Looked at until then, s from the start of the play."""
    returned_wh: float
    """What work that came back took on top until then, Wh."""
    returned_w: float
    """Its largest power, W."""
    above_w: float
    """Most that the site took above its baseline in the mean of a minute, W; < 0: it stayed below."""


def afters(play: Play, course: Course, asked: Asked) -> Iterator[After]:
    """Every site to which work came back."""
    frozen = course.baselines.get(instruction_id(asked), {})
    for site in play.scope_of(asked):
        if site not in frozen or course.opts.get(instruction_id(asked), ("", ""))[0] != "in":
            continue
        until_s = min((one.begins_s for one in _later(play, asked, site)), default=play.end_s)
        rows = [s for s in course.seconds if asked.end_s <= s.at_s < until_s]
        returned_wh = sum(
            one.sites[site].rebound_w * (other.at_s - one.at_s) / 3600.0 for one, other in pairwise(rows)
        )
        if returned_wh <= 0.0:
            continue
        imports = [0.0, *accumulate(s.sites[site].import_w for s in rows)]
        over = min(MEAN_OVER, len(rows))
        yield After(
            site=site,
            until_s=until_s,
            returned_wh=returned_wh,
            returned_w=max(s.sites[site].rebound_w for s in rows),
            above_w=max(b - a for a, b in zip(imports, imports[over:], strict=False)) / over - frozen[site],
        )


def _later(play: Play, asked: Asked, site: SiteId) -> Iterator[Asked]:
    """Events that rule the site after this one; none of it where one rules it already."""
    for one in play.asked:
        rules = not isinstance(one.demand, Limit) and site in play.scope_of(one)
        if one is not asked and rules and one.end_s > asked.end_s:
            yield one
