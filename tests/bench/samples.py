"""How samples become one number, and how two things are measured side by side."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import TypeVar

T = TypeVar("T")


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


def best_of(times: int, call: Callable[[], T]) -> tuple[T, float]:
    """Result and time in ms of the quickest of so many calls: what other work on the machine does not reach."""
    best, result = math.inf, None
    for _ in range(times):
        began = time.perf_counter()
        result = call()
        best = min(best, time.perf_counter() - began)
    assert result is not None
    return result, 1000.0 * best


__all__ = ["best_of", "interleaved", "median", "percentile"]
