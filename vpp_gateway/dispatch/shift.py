"""Workload shifts: from calls of the plan to orders, and back.

    PREPARE (before the phase) -> COMMIT -> ramping -> active -> ROLLBACK -> returning -> returned
                                     |----> failed: the batteries fill in, the next plan looks for something else
                                     \\----> late: the same, and ROLLBACK, whatever it says later

An order keeps the offer it was made of. Orders that stand are levers of the next plan too, so a plan may take them
back; one that has not dwelt long enough is held. The regulation of an order counts as real only when its plug-in
says `active`; the meter decides what the batteries do in any case. What failed or was late is doubted (`doubt`): it is
not called for a while, and then nothing that works is given back for it before it has worked itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Literal

from vpp_gateway.dispatch.doubt import PROVEN_S, Doubts, Why
from vpp_gateway.dispatch.shift_record import OPEN, ShiftRecord, held_id
from vpp_gateway.domain.command import Shift
from vpp_gateway.domain.fact import Offered, Shifted
from vpp_gateway.domain.instruction import InstructionId, SiteId
from vpp_gateway.domain.order import Offer, OfferId, OrderId, PluginName, ShiftOrder, ShiftState, ShiftVerb
from vpp_gateway.domain.plan import Call, Plan
from vpp_gateway.domain.quantity import regulation_of

FAST_S = 1.0
"""A shift whose measured latency is at most this is counted on from the order; a slower one is bridged until real."""
METER_LAG_S = 2.0
"""From a change at the site to a reading that shows it, sampling and smoothing of the meter included."""
SETTLE_S = 3.0
"""So long after its last change of state an order is not planned upon: the meters are still coming to rest."""
FAILED_KEPT = 100
UNSETTLED_MAX_S = 15.0
"""An order that never settles holds planning up no longer than this."""
RETURN_MAX_S = 600.0
"""What was told to return and has not said for so long that it has is given up: its site would count as disturbed, and
keep its baseline, for ever. Nothing is promised of how long a return takes, so nobody is doubted for it."""


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
    """The newest orders that failed or were given up: their plug-in may find out later that one is carried out."""
    doubts: Doubts = field(default_factory=Doubts)
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
            record.active_at = fact.at if record.active_at is None else record.active_at
            record.unreal_since = None
        elif record.committed and record.unreal_since is None:
            record.unreal_since = fact.at
        if fact.state in (ShiftState.RETURNED, ShiftState.FAILED):
            # A plug-in that failed an order has put things back as they were; the contract says so.
            self._close(record, fact.at)
        if fact.state is ShiftState.RETURNED and record.active_at is not None and record.late_s is None:
            self.doubts.prove(record.offer)
        if fact.state is ShiftState.FAILED:
            self._doubt(record, "failed", fact.at)
            self._give_up(record)
        return record

    def _close(self, record: ShiftRecord, at: float) -> None:
        del self.orders[record.order.id]
        self._returned.update((leg.site, at) for leg in record.offer.legs)

    def _give_up(self, record: ShiftRecord) -> None:
        self.failed[record.order.id] = record
        while len(self.failed) > FAILED_KEPT:
            del self.failed[next(iter(self.failed))]

    def _doubt(self, record: ShiftRecord, why: Why, now: float) -> None:
        plugin = record.order.plugin
        works = any(r.order.plugin == plugin and r.state is ShiftState.ACTIVE for r in self.standing())
        self.doubts.cast(record.offer, why, now, gone=plugin in self.absent, works=works)

    def take_back_late(self, heard: Set[SiteId], now: float) -> list[tuple[ShiftRecord, Shift]]:
        """Take back what should be active by now and is not, and give up what was told to return and does not answer;
        what has been active for long enough is proven.

        Args:
            heard: Sites whose agents are linked. What another one hosts may be active without our knowing: it waits
                until its host is back and has had its time again, and is not counted on meanwhile.
        """
        late = []
        for record in list(self.orders.values()):
            wait_s = max(record.patience_s, RETURN_MAX_S) if record.taken_back else record.patience_s
            silent = self.host_of.get(record.order.plugin) in heard and now >= record.asked_at + wait_s
            if record.taken_back:
                if silent:
                    self._close(record, now)
                    self._give_up(record)
            elif record.unreal_since is not None:
                if silent and record.overdue(now):
                    record.late_s = now - record.unreal_since
                    late.append((record, self._roll_back(record, now)))
                    self._doubt(record, "late", now)
            elif record.active_at is not None and now >= record.active_at + PROVEN_S:
                self.doubts.prove(record.offer)
        return late

    def callable_offers(self, now: float) -> Iterator[Offer]:
        """Offers that nothing speaks against now."""
        for offers in self.offers.values():
            yield from (offer for offer in offers if self.doubts.against(offer, now) is None)

    def plannable_offers(self, now: float) -> Iterator[Offer]:
        """Offers for a plan that looks ahead: unproven ones only while nothing works that it could let go for them."""
        works = self.works()
        return (o for o in self.callable_offers(now) if not (works and self.doubts.unproven(o)))

    def works(self) -> bool:
        """Whether an order stands and is active whose lever nobody doubts."""
        return any(
            record.state is ShiftState.ACTIVE and not self.doubts.unproven(record.offer)
            for record in self.standing()
        )

    def disown(self, fact: Shifted, now: float) -> list[Shift]:
        """An order that was given up turns out to stand after all (its plug-in died over it, or hung): take it back."""
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
        known = {offer.id: offer for offer in self.callable_offers(now)}
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

    def give_back(self, records: Iterable[ShiftRecord], now: float) -> list[Shift]:
        """Take these orders back: what they were made for is over."""
        return [self._roll_back(record, now) for record in records]

    def again(self, host: SiteId, now: float) -> list[Shift]:
        """The agent of a site was away: repeat what the plug-ins there were ordered (idempotent by id)."""
        return [
            self._send(record, ShiftVerb.ROLLBACK if record.taken_back else record.order.verb, now)
            for record in self.orders.values()
            if self.host_of.get(record.order.plugin) == host
        ]

    def _take_back(self, calls: Mapping[OfferId, Call], now: float) -> list[Shift]:
        result = []
        for record in list(self.standing()):
            call = calls.get(held_id(record))
            uncalled = call is not None and call.share == 0.0
            if record.committed and not record.waits and (uncalled or record.lasts_s(now) <= 0.0):
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
        committed = verb is ShiftVerb.COMMIT
        self.orders[order.id] = ShiftRecord(
            order=order,
            offer=offer,
            ordered_at=now,
            state_at=now,
            committed=committed,
            committed_at=now,
            asked_at=now,
            unreal_since=now if committed else None,
        )
        # Its offer is spent; the plug-in will publish what is left.
        self.offers[offer.plugin] = tuple(o for o in self.offers[offer.plugin] if o.id != offer.id)
        return Shift(site=self.host_of[offer.plugin], order=order)

    def _send(self, record: ShiftRecord, verb: ShiftVerb, now: float) -> Shift:
        old = record.order
        record.asked_at = now
        if verb is ShiftVerb.COMMIT and not record.committed:
            record.committed, record.committed_at, record.unreal_since = True, now, now
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
