"""The process lever on real processes: pause, start, move, and a SIGKILL of the plug-in wherever it hurts."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.wire.plugin_bench import QUICK, Bench, running
from vpp_gateway.clock import SystemClock
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.order import Offer, PluginName, ShiftState, ShiftVerb
from vpp_gateway.errors import ConfigError, MisuseError
from vpp_gateway.sim.workers import Downtime, WorkFloor, downtime, field_load, proven
from vpp_gateway.southbound.workload.plugin import Briefing
from vpp_gateway.southbound.workload.process import process_factory
from vpp_gateway.southbound.workload.process_lever import gate, plugin, proc
from vpp_gateway.southbound.workload.process_lever.jobs import Folder
from vpp_gateway.southbound.workload.serve import LineDesk
from vpp_gateway.southbound.workload.spec import PluginSpec

PREPARE, COMMIT, ROLLBACK = ShiftVerb.PREPARE, ShiftVerb.COMMIT, ShiftVerb.ROLLBACK
PREPARED, ACTIVE, RETURNED, FAILED = (
    ShiftState.PREPARED,
    ShiftState.ACTIVE,
    ShiftState.RETURNED,
    ShiftState.FAILED,
)
SITES = ("tokyo1", "kanagawa")


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[WorkFloor]:
    with WorkFloor(tmp_path / "floor", SITES, jobs_per_site=2, queued_per_site=1) as opened:
        yield opened


def bench_for(floor: WorkFloor, tmp_path: Path, **config: object) -> Bench:
    state = tmp_path / "state"
    state.mkdir()
    bench = Bench(
        PluginSpec(
            name=PluginName("lever"),
            entry_point="process-lever",
            sites=floor.sites,
            config={**floor.plugin_config(), "watch_s": 0.1, **config},
            state_dir=str(state),
        )
    )
    bench.furnish(process_factory(), timing=QUICK)
    return bench


def scenario(bench: Bench, act: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(60), running(bench):
            await bench.ready()
            await act()

    asyncio.run(main())


def where(floor: WorkFloor, job: str) -> Folder:
    return next(folder for folder in floor.jobs() if folder.job.job == job)


def who(floor: WorkFloor, job: str) -> proc.Ident:
    found = where(floor, job).run.who
    assert found is not None
    return found


def copies(floor: WorkFloor, job: str) -> list[int]:
    """Living processes that work in the job's folder: running, stopped or waiting at a gate."""
    folder = str(where(floor, job).path.resolve())
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.readlink(entry / "cwd") == folder and proc.alive(proc.ident(int(entry.name))):
                found.append(int(entry.name))
    return found


def written(floor: WorkFloor, job: str) -> int:
    return sum(path.stat().st_size for path in floor.outputs(job))


def absorbs_at(offer: Offer, site: SiteId) -> bool:
    return offer.kind == "absorb" and offer.legs[0].site == site


async def works(bench: Bench, floor: WorkFloor, job: str) -> None:
    before = written(floor, job)
    await bench.until(lambda: written(floor, job) > before)


def evidence(floor: WorkFloor, job: str) -> Downtime:
    """From the worker's own output; every state in it must be the one that its steps make."""
    outputs = floor.outputs(job)
    assert proven(*outputs, seed=floor.seed(job))
    return downtime(*outputs)


# --- pause and resume ---------------------------------------------------------------------------------------


def test_pause_stops_the_cpu_and_rollback_gives_it_back(floor: WorkFloor, tmp_path: Path) -> None:
    bench = bench_for(floor, tmp_path)

    async def act() -> None:
        offer = await bench.offers("pause")
        site = offer.legs[0].site
        job = f"{site}-job1"
        await works(bench, floor, job)
        bench.give("p1", COMMIT, offer.id)
        await bench.state("p1", ACTIVE)
        assert proc.stopped(who(floor, job))
        used, others = proc.cpu_ns(who(floor, job)), written(floor, f"{site}-job2")
        await bench.until(lambda: written(floor, f"{site}-job2") > others + 200)
        assert proc.cpu_ns(who(floor, job)) == used
        assert not any(o.kind == "pause" and o.legs[0].site == site for o in bench.offered[-1].offers)
        bench.give("p1", ROLLBACK, offer.id)
        await bench.state("p1", RETURNED)
        await works(bench, floor, job)
        await bench.until(lambda: any(o.legs[0].site == site for o in bench.offered[-1].offers))
        assert copies(floor, job) == [who(floor, job).pid]
        assert evidence(floor, job)[1:] == (0, 0)

    scenario(bench, act)


