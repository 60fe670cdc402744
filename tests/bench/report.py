"""What `bench.json` holds: quantities with unit, direction and origin, each beside what it is measured against.

The JSON Schema in `docs/schemas/bench.schema.json` is made of these models: `python -m tests.bench.report` writes it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tests.repository import ROOT

SCHEMA_FILE = ROOT / "docs" / "schemas" / "bench.schema.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"

Number = Annotated[float, Field(allow_inf_nan=False)]
Better = Literal["higher", "lower", "neither"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Machine(_Part):
    """Where it was measured."""

    cpu: str
    """Model of the processor."""
    cores: int = Field(ge=1)
    """Logical cores that the run may use."""
    python: str
    """Implementation and version."""
    kernel: str
    """Operating system and release."""
    memory: int = Field(ge=0)
    """Main memory, bytes."""


class Goal(_Part):
    """A bound that the row should keep; exactly one of the two is set."""

    of: str
    """What is bounded: `ours`, `ratio`, or the name of one of the row's figures."""
    at_least: Number | None = None
    at_most: Number | None = None

    def kept(self, value: float | None) -> bool:
        """Whether `value` is inside; what was not measured is not."""
        if value is None:
            return False
        low = self.at_least is None or value >= self.at_least
        return low and (self.at_most is None or value <= self.at_most)

    def words(self) -> str:
        """The bound as people write it."""
        bound = f">= {self.at_least:g}" if self.at_least is not None else f"<= {self.at_most:g}"
        return bound if self.of == "ours" else f"{self.of} {bound}"


class Check(_Part):
    """Something that must be true, or the figures mean nothing."""

    what: str
    true: bool


class Figure(_Part):
    """A quantity beside the row's own."""

    name: str
    value: Number
    unit: str


class Row(_Part):
    """One measurement."""

    name: str
    quantity: str
    """What `ours` is, in words."""
    ours: Number
    unit: str
    """Of `ours` and `theirs`."""
    better: Better
    """Which direction is good."""
    against: str
    """What stands beside it in the same run."""
    theirs: Number | None = None
    """The same quantity of what stands beside it; null when there is none."""
    ratio: Number | None = None
    """ours / theirs."""
    goal: tuple[Goal, ...] = ()
    """Empty: for information."""
    holds: bool | None = None
    """Every goal is kept and every check is true; null when there are none."""
    note: str
    """How it was measured: sample sizes, what is real, what is modelled."""
    origin: str
    """Which clock gave the times, and between which two moments."""
    figures: tuple[Figure, ...] = ()
    checks: tuple[Check, ...] = ()


class Report(_Part):
    """One run of the benchmarks."""

    schema_version: Literal[1] = 1
    at: str = Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
    """When the run began, UTC."""
    machine: Machine
    rows: tuple[Row, ...]


def row(
    name: str,
    *,
    quantity: str,
    ours: float,
    unit: str,
    better: Better,
    against: str,
    note: str,
    origin: str,
    theirs: float | None = None,
    goal: tuple[Goal, ...] = (),
    figures: tuple[Figure, ...] = (),
    checks: tuple[Check, ...] = (),
) -> Row:
    """A row with its ratio and its verdict."""
    ratio = ours / theirs if theirs else None
    values = {**{figure.name: figure.value for figure in figures}, "ours": ours, "ratio": ratio}
    verdicts = [*(bound.kept(values[bound.of]) for bound in goal), *(check.true for check in checks)]
    return Row(
        name=name,
        quantity=quantity,
        ours=ours,
        unit=unit,
        better=better,
        against=against,
        theirs=theirs,
        ratio=ratio,
        goal=goal,
        holds=all(verdicts) if verdicts else None,
        note=note,
        origin=origin,
        figures=figures,
        checks=checks,
    )


def schema_text() -> str:
    """The JSON Schema of a report as a file's text."""
    schema = {"$schema": DIALECT, **Report.model_json_schema(mode="serialization")}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write_schema(path: Path = SCHEMA_FILE) -> Path:
    """Write the published schema."""
    path.write_text(schema_text(), encoding="utf-8")
    return path


if __name__ == "__main__":
    print(write_schema())
