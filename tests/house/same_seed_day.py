"""One day of the whole house, as a program: prints the digest of its trace and how much is in it.

python -m tests.house.same_seed_day FOLDER SEED
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.house.day import play
from tests.house.house import House
from tests.house.world import SITES


async def scene(house: House) -> dict[str, object]:
    """Two events by VTN, one carried by batteries and moves; one battery dies and comes back in mid-event."""
    down = house.event("down", after_s=15, duration_s=60, regulation_w=200_000)
    up = house.event("up", after_s=90, duration_s=40, regulation_w=-80_000, sites=SITES[2:])
    house.vtn.add_event(down)
    house.vtn.add_event(up)
    await house.until(down.start_at + 20)
    await house.field.kill(f"{SITES[0]}-b1")
    await house.run_for(20)
    await house.field.revive(f"{SITES[0]}-b1")
    await house.until(up.start_at + 45)
    states = [house.record(id).state for id in ("down", "up")]
    digest = house.seal()
    kinds = [kind for _, kind, _ in house.trace.last()]
    counts = {kind: kinds.count(kind) for kind in ("fact", "command", "write")}
    return {"digest": digest, "states": states, **counts, "trace": [repr(row) for row in house.trace.last()]}


if __name__ == "__main__":
    folder, seed = Path(sys.argv[1]), int(sys.argv[2])
    day = play(folder, scene, seed=seed, sigma_w=800.0, vtn=True, work=True, order=(5.0, 15.0))
    print(json.dumps(day))
