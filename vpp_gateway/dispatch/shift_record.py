"""One order to a plug-in: what it was made of, where it stands, what it gives."""

from __future__ import annotations

from dataclasses import dataclass

from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.order import Offer, OfferId, ShiftOrder, ShiftState
from vpp_gateway.domain.plan import Reason
from vpp_gateway.domain.quantity import regulation_of

OPEN = (ShiftState.PREPARED, ShiftState.RAMPING, ShiftState.ACTIVE)
"""States in which an order is in force."""
LATE_TIMES, LATE_MIN_S = 2.0, 10.0
"""An order is late that is not active after so many times the latency of its slowest leg, and so long beyond: a latency
is a median, an order becomes active at the end of its ramp, and a loaded machine answers late. Until then the batteries
bridge."""


@dataclass(slots=True)
class ShiftRecord:
    """One order to a plug-in and where it stands."""

    order: ShiftOrder
    offer: Offer
    ordered_at: float
    state: ShiftState | None = None
    """None until the plug-in has answered."""
    reason: str = ""
    state_at: float = 0.0
    active_at: float | None = None
    taken_back: bool = False
    committed: bool = False
    """COMMIT has been ordered, whatever came after."""
    committed_at: float = 0.0
    asked_at: float = 0.0
    """When its plug-in was told of it last: an order is repeated when its host comes back."""
    unreal_since: float | None = None
    """UTC (Unix s): committed then, or active until then, and not active since; None = it is active, or only prepared."""
    late_s: float | None = None
    """It was late, and taken back so long after it was ordered; None = it was not."""
    prepared_for: float = 0.0
    """UTC (Unix s) at which the phase begins that it was prepared for."""

    returns_by: float | None = None
    """What it was made for is over, and it waits for its turn to return, at most until then, UTC (Unix s)."""
    owed: bool = False
    """What it owes is written down (`rebound`)."""

    @property
    def share(self) -> float:
        return self.offer.steps[self.order.step]

    @property
    def open(self) -> bool:
        """Still in force, as far as we know."""
        return not self.taken_back and (self.state is None or self.state in OPEN)

    @property
    def waits(self) -> bool:
        """It is in force only until its turn to return: no plan calls it or takes it back."""
        return self.open and self.returns_by is not None

    @property
    def slowest_s(self) -> float:
        """Latency of its slowest leg, s."""
        return max(leg.latency_s for leg in self.offer.legs)

    @property
    def patience_s(self) -> float:
        """How long after it was ordered it must be active, s."""
        return LATE_TIMES * self.slowest_s + LATE_MIN_S

    def overdue(self, now: float) -> bool:
        """Ordered longer ago than it needs, and not active: nothing of it is counted on; the meters show what it gives."""
        return self.unreal_since is not None and now >= self.unreal_since + self.patience_s

    @property
    def trouble(self) -> Reason:
        """That it was late, or that it failed and why."""
        if self.late_s is None:
            return Reason(code="shift.failed", values=(("offer", self.offer.id), ("why", self.reason)))
        values = (("seconds", f"{self.late_s:.0f}"), ("promised", f"{self.slowest_s:g}"))
        return Reason(code="shift.late", values=(("offer", lever_name(self.offer)), *values))

    def lasts_s(self, at: float) -> float:
        """How long after `at` it can still be held, s; < 0 once it is over."""
        return self.offer.sustain_s - (0.0 if self.active_at is None else at - self.active_at)

    def regulation_w(self, site: SiteId) -> float:
        """What it gives at one site once active, W."""
        return sum(
            regulation_of(leg.import_delta_w) * self.share for leg in self.offer.legs if leg.site == site
        )


def lever_name(offer: Offer) -> str:
    """What people call what an offer would do, whatever id it has today: `batch: move tokyo-1 > kanagawa-1`."""
    return f"{offer.plugin}: {offer.kind} {' > '.join(leg.site for leg in offer.legs)}"


def held_id(record: ShiftRecord) -> OfferId:
    """Under what name an order that stands is offered to a plan."""
    return OfferId(f"order:{record.order.id}")
