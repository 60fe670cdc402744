"""Program: hours of three sites with a plant model at the link. `python -m tests.bench.link_hours HOURS SEED`

Answers with one line of JSON; two events an hour.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.children import pin
from tests.bench.plant_house import PlantHouse, open_journal
from tests.unit.fleets import fleet, instruction
from vpp_gateway.domain.instruction import Delta

ORIGIN = 1_790_000_000.0
LOAD_W, NOISE_W = 400_000.0, 2_000.0
EVENTS = ((600.0, 120_000.0), (2400.0, -90_000.0))
"""(seconds into the hour, regulation W); each lasts EVENT_S."""
EVENT_S = 900.0
ANNOUNCED_S = 120.0


def play(folder: Path, hours: float, seed: int) -> dict[str, object]:
    """Run and measure."""
    kinds: Counter[str] = Counter()
    commands: Counter[str] = Counter()
    with open_journal(folder) as journal:
        house = PlantHouse(
            journal,
            fleet(),
            start_at=ORIGIN,
            seed=seed,
            load_w=LOAD_W,
            noise_w=NOISE_W,
            on_fact=lambda fact: kinds.update([type(fact).__name__]),
            on_command=lambda command: commands.update([type(command).__name__]),
        )
        calls = {
            int(hour * 3600 + offset - ANNOUNCED_S): (f"EV-{hour}-{offset:.0f}", hour * 3600 + offset, w)
            for hour in range(max(1, int(hours)))
            for offset, w in EVENTS
        }
        seconds = int(hours * 3600)
        began, cpu_began = time.perf_counter(), time.process_time()
        for second in range(seconds):
            if second in calls:
                name, start, w = calls[second]
                house.instruct(
                    instruction(
                        name,
                        demand=Delta(regulation_w=w),
                        start_at=ORIGIN + start,
                        duration_s=EVENT_S,
                        received_at=house.clock.now,
                    )
                )
            house.second()
        journal.flush()
        wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
        records = list(house.gateway.account.records())
    return {
        "virtual_s": seconds,
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "facts": kinds.total(),
        "obeyed": kinds["Obeyed"],
        "commands": commands.total(),
        "events": len(calls),
        "completed": sum(r.state == "completed" and r.opt == "in" for r in records),
        "within": min((r.samples_within / max(1, r.samples) for r in records), default=0.0),
        "trouble": "; ".join(house.engine.trouble.values()),
    }


def main(arguments: list[str]) -> None:
    """Command line."""
    hours, seed = float(arguments[0]), int(arguments[1])
    pin()
    with TemporaryDirectory() as folder:
        print(json.dumps(play(Path(folder), hours, seed)))


if __name__ == "__main__":
    main(sys.argv[1:])
