"""Connections and inner organs as the console shows them, one row each: what it is, how it is, and why."""

from __future__ import annotations

from typing import Protocol

from vpp_gateway.catalogue import retell
from vpp_gateway.console.status import LinkHealth, LinkKind, LinkView
from vpp_gateway.dispatch.rolling import Rolling


class WorkerState(Protocol):
    """What the console shows of a worker process."""

    @property
    def state(self) -> str: ...

    @property
    def reason(self) -> str: ...

    @property
    def restarts(self) -> int: ...


def link_view(
    name: str, kind: LinkKind, state: str, health: LinkHealth, detail: str, age_s: float | None = None
) -> LinkView:
    """One row; the Japanese is retold as far as the words are our own."""
    return LinkView(
        name=name,
        kind=kind,
        state=state,
        health=health,
        detail=detail,
        detail_ja=retell(detail, "ja"),
        age_s=age_s,
        refused_messages=0,
    )


def solver_link(solver: WorkerState, trouble: str) -> LinkView:
    """The solver worker.

    Args:
        trouble: Why its last problem got no plan; empty otherwise.
    """
    health: LinkHealth = "good" if solver.state == "ready" else "warning"
    return link_view("solver", "solver", solver.state, health, solver.reason or trouble)


def planner_link(planner: WorkerState, rolling: Rolling, now: float) -> LinkView:
    """The planner worker: its age is that of the last good plan."""
    wrong = planner.reason or rolling.trouble
    health: LinkHealth = "warning" if wrong or planner.state != "ready" else "good"
    plan = rolling.plan
    detail = wrong
    if plan is not None and not wrong:
        minutes, ms = sum(plan.lengths_s) / 60.0, 1000.0 * plan.solve_s
        detail = f"last plan of {minutes:.0f} min, made in {ms:.0f} ms"
    age_s = None if plan is None else max(0.0, round(now - plan.at, 3))
    return link_view("planner", "planner", planner.state, health, detail, age_s)


def journal_link(trouble: str, *, degraded: bool) -> LinkView:
    """The journal."""
    health: LinkHealth = "bad" if degraded else "warning" if trouble else "good"
    return link_view("journal", "journal", "degraded" if degraded else "ok", health, trouble)
