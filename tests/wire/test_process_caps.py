"""Caps of the process lever where it hurts: threads, brakes that fail, guards that linger, files that turned bad."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.wire.plugin_bench import Bench
from tests.wire.test_process_lever import (
    ACTIVE,
    COMMIT,
    FAILED,
    RETURNED,
    ROLLBACK,
    SHARE,
    SITES,
    bench_for,
    capped,
    duty_over,
    guards,
    guards_of,
    killed,
    own_cgroup,
    run_at,
    scenario,
    throttling,
    where,
    who,
    works,
)
from vpp_gateway.clock import SystemClock
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.order import PluginName, ShiftState
from vpp_gateway.errors import Rejected
from vpp_gateway.sim.workers import WorkFloor
from vpp_gateway.southbound.workload.lever import Cadence, Lever
from vpp_gateway.southbound.workload.lever_plugin import LeverPlugin
from vpp_gateway.southbound.workload.levers import JobId, Terms
from vpp_gateway.southbound.workload.memory import memory_factory
from vpp_gateway.southbound.workload.plugin import Briefing, Desk, Profile
from vpp_gateway.southbound.workload.process_lever import FIRST_PACE, guard, proc
from vpp_gateway.southbound.workload.process_lever.brake import GroupBrake, GuardBrake
from vpp_gateway.southbound.workload.process_lever.hands import ProcessHands
from vpp_gateway.southbound.workload.process_lever.patience import Patience
from vpp_gateway.southbound.workload.records import MemoryLedger
from vpp_gateway.southbound.workload.spec import PluginSpec, Timing

TOKYO = SiteId("tokyo1")
JOB = JobId("render-7")
LIGHT = """
import time
while True:
    open("output.log", "a").write("x\\n")
    time.sleep(0.02)
"""
TWO_THREADS = """
import threading, time
def burn():
    while True:
        until = time.thread_time() + 0.005
        while time.thread_time() < until:
            pass
        time.sleep(0.045)
burners = [threading.Thread(target=burn) for _ in range(2)]
[burner.start() for burner in burners]
[burner.join() for burner in burners]
"""


@pytest.fixture
def slack_floor(tmp_path: Path) -> Iterator[WorkFloor]:
    """A floor whose odd jobs may be throttled."""
    with WorkFloor(
        tmp_path / "floor", SITES, jobs_per_site=2, queued_per_site=0, throttlable=True, duty=0.06
    ) as opened:
        yield opened


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[WorkFloor]:
    """A floor without workers, for jobs of one's own."""
    with WorkFloor(tmp_path / "floor", SITES, jobs_per_site=0, queued_per_site=0) as opened:
        yield opened
        mine = [who.pid for folder in opened.jobs() if (who := folder.run.who) is not None]
        opened.close()
        for pid in mine:  # not every child: the test process has others
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def add_job(floor: WorkFloor, job: str, source: str, *, duty: float, output: str | None = None) -> None:
    """A throttlable job with a program of its own, running at tokyo1."""
    folder = floor.root / TOKYO / job
    folder.mkdir()
    (folder / "program.py").write_text(textwrap.dedent(source))
    about = {"job": job, "declared_w": 5_000.0, "throttlable": True, "duty": duty, "output": output}
    argv = [sys.executable, "-I", "-S", "program.py"]
    (folder / "job.json").write_text(json.dumps({**about, "argv": argv}))
    run_at(floor, job)


# --- what is measured ---------------------------------------------------------------------------------------


