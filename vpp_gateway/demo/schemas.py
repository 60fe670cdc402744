"""Writes the JSON Schema of the demo's result: `python -m vpp_gateway.demo.schemas docs/schemas`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from vpp_gateway.demo.report import DemoResult

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FILE_NAME = "demo.schema.json"


def schema_text() -> str:
    """The JSON Schema of `demo --json` as a file's text."""
    schema = {"$schema": DIALECT, **DemoResult.model_json_schema(mode="serialization")}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write_schema(folder: Path) -> Path:
    """Write the schema into `folder`; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE_NAME
    path.write_text(schema_text(), encoding="utf-8")
    return path


def main(arguments: list[str]) -> int:
    """Command line; the exit code is 2 for a wrong one."""
    if len(arguments) != 1:
        print("usage: python -m vpp_gateway.demo.schemas FOLDER", file=sys.stderr)
        return 2
    print(write_schema(Path(arguments[0])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
