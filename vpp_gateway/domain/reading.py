"""What the field says: readings with their age, and the frozen picture that one engine cycle may look at."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from vpp_gateway.domain.instruction import DeviceId, SiteId


class Health(StrEnum):
    """State of a device, judged by the age and plausibility of what it says."""

    GOOD = "good"
    STALE = "stale"
    """Last reading older than two cycles."""
    IMPLAUSIBLE = "implausible"
    """Answers, but with what cannot be true; the reading is not used."""
    REFUSING = "refusing"
    """Answers, but does not take orders (local control, exception, value not taken over)."""
    LOST = "lost"
    """No connection, or the site's agent is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterReading:
    """Power at the grid connection point."""

    device: DeviceId
    at: float
    """UTC (Unix s) of the sample at the site."""
    import_w: float
    """> 0: the site takes from the grid."""
    modelled: bool = False
    """True when no meter hardware stands behind the number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryReading:
    """One battery as it answers now."""

    device: DeviceId
    at: float
    discharge_w: float
    """AC side; > 0 leaves the battery."""
    soc: float
    """State of charge, 0..1."""
    discharge_room_w: float
    """Most it could discharge now by its own word (>= 0)."""
    charge_room_w: float
    """Most it could charge now by its own word (>= 0)."""
    soc_min: float = 0.0
    """State of charge below which the device itself does not go, 0..1."""
    soc_max: float = 1.0
    """State of charge above which the device itself does not go, 0..1."""
    armed: bool = False
    """The site agent holds the setpoint enabled, with its reversion timer running."""
    setpoint_w: float | None = None
    """discharge_w last confirmed by read-back; None = local control."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceHealth:
    """Why a device can or cannot be counted on."""

    device: DeviceId
    health: Health
    reason: str = ""
    """In words, for the operator; empty when good."""
    seen_at: float | None = None
    """UTC (Unix s) of the last good reading."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteReading:
    """All that one site agent saw in one cycle."""

    site: SiteId
    at: float
    meter: MeterReading | None
    """None while the meter cannot be trusted or reached."""
    batteries: tuple[BatteryReading, ...]
    """Only batteries whose reading of this cycle is good."""
    health: tuple[DeviceHealth, ...] = ()
    """One row per device of the site."""
    applied_seq: int = 0
    """Sequence of the schedule that the agent holds (0 = none)."""
    checks: tuple[MeterReading, ...] = ()
    """Check meters that this agent reads, of whichever site; only good readings of this cycle."""
    pv: MeterReading | None = None
    """The PV meter: import_w < 0 is what the plant feeds in; None = there is none, or it cannot be trusted now."""

    @property
    def pv_w(self) -> float | None:
        """What PV gives by its meter, W (>= 0: what the plant itself takes at night is load); None = not known."""
        if self.pv is None or not math.isfinite(self.pv.import_w):
            return None
        return max(0.0, -self.pv.import_w)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The process image: everything one cycle may look at."""

    at: float
    sites: tuple[SiteReading, ...]
    """Sites whose agent is linked and fresh; a missing site is lost."""
