"""The rolling plan: what it keeps in any case, and that it is the best there is."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.horizon_cases import A, B, asked, connection, problem, random_problem, store, work
from tests.unit.horizon_oracle import least_cost
from vpp_gateway.domain.horizon import HorizonPlan, HorizonProblem, Prices, Reserve
from vpp_gateway.optimise.horizon import solve
from vpp_gateway.optimise.horizon_cells import together
from vpp_gateway.optimise.horizon_checks import clean
from vpp_gateway.optimise.horizon_model import build
from vpp_gateway.optimise.step_grid import step_lengths

MIN = 60.0
NEAR = (2.0, 2.0, 4.0, 8.0, 16.0, 28.0, 60.0, 120.0, 240.0, 420.0, 900.0, 1800.0)


def codes(plan: HorizonPlan) -> set[str]:
    return {reason.code for reason in plan.binding}


def share(plan: HorizonPlan, offer: str) -> tuple[float, ...]:
    return next(one.share for one in plan.works if one.offer == offer)


# --- what holds in any plan ------------------------------------------------------------------------------------------


def assert_sound(case: HorizonProblem, plan: HorizonPlan) -> None:
    """Energy balance, windows, limits of power, sums at the instructions and at the grid connections."""
    kept, _ = clean(case)
    hours = np.array(case.lengths_s) / 3600.0
    given = {(s.id): np.array(s.discharge_w) for s in plan.stores}
    for one, done in zip(kept.stores, plan.stores, strict=True):
        p, e = given[one.id], np.array(done.stored_wh)
        change = np.diff(np.append(one.stored_wh, e))
        want = -hours * np.where(p > 0, p / one.discharge_efficiency, p * one.charge_efficiency)
        assert change == pytest.approx(want, abs=1e-3 * (1 + abs(want).max()))
        assert (p <= one.discharge_max_w + 1e-3).all() and (p >= -one.charge_max_w - 1e-3).all()
        assert (e >= min(one.stored_min_wh, one.stored_wh) - 1e-3).all()
        assert (e <= max(one.stored_max_wh, one.stored_wh) + 1e-3).all()
        if one.stored_wh < one.stored_min_wh:
            assert (p <= 1e-6).all(), "below its window it gives nothing"
        if one.stored_wh > one.stored_max_wh:
            assert (p >= -1e-6).all()
        assert (np.array(done.floor_wh) >= min(one.stored_min_wh, one.stored_wh) - 1e-3).all()
        assert (np.array(done.floor_wh) <= e + 1e-2 + 1e-6 * one.stored_max_wh).all() or _inside(case)
    for work_, done_ in zip(kept.works, plan.works, strict=True):
        called, back = np.array(done_.share), np.array(done_.rebound)
        assert (called >= 0).all() and (called <= 1).all()
        assert (back >= -1e-9).all() and (back <= work_.rebound_max + 1e-9).all()
        returned = float((back * hours).sum())
        size = max(abs(leg.regulation_w) for leg in work_.legs)
        assert returned <= work_.rebound * float((called * hours).sum()) + work_.owed_wh / size + 1e-6
    for one_asked, short in zip(kept.asked, plan.shortfalls, strict=True):
        total = _regulation(kept, plan, one_asked.sites) + np.array(short.regulation_w)
        for t, want_w in enumerate(one_asked.regulation_w):
            if want_w is not None:
                assert total[t] == pytest.approx(want_w, abs=0.01)
    for grid, done_grid in zip(kept.connections, plan.connections, strict=True):
        net = np.array(grid.load_w) - np.array(grid.pv_w) + np.array(done_grid.curtailed_w)
        assert np.array(done_grid.import_w) == pytest.approx(
            net - _regulation(kept, plan, (grid.site,)), abs=0.02
        )
        over = np.array(done_grid.over_limit_w)
        assert (np.array(done_grid.import_w) <= np.array(grid.import_max_w) + over + 0.02).all()
        assert (-np.array(done_grid.import_w) <= np.array(grid.export_max_w) + over + 0.02).all()


def _inside(case: HorizonProblem) -> bool:
    """A reserve or a bridge that is missing, or seen at the next look only, may lie above what is stored."""
    return bool(case.reserves) or any(one.bridge_s for one in case.asked)


def _regulation(case: HorizonProblem, plan: HorizonPlan, sites: tuple[str, ...]) -> np.ndarray:
    total = np.zeros(len(case.lengths_s))
    for one in plan.stores:
        if one.site in sites:
            total += np.array(one.discharge_w)
    for work_, done in zip(case.works, plan.works, strict=True):
        w = sum(leg.regulation_w for leg in work_.legs if leg.site in sites)
        total += w * (np.array(done.share) - np.array(done.rebound))
    return total


@settings(max_examples=120, deadline=None)
@example(seed=100001)  # where one battery after the other takes up the other way
@given(seed=st.integers(0, 10**6))
def test_any_plan_is_sound(seed: int) -> None:
    case = random_problem(seed, NEAR)
    plan = solve(case, 10.0)
    assert plan.refused == ()
    assert_sound(case, plan)


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 10**6), steps=st.integers(1, 7), length=st.sampled_from([300.0, 400.0, 600.0]))
def test_no_plan_is_cheaper_than_an_independent_formulation_finds(
    seed: int, steps: int, length: float
) -> None:
    case = random_problem(seed, (length,) * steps)
    model = build(*together(clean(case)[0]))
    found = model.program.solve(10.0).cost + model.works.constant
    assert found == pytest.approx(least_cost(case), rel=1e-8, abs=1e-6)
    assert solve(case, 10.0).cost >= found - 1e-6 * abs(found), "one way at a time costs, if anything"


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_steps_taken_together_cost_nothing(seed: int) -> None:
    """Without ramps, whose steps are told apart, a cell is as good as its steps."""
    lengths = step_lengths(3600.0, 20, (100.0, 600.0))
    case = random_problem(seed, lengths)
    case = replace(
        case,
        stores=tuple(replace(one, ramp_w_per_s=None) for one in case.stores),
        works=tuple(
            replace(one, ramp_s=0.0, share_max=(), dwell_s=0.0, sustain_s=None, rebound=0.0)
            for one in case.works
        ),
        prices=Prices(stored=0.0),
    )
    case = replace(
        case, works=tuple(replace(one, start_within_s=None, owed_wh=0.0) for one in case.works), reserves=()
    )
    case = replace(case, asked=tuple(replace(one, bridge_s=0.0) for one in case.asked))
    whole, cells = together(case)
    assert cells.count < len(lengths)
    fine = build(*together(case, 0.0)).program.solve(10.0).cost
    assert build(whole, cells).program.solve(10.0).cost == pytest.approx(fine, rel=1e-7, abs=1e-6)


# --- hand-over -------------------------------------------------------------------------------------------------------


def test_work_takes_over_and_the_batteries_outlast_the_product() -> None:
    """An hour of 200 kW from batteries that last 24 minutes: they begin, and work that needs a minute carries on."""
    lengths = step_lengths(5400.0, 48, (60.0, 3600.0))
    edges = np.cumsum(lengths)
    call = tuple(200e3 if end <= 3600.1 else None for end in edges)
    case = problem(
        lengths,
        (asked("i", (A,), call, bridge_s=300.0),),
        (store("b1", A, w=200e3, wh=100e3, soc=0.9), store("b2", A, w=200e3, wh=100e3, soc=0.9)),
        (work("w", A, w=250e3, latency_s=60.0, dwell_s=300.0),),
    )
    plan = solve(case)
    assert_sound(case, plan)
    assert all(w == 0.0 for w in plan.shortfalls[0].regulation_w)
    called = np.array(share(plan, "w"))
    assert (called[edges - lengths < 59.9] == 0).all(), "the batteries alone, until it can be real"
    assert called.max() > 0.5
    stored = np.sum([np.array(s.stored_wh) - 10e3 for s in plan.stores], axis=0)
    looked = edges <= 3300.0
    assert (stored[looked][-1:] * 0.9 >= 200e3 * 300 / 3600 - 1).all(), "they could bridge it at any time"
    battery = next(cap for cap in plan.caps if cap.tier == "battery").regulation_w
    assert battery[0] == pytest.approx(200e3)
    assert min(s.stored_wh[-1] for s in plan.stores) >= 10e3


def test_batteries_serve_before_work() -> None:
    case = problem(
        (600.0,) * 3, (asked("i", (A,), (50e3,) * 3),), (store("b", A, wh=200e3),), (work("w", A),)
    )
    plan = solve(case)
    assert max(share(plan, "w")) == 0.0
    assert plan.stores[0].discharge_w == pytest.approx((50e3,) * 3)


def test_what_returns_is_carried_too() -> None:
    """The return of a pause falls into the second half of the call: someone must carry it."""
    case = problem(
        (300.0,) * 8,
        (asked("i", (A,), (100e3,) * 6 + (None, None)),),
        (store("b", A, w=100e3, wh=60e3, soc=0.6),),
        (work("w", A, w=100e3, sustain_s=600.0, rebound=1.0, rebound_within_s=600.0, rebound_max=1.0),),
    )
    plan = solve(case)
    assert_sound(case, plan)
    called, back = np.array(plan.works[0].share), np.array(plan.works[0].rebound)
    assert called.sum() > 0.9
    done = np.cumsum(called) * 300.0
    returned = np.cumsum(back) * 300.0
    ended = next(t for t in range(1, 8) if called[t] == 0 and called[t - 1] > 0)
    if ended + 2 <= 8:
        assert returned[ended + 1] == pytest.approx(done[ended - 1], rel=1e-6), "all of it, in time"
    assert (returned[1:] <= done[1:] + 1e-6).all()


def test_nothing_returns_before_its_delay() -> None:
    case = problem(
        (300.0,) * 6,
        (asked("i", (A,), (100e3, 100e3, None, None, None, None)),),
        (),
        (work("w", A, rebound=0.5, rebound_delay_s=900.0, rebound_within_s=600.0),),
    )
    plan = solve(case)
    assert share(plan, "w") == (1.0, 1.0, 0.0, 0.0, 0.0, 0.0)
    assert plan.works[0].rebound[:3] == (0.0, 0.0, 0.0)


def test_an_offer_is_held_for_its_dwell_and_never_too_long() -> None:
    case = problem(
        (300.0,) * 8,
        (asked("i", (A,), (100e3,) * 8),),
        (),
        (work("w", A, dwell_s=600.0, sustain_s=900.0), work("v", A, sustain_s=600.0, latency_s=300.0)),
    )
    plan = solve(case)
    for offer, most in (("w", 3), ("v", 2)):
        called = share(plan, offer)
        assert sum(called) == pytest.approx(most)
    assert share(plan, "v")[0] == 0.0
    assert "bind.time" in codes(plan) or "bind.called" in codes(plan)


def test_an_offer_in_mid_call_may_not_end_before_its_dwell_but_must_after_its_hold() -> None:
    held = work("w", A, share=1.0, called_s=100.0, dwell_s=600.0, sustain_s=1200.0)
    plan = solve(problem((300.0,) * 6, (asked("i", (A,), (None,) * 6),), (), (held,)))
    assert share(plan, "w") == (1.0, 1.0, 0.0, 0.0, 0.0, 0.0), "no longer than it must"
    plan = solve(problem((300.0,) * 6, (asked("i", (A,), (100e3,) * 6),), (), (held,)))
    assert share(plan, "w") == (1.0, 1.0, 1.0, 0.0, 0.0, 0.0)


# --- what is kept back -----------------------------------------------------------------------------------------------


def armed(steps: int, down: float = 0.0, up: float = 0.0, bridge_s: float = 600.0) -> Reserve:
    return Reserve(product="armed", sites=(A,), down_w=(down,) * steps, up_w=(up,) * steps, bridge_s=bridge_s)


def test_a_reserve_is_kept_in_power_and_energy() -> None:
    """60 kW are armed: of two 50 kW batteries 40 kW are left to give, and work carries the rest."""
    case = problem(
        (300.0,) * 4,
        (asked("i", (A,), (80e3,) * 4),),
        (store("b1", A, w=50e3, soc=0.8), store("b2", A, w=50e3, soc=0.8)),
        (work("w", A, w=50e3),),
        reserves=(armed(4, down=60e3),),
    )
    plan = solve(case)
    assert_sound(case, plan)
    assert sum(s.discharge_w[0] for s in plan.stores) == pytest.approx(40e3)
    kept = sum(s.floor_wh[0] - 10e3 for s in plan.stores)
    assert kept == pytest.approx(60e3 * 600 / 3600 / 0.9)
    assert all(e >= f - 0.01 for s in plan.stores for e, f in zip(s.stored_wh, s.floor_wh, strict=True))


def test_an_instruction_goes_before_a_reserve_and_what_is_missing_is_told() -> None:
    case = problem(
        (300.0,) * 4,
        (asked("i", (A,), (100e3,) * 4),),
        (store("b", A, w=100e3, soc=0.8),),
        reserves=(armed(4, down=60e3),),
    )
    plan = solve(case)
    assert plan.shortfalls[0].regulation_w == (0.0,) * 4
    assert plan.reserve_missing_w[0][1] == pytest.approx((60e3,) * 4)
    assert codes(plan) == {"bind.kept"}


def test_a_reserve_in_both_directions_keeps_room_above_too() -> None:
    case = problem((600.0,) * 4, (), (store("b", A, soc=0.88),), reserves=(armed(4, up=30e3),))
    plan = solve(case)
    assert plan.stores[0].ceiling_wh[-1] == pytest.approx(90e3 - 30e3 * 600 / 3600 * 0.9)
    assert plan.stores[0].stored_wh[-1] <= plan.stores[0].ceiling_wh[-1] + 0.01


def test_it_recovers_after_the_call() -> None:
    case = problem(
        (600.0,) * 6, (asked("i", (A,), (60e3, 60e3, None, None, None, None)),), (store("b", A, soc=0.5),)
    )
    plan = solve(case)
    assert plan.stores[0].stored_wh[1] < 35e3
    assert plan.stores[0].stored_wh[-1] == pytest.approx(50e3)
    tight = replace(case, connections=(connection(A, 6, load=1.0e6, most=1.01e6),))
    assert solve(tight).stores[0].stored_wh[-1] < 45e3, "not beyond the contracted import"


def test_surplus_sun_is_stored_rather_than_given_away() -> None:
    sunny = connection(A, 4, load=100e3, pv=160e3, export=1e6)
    plan = solve(problem((600.0,) * 4, (), (store("b", A, wh=200e3, soc=0.4),), connections=(sunny,)))
    assert plan.stores[0].discharge_w == pytest.approx((-60e3,) * 4)
    assert plan.connections[0].import_w == pytest.approx((0.0,) * 4, abs=0.01)


# --- what binds ------------------------------------------------------------------------------------------------------


def test_what_is_missing_is_named() -> None:
    case = problem(
        (600.0,) * 3,
        (asked("i", (A,), (400e3,) * 3),),
        (store("b", A, w=100e3, wh=300e3, soc=0.8),),
        (work("w", A, w=100e3),),
    )
    plan = solve(case)
    assert plan.shortfalls[0].regulation_w == pytest.approx((200e3,) * 3)
    assert codes(plan) == {"bind.missing", "bind.discharge", "bind.called"}
    lifted = replace(
        case,
        stores=(replace(case.stores[0], discharge_max_w=300e3),),
    )
    assert codes(solve(lifted)) == set()


def test_energy_binds_and_is_told_from_power() -> None:
    case = problem(
        (600.0,) * 3, (asked("i", (A,), (90e3,) * 3),), (store("b", A, w=100e3, wh=50e3, soc=0.5),)
    )
    plan = solve(case)
    assert "bind.empty" in codes(plan) and "bind.discharge" not in codes(plan)
    budget = problem((600.0,) * 3, (asked("i", (A,), (90e3,) * 3),), (), (work("w", A, energy_wh=30e3),))
    assert "bind.energy" in codes(solve(budget))


def test_limits_of_the_grid_connection_bind_and_are_named() -> None:
    case = problem(
        (600.0,) * 2,
        (asked("i", (A,), (150e3,) * 2),),
        (store("b", A, w=200e3, wh=400e3, soc=0.8),),
        connections=(connection(A, 2, load=100e3, export=0.0),),
    )
    plan = solve(case)
    assert plan.shortfalls[0].regulation_w == pytest.approx((50e3,) * 2)
    assert codes(plan) == {"bind.missing", "bind.export"}
    up = replace(
        case, asked=(asked("i", (A,), (-150e3,) * 2),), connections=(connection(A, 2, load=1e5, most=2e5),)
    )
    assert "bind.import" in codes(solve(up))


def test_a_load_beyond_the_contract_is_told_and_nothing_breaks() -> None:
    case = problem(
        (600.0,) * 2, (), (store("b", A, soc=0.8),), connections=(connection(A, 2, load=3e6, most=2e6),)
    )
    plan = solve(case)
    assert "bind.beyond" in codes(plan)
    assert plan.connections[0].over_limit_w[0] == pytest.approx(900e3), "the battery does what it can"


def test_a_demand_without_resources_says_so() -> None:
    plan = solve(problem((600.0,), (asked("i", (B,), (1e5,)),), (store("b", A),)))
    assert codes(plan) == {"bind.missing", "bind.no_resources"}


# --- nonsense --------------------------------------------------------------------------------------------------------

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize("bad", [NAN, INF, -INF, -1.0, 1e300])
@pytest.mark.parametrize(
    "field", ["stored_wh", "discharge_max_w", "stored_max_wh", "charge_efficiency", "cost"]
)
def test_a_battery_that_cannot_be_true_is_left_out_by_name(field: str, bad: float) -> None:
    broken = replace(store("bad", A), **{field: bad})  # type: ignore[arg-type]  # field by name
    case = problem((600.0,) * 2, (asked("i", (A,), (90e3,) * 2),), (broken, store("good", A, wh=200e3)))
    plan = solve(case)
    assert [dict(reason.values)["name"] for reason in plan.refused] == ["bad"]
    assert [one.id for one in plan.stores] == ["good"]
    assert plan.shortfalls[0].regulation_w == (0.0, 0.0)


@pytest.mark.parametrize(
    "change",
    [
        {"sustain_s": NAN},
        {"latency_s": -1.0},
        {"rebound": NAN},
        {"share": 1.5},
        {"share_max": (1.0,)},
        {"share_max": (1.0, NAN)},
        {"legs": ()},
        {"tier": "steam"},
    ],
)
def test_an_offer_that_cannot_be_true_is_left_out_by_name(change: dict[str, object]) -> None:
    broken = replace(work("bad", A), **change)  # type: ignore[arg-type]  # fields by name
    plan = solve(
        problem(
            (600.0,) * 2, (asked("i", (A,), (90e3,) * 2),), (), (broken, work("good", A)), (connection(A, 2),)
        )
    )
    assert [dict(reason.values)["name"] for reason in plan.refused] == ["bad"]
    assert share(plan, "good") == pytest.approx((0.9, 0.9))


def test_a_forecast_that_is_no_number_takes_its_site_along() -> None:
    dark = replace(connection(A, 2), pv_w=(0.0, NAN))
    case = problem(
        (600.0,) * 2,
        (asked("i", (A, B), (50e3,) * 2),),
        (store("a", A), store("b", B)),
        connections=(dark, connection(B, 2)),
    )
    plan = solve(case)
    assert [(dict(r.values)["kind"], dict(r.values)["name"]) for r in plan.refused] == [
        ("site", A),
        ("battery", "a"),
    ]
    assert plan.stores[0].discharge_w == pytest.approx((50e3, 50e3))


def test_an_instruction_that_is_no_number_is_left_out_by_name() -> None:
    case = problem(
        (600.0,) * 2,
        (asked("bad", (A,), (NAN, 1.0)), asked("i", (B,), (1e4, 1e4))),
        (store("b", B),),
        connections=(connection(A, 2), connection(B, 2)),
    )
    plan = solve(case)
    assert [dict(reason.values)["name"] for reason in plan.refused] == ["bad"]
    assert [one.instruction for one in plan.shortfalls] == ["i"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"lengths_s": ()}, "steps"),
        ({"lengths_s": (600.0, NAN)}, r"lengths_s\[1\] is nan"),
        ({"lengths_s": (600.0, 0.0)}, r"lengths_s\[1\]"),
        ({"at": NAN}, "at is nan"),
        ({"tiers": ()}, "tiers"),
        ({"prices": Prices(stored=NAN)}, "prices.stored is nan"),
        ({"prices": Prices(tier_factor=1.0)}, "tier_factor"),
        ({"stores": (store("b", A), store("b", A))}, "store 'b' occurs twice"),
        (
            {"asked": (asked("x", (A,), (1.0, 1.0)), asked("y", (A,), (1.0, 1.0)))},
            "site 'a' is asked by two instructions in step 0",
        ),
    ],
)
def test_a_frame_that_makes_no_sense_is_refused_by_name(change: dict[str, object], named: str) -> None:
    case = problem((600.0,) * 2, (), (store("b", A),))
    with pytest.raises(ValueError, match=named):
        solve(replace(case, **change))  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize("w", [1e11, -1e11])
def test_a_target_beyond_anything_is_served_as_far_as_it_goes(w: float) -> None:
    case = problem((600.0,) * 2, (asked("i", (A,), (w, w)),), (store("b", A, wh=400e3),))
    plan = solve(case)
    assert abs(plan.stores[0].discharge_w[0]) == pytest.approx(100e3)


def test_a_portfolio_of_nothing_has_a_plan() -> None:
    plan = solve(problem((600.0,), (asked("i", (A,), (1e3,)),), (), (), (connection(A, 1),)))
    assert plan.shortfalls[0].regulation_w == pytest.approx((1e3,))
    assert solve(problem((600.0,), (), (), (), (connection(A, 1),))).binding == ()


def test_where_everything_is_refused_the_plan_is_empty() -> None:
    dark = replace(connection(A, 1), load_w=(NAN,))
    plan = solve(problem((600.0,), (), (store("b", A),), (work("w", A),), (dark,)))
    assert len(plan.refused) == 3 and plan.stores == plan.works == plan.connections == ()


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 10**6), data=st.data())
def test_no_number_is_too_strange(seed: int, data: st.DataObject) -> None:
    """Whatever stands in a field, there is a plan of finite numbers, and it says what it left out."""
    case = random_problem(seed, (2.0, 60.0, 600.0, 1800.0))
    strange = st.sampled_from([0.0, -1.0, 1e-9, 1e-3, 1.0, 5.0, 1e9, 1e12, 1e13, NAN, INF, -INF])
    for name in ("stores", "works"):
        parts = list(getattr(case, name))
        for i, part in enumerate(parts):
            numbers = [f.name for f in fields(part) if isinstance(getattr(part, f.name), float)]
            field = data.draw(st.sampled_from(numbers))
            parts[i] = replace(part, **{field: data.draw(strange)})
        case = replace(case, **{name: tuple(parts)})
    plan = solve(case, 10.0)
    rows = [row for s in plan.stores for row in (s.discharge_w, s.stored_wh, s.floor_wh, s.ceiling_wh)]
    rows += [row for w in plan.works for row in (w.share, w.rebound)]
    assert all(map(math.isfinite, (value for row in rows for value in row)))
    assert len(plan.stores) + len(plan.works) + len(plan.refused) == len(case.stores) + len(case.works)


def test_a_solve_that_takes_too_long_says_so() -> None:
    with pytest.raises(ArithmeticError, match="no plan within"):
        solve(random_problem(1, step_lengths(5400.0, 200)), 0.0)
