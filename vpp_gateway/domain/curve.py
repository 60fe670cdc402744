"""How much of a reservation a deviation of the grid frequency calls: the curve of a frequency product. Pure.

            share (regulation: + relieves the grid)
             1 |________                         piecewise straight between the points, flat beyond the last ones
               |        \\
               |         \\___ deadband ___
             0 |              |    |    |
               |                         \\
            -1 |                          \\________
               +-----------------------------------  f - f_nominal, Hz
                  -0.2       -db   0   +db      +0.2

A curve only falls: a lower frequency never calls for less relief.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from vpp_gateway.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Curve:
    """Points (deviation in Hz, share of the reservation -1..1), by rising deviation.

    Raises:
        ConfigError: fewer than two points, not rising, not falling, beyond -1..1, or not 0 at a deviation of 0.
    """

    points: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if len(self.points) < 2:
            raise ConfigError("a curve needs two points at least")
        for deviation_hz, share in self.points:
            if not math.isfinite(deviation_hz) or not -1.0 <= share <= 1.0:
                raise ConfigError(
                    f"curve: ({deviation_hz}, {share}): a share of -1..1 at a finite deviation is allowed"
                )
        for (one_hz, one), (next_hz, following) in pairwise(self.points):
            if next_hz <= one_hz:
                raise ConfigError(f"curve: deviations must rise, {next_hz:g} Hz comes after {one_hz:g} Hz")
            if following > one:
                raise ConfigError(f"curve: shares must fall, {following:g} comes after {one:g}")
        if self.share(0.0) != 0.0:
            raise ConfigError("curve: the share at a deviation of 0 Hz must be 0")

    def share(self, deviation_hz: float) -> float:
        """Share of the reservation that is called, + relieves the grid.

        Args:
            deviation_hz: frequency less its nominal value; NaN calls for nothing.
        """
        points = self.points
        if math.isnan(deviation_hz):
            return 0.0
        if deviation_hz <= points[0][0]:
            return points[0][1]
        if deviation_hz >= points[-1][0]:
            return points[-1][1]
        index = bisect_right(points, (deviation_hz, math.inf))
        (left_hz, left), (right_hz, right) = points[index - 1], points[index]
        return left + (right - left) * (deviation_hz - left_hz) / (right_hz - left_hz)


def droop_curve(*, deadband_hz: float, full_hz: float, stepped: bool = False) -> Curve:
    """The usual shape: nothing inside the deadband, straight to everything at `full_hz`, the same both ways.

    Args:
        deadband_hz: half width in which nothing is called.
        full_hz: deviation at which the whole reservation is called.
        stepped: the line goes through 0 and is only silenced inside the deadband, so that it begins with a step;
            otherwise it begins at the edge of the deadband.

    Raises:
        ConfigError: not 0 <= deadband_hz < full_hz.
    """
    if not 0.0 <= deadband_hz < full_hz < math.inf:
        raise ConfigError(f"droop: 0 <= deadband {deadband_hz:g} Hz < full {full_hz:g} Hz is needed")
    if deadband_hz == 0.0:
        return Curve(((-full_hz, 1.0), (0.0, 0.0), (full_hz, -1.0)))
    step_hz = min(1e-6, (full_hz - deadband_hz) / 2)
    edge = (deadband_hz + step_hz) / full_hz
    right: Sequence[tuple[float, float]] = (
        ((deadband_hz, 0.0), (deadband_hz + step_hz, -edge), (full_hz, -1.0))
        if stepped
        else ((deadband_hz, 0.0), (full_hz, -1.0))
    )
    left = tuple((0.0 - hz, 0.0 - share) for hz, share in reversed(right))
    return Curve((*left, *right))


def full_at(droop: float, *, nominal_hz: float, reserved_w: float, rated_w: float) -> float:
    """Deviation at which a droop (per-unit frequency for per-unit power of the rating) calls the whole reservation, Hz.

    Args:
        droop: for instance 0.05.
        nominal_hz: 50 or 60.
        reserved_w: what was granted, > 0.
        rated_w: rating that the droop refers to, > 0.
    """
    if not (droop > 0 and nominal_hz > 0 and reserved_w > 0 and rated_w > 0):
        raise ConfigError("droop, nominal frequency, reservation and rating must be above 0")
    return droop * nominal_hz * reserved_w / rated_w
