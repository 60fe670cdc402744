"""`vpp-gateway ven` against a gateway of real processes: each act reaches the utility, and the journal says whose it was."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from tests.wire.evidence import facts_of
from tests.wire.processes import World, open_world
from vpp_gateway.northbound.openadr2.messages import CreatePartyRegistration
from vpp_gateway.northbound.openadr2.opt_facts import Operated

RESET_S = 2.0
"""The whole command, start of its interpreter and the new registration included."""


async def ven(world: World, *arguments: str) -> dict[str, Any]:
    """One command; its JSON."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "vpp_gateway.cli", "ven", *arguments, "--json", "--state-dir", str(world.state_dir),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    found = json.loads(out)
    assert isinstance(found, dict)
    return found


def operated(folder: Path) -> list[tuple[str, str]]:
    """(who, verb) of every act in the journal of a gateway that has stopped."""
    facts = facts_of(folder / "gateway.yaml")
    return [(fact.who, fact.verb) for fact in facts if isinstance(fact, Operated)]


def heard(world: World, event: str) -> list[str]:
    return [opt.response.opt for opt in world.vtn.opts.get(event, [])]


def test_every_act_against_a_running_gateway(tmp_path: Path) -> None:
    asyncio.run(acts(tmp_path))


async def acts(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.ready()

        event = world.send(in_s=120, duration_s=60, regulation_w=30_000)

        async def opted_in() -> bool:
            return heard(world, event.id) == ["optIn"]

        await world.eventually("the event is opted in to", opted_in)
        await ven(world, "opt", event.id, "optOut", "--reason", "economic", "--wait", "10")
        assert heard(world, event.id) == ["optIn", "optOut"]
        status = await world.status()
        assert status is not None
        (row,) = status["events"]
        assert (row["state"], row["opt"]) == ("cancelled", "out"), "the gateway is released"
        assert row["opt_reason_ja"] == "運用者の判断による拒否"
        await ven(world, "opt", event.id, "optIn", "--wait", "10")
        assert heard(world, event.id) == ["optIn", "optOut", "optIn"]
        status = await world.status()
        assert status is not None
        assert [row["state"] for row in status["events"]] == ["pending"], "the gateway has it again"

        made = await ven(world, "create-opt", "--from-capacity", "--need-kw", "100000", "--wait", "10")
        (opt,) = world.vtn.live_opts.values()
        assert (opt.opt_id, opt.opt) == (made["opt_id"], "optOut")
        assert sum(one.duration_s for one in opt.available) >= 24 * 3600
        await ven(world, "cancel-opt", str(made["opt_id"]), "--wait", "10")
        assert world.vtn.live_opts == {}
        await ven(world, "create-opt", "--from-capacity", "--need-kw", "1", "--wait", "10")
        (opt,) = world.vtn.live_opts.values()
        (span,) = opt.available  # only the blocks of the event that is owed
        assert span.start_at <= event.start_at and event.end_at <= span.end_at
        assert span.duration_s <= 2 * 1800
        await ven(world, "cancel-opt", opt.opt_id, "--wait", "10")

        await ven(world, "reregister", "--wait", "10")
        await ven(world, "cancel", "--wait", "10")
        assert world.vtn.registration_id is None
        await ven(world, "register", "--wait", "10")

        before = world.clock.monotonic()
        await ven(world, "reset", "--wait", "10")
        took_s = world.clock.monotonic() - before
        assert took_s <= RESET_S
        registrations = [one.registration_id for one in world.vtn.said(CreatePartyRegistration)]
        assert registrations[-1] is None and (await ven(world, "status"))["state"] == "registered"

    verbs = ("opt", "opt", *("create-opt", "cancel-opt") * 2, "reregister", "cancel", "register", "reset")
    assert operated(tmp_path) == [("operator", verb) for verb in verbs]
