"""Wear from the settings to the second, and in the plan of the hour: what it orders, and what it must never cost."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.unit import horizon_cases as hour
from tests.unit.fleets import SITES, fleet, instruction
from tests.unit.test_limits_beside import ask, import_limit
from tests.unit.test_limits_beside import house as lending
from tests.unit.test_outlook import NOW, asked, sites
from tests.unit.test_rolling import ROLLING, Looking, begun
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.domain.command import Arrange
from vpp_gateway.domain.fact import Instructed
from vpp_gateway.domain.fleet import DEFAULT_TIERS, Battery, Fleet
from vpp_gateway.domain.horizon import HorizonPlan, HorizonProblem, Prices
from vpp_gateway.domain.instruction import Delta, DeviceId
from vpp_gateway.gateway import Gateway
from vpp_gateway.optimise.handover import hand_over
from vpp_gateway.optimise.horizon import solve
from vpp_gateway.optimise.horizon_works import COST_LEAST
from vpp_gateway.portfolio.forecast import SeasonalNaive
from vpp_gateway.portfolio.outlook import outlook
from vpp_gateway.portfolio.timeline import Timeline
from vpp_gateway.portfolio.wear import LEAST, MOST, wear_prices
from vpp_gateway.sim.link_plant import LinkPlant


def worn_fleet(*costs: float, energy_wh: float = 100_000.0) -> Fleet:
    """Two batteries a site; the costs go round."""
    turns = itertools.cycle(costs)
    plain = fleet(energy_wh=energy_wh)
    rows = (
        replace(site, batteries=tuple(replace(b, wear_cost=next(turns)) for b in site.batteries))
        for site in plain.sites
    )
    return replace(plain, sites=tuple(rows))


def worn_plant(fleet: Fleet | None = None) -> LinkPlant:
    return LinkPlant(fleet or worn_fleet(5.0, 20.0), seed=1, load_w=400_000.0)


def house_of(fleet: Fleet, *, w: float, duration_s: float, alive: bool = True) -> Looking:
    """An event that is asked of everybody, with nothing but batteries, run to its end."""
    gateway = Gateway(fleet, Policy(rolling=ROLLING), {})
    house = begun(Looking(gateway=gateway, plant=worn_plant(fleet), alive=alive))
    event = instruction(demand=Delta(regulation_w=w), duration_s=duration_s)
    house.feed(Instructed(at=house.now, instruction=event))
    house.run_until(1010.0)
    return house


def discharged_wh(house: Looking, cost: float, since: dict[str, float]) -> float:
    """What the batteries of this wear have given of their charge."""
    plates = {b.id: b for b in house.gateway.fleet.batteries}
    return math.fsum(
        (since[id] - battery.soc) * plates[id].energy_wh
        for site in house.plant.sites.values()
        for id, battery in site.batteries.items()
        if plates[id].wear_cost == cost
    )


def socs(house: Looking) -> dict[str, float]:
    return {id: b.soc for site in house.plant.sites.values() for id, b in site.batteries.items()}


# -- in the second -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alive", [False, True])
def test_the_least_wearing_give_first_and_an_event_is_met_to_its_end(alive: bool) -> None:
    """200 kW for an hour need both kinds to the end: spent one after the other, the rest would be 50 kW short."""
    house = house_of(worn_fleet(5.0, 20.0), w=200_000.0, duration_s=3600.0, alive=alive)
    before = socs(house)
    house.run_until(4590.0)
    assert (house.gateway.rolling.plan is not None) is alive
    record = next(iter(house.gateway.account.records()))
    assert record.samples > 3500 and record.samples_within == record.samples
    low, high = (discharged_wh(house, cost, before) for cost in (5.0, 20.0))
    assert low > 1.1 * high and high > 50_000.0
    house.run_until(4700.0)


@pytest.mark.parametrize("alive", [False, True])
def test_what_the_least_wearing_can_carry_alone_they_carry(alive: bool) -> None:
    house = house_of(worn_fleet(5.0, 20.0), w=90_000.0, duration_s=900.0, alive=alive)
    before = socs(house)
    house.run_until(1890.0)
    record = next(iter(house.gateway.account.records()))
    assert record.samples_within == record.samples
    assert discharged_wh(house, 5.0, before) > 0.95 * 90_000.0 * 880.0 / 3600.0
    assert abs(discharged_wh(house, 20.0, before)) < 500.0


def test_what_lasts_goes_with_every_battery_where_wear_differs_and_with_none_else() -> None:
    for costs, differs in (((5.0, 20.0), True), ((7.0,), False)):
        house = house_of(worn_fleet(*costs), w=90_000.0, duration_s=3600.0)
        problem = house.gateway.battery.problem
        assert problem is not None and len(problem.resources) == 6
        for one in problem.resources:
            assert one.wear_cost in costs
            assert math.isfinite(one.lasting_down_w) is differs and math.isfinite(one.lasting_up_w) is differs
            assert not differs or one.lasting_down_w < one.easy_down_w, (
                "the plan lets it give all it has above its floor"
            )


def test_what_a_battery_gives_already_is_taken_off_what_it_lasts_with_when_it_is_lent_for_a_limit() -> None:
    """60 kW are demanded. b1 gives 20, b2 5; b1 lasts with 38, so it lends 18, and b2 the other 17."""
    made = lending(worn_fleet(5.0, 20.0))
    first, second = (DeviceId(f"{SITES[0]}/{id}") for id in ("b1", "b2"))
    ask(made, "D1", Delta(regulation_w=20_000.0), devices=(first,), rank=1, duration_s=3600.0)
    ask(made, "D2", Delta(regulation_w=5_000.0), devices=(second,), rank=1, duration_s=3600.0)
    ask(made, "L", import_limit(340_000.0), scope=(SITES[0],), duration_s=3600.0)
    made.run_until(1030.0)
    batteries = made.plant.sites[SITES[0]].batteries
    assert batteries[first].discharge_w == pytest.approx(38_000.0, rel=0.01)
    assert batteries[second].discharge_w == pytest.approx(22_000.0, rel=0.02)


def test_what_a_site_is_to_begin_with_lasts_too() -> None:
    """The schedule that a site would follow alone: 200 kW for an hour, spread so that nobody is spent before its end."""
    house = begun(
        Looking(gateway=Gateway(worn_fleet(5.0, 20.0), Policy(), {}), plant=worn_plant(), alive=False)
    )
    event = instruction(demand=Delta(regulation_w=200_000.0), start_at=1030.0, duration_s=3600.0)
    house.feed(Instructed(at=house.now, instruction=event))
    house.run_until(970.0)
    cheap = {b.id for b in house.gateway.fleet.batteries if b.wear_cost == 5.0}
    sent = {
        c.schedule.site: c.schedule
        for _, _, commands in house.log
        for c in commands
        if isinstance(c, Arrange)
    }
    steps = [
        s.discharge_w
        for one in sent.values()
        for s in one.steps
        if s.device in cheap and s.start_at == 1030.0
    ]
    assert len(steps) == 3 and max(steps) < 40_000.0 and min(steps) > 35_000.0


# -- in the plan of the hour -------------------------------------------------------------------------------------


def planned(fleet: Fleet, w: float = 50e3) -> tuple[HorizonProblem, HorizonPlan]:
    """An hour in which `w` is asked of everybody for its second half."""
    known = tuple(replace(now, site=site) for now, site in zip(sites(), fleet.sites, strict=True))
    owed = Timeline(SITES)
    owed.admit(instruction("all", demand=Delta(regulation_w=w), start_at=NOW + 1800.0, duration_s=1800.0))
    case = outlook(
        "h", NOW, (300.0,) * 12, sites=known, timeline=owed, asked_w=asked, forecasts=SeasonalNaive(), tiers=DEFAULT_TIERS
    )  # fmt: skip
    return case, solve(case)


def test_where_all_wear_alike_the_problem_is_as_without_wear() -> None:
    plain, _ = planned(fleet())
    assert all(store.cost == 1.0 for store in plain.stores)
    assert planned(worn_fleet(7.5))[0] == plain
    assert planned(worn_fleet(5.0, 20.0))[0] != plain


def test_the_plan_uses_the_least_wearing_first_and_its_floors_let_it() -> None:
    case, plan = planned(worn_fleet(5.0, 20.0))
    assert plan.refused == () and not any(any(row.regulation_w) for row in plan.shortfalls)
    kind = {store.id: "low" if store.cost < 1.0 else "high" for store in case.stores}
    found = hand_over(plan, NOW + 3000.0)
    assert found is not None
    floors = {store.id: store.floor_wh for store in found.stores}
    given = {"low": 0.0, "high": 0.0}
    for store in plan.stores:
        steps = zip(store.discharge_w, plan.lengths_s, strict=True)
        given[kind[store.id]] += math.fsum(w * s for w, s in steps) / 3600.0
        assert all(left >= floor for left, floor in zip(store.stored_wh, store.floor_wh, strict=True)), (
            store.id
        )
        assert 20e3 < floors[store.id] < store.stored_wh[10]
    high, low = ([floors[id] for id, one in kind.items() if one == name] for name in ("high", "low"))
    assert min(high) > max(low), "less is kept back where more is to be used"
    assert given["low"] == pytest.approx(25e3, rel=1e-3) and abs(given["high"]) < 1.0


def test_a_dear_battery_still_gives_before_work_and_takes_the_sun_that_would_be_lost() -> None:
    """The price of wear stays inside its step of the ladder."""
    length = (1800.0, 1800.0)
    asked_now = (hour.asked("i", (hour.A,), (50e3, None)),)
    cheap_work = hour.work("w", hour.A, cost=COST_LEAST)
    stores = (hour.store("b", hour.A, cost=MOST, stored_wanted_wh=0.0),)
    plan = solve(hour.problem(length, asked_now, stores, (cheap_work,)))
    assert plan.works[0].share == (0.0, 0.0) and plan.stores[0].discharge_w[0] == pytest.approx(50e3)
    for price in (LEAST, 1.0, MOST):
        sunny = (hour.connection(hour.A, 2, load=0.0, pv=40e3, export=1e6),)
        full = hour.store("b", hour.A, soc=0.5, cost=price, stored_wanted_wh=0.0)
        plan = solve(hour.problem(length, (), (full,), connections=sunny))
        assert plan.stores[0].discharge_w == pytest.approx((-40e3, -40e3)), price


def test_own_sun_decides_before_wear() -> None:
    """A charges from its own sun at the highest price, though B wears least."""
    stores = (
        hour.store("a", hour.A, cost=MOST, stored_wanted_wh=0.0),
        hour.store("b", hour.B, cost=LEAST, stored_wanted_wh=0.0),
    )
    places = (
        hour.connection(hour.A, 1, load=0.0, pv=30e3, export=1e6),
        hour.connection(hour.B, 1),
    )
    plan = solve(
        hour.problem((1800.0,), (hour.asked("i", (hour.A, hour.B), (-50e3,)),), stores, connections=places)
    )
    given = {store.id: store.discharge_w[0] for store in plan.stores}
    assert given == pytest.approx({"a": -30e3, "b": -20e3}, abs=1.0)


def test_prices_are_a_straight_line_around_one_inside_the_ladder() -> None:
    prices = Prices()
    assert 2.0 * prices.stored * 1.5 < LEAST, (
        "no wish to be charged within an hour and a half pays for a kWh moved"
    )
    assert prices.surplus > 2.0 * MOST, "there and back is cheaper than sun that is lost"
    assert COST_LEAST * prices.tier_factor > MOST, "no battery is dearer than the cheapest work"
    for seed in range(300):
        rng = random.Random(seed)
        costs = [rng.choice([0.0, 1.0, 1.0, rng.uniform(0.0, 1e6), 1e-9]) for _ in range(rng.randint(1, 9))]
        batteries = fleet(batteries=3).batteries[: len(costs)]
        found = wear_prices(worn(batteries, costs))
        if len(set(costs)) == 1:
            assert found == {}
            continue
        ours = [found[battery.id] for battery in batteries]
        assert math.fsum(ours) / len(ours) == pytest.approx(1.0)
        assert min(ours) >= LEAST - 1e-12 and max(ours) <= MOST + 1e-12
        slopes = {
            round((ours[a] - ours[b]) / (costs[a] - costs[b]) * max(costs), 6)
            for a, b in itertools.combinations(range(len(costs)), 2)
            if abs(costs[a] - costs[b]) > 1e-3 * max(costs)
        }
        assert len(slopes) == 1 and slopes.pop() > 0.0


def worn(batteries: Sequence[Battery], costs: Sequence[float]) -> list[Battery]:
    return [replace(battery, wear_cost=cost) for battery, cost in zip(batteries, costs, strict=True)]
