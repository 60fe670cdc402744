"""The formulas below the site agents: ramps, sun and its curtailment, work with latency and rebound, devices that fail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from tests.unit.fleets import fleet
from vpp_gateway.clock import LoopClock, SeededRng
from vpp_gateway.domain.fact import Lost, Obeyed, Offered, Outcome, Refused, Shifted
from vpp_gateway.domain.instruction import InstructionId
from vpp_gateway.domain.order import Offer, OrderId, PluginName, ShiftOrder, ShiftState, ShiftVerb
from vpp_gateway.domain.reading import Health
from vpp_gateway.sim.loop import VirtualLoop, run
from vpp_gateway.sim.model_site import (
    ModelBattery,
    ModelMeter,
    Ramp,
    SitePhysics,
    noise_of,
    on_curve,
    plant_of,
)
from vpp_gateway.sim.model_work import ModelWork, WorkSpec
from vpp_gateway.southbound.modbus.wire import DeviceOrder

ORIGIN = 1_790_000_000.0
SITE, OTHER = fleet().sites[:2]
BATTERY = SITE.batteries[0]
WORK = PluginName("work")


def physics(site_now: float = ORIGIN, load_w: float = 400_000.0, **more: object) -> SitePhysics:
    rng = SeededRng(1)
    return SitePhysics(  # type: ignore[arg-type]  # further fields of the test
        site=SITE, base=((site_now, load_w),), noise=noise_of(0.0, 120.0, rng, site_now), **more
    )


def in_time(scene: Callable[[LoopClock], Awaitable[None]]) -> None:
    """Play a scene in virtual time."""
    loop = VirtualLoop(start=0.0)
    clock = LoopClock(loop, ORIGIN)
    run(lambda: scene(clock), loop=loop)


def test_a_curve_is_straight_between_its_points_and_level_outside() -> None:
    curve = ((0.0, 0.0), (10.0, 100.0), (20.0, 50.0))
    assert [on_curve(curve, at) for at in (-5, 0, 5, 10, 15, 25)] == [0.0, 0.0, 50.0, 100.0, 75.0, 50.0]
    assert on_curve((), 3.0) == 0.0


def test_a_ramp_that_is_turned_round_starts_where_it_is() -> None:
    ramp = Ramp()
    ramp.go(100.0, 0.0, 10.0)
    assert ramp.at(5.0) == 50.0
    ramp.go(0.0, 5.0, 6.0)
    assert [ramp.at(at) for at in (5.0, 5.5, 6.0, 99.0)] == [50.0, 25.0, 0.0, 0.0]


def test_the_sun_is_curtailed_at_the_export_limit_and_feeds_what_is_taken() -> None:
    sunny = physics(pv=((ORIGIN, 500_000.0),))
    assert SITE.export_max_w == 0.0
    assert (sunny.pv_w(ORIGIN), sunny.import_w(ORIGIN)) == (400_000.0, 0.0)
    sunny.shifts.append(Ramp(will_w=60_000.0))
    assert (sunny.pv_w(ORIGIN), sunny.import_w(ORIGIN)) == (460_000.0, 0.0)
    sunny.shifts.append(Ramp(will_w=60_000.0))
    assert (sunny.pv_w(ORIGIN), sunny.import_w(ORIGIN)) == (500_000.0, 20_000.0)


def order(discharge_w: float, seq: int = 1) -> DeviceOrder:
    return DeviceOrder(
        epoch=1,
        seq=seq,
        discharge_w=discharge_w,
        deadline_at=ORIGIN + 900,
        instruction=InstructionId("tso/E"),
    )


def battery(clock: LoopClock, outcomes: list[Outcome]) -> ModelBattery:
    plant = plant_of(BATTERY, 0.5, ORIGIN, 2.0)
    return ModelBattery(BATTERY, plant, clock=clock, reversion_s=30.0, on_outcome=outcomes.append)


def test_a_battery_obeys_and_falls_back_when_nobody_refreshes_it() -> None:
    async def scene(clock: LoopClock) -> None:
        outcomes: list[Outcome] = []
        model = battery(clock, outcomes)
        model.order(order(20_000.0))
        await asyncio.sleep(1.0)
        assert isinstance(outcomes[0], Obeyed) and outcomes[0].discharge_w == 20_000.0
        await model.cycle(0.8)
        assert model.reading is not None and model.reading.discharge_w == 20_000.0
        await asyncio.sleep(20.0)
        await model.cycle(0.8)  # refreshed
        await asyncio.sleep(29.0)
        assert model.plant.look(clock.utc()) == 20_000.0
        await asyncio.sleep(2.0)
        assert model.plant.look(clock.utc()) == 0.0
        model.order(order(10_000.0, 2))
        model.order(None)
        await asyncio.sleep(1.0)
        assert model.plant.look(clock.utc()) == 0.0, "released before it could be written"

    in_time(scene)


@pytest.mark.parametrize(
    ("fault", "kind", "health", "left_w"),
    [
        ("dead", Lost, Health.LOST, 0.0),
        ("silent", Lost, Health.LOST, 5e3),
        ("refusing", Refused, Health.REFUSING, 5e3),
    ],
)
def test_a_battery_that_fails(fault: str, kind: type, health: Health, left_w: float) -> None:
    async def scene(clock: LoopClock) -> None:
        outcomes: list[Outcome] = []
        model = battery(clock, outcomes)
        model.order(order(5_000.0))
        await asyncio.sleep(1.0)
        model.fail(fault)
        model.order(order(9_000.0, 2))
        await asyncio.sleep(2.0)
        await model.cycle(0.8)
        assert isinstance(outcomes[-1], kind) and model.health.health is health
        assert model.plant.look(clock.utc()) == left_w
        model.fail("")
        await asyncio.sleep(1.0)
        await model.cycle(0.8)
        assert model.health.health is Health.GOOD and model.plant.look(clock.utc()) == 9_000.0

    in_time(scene)


def test_a_meter_that_fails() -> None:
    async def scene(clock: LoopClock) -> None:
        truth = physics()
        meter = ModelMeter(truth, clock)
        seen = []
        for fault in ("", "stuck", "reversed", "dead"):
            truth.shifts.append(Ramp(will_w=-1000.0))
            meter.fault = fault
            await meter.cycle(0.8)
            seen.append(None if meter.health.health is Health.LOST else meter.reading)
            await asyncio.sleep(1.0)
        assert [None if row is None else row.import_w for row in seen] == [399e3, 399e3, -397e3, None]

    in_time(scene)


def spec(**more: object) -> WorkSpec:
    plain = WorkSpec(name="pause", kind="pause", site=SITE.id, w=40_000.0, units=4, spread=0.0)
    return replace(plain, **more)  # type: ignore[arg-type]  # further fields of the test


class Desk:
    """A plug-in's host as the centre hears it."""

    def __init__(self, clock: LoopClock, *specs: WorkSpec) -> None:
        self.sites = {SITE.id: physics(), OTHER.id: physics()}
        self.offers: tuple[Offer, ...] = ()
        self.states: list[ShiftState] = []
        self.reasons: list[str] = []
        self.work = ModelWork(
            WORK,
            specs,
            self.sites,
            clock=clock,
            rng=SeededRng(1),
            on_offered=self._offered,
            on_shifted=self._shifted,
        )
        self._clock = clock

    def _offered(self, fact: Offered) -> None:
        self.offers = fact.offers
        self.reasons.append(fact.reason)

    def _shifted(self, fact: Shifted) -> None:
        self.states.append(fact.state)

    def tell(self, verb: ShiftVerb, offer: Offer, step: int, id: str = "1-1") -> None:
        """Order something."""
        self.work.order(
            ShiftOrder(
                id=OrderId(id),
                plugin=WORK,
                offer=offer.id,
                verb=verb,
                step=step,
                fence=1,
                deadline_at=self._clock.utc() + 5,
                instruction=InstructionId("tso/E"),
            )
        )

    def shift_w(self) -> tuple[float, float]:
        """Import added at both sites, W."""
        now = self._clock.utc()
        return self.sites[SITE.id].shift_w(now), self.sites[OTHER.id].shift_w(now)


