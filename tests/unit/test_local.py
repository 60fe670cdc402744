"""Local renewables first: as much surplus as a linear program can take up, after disruption and before wear."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linprog

from tests.unit.nested_cases import Case, random_case
from vpp_gateway.optimise.local import allocate_local
from vpp_gateway.optimise.nested import allocate
from vpp_gateway.optimise.tree import Floats, compile_tree, held_by_node


def most_local(case: Case, group: list[int], surplus: Floats) -> tuple[float, float]:
    """By scipy: (shortfall, surplus taken up) where classes matter most, then surplus."""
    size, sites = len(case.node), np.flatnonzero(np.isfinite(surplus))
    inside = np.array([held_by_node(case.tree, row) for row in np.eye(size)]).reshape(size, -1).T
    price = [1.0 + g for g in group]
    cost = np.array([*price, 2.0 + max(group, default=0), *([-1e-3] * len(sites))])
    limit = np.minimum(case.cap, 1e12)
    rows = [np.hstack([inside, np.zeros((len(limit), 1 + len(sites)))])]
    rows.append(np.hstack([-inside[sites], np.zeros((len(sites), 1)), np.eye(len(sites))]))
    answer = linprog(
        cost,
        A_ub=np.vstack(rows),
        b_ub=np.concatenate([limit, np.zeros(len(sites))]),
        A_eq=np.array([[*([1.0] * size), 1.0, *([0.0] * len(sites))]]),
        b_eq=[case.amount],
        bounds=[*((0.0, r) for r in case.room), (0.0, None), *((0.0, surplus[s]) for s in sites)],
        method="highs",
    )
    assert answer.status == 0, answer.message
    return float(answer.x[size]), float(answer.x[size + 1 :].sum())


def test_takes_up_as_much_surplus_as_a_linear_program() -> None:
    taken_at_all = 0
    for seed in range(1_000):
        rng = random.Random(seed)
        case = replace(random_case(seed), least=None)
        if not 1.0 < case.amount < 1e4:
            continue
        group = [rng.randrange(2) for _ in case.node]
        children = [k for k, parent in enumerate(case.parent) if parent == 0]
        surplus = np.full(len(case.parent), math.inf)
        surplus[children] = [rng.choice([0.0, 10.0, rng.uniform(0, 100)]) for _ in children]
        answer = allocate_local(case.tree, case.amount, case.room, case.weight, case.cap, group, surplus)
        short, local = most_local(case, group, surplus)
        held = held_by_node(case.tree, answer.x)
        ours = float(np.minimum(held, surplus)[children].sum())
        assert answer.shortfall[0] == pytest.approx(short, abs=1e-7 * case.amount), seed
        assert ours == pytest.approx(local, abs=1e-6 * case.amount), seed
        assert np.all(held <= case.cap + 1e-9 * case.amount) and np.all(answer.x <= case.room), seed
        tree = compile_tree(case.parent, case.node, group)
        plain = allocate(tree, case.amount, case.room, case.weight, case.cap).x
        by_class = [np.bincount(group, x, 2) for x in (answer.x, plain)]
        assert by_class[0] == pytest.approx(by_class[1], abs=1e-7 * case.amount), seed
        taken_at_all += ours > 0.0
    assert taken_at_all > 100


def test_a_battery_beside_a_plant_charges_first_and_soc_decides_there() -> None:
    tree = compile_tree([-1, 0, 0], [1, 1, 2], [0, 0, 0])
    room, weight, free = [100.0] * 3, [1.0, 2.0, 5.0], [math.inf] * 3
    answer = allocate_local(tree, 90.0, room, weight, free, [0, 0, 0], [math.inf, 60.0, 0.0])
    assert answer.x[:2].sum() >= 60.0 and answer.x.sum() == pytest.approx(90.0)
    assert answer.x == pytest.approx([20.0 + 30.0 / 8, 40.0 + 60.0 / 8, 150.0 / 8])
    nothing = allocate_local(tree, 90.0, room, weight, free, [0, 0, 0], [math.inf, math.nan, -1.0])
    assert nothing.x == pytest.approx(allocate(tree, 90.0, room, weight, free).x)
