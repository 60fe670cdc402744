"""`events ls`, `show` and `why`: what was asked, when each stage was passed, what was delivered, and why so."""

from __future__ import annotations

from pathlib import Path

import click

from vpp_gateway.catalogue import Told, text
from vpp_gateway.cli.common import (
    MISSED,
    OK,
    config_option,
    json_option,
    lang_option,
    language,
    print_json,
    say,
    screen,
)
from vpp_gateway.cli.events_why import events_why
from vpp_gateway.cli.status import STATUS_VERSION, ask_status, state_dir_option, timeout_option
from vpp_gateway.plain import View


@click.group
def events() -> None:
    """Events of the grid operators."""


events.add_command(events_why)


@events.command("ls")
@config_option
@state_dir_option
@timeout_option
@json_option
@lang_option
@click.pass_context
def events_ls(
    ctx: click.Context,
    config: Path | None,
    state_dir: Path | None,
    timeout_s: float,
    as_json: bool,
    lang: str | None,
) -> None:
    """List the events that the gateway knows, running ones first."""
    picture = ask_status(ctx, config, state_dir, timeout_s)
    known = tuple(picture["events"].each())
    if as_json:
        print_json({"schema_version": STATUS_VERSION, "events": picture["events"].value})
    elif not known:
        say(text("events.none", language(ctx)))
    else:
        from vpp_gateway.cli.status_view import draw_events

        draw_events(screen(), known, language(ctx))


@events.command("show")
@click.argument("event")
@config_option
@state_dir_option
@timeout_option
@json_option
@lang_option
@click.pass_context
def events_show(
    ctx: click.Context,
    event: str,
    config: Path | None,
    state_dir: Path | None,
    timeout_s: float,
    as_json: bool,
    lang: str | None,
) -> None:
    """Show one EVENT: its id as listed, or the utility's own id where only one event has it.

    Exits with 5 when the event is over and its delivery missed the order by more than 10 %.
    """
    picture = ask_status(ctx, config, state_dir, timeout_s)
    found = _chosen(tuple(picture["events"].each()), event)
    if as_json:
        print_json({"schema_version": STATUS_VERSION, "event": found.value})
    else:
        from vpp_gateway.cli.event_view import draw_event

        draw_event(screen(), found, language(ctx))
    over = found["state"].value in ("completed", "cancelled")
    ctx.exit(MISSED if over and found["within_10pct"].value is False else OK)


def _chosen(known: tuple[View, ...], wanted: str) -> View:
    """The event called `wanted`.

    Raises:
        Told: there is none, or several.
    """
    for event in known:
        if event["id"].text == wanted:
            return event
    same = [event for event in known if event["event_id"].text == wanted]
    if len(same) == 1:
        return same[0]
    names = ", ".join(event["id"].text or "" for event in same or known) or "-"
    raise Told("events.ambiguous" if same else "events.unknown", found=wanted, known=names)
