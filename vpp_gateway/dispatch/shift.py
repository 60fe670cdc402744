"""Workload shifts: from calls of the plan to orders, and back.

    PREPARE (before the phase) -> COMMIT -> ramping -> active -> ROLLBACK -> returning -> returned
                                     \\-> failed: the batteries fill in, the next plan looks for something else

An order keeps the offer it was made of. Orders that stand are levers of the next plan too, so a plan may take them
back; one that has not dwelt long enough is held. The regulation of an order counts as real only when its plug-in
says `active`; the meter decides what the batteries do in any case.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Literal

from vpp_gateway.dispatch.shift_record import OPEN, ShiftRecord, held_id
from vpp_gateway.domain.command import Shift
from vpp_gateway.domain.fact import Offered, Shifted
from vpp_gateway.domain.fleet import WORKLOAD
from vpp_gateway.domain.instruction import InstructionId, SiteId
from vpp_gateway.domain.order import Offer, OfferId, OrderId, PluginName, ShiftOrder, ShiftState, ShiftVerb
from vpp_gateway.domain.plan import Call, Lever, MoveLeg, Plan
from vpp_gateway.domain.quantity import regulation_of

FAST_S = 1.0
"""A shift whose measured latency is at most this is counted on from the order; a slower one is bridged until real."""
METER_LAG_S = 2.0
"""From a change at the site to a reading that shows it, sampling and smoothing of the meter included."""
SETTLE_S = 3.0
"""So long after its last change of state an order is not planned upon: the meters are still coming to rest."""
FAILED_KEPT = 100
DOUBT_FIRST_S, DOUBT_MAX_S = 60.0, 900.0
"""A plug-in that died over an order is not called again for so long; doubles each time until an order succeeds."""
UNSETTLED_MAX_S = 15.0
"""An order that never settles holds planning up no longer than this."""
HELD_COST = 0.5
"""An order that stands is cheaper than a fresh one of the same cost: moving work back and forth costs service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A plug-in that died over an order: not called until then, and how long that is."""

    until: float
    last_s: float


@dataclass(slots=True)
class Shifts:
    """Offers and orders of all plug-ins.

    Args:
        host_of: The site whose agent hosts each plug-in.
    """

    host_of: Mapping[PluginName, SiteId]
    commit_within_s: float
    dwell_s: float
    """Shortest time that a new plan leaves an active order alone."""
    epoch: int = 0
    offers: dict[PluginName, tuple[Offer, ...]] = field(default_factory=dict)
    absent: dict[PluginName, str] = field(default_factory=dict)
    """Why a plug-in offers nothing."""
    refused: dict[PluginName, str] = field(default_factory=dict)
    """What of a plug-in's offers was refused, and why."""
    orders: dict[OrderId, ShiftRecord] = field(default_factory=dict)
    failed: dict[OrderId, ShiftRecord] = field(default_factory=dict)
    """The newest orders that failed: a plug-in that died over one may find out later that it was carried out."""
    doubted: dict[PluginName, Doubt] = field(default_factory=dict)
    _counter: int = 0
    _returned: dict[SiteId, float] = field(default_factory=dict)

    def begin(self, epoch: int) -> None:
        self.epoch = epoch
        self._counter = 0

    def fold_offers(self, fact: Offered) -> None:
        """A plug-in published its offers, or is gone and says why."""
        self.offers[fact.plugin] = fact.offers
        self.absent.pop(fact.plugin, None)
        if fact.reason:
            self.absent[fact.plugin] = fact.reason
        self.refused[fact.plugin] = "; ".join(fact.refused)

    def health(self, plugin: PluginName) -> tuple[Literal["good", "warning", "bad"], str]:
        """How a plug-in stands: good, warning (some offers refused) or bad (none there), and why."""
        absent = self.absent.get(plugin, "" if plugin in self.offers else "not heard of yet")
        if absent:
            return "bad", absent
        refused = self.refused.get(plugin, "")
        return "warning" if refused else "good", refused

    def fold_state(self, fact: Shifted) -> ShiftRecord | None:
        """Take an order's new state in; returns its record, or None if the order is not ours."""
        record = self.orders.get(fact.order)
        if record is None:
            return None
        record.state, record.reason, record.state_at = fact.state, fact.reason, fact.at
        if fact.state is ShiftState.ACTIVE:
            self.doubted.pop(fact.plugin, None)
            record.active_at = fact.at if record.active_at is None else record.active_at
        if fact.state in (ShiftState.RETURNED, ShiftState.FAILED):
            # A plug-in that failed an order has put things back as they were; the contract says so.
            del self.orders[fact.order]
            self._returned.update((leg.site, fact.at) for leg in record.offer.legs)
        if fact.state is ShiftState.FAILED:
            if fact.plugin in self.absent:
                self._doubt(fact.plugin, fact.at)
            self.failed[fact.order] = record
            while len(self.failed) > FAILED_KEPT:
                del self.failed[next(iter(self.failed))]
        return record

    def _doubt(self, plugin: PluginName, now: float) -> None:
        known = self.doubted.get(plugin)
        if known is not None and now < known.until:
            return
        last_s = DOUBT_FIRST_S if known is None else min(2 * known.last_s, DOUBT_MAX_S)
        self.doubted[plugin] = Doubt(until=now + last_s, last_s=last_s)

    def callable_offers(self, now: float) -> Iterator[Offer]:
        """Offers of the plug-ins that can be relied on now."""
        for plugin, offers in self.offers.items():
            doubt = self.doubted.get(plugin)
            if doubt is None or now >= doubt.until:
                yield from offers

    def disown(self, fact: Shifted, now: float) -> list[Shift]:
        """An order that was given up turns out to stand after all (its plug-in died over it): take it back."""
        if fact.state not in OPEN or fact.order not in self.failed:
            return []
        record = self.orders[fact.order] = self.failed.pop(fact.order)
        record.state, record.state_at = fact.state, fact.at
        return [self._roll_back(record, now)]

    def standing(self) -> Iterator[ShiftRecord]:
        return (record for record in self.orders.values() if record.open)

    def active_w(self) -> dict[SiteId, float]:
        """Regulation per site that active orders give at the meter, W."""
        total: dict[SiteId, float] = {}
        for record in self.standing():
            if record.state is ShiftState.ACTIVE:
                for leg in record.offer.legs:
                    w = regulation_of(leg.import_delta_w) * record.share
                    total[leg.site] = total.get(leg.site, 0.0) + w
        return total

    def expected_w(self, now: float) -> dict[SiteId, tuple[float, float]]:
        """Fast shifts that the meters need not show yet.

        Returns:
            Per site: (regulation that they give together, W; when the first of them was ordered).
        """
        total: dict[SiteId, tuple[float, float]] = {}
        for record in self.standing():
            if not record.committed or record.slowest_s > FAST_S:
                continue
            if now >= record.committed_at + record.slowest_s + METER_LAG_S:
                continue
            for leg in record.offer.legs:
                w, since = total.get(leg.site, (0.0, record.committed_at))
                w += regulation_of(leg.import_delta_w) * record.share
                total[leg.site] = (w, min(since, record.committed_at))
        return total

    def standing_w(self) -> dict[InstructionId, dict[SiteId, float]]:
        """Regulation per instruction and site of the orders that stand for it, W: it goes on as long as that does."""
        total: dict[InstructionId, dict[SiteId, float]] = {}
        for record in self.standing():
            if record.committed:
                sites = total.setdefault(record.order.instruction, {})
                for leg in record.offer.legs:
                    w = regulation_of(leg.import_delta_w) * record.share
                    sites[leg.site] = sites.get(leg.site, 0.0) + w
        return total

    def prepared_w(self) -> dict[SiteId, float]:
        """Regulation per site of fast shifts that are prepared and will be committed when their phase begins."""
        total: dict[SiteId, float] = {}
        for record in self.standing():
            if record.committed or record.slowest_s > FAST_S:
                continue
            for leg in record.offer.legs:
                w = regulation_of(leg.import_delta_w) * record.share
                total[leg.site] = total.get(leg.site, 0.0) + w
        return total

    def settled(self, now: float) -> bool:
        """Whether every order has come to rest, so that the meters tell the truth about them."""
        for record in self.orders.values():
            if not record.committed or now >= record.committed_at + UNSETTLED_MAX_S:
                continue
            if record.state is not ShiftState.ACTIVE or now < record.state_at + SETTLE_S:
                return False
        return True

    def disturbed_sites(self, now: float) -> set[SiteId]:
        """Sites whose load an order of ours changes now, or has changed so lately that the meter still shows it."""
        disturbed = {leg.site for r in self.orders.values() if r.committed for leg in r.offer.legs}
        return disturbed | {site for site, at in self._returned.items() if now < at + METER_LAG_S}

    def levers(self, at: float, now: float, ends: Mapping[SiteId, float] | None = None) -> tuple[Lever, ...]:
        """What a plan for `at` may call: fresh offers, and orders that stand and can be held still.

        Args:
            ends: When what is asked of a site ends, UTC (Unix s). What only becomes real after that is no
                lever: it would disturb the work and serve nothing.
        """
        rows = [
            _lever(offer.id, offer, offer.steps, offer.cost, 0.0, offer.sustain_s)
            for offer in self.callable_offers(now)
            if offer.valid_until > at and (ends is None or not too_late(offer, at, ends))
        ]
        for record in self.standing():
            if record.committed and record.lasts_s(now) > 0.0:
                dwell_s = max(self.dwell_s, record.offer.min_dwell_s)
                dwelling = record.active_at is None or now < record.active_at + dwell_s
                held = record.share if dwelling else 0.0
                rows.append(
                    replace(
                        _lever(
                            held_id(record),
                            record.offer,
                            (record.share,),
                            record.offer.cost * HELD_COST,
                            held,
                            record.lasts_s(max(at, now)),
                        ),
                        stands=True,
                    )
                )
        return tuple(rows)

    def follow(
        self,
        plan: Plan,
        verb: ShiftVerb,
        instruction_at: Mapping[SiteId, InstructionId],
        now: float,
        at: float | None = None,
    ) -> list[Shift]:
        """Orders that make a plan real: begin what it calls, take back what it no longer calls or what cannot last.

        Args:
            at: When what is prepared is to be committed; None = now.
        """
        calls = {call.offer: call for call in plan.calls}
        commands = self._take_back(calls, now) if verb is ShiftVerb.COMMIT else []
        known = {offer.id: offer for offers in self.offers.values() for offer in offers}
        for call in plan.calls:
            offer = known.get(call.offer)
            if offer is not None and call.step >= 0:
                instruction = next(
                    (instruction_at[leg.site] for leg in offer.legs if leg.site in instruction_at), None
                )
                if instruction is not None:
                    commands.append(self._begin(offer, call, verb, instruction, now))
                    self.orders[commands[-1].order.id].prepared_for = now if at is None else at
        return commands

    def commit_prepared(self, ruling: Set[InstructionId], now: float) -> list[Shift]:
        """The phase has begun for which it was prepared: commit it if its instruction rules, else take it back."""
        return [
            self._send(record, ShiftVerb.COMMIT, now)
            if record.order.instruction in ruling
            else self._roll_back(record, now)
            for record in list(self.standing())
            if not record.committed and record.prepared_for <= now
        ]

    def release(self, instruction: InstructionId, now: float) -> list[Shift]:
        """The instruction is over: take back every order made for it."""
        return [self._roll_back(r, now) for r in list(self.standing()) if r.order.instruction == instruction]

    def again(self, plugin: PluginName, now: float) -> list[Shift]:
        """The plug-in or its host was away: repeat what was ordered (idempotent by id)."""
        return [
            self._send(record, ShiftVerb.ROLLBACK if record.taken_back else record.order.verb, now)
            for record in self.orders.values()
            if record.order.plugin == plugin
        ]

    def _take_back(self, calls: Mapping[OfferId, Call], now: float) -> list[Shift]:
        result = []
        for record in list(self.standing()):
            call = calls.get(held_id(record))
            uncalled = call is not None and call.share == 0.0
            if record.committed and (uncalled or record.lasts_s(now) <= 0.0):
                result.append(self._roll_back(record, now))
        return result

    def _begin(
        self, offer: Offer, call: Call, verb: ShiftVerb, instruction: InstructionId, now: float
    ) -> Shift:
        self._counter += 1
        order = ShiftOrder(
            id=OrderId(f"{self.epoch}-{self._counter}"),
            plugin=offer.plugin,
            offer=offer.id,
            verb=verb,
            step=call.step,
            fence=self.epoch,
            deadline_at=now + self.commit_within_s,
            instruction=instruction,
        )
        self.orders[order.id] = ShiftRecord(
            order=order,
            offer=offer,
            ordered_at=now,
            state_at=now,
            committed=verb is ShiftVerb.COMMIT,
            committed_at=now,
        )
        # Its offer is spent; the plug-in will publish what is left.
        self.offers[offer.plugin] = tuple(o for o in self.offers[offer.plugin] if o.id != offer.id)
        return Shift(site=self.host_of[offer.plugin], order=order)

    def _send(self, record: ShiftRecord, verb: ShiftVerb, now: float) -> Shift:
        old = record.order
        if verb is ShiftVerb.COMMIT and not record.committed:
            record.committed, record.committed_at = True, now
        record.order = ShiftOrder(
            id=old.id,
            plugin=old.plugin,
            offer=old.offer,
            verb=verb,
            step=old.step,
            fence=self.epoch,
            deadline_at=now + self.commit_within_s,
            instruction=old.instruction,
        )
        return Shift(site=self.host_of[old.plugin], order=record.order)

    def _roll_back(self, record: ShiftRecord, now: float) -> Shift:
        record.taken_back = True
        return self._send(record, ShiftVerb.ROLLBACK, now)


def too_late(offer: Offer, at: float, ends: Mapping[SiteId, float]) -> bool:
    """Whether an offer that is called at `at` becomes real only when nothing is asked of its sites any more."""
    until = max((ends[leg.site] for leg in offer.legs if leg.site in ends), default=math.inf)
    return at + max(leg.latency_s for leg in offer.legs) >= until


def _lever(
    id: OfferId, offer: Offer, steps: tuple[float, ...], cost: float, at_least: float, lasts_s: float
) -> Lever:
    return Lever(
        offer=id,
        tier=WORKLOAD,
        legs=tuple(
            MoveLeg(site=leg.site, regulation_w=regulation_of(leg.import_delta_w)) for leg in offer.legs
        ),
        steps=steps,
        cost=cost,
        name=f"{offer.plugin}: {offer.kind} {' > '.join(leg.site for leg in offer.legs)}",
        at_least=at_least,
        sla_tier=offer.sla_tier,
        downtime_s=offer.downtime_s,
        lasts_s=lasts_s,
    )
