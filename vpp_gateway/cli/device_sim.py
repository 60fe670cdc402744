"""`device sim`: a simulated device of any profile behind Modbus/TCP."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vpp_gateway.catalogue import Lang, text
from vpp_gateway.cli.common import lang_option, language, say
from vpp_gateway.cli.device_options import folder_option, the_profile
from vpp_gateway.southbound.modbus.choice import imagined

if TYPE_CHECKING:
    from vpp_gateway.commission.simulated import Faults

_KW = click.FloatRange(min=0.001, max=1e6)


@click.command
@click.argument("profile", required=False)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="TCP port; 0 = any free one.")
@click.option(
    "--kw", type=_KW, default=100.0, show_default=True, help="Battery: power both ways; meter: import."
)
@click.option("--kwh", type=_KW, default=200.0, show_default=True, help="Battery: energy.")
@click.option(
    "--soc", type=click.FloatRange(5, 100), default=50.0, show_default=True, help="Battery: charge, %."
)
@click.option(
    "--local-kw", type=float, default=0.0, show_default=True, help="Battery: discharge of its own control."
)
@click.option(
    "--model", "models", multiple=True, type=click.IntRange(1, 65534),
    help="SunSpec model that it may have, where the profile leaves it open; may be given more than once.",
)  # fmt: skip
@click.option("--fault", "faults", multiple=True, help="Fault from the start: NAME or NAME=VALUE.")
@click.option("--faults", "list_them", is_flag=True, help="List all faults, and end.")
@folder_option
@lang_option
@click.pass_context
def sim(
    ctx: click.Context,
    profile: str | None,
    host: str,
    port: int,
    kw: float,
    kwh: float,
    soc: float,
    local_kw: float,
    models: tuple[int, ...],
    faults: tuple[str, ...],
    list_them: bool,
    folders: tuple[Path, ...],
    lang: str | None,
) -> None:
    """Serve a simulated device of PROFILE; its faults are switched on by lines on standard input."""
    from vpp_gateway.commission.simulated import FAULTS, Faults, Plate, serve, switch

    if list_them:
        for name, fault in FAULTS.items():
            say(
                f"{name + (' ' + fault.value.upper() if fault.value else ''):28} {fault.where:9} {fault.words}"
            )
        return
    if profile is None:
        raise click.UsageError("PROFILE is missing; `device profiles` lists them")
    said = language(ctx)
    active = Faults()
    for line in faults:
        try:
            switch(active, line.replace("=", " "))
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--fault") from None
    chosen = imagined(the_profile(profile, folders, None), models or None)
    plate = Plate(power_w=kw * 1e3, energy_wh=kwh * 1e3, soc=soc / 100.0, local_w=local_kw * 1e3)

    def ready(found: tuple[str, int]) -> None:
        values = {"profile": chosen.name, "host": found[0], "port": found[1], "unit": chosen.unit}
        say(text("device.sim.serving", said, **values))

    try:
        asyncio.run(serve(chosen, plate, host, port, active, ready, lambda: _obey(active, said)))
    except KeyboardInterrupt:
        return


async def _obey(faults: Faults, lang: Lang) -> None:
    """Switch faults by lines on standard input, until it ends."""
    from vpp_gateway.commission.simulated import switch

    if not _can_be_waited_for():
        return
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        words = line.decode("utf-8", "replace").strip()
        if not words:
            continue
        try:
            healed = switch(faults, words)
        except ValueError as error:
            say(text("device.sim.wrong", lang, why=str(error)), err=True)
        else:
            key = "device.sim.healed" if healed else "device.sim.fault"
            say(text(key, lang, fault=words))


def _can_be_waited_for() -> bool:
    """Standard input is a terminal, a pipe or a socket; a file or nothing has no lines to wait for."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError, AttributeError):
        return False
    return sys.stdin.isatty() or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