def ticked_s(pid: int) -> float:
    """CPU time of a process as `ps` has it, of all its threads; in ticks of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_cpu_time_is_that_of_all_threads() -> None:
    me = proc.ident(os.getpid())
    assert me is not None

    def burn() -> None:
        until = time.thread_time() + 0.1
        while time.thread_time() < until:
            pass

    before = proc.cpu_ns(me)
    thread = threading.Thread(target=burn)
    thread.start()
    thread.join()
    after = proc.cpu_ns(me)
    assert before is not None
    assert after is not None
    assert after - before >= 100_000_000
    assert proc.cpu_ns(proc.Ident(me.pid, me.start_time + 1)) is None, "its pid is somebody else's now"


def test_a_job_that_works_in_threads_is_held_to_its_share(bare: WorkFloor, tmp_path: Path) -> None:
    add_job(bare, "threads", TWO_THREADS, duty=0.2)
    bench = throttling(bare, tmp_path)

    async def cores_over(seconds: float) -> float:
        pid = who(bare, "threads").pid
        used_s, at = ticked_s(pid), time.monotonic()
        await asyncio.sleep(seconds)  # the thing measured is time itself
        return (ticked_s(pid) - used_s) / (time.monotonic() - at)

    async def act() -> None:
        offer = await bench.offers("cap")
        assert await cores_over(1.0) > 0.15
        bench.give("c1", COMMIT, offer.id)
        await bench.state("c1", ACTIVE)
        assert await cores_over(3.0) == pytest.approx(SHARE * 0.2, abs=0.02)

    scenario(bench, act)


# --- guards -------------------------------------------------------------------------------------------------


@pytest.fixture
def sleeper() -> Iterator[proc.Ident]:
    """A process that can be throttled."""
    with subprocess.Popen(["/bin/sleep", "60"], start_new_session=True) as process:
        found = proc.ident(process.pid)
        assert found is not None
        yield found
        process.kill()


def wait_until_gone(brake: GuardBrake, job: JobId) -> None:
    deadline = time.monotonic() + 5.0
    while not brake.released(job):
        assert time.monotonic() < deadline
        time.sleep(0.001)


def one_guard(who: proc.Ident) -> proc.Ident:
    """The guard, once /proc shows it."""
    deadline = time.monotonic() + 5.0
    while len(found := guards_of(who)) != 1:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    one = proc.ident(found[0])
    assert one is not None
    return one


def test_a_job_is_let_go_when_its_guard_is_gone_and_not_before(sleeper: proc.Ident) -> None:
    """Also when a look dismissed it meanwhile: its closing SIGCONT would undo a pause that follows."""
    brake = GuardBrake()
    brake.hold(JOB, sleeper, 0.5)
    one = one_guard(sleeper)
    brake.keep_only(())
    wait_until_gone(brake, JOB)
    assert not proc.alive(one)
    assert brake.released(JOB)


@contextmanager
def no_more_files() -> Iterator[None]:
    """Nothing can be opened any more (EMFILE)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_guard_that_cannot_be_started_is_said_and_started_later(sleeper: proc.Ident) -> None:
    brake = GuardBrake()
    with (
        no_more_files(),
        pytest.raises(Rejected, match=r"job render-7: no guard can be started: .*open files"),
    ):
        brake.hold(JOB, sleeper, 0.5)
    assert brake.released(JOB)
    brake.hold(JOB, sleeper, 0.5)
    one = one_guard(sleeper)
    with no_more_files(), pytest.raises(Rejected):
        brake.hold(JOB, sleeper, 0.4)
    wait_until_gone(brake, JOB)
    assert not proc.alive(one)


STORM = """
import os, runpy, signal, sys
send, calls = signal.pidfd_send_signal, []
def stormy(fd, number, *rest):
    calls.append(number)
    if len(calls) == 2:  # the last act: the guard has stopped the job, and is being told to end
        os.kill(int(sys.argv[1]), signal.SIGSTOP)
        for told in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(os.getpid(), told)
    send(fd, number, *rest)
signal.pidfd_send_signal = stormy
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_signals_in_the_moment_of_letting_go_leave_the_job_running(sleeper: proc.Ident) -> None:
    words = [guard.__file__, str(sleeper.pid), str(sleeper.start_time), "0.5"]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", STORM, *words], stdin=subprocess.DEVNULL, check=False, timeout=10
    )
    assert done.returncode == 0
    assert not proc.stopped(sleeper)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_guard_that_is_told_to_end_ends_and_lets_go(sleeper: proc.Ident, number: signal.Signals) -> None:
    brake = GuardBrake()
    brake.hold(JOB, sleeper, 0.5)
    one = one_guard(sleeper)
    deadline = time.monotonic() + 5.0
    while proc.alive(one):
        os.kill(one.pid, number)  # again and again: none may cut short what another began
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert not proc.stopped(sleeper)
    brake.keep_only(())
    wait_until_gone(brake, JOB)


def test_the_kernels_quota_is_renewed_lifted_and_its_group_removed(sleeper: proc.Ident) -> None:
    root = own_cgroup()
    if root is None:
        pytest.skip("needs privileges: this user can make no cgroup that limits CPU")
    group = root / f"job-{JOB}"
    name = "cpu.max" if (root / "cgroup.controllers").exists() else "cpu.cfs_quota_us"
    try:
        brake = GroupBrake(root)
        brake.hold(JOB, sleeper, 0.5)
        held = (group / name).read_text()
        (group / name).write_text("max" if name == "cpu.max" else "-1")  # by somebody else
        assert (group / name).read_text() != held
        brake.hold(JOB, sleeper, 0.5)
        assert (group / name).read_text() == held
        assert GroupBrake(root).keep_only(()) == {}
        assert (group / name).read_text() != held
        assert group.exists(), "the job lives in it"
        os.kill(sleeper.pid, signal.SIGKILL)
        os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
        after = GroupBrake(root)
        deadline = time.monotonic() + 5.0
        while group.exists():
            assert after.keep_only(()) == {}
            assert time.monotonic() < deadline
            time.sleep(0.005)
    finally:
        for child in (*root.glob("job-*"), root):
            child.rmdir()


# --- a brake that fails -------------------------------------------------------------------------------------


class Kernel:
    """Plain folders laid out like a cgroup of version 2; quotas can be made to fail."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        (root / "cgroup.controllers").write_text("cpu\n")
        (root / "cgroup.subtree_control").write_text("cpu\n")

    def limit(self, job: str) -> Path:
        return self.root / f"job-{job}" / "cpu.max"

    def jam(self, job: str) -> None:
        self.limit(job).unlink()
        self.limit(job).mkdir()

    def clear(self, job: str) -> None:
        self.limit(job).rmdir()


