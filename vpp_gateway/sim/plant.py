"""The physics outside: batteries with ramps and losses, a site's load, and what its grid meter feels.

Nothing runs here by itself. A plant is integrated when somebody looks, from the last look to now, exactly: between
two events (end of a ramp, change of direction, a SoC bound or threshold) power is a straight line, so energy is a
parabola and the moment of the next event is the root of a quadratic.

    power      ____/-----\\____        stored energy falls by P/efficiency while discharging,
              /           \\           rises by |P|*efficiency while charging

    import_w(PCC) = load - PV - sum of discharge_w
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from vpp_gateway.clock import Rng

_TINY = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryPlate:
    """A battery as built."""

    discharge_max_w: float
    charge_max_w: float
    energy_wh: float
    ramp_w_per_s: float
    efficiency: float = 0.95
    """One way, 0..1."""
    soc_min: float = 0.05
    """Stops discharging by itself here."""
    soc_max: float = 1.0
    """Stops charging by itself here."""
    derate: tuple[tuple[float, float], ...] = ()
    """(SoC, share): at and above this SoC charging is limited to that share of charge_max_w; ascending."""


class BatteryPlant:
    """State of charge and power of one battery at the time of the last look.

    Args:
        plate: as built.
        soc: 0..1 at `at`.
        at: UTC (Unix s).
    """

    def __init__(self, plate: BatteryPlate, *, soc: float, at: float) -> None:
        if not plate.soc_min <= soc <= plate.soc_max:
            raise ValueError(f"soc {soc} is outside {plate.soc_min}..{plate.soc_max}")
        self.plate = plate
        self.at = at
        self.discharge_w = 0.0
        self.stored_wh = soc * plate.energy_wh
        self.discharged_wh = 0.0
        """AC energy delivered since the start, >= 0."""
        self.charged_wh = 0.0
        """AC energy taken since the start, >= 0."""
        self.stopped = False
        """Out of operation: 0 W whatever is wanted."""
        self._target_w = 0.0

    @property
    def soc(self) -> float:
        """State of charge at the last look, 0..1."""
        return self.stored_wh / self.plate.energy_wh

    def want(self, discharge_w: float, now: float) -> None:
        """From `now` on ramp to `discharge_w`, as far as the plate allows."""
        self.look(now)
        self._target_w = min(max(discharge_w, -self.plate.charge_max_w), self.plate.discharge_max_w)

    def stop(self, stopped: bool, now: float) -> None:
        """Trip the battery, or put it back into operation."""
        self.look(now)
        self.stopped = stopped
        if stopped:
            self.discharge_w = 0.0

    def look(self, now: float) -> float:
        """Integrate to `now`; discharge_w at that moment. Looking back changes nothing."""
        while self.at < now:
            target_w = self._allowed_w()
            steady = abs(target_w - self.discharge_w) < _TINY
            if steady and abs(self.discharge_w) < _TINY:
                self.discharge_w, self.at = target_w, now
                break
            self._segment(target_w, steady, now)
        return self.discharge_w

    def _allowed_w(self) -> float:
        """Where the ramp goes at this state of charge; also trips at the bounds."""
        plate, soc = self.plate, self.soc
        target_w = 0.0 if self.stopped else self._target_w
        if soc <= plate.soc_min + 2 * _TINY:
            target_w, self.discharge_w = min(target_w, 0.0), min(self.discharge_w, 0.0)
        if soc >= plate.soc_max - 2 * _TINY:
            target_w, self.discharge_w = max(target_w, 0.0), max(self.discharge_w, 0.0)
        for threshold, share in plate.derate:
            if soc >= threshold - 2 * _TINY:
                target_w = max(target_w, -share * plate.charge_max_w)
        return target_w

    def _segment(self, target_w: float, steady: bool, now: float) -> None:
        """One straight piece of power, of one sign, up to the next event."""
        start_w = self.discharge_w
        slope = 0.0 if steady else math.copysign(self.plate.ramp_w_per_s, target_w - start_w)
        span_s = now - self.at
        if not steady:
            span_s = min(span_s, (target_w - start_w) / slope)
            if start_w * slope < 0:  # on the way to zero
                span_s = min(span_s, -start_w / slope)
        sign_w = start_w if abs(start_w) > _TINY else slope
        loss = 1 / self.plate.efficiency if sign_w > 0 else self.plate.efficiency
        span_s = min(span_s, self._until_bound_s(start_w, slope, loss, sign_w > 0))
        end_w = start_w + slope * span_s
        wh = (start_w + end_w) / 2 * span_s / 3600
        self.stored_wh -= wh * loss
        if wh > 0:
            self.discharged_wh += wh
        else:
            self.charged_wh -= wh
        arrived = not steady and abs(end_w - target_w) < 1e-6
        self.discharge_w = target_w if arrived else (0.0 if abs(end_w) < 1e-6 else end_w)
        self.at = now if self.at + span_s >= now - _TINY else self.at + span_s

    def _until_bound_s(self, start_w: float, slope: float, loss: float, discharging: bool) -> float:
        """Seconds until the stored energy meets the next bound or threshold of this direction."""
        plate = self.plate
        if discharging:
            marks = [plate.soc_min]
        else:
            marks = [threshold for threshold, _ in plate.derate] + [plate.soc_max]
        soonest = math.inf
        for soc in marks:
            wh = (
                self.stored_wh - soc * plate.energy_wh
            ) / loss  # AC energy to get there, > 0 when discharging
            if (wh if discharging else -wh) > plate.energy_wh * _TINY:
                soonest = min(
                    soonest, _time_for(abs(wh) * 3600, abs(start_w), slope if discharging else -slope)
                )
        return soonest


def _time_for(joule: float, start_w: float, slope: float) -> float:
    """Seconds in which start_w + slope*t (>= 0) delivers `joule`; inf when it never does."""
    if abs(slope) < _TINY:
        return joule / start_w if start_w > _TINY else math.inf
    root = start_w * start_w + 2 * slope * joule
    if root < 0:
        return math.inf
    # The form that does not cancel for small slopes.
    return 2 * joule / (start_w + math.sqrt(root))


# --- loads ---------------------------------------------------------------------------------------------------


class Load(Protocol):
    """What a site's consumers take."""

    def import_w(self, now: float) -> float:
        """W at `now` (UTC, Unix s)."""
        ...