def test_work_is_prepared_committed_and_given_back_with_its_rebound() -> None:
    async def scene(clock: LoopClock) -> None:
        desk = Desk(clock, spec(rebound_share=0.5, rebound_within_s=100.0))
        async with asyncio.TaskGroup() as group:
            running = group.create_task(desk.work.run())
            await asyncio.sleep(0.1)
            (offer,) = desk.offers
            assert offer.steps == (0.25, 0.5, 0.75, 1.0) and offer.legs[0].import_delta_w == -40_000.0
            desk.tell(ShiftVerb.PREPARE, offer, 2)
            (left,) = desk.offers
            assert left.steps == (1.0,) and left.legs[0].import_delta_w == -10_000.0, (
                "the rest is offered anew"
            )
            await asyncio.sleep(1.0)
            desk.tell(ShiftVerb.COMMIT, offer, 2)
            desk.tell(ShiftVerb.COMMIT, offer, 2)
            await asyncio.sleep(1.9)
            assert desk.shift_w() == (0.0, 0.0), "not before its latency"
            await asyncio.sleep(1.0)
            assert desk.shift_w() == (-30_000.0, 0.0)
            await asyncio.sleep(97.5)
            desk.tell(ShiftVerb.ROLLBACK, offer, 2)
            await asyncio.sleep(3.0)
            assert desk.shift_w() == (0.0, 0.0)
            S = ShiftState
            assert desk.states == [S.PREPARED, S.RAMPING, S.ACTIVE, S.RETURNING, S.RETURNED]
            assert desk.offers[0].steps[-1] == 1.0 and len(desk.offers[0].steps) == 4
            assert desk.sites[SITE.id].rebound_w(clock.utc()) == pytest.approx(15_000.0, rel=0.05)
            await asyncio.sleep(101.0)
            assert desk.sites[SITE.id].rebound_w(clock.utc()) == 0.0
            running.cancel()

    in_time(scene)


