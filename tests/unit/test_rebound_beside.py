"""The end of an event beside everything else: other events, limits, devices of their own, silent meters and links."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.fleets import SITES, fleet, instruction
from tests.unit.test_gateway import LEVER, House, offer
from tests.unit.test_rebound import (
    BACK_S,
    END_AT,
    FOUR,
    LEVEL_W,
    LOAD_W,
    A,
    Returning,
    batteries_w,
    house_of,
    import_w,
    returned_at,
    socs,
    watch,
    work,
)
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.domain.command import Arrange
from vpp_gateway.domain.fact import Instructed, Linked, Offered, Started
from vpp_gateway.domain.instruction import Delta, DeviceId, Limit, Phase
from vpp_gateway.domain.order import Offer, OfferId, ShiftVerb
from vpp_gateway.domain.reading import Snapshot
from vpp_gateway.gateway import Gateway
from vpp_gateway.sim.link_plant import LinkPlant

B = SITES[1]


class SilentPlant(LinkPlant):
    """The meter of tokyo-1 says nothing in some seconds."""

    silent: tuple[float, ...] = ()

    def second(self, now: float) -> Snapshot:
        seen = super().second(now)
        if now not in self.silent:
            return seen
        return replace(seen, sites=tuple(replace(r, meter=None) if r.site == A else r for r in seen.sites))


def silence(house: House, *seconds: float) -> None:
    assert isinstance(house.plant, SilentPlant)
    house.plant.silent = seconds


def held_house(**more: Any) -> Returning:
    return house_of(work("a", 150_000.0, 12_500.0), w=150_000.0, **more)


def test_an_event_elsewhere_takes_nobodys_turn() -> None:
    house = house_of(*FOUR, w=200_000.0, soc=0.1)
    for battery in house.plant.sites[B].batteries.values():
        battery.soc = 0.6
    house.run_until(1500.0)
    other = instruction("EV-B", demand=Delta(regulation_w=20_000.0), scope=(B,), start_at=1550.0)
    house.feed(
        Instructed(
            at=house.now, instruction=replace(other, phases=(replace(other.phases[0], end_at=2500.0),))
        )
    )
    assert house.answers[-1].opt == "in"
    house.run_until(END_AT - 1.0)
    course = watch(house, END_AT + 60.0)
    assert len(returned_at(house)) == 2 and max(course) < LEVEL_W + 1_000.0


@pytest.mark.parametrize(("owed_wh", "within_s"), [(1.0, 1800.0), (1.0, 86400.0), (500.0, 86400.0)])
def test_a_hold_is_bounded_by_its_debt(owed_wh: float, within_s: float) -> None:
    """The load rises by 100 kW by itself: little of that is what came back."""
    house = house_of(work("a", 150_000.0, owed_wh, rebound_within_s=within_s), w=150_000.0, soc=0.9)
    house.rebounds = False
    house.run_until(END_AT + 5.0)
    before = socs(house)
    house.plant.sites[A].shift_w += 100_000.0
    house.run_until(END_AT + 900.0)
    given_wh = sum(a - b for a, b in zip(before, socs(house), strict=True)) * 100_000.0 * 0.95
    assert given_wh <= 1.3 * owed_wh + 300.0
    window_w = house.gateway.sites[A].window.mean_w()
    assert window_w == pytest.approx(500_000.0, rel=0.01), "and the baseline follows the load again"


def test_a_moment_without_a_meter_ends_nothing() -> None:
    house = held_house(plant=SilentPlant)
    house.run_until(END_AT + 50.0)
    silence(house, END_AT + 52.0, END_AT + 53.0)
    course = watch(house, END_AT + 60.0)
    assert max(course) < LEVEL_W + 1_000.0


def test_whoever_waits_goes_on_waiting_while_nobody_sees() -> None:
    house = house_of(*FOUR, w=200_000.0, soc=0.1, plant=SilentPlant)
    silence(house, *(END_AT + s for s in range(20, 25)))
    house.run_until(END_AT - 1.0)
    course = watch(house, END_AT + 60.0)
    assert len(returned_at(house)) == 2 and max(course) < LEVEL_W + 1_000.0


def test_a_link_that_falls_silent_is_sent_nothing() -> None:
    """The agent may be there still, and carries on what it was told."""
    house = held_house()
    house.run_until(END_AT + 20.0)
    commands = house.gateway.step(
        Linked(at=house.now, site=A, up=False, reason="nothing came for 5 s", silent=True), house.now
    )
    assert not [c for c in commands if isinstance(c, Arrange) and c.schedule.site == A]


def test_an_agent_alone_keeps_the_import_that_it_holds() -> None:
    house = held_house()
    house.run_until(1500.0)
    other = instruction("EV-B", demand=Delta(regulation_w=20_000.0), scope=(B,), start_at=1550.0)
    house.feed(Instructed(at=house.now, instruction=other))
    house.run_until(END_AT + 20.0)
    schedule = house.plant.sites[A].schedule
    assert schedule is not None and schedule.alone_import_w == pytest.approx(LEVEL_W, rel=0.002)


@pytest.mark.parametrize("limit_w", [600_000.0, 500_000.0, 450_000.0])
def test_a_limit_above_the_baseline_lifts_nobody(limit_w: float) -> None:
    house = held_house()
    house.run_until(END_AT + 10.0)
    limit = instruction(
        "LIM", demand=Limit(import_max_w=limit_w, export_max_w=None), scope=(A,), start_at=house.now
    )
    house.feed(Instructed(at=house.now, instruction=limit))
    course = watch(house, house.now + 60.0)
    assert max(course) < LEVEL_W + 1_000.0


def test_turns_count_on_nobody_elses_batteries() -> None:
    """Both batteries are ruled alone, at nothing: only what still stands pays."""
    house = house_of(*FOUR, w=200_000.0, soc=0.2)
    house.run_until(1500.0)
    ids = tuple(DeviceId(f"{A}/b{n}") for n in (1, 2))
    alone = replace(instruction("DEV", demand=Delta(regulation_w=0.0), start_at=1590.0), devices=ids)
    house.feed(Instructed(at=house.now, instruction=alone))
    house.run_until(END_AT - 1.0)
    course = watch(house, END_AT + 60.0)
    assert max(course) < LEVEL_W + 1_000.0 and batteries_w(house) == [0.0, 0.0]
    assert len(returned_at(house)) == 1


def two_works(rebound_wh: float) -> tuple[Offer, Offer]:
    return (
        work("w1", 150_000.0, rebound_wh, sustain_s=7200.0, cost=1.0),
        work("w2", 150_000.0, rebound_wh, sustain_s=7200.0, cost=2.0),
    )


@pytest.mark.parametrize("rebound_wh", [0.0, 5_000.0])
def test_work_goes_on_where_the_next_event_begins(rebound_wh: float) -> None:
    house = house_of(*two_works(rebound_wh), w=150_000.0, soc=0.2)
    house.run_until(1300.0)
    more = instruction("EV-2", demand=Delta(regulation_w=150_000.0), scope=(A,), start_at=END_AT)
    house.feed(Instructed(at=house.now, instruction=more))
    assert house.answers[-1].opt == "in"
    ordered = len(house.shifts)
    house.run_until(END_AT + 500.0)
    assert not house.shifts[ordered:], "nothing is given back, and nothing called anew"
    assert import_w(house) == pytest.approx(LOAD_W - 150_000.0, rel=0.01)


def test_giving_back_inside_an_event_is_weighed_with_what_comes_back() -> None:
    """200 kW, then 20: what of the four is given back takes power on top, and batteries have none."""
    house = house_of(
        *(replace(one, rebound_wh=7_500.0, sustain_s=1800.0) for one in FOUR), w=200_000.0, soc=0.1
    )
    first = instruction(scope=(A,), modification=1)
    phases = (
        Phase(start_at=1000.0, end_at=END_AT, demand=Delta(regulation_w=200_000.0)),
        Phase(start_at=END_AT, end_at=END_AT + 300.0, demand=Delta(regulation_w=20_000.0)),
    )
    house.feed(Instructed(at=house.now, instruction=replace(first, phases=phases)))
    house.run_until(END_AT + 30.0)
    course = watch(house, END_AT + 290.0)
    assert len([at for at in returned_at(house) if at < END_AT + 60.0]) == 2
    off = [w for w in course if abs(w - LOAD_W + 20_000.0) > 2_000.0]
    assert len(off) <= 2, "the seconds in which a third one returns, as the first two have come back"


def test_a_destination_owes_nothing_and_is_not_held() -> None:
    """What was moved there is there still while it waits; its batteries do not work against it."""
    made = fleet(power_w=100_000.0)
    moves = tuple(
        replace(
            offer("move", (0, -60_000.0), (1, 60_000.0), steps=(1.0,)),
            id=OfferId(f"m{n}"),
            sustain_s=1200.0,
            rebound_wh=4_000.0,
            rebound_within_s=BACK_S,
            cost=float(n),
        )
        for n in (1, 2)
    )
    house = House(gateway=Gateway(made, Policy(), {LEVER: A}), plant=LinkPlant(made, seed=1, load_w=LOAD_W))
    for id, site in house.plant.sites.items():
        for battery in site.batteries.values():
            battery.soc = 0.11 if id == A else 0.6
    house.feed(Started(at=house.now, epoch=1, version="test"))
    house.run_until(960.0)
    house.feed(Offered(at=house.now, plugin=LEVER, offers=moves))
    for name, w, place in (("EA", 120_000.0, A), ("EB", -120_000.0, B)):
        asked = instruction(name, demand=Delta(regulation_w=w), scope=(place,))
        house.feed(Instructed(at=house.now, instruction=asked))
        assert house.answers[-1].opt == "in"
    house.run_until(END_AT - 60.0)
    assert len(list(house.gateway.shifts.standing())) == 2
    house.run_until(END_AT - 1.0)
    there = house.plant.sites[B].batteries.values()
    while house.now < END_AT + 100.0:
        house.run_until(house.now + 1.0)
        assert max(battery.discharge_w for battery in there) <= 1_000.0
    assert [s for s in house.shifts if s.order.verb is ShiftVerb.ROLLBACK]


def test_a_plug_in_that_never_answers_owes_once() -> None:
    house = held_house()
    house.run_until(END_AT - 1.0)
    house.mute = True
    house.run_until(END_AT + 5.0)
    assert len(house.gateway.rebounds.debts) == 1
    house.run_until(END_AT + BACK_S + 10.0)
    assert not house.gateway.rebounds.debts and not house.gateway.rebounds.owing()
