"""The status as compact tables, worst first, readable at 80 columns.

Colour never stands alone: every state also has its word and a mark of its own shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vpp_gateway.catalogue import Lang, text, word
from vpp_gateway.cli.words import NOTHING, age, clock, moment, mw, percent
from vpp_gateway.plain import View

MARKS = {
    "good": "[green]●[/] ",
    "stale": "[yellow]▲[/] ",
    "refusing": "[yellow]■[/] ",
    "implausible": "[red]◆[/] ",
    "lost": "[red]✖[/] ",
    "warning": "[yellow]▲[/] ",
    "bad": "[red]✖[/] ",
    "info": "[blue]○[/] ",
    "alarm": "[red]■[/] ",
    "trip": "[red]✖[/] ",
}
WORST_FIRST = ("trip", "alarm", "warning", "info")
HEALTH_WORST_FIRST = ("lost", "implausible", "refusing", "stale", "warning", "good")
LINK_WORST_FIRST = ("bad", "warning", "good")
EVENTS_FIRST = ("active", "pending", "refused", "cancelled", "completed")
EVENTS_SHOWN = 8

Column = tuple[str, str]
"""Key of its heading below `status.column.`, and `left` or `right`."""


def draw_status(console: Console, picture: View, lang: Lang, *, degraded: bool) -> None:
    """Everything, worst first."""
    _headline(console, picture, lang, degraded)
    _alarms(console, picture, lang)
    _sites(console, picture, lang)
    _devices(console, picture, lang)
    _links(console, picture, lang)
    draw_events(console, tuple(picture["events"].each())[:EVENTS_SHOWN], lang)
    _plugins(console, picture, lang)


def draw_events(console: Console, events: Sequence[View], lang: Lang) -> None:
    """A table of events: running ones first, then those to come, then the past."""
    columns = (
        ("event", "left"), ("direction", "left"), ("start", "left"), ("target", "right"), ("delivered", "right"),
        ("met", "left"), ("state", "left"), ("opt", "left"),
    )  # fmt: skip
    rows = [
        (
            plain(event["id"]),
            named("direction", event["direction"], lang),
            moment(event["start_at"].number)[5:16],
            mw(event["target_regulation_w"].number, signed=True),
            mw(event["delivered_regulation_w"].number, signed=True),
            _met(event["within_10pct"]),
            named("state", event["state"], lang),
            named("opt", event["opt"], lang),
        )
        for event in _by(EVENTS_FIRST, "state", events)
    ]
    _table(console, "events", columns, rows, lang)


def plain(view: View) -> str:
    """The text of a value, with nothing in it that steers the terminal or the markup."""
    return NOTHING if view.value is None else escape(clean(str(view.value)))


def named(family: str, code: View, lang: Lang) -> str:
    """A code (a health, a state, a kind) by the operator's word for it."""
    return NOTHING if code.text is None else escape(clean(word(family, code.text, lang)))


def said(view: View, name: str, lang: Lang) -> View:
    """A text that came in both languages; in English from a gateway that does not know the other yet."""
    japanese = view[f"{name}_ja"]
    return japanese if lang == "ja" and japanese.text is not None else view[name]


def clean(said: str) -> str:
    """`said` without control characters: parts of it come from peers."""
    return "".join(sign if sign.isprintable() else " " for sign in said)


def tiers(view: View, lang: Lang) -> str:
    """`battery 6.00 MW, workload 3.00 MW`."""
    parts = [
        text("status.tier", lang, tier=clean(word("tier", tier, lang)), mw=mw(w.number, signed=True))
        for tier, w in view.items()
    ]
    return escape(", ".join(parts)) or text("status.nothing", lang)


def _met(within: View) -> str:
    return NOTHING if within.value is None else "[green]✔[/]" if within.true else "[red]✖[/]"


def _headline(console: Console, picture: View, lang: Lang, degraded: bool) -> None:
    gateway, portfolio = picture["gateway"], picture["portfolio"]
    up_s = (picture["at"].number or 0.0) - (gateway["started_at"].number or 0.0)
    line = text(
        "status.gateway",
        lang,
        name=plain(gateway["name"]),
        version=plain(gateway["version"]),
        epoch=plain(gateway["epoch"]),
        up=age(up_s),
    )
    mark = (
        f"[bold red]▲ {text('status.degraded', lang)}[/]"
        if degraded
        else f"[green]● {text('status.ok', lang)}[/]"
    )
    simulated = f"  [reverse] {text('status.simulated', lang)} [/]" if gateway["simulated"].true else ""
    console.print(f"{mark}  {line}{simulated}")
    console.print(_sums(portfolio, lang))
    parts = text("status.tiers", lang, tiers=tiers(portfolio["by_tier_w"], lang))
    console.print(f"{parts}  ({moment(picture['at'].number)} JST)")


def _sums(portfolio: View, lang: Lang) -> str:
    import_ = text(
        "status.import",
        lang,
        now=mw(portfolio["import_w"].number),
        baseline=mw(portfolio["baseline_import_w"].number),
    )
    now, target = mw(portfolio["regulation_w"].number, signed=True), portfolio["target_regulation_w"].number
    if target is None:
        return f"{import_}  {text('status.no_order', lang, now=now)}"
    short = mw(portfolio["shortfall_w"].number)
    return f"{import_}  {text('status.relief', lang, now=now, target=mw(target, signed=True), short=short)}"


