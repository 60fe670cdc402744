"""One data centre without wires: load, PV, batteries and meter as formulas, and the drivers by which an agent reads them.

    import(PCC) = load + noise + shifts + rebound - PV - sum of discharge_w          PV is curtailed at the export limit

The site agent is the real one; only the Modbus below it is left out. A setpoint reaches its battery `WRITE_S` after its
order, is read back at `CONFIRM_S`, and lapses `reversion_s` after the last refresh, as at the real device. Devices can
be told to fail; what the physics does is never hidden from the caller, whatever the drivers say of it.
"""

from __future__ import annotations

import asyncio
import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vpp_gateway.clock import Clock, Rng
from vpp_gateway.domain.fact import Lost, Obeyed, Outcome, Refused
from vpp_gateway.domain.fleet import Battery, Site
from vpp_gateway.domain.instruction import DeviceId
from vpp_gateway.domain.reading import BatteryReading, DeviceHealth, Health, MeterReading
from vpp_gateway.sim.plant import BatteryPlant, BatteryPlate, ConstantLoad, NoisyLoad
from vpp_gateway.southbound.modbus.wire import DeviceOrder

WRITE_S, CONFIRM_S = 0.035, 0.070
"""From the agent's order to the acknowledged write, and to the read-back."""
NO_ANSWER_S = 0.8
"""After so long without an answer the outcome of a write is unknown."""
REFRESH_S = 5.0

Curve = Sequence[tuple[float, float]]
"""(UTC or seconds, W), ascending; straight lines in between, level outside."""


def on_curve(curve: Curve, at: float) -> float:
    """The value of a curve at one moment; 0 for an empty one."""
    if not curve:
        return 0.0
    right = bisect_right(curve, (at, math.inf))
    if right == 0:
        return curve[0][1]
    if right == len(curve):
        return curve[-1][1]
    (x0, y0), (x1, y1) = curve[right - 1], curve[right]
    return y0 + (y1 - y0) * (at - x0) / (x1 - x0)


@dataclass(slots=True)
class Ramp:
    """Power that changes on a straight line, W of import."""

    was_w: float = 0.0
    will_w: float = 0.0
    since: float = 0.0
    until: float = 0.0

    def at(self, now: float) -> float:
        """W at `now` (UTC, Unix s)."""
        if now >= self.until:
            return self.will_w
        if now <= self.since:
            return self.was_w
        return self.was_w + (self.will_w - self.was_w) * (now - self.since) / (self.until - self.since)

    def go(self, will_w: float, since: float, until: float) -> None:
        """From `since` to `until` change to `will_w`."""
        self.was_w, self.will_w, self.since, self.until = self.at(since), will_w, since, until


@dataclass(kw_only=True)
class SitePhysics:
    """What is true at one site, whoever looks."""

    site: Site
    base: Curve
    """Load without noise: (UTC, W)."""
    noise: NoisyLoad
    pv: Curve = ()
    """What the sun would give: (UTC, W)."""
    limiter: NoisyLoad | None = None
    """How far the inverters' export limiter is off; None = exact."""
    plants: dict[str, BatteryPlant] = field(default_factory=dict)
    shifts: list[Ramp] = field(default_factory=list)
    """Load moved by workload shifts; their rebound is among `rebounds`."""
    rebounds: list[Ramp] = field(default_factory=list)

    def battery_w(self, now: float) -> float:
        """discharge_w of all batteries together."""
        return math.fsum(plant.look(now) for plant in self.plants.values())

    def shift_w(self, now: float) -> float:
        """Import that shifts add (< 0: take away), W."""
        return math.fsum(ramp.at(now) for ramp in self.shifts)

    def rebound_w(self, now: float) -> float:
        """Import that the rebound of earlier shifts adds, W."""
        return math.fsum(ramp.at(now) for ramp in self.rebounds)

    def undisturbed_w(self, now: float) -> float:
        """Load with its noise, without shifts, PV and batteries."""
        return on_curve(self.base, now) + self.noise.import_w(now)

    def sun_w(self, now: float) -> float:
        """What PV could give, W."""
        return on_curve(self.pv, now)

    def pv_w(self, now: float) -> float:
        """What PV gives: no more than the site and its export limit take, less what the limiter keeps clear of it."""
        if not self.pv:
            return 0.0
        taken = self.undisturbed_w(now) + self.shift_w(now) + self.rebound_w(now) - self.battery_w(now)
        clear_w = 0.0 if self.limiter is None else abs(self.limiter.import_w(now))
        return min(self.sun_w(now), max(0.0, taken + self.site.export_max_w - clear_w))

    def import_w(self, now: float) -> float:
        """True import at the grid connection point."""
        load = self.undisturbed_w(now) + self.shift_w(now) + self.rebound_w(now)
        return load - self.pv_w(now) - self.battery_w(now)


