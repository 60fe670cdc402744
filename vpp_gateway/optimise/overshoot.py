"""Whole steps give more than was asked, and batteries take the rest back. Where they cannot, less is called.

asked          |=========|
called         |=========|==================>|     the next whole step
batteries       <------|                           what they can take back
overshoot               |------------------->      worse than what would be missing without the step? Then without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from vpp_gateway.domain.instruction import InstructionId
from vpp_gateway.domain.order import OfferId
from vpp_gateway.domain.plan import Lever, Plan, Problem

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
    while over := _overshot(problem, plan):
        found = plan
        for lever in problem.levers:
            if not lever.stands and any(leg.site in over for leg in lever.legs):
                calls = {call.offer: call.share for call in plan.calls}
                below = _step_below(lever, calls.get(lever.offer, 0.0))
                if below is not None:
                    other = fill(calls | {lever.offer: below})
                    found = other if _off_w(other) < _off_w(found) - WORTH_W else found
        if found is plan:
            return plan
        plan = found
    return plan


def overshot(problem: Problem, plan: Plan) -> dict[InstructionId, float]:
    """What each target is given beyond what it asks, as a magnitude, W."""
    asked = {target.instruction: target.regulation_w for target in problem.targets}
    return {
        id: abs(missing_w)
        for id, missing_w in plan.shortfall_w
        if missing_w * asked.get(id, 0.0) < 0.0 or (missing_w and not asked.get(id, 0.0))
    }


def _overshot(problem: Problem, plan: Plan) -> set[str]:
    """Sites of the targets that are given more than they ask."""
    ids = overshot(problem, plan)
    return {site for target in problem.targets if target.instruction in ids for site in target.sites}


def _off_w(plan: Plan) -> float:
    return math.fsum(abs(missing_w) for _, missing_w in plan.shortfall_w)


def _step_below(lever: Lever, share: float) -> float | None:
    """The next smaller step that may be called; None when there is none."""
    if share <= lever.at_least:
        return None
    return max((step for step in lever.steps if lever.at_least <= step < share), default=lever.at_least)
