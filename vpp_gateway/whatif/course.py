"""What happened in a play, second by second: what was true at the meters, and what the gateway believed."""

from __future__ import annotations

from dataclasses import dataclass, field

from vpp_gateway.domain.command import Command
from vpp_gateway.domain.delivery import DeliveryRecord
from vpp_gateway.domain.instruction import DeviceId, InstructionId, SiteId
from vpp_gateway.domain.order import ShiftVerb


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSecond:
    """One site at one whole second, W: the truth."""

    import_w: float
    load_w: float
    """Load with its noise; without shifts, PV and batteries."""
    shift_w: float
    """Import that workload shifts add."""
    rebound_w: float
    battery_w: float
    """discharge_w of all batteries."""
    pv_w: float
    sun_w: float
    """What PV could have given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """What the gateway said of one event in one second."""

    target_w: float
    delivered_w: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    """One whole second of the play."""

    at_s: float
    sites: dict[SiteId, SiteSecond]
    soc: dict[DeviceId, float]
    battery_w: dict[DeviceId, float]
    beliefs: dict[InstructionId, Belief]
    """Of the events in force, as accounted so far."""
    doubts: tuple[SiteId, ...]
    """Sites that the gateway does not see now: no link, or no meter to be trusted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """An order to the workload."""

    at_s: float
    verb: ShiftVerb
    offer: str
    instruction: InstructionId


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """Work has taken over from the batteries; seconds of the play. The rule is that of `chronicle.hand_over`."""

    ordered_s: float
    """The first order that belongs to it."""
    real_s: float
    """The meters show it, and the batteries are down."""
    work_w: float
    """What was ordered, W of regulation, signed."""

    @property
    def lasted_s(self) -> float:
        """From the order to its being real, s."""
        return self.real_s - self.ordered_s


@dataclass(slots=True, kw_only=True)
class Course:
    """The whole play."""

    seconds: list[Second] = field(default_factory=list)
    baselines: dict[InstructionId, dict[SiteId, float]] = field(default_factory=dict)
    """As the gateway froze them."""
    opts: dict[InstructionId, tuple[str, str]] = field(default_factory=dict)
    """opt in or out, and why."""
    marks: list[Mark] = field(default_factory=list)
    hand_overs: dict[InstructionId, list[HandOver]] = field(default_factory=dict)
    """In order of time, as `events why` tells them."""
    records: dict[InstructionId, DeliveryRecord] = field(default_factory=dict)
    commands: list[tuple[float, Command]] = field(default_factory=list)
    facts: int = 0
    trouble: str = ""
    """What the engine could not digest; empty when all went well."""
