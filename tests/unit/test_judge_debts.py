"""Opt where shifted work comes back, or stands on for the next event: taken if and only if it can be delivered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.unit.fleets import SITES, fleet, instruction
from tests.unit.test_gateway import LEVER, House
from tests.unit.test_rebound import END_AT, FOUR, LOAD_W, A, Returning, house_of, socs, work
from vpp_gateway.catalogue import text
from vpp_gateway.console.events import event_views
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.domain.fact import Instructed, Offered, Started, Withdrawn
from vpp_gateway.domain.fleet import Fleet
from vpp_gateway.domain.instruction import Delta, Instruction, InstructionId, Multiplier, Phase, Setpoint
from vpp_gateway.domain.order import Offer, ShiftVerb
from vpp_gateway.domain.reading import Snapshot
from vpp_gateway.gateway import Gateway
from vpp_gateway.sim.link_plant import LinkPlant

ONE = work("a", 150_000.0, 12_500.0)
"""When it is given back after the event: 150 kW on top for 5 min."""


def event(w: float, start_at: float, seconds: float, name: str = "EV-2", **more: Any) -> Instruction:
    made = instruction(name, demand=Delta(regulation_w=w), scope=(A,), start_at=start_at, duration_s=seconds)
    return replace(made, **more)


def tell(house: House, told: Instruction) -> tuple[str, str]:
    house.feed(Instructed(at=house.now, instruction=told))
    return house.answers[-1].opt, house.answers[-1].reason


def delivered(house: House, name: str = "EV-2") -> float:
    """Share of the counted seconds of an event within 10 %, at its last second."""
    told = house.gateway.instruction(InstructionId(f"tso/{name}"))
    assert told is not None and told.end_at is not None
    house.run_until(told.end_at - 1.0)
    delivery = house.gateway.account.delivery(told.id)
    assert delivery is not None and delivery.samples > 50
    return delivery.samples_within / delivery.samples


@pytest.mark.parametrize("told", [END_AT + 5.0, 1300.0], ids=["while it comes back", "while EV-1 runs"])
@pytest.mark.parametrize("gap", [10.0, 60.0])
@pytest.mark.parametrize(("w", "opt"), [(200_000.0, "out"), (60_000.0, "out"), (48_000.0, "in")])
def test_batteries_give_what_comes_back_beside_what_is_asked(
    told: float, gap: float, w: float, opt: str
) -> None:
    """200 kW of batteries, 150 kW on top: 50 kW are left."""
    house = house_of(ONE, w=150_000.0)
    house.run_until(told)
    said, reason = tell(house, event(w, END_AT + gap, 200.0))
    assert said == opt
    if opt == "out":
        assert "only 50" in reason or "only 49" in reason
    else:
        assert delivered(house) == 1.0


def test_what_has_come_back_is_no_hindrance() -> None:
    for told in (1300.0, END_AT + 100.0):
        house = house_of(ONE, w=150_000.0)
        house.run_until(told)
        assert tell(house, event(195_000.0, END_AT + 310.0, 200.0))[0] == "in"
        assert delivered(house) == 1.0


def test_each_phase_pays_what_comes_back_in_it() -> None:
    def phases(first_w: float) -> Instruction:
        rows = ((first_w, END_AT + 10.0, END_AT + 310.0), (190_000.0, END_AT + 310.0, END_AT + 400.0))
        made = tuple(Phase(start_at=s, end_at=e, demand=Delta(regulation_w=w)) for w, s, e in rows)
        return event(0.0, END_AT + 10.0, 1.0, phases=made)

    house = house_of(ONE, w=150_000.0)
    house.run_until(END_AT + 5.0)
    assert tell(house, phases(100_000.0))[0] == "out"
    assert tell(house, phases(45_000.0))[0] == "in"
    assert delivered(house) >= 0.98, "two seconds between the phases"


def test_what_batteries_hold_before_the_start_is_gone() -> None:
    """18 kWh in them, 12.5 kWh come back before it begins."""
    for w, opt in ((100_000.0, "out"), (55_000.0, "in")):
        house = house_of(ONE, w=150_000.0)
        house.run_until(1500.0)
        for battery in house.plant.sites[A].batteries.values():
            battery.soc = 0.1 + 0.09 / 0.95
        house.run_until(END_AT + 3.0)
        assert tell(house, event(w, END_AT + 310.0, 300.0))[0] == opt
        if opt == "in":
            assert delivered(house) == 1.0


def test_without_energy_in_the_batteries_nothing_pays_for_it() -> None:
    """An event that is cancelled and sent again: two of four have returned, each owes 25 kW; two wait and serve it."""
    for w, opt in ((100_000.0, "out"), (50_000.0, "in")):
        house = house_of(*FOUR, w=200_000.0, soc=0.1)
        house.run_until(1500.0)
        gone = Withdrawn(
            at=house.now, instruction=InstructionId("tso/EV-1"), modification=1, cause="cancelled"
        )
        house.feed(gone)
        house.run_until(1520.0)
        said, reason = tell(house, event(w, 1530.0, 100.0, "EV-1", modification=2))
        assert (said, "only 50.0 kW" in reason) == (opt, opt == "out")
        if opt == "in":
            assert delivered(house, "EV-1") == 1.0


def test_an_event_that_is_extended_after_its_end_pays_too() -> None:
    for w, opt in ((200_000.0, "out"), (120_000.0, "in")):
        house = house_of(*FOUR, w=200_000.0)
        house.run_until(END_AT + 10.0)
        assert not list(house.gateway.shifts.standing()), "batteries hold it: all have returned"
        assert tell(house, event(w, 1000.0, 800.0, "EV-1", modification=1))[0] == opt
        if opt == "in":
            house.run_until(END_AT + 15.0)
            before = house.gateway.account.delivery(InstructionId("tso/EV-1"))
            assert before is not None
            missed = before.samples - before.samples_within
            house.run_until(1799.0)
            after = house.gateway.account.delivery(InstructionId("tso/EV-1"))
            assert after is not None and after.samples - after.samples_within <= missed
            assert after.delivered_now_w == pytest.approx(w, rel=0.02)


def test_what_comes_back_helps_nobody() -> None:
    """In the other direction it would: but nobody has promised when and how evenly."""
    house = house_of(ONE, w=150_000.0)
    house.run_until(END_AT + 5.0)
    said, reason = tell(house, event(-250_000.0, END_AT + 10.0, 200.0))
    assert said == "out" and "only 200.0 kW" in reason
    assert tell(house, event(-200_000.0, END_AT + 10.0, 200.0))[0] == "in"


def connected(import_max_w: float) -> Fleet:
    of = fleet(power_w=100_000.0)
    return replace(of, sites=tuple(replace(site, import_max_w=import_max_w) for site in of.sites))


def house_at(of: Fleet, load_w: float, w: float, *offers: Offer) -> Returning:
    house = Returning(gateway=Gateway(of, Policy(), {LEVER: A}), plant=LinkPlant(of, seed=1, load_w=load_w))
    house.feed(Started(at=house.now, epoch=1, version="test"))
    house.run_until(960.0)
    house.feed(Offered(at=house.now, plugin=LEVER, offers=offers))
    assert tell(house, event(w, 1000.0, 600.0, "EV-1"))[0] == "in"
    return house


@pytest.mark.parametrize(("w", "opt"), [(-160_000.0, "out"), (-70_000.0, "in")])
def test_the_connection_carries_what_comes_back_first(w: float, opt: str) -> None:
    """400 kW of load and 150 kW on top of it behind 630 kW; while EV-1 runs its meter shows 250 kW."""
    house = house_at(connected(630_000.0), LOAD_W, 150_000.0, ONE)
    house.run_until(1300.0)
    assert tell(house, event(w, END_AT + 10.0, 200.0))[0] == opt
    if opt == "in":
        assert delivered(house) == 1.0


def test_the_load_that_work_leaves_is_there_again_when_it_has_returned() -> None:
    """Export is not allowed: 120 kW of load, of which 100 kW are paused until EV-1 is over."""
    house = house_at(connected(2e6), 120_000.0, 100_000.0, work("a", 100_000.0, 0.0))
    house.run_until(1300.0)
    assert tell(house, event(110_000.0, END_AT + 60.0, 200.0))[0] == "in"
    assert delivered(house) == 1.0


# -- work that stands -------------------------------------------------------------------------------------------


def carried(rebound_wh: float, sustain_s: float = 7200.0) -> Returning:
    """200 kW that work alone carries: batteries are empty."""
    offers = (work(f"w{n}", 50_000.0, rebound_wh, cost=float(n), sustain_s=sustain_s) for n in range(1, 5))
    return house_of(*offers, w=200_000.0, soc=0.1)


@pytest.mark.parametrize("rebound_wh", [0.0, 5_000.0])
def test_work_goes_on_for_the_event_that_follows(rebound_wh: float) -> None:
    house = carried(rebound_wh)
    house.run_until(1500.0)
    assert tell(house, event(200_000.0, END_AT, 600.0)) == ("in", "")
    assert tell(house, event(200_000.0, END_AT + 600.0, 300.0, "EV-3")) == ("in", ""), (
        "and for the one after it"
    )
    assert delivered(house) == 1.0
    assert delivered(house, "EV-3") == 1.0
    assert not [s for s in house.shifts if s.order.verb is ShiftVerb.ROLLBACK]


def test_work_that_does_not_last_is_not_counted() -> None:
    """It can be held for 900 s of 1200, and owes then."""
    house = carried(5_000.0, sustain_s=900.0)
    house.run_until(1500.0)
    said, reason = tell(house, event(200_000.0, END_AT, 600.0))
    assert said == "out" and "only 0.0 kW" in reason
    assert tell(house, event(200_000.0, END_AT, 290.0))[0] == "in"
    assert delivered(house) == 1.0


def test_work_is_not_held_over_a_gap() -> None:
    house = carried(5_000.0)
    house.run_until(1500.0)
    assert tell(house, event(200_000.0, END_AT + 1.0, 600.0))[0] == "out"


def test_no_order_counts_for_two_at_once() -> None:
    house = carried(5_000.0)
    house.run_until(1500.0)
    assert tell(house, event(200_000.0, END_AT, 600.0))[0] == "in"
    for name, start_at in (("beside EV-1", 1510.0), ("beside EV-2", END_AT + 60.0)):
        said, reason = tell(house, event(50_000.0, start_at, 60.0, name))
        assert said == "out" and "only 0.0 kW" in reason
    for row in range(4):
        house.run_until(END_AT + 20.0 + row)
        assert all(r.order.instruction == "tso/EV-2" for r in house.gateway.shifts.standing())


@dataclass
class Two:
    """150 kW of a more urgent event, then of a longer one, each by work; batteries bridge."""

    rebound_wh: float

    def house(self) -> Returning:
        of = fleet(power_w=100_000.0)
        house = Returning(
            gateway=Gateway(of, Policy(), {LEVER: A}), plant=LinkPlant(of, seed=1, load_w=LOAD_W)
        )
        for battery in house.plant.sites[A].batteries.values():
            battery.soc = 0.13
        house.feed(Started(at=house.now, epoch=1, version="test"))
        house.run_until(960.0)
        offers = tuple(
            work(n, 150_000.0, self.rebound_wh, cost=c, sustain_s=7200.0) for n, c in (("x", 1.0), ("y", 2.0))
        )
        house.feed(Offered(at=house.now, plugin=LEVER, offers=offers))
        urgent = instruction("U", demand=Delta(regulation_w=150_000.0), scope=(A,), rank=1)
        assert tell(house, urgent)[0] == "in"
        return house


@pytest.mark.parametrize("rebound_wh", [0.0, 5_000.0])
@pytest.mark.parametrize("told", [960.0, 1300.0], ids=["before both", "under it"])
def test_a_long_event_is_judged_by_what_the_urgent_one_leaves_it(rebound_wh: float, told: float) -> None:
    house = Two(rebound_wh).house()
    house.run_until(told)
    assert tell(house, event(150_000.0, max(1100.0, told), 2000.0, "L")) == ("in", "")
    house.run_until(END_AT - 1.0)
    under = house.gateway.account.delivery(InstructionId("tso/L"))
    assert under is None or under.samples == 0, "it is asked for nothing while it rules nothing"
    assert delivered(house, "L") >= 0.99
    assert min(socs(house)) > 0.1


def test_what_only_the_urgent_one_can_have_is_refused() -> None:
    house = Two(0.0).house()
    said, reason = tell(house, event(150_000.0, 1100.0, 400.0, "inside"))
    assert said == "out" and "only 0.0 kW" in reason
    said, reason = tell(house, event(600_000.0, 1100.0, 2000.0, "too much"))
    assert said == "out" and "for 1500 s" in reason, "as long as it rules"


# -- loads that are not known, and shares of them ---------------------------------------------------------------


class OneHeard(LinkPlant):
    """Only the first site speaks."""

    def second(self, now: float) -> Snapshot:
        seen = super().second(now)
        return replace(seen, sites=tuple(r for r in seen.sites if r.site == A))


@pytest.mark.parametrize("demand", [Setpoint(import_w=900_000.0), Multiplier(factor=0.9)])
def test_a_refusal_names_the_sites_whose_load_is_not_known(demand: Setpoint | Multiplier) -> None:
    house = House(plant=OneHeard(fleet(), seed=1, load_w=400_000.0))
    house.feed(Started(at=house.now, epoch=1, version="test"))
    house.run_until(960.0)
    said, reason = tell(house, instruction(demand=demand))
    assert (said, reason) == ("out", "the load of tokyo-2, kanagawa-1 is not known yet")
    (view,) = event_views(house.gateway)
    assert view.opt_reason_ja == text("why.opt.load_unknown", "ja", sites="tokyo-2, kanagawa-1")
    assert "tokyo-2, kanagawa-1" in view.opt_reason_ja


@pytest.mark.parametrize(
    ("demand", "asked_w"),
    [
        (Multiplier(factor=0.9), 80_000.0),
        (Setpoint(import_w=1_080_000.0), 120_000.0),
        (Delta(regulation_w=120_000.0), 120_000.0),
    ],
    ids=["each its share", "an import of all", "a change"],
)
def test_what_is_asked_of_the_rest_when_a_site_is_lost(
    demand: Multiplier | Setpoint | Delta, asked_w: float
) -> None:
    """Three sites of 400 kW; a more urgent event has the first."""
    house = House()
    house.feed(Started(at=house.now, epoch=1, version="test"))
    house.run_until(960.0)
    urgent = instruction("U", demand=Delta(regulation_w=50_000.0), scope=(A,), rank=1)
    assert tell(house, urgent)[0] == "in"
    assert tell(house, instruction("rest", demand=demand))[0] == "in"
    house.run_until(1100.0)
    row = next(row for row in house.gateway.timeline.at(house.now) if row.instruction.id == "tso/rest")
    assert row.sites == SITES[1:]
    assert house.gateway.battery.asked_w(row) == pytest.approx(asked_w, rel=0.01)
    assert delivered(house, "rest") == 1.0


def test_a_share_of_everything_is_judged_by_the_sites_that_are_left() -> None:
    """0.6 of two sites of 100 kW: 80 kW, as 0.6 of three would be 120, more than batteries of 100 kW together."""
    of = fleet(power_w=25_000.0)
    house = House(gateway=Gateway(of, Policy(), {LEVER: A}), plant=LinkPlant(of, seed=1, load_w=100_000.0))
    house.feed(Started(at=house.now, epoch=1, version="test"))
    house.run_until(960.0)
    assert tell(house, instruction("U", demand=Delta(regulation_w=20_000.0), scope=(A,), rank=1))[0] == "in"
    assert tell(house, instruction("all", demand=Multiplier(factor=0.6)))[0] == "in"
    assert delivered(house, "all") == 1.0
