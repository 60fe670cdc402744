"""The most that can be used of the sun: small cases whose answer is known, and courses that nobody can beat."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.fleets import fleet
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.domain.fleet import Fleet
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.sim.model_work import WorkSpec
from vpp_gateway.whatif.course import Course, Second, SiteSecond
from vpp_gateway.whatif.sun import sun_of
from vpp_gateway.whatif.world import Play, SiteModel

WHOLE = fleet(batteries=1, power_w=50_000.0, energy_wh=100_000.0)
HOME = WHOLE.sites[0]
FAR = SiteId("far")
LOAD_W, SUN_W, SECONDS = 100_000.0, 140_000.0, 3600
CHARGE_WH = 1 / HOME.batteries[0].efficiency
"""AC energy that a stored Wh takes."""


def play(soc: float, *work: WorkSpec) -> Play:
    return Play(
        name="sun",
        fleet=Fleet(sites=(HOME,)),
        policy=Policy(),
        sites={HOME.id: SiteModel(load=((0.0, LOAD_W),), pv=((0.0, SUN_W),), soc=soc)},
        work=work,
        asked=(),
    )


def course(charged_w: float = 0.0) -> Course:
    """An hour in which the battery takes `charged_w` of a surplus of 40 kW."""
    row = SiteSecond(
        import_w=0.0,
        load_w=LOAD_W,
        shift_w=0.0,
        rebound_w=0.0,
        battery_w=-charged_w,
        pv_w=LOAD_W + charged_w,
        sun_w=SUN_W,
    )
    return Course(
        seconds=[
            Second(at_s=float(at), sites={HOME.id: row}, soc={}, battery_w={}, beliefs={}, doubts=())
            for at in range(SECONDS)
        ]
    )


def test_an_empty_battery_takes_all_of_it() -> None:
    sun = sun_of(play(0.2), course(charged_w=10_000.0))
    assert sun is not None
    assert sun.sun_wh == pytest.approx(140_000.0) and sun.used_wh == pytest.approx(110_000.0)
    assert sun.surplus_wh == pytest.approx(40_000.0) and sun.surplus_used_wh == pytest.approx(10_000.0)
    assert sun.surplus_bound_wh == pytest.approx(40_000.0)


def test_a_nearly_full_battery_takes_what_fits() -> None:
    sun = sun_of(play(0.85), course())
    assert sun is not None
    assert sun.surplus_bound_wh == pytest.approx(10_000.0 * CHARGE_WH, rel=1e-6)


def test_work_that_starts_or_comes_takes_its_size() -> None:
    full = HOME.batteries[0].soc_max
    waiting = WorkSpec(name="start", kind="absorb", site=HOME.id, w=15_000.0)
    coming = WorkSpec(name="move", kind="move", site=FAR, to=HOME.id, w=5_000.0)
    useless = WorkSpec(name="pause", kind="pause", site=HOME.id, w=90_000.0)
    sun = sun_of(play(full, waiting, coming, useless), course())
    assert sun is not None
    assert sun.surplus_bound_wh == pytest.approx(20_000.0, rel=1e-6)


def test_without_sun_there_is_nothing_to_say() -> None:
    dark = Play(
        name="dark",
        fleet=Fleet(sites=(HOME,)),
        policy=Policy(),
        sites={HOME.id: SiteModel(load=((0.0, LOAD_W),))},
        asked=(),
    )
    assert sun_of(dark, course()) is None


def test_where_the_linear_program_has_no_answer_there_is_no_number() -> None:
    """Nothing can be had of a sun that takes: only a model built in code has one, a file is refused."""
    taking = course()
    for at, second in enumerate(taking.seconds):
        row = replace(second.sites[HOME.id], sun_w=-1.0)
        taking.seconds[at] = replace(second, sites={HOME.id: row})
    sun = sun_of(play(0.5), taking)
    assert sun is not None and sun.surplus_bound_wh is None