def test_the_modelled_load_follows_the_cpu_that_is_used(floor: WorkFloor, tmp_path: Path) -> None:
    bench = bench_for(floor, tmp_path)
    load = field_load("tokyo1", {"root": str(floor.root), "base_w": 1_000_000.0})

    async def act() -> None:
        await bench.offers("pause")
        assert load.import_w(time.time()) == pytest.approx(1_200_000.0, rel=0.02)
        offer = next(o for o in bench.offered[-1].offers if o.kind == "pause" and o.legs[0].site == "tokyo1")
        bench.give("p1", COMMIT, offer.id)
        await bench.state("p1", ACTIVE)
        await bench.until(lambda: load.import_w(time.time()) < 1_140_000.0)
        bench.give("p1", ROLLBACK, offer.id)
        await bench.until(lambda: load.import_w(time.time()) > 1_150_000.0)

    scenario(bench, act)


# --- throttle and release -----------------------------------------------------------------------------------

SHARE = 0.5
"""Of the workers' duty."""


def own_cgroup() -> Path | None:
    """A new cgroup that can limit CPU, of version 1 or 2; None where this user cannot make one."""
    name = f"vpp-gateway-test-{os.getpid()}"
    for group in (Path("/sys/fs/cgroup/cpu") / name, Path("/sys/fs/cgroup") / name):
        try:
            group.mkdir()
        except OSError:
            continue
        with suppress(OSError):
            if (group / "cgroup.controllers").exists():
                (group / "cgroup.subtree_control").write_text("+cpu")
                return group
            if (group / "cpu.cfs_quota_us").exists():
                return group
        group.rmdir()  # a plain folder, or without the controller
    return None


@pytest.fixture
def cgroup() -> Iterator[Path]:
    group = own_cgroup()
    if group is None:
        pytest.skip("needs privileges: this user can make no cgroup that limits CPU")
    yield group
    for child in (*group.glob("job-*"), group):
        child.rmdir()


@pytest.fixture
def slack_floor(tmp_path: Path) -> Iterator[WorkFloor]:
    """A floor whose odd jobs may be throttled."""
    with WorkFloor(
        tmp_path / "floor", SITES, jobs_per_site=2, queued_per_site=0, throttlable=True, duty=0.06
    ) as opened:
        yield opened


class Duty:
    """What one job uses, in parts of its declared duty, from the kernel's own count."""

    def __init__(self, floor: WorkFloor, job: str) -> None:
        self._who = who(floor, job)
        self._declared = where(floor, job).job.duty
        self.used_s, self.at = self._look()

    def _look(self) -> tuple[float, float]:
        used_ns = proc.cpu_ns(self._who)
        assert used_ns is not None
        return used_ns / 1e9, time.monotonic()

    def since(self) -> float:
        """Mean since the last call (or the beginning)."""
        used_s, at = self._look()
        duty = (used_s - self.used_s) / (at - self.at)
        self.used_s, self.at = used_s, at
        assert self._declared is not None
        return duty / self._declared


async def duty_over(seconds: float, floor: WorkFloor, job: str) -> float:
    measured = Duty(floor, job)
    await asyncio.sleep(seconds)  # the thing measured is time itself
    return measured.since()


async def killed(bench: Bench) -> None:
    """SIGKILL the plug-in and wait for its next life."""
    pid, restarts = bench.host.status().pid, bench.host.status().restarts
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await bench.until(lambda: bench.host.status().restarts > restarts)
    await bench.ready()


def guards(floor: WorkFloor, job: str) -> list[int]:
    """Living guards of a job's process."""
    return guards_of(who(floor, job))


def guards_of(guarded: proc.Ident) -> list[int]:
    """Living guards of a process."""
    pid = str(guarded.pid)
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().decode().split("\0")
            if any(word.endswith("process_lever/guard.py") for word in words) and pid in words:
                found.append(int(entry.name))
    return found


def throttling(floor: WorkFloor, tmp_path: Path, **throttle: object) -> Bench:
    return bench_for(floor, tmp_path, throttle={"share": SHARE, **throttle})


async def capped(bench: Bench, floor: WorkFloor) -> tuple[str, Offer]:
    """A job under a cap that stands as `c1`, and the offer."""
    offer = await bench.offers("cap")
    job = f"{offer.legs[0].site}-job1"
    await works(bench, floor, job)
    bench.give("c1", COMMIT, offer.id)
    await bench.state("c1", ACTIVE)
    return job, offer


