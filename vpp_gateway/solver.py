"""The solver worker: scipy in a process of its own, so that the control loop neither imports it nor waits for it.

    Command: Solve -> stdin of the worker (one JSON line) -> HiGHS -> stdout (one JSON line) -> Fact: Solved

One problem at a time, the newest waits; a worker that is silent past its deadline is killed and started again. The
closed form and the last plan hold meanwhile. Started as `python -m vpp_gateway.solver` this module is the worker.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pydantic import TypeAdapter

from vpp_gateway.clock import SystemClock
from vpp_gateway.domain.plan import Plan, Problem
from vpp_gateway.worker import Answer, Duty, serve

TIME_LIMIT_S = 1.0


def _solve(problem: Problem) -> Plan:
    from vpp_gateway.optimise.linear import solve

    return solve(problem, TIME_LIMIT_S)


SOLVER: Final[Duty[Problem, Plan]] = Duty(
    name="solver",
    module="vpp_gateway.solver",
    problem=TypeAdapter(Problem),
    answer=TypeAdapter(Answer[Plan]),
    solve=_solve,
    inline_s=(0.005, 0.05),
)


def main(read: Callable[[], bytes] | None = None, write: Callable[[bytes], None] | None = None) -> None:
    """The worker: one problem a line in, one answer a line out, until stdin ends."""
    import vpp_gateway.optimise.linear  # noqa: F401  # warm: the first problem shall not wait for scipy

    serve(SOLVER, SystemClock(), read, write)


if __name__ == "__main__":
    main()
