"""The result of a play as text: one row an event, then what else is worth knowing."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.table import Table

from vpp_gateway.catalogue import Lang, retell, text, word
from vpp_gateway.whatif.result import HandOverResult, Renewables, SimulatedEvent, SimulationResult
from vpp_gateway.whatif.world import Play

NOTHING = "–"
COLUMNS = ("event", "target", "delivered", "shortfall", "reached", "within")


def draw(console: Console, play: Play, result: SimulationResult, lang: Lang) -> None:
    """Print it."""
    head = text("whatif.head", lang, name=result.name, seconds=f"{result.simulated_s:.0f}", seed=result.seed)
    console.print(f"[bold]{escape(head)}[/]", soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in COLUMNS:
        justify: JustifyMethod = "left" if name == "event" else "right"
        table.add_column(text(f"whatif.column.{name}", lang), justify=justify, no_wrap=True)
    for event in result.events:
        table.add_row(*_row(event, lang))
    console.print(table)
    for line in _remarks(play, result, lang):
        console.print(line, soft_wrap=True)


def _row(event: SimulatedEvent, lang: Lang) -> tuple[str, ...]:
    mark = {True: "[green]✔[/] ", False: "[red]✖[/] ", None: "[yellow]?[/] "}[event.met]
    within = NOTHING if event.share_within_10pct is None else f"{event.share_within_10pct:.2%}"
    return (
        f"{mark}{escape(event.name)}",
        _mw(event.target_regulation_w, signed=True),
        _mw(event.delivered_regulation_w, signed=True),
        _mw(event.shortfall_w),
        NOTHING if event.reached_after_s is None else f"{event.reached_after_s:.0f} s",
        within,
    )


def _remarks(play: Play, result: SimulationResult, lang: Lang) -> Iterator[str]:
    for notice in result.notices_ja if lang == "ja" else result.notices:
        yield f"[yellow]{escape(text('whatif.notice', lang, what=notice))}[/]"
    for event in result.events:
        yield from _who(event, lang)
        yield from _late(event, lang)
        if event.opt == "out":
            yield f"[red]{escape(event.name)}: {text('whatif.out', lang, why=escape(event.reason_ja if lang == 'ja' else event.reason))}[/]"
        style = {True: "", False: "red", None: "yellow"}[event.met]
        for remark in event.remarks:
            said = escape(f"{event.name}: {remark.text_ja if lang == 'ja' else remark.text}")
            yield f"[{style}]{said}[/]" if style else said
        for number, over in enumerate(event.hand_overs, 1):
            yield escape(_hand_over(event, number, over, lang))
        for one in event.after:
            yield escape(
                text(
                    "whatif.after",
                    lang,
                    name=event.name,
                    site=one.site,
                    mwh=f"{one.returned_wh / 1e6:.3f}",
                    mw=_mw(one.returned_w),
                    above=_mw(one.above_baseline_w, signed=True),
                    until=f"{one.until_s:.0f}",
                )
            )
        if event.unreported_samples:
            said = text("whatif.unreported", lang, name=event.name, count=event.unreported_samples)
            yield f"[red]{escape(said)}[/]"
    for fault in result.failures:
        until = "" if fault.for_s is None else text("whatif.until", lang, at=f"{fault.at_s + fault.for_s:g}")
        said = text(
            "whatif.failed",
            lang,
            what=word("fault", fault.what, lang),
            where=fault.where,
            how=fault.how,
            at=f"{fault.at_s:g}",
            until=until,
        )
        yield escape(said)
    if result.renewables is not None:
        yield _sun(result.renewables, lang)
    for code in play.assumed:
        yield f"[dim]{text('whatif.assumed', lang, what=text(code, lang))}[/]"
    if result.trouble:
        yield f"[bold red]{escape(text('whatif.trouble', lang, why=retell(result.trouble, lang)))}[/]"


def _hand_over(event: SimulatedEvent, number: int, over: HandOverResult, lang: Lang) -> str:
    """On the clock of the play, as failures are and the picture is; the event's own offset in words."""
    return text(
        "whatif.hand_over",
        lang,
        name=event.name,
        number=number,
        mw=_mw(over.grown_regulation_w, signed=True),
        ordered=f"{over.ordered_s:.0f}",
        after=f"{over.ordered_s - event.start_s:.0f}",
        lasted=f"{over.lasted_s:.0f}",
        real=f"{over.real_s:.0f}",
    )


def _sun(sun: Renewables, lang: Lang) -> str:
    def mwh(wh: float) -> str:
        return f"{wh / 1e6:.3f}"

    bound, taken_wh = sun.surplus_bound_wh, sun.surplus_used_wh
    return text(
        "whatif.sun",
        lang,
        used=mwh(sun.used_wh),
        sun=mwh(sun.sun_wh),
        surplus=mwh(sun.surplus_wh),
        taken=mwh(taken_wh),
        share=NOTHING if bound is None or bound <= 0 else f"{taken_wh / bound:.1%}",
        bound=NOTHING if bound is None else mwh(bound),
    )


def _mw(watts: float | None, *, signed: bool = False) -> str:
    if watts is None:
        return NOTHING
    shown = f"{watts / 1e6:+.3f}" if signed else f"{watts / 1e6:.3f}"
    return shown.replace("-0.000", "0.000").replace("+0.000", "0.000")


def _late(event: SimulatedEvent, lang: Lang) -> Iterator[str]:
    """That it came after its start."""
    late_s = event.received_s - event.start_s
    if late_s > 0:
        said = text("whatif.late", lang, name=event.name, late=f"{late_s:g}")
        if event.opt == "in" and event.limit is None and event.met is not None:
            said += text("whatif.late.counted", lang, count=event.samples)
        yield f"[yellow]{escape(said)}[/]"


def _who(event: SimulatedEvent, lang: Lang) -> Iterator[str]:
    """What was asked, and who carried it."""
    yield f"[bold]{escape(event.name)}[/]: {escape(event.said)}"
    tiers = {word("tier", tier, lang): w for tier, w in event.by_tier_w.items()}
    for name, parts in (("tiers", tiers), ("sites", event.by_site_w)):
        if parts:
            said = ", ".join(f"{part} {_mw(w, signed=True)}" for part, w in parts.items())
            yield f"  {text(f'whatif.column.{name}', lang)}: {escape(said)}"
