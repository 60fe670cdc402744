"""Which signal of an event is taken, and what its numbers ask for: prices, factors, load control, own targets."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from tests.playbook.ven_stage import ROOM, SITES, program
from tests.unit.openadr2_words import ITEMS
from tests.unit.test_openadr2_mapping import event
from vpp_gateway.domain.instruction import Delta, Demand, Instruction, Level, Multiplier, Setpoint
from vpp_gateway.northbound.openadr2.mapping import Party, Refusal, instruction_of
from vpp_gateway.northbound.openadr2.messages import Event, Signal, Targets
from vpp_gateway.northbound.openadr2.program import ProgramProfile
from vpp_gateway.northbound.openadr2.report_words import Unit

PARTY = Party(
    room=ROOM,
    ven_id="VEN-1",
    resources={"R-1": SITES[0], "R-2": SITES[1], "R-3": SITES[2]},
    level_base_w=dict.fromkeys(SITES, 1e5),
    capacity_w={SITES[0]: 1e6, SITES[1]: 2e6, SITES[2]: 3e6},
)
LEVELS = [{"level": 1, "share": 0.25}, {"level": 2, "share": 0.5}, {"level": 3, "share": 1.0}]
BANDS = [{"at_least": 30.0, "level": 1}, {"at_least": 80.0, "level": 3}, {"at_least": 50.0, "level": 2}]
YEN = Unit(name="currencyPerKWh", units="JPY", scale="none")


def rules(*signals: dict[str, object], **changes: object) -> ProgramProfile:
    return program(signals=list(signals), levels=LEVELS, **changes)


def rule(name: str, type: str, meaning: str, **more: object) -> dict[str, object]:
    return {"name": name, "type": type, "meaning": meaning, **more}


def mapped(found: Event, by: ProgramProfile) -> Instruction | Refusal:
    return instruction_of(found, party=PARTY, program=by, received_at=found.start_at - 60)


def demand(by: ProgramProfile, name: str, type: str, value: float, unit: Unit | None = None) -> Demand:
    result = mapped(event(name=name, type=type, value=value, unit=unit), by)
    assert isinstance(result, Instruction), result
    return result.phases[0].demand


def refusal(found: Event, by: ProgramProfile) -> tuple[str, str]:
    result = mapped(found, by)
    assert isinstance(result, Refusal), result
    return result.code, result.reason


# -- factors and shares -----------------------------------------------------------------------------------------


def test_a_multiplier_is_a_factor_on_undisturbed_use() -> None:
    by = rules(rule("LOAD_DISPATCH", "multiplier", "multiplier"))
    assert demand(by, "LOAD_DISPATCH", "multiplier", 0.8) == Multiplier(factor=0.8)
    assert demand(by, "LOAD_DISPATCH", "multiplier", 1.2) == Multiplier(factor=1.2)
    percent = rules(rule("LOAD_DISPATCH", "multiplier", "multiplier", whole=100.0))
    assert demand(percent, "LOAD_DISPATCH", "multiplier", 80.0) == Multiplier(factor=0.8)
    assert refusal(event(type="multiplier", value=-0.1, unit=None), by)[0] == "454"


@pytest.mark.parametrize(("positive", "factor"), [("import", 1.25), ("regulation", 0.75)])
def test_a_percent_offset_changes_undisturbed_use(positive: str, factor: float) -> None:
    by = rules(
        rule("LOAD_CONTROL", "x-loadControlPercentOffset", "percent-offset", whole=100, positive=positive)
    )
    assert demand(by, "LOAD_CONTROL", "x-loadControlPercentOffset", 25.0) == Multiplier(factor=factor)


def test_a_capacity_is_a_share_of_the_contracted_import() -> None:
    by = rules(rule("LOAD_CONTROL", "x-loadControlCapacity", "capacity"))
    one = event(name="LOAD_CONTROL", type="x-loadControlCapacity", value=0.5, unit=None)
    assert demand(by, "LOAD_CONTROL", "x-loadControlCapacity", 0.5) == Setpoint(import_w=3e6)
    narrowed = mapped(replace(one, targets=Targets(resource_ids=("R-2",))), by)
    assert isinstance(narrowed, Instruction) and narrowed.phases[0].demand == Setpoint(import_w=1e6)
    for value in (-0.1, 1.1):
        code, reason = refusal(
            event(name="LOAD_CONTROL", type=one.signals[0].type, value=value, unit=None), by
        )
        assert code == "454" and "0 to 100 %" in reason


def test_load_control_setpoints_are_setpoints_where_the_program_says_so() -> None:
    by = rules(rule("LOAD_CONTROL", "x-loadControlSetpoint", "setpoint"))
    kilo = Unit(name="powerReal", units="W", scale="k", hertz=50.0, voltage=200.0, ac=True)
    assert demand(by, "LOAD_CONTROL", "x-loadControlSetpoint", 3.0, kilo) == Setpoint(import_w=3000.0)


@pytest.mark.parametrize(("value", "level"), [(-3.0, 0), (0.0, 0), (1.0, 1), (2.0, 1), (3.0, 3)])
def test_a_level_offset_is_a_level_by_bands(value: float, level: int) -> None:
    bands = [{"at_least": 1.0, "level": 1}, {"at_least": 3.0, "level": 3}]
    by = rules(rule("LOAD_CONTROL", "x-loadControlLevelOffset", "level-offset", bands=bands))
    found = demand(by, "LOAD_CONTROL", "x-loadControlLevelOffset", value)
    assert isinstance(found, Level) and found.level == level


# -- prices -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "level", "w"),
    [(-5.0, 0, 0.0), (29.99, 0, 0.0), (30.0, 1, 75e3), (79.0, 2, 150e3), (80.0, 3, 300e3), (1e6, 3, 300e3)],
)
@pytest.mark.parametrize("name", ["ELECTRICITY_PRICE", "ENERGY_PRICE"])
def test_a_price_is_a_level_by_bands(name: str, value: float, level: int, w: float) -> None:
    by = rules(rule(name, "price", "price", units=["JPY"], bands=BANDS))
    assert demand(by, name, "price", value, YEN) == Level(level=level, regulation_w=w)


def test_a_price_has_a_scale_and_needs_its_currency() -> None:
    by = rules(
        rule("ELECTRICITY_PRICE", "price", "price", units=["JPY"], items=["currencyPerKWh"], bands=BANDS)
    )
    milli = replace(YEN, scale="m")
    assert demand(by, "ELECTRICITY_PRICE", "price", 50_000.0, milli) == Level(level=2, regulation_w=150e3)
    wrong = {
        None: "found none",
        replace(YEN, units="USD"): "'USD'",
        replace(YEN, name="currencyPerKW"): "'currencyPerKW'",
        Unit(name="energyReal", units="Wh", scale="k"): "'Wh'",
    }
    for unit, said in wrong.items():
        code, reason = refusal(event(name="ELECTRICITY_PRICE", type="price", unit=unit), by)
        assert code == "454" and said in reason


def test_relative_prices_and_price_multipliers() -> None:
    by = rules(
        rule("ELECTRICITY_PRICE", "priceMultiplier", "price", bands=[{"at_least": 2.0, "level": 2}]),
        rule(
            "ELECTRICITY_PRICE",
            "priceRelative",
            "price",
            units=["JPY"],
            when_absent={"units": "JPY", "scale": "none"},
            bands=[{"at_least": 10.0, "level": 1}],
        ),
    )
    assert demand(by, "ELECTRICITY_PRICE", "priceMultiplier", 2.5) == Level(level=2, regulation_w=150e3)
    assert demand(by, "ELECTRICITY_PRICE", "priceRelative", 12.0) == Level(level=1, regulation_w=75e3)


# -- names and units --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "type"),
    [
        ("CHARGE_STATE", "setpoint"),
        ("CHARGE_STATE", "delta"),
        ("DEMAND_CHARGE", "price"),
        ("BID_PRICE", "price"),
        ("BID_LOAD", "setpoint"),
        ("BID_ENERGY", "setpoint"),
        ("ELECTRICITY_PRICE", "price"),
        ("ENERGY_PRICE", "priceRelative"),
        ("LOAD_CONTROL", "x-loadControlCapacity"),
        ("LOAD_DISPATCH", "multiplier"),
        ("x-private", "delta"),
    ],
)
def test_a_signal_that_the_program_does_not_take_is_answered_460(name: str, type: str) -> None:
    code, reason = refusal(event(name=name, type=type), program())
    assert code == "460" and name in reason and "LOAD_DISPATCH/setpoint" in reason


def test_an_extension_signal_is_taken_where_the_program_names_it() -> None:
    by = rules(rule("x-tso-command", "delta", "delta"), rule("CHARGE_STATE", "setpoint", "ignore"))
    assert demand(by, "x-tso-command", "delta", -5.0, event().signals[0].unit) == Delta(regulation_w=5.0)
    assert refusal(event(name="CHARGE_STATE", type="setpoint"), by)[0] == "460"


@pytest.mark.parametrize(
    "item", [item for item in ITEMS if item[0] != "customUnit"], ids=lambda item: item[0]
)
def test_a_unit_that_is_no_power_is_refused_with_its_name(item: tuple[str, str]) -> None:
    code, reason = refusal(event(unit=Unit(name=item[0], units=item[1], scale="k")), program())
    assert code == "454" and item[1] in reason


def test_a_custom_unit_is_taken_where_the_program_names_it() -> None:
    own = Unit(name="customUnit", units="negawatt", scale="M", description="relief")
    by = rules(rule("x-own", "delta", "delta", units=["negawatt"], positive="regulation"))
    assert demand(by, "x-own", "delta", 2.0, own) == Delta(regulation_w=2e6)
    assert refusal(event(unit=own), program())[0] == "454"


def test_a_factor_with_a_unit_is_no_factor() -> None:
    by = rules(rule("LOAD_DISPATCH", "multiplier", "multiplier"))
    code, reason = refusal(event(type="multiplier", value=0.8), by)
    assert code == "454" and "expected none, found 'W'" in reason


def test_power_attributes_do_not_change_the_number() -> None:
    for hertz, voltage, ac in ((50.0, 200.0, True), (60.0, 480.0, True), (0.0, 380.0, False)):
        unit = Unit(name="powerReal", units="W", scale="k", hertz=hertz, voltage=voltage, ac=ac)
        assert demand(program(), "LOAD_DISPATCH", "delta", -1.0, unit) == Delta(regulation_w=1000.0)


# -- several signals --------------------------------------------------------------------------------------------


def signals(*found: tuple[str, str, float, Targets]) -> Event:
    def one(name: str, type: str, value: float, targets: Targets) -> Signal:
        unit = None if type == "level" else event().signals[0].unit
        (signal,) = event(name=name, type=type, value=value, unit=unit).signals
        return replace(signal, targets=targets, id=f"{name}-{value:g}")

    return replace(event(), signals=tuple(one(*row) for row in found))


def of(*resources: str) -> Targets:
    return Targets(resource_ids=resources)


ME = Targets()


def test_the_programs_order_chooses_among_several_signals() -> None:
    both = signals(
        ("SIMPLE", "level", 1.0, ME), ("LOAD_DISPATCH", "delta", -7.0, ME), ("x-other", "delta", 1.0, ME)
    )
    result = mapped(both, program())
    assert isinstance(result, Instruction) and result.phases[0].demand == Delta(regulation_w=7.0)


@pytest.mark.parametrize(
    ("signal", "whole", "scope"),
    [
        (of("R-1"), ME, (SITES[0],)),
        (of("R-1", "R-2"), of("R-2", "R-3"), (SITES[1],)),
        (ME, of("R-2"), (SITES[1],)),
        (Targets(ven_ids=("VEN-1",)), of("R-2"), (SITES[1],)),
        (Targets(ven_ids=("VEN-9",)), ME, None),
        (of("R-1"), of("R-2"), None),
        (Targets(device_classes=("Thermostat",)), ME, None),
    ],
)
def test_a_signal_speaks_of_its_own_targets_within_those_of_the_event(
    signal: Targets, whole: Targets, scope: tuple[str, ...] | None
) -> None:
    asked = replace(signals(("LOAD_DISPATCH", "delta", -7.0, signal)), targets=whole)
    result = mapped(asked, program())
    if scope is None:
        assert isinstance(result, Refusal) and result.code == "460"
    else:
        assert isinstance(result, Instruction) and result.scope == scope


def test_a_device_class_that_the_program_names_is_ours() -> None:
    thermostats = Targets(device_classes=("Thermostat", "Battery"))
    by = program(device_classes=["Battery"])
    asked = signals(("LOAD_DISPATCH", "delta", -7.0, thermostats))
    assert isinstance(mapped(asked, by), Instruction)
    whole = replace(event(), targets=thermostats)
    assert isinstance(mapped(whole, by), Instruction)
    assert refusal(whole, program())[0] == "462"


def test_two_signals_for_different_targets_are_refused_as_a_whole() -> None:
    """One event is one instruction with one scope: half an event is never taken in silence."""
    for second in ("LOAD_DISPATCH", "SIMPLE"):
        type = "delta" if second == "LOAD_DISPATCH" else "level"
        asked = signals(("LOAD_DISPATCH", "delta", -7.0, of("R-1")), (second, type, 2.0, of("R-2")))
        code, reason = refusal(asked, program())
        assert code == "460" and SITES[0] in reason and SITES[1] in reason and "one event for each" in reason


def test_a_second_signal_within_the_first_ones_targets_is_left_out() -> None:
    asked = signals(("LOAD_DISPATCH", "delta", -7.0, ME), ("SIMPLE", "level", 2.0, of("R-2")))
    result = mapped(asked, program())
    assert isinstance(result, Instruction) and result.scope == ()
    assert result.phases[0].demand == Delta(regulation_w=7.0)


def test_a_signal_for_others_beside_ours_costs_nothing() -> None:
    asked = signals(
        ("LOAD_DISPATCH", "delta", -9.0, Targets(ven_ids=("VEN-9",))),
        ("LOAD_DISPATCH", "delta", -7.0, of("R-1")),
    )
    result = mapped(asked, program())
    assert isinstance(result, Instruction)
    assert (result.scope, result.phases[0].demand) == ((SITES[0],), Delta(regulation_w=7.0))


# -- profiles that make no sense --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([rule("ELECTRICITY_PRICE", "price", "price")], "need them"),
        ([rule("LOAD_DISPATCH", "delta", "delta", bands=BANDS)], "bands belong"),
        ([rule("E", "price", "price", bands=[*BANDS, BANDS[0]])], "each at_least once"),
        ([rule("E", "price", "price", bands=[{"at_least": 1.0, "level": 4}])], "level"),
        ([rule("E", "price", "price", bands=[{"at_least": "nan", "level": 1}])], "at_least"),
        ([rule("E", "multiplier", "multiplier", whole=0.0)], "whole"),
    ],
)
def test_rules_that_make_no_sense_are_refused(wrong: list[dict[str, object]], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        rules(*wrong)


def test_bands_need_the_levels_that_they_name() -> None:
    with pytest.raises(ValidationError, match=r"levels that `levels` does not give: \[2, 3\]"):
        program(
            signals=[rule("E", "price", "price", bands=BANDS)],
            levels=[{"level": 1, "share": 0.5}],
        )