def noise_of(sigma_w: float, tau_s: float, rng: Rng, start_at: float) -> NoisyLoad:
    """Ornstein-Uhlenbeck noise around nothing."""
    return NoisyLoad(ConstantLoad(0.0), sigma_w=sigma_w, tau_s=tau_s, rng=rng, start_at=start_at)


def plant_of(battery: Battery, soc: float, at: float, ramp_share_per_s: float) -> BatteryPlant:
    """A battery as built, a little wider than its operating window."""
    return BatteryPlant(
        BatteryPlate(
            discharge_max_w=battery.discharge_max_w,
            charge_max_w=battery.charge_max_w,
            energy_wh=battery.energy_wh,
            ramp_w_per_s=ramp_share_per_s * max(battery.discharge_max_w, battery.charge_max_w),
            efficiency=battery.efficiency,
            soc_min=0.0,
            soc_max=1.0,
        ),
        soc=soc,
        at=at,
    )


class ModelBattery:
    """A battery as the agent drives it.

    Args:
        reversion_s: After so long without refresh it falls back to 0 W by itself.
        on_outcome: Takes what became of each order.
    """

    def __init__(
        self,
        battery: Battery,
        plant: BatteryPlant,
        *,
        clock: Clock,
        reversion_s: float,
        on_outcome: Callable[[Outcome], None],
    ) -> None:
        self.plant = plant
        self.fault = ""
        """"" | dead (0 W, silent) | silent (holds its power until it lapses) | refusing (answers, keeps its power)."""
        self._battery, self._clock = battery, clock
        self._reversion_s, self._on_outcome = reversion_s, on_outcome
        self._order: DeviceOrder | None = None
        self._setpoint_w: float | None = None
        self._armed = False
        self._refreshed_at = float("-inf")
        self._lapse: asyncio.TimerHandle | None = None
        self._reading: BatteryReading | None = None
        self._health = DeviceHealth(device=battery.id, health=Health.LOST, reason="not read yet")

    @property
    def reading(self) -> BatteryReading | None:
        return self._reading

    @property
    def health(self) -> DeviceHealth:
        return self._health

    def fail(self, how: str) -> None:
        """Break it so, or mend it ("")."""
        self.fault = how
        self.plant.stop(how == "dead", self._clock.utc())
        if not how and self._order is not None:
            self._write(self._order)

    def order(self, order: DeviceOrder | None) -> None:
        """What the agent wants now; the same again changes nothing."""
        old = self._order
        if order is None:
            self._order = None
            if old is not None or self._armed:
                self._armed = False
                self._later(WRITE_S, self._release)
        elif old is None or (old.discharge_w, old.instruction) != (order.discharge_w, order.instruction):
            self._order = order
            self._later(WRITE_S, lambda: self._write(order))

    def arm(self) -> None:
        """Be ready."""
        self._armed = True

    async def cycle(self, deadline_s: float) -> None:
        """Read once, and refresh the lease when it is due."""
        now = self._clock.utc()
        if self.fault in ("dead", "silent"):
            self._health = DeviceHealth(device=self._battery.id, health=Health.LOST, reason="no answer")
            return
        if self._setpoint_w is not None and now >= self._refreshed_at + REFRESH_S:
            self._refresh(now)
        discharge_w = self.plant.look(now)
        self._reading = BatteryReading(
            device=self._battery.id,
            at=now,
            discharge_w=discharge_w,
            soc=min(1.0, max(0.0, self.plant.soc)),
            discharge_room_w=self._battery.discharge_max_w,
            charge_room_w=self._battery.charge_max_w,
            armed=self._armed or self._setpoint_w is not None,
            setpoint_w=self._setpoint_w,
        )
        refusing = self.fault == "refusing"
        self._health = DeviceHealth(
            device=self._battery.id,
            health=Health.REFUSING if refusing else Health.GOOD,
            reason="setpoint not taken over" if refusing else "",
            seen_at=now,
        )

    async def run(self) -> None:
        """Nothing goes on beside the orders."""
        await asyncio.Event().wait()

    # -- at the device --------------------------------------------------------------------------------------

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(seconds, act)

    def _write(self, order: DeviceOrder) -> None:
        if order is not self._order:
            return  # replaced while it was on its way
        now = self._clock.utc()
        if self.fault in ("dead", "silent"):
            self._later(NO_ANSWER_S, lambda: self._on_outcome(self._trouble(Lost, order, "no answer")))
            return
        if self.fault == "refusing":
            self._on_outcome(self._trouble(Refused, order, "setpoint not taken over"))
            return
        self.plant.want(order.discharge_w, now)
        self._setpoint_w = order.discharge_w
        self._refresh(now)
        self._later(CONFIRM_S - WRITE_S, lambda: self._confirm(order, now))

    def _confirm(self, order: DeviceOrder, written_at: float) -> None:
        now = self._clock.utc()
        self._on_outcome(
            Obeyed(
                at=now,
                site=self._battery.site,
                device=self._battery.id,
                epoch=order.epoch,
                seq=order.seq,
                instruction=order.instruction,
                discharge_w=order.discharge_w,
                acknowledged_at=written_at,
                confirmed_at=now,
            )
        )

    def _trouble(self, kind: type[Lost] | type[Refused], order: DeviceOrder, reason: str) -> Lost | Refused:
        return kind(
            at=self._clock.utc(),
            site=self._battery.site,
            device=self._battery.id,
            epoch=order.epoch,
            seq=order.seq,
            instruction=order.instruction,
            reason=reason,
        )

    def _release(self) -> None:
        if self._order is None and self.fault not in ("dead", "silent"):
            self._setpoint_w = None
            if self.fault != "refusing":
                self.plant.want(0.0, self._clock.utc())

    def _refresh(self, now: float) -> None:
        """Start the device's own timer anew."""
        self._refreshed_at = now
        if self._lapse is not None:
            self._lapse.cancel()
        self._lapse = asyncio.get_running_loop().call_later(self._reversion_s, self._lapsed)

    def _lapsed(self) -> None:
        if self._setpoint_w is not None:
            self._setpoint_w = None
            self.plant.want(0.0, self._clock.utc())


