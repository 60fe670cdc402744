"""One allocation as arrays, and the same question to scipy's linprog and to Pyomo with HiGHS.

    fleet - areas - sites of 100 - feeders of 10 resources; about half of all nodes are at their limit
    a third of the resources are batteries (one rank, shared by SoC), the others workloads in five classes of cost

scipy gets its sparse matrix ready-made and is timed for the solve alone; Pyomo's model is built each time, since that
is what a new second with new numbers costs there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyomo.environ as pyo
from pyomo.contrib.appsi.solvers import Highs
from scipy.optimize import linprog
from scipy.sparse import csr_array

from vpp_gateway.optimise.nested import Filled, allocate
from vpp_gateway.optimise.tree import Floats, Ints, Tree, compile_tree, held_by_node

CLASSES = 5
DEAR = 1e4
"""Price of a shortfall, above every rank's."""


@dataclass(frozen=True, slots=True)
class FleetCase:
    """One second of one fleet."""

    tree: Tree
    amount: float
    room: Floats
    weight: Floats
    cap: Floats
    price: Floats

    def ours(self) -> Filled:
        return allocate(self.tree, self.amount, self.room, self.weight, self.cap)


def fleet_case(size: int, seed: int) -> FleetCase:
    """Ties and empty batteries among them; the caps are drawn so that every level binds somewhere."""
    rng = np.random.default_rng(seed)
    areas, sites, feeders = 3 if size < 10_000 else 10, size // 100, size // 10
    parent = [-1] + [0] * areas
    parent += [1 + site * areas // sites for site in range(sites)]
    parent += [1 + areas + feeder * sites // feeders for feeder in range(feeders)]
    node: Ints = 1 + areas + sites + np.arange(size) * feeders // size
    rank = np.where(rng.random(size) < 1 / 3, 0, rng.integers(1, 1 + CLASSES, size))
    room = np.where(rng.random(size) < 0.1, 0.0, rng.uniform(1e3, 9e4, size))
    tree = compile_tree(parent, node, rank)
    cap = held_by_node(tree, room) * rng.uniform(0.4, 1.1, len(parent))
    cap[0] = np.inf
    return FleetCase(
        tree=tree,
        amount=0.45 * float(room.sum()),
        room=room,
        weight=rng.uniform(1.0, 9.0, size),
        cap=cap,
        price=1.0 + 10.0 * rank,
    )


def cost(case: FleetCase, x: Floats, shortfall: float) -> float:
    """What all three minimise."""
    return float(case.price @ x) + DEAR * shortfall


class Scipys:
    """The linear program of a case, its arrays made once."""

    def __init__(self, case: FleetCase) -> None:
        size, nodes = case.tree.size, case.tree.nodes
        at, rows, columns = case.tree.node.copy(), [], []
        while (at >= 0).any():
            live = at >= 0
            rows.append(at[live])
            columns.append(np.flatnonzero(live))
            at = np.where(live, case.tree.parent[at], -1)
        row, column = np.concatenate(rows), np.concatenate(columns)
        capped = np.isfinite(case.cap)
        matrix = csr_array((np.ones(len(row)), (row, column)), shape=(nodes, size + 1))
        self._limits, self._caps = matrix[capped], case.cap[capped]
        self._sum = csr_array(np.ones((1, size + 1)))
        self._case = case
        self._bounds = np.column_stack([np.zeros(size + 1), np.append(case.room, np.inf)])

    def solve(self) -> float:
        """The optimum's cost."""
        answer = linprog(
            np.append(self._case.price, DEAR),
            A_ub=self._limits,
            b_ub=self._caps,
            A_eq=self._sum,
            b_eq=[self._case.amount],
            bounds=self._bounds,
            method="highs",
        )
        assert answer.status == 0, answer.message
        return cost(self._case, answer.x[:-1], float(answer.x[-1]))


def pyomos(case: FleetCase) -> float:
    """The optimum's cost, by a Pyomo model solved with HiGHS."""
    tree, model = case.tree, pyo.ConcreteModel()
    room, price = case.room.tolist(), case.price.tolist()
    model.x = pyo.Var(range(tree.size), bounds=lambda _, i: (0.0, room[i]))
    model.short = pyo.Var(bounds=(0.0, None))
    below: list[list[int]] = [[] for _ in range(tree.nodes)]
    for i, at in enumerate(tree.node.tolist()):
        while at >= 0:
            below[at].append(i)
            at = int(tree.parent[at])
    capped = [k for k in range(tree.nodes) if np.isfinite(case.cap[k]) and below[k]]
    model.limits = pyo.Constraint(
        capped, rule=lambda m, k: pyo.quicksum(m.x[i] for i in below[k]) <= float(case.cap[k])
    )
    model.target = pyo.Constraint(
        expr=pyo.quicksum(model.x[i] for i in range(tree.size)) + model.short == case.amount
    )
    model.cost = pyo.Objective(
        expr=pyo.quicksum(price[i] * model.x[i] for i in range(tree.size)) + DEAR * model.short
    )
    Highs().solve(model)
    x = np.array([model.x[i].value for i in range(tree.size)])
    return cost(case, x, float(model.short.value))
