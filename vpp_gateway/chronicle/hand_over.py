"""When work has taken over from the batteries: one rule for `events why` and for `simulate`.

    work at     |            ______   >= 0.9 of what the orders stand for, more than at the least since the first of them;
    the meters  |___________/         all of them real by the plug-in's word, and the delivery within 10 % again
    orders      |    1  2
                     |<----->|        one hand-over: what is ordered before it is done belongs to it

What counts is the growth since the order: sun and noise that were there before are no work. It is measured from the
least that was seen meanwhile, because what drifts the other way (a rising sun under work that starts) hides nothing of
a step; seconds off the order do not count for that, as batteries move in them. Orders that were made for another
instruction and give here too are handed over here too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from vpp_gateway.chronicle.look import Look, OrderLook
from vpp_gateway.domain.order import OrderId
from vpp_gateway.metering.delivery import within

HANDED_OVER = 0.9
"""Of what the orders stand for: with so much more at the meters and the batteries down, a hand-over is done."""
GIVEN_UP_S = 120.0
"""What the meters do not show so long after the plug-in's word is no hand-over, and delays no later one."""
ON_ITS_WAY = ("ordered", "ramping", "active")
"""States of a committed order that is, or will be, real."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOver:
    """Work has taken over from the batteries."""

    ordered_at: float
    """UTC (Unix s) of the first order that belongs to it."""
    real_at: float
    """UTC (Unix s) of the second in which the meters show it and the batteries are down."""
    work_w: float
    """What was ordered, W of regulation, signed."""
    shown_w: float
    """What the meters show more than at the least since the order, W, signed."""
    battery_w: float
    """What the batteries still give, W, signed."""

    @property
    def lasted_s(self) -> float:
        """From the order to its being real, s."""
        return self.real_at - self.ordered_at


@dataclass(slots=True)
class HandOverWatch:
    """The hand-overs of one instruction; show it every second with `see`."""

    _known: set[OrderId] = field(default_factory=set)
    """Orders that were committed by now."""
    _awaited: set[OrderId] = field(default_factory=set)
    """Of these, the ones whose work is not yet real at the meters."""
    _back: set[OrderId] = field(default_factory=set)
    """Of these, the ones that were taken back."""
    _ordered_at: float = 0.0
    _before_w: float = 0.0
    """The least workload at the meters since the order, less what was taken back since, W, signed."""
    _shown_w: float | None = None
    """What the meters showed more when that was enough; None: it is not yet."""
    _active_at: float | None = None
    """Since when all of it is real by the plug-in's word."""
    _last: Look | None = None

    def see(self, look: Look) -> HandedOver | None:
        """One second more; what was done in it."""
        last, self._last = self._last, look
        if look.phase is None and last is not None and last.phase is not None:
            self._awaited.clear()
        self._returns(look)
        done = self._done(look) if look.phase is not None else None
        if done is not None:
            self._awaited.clear()
        self._orders(last, look)
        return done

    def _orders(self, last: Look | None, look: Look) -> None:
        """What was ordered in this second is awaited from here on."""
        fresh = {o.id for o in look.orders if o.committed and o.id not in self._known}
        self._known |= fresh
        useful = {o.id for o in look.orders if o.id in fresh and _helps(look, o)}
        if useful and not self._awaited:
            # An order shows in the second after it was made: what was before stands in the last one.
            before = last if last is not None and last.phase is not None else look
            self._ordered_at, self._before_w = look.at, before.workload_w
        if useful:
            self._shown_w = self._active_at = None
        self._awaited |= useful

    def _returns(self, look: Look) -> None:
        """Work that was real before and is taken back is missing at the meters soon."""
        gone = [o for o in look.orders if o.taken_back and o.id in self._known and o.id not in self._back]
        self._back |= {o.id for o in gone}
        self._before_w -= math.fsum(o.regulation_w for o in gone if o.id not in self._awaited)

    def _done(self, look: Look) -> HandedOver | None:
        standing = [order for order in look.orders if self._stands(order)]
        kept = within(look.delivered_w, look.asked_w)
        if kept and look.sign * look.workload_w < look.sign * self._before_w:
            self._before_w = look.workload_w
        if not standing or any(order.state != "active" for order in standing):
            return None
        self._active_at = look.at if self._active_at is None else self._active_at
        work_w, shown_w = math.fsum(o.regulation_w for o in standing), look.workload_w - self._before_w
        if self._shown_w is None and look.sign * shown_w >= HANDED_OVER * look.sign * work_w:
            self._shown_w = shown_w
        if self._shown_w is None or not kept:
            if look.at > self._active_at + GIVEN_UP_S:
                self._awaited.clear()
            return None
        return HandedOver(
            ordered_at=self._ordered_at,
            real_at=look.at,
            work_w=work_w,
            shown_w=self._shown_w,
            battery_w=look.battery_w,
        )

    def _stands(self, order: OrderLook) -> bool:
        return order.id in self._awaited and not order.taken_back and order.state in ON_ITS_WAY


def _helps(look: Look, order: OrderLook) -> bool:
    """What was ordered for another instruction may also work against this one."""
    return order.made_for is None or order.regulation_w * look.sign > 0.0
