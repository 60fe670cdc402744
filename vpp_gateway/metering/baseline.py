"""Baseline: what the site would have taken without the instruction.

Family `pre_measured` (直前計測型): the mean of the undisturbed site load just before the instruction starts. The
load is the import at the PCC plus what our batteries discharged, so that a battery at work does not distort it; a
sample is undisturbed while no workload shift of ours is open at the site. Other families come with the market
profiles.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class LoadWindow:
    """The last undisturbed load samples of one site.

    Args:
        window_s: Length of the window, seconds.
    """

    window_s: float
    _samples: deque[tuple[float, float]] = field(default_factory=deque)

    def add(self, at: float, load_w: float) -> None:
        """Take one undisturbed sample (UTC Unix s, W)."""
        self._samples.append((at, load_w))
        while self._samples and self._samples[0][0] <= at - self.window_s:
            self._samples.popleft()

    def mean_w(self) -> float | None:
        """Mean of the window, W; None before the first sample."""
        if not self._samples:
            return None
        return sum(load for _, load in self._samples) / len(self._samples)
