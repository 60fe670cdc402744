"""The bench harness: it measures, judges, selects by name, and its published schema is current."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from tests.bench.__main__ import main
from tests.bench.families import NAMES, UnknownRow, select
from tests.bench.report import SCHEMA_FILE, Check, Figure, Goal, Row, row, schema_text


def test_one_row_is_measured_judged_and_written(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    assert main(["allocate_closed_form_6", "--json", str(path)]) in (0, 1)
    report = json.loads(path.read_text("utf-8"))
    jsonschema.validate(report, json.loads(schema_text()))
    (measured,) = report["rows"]
    assert measured["name"] == "allocate_closed_form_6"
    assert measured["ours"] > 0 and measured["theirs"] > 0
    assert all(check["true"] for check in measured["checks"])


def test_the_committed_schema_is_current() -> None:
    assert SCHEMA_FILE.read_text("utf-8") == schema_text(), "run: python -m tests.bench.report"


def test_names_choose_rows() -> None:
    assert select([]) == frozenset(NAMES)
    assert select(["dispatch_100"]) == {"dispatch_100"}
    assert "simulate_link" in select(["simulate"]) and "dispatch_6" in select(["*_6"])
    with pytest.raises(UnknownRow, match="there are"):
        select(["nonesuch"])


@pytest.mark.parametrize(
    ("ours", "true", "holds"), [(10.0, True, True), (10.1, True, False), (9.0, False, False)]
)
def test_a_row_holds_only_when_goals_and_checks_do(ours: float, true: bool, holds: bool) -> None:
    made = row(
        "r",
        quantity="q",
        ours=ours,
        unit="ms",
        better="lower",
        against="x",
        theirs=5.0,
        goal=(Goal(of="ours", at_most=10.0),),
        note="",
        origin="",
        checks=(Check(what="sane", true=true),),
    )
    assert made.holds is holds
    assert made.ratio == pytest.approx(ours / 5.0)


def test_a_goal_may_bound_a_figure_and_nothing_that_is_not_there() -> None:
    def made(name: str) -> Row:
        return row(
            "r",
            quantity="q",
            ours=1.0,
            unit="ms",
            better="lower",
            against="nothing",
            goal=(Goal(of=name, at_most=2.0),),
            note="",
            origin="",
            figures=(Figure(name="median", value=2.1, unit="ms"),),
        )

    assert made("median").holds is False
    assert made("median").goal[0].words() == "median <= 2"
    assert made("ratio").holds is False, "what was not measured does not hold"
    with pytest.raises(KeyError):
        made("nonesuch")
