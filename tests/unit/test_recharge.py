"""After an event: batteries go back to their wanted charge, softly, and never against anybody."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.unit.fleets import SITES, fleet, instruction
from tests.unit.test_gateway import LEVER, House
from vpp_gateway.dispatch.policy import Policy, RollingPolicy
from vpp_gateway.dispatch.recharge import CLEAR_S
from vpp_gateway.domain.fact import Instructed, Started
from vpp_gateway.domain.instruction import Limit
from vpp_gateway.gateway import Gateway
from vpp_gateway.sim.link_plant import LinkPlant

SOFT = RollingPolicy(wanted_soc=0.5, recharge_share=0.1)


def emptied(rolling: RollingPolicy | None, soc: float = 0.4, load_w: float = 400_000.0) -> House:
    """A house whose batteries lack some charge, heard for a few seconds."""
    house = House(
        gateway=Gateway(fleet(), Policy(rolling=rolling), {LEVER: SITES[0]}),
        plant=LinkPlant(fleet(), seed=1, load_w=load_w),
    )
    for site in house.plant.sites.values():
        for battery in site.batteries.values():
            battery.soc = soc
    house.feed(Started(at=house.now, epoch=1, version="test"))
    house.run_until(910.0)
    return house


def charging_w(house: House) -> list[float]:
    return [-b.discharge_w for s in house.plant.sites.values() for b in s.batteries.values()]


def socs(house: House) -> list[float]:
    return [b.soc for s in house.plant.sites.values() for b in s.batteries.values()]


def test_a_battery_goes_back_to_its_wanted_charge_and_no_further() -> None:
    house = emptied(SOFT, soc=0.47)
    assert charging_w(house) == pytest.approx([5_000.0] * 6), "a tenth of 50 kW"
    house.run_until(4500.0)
    assert socs(house) == pytest.approx([0.5] * 6, abs=0.001)
    assert charging_w(house) == [0.0] * 6


@pytest.mark.parametrize("rolling", [None, RollingPolicy(wanted_soc=0.5)])
def test_nothing_is_charged_unless_the_operator_says_so(rolling: RollingPolicy | None) -> None:
    house = emptied(rolling)
    house.run_until(1100.0)
    assert charging_w(house) == [0.0] * 6 and socs(house) == [0.4] * 6


def test_a_little_that_is_missing_is_left_alone() -> None:
    assert charging_w(emptied(SOFT, soc=0.49)) == [0.0] * 6


def test_it_ends_before_an_instruction_is_near_and_begins_again_after_it() -> None:
    house = emptied(SOFT)
    start_at = house.now + CLEAR_S + 60.0
    house.feed(Instructed(at=house.now, instruction=instruction(start_at=start_at, duration_s=60.0)))
    house.run_until(start_at - CLEAR_S - 2.0)
    assert min(charging_w(house)) > 0.0
    house.run_until(start_at - CLEAR_S + 3.0)
    assert charging_w(house) == [0.0] * 6
    house.run_until(start_at + 30.0)
    assert math.fsum(charging_w(house)) == pytest.approx(-90_000.0, rel=0.02), "the event"
    house.run_until(start_at + 65.0)
    assert charging_w(house) == pytest.approx([5_000.0] * 6)


def test_the_grid_connection_takes_no_more_than_it_may() -> None:
    """2 MW are contracted, 1.996 MW are taken: of 4 kW left, nine tenths."""
    house = emptied(SOFT, load_w=1_996_000.0)
    for site in house.plant.sites.values():
        here = [-battery.discharge_w for battery in site.batteries.values()]
        assert math.fsum(here) == pytest.approx(3_600.0, rel=0.01)


def test_a_limit_in_force_is_an_instruction() -> None:
    house = emptied(SOFT)
    limit = Limit(import_max_w=402_000.0, export_max_w=None)
    house.feed(
        Instructed(at=house.now, instruction=instruction(start_at=house.now, duration_s=None, demand=limit))
    )
    house.run_until(house.now + 5.0)
    for site in house.plant.sites.values():
        here = [-battery.discharge_w for battery in site.batteries.values()]
        assert math.fsum(here) == pytest.approx(1_800.0, rel=0.02)


def test_it_ends_by_itself_when_the_centre_is_lost() -> None:
    house = emptied(SOFT)
    steps = [step for site in house.plant.sites.values() if site.schedule for step in site.schedule.steps]
    assert len(steps) == 6
    assert all(step.end_at is not None and step.end_at <= house.now + 120.0 for step in steps)


def test_replay_gives_identical_orders() -> None:
    house = emptied(replace(SOFT, recharge_share=0.3))
    house.run_until(1500.0)
    twin = Gateway(fleet(), Policy(rolling=replace(SOFT, recharge_share=0.3)), {LEVER: SITES[0]})
    for fact, now, commands in house.log:
        assert twin.step(fact, now) == commands
