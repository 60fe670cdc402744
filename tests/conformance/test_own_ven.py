"""Our VEN against every procedure that we publish, and every mutant against the procedure that must find it."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.outgoing import Tap
from vpp_gateway.conform.openadr2.coverage import coverage, rules, unknown
from vpp_gateway.conform.openadr2.laws import LAWS
from vpp_gateway.conform.openadr2.procedure import load
from vpp_gateway.conform.openadr2.run import Result, all_own

PROCEDURES = load()


def play(index: int) -> list[Result]:
    """One procedure and its mutants; in a process of its own."""
    return list(all_own(load()[index : index + 1], mutants=True, recorder=Tap()))


@pytest.fixture(scope="module")
def results() -> dict[str, list[Result]]:
    with ProcessPoolExecutor(max_workers=2) as pool:
        rows = list(pool.map(play, range(len(PROCEDURES)), chunksize=8))
    return {row[0].procedure.id: row for row in rows}


@pytest.mark.parametrize("name", [one.id for one in PROCEDURES])
def test_our_ven_passes(results: dict[str, list[Result]], name: str) -> None:
    plain = results[name][0]
    assert plain.verdict == "pass", plain.reason
    assert plain.breaches == (), plain.breaches


@pytest.mark.parametrize("name", [one.id for one in PROCEDURES])
def test_every_mutant_is_caught(results: dict[str, list[Result]], name: str) -> None:
    for one in results[name][1:]:
        assert one.mutant is not None
        assert one.acted, f"{one.mutant.name}: nothing was altered"
        assert one.verdict == "fail", f"{one.mutant.name}: passed"


def test_every_rule_has_a_procedure_and_a_mutant() -> None:
    bare = [row.rule.id for row in coverage(PROCEDURES) if not row.procedures or not row.mutants]
    assert bare == []
    assert unknown(PROCEDURES) == ()
    assert set(LAWS) - {"schema"} <= {rule.id for rule in rules()}


def test_well_over_a_hundred_procedures_with_names_of_their_own() -> None:
    assert len({one.id for one in PROCEDURES}) == len(PROCEDURES) > 120
    assert all(one.mutants for one in PROCEDURES)
