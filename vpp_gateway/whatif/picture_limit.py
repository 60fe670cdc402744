"""A limit in the picture of a play: what truly flowed at each of its sites, and the most that was allowed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from vpp_gateway.catalogue import Lang, text, word
from vpp_gateway.domain.instruction import Limit
from vpp_gateway.whatif.course import Course
from vpp_gateway.whatif.judge import EventResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#1f4e9c", "#b4500b", "#7a5c00", "#555555", "#7b1fa2")
LIMIT_COLOUR = "#c62828"


def limit_rows(judged: Sequence[EventResult]) -> list[list[EventResult]]:
    """Limits that were taken, one panel each, in time order."""
    return [[row] for row in sorted(judged, key=lambda row: row.asked.start_s) if row.limits]


def limit_panel(
    axis: Axes, course: Course, row: EventResult, window: tuple[float, float], lang: Lang
) -> None:
    """Import by site (export below zero), the limit while it was in force, and what was beyond it."""
    limit = row.asked.demand
    assert isinstance(limit, Limit)
    seconds = [s for s in course.seconds if window[0] <= s.at_s <= window[1]]
    at = [s.at_s for s in seconds]
    span = (row.asked.start_s, row.asked.end_s)
    for most_mw, _ in _lines(limit):
        name = f"{text('events.why.row.limit', lang)} {abs(most_mw):g} MW"
        axis.plot(span, (most_mw, most_mw), color=LIMIT_COLOUR, linewidth=1.8, label=name)
    for index, site in enumerate(row.limits):
        flow_mw = [s.sites[site].import_w / 1e6 for s in seconds]
        axis.plot(at, flow_mw, color=COLOURS[index % len(COLOURS)], linewidth=1.1, label=site)
        for most_mw, sign in _lines(limit):
            beyond = [
                span[0] <= t < span[1] and sign * (mw - most_mw) > 0.0
                for t, mw in zip(at, flow_mw, strict=True)
            ]
            axis.fill_between(
                at, flow_mw, most_mw, where=beyond, color=LIMIT_COLOUR, alpha=0.3, linewidth=0.0
            )
    axis.axvspan(*span, color=LIMIT_COLOUR, alpha=0.05, linewidth=0.0, zorder=0)
    axis.set_ylabel(f"{word('way', 'import', lang)}, MW")
    axis.set_title(f"{row.asked.name}: {row.asked.said}", fontsize=9, loc="left")
    axis.margins(y=0.15)
    axis.grid(alpha=0.25)
    axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.005, 0.5), frameon=False)


def _lines(limit: Limit) -> Iterator[tuple[float, float]]:
    """Where the limit lies on an axis of import, MW, and on which side of it (1 above, -1 below) it is broken."""
    if limit.import_max_w is not None:
        yield limit.import_max_w / 1e6, 1.0
    if limit.export_max_w is not None:
        yield -limit.export_max_w / 1e6, -1.0
