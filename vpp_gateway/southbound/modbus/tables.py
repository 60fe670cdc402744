"""SunSpec point tables of the models a profile speaks of, from the JSON that pysunspec2 ships.

Only the files are used (sunspec/models, Apache-2.0); the library itself, with its blocking sockets, is never
imported. Read once at start-up.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from vpp_gateway.errors import ConfigError
from vpp_gateway.southbound.modbus.profile import DeviceProfile
from vpp_gateway.southbound.modbus.sunspec import Model, Tables, model_table


def tables_of(profile: DeviceProfile) -> Tables:
    """The tables of one profile. Raises ConfigError when a SunSpec model or point is unknown."""
    plain = {name: row.point(name) for name, row in profile.registers.items()}
    tables = Tables(load_models(profile.models), plain)
    for name in profile.names():
        tables.point(name)
    return tables


def load_models(ids: Iterable[int]) -> Mapping[int, Model]:
    """Tables by model number.

    Raises:
        ConfigError: pysunspec2 is not installed, or has no such model.
    """
    return {id: _load(id) for id in sorted(set(ids))}


@cache
def _load(id: int) -> Model:
    path = _folder() / f"model_{id}.json"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"SunSpec model {id} is unknown: there is no {path.name} among the published models"
        ) from None
    return model_table(text)


@cache
def _folder() -> Path:
    spec = importlib.util.find_spec("sunspec2")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError("the SunSpec model files are missing: install pysunspec2")
    return Path(next(iter(spec.submodule_search_locations))) / "models" / "json"
