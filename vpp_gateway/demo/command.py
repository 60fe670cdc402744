"""The demo's command line and its headless run."""

from __future__ import annotations

import asyncio
import functools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from vpp_gateway.clock import Clock, SystemClock
from vpp_gateway.demo import plan
from vpp_gateway.demo.acts import Player
from vpp_gateway.demo.judge import missed, reports_seen
from vpp_gateway.demo.report import DemoResult
from vpp_gateway.demo.world import World, free_port, open_world
from vpp_gateway.errors import GatewayError, leaves

OK, FAILED, MISSED = 0, 1, 5


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--headless", is_flag=True, help="Play the acts without a screen, then exit.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write what was measured (docs/schemas/demo.schema.json).",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port of the page; 0 = any free one.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the simulated world's noise.")
@click.option("--keep", is_flag=True, help="Keep the folder with logs, journal and settings.")
def demo(headless: bool, json_file: Path | None, port: int, seed: int, keep: bool) -> int:
    """The whole house in front of you: simulated utility, sites and batteries, the real gateway.

    Exit codes: 0 every goal held, or a watched demo was left; 5 a goal was missed; 1 it could not run to its end.
    """
    if json_file is not None:
        _check(json_file, headless)
    folder = Path(tempfile.mkdtemp(prefix="vppgw-"))
    how = functools.partial(play, json_file=json_file) if headless else _watch
    code = outcome(lambda: asyncio.run(how(folder, port=port, seed=seed)), headless=headless)
    if keep or code == FAILED:
        click.echo(f"kept: {folder}", err=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return code


def outcome(run: Callable[[], int], *, headless: bool) -> int:
    """Run it to its exit code; what broke is told. Only a watched demo may be interrupted."""
    code = FAILED
    try:
        code = run()
    except* GatewayError as errors:
        for error in leaves(errors):
            click.echo(f"demo: {error}", err=True)
    except* KeyboardInterrupt:
        click.echo("demo: interrupted", err=True)
        code = FAILED if headless else OK
    return code


def _check(json_file: Path, headless: bool) -> None:
    """Before anything is played: a result that nobody could read would be a wasted run."""
    if not headless:
        raise click.UsageError("--json needs --headless: what is judged are the acts that it plays")
    if not os.access(json_file.parent, os.W_OK | os.X_OK):
        said = f"{json_file}: the folder {json_file.absolute().parent} is not there or not writable"
        raise click.BadParameter(said, param_hint="--json")


async def _watch(folder: Path, *, port: int, seed: int) -> int:
    from vpp_gateway.demo.screen import watch

    async with _ready(folder, port, seed, SystemClock()) as world:
        await watch(world)
    return OK


async def play(
    folder: Path,
    *,
    port: int = 0,
    seed: int = 1,
    json_file: Path | None = None,
    acts: Sequence[plan.Act] = plan.ACTS,
    pace: plan.Pace = plan.HEADLESS,
) -> int:
    """Play the acts without a screen, judge them, write the result; returns the exit code (0 or 5).

    Raises:
        GatewayError: it could not run to its end.
    """
    clock = SystemClock()
    began, began_at = clock.monotonic(), clock.utc()
    async with _ready(folder, port, seed, clock) as world:
        ready_s = clock.monotonic() - began
        await asyncio.sleep(plan.BASELINE_S)
        acts_from = clock.utc()
        player = Player(world, pace, click.echo)
        events = await player.play(acts)
        reports = reports_seen(world.vtn.news, acts_from, clock.utc())
    seconds = clock.monotonic() - began
    rows = missed(acts, pace, events, player.moves, reports, seconds)
    result = DemoResult(
        began_at=datetime.fromtimestamp(began_at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        seconds=round(seconds, 1),
        ready_s=round(ready_s, 1),
        events=events,
        moves=player.moves,
        reports_received_by_vtn=reports.count,
        report_points_received_by_vtn=reports.points,
        longest_report_gap_s=round(reports.longest_gap_s, 2),
        within_goals=not rows,
        missed=rows,
    )
    if json_file is not None:
        _write(json_file, result)
    return tell(result)


@asynccontextmanager
async def _ready(folder: Path, port: int, seed: int, clock: Clock) -> AsyncIterator[World]:
    """The demo's world, in service."""
    began = clock.monotonic()
    click.echo(
        "starting: VTN (TLS, own CA), 3 sites, 6 Modbus batteries, 3 meters, 18 workers, 1 plug-in, the gateway"
    )
    async with open_world(folder, console_port=port or free_port(), seed=seed) as world:
        await world.ready()
        click.echo(f"ready after {clock.monotonic() - began:.1f} s; page: {world.page_url()}")
        yield world


def tell(result: DemoResult) -> int:
    """Say how it ended; the exit code."""
    click.echo(
        f"the VTN received {result.reports_received_by_vtn} reports, {result.report_points_received_by_vtn} points, "
        f"longest gap {result.longest_report_gap_s:.1f} s"
    )
    for line in result.missed:
        click.echo(f"missed: {line}", err=True)
    click.echo(
        f"{'every goal held' if result.within_goals else 'goals were missed'} ({result.seconds:.0f} s)"
    )
    return OK if result.within_goals else MISSED


def _write(path: Path, result: DemoResult) -> None:
    path.write_text(result.model_dump_json(indent=1) + "\n", "utf-8")
