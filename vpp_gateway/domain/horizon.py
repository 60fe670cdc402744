"""A rolling plan over the coming hour and its answer, as values that travel to the planner and into the journal.

    now   2 s  4 s        20 s                1 min                     5 min                          15 min
    |-----|----|----------|-------------------|-------------------------|------------------------------|

Steps have lengths of their own: seconds near now, minutes later. Everything that changes with time is a tuple with one
value a step, a mean over the step. Powers are those at the grid connection, W; energies are Wh.
"""

from __future__ import annotations

from dataclasses import dataclass

from vpp_gateway.domain.fleet import TierName
from vpp_gateway.domain.instruction import DeviceId, InstructionId, SiteId
from vpp_gateway.domain.order import OfferId
from vpp_gateway.domain.plan import MoveLeg, Reason

Series = tuple[float, ...]
"""One value a step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What the plan weighs, per kWh unless said; each kind is far dearer than the one before it."""

    stored: float = 0.01
    """A kWh below the wanted charge for an hour: makes ready early, and hands over early where it costs nothing."""
    surplus: float = 3.0
    """A kWh of local generation that is exported or curtailed instead of used."""
    ending: float = 10.0
    """A kWh that a battery lacks of its wanted charge at the end."""
    owed: float = 5.0
    """A kWh that shifted work still owes at the end."""
    tier_factor: float = 100.0
    """A kWh of the first tier costs 1, of the next so many times as much, and so on; what is kept back for reserves,
    the targets and the limits of the sites follow the last tier by the same factor each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What one instruction asks of its sites together."""

    instruction: InstructionId
    sites: tuple[SiteId, ...]
    """In each step a site is asked by one instruction at most. An instruction whose sites change has a row for each set."""
    regulation_w: tuple[float | None, ...]
    """Per step; None where it asks for nothing."""
    bridge_s: float = 0.0
    """While it lasts, the batteries of its sites keep enough energy to carry all of it alone for so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A battery as it stands now."""

    id: DeviceId
    site: SiteId
    tier: TierName
    discharge_max_w: float
    charge_max_w: float
    stored_wh: float
    """Energy in it now."""
    stored_min_wh: float
    stored_max_wh: float
    """Its window. A battery that stands outside may only go back in."""
    stored_wanted_wh: float
    """Where it should stand after the plan."""
    discharge_efficiency: float
    """0..1: AC energy out / energy taken from the store."""
    charge_efficiency: float
    """0..1: energy put into the store / AC energy in."""
    discharge_w: float = 0.0
    """What it gives now; the ramp begins here."""
    ramp_w_per_s: float | None = None
    """None = faster than the shortest step."""
    cost: float = 1.0
    """Relative price inside its tier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """An offer of workload as the plan sees it."""

    offer: OfferId
    tier: TierName
    legs: tuple[MoveLeg, ...]
    """regulation_w at full call."""
    cost: float = 1.0
    """Relative price inside its tier."""
    latency_s: float = 0.0
    """From the order until the meter shows it."""
    sustain_s: float | None = None
    """Longest hold of any part; None = without end."""
    dwell_s: float = 0.0
    """Shortest hold of any part."""
    energy_wh: float | None = None
    """Most energy that may be shifted in this plan, summed over the larger leg; None = no budget."""
    ramp_s: float = 0.0
    """From 0 to full."""
    share: float = 0.0
    """Called now and real, 0..1."""
    called_s: float = 0.0
    """How long that share stands already."""
    start_within_s: float | None = None
    """No part may begin later than this; None = any time."""
    share_max: Series = ()
    """Most that may be called per step, 0..1; empty = all of it always."""
    rebound: float = 0.0
    """Energy that comes back as a share of what was shifted, at the same legs."""
    rebound_delay_s: float = 0.0
    """Nothing returns sooner after it was shifted."""
    rebound_within_s: float = 1800.0
    """All of a part has returned so long after its end and the delay."""
    rebound_max: float = 1.0
    """Most power of the return as a share of the legs."""
    owed_wh: float = 0.0
    """What earlier shifts still owe, summed over the larger leg."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """The grid connection of one site over the plan."""

    site: SiteId
    load_w: Series
    """Forecast of what the consumers take without our doing."""
    pv_w: Series
    """Forecast of local generation (>= 0)."""
    import_max_w: Series
    export_max_w: Series


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """A product that is armed: may be called at any moment of its time, and is not called in this plan."""

    product: str
    sites: tuple[SiteId, ...]
    down_w: Series
    """Regulation that must be ready per step (>= 0)."""
    up_w: Series
    bridge_s: float
    """So long the batteries alone must be able to carry it, until work is real at the meter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HorizonProblem:
    """One rolling plan."""

    id: str
    at: float
    """UTC (Unix s) at which the first step begins."""
    lengths_s: Series
    tiers: tuple[TierName, ...]
    asked: tuple[Asked, ...]
    stores: tuple[Store, ...]
    works: tuple[Work, ...]
    connections: tuple[Connection, ...]
    reserves: tuple[Reserve, ...] = ()
    prices: Prices = Prices()