def _alarms(console: Console, picture: View, lang: Lang) -> None:
    rows = [
        (
            _marked("severity", alarm["severity"], lang),
            plain(alarm["code"]),
            plain(said(alarm, "text", lang)),
            clock(alarm["since"].number),
        )
        for alarm in _by(WORST_FIRST, "severity", picture["alarms"].each())
    ]
    columns = (("severity", "left"), ("code", "left"), ("text", "left"), ("since", "right"))
    _table(console, "alarms", columns, rows, lang)


def _sites(console: Console, picture: View, lang: Lang) -> None:
    sites = _by(HEALTH_WORST_FIRST, "health", picture["sites"].each())
    doubled = any(site["check_meter"].value is not None for site in sites)
    columns = (
        ("site", "left"), ("health", "left"), ("import", "right"), *((("seen", "left"),) if doubled else ()),
        ("relief", "right"), ("target", "right"), ("soc", "right"), ("age", "right"), ("reason", "left"),
    )  # fmt: skip
    rows = [
        (
            plain(site["id"]),
            _marked("health", site["health"], lang),
            mw(site["import_w"].number),
            *((named("sight", site["sight"], lang),) if doubled else ()),
            mw(site["regulation_w"].number, signed=True),
            mw(site["target_regulation_w"].number, signed=True),
            _mean_soc(site),
            age(site["age_s"].number),
            plain(said(site, "reason", lang)),
        )
        for site in sites
    ]
    _table(console, "sites", columns, rows, lang)


def _mean_soc(site: View) -> str:
    known = [soc for battery in site["batteries"].each() if (soc := battery["soc"].number) is not None]
    return percent(sum(known) / len(known) if known else None)


def _devices(console: Console, picture: View, lang: Lang) -> None:
    """Only those that are not good: with three sites a table of all of them hides the one that matters."""
    devices = [
        (site, device)
        for site in picture["sites"].each()
        for device in (site["meter"], site["check_meter"], site["pv_meter"], *site["batteries"].each())
        if device["health"].value not in ("good", None)
    ]
    devices.sort(key=lambda pair: _rank(HEALTH_WORST_FIRST, pair[1]["health"]))
    rows = [
        (
            plain(device["id"]),
            plain(site["id"]),
            _marked("health", device["health"], lang),
            age(device["age_s"].number),
            plain(said(device, "reason", lang)),
        )
        for site, device in devices
    ]
    columns = (("device", "left"), ("site", "left"), ("health", "left"), ("age", "right"), ("reason", "left"))
    _table(console, "devices", columns, rows, lang)


def _links(console: Console, picture: View, lang: Lang) -> None:
    rows = [
        (
            plain(link["name"]),
            named("kind", link["kind"], lang),
            _mark(link["health"]) + named("link", link["state"], lang),
            age(link["age_s"].number),
            plain(said(link, "detail", lang)),
        )
        for link in _by(LINK_WORST_FIRST, "health", picture["links"].each())
    ]
    columns = (("link", "left"), ("kind", "left"), ("state", "left"), ("age", "right"), ("detail", "left"))
    _table(console, "links", columns, rows, lang)


def _plugins(console: Console, picture: View, lang: Lang) -> None:
    rows = [
        (
            plain(plugin["name"]),
            plain(plugin["site"]),
            named("link", plugin["state"], lang),
            ", ".join(named("offer", offer["kind"], lang) for offer in plugin["offers"].each()) or NOTHING,
            plain(said(plugin, "reason", lang)),
        )
        for plugin in picture["plugins"].each()
    ]
    columns = (
        ("plugin", "left"),
        ("site", "left"),
        ("state", "left"),
        ("offers", "left"),
        ("reason", "left"),
    )
    _table(console, "plugins", columns, rows, lang)


def _table(
    console: Console, heading: str, columns: Sequence[Column], rows: Iterable[Sequence[str]], lang: Lang
) -> None:
    """A table with its heading; nothing at all when there are no rows."""
    filled = list(rows)
    if not filled:
        return
    console.print(f"\n[bold]{text(f'status.heading.{heading}', lang)}[/]")
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for number, (key, justify) in enumerate(columns):
        last = number == len(columns) - 1
        table.add_column(
            text(f"status.column.{key}", lang),
            justify="right" if justify == "right" else "left",
            no_wrap=not last and key not in ("text", "event"),
            overflow="fold",
        )
    for row in filled:
        table.add_row(*row)
    console.print(table)


def _by(order: Sequence[str], key: str, views: Iterable[View]) -> list[View]:
    """Sorted by where `key` stands in `order`; the unknown first, because it may be worse than all."""
    return sorted(views, key=lambda view: _rank(order, view[key]))


def _rank(order: Sequence[str], view: View) -> int:
    return order.index(view.text) if view.text in order else -1


def _mark(view: View) -> str:
    return MARKS.get(view.text or "", "[red]?[/] ")


def _marked(family: str, view: View, lang: Lang) -> str:
    return _mark(view) + named(family, view, lang)
