"""Offers come in whole steps: which step gives enough, and which step still fits."""

from __future__ import annotations

import math

from vpp_gateway.domain.plan import Lever, Problem

SLACK_W = 1e-6


def step_up(lever: Lever, share: float) -> float:
    """The smallest step of a lever that gives at least `share` (0 stays 0); its last step when none does."""
    share = max(share, lever.at_least)
    if share <= 1e-9:
        return 0.0
    return next((step for step in lever.steps if step >= share - 1e-9), lever.steps[-1])


class Carried:
    """What the grid connections and the couplings carry so far."""

    def __init__(self, problem: Problem) -> None:
        self._bounds = {b.site: b for b in problem.bounds}
        self._couplings = problem.couplings
        self._sites = dict.fromkeys(self._bounds, 0.0)
        self._used = [0.0] * len(problem.couplings)

    def take(self, lever: Lever, share: float) -> None:
        """This much more of the lever is called."""
        for leg in lever.legs:
            self._sites[leg.site] = self._sites.get(leg.site, 0.0) + leg.regulation_w * share
        for row, w in self._uses(lever):
            self._used[row] += w * share

    def fits(self, lever: Lever, share: float) -> bool:
        """Whether connections and couplings could carry this much more of the lever; never where a limit is NaN."""
        for leg in lever.legs:
            w = self._sites.get(leg.site, 0.0) + leg.regulation_w * share
            bound = self._bounds.get(leg.site)
            if bound is not None and not -bound.up_max_w - SLACK_W <= w <= bound.down_max_w + SLACK_W:
                return False
        return self.couplings_fit(lever, share)

    def couplings_fit(self, lever: Lever, share: float) -> bool:
        """The same for the couplings alone."""
        return all(
            self._used[row] + w * share <= self._couplings[row].limit_w + SLACK_W
            for row, w in self._uses(lever)
        )

    def _uses(self, lever: Lever) -> list[tuple[int, float]]:
        uses = [
            (row, math.fsum(use.w for use in coupling.uses if use.offer == lever.offer))
            for row, coupling in enumerate(self._couplings)
        ]
        return [(row, w) for row, w in uses if w]
