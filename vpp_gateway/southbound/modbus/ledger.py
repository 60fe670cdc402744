"""What became of each order, told once: obeyed, refused or lost."""

from __future__ import annotations

from vpp_gateway.domain.fact import Lost, Obeyed, Outcome, Refused
from vpp_gateway.domain.fleet import Battery
from vpp_gateway.southbound.modbus.wire import DeviceOrder

REMEMBERED = 16
"""Newest orders whose last word is known: one that is held, and those that were refused beside it meanwhile."""


class Ledger:
    """Outcomes of one battery's orders.

    The same word is not told twice of the same order; a better-known one replaces it: lost, then obeyed after the
    reconnect; obeyed, then refused when the device stops taking it.
    """

    def __init__(self, battery: Battery) -> None:
        self._battery = battery
        self._words: dict[DeviceOrder, str] = {}
        self._outcomes: list[Outcome] = []

    def told(self, order: DeviceOrder) -> str:
        """The last word on `order`: obeyed, refused, lost or nothing."""
        return self._words.get(order, "")

    def take(self) -> list[Outcome]:
        """The outcomes since the last call."""
        if not self._outcomes:
            return []
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def obeyed(self, order: DeviceOrder, held_w: float, acknowledged_at: float, now: float) -> None:
        """Confirmed by read-back at `now`."""
        if self._news(order, "obeyed"):
            self._outcomes.append(
                Obeyed(
                    at=now,
                    site=self._battery.site,
                    device=self._battery.id,
                    epoch=order.epoch,
                    seq=order.seq,
                    instruction=order.instruction,
                    discharge_w=held_w,
                    acknowledged_at=acknowledged_at,
                    confirmed_at=now,
                )
            )

    def refused(self, order: DeviceOrder, reason: str, now: float) -> None:
        """The device answered no, or nobody asked it because the order cannot be carried out."""
        if self._news(order, "refused"):
            self._tell(Refused, order, reason, now)

    def dropped(self, order: DeviceOrder, reason: str, now: float) -> None:
        """Nobody will try (again); says nothing new of an order that was lost before."""
        if self.told(order) != "lost":
            self.refused(order, reason, now)

    def lost(self, order: DeviceOrder, reason: str, now: float) -> None:
        """The outcome is unknown."""
        if self._news(order, "lost"):
            self._tell(Lost, order, reason, now)

    def _news(self, order: DeviceOrder, word: str) -> bool:
        if self.told(order) == word:
            return False
        self._words[order] = word
        if len(self._words) > REMEMBERED:
            del self._words[next(iter(self._words))]
        return True

    def _tell(self, kind: type[Refused] | type[Lost], order: DeviceOrder, reason: str, now: float) -> None:
        self._outcomes.append(
            kind(
                at=now,
                site=self._battery.site,
                device=self._battery.id,
                epoch=order.epoch,
                seq=order.seq,
                instruction=order.instruction,
                reason=reason,
            )
        )
