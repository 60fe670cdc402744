"""Device profiles from their files; one that names generations with all of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vpp_gateway.errors import ConfigError
from vpp_gateway.profile import load_profile
from vpp_gateway.southbound.modbus.profile import DeviceProfile


def load_device(name: str, search: Sequence[Path] = ()) -> DeviceProfile:
    """One profile by name.

    Args:
        name: file name without `.yaml`.
        search: folders of the operator's own, shaped like `profiles/`; searched before the shipped ones.

    Raises:
        InvalidFile: with every mistake of the file, or that there is no such file.
        ConfigError: its generations do not belong together.
    """
    return with_generations(load_profile("devices", name, DeviceProfile, search), search)


def with_generations(profile: DeviceProfile, search: Sequence[Path] = ()) -> DeviceProfile:
    """A profile with the generations that it names, if any; as `load_device`."""
    if not profile.generations:
        return profile
    ways = tuple(load_profile("devices", name, DeviceProfile, search) for name in profile.generations)
    for way in ways:
        wrong = (
            "names generations itself"
            if way.generations
            else "is no SunSpec device"
            if not way.sunspec
            else f"is a {way.kind}"
            if way.kind != profile.kind
            else ""
        )
        if wrong:
            raise ConfigError(
                f"profile {profile.name}: generations: {way.name} {wrong}; allowed are SunSpec profiles of kind "
                f"{profile.kind}"
            )
    return profile.among(ways)
