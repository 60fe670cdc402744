"""A PV meter of the wrong sign: its sun does not count, and it is said until the plant has shown that it feeds in."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.fleets import SITES, fleet
from vpp_gateway.console import alarms
from vpp_gateway.console.sites import SiteViews
from vpp_gateway.console.status import MeterView, SiteView
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.domain.fact import Linked, Started, Tick
from vpp_gateway.domain.fleet import Fleet
from vpp_gateway.domain.instruction import DeviceId
from vpp_gateway.domain.reading import DeviceHealth, Health, MeterReading, SiteReading, Snapshot
from vpp_gateway.gateway import Gateway
from vpp_gateway.history import History
from vpp_gateway.metering.pv_watch import GAP_S, LEAST_W, MEAN_S, PvWatch

HERE, PV = SITES[0], DeviceId("pv")
LIMIT_W = 1_000_000.0
CLEAR_W = 5_000.0
"""0.5 % of it."""


def watched(said: Callable[[int], float], seconds: int, watch: PvWatch | None = None) -> list[bool]:
    """Whether it is believed, second by second."""
    watch = watch or PvWatch(limit_w=LIMIT_W)
    return [watch.believes(1000.0 + n, said(n)) for n in range(seconds)]


def test_what_plants_take_by_night_is_believed_and_a_small_site_has_a_least() -> None:
    watch = PvWatch(limit_w=LIMIT_W)
    assert all(watched(lambda n: 0.9 * CLEAR_W, 600, watch)) and not watch.reversed
    assert watch.clear_w == CLEAR_W and PvWatch(limit_w=20_000.0).clear_w == LEAST_W


def test_a_sample_is_not_believed_at_once_and_a_minute_is_named() -> None:
    watch = PvWatch(limit_w=LIMIT_W)
    assert not any(watched(lambda n: 2 * CLEAR_W, int(MEAN_S), watch)) and not watch.reversed
    assert not watch.believes(1000.0 + MEAN_S, 2 * CLEAR_W) and watch.reversed


def test_a_passing_peak_is_no_wrong_sign() -> None:
    watch = PvWatch(limit_w=LIMIT_W)
    believed = watched(lambda n: 3 * CLEAR_W if n % 60 < 10 else -100.0, 600, watch)
    assert not watch.reversed and believed.count(False) == 100


def test_night_tells_nothing_and_a_minute_of_sun_ends_the_doubt() -> None:
    watch = PvWatch(limit_w=LIMIT_W, reversed=True)
    assert not any(watched(lambda n: 40.0, 600, watch)), (
        "a meter that is the wrong way round says so by night"
    )
    day = [watch.believes(2000.0 + n, -8 * CLEAR_W) for n in range(int(MEAN_S) + 5)]
    assert day == [False] * int(MEAN_S) + [True] * 5


def test_a_minute_with_a_gap_in_it_begins_anew() -> None:
    watch = PvWatch(limit_w=LIMIT_W)
    for n in range(100):
        watch.believes(1000.0 + n * (GAP_S + 1.0), 2 * CLEAR_W)
    assert not watch.reversed
    for _ in range(100):
        watch.believes(9000.0, 2 * CLEAR_W)
    assert not watch.reversed, "one reading told often is one reading"


# -- in the gateway --------------------------------------------------------------------------------------------


def sunny() -> Fleet:
    return Fleet(sites=tuple(replace(s, pv_meter=PV if s.id == HERE else None) for s in fleet().sites))


def reading(at: float, pv_import_w: float | None) -> SiteReading:
    """What the agent of the site saw; None = its PV meter is silent."""
    health = Health.LOST if pv_import_w is None else Health.GOOD
    site = fleet().site(HERE)
    return SiteReading(
        site=HERE,
        at=at,
        meter=MeterReading(device=site.meter, at=at, import_w=4e5),
        batteries=(),
        health=(
            DeviceHealth(device=site.meter, health=Health.GOOD),
            *(DeviceHealth(device=b.id, health=Health.GOOD) for b in site.batteries),
            DeviceHealth(
                device=PV, health=health, reason="" if health is Health.GOOD else "no connection", seen_at=at
            ),
        ),
        pv=None if pv_import_w is None else MeterReading(device=PV, at=at, import_w=pv_import_w),
    )


class Sunny:
    """A gateway that is given one second after the other."""

    def __init__(self) -> None:
        self.gateway = Gateway(sunny(), Policy(), {})
        self.history = History(None, self.gateway)
        self.now = 1000.0
        self.facts: list[Started | Linked | Tick] = []
        self.take(Started(at=self.now, epoch=1, version="t"))
        self.take(Linked(at=self.now, site=HERE, up=True, reason=""))

    def take(self, fact: Started | Linked | Tick) -> None:
        self.facts.append(fact)
        self.gateway.step(fact, fact.at)

    def seconds(self, count: int, pv_import_w: float | None) -> None:
        for _ in range(count):
            self.now += 1.0
            snapshot = Snapshot(at=self.now, sites=(reading(self.now, pv_import_w),))
            self.take(Tick(at=self.now, snapshot=snapshot))
            self.history.add(self.gateway, snapshot)

    @property
    def stored_w(self) -> float | None:
        """`pv_w` in the telemetry of this second."""
        extras = self.history.extras(Snapshot(at=self.now, sites=()))
        assert all(math.isfinite(w) for w in extras.values())
        return extras.get(f"{HERE}/pv_w")

    def view(self) -> SiteView:
        return SiteViews(self.gateway, self.now).of(self.gateway.sites[HERE])

    def alarms(self) -> list[tuple[str, str, str, str]]:
        """Code, severity, English and Japanese text."""
        dated = alarms.Alarms().dated(self.now, list(alarms.of_site(self.view(), 900.0)))
        return [(a.code, a.severity, a.text, a.text_ja) for a in dated]


def pv_meter(site: SiteView) -> MeterView:
    assert site.pv_meter is not None
    return site.pv_meter


def test_a_pv_meter_that_is_well_is_counted_and_nothing_is_said() -> None:
    house = Sunny()
    house.seconds(200, -1.5e5)
    assert house.view().pv_w == house.stored_w == 1.5e5
    house.seconds(200, 300.0)
    assert house.view().pv_w == house.stored_w == 0.0
    assert pv_meter(house.view()).health is Health.GOOD and house.alarms() == []


def test_a_wrong_sign_is_named_in_two_languages_and_not_counted_until_it_is_right() -> None:
    house = Sunny()
    house.seconds(5, 1.5e5)
    assert house.view().pv_w is None and house.stored_w is None and house.alarms() == []
    house.seconds(60, 1.5e5)
    house.seconds(30, 200.0)
    view = house.view()
    assert view.pv_w is None and house.stored_w is None
    assert (pv_meter(view).health, pv_meter(view).import_w) == (Health.IMPLAUSIBLE, 200.0)
    assert view.health is Health.GOOD, "dispatch does without it"
    ((code, severity, text, text_ja),) = house.alarms()
    assert (code, severity) == ("pv_meter", "alarm")
    assert f"PV meter {PV} at {HERE} is implausible" in text and "wrong sign?" in text and ".." not in text
    assert "太陽光の電力量計" in text_ja and "符号の誤りか" in text_ja and "。)" not in text_ja
    house.seconds(125, -1.5e5)
    assert house.view().pv_w == house.stored_w == 1.5e5 and house.alarms() == []


@pytest.mark.parametrize("pv_import_w", [math.nan, math.inf, -math.inf, None])
def test_what_is_no_number_is_not_counted_and_named(pv_import_w: float | None) -> None:
    house = Sunny()
    house.seconds(3, -1.5e5)
    house.seconds(1, pv_import_w)
    view = house.view()
    assert view.pv_w is None and house.stored_w is None and pv_meter(view).import_w is None
    assert pv_meter(view).health is (Health.LOST if pv_import_w is None else Health.IMPLAUSIBLE)
    assert [code for code, *_ in house.alarms()] == ["pv_meter"]
    house.seconds(1, -1.5e5)
    assert house.view().pv_w == 1.5e5 and house.alarms() == []


def test_the_facts_alone_decide() -> None:
    house = Sunny()
    house.seconds(70, 1.5e5)
    house.seconds(20, 100.0)
    again = Gateway(sunny(), Policy(), {})
    for fact in house.facts:
        again.step(fact, fact.at)
    mine, other = house.gateway.sites[HERE], again.sites[HERE]
    assert mine.pv_watch == other.pv_watch and other.pv_watch.reversed and other.pv_w is None
    again.step(Started(at=house.now + 1.0, epoch=2, version="t"), house.now + 1.0)
    assert not again.sites[HERE].pv_watch.reversed, "a new life of the centre watches anew, as each meter"
