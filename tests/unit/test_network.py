"""Networks with moves: equal to an independent model, best effort, and what to lift."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.nested_cases import blocks
from tests.unit.network_cases import EASY, MOVES, REST, network, random_network
from tests.unit.network_model import optimum
from vpp_gateway.optimise.network import Network, folded, lifted
from vpp_gateway.optimise.program import Answer, binding, solve

BLOCK, RANKS = 50, 4


def size(case: Network) -> float:
    return 1.0 + float(np.abs(case.asked).max())


def keeps_every_limit(case: Network, answer: Answer) -> None:
    tiny = 1e-9 * size(case)
    assert np.all(answer.share >= case.least) and np.all(answer.share <= np.maximum(case.most, case.least))
    passing, committed = np.zeros(len(case.parent)), np.zeros(len(case.parent))
    np.add.at(passing, answer.node, answer.down - answer.up)
    np.add.at(passing, case.leg_node, case.leg_w * answer.share[case.leg_move])
    np.add.at(committed, case.leg_node, case.leg_w * case.least[case.leg_move])
    for k in range(len(case.parent) - 1, -1, -1):  # parents come before their children
        if case.parent[k] >= 0:
            passing[case.parent[k]] += passing[k]
            committed[case.parent[k]] += committed[k]
    kept = folded(case)
    assert np.all(passing <= np.maximum(kept.down_max, committed) + tiny)
    assert np.all(passing >= np.minimum(-kept.up_max, committed) - tiny)
    used, taken = np.zeros(len(case.limit)), np.zeros(len(case.limit))
    np.add.at(used, case.use_row, case.use_w * answer.share[case.use_move])
    np.add.at(taken, case.use_row, case.use_w * case.least[case.use_move])
    assert np.all(used <= np.maximum(case.limit, taken) + tiny)


@pytest.mark.parametrize("block", blocks(2_000, BLOCK, quick=200))
def test_equals_an_independent_model(block: int) -> None:
    """Shortfall, and the use of every rank in lexicographic order."""
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        case = random_network(seed)
        answer, model = solve(case), optimum(case, RANKS)
        use = np.zeros(RANKS)
        use[: len(answer.use)] = answer.use
        assert abs(np.abs(answer.missing).sum() - model.missing) <= 1e-9 * size(case), seed
        # The model's rows hold each rank's optimum with a solver's tolerance, which the ranks after it may use.
        assert np.abs(use - model.use).max() <= 1e-7 * size(case), seed
        keeps_every_limit(case, answer)


@pytest.mark.parametrize("block", blocks(2_000, BLOCK, quick=200))
def test_best_effort_is_the_most_there_is_and_names_what_to_lift(block: int) -> None:
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        case = random_network(seed, beyond=True)
        missing = float(np.abs(solve(case).missing).sum())
        assert missing > 0.0 and abs(missing - optimum(case, 0).missing) <= 1e-9 * size(case), seed
        free = case
        for limits in binding(case):
            free = lifted(free, limits)
        assert float(np.abs(solve(free).missing).sum()) <= 1e-9 * size(case), seed
        assert optimum(free, 0).missing <= 1e-9 * size(case), seed


# Two areas with one site each: node 0 = area A, 1 = area B, 2 = site A1, 3 = site B1.
PARENT, TARGET = (-1, -1, 0, 1), (0, 1, 0, 1)
MOVE = (MOVES, 100.0, 1.0, ((2, 120.0), (3, -150.0)))
"""100 W of load from A1 (PUE 1.2) to B1 (PUE 1.5)."""


def test_a_move_serves_both_areas_at_their_own_pue() -> None:
    answer = solve(network(PARENT, TARGET, [60.0, -80.0], [(2, EASY, 0, 0), (3, REST, 0, 50)], [MOVE]))
    assert answer.share == pytest.approx([0.5])
    assert answer.missing == pytest.approx([0.0, 0.0])
    assert answer.use[REST] == pytest.approx(5.0)


@pytest.mark.parametrize(("link", "room"), [(40.0, math.inf), (math.inf, 40.0), (40.0, 40.0)])
def test_link_and_room_bind_and_are_named(link: float, room: float) -> None:
    case = network(
        PARENT,
        TARGET,
        [60.0, 0.0],
        [(2, EASY, 0, 0), (3, EASY, 99, 0)],
        [MOVE],
        [(0, 0, 100), (0, 1, 100)],
        [link, room],
    )
    answer = solve(case)
    assert answer.share == pytest.approx([0.4])
    assert answer.missing == pytest.approx([12.0, 0.0])
    free = case
    for limits in binding(case):
        assert len(limits.couplings) or len(limits.down), "the link, the room, or the empty battery"
        free = lifted(free, limits)
    assert solve(free).missing == pytest.approx([0.0, 0.0])


def test_batteries_before_workloads_before_the_bridging_reserve() -> None:
    resources = [(2, EASY, 30.0, 0.0), (2, REST, 500.0, 0.0), (3, EASY, 500.0, 0.0)]
    answer = solve(network(PARENT, TARGET, [80.0, 0.0], resources, [MOVE]))
    assert answer.share == pytest.approx([50.0 / 120.0])
    assert answer.use[EASY] == pytest.approx(30.0 + 62.5) and answer.use[REST] == pytest.approx(0.0)


def test_what_is_no_number_is_nothing() -> None:
    resources = [(2, EASY, math.nan, 0.0), (2, EASY, 10.0, 0.0), (2, EASY, math.inf, -1.0)]
    broken = (MOVES, 100.0, 1.0, ((2, math.nan), (3, -150.0)))
    case = network(PARENT, TARGET, [60.0, 0.0], resources, [broken, MOVE], [(1, 0, 100)], [math.nan])
    answer = solve(case)
    assert answer.share.tolist() == [0.0, 0.0]
    assert answer.missing == pytest.approx([50.0, 0.0])
    narrow = replace(case, down_max=np.array([math.inf, math.inf, math.nan, math.inf]))
    assert solve(narrow).missing == pytest.approx([60.0, 0.0])
    with pytest.raises(ArithmeticError, match="not a number"):
        solve(replace(case, asked=np.array([math.nan, 0.0])))


def test_a_target_beyond_anything_gets_all_there_is() -> None:
    for asked in (1e30, math.inf):
        case = network(PARENT, TARGET, [asked, 0.0], [(2, EASY, 30.0, 0.0), (3, EASY, 999, 0)], [MOVE])
        answer = solve(case)
        assert answer.share == pytest.approx([1.0]) and answer.down.max() == pytest.approx(150.0)
        assert answer.missing[0] == pytest.approx(asked) and answer.missing[1] == pytest.approx(0.0)
        assert [limits.down.tolist() for limits in binding(case)] == [[0]]


@pytest.mark.parametrize("seed", [925, 1639])
def test_a_target_far_beyond_all_rooms_names_limits_behind_limits(seed: int) -> None:
    """Once judged by a target that was brought within reach of what there is, not by the one asked for."""
    free = case = random_network(seed, beyond=True)
    for limits in binding(case):
        free = lifted(free, limits)
    assert solve(free).missing == pytest.approx(np.zeros(len(case.asked)), abs=1e-6)


def test_what_is_committed_passes_every_limit() -> None:
    """An order that is already carried out cannot be infeasible."""
    case = network(
        PARENT,
        TARGET,
        [0.0, 0.0],
        [],
        [MOVE],
        [(0, 0, 100)],
        [30.0],
        [math.inf, math.inf, 50.0, 0.0],
        least=[0.8],
    )
    answer = solve(case)
    assert answer.share.tolist() == [0.8]
    assert answer.missing == pytest.approx([-96.0, 120.0])
    (limits,) = binding(case)
    assert limits.held.tolist() == [0]


def test_subtrees_without_moves_are_folded_and_change_nothing() -> None:
    for seed in range(100):
        case = random_network(seed)
        small = folded(case)
        assert np.isfinite(small.down_max).sum() <= np.isfinite(case.down_max).sum()
        whole, part = optimum(case, RANKS), optimum(small, RANKS)
        assert part.missing == pytest.approx(whole.missing, abs=1e-7)
        assert part.use == pytest.approx(whole.use, abs=1e-5)
