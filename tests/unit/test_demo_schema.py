"""The demo's result as published: schema, model and a recorded run agree."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from tests.repository import ROOT
from vpp_gateway.demo.report import DemoResult
from vpp_gateway.demo.schemas import FILE_NAME, main, schema_text, write_schema

SCHEMA = ROOT / "docs" / "schemas" / FILE_NAME
RECORDED = ROOT / "tests" / "data" / "demo_recorded.json"


def recorded() -> dict[str, object]:
    found = json.loads(RECORDED.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def test_committed_schema_is_current() -> None:
    said = "run: python -m vpp_gateway.demo.schemas docs/schemas"
    assert SCHEMA.read_text(encoding="utf-8") == schema_text(), said


def test_a_recorded_run_fits_schema_and_model() -> None:
    run = recorded()
    jsonschema.validate(run, json.loads(schema_text()))
    assert DemoResult.model_validate(run).model_dump() == run


def test_what_is_not_the_demos_does_not_fit() -> None:
    schema = json.loads(schema_text())
    for altered in ({"simulated": False}, {"schema_version": 2}, {"events": [{}]}, {"speed": 1.0}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**recorded(), **altered}, schema)


def test_every_field_says_what_it_is() -> None:
    schema = json.loads(schema_text())
    for name, shape in (("DemoResult", schema), *schema["$defs"].items()):
        assert [field for field, is_ in shape["properties"].items() if not is_.get("description")] == [], name


def test_writing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert write_schema(tmp_path / "new").read_text(encoding="utf-8") == schema_text()
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / FILE_NAME)
    assert main([]) == 2
