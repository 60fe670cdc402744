"""The site agent in virtual time: runs its schedule to the instant, with or without the centre, and no older one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.unit.fleets import SITES, fleet
from vpp_gateway.clock import Clock, LoopClock, SystemClock
from vpp_gateway.domain.fact import Obeyed
from vpp_gateway.domain.fleet import Blocked
from vpp_gateway.domain.instruction import DeviceId, InstructionId
from vpp_gateway.domain.order import SiteSchedule, Step
from vpp_gateway.domain.reading import BatteryReading, DeviceHealth, Health, MeterReading
from vpp_gateway.errors import JournalError
from vpp_gateway.link.messages import ObeyedReport, Readings, ScheduleOrder, Up, Welcome
from vpp_gateway.sim.loop import VirtualLoop, run
from vpp_gateway.site.agent import Holding, SiteAgent
from vpp_gateway.site.store import AgentStore
from vpp_gateway.southbound.modbus.wire import DeviceOrder

ORIGIN = 1_790_000_000.0
SITE = SITES[0]
METER = DeviceId(f"{SITE}/meter")
B1, B2 = DeviceId(f"{SITE}/b1"), DeviceId(f"{SITE}/b2")


@dataclass
class Battery:
    """Takes orders like a driver and keeps them, with their time."""

    device: DeviceId
    clock: Clock
    orders: list[tuple[float, DeviceOrder | None]] = field(default_factory=list)
    armed_at: list[float] = field(default_factory=list)
    soc: float = 0.5

    @property
    def gives_w(self) -> float:
        """It obeys at once."""
        order = self.orders[-1][1] if self.orders else None
        return 0.0 if order is None else order.discharge_w

    @property
    def reading(self) -> BatteryReading:
        return BatteryReading(
            device=self.device,
            at=self.clock.utc(),
            discharge_w=self.gives_w,
            soc=self.soc,
            discharge_room_w=50_000.0,
            charge_room_w=50_000.0,
        )

    @property
    def health(self) -> DeviceHealth:
        return DeviceHealth(device=self.device, health=Health.GOOD)

    def order(self, order: DeviceOrder | None) -> None:
        if not self.orders or self.orders[-1][1] != order:
            self.orders.append((self.clock.utc(), order))

    def arm(self) -> None:
        self.armed_at.append(self.clock.utc())

    async def cycle(self, deadline_s: float) -> None:
        await asyncio.sleep(min(0.05, deadline_s))

    async def run(self) -> None:
        await asyncio.Event().wait()

    def history(self, start: float) -> list[tuple[float, float | None]]:
        """(seconds after `start`, discharge_w or None for a release)."""
        return [(round(at - start, 3), None if o is None else o.discharge_w) for at, o in self.orders]


@dataclass
class Meter:
    clock: Clock
    device: DeviceId = METER
    import_w: Callable[[], float] = lambda: 1000.0

    @property
    def reading(self) -> MeterReading:
        return MeterReading(device=self.device, at=self.clock.utc(), import_w=self.import_w())

    @property
    def health(self) -> DeviceHealth:
        return DeviceHealth(device=self.device, health=Health.GOOD)

    async def cycle(self, deadline_s: float) -> None:
        await asyncio.sleep(min(0.05, deadline_s))

    async def run(self) -> None:
        await asyncio.Event().wait()


@dataclass
class Uplink:
    """Keeps what the agent says."""

    said: list[Up] = field(default_factory=list)

    def send(self, message: Up, *, keep: bool) -> None:
        self.said.append(message)

    async def run(self) -> None:
        await asyncio.Event().wait()


@dataclass
class Stage:
    agent: SiteAgent
    batteries: dict[DeviceId, Battery]
    uplink: Uplink
    clock: Clock
    start: float


def schedule(*steps: Step, epoch: int = 1, seq: int = 1) -> ScheduleOrder:
    return ScheduleOrder(
        schedule=SiteSchedule(site=SITE, epoch=epoch, seq=seq, issued_at=ORIGIN, steps=steps)
    )


def wishing(stage: Stage, order: ScheduleOrder, alone_import_w: float) -> ScheduleOrder:
    return ScheduleOrder(
        schedule=replace(order.schedule, alone_import_w=alone_import_w, issued_at=stage.start)
    )


def step(device: DeviceId, start_at: float, end_at: float | None, discharge_w: float) -> Step:
    return Step(
        device=device,
        start_at=start_at,
        end_at=end_at,
        discharge_w=discharge_w,
        instruction=InstructionId("tso/EV-1"),
        modification=0,
    )


def play(
    folder: Path,
    scene: Callable[[Stage], Awaitable[None]],
    hold_s: float = 60.0,
    settable: bool = False,
    import_w: Callable[[Stage], float] | None = None,
    blocked_s: tuple[float, float] | None = None,
) -> Stage:
    """Run one scene with an agent that is linked from the start."""
    loop = VirtualLoop()
    clock: Clock = LoopClock(loop, ORIGIN)
    if settable:
        clock = SystemClock(wall=lambda: ORIGIN + loop.time(), monotonic=loop.time)
    stages: list[Stage] = []

    async def main() -> None:
        store = AgentStore(path=folder / "agent.json")
        store.load()
        batteries = {id: Battery(id, clock) for id in (B1, B2)}
        since_s, until_s = blocked_s or (0.0, 0.0)
        works = Blocked(devices=(B1,), since_at=clock.utc() + since_s, until_at=clock.utc() + until_s)
        agent = SiteAgent(
            site=replace(fleet().site(SITE), blocked=(works,) if blocked_s else ()),
            batteries=batteries,
            meter=Meter(clock) if import_w is None else Meter(clock, METER, lambda: import_w(stages[0])),
            store=store,
            holding=Holding(hold_s=hold_s, arm_lead_s=5.0),
            secret="-",
            clock=clock,
        )
        uplink = Uplink()
        agent.connect(uplink, {})
        stage = Stage(agent, batteries, uplink, clock, clock.utc())
        stages.append(stage)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(agent.run())
            agent.on_message(Welcome(epoch=1, at=clock.utc()))
            agent.on_linked(True)
            await scene(stage)
            task.cancel()

    run(main, loop=loop)
    return stages[0]


def test_a_future_step_begins_and_ends_to_the_instant_without_the_centre(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        at = stage.start
        stage.agent.on_message(schedule(step(B1, at + 10.3, at + 20.7, 500.0)))
        stage.agent.on_linked(False)
        await asyncio.sleep(30.0)

    stage = play(tmp_path, scene)
    assert stage.batteries[B1].history(stage.start) == [(0.0, None), (10.3, 500.0), (20.7, None)]
    assert stage.batteries[B2].history(stage.start) == [(0.0, None)]
    assert round(stage.batteries[B1].armed_at[0] - stage.start, 3) == 5.3


def test_a_newer_schedule_replaces_at_once_and_an_older_one_never(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        at = stage.start
        stage.agent.on_message(schedule(step(B1, at, at + 100, 1.0), epoch=2, seq=7))
        await asyncio.sleep(1.5)
        stage.agent.on_message(schedule(step(B1, at, at + 100, 2.0), epoch=2, seq=7))
        stage.agent.on_message(schedule(step(B1, at, at + 100, 3.0), epoch=1, seq=99))
        stage.agent.on_message(schedule(step(B1, at, at + 100, 4.0), epoch=2, seq=8))
        await asyncio.sleep(1.0)

    stage = play(tmp_path, scene)
    assert stage.batteries[B1].history(stage.start) == [(0.0, 1.0), (1.5, 4.0)]
    assert stage.agent.hello().highest_epoch == 2


def test_without_the_centre_everything_is_released_after_the_hold(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        stage.agent.on_message(schedule(step(B1, stage.start, None, 500.0)))
        await asyncio.sleep(10.0)
        stage.agent.on_linked(False)
        await asyncio.sleep(200.0)

    stage = play(tmp_path, scene, hold_s=60.0)
    history = stage.batteries[B1].history(stage.start)
    assert {w for _, w in history[:-1]} == {500.0} and history[-1][1] is None
    assert 70.0 <= history[-1][0] <= 71.1


def test_a_battery_that_the_operator_blocks_is_left_alone_also_without_the_centre(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        at = stage.start
        stage.agent.on_message(schedule(*(step(id, at, at + 100.0, 500.0) for id in (B1, B2))))
        stage.agent.on_linked(False)
        await asyncio.sleep(50.0)

    stage = play(tmp_path, scene, blocked_s=(10.5, 20.5))
    assert stage.batteries[B1].history(stage.start) == [(0.0, 500.0), (11.0, None), (21.0, 500.0)]
    assert stage.batteries[B2].history(stage.start) == [(0.0, 500.0)]


def test_one_late_beat_of_the_centre_is_no_other_time(tmp_path: Path) -> None:
    """An agent that was kept waiting reads old stamps; a centre whose clock was set says so in every beat."""
    off: list[float] = []

    async def scene(stage: Stage) -> None:
        began = asyncio.get_running_loop().time()
        for late_s in (0.8, 0.0, 2.0, 0.9, 0.0, *([-5.0] * 2), *([3.0 - 5.0, 3.4 - 5.0, 3.1 - 5.0] * 2)):
            await asyncio.sleep(1.0)
            true = stage.start + asyncio.get_running_loop().time() - began
            stage.agent.on_message(Welcome(epoch=1, at=true - late_s))
            off.append(round(stage.clock.utc() - true, 3))

    play(tmp_path, scene, settable=True)
    assert off[:5] == [0.0] * 5, "late beats move nothing"
    assert off[5:7] == [5.0, 5.0], "ahead: at once"
    assert off[7:] == [5.0, 5.0, 2.0, 2.0, 2.0, 2.0], "behind: when three say so, by the least"


def test_a_restarted_agent_takes_its_schedule_up_again(tmp_path: Path) -> None:
    async def before(stage: Stage) -> None:
        stage.agent.on_message(schedule(step(B1, stage.start, stage.start + 1e6, 500.0), epoch=3))
        await asyncio.sleep(1.0)

    async def after(stage: Stage) -> None:
        await asyncio.sleep(2.0)

    play(tmp_path, before)
    stage = play(tmp_path, after)
    assert stage.batteries[B1].history(stage.start)[0] == (1.0, 500.0)
    assert stage.agent.hello().highest_epoch == 3


def test_it_reports_readings_each_second_and_outcomes_at_once(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await asyncio.sleep(5.5)
        stage.agent.on_outcome(
            Obeyed(
                at=0.0,
                site=SITE,
                device=B1,
                epoch=1,
                seq=1,
                discharge_w=1.0,
                acknowledged_at=0.0,
                confirmed_at=0.0,
            )
        )

    stage = play(tmp_path, scene)
    readings = [m.reading for m in stage.uplink.said if isinstance(m, Readings)]
    assert [r.at - stage.start for r in readings] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert all(r.meter is not None and len(r.batteries) == 2 for r in readings)
    assert isinstance(stage.uplink.said[-1], ObeyedReport)


def test_a_spoilt_memory_is_named_and_not_guessed_at(tmp_path: Path) -> None:
    (tmp_path / "agent.json").write_text('{"version": 1, "highest_epoch": "many"}')
    with pytest.raises(JournalError, match=r"agent\.json"):
        AgentStore(path=tmp_path / "agent.json").load()


LOAD_W = 400_000.0


def at_the_pcc(stage: Stage) -> float:
    """What the meter of a site shows whose batteries obey and whose load rises by 10 kW after 20 s."""
    risen_w = 10_000.0 if stage.clock.utc() > stage.start + 20.0 else 0.0
    return LOAD_W + risen_w - sum(battery.gives_w for battery in stage.batteries.values())


async def _alone(stage: Stage, seconds: float) -> None:
    steps = [step(id, stage.start, stage.start + 500.0, 5_000.0) for id in (B1, B2)]
    stage.agent.on_message(wishing(stage, schedule(*steps), LOAD_W - 10_000.0))
    await asyncio.sleep(10.0)
    stage.agent.on_linked(False)
    await asyncio.sleep(seconds)


def test_alone_it_keeps_the_import_that_the_centre_wanted(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await _alone(stage, 10.0)
        assert {b.gives_w for b in stage.batteries.values()} == {5_000.0}
        await asyncio.sleep(5.0)
        assert at_the_pcc(stage) == pytest.approx(LOAD_W - 10_000.0, abs=1.0)
        assert {b.gives_w for b in stage.batteries.values()} == {10_000.0}

    play(tmp_path, scene, import_w=at_the_pcc)


def test_alone_the_others_carry_what_a_blocked_battery_gave_and_it_comes_back_without_a_jump(
    tmp_path: Path,
) -> None:
    shown: list[float] = []

    async def scene(stage: Stage) -> None:
        await _alone(stage, 3.0)
        await asyncio.sleep(12.5 - (stage.clock.utc() - stage.start) % 1.0)
        for _ in range(25):
            shown.append(at_the_pcc(stage) - (LOAD_W - 10_000.0))
            await asyncio.sleep(1.0)
        assert stage.batteries[B1].history(stage.start)[-2:] == [(15.0, None), (32.0, 0.0)]

    play(tmp_path, scene, import_w=at_the_pcc, blocked_s=(15.0, 32.0))
    assert sum(abs(w) > 100.0 for w in shown) <= 2, "at the block, and as the load rises"
    assert min(shown) > -100.0, "no more is given than was wanted"


def test_a_centre_that_comes_back_changes_nothing_before_it_orders(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await _alone(stage, 15.0)
        stage.agent.on_message(Welcome(epoch=2, at=stage.clock.utc()))
        stage.agent.on_linked(True)
        await asyncio.sleep(3.0)
        assert {b.gives_w for b in stage.batteries.values()} == {10_000.0}
        steps = [step(id, stage.start, stage.start + 500.0, 7_000.0) for id in (B1, B2)]
        stage.agent.on_message(schedule(*steps, epoch=2, seq=1))
        await asyncio.sleep(2.0)
        assert {b.gives_w for b in stage.batteries.values()} == {7_000.0}

    play(tmp_path, scene, import_w=at_the_pcc)


def test_alone_a_meter_that_turns_over_is_not_followed(tmp_path: Path) -> None:
    def turned(stage: Stage) -> float:
        sign = -1.0 if stage.clock.utc() > stage.start + 25.0 else 1.0
        return sign * (LOAD_W - sum(battery.gives_w for battery in stage.batteries.values()))

    async def scene(stage: Stage) -> None:
        await _alone(stage, 60.0)
        assert {b.gives_w for b in stage.batteries.values()} == {5_000.0}

    play(tmp_path, scene, import_w=turned)


def test_alone_a_later_step_has_its_own_setpoint_and_an_empty_battery_none(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        steps = [
            step(B1, stage.start, stage.start + 30.0, 5_000.0),
            step(B1, stage.start + 30.0, None, 2_000.0),
        ]
        stage.agent.on_message(wishing(stage, schedule(*steps), LOAD_W - 5_000.0))
        await asyncio.sleep(5.0)
        stage.agent.on_linked(False)
        await asyncio.sleep(20.0)
        assert stage.batteries[B1].gives_w == pytest.approx(15_000.0), "its load rose by 10 kW"
        await asyncio.sleep(6.0)
        assert stage.batteries[B1].gives_w == 2_000.0
        stage.batteries[B1].soc = 0.05
        await asyncio.sleep(3.0)
        assert stage.batteries[B1].gives_w == 0.0

    play(tmp_path, scene, import_w=at_the_pcc)


def test_an_order_without_end_goes_on_as_long_as_the_centre_is_heard(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        stage.agent.on_message(schedule(step(B1, stage.start, None, 500.0)))
        for _ in range(150):
            await asyncio.sleep(1.0)
            stage.agent.on_message(Welcome(epoch=1, at=stage.clock.utc()))
        order = stage.batteries[B1].orders[-1][1]
        assert order is not None and order.deadline_at > stage.clock.utc() + 30.0
        assert len(stage.batteries[B1].orders) < 15, "its deadline moves in quarters of the hold"

    play(tmp_path, scene, hold_s=60.0)
