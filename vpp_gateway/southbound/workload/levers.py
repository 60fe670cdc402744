"""Offer arithmetic of the first-party levers: from jobs that really run to offers that can all be kept together.

    job, running, movable      --> share of one `move` to a site with a free slot
    job, running, throttlable  --> share of its site's `cap`, where the operator has set what a cap leaves
    job, running, deferrable   --> share of its site's `pause`
                                   (both: a movable job only when no slot is free for it)
    job, paused by nobody's order, deferrable  --> share of its site's `absorb` (resume)
    job, queued                --> share of its site's `absorb` (start), if the site has a free slot

A job that may be throttled and paused is capped: it goes on working. A cap takes of each job what the share leaves
free, `(1 - share) x declared_w`.

The law: **any set of published offers can be carried out at the same time**. So a job stands in at most one offer,
and all offers together claim no more slots than are free. A slot is taken by every job that is at a site (running
or paused), and stays reserved for a job that an order has sent away, because it must be able to come home. After
every change the offers are drawn up anew, so what one offer did not get, the next list may.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from typing import NewType

from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.order import Leg, Offer, OfferId, PluginName

JobId = NewType("JobId", str)


class JobState(StrEnum):
    """What a job does now."""

    RUNNING = "running"
    PAUSED = "paused"
    """Stopped, but in memory: holds its slot."""
    QUEUED = "queued"
    """Not started, or checkpointed and put back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A piece of work as the lever sees it now."""

    id: JobId
    site: SiteId
    """Where it is."""
    declared_w: float
    """What it takes while it runs (> 0); declared by its owner, not measured."""
    state: JobState
    movable: bool
    deferrable: bool
    throttlable: bool = False
    """May be held to a share of its usual duty."""
    capped: bool = False
    """Is held to a share now; what it can still give is not known, so it is in no offer."""
    slipped: str = ""
    """Should be held to a share and is not: why. Empty: it is, or should not."""
    held: bool = False
    """An order has it; it is in no offer."""
    keeps: tuple[SiteId, ...] = ()
    """Sites where its order keeps a slot for it, besides where it is: a move's source and destination."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What offers promise of time, from the lever's own past; seconds."""

    pause_s: float
    resume_s: float
    start_s: float
    move_s: float
    """Order to running at the destination."""
    leave_s: float
    """Order to gone at the source."""
    downtime_s: float
    cap_s: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the operator fixes for all offers of a lever."""

    plugin: PluginName
    slots: Mapping[SiteId, int]
    """Most jobs at each site, running or paused."""
    valid_s: float = 300.0
    sustain_s: float = 4 * 3600.0
    min_dwell_s: float = 0.0
    sla_tier: int = 0
    pause_cost: float = 2.0
    """Pausing costs service, moving hardly any: moves are called first."""
    move_cost: float = 1.0
    absorb_cost: float = 1.0
    cap_share: float | None = None
    """What a cap leaves a job of its usual duty, inside (0, 1); None: throttlable jobs are not capped."""
    cap_cost: float = 1.5
    """Slower service costs less than none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """An offer and the jobs that stand behind it, in the order of its steps."""

    offer: Offer
    jobs: tuple[JobId, ...]

    def jobs_of(self, step: int) -> tuple[JobId, ...]:
        """The jobs that a step calls. Raises IndexError when the offer has no such step."""
        if not 0 <= step < len(self.jobs):
            raise IndexError(f"step {step}; the offer has steps 0 to {len(self.jobs) - 1}")
        return self.jobs[: step + 1]


def promises(
    jobs: Sequence[Job], terms: Terms, pace: Pace, *, now: float, edition: int
) -> tuple[Promise, ...]:
    """All offers that can be kept together now.

    Args:
        jobs: everything that is at the sites.
        terms: what the operator fixes.
        pace: what the past says.
        now: UTC (Unix s).
        edition: number of this list; part of every offer id, because offers are replaced and never edited.
    """
    free = sorted((job for job in jobs if not job.held), key=lambda job: job.id)
    moves, starts = _share_slots(free, free_slots(jobs, terms.slots))
    moving = {job.id for group in moves.values() for job in group}
    drafts: list[Promise] = []
    maker = _Maker(terms, pace, now + terms.valid_s, edition)
    for site in terms.slots:
        here = [job for job in free if job.site == site]
        staying = [
            job for job in here if job.state is JobState.RUNNING and not job.capped and job.id not in moving
        ]
        cappable = [job for job in staying if job.throttlable and terms.cap_share is not None]
        pausable = [job for job in staying if job.deferrable and job not in cappable]
        resumable = [job for job in here if job.state is JobState.PAUSED and job.deferrable]
        if terms.cap_share is not None:
            drafts += maker.cap(site, cappable, terms.cap_share)
        drafts += maker.pause(site, pausable)
        drafts += maker.absorb(site, resumable + starts.get(site, []))
        for destination in terms.slots:
            drafts += maker.move(site, destination, moves.get((site, destination), []))
    return tuple(drafts)


def free_slots(jobs: Iterable[Job], slots: Mapping[SiteId, int]) -> dict[SiteId, int]:
    """Slots that nobody has or has reserved; never negative."""
    free = dict(slots)
    for job in jobs:
        if job.state is JobState.QUEUED and not job.held:
            continue  # waits outside
        for site in {job.site, *job.keeps}:
            free[site] = free.get(site, 0) - 1
    return {site: max(count, 0) for site, count in free.items()}


def _share_slots(
    jobs: Sequence[Job], free: dict[SiteId, int]
) -> tuple[dict[tuple[SiteId, SiteId], list[Job]], dict[SiteId, list[Job]]]:
    """Deal the free slots out, one job of every site in turn, so that no site and no direction starves."""
    moves: dict[tuple[SiteId, SiteId], list[Job]] = {}
    starts: dict[SiteId, list[Job]] = {}
    for job in _in_turn(jobs):
        if job.state is JobState.QUEUED:
            if free.get(job.site, 0) > 0:
                free[job.site] -= 1
                starts.setdefault(job.site, []).append(job)
            continue
        choices = [site for site, count in free.items() if count > 0 and site != job.site]
        if choices:
            # The emptiest offer first, so that every pair of sites has one; then the emptiest site.
            site = min(choices, key=lambda to: (len(moves.get((job.site, to), [])), -free[to], to))
            free[site] -= 1
            moves.setdefault((job.site, site), []).append(job)
    return moves, starts


def _in_turn(jobs: Sequence[Job]) -> list[Job]:
    """Candidates for slots: first of every site, second of every site ...; running and queued apart."""
    lanes: dict[tuple[SiteId, JobState], list[Job]] = {}
    for job in jobs:
        if job.state is JobState.QUEUED or (job.state is JobState.RUNNING and job.movable and not job.capped):
            lanes.setdefault((job.site, job.state), []).append(job)
    return [job for row in zip_longest(*lanes.values()) for job in row if job is not None]


@dataclass(frozen=True, slots=True)
class _Maker:
    """Writes offers of one list."""

    terms: Terms
    pace: Pace
    valid_until: float
    edition: int

    def cap(self, site: SiteId, jobs: Sequence[Job], share: float) -> list[Promise]:
        leg = Leg(site=site, import_delta_w=-(1.0 - share) * _sum_w(jobs), latency_s=self.pace.cap_s)
        return self._promise("cap", f"{site}", [leg], jobs, self.terms.cap_cost)

    def pause(self, site: SiteId, jobs: Sequence[Job]) -> list[Promise]:
        leg = Leg(site=site, import_delta_w=-_sum_w(jobs), latency_s=self.pace.pause_s)
        return self._promise("pause", f"{site}", [leg], jobs, self.terms.pause_cost)

    def absorb(self, site: SiteId, jobs: Sequence[Job]) -> list[Promise]:
        starts = any(job.state is JobState.QUEUED for job in jobs)
        latency_s = max(self.pace.resume_s, self.pace.start_s) if starts else self.pace.resume_s
        leg = Leg(site=site, import_delta_w=_sum_w(jobs), latency_s=latency_s)
        return self._promise("absorb", f"{site}", [leg], jobs, self.terms.absorb_cost)

    def move(self, source: SiteId, destination: SiteId, jobs: Sequence[Job]) -> list[Promise]:
        legs = [
            Leg(site=source, import_delta_w=-_sum_w(jobs), latency_s=self.pace.leave_s),
            Leg(site=destination, import_delta_w=_sum_w(jobs), latency_s=self.pace.move_s),
        ]
        return self._promise("move", f"{source}-{destination}", legs, jobs, self.terms.move_cost)

    def _promise(
        self, kind: str, where: str, legs: list[Leg], jobs: Sequence[Job], cost: float
    ) -> list[Promise]:
        if not jobs:
            return []
        offer = Offer(
            id=OfferId(f"{self.terms.plugin}/{kind}/{where}/{self.edition}"),
            plugin=self.terms.plugin,
            kind=kind,
            legs=tuple(legs),
            steps=steps_of([job.declared_w for job in jobs]),
            valid_until=self.valid_until,
            sustain_s=self.terms.sustain_s,
            min_dwell_s=self.terms.min_dwell_s,
            sla_tier=self.terms.sla_tier,
            cost=cost,
            downtime_s=self.pace.downtime_s if kind == "move" else 0.0,
        )
        return [Promise(offer=offer, jobs=tuple(job.id for job in jobs))]


def steps_of(declared_w: Sequence[float]) -> tuple[float, ...]:
    """Cumulative shares of the jobs' power, ascending, the last exactly 1."""
    total = math.fsum(declared_w)
    shares = [math.fsum(declared_w[: count + 1]) / total for count in range(len(declared_w))]
    return (*shares[:-1], 1.0)


def _sum_w(jobs: Sequence[Job]) -> float:
    return math.fsum(job.declared_w for job in jobs)
