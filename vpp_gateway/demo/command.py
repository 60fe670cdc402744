"""The demo's command line and its headless run."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click

from vpp_gateway.clock import SystemClock
from vpp_gateway.demo import plan
from vpp_gateway.demo.acts import Player
from vpp_gateway.demo.report import DemoResult, EventResult, MoveResult
from vpp_gateway.demo.world import World, free_port, open_world
from vpp_gateway.errors import GatewayError

OK, FAILED, MISSED = 0, 1, 5
REACHED_WITHIN_S = 2.0
WITHIN_SHARE = 0.95
REPORT_GAP_S = 10.0
MOVE_WITHIN_S = 10.0
DOWNTIME_S = 1.0
Say = Callable[[str], None]


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

    Exit codes: 0 every goal held, 5 a goal was missed, 1 it could not run.
    """
    folder = Path(tempfile.mkdtemp(prefix="vppgw-"))
    code = FAILED
    try:
        code = asyncio.run(_play(folder, headless, json_file, port or free_port(), seed))
    except* GatewayError as errors:
        for error in errors.exceptions:
            click.echo(f"demo: {error}", err=True)
        keep = True
    except* KeyboardInterrupt:
        code = OK
    finally:
        if keep:
            click.echo(f"kept: {folder}", err=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return code


async def _play(folder: Path, headless: bool, json_file: Path | None, port: int, seed: int) -> int:
    clock = SystemClock()
    began = clock.monotonic()
    began_at = datetime.fromtimestamp(clock.utc(), UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    say: Say = click.echo
    say(
        "starting: VTN (TLS, own CA), 3 sites, 6 Modbus batteries, 3 meters, 18 workers, 1 plug-in, the gateway"
    )
    async with open_world(folder, console_port=port, seed=seed) as world:
        await world.ready()
        ready_s = clock.monotonic() - began
        say(f"ready after {ready_s:.1f} s; page: {world.page_url()}")
        if not headless:
            from vpp_gateway.demo.screen import watch

            await watch(world)
            return OK
        await asyncio.sleep(plan.BASELINE_S)
        acts_from = clock.utc()
        player = Player(world, plan.HEADLESS, say)
        events = await player.play(plan.ACTS)
        reports, points, gap_s = _reports(world, acts_from, clock.utc())
        moves = player.moves
    missed = _missed(events, moves, reports, gap_s)
    result = DemoResult(
        began_at=began_at,
        seconds=round(clock.monotonic() - began, 1),
        ready_s=round(ready_s, 1),
        events=events,
        moves=moves,
        reports_received_by_vtn=reports,
        report_points_received_by_vtn=points,
        longest_report_gap_s=round(gap_s, 2),
        within_goals=not missed,
        missed=missed,
    )
    if json_file is not None:
        _write(json_file, result)
    say(f"the VTN received {reports} reports, {points} points, longest gap {gap_s:.1f} s")
    for line in missed:
        click.echo(f"missed: {line}", err=True)
    say(f"{'every goal held' if not missed else 'goals were missed'} ({result.seconds:.0f} s)")
    sys.stdout.flush()
    return MISSED if missed else OK


def _write(path: Path, result: DemoResult) -> None:
    path.write_text(json.dumps(result.model_dump(), indent=1, ensure_ascii=False) + "\n", "utf-8")


def _reports(world: World, since: float, until: float) -> tuple[int, int, float]:
    """What the VTN saw of our telemetry: reports, points, longest gap between two reports (s)."""
    seen = [line for line in world.vtn.news if line.get("saw") == "report"]
    points = sum(len(line["points"]) for line in seen)
    # One report carries several series; each is told on a line of its own.
    series = Counter(line["r_id"] for line in seen)
    first = max(series, key=lambda r_id: series[r_id]) if series else None
    times = [line["at"] for line in seen if line["r_id"] == first]
    edges = [since, *(at for at in times if since <= at <= until), until]
    return len(times), points, max(b - a for a, b in itertools.pairwise(edges))


def _missed(events: list[EventResult], moves: list[MoveResult], reports: int, gap_s: float) -> list[str]:
    rows = []
    for event in events:
        if event.t_reached_s is None or event.t_reached_s > REACHED_WITHIN_S:
            rows.append(f"{event.id}: target reached after {event.t_reached_s} s, goal {REACHED_WITHIN_S} s")
        if event.within_10pct < WITHIN_SHARE:
            rows.append(
                f"{event.id}: {event.within_10pct:.0%} of the samples within 10 %, goal {WITHIN_SHARE:.0%}"
            )
    if not moves:
        rows.append("no work was moved")
    for move in moves:
        for name, value, goal in (
            ("source down", move.t_source_down_s, MOVE_WITHIN_S),
            ("destination up", move.t_destination_up_s, MOVE_WITHIN_S),
            ("downtime", move.downtime_s, DOWNTIME_S),
        ):
            if value is None or value > goal:
                rows.append(f"move {move.from_site} -> {move.to_site}: {name} {value} s, goal {goal} s")
        if move.lost_steps or move.repeated_steps:
            rows.append(
                f"move {move.from_site} -> {move.to_site}: {move.lost_steps} steps lost, {move.repeated_steps} repeated"
            )
    if gap_s > REPORT_GAP_S:
        rows.append(f"{reports} reports, longest gap {gap_s:.1f} s, goal {REPORT_GAP_S} s")
    return rows
