"""Every shipped program profile: it loads, says where its facts come from, and no section of it is idle."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import BaseModel

from tests.playbook.ven_stage import SITES, START, program
from tests.repository import ROOT, under
from vpp_gateway.clock import SeededRng
from vpp_gateway.domain.instruction import Instruction, RoomName, SiteId
from vpp_gateway.northbound.openadr2.mapping import Party, Refusal, instruction_of
from vpp_gateway.northbound.openadr2.messages import Event, Targets
from vpp_gateway.northbound.openadr2.program import ProgramProfile
from vpp_gateway.northbound.openadr2.session import VenSession
from vpp_gateway.profile import list_profiles, load_profile
from vpp_gateway.sim.vtn import dispatch
from vpp_gateway.yaml_source import read_yaml

ROOM = RoomName("tso")
NAMES = ("generic-2.0b", "jp-simple-command", "us-ca-cbp", "us-ca-fdr")
PROGRAM = ROOT / "vpp_gateway" / "northbound" / "openadr2" / "program.py"
SECTIONS = ("signals", "levels", "targets", "loss_of_communication", "polling", "signature", "tls")
NOTES = {"name", "title", "source", "verified", "to_be_confirmed", "version"}
"""Read by people, or fixed."""


def load(name: str) -> ProgramProfile:
    return load_profile("programs", name, ProgramProfile)


def test_these_programs_are_shipped() -> None:
    assert list_profiles("programs") == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_program_loads_and_a_session_runs_by_it(name: str) -> None:
    session = VenSession(
        room=ROOM,
        ven_name="centre",
        ven_id=None,
        program=load(name),
        sites=SITES,
        rng=SeededRng(1),
        signing=True,
        level_base_w=dict.fromkeys(SITES, 100_000.0),
    )
    assert session.status().state == "unregistered"


@pytest.mark.parametrize("name", NAMES)
def test_program_says_everything_itself_and_what_is_not_confirmed(name: str) -> None:
    """Nothing that matters to a utility is left to a default, and every unconfirmed key exists."""
    written = read_yaml(ROOT / "profiles" / "programs" / f"{name}.yaml").plain
    assert set(SECTIONS) | {"reports", "clock_tolerance_s", "answer_deadline_s"} <= set(written)
    found = load(name)
    assert all(source.document and source.page and source.date for source in found.source)
    assert found.verified != "primary", "no document of a utility was read"
    assert found.to_be_confirmed
    for key in found.to_be_confirmed:
        here: object = found
        for part in key.split("."):
            rows = here[0] if isinstance(here, tuple) else here
            assert isinstance(rows, BaseModel) and part in type(rows).model_fields, f"{name}: no key {key}"
            here = getattr(rows, part)


def test_every_key_of_a_program_is_used_by_code() -> None:
    """A key that nothing reads would be a promise that nobody keeps."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in code_of_the_room())
    models = [ProgramProfile]
    for model in models:
        for name, field in model.model_fields.items():
            if model is ProgramProfile and name in NOTES:
                continue
            assert re.search(rf"\.{name}\b", code), f"{model.__name__}.{name} is read by nothing"
            models += [kind for kind in nested(field.annotation) if kind not in models]
    assert {"LossOfCommunication", "TargetRules", "Polling", "UsageReport", "LevelRule"} <= {
        model.__name__ for model in models
    }


def nested(annotation: object) -> list[type[ProgramProfile]]:
    """Models inside a field's type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]  # type: ignore[list-item]
    return [kind for each in getattr(annotation, "__args__", ()) for kind in nested(each)]


def code_of_the_room() -> list[Path]:
    room = under("vpp_gateway/northbound/openadr2", ".py")
    return [*(path for path in room if path != PROGRAM), ROOT / "vpp_gateway" / "compose_centre.py"]


def taken(event: Event, found: ProgramProfile) -> Instruction | Refusal:
    party = Party(
        room=ROOM,
        ven_id="VEN-1",
        resources={str(site): site for site in SITES},
        level_base_w=dict.fromkeys(SITES, 100_000.0),
    )
    return instruction_of(event, party=party, program=found, received_at=START)


def level(value: float) -> Event:
    return dispatch(
        "E", start_at=START + 60, duration_s=3600, value=value, name="SIMPLE", type="level", unit=None
    )


@pytest.mark.parametrize("name", NAMES)
def test_each_program_takes_its_own_levels(name: str) -> None:
    found = load(name)
    for rule in found.levels:
        assert isinstance(taken(level(float(rule.level)), found), Instruction)


def test_capacity_bidding_takes_levels_only() -> None:
    found = load("us-ca-cbp")
    result = taken(dispatch("E", start_at=START + 60, duration_s=3600, value=-1e6), found)
    assert isinstance(result, Refusal) and result.code == "460"
    assert found.reports is None


def test_fast_dispatch_takes_amounts_and_lets_go_after_an_hour_of_silence() -> None:
    found = load("us-ca-fdr")
    result = taken(dispatch("E", start_at=START + 60, duration_s=3600, value=-1e6), found)
    assert isinstance(result, Instruction)
    assert found.loss_of_communication.release_after_s == 3600.0
    assert all(
        load(name).loss_of_communication.release_after_s is None for name in NAMES if name != "us-ca-fdr"
    )


@pytest.mark.parametrize(
    ("by", "targets", "scope"),
    [
        (["resourceID"], Targets(resource_ids=("tokyo",)), (SiteId("tokyo"),)),
        (["resourceID"], Targets(ven_ids=("VEN-1",)), None),
        (["venID"], Targets(ven_ids=("VEN-1",)), ()),
        (["venID"], Targets(resource_ids=("tokyo",)), None),
        (["venID"], Targets(ven_ids=("VEN-1",), resource_ids=("tokyo",)), ()),
        (["venID"], Targets(), ()),
        (["venID"], Targets(group_ids=("g",), party_ids=("p",)), None),
    ],
)
def test_a_program_says_by_which_criteria_it_names_us(
    by: list[str], targets: Targets, scope: tuple[SiteId, ...] | None
) -> None:
    event = replace(dispatch("E", start_at=START + 60, duration_s=3600, value=-1e6), targets=targets)
    result = taken(event, program(targets={"by": by}))
    if scope is None:
        assert isinstance(result, Refusal) and result.code == "462"
    else:
        assert isinstance(result, Instruction) and result.scope == scope
