"""What the centre orders from a site: absolute, leased, idempotent.

The centre sends each site agent one `SiteSchedule`: every step that it should carry out from now to the end of
the known instructions. A newer schedule (epoch, seq) replaces the older one whole. The agent runs it whether or
not the centre lives; where no step covers a moment, the device is released to its default control.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from vpp_gateway.domain.instruction import DeviceId, InstructionId, SiteId

OrderId = NewType("OrderId", str)
OfferId = NewType("OfferId", str)
PluginName = NewType("PluginName", str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One device holds one setpoint for a while."""

    device: DeviceId
    start_at: float
    end_at: float | None
    """None = until replaced (bounded by the agent's hold)."""
    discharge_w: float
    instruction: InstructionId
    modification: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSchedule:
    """All battery orders of one site."""

    site: SiteId
    epoch: int
    """Counts the starts of the centre; an agent refuses a lower one than it has seen."""
    seq: int
    """Counts schedules inside an epoch."""
    issued_at: float
    steps: tuple[Step, ...]
    alone_import_w: float | None = None
    """Import at the PCC that the agent keeps with the batteries of running steps while the centre is away; None =
    their setpoints as they are."""


class ShiftVerb(StrEnum):
    """What a plug-in is told to do with an offer."""

    PREPARE = "prepare"
    COMMIT = "commit"
    ROLLBACK = "rollback"


class ShiftState(StrEnum):
    """Where an order of a plug-in stands."""

    PREPARED = "prepared"
    RAMPING = "ramping"
    ACTIVE = "active"
    RETURNING = "returning"
    RETURNED = "returned"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftOrder:
    """One order to a plug-in; repeating it with the same id changes nothing."""

    id: OrderId
    plugin: PluginName
    offer: OfferId
    verb: ShiftVerb
    step: int
    """Index into the offer's steps: how much of it is called (0 = first step). Ignored by rollback."""
    fence: int
    """Epoch of the centre that gives the order; a plug-in refuses a lower one than it has seen."""
    deadline_at: float
    """UTC (Unix s) after which nobody may begin to carry it out."""
    instruction: InstructionId


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """What one site feels of an offer at full step."""

    site: SiteId
    import_delta_w: float
    """< 0: this site takes less from the grid."""
    latency_s: float
    """Order to power change, as measured by the plug-in (median)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A workload shift that a plug-in promises to be able to carry out. Immutable; replaced, never edited."""

    id: OfferId
    plugin: PluginName
    kind: str
    """cap | pause | shed | move | absorb"""
    legs: tuple[Leg, ...]
    """One leg, or two for a move (source negative, destination positive)."""
    steps: tuple[float, ...]
    """Shares (0..1] of the legs that can be called, ascending; the last is 1."""
    valid_until: float
    sustain_s: float
    """How long it can be held."""
    min_dwell_s: float = 0.0
    cost: float = 1.0
    """Relative price inside its tier."""
    downtime_s: float = 0.0
    """Expected service downtime."""
    sla_tier: int = 0
    """How much was promised to whom this disturbs: 0 is called first, before any cost is compared."""
    rebound_wh: float = 0.0
    rebound_within_s: float = 1800.0
    """So long after it was given back all of that has come back."""
