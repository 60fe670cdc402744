"""The published report of a conformance run: one shape for every protocol's harness.

`python -m vpp_gateway.conform.report FOLDER` writes its JSON Schema.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FILE_NAME = "conform.schema.json"

Verdict = Literal["pass", "fail", "not_applicable"]


class _View(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False, validate_default=True
    )


class Procedure(_View):
    """One procedure and its verdict."""

    id: str = Field(min_length=1)
    """Named after its rule or service, for instance `EiEvent-R61-implied-cancel`."""
    title: str = Field(min_length=1)
    """What it shows, in words."""
    rules: tuple[str, ...]
    """Rules or clauses of the standard that it touches."""
    verdict: Verdict
    """not_applicable = the subject does not claim what the procedure is about."""
    reason: str
    """Why, naming message and rule; may be empty only for pass."""
    seconds: float = Field(ge=0)
    """s that it took, in the time it ran in (virtual or real); monotonic clock of the harness."""

    @model_validator(mode="after")
    def _said(self) -> Self:
        if self.verdict != "pass" and not self.reason:
            raise ValueError(f"procedure {self.id}: a verdict of {self.verdict} needs its reason")
        return self


class Mutant(_View):
    """One defect that was played, to see that its procedure can fail."""

    procedure: str = Field(min_length=1)
    """Id of the procedure."""
    name: str = Field(min_length=1)
    """What the defective subject does, in words."""
    rule: str
    """Rule that it breaks."""
    caught: bool
    """The procedure failed with it."""
    reason: str
    """What the procedure said; may be empty only when it was not caught."""


class ConformReport(_View):
    """One run against one subject."""

    schema_version: Literal[1] = 1
    """Version of this shape."""
    standard: str
    """Standard and version, for instance `OpenADR 2.0b`."""
    subject: str
    """What was tested: name and version."""
    at: str
    """UTC (ISO 8601): start of the run; clock of the harness."""
    virtual_time: bool
    """True when the run was played in virtual time."""
    procedures: tuple[Procedure, ...]
    """In the order played; ids are unique."""
    mutants: tuple[Mutant, ...] = ()
    """In the order played; empty when none were."""

    @model_validator(mode="after")
    def _unique(self) -> Self:
        ids = [procedure.id for procedure in self.procedures]
        if twice := sorted({id for id in ids if ids.count(id) > 1}):
            raise ValueError(f"procedures named twice: {', '.join(twice)}")
        return self

    @property
    def passed(self) -> bool:
        """No procedure failed, and at least one passed."""
        verdicts = {procedure.verdict for procedure in self.procedures}
        return "fail" not in verdicts and "pass" in verdicts


def schema_text() -> str:
    """The JSON Schema as a file's text."""
    schema = {"$schema": DIALECT, **ConformReport.model_json_schema(mode="serialization")}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Command line; the exit code is 2 for a wrong one."""
    if len(arguments) != 1:
        print("usage: python -m vpp_gateway.conform.report FOLDER", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE_NAME).write_text(schema_text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