async def holds_and_returns(bench: Bench, floor: WorkFloor) -> None:
    offer = await bench.offers("cap")
    job = f"{offer.legs[0].site}-job1"
    assert offer.legs[0].import_delta_w == pytest.approx(-(1 - SHARE) * 100_000.0)
    assert await duty_over(1.0, floor, job) == pytest.approx(1.0, abs=0.15)
    bench.give("c1", COMMIT, offer.id)
    asked = time.monotonic()
    await bench.state("c1", ACTIVE)
    assert time.monotonic() - asked < 1.0
    assert await duty_over(2.0, floor, job) == pytest.approx(SHARE, abs=0.15)
    assert not any(o.legs[0].site == offer.legs[0].site and o.kind == "cap" for o in bench.offered[-1].offers)
    bench.give("c1", ROLLBACK, offer.id)
    asked = time.monotonic()
    await bench.state("c1", RETURNED)
    assert time.monotonic() - asked < 1.0
    assert await duty_over(2.0, floor, job) > 0.85
    assert copies(floor, job) == [who(floor, job).pid]
    assert evidence(floor, job)[1:] == (0, 0)
    await bench.until(lambda: any(o.legs[0].site == offer.legs[0].site for o in bench.offered[-1].offers))


def test_a_cap_holds_a_job_to_its_share_and_rollback_lifts_it(slack_floor: WorkFloor, tmp_path: Path) -> None:
    bench = throttling(slack_floor, tmp_path)

    async def act() -> None:
        await holds_and_returns(bench, slack_floor)
        assert guards(slack_floor, "tokyo1-job1") == []

    scenario(bench, act)


def test_the_kernel_holds_a_job_to_its_share_where_a_cgroup_is_given(
    cgroup: Path, slack_floor: WorkFloor, tmp_path: Path
) -> None:
    bench = throttling(slack_floor, tmp_path, cgroup=str(cgroup))

    async def act() -> None:
        await holds_and_returns(bench, slack_floor)
        assert guards(slack_floor, "tokyo1-job1") == []

    scenario(bench, act)
    assert [entry.name for entry in cgroup.glob("job-*")] == ["job-tokyo1-job1"]


def test_the_modelled_load_falls_by_what_the_cap_promised(slack_floor: WorkFloor, tmp_path: Path) -> None:
    bench = throttling(slack_floor, tmp_path)
    load = field_load("tokyo1", {"root": str(slack_floor.root), "base_w": 1_000_000.0})

    async def act() -> None:
        assert load.import_w(time.time()) == pytest.approx(1_200_000.0, rel=0.02)
        offer = await bench.offers("cap")
        assert offer.legs[0].site == "tokyo1"
        bench.give("c1", COMMIT, offer.id)
        await bench.until(lambda: load.import_w(time.time()) < 1_160_000.0)
        await bench.state("c1", ACTIVE)
        bench.give("c1", ROLLBACK, offer.id)
        await bench.until(lambda: load.import_w(time.time()) > 1_190_000.0)

    scenario(bench, act)


def test_sigkill_of_the_lever_frees_the_job_and_its_next_life_throttles_it_again(
    slack_floor: WorkFloor, tmp_path: Path
) -> None:
    bench = throttling(slack_floor, tmp_path)

    async def act() -> None:
        job, offer = await capped(bench, slack_floor)
        before = who(slack_floor, job)
        (first,) = guards(slack_floor, job)
        await killed(bench)
        await bench.until(lambda: first not in guards(slack_floor, job) and guards(slack_floor, job) != [])
        assert copies(slack_floor, job) == [before.pid]
        assert await duty_over(2.0, slack_floor, job) == pytest.approx(SHARE, abs=0.15)
        bench.give("c1", ROLLBACK, offer.id)
        await bench.state("c1", RETURNED)
        assert await duty_over(2.0, slack_floor, job) > 0.85
        assert guards(slack_floor, job) == []
        assert evidence(slack_floor, job)[1:] == (0, 0)

    scenario(bench, act)


def test_the_guard_ends_with_the_lever_and_leaves_the_job_running(
    slack_floor: WorkFloor, tmp_path: Path
) -> None:
    """No next life comes to the rescue here: the host goes, and the lever with it, by SIGKILL."""
    bench = throttling(slack_floor, tmp_path)
    jobs: list[str] = []

    async def act() -> None:
        jobs.append((await capped(bench, slack_floor))[0])

    scenario(bench, act)

    async def after() -> None:
        idle = Bench(PluginSpec(name=PluginName("none"), entry_point="", sites=()))
        await idle.until(lambda: guards(slack_floor, jobs[0]) == [])
        await works(idle, slack_floor, jobs[0])
        assert await duty_over(1.0, slack_floor, jobs[0]) > 0.85

    asyncio.run(after())


