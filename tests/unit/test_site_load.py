"""The modelled load of a site, second by second, from scripted CPU times: pause, start, starvation, throttle."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.sim.workers import RISE_S, SiteLoad
from vpp_gateway.southbound.workload.process_lever import proc
from vpp_gateway.southbound.workload.process_lever.jobs import JOB_FILE, RUN_FILE, JobFile, RunFile

SITE = SiteId("tokyo-1")
WATTS, DUTY = 12_000.0, 0.02
WHO = proc.Ident(pid=4_000_000, start_time=1)


class Job:
    """One process as `/proc` would show it."""

    def __init__(self, root: Path) -> None:
        self.folder = folder = root / SITE / "job1"
        folder.mkdir(parents=True)
        job = JobFile(job="job1", declared_w=WATTS, argv=("x",), output="output.log", duty=DUTY)
        (folder / JOB_FILE).write_text(job.model_dump_json(), "utf-8")
        self.write("running")
        self.at, self.used_s, self.still = 100.0, 0.0, False
        self.load = SiteLoad(root, SITE, 0.0, window_s=3.0, processes=self)

    def cpu_ns(self, who: proc.Ident) -> int | None:
        return round(self.used_s * 1e9) if who == WHO else None

    def stopped(self, who: proc.Ident) -> bool:
        return who == WHO and self.still

    def write(self, state: Literal["running", "paused"], share: float | None = None) -> None:
        """What its run file says."""
        run = RunFile(state=state, pid=WHO.pid, start_time=WHO.start_time, share=share)
        (self.folder / RUN_FILE).write_text(run.model_dump_json(), "utf-8")

    def seen_w(self) -> float:
        return self.load.import_w(self.at)

    def go(self, seconds: float, share: float) -> list[float]:
        """Work at this share of its duty; the load at every tenth of a second."""
        seen = []
        for _ in range(round(seconds * 10)):
            self.at += 0.1
            self.used_s += 0.1 * DUTY * share
            seen.append(self.seen_w())
        return seen


@pytest.fixture
def job(tmp_path: Path) -> Job:
    found = Job(tmp_path)
    assert found.seen_w() == pytest.approx(WATTS), "what worked before the first look is taken at its duty"
    found.go(4.0, 1.0)
    return found


def test_a_machine_that_was_busy_for_a_moment_is_no_change_of_load(job: Job) -> None:
    starved = job.go(0.4, 0.0) + job.go(0.2, 3.0)
    assert min(starved) > 0.85 * WATTS
    assert job.go(0.1, 1.0) == pytest.approx([WATTS])


def test_a_pause_is_seen_at_once_and_its_end_within_the_rise(job: Job) -> None:
    job.still = True
    job.write("paused")
    assert set(job.go(5.0, 0.0)) == {0.0}
    job.still = False
    job.write("running")
    assert job.go(RISE_S, 1.0)[-1] == pytest.approx(WATTS)


def test_paused_on_paper_but_at_work_counts_as_at_work(job: Job) -> None:
    job.write("paused")
    assert job.go(0.5, 1.0) == pytest.approx([WATTS] * 5)


def test_a_throttled_job_is_stopped_for_moments_and_never_counts_as_paused(job: Job) -> None:
    job.write("running", share=0.5)
    job.go(3.0, 0.5)
    for _ in range(20):
        job.still = True
        low = job.go(0.1, 0.0)
        job.still = False
        high = job.go(0.1, 1.0)
        assert [*low, *high] == pytest.approx([0.5 * WATTS] * 2, rel=0.05)


def test_a_throttled_job_that_rests_long_after_a_burst_is_not_paused_either(job: Job) -> None:
    job.write("running", share=0.5)
    job.go(3.0, 0.5)
    for _ in range(5):
        burst = job.go(0.1, 5.0)
        job.still = True
        rest = job.go(0.9, 0.0)
        job.still = False
        assert [*burst, *rest] == pytest.approx([0.5 * WATTS] * 10, rel=0.4)
        assert min(rest) > 0.25 * WATTS


def test_a_runaway_counts_no_more_than_half_above_its_declaration(job: Job) -> None:
    assert job.go(4.0, 9.0)[-1] == pytest.approx(1.5 * WATTS)
