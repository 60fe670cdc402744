"""The load of a site that cannot be seen for a while: what it probably is.

    seen load ----+                    the last deviation from the usual fades:  usual + (last - usual) * exp(-t / FADE_S)
                   `-.___________      usual = the mean of the last quarter of an hour, less the shifts of ours that stand
    ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~      usual load

To hold the last value for ever would take a passing peak for lasting: after some minutes the error of a held value is
half as large again as that of the usual one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

FADE_S = 120.0
"""How fast the load of a data centre forgets what it was; a round figure, no measured one."""
USUAL_S = 900.0
"""The usual load is the mean of about so long."""
STEP_MAX_S = 2.0
"""A sample stands for no longer than this: it says nothing of the time in which nothing was seen."""


@dataclass(slots=True)
class Unseen:
    """What is remembered of one site's load."""

    _usual_w: float | None = None
    _span_s: float = 0.0
    """How much time is in the mean, at most `USUAL_S`."""
    _seen: tuple[float, float] | None = None
    """(UTC Unix s, load W) of the last sample that was believed."""

    def saw(self, at: float, load_w: float, shifted_w: float) -> None:
        """A sample that is believed.

        Args:
            at: UTC (Unix s).
            load_w: Import without our batteries.
            shifted_w: Regulation that workload shifts of ours give in it; > 0 lowers the load.
        """
        undisturbed = load_w + shifted_w
        if self._usual_w is None or self._seen is None:
            self._usual_w = undisturbed
        else:
            passed = min(max(0.0, at - self._seen[0]), STEP_MAX_S)
            self._span_s = min(self._span_s + passed, USUAL_S)
            part = passed / self._span_s if self._span_s > 0 else 0.0
            self._usual_w += part * (undisturbed - self._usual_w)
        self._seen = (at, load_w)

    def distrust(self) -> None:
        """What was seen last was not true: only the usual load is left."""
        if self._seen is not None:
            self._seen = (-math.inf, 0.0)

    def load_w(self, now: float, shifted_w: float) -> float | None:
        """What the load probably is at `now` (UTC, Unix s); None when it was never seen.

        Args:
            shifted_w: As above, now.
        """
        if self._usual_w is None or self._seen is None:
            return None
        at, last = self._seen
        usual = self._usual_w - shifted_w
        return usual + (last - usual) * math.exp(-max(0.0, now - at) / FADE_S)
