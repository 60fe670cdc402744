"""A problem for the optimiser and its answer, as values that travel to the solver worker and into the journal."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vpp_gateway.domain.fleet import FeederId, TierName
from vpp_gateway.domain.instruction import DeviceId, InstructionId, SiteId
from vpp_gateway.domain.order import OfferId


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why, as a code and its values; `optimise.explain` says it in English or Japanese."""

    code: str
    values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A continuous resource with both directions in one row."""

    id: DeviceId
    site: SiteId
    tier: TierName
    down_room_w: float
    """Most regulation_w it can give in down direction (>= 0)."""
    up_room_w: float
    """Most it can give in up direction (>= 0)."""
    easy_down_w: float
    """Part of `down_room_w` that may be planned for the whole phase; the rest bridges and corrects (>= 0)."""
    easy_up_w: float
    weight_down: float
    """Share of a tie in down direction (energy headroom), > 0."""
    weight_up: float
    feeder: FeederId | None = None
    """The line inside the site that it is behind; None = it stands at the grid connection."""
    wear_cost: float = 0.0
    """What a kWh through it wears, in any one unit: of those that are otherwise equal the least is used first."""
    lasting_down_w: float = math.inf
    """What its energy carries to the end of what it gives for. Wear decides about so much of it and no more: a battery
    that is spent early is missing later."""
    lasting_up_w: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveLeg:
    """regulation_w that an offer gives at one site at full step."""

    site: SiteId
    regulation_w: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lever:
    """An offer as the optimiser sees it."""

    offer: OfferId
    tier: TierName
    legs: tuple[MoveLeg, ...]
    steps: tuple[float, ...]
    cost: float
    name: str = ""
    """What people call it, for instance `move tokyo-1 > kanagawa-1`."""
    at_least: float = 0.0
    """Share already committed and not yet releasable (0..1)."""
    stands: bool = False
    """It is an order in course: it can be held or taken back, not raised."""
    sla_tier: int = 0
    """How much was promised to whom this disturbs: 0 is called first, before any cost is compared."""
    downtime_s: float = 0.0
    """Expected service downtime; decides where costs are equal."""
    lasts_s: float = math.inf
    """How long it can be held from the moment planned for, by the word of its plug-in."""
    short_s: float = 0.0
    """How much too early it would have to be given back; > 0 is called after every other offer."""
    unproven: bool = False
    """It failed or was late, has not worked since, and an order that works stands: called after every other lever, so
    that nothing that works is given back for it."""
    own_sun: float = 0.0
    """Share of it that is taken from the sites' own renewables (-1..1; < 0 leaves some of them unused): decides where
    downtimes are equal too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How much of a coupling an offer takes."""

    offer: OfferId
    w: float
    """At full step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coupling:
    """A limit that offers share and no site has alone, for instance a link between two sites."""

    name: str
    """What people call it, for instance `tokyo-1 > kanagawa-1`."""
    uses: tuple[Use, ...]
    limit_w: float
    between: tuple[SiteId, SiteId] | None = None
    """Source and destination, where it is the link between two sites."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteBounds:
    """How much regulation the grid connection of one site can still carry."""

    site: SiteId
    down_max_w: float
    """Before the export limit binds (>= 0)."""
    up_max_w: float
    """Before the import limit binds (>= 0)."""
    must_w: float = 0.0
    """Regulation that a limit in force demands here, because the load alone passes it; < 0 = to be taken up."""
    spare_sun_w: float | None = None
    """The site's own PV beyond its own use, before batteries and levers; < 0 = its use beyond its PV; None = it has
    none, or nothing is known of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeederBounds:
    """How much regulation one line inside a site can still carry from the batteries behind it."""

    id: FeederId
    site: SiteId
    down_max_w: float
    """Before its export limit binds (>= 0)."""
    up_max_w: float
    """Before its import limit binds (>= 0)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What one instruction asks of its scope now."""

    instruction: InstructionId
    sites: tuple[SiteId, ...]
    regulation_w: float
    """Signed; what devices and levers together should give beyond what the meters already show of other causes."""
    devices: tuple[DeviceId, ...] = ()
    """Devices at other sites that give for it; no lever there does."""
    without: tuple[DeviceId, ...] = ()
    """Devices that give for another target, though their site is among `sites`."""

    def has(self, device: DeviceId, site: SiteId) -> bool:
        """Whether what this device gives counts here."""
        return device in self.devices or (site in self.sites and device not in self.without)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One allocation: who gives what now."""

    id: str
    at: float
    tiers: tuple[TierName, ...]
    targets: tuple[Target, ...]
    """The most urgent first; each site and each device is in one of them at most."""
    resources: tuple[Resource, ...]
    levers: tuple[Lever, ...]
    bounds: tuple[SiteBounds, ...]
    """A site without bounds has no room."""
    couplings: tuple[Coupling, ...] = ()
    feeders: tuple[FeederBounds, ...] = ()
    """A feeder without bounds has no room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one device gives, and why in words."""

    id: DeviceId
    site: SiteId
    tier: TierName
    regulation_w: float
    reason: Reason | None
    """None = nobody asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """How much of an offer is called, and why."""

    offer: OfferId
    tier: TierName
    step: int
    """Index into the lever's steps; -1 = not called."""
    share: float
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The answer to a Problem."""

    problem: str
    method: str
    """closed_form | highs"""
    shares: tuple[Share, ...]
    calls: tuple[Call, ...]
    shortfall_w: tuple[tuple[InstructionId, float], ...]
    """Per target: what could not be had, signed like the target (0 when met)."""
    binding: tuple[Reason, ...]
    """What bound; empty when every target is met."""
    solve_s: float = 0.0
