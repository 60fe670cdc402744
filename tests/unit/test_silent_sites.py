"""A site that is not heard any more: what it is taken to do, for how long, and what is not proven."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.unit.fleets import SITES, instruction
from tests.unit.test_gateway import House
from vpp_gateway.domain.delivery import DeliveryRecord
from vpp_gateway.domain.fact import Instructed, Linked, Started
from vpp_gateway.domain.instruction import Delta, Instruction

LOST = SITES[0]
LOAD_W = 400_000.0
AWARD_W = 120_000.0


def house(event: Instruction) -> House:
    made = House()
    made.feed(Started(at=made.now, epoch=1, version="t"))
    made.run_until(960.0)
    made.feed(Instructed(at=made.now, instruction=event))
    return made


def event(
    name: str = "EV-1", *, w: float = AWARD_W, start_at: float = 1000.0, duration_s: float
) -> Instruction:
    return instruction(name, demand=Delta(regulation_w=w), start_at=start_at, duration_s=duration_s)


def lose(made: House, *, silent: bool) -> None:
    """The plant of the lost site goes on with the schedule that it holds, as an agent alone does."""
    made.plant.sites[LOST].lost = True
    made.feed(Linked(at=made.now, site=LOST, up=False, reason="lost", silent=silent))


def delivered_w(made: House) -> float:
    sites = made.plant.sites.values()
    return math.fsum(b.discharge_w for site in sites for b in site.batteries.values())


def record(made: House, name: str) -> DeliveryRecord:
    return next(row for row in made.gateway.account.records() if row.instruction == f"tso/{name}")


def test_a_silent_site_is_credited_as_long_as_its_step_lasts_and_not_longer() -> None:
    made = house(event(duration_s=200.0))
    made.run_until(1100.0)
    lose(made, silent=True)
    made.run_until(1150.0)
    assert delivered_w(made) == pytest.approx(AWARD_W, rel=0.02)
    made.run_until(1230.0)
    made.feed(
        Instructed(at=made.now, instruction=event("EV-2", w=60_000.0, start_at=1260.0, duration_s=300.0))
    )
    made.run_until(1400.0)
    assert delivered_w(made) == pytest.approx(60_000.0, rel=0.02), (
        "the site was released with the first event"
    )


def test_a_silent_site_goes_on_to_its_next_step() -> None:
    one = event(duration_s=100.0)
    later = replace(one.phases[0], start_at=1100.0, end_at=1400.0, demand=Delta(regulation_w=30_000.0))
    made = house(replace(one, phases=(*one.phases, later)))
    made.run_until(1080.0)
    lose(made, silent=True)
    made.run_until(1095.0)
    assert delivered_w(made) == pytest.approx(AWARD_W, rel=0.02)
    made.run_until(1200.0)
    assert delivered_w(made) == pytest.approx(30_000.0, rel=0.02)


def test_a_site_that_is_gone_after_a_silence_is_replaced_when_its_timers_have_run_out() -> None:
    made = house(event(duration_s=900.0))
    made.run_until(1100.0)
    made.plant.sites[LOST].lost = True
    made.run_until(1103.0)
    assert made.gateway.sites[LOST].alone, "no readings, and nobody closed the link"
    made.feed(Linked(at=made.now, site=LOST, up=False, reason="the site agent closed the link", silent=False))
    assert not made.gateway.sites[LOST].alone
    made.run_until(1130.0)
    made.plant.sites[LOST].schedule = None
    made.run_until(1140.0)
    assert delivered_w(made) == pytest.approx(AWARD_W, rel=0.02)


def test_a_new_centre_takes_the_agents_of_the_old_one_to_carry_on() -> None:
    made = house(event(duration_s=900.0))
    made.run_until(1100.0)
    lose(made, silent=True)
    made.run_until(1110.0)
    made.feed(Started(at=made.now, epoch=2, version="t"))
    for site in SITES[1:]:
        made.feed(Linked(at=made.now, site=site, up=True))
    made.run_until(1200.0)
    assert delivered_w(made) == pytest.approx(AWARD_W, rel=0.02), "its share is not ordered a second time"


def test_what_no_meter_shows_is_counted_and_not_proven() -> None:
    made = house(event(duration_s=300.0))
    made.run_until(1100.0)
    lose(made, silent=True)
    made.run_until(1310.0)
    row = record(made, "EV-1")
    assert row.samples_assumed == pytest.approx(200, abs=3)
    assert row.samples_within + row.samples_assumed == row.samples
    assert "meter.unseen" in [reason.code for reason in row.why]
