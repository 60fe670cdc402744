"""What the gateway wants done. Commands are values; the engine carries them out after the facts are durable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vpp_gateway.domain.delivery import DeliveryRecord
from vpp_gateway.domain.horizon import HorizonProblem
from vpp_gateway.domain.instruction import InstructionId, RoomName, SiteId
from vpp_gateway.domain.order import ShiftOrder, SiteSchedule
from vpp_gateway.domain.plan import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Opt in or out of one instruction."""

    room: RoomName
    instruction: InstructionId
    modification: int
    opt: Literal["in", "out"]
    reason: str
    """In words, for the peer's response description and the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrange:
    """Send a site its schedule."""

    schedule: SiteSchedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """Send an order to the plug-in hosted at `site`."""

    site: SiteId
    order: ShiftOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class Solve:
    """Ask the solver worker."""

    problem: Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Ask the planner for the plan of the coming hour."""

    problem: HorizonProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclude:
    """Journal the delivery record of an instruction that is over."""

    record: DeliveryRecord


Command = Answer | Arrange | Shift | Solve | Plan | Conclude
