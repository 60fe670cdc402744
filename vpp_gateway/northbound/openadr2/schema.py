"""Finds the OpenADR 2.0b schema set: it ships with openleadr, whose package is never imported for it.

Importing openleadr would compile the schema into a parser and pull in its scheduler; only its files are wanted.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from lxml import etree

from vpp_gateway.errors import ConfigError


def find() -> Path:
    """Path of `oadr_20b.xsd`. Raises ConfigError when openleadr is not installed."""
    spec = importlib.util.find_spec("openleadr")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        path = Path(folder) / "schema" / "oadr_20b.xsd"
        if path.is_file():
            return path
    raise ConfigError(
        "OpenADR 2.0b schema: expected schema/oadr_20b.xsd of the openleadr package, found none"
    )


def load(path: Path | None = None) -> etree.XMLSchema:
    """The compiled schema set; about 30 ms, once per process."""
    return etree.XMLSchema(etree.parse(path or find()))
