"""The same work without processes, for virtual time: jobs are objects, the lever and its offers are the real ones.

What differs from `workers.py` is only the hands: a pause, a start or a move takes a set time and may be told to
fail, and power follows a change on a straight line over `lag_s`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from vpp_gateway.clock import Clock
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.errors import MisuseError, Rejected
from vpp_gateway.southbound.workload.contract import Sample
from vpp_gateway.southbound.workload.hands import Moved
from vpp_gateway.southbound.workload.lever import Cadence, Lever
from vpp_gateway.southbound.workload.lever_plugin import LeverPlugin
from vpp_gateway.southbound.workload.levers import Job, JobId, JobState, Pace, Terms
from vpp_gateway.southbound.workload.plugin import Briefing, Desk, PluginFactory, Profile
from vpp_gateway.southbound.workload.records import MemoryLedger


@dataclass(frozen=True, slots=True, kw_only=True)
class Tempo:
    """How long the hands take, seconds."""

    cap_s: float = 0.02
    pause_s: float = 0.02
    resume_s: float = 0.02
    start_s: float = 0.3
    leave_s: float = 0.05
    arrive_s: float = 0.1
    """From gone at the source to working at the destination."""


@dataclass(slots=True)
class _Ramp:
    """Power of one job at one site, on its way."""

    was_w: float = 0.0
    will_w: float = 0.0
    since: float = 0.0

    def at(self, now: float, lag_s: float) -> float:
        share = 1.0 if lag_s <= 0 else min(max((now - self.since) / lag_s, 0.0), 1.0)
        return self.was_w + (self.will_w - self.was_w) * share


@dataclass(slots=True)
class _Work:
    job: Job
    runs: bool
    share: float = 1.0
    """Of its usual power, while it runs."""
    ramps: dict[SiteId, _Ramp] = field(default_factory=dict)


class MemoryWork:
    """Jobs as objects.

    Args:
        jobs: what there is at the beginning.
        clock: time, usually a `LoopClock`.
        tempo: how long acts take.
        lag_s: how long power takes to follow.
    """

    def __init__(
        self, jobs: Iterable[Job], clock: Clock, *, tempo: Tempo | None = None, lag_s: float = 0.2
    ) -> None:
        self._clock = clock
        self._lag_s = lag_s
        self.tempo = tempo or Tempo()
        self.stubborn: set[JobId] = set()
        """Jobs that refuse whatever is asked of them, until taken out of this set."""
        self.slipping: set[JobId] = set()
        """Throttled jobs whose cap does not hold, until taken out of this set; said, not seen in their power."""
        self.downtimes_s: list[float] = []
        """Of every move so far."""
        self._works = {job.id: _Work(job=job, runs=False) for job in jobs}
        for work in self._works.values():
            if work.job.state is JobState.RUNNING:
                self._set(work, runs=True)
                work.ramps[work.job.site].since -= lag_s

    def import_w(self, site: SiteId, now: float) -> float:
        """What the jobs take at `site` (W) at `now` (UTC, Unix s)."""
        ramps = (work.ramps.get(site) for work in self._works.values())
        return sum(ramp.at(now, self._lag_s) for ramp in ramps if ramp is not None)

    def load(self, site: SiteId, base_w: float) -> MemoryLoad:
        """The load of one site, as the meter of the simulated world takes it."""
        return MemoryLoad(self, site, base_w)

    def kill(self, job: JobId) -> None:
        """The job dies by itself."""
        self._set(self._works[job], runs=False)

    def running(self) -> dict[JobId, SiteId]:
        """Where each job that really works works."""
        return {id: work.job.site for id, work in self._works.items() if work.runs}

    # --- hands (southbound/workload/hands.py) -----------------------------------------------------------

    def jobs(self) -> tuple[Job, ...]:
        return tuple(
            replace(work.job, capped=work.share < 1, slipped=self._slipped(work))
            for work in self._works.values()
            if work.runs or work.job.state is not JobState.RUNNING
        )

    def samples(self, now: float) -> tuple[Sample, ...]:
        sites = sorted({work.job.site for work in self._works.values()})
        return tuple(
            Sample(at=now, site=site, w=self.import_w(site, now), quality="modelled", source="in-memory work")
            for site in sites
        )

    async def warm(self, job: JobId, destination: SiteId) -> None:
        self._willing(job)

    def cool(self, job: JobId) -> None:
        """Nothing is kept warm in memory."""

    async def throttle(self, job: JobId, share: float) -> None:
        if not self._willing(job).runs:
            raise Rejected(f"job {job} is not running any more")
        await self._hold(job, share)

    async def release(self, job: JobId) -> None:
        await self._hold(job, 1.0)

    async def _hold(self, job: JobId, share: float) -> None:
        work = self._willing(job)
        if work.share == share:
            return
        await asyncio.sleep(self.tempo.cap_s)
        work.share = share
        self._set(work, runs=work.runs)

    async def pause(self, job: JobId) -> None:
        await self._become(job, JobState.PAUSED, self.tempo.pause_s)

    async def resume(self, job: JobId) -> None:
        await self._become(job, JobState.RUNNING, self.tempo.resume_s)

    async def start(self, job: JobId) -> None:
        await self._become(job, JobState.RUNNING, self.tempo.start_s)

    async def stop(self, job: JobId) -> None:
        await self._become(job, JobState.QUEUED, self.tempo.leave_s)

    async def move(self, job: JobId, destination: SiteId) -> Moved:
        work = self._willing(job)
        if work.job.site == destination and work.runs:
            return Moved()
        began = self._clock.monotonic()
        await asyncio.sleep(self.tempo.leave_s)
        self._set(work, runs=False)
        await asyncio.sleep(self.tempo.arrive_s)
        work.job = replace(work.job, site=destination, state=JobState.RUNNING)
        self._set(work, runs=True)
        self.downtimes_s.append(self._clock.monotonic() - began - self.tempo.leave_s)
        return Moved(leave_s=self.tempo.leave_s, downtime_s=self.downtimes_s[-1])

    async def _become(self, job: JobId, state: JobState, seconds: float) -> None:
        work = self._willing(job)
        if work.job.state is state and work.runs is (state is JobState.RUNNING):
            return
        await asyncio.sleep(seconds)
        work.job = replace(work.job, state=state)
        self._set(work, runs=state is JobState.RUNNING)

    def _slipped(self, work: _Work) -> str:
        slips = work.share < 1 and work.job.id in self.slipping
        return f"job {work.job.id} slips" if slips else ""

    def _willing(self, job: JobId) -> _Work:
        if job in self.stubborn:
            raise Rejected(f"job {job} refuses")
        return self._works[job]

    def _set(self, work: _Work, *, runs: bool) -> None:
        now = self._clock.utc()
        work.runs = runs
        ramp = work.ramps.setdefault(work.job.site, _Ramp())
        ramp.was_w, ramp.since = ramp.at(now, self._lag_s), now
        ramp.will_w = work.job.declared_w * work.share if runs else 0.0


@dataclass(frozen=True, slots=True)
class MemoryLoad:
    """Import of one site: base and jobs."""

    work: MemoryWork
    site: SiteId
    base_w: float

    def import_w(self, now: float) -> float:
        """Import now (W)."""
        return self.base_w + self.work.import_w(self.site, now)


def memory_lever(
    work: MemoryWork, slots: dict[SiteId, int], *, valid_s: float = 300.0, cap_share: float | None = None
) -> PluginFactory:
    """A factory of plug-ins on `work`; what one life recorded, the next one finds, as on disk."""
    ledger = MemoryLedger()
    tempo = work.tempo
    pace = Pace(
        pause_s=tempo.pause_s,
        resume_s=tempo.resume_s,
        start_s=tempo.start_s,
        move_s=tempo.leave_s + tempo.arrive_s,
        leave_s=tempo.leave_s,
        downtime_s=tempo.arrive_s,
        cap_s=tempo.cap_s,
    )

    def build(briefing: Briefing, desk: Desk) -> tuple[Lever, Profile]:
        foreign = set(slots) - set(briefing.sites)
        if foreign:
            raise MisuseError(f"slots for {sorted(foreign)}, which this plug-in does not speak for")
        lever = Lever(
            hands=work,
            terms=Terms(plugin=briefing.name, slots=slots, valid_s=valid_s, cap_share=cap_share),
            pace=pace,
            ledger=ledger,
            desk=desk,
            cadence=Cadence(),
            fence=briefing.fence,
        )
        return lever, Profile(sites=briefing.sites, fail_state="hold")

    return lambda: LeverPlugin(build)
