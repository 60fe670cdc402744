"""Whether a limit is held: what flows at a grid connection against the most that is allowed there, second by second.

    excess = import - import_max,  or  export - export_max      the larger of both; < 0: so much was left

What a limit is passed by from one second to the next, while the load moves, is no breach: that is `LIMIT_TOLERANCE`.
Seconds count from `SETTLE_S` after the start, as for every event.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from vpp_gateway.domain.instruction import Limit

LIMIT_TOLERANCE = 0.01
"""Share of the limit."""


def excess_w(limit: Limit, import_w: float) -> float:
    """By how much this flow is beyond the limit, W; < 0: so much is left. -inf: it limits nothing."""
    return max((flow_w - most_w for flow_w, most_w in _ways(limit, import_w)), default=-math.inf)


def breaks(limit: Limit, import_w: float) -> bool:
    """Whether this flow is beyond the limit by more than the tolerance."""
    return any(
        flow_w > most_w + LIMIT_TOLERANCE * abs(most_w) + 1e-6 for flow_w, most_w in _ways(limit, import_w)
    )


def _ways(limit: Limit, import_w: float) -> Iterator[tuple[float, float]]:
    if limit.import_max_w is not None:
        yield import_w, limit.import_max_w
    if limit.export_max_w is not None:
        yield -import_w, limit.export_max_w


@dataclass(slots=True, kw_only=True)
class LimitAccount:
    """The seconds of one site under one limit."""

    limit: Limit
    """As it stood last."""
    samples: int = 0
    """Seconds in which a meter showed the site."""
    samples_above: int = 0
    """Of these, beyond the limit at all."""
    samples_broken: int = 0
    """Of these, beyond it by more than the tolerance."""
    samples_unseen: int = 0
    """Seconds in which no meter showed it."""
    worst_excess_w: float = -math.inf
    """The largest excess, W; < 0: the limit was never reached."""
    sum_import_w: float = 0.0

    def add(self, limit: Limit, import_w: float | None) -> None:
        """Count one second; None: no meter shows the site."""
        self.limit = limit
        if import_w is None:
            self.samples_unseen += 1
            return
        excess = excess_w(limit, import_w)
        self.samples += 1
        self.samples_above += excess > 0.0
        self.samples_broken += breaks(limit, import_w)
        self.worst_excess_w = max(self.worst_excess_w, excess)
        self.sum_import_w += import_w

    @property
    def import_w(self) -> float:
        """Mean over the samples, W."""
        return self.sum_import_w / max(self.samples, 1)

    @property
    def held(self) -> bool | None:
        """Whether it was held; None where nothing was counted, or what was not seen may have broken it."""
        if self.samples_broken:
            return False
        return None if self.samples_unseen or not self.samples else True
