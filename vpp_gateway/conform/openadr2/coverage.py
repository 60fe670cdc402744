"""Which rule is shown by which procedures, and which mutants they catch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from vpp_gateway.conform.openadr2.procedure import Mutant, Procedure
from vpp_gateway.yaml_source import read_yaml
from vpp_gateway.yaml_validate import validate

FILE = Path(__file__).resolve().parent / "rules.yaml"


class Rule(BaseModel):
    """One rule that needs coverage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    who: Literal["VEN", "VTN", "both"]
    text: str


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Coverage of one rule."""

    rule: Rule
    procedures: tuple[str, ...]
    mutants: int
    """Of these procedures, those that break the rule; of a service, all."""


def rules() -> tuple[Rule, ...]:
    """All rules. Raises InvalidFile."""
    return validate(read_yaml(FILE), _File).rules


def coverage(procedures: Sequence[Procedure]) -> tuple[Row, ...]:
    """A row for each rule, in the order of the file; a service is covered by its procedures."""
    rows = []
    for rule in rules():
        covering = [one for one in procedures if rule.id in one.rules or rule.id == one.service]
        mutants = sum(_breaks(one, mutant, rule) for one in covering for mutant in one.mutants)
        rows.append(Row(rule=rule, procedures=tuple(one.id for one in covering), mutants=mutants))
    return tuple(rows)


def _breaks(procedure: Procedure, mutant: Mutant, rule: Rule) -> bool:
    return rule.id in (mutant.rule or procedure.rules[0], procedure.service)


def unknown(procedures: Sequence[Procedure]) -> tuple[str, ...]:
    """Rules that procedures name and the file does not know."""
    known = {rule.id for rule in rules()} | {"schema"}
    named = {id for one in procedures for id in (*one.rules, *(mutant.rule for mutant in one.mutants))}
    return tuple(sorted(named - known - {""}))
