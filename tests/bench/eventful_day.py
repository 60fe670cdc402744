"""Program: an eventful day through the real gateway, and the same facts once more. `python -m tests.bench.eventful_day SEED [SECONDS]`

first pass   engine, journal on disk, plant at the link: every fact with the commands it gave goes into a digest
replay       facts from the journal, each decoded beforehand -> gateway.step of a fresh gateway, timed
decode       the same from the closed and reopened journal: hash chain checked, decoded, folded, timed as one

Answers with one line of JSON. A day cut short has the beginning of the same day.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.bench.children import pin
from tests.bench.plant_house import LEVER, PlantHouse, new_gateway, open_journal
from tests.unit.fleets import SITES, fleet, instruction
from vpp_gateway.clock import SeededRng, SystemClock
from vpp_gateway.domain.command import Command
from vpp_gateway.domain.fact import Fact, Lost, Tick, Withdrawn
from vpp_gateway.domain.instruction import Delta, Instruction, SiteId
from vpp_gateway.domain.order import Leg, Offer, OfferId
from vpp_gateway.gateway import Gateway
from vpp_gateway.journal.replay import replay
from vpp_gateway.journal.store import Journal
from vpp_gateway.link.messages import LostReport

ORIGIN = 1_790_000_000.0
DAY_S = 86_400
EVENTS = 20
SLOT_S = DAY_S / EVENTS
LOAD_W, NOISE_W = 400_000.0, 300.0
OBEYED_EVERY_S = 20.0
CHUNK = 2_000
Deed = Callable[[PlantHouse], None]


def fold_digest(digest: Any, fact: Any, commands: Sequence[Command]) -> None:
    """Enter one fact and what followed from it."""
    digest.update(f"{type(fact).__name__} {fact.at!r} {list(commands)!r}\n".encode())


# --- what happens on this day ------------------------------------------------------------------------------------


def deeds(seed: int) -> dict[int, list[Deed]]:
    """What is done to the house, by second of the day."""
    rng = SeededRng(seed)
    plan: dict[int, list[Deed]] = {60: [lambda house: house.offer(*pauses())]}

    def do(second: float, deed: Deed) -> None:
        plan.setdefault(int(second), []).append(deed)

    for n in range(EVENTS):
        start = n * SLOT_S + rng.uniform(600.0, 1200.0)
        length = rng.uniform(600.0, 1500.0)
        sign = 1.0 if n % 2 == 0 else -1.0
        event = instruction(
            f"EV-{n}",
            demand=Delta(regulation_w=sign * rng.uniform(60_000.0, 220_000.0)),
            start_at=ORIGIN + float(int(start)),
            duration_s=float(int(length)),
            received_at=ORIGIN + start - 120.0,
        )
        do(start - 120.0, _instruct(event))
        if n % 4 == 1:
            do(start + 200.0, _instruct(_modified(event, rng.uniform(0.6, 0.9))))
        if n % 7 == 3:
            do(start + 300.0, _withdraw(event))
        if n % 3 == 2:
            _lose_site(do, SITES[n % 3], start + 150.0, rng.uniform(10.0, 40.0))
        if n % 5 == 4:
            _lose_battery(do, SITES[n % 3], start + 250.0, rng.uniform(30.0, 90.0))
        if n in (6, 12):  # moves couple two sites: these hours ask the solver
            do(start - 300.0, lambda house: house.offer(*pauses(), move()))
            do(start + length + 300.0, lambda house: house.offer(*pauses()))
    return plan


def pauses() -> tuple[Offer, ...]:
    """One offer per site: hold work back."""
    return tuple(_offer("pause", (site, -30_000.0)) for site in SITES)


def move() -> Offer:
    """Work from the first site to the last."""
    return _offer("move", (SITES[0], -40_000.0), (SITES[-1], 40_000.0))


def _offer(kind: str, *legs: tuple[SiteId, float]) -> Offer:
    return Offer(
        id=OfferId(f"{kind}:{'>'.join(site for site, _ in legs)}"),
        plugin=LEVER,
        kind=kind,
        legs=tuple(Leg(site=site, import_delta_w=w, latency_s=2.0) for site, w in legs),
        steps=(0.25, 0.5, 0.75, 1.0),
        valid_until=ORIGIN + 2 * DAY_S,
        sustain_s=7200.0,
    )


def _instruct(event: Instruction) -> Deed:
    return lambda house: house.instruct(event)


def _modified(event: Instruction, share: float) -> Instruction:
    phase = event.phases[0]
    assert isinstance(phase.demand, Delta)
    demand = Delta(regulation_w=phase.demand.regulation_w * share)
    return replace(event, modification=1, phases=(replace(phase, demand=demand),))


def _withdraw(event: Instruction) -> Deed:
    def deed(house: PlantHouse) -> None:
        fact = Withdrawn(at=house.clock.now, instruction=event.id, modification=9, cause="cancelled")
        house.engine.take([fact])

    return deed


def _lose_site(do: Callable[[float, Deed], None], site: SiteId, at: float, seconds: float) -> None:
    def gone(house: PlantHouse) -> None:
        house.plant.sites[site].lost = True
        house.engine.linked(site, False, "the site agent closed the link")

    def back(house: PlantHouse) -> None:
        house.plant.sites[site].lost = False
        house.engine.linked(site, True)

    do(at, gone)
    do(at + seconds, back)


def _lose_battery(do: Callable[[float, Deed], None], site: SiteId, at: float, seconds: float) -> None:
    def gone(house: PlantHouse) -> None:
        battery = next(iter(house.plant.sites[site].batteries.values()))
        battery.dead = True
        fact = Lost(
            at=house.clock.now, site=site, device=battery.battery.id, epoch=1, seq=0, reason="no answer"
        )
        house.say(site, LostReport(fact=fact))

    def back(house: PlantHouse) -> None:
        next(iter(house.plant.sites[site].batteries.values())).dead = False

    do(at, gone)
    do(at + seconds, back)


# --- the passes --------------------------------------------------------------------------------------------------


def first_pass(folder: Path, seed: int, seconds: int) -> dict[str, object]:
    """Live the day; the journal stays in `folder`."""
    digest, kinds = hashlib.sha256(), Counter[str]()
    fact_now: list[object] = []
    commands: list[Command] = []

    def close() -> None:
        for fact in fact_now:
            fold_digest(digest, fact, commands)
        fact_now.clear()
        commands.clear()

    def on_fact(fact: Any) -> None:
        close()
        fact_now.append(fact)
        kinds[type(fact).__name__] += 1

    plan = deeds(seed)
    with open_journal(folder) as journal:
        house = PlantHouse(
            journal,
            fleet(),
            start_at=ORIGIN,
            seed=seed,
            load_w=LOAD_W,
            noise_w=NOISE_W,
            obeyed_every_s=OBEYED_EVERY_S,
            on_fact=on_fact,
            on_command=commands.append,
        )
        for second in range(seconds):
            for deed in plan.get(second, ()):
                deed(house)
            house.second()
        close()
        records = list(house.gateway.account.records())
        trouble = "; ".join(house.engine.trouble.values())
    return {
        "digest": digest.hexdigest(),
        "kinds": dict(sorted(kinds.items())),
        "states": dict(Counter(record.state for record in records)),
        "trouble": trouble,
    }


def replay_folded(journal: Journal) -> tuple[str, float, int]:
    """(digest, seconds inside gateway.step, facts) of a fresh gateway; decoding is outside the clock."""
    gateway, digest, folded_s, count = new_gateway(fleet()), hashlib.sha256(), 0.0, 0
    for facts in _chunks(journal):
        began = time.perf_counter()
        answers = [gateway.step(fact, fact.at) for fact in facts]
        folded_s += time.perf_counter() - began
        count += len(facts)
        for fact, commands in zip(facts, answers, strict=True):
            fold_digest(digest, fact, commands)
    return digest.hexdigest(), folded_s, count


def _chunks(journal: Journal) -> Iterator[list[Fact]]:
    entries = journal.entries()
    while chunk := [journal.decode(entry) for entry in islice(entries, CHUNK)]:
        yield chunk  # type: ignore[misc]  # this journal holds domain facts alone


def replay_decoded(journal: Journal) -> float:
    """Seconds to check, decode and fold the whole journal."""
    gateway: Gateway = new_gateway(fleet())
    return replay(journal, lambda fact: gateway.step(fact, fact.at), clock=SystemClock()).seconds  # type: ignore[arg-type, func-returns-value]


def play(folder: Path, seed: int, seconds: int) -> dict[str, object]:
    """All passes; the two replays interleaved, three times each."""
    began = time.perf_counter()
    first = first_pass(folder, seed, seconds)
    first_s = time.perf_counter() - began
    folded: list[float] = []
    decoded: list[float] = []
    digests: set[str] = set()
    count = 0
    with open_journal(folder) as journal:
        size = journal.path.stat().st_size
        for _ in range(3):
            digest, took_s, count = replay_folded(journal)
            digests.add(digest)
            folded.append(took_s)
            decoded.append(replay_decoded(journal))
    kinds = first["kinds"]
    assert isinstance(kinds, dict)
    return {
        **first,
        "virtual_s": seconds,
        "first_s": first_s,
        "folded_s": folded,
        "decoded_s": decoded,
        "facts": count,
        "others": count - kinds[Tick.__name__],
        "journal_bytes": size,
        "same": digests == {first["digest"]},
    }


def main(arguments: list[str]) -> None:
    """Command line."""
    seed = int(arguments[0])
    seconds = int(arguments[1]) if len(arguments) > 1 else DAY_S
    pin()
    with TemporaryDirectory() as folder:
        print(json.dumps(play(Path(folder), seed, seconds)))


if __name__ == "__main__":
    main(sys.argv[1:])
