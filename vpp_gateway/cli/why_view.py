"""The explanation of one event as text: a table of what changed, or one second in full."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vpp_gateway.catalogue import Lang, retell, text, word
from vpp_gateway.chronicle.look import Look
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
    yield "target", [f"{mw(look.asked_w, signed=True)} MW"]
    yield "delivered", [f"{mw(look.delivered_w, signed=True)} MW"]
    tiers = ((BATTERY, look.battery_w), (WORKLOAD, look.workload_w))
    yield "tiers", [", ".join(f"{word('tier', tier, lang)} {mw(w, signed=True)} MW" for tier, w in tiers)]
    if look.short_w:
        yield "short", [f"{mw(abs(look.short_w))} MW"]
    yield "binding", said(look.binding, lang)
    yield "sites", list(_sites(look, lang))
    yield "batteries", said((battery.reason_named for battery in look.batteries), lang)
    yield "orders", list(_orders(look, lang))
    yield "called", said(look.called, lang)
    yield "rejected", said(look.rejected, lang)
    yield "plugins", [f"{name}: {retell(why, lang)}" for name, why in look.plugins]


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
