"""The curve of a frequency product: its shape, its edges, and what is no curve."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpp_gateway.domain.curve import Curve, droop_curve, full_at
from vpp_gateway.errors import ConfigError

SHARES = st.floats(-2.0, 2.0, allow_nan=False)


def test_nothing_inside_the_deadband_everything_at_full_and_straight_between() -> None:
    curve = droop_curve(deadband_hz=0.01, full_hz=0.2)
    assert [curve.share(hz) for hz in (-0.01, 0.0, 0.01)] == [0.0, 0.0, 0.0]
    assert [curve.share(hz) for hz in (-0.2, -0.3, 0.2, 5.0)] == [1.0, 1.0, -1.0, -1.0]
    assert curve.share(-0.105) == pytest.approx(0.5)
    assert curve.share(0.105) == pytest.approx(-0.5)


def test_a_stepped_curve_begins_where_the_line_through_zero_is() -> None:
    curve = droop_curve(deadband_hz=0.02, full_hz=0.2, stepped=True)
    assert curve.share(-0.02) == 0.0
    assert curve.share(-0.0201) == pytest.approx(0.1005)
    assert curve.share(-0.1) == pytest.approx(0.5)


def test_a_knee_is_two_slopes() -> None:
    curve = Curve(((-0.5, 1.0), (-0.2, 0.05), (-0.015, 0.0), (0.015, 0.0), (0.2, -0.05), (0.5, -1.0)))
    assert curve.share(-0.2) == pytest.approx(0.05)
    assert curve.share(-0.35) == pytest.approx(0.525)


@given(SHARES, SHARES, st.floats(0.0, 0.1), st.booleans())
def test_a_lower_frequency_never_calls_for_less_relief(
    one: float, other: float, deadband: float, stepped: bool
) -> None:
    curve = droop_curve(deadband_hz=deadband, full_hz=0.2, stepped=stepped)
    low, high = sorted((one, other))
    assert curve.share(low) >= curve.share(high)
    assert curve.share(low) == pytest.approx(-curve.share(-low))
    assert -1.0 <= curve.share(one) <= 1.0


def test_no_frequency_calls_for_nothing() -> None:
    assert droop_curve(deadband_hz=0.0, full_hz=0.2).share(math.nan) == 0.0


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (((0.0, 0.0),), "two points"),
        (((0.1, 0.0), (-0.1, -1.0)), "must rise"),
        (((-0.2, 0.0), (0.2, 1.0)), "must fall"),
        (((-0.2, 1.5), (0.2, -1.0)), "a share of -1..1"),
        (((-0.2, math.nan), (0.2, -1.0)), "a share of -1..1"),
        (((-0.2, 1.0), (0.2, 0.0)), "at a deviation of 0 Hz must be 0"),
    ],
)
def test_what_is_no_curve_is_refused(points: tuple[tuple[float, float], ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Curve(points)


def test_a_droop_of_five_percent_calls_a_small_reservation_early() -> None:
    assert full_at(0.05, nominal_hz=50.0, reserved_w=1e6, rated_w=1e6) == pytest.approx(2.5)
    assert full_at(0.05, nominal_hz=50.0, reserved_w=80e3, rated_w=1e6) == pytest.approx(0.2)
    with pytest.raises(ConfigError):
        full_at(0.0, nominal_hz=50.0, reserved_w=1.0, rated_w=1.0)
    with pytest.raises(ConfigError, match="deadband"):
        droop_curve(deadband_hz=0.2, full_hz=0.2)
