"""x-eiRampUp and x-eiRecovery as phases: the demand rises and falls in steps (rule 31).

    x-eiRampUp  > 0   rises before dtstart       x-eiRecovery  > 0   falls after the end
                < 0   rises after it                           < 0   falls before it

Each step asks for the mean of its part of the line, so the steps give the energy of the straight ramp. A ramp needs
something to start from: `Delta` and `Level` rise from 0 W, a `Multiplier` from 1. A `Setpoint` is a target whose
distance from the load is known only when it is measured; without a load forecast it has no ramp and is asked in full
from dtstart to the end (the operator is told). An open end has no recovery.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import assert_never

from vpp_gateway.domain.instruction import Delta, Demand, Level, Limit, Multiplier, Phase, Setpoint

STEP_MIN_S = 1.0
SLIVER_S = 1e-3
"""Edges of steps and intervals that lie closer are one: what is between them is rounding."""
_Step = tuple[float, float, float]
"""From, until, share of the demand."""


def can_ramp(demand: Demand) -> bool:
    """Whether a demand can be asked for in part."""
    return not isinstance(demand, Setpoint | Limit)


def with_ramps(
    phases: tuple[Phase, ...], ramp_up_s: float, recovery_s: float, steps: int
) -> tuple[Phase, ...]:
    """`phases` with their ramps.

    Args:
        phases: In time order, at least one.
        ramp_up_s: > 0 before the first phase begins, < 0 after it.
        recovery_s: > 0 after the last phase ends, < 0 before it.
        steps: Steps of each ramp at most; none shorter than `STEP_MIN_S`.
    """
    start_at, end_at = phases[0].start_at, phases[-1].end_at
    inner: list[_Step] = []
    before: list[Phase] = []
    after: list[Phase] = []
    if ramp_up_s > 0 and can_ramp(phases[0].demand):
        line = _line(start_at - ramp_up_s, start_at, steps, rising=True)
        before = _outside(line, phases[0].demand)
    elif ramp_up_s < 0:
        until = start_at - ramp_up_s
        inner += _line(start_at, until if end_at is None else min(until, end_at), steps, rising=True)
    if end_at is not None and recovery_s > 0 and can_ramp(phases[-1].demand):
        after = _outside(_line(end_at, end_at + recovery_s, steps, rising=False), phases[-1].demand)
    elif end_at is not None and recovery_s < 0:
        inner += _line(max(end_at + recovery_s, start_at), end_at, steps, rising=False)
    middle = [piece for phase in phases for piece in _cut(phase, inner)]
    return (*before, *middle, *after)


def part_of(demand: Demand, share: float) -> Demand:
    """A share of a demand; one that cannot be asked for in part stays whole."""
    match demand:
        case Delta():
            return Delta(regulation_w=demand.regulation_w * share)
        case Level():
            return replace(demand, regulation_w=demand.regulation_w * share)
        case Multiplier():
            return Multiplier(factor=1.0 + (demand.factor - 1.0) * share)
        case Setpoint() | Limit():
            return demand
        case _:
            assert_never(demand)


def _line(since: float, until: float, steps: int, *, rising: bool) -> list[_Step]:
    count = max(1, min(steps, int((until - since) // STEP_MIN_S)))
    length = (until - since) / count
    shares = [(index + 0.5) / count for index in range(count)]
    if not rising:
        shares.reverse()
    edges = [since + index * length for index in range(count)] + [until]
    return [(edges[index], edges[index + 1], share) for index, share in enumerate(shares)]


def _outside(line: list[_Step], demand: Demand) -> list[Phase]:
    return [
        Phase(start_at=since, end_at=until, demand=part_of(demand, share)) for since, until, share in line
    ]


def _cut(phase: Phase, line: list[_Step]) -> list[Phase]:
    """The phase in pieces, each with the share of the steps it lies in."""
    if not line or not can_ramp(phase.demand):
        return [phase]
    far = float("inf") if phase.end_at is None else phase.end_at
    edges = [phase.start_at]
    for edge in sorted(edge for since, until, _ in line for edge in (since, until)):
        if edges[-1] + SLIVER_S < edge < far - SLIVER_S:
            edges.append(edge)
    pieces = []
    for since, until in pairwise([*edges, phase.end_at]):
        assert since is not None
        middle = since + SLIVER_S if until is None else (since + until) / 2
        share = math.prod(part for low, high, part in line if low <= middle < high)
        pieces.append(Phase(start_at=since, end_at=until, demand=part_of(phase.demand, share)))
    return pieces
