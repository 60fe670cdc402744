"""What we have: the static side of the portfolio, from settings and device nameplates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

from vpp_gateway.domain.instruction import DeviceId, SiteId

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """The portfolio."""

    sites: tuple[Site, ...]
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
