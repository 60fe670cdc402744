"""Options and arguments that the `device` commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vpp_gateway.profile import list_profiles
from vpp_gateway.southbound.modbus.profile import DeviceProfile
from vpp_gateway.southbound.modbus.shelf import load_device, with_generations
from vpp_gateway.yaml_source import read_yaml
from vpp_gateway.yaml_validate import validate

if TYPE_CHECKING:
    from vpp_gateway.southbound.modbus.transport import Address

folder_option = click.option(
    "--profiles",
    "folders",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of your own profiles, shaped like profiles/; searched first. May be given more than once.",
)
timeout_option = click.option(
    "--timeout", "timeout_s", type=click.FloatRange(0.05, 10.0), default=0.5, show_default=True,
    help="Seconds to wait for one answer.",
)  # fmt: skip
unit_option = click.option(
    "--unit", type=click.IntRange(0, 247), help="Modbus unit id (default: the profile's)."
)


def address(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """Check HOST or HOST:PORT."""
    host, colon, port = value.rpartition(":")
    if colon and not (port.isdigit() and 1 <= int(port) <= 65535 and host):
        raise click.BadParameter(f"{value!r}: allowed is HOST or HOST:PORT with a port of 1 to 65535")
    return value


def point_at(host: str, port: int) -> Address:
    """The address that HOST or HOST:PORT names."""
    from vpp_gateway.southbound.modbus.transport import Address

    name, colon, own = host.rpartition(":")
    return Address(name, int(own)) if colon else Address(host, port)


def known(folders: tuple[Path, ...]) -> tuple[DeviceProfile, ...]:
    """All profiles. Raises InvalidFile when one of them is wrong."""
    names = list_profiles("devices", folders)
    return tuple(load_device(name, folders) for name in names)


def the_profile(name: str, folders: tuple[Path, ...], unit: int | None) -> DeviceProfile:
    """A profile by name or file, for a device of that unit id. Raises InvalidFile."""
    path = Path(name)
    if path.suffix == ".yaml":
        profile = with_generations(validate(read_yaml(path), DeviceProfile), folders)
    else:
        profile = load_device(name, folders)
    return profile if unit is None else profile.model_copy(update={"unit": unit})
