"""Offers of the first-party levers: any set of them can be carried out at the same time, and nothing is promised twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpp_gateway.domain.instruction import InstructionId, SiteId
from vpp_gateway.domain.order import OfferId, OrderId, PluginName, ShiftOrder, ShiftState, ShiftVerb
from vpp_gateway.errors import MisuseError
from vpp_gateway.southbound.workload.check import check_offers
from vpp_gateway.southbound.workload.levers import (
    Job,
    JobId,
    JobState,
    Pace,
    Promise,
    Terms,
    free_slots,
    promises,
    steps_of,
)
from vpp_gateway.southbound.workload.spec import PluginSpec
from vpp_gateway.southbound.workload.taking import committed, draft

SITES = tuple(SiteId(name) for name in ("tokyo1", "tokyo2", "kanagawa"))
PACE = Pace(pause_s=0.05, resume_s=0.05, start_s=0.5, move_s=0.5, leave_s=0.1, downtime_s=0.3)
PLUGIN = PluginName("lever")
NOW = 1000.0

jobs_lists = st.lists(
    st.builds(
        Job,
        id=st.uuids().map(lambda id: JobId(str(id))),
        site=st.sampled_from(SITES),
        declared_w=st.floats(1.0, 1e7),
        state=st.sampled_from(JobState),
        movable=st.booleans(),
        deferrable=st.booleans(),
        throttlable=st.booleans(),
        capped=st.sampled_from((False, False, False, True)),
        held=st.booleans(),
    ),
    max_size=12,
    unique_by=lambda job: job.id,
)
bounds_sets = st.builds(
    Terms,
    plugin=st.just(PLUGIN),
    slots=st.fixed_dictionaries({site: st.integers(0, 6) for site in SITES}),
    cap_share=st.none() | st.floats(0.05, 0.95),
)


def job(name: str, site: int = 0, state: JobState = JobState.RUNNING, **more: object) -> Job:
    fields: dict[str, object] = {"movable": False, "deferrable": False, "declared_w": 100.0, **more}
    return Job(id=JobId(name), site=SITES[site], state=state, **fields)  # type: ignore[arg-type]


def terms(*slots: int, cap_share: float | None = None) -> Terms:
    return Terms(plugin=PLUGIN, slots=dict(zip(SITES, slots, strict=True)), cap_share=cap_share)


def offered(jobs: list[Job], slots: Terms) -> tuple[Promise, ...]:
    return promises(jobs, slots, PACE, now=NOW, edition=1)


def by_kind(found: tuple[Promise, ...]) -> dict[str, tuple[JobId, ...]]:
    return {f"{promise.offer.kind} {promise.offer.id.split('/')[2]}": promise.jobs for promise in found}


# --- the law ------------------------------------------------------------------------------------------------


@given(jobs=jobs_lists, bounds=bounds_sets)
def test_every_offer_is_true_by_the_hosts_own_measure(jobs: list[Job], bounds: Terms) -> None:
    found = promises(jobs, bounds, PACE, now=NOW, edition=1)
    spec = PluginSpec(name=PLUGIN, entry_point="", sites=SITES)
    assert not check_offers([promise.offer for promise in found], spec, NOW).refused


@given(jobs=jobs_lists, bounds=bounds_sets)
def test_no_job_is_promised_twice_and_none_that_is_held(jobs: list[Job], bounds: Terms) -> None:
    found = promises(jobs, bounds, PACE, now=NOW, edition=1)
    counted = Counter(id for promise in found for id in promise.jobs)
    assert set(counted.values()) <= {1}
    assert not set(counted) & {job.id for job in jobs if job.held}


@given(jobs=jobs_lists, bounds=bounds_sets)
def test_all_offers_together_fit_into_the_free_slots(jobs: list[Job], bounds: Terms) -> None:
    found = promises(jobs, bounds, PACE, now=NOW, edition=1)
    state = {job.id: job.state for job in jobs}
    claimed: Counter[SiteId] = Counter()
    for promise in found:
        if promise.offer.kind == "move":
            claimed[promise.offer.legs[1].site] += len(promise.jobs)
        if promise.offer.kind == "absorb":
            claimed[promise.offer.legs[0].site] += sum(state[id] is JobState.QUEUED for id in promise.jobs)
    free = free_slots(jobs, bounds.slots)
    assert all(claimed[site] <= free[site] for site in SITES)


@given(jobs=jobs_lists, bounds=bounds_sets)
def test_an_offer_is_the_sum_of_its_jobs_and_each_step_the_share_of_its_own(
    jobs: list[Job], bounds: Terms
) -> None:
    watts = {job.id: job.declared_w for job in jobs}
    for promise in promises(jobs, bounds, PACE, now=NOW, edition=1):
        total = sum(watts[id] for id in promise.jobs)
        given = 1.0 - (bounds.cap_share or 0.0) if promise.offer.kind == "cap" else 1.0
        for leg in promise.offer.legs:
            assert abs(leg.import_delta_w) == pytest.approx(given * total)
        for step, share in enumerate(promise.offer.steps):
            called = promise.jobs_of(step)
            assert sum(watts[id] for id in called) == pytest.approx(share * total)
        assert len(promise.offer.steps) == len(promise.jobs)


@given(jobs=jobs_lists, bounds=bounds_sets)
def test_all_offers_can_really_be_taken_one_after_the_other(jobs: list[Job], bounds: Terms) -> None:
    """The law as the lever lives it: each order finds its jobs and its slots, whatever was taken before."""
    standing = list(jobs)
    for promise in promises(jobs, bounds, PACE, now=NOW, edition=1):
        record = draft(
            order(promise, ShiftVerb.COMMIT, step=len(promise.jobs) - 1),
            ShiftState.RAMPING,
            promise,
            standing,
            bounds,
        )
        keeps = tuple(site for site in (record.source, record.destination) if site is not None)
        taken = {part.job for part in record.parts}
        standing = [replace(job, held=True, keeps=keeps) if job.id in taken else job for job in standing]


@given(st.lists(st.floats(1.0, 1e8), min_size=1, max_size=50))
def test_steps_ascend_to_one(declared_w: list[float]) -> None:
    steps = steps_of(declared_w)
    assert steps[-1] == 1.0
    assert all(0 < a < b for a, b in pairwise(steps))


# --- examples -----------------------------------------------------------------------------------------------


def test_each_kind_of_job_is_in_its_offer() -> None:
    found = offered(
        [
            job("a", movable=True),
            job("b", deferrable=True),
            job("c", state=JobState.PAUSED, deferrable=True),
            job("d", state=JobState.QUEUED),
            job("rigid"),
        ],
        terms(6, 6, 0),
    )
    assert by_kind(found) == {
        "move tokyo1-tokyo2": ("a",),
        "pause tokyo1": ("b",),
        "absorb tokyo1": ("c", "d"),
    }
    move = next(promise.offer for promise in found if promise.offer.kind == "move")
    assert [(leg.site, leg.import_delta_w, leg.latency_s) for leg in move.legs] == [
        (SITES[0], -100.0, PACE.leave_s),
        (SITES[1], 100.0, PACE.move_s),
    ]
    assert move.downtime_s == PACE.downtime_s


def test_every_ordered_pair_of_sites_gets_its_move() -> None:
    jobs = [job(f"{site}{n}", site, movable=True) for site in range(3) for n in range(2)]
    found = by_kind(offered(jobs, terms(4, 4, 4)))
    assert sorted(found) == sorted(f"move {a}-{b}" for a in SITES for b in SITES if a != b)


def test_a_job_that_can_move_and_wait_is_paused_only_where_no_slot_is_free() -> None:
    both = job("a", movable=True, deferrable=True)
    assert list(by_kind(offered([both], terms(1, 1, 0)))) == ["move tokyo1-tokyo2"]
    assert list(by_kind(offered([both], terms(1, 0, 0)))) == ["pause tokyo1"]


def test_a_throttlable_job_is_capped_only_where_the_operator_says_to_what() -> None:
    jobs = [
        job("a", throttlable=True, deferrable=True, declared_w=100.0),
        job("b", throttlable=True, declared_w=300.0),
        job("c", deferrable=True),
        job("m", throttlable=True, movable=True),
    ]
    assert by_kind(offered(jobs, terms(9, 9, 0))) == {
        "move tokyo1-tokyo2": ("m",),
        "pause tokyo1": ("a", "c"),
    }
    found = offered(jobs, terms(9, 9, 0, cap_share=0.6))
    assert by_kind(found) == {
        "move tokyo1-tokyo2": ("m",),
        "cap tokyo1": ("a", "b"),
        "pause tokyo1": ("c",),
    }
    cap = next(promise.offer for promise in found if promise.offer.kind == "cap")
    assert cap.legs[0].import_delta_w == pytest.approx(-0.4 * 400.0)
    assert cap.legs[0].latency_s == PACE.cap_s
    assert cap.steps == (0.25, 1.0)
    assert by_kind(offered(jobs[3:], terms(9, 0, 0, cap_share=0.6))) == {"cap tokyo1": ("m",)}


def test_a_job_that_is_throttled_already_is_in_no_offer() -> None:
    throttled = job("a", throttlable=True, deferrable=True, movable=True, capped=True)
    assert offered([throttled], terms(9, 9, 9, cap_share=0.5)) == ()


def test_a_job_sent_away_keeps_its_slot_at_home() -> None:
    away = job("a", 1, movable=True, held=True, keeps=(SITES[0], SITES[1]))
    visitor = job("v", 2, movable=True)
    assert free_slots([away], terms(1, 1, 0).slots) == {SITES[0]: 0, SITES[1]: 0, SITES[2]: 0}
    assert offered([away, visitor], terms(1, 1, 1)) == ()


def test_a_queued_job_takes_no_slot_until_an_order_wants_to_start_it() -> None:
    waiting = job("q", state=JobState.QUEUED)
    assert free_slots([waiting], terms(1, 0, 0).slots)[SITES[0]] == 1
    assert free_slots([replace(waiting, held=True)], terms(1, 0, 0).slots)[SITES[0]] == 0


def test_without_jobs_there_are_no_offers() -> None:
    assert offered([], terms(9, 9, 9)) == ()


# --- taking -------------------------------------------------------------------------------------------------


def order(promise: Promise, verb: ShiftVerb, *, step: int = 0, id: str = "o1") -> ShiftOrder:
    return ShiftOrder(
        id=OrderId(id),
        plugin=PLUGIN,
        offer=promise.offer.id,
        verb=verb,
        step=step,
        fence=1,
        deadline_at=NOW + 10,
        instruction=InstructionId("tso/EV-1"),
    )


def pausing() -> tuple[list[Job], Promise]:
    jobs = [job("a", deferrable=True), job("b", deferrable=True), job("c", deferrable=True)]
    return jobs, offered(jobs, terms(9, 9, 9))[0]


def test_a_step_calls_the_jobs_up_to_it() -> None:
    jobs, promise = pausing()
    record = draft(
        order(promise, ShiftVerb.COMMIT, step=1), ShiftState.RAMPING, promise, jobs, terms(9, 9, 9)
    )
    assert [part.job for part in record.parts] == ["a", "b"]
    assert record.begun


@pytest.mark.parametrize(
    "change",
    [
        {"state": JobState.PAUSED},
        {"held": True},
        {"site": SITES[1]},
        {"capped": True},
    ],
    ids=["paused by somebody", "held by an order", "moved away", "throttled by somebody"],
)
def test_what_changed_since_the_offer_is_not_taken(change: dict[str, object]) -> None:
    jobs, promise = pausing()
    jobs[0] = replace(jobs[0], **change)  # type: ignore[arg-type]
    with pytest.raises(MisuseError, match="a changed since"):
        draft(order(promise, ShiftVerb.COMMIT), ShiftState.RAMPING, promise, jobs, terms(9, 9, 9))


def test_only_a_cap_is_recorded_with_its_share() -> None:
    jobs = [job("a", throttlable=True), job("b", deferrable=True)]
    bounds = terms(9, 9, 9, cap_share=0.5)
    records = [
        draft(order(promise, ShiftVerb.COMMIT), ShiftState.RAMPING, promise, jobs, bounds)
        for promise in offered(jobs, bounds)
    ]
    assert [(record.kind, record.share) for record in records] == [("cap", 0.5), ("pause", None)]


def test_a_job_that_died_is_not_taken() -> None:
    jobs, promise = pausing()
    with pytest.raises(MisuseError, match="a changed since"):
        draft(order(promise, ShiftVerb.COMMIT), ShiftState.RAMPING, promise, jobs[1:], terms(9, 9, 9))


def test_a_slot_that_is_gone_is_not_taken() -> None:
    jobs = [job("a", movable=True)]
    promise = offered(jobs, terms(1, 1, 0))[0]
    visitor = job("v", 1)
    with pytest.raises(MisuseError, match="tokyo2 has 0 free slots, 1 are needed"):
        draft(
            order(promise, ShiftVerb.COMMIT),
            ShiftState.RAMPING,
            promise,
            [*jobs, visitor],
            terms(1, 1, 0),
        )


def test_a_step_beyond_the_offer_is_refused() -> None:
    jobs, promise = pausing()
    for step in (-1, 3):
        with pytest.raises(MisuseError, match="steps 0 to 2"):
            draft(
                order(promise, ShiftVerb.COMMIT, step=step),
                ShiftState.RAMPING,
                promise,
                jobs,
                terms(9, 9, 9),
            )


def test_commit_may_call_less_than_was_prepared_but_not_more_or_another() -> None:
    jobs, promise = pausing()
    prepared = draft(
        order(promise, ShiftVerb.PREPARE, step=1), ShiftState.PREPARED, promise, jobs, terms(9, 9, 9)
    )
    assert not prepared.begun
    less = committed(prepared, order(promise, ShiftVerb.COMMIT, step=0))
    assert [part.job for part in less.parts] == ["a"]
    assert less.begun
    with pytest.raises(MisuseError, match="step 2 was not prepared"):
        committed(prepared, order(promise, ShiftVerb.COMMIT, step=2))
    with pytest.raises(MisuseError, match="was prepared for offer"):
        committed(prepared, replace(order(promise, ShiftVerb.COMMIT), offer=OfferId("other")))
