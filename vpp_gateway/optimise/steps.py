"""Offers come in whole steps: which step gives enough, and which step still fits."""

from __future__ import annotations

import math
from collections.abc import Iterator

from vpp_gateway.domain.order import OfferId
from vpp_gateway.domain.plan import Coupling, Lever, Problem, Reason

SLACK_W = 1e-6


def step_up(lever: Lever, share: float) -> float:
    """The smallest step of a lever that gives at least `share` (0 stays 0); its last step when none does."""
    share = max(share, lever.at_least)
    if share <= 1e-9:
        return 0.0
    return next((step for step in lever.steps if step >= share - 1e-9), lever.steps[-1])


def coupling_reason(coupling: Coupling) -> Reason:
    """The limit of a coupling binds."""
    if coupling.between is None:
        return Reason(code="bind.coupling", values=(("name", coupling.name),))
    source, destination = coupling.between
    return Reason(code="bind.link", values=(("source", source), ("destination", destination)))


class Carried:
    """What the grid connections and the couplings carry so far."""

    def __init__(self, problem: Problem) -> None:
        self._bounds = {b.site: b for b in problem.bounds}
        self._couplings = problem.couplings
        self._sites = dict.fromkeys(self._bounds, 0.0)
        self._used = [0.0] * len(problem.couplings)
        self._uses: dict[OfferId, list[tuple[int, float]]] = {}
        """Couplings that a lever takes something of, and how much at full step."""
        for row, coupling in enumerate(problem.couplings):
            for offer in dict.fromkeys(use.offer for use in coupling.uses):
                w = math.fsum(use.w for use in coupling.uses if use.offer == offer)
                if w:
                    self._uses.setdefault(offer, []).append((row, w))

    def take(self, lever: Lever, share: float) -> None:
        """This much more of the lever is called."""
        for leg in lever.legs:
            self._sites[leg.site] = self._sites.get(leg.site, 0.0) + leg.regulation_w * share
        for row, w in self._uses.get(lever.offer, ()):
            self._used[row] += w * share

    def fits(self, lever: Lever, share: float) -> bool:
        """Whether connections and couplings could carry this much more of the lever; never where a limit is NaN."""
        return next(self.stops(lever, share), None) is None

    def stops(self, lever: Lever, share: float) -> Iterator[Reason]:
        """The connections and couplings that could not."""
        for leg in lever.legs:
            w = self._sites.get(leg.site, 0.0) + leg.regulation_w * share
            bound = self._bounds.get(leg.site)
            if bound is not None and not -bound.up_max_w - SLACK_W <= w <= bound.down_max_w + SLACK_W:
                code = "bind.export" if w > 0 else "bind.import"
                yield Reason(code=code, values=(("site", leg.site),))
        yield from map(coupling_reason, self._tight(lever, share))

    def couplings_fit(self, lever: Lever, share: float) -> bool:
        """Whether the couplings alone could carry it."""
        return next(self._tight(lever, share), None) is None

    def _tight(self, lever: Lever, share: float) -> Iterator[Coupling]:
        for row, w in self._uses.get(lever.offer, ()):
            if not self._used[row] + w * share <= self._couplings[row].limit_w + SLACK_W:
                yield self._couplings[row]
