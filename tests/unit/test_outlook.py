"""From what is known to a problem of the coming hour, and through to a plan."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.fleets import SITES, fleet, instruction
from vpp_gateway.domain.fleet import DEFAULT_TIERS
from vpp_gateway.domain.instruction import Delta, Limit, SiteId
from vpp_gateway.domain.order import Leg, Offer, OfferId, PluginName
from vpp_gateway.domain.reading import BatteryReading
from vpp_gateway.optimise.horizon import solve
from vpp_gateway.optimise.step_grid import step_lengths
from vpp_gateway.portfolio.availability import SiteNow
from vpp_gateway.portfolio.forecast import SeasonalNaive
from vpp_gateway.portfolio.outlook import Armed, marks_s, outlook, work_of
from vpp_gateway.portfolio.timeline import InForce, Timeline

NOW = 10_000.0
TOKYO, OTHER, KANAGAWA = SITES
OFFER = Offer(
    id=OfferId("pause"),
    plugin=PluginName("p"),
    kind="pause",
    legs=(Leg(site=TOKYO, import_delta_w=-80e3, latency_s=30.0),),
    steps=(0.5, 1.0),
    valid_until=NOW + 900.0,
    sustain_s=1800.0,
    min_dwell_s=60.0,
    rebound_wh=20e3,
)


def sites(load_w: float | None = 500e3, soc: float = 0.6) -> tuple[SiteNow, ...]:
    return tuple(
        SiteNow(
            site=site,
            load_w=load_w,
            usable={
                b.id: BatteryReading(
                    device=b.id,
                    at=NOW,
                    discharge_w=5e3,
                    soc=soc,
                    discharge_room_w=45e3,
                    charge_room_w=50e3,
                    soc_min=0.2,
                )
                for b in site.batteries
            },
        )
        for site in fleet().sites
    )


def asked(row: InForce) -> float | None:
    assert isinstance(row.phase.demand, Delta)
    return row.phase.demand.regulation_w


def timeline() -> Timeline:
    """60 kW of everybody for half an hour; a more urgent one takes Kanagawa in between; Tokyo's import is limited."""
    found = Timeline(SITES)
    found.admit(instruction("all", demand=Delta(regulation_w=60e3), start_at=NOW, duration_s=1800.0))
    found.admit(
        instruction(
            "k",
            demand=Delta(regulation_w=-20e3),
            start_at=NOW + 600,
            duration_s=600.0,
            scope=(KANAGAWA,),
            rank=1,
        )
    )
    limit = Limit(import_max_w=600e3, export_max_w=None)
    found.admit(instruction("limit", demand=limit, start_at=NOW, duration_s=900.0, scope=(TOKYO,)))
    return found


def test_an_hour_ahead() -> None:
    owed = timeline()
    work = work_of(OFFER, NOW, share=0.5, called_s=20.0)
    armed = (
        Armed(
            product="primary",
            sites=SITES,
            start_at=NOW + 300,
            end_at=NOW + 1200,
            down_w=20e3,
            up_w=0.0,
            bridge_s=10.0,
        ),
    )
    marks = marks_s(owed, (work.latency_s,), armed, NOW, NOW + 3600.0)
    assert marks == (30.0, 300.0, 600.0, 900.0, 1200.0, 1800.0)
    lengths = step_lengths(3600.0, 40, marks)
    case = outlook(
        "h", NOW, lengths, sites=sites(), timeline=owed, asked_w=asked, forecasts=SeasonalNaive(), works=(work,),
        armed=armed, tiers=DEFAULT_TIERS,
    )  # fmt: skip
    rows = {(row.instruction, row.sites): row.regulation_w for row in case.asked}
    assert set(rows) == {("tso/all", SITES), ("tso/all", (TOKYO, OTHER)), ("tso/k", (KANAGAWA,))}
    edges = [sum(lengths[:t]) for t in range(len(lengths))]
    for row, since, until in (("tso/k", 600.0, 1200.0), ("tso/all", 0.0, 1800.0)):
        courses = [course for (name, _), course in rows.items() if name == row]
        for t, at in enumerate(edges):
            assert any(course[t] is not None for course in courses) == (since - 0.1 <= at < until - 0.1)
    tokyo = case.connections[0]
    assert (
        tokyo.import_max_w[0] == 600e3
        and tokyo.import_max_w[-1] == 2e6
        and tokyo.load_w == (500e3,) * len(lengths)
    )
    store = case.stores[0]
    assert (store.discharge_max_w, store.stored_wh, store.stored_min_wh) == (45e3, 60e3, 20e3)
    assert (
        work.rebound == pytest.approx(0.5)
        and work.legs[0].regulation_w == 80e3
        and work.start_within_s == 900.0
    )
    plan = solve(case)
    assert plan.refused == () and all(not any(short.regulation_w) for short in plan.shortfalls)
    assert {(cap.instruction, cap.sites) for cap in plan.caps} == set(rows)


def test_a_forecast_goes_before_the_present_and_a_dark_site_is_left_out() -> None:
    past = SeasonalNaive()
    for step in range(36):
        past.add(TOKYO, "load", NOW - 86400.0 + 300 * step, 700e3)
        past.add(TOKYO, "pv", NOW - 86400.0 + 300 * step, 100e3)
    known = (sites()[0], *sites(None)[1:])
    case = outlook(
        "h", NOW, (600.0, 600.0), sites=known, timeline=Timeline(SITES), asked_w=asked, forecasts=past, tiers=DEFAULT_TIERS
    )  # fmt: skip
    assert [one.site for one in case.connections] == [TOKYO]
    assert case.connections[0].load_w == (700e3, 700e3) and case.connections[0].pv_w == (100e3, 100e3)
    plan = solve(case)
    assert {dict(reason.values)["kind"] for reason in plan.refused} == {"battery"}
    assert {store.site for store in plan.stores} == {TOKYO}


def test_a_demand_whose_baseline_is_not_known_asks_for_nothing_yet() -> None:
    case = outlook(
        "h", NOW, (600.0,), sites=sites(), timeline=timeline(), asked_w=lambda row: None, forecasts=SeasonalNaive(),
        tiers=DEFAULT_TIERS,
    )  # fmt: skip
    assert case.asked == ()


def test_a_move_keeps_both_legs_and_an_offer_without_hold_returns_nothing() -> None:
    legs = (OFFER.legs[0], Leg(site=SiteId("b"), import_delta_w=80e3, latency_s=90.0))
    move = work_of(replace(OFFER, legs=legs, sustain_s=0.0), NOW)
    assert [leg.regulation_w for leg in move.legs] == [80e3, -80e3]
    assert move.latency_s == 90.0 and move.rebound == 0.0
