"""The exact split under nested limits: equal to scipy's linear program, and fair inside a rank."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.unit.nested_cases import Case, blocks, cost_of, optima, random_case
from vpp_gateway.errors import MisuseError
from vpp_gateway.optimise.nested import allocate, unsound
from vpp_gateway.optimise.tree import Floats, compile_tree, held_by_node

BLOCK = 200


def filled(case: Case) -> tuple[Floats, float, float]:
    answer = allocate(case.tree, case.amount, case.room, case.weight, case.cap, case.least)
    return answer.x, float(answer.shortfall[0]), float(answer.over[0])


@pytest.mark.parametrize("block", blocks(10_000, BLOCK, quick=2_000))
def test_equals_scipys_linear_program(block: int) -> None:
    """Cost, shortfall and amount per rank within 1e-9 relative, and every limit kept."""
    cases = [random_case(seed) for seed in range(block * BLOCK, (block + 1) * BLOCK)]
    for case, optimum in zip(cases, optima(cases), strict=True):
        x, short, over = filled(case)
        near = 1e-9 * max(case.amount, float(case.room.max(initial=0.0)))
        cost = cost_of(case, x, short, over)
        assert abs(cost - optimum.cost) <= 1e-9 * max(cost, optimum.cost), case
        assert abs(short - optimum.shortfall) <= near, case
        assert np.abs(np.bincount(case.rank, x, case.ranks) - optimum.by_rank).max() <= near, case
        assert abs(x.sum() + short - over - case.amount) <= near, case
        assert np.all(x >= case.held) and np.all(x <= case.room), case
        limit = np.maximum(case.cap, held_by_node(case.tree, case.held))
        assert np.all(held_by_node(case.tree, x) <= limit + near), case


@pytest.mark.parametrize("block", range(4))
def test_equal_ranks_share_by_weight(block: int) -> None:
    """Whoever has less than its room has a full node above it, where no equal has more for its weight."""
    for seed in range(block * 500, (block + 1) * 500):
        case = random_case(seed)
        tree = case.tree
        x, _, _ = filled(case)
        more, level = x - case.held, (x - case.held) / case.weight
        tiny = 1e-9 * max(case.amount, float(case.room.max(initial=0.0)))
        total = held_by_node(tree, x)
        cap = np.maximum(case.cap, held_by_node(tree, case.held))
        cap[0] = min(cap[0], max(case.amount, float(case.held.sum())))
        for i, at in enumerate(case.node):
            if x[i] >= case.room[i] - tiny:
                continue
            while at >= 0:
                mates = [j for j in range(len(case.node)) if at in path(case, j)]
                if total[at] >= cap[at] - tiny and all(
                    more[j] <= tiny
                    or case.rank[j] < case.rank[i]
                    or (case.rank[j] == case.rank[i] and level[j] <= level[i] * (1 + 1e-6) + tiny)
                    for j in mates
                ):
                    break
                at = case.parent[at]
            assert at >= 0, (seed, i)


def path(case: Case, i: int) -> set[int]:
    at, nodes = case.node[i], set()
    while at >= 0:
        nodes.add(at)
        at = case.parent[at]
    return nodes


def test_three_areas_at_once_are_three_roots() -> None:
    tree = compile_tree([-1, -1, 0, 1, -1], [2, 2, 3, 1], [0, 0, 0, 1])
    answer = allocate(
        tree, [30.0, 50.0, 7.0], [100.0, 100.0, 20.0, 100.0], [1.0, 2.0, 1.0, 1.0], [math.inf] * 5
    )
    assert answer.x == pytest.approx([10.0, 20.0, 20.0, 30.0])
    assert answer.shortfall == pytest.approx([0.0, 0.0, 7.0])


def test_what_is_no_number_is_nothing_and_has_a_name() -> None:
    """A NaN bound must never mean unlimited."""
    tree = compile_tree([-1, 0, 0], [1, 1, 1, 1, 2], [0, 0, 0, 0, 0])
    room, cap = [math.nan, -5.0, math.inf, 10.0, 10.0], [math.inf, math.inf, math.nan]
    answer = allocate(tree, 100.0, room, [1.0, 1.0, 1.0, math.nan, -1.0], cap)
    assert answer.x.tolist() == [0.0, 0.0, 0.0, 10.0, 0.0]
    assert answer.shortfall.tolist() == [90.0]
    assert unsound(room).tolist() == [0, 1, 2]
    assert unsound(cap, infinite=True).tolist() == [2]
    assert allocate(tree, math.nan, room, np.ones(5), cap).x.tolist() == [0.0] * 5
    assert allocate(tree, math.inf, room, np.ones(5), cap).shortfall.tolist() == [math.inf]


def test_least_amounts_are_held_against_every_cap_and_the_surplus_is_said() -> None:
    tree = compile_tree([-1, 0], [1, 0], [0, 0])
    answer = allocate(tree, 5.0, [10.0, 10.0], [1.0, 1.0], [math.inf, 2.0], [8.0, 0.0])
    assert answer.x.tolist() == [8.0, 0.0]
    assert answer.over.tolist() == [3.0]


def test_an_empty_fleet_has_a_shortfall() -> None:
    answer = allocate(compile_tree([-1], [], []), 5.0, [], [], [math.inf])
    assert answer.x.tolist() == [] and answer.shortfall.tolist() == [5.0]


def test_sharing_is_independent_of_the_order_and_of_the_size_of_weights() -> None:
    rng = np.random.default_rng(5)
    size = 500
    parent = [-1, 0, 0, 1, 1, 2]
    node, rank = rng.integers(0, 6, size), rng.integers(0, 3, size)
    room, weight = rng.uniform(0, 9e4, size), rng.uniform(1, 9, size)
    cap = held_by_node(compile_tree(parent, node, rank), room) * [0.9, 0.6, 0.8, 0.5, 1.0, 0.4]
    one = allocate(compile_tree(parent, node, rank), 0.5 * room.sum(), room, weight, cap).x
    mixed = rng.permutation(size)
    two = allocate(
        compile_tree(parent, node[mixed], rank[mixed]),
        0.5 * room.sum(),
        room[mixed],
        weight[mixed] * 1e-7,
        cap,
    ).x
    assert two == pytest.approx(one[mixed], rel=1e-9)


@pytest.mark.parametrize(
    ("parent", "node", "rank"),
    [
        ([0], [0], [0]),
        ([1, 0], [0], [0]),
        ([-1], [1], [0]),
        ([-1], [0], [-1]),
        ([], [], []),
        ([-1, 7], [0], [0]),
    ],
)
def test_what_is_no_forest_is_refused(parent: list[int], node: list[int], rank: list[int]) -> None:
    with pytest.raises(MisuseError):
        compile_tree(parent, node, rank)
