"""Scenario files and results as published: schemas and models agree."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from tests.repository import ROOT
from vpp_gateway.whatif.schemas import RESULT, SCENARIO, WHY, main, schema_texts
from vpp_gateway.yaml_source import read_yaml

SCENARIOS = [path for path in (ROOT / "docs" / "scenarios").glob("*.yaml") if path.name != "gateway.yaml"]


@pytest.mark.parametrize("name", [SCENARIO, RESULT, WHY])
def test_committed_schema_is_current(name: str) -> None:
    committed = (ROOT / "docs" / "schemas" / name).read_text(encoding="utf-8")
    assert committed == schema_texts()[name], "run: python -m vpp_gateway.whatif.schemas docs/schemas"


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.name)
def test_the_shipped_scenarios_fit(path: Path) -> None:
    jsonschema.validate(read_yaml(path).plain, json.loads(schema_texts()[SCENARIO]))


@pytest.mark.parametrize("name", [SCENARIO, RESULT, WHY])
def test_every_field_says_what_it_is(name: str) -> None:
    schema = json.loads(schema_texts()[name])
    for title, shape in (("whole", schema), *schema["$defs"].items()):
        fields = shape.get("properties", {})
        assert [field for field, is_ in fields.items() if not is_.get("description")] == [], title


def test_writing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "new")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert main([]) == 2
