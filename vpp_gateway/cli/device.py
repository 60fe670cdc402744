"""`device`: profiles of batteries and meters, and getting to know a real one."""

from __future__ import annotations

from pathlib import Path

import click

from vpp_gateway.catalogue import Lang, text
from vpp_gateway.cli.common import (
    MISSED,
    SCHEMA_VERSION,
    json_option,
    lang_option,
    language,
    print_json,
    say,
    screen,
)
from vpp_gateway.cli.device_commission import commission, failsafe, steptest, verify
from vpp_gateway.cli.device_look import decode, read, scan
from vpp_gateway.cli.device_options import folder_option, known
from vpp_gateway.cli.device_sim import sim
from vpp_gateway.profile import read_profile
from vpp_gateway.southbound.modbus.profile import DeviceProfile, device_schema
from vpp_gateway.southbound.modbus.shelf import with_generations
from vpp_gateway.yaml_source import Document, read_yaml
from vpp_gateway.yaml_validate import validate


@click.group
def device() -> None:
    """Batteries and meters behind Modbus: profiles, and getting to know a device."""


for command in (scan, read, decode, steptest, failsafe, commission, verify, sim):
    device.add_command(command)


@device.command
@folder_option
@json_option
@lang_option
@click.pass_context
def profiles(ctx: click.Context, folders: tuple[Path, ...], as_json: bool, lang: str | None) -> None:
    """List the products that are known, with their grade."""
    found = known(folders)
    if as_json:
        rows = [_row(profile) for profile in found]
        print_json({"schema_version": SCHEMA_VERSION, "profiles": rows})
        return
    _draw(found, language(ctx))


def _row(profile: DeviceProfile) -> dict[str, object]:
    reversion = profile.reversion
    return {
        "name": profile.name,
        "kind": profile.kind,
        "vendor": profile.product.vendor,
        "models": list(profile.product.models),
        "firmware": profile.product.firmware,
        "quirks": list(profile.product.quirks),
        "grade": profile.grade,
        "verified": profile.verified,
        "sunspec": profile.sunspec,
        "reversion": None if reversion is None else reversion.kind,
        "reversion_s": None if reversion is None or reversion.kind == "timer" else profile.reversion_s(0.0),
    }


def _draw(found: tuple[DeviceProfile, ...], lang: Lang) -> None:
    from rich.table import Table

    columns = ("name", "kind", "vendor", "models", "grade", "verified", "falls_back")
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(text(f"device.column.{column}", lang), overflow="fold", no_wrap=column == "name")
    for profile in found:
        table.add_row(
            profile.name,
            text(f"word.kind.{profile.kind}", lang),
            profile.product.vendor,
            ", ".join(profile.product.models),
            text(f"word.grade.{profile.grade}", lang),
            text(f"word.mark.{profile.verified}", lang),
            _falls_back(profile, lang),
        )
    screen().print(table)
    say(text("device.grades", lang))


def _falls_back(profile: DeviceProfile, lang: Lang) -> str:
    if profile.reversion is None:
        return "-"
    seconds = profile.reversion_s(0.0) or 0.0
    return text(f"device.reversion.{profile.reversion.kind}", lang, seconds=f"{seconds:g}")


@device.command
@click.argument("profile")
@folder_option
@json_option
@lang_option
@click.pass_context
def check(
    ctx: click.Context, profile: str, folders: tuple[Path, ...], as_json: bool, lang: str | None
) -> None:
    """Check PROFILE, a name or a file: is it valid, and does a simulated device of it pass the contract?"""
    from vpp_gateway.commission.contract import play

    path = Path(profile)
    document = read_yaml(path) if path.suffix == ".yaml" else read_profile("devices", profile, folders)
    found = with_generations(validate(document, DeviceProfile), folders)
    results = list(play(found))
    failed = [(one.name, wrong) for one, wrong in results if wrong]
    if as_json:
        rows = [{"check": one.name, "passed": not wrong, "reason": wrong} for one, wrong in results]
        print_json(
            {"schema_version": SCHEMA_VERSION, "file": _name(document), "passed": not failed, "checks": rows}
        )
    else:
        said = language(ctx)
        for one, wrong in results:
            mark = text("device.failed" if wrong else "device.passed", said)
            say(f"  {mark}  {one.name}" + (f": {wrong}" if wrong else ""))
        key = "device.check.breach" if failed else "device.check.ok"
        say(text(key, said, file=_name(document), count=len(results), failed=len(failed)))
    if failed:
        ctx.exit(MISSED)


def _name(document: Document) -> str:
    return document.file


@device.command
def schema() -> None:
    """Print the JSON Schema of a device profile, for editors."""
    print_json(device_schema())
