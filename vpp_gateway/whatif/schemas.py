"""Writes the JSON Schemas of scenario files and of results: `python -m vpp_gateway.whatif.schemas docs/schemas`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from vpp_gateway.whatif.result import SimulationResult
from vpp_gateway.whatif.scenario_words import Scenario
from vpp_gateway.whatif.why_result import Explanation

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCENARIO, RESULT, WHY = "scenario.schema.json", "simulation.schema.json", "why.schema.json"


def schema_texts() -> dict[str, str]:
    """File name -> the JSON Schema as a file's text."""
    shapes = {
        SCENARIO: Scenario.model_json_schema(),
        RESULT: SimulationResult.model_json_schema(mode="serialization"),
        WHY: Explanation.model_json_schema(mode="serialization"),
    }
    return {
        name: json.dumps({"$schema": DIALECT, **shape}, indent=2, ensure_ascii=False) + "\n"
        for name, shape in shapes.items()
    }


def write_schemas(folder: Path) -> list[Path]:
    """Write them into `folder`; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in schema_texts().items():
        (folder / name).write_text(text, encoding="utf-8")
        written.append(folder / name)
    return written


def main(arguments: list[str]) -> int:
    """Command line; the exit code is 2 for a wrong one."""
    if len(arguments) != 1:
        print("usage: python -m vpp_gateway.whatif.schemas FOLDER", file=sys.stderr)
        return 2
    for path in write_schemas(Path(arguments[0])):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
