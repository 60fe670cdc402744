"""From 2.0b words to ours: signs, units, targets, priority, intervals, as the program profile says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from tests.playbook.ven_stage import ROOM, SITES, START, program
from vpp_gateway.domain.instruction import (
    Delta,
    Demand,
    DeviceId,
    Instruction,
    Level,
    Phase,
    Setpoint,
    SiteId,
)
from vpp_gateway.northbound.openadr2.mapping import Party, Refusal, instruction_of, priority_of
from vpp_gateway.northbound.openadr2.messages import Event, SignalInterval, Targets
from vpp_gateway.northbound.openadr2.party import NamedDevice
from vpp_gateway.northbound.openadr2.program import ProgramProfile
from vpp_gateway.northbound.openadr2.report_words import SI_SCALE, Unit
from vpp_gateway.profile import list_profiles, load_profile
from vpp_gateway.sim.vtn import dispatch

PARTY = Party(
    room=ROOM,
    ven_id="VEN-1",
    resources={"R-1": SITES[0], "R-2": SITES[1]},
    level_base_w=dict.fromkeys(SITES, 1e5),
)


def event(**changes: object) -> Event:
    return dispatch("E", **{"start_at": START, "duration_s": 3600.0, "value": 1.0, **changes})  # type: ignore[arg-type]


def mapped(found: Event, rules: ProgramProfile | None = None, offset_s: float = 0.0) -> Instruction | Refusal:
    return instruction_of(
        found, party=PARTY, program=rules or program(), received_at=START - 60, offset_s=offset_s
    )


def demand(found: Event, rules: ProgramProfile | None = None) -> Demand:
    result = mapped(found, rules)
    assert isinstance(result, Instruction), result
    return result.phases[0].demand


def rule(**changes: object) -> dict[str, object]:
    return {"name": "LOAD_DISPATCH", "type": "delta", "meaning": "delta", **changes}


@pytest.mark.parametrize(("positive", "regulation_w"), [("import", -5.0), ("regulation", 5.0)])
def test_sign_of_a_delta_is_the_programs(positive: str, regulation_w: float) -> None:
    rules = program(signals=[rule(positive=positive)], levels=[])
    assert demand(event(value=5.0), rules) == Delta(regulation_w=regulation_w)


@pytest.mark.parametrize(("positive", "import_w"), [("import", 5.0), ("regulation", -5.0)])
def test_sign_of_a_setpoint_is_the_programs(positive: str, import_w: float) -> None:
    rules = program(signals=[rule(type="setpoint", meaning="setpoint", positive=positive)], levels=[])
    assert demand(event(type="setpoint", value=5.0), rules) == Setpoint(import_w=import_w)


@pytest.mark.parametrize("scale", SI_SCALE)
def test_every_si_scale(scale: str) -> None:
    unit = Unit(name="powerReal", units="W", scale=scale, hertz=50.0, voltage=200.0, ac=True)
    assert demand(event(value=-2.0, unit=unit)) == Delta(regulation_w=2.0 * SI_SCALE[scale])


def test_a_number_without_unit_means_what_the_program_says_or_nothing() -> None:
    assumed = program(signals=[rule(when_absent={"units": "W", "scale": "k"})], levels=[])
    assert demand(event(value=-3.0, unit=None), assumed) == Delta(regulation_w=3000.0)
    refused = mapped(event(unit=None))
    assert isinstance(refused, Refusal) and refused.code == "454" and "found none" in refused.reason


@pytest.mark.parametrize(
    "unit",
    [Unit(name="energyReal", units="Wh", scale="k"), Unit(name="powerApparent", units="VA", scale="k")],
)
def test_another_quantity_is_no_power(unit: Unit) -> None:
    refused = mapped(event(unit=unit))
    assert isinstance(refused, Refusal) and refused.code == "454" and unit.units in refused.reason


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_none_is_refused(value: float) -> None:
    refused = mapped(event(value=value))
    assert isinstance(refused, Refusal) and refused.code == "454"


def test_levels_scale_with_the_sites_addressed() -> None:
    simple = {"name": "SIMPLE", "type": "level", "unit": None}
    assert demand(event(value=3.0, **simple)) == Level(level=3, regulation_w=3e5)
    assert demand(event(value=1.0, resource_ids=["R-1"], **simple)) == Level(level=1, regulation_w=25_000.0)
    assert demand(event(value=0.0, **simple)) == Level(level=0, regulation_w=0.0)
    assert demand(event(value=2.0, **{**simple, "name": "simple"})) == Level(level=2, regulation_w=1.5e5)
    for value in (4.0, 1.5, -1.0):
        refused = mapped(event(value=value, **simple))
        assert isinstance(refused, Refusal) and refused.code == "454"


def test_levels_in_watts() -> None:
    rules = program(
        signals=[{"name": "SIMPLE", "type": "level", "meaning": "level"}],
        levels=[{"level": 1, "regulation_w": 750_000}],
    )
    simple = {"name": "SIMPLE", "type": "level", "unit": None}
    assert demand(event(value=1.0, **simple), rules) == Level(level=1, regulation_w=750_000.0)


def test_the_programs_order_chooses_among_signals() -> None:
    both = replace(
        event(), signals=event(name="SIMPLE", type="level", unit=None).signals + event(value=-7.0).signals
    )
    assert demand(both) == Delta(regulation_w=7.0)


def test_a_signal_for_a_device_class_is_not_ours() -> None:
    (signal,) = event().signals
    thermostats = replace(
        event(), signals=(replace(signal, targets=Targets(device_classes=("Thermostat",))),)
    )
    refused = mapped(thermostats)
    assert isinstance(refused, Refusal) and refused.code == "460"


@pytest.mark.parametrize(
    ("targets", "narrows", "scope"),
    [
        (Targets(), False, ()),
        (Targets(ven_ids=("VEN-1",)), False, ()),
        (Targets(ven_ids=("VEN-1", "VEN-2")), False, ()),
        (Targets(resource_ids=("R-2",)), False, (SITES[1],)),
        (Targets(ven_ids=("VEN-1",), resource_ids=("R-2",)), False, ()),
        (Targets(ven_ids=("VEN-1",), resource_ids=("R-2",)), True, (SITES[1],)),
        (Targets(ven_ids=("VEN-2",), resource_ids=("R-2",)), False, (SITES[1],)),
        (Targets(ven_ids=("VEN-2",), resource_ids=("R-2",)), True, None),
        (Targets(ven_ids=("VEN-2",)), False, None),
        (Targets(resource_ids=("R-9",)), False, None),
        (Targets(group_ids=("all",)), False, None),
        (Targets(others=("pnode",)), False, None),
    ],
)
def test_targets(targets: Targets, narrows: bool, scope: tuple[str, ...] | None) -> None:
    result = mapped(replace(event(), targets=targets), program(ven_target_narrows=narrows))
    if scope is None:
        assert isinstance(result, Refusal) and result.code == "462" and "VEN-1" in result.reason
    else:
        assert isinstance(result, Instruction) and result.scope == scope


def test_priority_one_is_most_urgent_and_zero_or_none_least() -> None:
    ranks = [priority_of(priority).rank for priority in (1, 2, 100, 4294967295)]
    assert ranks == sorted(ranks) and ranks[0] == 0
    assert priority_of(0) == priority_of(None)
    assert priority_of(0).rank > max(ranks)


def steps(
    *intervals: tuple[float, float], start_at: float | None = None, duration_s: float = 3600.0
) -> Event:
    (signal,) = event(duration_s=duration_s).signals
    made = tuple(SignalInterval(duration_s=s, value=w, start_at=start_at) for s, w in intervals)
    return replace(event(duration_s=duration_s), signals=(replace(signal, intervals=made),))


def test_intervals_become_phases() -> None:
    result = mapped(steps((600.0, -1.0), (1200.0, -2.0), (1800.0, 0.0)))
    assert isinstance(result, Instruction)
    assert result.phases == (
        Phase(start_at=START, end_at=START + 600, demand=Delta(regulation_w=1.0)),
        Phase(start_at=START + 600, end_at=START + 1800, demand=Delta(regulation_w=2.0)),
        Phase(start_at=START + 1800, end_at=START + 3600, demand=Delta(regulation_w=0.0)),
    )


def test_zero_duration_is_open_ended() -> None:
    result = mapped(steps((600.0, -1.0), (0.0, -2.0), duration_s=0.0))
    assert isinstance(result, Instruction)
    assert [phase.end_at for phase in result.phases] == [START + 600, None]  # rule 47


def test_one_interval_of_zero_fills_the_active_period() -> None:
    result = mapped(steps((0.0, -1.0)))
    assert isinstance(result, Instruction) and result.end_at == START + 3600


def test_offset_moves_everything() -> None:
    result = mapped(steps((600.0, -1.0), (3000.0, -2.0)), offset_s=42.0)
    assert isinstance(result, Instruction)
    assert (result.start_at, result.phases[1].start_at, result.end_at) == (
        START + 42,
        START + 642,
        START + 3642,
    )


@pytest.mark.parametrize(
    "wrong",
    [
        steps((600.0, -1.0)),  # rule 8
        steps((600.0, -1.0), (9000.0, -1.0)),
        steps((0.0, -1.0), (3600.0, -1.0)),
        steps((-600.0, -1.0), (4200.0, -1.0)),
        steps((3600.0, -1.0), start_at=START + 900),
        steps((3600.0, -1.0), start_at=START - 900),
        replace(event(), duration_s=-3600.0),
    ],
)
def test_times_that_do_not_fit_are_refused(wrong: Event) -> None:
    refused = mapped(wrong)
    assert isinstance(refused, Refusal) and refused.code == "454"


@pytest.mark.parametrize("name", ["SIMPLE", "ELECTRICITY_PRICE", "x-OTHER"])
def test_times_of_a_signal_that_is_not_acted_on_count_as_well(name: str) -> None:
    """Rule 8 speaks of every signal; the event contradicts itself whichever of them is followed."""
    good = event()
    (signal,) = good.signals
    short = (SignalInterval(duration_s=600.0, value=1.0),)
    beside = replace(signal, id="2", name=name, type="level", unit=None)
    assert isinstance(mapped(replace(good, signals=(signal, beside))), Instruction)
    refused = mapped(replace(good, signals=(signal, replace(beside, intervals=short))))
    assert isinstance(refused, Refusal) and refused.code == "454" and "signal '2'" in refused.reason


def test_shipped_programs_load_as_the_gateway_loads_them() -> None:
    names = [name for name in list_profiles("programs") if name in ("generic-2.0b", "jp-simple-command")]
    assert names == ["generic-2.0b", "jp-simple-command"]
    generic, japan = (load_profile("programs", name, ProgramProfile) for name in names)
    assert not generic.signature.required and not japan.signature.required
    assert "signature.required" in japan.to_be_confirmed
    assert japan.verified == "unverified" and japan.to_be_confirmed


@pytest.mark.parametrize(
    "wrong",
    [
        {"levels": []},
        {"levels": [{"level": 1}]},
        {"levels": [{"level": 1, "share": 0.5, "regulation_w": 1.0}]},
        {"levels": [{"level": 1, "share": 0.5}, {"level": 1, "share": 0.6}]},
        {"levels": [{"level": 1, "share": 1.5}]},
        {"polling": {"poll_s": 0}},
        {"no_such_key": 1},
    ],
)
def test_profiles_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        program(**wrong)


NAMED = replace(
    PARTY,
    areas={"AREA-T": SITES[:2]},
    devices={
        "B-1": NamedDevice(id=DeviceId("tokyo-1/b1"), site=SITES[0], level_base_w=4e4),
        "B-3": NamedDevice(id=DeviceId("kanagawa-1/b1"), site=SiteId("third"), level_base_w=2e4),
    },
)


@pytest.mark.parametrize(
    ("ids", "scope", "devices"),
    [
        (("B-1",), (), ("tokyo-1/b1",)),
        (("R-2", "B-1"), (SITES[1],), ("tokyo-1/b1",)),
        (("R-1", "B-1"), (SITES[0],), ()),  # OR-ed: its site is meant as a whole
        (("AREA-T", "B-1", "B-3"), SITES[:2], ("kanagawa-1/b1",)),
        (("B-3", "B-1", "strange"), (), ("kanagawa-1/b1", "tokyo-1/b1")),
    ],
)
def test_areas_and_devices_have_names(
    ids: tuple[str, ...], scope: tuple[SiteId, ...], devices: tuple[str, ...]
) -> None:
    found = instruction_of(event(resource_ids=ids), party=NAMED, program=program(), received_at=START - 60)
    assert isinstance(found, Instruction), found
    assert (found.scope, found.devices) == (scope, devices)


def test_a_signal_narrows_an_event_to_devices() -> None:
    one = event(resource_ids=("AREA-T", "B-3"))
    (signal,) = one.signals
    narrowed = replace(one, signals=(replace(signal, targets=Targets(resource_ids=("B-1", "B-3"))),))
    found = instruction_of(narrowed, party=NAMED, program=program(), received_at=START - 60)
    assert isinstance(found, Instruction), found
    assert (found.scope, set(found.devices)) == ((), {"tokyo-1/b1", "kanagawa-1/b1"})


def test_a_level_of_a_device_is_a_share_of_what_it_can_give() -> None:
    one = event(name="SIMPLE", type="level", unit=None, value=1.0, resource_ids=("B-1", "B-3"))
    found = instruction_of(one, party=NAMED, program=program(), received_at=START - 60)
    assert isinstance(found, Instruction), found
    site = mapped(event(name="SIMPLE", type="level", unit=None, value=1.0, resource_ids=("R-1",)))
    assert isinstance(site, Instruction)
    (device_demand, site_demand) = found.phases[0].demand, site.phases[0].demand
    assert isinstance(device_demand, Level) and isinstance(site_demand, Level)
    assert device_demand.regulation_w == pytest.approx(0.6 * site_demand.regulation_w)
