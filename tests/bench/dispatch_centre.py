"""Program: the engine orders, one site agent carries out. `python -m tests.bench.dispatch_centre BATTERIES ROUNDS ARMINGS`

    engine.take([Instructed]) -> journal, durable -> gateway.step -> Arrange -> Unix socket -> agent -> one FC16 write
    to each battery -> acknowledged -> read back -> Obeyed -> Unix socket -> engine

Rounds are played in turn with those of the raw client, each at a random moment of the second. Answers with one line
of JSON, times in s.
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.dispatch_world import POWER_W, SITE, World, open_world
from tests.unit.fleets import instruction
from vpp_gateway.clock import SeededRng, SystemClock
from vpp_gateway.compose_centre import journal_types, policy_of
from vpp_gateway.domain.command import Arrange, Command
from vpp_gateway.domain.fact import Instructed, Obeyed, Tick, Withdrawn
from vpp_gateway.domain.instruction import Delta, DeviceId, InstructionId, SiteId
from vpp_gateway.domain.plan import Problem
from vpp_gateway.domain.reading import BatteryReading, Health
from vpp_gateway.engine import Engine
from vpp_gateway.gateway import Gateway
from vpp_gateway.journal.records import FactCodec
from vpp_gateway.journal.store import Journal
from vpp_gateway.link.unix import SOCKET_NAME, LinkCentre
from vpp_gateway.settings import fleet

ROUND_S = 8.0
"""A round that is not over by then is a failure."""
EVENT_S = 3600.0


class NoSolver:
    """Without levers nobody asks."""

    def submit(self, problem: Problem) -> None:
        raise AssertionError(f"problem {problem.id} was asked")

    async def run(self) -> None:
        await asyncio.Event().wait()


@dataclass(slots=True)
class Round:
    """One order: what was acknowledged when."""

    seq: int
    """Of the schedule that carries it."""
    missing: set[DeviceId]
    acknowledged: list[float] = field(default_factory=list)
    confirmed: list[float] = field(default_factory=list)
    overtaken: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Centre:
    """The engine and its order of the moment."""

    def __init__(self, world: World, journal: Journal, clock: SystemClock) -> None:
        self.world, self.clock = world, clock
        self.gateway = Gateway(fleet(world.settings), policy_of(world.settings), {})
        self.engine = Engine(
            gateway=self.gateway,
            journal=journal,
            telemetry=None,
            clock=clock,
            version="bench",
            on_fact=self._heard,
            on_command=self._ordered,
        )
        link = LinkCentre(
            path=world.settings.gateway.state_dir / SOCKET_NAME,
            secret=world.secret,
            sites=(SiteId(SITE),),
            clock=clock,
            epoch=lambda: self.gateway.epoch,
            on_message=self.engine.from_site,
            on_linked=self.engine.linked,
        )
        self.engine.connect(rooms={}, link=link, solver=NoSolver())
        self.way_up_s = float("inf")
        """Smallest time from a read-back to its report's arrival here, by both clocks."""
        self.corrections = 0
        self.held_w: dict[str, float] = {}
        """discharge_w that each battery has confirmed last: what it was told, cut to its resolution."""
        self.refusing: set[DeviceId] = set()
        """Batteries that did not take an order, or did not keep it."""
        self._round: Round | None = None
        self._seq = 0
        self._modification = 0

    def _ordered(self, command: Command) -> None:
        if isinstance(command, Arrange):
            self._seq = command.schedule.seq
            self.corrections += 1

    def _heard(self, fact: object) -> None:
        if isinstance(fact, Tick):
            rows = (row for site in fact.snapshot.sites for row in site.health)
            self.refusing.update(row.device for row in rows if row.health is Health.REFUSING)
        if not isinstance(fact, Obeyed):
            return
        round = self._round
        self.way_up_s = min(self.way_up_s, self.clock.utc() - fact.confirmed_at)
        self.held_w[fact.device] = fact.discharge_w
        if round is None or fact.seq < round.seq or fact.device not in round.missing:
            return
        round.missing.discard(fact.device)
        round.overtaken += fact.seq > round.seq
        round.acknowledged.append(fact.acknowledged_at)
        round.confirmed.append(fact.confirmed_at)
        if not round.missing:
            round.done.set()

    async def ready(self) -> None:
        """Wait until every battery can be used."""
        async with asyncio.timeout(90.0):
            while len(self.gateway.sites[SiteId(SITE)].usable) < len(self.world.batteries):  # noqa: ASYNC110
                await asyncio.sleep(0.2)

    async def order(self, regulation_w: float, name: str) -> tuple[float, float]:
        """One instruction in force from now on; (last acknowledgement, last read-back), s after it was given."""
        now = self.clock.utc()
        self._modification += 1
        event = instruction(
            name,
            demand=Delta(regulation_w=regulation_w),
            start_at=now if name != "standing" else self._standing_at(now),
            duration_s=EVENT_S,
            modification=self._modification,
            received_at=now,
        )
        self._round = None
        began = self.clock.utc()
        self.engine.take([Instructed(at=began, instruction=event)])
        round = self._round = Round(seq=self._seq, missing={DeviceId(id) for id in self.world.batteries})
        async with asyncio.timeout(ROUND_S):
            await round.done.wait()
        self._round = None
        return max(round.acknowledged) - began, max(round.confirmed) - began

    def _standing_at(self, now: float) -> float:
        known = self.gateway.instruction(InstructionId("tso/standing"))
        return now if known is None else known.start_at

    async def release(self, name: str) -> None:
        """Take the instruction back and wait until no battery holds a setpoint."""
        now = self.clock.utc()
        fact = Withdrawn(at=now, instruction=InstructionId(f"tso/{name}"), modification=99, cause="cancelled")
        self.engine.take([fact])
        async with asyncio.timeout(20.0):
            while any(b.armed or b.setpoint_w is not None for b in self._readings()):  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    def _readings(self) -> tuple[BatteryReading, ...]:
        reading = self.gateway.sites[SiteId(SITE)].reading
        return () if reading is None else reading.batteries