def test_a_move_has_two_legs_and_the_second_comes_later() -> None:
    async def scene(clock: LoopClock) -> None:
        desk = Desk(clock, spec(kind="move", to=OTHER.id, units=1))
        async with asyncio.TaskGroup() as group:
            running = group.create_task(desk.work.run())
            await asyncio.sleep(0.1)
            desk.tell(ShiftVerb.COMMIT, desk.offers[0], 0)
            await asyncio.sleep(3.0)
            assert desk.shift_w() == (-40_000.0, 0.0)
            await asyncio.sleep(2.0)
            assert desk.shift_w() == (-40_000.0, 40_000.0)
            running.cancel()

    in_time(scene)


def test_a_plugin_that_dies_puts_its_work_back_and_a_liar_does_nothing() -> None:
    async def scene(clock: LoopClock) -> None:
        desk = Desk(clock, spec())
        async with asyncio.TaskGroup() as group:
            running = group.create_task(desk.work.run())
            await asyncio.sleep(0.1)
            offer = desk.offers[0]
            desk.tell(ShiftVerb.COMMIT, offer, 3)
            await asyncio.sleep(5.0)
            desk.work.fail("dead")
            assert desk.offers == () and desk.reasons[-1] and desk.states[-1] is ShiftState.FAILED
            desk.tell(ShiftVerb.COMMIT, offer, 3, "1-2")
            assert desk.states[-1] is ShiftState.FAILED
            await asyncio.sleep(1.0)
            assert desk.shift_w() == (0.0, 0.0)
            desk.work.fail("")
            desk.work.fail("liar")
            desk.tell(ShiftVerb.COMMIT, desk.offers[0], 3, "1-3")
            await asyncio.sleep(5.0)
            assert desk.states[-1] is ShiftState.ACTIVE and desk.shift_w() == (0.0, 0.0)
            running.cancel()

    in_time(scene)


def test_an_order_for_an_offer_that_is_gone_fails() -> None:
    async def scene(clock: LoopClock) -> None:
        desk = Desk(clock, spec())
        async with asyncio.TaskGroup() as group:
            running = group.create_task(desk.work.run())
            await asyncio.sleep(0.1)
            old = desk.offers[0]
            await asyncio.sleep(61.0)
            desk.tell(ShiftVerb.COMMIT, old, 0)
            assert desk.states == [ShiftState.FAILED]
            running.cancel()

    in_time(scene)
