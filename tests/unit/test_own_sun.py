"""A site's own sun: what is spare of it, who takes it up among equals, and that it never changes what is delivered."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.unit.fleets import SITES, fleet, instruction
from tests.unit.test_optimise import A, B, battery, move, pause, problem, random_nested, target
from vpp_gateway.dispatch.allocation import Baselines, plan_problem
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.dispatch.sites import Sites
from vpp_gateway.domain.fleet import Fleet
from vpp_gateway.domain.instruction import Delta, DeviceId, SiteId
from vpp_gateway.domain.order import OfferId
from vpp_gateway.domain.plan import Lever, MoveLeg, Problem, SiteBounds
from vpp_gateway.domain.reading import DeviceHealth, Health, MeterReading, SiteReading, Snapshot
from vpp_gateway.optimise.allocate import closed_form
from vpp_gateway.optimise.explain import sentence
from vpp_gateway.optimise.linear import solve
from vpp_gateway.portfolio.envelope import NO_BOUND_W
from vpp_gateway.portfolio.own_sun import spare_sun_w, with_own_sun
from vpp_gateway.portfolio.timeline import InForce, Timeline

# -- what is spare ---------------------------------------------------------------------------------------------


def test_what_flows_out_is_spare_and_what_the_site_takes_is_not() -> None:
    assert spare_sun_w(-300.0, 1000.0, -300.0, 5000.0) == 300.0
    assert spare_sun_w(400.0, 1000.0, 400.0, 5000.0) == -400.0


def test_what_others_feed_in_is_no_sun() -> None:
    assert spare_sun_w(-900.0, 200.0, -900.0, 5000.0) == 200.0
    assert spare_sun_w(-900.0, 0.0, -900.0, 5000.0) == 0.0


def test_what_our_batteries_charge_of_it_stays_spare() -> None:
    """Import 200 W with 500 W charging: without us 300 W would flow out."""
    assert spare_sun_w(-300.0, 1000.0, 200.0, 0.0) == 300.0


def test_at_the_export_limit_the_forecast_says_what_is_held_back() -> None:
    assert spare_sun_w(-5.0, 1000.0, 0.0, 0.0) == NO_BOUND_W
    assert spare_sun_w(-5.0, 1000.0, 0.0, 0.0, forecast_w=1400.0) == 405.0
    assert spare_sun_w(-5.0, 1000.0, 0.0, 0.0, forecast_w=math.nan) == NO_BOUND_W
    assert spare_sun_w(0.0, 0.0, 0.0, 0.0) == 0.0, "by night nothing is held back"


@pytest.mark.parametrize(("load_w", "pv_w"), [(math.nan, 1.0), (1.0, math.nan), (math.inf, 1.0), (1.0, None)])
def test_what_is_no_number_says_nothing(load_w: float, pv_w: float | None) -> None:
    assert spare_sun_w(load_w, pv_w, 0.0, 0.0) is None


# -- levers ----------------------------------------------------------------------------------------------------


def absorb(site: SiteId, w: float, cost: float = 1.0) -> Lever:
    return Lever(
        offer=OfferId(f"absorb:{site}"),
        tier=pause(site, w).tier,
        legs=(MoveLeg(site=site, regulation_w=-w),),
        steps=(1.0,),
        cost=cost,
    )


def sunny(case: Problem, **spare: float) -> Problem:
    """The problem with spare sun by site, as dispatch poses it."""
    bounds = tuple(replace(b, spare_sun_w=spare.get(b.site)) for b in case.bounds)
    known = {b.site: b.spare_sun_w for b in bounds if b.spare_sun_w is not None}
    return replace(case, bounds=bounds, levers=with_own_sun(case.levers, known))


def called(case: Problem) -> set[str]:
    """What both ways call; they must agree."""
    exact, program = ({c.offer for c in plan.calls if c.share} for plan in (closed_form(case), solve(case)))
    assert exact == program
    return {str(offer) for offer in exact}


def test_of_two_levers_of_equal_cost_the_one_with_sun_is_called() -> None:
    case = problem((target("t", (A, B), -100.0),), (), (absorb(A, 100.0), absorb(B, 100.0)))
    assert called(sunny(case, **{A: 500.0})) == {f"absorb:{A}"}
    assert called(sunny(case, **{B: 500.0})) == {f"absorb:{B}"}
    (call,) = (c for c in closed_form(sunny(case, **{B: 500.0})).calls if c.share)
    assert call.reason.code == "call.own_sun"
    reason = replace(call.reason, values=(("offer", "x"), *call.reason.values))
    assert "chosen for its own sun, which 100 %" in sentence(reason, "en")
    assert "太陽光" in sentence(reason, "ja")


def test_what_drives_sun_out_is_called_last() -> None:
    case = problem((target("t", (A, B), 100.0),), (), (pause(A, 100.0), pause(B, 100.0)))
    assert called(sunny(case, **{A: 500.0})) == {f"pause:{B}"}
    assert called(sunny(case, **{B: 500.0})) == {f"pause:{A}"}


def test_cost_weighs_more_than_sun_and_the_target_more_than_both() -> None:
    levers = (absorb(A, 100.0, cost=2.0), absorb(B, 100.0, cost=1.0))
    case = problem((target("t", (A, B), -100.0),), (), levers)
    assert called(sunny(case, **{A: 500.0})) == {f"absorb:{B}"}
    both = sunny(problem((target("t", (A, B), -200.0),), (), levers), **{A: 500.0})
    assert called(both) == {f"absorb:{A}", f"absorb:{B}"}


def test_a_move_goes_where_the_sun_is() -> None:
    c = SiteId("c")
    case = problem((target("t", (A,), 100.0),), (), (move(A, B, 100.0, (1.0,)), move(A, c, 100.0, (1.0,))))
    for destination in (B, c):
        plan = solve(sunny(case, **{destination: 300.0}))
        assert [call.offer for call in plan.calls if call.share] == [f"move:{A}-{destination}"]


def test_a_surplus_is_given_out_once() -> None:
    first, second = (
        replace(absorb(A, 100.0), offer=OfferId("1")),
        replace(absorb(A, 100.0), offer=OfferId("2")),
    )
    shares = [lever.own_sun for lever in with_own_sun((second, first), {A: 130.0})]
    assert shares == pytest.approx([0.3, 1.0])


def test_a_lever_without_a_number_counts_for_none() -> None:
    broken = replace(absorb(A, 100.0), own_sun=math.nan)
    case = problem((target("t", (A, B), -100.0),), (), (broken, replace(absorb(B, 100.0), own_sun=0.5)))
    assert called(case) == {f"absorb:{B}"}


# -- batteries -------------------------------------------------------------------------------------------------


def given(case: Problem) -> dict[str, float]:
    return {share.id: share.regulation_w for share in closed_form(case).shares}


def test_batteries_charge_at_the_sun_first_and_share_the_rest() -> None:
    rows = (battery("a1", A, 100, 100), battery("b1", B, 100, 100))
    case = problem((target("t", (A, B), -90.0),), rows)
    assert given(sunny(case, **{A: 50.0})) == pytest.approx({"a1": -70.0, "b1": -20.0})
    assert given(sunny(case, **{A: NO_BOUND_W})) == pytest.approx({"a1": -90.0, "b1": 0.0})
    reasons = {s.id: s.reason.code for s in closed_form(sunny(case, **{A: 50.0})).shares if s.reason}
    assert reasons == {"a1": "share.own_sun", "b1": "share.proportional"}


def test_batteries_discharge_last_where_it_drives_sun_out() -> None:
    rows = (battery("a1", A, 100, 100), battery("b1", B, 100, 100))
    case = problem((target("t", (A, B), 90.0),), rows)
    assert given(sunny(case, **{A: 50.0})) == pytest.approx({"a1": 0.0, "b1": 90.0})
    assert given(sunny(case, **{A: -10.0})) == pytest.approx({"a1": 10.0, "b1": 80.0})
    assert given(sunny(case, **{A: -1e6})) == pytest.approx({"a1": 45.0, "b1": 45.0})


@pytest.mark.parametrize("spare_w", [math.nan, math.inf, -math.inf])
def test_a_surplus_that_is_no_number_changes_nothing(spare_w: float) -> None:
    case = problem((target("t", (A, B), -90.0),), (battery("a1", A, 100, 100), battery("b1", B, 100, 100)))
    bounds = tuple(replace(b, spare_sun_w=spare_w) for b in case.bounds)
    assert given(replace(case, bounds=bounds)) == given(case)


def test_sun_never_changes_how_much_is_given() -> None:
    for seed in range(300):
        case = random_nested(seed)
        bounds = tuple(
            SiteBounds(
                site=b.site,
                down_max_w=b.down_max_w,
                up_max_w=b.up_max_w,
                spare_sun_w=(seed * 37 % 200 - 100.0) * (1 + n),
            )
            for n, b in enumerate(case.bounds)
        )
        plain, own = closed_form(case), closed_form(replace(case, bounds=bounds))
        missing = [w for _, w in plain.shortfall_w]
        assert [w for _, w in own.shortfall_w] == pytest.approx(missing, abs=1e-6), seed
        room = {r.id: (r.down_room_w, r.up_room_w) for r in case.resources}
        for share in own.shares:
            down, up = room[share.id]
            assert -max(up, 0.0) - 1e-6 <= share.regulation_w <= max(down, 0.0) + 1e-6, seed


# -- from the meter to the plan --------------------------------------------------------------------------------

PV = DeviceId("pv")


def with_pv(site: SiteId, export_max_w: float = 1e6) -> Fleet:
    rows = (
        replace(s, export_max_w=export_max_w, pv_meter=PV if s.id == site else None) for s in fleet().sites
    )
    return Fleet(sites=tuple(rows))


def reading(site: SiteId, import_w: float, pv: float | None) -> SiteReading:
    return SiteReading(
        site=site,
        at=1000.0,
        meter=MeterReading(device=DeviceId(f"{site}/meter"), at=1000.0, import_w=import_w),
        batteries=(),
        health=() if pv is not None else (DeviceHealth(device=PV, health=Health.LOST, reason="no answer"),),
        pv=None if pv is None else MeterReading(device=PV, at=1000.0, import_w=pv),
    )


def seen(site: SiteId, import_w: float, pv: float | None) -> Sites:
    sites = Sites(with_pv(site), Policy())
    rows = tuple(reading(s, import_w if s == site else 9e5, pv if s == site else None) for s in SITES)
    sites.fold(Snapshot(at=1000.0, sites=rows))
    return sites


@pytest.mark.parametrize(
    ("pv", "pv_w"),
    [(-4e5, 4e5), (900.0, 0.0), (4e5, None), (math.nan, None), (-math.inf, None), (None, None)],
)
def test_what_the_pv_meter_says(pv: float | None, pv_w: float | None) -> None:
    """By night the plant takes a little itself: that is load; no plant takes much; what is no number is not known."""
    site = SITES[0]
    assert seen(site, -1e5, pv)[site].pv_w == pv_w


def test_a_site_that_is_lost_has_no_sun() -> None:
    sites = seen(SITES[0], -1e5, -4e5)
    sites.link(SITES[0], False, 1001.0, "cut", False)
    assert sites[SITES[0]].pv_w is None


@pytest.mark.parametrize("site", SITES[:2])
def test_the_plan_calls_the_lever_at_the_site_whose_sun_flows_out(site: SiteId) -> None:
    sites, levers = seen(site, -2e5, -4e5), tuple(absorb(s, 1e5) for s in SITES[:2])
    timeline = Timeline(SITES)
    event = instruction("e", demand=Delta(regulation_w=-1e5), start_at=990.0, duration_s=600)
    timeline.admit(event)
    rows: tuple[InForce, ...] = timeline.at(1000.0)
    case = plan_problem("p", sites, rows, (), Baselines(), levers, {}, 1000.0, 1000.0, Policy())
    assert {b.site: b.spare_sun_w for b in case.bounds}[site] == pytest.approx(2e5)
    assert [c.offer for c in closed_form(case).calls if c.share] == [f"absorb:{site}"]
