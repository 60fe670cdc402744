"""The scenarios of docs/scenarios, judged at the true meters."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.repository import ROOT
from vpp_gateway.domain.instruction import Delta, SiteId
from vpp_gateway.settings import load_settings
from vpp_gateway.whatif.course import Course
from vpp_gateway.whatif.house import play_out
from vpp_gateway.whatif.judge import EventResult, judge
from vpp_gateway.whatif.scenario import load_scenario, play_of
from vpp_gateway.whatif.sun import sun_of
from vpp_gateway.whatif.world import Play

FOLDER = ROOT / "docs" / "scenarios"


def play_of_file(name: str) -> Play:
    settings = load_settings(FOLDER / "gateway.yaml", files=False)
    return play_of(settings, load_scenario(FOLDER / name, settings))


def played(play: Play) -> tuple[Course, dict[str, EventResult]]:
    course = play_out(play)
    assert course.trouble == ""
    return course, {row.asked.name: row for row in judge(play, course)}


def mw(row: EventResult) -> tuple[float, float]:
    """(target, delivered) mean, MW."""
    means = row.mean_w()
    return means["target"] / 1e6, means["delivered"] / 1e6


def test_every_scenario_can_be_read() -> None:
    names = [path.name for path in FOLDER.glob("*.yaml") if path.name != "gateway.yaml"]
    assert len(names) >= 3
    for name in names:
        assert play_of_file(name).asked, name


def test_three_areas_at_once_and_all_reversed() -> None:
    _, rows = played(play_of_file("three-areas.yaml"))
    wanted = {"A-down": 2.0, "B-up": -1.5, "C-down": 0.5, "A-up": -2.0, "B-down": 1.5, "C-up": -0.5}
    for name, target in wanted.items():
        row = rows[name]
        assert row.opt == "in", name
        assert mw(row) == pytest.approx((target, target), rel=0.01), name
        assert row.share_within is not None and row.share_within >= 0.99, name
        assert row.reached_after_s is not None and row.reached_after_s <= 3.0, name
        assert row.unreported == (), name
    carriers = {name: rows[name].mean_w()["tier.workload"] for name in wanted}
    assert carriers["A-down"] > 0.3e6 and carriers["B-up"] < -0.1e6
    moved = {"A-down": 0.6e6, "B-up": -0.6e6, "C-down": 0.6e6, "B-down": 0.3e6, "C-up": -0.3e6}
    handed = {name: sum(over.work_w for over in row.hand_overs) for name, row in rows.items()}
    assert handed == pytest.approx({**moved, "A-up": 0.0})


def test_work_takes_over_from_the_batteries_and_a_dead_battery_is_made_up_for() -> None:
    play = play_of_file("hand-over.yaml")
    _, rows = played(play)
    (row,) = rows.values()
    assert row.share_within is not None and row.share_within >= 0.99
    first = row.hand_overs[0]
    assert first.ordered_s - row.asked.start_s < 10.0
    assert 10.0 < first.lasted_s < 60.0
    assert [over.work_w for over in row.hand_overs] == pytest.approx([1.0e6, 0.2e6, 0.6e6, 0.2e6])


def test_the_end_of_an_event_makes_no_peak() -> None:
    """Half of what was paused at tokyo-dc comes back within 15 min, on top of what it takes anyway."""
    play = play_of_file("hand-over.yaml")
    site = SiteId("tokyo-dc")
    found = {}
    for held in (True, False):
        policy = replace(play.policy, hold_rebound=held)
        _, rows = played(replace(play, after_s=600.0, policy=policy))
        found[held] = {one.site: one for one in rows["EV-1"].after}
    assert set(found[True]) == {site}
    assert found[True][site].returned_w > 0.35e6 and found[True][site].returned_wh > 50e3
    assert found[False][site].above_w > 0.35e6
    # 1 % of its 12 MW, and what the noise makes of a second.
    assert found[True][site].above_w < 0.2e6


def test_the_local_sun_is_used() -> None:
    """PV is modelled; the bound is a linear program that knows every second beforehand."""
    play = play_of_file("local-sun.yaml")
    course, _ = played(play)
    sun = sun_of(play, course)
    assert sun is not None
    assert sun.surplus_wh > 0.5e6
    assert sun.surplus_used_wh <= sun.surplus_bound_wh * (1 + 1e-9)
    assert sun.surplus_used_wh >= 0.95 * sun.surplus_bound_wh


def test_the_sun_is_curtailed_where_nobody_takes_it() -> None:
    sunny = play_of_file("local-sun.yaml")
    play = replace(sunny, work=(), asked=(), after_s=1200.0)
    sun = sun_of(play, play_out(play))
    assert sun is not None
    assert sun.surplus_wh > 0.05e6
    assert sun.surplus_used_wh < 0.001 * sun.surplus_wh


@pytest.mark.parametrize("curve", [((0.0, 9e6),), ()])
def test_of_two_works_that_cost_the_same_the_one_with_sun_is_called(
    curve: tuple[tuple[float, float], ...],
) -> None:
    """More is asked than the batteries should carry; without sun the first by name is called."""
    play = play_of_file("local-sun.yaml")
    tokyo, kyushu = SiteId("tokyo-dc"), SiteId("kyushu-dc")
    work = tuple(replace(play.work[0], name=name, site=site) for name, site in (("a", tokyo), ("b", kyushu)))
    row = replace(play.asked[0], demand=Delta(regulation_w=-3.2e6), scope=(), start_s=30.0, duration_s=60.0)
    sites = {**play.sites, kyushu: replace(play.sites[kyushu], pv=curve, soc=0.5)}
    course = play_out(replace(play, work=work, asked=(row,), sites=sites, after_s=10.0))
    assert course.trouble == ""
    first = next(mark.offer for mark in course.marks)
    assert first.startswith("b" if curve else "a"), first
