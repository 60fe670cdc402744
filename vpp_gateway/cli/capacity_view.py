"""What can be offered, as tables: blocks alike are one row, and what the numbers rest on stands with them."""

from __future__ import annotations

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vpp_gateway.catalogue import Lang, text, word
from vpp_gateway.cli.status_view import clean, named, plain
from vpp_gateway.cli.words import NOTHING, age, moment, percent
from vpp_gateway.plain import View

COLUMNS = ("area", "direction", "blocks", "room", "offer", "limit")


def draw_capacity(console: Console, picture: View, lang: Lang) -> None:
    """Everything that came."""
    series = tuple(picture["series"].each())
    for row in _warnings(picture, lang):
        console.print(f"[yellow]▲[/] {row}")
    if not series:
        console.print(text("capacity.nothing", lang))
        return
    blocks = [block["start_at"].number or 0.0 for one in series for block in one["blocks"].each()]
    block_s = picture["block_s"].number or 0.0
    until = max(blocks) + block_s
    head = text("capacity.head", lang, since=moment(min(blocks))[:16], until=moment(until)[:16])
    simulated = f"  [reverse] {text('status.simulated', lang)} [/]" if picture["simulated"].true else ""
    console.print(f"[bold]{head}[/]{simulated}")
    for product in picture["products"].each():
        of_it = [one for one in series if one["product"].text == product["name"].text]
        _product(console, product, of_it, block_s, lang)
    for line in _confidence(picture, series, lang):
        console.print(line)


def _product(console: Console, product: View, series: list[View], block_s: float, lang: Lang) -> None:
    title = plain(product["title_ja" if lang == "ja" else "title"])
    head = text(
        "capacity.product",
        lang,
        name=plain(product["name"]),
        title=title,
        response=_long(product["response_s"].number),
        sustain=_long(product["sustain_s"].number),
    )
    console.print(f"\n[bold]{head}[/]")
    console.print("; ".join(_terms(product, lang)))
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for key in COLUMNS:
        right = key in ("room", "offer")
        table.add_column(
            text(f"capacity.column.{key}", lang),
            justify="right" if right else "left",
            no_wrap=key != "limit",
            overflow="fold",
        )
    for one in series:
        for since, until, block in _runs(one, block_s):
            table.add_row(
                plain(one["area"]),
                named("direction", one["direction"], lang),
                f"{moment(since)[5:16]} – {moment(until)[5:16]}",
                _kw(block["room_w"]),
                f"[bold]{_kw(block['offer_w'])}[/]",
                _limit(block, lang),
            )
    console.print(table)


def _terms(product: View, lang: Lang) -> Iterator[str]:
    least, step = product["min_bid_w"].number or 0.0, product["step_w"].number or 0.0
    if least or step:
        yield text("capacity.bid", lang, least=f"{least / 1000:g}", step=f"{step / 1000:g}")
    if product["price_cap"].number is not None:
        price = f"{product['price_cap'].number:g}"
        yield text("capacity.cap", lang, price=price, unit=plain(product["price_unit"]))
    if product["verified"].text != "primary":
        yield text("capacity.unverified", lang, mark=word("mark", product["verified"].text or "", lang))
    if product["trigger"].text == "frequency":
        yield text("capacity.frequency", lang)


def _runs(series: View, block_s: float) -> Iterator[tuple[float, float, View]]:
    """(start, end, block) of blocks one after the other with the same quantity and limit."""
    blocks = list(series["blocks"].each())
    first = 0
    for index, block in enumerate(blocks):
        following = blocks[index + 1] if index + 1 < len(blocks) else None
        if following is None or _same(block) != _same(following):
            start_at = blocks[first]["start_at"].number or 0.0
            end_at = following["start_at"].number if following is not None else None
            last = (block["start_at"].number or 0.0) + block_s
            yield start_at, last if end_at is None else end_at, block
            first = index + 1


def _same(block: View) -> tuple[object, ...]:
    return tuple(block[key].value for key in ("room_w", "offer_w", "limit", "at"))


def _limit(block: View, lang: Lang) -> str:
    if not block["limit"].text:
        return NOTHING
    return f"{named('limit', block['limit'], lang)} ({plain(block['at'])})"


def _warnings(picture: View, lang: Lang) -> Iterator[str]:
    for doubt in picture["doubts"].each():
        limit = named("limit", doubt["limit"], lang)
        yield text("capacity.doubt", lang, device=plain(doubt["device"]), limit=limit)
    for award in picture["awards"].each():
        if (award["short_w"].number or 0.0) > 0:
            yield text(
                "capacity.short",
                lang,
                product=plain(award["product"]),
                area=plain(award["area"]),
                direction=named("direction", award["direction"], lang),
                kw=_kw(award["w"]),
                short=_kw(award["short_w"]),
                since=moment(award["start_at"].number)[:16],
            )
    for name in picture["undefined"].each():
        yield text("capacity.undefined", lang, product=plain(name))


def _confidence(picture: View, series: tuple[View, ...], lang: Lang) -> Iterator[str]:
    level = percent(picture["confidence"].number)
    told: dict[str, None] = {}
    unknown = 0.0
    for one in series:
        events, needed = one["events"].number or 0.0, one["events_needed"].number or 0.0
        if events < needed:
            unknown = max(unknown, needed)
            continue
        told[
            text(
                "capacity.factor",
                lang,
                area=escape(clean(one["area"].text or "")),
                direction=named("direction", one["direction"], lang),
                confidence=level,
                factor=percent(one["factor"].number),
                events=f"{events:.0f}",
            )
        ] = None
    yield from told
    if unknown:
        yield text("capacity.no_history", lang, confidence=level, needed=f"{unknown:.0f}")


def _kw(watts: View) -> str:
    return NOTHING if watts.number is None else f"{watts.number / 1000:,.0f}"


def _long(seconds: float | None) -> str:
    """A time of a product, which may be a fraction of a second."""
    return f"{seconds:g} s" if seconds is not None and seconds < 10 else age(seconds)
