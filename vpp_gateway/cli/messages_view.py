"""How messages on record are shown: a table, or one message with its verdicts. What a peer sent is shown escaped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
from rich.table import Table

from vpp_gateway.catalogue import Lang, text
from vpp_gateway.cli.common import safe

if TYPE_CHECKING:
    from rich.console import Console

    from vpp_gateway.journal.messages import OnRecord

_ARROWS = {"in": "<-", "out": "->"}


def draw_list(console: Console, rows: Sequence[OnRecord], lang: Lang) -> None:
    """One line each."""
    table = Table(box=None, header_style="bold")
    for key in ("id", "at", "room", "direction", "name", "verdict", "rules"):
        table.add_column(
            text(f"messages.column.{key}", lang), overflow="fold", no_wrap=key in ("id", "at", "name")
        )
    for row in rows:
        table.add_row(
            str(row.id),
            _utc(row.at),
            safe(row.room),
            _ARROWS[row.direction],
            safe(row.name) or "-",
            safe(row.failure) or text("messages.ok", lang),
            " ".join(row.rules),
            style="red" if row.refused else "",
        )
    console.print(table, markup=False)


def draw_one(row: OnRecord, lang: Lang) -> None:
    """Verdicts, then the text, indented where it is XML."""
    click.echo(f"{row.id} {_ARROWS[row.direction]} {safe(row.name) or '-'}")
    fields = {
        "at": _utc(row.at),
        "room": row.room,
        "url": row.url,
        "pair": row.pair,
        "status": "" if row.status is None else str(row.status),
        "schema": row.schema,
        "signature": row.signature,
        "failure": row.failure,
        "rules": " ".join(row.rules),
    }
    for key, value in fields.items():
        if value:
            click.echo(f"  {text(f'messages.field.{key}', lang)}: {safe(value)}")
    click.echo("")
    click.echo(pretty(row.body))


def pretty(body: bytes) -> str:
    """Indented XML; anything else escaped."""
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_blank_text=True
    )
    try:
        tree = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        return safe(body.decode("utf-8", "backslashreplace"), keep_lines=True)
    etree.indent(tree, space="  ")
    return safe(etree.tostring(tree, encoding="unicode"), keep_lines=True)


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
