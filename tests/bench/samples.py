"""How samples become one number, and how two things are measured side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import median


def percentile(samples: Sequence[float], percent: float) -> float:
    """The smallest sample that at least `percent` of all do not exceed (nearest rank)."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def interleaved(
    ours: Callable[[], float], theirs: Callable[[], float], rounds: int
) -> tuple[list[float], list[float]]:
    """Samples of both, taken A B A B, so that what disturbs the machine disturbs both."""
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    return [a for a, _ in pairs], [b for _, b in pairs]


__all__ = ["interleaved", "median", "percentile"]
