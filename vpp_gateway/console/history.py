"""The last minutes as points for a chart, never more of them than a chart can show.

A page that draws one pixel column per second does not need 3600 points an hour, but it needs every point of the
first minute of an event: there the stopwatch is read. So `decimate` keeps those raw and thins out the rest, the last
point of each bucket standing for it (a real sample; minima and maxima would zig-zag in stacked areas):

    raw      ....|:::::::::::::|....................|:::::::::::::|....   : within RAW_S after a change of the order
    served   . . |:::::::::::::| .  .  .  .  .  .  .|:::::::::::::| .  .
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from vpp_gateway.console.status import SCHEMA_VERSION, View

POINTS_MAX = 600
RAW_S = 60.0


class HistoryPoint(View):
    """One second of the portfolio."""

    at: float
    """UTC (Unix s) of the second."""
    import_w: float
    """W taken from the grid, sum of the sites' meters; < 0 = export."""
    baseline_import_w: float
    """W that the same sites would take without any instruction, from the baseline method."""
    target_regulation_w: float | None
    """W of relief ordered; > 0 = down-DR, null = nothing ordered."""
    regulation_w: float
    """W of relief: baseline minus measured import; > 0 relieves the grid."""
    by_tier_w: dict[str, float]
    """W of relief per tier; > 0 relieves the grid."""
    by_site_w: dict[str, float]
    """W of relief per site id; > 0 relieves the grid."""


class HistoryReply(View):
    """Answer of `/api/v1/history` and the `history` event of the stream."""

    schema_version: Literal[1] = SCHEMA_VERSION
    """Version of the published shape."""
    points: tuple[HistoryPoint, ...]
    """In time order, at most 600; the first minute after each change of the order is complete."""


def decimate(points: Sequence[HistoryPoint], limit: int = POINTS_MAX) -> tuple[HistoryPoint, ...]:
    """At most `limit` (>= 2) of `points`, in time order; the newest always, raw minutes as far as half of `limit`.

    Args:
        points: in time order.
        limit: most points that may come back.
    """
    if len(points) <= limit:
        return tuple(points)
    raw = _raw(points)[-(limit // 2) :]
    kept = set(raw) | {len(points) - 1}
    rest = [index for index in range(len(points)) if index not in kept]
    kept.update(_last_of_each_bucket(rest, limit - len(kept)))
    return tuple(points[index] for index in sorted(kept))


def _raw(points: Sequence[HistoryPoint]) -> list[int]:
    """Indices within RAW_S after the order changed."""
    indices: list[int] = []
    raw_until = float("-inf")
    for index, point in enumerate(points):
        if index and point.target_regulation_w != points[index - 1].target_regulation_w:
            raw_until = point.at + RAW_S
        if point.at <= raw_until:
            indices.append(index)
    return indices


def _last_of_each_bucket(indices: Sequence[int], buckets: int) -> list[int]:
    """`buckets` of `indices`, evenly: the last of each of as many equal stretches."""
    if len(indices) <= buckets:
        return list(indices)
    return [indices[(bucket + 1) * len(indices) // buckets - 1] for bucket in range(buckets)]
