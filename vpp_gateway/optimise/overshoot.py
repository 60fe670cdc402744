"""Whole steps give more than was asked, and batteries take the rest back. Where they cannot, less is called.

asked          |=========|
called         |=========|==================>|     the next whole step
batteries       <------|                           what they can take back
overshoot               |------------------->      worse than what would be missing without the step? Then without it.

What is missing after a step less is arithmetic (`optimise.ground`), so no plan is made to find out. At one site a larger
step less comes nearer until nothing is too much, and farther beyond that: only the steps on both sides of that point are
looked at. Of equal ones the lever that was called last goes back.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from vpp_gateway.domain.instruction import InstructionId, SiteId
from vpp_gateway.domain.order import OfferId
from vpp_gateway.domain.plan import Lever, Plan, Problem
from vpp_gateway.optimise.by_site import by_site
from vpp_gateway.optimise.call_order import turn
from vpp_gateway.optimise.ground import Ground, grounds_of

WORTH_W = 1.0
"""A plan must be better by so much to be taken instead."""

Filled = Callable[[Mapping[OfferId, float]], Plan]
"""A plan with these levers called."""


def without_overshoot(problem: Problem, plan: Plan, fill: Filled) -> Plan:
    """The plan with steps taken back one by one as long as it then comes nearer to what is asked.

    Args:
        plan: Made of whole steps.
        fill: Makes the plan of other calls.
    """
    if not overshot(problem, plan):
        return plan
    calls = {call.offer: call.share for call in plan.calls}
    steps, taken = _Steps(problem, plan, calls), False
    while (back := steps.best()) is not None:
        steps.take(back)
        calls[back.lever.offer], taken = back.below, True
    if not taken:
        return plan
    other = fill(calls)
    return other if _off_w(other) < _off_w(plan) - WORTH_W else plan


def overshot(problem: Problem, plan: Plan) -> dict[InstructionId, float]:
    """What each target is given beyond what it asks, as a magnitude, W."""
    asked = {target.instruction: target.regulation_w for target in problem.targets}
    return {
        id: abs(missing_w)
        for id, missing_w in plan.shortfall_w
        if missing_w * asked.get(id, 0.0) < 0.0 or (missing_w and not asked.get(id, 0.0))
    }


def _off_w(plan: Plan) -> float:
    return math.fsum(abs(missing_w) for _, missing_w in plan.shortfall_w)


@dataclass(frozen=True, slots=True)
class _Back:
    """One lever a step less."""

    lever: Lever
    turn: int
    below: float
    """Its share then."""
    less_w: tuple[tuple[SiteId, float], ...]
    """What that takes away of its regulation, by site."""


class _Steps:
    """The steps that could be taken back, and what would be missing then."""

    def __init__(self, problem: Problem, plan: Plan, calls: Mapping[OfferId, float]) -> None:
        lies = by_site(problem)
        self._levers_w = {site: lies.levers_w(site, calls) for site in lies.legs}
        self._grounds = grounds_of(lies, plan, self._levers_w)
        self._at: dict[SiteId, list[Ground]] = {}
        for ground in self._grounds:
            for site in ground.places:
                self._at.setdefault(site, []).append(ground)
        self._single: dict[SiteId, list[_Back]] = {}
        """Levers of one leg by site, sorted by size."""
        self._moves: dict[OfferId, _Back] = {}
        """The others."""
        for number, lever in enumerate(sorted(problem.levers, key=lambda v: turn(v, problem.tiers))):
            self._offer(lever, number, calls.get(lever.offer, 0.0))

    def best(self) -> _Back | None:
        """The step that comes nearest to what is asked when it is taken back; None when none is worth it."""
        over = [ground for ground in self._grounds if ground.over]
        found = [(self._gain_w(back), back.turn, back) for back in self._near(over)] if over else []
        gain_w, _, back = max(found, key=lambda one: one[:2], default=(0.0, 0, None))
        return back if gain_w > WORTH_W else None

    def take(self, back: _Back) -> None:
        """Take it back."""
        for site, less_w in back.less_w:
            levers_w = self._levers_w[site] - less_w
            for ground in self._at.get(site, ()):
                ground.take(site, less_w, levers_w)
            self._levers_w[site] = levers_w
        if back.lever.offer in self._moves:
            del self._moves[back.lever.offer]
        else:
            self._single[back.less_w[0][0]].remove(back)
        self._offer(back.lever, back.turn, back.below)

    def _offer(self, lever: Lever, number: int, share: float) -> None:
        """What is to be had of this lever, when so much of it is called."""
        below = None if lever.stands else _step_below(lever, share)
        if below is None or not lever.legs:
            return
        less_w = tuple((leg.site, leg.regulation_w * (share - below)) for leg in lever.legs)
        back = _Back(lever, number, below, less_w)
        if len(less_w) == 1:
            insort(self._single.setdefault(less_w[0][0], []), back, key=_size)
        else:
            self._moves[lever.offer] = back

    def _near(self, over: list[Ground]) -> Iterator[_Back]:
        """The steps that could come nearest."""
        sites: set[SiteId] = set()
        for ground in over:
            sites.update(ground.target.sites)
            for site in ground.target.sites:
                steps = self._single.get(site, ())
                above = bisect_right(steps, (-ground.need_w, math.inf), key=_size)
                yield from steps[max(0, above - 1) : above]
                if above < len(steps):
                    last = bisect_right(steps, (steps[above].less_w[0][1], math.inf), key=_size)
                    yield steps[last - 1]
        yield from (move for move in self._moves.values() if any(site in sites for site, _ in move.less_w))

    def _gain_w(self, back: _Back) -> float:
        """By how much it comes nearer, W."""
        touched = {id(ground): ground for site, _ in back.less_w for ground in self._at.get(site, ())}
        less = [(site, less_w, self._levers_w[site]) for site, less_w in back.less_w]
        return math.fsum(ground.off_w() - ground.off_w(less) for ground in touched.values())


def _size(back: _Back) -> tuple[float, float]:
    return back.less_w[0][1], back.turn


def _step_below(lever: Lever, share: float) -> float | None:
    """The next smaller step that may be called; None when there is none."""
    if share <= lever.at_least:
        return None
    return max((step for step in lever.steps if lever.at_least <= step < share), default=lever.at_least)
