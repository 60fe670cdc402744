"""The host's memory of orders: what was asked, what was said, what may be sent.

    (new) --sent--> in flight --ack--> prepared | ramping | active | returning --> returned | failed
                        |  plug-in dies
                        v
                    failed, outcome unknown --recover--> whatever the plug-in finds

Idempotent by (order id, verb): a repeated verb only has the state said again. Fenced by epoch. Pure: `now` is an
argument, what is to be told goes to `say`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from vpp_gateway.domain.order import OrderId, PluginName, ShiftOrder, ShiftState, ShiftVerb
from vpp_gateway.southbound.workload.contract import OrderStatus

_CLOSED = (ShiftState.RETURNED, ShiftState.FAILED)
_CLOSED_KEPT = 1000
"""Closed orders remembered for idempotence; the oldest are forgotten."""

Say = Callable[[OrderId, ShiftState, str], None]


@dataclass(slots=True)
class Held:
    """One order as the host knows it."""

    order: ShiftOrder
    """With its last verb."""
    verbs: set[ShiftVerb] = field(default_factory=set)
    """Verbs taken."""
    state: ShiftState | None = None
    """Last state said; None = none yet."""
    reason: str = ""
    in_flight: int = 0
    """Calls not yet answered."""
    unknown: bool = False
    """The plug-in died with it; `settle` decides."""

    @property
    def open(self) -> bool:
        return bool(self.verbs) and (self.unknown or self.state not in _CLOSED)


class OrderBook:
    """All orders of one plug-in.

    Args:
        plugin: whose orders these are.
        say: told every state, with its reason.
        open_orders: orders from before this host started; the first `settle` tells their state.
        fence: highest epoch known so far.
    """

    def __init__(
        self, plugin: PluginName, say: Say, *, open_orders: Iterable[ShiftOrder] = (), fence: int = 0
    ) -> None:
        self._plugin = plugin
        self._say_out = say
        self._held = {order.id: Held(order=order, verbs={order.verb}, unknown=True) for order in open_orders}
        self.fence = max([fence, *(held.order.fence for held in self._held.values())])

    def take(self, order: ShiftOrder, now: float, *, stopped: bool) -> Held | None:
        """Take an order over: what is to be carried out now, or None when it was a repetition or is refused."""
        held = self._held.get(order.id)
        if held is not None and (order.verb in held.verbs or order.fence < self.fence or not held.open):
            self._repeat(held)
            return None
        refusal = self._refusal(order, now, stopped)
        if held is None:
            held = self._held[order.id] = Held(order=order)
            self._forget()
        if refusal:
            # A running order is not failed by a verb that came too late: its state stands, the reason is told.
            self.say(held, held.state or ShiftState.FAILED, refusal)
            return None
        self.fence = order.fence
        held.order = order
        held.verbs.add(order.verb)
        return held

    def _refusal(self, order: ShiftOrder, now: float, stopped: bool) -> str:
        if order.plugin != self._plugin:
            return f"for plug-in {order.plugin}, this is {self._plugin}"
        if order.fence < self.fence:
            return f"fence {order.fence} is lower than {self.fence}, which was seen before"
        if order.deadline_at <= now:
            return f"deadline passed {now - order.deadline_at:.1f} s ago, not begun"
        if stopped and order.verb is not ShiftVerb.ROLLBACK:
            return "emergency stop: nothing is begun until it is released"
        return ""

    def refused(self, held: Held, verb: ShiftVerb, reason: str) -> None:
        """The plug-in, or the deadline, said no to this verb. A refused rollback leaves the order as it was."""
        if verb is ShiftVerb.ROLLBACK and held.state is not None and not held.unknown:
            held.verbs.discard(verb)  # may be asked again
            self.say(held, held.state, f"rollback refused: {reason}")
        else:
            self.say(held, ShiftState.FAILED, f"{verb} refused: {reason}")

    def shifted(self, order: OrderId, state: ShiftState, reason: str) -> None:
        """The plug-in said where an order stands."""
        held = self._held.get(order)
        if held is None:
            # From before this host started: whoever has its words is told, nothing is kept here.
            self._say_out(order, state, reason)
        else:
            self.say(held, state, reason)

    def lost(self, fault: str) -> None:
        """The plug-in is gone: what was being begun has an unknown outcome."""
        for held in list(self._held.values()):
            begun = held.state in (None, ShiftState.RAMPING) and held.order.verb is not ShiftVerb.ROLLBACK
            interrupted = held.open and not held.unknown and (held.in_flight > 0 or begun)
            held.in_flight = 0
            if interrupted and held.order.verb is not ShiftVerb.ROLLBACK:
                self.say(held, ShiftState.FAILED, f"outcome unknown: plug-in {fault}", unknown=True)

    def settle(self, states: Sequence[OrderStatus]) -> None:
        """Take over what a restarted plug-in found."""
        for status in states:
            held = self._held.get(status.order)
            if held is None or held.unknown or held.state is not status.state:
                self.shifted(status.order, status.state, status.reason or "as found after a restart")
            if held is not None and status.state is ShiftState.PREPARED:
                held.verbs.discard(ShiftVerb.COMMIT)  # it never arrived, so it may be given again
        known = {status.order for status in states}
        for held in list(self._held.values()):
            if held.open and held.order.id not in known:
                self.say(held, ShiftState.FAILED, "the plug-in does not know it after its restart")

    def open_orders(self) -> tuple[ShiftOrder, ...]:
        """Orders whose end has not been said, with their last verb."""
        return tuple(held.order for held in self._held.values() if held.open)

    def unsent_rollbacks(self) -> list[Held]:
        """Rollbacks given while the plug-in was away, or cut off by its death."""
        return [
            held
            for held in self._held.values()
            if held.open and held.order.verb is ShiftVerb.ROLLBACK and held.state is not ShiftState.RETURNING
        ]

    def say(self, held: Held, state: ShiftState, reason: str, *, unknown: bool = False) -> None:
        """Record and tell a state."""
        held.state, held.reason, held.unknown = state, reason, unknown
        self._repeat(held)

    def _repeat(self, held: Held) -> None:
        if held.state is not None:
            self._say_out(held.order.id, held.state, held.reason)

    def _forget(self) -> None:
        closed = [id for id, held in self._held.items() if held.verbs and not held.open]
        closed += [id for id, held in self._held.items() if not held.verbs and held.state is not None]
        for id in closed[: max(len(closed) - _CLOSED_KEPT, 0)]:
            del self._held[id]
