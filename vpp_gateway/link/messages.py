"""What travels between the centre and a site agent. JSON lines, one message a line, both ways.

    agent -> centre   Hello, Readings, Report (an outcome, offers or a shift state: domain facts)
    centre -> agent   Welcome, Schedule, Shift

The agent dials; the centre listens. A lost connection is not a lost event: the agent runs the schedule it holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from vpp_gateway.domain.fact import Lost, Obeyed, Offered, Refused, Shifted
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.order import ShiftOrder, SiteSchedule
from vpp_gateway.domain.reading import SiteReading

LINK_VERSION = 1
LINE_MAX_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """First word of an agent."""

    type: Literal["hello"] = "hello"
    version: int
    site: SiteId
    highest_epoch: int
    """Highest epoch this agent has ever obeyed."""
    secret: str
    """Shared secret of the link, from a 0600 file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What the agent saw this second; not repeated when the centre was away."""

    type: Literal["readings"] = "readings"
    reading: SiteReading


@dataclass(frozen=True, slots=True, kw_only=True)
class ObeyedReport:
    """A device confirmed a setpoint."""

    type: Literal["obeyed"] = "obeyed"
    fact: Obeyed


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedReport:
    """A device did not take its setpoint."""

    type: Literal["refused"] = "refused"
    fact: Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class LostReport:
    """The outcome of a setpoint is unknown."""

    type: Literal["lost"] = "lost"
    fact: Lost


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedReport:
    """All offers of one plug-in hosted at this site."""

    type: Literal["offered"] = "offered"
    fact: Offered


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftedReport:
    """Where an order of a plug-in stands."""

    type: Literal["shifted"] = "shifted"
    fact: Shifted


@dataclass(frozen=True, slots=True, kw_only=True)
class Parting:
    """The agent hangs up because it hears nothing: it lives and carries on alone. A link that merely ends says nothing."""

    type: Literal["parting"] = "parting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """The centre's answer to hello, and its sign of life each second: orders of a lower epoch are void."""

    type: Literal["welcome"] = "welcome"
    epoch: int
    at: float
    """UTC (Unix s) at the centre: the agent follows its clock, so that both mean the same moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleOrder:
    """The schedule to hold from now on, replacing the earlier one whole."""

    type: Literal["schedule"] = "schedule"
    schedule: SiteSchedule


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftCommand:
    """An order for a plug-in hosted at this site."""

    type: Literal["shift"] = "shift"
    order: ShiftOrder


Up = Hello | Readings | ObeyedReport | RefusedReport | LostReport | OfferedReport | ShiftedReport | Parting
Down = Welcome | ScheduleOrder | ShiftCommand

UP: TypeAdapter[Up] = TypeAdapter(Annotated[Up, Field(discriminator="type")])
DOWN: TypeAdapter[Down] = TypeAdapter(Annotated[Down, Field(discriminator="type")])
