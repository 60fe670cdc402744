"""One order to a plug-in: what it was made of, where it stands, what it gives."""

from __future__ import annotations

from dataclasses import dataclass

from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.order import Offer, OfferId, ShiftOrder, ShiftState
from vpp_gateway.domain.quantity import regulation_of

OPEN = (ShiftState.PREPARED, ShiftState.RAMPING, ShiftState.ACTIVE)
"""States in which an order is in force."""


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
    prepared_for: float = 0.0
    """UTC (Unix s) at which the phase begins that it was prepared for."""

    @property
    def share(self) -> float:
        return self.offer.steps[self.order.step]

    @property
    def open(self) -> bool:
        """Still in force, as far as we know."""
        return not self.taken_back and (self.state is None or self.state in OPEN)

    @property
    def slowest_s(self) -> float:
        """Latency of its slowest leg, s."""
        return max(leg.latency_s for leg in self.offer.legs)

    def lasts_s(self, at: float) -> float:
        """How long after `at` it can still be held, s; < 0 once it is over."""
        return self.offer.sustain_s - (0.0 if self.active_at is None else at - self.active_at)

    def regulation_w(self, site: SiteId) -> float:
        """What it gives at one site once active, W."""
        return sum(
            regulation_of(leg.import_delta_w) * self.share for leg in self.offer.legs if leg.site == site
        )


def held_id(record: ShiftRecord) -> OfferId:
    """Under what name an order that stands is offered to a plan."""
    return OfferId(f"order:{record.order.id}")
