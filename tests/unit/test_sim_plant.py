"""The physics of the simulated world: energy is neither made nor lost, limits hold, looking changes nothing."""

from __future__ import annotations

import math
import statistics
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpp_gateway.clock import SeededRng
from vpp_gateway.sim.plant import (
    BatteryPlant,
    BatteryPlate,
    ConstantLoad,
    MeasuredLoad,
    NoisyLoad,
    SitePlant,
)

PLATE = BatteryPlate(
    discharge_max_w=1e6,
    charge_max_w=8e5,
    energy_wh=1e5,
    ramp_w_per_s=5e4,
    efficiency=0.9,
    soc_min=0.1,
    soc_max=0.95,
    derate=((0.8, 0.5), (0.9, 0.2)),
)
WISH = st.tuples(st.floats(0.01, 600), st.floats(-1.5e6, 1.5e6))
SOC = st.floats(0.1, 0.95)


def run(plant: BatteryPlant, wishes: list[tuple[float, float]], looks: int = 1) -> BatteryPlant:
    """Want each value for a while, looking `looks` times in between."""
    now = plant.at
    for duration_s, w in wishes:
        plant.want(w, now)
        for look in range(1, looks + 1):
            plant.look(now + duration_s * look / looks)
        now += duration_s
    return plant


@given(SOC, st.lists(WISH, max_size=12))
def test_stored_energy_is_what_went_in_and_out_through_the_losses(
    soc: float, wishes: list[tuple[float, float]]
) -> None:
    plant = run(BatteryPlant(PLATE, soc=soc, at=0.0), wishes, looks=3)
    balance_wh = soc * PLATE.energy_wh + plant.charged_wh * 0.9 - plant.discharged_wh / 0.9
    assert plant.stored_wh == pytest.approx(balance_wh, abs=1e-3)


@given(SOC, st.lists(WISH, min_size=1, max_size=12), st.integers(1, 20))
def test_soc_and_power_stay_inside_their_limits(
    soc: float, wishes: list[tuple[float, float]], looks: int
) -> None:
    plant = BatteryPlant(PLATE, soc=soc, at=0.0)
    now = 0.0
    for duration_s, w in wishes:
        plant.want(w, now)
        for look in range(1, looks + 1):
            discharge_w = plant.look(now + duration_s * look / looks)
            assert 0.1 - 1e-8 <= plant.soc <= 0.95 + 1e-8
            assert -8e5 - 1e-3 <= discharge_w <= 1e6 + 1e-3
        now += duration_s


@given(SOC, st.lists(WISH, min_size=1, max_size=8), st.integers(2, 30))
def test_looking_more_often_changes_nothing(
    soc: float, wishes: list[tuple[float, float]], looks: int
) -> None:
    seldom = run(BatteryPlant(PLATE, soc=soc, at=0.0), wishes)
    often = run(BatteryPlant(PLATE, soc=soc, at=0.0), wishes, looks=looks)
    assert often.stored_wh == pytest.approx(seldom.stored_wh, abs=0.02)
    assert often.discharge_w == pytest.approx(seldom.discharge_w, abs=1.0)


@given(SOC, st.lists(WISH, min_size=1, max_size=6))
def test_power_never_jumps_but_to_zero_or_along_the_ramp(
    soc: float, wishes: list[tuple[float, float]]
) -> None:
    plant = BatteryPlant(PLATE, soc=soc, at=0.0)
    now, before_w = 0.0, 0.0
    for duration_s, w in wishes:
        plant.want(w, now)
        for _ in range(10):
            now += duration_s / 10
            after_w = plant.look(now)
            most_w = PLATE.ramp_w_per_s * duration_s / 10 + 1e-3
            assert abs(after_w - before_w) <= most_w or abs(after_w) <= most_w, (
                "a trip, perhaps ramping again"
            )
            before_w = after_w


