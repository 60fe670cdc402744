"""Ramps: x-eiRampUp and x-eiRecovery become steps (rule 31)."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.playbook.ven_stage import START, program
from tests.unit.test_openadr2_mapping import PARTY, event, steps
from vpp_gateway.domain.instruction import (
    Delta,
    Demand,
    Instruction,
    Level,
    Limit,
    Multiplier,
    Phase,
    Setpoint,
)
from vpp_gateway.northbound.openadr2.mapping import instruction_of
from vpp_gateway.northbound.openadr2.ramps import part_of, with_ramps

W = 1000.0


def made(ramp_up_s: float = 0.0, recovery_s: float = 0.0, duration_s: float | None = 600.0, count: int = 10):  # type: ignore[no-untyped-def]
    end_at = None if duration_s is None else START + duration_s
    phase = Phase(start_at=START, end_at=end_at, demand=Delta(regulation_w=W))
    return with_ramps((phase,), ramp_up_s, recovery_s, count)


def asked(phases: tuple[Phase, ...], at: float) -> float:
    """W asked at START + at."""
    for phase in phases:
        if phase.start_at <= START + at and (phase.end_at is None or START + at < phase.end_at):
            assert isinstance(phase.demand, Delta)
            return phase.demand.regulation_w
    return 0.0


def energy(phases: tuple[Phase, ...]) -> float:
    return sum((p.end_at - p.start_at) * p.demand.regulation_w for p in phases)  # type: ignore[union-attr, operator]


def test_a_positive_ramp_up_rises_before_dtstart() -> None:
    phases = made(ramp_up_s=100.0)
    assert phases[0].start_at == START - 100 and asked(phases, -100.5) == 0.0
    assert [asked(phases, t) for t in (-95, -55, -5)] == pytest.approx([50.0, 450.0, 950.0])
    assert asked(phases, 0) == asked(phases, 599) == W and asked(phases, 600) == 0.0
    assert energy(phases) == pytest.approx(600 * W + 100 * W / 2)


def test_a_negative_ramp_up_rises_after_dtstart() -> None:
    phases = made(ramp_up_s=-100.0)
    assert phases[0].start_at == START
    assert [asked(phases, t) for t in (-1, 5, 95, 100)] == pytest.approx([0.0, 50.0, 950.0, W])
    assert energy(phases) == pytest.approx(600 * W - 100 * W / 2)


def test_a_positive_recovery_falls_after_the_end() -> None:
    phases = made(recovery_s=100.0)
    assert phases[-1].end_at == START + 700
    assert [asked(phases, t) for t in (599, 605, 695, 700)] == pytest.approx([W, 950.0, 50.0, 0.0])


def test_a_negative_recovery_falls_before_the_end() -> None:
    phases = made(recovery_s=-100.0)
    assert phases[-1].end_at == START + 600
    assert [asked(phases, t) for t in (499, 505, 595)] == pytest.approx([W, 950.0, 50.0])


def test_both_at_once_and_longer_than_the_event() -> None:
    phases = made(ramp_up_s=-900.0, recovery_s=-900.0)
    assert (phases[0].start_at, phases[-1].end_at) == (START, START + 600)
    assert max(asked(phases, t) for t in range(600)) <= 0.31 * W
    assert asked(phases, 1) < asked(phases, 300) > asked(phases, 599)


def test_a_ramp_longer_than_its_event_is_pressed_into_it() -> None:
    assert asked(made(recovery_s=-900.0), 1) == pytest.approx(950.0)
    assert asked(made(ramp_up_s=-900.0), 599) == pytest.approx(950.0)


def test_an_open_end_has_no_recovery() -> None:
    assert made(recovery_s=100.0, duration_s=None) == made(recovery_s=-100.0, duration_s=None)
    rising = made(ramp_up_s=-100.0, duration_s=None)
    assert rising[-1] == Phase(start_at=START + 100, end_at=None, demand=Delta(regulation_w=W))


@pytest.mark.parametrize(
    ("seconds", "count"), [(100.0, 10), (5.0, 5), (1.0, 1), (0.4, 1), (10.0, 10), (3600.0, 10)]
)
def test_no_step_is_shorter_than_a_second(seconds: float, count: int) -> None:
    assert len(made(ramp_up_s=seconds)) == count + 1


def test_a_ramp_crosses_intervals() -> None:
    result = instruction_of(
        replace(steps((300.0, -1000.0), (3300.0, -2000.0)), ramp_up_s=-600.0),
        party=PARTY,
        program=program(),
        received_at=START - 60,
    )
    assert isinstance(result, Instruction)
    assert asked(result.phases, 299) == pytest.approx(450.0)  # 45 % of the first interval
    assert asked(result.phases, 301) == pytest.approx(1100.0)  # 55 % of the second
    assert asked(result.phases, 700) == 2000.0


@pytest.mark.parametrize(
    ("demand", "half"),
    [
        (Delta(regulation_w=-80.0), Delta(regulation_w=-40.0)),
        (Level(level=2, regulation_w=80.0), Level(level=2, regulation_w=40.0)),
        (Multiplier(factor=0.8), Multiplier(factor=0.9)),
        (Setpoint(import_w=80.0), Setpoint(import_w=80.0)),
        (Limit(import_max_w=80.0, export_max_w=None), Limit(import_max_w=80.0, export_max_w=None)),
    ],
)
def test_half_of_a_demand(demand: Demand, half: Demand) -> None:
    assert part_of(demand, 0.5) == half
    assert part_of(demand, 1.0) == demand


def test_a_setpoint_is_asked_in_full_from_dtstart_to_the_end() -> None:
    phase = Phase(start_at=START, end_at=START + 600, demand=Setpoint(import_w=5.0))
    for ramp_up_s, recovery_s in ((60.0, 60.0), (-60.0, -60.0)):
        assert {p.demand for p in with_ramps((phase,), ramp_up_s, recovery_s, 10)} == {phase.demand}
        outer = with_ramps((phase,), ramp_up_s, recovery_s, 10)
        assert (outer[0].start_at, outer[-1].end_at) == (START, START + 600)


def test_the_event_begins_with_its_ramp_and_is_active_with_its_period() -> None:
    result = instruction_of(
        replace(event(), ramp_up_s=300.0, recovery_s=60.0),
        party=PARTY,
        program=program(),
        received_at=START - 900,
        offset_s=7.0,
    )
    assert isinstance(result, Instruction)
    assert (result.start_at, result.active_from, result.end_at) == (
        START - 300 + 7,
        START + 7,
        START + 3600 + 60 + 7,
    )


def test_the_program_can_switch_ramps_off_and_choose_their_steps() -> None:
    ramped = replace(event(), ramp_up_s=300.0, recovery_s=-300.0)
    rules = program(apply_ramps=False)
    flat = instruction_of(ramped, party=PARTY, program=rules, received_at=START)
    assert isinstance(flat, Instruction) and len(flat.phases) == 1 and flat.active_from == flat.start_at
    coarse = instruction_of(ramped, party=PARTY, program=program(ramp_steps=2), received_at=START)
    assert isinstance(coarse, Instruction) and len(coarse.phases) == 5


def test_steps_that_meet_an_interval_leave_no_sliver() -> None:
    result = instruction_of(
        replace(steps((60.0, -1.0), (60.0, -2.0), (3480.0, -3.0)), ramp_up_s=-600.0),
        party=PARTY,
        program=program(),
        received_at=START - 60,
        offset_s=17.123456789,
    )
    assert isinstance(result, Instruction)
    assert min(p.end_at - p.start_at for p in result.phases) > 59.9  # type: ignore[operator]
    assert len(result.phases) == 11


@given(
    lengths=st.lists(st.integers(1, 900), min_size=1, max_size=5),
    ramp_up_s=st.integers(-2000, 2000),
    recovery_s=st.integers(-2000, 2000),
    count=st.integers(1, 20),
)
def test_phases_stay_in_order_without_gap_or_overlap(
    lengths: list[int], ramp_up_s: int, recovery_s: int, count: int
) -> None:
    at, phases = START, []
    for length in lengths:
        phases.append(Phase(start_at=at, end_at=at + length, demand=Delta(regulation_w=W)))
        at += length
    result = with_ramps(tuple(phases), float(ramp_up_s), float(recovery_s), count)
    assert all(a.end_at == b.start_at for a, b in pairwise(result))
    assert all(p.end_at is not None and p.end_at > p.start_at for p in result)
    assert result[0].start_at == START - max(ramp_up_s, 0)
    assert result[-1].end_at == at + max(recovery_s, 0)
    assert all(0.0 < p.demand.regulation_w <= W for p in result)  # type: ignore[union-attr]
