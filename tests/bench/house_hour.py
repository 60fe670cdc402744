"""Program: the whole house in virtual time. `python -m tests.bench.house_hour SECONDS SEED`

Three sites with six batteries and three meters behind Modbus/TCP sockets, the utility behind mutual TLS with signed
messages, engine, journal on disk, agents: one process, one core. Answers with one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.children import pin
from tests.house.house import House, open_house
from vpp_gateway.clock import LoopClock
from vpp_gateway.northbound.openadr2.messages import Poll
from vpp_gateway.sim.loop import VirtualLoop, run

ORIGIN = 1_790_000_000.0
SIGMA_W = 2_000.0
POLL_S = 10.0
REPORTS = (60.0, 300.0)
"""(granularity, back duration) in s of the report that the VTN orders."""
EVENTS = (("down", 0.1, 120_000.0), ("up", 0.55, -90_000.0))
"""(event, start as a share of the time, regulation W); each lasts a quarter of the time, at most half an hour."""


async def live(house: House, seconds: float) -> dict[str, object]:
    """Let the time pass with two events."""
    assert house.utility is not None
    house.vtn.poll_s = POLL_S
    await house.utility.listen()
    for name, share, regulation_w in EVENTS:
        house.vtn.add_event(
            house.event(
                name,
                after_s=share * seconds,
                duration_s=float(int(min(1800.0, seconds / 4))),
                regulation_w=regulation_w,
            )
        )
    await house.run_for(seconds)
    devices = (*house.field.batteries.values(), *house.field.meters.values())
    records = {name: house.record(name) for name, _, _ in EVENTS}
    return {
        "modbus": sum(device.faults.answers for device in devices),
        "https": len(house.vtn.heard),
        "polls": len(house.vtn.said(Poll)),
        "refused": len(house.utility.server.refused),
        "completed": sum(record.state == "completed" and record.opt == "in" for record in records.values()),
        "within": min(record.samples_within / max(1, record.samples) for record in records.values()),
        "trouble": "; ".join(house.engine.trouble.values()),
        "writes": sum(len(battery.log) for battery in house.field.batteries.values()),
        "digest": house.seal(),
        "records": house.trace.count,
    }


def play(folder: Path, seconds: float, seed: int) -> dict[str, object]:
    """Run and measure; the house is up before the clock starts."""
    loop = VirtualLoop()
    clock = LoopClock(loop, ORIGIN)

    async def main() -> dict[str, object]:
        async with open_house(
            folder, clock=clock, seed=seed, sigma_w=SIGMA_W, vtn=True, listening=False, order=REPORTS
        ) as house:
            began, cpu_began = time.perf_counter(), time.process_time()
            seen = await live(house, seconds)
            return {
                **seen,
                "virtual_s": seconds,
                "wall_s": time.perf_counter() - began,
                "cpu_s": time.process_time() - cpu_began,
                "hash_seed": os.environ.get("PYTHONHASHSEED", "random"),
            }

    return run(main, loop=loop)


def main(arguments: list[str]) -> None:
    """Command line."""
    seconds, seed = float(arguments[0]), int(arguments[1])
    pin()
    with TemporaryDirectory() as folder:
        print(json.dumps(play(Path(folder), seconds, seed)))


if __name__ == "__main__":
    main(sys.argv[1:])