def test_a_ramp_is_exact_at_every_moment() -> None:
    plant = BatteryPlant(PLATE, soc=0.5, at=0.0)
    plant.want(4e5, 0.0)
    assert [plant.look(t) for t in (2.0, 4.0, 8.0, 100.0)] == [1e5, 2e5, 4e5, 4e5]
    plant.want(-1e5, 100.0)
    assert [plant.look(t) for t in (104.0, 108.0, 110.0)] == [2e5, 0.0, -1e5]
    # 8 s up and 8 s down triangles plus 92 s flat, in Wh
    assert plant.discharged_wh == pytest.approx((4e5 * 8 / 2 + 4e5 * 92 + 4e5 * 8 / 2) / 3600)
    assert plant.charged_wh == pytest.approx(1e5 * 2 / 2 / 3600)


def test_an_empty_battery_stops_by_itself_at_the_right_moment() -> None:
    plate = BatteryPlate(
        discharge_max_w=1e6,
        charge_max_w=1e6,
        energy_wh=1e5,
        ramp_w_per_s=1e12,
        efficiency=1.0,
        soc_min=0.1,
    )
    plant = BatteryPlant(plate, soc=0.6, at=0.0)
    plant.want(1e6, 0.0)  # 50 kWh at 1 MW: 180 s
    assert plant.look(179.9) == pytest.approx(1e6)
    assert plant.look(180.1) == 0.0
    assert plant.soc == pytest.approx(0.1)
    plant.want(-1e6, 200.0)
    assert plant.look(210.0) == pytest.approx(-1e6)


def test_charging_is_derated_near_full() -> None:
    plant = BatteryPlant(PLATE, soc=0.79, at=0.0)
    plant.want(-8e5, 0.0)
    plant.look(60.0)
    assert 0.8 < plant.soc < 0.9
    assert plant.discharge_w == pytest.approx(-4e5)
    assert plant.look(3600.0) == 0.0
    assert plant.soc == pytest.approx(0.95)


def test_a_stopped_battery_gives_nothing_until_it_is_back() -> None:
    plant = BatteryPlant(PLATE, soc=0.5, at=0.0)
    plant.want(1e5, 0.0)
    plant.stop(True, 10.0)
    assert plant.look(20.0) == 0.0
    plant.stop(False, 20.0)
    assert plant.look(30.0) == 1e5


def test_a_state_of_charge_outside_the_plate_is_refused() -> None:
    with pytest.raises(ValueError, match=r"soc 0.05 is outside 0.1..0.95"):
        BatteryPlant(PLATE, soc=0.05, at=0.0)


# --- loads and the site --------------------------------------------------------------------------------------


def noisy(seed: int) -> NoisyLoad:
    return NoisyLoad(ConstantLoad(1e6), sigma_w=1e4, tau_s=30.0, rng=SeededRng(seed), start_at=0.0)


def test_noise_has_the_mean_the_spread_and_the_memory_it_should_have() -> None:
    load = noisy(1)
    values = [load.import_w(float(second)) - 1e6 for second in range(40000)]
    assert statistics.fmean(values) == pytest.approx(0.0, abs=1000)
    assert statistics.stdev(values) == pytest.approx(1e4, rel=0.1)
    neighbours = statistics.fmean(a * b for a, b in pairwise(values)) / statistics.fmean(
        a * a for a in values
    )
    assert neighbours == pytest.approx(math.exp(-1 / 30), abs=0.01)


@given(st.integers(0, 99), st.lists(st.floats(0, 50), max_size=20))
def test_noise_depends_on_the_seed_and_not_on_who_looks(seed: int, looks: list[float]) -> None:
    watched, unwatched = noisy(seed), noisy(seed)
    for at in sorted(looks):
        watched.import_w(at)
    assert watched.import_w(60.0) == unwatched.import_w(60.0)


def test_the_meter_feels_load_less_sun_less_batteries() -> None:
    class Steady:
        def discharge_w(self, now: float) -> float:
            return 3e5 if now < 10 else -1e5

    site = SitePlant(load=ConstantLoad(2e6), batteries=[Steady(), Steady()], pv_w=1e5)
    assert (site.import_w(0.0), site.import_w(10.0)) == (1.3e6, 2.1e6)
    site.extra.append(MeasuredLoad(lambda now: 10 * now, base_w=5.0))
    assert site.import_w(10.0) == 2.1e6 + 105.0
