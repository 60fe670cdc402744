"""The explanation of one event as text: a table of what changed, or one second in full."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vpp_gateway.catalogue import Lang, retell, text, word
from vpp_gateway.chronicle.look import Look
from vpp_gateway.chronicle.telling import ruled, way_of
from vpp_gateway.cli.status_view import clean
from vpp_gateway.cli.words import NOTHING, clock, moment, mw
from vpp_gateway.domain.fleet import BATTERY, WORKLOAD
from vpp_gateway.whatif.why import Why
from vpp_gateway.whatif.why_result import said

STYLES = {"failure": "red", "shortfall": "red", "plan": "cyan", "hand_over": "magenta"}


def draw_why(console: Console, why: Why, path: Path, lang: Lang) -> None:
    """One row per second and kind of change; before it what cannot be told."""
    instruction = why.instruction
    head = text("events.why.head", lang, id=instruction.id, modification=instruction.modification)
    console.print(f"[bold]{escape(clean(head))}[/]", soft_wrap=True)
    for line in _remarks(why, path, lang):
        console.print(line, soft_wrap=True)
    if not why.rows:
        console.print(text("events.why.nothing", lang))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("time", "since", "kind"):
        table.add_column(text(f"events.why.column.{name}", lang), no_wrap=True)
    table.add_column(text("events.why.column.why", lang), overflow="fold")
    for row in why.rows:
        style = STYLES.get(row.kind, "")
        table.add_row(
            clock(row.at),
            f"{row.at - instruction.start_at:+.0f} s",
            word("change", row.kind, lang),
            _text(said(row.why, lang)),
            style=style,
        )
    console.print(table)
    if any(name == "cost" for row in why.rows for reason in row.why for name, _ in reason.values):
        cost = f"{text('events.why.row.cost', lang)}: {text('events.why.cost', lang)}"
        console.print(f"[dim]{escape(cost)}[/]", soft_wrap=True)
    if why.record is None:
        console.print(f"[dim]{text('events.why.running', lang)}[/]")


def _remarks(why: Why, path: Path, lang: Lang) -> Iterator[str]:
    """What was read, and what cannot be told."""
    yield f"[dim]{escape(text('events.why.read', lang, facts=why.facts, path=path, compared=why.compared))}[/]"
    if why.problem:
        yield f"[red]{escape(text('events.why.problem', lang, why=why.problem))}[/]"
    for since, until in why.gaps:
        told = text("events.why.gap", lang, since=moment(since), until=moment(until))
        yield f"[red]{escape(told)}[/]"
    if why.otherwise is not None:
        told = text("events.why.differs", lang, at=moment(why.otherwise.at), seq=why.otherwise.seq)
        yield f"[red]{escape(told)}[/]"
    if why.gaps and why.seen is None and why.record is not None:
        yield text("events.why.gone", lang)
        yield from (f"  {escape(clean(one))}" for one in said(why.record.why, lang))


def draw_second(console: Console, why: Why, path: Path, lang: Lang) -> None:
    """Everything of the second that was asked for."""
    look = why.second
    assert look is not None
    head = text("events.why.at", lang, id=why.instruction.id, at=moment(look.at))
    console.print(f"[bold]{escape(clean(head))}[/]", soft_wrap=True)
    for line in _remarks(why, path, lang):
        console.print(line, soft_wrap=True)
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, lines in _second(look, lang):
        if lines:
            grid.add_row(text(f"events.why.row.{name}", lang), _text(lines))
    console.print(grid)


def _second(look: Look, lang: Lang) -> Iterator[tuple[str, list[str]]]:
    asked = mw(look.asked_w, signed=True)
    if look.limit is not None:
        yield "limit", list(_limit(look, lang))
    elif look.idle:
        yield "target", [text("events.why.not_asked", lang, mw=asked)]
    else:
        yield "target", [f"{asked} MW"]
        yield "delivered", [f"{mw(look.delivered_w, signed=True)} MW"]
        yield "tiers", [_tiers(look, lang)]
    yield "ruled", said(ruled(look), lang)
    if look.short_w:
        yield "short", [f"{mw(abs(look.short_w))} MW"]
    yield "binding", said(look.binding, lang)
    yield "sites", list(_sites(look, lang))
    yield "batteries", list(_batteries(look, lang))
    yield "orders", list(_orders(look, lang))
    yield "called", said(look.called, lang)
    yield "rejected", said(look.rejected, lang)
    if look.orders or look.called or look.rejected:
        yield "cost", [text("events.why.cost", lang)]
    yield "plugins", [f"{name}: {retell(why, lang)}" for name, why in look.plugins]


def _tiers(look: Look, lang: Lang) -> str:
    """What the meters show beside the batteries is the work's where work is ordered; else it is noise."""
    parts: list[tuple[str, float]] = [(BATTERY, look.battery_w)]
    parts += [("work_rest", look.workload_w)] if look.works else [(WORKLOAD, 0.0), ("rest", look.workload_w)]
    return ", ".join(f"{word('tier', tier, lang)} {mw(w, signed=True)} MW" for tier, w in parts)


def _limit(look: Look, lang: Lang) -> Iterator[str]:
    """What flows at each site, what is allowed, and what is left."""
    assert look.limit is not None
    for site in look.sites:
        way, most_w, sign = way_of(look.limit, site.import_w or 0.0)
        flow_w = None if site.import_w is None else sign * site.import_w
        yield text(
            "events.why.site_limit",
            lang,
            site=site.id,
            way=f"word.way.{way}",
            kw=_kw(flow_w),
            total_kw=_kw(most_w),
            margin_kw=_kw(None if flow_w is None else most_w - flow_w),
            battery_kw=_kw(site.battery_w),
        )


def _batteries(look: Look, lang: Lang) -> Iterator[str]:
    """What each is ordered and why, and what it gives."""
    for battery in look.batteries:
        (told,) = said([battery.reason_named], lang)
        if battery.given_w is not None:
            told = text("events.why.given", lang, said=told, kw=_kw(look.sign * battery.given_w))
        yield told


def _sites(look: Look, lang: Lang) -> Iterator[str]:
    for site in look.sites:
        told = text(
            "events.why.site",
            lang,
            site=site.id,
            kw=_kw(site.delivered_w),
            import_kw=_kw(site.import_w),
            baseline_kw=_kw(site.baseline_w),
        )
        trouble = site.trouble or site.meter
        yield told + (f" ({retell(trouble, lang)})" if trouble else "")


def _orders(look: Look, lang: Lang) -> Iterator[str]:
    for order in look.orders:
        if order.state != "failed":
            yield text(
                "events.why.order",
                lang,
                offer=order.name,
                state=word("link", order.state, lang),
                kw=_kw(order.regulation_w),
                cost=f"{order.cost:g}",
            )


def _text(lines: list[str]) -> str:
    return escape("\n".join(map(clean, lines)))


def _kw(watts: float | None) -> str:
    return NOTHING if watts is None else f"{watts / 1000.0:.1f}"
