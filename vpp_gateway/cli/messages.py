"""`messages ls|show|export`: the messages of the utilities and ours, as they stood on the wire.

The record is read from its file, so it can be read with and without a running gateway.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vpp_gateway.catalogue import Told, text
from vpp_gateway.cli.common import (
    SCHEMA_VERSION,
    config_option,
    json_option,
    lang_option,
    language,
    print_json,
    remember_language,
    say,
    screen,
)
from vpp_gateway.cli.status import state_dir_option
from vpp_gateway.cli.whereabouts import find
from vpp_gateway.clock import SystemClock
from vpp_gateway.errors import JournalError

if TYPE_CHECKING:
    from vpp_gateway.journal.messages import OnRecord

_AGO = re.compile(r"(\d+)([smhd])")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

room_option = click.option("--room", default=None, help="Only of this connection.")
since_option = click.option(
    "--since", default=None, metavar="TIME", help="From here on: 2026-01-31T09:00:00Z, or 2h = two hours ago."
)
until_option = click.option("--until", default=None, metavar="TIME", help="Until here.")
name_option = click.option(
    "--name", default=None, metavar="ELEMENT", help="Only this message, oadrPoll for instance."
)
refused_option = click.option("--refused", is_flag=True, help="Only what was not acted on.")


@click.group
def messages() -> None:
    """Messages of the utilities and ours, on record."""


@messages.command("ls")
@config_option
@state_dir_option
@room_option
@since_option
@until_option
@name_option
@refused_option
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="The newest so many.")
@json_option
@lang_option
@click.pass_context
def messages_ls(
    ctx: click.Context,
    config: Path | None,
    state_dir: Path | None,
    room: str | None,
    since: str | None,
    until: str | None,
    name: str | None,
    refused: bool,
    limit: int,
    as_json: bool,
    lang: str | None,
) -> None:
    """List messages, oldest first."""
    rows = list(
        _read(
            ctx,
            config,
            state_dir,
            room=room,
            since=since,
            until=until,
            name=name,
            refused=refused,
            limit=limit,
        )
    )
    if as_json:
        print_json({"schema_version": SCHEMA_VERSION, "messages": [_plain(row) for row in rows]})
    elif not rows:
        say(text("messages.none", language(ctx)))
    else:
        from vpp_gateway.cli.messages_view import draw_list

        draw_list(screen(), rows, language(ctx))


@messages.command("show")
@click.argument("number", type=int, metavar="NUMBER")
@config_option
@state_dir_option
@click.option("--raw", is_flag=True, help="The bytes as they stood on the wire, and nothing else.")
@json_option
@lang_option
@click.pass_context
def messages_show(
    ctx: click.Context,
    number: int,
    config: Path | None,
    state_dir: Path | None,
    raw: bool,
    as_json: bool,
    lang: str | None,
) -> None:
    """Show message NUMBER of the list: verdicts, rules touched, and the text."""
    rows = list(_read(ctx, config, state_dir, id=number))
    if not rows:
        raise Told("messages.unknown", found=number)
    if raw:
        click.echo(rows[0].body, nl=False)
    elif as_json:
        print_json(
            {
                "schema_version": SCHEMA_VERSION,
                "message": _plain(rows[0]) | {"body": rows[0].body.decode("utf-8", "replace")},
            }
        )
    else:
        from vpp_gateway.cli.messages_view import draw_one

        draw_one(rows[0], language(ctx))


@messages.command("export")
@click.argument("where", type=click.Path(path_type=Path), metavar="FILE.zip")
@config_option
@state_dir_option
@room_option
@since_option
@until_option
@name_option
@refused_option
@lang_option
@click.pass_context
def messages_export(
    ctx: click.Context,
    where: Path,
    config: Path | None,
    state_dir: Path | None,
    room: str | None,
    since: str | None,
    until: str | None,
    name: str | None,
    refused: bool,
    lang: str | None,
) -> None:
    """Write messages into FILE.zip: each as it stood on the wire, an index, and SHA-256 sums."""
    from vpp_gateway.cli.messages_export import export

    rows = _read(ctx, config, state_dir, room=room, since=since, until=until, name=name, refused=refused)
    count = export(where, rows, _plain)
    say(text("messages.exported", language(ctx), count=count, where=where))


def _read(
    ctx: click.Context,
    config: Path | None,
    state_dir: Path | None,
    *,
    room: str | None = None,
    since: str | None = None,
    until: str | None = None,
    name: str | None = None,
    refused: bool = False,
    id: int | None = None,
    limit: int | None = None,
) -> Iterator[OnRecord]:
    from vpp_gateway.journal.messages import FILE_NAME, read

    there = find(config, state_dir)
    remember_language(ctx, there.language)
    try:
        yield from read(
            there.socket.parent / FILE_NAME,
            room=room,
            since=_time(since),
            until=_time(until),
            name=name,
            refused=refused,
            id=id,
            limit=limit,
        )
    except JournalError as error:
        raise Told("messages.unreadable", why=error) from None


def _time(given: str | None) -> float | None:
    """UTC (Unix s) of a time or an age. Raises Told."""
    if given is None:
        return None
    ago = _AGO.fullmatch(given)
    if ago is not None:
        return SystemClock().utc() - int(ago[1]) * _UNITS[ago[2]]
    try:
        found = datetime.fromisoformat(given.replace("Z", "+00:00"))
    except ValueError:
        raise Told("messages.bad_time", found=given) from None
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()


def _plain(row: OnRecord) -> dict[str, object]:
    """An entry without its body, for programs."""
    return {
        "id": row.id,
        "at": datetime.fromtimestamp(row.at, UTC).isoformat(timespec="milliseconds"),
        "room": row.room,
        "direction": row.direction,
        "exchange": row.pair,
        "url": row.url,
        "name": row.name,
        "status": row.status,
        "schema": row.schema,
        "signature": row.signature,
        "failure": row.failure,
        "rules": list(row.rules),
        "bytes": len(row.body),
    }