def light_bench(floor: WorkFloor, kernel: Kernel) -> Bench:
    """The real lever on real processes, in this process, throttling by `kernel`."""
    clock = SystemClock()
    bench = Bench(PluginSpec(name=PluginName("lever"), entry_point="memory", sites=floor.sites), clock)
    ledger = MemoryLedger()

    def build(briefing: Briefing, desk: Desk) -> tuple[Lever, Profile]:
        brake = GroupBrake(kernel.root)
        lever = Lever(
            hands=ProcessHands(floor.root, floor.sites, clock, Patience(), brake),
            terms=Terms(plugin=briefing.name, slots=dict.fromkeys(floor.sites, 4), cap_share=SHARE),
            pace=FIRST_PACE,
            ledger=ledger,
            desk=desk,
            cadence=Cadence(watch_s=0.1),
            fence=briefing.fence,
        )
        return lever, Profile(sites=briefing.sites, fail_state="hold")

    bench.furnish(memory_factory(lambda: LeverPlugin(build), clock), Timing(respawn_first_s=0.05))
    return bench


def test_a_cap_that_could_not_be_given_back_stays_a_cap_until_the_next_life_lifts_it(
    bare: WorkFloor, tmp_path: Path
) -> None:
    """The same as `test_memory_work` asks of the work in memory."""
    add_job(bare, "light", LIGHT, duty=0.5, output="output.log")
    kernel = Kernel(tmp_path / "cgroup")
    bench = light_bench(bare, kernel)

    async def act() -> None:
        offer = await bench.offers("cap")
        bench.give("c1", COMMIT, offer.id)
        await bench.state("c1", ACTIVE)
        assert kernel.limit("light").read_text() == "25000 100000"
        kernel.jam("light")
        bench.give("c1", ROLLBACK, offer.id)
        assert "not given back" in (await bench.state("c1", FAILED, within_s=20.0)).reason
        await bench.until(lambda: bench.offered[-1].offers == ())
        assert where(bare, "light").run.share == SHARE
        kernel.clear("light")
        bench.host.release()
        await bench.until(lambda: bench.host.status().restarts == 1)
        await bench.until(lambda: any(offer.kind == "cap" for offer in bench.offered[-1].offers))
        assert kernel.limit("light").read_text() == "max 100000"
        assert where(bare, "light").run.share is None

    scenario(bench, act)


