"""The planner: the rolling plan in a process of its own, beside the solver's.

    HorizonProblem -> stdin (one JSON line) -> HiGHS -> stdout (one JSON line) -> HorizonPlan

A plan of the hour never makes an allocation wait: it has its own process, which gives way to all others (`NICE`). What
cannot be true is left out there, and named in the plan. No answer, a late answer or a dead worker cost the new plan
only: the last good one stands (`dispatch.rolling`). Started as `python -m vpp_gateway.planner` this module is the
worker.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from pydantic import TypeAdapter

from vpp_gateway.clock import SystemClock
from vpp_gateway.domain.horizon import HorizonPlan, HorizonProblem
from vpp_gateway.worker import Answer, Duty, serve

TIME_LIMIT_S = 1.0
NICE = 10


def _solve(problem: HorizonProblem) -> HorizonPlan:
    """The plan as far as the allocation reads it."""
    from vpp_gateway.optimise.handover import brief
    from vpp_gateway.optimise.horizon import solve

    return brief(solve(problem, TIME_LIMIT_S))


PLANNER: Final[Duty[HorizonProblem, HorizonPlan]] = Duty(
    name="planner",
    module="vpp_gateway.planner",
    problem=TypeAdapter(HorizonProblem),
    answer=TypeAdapter(Answer[HorizonPlan]),
    solve=_solve,
    inline_s=(0.02, 0.1),
)


def main(read: Callable[[], bytes] | None = None, write: Callable[[bytes], None] | None = None) -> None:
    """The worker: one problem a line in, one answer a line out, until stdin ends."""
    import vpp_gateway.optimise.horizon  # noqa: F401  # warm: the first problem shall not wait for scipy

    serve(PLANNER, SystemClock(), read, write)


if __name__ == "__main__":
    os.nice(NICE)
    main()
