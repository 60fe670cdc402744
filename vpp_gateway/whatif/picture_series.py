"""What the picture of a play shows, as values: what is in force in each second, and where the hand-overs stand.

E1 (priority 100)   |=====|          |=====|      in force: the more urgent first, then the earlier start,
E2 (priority 0)           |==========|            then the earlier reception, as in `portfolio.timeline`
drawn         -----> E1    E2         E1  ----->  before and after them each second goes to the event next to it
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from vpp_gateway.domain.instruction import Limit, SiteId
from vpp_gateway.whatif.course import Course, HandOver
from vpp_gateway.whatif.judge import EventResult, Sample, samples_of
from vpp_gateway.whatif.ruling import urgency_of
from vpp_gateway.whatif.world import Asked, Play

LABEL_ROWS = 3
"""Numbers of hand-overs stand in so many rows at most; one that finds no place there is only listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """One hand-over as it is drawn."""

    name: str
    """Of its event."""
    number: int
    """Among those of its event, from 1, as in the table."""
    over: HandOver
    row: int | None
    """In which its number stands, 0 is the highest; None: there is no place for it."""


def panel_samples(
    play: Play,
    course: Course,
    rows: Sequence[EventResult],
    judged: Sequence[EventResult],
    window_s: tuple[float, float],
) -> list[Sample]:
    """Each second of a panel against the baseline of the event that is in force then, or of the one next to it.

    Args:
        rows: Events of the panel; they speak of the same sites.
        judged: All events; a more urgent one with other sites may take all of these.
    """
    others = [row for row in judged if row not in rows and row.samples]
    series = [samples_of(play, course, row.asked, *window_s) for row in rows]
    drawn = []
    for samples in zip(*series, strict=True):
        at_s = samples[0].at_s
        chosen = _chosen([row.asked for row in rows], at_s)
        sample, asked = samples[chosen], rows[chosen].asked
        if sample.target_w and not _rules(play, asked, [row.asked for row in others], at_s):
            sample = replace(sample, target_w=0.0)
        drawn.append(sample)
    return drawn


def bands(rows: Sequence[EventResult], width_s: float) -> list[Band]:
    """The hand-overs of a panel in order of time.

    Args:
        width_s: So much of the time axis a number covers.
    """
    found = [
        Band(name=row.asked.name, number=number, over=over, row=None)
        for row in rows
        for number, over in enumerate(row.hand_overs, 1)
    ]
    free_s = [float("-inf")] * LABEL_ROWS
    placed = []
    for band in sorted(found, key=lambda band: band.over.real_s):
        place = next((n for n, since_s in enumerate(free_s) if since_s <= band.over.real_s), None)
        if place is not None:
            free_s[place] = band.over.real_s + width_s
        placed.append(replace(band, row=place))
    return placed


def _chosen(asked: Sequence[Asked], at_s: float) -> int:
    """Which event of a panel is in force; when none is, the one that is nearer in time."""
    running = [n for n, one in enumerate(asked) if one.begins_s <= at_s < one.end_s]
    if running:
        return min(running, key=lambda n: urgency_of(asked[n]))
    return min(range(len(asked)), key=lambda n: _away_s(asked[n], at_s))


def _away_s(asked: Asked, at_s: float) -> float:
    return max(asked.begins_s - at_s, at_s - asked.end_s)


def _rules(play: Play, asked: Asked, others: Sequence[Asked], at_s: float) -> bool:
    """Whether more urgent events leave it a site of its own."""
    return bool(set(play.scope_of(asked)) - set(_taken(play, asked, others, at_s)))


def _taken(play: Play, asked: Asked, others: Sequence[Asked], at_s: float) -> Iterator[SiteId]:
    for other in others:
        running = other.begins_s <= at_s < other.end_s
        if running and not isinstance(other.demand, Limit) and urgency_of(other) < urgency_of(asked):
            yield from play.scope_of(other)