def test_a_guard_that_was_killed_over_a_stopped_job_is_replaced(
    slack_floor: WorkFloor, tmp_path: Path
) -> None:
    bench = throttling(slack_floor, tmp_path)

    def kill_over_a_stopped_job(job: str, guard: int) -> None:
        """Busy on purpose: the moment lasts some tens of milliseconds."""
        deadline = time.monotonic() + 5.0
        while not proc.stopped(who(slack_floor, job)) and time.monotonic() < deadline:
            pass
        os.kill(guard, signal.SIGKILL)

    async def act() -> None:
        job, offer = await capped(bench, slack_floor)
        (first,) = guards(slack_floor, job)
        await asyncio.to_thread(kill_over_a_stopped_job, job, first)
        await bench.until(lambda: guards(slack_floor, job) not in ([], [first]))
        await works(bench, slack_floor, job)
        assert await duty_over(2.0, slack_floor, job) == pytest.approx(SHARE, abs=0.15)
        # Both at the same moment: the next life finds a stopped job, and holds it as ordered.
        (second,) = guards(slack_floor, job)
        await asyncio.to_thread(kill_over_a_stopped_job, job, second)
        await killed(bench)
        await works(bench, slack_floor, job)
        bench.give("c1", ROLLBACK, offer.id)
        await bench.state("c1", RETURNED)
        assert await duty_over(2.0, slack_floor, job) > 0.85
        assert copies(slack_floor, job) == [who(slack_floor, job).pid]

    scenario(bench, act)


@pytest.mark.parametrize("verb", [COMMIT, ROLLBACK])
@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.05, 0.1, 0.2])
def test_sigkill_while_throttling_ends_as_ordered(
    slack_floor: WorkFloor, tmp_path: Path, verb: ShiftVerb, after_s: float
) -> None:
    bench = throttling(slack_floor, tmp_path)

    async def act() -> None:
        offer = await bench.offers("cap")
        job = f"{offer.legs[0].site}-job1"
        bench.give("c1", COMMIT, offer.id)
        if verb is ROLLBACK:
            await bench.state("c1", ACTIVE)
            bench.give("c1", ROLLBACK, offer.id)
        await asyncio.sleep(after_s)
        await killed(bench)
        if verb is COMMIT:
            await bench.until(lambda: bench.states("c1")[-1:] in ([ACTIVE], [FAILED]))
            bench.give("c1", COMMIT, offer.id)  # never arrived: then it is refused, for its offer is gone
            await bench.until(lambda: bench.states("c1")[-1:] in ([ACTIVE], [FAILED]))
        else:
            await bench.state("c1", RETURNED)
        throttled = bench.states("c1")[-1] is ACTIVE
        await bench.until(lambda: len(guards(slack_floor, job)) == int(throttled))
        await works(bench, slack_floor, job)
        assert copies(slack_floor, job) == [who(slack_floor, job).pid]
        for _ in range(4):  # what was overdrawn before the first look of the new guard is made good first
            found = await duty_over(1.0, slack_floor, job)
            kept = found == pytest.approx(SHARE, abs=0.2) if throttled else found > 0.85
            if kept:
                break
        assert kept, f"{found:.2f} of its duty, throttled: {throttled}"

    scenario(bench, act)


def test_a_throttled_job_that_ends_takes_its_guard_with_it(slack_floor: WorkFloor, tmp_path: Path) -> None:
    bench = throttling(slack_floor, tmp_path)

    async def act() -> None:
        job, offer = await capped(bench, slack_floor)
        os.kill(who(slack_floor, job).pid, signal.SIGKILL)
        await bench.until(lambda: guards(slack_floor, job) == [])
        bench.give("c1", ROLLBACK, offer.id)
        await bench.state("c1", RETURNED)
        assert copies(slack_floor, job) == []  # it was not we who ended it

    scenario(bench, act)


# --- start and stop -----------------------------------------------------------------------------------------


def test_absorb_starts_a_queued_job_and_puts_it_back_with_its_work(floor: WorkFloor, tmp_path: Path) -> None:
    bench = bench_for(floor, tmp_path)

    async def act() -> None:
        offer = await bench.offers("absorb")
        assert offer.legs[0].import_delta_w == 100_000.0
        job = f"{offer.legs[0].site}-job3"
        assert where(floor, job).run.state == "queued"
        bench.give("a1", COMMIT, offer.id)
        await bench.state("a1", ACTIVE)
        await works(bench, floor, job)
        bench.give("a1", ROLLBACK, offer.id)
        await bench.state("a1", RETURNED)
        assert where(floor, job).run.state == "queued"
        assert copies(floor, job) == []
        site = offer.legs[0].site
        await bench.until(lambda: any(absorbs_at(o, site) for o in bench.offered[-1].offers))
        again = next(o for o in bench.offered[-1].offers if absorbs_at(o, site))
        bench.give("a2", COMMIT, again.id)
        await bench.state("a2", ACTIVE)
        await works(bench, floor, job)
        assert evidence(floor, job)[1:] == (0, 0)

    scenario(bench, act)


