"""What all commands share: exit codes, the options --json and --lang, and how an error is told."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from vpp_gateway.catalogue import LANGS, Lang, Told, text
from vpp_gateway.errors import ConfigError, GatewayError, NotWhole, PeerError, Unreachable

if TYPE_CHECKING:
    from rich.console import Console

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
CONFIG_INVALID: Final = 3
UNREACHABLE: Final = 4
MISSED: Final = 5
DEGRADED: Final = 6

SCHEMA_VERSION: Final = 1
"""Of the JSON that the commands print themselves; the gateway's own status carries its own."""
DEFAULT_CONFIG: Final = Path("gateway.yaml")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
_CHOSEN: Final = "vpp_gateway.lang.chosen"
_CONFIGURED: Final = "vpp_gateway.lang.configured"


def _choose(ctx: click.Context, _: click.Parameter, lang: str | None) -> str | None:
    """Keep what --lang said, wherever it stands: the innermost wins, and errors are told at the outermost."""
    if lang is not None:
        ctx.meta[_CHOSEN] = lang
    return lang


lang_option = click.option(
    "--lang", type=click.Choice(LANGS), callback=_choose, help="Language of the texts: en or ja."
)
config_option = click.option(
    "--config",
    "-c",
    type=click.Path(path_type=Path),
    help=f"Configuration file (default: {DEFAULT_CONFIG}).",
)


class Absent(Told):
    """The running gateway cannot be asked."""


class Within(click.FloatRange):
    """A number in a range; `nan` is in none, and `inf` is no number that a command could wait or count for."""

    def convert(self, value: float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number. Fails as click does for any other number out of the range."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number


def language(ctx: click.Context) -> Lang:
    """The language to speak: as the option says, else as the configuration that was read says, else English."""
    return _lang(ctx.meta.get(_CHOSEN)) or _lang(ctx.meta.get(_CONFIGURED)) or "en"


def remember_language(ctx: click.Context, configured: str | None) -> None:
    """Keep the language of a configuration, also for an error that comes later."""
    ctx.meta[_CONFIGURED] = configured


def _lang(value: object) -> Lang | None:
    return next((lang for lang in LANGS if lang == value), None)


def print_json(document: object) -> None:
    """Print `document` as JSON text, Japanese as it is; what a terminal would obey (U+009B, say) is escaped.

    JSON has no word for a number that is none: NaN and infinities are null.
    """
    said = json.dumps(_finite(document), ensure_ascii=False, indent=2, allow_nan=False)
    click.echo("".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in said))


def _finite(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def safe(said: str, *, keep_lines: bool = False) -> str:
    """`said` with everything escaped that a terminal would obey: files and peers may hold it.

    Args:
        keep_lines: line ends and tabs stay; so does the ideographic space, always.
    """
    kept = "\u3000\n\t" if keep_lines else "\u3000"
    return "".join(c if c.isprintable() or c in kept else c.encode("unicode_escape").decode() for c in said)


def say(said: str, *, err: bool = False) -> None:
    """Print text, safe for a terminal."""
    click.echo(safe(said, keep_lines=True), err=err)


def screen() -> Console:
    """Where tables are drawn, safe for a terminal; colours follow it and NO_COLOR."""
    from vpp_gateway.cli.screen import Screen

    return Screen(highlight=False, soft_wrap=False)


def explain(error: GatewayError, ctx: click.Context) -> int:
    """Tell `error` on stderr and give its exit code."""
    lang = language(ctx)
    if isinstance(error, Told):
        say(f"vpp-gateway: {error.say(lang)}", err=True)
        if isinstance(error, NotWhole):
            return DEGRADED
        return UNREACHABLE if isinstance(error, Absent) else FAILED
    if isinstance(error, ConfigError):
        tell_problems(error, lang)
        return CONFIG_INVALID
    say(f"vpp-gateway: {error}", err=True)
    return UNREACHABLE if isinstance(error, PeerError | Unreachable) else FAILED


def tell_problems(error: ConfigError, lang: Lang) -> None:
    """Every mistake of a file, one a line, on stderr."""
    from vpp_gateway.yaml_source import InvalidFile

    if not isinstance(error, InvalidFile):
        say(f"vpp-gateway: {error}", err=True)
        return
    for problem in error.problems:
        say(problem.say(lang), err=True)
    say(text("cli.problems", lang, count=len(error.problems)), err=True)
