"""`simulate`: what would happen if; the real gateway in virtual time on a model of the settings' sites."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vpp_gateway.catalogue import Lang, Told, text
from vpp_gateway.cli.common import (
    DEFAULT_CONFIG,
    MISSED,
    OK,
    config_option,
    json_option,
    lang_option,
    language,
    print_json,
    remember_language,
    say,
    screen,
)

if TYPE_CHECKING:
    from vpp_gateway.settings import Settings
    from vpp_gateway.whatif.scenario_words import Scenario


@click.command
@config_option
@click.option(
    "--event",
    "events",
    multiple=True,
    metavar="SPEC",
    help="What is asked, for instance 'down 2MW area=tokyo in 60s for 15min'. May be given again.",
)
@click.option(
    "--failure",
    "failures",
    multiple=True,
    metavar="SPEC",
    help="What fails, for instance 'battery dc-1-bat-2 dead in 5min for 60s'. May be given again.",
)
@click.option(
    "--scenario",
    type=click.Path(path_type=Path),
    help="YAML file with events, failures, loads, PV, work and seed (docs/what-if.md).",
)
@click.option(
    "--seed", type=click.IntRange(min=0), help="All chance comes from it; default: the scenario's, or 1."
)
@click.option(
    "--png",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw target, delivery, who carried it and SoC (needs the extra [simulate]).",
)
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep the journal of the run there, for `vpp-gateway replay DIR`.",
)
@json_option
@lang_option
@click.pass_context
def simulate(
    ctx: click.Context,
    config: Path | None,
    events: tuple[str, ...],
    failures: tuple[str, ...],
    scenario: Path | None,
    seed: int | None,
    png: Path | None,
    keep: Path | None,
    as_json: bool,
    lang: str | None,
) -> None:
    """Play events in virtual time on the real gateway, with a model of the configured sites.

    An event: down|up|setpoint|limit POWER, then in any order: in DURATION (from now, default 60s), for DURATION (default
    15min), area=NAME or site=ID (else all sites), priority=N (0 is most urgent), name=ID, known=DURATION (when it is
    received, default 0s). A failure: battery|meter|site|link ID, or plug-in; how; in DURATION; for DURATION.

    Exits with 5 when an event was refused, its delivery missed the order by more than 10 %, a limit was not held, or no
    second of an event counts, so that nothing can be said of it.
    """
    from vpp_gateway.settings import load_settings
    from vpp_gateway.whatif import picture
    from vpp_gateway.whatif.house import play_out
    from vpp_gateway.whatif.judge import judge
    from vpp_gateway.whatif.keep import keep_decisions, keeping
    from vpp_gateway.whatif.quiet import quiet_log
    from vpp_gateway.whatif.result import result_of
    from vpp_gateway.whatif.said import SpecError
    from vpp_gateway.whatif.scenario import load_scenario, play_of
    from vpp_gateway.whatif.table import draw

    if config is None and not DEFAULT_CONFIG.exists():
        raise click.UsageError(text("cli.no_config", language(ctx), file=DEFAULT_CONFIG))
    settings = load_settings(config or DEFAULT_CONFIG, files=False)
    remember_language(ctx, settings.gateway.language)
    said = load_scenario(scenario, settings, events)
    _check_lines(ctx, said, settings, events, failures)
    try:
        play = play_of(settings, said, events, failures, seed)
    except SpecError as error:
        raise click.UsageError(error.say(language(ctx))) from None
    if not play.asked:
        raise click.UsageError(text("whatif.nothing", language(ctx)))
    if png is not None and not picture.has_matplotlib():
        raise Told("whatif.no_matplotlib")
    with nullcontext() if keep is None else keeping(keep, play) as journal, quiet_log():
        course = play_out(play, journal)
        if keep is not None:
            keep_decisions(keep, course)
    judged = judge(play, course)
    result = result_of(play, course, judged)
    if png is not None:
        picture.draw(png, play, course, judged, _picture_language(ctx))
    if as_json:
        print_json(result.model_dump(mode="json"))
    else:
        draw(screen(), play, result, language(ctx))
    ctx.exit(OK if result.met else MISSED)


def _check_lines(
    ctx: click.Context, scenario: Scenario, settings: Settings, events: Sequence[str], failures: Sequence[str]
) -> None:
    """Refuse a line that cannot be played, with the word that is wrong and what is allowed."""
    from vpp_gateway.settings import fleet
    from vpp_gateway.whatif.scenario_rules import wrong_lines

    lang = language(ctx)
    for wrong in wrong_lines(scenario, fleet(settings), events, failures):
        refused = text("whatif.spec", lang, option=wrong.option, said=wrong.said, what=wrong.error.say(lang))
        raise click.UsageError(refused)


def _picture_language(ctx: click.Context) -> Lang:
    from vpp_gateway.whatif.picture import japanese_font

    lang = language(ctx)
    if lang == "ja" and japanese_font() is None:
        say(text("whatif.no_font", lang), err=True)
        return "en"
    return lang
