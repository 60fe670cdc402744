"""How long the steps of a rolling plan are: seconds near now, minutes later, an edge wherever something changes.

    first_s, first_s * r, first_s * r^2, ...  with r such that `count` steps fill the horizon;
    the edge nearest to each mark is moved onto it.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

SHORTEST_S = 0.5


def step_lengths(
    horizon_s: float, count: int, marks_s: Iterable[float] = (), first_s: float = 2.0
) -> tuple[float, ...]:
    """Lengths of the steps, s; they sum up to `horizon_s`.

    Args:
        horizon_s: How far the plan looks, s.
        count: Number of steps; one or two fewer when marks crowd.
        marks_s: Moments from now on that must be edges: begins and ends of instructions, latencies of offers.
        first_s: Length of the first step.

    Raises:
        ValueError: the horizon cannot be filled so.
    """
    if not (count >= 1 and 0.0 < count * SHORTEST_S <= horizon_s < float("inf") and first_s > 0.0):
        raise ValueError(f"{count} steps from {first_s!r} s do not fill {horizon_s!r} s")
    edges = _edges(horizon_s, count, min(first_s, horizon_s / count))
    free = set(range(1, count))
    for mark in sorted(set(marks_s)):
        if not SHORTEST_S < mark < horizon_s - SHORTEST_S or not free:
            continue
        nearest = min(free, key=lambda i: abs(edges[i] - mark))
        edges[nearest] = mark
        free.remove(nearest)
    kept = [0.0]
    pinned = {edges[i] for i in range(1, count) if i not in free}
    for edge in sorted(edges[1:]):
        if edge - kept[-1] >= SHORTEST_S:
            kept.append(edge)
        elif edge in pinned and kept[-1] not in pinned and len(kept) > 1:
            kept[-1] = edge
    kept[-1] = horizon_s
    return tuple(b - a for a, b in pairwise(kept))


def _edges(horizon_s: float, count: int, first_s: float) -> list[float]:
    """Edges of a geometric grid, by bisection of its ratio."""
    low, high = 1.0, 1.0 + horizon_s / first_s
    for _ in range(200):
        ratio = (low + high) / 2
        if _reach(first_s, ratio, count) < horizon_s:
            low = ratio
        else:
            high = ratio
    edges = [_reach(first_s, low, i) for i in range(count)]
    return [*edges, horizon_s]


def _reach(first_s: float, ratio: float, count: int) -> float:
    if ratio - 1.0 < 1e-12:
        return first_s * count
    try:
        return first_s * (ratio**count - 1.0) / (ratio - 1.0)
    except OverflowError:
        return float("inf")
