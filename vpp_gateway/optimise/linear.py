"""The same question as a linear program, for scipy's HiGHS: also where moves couple sites and targets.

Variables (all >= 0, W unless said):

    easy+ easy- rest+ rest-   per resource: down and up direction, easy part and the part kept for bridging
    y                         per lever: share called (0..1, at least what is committed)
    short over                per target: elastic, priced above every tier, so the program is never infeasible

    per target   sum(easy+ - easy- + rest+ - rest-) + sum(leg * y) + short - over = regulation
    per site    -up_max <= sum(...) + sum(leg * y) <= down_max

Price per W: easy part by tier order (1, 100, ...), levers at their tier's price times their relative cost, the rest
of the batteries above the last tier, shortfall above everything. Prices are a factor apart, so a cheaper tier is
always exhausted first; `tests/unit/test_optimise.py` proves closed form = program on nested cases.

This module imports numpy and scipy; only the solver worker imports it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array

from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.order import OfferId
from vpp_gateway.domain.plan import Lever, Plan, Problem, Resource
from vpp_gateway.domain.quantity import clamp
from vpp_gateway.optimise.allocate import closed_form, step_up

TIER_FACTOR = 100.0
COST_LEAST, COST_MOST = 0.1, 10.0
"""Relative costs beyond these would leave the tier: an offer for nothing would be called before the batteries."""


class _Program:
    """Named columns and rows of one problem, filled in one pass."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.cost: list[float] = []
        self.upper: list[float] = []
        self.lower: list[float] = []
        self.entries: list[tuple[int, int, float]] = []
        self.site_entries: list[tuple[int, int, float]] = []
        self.target_of = {site: t for t, target in enumerate(problem.targets) for site in target.sites}
        self.site_of = {bounds.site: s for s, bounds in enumerate(problem.bounds)}
        self.lever_column: dict[OfferId, int] = {}
        rest_price = TIER_FACTOR ** len(problem.tiers)
        for resource in problem.resources:
            self._add_resource(resource, rest_price)
        for lever in problem.levers:
            self._add_lever(lever)
        self.short_column = len(self.cost)
        for t in range(len(problem.targets)):
            self._column(rest_price * TIER_FACTOR, math.inf, [(t, 1.0)], [])
            self._column(rest_price * TIER_FACTOR, math.inf, [(t, -1.0)], [])

    def _column(
        self,
        price: float,
        upper: float,
        rows: list[tuple[int, float]],
        sites: list[tuple[int, float]],
        lower: float = 0.0,
    ) -> int:
        column = len(self.cost)
        self.cost.append(price)
        self.upper.append(upper)
        self.lower.append(lower)
        self.entries.extend((row, column, value) for row, value in rows)
        self.site_entries.extend((row, column, value) for row, value in sites)
        return column

    def _add_resource(self, resource: Resource, rest_price: float) -> None:
        price = TIER_FACTOR ** self.problem.tiers.index(resource.tier)
        target, site = self.target_of.get(resource.site), self.site_of.get(resource.site)
        parts = (
            (+1.0, price, _bound(resource.easy_down_w, resource.down_room_w)),
            (-1.0, price, _bound(resource.easy_up_w, resource.up_room_w)),
            (+1.0, rest_price, _rest(resource.easy_down_w, resource.down_room_w)),
            (-1.0, rest_price, _rest(resource.easy_up_w, resource.up_room_w)),
        )
        for sign, cost, upper in parts:
            rows = [] if target is None else [(target, sign)]
            # A resource outside every target stays where it is.
            self._column(
                cost, upper if target is not None else 0.0, rows, [] if site is None else [(site, sign)]
            )

    def _add_lever(self, lever: Lever) -> None:
        tier_price = TIER_FACTOR ** self.problem.tiers.index(lever.tier)
        size = max((abs(leg.regulation_w) for leg in lever.legs), default=0.0)
        rows = [
            (t, leg.regulation_w) for leg in lever.legs if (t := self.target_of.get(leg.site)) is not None
        ]
        sites = [(s, leg.regulation_w) for leg in lever.legs if (s := self.site_of.get(leg.site)) is not None]
        price = tier_price * clamp(lever.cost, COST_LEAST, COST_MOST) * size
        upper = 1.0 if all(leg.site in self.site_of for leg in lever.legs) else lever.at_least
        self.lever_column[lever.offer] = self._column(price, upper, rows, sites, lower=lever.at_least)

    def solve(self, time_limit_s: float) -> dict[OfferId, float]:
        """Share of each lever at the optimum. Raises ArithmeticError when HiGHS gives none."""
        problem, columns = self.problem, len(self.cost)
        equal = _matrix(self.entries, len(problem.targets), columns)
        site = _matrix(
            [*self.site_entries, *((row + len(problem.bounds), c, -v) for row, c, v in self.site_entries)],
            2 * len(problem.bounds),
            columns,
        )
        site_limit = np.array([b.down_max_w for b in problem.bounds] + [b.up_max_w for b in problem.bounds])
        target = np.array([t.regulation_w for t in problem.targets])
        lower, upper = np.array(self.lower), np.array(self.upper)
        numbers = (target, lower, site_limit)
        if not all(np.isfinite(n).all() for n in numbers) or np.isnan(upper).any():
            raise ArithmeticError(f"problem {problem.id} holds a number that is not finite")
        answer = linprog(  # type: ignore[call-overload]  # the stubs refuse an array as bounds, scipy takes it
            np.array(self.cost),
            A_ub=site,
            b_ub=site_limit,
            A_eq=equal,
            b_eq=target,
            bounds=np.column_stack([lower, upper]),
            method="highs",
            options={"time_limit": time_limit_s},
        )
        if answer.x is None:
            raise ArithmeticError(f"problem {problem.id}: {answer.message}")
        self.objective = float(answer.fun)
        self.x = answer.x
        return {offer: float(answer.x[column]) for offer, column in self.lever_column.items()}


