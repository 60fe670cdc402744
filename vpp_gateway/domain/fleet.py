"""What we have: the static side of the portfolio, from settings and device nameplates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NewType

from vpp_gateway.domain.instruction import DeviceId, SiteId

FeederId = NewType("FeederId", str)
TierName = NewType("TierName", str)
BATTERY = TierName("battery")
WORKLOAD = TierName("workload")
DEFAULT_TIERS: tuple[TierName, ...] = (BATTERY, WORKLOAD)
"""Order of call. An ordered, open enumeration: code never branches on exactly two tiers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Battery:
    """Nameplate and operating window of one battery."""

    id: DeviceId
    site: SiteId
    discharge_max_w: float
    charge_max_w: float
    energy_wh: float
    """Usable energy between SoC 0 and 1."""
    soc_min: float = 0.1
    """Never discharged below this share (0..1)."""
    soc_max: float = 0.95
    """Never charged above this share (0..1)."""
    efficiency: float = 0.95
    """One-way, 0..1: discharging W costs W/efficiency of stored energy per hour."""
    response_s: float = 2.0
    """From an order to the first change at the meter."""
    ramp_w_per_s: float | None = None
    """How fast its power changes then; None = at once."""
    wear_cost: float = 0.0
    """What a kWh through it wears, in or out, against a kWh through another battery (>= 0); any one unit for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feeder:
    """One line inside a site with limits of its own, and no meter."""

    id: FeederId
    devices: tuple[DeviceId, ...]
    import_max_w: float
    export_max_w: float
    load_min_w: float = 0.0
    """What other things behind it take at least."""
    load_max_w: float = 0.0
    """What other things behind it take at most."""


DAY_S = 86400.0
THURSDAY = 3
"""1970-01-01; Monday is 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """A time at which batteries are left alone: once (`since_at`, `until_at`), or every week (`days`)."""

    devices: tuple[DeviceId, ...] = ()
    """Empty = all of the site."""
    since_at: float | None = None
    """UTC (Unix s); None = every week."""
    until_at: float | None = None
    days: tuple[int, ...] = ()
    """Days of the week on which it begins, Monday = 0."""
    start_s: float = 0.0
    """Local time of the beginning, seconds after midnight."""
    end_s: float = DAY_S
    """Local time of the end; not after `start_s` = on the next day."""
    offset_s: float = 0.0
    """Local time less UTC."""
    why: str = ""

    def holds(self, device: DeviceId, since: float, until: float) -> bool:
        """Whether it touches `device` in some part of [since, until), or at the moment `since`."""
        if self.devices and device not in self.devices:
            return False
        if self.since_at is not None:
            return self.since_at < max(until, math.nextafter(since, math.inf)) and (
                self.until_at is None or since < self.until_at
            )
        return self._weekly(since, max(until, math.nextafter(since, math.inf)))

    def _weekly(self, since: float, until: float) -> bool:
        length_s = self.end_s - self.start_s + (0.0 if self.end_s > self.start_s else DAY_S)
        first = math.floor((since + self.offset_s) / DAY_S) - 1
        last = min(math.floor((until + self.offset_s) / DAY_S), first + 8)
        for day in range(first, last + 1):
            start_at = day * DAY_S + self.start_s - self.offset_s
            if (day + THURSDAY) % 7 in self.days and start_at < until and since < start_at + length_s:
                return True
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One data centre = one grid connection point (PCC, 受電点)."""

    id: SiteId
    name: str
    name_ja: str
    area: str
    meter: DeviceId
    batteries: tuple[Battery, ...]
    import_max_w: float
    """Contracted import at the PCC."""
    export_max_w: float
    """Allowed export at the PCC; 0 = no reverse flow."""
    feeders: tuple[Feeder, ...] = ()
    """Each battery is behind one of them at most."""
    blocked: tuple[Blocked, ...] = ()
    check_meter: DeviceId | None = None
    """A second meter at the same connection, read on another way than `meter`, best by the agent of another site."""
    pv_meter: DeviceId | None = None
    """The meter of its PV plant; None = no PV, or nobody meters it."""

    def feeder_of(self, device: DeviceId) -> Feeder | None:
        """The feeder that `device` is behind, if any."""
        return next((feeder for feeder in self.feeders if device in feeder.devices), None)

    def is_blocked(self, device: DeviceId, since: float, until: float) -> bool:
        """Whether `device` is left alone in some part of [since, until)."""
        return any(row.holds(device, since, until) for row in self.blocked)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteLink:
    """How much work may be moved from one site to another at a time."""

    source: SiteId
    destination: SiteId
    max_w: float
    """Of moved work, as the source's meter shows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """The portfolio."""

    sites: tuple[Site, ...]
    links: tuple[SiteLink, ...] = ()
    """Two sites that no link joins move what their grid connections carry."""
    tiers: tuple[TierName, ...] = DEFAULT_TIERS

    def site(self, id: SiteId) -> Site:
        """The site named `id`; KeyError if there is none."""
        for site in self.sites:
            if site.id == id:
                return site
        raise KeyError(id)

    @property
    def batteries(self) -> tuple[Battery, ...]:
        return tuple(battery for site in self.sites for battery in site.batteries)
