"""Random fleets with nested limits, and the same question put to scipy as linear programs, many in one block.

Programs side by side in one matrix share neither a row nor a column, so the optimum of the whole is the optimum of
each: a hundred questions cost scipy's overhead once.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.sparse import csr_array

from vpp_gateway.optimise.nested import allocate
from vpp_gateway.optimise.tree import Floats, Tree, compile_tree, held_by_node


@dataclass(frozen=True, slots=True)
class Case:
    """One allocation with one root."""

    parent: list[int]
    node: list[int]
    rank: list[int]
    amount: float
    room: Floats
    weight: Floats
    cap: Floats
    least: Floats | None
    tree: Tree

    @property
    def held(self) -> Floats:
        return np.zeros(len(self.node)) if self.least is None else np.minimum(self.least, self.room)

    @property
    def ranks(self) -> int:
        return max(self.rank, default=0) + 1


def random_case(seed: int, *, beyond: bool = False) -> Case:
    """A tree of up to 4 levels; ties, zeros, caps that are exactly full, resources in nodes of any depth.

    Args:
        beyond: The target is more than there is.
    """
    rng = random.Random(seed)
    nodes, size = rng.randint(1, 10), rng.randint(1 if beyond else 0, 14)
    parent = [-1] + [rng.randrange(max(0, n - 4), n) for n in range(1, nodes)]
    node = [rng.randrange(nodes) for _ in range(size)]
    ranks = rng.choice([1, 2, 3, size + 1])
    rank = [rng.randrange(ranks) for _ in range(size)]
    grain = rng.choice([1e-3, 1.0, 1e6])

    def value() -> float:
        return grain * rng.choice([0.0, 10.0, 10.0, rng.uniform(0.0, 100.0), rng.uniform(0.0, 1.0)])

    room = np.array([value() for _ in range(size)])
    least = np.array([rng.choice([0.0, value() / 10]) for _ in range(size)]) if rng.random() < 0.3 else None
    tree = compile_tree(parent, node, rank)
    below = held_by_node(tree, room)
    cap = np.array([rng.choice([np.inf, b, b * rng.random(), 2 * value(), 5 * value()]) for b in below])
    weight = np.array([rng.choice([1.0, 1.0, rng.uniform(0.01, 10.0), 1e-6]) for _ in range(size)])
    whole = float(room.sum())
    amount = rng.choice([0.0, whole, whole * rng.random(), whole * rng.random(), 1.5 * whole])
    if beyond:
        able = allocate(tree, np.inf, room, weight, cap, least).x.sum()
        amount = float(able) * rng.choice([1.001, 1.1, 2.0]) + grain * rng.choice([1e-3, 1.0, 300.0])
    return Case(parent, node, rank, amount, room, weight, cap, least, tree)


@dataclass(frozen=True, slots=True)
class Optimum:
    """What scipy says of one case."""

    cost: float
    by_rank: Floats
    shortfall: float


def prices(case: Case) -> tuple[Floats, float]:
    """Price per unit of each resource, and of a shortfall: above every other."""
    return 1.0 + np.array(case.rank, dtype=float), case.ranks + 2.0


def optima(cases: Sequence[Case]) -> list[Optimum]:
    """Solve the linear programs of all cases in one call of `linprog`."""
    cost: list[float] = []
    low: list[float] = []
    high: list[float] = []
    caps: list[float] = []
    targets: list[float] = []
    upper: tuple[list[int], list[int]] = ([], [])
    equal: tuple[list[int], list[int], list[float]] = ([], [], [])
    for case in cases:
        first = len(cost)
        price, missing = prices(case)
        scale = max(float(case.room.max(initial=0.0)), case.amount) or 1.0
        held = case.held / scale
        kept = held_by_node(case.tree, held)
        cost += [*price, missing, missing]
        low += [*held, 0.0, 0.0]
        high += [*(case.room / scale), np.inf, np.inf]
        equal[0].extend([len(targets)] * (len(case.node) + 2))
        equal[1].extend(range(first, len(cost)))
        equal[2].extend([1.0] * (len(case.node) + 1) + [-1.0])
        targets.append(case.amount / scale)
        for i, at in enumerate(case.node):
            while at >= 0:
                upper[0].append(len(caps) + at)
                upper[1].append(first + i)
                at = case.parent[at]
        limit = np.maximum(case.cap / scale, kept)
        caps += [*np.minimum(limit, 1e6)]
    answer = linprog(
        np.array(cost),
        A_ub=csr_array((np.ones(len(upper[0])), upper), shape=(len(caps), len(cost))),
        b_ub=np.array(caps),
        A_eq=csr_array((equal[2], equal[:2]), shape=(len(targets), len(cost))),
        b_eq=np.array(targets),
        bounds=np.column_stack([low, high]),
        method="highs",
    )
    assert answer.status == 0, answer.message
    return [_read(case, part) for case, part in zip(cases, _parts(cases, answer.x), strict=True)]


def _parts(cases: Sequence[Case], x: Floats) -> list[Floats]:
    ends = np.cumsum([len(case.node) + 2 for case in cases])
    return np.split(x, ends[:-1])


def _read(case: Case, part: Floats) -> Optimum:
    scale = max(float(case.room.max(initial=0.0)), case.amount) or 1.0
    x, short, over = part[:-2] * scale, part[-2] * scale, part[-1] * scale
    return Optimum(
        cost=cost_of(case, x, short, over),
        by_rank=np.bincount(case.rank, x, case.ranks).astype(float),
        shortfall=float(short),
    )


def cost_of(case: Case, x: Floats, short: float, over: float) -> float:
    """The program's objective."""
    price, missing = prices(case)
    return float(price @ x + missing * (short + over))


def blocks(cases: int, block: int, quick: int) -> list[object]:
    """Numbers of the blocks that make up so many cases; those beyond `quick` cases are left to `make soak`."""
    return [
        n if n * block < quick else pytest.param(n, marks=pytest.mark.soak) for n in range(cases // block)
    ]
