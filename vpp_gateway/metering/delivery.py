"""Delivery: what the meters show against the baseline, second by second, for one instruction.

    delivered = sum over sites of (baseline - import), W of regulation
    battery part = sum of battery readings (discharge_w); workload part = delivered - battery part

Statistics count 1 s samples from `SETTLE_S` after the start to the end, as balancing products do (full response
within 10 s).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from vpp_gateway.domain.delivery import DeliveryRecord, DeliveryState, Stopwatch
from vpp_gateway.domain.fleet import BATTERY, WORKLOAD, TierName
from vpp_gateway.domain.instruction import InstructionId, SiteId
from vpp_gateway.domain.plan import Reason

SETTLE_S = 10.0
TOLERANCE = 0.10


def within(delivered_w: float, target_w: float, tolerance: float = TOLERANCE) -> bool:
    """Whether a sample lies inside the tolerance band around the target (share of the target's magnitude)."""
    return abs(delivered_w - target_w) <= tolerance * abs(target_w) + 1e-6


def missing_w(delivered_w: float, target_w: float) -> float:
    """What is missing towards the target, W (>= 0); over-delivery is not negative shortfall."""
    return max(0.0, target_w - delivered_w) if target_w >= 0 else max(0.0, delivered_w - target_w)


@dataclass(slots=True)
class Delivery:
    """Running account of one instruction."""

    instruction: InstructionId
    received_at: float
    opt: Literal["in", "out"] | None = None
    opt_reason: Reason | None = None
    answered_at: float | None = None
    started_at: float | None = None
    first_setpoint_at: float | None = None
    all_setpoints_at: float | None = None
    reached_at: float | None = None
    ended_at: float | None = None
    state: DeliveryState = "pending"
    target_w: float = 0.0
    delivered_now_w: float | None = None
    samples: int = 0
    samples_within: int = 0
    samples_assumed: int = 0
    sum_w: float = 0.0
    sum_missing_w: float = 0.0
    sum_tier_w: dict[TierName, float] = field(default_factory=dict)
    sum_site_w: dict[SiteId, float] = field(default_factory=dict)
    why: tuple[Reason, ...] = ()

    def sample(
        self,
        at: float,
        target_w: float,
        by_site_w: Mapping[SiteId, float],
        battery_w: float,
        *,
        proven: bool = True,
    ) -> bool:
        """Count one second; whether it is one that counts: the time to settle is over.

        Args:
            by_site_w: Delivered regulation per site.
            battery_w: Part from batteries.
            proven: A meter shows all of it. What is only assumed is never within.
        """
        delivered = sum(by_site_w.values())
        self.target_w, self.delivered_now_w = target_w, delivered
        if self.started_at is None:
            return False
        if self.reached_at is None and within(delivered, target_w) and at >= self.started_at:
            self.reached_at = at
        if at < self.started_at + SETTLE_S:
            return False
        self.samples += 1
        self.samples_within += proven and within(delivered, target_w)
        self.samples_assumed += not proven
        self.sum_w += delivered
        self.sum_missing_w += missing_w(delivered, target_w)
        for tier, part in ((BATTERY, battery_w), (WORKLOAD, delivered - battery_w)):
            self.sum_tier_w[tier] = self.sum_tier_w.get(tier, 0.0) + part
        for site, part in by_site_w.items():
            self.sum_site_w[site] = self.sum_site_w.get(site, 0.0) + part
        return True

    def record(self) -> DeliveryRecord:
        """The account as a value."""
        count = max(self.samples, 1)
        return DeliveryRecord(
            instruction=self.instruction,
            state=self.state,
            opt=self.opt,
            opt_reason=self.opt_reason,
            stopwatch=Stopwatch(
                received_at=self.received_at,
                answered_at=self.answered_at,
                started_at=self.started_at,
                first_setpoint_at=self.first_setpoint_at,
                all_setpoints_at=self.all_setpoints_at,
                reached_at=self.reached_at,
                ended_at=self.ended_at,
            ),
            target_regulation_w=self.target_w,
            samples=self.samples,
            samples_within=self.samples_within,
            samples_assumed=self.samples_assumed,
            delivered_regulation_w=self.sum_w / count,
            by_tier_w=tuple((tier, total / count) for tier, total in self.sum_tier_w.items()),
            by_site_w=tuple((site, total / count) for site, total in self.sum_site_w.items()),
            shortfall_w=self.sum_missing_w / count,
            why=self.why,
        )