# --- move ---------------------------------------------------------------------------------------------------


def test_a_move_takes_less_than_a_second_and_loses_no_step(floor: WorkFloor, tmp_path: Path) -> None:
    bench = bench_for(floor, tmp_path)

    async def act() -> None:
        offer = await bench.offers("move")
        source, destination = offer.legs[0].site, offer.legs[1].site
        job = f"{source}-job2"
        await works(bench, floor, job)
        before = who(floor, job)
        bench.give("m1", PREPARE, offer.id)
        await bench.state("m1", PREPARED)
        assert who(floor, job) == before  # getting ready does not touch what runs
        await works(bench, floor, job)
        bench.give("m1", COMMIT, offer.id)
        await bench.state("m1", ACTIVE)
        assert where(floor, job).site == destination
        assert not proc.alive(before)
        assert copies(floor, job) == [who(floor, job).pid]
        await works(bench, floor, job)
        bench.give("m1", ROLLBACK, offer.id)
        await bench.state("m1", RETURNED)
        assert where(floor, job).site == source
        await works(bench, floor, job)
        assert copies(floor, job) == [who(floor, job).pid]
        found = evidence(floor, job)
        assert found[1:] == (0, 0)
        assert found.longest_gap_s <= 1.0
        # What is promised next is what was measured, not the first guess.
        await bench.until(
            lambda: any(o.kind == "move" and o.downtime_s != 0.3 for o in bench.offered[-1].offers)
        )
        promised = next(o for o in bench.offered[-1].offers if o.kind == "move")
        assert 0 < promised.downtime_s < 1.0
        assert 0 < promised.legs[0].latency_s <= promised.downtime_s

    scenario(bench, act)


def test_what_was_prepared_and_given_back_leaves_no_process(floor: WorkFloor, tmp_path: Path) -> None:
    bench = bench_for(floor, tmp_path)

    async def act() -> None:
        offer = await bench.offers("move")
        job = f"{offer.legs[0].site}-job2"
        bench.give("m1", PREPARE, offer.id)
        await bench.state("m1", PREPARED)
        assert len(copies(floor, job)) == 2  # one works, one waits at the gate
        bench.give("m1", ROLLBACK, offer.id)
        await bench.state("m1", RETURNED)
        await bench.until(lambda: copies(floor, job) == [who(floor, job).pid])
        await works(bench, floor, job)
        assert evidence(floor, job)[1:] == (0, 0)

    scenario(bench, act)


def test_a_job_is_in_one_order_at_a_time(floor: WorkFloor, tmp_path: Path) -> None:
    bench = bench_for(floor, tmp_path)

    async def act() -> None:
        offer = await bench.offers("move")
        bench.give("m1", PREPARE, offer.id)
        await bench.state("m1", PREPARED)
        bench.give("m2", COMMIT, offer.id)
        assert "changed since it was made" in (await bench.state("m2", FAILED)).reason
        bench.give("m3", COMMIT, "lever/move/nowhere/1")
        assert "does not stand (any more)" in (await bench.state("m3", FAILED)).reason

    scenario(bench, act)


def test_nobody_else_can_run_a_job_that_runs(floor: WorkFloor) -> None:
    """The lock is the running program's own: a second process never gets past the gate, whoever starts it."""
    folder = floor.jobs()[0]
    second = gate.spawn(folder, floor.root)
    try:
        assert not second.lock()
        assert gate.locked(folder, floor.root)
    finally:
        second.close()
    os.waitpid(second.who.pid, 0)  # ended by itself when its gate was closed
    assert proc.alive(folder.run.who)


# --- the plug-in is killed ----------------------------------------------------------------------------------


def state_of(floor: WorkFloor, job: str) -> tuple[str, int | None, bool]:
    folder = where(floor, job)
    return folder.site, folder.run.pid, folder.run.leaving


KILL_WHEN: dict[str, Callable[[tuple[str, int | None, bool], tuple[str, int | None, bool]], bool]] = {
    "at once": lambda _before, _now: True,
    "told to leave": lambda _before, now: now[2],
    "left its site": lambda before, now: now[0] != before[0],
    "written down": lambda before, now: now[1] != before[1],
}


