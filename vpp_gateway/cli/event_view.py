"""One event in full: the order, the stopwatch, the delivery, the reasons."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vpp_gateway.catalogue import Lang, text
from vpp_gateway.cli.status_view import clean, named, plain, said, tiers
from vpp_gateway.cli.words import NOTHING, moment, mw
from vpp_gateway.plain import View

STAGES = (
    "received_at",
    "answered_at",
    "started_at",
    "first_setpoint_at",
    "all_setpoints_at",
    "reached_at",
    "ended_at",
)


def draw_event(console: Console, event: View, lang: Lang) -> None:
    """Everything that is known of `event`."""
    head = text("events.head", lang, id=plain(event["id"]), modification=plain(event["modification"]))
    test = f"  [reverse] {text('events.test', lang)} [/]" if event["test"].true else ""
    console.print(f"[bold]{head}[/]{test}")
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for row, value in _rows(event, lang):
        grid.add_row(text(f"events.row.{row}", lang), value)
    console.print(grid)
    console.print(f"[bold]{text('events.stages', lang)}[/]")
    console.print(_stages(event["stages"], lang))


def _rows(event: View, lang: Lang) -> list[tuple[str, str]]:
    direction = "up" if event["direction"].text == "up" else "down"
    ordered = f"{mw(event['target_regulation_w'].number, signed=True)} MW, {text(f'events.direction.{direction}', lang)}"
    end = event["end_at"].number
    until = text("events.until_cancelled", lang) if end is None else moment(end)
    reason = said(event, "opt_reason", lang)
    opt = named("opt", event["opt"], lang) + (f": {plain(reason)}" if reason.text else "")
    scope = ", ".join(clean(site.text or "") for site in event["scope"].each())
    why = event["why_ja" if lang == "ja" else "why"]
    return [
        ("state", named("state", event["state"], lang)),
        ("order", ordered),
        ("scope", escape(scope) or text("events.portfolio", lang)),
        ("window", f"{moment(event['start_at'].number)} – {until}"),
        ("opt", opt),
        (
            "delivered",
            f"{mw(event['delivered_regulation_w'].number, signed=True)} MW, {_verdict(event, lang)}",
        ),
        ("shortfall", f"{mw(event['shortfall_w'].number)} MW"),
        ("tiers", tiers(event["by_tier_w"], lang)),
        ("sites", tiers(event["by_site_w"], lang)),
        ("why", escape("\n".join(clean(one.text or "") for one in why.each())) or NOTHING),
    ]


def _verdict(event: View, lang: Lang) -> str:
    match event["within_10pct"].value:
        case True:
            return f"[green]✔ {text('events.met', lang)}[/]"
        case False:
            return f"[red]✖ {text('events.missed', lang)}[/]"
        case _:
            return text("events.unjudged", lang)


def _stages(stages: View, lang: Lang) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    received = stages["received_at"].number
    for stage in STAGES:
        at = stages[stage].number
        since = NOTHING if at is None or received is None else f"{at - received:+.2f} s"
        grid.add_row(text(f"events.stage.{stage}", lang), moment(at), since)
    return grid