@dataclass(slots=True)
class ConstantLoad:
    """The same all the time, until set."""

    w: float

    def import_w(self, now: float) -> float:
        return self.w


@dataclass(slots=True)
class MeasuredLoad:
    """A load that somebody else measures: a base plus what a function tells."""

    measure_w: Callable[[float], float]
    base_w: float = 0.0

    def import_w(self, now: float) -> float:
        return self.base_w + self.measure_w(now)


class NoisyLoad:
    """A load with a memory: an Ornstein-Uhlenbeck process around the load it wraps.

    Drawn on a fixed grid of one second and held in between, so that the course depends on the seed alone, not on
    who looks when.

    Args:
        inner: the mean.
        sigma_w: standard deviation of the noise.
        tau_s: how long it remembers.
        rng: seeded.
        start_at: UTC (Unix s) of the first draw.
    """

    def __init__(self, inner: Load, *, sigma_w: float, tau_s: float, rng: Rng, start_at: float) -> None:
        self.inner = inner
        self._keep = math.exp(-1.0 / tau_s)
        self._kick_w = sigma_w * math.sqrt(1 - self._keep**2)
        self._rng = rng
        self._noise_w = sigma_w * _gauss(rng)
        self._tick = math.floor(start_at)

    def import_w(self, now: float) -> float:
        while self._tick + 1 <= now:
            self._tick += 1
            self._noise_w = self._keep * self._noise_w + self._kick_w * _gauss(self._rng)
        return self.inner.import_w(now) + self._noise_w


def _gauss(rng: Rng) -> float:
    """A standard normal draw (Box-Muller)."""
    radius = math.sqrt(-2 * math.log(1 - rng.uniform(0.0, 1.0 - 1e-12)))
    return radius * math.cos(2 * math.pi * rng.uniform(0.0, 1.0))


# --- the site ------------------------------------------------------------------------------------------------


class Source(Protocol):
    """Something that may feed the site."""

    def discharge_w(self, now: float) -> float: ...


class Generator(Protocol):
    """Something that feeds the site and takes no orders."""

    def power_w(self, now: float) -> float: ...


@dataclass(slots=True, kw_only=True)
class SitePlant:
    """One data centre behind one grid connection point."""

    load: Load
    batteries: Sequence[Source] = ()
    pv_w: float = 0.0
    """Constant generation."""
    pv: Sequence[Generator] = ()
    extra: list[Load] = field(default_factory=list)
    """Further loads, for instance worker processes."""

    def load_w(self, now: float) -> float:
        """What the consumers take."""
        return self.load.import_w(now) + sum(load.import_w(now) for load in self.extra)

    def generated_w(self, now: float) -> float:
        """What its PV plants feed in."""
        return self.pv_w + sum(plant.power_w(now) for plant in self.pv)

    def import_w(self, now: float) -> float:
        """What the site takes from the grid; < 0 = it exports."""
        given = sum(battery.discharge_w(now) for battery in self.batteries)
        return self.load_w(now) - self.generated_w(now) - given