@pytest.mark.parametrize("moment", KILL_WHEN)
@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
def test_sigkill_in_a_move_leaves_exactly_one_copy(
    floor: WorkFloor, tmp_path: Path, moment: str, warm: bool
) -> None:
    bench = bench_for(floor, tmp_path)

    def kill_when(job: str) -> None:
        """Busy on purpose: the moments last a few milliseconds."""
        before, deadline = state_of(floor, job), time.monotonic() + 5.0
        pid = bench.host.status().pid
        assert pid is not None
        while time.monotonic() < deadline:
            with suppress(StopIteration):  # on its way between two sites
                if KILL_WHEN[moment](before, state_of(floor, job)):
                    break
        os.kill(pid, signal.SIGKILL)

    async def act() -> None:
        offer = await bench.offers("move")
        job = f"{offer.legs[0].site}-job2"
        await works(bench, floor, job)
        if warm:
            bench.give("m1", PREPARE, offer.id)
            await bench.state("m1", PREPARED)
        bench.give("m1", COMMIT, offer.id)
        await asyncio.sleep(0)  # the order is written to the pipe
        await asyncio.to_thread(kill_when, job)
        await bench.until(lambda: bench.host.status().restarts == 1)
        await bench.ready()
        await bench.until(
            lambda: (
                bench.states("m1")[-1] in (ACTIVE, FAILED, PREPARED)
                and bench.states("m1").count(FAILED) + len(bench.states("m1")) > 1
            )
        )
        await bench.until(lambda: copies(floor, job) == [who(floor, job).pid])
        await works(bench, floor, job)
        if bench.states("m1")[-1] is not FAILED:
            bench.give("m1", ROLLBACK, offer.id)
            await bench.state("m1", RETURNED)
        await bench.until(lambda: where(floor, job).site == offer.legs[0].site)
        await works(bench, floor, job)
        assert copies(floor, job) == [who(floor, job).pid]
        assert evidence(floor, job)[1:] == (0, 0)

    scenario(bench, act)


def test_sigkill_again_and_again_keeps_one_copy_of_every_job(floor: WorkFloor, tmp_path: Path) -> None:
    """A sweep of moments over commit and rollback of moves, with all jobs counted each time."""
    bench = bench_for(floor, tmp_path)
    names = [f"{site}-job{number}" for site in SITES for number in (1, 2)]

    async def kill_after(seconds: float) -> None:
        await asyncio.sleep(seconds)
        pid = bench.host.status().pid
        assert pid is not None
        restarts = bench.host.status().restarts
        os.kill(pid, signal.SIGKILL)
        await bench.until(lambda: bench.host.status().restarts > restarts)
        await bench.ready()

    async def settled(order: str) -> None:
        await bench.until(lambda: bench.states(order)[-1] in (ACTIVE, RETURNED, FAILED))
        for name in names:
            await works(bench, floor, name)
            await bench.until(lambda name=name: copies(floor, name) == [who(floor, name).pid])  # type: ignore[misc]

    async def act() -> None:
        for round, seconds in enumerate((0.0, 0.012, 0.03, 0.06)):
            offer = await bench.offers("move")
            order = f"m{round}"
            bench.give(order, COMMIT, offer.id)
            await kill_after(seconds)
            await bench.until(lambda order=order: bench.states(order) != [])  # type: ignore[misc]
            await settled(order)
            if bench.states(order)[-1] is ACTIVE:
                bench.give(order, ROLLBACK, offer.id)
                await kill_after(seconds)
                await bench.state(order, RETURNED)
                await settled(order)
            await bench.until(lambda: bench.offered[-1].offers != ())
        for name in names:
            assert evidence(floor, name)[1:] == (0, 0)

    scenario(bench, act)


def test_a_pause_outlives_the_plugin(floor: WorkFloor, tmp_path: Path) -> None:
    """fail_state is hold: what is paused stays paused, and the next life can give it back."""
    bench = bench_for(floor, tmp_path)

    async def act() -> None:
        offer = await bench.offers("pause")
        job = f"{offer.legs[0].site}-job1"
        bench.give("p1", COMMIT, offer.id)
        await bench.state("p1", ACTIVE)
        pid = bench.host.status().pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await bench.until(lambda: bench.host.status().restarts == 1)
        await bench.ready()
        assert proc.stopped(who(floor, job))
        bench.give("p1", ROLLBACK, offer.id)
        await bench.state("p1", RETURNED)
        await works(bench, floor, job)
        assert copies(floor, job) == [who(floor, job).pid]

    scenario(bench, act)


# --- what goes wrong ----------------------------------------------------------------------------------------


def test_a_worker_that_dies_is_no_longer_offered(floor: WorkFloor, tmp_path: Path) -> None:
    bench = bench_for(floor, tmp_path)

    async def act() -> None:
        offer = await bench.offers("pause")
        site = offer.legs[0].site
        os.kill(who(floor, f"{site}-job1").pid, signal.SIGKILL)
        await bench.until(
            lambda: not any(o.kind == "pause" and o.legs[0].site == site for o in bench.offered[-1].offers)
        )
        bench.give("p1", COMMIT, offer.id)
        assert "changed since" in (await bench.state("p1", FAILED)).reason

    scenario(bench, act)


