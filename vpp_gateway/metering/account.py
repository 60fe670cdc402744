"""Accounts of all instructions: running deliveries, concluded records, and the stopwatch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Literal

from vpp_gateway.domain.delivery import DeliveryRecord
from vpp_gateway.domain.fact import Lost, Obeyed, Refused, Withdrawn
from vpp_gateway.domain.instruction import DeviceId, Instruction, InstructionId, SiteId
from vpp_gateway.domain.plan import Reason
from vpp_gateway.metering.delivery import SETTLE_S, Delivery
from vpp_gateway.metering.sight import SightDoubt

KEEP_CONCLUDED = 1000
WHY_MAX = 60
CONCLUDE_MAX = 200


class Account:
    """Deliveries by instruction; the newest `KEEP_CONCLUDED` that are over stay readable."""

    def __init__(self) -> None:
        self._running: dict[InstructionId, Delivery] = {}
        self._instructions: dict[InstructionId, Instruction] = {}
        self._concluded: dict[InstructionId, DeliveryRecord] = {}
        self._due: dict[InstructionId, None] = {}
        """Over, their records not handed out yet."""
        self._obeyed: dict[InstructionId, dict[DeviceId, float]] = {}
        """When each battery first acknowledged a setpoint of the instruction, within the settling time."""
        self._ordered: dict[InstructionId, frozenset[DeviceId]] = {}
        """Batteries of the first allocation."""

    def instructed(
        self, instruction: Instruction, opt: Literal["in", "out"], reason: Reason | None, now: float
    ) -> None:
        """An instruction or a higher modification was judged."""
        self._instructions[instruction.id] = instruction
        self._concluded.pop(instruction.id, None)
        delivery = self._running.get(instruction.id)
        if delivery is None or delivery.state not in ("pending", "active"):
            delivery = self._running[instruction.id] = Delivery(
                instruction=instruction.id, received_at=instruction.received_at
            )
            self._due.pop(instruction.id, None)
            self._obeyed.pop(instruction.id, None)
            self._ordered.pop(instruction.id, None)
        delivery.opt, delivery.opt_reason, delivery.answered_at = opt, reason, now
        if opt == "out":
            delivery.state, delivery.ended_at = "refused", now
            self._due[instruction.id] = None

    def begun(self, instruction: Instruction) -> bool:
        """The first phase is in force; True the first time."""
        delivery = self._running.get(instruction.id)
        if delivery is None or delivery.started_at is not None:
            return False
        delivery.started_at, delivery.state = instruction.start_at, "active"
        return True

    def ended(self, id: InstructionId, at: float, state: Literal["completed", "cancelled"]) -> None:
        """It ran to its end, or was taken back."""
        delivery = self._running.get(id)
        if delivery is not None and delivery.ended_at is None:
            delivery.state, delivery.ended_at = state, at
            self._due[id] = None

    def withdrawn(self, fact: Withdrawn, now: float) -> None:
        """It was taken back, by the peer or by our operator; his opt replaces the gateway's."""
        self.ended(fact.instruction, now, "cancelled")
        delivery = self._running.get(fact.instruction)
        if delivery is not None and fact.cause == "opted-out":
            delivery.opt, delivery.opt_reason = "out", Reason(code="opt.operator")

    def sample(
        self,
        id: InstructionId,
        at: float,
        target_w: float,
        by_site_w: Mapping[SiteId, float],
        battery_w: float,
        assumed: Iterable[SiteId] = (),
    ) -> bool:
        """One second; whether it counts. `assumed`: sites that no meter shows, whose part is what we take them to do."""
        delivery = self._running.get(id)
        if delivery is None:
            return False
        unseen = tuple(assumed)
        counted = delivery.sample(at, target_w, by_site_w, battery_w, proven=not unseen)
        for site in unseen:
            self.note(id, Reason(code="meter.unseen", values=(("site", site),)))
        return counted

    def obeyed(self, fact: Obeyed) -> None:
        """A battery acknowledged a setpoint: the stopwatch of the instruction it was for."""
        if fact.instruction is None:
            return
        delivery = self._running.get(fact.instruction)
        if delivery is None or delivery.started_at is None:
            return
        since_s = fact.acknowledged_at - delivery.started_at
        if fact.discharge_w == 0.0 or not 0.0 <= since_s <= SETTLE_S:
            return
        seen = self._obeyed.setdefault(fact.instruction, {})
        seen.setdefault(fact.device, fact.acknowledged_at)
        if delivery.first_setpoint_at is None:
            delivery.first_setpoint_at = fact.acknowledged_at
        self._all_acknowledged(fact.instruction)

    def ordered(self, id: InstructionId, devices: Iterable[DeviceId]) -> None:
        """The first allocation of an instruction that has begun: these batteries were given a setpoint."""
        self._ordered[id] = frozenset(devices)
        self._all_acknowledged(id)

    def _all_acknowledged(self, id: InstructionId) -> None:
        """Stop the watch when the last battery of the first allocation has answered; never before."""
        delivery, ordered = self._running.get(id), self._ordered.get(id)
        seen = self._obeyed.get(id, {})
        if delivery is None or not ordered or not ordered <= seen.keys():
            return
        if delivery.all_setpoints_at is None:
            delivery.all_setpoints_at = max(seen[device] for device in ordered)

    def troubled(self, fact: Refused | Lost) -> None:
        """A battery did not take its setpoint: said once per device and cause."""
        code = "device.refused" if isinstance(fact, Refused) else "device.lost"
        reason = Reason(code=code, values=(("device", fact.device), ("why", fact.reason)))
        for id, delivery in self._running.items():
            if delivery.state == "active":
                self.note(id, reason)

    def doubted(self, id: InstructionId, site: SiteId, doubt: SightDoubt) -> None:
        """A meter of a site that the instruction rules is not believed: its check meter is followed, or nothing is proven."""
        if doubt:
            self.note(id, Reason(code=f"meter.{doubt}", values=(("site", site),)))

    def explain(self, id: InstructionId, why: tuple[Reason, ...]) -> None:
        """The reasons of the plan in force replace those of the earlier one; notes stay."""
        delivery = self._running.get(id)
        if delivery is not None:
            notes = tuple(
                r
                for r in delivery.why
                if r.code.startswith(("device.", "shift.", "meter.", "timeline.", "held."))
            )
            delivery.why = (*notes, *why)[:WHY_MAX]

    def note(self, id: InstructionId, reason: Reason) -> None:
        """Keep one remark with the instruction."""
        delivery = self._running.get(id)
        if delivery is not None and reason not in delivery.why:
            delivery.why = (reason, *delivery.why)[:WHY_MAX]

    def to_conclude(self) -> list[DeliveryRecord]:
        """Records of deliveries that are over and not yet in the journal; each is handed out once, some at a time."""
        ids = list(islice(self._due, CONCLUDE_MAX))
        for id in ids:
            del self._due[id]
        return [self._running[id].record() for id in ids]

    def conclude(self, record: DeliveryRecord) -> None:
        """The record is durable; the running account can go."""
        self._running.pop(record.instruction, None)
        self._obeyed.pop(record.instruction, None)
        self._ordered.pop(record.instruction, None)
        self._due.pop(record.instruction, None)
        self._concluded[record.instruction] = record
        while len(self._concluded) > KEEP_CONCLUDED:
            oldest = next(iter(self._concluded))
            del self._concluded[oldest]
            self._instructions.pop(oldest, None)

    def reopen(self) -> None:
        """After a restart: what was over but not concluded is handed out again."""
        self._due = {id: None for id, one in self._running.items() if one.ended_at is not None}

    def instruction(self, id: InstructionId) -> Instruction | None:
        return self._instructions.get(id)

    def delivery(self, id: InstructionId) -> Delivery | None:
        """The running account, while it is not concluded."""
        return self._running.get(id)

    def newest(self, count: int) -> list[DeliveryRecord]:
        """The last `count` of `records`, the newest first."""
        running = [delivery.record() for delivery in islice(reversed(self._running.values()), count)]
        return [*running, *islice(reversed(self._concluded.values()), count - len(running))]

    def records(self) -> Iterator[DeliveryRecord]:
        """All records, concluded ones first, oldest first."""
        yield from self._concluded.values()
        for delivery in self._running.values():
            yield delivery.record()
