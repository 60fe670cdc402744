"""`device scan`, `device read` and `device decode`: looking at devices, never writing."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vpp_gateway.catalogue import Lang, text
from vpp_gateway.cli.common import (
    FAILED,
    SCHEMA_VERSION,
    UNREACHABLE,
    json_option,
    lang_option,
    language,
    print_json,
    say,
    screen,
)
from vpp_gateway.cli.device_options import (
    address,
    folder_option,
    known,
    point_at,
    timeout_option,
    unit_option,
)
from vpp_gateway.southbound.modbus.profile import DeviceProfile

if TYPE_CHECKING:
    from vpp_gateway.commission.scan import Found

UNITS = click.IntRange(0, 247)


@click.command
@click.argument("target")
@click.option(
    "--port", "ports", multiple=True, type=click.IntRange(1, 65535), default=(502,), show_default=True,
    help="TCP port; may be given more than once.",
)  # fmt: skip
@click.option(
    "--unit", "units", multiple=True, type=UNITS, default=(1,), show_default=True,
    help="Modbus unit id; may be given more than once.",
)  # fmt: skip
@timeout_option
@folder_option
@json_option
@lang_option
@click.pass_context
def scan(
    ctx: click.Context,
    target: str,
    ports: tuple[int, ...],
    units: tuple[int, ...],
    timeout_s: float,
    folders: tuple[Path, ...],
    as_json: bool,
    lang: str | None,
) -> None:
    """Look for devices at TARGET, a host or a network (10.0.0.0/24). Reads only."""
    from vpp_gateway.commission.scan import hosts, scan

    targets = [point_at(host, port) for host in hosts(target) for port in ports]
    profiles = known(folders)

    async def look() -> list[Found]:
        return [found async for found in scan(targets, units, profiles, timeout_s=timeout_s)]

    found = sorted(asyncio.run(look()), key=lambda row: (row.address.host, row.address.port, row.unit))
    if as_json:
        print_json({"schema_version": SCHEMA_VERSION, "devices": [_found(row) for row in found]})
    else:
        _draw(found, profiles, language(ctx), len(targets))
    if not found:
        ctx.exit(UNREACHABLE)


def _found(row: Found) -> dict[str, object]:
    return {
        "host": row.address.host,
        "port": row.address.port,
        "unit": row.unit,
        "sunspec": None if row.chain is None else [number for number, _, _ in row.chain.models],
        "identity": {} if row.chain is None else dict(row.chain.identity),
        "profiles": list(row.profiles),
    }


def _draw(found: list[Found], profiles: tuple[DeviceProfile, ...], lang: Lang, looked_at: int) -> None:
    if not found:
        say(text("device.scan.none", lang, count=looked_at))
        return
    kinds = {profile.name: profile.kind for profile in profiles}
    for row in found:
        at = f"{row.address} unit {row.unit}"
        if row.chain is not None:
            who = " ".join(word for word in row.chain.identity.values() if word) or "-"
            models = ", ".join(str(number) for number, _, _ in row.chain.models)
            say(text("device.scan.sunspec", lang, at=at, who=who, models=models))
        else:
            say(text("device.scan.plain", lang, at=at))
        for name in row.profiles:
            kind = text(f"word.kind.{kinds[name]}", lang)
            say(text("device.scan.fits", lang, profile=name, kind=kind))
        if not row.profiles:
            say(text("device.scan.unknown", lang))


@click.command
@click.argument("host", callback=address)
@click.option("--profile", "name", required=True, help="Profile of the device.")
@unit_option
@timeout_option
@folder_option
@json_option
@lang_option
@click.pass_context
def read(
    ctx: click.Context,
    host: str,
    name: str,
    unit: int | None,
    timeout_s: float,
    folders: tuple[Path, ...],
    as_json: bool,
    lang: str | None,
) -> None:
    """Read all that the profile knows of the device at HOST (or HOST:PORT), once."""
    from vpp_gateway.cli.device_options import the_profile
    from vpp_gateway.commission.probe import Probe

    profile = the_profile(name, folders, unit)
    target = point_at(host, profile.port)

    async def look() -> dict[str, float | None]:
        async with Probe(target, unit=profile.unit, timeout_s=timeout_s) as probe:
            return await probe.values(profile, await probe.meet(profile))

    values = asyncio.run(look())
    if as_json:
        print_json({"schema_version": SCHEMA_VERSION, "profile": profile.name, "values": values})
        return
    said = language(ctx)
    for role, value in values.items():
        shown = text("device.no_value", said) if value is None else f"{value:g}"
        say(f"{text(f'device.role.{role}', said)}: {shown}")


@click.command
@click.argument("host", callback=address)
@click.argument("at", type=click.IntRange(0, 65535))
@click.argument("count", type=click.IntRange(1, 125), default=4)
@click.option("--table", type=click.Choice(("holding", "input")), default="holding", show_default=True)
@click.option("--expect", type=float, help="What should stand there: the readings that fit are marked.")
@click.option("--all", "every", is_flag=True, help="Show all readings, not the plausible ones only.")
@unit_option
@timeout_option
@json_option
@lang_option
@click.pass_context
def decode(
    ctx: click.Context,
    host: str,
    at: int,
    count: int,
    table: str,
    expect: float | None,
    every: bool,
    unit: int | None,
    timeout_s: float,
    as_json: bool,
    lang: str | None,
) -> None:
    """Read COUNT registers AT a wire address of HOST and show every way to read them."""
    from vpp_gateway.commission.decode import guesses, text_of
    from vpp_gateway.commission.probe import Probe
    from vpp_gateway.southbound.modbus.codec import Block, exception_words

    target = point_at(host, 502)

    async def look() -> tuple[tuple[int, ...], int]:
        async with Probe(target, unit=unit or 1, timeout_s=timeout_s) as probe:
            return await probe.read(Block(at, count, "input" if table == "input" else "holding"))

    registers, exception = asyncio.run(look())
    said = language(ctx)
    if exception:
        say(text("device.decode.refused", said, at=at, why=exception_words(exception)), err=True)
        ctx.exit(FAILED)
    found = [guess for guess in guesses(registers, expect=expect) if every or guess.fits]
    if as_json:
        rows = [asdict(guess) | {"address": at + guess.at} for guess in found]
        print_json({"schema_version": SCHEMA_VERSION, "registers": list(registers), "readings": rows})
        return
    for index, register in enumerate(registers):
        say(f"{at + index:>6}  0x{register:04X}  {register}")
    say(f"{text('device.decode.text', said)}: {text_of(registers)}")
    from rich.table import Table

    table_ = Table(box=None, pad_edge=False)
    for column in ("address", "type", "words", "bytes", "value", "scale", "fits"):
        table_.add_column(text(f"device.decode.{column}", said))
    for guess in found:
        table_.add_row(
            str(at + guess.at), guess.type, guess.words, guess.bytes, f"{guess.value:g}",
            f"{guess.scale:g}", "✔" if guess.fits and expect is not None else "",
        )  # fmt: skip
    screen().print(table_)
