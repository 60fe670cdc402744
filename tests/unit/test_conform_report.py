"""The report of a conformance run: its published schema is current, and it cannot say less than it must."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError

from tests.repository import ROOT
from vpp_gateway.conform.report import FILE_NAME, ConformReport, Procedure, main, schema_text

GOOD = ConformReport(
    standard="OpenADR 2.0b",
    subject="a VEN 1.0",
    at="2026-06-01T00:00:00Z",
    virtual_time=True,
    procedures=(
        Procedure(
            id="EiEvent-R61", title="Implied cancel", rules=("61",), verdict="pass", reason="", seconds=0.1
        ),
        Procedure(
            id="EiOpt-1", title="Opt", rules=(), verdict="not_applicable", reason="no EiOpt", seconds=0.0
        ),
    ),
)


def test_the_committed_schema_is_current_and_fits(tmp_path: Path) -> None:
    committed = ROOT / "docs" / "schemas" / FILE_NAME
    assert committed.read_text("utf-8") == schema_text(), (
        "run: python -m vpp_gateway.conform.report docs/schemas"
    )
    jsonschema.validate(json.loads(GOOD.model_dump_json()), json.loads(schema_text()))
    assert main([str(tmp_path)]) == 0 and (tmp_path / FILE_NAME).exists()
    assert main([]) == 2


def test_a_failure_needs_its_reason_and_ids_are_unique() -> None:
    assert GOOD.passed
    row = GOOD.procedures[0]
    with pytest.raises(ValidationError, match="needs its reason"):
        Procedure.model_validate({**row.model_dump(), "verdict": "fail"})
    with pytest.raises(ValidationError, match="named twice"):
        ConformReport.model_validate({**GOOD.model_dump(), "procedures": (row, row)})
    failed = Procedure.model_validate({**row.model_dump(), "verdict": "fail", "reason": "silent"})
    assert not ConformReport.model_validate({**GOOD.model_dump(), "procedures": (failed,)}).passed
    assert not ConformReport.model_validate({**GOOD.model_dump(), "procedures": ()}).passed
