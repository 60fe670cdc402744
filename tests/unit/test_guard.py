"""The guard's account of CPU credit, in scripted time: the mean is right, stops are few, looks are rare."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vpp_gateway.southbound.workload.process_lever.guard import BUCKET_MIN_S, LOOK_MAX_S, Credit

FOR_S = 60.0
Appetite = Callable[[float], float]
"""Cores that the job uses at a moment, if it may."""


def watched(cores: float, appetite: Appetite) -> tuple[float, float, float]:
    """Cores used, looks a second, and the longest rest (s) of a job under guard for a minute."""
    credit = Credit(cores, 0.0, 0.0)
    at, used_s, looks, rest_s, longest_s = 0.0, 0.0, 0, 0.0, 0.0
    while at < FOR_S:
        wait_s = credit.wait_s()
        used_s += wait_s * appetite(at) if credit.running else 0.0
        rest_s = 0.0 if credit.running else rest_s + wait_s
        longest_s = max(longest_s, rest_s)
        at += wait_s
        credit.look(at, used_s)
        looks += 1
    return used_s / at, looks / at, longest_s


@pytest.mark.parametrize("cores", [0.011, 0.03, 0.25, 2.0])
def test_a_hungry_job_gets_its_cores_and_is_seldom_looked_at(cores: float) -> None:
    used, looks, longest_s = watched(cores, lambda _: max(1.0, 4 * cores))
    assert used == pytest.approx(cores, rel=0.05)
    assert looks <= 60.0
    assert longest_s <= 0.5


@pytest.mark.parametrize("cores", [0.011, 0.25])
def test_a_job_that_keeps_below_its_share_is_never_stopped_and_hardly_looked_at(cores: float) -> None:
    used, looks, longest_s = watched(cores, lambda _: 0.5 * cores)
    assert used == pytest.approx(0.5 * cores)
    assert looks <= 60.0
    assert longest_s == 0.0


def test_a_job_that_wakes_up_hungry_rests_for_what_it_overdrew() -> None:
    used, _, longest_s = watched(0.011, lambda at: 0.0 if at % 10 < 5 else 1.0)
    assert used <= 0.011
    assert longest_s <= 2.5


def test_many_threads_are_looked_at_sooner_once_their_speed_is_known() -> None:
    used, _, longest_s = watched(1.0, lambda _: 8.0)
    assert used == pytest.approx(1.0, rel=0.05)
    assert longest_s <= 0.5


def test_credit_is_not_saved_up() -> None:
    credit = Credit(0.011, 0.0, 0.0)
    credit.look(3600.0, 0.0)
    assert credit.left_s == BUCKET_MIN_S
    assert 0 < credit.wait_s() <= LOOK_MAX_S
