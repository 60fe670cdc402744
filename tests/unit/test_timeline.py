"""Overlapping instructions: who is in force where (OpenADR 2.0b rule 18)."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from tests.unit.fleets import SITES, instruction
from vpp_gateway.domain.instruction import Instruction, Limit
from vpp_gateway.portfolio.timeline import Timeline


def timeline(*instructions: Instruction) -> Timeline:
    made = Timeline(sites=SITES)
    for one in instructions:
        made.admit(one)
    return made


def ruler(of: Timeline, now: float) -> dict[str, str]:
    """site -> event in force there."""
    return {site: row.instruction.event_id for row in of.at(now) for site in row.sites}


def test_the_higher_priority_supersedes_and_gives_back() -> None:
    low = instruction("low", start_at=1000.0, duration_s=900.0, rank=5)
    high = instruction("high", start_at=1300.0, duration_s=300.0, rank=0)
    both = timeline(low, high)
    assert set(ruler(both, 1100.0).values()) == {"low"}
    assert set(ruler(both, 1400.0).values()) == {"high"}  # although the other was first
    assert set(ruler(both, 1700.0).values()) == {"low"}
    (row, lost) = both.competing(1400.0)
    assert row.lost == () and lost.sites == () and {id for _, id in lost.lost} == {"tso/high"}


@pytest.mark.parametrize("order", list(permutations(["first", "second", "third"])))
def test_on_a_tie_the_one_activated_first_wins_whatever_the_order_of_reception(
    order: tuple[str, ...],
) -> None:
    starts = {"first": 1000.0, "second": 1100.0, "third": 1200.0}
    made = timeline(
        *(
            instruction(name, start_at=starts[name], duration_s=900.0, received_at=900.0 + index)
            for index, name in enumerate(order)
        )
    )
    assert set(ruler(made, 1300.0).values()) == {"first"}
    assert set(ruler(made, 1950.0).values()) == {"second"}
    assert set(ruler(made, 2050.0).values()) == {"third"}


@pytest.mark.parametrize("late", ["a", "b"])
def test_events_that_start_together_go_by_reception(late: str) -> None:
    made = timeline(*(instruction(name, received_at=900.0 + (name == late)) for name in ("a", "b")))
    assert set(ruler(made, 1100.0).values()) == {"b" if late == "a" else "a"}


def test_a_ramp_up_does_not_make_an_event_active_earlier() -> None:
    """Rule 18 speaks of activation; an event is not active while it ramps up."""
    ramping = replace(instruction("ramping", start_at=1000.0, duration_s=900.0), activated_at=1300.0)
    plain = instruction("plain", start_at=1200.0, duration_s=900.0)
    made = timeline(ramping, plain)
    assert set(ruler(made, 1100.0).values()) == {"ramping"}
    assert set(ruler(made, 1250.0).values()) == {"plain"}
    assert set(ruler(made, 1400.0).values()) == {"plain"}


def test_scopes_that_do_not_meet_do_not_compete() -> None:
    made = timeline(
        instruction("everywhere", rank=7),
        instruction("one", rank=2, scope=(SITES[1],)),
    )
    assert ruler(made, 1100.0) == {SITES[0]: "everywhere", SITES[1]: "one", SITES[2]: "everywhere"}


def test_a_modification_keeps_its_place_and_a_withdrawal_leaves_none() -> None:
    first, second = instruction("first"), instruction("second", start_at=1050.0)
    made = timeline(first, second)
    made.admit(replace(first, modification=1, received_at=1060.0))
    assert set(ruler(made, 1100.0).values()) == {"first"}
    made.withdraw(first.id)
    assert set(ruler(made, 1100.0).values()) == {"second"}


def test_no_site_is_ever_ruled_twice() -> None:
    made = timeline(
        *(
            instruction(f"E{n}", start_at=1000.0 + 37 * n, duration_s=200.0, rank=n % 3, scope=scope)
            for n, scope in enumerate([(), (SITES[0],), SITES[1:], (SITES[2],), (), (SITES[0], SITES[2])])
        )
    )
    for now in range(1000, 1500):
        ruled = [site for row in made.at(float(now)) for site in row.sites]
        assert len(ruled) == len(set(ruled))


def test_limits_bound_and_do_not_compete() -> None:
    bound = instruction("bound", demand=Limit(import_max_w=1.0, export_max_w=None), rank=0)
    made = timeline(bound, instruction("asked", rank=9))
    assert set(ruler(made, 1100.0).values()) == {"asked"}
    assert {row.site for row in made.bounds_at(1100.0)} == set(SITES)
