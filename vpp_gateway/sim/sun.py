"""A PV plant as a model: the sun's height over a place, clouds that drift, and nothing measured.

    clear sky   peak * max(0, sin(height))^1.15        a bell by day, zero by night, lower in winter
    clouds      1 - cover, cover an Ornstein-Uhlenbeck process cut to 0..0.9

Drawn on a fixed grid of ten seconds, so that the course depends on the seed alone, not on who looks when. Whoever shows
its power says that it is modelled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from vpp_gateway.clock import Rng

DAY_S = 86400.0
GRID_S = 10.0
COVER_MOST = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class PvPlate:
    """A PV plant as built, and its sky."""

    peak_w: float
    """Power with the sun overhead in a clear sky."""
    latitude_deg: float = 35.7
    longitude_deg: float = 139.7
    """East is positive."""
    cover: float = 0.2
    """Mean share that clouds take, 0..0.9."""
    sigma: float = 0.15
    """Standard deviation of that share."""
    tau_s: float = 600.0
    """How long clouds stay."""


class PvPlant:
    """Power of one PV plant.

    Args:
        plate: as built.
        rng: seeded, for its clouds.
        start_at: UTC (Unix s) of the first draw.
    """

    modelled = True

    def __init__(self, plate: PvPlate, *, rng: Rng, start_at: float) -> None:
        if not (plate.peak_w >= 0.0 and 0.0 <= plate.cover <= COVER_MOST and plate.tau_s > 0.0):
            raise ValueError(f"no such PV plant: {plate}")
        self.plate = plate
        self._rng = rng
        self._keep = math.exp(-GRID_S / plate.tau_s)
        self._tick = math.floor(start_at / GRID_S)
        self._drift = plate.sigma * self._gauss()

    def power_w(self, now: float) -> float:
        """What it feeds in at `now` (UTC, Unix s), >= 0. Looking back changes nothing."""
        while (self._tick + 1) * GRID_S <= now:
            self._tick += 1
            kick = self.plate.sigma * math.sqrt(1.0 - self._keep**2)
            self._drift = self._keep * self._drift + kick * self._gauss()
        cover = min(max(self.plate.cover + self._drift, 0.0), COVER_MOST)
        return self.clear_w(now) * (1.0 - cover)

    def clear_w(self, now: float) -> float:
        """The same without clouds."""
        height = max(0.0, sine_of_height(self.plate, now))
        return self.plate.peak_w * math.pow(height, 1.15)

    def _gauss(self) -> float:
        radius = math.sqrt(-2.0 * math.log(1.0 - self._rng.uniform(0.0, 1.0 - 1e-12)))
        return radius * math.cos(2.0 * math.pi * self._rng.uniform(0.0, 1.0))


def sine_of_height(plate: PvPlate, now: float) -> float:
    """Sine of the sun's height: declination by the day of the year, hour angle by the longitude (to about a degree)."""
    day = (now / DAY_S) % 365.2425
    declination = math.radians(-23.44) * math.cos(2.0 * math.pi * (day + 10.0) / 365.2425)
    hour = 2.0 * math.pi * ((now % DAY_S) / DAY_S - 0.5) + math.radians(plate.longitude_deg)
    latitude = math.radians(plate.latitude_deg)
    return math.sin(latitude) * math.sin(declination) + math.cos(latitude) * math.cos(declination) * math.cos(
        hour
    )
