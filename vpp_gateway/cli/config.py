"""`config check`, `config schema` and `config init`."""

from __future__ import annotations

from pathlib import Path

import click

from vpp_gateway.catalogue import LANGS, text
from vpp_gateway.cli.common import (
    CONFIG_INVALID,
    DEFAULT_CONFIG,
    SCHEMA_VERSION,
    json_option,
    lang_option,
    language,
    print_json,
    remember_language,
    say,
)
from vpp_gateway.cli.config_init import init
from vpp_gateway.settings import Settings, load_settings, settings_schema
from vpp_gateway.yaml_source import InvalidFile, Problem


@click.group
def config() -> None:
    """The configuration file."""


config.add_command(init)


@config.command
@click.argument("file", type=click.Path(path_type=Path), default=DEFAULT_CONFIG)
@click.option(
    "--no-files",
    is_flag=True,
    help="Check the text only: not the keys, certificates, profiles and plug-ins that it points at.",
)
@json_option
@lang_option
@click.pass_context
def check(ctx: click.Context, file: Path, no_files: bool, as_json: bool, lang: str | None) -> None:
    """Check FILE (default: gateway.yaml) and report every mistake with its line and column."""
    try:
        settings = load_settings(file, files=not no_files)
    except InvalidFile as error:
        if not as_json:
            raise
        print_json(_answer(file, error.problems))
        ctx.exit(CONFIG_INVALID)
    remember_language(ctx, settings.gateway.language)
    if as_json:
        print_json(_answer(file, ()))
        return
    _say_valid(ctx, file, settings, no_files)


def _say_valid(ctx: click.Context, file: Path, settings: Settings, no_files: bool) -> None:
    lang = language(ctx)
    batteries = [battery for site in settings.sites for battery in site.batteries]
    said = text(
        "config.valid",
        lang,
        file=file,
        sites=len(settings.sites),
        batteries=len(batteries),
        discharge=f"{sum(battery.discharge_max_kw for battery in batteries) / 1000:g}",
        energy=f"{sum(battery.energy_kwh for battery in batteries) / 1000:g}",
        northbound=len(settings.northbound),
        plugins=len(settings.plugins),
    )
    say(f"{said} {text('config.unchecked', lang)}" if no_files else said)


def _answer(file: Path, problems: tuple[Problem, ...]) -> dict[str, object]:
    return {
        "schema_version": SCHEMA_VERSION,
        "file": str(file),
        "valid": not problems,
        "problems": [
            {
                "file": problem.file,
                "line": problem.line,
                "column": problem.column,
                "key": problem.key,
                "code": problem.code,
                "near": problem.near,
                **{f"text_{lang}": problem.what(lang) for lang in LANGS},
            }
            for problem in problems
        ],
    }


@config.command
def schema() -> None:
    """Print the JSON Schema of the configuration file, for editors."""
    print_json(settings_schema())