DEAF = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    open("output.log", "a").write("x\\n")
    time.sleep(0.02)
"""
FAILS_ABROAD = """
import os, signal, sys, time
if os.path.basename(os.path.dirname(os.getcwd())) == "kanagawa":
    sys.exit("this site has no licence")
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
while True:
    open("output.log", "a").write("x\\n")
    time.sleep(0.02)
"""
PLAIN = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
while True:
    sum(range(20_000))
"""


def add_job(floor: WorkFloor, job: str, source: str, *, output: str | None = "output.log") -> None:
    """A job with a program of its own, cold (no standby), queued at tokyo1."""
    folder = floor.root / "tokyo1" / job
    folder.mkdir()
    (folder / "program.py").write_text(textwrap.dedent(source))
    (folder / "job.json").write_text(
        json.dumps(
            {
                "job": job,
                "declared_w": 5_000.0,
                "movable": True,
                "argv": [sys.executable, "-I", "-S", "program.py"],
                "output": output,
            }
        )
    )


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[WorkFloor]:
    """A floor without workers, for jobs of one's own."""
    with WorkFloor(tmp_path / "floor", SITES, jobs_per_site=0, queued_per_site=0) as opened:
        yield opened


def run_at(floor: WorkFloor, job: str) -> None:
    """Start an added job the way its owner would: through the gate."""
    folder = where(floor, job)
    gated = gate.spawn(folder, floor.root)
    assert gated.lock()
    folder.write_run(
        folder.run.model_copy(
            update={"state": "running", "pid": gated.who.pid, "start_time": gated.who.start_time}
        )
    )
    gated.go()


def reap(floor: WorkFloor) -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def test_a_job_that_does_not_leave_fails_the_order_and_runs_on_at_home(
    bare: WorkFloor, tmp_path: Path
) -> None:
    add_job(bare, "deaf", DEAF)
    run_at(bare, "deaf")
    bench = bench_for(bare, tmp_path, checkpoint_s=0.3)

    async def act() -> None:
        offer = await bench.offers("move")
        bench.give("m1", COMMIT, offer.id)
        fact = await bench.state("m1", FAILED)
        assert "did not checkpoint and exit within 0.3 s" in fact.reason
        assert where(bare, "deaf").site == "tokyo1"
        await works(bench, bare, "deaf")
        assert copies(bare, "deaf") == [who(bare, "deaf").pid]

    scenario(bench, act)
    bare.close()
    reap(bare)


def test_a_job_that_cannot_run_abroad_comes_home(bare: WorkFloor, tmp_path: Path) -> None:
    add_job(bare, "fails", FAILS_ABROAD)
    run_at(bare, "fails")
    bench = bench_for(bare, tmp_path)

    async def act() -> None:
        offer = await bench.offers("move")
        bench.give("m1", COMMIT, offer.id)
        fact = await bench.state("m1", FAILED)
        assert "job fails ended at once" in fact.reason
        assert where(bare, "fails").site == "tokyo1"
        await works(bench, bare, "fails")
        assert copies(bare, "fails") == [who(bare, "fails").pid]
        assert "no licence" in (where(bare, "fails").path / "console.log").read_text()

    scenario(bench, act)
    bare.close()
    reap(bare)


def test_a_program_without_standby_or_output_moves_too(bare: WorkFloor, tmp_path: Path) -> None:
    add_job(bare, "plain", PLAIN, output=None)
    run_at(bare, "plain")
    bench = bench_for(bare, tmp_path)

    async def act() -> None:
        offer = await bench.offers("move")
        bench.give("m1", PREPARE, offer.id)
        bench.give("m1", COMMIT, offer.id)
        await bench.state("m1", ACTIVE)
        assert where(bare, "plain").site == "kanagawa"
        assert copies(bare, "plain") == [who(bare, "plain").pid]

    scenario(bench, act)
    bare.close()
    reap(bare)


def test_emergency_stop_gives_everything_back(floor: WorkFloor, tmp_path: Path) -> None:
    bench = bench_for(floor, tmp_path)

    async def act() -> None:
        pause, move = await bench.offers("pause"), await bench.offers("move")
        bench.give("p1", COMMIT, pause.id)
        bench.give("m1", COMMIT, move.id)
        await bench.state("p1", ACTIVE)
        await bench.state("m1", ACTIVE)
        assert (await bench.host.estop()).accepted
        for order in ("p1", "m1"):
            assert (await bench.state(order, FAILED)).reason == "emergency stop"
        assert where(floor, f"{move.legs[0].site}-job2").site == move.legs[0].site
        await works(bench, floor, f"{pause.legs[0].site}-job1")
        await bench.until(lambda: bench.offered[-1].offers == ())

    scenario(bench, act)


