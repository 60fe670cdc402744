"""When a target cannot be met: delivered is the most there is, and lifting the named limits makes it feasible."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.nested_cases import Case, blocks, optima, random_case
from vpp_gateway.optimise.cut import Cut, binding
from vpp_gateway.optimise.nested import allocate
from vpp_gateway.optimise.tree import compile_tree

BLOCK = 200


def lifted(case: Case, cuts: Iterable[Cut]) -> Case:
    """The case without the named limits, and with every other as it was."""
    room, cap = case.room.copy(), case.cap.copy()
    for cut in cuts:
        cap[cut.nodes] = np.inf
        room[cut.resources] = 2 * case.amount
    return replace(case, room=room, cap=cap, least=case.held)


def missing(case: Case) -> float:
    return float(allocate(case.tree, case.amount, case.room, case.weight, case.cap, case.least).shortfall[0])


@pytest.mark.parametrize("block", blocks(10_000, BLOCK, quick=2_000))
def test_delivers_the_most_there_is_and_names_what_to_lift(block: int) -> None:
    """scipy says what the most is, and scipy says that the lifted program has no shortfall."""
    cases = [random_case(seed, beyond=True) for seed in range(block * BLOCK, (block + 1) * BLOCK)]
    named = [binding(case.tree, case.amount, case.room, case.cap, case.least) for case in cases]
    free = [lifted(case, cuts) for case, cuts in zip(cases, named, strict=True)]
    for case, cuts, most, after in zip(cases, named, optima(cases), optima(free), strict=True):
        answer = allocate(case.tree, case.amount, case.room, case.weight, case.cap, case.least)
        given = float(answer.x.sum())
        tolerance = 1e-9 * case.amount
        assert abs(given + most.shortfall - case.amount) <= min(tolerance, 1e-6), case
        assert most.shortfall > 0.0 and abs(answer.shortfall[0] - most.shortfall) <= tolerance, case
        assert abs(cuts[0].value + case.held.sum() - given) <= tolerance, "the limits are a certificate"
        assert after.shortfall <= tolerance, case
        assert missing(lifted(case, cuts[:-1])) > 0.0, "no layer is needless"


def test_a_site_limit_is_named_before_what_lies_behind_it() -> None:
    tree = compile_tree([-1, 0, 0], [1, 1, 2], [0, 0, 0])
    cuts = binding(tree, 100.0, [30.0, 30.0, 10.0], [math.inf, 40.0, math.inf])
    assert [(c.nodes.tolist(), c.resources.tolist(), c.value) for c in cuts] == [([1], [2], 50.0)]


def test_limits_behind_a_limit_follow_in_layers() -> None:
    tree = compile_tree([-1, 0], [1, 1], [0, 0])
    cuts = binding(tree, 100.0, [30.0, 30.0], [math.inf, 40.0])
    assert [(c.nodes.tolist(), c.resources.tolist(), c.value) for c in cuts] == [
        ([1], [], 40.0),
        ([], [0, 1], 60.0),
    ]


def test_a_met_target_has_no_binding_limit_and_an_empty_root_none_to_lift() -> None:
    tree = compile_tree([-1, -1], [0], [0])
    assert binding(tree, [5.0, 0.0], [5.0], [math.inf, math.inf]) == ()
    assert binding(tree, [5.0, 9.0], [5.0], [math.inf, math.inf]) == ()
