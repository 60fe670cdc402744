"""The engine: durable before effect, one boundary for what cannot be digested, recovery by folding the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.unit.fleets import SITES, fleet, instruction
from vpp_gateway.clock import LoopClock
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.domain.command import Command
from vpp_gateway.domain.fact import FACT_TYPES, Fact, Instructed, Started, Tick
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.plan import Problem
from vpp_gateway.domain.reading import Snapshot
from vpp_gateway.engine import Engine
from vpp_gateway.gateway import Gateway
from vpp_gateway.journal.records import Dated, FactCodec
from vpp_gateway.journal.reserve import JournalFull
from vpp_gateway.journal.store import Journal
from vpp_gateway.link.messages import Readings, ScheduleOrder, ShiftCommand
from vpp_gateway.sim.link_plant import LinkPlant

ORIGIN = 1_790_000_000.0


@dataclass
class Link:
    """The centre's end of a link; keeps what is sent and what was durable then."""

    journal: Journal
    sent: list[tuple[SiteId, ScheduleOrder | ShiftCommand, int]] = field(default_factory=list)

    def send(self, site: SiteId, message: ScheduleOrder | ShiftCommand) -> bool:
        self.sent.append((site, message, self.journal.head[0]))
        return True

    async def run(self) -> None:
        await asyncio.Event().wait()


class Solver:
    def submit(self, problem: Problem) -> None:
        raise AssertionError("nothing to solve without levers")

    async def run(self) -> None:
        await asyncio.Event().wait()


class Full(Journal):
    """A journal on a disk that fills up when told."""

    full = False

    def append(self, facts: Sequence[Dated], *, durable: bool = True) -> None:
        if self.full and not self.degraded:
            raise JournalFull("journal: no room on the disk")
        super().append(facts, durable=durable)


def engine_on(journal: Journal, folds: list[Fact] | None = None) -> tuple[Engine, Link]:
    clock = LoopClock(asyncio.get_running_loop(), ORIGIN)
    seen: list[Command] = []
    engine = Engine(
        gateway=Gateway(fleet(), Policy(), {}),
        journal=journal,
        telemetry=None,
        clock=clock,
        version="test",
        on_fact=lambda fact: folds.append(fact) if folds is not None else None,  # type: ignore[arg-type]
        on_command=seen.append,
    )
    link = Link(journal)
    engine.connect(rooms={}, link=link, solver=Solver())
    return engine, link


def start(engine: Engine) -> None:
    """Take over, and every site is there with its first reading."""
    engine.start()
    now = engine.clock.utc()
    plant = LinkPlant(fleet(), seed=1, load_w=400_000.0)
    for site in SITES:
        engine.linked(site, True)
        engine.from_site(site, Readings(reading=plant.sites[site].reading(now)))
    engine.tick()


def open_journal(folder: Path, kind: type[Journal] = Journal) -> Journal:
    return kind.open(folder / "journal.db", FactCodec(FACT_TYPES))


def test_a_schedule_leaves_only_after_its_instruction_is_durable(tmp_path: Path) -> None:
    async def main() -> None:
        with open_journal(tmp_path) as journal:
            engine, link = engine_on(journal)
            start(engine)
            link.sent.clear()
            now = engine.clock.utc()
            engine.take([Instructed(at=now, instruction=instruction(start_at=now + 1, received_at=now))])
            kinds = {record.seq: record.kind for record in journal.records()}
            ordered = [(site, seq) for site, _, seq in link.sent]
            assert [site for site, _ in ordered] == list(SITES)
            assert all(kinds[seq] == "Instructed" for _, seq in ordered)

    asyncio.run(main())


def test_a_fact_that_cannot_be_folded_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        with open_journal(tmp_path) as journal:
            engine, link = engine_on(journal)
            start(engine)
            link.sent.clear()
            now = engine.clock.utc()
            hollow = instruction("EV-0", start_at=now + 1, received_at=now)
            object.__setattr__(hollow, "phases", ())
            engine.take(
                [
                    Instructed(at=now, instruction=hollow),
                    Instructed(at=now, instruction=instruction(start_at=now + 1, received_at=now)),
                ]
            )
            assert "Instructed" in engine.trouble["engine"]
            assert len(link.sent) == 3

    asyncio.run(main())


def test_a_full_disk_does_not_lose_the_event(tmp_path: Path) -> None:
    async def main() -> None:
        with open_journal(tmp_path, Full) as journal:
            engine, link = engine_on(journal)
            start(engine)
            link.sent.clear()
            Full.full = True
            now = engine.clock.utc()
            engine.take([Instructed(at=now, instruction=instruction(start_at=now + 1, received_at=now))])
            Full.full = False
            assert "no room" in engine.trouble["journal"]
            assert len(link.sent) == 3

    asyncio.run(main())


def test_recovery_rebuilds_what_was_and_raises_the_epoch(tmp_path: Path) -> None:
    plant = LinkPlant(fleet(), seed=1, load_w=400_000.0)

    async def first() -> float:
        with open_journal(tmp_path) as journal:
            engine, _ = engine_on(journal)
            engine.start()
            now = engine.clock.utc()
            for second in range(5):
                engine.take([Tick(at=now + second, snapshot=plant.second(now + second))])
            engine.take(
                [Instructed(at=now + 5, instruction=instruction(start_at=now + 6, received_at=now + 5))]
            )
            for second in range(6, 30):
                engine.take([Tick(at=now + second, snapshot=plant.second(now + second))])
            return now

    async def second(now: float) -> None:
        with open_journal(tmp_path) as journal:
            engine, link = engine_on(journal)
            engine.recover()
            gateway = engine.gateway
            assert gateway.epoch == 1
            row = gateway.timeline.at(now + 29)[0]
            assert row.instruction.event_id == "EV-1"
            assert gateway.battery.asked_w(row) == 90_000.0
            engine.start()
            assert gateway.epoch == 2
            for site in SITES:
                engine.linked(site, True)
                engine.from_site(site, Readings(reading=plant.sites[site].reading(now + 30)))
            engine.take([Tick(at=now + 30, snapshot=plant.second(now + 30))])
            assert {site for site, _, _ in link.sent} == set(SITES)
            assert all(m.schedule.epoch == 2 for _, m, _ in link.sent if isinstance(m, ScheduleOrder))

    now = asyncio.run(first())
    asyncio.run(second(now))


def test_started_is_the_first_fact_of_a_life(tmp_path: Path) -> None:
    async def main() -> None:
        folds: list[Fact] = []
        with open_journal(tmp_path) as journal:
            engine, _ = engine_on(journal, folds)
            engine.start()
            engine.take([Tick(at=engine.clock.utc(), snapshot=Snapshot(at=0.0, sites=()))])
        assert [type(fact) for fact in folds] == [Started, Tick]

    asyncio.run(main())
