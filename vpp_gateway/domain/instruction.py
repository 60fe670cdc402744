"""What a grid operator asks: an instruction is (preferred, bounds, priority), not a number.

    received -> in the timeline -> active while start_at <= now < end_at -> past
                 a higher modification replaces it; a withdrawal ends it

Words of every protocol are mapped to these by `northbound/*/mapping.py` with the program profile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

SiteId = NewType("SiteId", str)
DeviceId = NewType("DeviceId", str)
EventId = NewType("EventId", str)
"""The peer's identifier, text as received: "007" stays "007"."""
InstructionId = NewType("InstructionId", str)
"""`<room>/<event id>`, for instance `tso/EV-1`: unique over all northbound rooms."""
RoomName = NewType("RoomName", str)
"""The operator's name for one northbound connection (settings `northbound[].name`)."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Priority:
    """Urgency on one scale for all protocols; compares by `rank`."""

    rank: int
    """0 is most urgent; larger is less. Protocol numbers are mapped at the edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """Change against the baseline."""

    regulation_w: float
    """> 0: down-DR, relieve the grid by this much; < 0: up-DR."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setpoint:
    """Absolute import at the grid connection points of the scope, summed."""

    import_w: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A hard bound at the grid connection point, per site of the scope."""

    import_max_w: float | None
    export_max_w: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """OpenADR SIMPLE 0-3, already given its meaning by the program profile."""

    level: int
    regulation_w: float
    """What the profile says this level means for the scope."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Multiplier:
    """A factor on what the scope would take undisturbed: 0.8 asks for a fifth less than the baseline."""

    factor: float
    """Import as a share of the baseline; 1 asks for nothing."""


Demand = Delta | Setpoint | Limit | Level | Multiplier


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One interval of an instruction."""

    start_at: float
    """UTC, Unix seconds."""
    end_at: float | None
    """UTC, Unix seconds; None = until cancelled."""
    demand: Demand


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One event of a grid operator in our words."""

    id: InstructionId
    room: RoomName
    event_id: EventId
    modification: int
    """Modification number of the peer; a higher one replaces."""
    program: str
    """Name of the program profile that gave the words their meaning."""
    received_at: float
    """UTC (Unix s) when the message that carried this modification arrived."""
    phases: tuple[Phase, ...]
    """In time order, without overlap, at least one."""
    scope: tuple[SiteId, ...]
    """Sites it speaks of; empty = the whole portfolio."""
    priority: Priority
    test: bool = False
    devices: tuple[DeviceId, ...] = ()
    """Of the sites where they stand it speaks of these devices alone; of the others in `scope` as a whole."""
    activated_at: float | None = None
    """UTC (Unix s) at which the event itself begins, where a ramp makes the first phase begin earlier; None = with it."""

    @property
    def active_from(self) -> float:
        """When the event becomes active, ramps left out: what decides between equals (rule 18)."""
        return self.start_at if self.activated_at is None else self.activated_at

    @property
    def start_at(self) -> float:
        return self.phases[0].start_at

    @property
    def end_at(self) -> float | None:
        return self.phases[-1].end_at

    def phase_at(self, now: float) -> Phase | None:
        """The phase in force at `now`, or None."""
        for phase in self.phases:
            if phase.start_at <= now and (phase.end_at is None or now < phase.end_at):
                return phase
        return None
