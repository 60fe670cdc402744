"""`events why`: an event of the journal folded again, and the reasons of every second at which something changed."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vpp_gateway.catalogue import Told
from vpp_gateway.cli.common import (
    DEFAULT_CONFIG,
    DEGRADED,
    MISSED,
    OK,
    config_option,
    json_option,
    lang_option,
    language,
    print_json,
    screen,
)
from vpp_gateway.cli.replay import ground_at
from vpp_gateway.cli.whereabouts import find
from vpp_gateway.cli.words import JST

if TYPE_CHECKING:
    from vpp_gateway.domain.instruction import Instruction
    from vpp_gateway.whatif.why import Why

_AFTER = re.compile(r"\+\d+(\.\d+)?")
_OF_THE_DAY = re.compile(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?")


@click.command("why")
@click.argument("event")
@click.option(
    "--at", "at", metavar="TIME", help="One second in full: 2026-01-31T09:00:00+09:00, 09:00:00 (JST) or +90."
)
@config_option
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    help="Folder of the journal, or of `simulate --keep`; else the one of --config.",
)
@json_option
@lang_option
@click.pass_context
def events_why(
    ctx: click.Context,
    event: str,
    at: str | None,
    config: Path | None,
    state_dir: Path | None,
    as_json: bool,
    lang: str | None,
) -> None:
    """Tell why EVENT went as it did, from the journal: limits, shares, offers left and their price, failures.

    The gateway may be running or not; the journal is only read. Exits with 5 when the event is over and its delivery
    missed the order by more than 10 %, or the limit was not held; with 6 when not everything can be told (readings archived, journal not whole).
    """
    from vpp_gateway.whatif.keep import JOURNAL
    from vpp_gateway.whatif.reading import Damaged, refuse_other_files
    from vpp_gateway.whatif.why import why_of
    from vpp_gateway.whatif.why_result import explanation_of, met

    moment = None if at is None else _moment(at)
    if config is None and state_dir is None and DEFAULT_CONFIG.exists():
        config = DEFAULT_CONFIG
    folder = find(config, state_dir).socket.parent
    path = folder / JOURNAL
    if not path.is_file():
        raise Told("replay.no_journal", path=path)
    refuse_other_files(path)
    found = why_of(path, ground_at(ctx, folder, config), event, moment)
    if moment is not None and found.second is None:
        unknown = _no_second(found, moment)
        raise Damaged(path, found.problem, unknown) if found.problem else unknown
    if as_json:
        print_json(explanation_of(found).model_dump(mode="json"))
    else:
        from vpp_gateway.cli.why_view import draw_second, draw_why

        draw = draw_why if moment is None else draw_second
        draw(screen(), found, path, language(ctx))
    ctx.exit(MISSED if met(found) is False else OK if found.whole else DEGRADED)


def _moment(given: str) -> Callable[[Instruction], float]:
    """Which second of an event is meant. Raises Told."""
    if _AFTER.fullmatch(given):
        return lambda instruction: instruction.start_at + float(given)
    try:
        if _OF_THE_DAY.fullmatch(given):
            return lambda instruction: _on_its_day(instruction, time.fromisoformat(given))
        found = datetime.fromisoformat(given.replace("Z", "+00:00"))
    except ValueError:
        raise Told("events.why.bad_time", found=given) from None
    at = (found if found.tzinfo is not None else found.replace(tzinfo=JST)).timestamp()
    return lambda _: at


def _on_its_day(instruction: Instruction, of_the_day: time) -> float:
    """A time of the day in Japan, on the day on which the event starts; UTC (Unix s)."""
    day = datetime.fromtimestamp(instruction.start_at, JST)
    return datetime.combine(day, of_the_day, JST).timestamp()


def _no_second(found: Why, moment: Callable[[Instruction], float]) -> Told:
    from vpp_gateway.cli import words

    if found.seen is None:
        return Told("events.why.no_readings")
    since, until = map(words.moment, found.seen)
    return Told("events.why.no_second", at=words.moment(moment(found.instruction)), since=since, until=until)
