"""A real centre's `messages.db`: what is in it while the gateway runs, and after kill -9 of the centre."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from tests.wire.processes import World, open_world
from vpp_gateway.cli import root
from vpp_gateway.journal.messages import FILE_NAME, OnRecord, read


def rows(world: World) -> list[OnRecord]:
    return list(read(world.state_dir / FILE_NAME))


def names(world: World) -> set[tuple[str, str]]:
    return {(row.direction, row.name) for row in rows(world)}


def listed(world: World, *arguments: str) -> list[dict[str, Any]]:
    done = CliRunner().invoke(
        root, ["messages", "ls", "--json", "--state-dir", str(world.state_dir), *arguments]
    )
    assert done.exit_code == 0, done.output
    return list(json.loads(done.output)["messages"])


def test_a_real_centre_keeps_what_was_said_over_kill_9(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_world(tmp_path) as world:
            await world.ready()
            world.send(in_s=4.0, duration_s=3.0, regulation_w=60_000.0)

            async def answered() -> bool:
                return {("in", "oadrDistributeEvent"), ("out", "oadrCreatedEvent")} <= names(world)

            await world.eventually("the event and its answer are on record", answered)
            before = rows(world)
            world.kill_centre()
            last = before[-1].id

            async def goes_on() -> bool:
                return any(row.id > last and row.name == "oadrPoll" for row in rows(world))

            await world.eventually("the next centre records its polls", goes_on)
            after = rows(world)
            assert after[: len(before)] == before
            assert {("out", "oadrCreatePartyRegistration"), ("in", "oadrCreatedPartyRegistration")} <= names(
                world
            )
            came = [row for row in after if row.direction == "in" and row.name]
            assert {row.schema for row in came} == {"valid"}
            assert all(row.signature.startswith("verified ") and ":" in row.signature for row in came)
            (ours,) = {row.signature for row in after if row.direction == "out"}
            assert re.fullmatch(r"signed ([0-9A-F]{2}:){9}[0-9A-F]{2}", ours)
            (event, *_) = [row for row in came if row.name == "oadrDistributeEvent" and b"EV-001" in row.body]
            request = [row for row in after if row.pair == event.pair and row.direction == "out"]
            assert [row.name for row in request] == ["oadrPoll"] and {"41", "61"} <= set(event.rules)
            found = listed(world, "--name", "oadrDistributeEvent", "--limit", "1000")
            assert event.id in [row["id"] for row in found]

    asyncio.run(main())