async def raw_round(centre: Centre, address: int) -> float:
    """The raw client writes what each battery holds already; s to its last reply.

    Any other value would make the agent think that somebody else has taken the battery over, and win it back.
    """
    registers = [list(words(centre.held_w[id])) for id in centre.world.batteries]
    answer = await centre.world.raw.ask({"address": address, "registers": registers}, "acknowledged_s")
    assert answer["refused"] == 0, f"{answer['refused']} writes were refused"
    return float(answer["acknowledged_s"])


def words(w: float) -> tuple[int, int]:
    """704.WSet: a signed 32-bit number of whole watts in two registers."""
    assert w == int(w), f"{w} W was not confirmed by a battery of whole watts"
    high, low = struct.unpack(">HH", struct.pack(">i", int(w)))
    return high, low


async def last_write(centre: Centre) -> tuple[int, tuple[int, ...]]:
    """(address, registers) of the last setpoint that the first battery was told, from its own log."""
    id = centre.world.batteries[0]
    log = (await centre.world.field_of(id).ask({"cmd": "log", "device": id}))["log"]
    entry = next(row for row in reversed(log) if len(row["values"]) == 2)
    return int(entry["address"]), tuple(entry["values"])


async def play(folder: Path, batteries: int, rounds: int, armings: int) -> dict[str, object]:
    """All rounds."""
    rng, clock = SeededRng(batteries), SystemClock()
    async with open_world(folder, batteries) as world:
        state = world.settings.gateway.state_dir
        with Journal.open(state / "journal.db", FactCodec(journal_types(()))) as journal:
            centre = Centre(world, journal, clock)
            centre.engine.start()
            async with asyncio.TaskGroup() as group:
                engine = group.create_task(centre.engine.run())
                try:
                    return await measure(centre, rng, rounds, armings)
                finally:
                    engine.cancel()


async def measure(centre: Centre, rng: SeededRng, rounds: int, armings: int) -> dict[str, object]:
    """Armings first, then orders to armed batteries in turn with the raw client."""
    total_w = POWER_W * len(centre.world.batteries)
    await centre.ready()
    await asyncio.sleep(3.0)
    arming = []
    for n in range(armings):
        await asyncio.sleep(rng.uniform(0.0, 1.0))
        arming.append((await centre.order(total_w * rng.uniform(0.2, 0.8), f"arm-{n}"))[0])
        await centre.release(f"arm-{n}")
    await centre.order(0.5 * total_w, "standing")
    await centre.order(0.4123457 * total_w, "standing")
    address, written = await last_write(centre)
    assert written == words(centre.held_w[centre.world.batteries[0]]), f"read {written}"
    ours: list[float] = []
    readback: list[float] = []
    raw: list[float] = []
    corrections = centre.corrections
    share = 0.4
    for _ in range(rounds):
        share = 0.2 + (share - 0.2 + rng.uniform(0.1, 0.5)) % 0.6
        await asyncio.sleep(rng.uniform(0.3, 1.3))
        acknowledged_s, confirmed_s = await centre.order(share * total_w, "standing")
        ours.append(acknowledged_s)
        readback.append(confirmed_s)
        await asyncio.sleep(rng.uniform(0.3, 1.3))
        raw.append(await raw_round(centre, address))
    return {
        "ours_s": ours,
        "readback_s": readback,
        "raw_s": raw,
        "arming_s": arming,
        "clock_s": centre.way_up_s,
        "corrections": centre.corrections - corrections - rounds,
        "processes": len(centre.world.fields),
        "refusing": sorted(centre.refusing),
        "trouble": "; ".join(centre.engine.trouble.values()),
    }


def main(arguments: list[str]) -> None:
    """Command line."""
    batteries, rounds, armings = map(int, arguments)
    with TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(play(Path(folder), batteries, rounds, armings))))


if __name__ == "__main__":
    main(sys.argv[1:])
