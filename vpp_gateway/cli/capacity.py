"""`capacity show`: what can be offered to the balancing market, asked of the running gateway."""

from __future__ import annotations

from pathlib import Path

import click

from vpp_gateway.catalogue import Told
from vpp_gateway.cli.common import (
    DEGRADED,
    OK,
    Absent,
    Within,
    config_option,
    json_option,
    lang_option,
    language,
    print_json,
    remember_language,
    screen,
)
from vpp_gateway.cli.status import state_dir_option
from vpp_gateway.cli.whereabouts import find
from vpp_gateway.console.ask import Declined, Json, NotAllowed, NotRunning, ask
from vpp_gateway.errors import PeerError
from vpp_gateway.plain import View

CAPACITY_VERSION = 1
"""Version of the document that this command reads."""
timeout_option = click.option(
    "--timeout", "timeout_s", type=Within(min=0.1, max=120), default=60.0, show_default=True,
    help="Seconds to wait for the answer.",
)  # fmt: skip


@click.group
def capacity() -> None:
    """What can be offered to the balancing market."""


@capacity.command("show")
@click.option("--product", default="", help="This product profile only.")
@click.option("--area", default="", help="This grid area only.")
@click.option(
    "--direction", type=click.Choice(("down", "up", "both")), default=None,
    help="down relieves the grid, up takes more, both is a symmetric product.",
)  # fmt: skip
@click.option(
    "--hours", type=Within(min=0.5, max=168), default=168.0, show_default=True,
    help="How far to look.",
)  # fmt: skip
@config_option
@state_dir_option
@timeout_option
@json_option
@lang_option
@click.pass_context
def capacity_show(
    ctx: click.Context,
    product: str,
    area: str,
    direction: str | None,
    hours: float,
    config: Path | None,
    state_dir: Path | None,
    timeout_s: float,
    as_json: bool,
    lang: str | None,
) -> None:
    """Show how much can be offered, per product, area and block of half an hour.

    Exits with 6 when a device cannot be relied on or an award cannot be kept.
    """
    where = find(config, state_dir)
    remember_language(ctx, where.language)
    request: dict[str, Json] = {
        "get": "capacity", "product": product, "area": area, "direction": direction or "", "hours": hours,
    }  # fmt: skip
    picture = _ask(where.socket, request, timeout_s)
    if as_json:
        print_json(picture.value)
    else:
        from vpp_gateway.cli.capacity_view import draw_capacity

        draw_capacity(screen(), picture, language(ctx))
    short = any((award["short_w"].number or 0.0) > 0 for award in picture["awards"].each())
    ctx.exit(DEGRADED if short or list(picture["doubts"].each()) else OK)


def _ask(socket: Path, request: dict[str, Json], timeout_s: float) -> View:
    try:
        picture = View(ask(socket, request, timeout_s))
    except NotRunning:
        raise Absent("cli.not_running", socket=socket) from None
    except NotAllowed:
        raise Told("cli.not_allowed", socket=socket) from None
    except Declined as refusal:
        if refusal.code:
            raise Told(refusal.code, **refusal.values) from None
        raise
    except PeerError as error:
        raise Absent("cli.broken_answer", socket=socket, reason=error) from None
    found = picture["schema_version"].value
    if found != CAPACITY_VERSION:
        raise Told("cli.version_gap", found=found, expected=CAPACITY_VERSION)
    return picture
