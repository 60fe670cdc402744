"""Writes the JSON Schema of what is published: `python -m vpp_gateway.console.schemas docs/schemas`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from vpp_gateway.console.api import EventsReply
from vpp_gateway.console.capacity import CapacityReply
from vpp_gateway.console.history import HistoryReply
from vpp_gateway.console.readiness import Readiness
from vpp_gateway.console.status import Status, View

DIALECT = "https://json-schema.org/draft/2020-12/schema"

PUBLISHED: dict[str, type[View]] = {
    "status.schema.json": Status,
    "events.schema.json": EventsReply,
    "history.schema.json": HistoryReply,
    "readiness.schema.json": Readiness,
    "capacity.schema.json": CapacityReply,
}
"""File name -> the model that it describes, as it is sent."""


def schema_text(model: type[View]) -> str:
    """The JSON Schema of `model` as a file's text."""
    schema = {"$schema": DIALECT, **model.model_json_schema(mode="serialization")}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write_schemas(folder: Path) -> list[Path]:
    """Write every published schema into `folder`; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, model in PUBLISHED.items():
        path = folder / name
        path.write_text(schema_text(model), encoding="utf-8")
        written.append(path)
    return written


def main(arguments: list[str]) -> int:
    """Command line; the exit code is 2 for a wrong one."""
    if len(arguments) != 1:
        print("usage: python -m vpp_gateway.console.schemas FOLDER", file=sys.stderr)
        return 2
    for path in write_schemas(Path(arguments[0])):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
