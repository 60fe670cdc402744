"""What the plan of the hour knows of the future, and what the settings make of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.unit.fleets import SITES, fleet, instruction
from tests.unit.test_settings import GOOD, write
from tests.unit.test_settings_portfolio import CAPACITY
from vpp_gateway.clock import LoopClock, SystemClock
from vpp_gateway.compose_centre import policy_of
from vpp_gateway.compose_horizon import rolling_of
from vpp_gateway.console.organs import planner_link
from vpp_gateway.dispatch.policy import Policy, RollingPolicy
from vpp_gateway.domain.command import Plan
from vpp_gateway.domain.fact import Instructed, Started, Tick
from vpp_gateway.domain.horizon import HorizonPlan
from vpp_gateway.foresight import LOOK_S, Foresight
from vpp_gateway.gateway import Gateway
from vpp_gateway.journal.telemetry import TelemetryStore
from vpp_gateway.settings import load_settings
from vpp_gateway.settings_files import missing_files
from vpp_gateway.sim.link_plant import LinkPlant
from vpp_gateway.sim.loop import VirtualLoop, run

A = SITES[0]
NOW = 1_790_000_000.0
DAY_S = 86400.0
TABLE = "start_at,site,load_w\n2026-09-21T00:00:00Z,tokyo-1,{w}\n2026-09-22T00:00:00Z,tokyo-1,{w}\n"


def seen(
    file: Path | None, telemetry: TelemetryStore | None, act: Callable[[Foresight, list[str]], None]
) -> None:
    """Let it look, then act, then look again, in virtual time."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        foresight, said = Foresight(SITES, file, telemetry, LoopClock(loop, NOW - loop.time())), list[str]()
        async with asyncio.TaskGroup() as group:
            running = group.create_task(foresight.run(said.append))
            for _ in range(3):
                await asyncio.sleep(2 * LOOK_S)
                act(foresight, said)
            running.cancel()

    run(main, loop=VirtualLoop(start=1000.0))


def test_the_file_goes_first_and_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file, found = tmp_path / "forecast.csv", list[float | None]()
    file.write_text(TABLE.format(w=100_000))

    def act(foresight: Foresight, said: list[str]) -> None:
        assert said[-1] == ""
        found.append(foresight.mean_w(A, "load", NOW + 300.0, NOW + 600.0))
        file.write_text(TABLE.format(w=2_000_000))

    seen(file, None, act)
    assert found == [100_000.0, 2_000_000.0, 2_000_000.0]


def test_a_file_that_is_wrong_is_named_and_the_last_good_one_stays(tmp_path: Path) -> None:
    file, found = tmp_path / "forecast.csv", list[tuple[float | None, str]]()
    file.write_text(TABLE.format(w=100_000))

    def act(foresight: Foresight, said: list[str]) -> None:
        found.append((foresight.mean_w(A, "load", NOW + 300.0, NOW + 600.0), said[-1]))
        if len(found) == 1:
            file.write_text(TABLE.format(w="many"))
        else:
            file.unlink(missing_ok=True)

    seen(file, None, act)
    assert [w for w, _ in found] == [100_000.0] * 3
    assert "forecast.csv:2:" in found[1][1] and "No such file" in found[2][1]


def test_without_a_file_it_is_as_yesterday(tmp_path: Path) -> None:
    with TelemetryStore.open(tmp_path / "telemetry.db", SITES, keep_free_bytes=0) as telemetry:
        for second in range(int(DAY_S / 100.0)):
            at = NOW - DAY_S + 100.0 * second
            telemetry.append(at, {f"{A}/import_w": 300_000.0, f"{A}/b1/discharge_w": 50_000.0})
        found = list[float | None]()
        seen(None, telemetry, lambda it, _: found.append(it.mean_w(A, "load", NOW + 1800.0, NOW + 2400.0)))
        assert found[-1] == pytest.approx(350_000.0), "what the consumers take, battery put back"


def test_what_is_taken_now_is_tomorrows_forecast() -> None:
    foresight = Foresight(SITES, None, None, SystemClock())
    foresight.add(NOW, ((A, 10_000.0),))
    assert foresight.mean_w(A, "load", NOW + DAY_S - 60.0, NOW + DAY_S) == 10_000.0