class ModelMeter:
    """A meter as an agent reads it: at the grid connection point, or of what `shows` says (W by time)."""

    def __init__(
        self,
        physics: SitePhysics,
        clock: Clock,
        device: DeviceId | None = None,
        shows: Callable[[float], float] | None = None,
    ) -> None:
        self.fault = ""
        """"" | dead (no answer) | stuck (the last value again) | reversed (counts the other way)."""
        self._clock, self._shows = clock, physics.import_w if shows is None else shows
        self._id = physics.site.meter if device is None else device
        self._reading: MeterReading | None = None
        self._health = DeviceHealth(device=self._id, health=Health.LOST, reason="not read yet")

    @property
    def reading(self) -> MeterReading | None:
        return self._reading

    @property
    def health(self) -> DeviceHealth:
        return self._health

    async def cycle(self, deadline_s: float) -> None:
        """Read once."""
        now, id = self._clock.utc(), self._id
        if self.fault == "dead":
            self._health = DeviceHealth(device=id, health=Health.LOST, reason="no answer")
            return
        import_w = self._shows(now)
        if self.fault == "stuck" and self._reading is not None:
            import_w = self._reading.import_w
        elif self.fault == "reversed":
            import_w = -import_w
        self._reading = MeterReading(device=id, at=now, import_w=import_w, modelled=True)
        self._health = DeviceHealth(device=id, health=Health.GOOD, seen_at=now)

    async def run(self) -> None:
        """Nothing goes on by itself."""
        await asyncio.Event().wait()
