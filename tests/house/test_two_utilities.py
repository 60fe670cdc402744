"""Two utilities at one gateway, in virtual time: two connections, two registrations, one fleet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.outgoing import Tap
from tests.playbook.ven_stage import START, program, xsd
from vpp_gateway.clock import LoopClock, SeededRng
from vpp_gateway.conform.openadr2.own_house import LOAD_W, SITES, house
from vpp_gateway.domain.instruction import RoomName
from vpp_gateway.engine import Engine
from vpp_gateway.northbound.openadr2.client import VenClient
from vpp_gateway.northbound.openadr2.codec import Codec
from vpp_gateway.northbound.openadr2.messages import Poll
from vpp_gateway.northbound.openadr2.session import VenSession
from vpp_gateway.shells import Room
from vpp_gateway.sim.loop import run
from vpp_gateway.sim.vtn import Vtn, dispatch
from vpp_gateway.sim.vtn_http import VtnServer

NAMES = ("east", "west")
PROGRAM = program(polling={"poll_s": 10.0, "jitter_share": 0.0}, reports=None)

Scene = Callable[[Engine, dict[str, VtnServer]], Awaitable[None]]


def play(folder: Path, scene: Scene) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        clock = LoopClock(loop, START - loop.time())
        servers = {
            name: VtnServer(
                vtn=Vtn(rng=SeededRng(name), vtn_id=f"VTN-{name}", ven_id=f"VEN-{name}"),
                codec=Codec(schema=xsd()),
                clock=clock,
            )
            for name in NAMES
        }
        async with servers["east"].serve() as east, servers["west"].serve() as west:
            urls = {"east": east, "west": west}

            def rooms(deliver: Callable[..., Any]) -> dict[RoomName, Room]:
                return {RoomName(name): room_of(name, urls[name], clock, deliver) for name in NAMES}

            async with house(folder, clock, rooms) as engine:
                await scene(engine, servers)

    run(main, max_virtual_s=86400, wall_limit_s=120)


def room_of(name: str, url: str, clock: LoopClock, deliver: Callable[..., Any]) -> Room:
    session = VenSession(
        room=RoomName(name),
        ven_name="centre",
        ven_id=None,
        program=PROGRAM,
        sites=SITES,
        rng=SeededRng(f"ven-{name}"),
        signing=False,
        level_base_w=dict.fromkeys(SITES, LOAD_W),
    )
    client = VenClient(
        room=RoomName(name),
        base_url=url,
        codec=Codec(schema=xsd()),
        tls=None,
        clock=clock,
        deliver=deliver,
        deadline_s=5.0,
        recorder=Tap(),
    )
    return Room(session, client)


def states(engine: Engine) -> dict[str, str]:
    return {str(name): room.session.status().state for name, room in engine.rooms.items()}


def test_two_utilities_side_by_side_do_not_disturb_each_other(tmp_path: Path) -> None:
    async def scene(engine: Engine, servers: dict[str, VtnServer]) -> None:
        await asyncio.sleep(30)
        assert states(engine) == {"east": "registered", "west": "registered"}
        now = servers["east"].clock.utc()
        for name, site in (("east", "tokyo"), ("west", "kansai")):  # the same eventID at both
            servers[name].vtn.add_event(
                dispatch("E1", start_at=now + 600, duration_s=1800.0, value=-50_000.0, resource_ids=(site,))
            )
        await asyncio.sleep(30)
        for name, server in servers.items():
            assert [opt.response.opt for opt in server.vtn.opts["E1"]][-1] == "optIn", server.vtn.opts["E1"]
            assert {poll.ven_id for poll in server.vtn.said(Poll)} == {f"VEN-{name}"}

        servers["west"].down = True  # in the middle of the event
        polls = len(servers["east"].vtn.said(Poll))
        await asyncio.sleep(1200)
        assert states(engine) == {"east": "registered", "west": "lost"}
        assert len(servers["east"].vtn.said(Poll)) - polls >= 119
        servers["east"].vtn.drop("E1")
        await asyncio.sleep(30)
        assert held(engine, "east") == [] and held(engine, "west") == ["E1"]

        servers["west"].down = False
        await asyncio.sleep(90)
        assert states(engine) == {"east": "registered", "west": "registered"}
        assert engine.trouble == {}

    play(tmp_path, scene)


def held(engine: Engine, name: str) -> list[str]:
    session = engine.rooms[RoomName(name)].session
    assert isinstance(session, VenSession)
    return list(session.desk.state.events)