def test_the_problem_holds_the_forecast_and_knows_nothing_of_other_sites() -> None:
    foresight = Foresight(SITES, None, None, SystemClock())
    for bucket in range(-30, 30):
        foresight.add(960.0 - DAY_S + 300.0 * bucket, ((A, 10_000.0),))
    gateway = Gateway(fleet(), Policy(rolling=RollingPolicy(ahead_s=3600.0, steps=30)), {}, foresight)
    plant = LinkPlant(fleet(), seed=1, load_w=400_000.0)
    gateway.step(Started(at=950.0, epoch=1, version="test"), 950.0)
    for now in (951.0, 952.0):
        gateway.step(Tick(at=now, snapshot=plant.second(now)), now)
    commands = gateway.step(Instructed(at=953.0, instruction=instruction()), 953.0)
    (problem,) = (c.problem for c in commands if isinstance(c, Plan))
    loads = {connection.site: set(connection.load_w) for connection in problem.connections}
    assert loads[A] == {10_000.0} and all(loads[site] == {400_000.0} for site in SITES[1:])


# -- settings -----------------------------------------------------------------------------------------------------


def test_the_plan_is_made_unless_the_operator_says_no(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, GOOD), files=False)
    rolling = policy_of(settings).rolling
    assert rolling is not None and rolling.recharge_share == 0.0 and rolling.armed == ()
    off = load_settings(write(tmp_path, GOOD + "horizon: {enabled: false}\n"), files=False)
    assert policy_of(off).rolling is None


def test_an_award_is_an_armed_product(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, GOOD + CAPACITY), files=False)
    rolling = rolling_of(settings)
    assert rolling is not None
    (armed,) = rolling.armed
    assert armed.product == "jp-eprx-secondary-2 tokyo 1"
    assert armed.sites == tuple(site.id for site in settings.sites if site.area == "tokyo") != ()
    assert (armed.down_w, armed.up_w) == (500e3, 0.0)
    assert armed.end_at - armed.start_at == 1800.0
    assert armed.bridge_s == (300.0 if settings.plugins else 1800.0)
    alone = rolling_of(settings.model_copy(update={"plugins": ()}))
    assert alone is not None and alone.armed[0].bridge_s == 1800.0, "nobody could take over"


def test_a_forecast_that_is_not_there_is_named(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, GOOD + "horizon: {forecast: nowhere.csv}\n"), files=False)
    (found,) = (one for one in missing_files(settings) if one.loc == ("horizon", "forecast"))
    assert found.code == "problem.file_missing" and "nowhere.csv" in dict(found.values)["found"]


# -- status -------------------------------------------------------------------------------------------------------


@dataclass
class Worker:
    state: str = "ready"
    reason: str = ""
    restarts: int = 0
    plan: HorizonPlan | None = field(default=None)


def test_the_planner_is_shown_with_the_age_of_the_last_good_plan() -> None:
    rolling = Gateway(fleet(), Policy(rolling=RollingPolicy()), {}).rolling
    assert planner_link(Worker(), rolling, NOW).age_s is None
    down = planner_link(Worker(state="down", reason="EOFError: the worker ended"), rolling, NOW)
    assert (down.state, down.health, down.kind) == ("down", "warning", "planner") and "ended" in down.detail
    rolling.plan = HorizonPlan(
        problem="1-h1", at=NOW - 12.0, lengths_s=(1800.0, 3600.0), method="highs", stores=(), works=(),
        connections=(), caps=(), shortfalls=(), reserve_missing_w=(), binding=(), refused=(), cost=0.0, solve_s=0.021,
    )  # fmt: skip
    shown = planner_link(Worker(), rolling, NOW)
    assert (shown.health, shown.age_s, shown.detail) == ("good", 12.0, "last plan of 90 min, made in 21 ms")
    assert shown.detail_ja == "直近の計画は 90 分先まで、計算時間 21 ms"
    rolling.trouble = "the planner does not answer"
    silent = planner_link(Worker(), rolling, NOW)
    assert silent.health == "warning" and silent.detail_ja == "プランナーから応答がない"
