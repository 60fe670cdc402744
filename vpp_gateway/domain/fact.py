"""What has happened. A fact is durable in the journal before anything follows from it.

`gateway.step(fact, now)` folds facts into projections; replaying the journal gives the same projections. Every
fact carries `at`, UTC (Unix s), when the gateway learnt it. Protocol sessions have facts of their own, defined in
their room with the same shape; the engine journals both kinds alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from vpp_gateway.domain.delivery import DeliveryRecord
from vpp_gateway.domain.horizon import HorizonPlan
from vpp_gateway.domain.instruction import DeviceId, Instruction, InstructionId, SiteId
from vpp_gateway.domain.order import Offer, OrderId, PluginName, ShiftState
from vpp_gateway.domain.plan import Plan
from vpp_gateway.domain.reading import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A centre took over; raises the epoch."""

    at: float
    epoch: int
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Instructed:
    """A new instruction, or a higher modification of a known one."""

    at: float
    instruction: Instruction


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """The peer took an instruction back, or our operator opted out of it."""

    at: float
    instruction: InstructionId
    modification: int
    cause: Literal["cancelled", "implied", "unregistered", "opted-out", "silence"]
    """`silence`: nothing usable came from the peer for longer than its program allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One second of readings."""

    at: float
    snapshot: Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Woke:
    """A moment that the gateway asked to be woken at (a phase starts or ends)."""

    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """A site agent came or went."""

    at: float
    site: SiteId
    up: bool
    reason: str = ""
    silent: bool = False
    """Nothing came any more although nobody closed the link: its agent may live, and carries on by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """All offers of one plug-in, replacing its earlier ones; empty when it is gone."""

    at: float
    plugin: PluginName
    offers: tuple[Offer, ...]
    reason: str = ""
    """Why there are none, in words; empty otherwise."""
    refused: tuple[str, ...] = ()
    """Offers beside these that cannot be true: which, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shifted:
    """A plug-in said where an order stands."""

    at: float
    order: OrderId
    plugin: PluginName
    state: ShiftState
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Obeyed:
    """A device confirmed a setpoint by read-back."""

    at: float
    site: SiteId
    device: DeviceId
    epoch: int
    seq: int
    instruction: InstructionId | None = None
    """The instruction the setpoint was for; None = a release."""
    discharge_w: float
    acknowledged_at: float
    """UTC (Unix s) at the site: the write was acknowledged."""
    confirmed_at: float
    """UTC (Unix s) at the site: the read-back agreed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A device answered no, or did not take the value over."""

    at: float
    site: SiteId
    device: DeviceId
    epoch: int
    seq: int
    instruction: InstructionId | None = None
    """The instruction the setpoint was for; None = a release."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The outcome of an order is unknown: no answer in time."""

    at: float
    site: SiteId
    device: DeviceId
    epoch: int
    seq: int
    instruction: InstructionId | None = None
    """The instruction the setpoint was for; None = a release."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """The solver worker answered (plan) or did not (reason)."""

    at: float
    problem: str
    plan: Plan | None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The planner answered (plan) or did not (reason)."""

    at: float
    problem: str
    plan: HorizonPlan | None
    """As far as the gateway reads it, see `optimise.handover.brief`."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Concluded:
    """An instruction is over; the record of its delivery, so that old ticks need not be read again."""

    at: float
    record: DeliveryRecord


Outcome = Obeyed | Refused | Lost
Fact = (
    Started
    | Instructed
    | Withdrawn
    | Tick
    | Woke
    | Linked
    | Offered
    | Shifted
    | Obeyed
    | Refused
    | Lost
    | Solved
    | Planned
    | Concluded
)

FACT_TYPES: tuple[type, ...] = get_args(Fact)
"""Every fact of the domain, for the journal."""
