"""Room up and down the tree: never more than any limit, less for a longer time, nothing where there is doubt."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.envelopes import BIG_W, NOW, battery, feeder, heard, offer, only, reading, site
from vpp_gateway.domain.fleet import BATTERY, WORKLOAD, Blocked, Site
from vpp_gateway.domain.instruction import DeviceId, SiteId
from vpp_gateway.portfolio.asset import Bind, Direction, Hold, battery_asset, give, work_assets
from vpp_gateway.portfolio.rooms import Sum, rooms, scope_room, site_assets

HOUR = 3600.0
SIZES = st.floats(0.0, 1e8)
DIRECTION = st.sampled_from(("down", "up"))


def hold(seconds: float = 1800.0, **more: float) -> Hold:
    return Hold(start_at=NOW, hold_s=seconds, **more)


def held(of: Site, direction: Direction = "down", seconds: float = 1800.0, **more: float) -> Sum:
    return scope_room((heard(of),), (), hold(seconds, **more), direction)


# --- one thing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "w", "limit"), [(60.0, 100e3, "power"), (1800.0, 100e3, "power"), (HOUR, 50e3, "soc")]
)
def test_a_battery_holds_its_power_or_its_energy(seconds: float, w: float, limit: str) -> None:
    assert give(only(heard(site())), hold(seconds), "down") == (w, limit)


@pytest.mark.parametrize(
    ("response_s", "ramp", "asked_s", "w", "limit"),
    [
        (0.0, None, 0.0, 100e3, "power"),
        (2.0, None, 1.0, 0.0, "response"),
        (2.0, None, 2.0, 100e3, "power"),
        (2.0, 5e3, 10.0, 40e3, "ramp"),
        (2.0, 5e3, None, 100e3, "power"),
    ],
)
def test_only_what_is_there_in_time_counts(
    response_s: float, ramp: float | None, asked_s: float | None, w: float, limit: str
) -> None:
    one = site(battery(response_s=response_s, ramp_w_per_s=ramp))
    asked = Hold(start_at=NOW, hold_s=600.0, response_s=asked_s)
    assert give(only(heard(one)), asked, "up") == (w, limit)


def test_a_blocked_time_takes_the_battery_away_wherever_it_touches() -> None:
    one = site(blocked=(Blocked(since_at=NOW + HOUR, until_at=NOW + 2 * HOUR),))
    asset = only(heard(one))
    assert give(asset, hold(HOUR), "down") == (50e3, "soc")
    assert give(asset, hold(HOUR + 1), "down") == (0.0, "blocked")
    assert give(asset, hold(600.0, free_s=2 * HOUR), "down") == (0.0, "blocked")
    assert give(asset, Hold(start_at=NOW + 2 * HOUR, hold_s=HOUR), "down")[0] > 0
    assert give(asset, Hold(start_at=NOW + 1.5 * HOUR, hold_s=0.0), "down") == (0.0, "blocked")


def test_a_weekly_time_is_local_and_runs_over_midnight() -> None:
    """2026-01-05 is a Monday; 22:00 to 06:00 in Japan is 13:00 to 21:00 UTC."""
    monday = 1767571200.0
    row = Blocked(days=(0,), start_s=22 * HOUR, end_s=6 * HOUR, offset_s=9 * HOUR)
    device = DeviceId("a-1")
    assert not row.holds(device, monday, monday + 13 * HOUR)
    assert row.holds(device, monday + 13 * HOUR, monday + 13 * HOUR)
    assert row.holds(device, monday + 20 * HOUR, monday + 23 * HOUR)
    assert not row.holds(device, monday + 21 * HOUR, monday + 24 * HOUR)
    assert not row.holds(device, monday + 37 * HOUR, monday + 38 * HOUR)  # Tuesday
    assert row.holds(device, monday + 24 * HOUR, monday + 8 * 24 * HOUR)
    assert row.holds(device, monday + 24 * HOUR, monday + 800 * 24 * HOUR)
    assert not replace(row, devices=(DeviceId("b"),)).holds(device, monday, monday + 24 * HOUR)


@pytest.mark.parametrize(
    "spoilt",
    [
        {"soc": math.nan},
        {"soc": -0.1},
        {"soc": 1.1},
        {"soc": math.inf},
        {"discharge_room_w": math.nan},
        {"charge_room_w": -1.0},
        {"discharge_room_w": math.inf},
        {"discharge_w": math.nan},
    ],
)
def test_an_impossible_reading_is_no_room_and_names_the_battery(spoilt: dict[str, float]) -> None:
    of = site()
    asset = battery_asset(of, of.batteries[0], replace(reading(), **spoilt))
    for direction in ("down", "up"):
        assert give(asset, hold(), direction) == (0.0, "reading")
    found = scope_room((site_assets(of, 0.0, {}),), (), hold(), "down")
    assert found == Sum(w=0.0, wh=0.0, binds=(Bind(limit="reading", at="a-1"),))


@pytest.mark.parametrize(
    "spoilt",
    [
        {"discharge_max_w": math.nan},
        {"charge_max_w": -1.0},
        {"energy_wh": math.inf},
        {"efficiency": 0.0},
        {"efficiency": math.nan},
        {"soc_min": 0.9, "soc_max": 0.1},
        {"ramp_w_per_s": 0.0},
        {"ramp_w_per_s": math.nan},
        {"response_s": -1.0},
    ],
)
def test_impossible_settings_are_no_room(spoilt: dict[str, float]) -> None:
    of = site(replace(battery(), **spoilt))
    assert give(only(heard(of)), hold(), "down") == (0.0, "settings")


@pytest.mark.parametrize("seconds", [math.nan, -1.0, math.inf])
def test_an_impossible_question_is_no_room(seconds: float) -> None:
    assert give(only(heard(site())), hold(seconds), "down") == (0.0, "settings")


def test_a_zero_capacity_site_has_no_room() -> None:
    for of in (site(battery(power_w=0.0)), site(battery(energy_wh=0.0)), replace(site(), batteries=())):
        assert held(of).w == held(of, "up").w == 0.0


# --- offers of work --------------------------------------------------------------------------------------------------


def test_an_offer_counts_as_long_as_it_can_be_held_and_called() -> None:
    (asset,) = work_assets((offer(("a", -50e3), min_dwell_s=900.0),), ("a",))
    assert give(asset, hold(), "down") == (50e3, "power")
    assert give(asset, hold(), "up")[0] == 0.0
    assert give(asset, hold(7201.0), "down") == (0.0, "sustain")
    assert give(asset, hold(600.0), "down") == (0.0, "dwell")
    assert give(asset, hold(600.0, free_s=1800.0), "down") == (50e3, "power")
    assert give(asset, Hold(start_at=NOW + 86400.0, hold_s=900.0), "down") == (0.0, "validity")
    (kept,) = work_assets((offer(("a", -50e3)),), ("a",), later_share=0.4)
    assert give(kept, Hold(start_at=NOW + 86400.0, hold_s=900.0), "down") == (20e3, "validity")


def test_a_move_counts_at_either_end_and_not_for_both_together() -> None:
    ends = (heard(site(battery("a-1", power_w=0.0))), heard(site(battery("b-1", "b", power_w=0.0), id="b")))
    move = (offer(("a", -50e3), ("b", 50e3)),)
    found = {(row.level, row.id): row for row in rooms(ends, move, hold(), tiers=(BATTERY, WORKLOAD))}
    assert (found["site", "a"].down.w, found["site", "a"].up.w) == (50e3, 0.0)
    assert (found["site", "b"].down.w, found["site", "b"].up.w) == (0.0, 50e3)
    assert (found["portfolio", "portfolio"].down.w, found["portfolio", "portfolio"].up.w) == (0.0, 0.0)
    assert found["area", "tokyo"].down.w == 0.0


@pytest.mark.parametrize(
    "spoilt", [{"sustain_s": math.nan}, {"valid_until": math.nan}, {"min_dwell_s": -1.0}]
)
def test_an_impossible_offer_is_no_room_and_is_named(spoilt: dict[str, float]) -> None:
    broken = replace(offer(("a", -50e3)), **spoilt)
    (asset,) = work_assets((broken,), ("a",))
    assert give(asset, hold(), "down") == (0.0, "offer")
    (asset,) = work_assets((offer(("a", math.nan)),), ("a",))
    assert give(asset, hold(), "down") == (0.0, "offer")


# --- the tree --------------------------------------------------------------------------------------------------------


def test_feeder_and_grid_connection_bound_what_is_behind_them() -> None:
    two = (battery("a-1"), battery("a-2"))
    assert held(site(*two)).w == 200e3
    lines = (feeder("a-1", export_max_w=30e3, import_max_w=80e3, load_min_w=5e3, load_max_w=20e3),)
    assert held(site(*two, feeders=lines)).w == 135e3
    assert held(site(*two, feeders=lines), "up").w == 160e3
    edge = site(*two, feeders=lines, export_max_w=100e3)
    assert held(edge).binds == (Bind(limit="export", at="a"),)
    assert held(edge).w == 100e3
    unheard = scope_room((heard(site(), load_w=None),), (), hold(), "down")
    assert (unheard.w, unheard.binds) == (0.0, (Bind(limit="load", at="a"),))


@pytest.mark.parametrize("bad", [math.nan, -1.0])
def test_an_impossible_feeder_carries_nothing(bad: float) -> None:
    lines = (feeder("a-1", export_max_w=bad),)
    found = held(site(feeders=lines))
    assert (found.w, found.binds) == (0.0, (Bind(limit="feeder", at="f-1"),))


def test_every_level_has_its_room() -> None:
    sites = (
        heard(site(battery("a-1"), battery("a-2"), feeders=(feeder("a-1", export_max_w=10e3),))),
        heard(site(id="b", area="tokyo")),
        heard(site(id="c", area="kansai")),
    )
    work = (offer(("c", -5e3)),)
    found = {(row.level, row.id): row.down.w for row in rooms(sites, work, hold(), tiers=(BATTERY, WORKLOAD))}
    assert found == {
        ("resource", "a-1"): 100e3, ("resource", "a-2"): 100e3, ("feeder", "f-1"): 10e3,
        ("resource", "b-1"): 100e3, ("resource", "c-1"): 100e3, ("resource", "o-1"): 5e3,
        ("site", "a"): 110e3, ("site", "b"): 100e3, ("site", "c"): 105e3,
        ("tier", "battery"): 310e3, ("tier", "workload"): 5e3,
        ("area", "tokyo"): 210e3, ("area", "kansai"): 105e3, ("portfolio", "portfolio"): 315e3,
    }  # fmt: skip


@st.composite
def any_site(draw: st.DrawFn) -> Site:
    batteries = tuple(
        battery(
            f"a-{n}",
            power_w=draw(SIZES),
            energy_wh=draw(SIZES),
            response_s=draw(st.floats(0, 10)),
            ramp_w_per_s=draw(st.none() | st.floats(1, 1e7)),
        )
        for n in range(draw(st.integers(1, 4)))
    )
    behind = tuple(one.id for one in batteries[: draw(st.integers(0, len(batteries)))])
    lines = (feeder(*behind, import_max_w=draw(SIZES), export_max_w=draw(SIZES)),) if behind else ()
    return site(*batteries, import_max_w=draw(SIZES), export_max_w=draw(SIZES), feeders=lines)


@given(
    of=any_site(),
    soc=st.floats(0, 1),
    load_w=st.floats(-1e8, 1e8),
    seconds=st.floats(1, 1e5),
    response_s=st.none() | st.floats(0, 60),
    direction=DIRECTION,
)
def test_never_more_than_any_limit(
    of: Site, soc: float, load_w: float, seconds: float, response_s: float | None, direction: Direction
) -> None:
    one = heard(of, soc=soc, load_w=load_w)
    asked = Hold(start_at=NOW, hold_s=seconds, response_s=response_s)
    found = scope_room((one,), (), asked, direction)
    tight = 1 + 1e-9
    edge = load_w + of.export_max_w if direction == "down" else of.import_max_w - load_w
    left = [soc if direction == "down" else 1 - soc] * len(of.batteries)
    assert 0 <= found.w <= max(0.0, edge) * tight
    assert found.w * seconds / HOUR <= found.wh * tight + 1e-6
    assert found.wh <= sum(b.energy_wh * s for b, s in zip(of.batteries, left, strict=True)) * tight + 1e-6
    assert found.w <= sum(b.discharge_max_w for b in of.batteries) * tight
    if response_s is not None:
        quick = [b for b in of.batteries if b.response_s <= response_s]
        assert found.w <= sum(b.discharge_max_w for b in quick) * tight
    for line in of.feeders:
        behind = [asset for asset in one.batteries if asset.feeder == line.id]
        inside = scope_room((replace(one, batteries=tuple(behind)),), (), asked, direction).w
        assert inside <= (line.export_max_w if direction == "down" else line.import_max_w) * tight


@given(
    of=any_site(),
    low=st.floats(0, 1),
    more=st.floats(0, 1),
    load_w=st.floats(-1e8, 1e8),
    seconds=st.floats(1, 1e5),
    longer=st.floats(0, 1e5),
)
def test_more_charge_gives_more_down_and_a_longer_time_gives_less(
    of: Site, low: float, more: float, load_w: float, seconds: float, longer: float
) -> None:
    high = low + (1 - low) * more
    asked, later = hold(seconds), hold(seconds + longer)

    def room(soc: float, what: Hold, direction: Direction) -> Sum:
        return scope_room((heard(of, soc=soc, load_w=load_w),), (), what, direction)

    slack = 1e-6
    assert room(low, asked, "down").w <= room(high, asked, "down").w * (1 + 1e-9) + slack
    assert room(high, asked, "up").w <= room(low, asked, "up").w * (1 + 1e-9) + slack
    for direction in ("down", "up"):
        assert room(low, later, direction).w <= room(low, asked, direction).w * (1 + 1e-9) + slack
        assert room(low, asked, direction).wh <= room(low, later, direction).wh * (1 + 1e-9) + slack


def test_an_absurd_target_has_an_ordinary_room() -> None:
    of = site(battery(power_w=1e300, energy_wh=1e300))
    assert math.isfinite(held(of).w) and held(of).w <= BIG_W * 2
    assert held(replace(of, id=SiteId("b"))).w == held(of).w
