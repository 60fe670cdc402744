"""What is lost in mid-event costs seconds, never the event: battery, meter, link, agent, solver, disk, clock."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.house.day import BASELINE_S, ORIGIN, REACH_S, assert_met, assert_quiet, play
from tests.house.house import House, open_house
from tests.house.world import LOAD_W, SITES
from tests.unit.test_journal_full import files_limited_to
from vpp_gateway.clock import Clock, LoopClock, SeededRng
from vpp_gateway.compose_centre import journal_types
from vpp_gateway.domain.fleet import BATTERY
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.plan import Plan, Problem
from vpp_gateway.journal.records import FactCodec
from vpp_gateway.journal.store import Journal
from vpp_gateway.northbound.openadr2.messages import Event
from vpp_gateway.sim.loop import VirtualLoop, run
from vpp_gateway.worker import OnAnswer

W = 120_000.0
STEP_W = 30_000.0
"""What the load of a site changes by while nobody but its own agent, or its check meter, sees it."""
REVERSION_S = 30.0
LOST = SITES[0]
OTHERS = SITES[1:]


async def running_event(house: House, duration_s: float) -> Event:
    event = house.event("E", after_s=15, duration_s=duration_s, regulation_w=W)
    house.vtn.add_event(event)
    await house.until(event.start_at + 5)
    return event


def test_a_battery_is_lost_and_comes_back(tmp_path: Path) -> None:
    """Nobody refreshes it, so 30 s later it falls back by itself: two small dents, one at each change."""

    async def scene(house: House) -> None:
        event = await running_event(house, 150)
        id = f"{LOST}-b1"
        await house.field.kill(id)
        await house.run_for(REVERSION_S + 15)
        (view,) = (battery for battery in house.status().sites[0].batteries if battery.id == id)
        assert view.health == "lost" and view.reason
        assert house.field.batteries[id].reversions, "it fell back by itself"
        await house.field.revive(id)
        await house.until(event.start_at + 150 + 5)
        assert_met(house, event.start_at, event.start_at + 150, W, but_s=2 * REACH_S)
        record = house.record("E")
        assert record.state == "completed" and record.samples_within >= record.samples - 2 * REACH_S
        assert house.field.batteries[id].enabled is False, "released with the others at the end"

    play(tmp_path, scene, vtn=True)


def test_the_meter_of_one_site_is_lost(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        event = await running_event(house, 90)
        await house.field.kill(f"{LOST}-meter")
        await house.run_for(30)
        site = house.status().sites[0]
        assert site.meter.health == "lost" and site.import_w is None and site.health != "good"
        assert any(f"{LOST}-meter" in alarm.text for alarm in house.alarms("device"))
        await house.field.revive(f"{LOST}-meter")
        await house.until(event.start_at + 90)
        assert not house.alarms("device")
        assert_met(house, event.start_at, event.start_at + 90, W)

    play(tmp_path, scene, vtn=True)


def test_the_link_of_one_site_is_lost_and_its_agent_holds(tmp_path: Path) -> None:
    """The centre cannot know that the agent lives: it counts the batteries until their timers must have run out."""

    async def scene(house: House) -> None:
        event = await running_event(house, 200)
        cut_at = house.clock.utc()
        house.centre.detach(SiteId(LOST), "cable cut")
        await house.run_for(REVERSION_S + 30)
        (alarm,) = house.alarms("site_lost")
        assert LOST in alarm.text and "cable cut" in alarm.text
        assert house.link(LOST).health == "bad"
        assert_met(house, cut_at, cut_at + REVERSION_S - 2, W)
        assert_met(house, cut_at, house.clock.utc(), W / 3, (LOST,), tolerance=0.15)
        assert_met(house, cut_at + REVERSION_S, house.clock.utc(), W, OTHERS)
        house.uplinks[SiteId(LOST)].dial()
        back_at = house.clock.utc()
        await house.until(event.start_at + 200 + 10)
        assert not house.alarms("site_lost")
        assert_met(house, back_at, event.start_at + 200, W)
        assert_quiet(house, event.start_at + 200 + REACH_S, house.clock.utc())
        assert house.record("E").state == "completed"

    play(tmp_path, scene, vtn=True)


def test_an_agent_whose_link_fell_silent_keeps_its_import_by_itself(tmp_path: Path) -> None:
    """The load of the cut site wanders; the centre takes it that the agent holds, and nobody delivers anything twice."""

    async def scene(house: House) -> None:
        event = await running_event(house, 200)
        site = SiteId(LOST)
        house.centre.detach(site, "nothing heard for 5 s", silent=True)
        cut_at = house.clock.utc()
        wanted = house.agents[site].schedule
        assert wanted is not None and wanted.alone_import_w is not None
        await house.run_for(60)
        house.field.set_load(LOST, LOAD_W + STEP_W)
        await house.until(event.start_at + 190)
        assert (house.link(LOST).health, house.link(LOST).state) == ("bad", "alone")
        assert house.status().sites[0].alone and house.alarms("site_alone") and not house.alarms("site_lost")
        assert_met(house, cut_at, event.start_at + 190, W, but_s=REACH_S)
        imports = [rows[LOST] for at, rows in house.seen if at > cut_at + 60 + REACH_S]
        assert max(abs(w - wanted.alone_import_w) for w in imports) < 12_000.0, (
            "within two seconds of its noise"
        )
        house.uplinks[site].dial()
        back_at = house.clock.utc()
        await house.until(event.start_at + 200 + 10)
        assert_met(house, back_at, event.start_at + 200, W)
        assert_quiet(house, event.start_at + 200 + REACH_S, house.clock.utc(), off_w=STEP_W + 10_000.0)

    play(tmp_path, scene, vtn=True, sigma_w=2_000.0)


def test_a_check_meter_that_another_agent_reads_shows_what_a_dead_agent_does_not(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        event = await running_event(house, 200)
        await house.kill_agent(SiteId(LOST))
        died_at = house.clock.utc()
        await house.run_for(10)
        house.field.set_load(LOST, LOAD_W + STEP_W)
        await house.until(event.start_at + 190)
        state = house.engine.gateway.sites[SiteId(LOST)]
        assert not state.linked and state.sight == "check"
        assert house.alarms("site_lost") and house.alarms("check_followed")
        assert house.status().sites[0].import_w == pytest.approx(house.seen[-1][1][LOST], rel=0.02)
        fell_at = house.field.batteries[f"{LOST}-b1"].reversions[0]
        assert_met(house, died_at, fell_at - 0.5, W, but_s=REACH_S)
        assert_met(house, fell_at, event.start_at + 190, W)

    play(tmp_path, scene, vtn=True, sigma_w=2_000.0, checked=True)


@pytest.mark.parametrize("how", ["frozen", "kill"])
def test_a_meter_fails_and_its_check_meter_is_followed(tmp_path: Path, how: str) -> None:
    async def scene(house: House) -> None:
        event = await running_event(house, 120)
        id = f"{LOST}-meter"
        if how == "kill":
            await house.field.kill(id)
        else:
            house.field.meters[id].fault(how)
        failed_at = house.clock.utc()
        await house.run_for(10)
        house.field.set_load(LOST, LOAD_W + STEP_W)
        await house.until(event.start_at + 120)
        assert house.engine.gateway.sites[SiteId(LOST)].sight == "check"
        (alarm,) = house.alarms("check_followed")
        assert alarm.severity == "warning" and not house.alarms("device") and not house.alarms("check_meter")
        assert "check meter is followed" in " ".join(house.view(event.event_id).why)
        assert_met(house, failed_at, event.start_at + 120, W, but_s=REACH_S)

    play(tmp_path, scene, vtn=True, sigma_w=2_000.0, checked=True)


def test_an_agent_dies_and_its_devices_fall_back_by_themselves(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        event = await running_event(house, 200)
        died_at = house.clock.utc()
        await house.kill_agent(SiteId(LOST))
        await house.run_for(REVERSION_S + 20)
        for n in (1, 2):
            (reverted_at,) = house.field.batteries[f"{LOST}-b{n}"].reversions
            assert reverted_at <= died_at + REVERSION_S + 1
        assert_quiet(house, died_at + REVERSION_S + REACH_S, house.clock.utc(), (LOST,))
        house.start_agent(SiteId(LOST))
        await house.until(event.start_at + 200 + 10)
        assert_met(house, event.start_at, event.start_at + 200, W, but_s=3 * REACH_S)
        assert_quiet(house, event.start_at + 200 + REACH_S, house.clock.utc())
        assert house.record("E").state == "completed"

    play(tmp_path, scene, vtn=True)


class LostSolver:
    """A worker that never answers, or only says why it cannot."""

    def __init__(self, on_solved: OnAnswer[Plan], rng: SeededRng, clock: Clock, *, says: str) -> None:
        self.state, self.reason = ("down", says) if says else ("ready", "")
        self.restarts = 0
        self.asked = 0
        self._on_solved, self._says = on_solved, says

    def submit(self, problem: Problem) -> None:
        self.asked += 1
        if self._says:
            self._on_solved(problem.id, None, self._says)

    async def run(self) -> None:
        await asyncio.Event().wait()


@pytest.mark.parametrize("says", ["", "killed by the kernel"])
def test_without_a_solver_the_closed_form_holds(tmp_path: Path, says: str) -> None:
    """Moves couple two sites, so a plan of them is asked from the worker; the batteries do not wait for it."""

    async def scene(house: House) -> None:
        down = house.event("down", after_s=15, duration_s=60, regulation_w=80_000, sites=(LOST,))
        up = house.event("up", after_s=15, duration_s=60, regulation_w=-80_000, sites=(SITES[2],))
        house.vtn.add_event(down)
        house.vtn.add_event(up)
        await house.until(down.start_at + 50)
        assert solvers[-1].asked >= 3, "it is asked again and again"
        if says:
            (alarm,) = house.alarms("solver")
            assert says in alarm.text
        await house.until(down.start_at + 65)
        assert_met(house, down.start_at, down.start_at + 60, 80_000, (LOST,))
        assert_met(house, up.start_at, up.start_at + 60, -80_000, (SITES[2],))
        assert dict(house.record("down").by_tier_w)[BATTERY] >= 0.4 * 80_000

    solvers: list[LostSolver] = []

    def make(on_solved: OnAnswer[Plan], rng: SeededRng, clock: Clock) -> LostSolver:
        solvers.append(LostSolver(on_solved, rng, clock, says=says))
        return solvers[-1]

    play(tmp_path, scene, vtn=True, work=True, solver=make)


def test_a_full_disk_costs_no_event_and_no_fact(tmp_path: Path) -> None:
    """No file may grow any more, as under an exhausted quota: the engine goes on in RAM and says so."""

    async def scene(house: House) -> int:
        event = await running_event(house, 120)
        with files_limited_to(64 * 1024):
            full_at = house.clock.utc()
            house.field.set_load(LOST, 410_000.0)  # work for the batteries: orders, outcomes, facts
            await house.run_for(40)
            link = house.link("journal")
            assert (link.state, link.health) == ("degraded", "bad") and "disk full" in link.detail, link
            house.vtn.modify("E", signals=event.signals, priority=2)
            await house.run_for(10)
            assert house.vtn.opts["E"][-1].response.modification == 1, "a modification is taken and answered"
        await house.run_for(15)
        assert house.link("journal").health == "good", house.link("journal")
        await house.until(event.start_at + 120 + 5)
        seen = house.regulations_w(full_at + REACH_S, event.start_at + 120)
        assert seen and all(abs(w + 10_000 - W) <= 0.1 * W for w in seen)
        return house.engine.journal.head[0]

    last = play(tmp_path, scene, vtn=True)
    with Journal.open(tmp_path / "journal.db", FactCodec(journal_types(()))) as journal:
        assert journal.verify().problem == "" and journal.head[0] >= last


class SetClock(LoopClock):
    """The machine's wall clock is set by an operator or NTP; ours follows only when it is told to."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop, ORIGIN)
        self.set_by_s = 0.0
        self.taken_at: list[float] = []

    def step_s(self) -> float:
        return self.set_by_s

    def reanchor(self) -> None:
        self.taken_at.append(self.utc())
        self.set_by_s = 0.0


@pytest.mark.parametrize("set_by_s", [3600.0, -3600.0])
def test_a_wall_clock_that_is_set_moves_no_edge_of_a_running_event(tmp_path: Path, set_by_s: float) -> None:
    loop = VirtualLoop()
    clock = SetClock(loop)

    async def main() -> None:
        async with open_house(tmp_path, clock=clock, vtn=True) as house:
            await house.run_for(BASELINE_S)
            event = await running_event(house, 60)
            clock.set_by_s = set_by_s
            await house.until(event.start_at + 60 + 10)
            assert_met(house, event.start_at, event.start_at + 60, W)
            assert_quiet(house, event.start_at + 60 + REACH_S, house.clock.utc())
            assert len(clock.taken_at) == 1 and clock.taken_at[0] >= event.start_at + 60, "after the event"

    run(main, loop=loop, max_virtual_s=2000, wall_limit_s=120)
