"""The real host and the real lever over in-memory work, in virtual time: an afternoon of orders in a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.wire.plugin_bench import Bench, running
from vpp_gateway.clock import LoopClock
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.order import Offer, PluginName, ShiftState, ShiftVerb
from vpp_gateway.sim.loop import run
from vpp_gateway.sim.memory_work import MemoryWork, memory_lever
from vpp_gateway.southbound.workload.levers import Job, JobId, JobState
from vpp_gateway.southbound.workload.memory import memory_factory
from vpp_gateway.southbound.workload.spec import PluginSpec, Timing

TOKYO, KANAGAWA = SiteId("tokyo1"), SiteId("kanagawa")
COMMIT, PREPARE, ROLLBACK = ShiftVerb.COMMIT, ShiftVerb.PREPARE, ShiftVerb.ROLLBACK
ACTIVE, RETURNED, FAILED = ShiftState.ACTIVE, ShiftState.RETURNED, ShiftState.FAILED
ORIGIN = 1_790_000_000.0
BASE_W = 1_000_000.0


def job(name: str, site: SiteId, state: JobState = JobState.RUNNING, *, movable: bool = False) -> Job:
    return Job(
        id=JobId(name),
        site=site,
        declared_w=100_000.0,
        state=state,
        movable=movable,
        deferrable=not movable,
        throttlable=True,
    )


JOBS = (
    job("fixed", TOKYO),
    job("roamer", TOKYO, movable=True),
    job("nightly", TOKYO, JobState.QUEUED),
    job("other", KANAGAWA),
)


class Afternoon:
    """A house of two sites in virtual time."""

    def __init__(self, valid_s: float = 300.0, cap_share: float | None = None) -> None:
        self.clock = LoopClock(asyncio.get_running_loop(), ORIGIN)
        self.work = MemoryWork(JOBS, self.clock)
        self.bench = Bench(
            PluginSpec(name=PluginName("lever"), entry_point="memory", sites=(TOKYO, KANAGAWA)), self.clock
        )
        plugin = memory_lever(self.work, {TOKYO: 4, KANAGAWA: 4}, valid_s=valid_s, cap_share=cap_share)
        self.bench.furnish(memory_factory(plugin, self.clock), Timing())

    def import_w(self, site: SiteId) -> float:
        return self.work.load(site, BASE_W).import_w(self.clock.utc())

    async def offer(self, kind: str, site: SiteId = TOKYO) -> Offer:
        def standing() -> list[Offer]:
            newest = self.bench.offered[-1].offers if self.bench.offered else ()
            return [offer for offer in newest if offer.kind == kind and offer.legs[0].site == site]

        await self.bench.until(lambda: standing() != [])
        return standing()[0]


def afternoon(
    act: Callable[[Afternoon], Awaitable[None]], valid_s: float = 300.0, cap_share: float | None = None
) -> Afternoon:
    houses: list[Afternoon] = []

    async def main() -> None:
        house = Afternoon(valid_s, cap_share)
        houses.append(house)
        async with running(house.bench):
            await house.bench.ready()
            await act(house)

    run(main)
    return houses[0]


def test_a_move_takes_power_from_one_site_to_the_other_and_back() -> None:
    async def act(house: Afternoon) -> None:
        offer = await house.offer("move")
        assert (house.import_w(TOKYO), house.import_w(KANAGAWA)) == (1_200_000.0, 1_100_000.0)
        house.bench.give("m1", COMMIT, offer.id)
        await house.bench.state("m1", ACTIVE)
        await asyncio.sleep(1.0)
        assert (house.import_w(TOKYO), house.import_w(KANAGAWA)) == (1_100_000.0, 1_200_000.0)
        house.bench.give("m1", ROLLBACK, offer.id)
        await house.bench.state("m1", RETURNED)
        await asyncio.sleep(1.0)
        assert (house.import_w(TOKYO), house.import_w(KANAGAWA)) == (1_200_000.0, 1_100_000.0)
        assert house.work.downtimes_s == pytest.approx([0.1, 0.1])

    afternoon(act)


def test_power_follows_on_a_ramp() -> None:
    async def act(house: Afternoon) -> None:
        offer = await house.offer("pause")
        house.bench.give("p1", COMMIT, offer.id)
        fact = await house.bench.state("p1", ACTIVE)
        at = fact.at
        halfway = house.work.import_w(TOKYO, at + 0.1)
        assert 100_000.0 < halfway < 200_000.0
        assert house.work.import_w(TOKYO, at + 0.2) == pytest.approx(100_000.0)

    afternoon(act)


def test_a_cap_takes_a_share_and_gives_it_back() -> None:
    async def act(house: Afternoon) -> None:
        offer = await house.offer("cap")
        assert offer.legs[0].import_delta_w == pytest.approx(-60_000.0)
        house.bench.give("c1", COMMIT, offer.id)
        await house.bench.state("c1", ACTIVE)
        await asyncio.sleep(1.0)
        assert house.import_w(TOKYO) == pytest.approx(1_140_000.0)
        assert house.work.running()[JobId("fixed")] == TOKYO
        house.bench.host.release()  # the next life holds what the last one ordered
        await house.bench.until(lambda: house.bench.host.status().restarts == 1)
        await house.bench.ready()
        await asyncio.sleep(1.0)
        assert house.import_w(TOKYO) == pytest.approx(1_140_000.0)
        house.bench.give("c1", ROLLBACK, offer.id)
        await house.bench.state("c1", RETURNED)
        await asyncio.sleep(1.0)
        assert house.import_w(TOKYO) == pytest.approx(1_200_000.0)

    afternoon(act, cap_share=0.4)


def test_a_cap_that_could_not_be_given_back_is_lifted_by_the_next_life() -> None:
    async def act(house: Afternoon) -> None:
        offer = await house.offer("cap")
        house.bench.give("c1", COMMIT, offer.id)
        await house.bench.state("c1", ACTIVE)
        house.work.stubborn.add(JobId("fixed"))
        house.bench.give("c1", ROLLBACK, offer.id)
        assert "not given back" in (await house.bench.state("c1", FAILED, within_s=60.0)).reason
        await asyncio.sleep(1.0)
        standing = [o.kind for o in house.bench.offered[-1].offers if o.legs[0].site == TOKYO]
        assert "cap" not in standing
        house.work.stubborn.clear()
        house.bench.host.release()
        await house.bench.until(lambda: house.bench.host.status().restarts == 1)
        await house.offer("cap")
        await asyncio.sleep(1.0)
        assert house.import_w(TOKYO) == pytest.approx(1_200_000.0)

    afternoon(act, cap_share=0.4)


def test_a_cap_that_slips_for_a_moment_stands_and_one_that_slips_for_long_fails_its_order() -> None:
    async def act(house: Afternoon) -> None:
        offer = await house.offer("cap")
        house.bench.give("c1", COMMIT, offer.id)
        await house.bench.state("c1", ACTIVE)
        house.work.slipping.add(JobId("fixed"))
        await asyncio.sleep(1.2)
        house.work.slipping.clear()
        await asyncio.sleep(5.0)
        assert house.bench.states("c1")[-1] is ACTIVE
        house.work.slipping.add(JobId("fixed"))
        fact = await house.bench.state("c1", FAILED, within_s=5.0)
        assert fact.reason == "no longer throttled: job fixed slips"
        assert house.bench.states("c1")[-2:] == [ShiftState.RETURNING, FAILED]
        await asyncio.sleep(1.0)
        assert house.import_w(TOKYO) == pytest.approx(1_200_000.0), "nothing of it remains"

    afternoon(act, cap_share=0.4)


def test_absorb_starts_the_queued_job() -> None:
    async def act(house: Afternoon) -> None:
        offer = await house.offer("absorb")
        assert offer.legs[0].import_delta_w == 100_000.0
        house.bench.give("a1", COMMIT, offer.id)
        await house.bench.state("a1", ACTIVE)
        assert house.work.running()[JobId("nightly")] == TOKYO
        house.bench.give("a1", ROLLBACK, offer.id)
        await house.bench.state("a1", RETURNED)
        assert JobId("nightly") not in house.work.running()

    afternoon(act)


def test_offers_are_renewed_before_they_expire() -> None:
    async def act(house: Afternoon) -> None:
        await house.offer("move")
        first = {offer.id for offer in house.bench.offered[-1].offers}
        await asyncio.sleep(3600.0)
        assert all(fact.offers for fact in house.bench.offered)
        assert not first & {offer.id for offer in house.bench.offered[-1].offers}
        assert min(o.valid_until for o in house.bench.offered[-1].offers) > house.clock.utc()

    afternoon(act, valid_s=60.0)


def test_a_job_that_refuses_fails_the_order_and_nothing_of_it_remains() -> None:
    async def act(house: Afternoon) -> None:
        house.work.stubborn.add(JobId("roamer"))
        offer = await house.offer("move")
        house.bench.give("m1", COMMIT, offer.id)
        fact = await house.bench.state("m1", FAILED, within_s=60.0)
        assert "job roamer refuses" in fact.reason
        assert house.work.running()[JobId("roamer")] == TOKYO

    afternoon(act)


def test_a_rollback_during_the_ramp_waits_for_its_end_and_undoes_it() -> None:
    async def act(house: Afternoon) -> None:
        offer = await house.offer("move")
        house.bench.give("m1", COMMIT, offer.id)
        await asyncio.sleep(0.01)
        house.bench.give("m1", ROLLBACK, offer.id)
        await house.bench.state("m1", RETURNED)
        assert ACTIVE not in house.bench.states("m1")
        assert house.work.running()[JobId("roamer")] == TOKYO

    afternoon(act)


def test_a_job_that_dies_leaves_the_offers() -> None:
    async def act(house: Afternoon) -> None:
        await house.offer("pause")
        house.work.kill(JobId("fixed"))
        await house.bench.until(
            lambda: (
                not any(o.kind == "pause" and o.legs[0].site == TOKYO for o in house.bench.offered[-1].offers)
            )
        )

    afternoon(act)


def test_a_life_cut_off_in_a_move_is_finished_by_the_next() -> None:
    async def act(house: Afternoon) -> None:
        offer = await house.offer("move")
        house.bench.give("m1", COMMIT, offer.id)
        await asyncio.sleep(0.08)  # gone at the source, not yet at the destination
        assert JobId("roamer") not in house.work.running()
        house.bench.host.release()  # ends this life, whatever it does
        await house.bench.state("m1", ACTIVE)
        assert house.bench.host.status().restarts == 1
        assert house.work.running()[JobId("roamer")] == KANAGAWA

    afternoon(act)
