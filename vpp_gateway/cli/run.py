"""`run`, `site run` and `demo`: read the settings, then hand over to the composition root."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import click

from vpp_gateway.catalogue import Told, text
from vpp_gateway.cli.common import (
    DEFAULT_CONFIG,
    config_option,
    lang_option,
    language,
    remember_language,
)


@click.command
@config_option
@lang_option
@click.pass_context
def run(ctx: click.Context, config: Path | None, lang: str | None) -> None:
    """Run the gateway: centre, site agents, solver and plug-ins, until it is told to stop."""
    from vpp_gateway.settings import load_settings

    path = _existing(ctx, config)
    settings = load_settings(path)
    remember_language(ctx, settings.gateway.language)
    ctx.exit(_hand_over("vpp_gateway.app", "run", settings, path))


@click.group
def site() -> None:
    """The agent of one site."""


@site.command("run")
@config_option
@click.option("--site", "site_id", required=True, metavar="ID", help="Id of the site in the configuration.")
@lang_option
@click.pass_context
def site_run(ctx: click.Context, config: Path | None, site_id: str, lang: str | None) -> None:
    """Run the agent of one site; in the field it runs at the data centre.

    Keys and certificates of the northbound connections need not be on this machine.
    """
    from vpp_gateway.settings import load_settings
    from vpp_gateway.yaml_validate import near

    settings = load_settings(_existing(ctx, config), files=False)
    remember_language(ctx, settings.gateway.language)
    known = [site.id for site in settings.sites]
    if site_id not in known:
        close = near(site_id, known)
        hint = f" Did you mean '{close}'?" if close else ""
        raise click.BadParameter(
            f"no site '{site_id}'; allowed: {', '.join(known)}.{hint}", param_hint="--site"
        )
    ctx.exit(_hand_over("vpp_gateway.app", "run_site", settings, site_id))


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def demo(ctx: click.Context, arguments: tuple[str, ...]) -> None:
    """The whole house in front of you, with simulated utility, sites and batteries."""
    ctx.exit(_hand_over("vpp_gateway.demo", "main", list(arguments)))


def _existing(ctx: click.Context, config: Path | None) -> Path:
    if config is None and not DEFAULT_CONFIG.exists():
        raise click.UsageError(text("cli.no_config", language(ctx), file=DEFAULT_CONFIG))
    return config or DEFAULT_CONFIG


def _hand_over(module: str, function: str, *arguments: object) -> int:
    """Call `function` of a room that this one must not import before it is needed."""
    try:
        callee: Callable[..., int | None] = getattr(import_module(module), function)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        raise Told("cli.not_installed", what=module, reason=error) from None
    return callee(*arguments) or 0