def test_a_cap_that_no_longer_holds_fails_its_order_and_another_is_renewed_all_the_same(
    bare: WorkFloor, tmp_path: Path
) -> None:
    add_job(bare, "a-light", LIGHT, duty=0.5, output="output.log")
    add_job(bare, "b-light", LIGHT, duty=0.5, output="output.log")
    kernel = Kernel(tmp_path / "cgroup")
    bench = light_bench(bare, kernel)

    async def act() -> None:
        offer = await bench.offers("cap")
        bench.give("c1", COMMIT, offer.id, step=0)
        await bench.state("c1", ACTIVE)
        rest = next(o for o in bench.offered[-1].offers if o.kind == "cap" and o.id != offer.id)
        bench.give("c2", COMMIT, rest.id)
        await bench.state("c2", ACTIVE)
        kernel.jam("a-light")
        kernel.limit("b-light").write_text("max 100000")
        await bench.until(lambda: kernel.limit("b-light").read_text() == "25000 100000")
        await bench.state("c1", ShiftState.RETURNING)
        kernel.clear("a-light")
        told = (await bench.state("c1", FAILED)).reason
        assert told.startswith("no longer throttled: job a-light: cannot be held in ")
        assert kernel.limit("a-light").read_text() == "max 100000"
        assert bench.states("c2")[-1] is ACTIVE

    with capture_logs() as lines:
        scenario(bench, act)
    said = [line["event"] for line in lines if line.get("job") == "a-light"]
    assert said == ["brake fails", "brake works again"]


# --- what was forgotten, what turned bad --------------------------------------------------------------------


def test_a_cap_whose_orders_were_lost_is_lifted_by_the_next_life(
    slack_floor: WorkFloor, tmp_path: Path
) -> None:
    bench = throttling(slack_floor, tmp_path)
    jobs: list[str] = []

    async def first() -> None:
        jobs.append((await capped(bench, slack_floor))[0])

    scenario(bench, first)
    (job,) = jobs
    assert where(slack_floor, job).run.share == SHARE
    later = tmp_path / "later"
    later.mkdir()
    bench = throttling(slack_floor, later)  # an empty state folder

    async def second() -> None:
        await bench.until(lambda: where(slack_floor, job).run.share is None)
        await bench.until(lambda: guards(slack_floor, job) == [])
        assert await duty_over(1.5, slack_floor, job) > 0.85
        site = where(slack_floor, job).site
        await bench.until(
            lambda: any(o.kind == "cap" and o.legs[0].site == site for o in bench.offered[-1].offers)
        )

    scenario(bench, second)


def test_a_job_file_that_turned_bad_costs_its_own_job_and_what_stands_is_given_back(
    slack_floor: WorkFloor, tmp_path: Path
) -> None:
    bench = throttling(slack_floor, tmp_path)

    async def act() -> None:
        job, offer = await capped(bench, slack_floor)
        site = where(slack_floor, job).site
        path = where(slack_floor, job).path / "job.json"
        good = path.read_text()
        path.write_text("{")
        (slack_floor.root / "kanagawa" / "new").mkdir()
        (slack_floor.root / "kanagawa" / "new" / "job.json").write_text("{}")
        (first,) = (int(entry) for entry in guards_of(proc.Ident(json.loads(run_of(path))["pid"], 0)))
        os.kill(first, signal.SIGKILL)  # its cap is renewed although its file is bad
        victim = proc.Ident(json.loads(run_of(path))["pid"], 0)
        await bench.until(lambda: guards_of(victim) not in ([], [first]))
        bench.give("c1", ROLLBACK, offer.id)
        await bench.state("c1", RETURNED)
        assert guards_of(victim) == []
        await bench.until(lambda: any(o.legs[0].site == "kanagawa" for o in bench.offered[-1].offers))
        assert not any(o.kind == "cap" and o.legs[0].site == site for o in bench.offered[-1].offers)
        path.write_text(good)
        (slack_floor.root / "kanagawa" / "new" / "job.json").unlink()
        await bench.until(
            lambda: any(o.kind == "cap" and o.legs[0].site == site for o in bench.offered[-1].offers)
        )
        await works(bench, slack_floor, job)
        assert bench.host.status().restarts == 0

    scenario(bench, act)


def run_of(job_file: Path) -> str:
    return (job_file.parent / "run.json").read_text()


def test_a_life_with_orders_to_give_back_begins_in_spite_of_a_bad_job(
    slack_floor: WorkFloor, tmp_path: Path
) -> None:
    bench = bench_for(slack_floor, tmp_path, throttle={"share": SHARE})
    bad = slack_floor.root / "kanagawa" / "new"

    async def act() -> None:
        job, offer = await capped(bench, slack_floor)
        bad.mkdir()
        (bad / "job.json").write_text("{}")
        await killed(bench)
        bench.give("c1", ROLLBACK, offer.id)
        await bench.state("c1", RETURNED)
        (bad / "job.json").unlink()
        await works(bench, slack_floor, job)

    scenario(bench, act)