# --- configuration ------------------------------------------------------------------------------------------


def told_by_hello(tmp_path: Path, config: dict[str, object], state_dir: str | None = None) -> str:
    briefing = Briefing(
        name=PluginName("lever"),
        sites=(SiteId("tokyo1"),),
        config=config,
        state_dir=str(tmp_path) if state_dir is None else state_dir,
        fence=0,
    )
    with pytest.raises(ConfigError) as refusal:
        asyncio.run(plugin().hello(briefing, LineDesk(SystemClock(), lambda _: None)))
    return str(refusal.value)


def test_a_wrong_configuration_names_the_key(tmp_path: Path) -> None:
    (tmp_path / "tokyo1").mkdir()
    root = str(tmp_path)
    assert "config.root: Field required" in told_by_hello(tmp_path, {})
    assert "config.rooot" in told_by_hello(tmp_path, {"root": root, "rooot": 1})
    assert "not an absolute path" in told_by_hello(tmp_path, {"root": "here"})
    assert "config.slots: osaka is no site" in told_by_hello(tmp_path, {"root": root, "slots": {"osaka": 1}})
    assert "config.slots.tokyo1" in told_by_hello(tmp_path, {"root": root, "slots": {"tokyo1": -1}})
    assert "is not a folder; one is needed" in told_by_hello(tmp_path, {"root": root + "/none"})
    throttle = {"share": 0.5, "cgroup": str(tmp_path)}
    assert "config.throttle.share" in told_by_hello(tmp_path, {"root": root, "throttle": {"share": 1.0}})
    told = told_by_hello(tmp_path, {"root": root, "throttle": throttle})
    assert "config.throttle.cgroup" in told
    assert "is no cgroup with the CPU controller" in told
    assert "state_dir" in told_by_hello(tmp_path, {"root": root}, state_dir="/none/such")


def test_a_wrong_job_file_is_told_with_file_and_field(bare: WorkFloor, tmp_path: Path) -> None:
    add_job(bare, "bad", PLAIN)
    path = bare.root / "tokyo1" / "bad" / "job.json"
    good = json.loads(path.read_text())
    path.write_text(json.dumps({**good, "declared_w": -5}))
    bench = bench_for(bare, tmp_path)

    async def main() -> None:
        async with asyncio.timeout(20), running(bench):
            await bench.until(lambda: f"{path}: declared_w" in bench.host.status().reason)

    asyncio.run(main())
    path.write_text(json.dumps(good))


# --- the floor itself ---------------------------------------------------------------------------------------


def test_the_floor_refuses_too_much_work(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match=r"over 0\.5 core"):
        WorkFloor(tmp_path, SITES, jobs_per_site=10, duty=0.05)


def test_workers_end_with_the_floor_that_was_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time, pathlib\n"
        "from vpp_gateway.sim.workers import WorkFloor\n"
        f"floor = WorkFloor(pathlib.Path({str(tmp_path / 'floor')!r}), ['tokyo1'], jobs_per_site=2)\n"
        "floor.open()\n"
        "print('open', flush=True)\n"
        "time.sleep(60)\n"
    )
    root = str(Path(__file__).parents[2])
    owner = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env={"PYTHONPATH": root}, text=True
    )
    with owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "open\n"
        view = WorkFloor(tmp_path / "floor", ["tokyo1"], jobs_per_site=2)
        bench = Bench(PluginSpec(name=PluginName("none"), entry_point="", sites=()))
        workers = [who(view, f"tokyo1-job{number}") for number in (1, 2)]

        async def main() -> None:
            await bench.until(lambda: all(written(view, f"tokyo1-job{n}") > 0 for n in (1, 2)))
            owner.kill()
            await bench.until(lambda: not any(proc.alive(worker) for worker in workers))

        asyncio.run(main())


def test_downtime_counts_what_is_missing_and_what_is_double(tmp_path: Path) -> None:
    output = tmp_path / "output.log"
    output.write_text(
        "0 10 100.0 1.0 00\n10 20 100.1 1.1 00\n25 30 100.7 1.7 00\n28 40 100.8 1.8 00\n40 50 101.0 2.0 00\n"
    )
    assert downtime(output) == (pytest.approx(0.6), 5, 2)
    assert downtime(output, since=100.75) == (pytest.approx(0.2), 0, 2)
    assert downtime(output, since=100.75, until=103.0).longest_gap_s == pytest.approx(2.0)
    assert downtime(output, since=100.75, until=100.9) == (pytest.approx(0.1), 0, 2)
    output.write_text("0 10 100.0 1.0 00\n10 20\n")
    with pytest.raises(ValueError, match=r"output\.log:2: '10 20' is not"):
        downtime(output)
