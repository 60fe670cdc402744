"""From the plan of the hour to the second, and the steps that it is made of."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.horizon_cases import A, asked, problem, random_problem, store, work
from vpp_gateway.catalogue import LANGS
from vpp_gateway.optimise.explain import sentence
from vpp_gateway.optimise.handover import due, hand_over, shifted, step_at
from vpp_gateway.optimise.horizon import solve
from vpp_gateway.optimise.step_grid import step_lengths

CASE = replace(
    problem(
        (100.0, 200.0, 300.0, 600.0),
        (asked("i", (A,), (100e3,) * 4, bridge_s=60.0),),
        (store("b", A, w=100e3, wh=20e3, soc=0.9),),
        (work("w", A, w=100e3, latency_s=100.0),),
    ),
    at=1000.0,
)
PLAN = solve(CASE)


def test_each_moment_has_its_step() -> None:
    assert [step_at(PLAN, 1000.0 + s) for s in (-0.1, 0.0, 99.9, 100.0, 599.0, 600.0, 1199.9, 1200.0)] == [
        None, 0, 0, 1, 2, 3, 3, None,
    ]  # fmt: skip


def test_it_hands_over_floors_caps_and_calls() -> None:
    first = hand_over(PLAN, 1050.0)
    assert first is not None and first.until == 1100.0
    assert dict(first.calls) == {"w": 0.0}
    assert {cap.tier: cap.regulation_w for cap in first.caps} == pytest.approx(
        {"battery": 100e3, "workload": 0.0}
    )
    assert first.stores[0].discharge_w == pytest.approx(100e3)
    later = hand_over(PLAN, 1150.0)
    assert later is not None and dict(later.calls)["w"] > 0.5, "work carries as soon as it is real"
    assert later.caps[1].tier == "workload" and later.caps[1].sites == (A,)
    assert later.caps[0].regulation_w + later.caps[1].regulation_w == pytest.approx(100e3)
    assert later.stores[0].floor_wh >= 2e3 - 0.01
    assert hand_over(PLAN, 999.0) is None and hand_over(PLAN, 1200.0 + 1000.0) is None


def test_an_offer_is_ordered_its_latency_before_it_is_to_be_real() -> None:
    began = next(t for t, share in enumerate(PLAN.works[0].share) if share > 0)
    real_at = 1000.0 + sum(CASE.lengths_s[:began])
    latency = {CASE.works[0].offer: 100.0}
    assert due(PLAN, latency, real_at - 101.0)["w"] == 0.0
    assert due(PLAN, latency, real_at - 100.0)["w"] == pytest.approx(PLAN.works[0].share[began])
    assert due(PLAN, latency, real_at - 105.0, within_s=5.0)["w"] == pytest.approx(PLAN.works[0].share[began])


@given(seconds=st.floats(0.0, 1199.0), later=st.floats(0.0, 1199.0))
def test_a_plan_goes_on_when_time_passes(seconds: float, later: float) -> None:
    plan = shifted(PLAN, 1000.0 + seconds)
    assert plan is not None and plan.method == "shifted"
    assert plan.at + sum(plan.lengths_s) == pytest.approx(2200.0)
    assert all(len(row.discharge_w) == len(plan.lengths_s) for row in plan.stores)
    at = 1000.0 + max(seconds, later)
    old, new = hand_over(PLAN, at), hand_over(plan, at)
    assert old is not None and new is not None
    if min(abs(at - edge) for edge in accumulate(CASE.lengths_s, initial=1000.0)) > 1e-6:
        assert (old.stores, old.caps, old.calls) == (new.stores, new.caps, new.calls)
    assert shifted(PLAN, 2200.0) is None


@given(
    horizon=st.floats(60.0, 7200.0),
    count=st.integers(1, 60),
    marks=st.lists(st.floats(-10.0, 8000.0), max_size=12),
    first=st.floats(0.5, 20.0),
)
def test_steps_fill_the_horizon_with_an_edge_at_each_mark(
    horizon: float, count: int, marks: list[float], first: float
) -> None:
    lengths = step_lengths(horizon, count, marks, first)
    assert sum(lengths) == pytest.approx(horizon)
    assert 1 <= len(lengths) <= count and min(lengths) >= 0.5 - 1e-9
    edges = list(accumulate(lengths))
    inside = [m for m in set(marks) if 0.5 < m < horizon - 0.5]
    crowded = any(abs(a - b) < 1.0 for a in inside for b in inside if a != b)
    if len(inside) < count and not crowded and all(m < horizon - 1.0 and m > 1.0 for m in inside):
        assert all(min(abs(edge - m) for edge in edges) < 1e-9 for m in inside)


def test_seconds_near_now_minutes_later() -> None:
    lengths = step_lengths(5400.0, 48, (60.0, 1800.0))
    assert lengths[0] == 2.0 and lengths[-1] > 300.0 and len(lengths) == 48
    assert {60.0, 1800.0} <= {round(edge, 9) for edge in accumulate(lengths)}


@pytest.mark.parametrize("horizon", [float("nan"), float("inf"), 0.0, 5.0])
def test_a_horizon_that_cannot_be_filled_is_refused(horizon: float) -> None:
    with pytest.raises(ValueError, match="do not fill"):
        step_lengths(horizon, 48)


def test_every_reason_has_its_sentences() -> None:
    seen = set()
    for seed in range(400):
        plan = solve(random_problem(seed, (300.0, 600.0, 900.0)), 10.0)
        for reason in (*plan.binding, *plan.refused):
            seen.add(reason.code)
            assert all(sentence(reason, lang) for lang in LANGS)
    assert seen >= {"bind.missing", "bind.discharge", "bind.empty", "bind.called", "bind.kept", "bind.bridge"}