def solve(problem: Problem, time_limit_s: float = 1.0) -> Plan:
    """Solve with HiGHS, then round levers up to whole steps and share out what remains fairly.

    Raises:
        ArithmeticError: HiGHS gave no answer in time, or the problem holds a number that is not finite.
    """
    wanted = _Program(problem).solve(time_limit_s)
    called = _whole_steps(problem, wanted)
    return replace(closed_form(problem, called), method="highs")


def _whole_steps(problem: Problem, wanted: Mapping[OfferId, float]) -> dict[OfferId, float]:
    """Round every lever up to a whole step, or down where a grid connection could not carry the step."""
    total = {bounds.site: 0.0 for bounds in problem.bounds}
    called: dict[OfferId, float] = {}
    for lever in sorted(problem.levers, key=lambda v: -wanted[v.offer]):
        share = step_up(lever, wanted[lever.offer])
        options = [share, *(step for step in reversed(lever.steps) if lever.at_least <= step < share)]
        called[lever.offer] = next(
            (step for step in options if _carries(problem, total, lever, step)), lever.at_least
        )
        for leg in lever.legs:
            total[leg.site] = total.get(leg.site, 0.0) + leg.regulation_w * called[lever.offer]
    return called


def _carries(problem: Problem, total: Mapping[SiteId, float], lever: Lever, share: float) -> bool:
    bounds = {b.site: b for b in problem.bounds}
    for leg in lever.legs:
        w = total.get(leg.site, 0.0) + leg.regulation_w * share
        bound = bounds.get(leg.site)
        if bound is not None and not -bound.up_max_w - 1e-6 <= w <= bound.down_max_w + 1e-6:
            return False
    return True


def objective(problem: Problem, time_limit_s: float = 10.0) -> tuple[float, dict[OfferId, float], float]:
    """For tests: (total of short and over in W, lever shares, cost) of the relaxed program."""
    program = _Program(problem)
    levers = program.solve(time_limit_s)
    return float(program.x[program.short_column :].sum()), levers, program.objective


def _matrix(entries: list[tuple[int, int, float]], rows: int, columns: int) -> csr_array:
    if not entries:
        return csr_array((rows, columns), dtype=float)
    row, column, value = zip(*entries, strict=True)
    return csr_array((value, (row, column)), shape=(rows, columns))


def _bound(easy: float, room: float) -> float:
    if not (math.isfinite(easy) and math.isfinite(room)):
        return 0.0
    return max(0.0, min(easy, room))


def _rest(easy: float, room: float) -> float:
    return max(0.0, room - _bound(easy, room)) if math.isfinite(room) else 0.0
