"""What is known of each site now: the last reading, the load without our batteries, the baseline window.

    load = import at the PCC + what our usable batteries discharge

The load is what we would see had we commanded no battery; workload shifts are inside it. A battery that cannot be
read, does not obey, or is blocked by the operator, stays inside it too, as if it were load: so its loss is corrected without guessing. While a whole site is lost,
its batteries are credited until their reversion timers have run out: an agent that died leaves them holding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field

from vpp_gateway.domain.fleet import Battery, Fleet, Site
from vpp_gateway.domain.instruction import DeviceId, SiteId
from vpp_gateway.domain.reading import BatteryReading, Health, SiteReading, Snapshot
from vpp_gateway.metering.baseline import LoadWindow
from vpp_gateway.metering.unseen import Unseen
from vpp_gateway.metering.watch import MeterWatch

PROBATION_S = 60.0
"""A battery that did not obey is left out so long after it looks well again: released, every battery looks well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probation:
    """Why a battery that looks well is not used, and until when (UTC, Unix s)."""

    until: float
    reason: str


@dataclass(slots=True)
class SiteState:
    """One site as the centre knows it."""

    site: Site
    window: LoadWindow
    watch: MeterWatch
    unseen: Unseen = field(default_factory=Unseen)
    shifted_w: float = 0.0
    """Regulation that workload shifts of ours give here by their own word, W."""
    reading: SiteReading | None = None
    linked: bool = False
    lost_at: float | None = None
    lost_reason: str = ""
    load_w: float | None = None
    """Load without our batteries, W: as seen last, or what it probably is since then."""
    coming_w: float = 0.0
    """Regulation of fast workload shifts that the meter does not show yet, W."""
    _before: tuple[float, float] | None = None
    """(moment, load) from which the coming shifts are counted."""
    disturbed: bool = False
    """A workload shift of ours is open at this site."""
    usable: dict[DeviceId, BatteryReading] = field(default_factory=dict)
    """Batteries that can be read and take orders, and are not blocked now."""
    readable: dict[DeviceId, BatteryReading] = field(default_factory=dict)
    """The same with those that are blocked now: they can be promised for later."""
    probation: dict[DeviceId, Probation] = field(default_factory=dict)
    battery_w: float = 0.0
    """discharge_w of all usable batteries together, at the last reading."""

    @property
    def fresh(self) -> bool:
        """The meter and the link can be relied on now."""
        return self.linked and self.reading is not None and self.reading.meter is not None

    @property
    def import_w(self) -> float | None:
        """Import at the PCC, or None while the meter is not to be trusted."""
        return self.reading.meter.import_w if self.fresh and self.reading and self.reading.meter else None

    def expect(self, expected: tuple[float, float] | None) -> None:
        """Fast shifts were ordered here: (regulation together, W; when). What the load has already done counts off."""
        if expected is None or self.load_w is None:
            self.coming_w, self._before = 0.0, None
            return
        total, since = expected
        if self._before is None or self._before[0] != since:
            self._before = (since, self.load_w)
        seen = self._before[1] - self.load_w
        left = total - seen
        self.coming_w = max(0.0, min(total, left)) if total >= 0 else min(0.0, max(total, left))

    def credited(self, now: float, reversion_s: float) -> bool:
        """The site is lost, but its batteries are taken to hold what they held."""
        return not self.linked and self.lost_at is not None and now < self.lost_at + reversion_s

    def held_w(self, now: float, reversion_s: float) -> float:
        """discharge_w of its batteries, read or credited."""
        return self.battery_w if self.linked else self.credit_w(now, reversion_s)

    def credit_w(self, now: float, reversion_s: float) -> float:
        """discharge_w that the batteries of a lost site are taken to hold still."""
        return self.battery_w if self.credited(now, reversion_s) else 0.0


