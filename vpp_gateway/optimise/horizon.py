"""The rolling plan: who carries what over the coming hour, as one linear program.

    instruction  sum(out - in) + sum(leg * called) - sum(leg * back) + short - over = regulation       elastic
    connection   load - pv + curtailed - sum(out - in) - sum(leg * called) + sum(leg * back)
                   = import - export;   import <= import_max + beyond,  export <= export_max + beyond   elastic
    battery      energy, window, losses, ramp; shares of armed products       optimise.horizon_stores
    workload     latency, dwell, longest hold, energy, rebound                optimise.horizon_works

It is never infeasible: what cannot be had is short, missing, late or beyond, each at its price. The prices are a factor
apart, in this order: use of the first tier, of the next tiers, what is kept back for products, the instructions, the
limits of the connections. So batteries serve before workloads, and hand over to them where they would not last; a
limit is kept at the cost of the instruction, never the other way round.

What bound is read off the marginals: the price of the shortfall lies far above everything else, so a bound whose
marginal is of its size is a bound that holds the shortfall up.

This module imports numpy and scipy; only the planner's worker imports it.
"""

from __future__ import annotations

import numpy as np

from vpp_gateway.domain.horizon import HorizonPlan, HorizonProblem
from vpp_gateway.optimise.blocks import Optimum
from vpp_gateway.optimise.horizon_cells import together
from vpp_gateway.optimise.horizon_checks import clean
from vpp_gateway.optimise.horizon_model import Model, build
from vpp_gateway.optimise.horizon_read import read

TIME_LIMIT_S = 1.0
BOTH_KW = 1e-4
ROUNDS = 4
"""More solves at most, until no battery runs both ways at once; hardly ever more than one is needed, and the last one
leaves no battery a choice."""


def solve(problem: HorizonProblem, time_limit_s: float = TIME_LIMIT_S) -> HorizonPlan:
    """Plan; what of the problem cannot be true is left out and named.

    Raises:
        ValueError: the frame makes no sense (steps, tiers, prices, doubled names).
        ArithmeticError: HiGHS gave no answer in time.
    """
    kept, refused = clean(problem)
    model = build(*together(kept))
    optimum = model.program.solve(time_limit_s)
    for turn in range(ROUNDS):
        if not one_way(model, optimum, everywhere=turn == ROUNDS - 1):
            break
        optimum = model.program.solve(time_limit_s)
    return read(model, optimum, kept, refused)


def one_way(model: Model, optimum: Optimum, *, everywhere: bool = False) -> bool:
    """Close one way of each battery where both ran at once; False when there was nothing to close.

    `everywhere`: when there is, close one way of each battery at each time, so that it is the last turn. That costs, and so it happens only where it burns energy that has no other place to go. No battery can do it.
    """
    out, into = optimum.x[model.stores.out], optimum.x[model.stores.into]
    both = np.minimum(out, into) > BOTH_KW
    closed = np.full_like(both, True) if everywhere and both.any() else both
    model.program.close(model.stores.into[closed & (out >= into)])
    model.program.close(model.stores.out[closed & (out < into)])
    return bool(both.any())