@dataclass(frozen=True, slots=True, kw_only=True)
class StorePlan:
    """What one battery does."""

    id: DeviceId
    site: SiteId
    tier: TierName
    discharge_w: Series
    stored_wh: Series
    """At the end of each step."""
    floor_wh: Series
    """Below this the rest is kept back: the window, and what reserves and bridges need. Hand-over to the allocation."""
    ceiling_wh: Series
    """Above this the rest is kept free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkPlan:
    """How much of one offer is called."""

    offer: OfferId
    tier: TierName
    share: Series
    """Real at the meter, 0..1; to be ordered its latency earlier."""
    rebound: Series
    """Return of earlier shifts as a share of the legs: while it lasts the site takes that much more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TierCap:
    """What one tier carries of one instruction: the allocation goes beyond only when no other tier can help."""

    instruction: InstructionId
    sites: tuple[SiteId, ...]
    tier: TierName
    regulation_w: tuple[float | None, ...]
    """Per step; None where the instruction asks for nothing of these sites."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """What could not be had of one instruction, signed like what was asked (over-delivery has the other sign)."""

    instruction: InstructionId
    sites: tuple[SiteId, ...]
    regulation_w: Series


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionPlan:
    """What one grid connection carries."""

    site: SiteId
    import_w: Series
    """< 0: it exports."""
    curtailed_w: Series
    """Local generation that finds no use."""
    over_limit_w: Series
    """Beyond the contracted import or export, whatever is done (>= 0)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HorizonPlan:
    """The answer to a HorizonProblem."""

    problem: str
    at: float
    lengths_s: Series
    method: str
    """highs | shifted"""
    stores: tuple[StorePlan, ...]
    works: tuple[WorkPlan, ...]
    connections: tuple[ConnectionPlan, ...]
    caps: tuple[TierCap, ...]
    shortfalls: tuple[Shortfall, ...]
    reserve_missing_w: tuple[tuple[str, Series], ...]
    """Per product: what would be missing if it were called in this step."""
    binding: tuple[Reason, ...]
    """What bound where something is missing; empty when nothing is."""
    refused: tuple[Reason, ...]
    """What of the problem was left out because it cannot be true, by name."""
    cost: float
    solve_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreBounds:
    """What the plan leaves one battery now."""

    id: DeviceId
    discharge_w: float
    """What the plan would have it give."""
    floor_wh: float
    ceiling_wh: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TierShare:
    """What one tier carries of one instruction now."""

    instruction: InstructionId
    sites: tuple[SiteId, ...]
    tier: TierName
    regulation_w: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """What a plan says of one moment, for the allocation of that second."""

    problem: str
    until: float
    """UTC (Unix s) at which the plan's next step begins."""
    stores: tuple[StoreBounds, ...]
    caps: tuple[TierShare, ...]
    calls: tuple[tuple[OfferId, float], ...]
    """Share of each offer that is real at the meter now."""