class Sites:
    """All sites of the fleet, folded from snapshots and link facts."""

    def __init__(self, fleet: Fleet, window_s: float) -> None:
        self.fleet = fleet
        self._states = {
            site.id: SiteState(
                site=site, window=LoadWindow(window_s), watch=MeterWatch(power_w=_power_w(site))
            )
            for site in fleet.sites
        }
        self.batteries: dict[DeviceId, Battery] = {battery.id: battery for battery in fleet.batteries}

    def __getitem__(self, id: SiteId) -> SiteState:
        return self._states[id]

    def __iter__(self) -> Iterator[SiteState]:
        return iter(self._states.values())

    @property
    def ids(self) -> tuple[SiteId, ...]:
        return tuple(self._states)

    def fold(self, snapshot: Snapshot) -> None:
        """Take one second of readings in."""
        seen = {reading.site: reading for reading in snapshot.sites}
        for state in self._states.values():
            reading = seen.get(state.site.id)
            if reading is None:
                self._lose(state, snapshot.at, "no readings from the site")
            if reading is None or not self._take(state, reading):
                probable_w = state.unseen.load_w(snapshot.at, state.shifted_w)
                state.load_w = state.load_w if probable_w is None else probable_w

    def link(self, site: SiteId, up: bool, at: float, reason: str) -> None:
        """A site agent came (its readings follow) or went."""
        state = self._states.get(site)
        if state is not None and not up:
            self._lose(state, at, reason)

    def begin(self, at: float) -> None:
        """A new centre took over: nothing is heard yet, and each meter is watched anew, live and on replay alike."""
        for state in self._states.values():
            self._lose(state, at, "waiting for the site agent")
            state.watch, state.unseen = MeterWatch(power_w=state.watch.power_w), Unseen()

    def disturb(self, sites: Set[SiteId], shifted_w: Mapping[SiteId, float]) -> None:
        """Where workload shifts of ours change the load now, and by how much by their own word (regulation, W)."""
        for id, state in self._states.items():
            state.disturbed, state.shifted_w = id in sites, shifted_w.get(id, 0.0)

    def _lose(self, state: SiteState, at: float, reason: str) -> None:
        if state.linked or state.lost_at is None:
            state.lost_at, state.lost_reason = at, reason
        state.linked = False
        state.usable, state.readable = {}, {}

    def _take(self, state: SiteState, reading: SiteReading) -> bool:
        """Take one reading in; whether its load is seen and believed."""
        state.reading, state.linked, state.lost_at, state.lost_reason = reading, True, None, ""
        doubtful = {row.device for row in reading.health if row.health is not Health.GOOD}
        doubtful |= _on_probation(state, reading)
        state.readable = {b.device: b for b in reading.batteries if b.device not in doubtful}
        state.usable = {
            id: b for id, b in state.readable.items() if not state.site.is_blocked(id, reading.at, reading.at)
        }
        state.battery_w = math.fsum(b.discharge_w for b in state.usable.values())
        if reading.meter is None or not math.isfinite(reading.meter.import_w):
            return False
        doubted = state.watch.doubt
        if not state.watch.believes(reading.at, reading.meter.import_w, state.battery_w):
            if state.watch.doubt == "reversed" != doubted:
                state.unseen.distrust()
            return False
        state.load_w = reading.meter.import_w + state.battery_w
        state.unseen.saw(reading.at, state.load_w, state.shifted_w)
        if not state.disturbed:
            state.window.add(reading.at, state.load_w)
        return True


def _power_w(site: Site) -> float:
    return math.fsum(max(battery.charge_max_w, battery.discharge_max_w) for battery in site.batteries)


def _on_probation(state: SiteState, reading: SiteReading) -> set[DeviceId]:
    """Batteries that look well now but did not obey a short time ago."""
    batteries = {battery.id for battery in state.site.batteries}
    for row in reading.health:
        if row.health is Health.REFUSING and row.device in batteries:
            state.probation[row.device] = Probation(until=reading.at + PROBATION_S, reason=row.reason)
    state.probation = {id: p for id, p in state.probation.items() if reading.at < p.until}
    return set(state.probation)
