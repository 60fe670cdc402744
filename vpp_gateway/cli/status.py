"""`status`: what the running gateway sees, worst first, from its control socket."""

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
from vpp_gateway.cli.whereabouts import find
from vpp_gateway.console.ask import Declined, NotAllowed, NotRunning, ask
from vpp_gateway.errors import PeerError
from vpp_gateway.plain import View

STATUS_VERSION = 1
"""Version of the status document that this command reads."""

state_dir_option = click.option(
    "--state-dir", type=click.Path(path_type=Path), help="State folder of the gateway, instead of --config."
)
timeout_option = click.option(
    "--timeout", "timeout_s", type=Within(min=0.1, max=60), default=5.0, show_default=True,
    help="Seconds to wait for the answer.",
)  # fmt: skip


@click.command
@config_option
@state_dir_option
@timeout_option
@json_option
@lang_option
@click.pass_context
def status(
    ctx: click.Context,
    config: Path | None,
    state_dir: Path | None,
    timeout_s: float,
    as_json: bool,
    lang: str | None,
) -> None:
    """What the running gateway sees, worst first.

    Exits with 0 when all is well, 6 when something is degraded, 4 when no gateway answers.
    """
    picture = ask_status(ctx, config, state_dir, timeout_s)
    is_degraded = degraded(picture)
    if as_json:
        print_json(picture.value)
    else:
        from vpp_gateway.cli.status_view import draw_status

        draw_status(screen(), picture, language(ctx), degraded=is_degraded)
    ctx.exit(DEGRADED if is_degraded else OK)


def ask_status(ctx: click.Context, config: Path | None, state_dir: Path | None, timeout_s: float) -> View:
    """The status document of the running gateway; keeps its configured language for the answer.

    Raises:
        Absent: no gateway answers, or with something that is no answer.
        Told: this user may not ask, or the gateway speaks another version of the document.
    """
    where = find(config, state_dir)
    remember_language(ctx, where.language)
    picture = _ask(where.socket, timeout_s)
    if picture["schema_version"].value != STATUS_VERSION:
        found = picture["schema_version"].value
        raise Told("cli.version_gap", found=found, expected=STATUS_VERSION)
    return picture


def _ask(socket: Path, timeout_s: float) -> View:
    try:
        return View(ask(socket, {"get": "status"}, timeout_s))
    except NotRunning:
        raise Absent("cli.not_running", socket=socket) from None
    except NotAllowed:
        raise Told("cli.not_allowed", socket=socket) from None
    except (PeerError, Declined) as error:
        raise Absent("cli.broken_answer", socket=socket, reason=error) from None


def degraded(picture: View) -> bool:
    """Whether anything in the picture is worse than it should be."""
    return (
        any(site["health"].value != "good" for site in picture["sites"].each())
        or any(link["health"].value != "good" for link in picture["links"].each())
        or any(alarm["severity"].value != "info" for alarm in picture["alarms"].each())
    )
