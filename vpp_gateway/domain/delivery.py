"""What was delivered for one instruction: the stopwatch and the means, at the grid connection points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vpp_gateway.domain.fleet import TierName
from vpp_gateway.domain.instruction import InstructionId, SiteId
from vpp_gateway.domain.plan import Reason

DeliveryState = Literal["pending", "active", "completed", "cancelled", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopwatch:
    """When each stage was reached, UTC (Unix s); None = not (yet)."""

    received_at: float
    """The message that carried the instruction arrived."""
    answered_at: float | None = None
    """Opt in or out was decided and durable."""
    started_at: float | None = None
    """First second of the first phase."""
    first_setpoint_at: float | None = None
    """First battery acknowledged its setpoint (clock of the site)."""
    all_setpoints_at: float | None = None
    """Last battery of the first allocation acknowledged (clock of the site)."""
    reached_at: float | None = None
    """First sample at the meters within the tolerance of the target."""
    ended_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRecord:
    """Delivery of one instruction, all quantities in W of regulation (> 0 relieves the grid)."""

    instruction: InstructionId
    state: DeliveryState
    opt: Literal["in", "out"] | None
    opt_reason: Reason | str | None
    """Why so; None when there is nothing to say. Text in journals that were written before it had a code."""
    stopwatch: Stopwatch
    target_regulation_w: float
    """Target in force last (mean over phases is not formed)."""
    samples: int
    """1 s samples from the 10th second after the start to the end."""
    samples_within: int
    """Of these, how many were within the tolerance of the target."""
    delivered_regulation_w: float
    """Mean over the samples."""
    by_tier_w: tuple[tuple[TierName, float], ...]
    """Mean over the samples; batteries by their own readings, workload = meter minus batteries."""
    by_site_w: tuple[tuple[SiteId, float], ...]
    """Mean over the samples, each site at its meter against its baseline."""
    shortfall_w: float
    """Mean over the samples of what was missing towards the target (>= 0)."""
    why: tuple[Reason, ...]
    samples_assumed: int = 0
    """Of the samples, how many held a site that no meter showed: what it did then is assumed, and not within."""
