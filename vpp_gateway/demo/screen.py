"""The watched demo: keys that send events and break things, a line for everything that happens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import sys
import termios
import tty
from collections.abc import AsyncIterator, Iterator

import click

from vpp_gateway.demo import plan
from vpp_gateway.demo.acts import Player
from vpp_gateway.demo.world import World, battery_ids
from vpp_gateway.errors import GatewayError

KEYS = (
    "keys: d down-DR  u up-DR  m move work  k kill/revive a battery  v cut/restore the VTN  s status  q quit"
)


@contextlib.contextmanager
def _raw() -> Iterator[None]:
    """Single keys without Enter, while stdin is a terminal."""
    if not sys.stdin.isatty():
        yield
        return
    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)
    try:
        tty.setcbreak(handle)
        yield
    finally:
        termios.tcsetattr(handle, termios.TCSADRAIN, before)


def can_wait_for(handle: int) -> bool:
    """Whether a loop can wait for keys from there: a terminal, a pipe or a socket; not a file or /dev/null."""
    mode = os.fstat(handle).st_mode
    return os.isatty(handle) or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


async def _keys() -> AsyncIterator[str]:
    if not can_wait_for(sys.stdin.fileno()):
        click.echo("no keyboard here: Ctrl-C or SIGTERM ends it")
        await asyncio.Event().wait()
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        while key := await reader.read(1):
            yield key.decode("utf-8", "replace").lower()
    finally:
        transport.close()


async def watch(world: World) -> None:
    """Serve the keys until q, or the end of stdin."""
    click.echo(KEYS)
    player = Player(world, plan.WATCHED, click.echo)
    killed: list[str] = []
    cut = False
    with _raw():
        async with asyncio.TaskGroup() as group:
            running: set[asyncio.Task[object]] = set()
            async for key in _keys():
                match key:
                    case "d" | "u" | "m":
                        act = plan.ACTS["dum".index(key)]
                        running = {task for task in running if not task.done()}
                        if running:
                            click.echo("an act is running; wait for its end")
                            continue
                        running.add(group.create_task(play_act(player, act)))
                    case "k":
                        await _kill_or_revive(world, killed)
                    case "v":
                        cut = not cut
                        await _cut(world, cut)
                    case "s":
                        click.echo(await _status(world))
                    case "q" | "\x03":
                        break
                    case "\n" | " ":
                        click.echo(KEYS)
            for task in running:
                task.cancel()


async def play_act(player: Player, act: plan.Act) -> None:
    """An act; what the user broke meanwhile may spoil it, and is told."""
    click.echo(f"{act.title_ja}")
    try:
        await player.play((act,))
    except GatewayError as error:
        click.echo(f"  the act came to nothing: {error}")


async def _kill_or_revive(world: World, killed: list[str]) -> None:
    if killed:
        device = killed.pop()
        await world.field.ask({"cmd": "revive", "device": device})
        click.echo(f"battery {device} is back")
        return
    device = battery_ids(plan.SITES[0][0])[0]
    await world.field.ask({"cmd": "kill", "device": device})
    killed.append(device)
    click.echo(f"battery {device} is dead: no answer on its Modbus port")


async def _cut(world: World, cut: bool) -> None:
    """Stop or continue the VTN's process: connections stay open, nothing answers."""
    world.vtn.pause(cut)
    click.echo("the VTN is cut: it does not answer any more" if cut else "the VTN answers again")


async def _status(world: World) -> str:
    status = await world.status()
    if status is None:
        return "the gateway does not answer"
    rows = [f"{row['name']}={row['state']}" for row in status["links"]]
    alarms = [f"  {row['text']}" for row in status["alarms"]]
    return "\n".join([" ".join(rows), *alarms])
