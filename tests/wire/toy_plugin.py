"""A well-behaved plug-in without any work behind it, for the contract tests of both transports.

What it can be told to do wrong is told by the order's step: it stays inside the contract's own ways of failing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.order import Leg, Offer, OfferId, OrderId, ShiftOrder, ShiftState, ShiftVerb
from vpp_gateway.errors import ConfigError
from vpp_gateway.southbound.workload.contract import OrderStatus, Sample
from vpp_gateway.southbound.workload.plugin import Answer, Briefing, Desk, Profile

STEP_RAISES = 7
STEP_HANGS = 8
STEP_REFUSES = 9


class Toy:
    """Keeps its orders in a file of its state folder, so that the next life knows them."""

    async def hello(self, briefing: Briefing, desk: Desk) -> Profile:
        if "colour" in briefing.config:
            raise ConfigError(f"config.colour: {briefing.config['colour']!r} is not allowed")
        print("prints of a plug-in do not disturb the wire")
        self._briefing = briefing
        self._desk = desk
        self._valid_s = float(briefing.config.get("valid_s", 60.0))
        self._file = Path(briefing.state_dir) / "toy.json"
        self._states: dict[str, str] = json.loads(self._read())
        self._commits = 0
        return Profile(sites=briefing.sites, fail_state="hold", config_schema={"type": "object"})

    def _read(self) -> str:
        return self._file.read_text() if self._file.exists() else "{}"

    async def run(self) -> None:
        site, now = SiteId(self._briefing.sites[0]), self._desk.clock.utc()
        self._desk.offer([self._offer(site, now)])
        self._desk.measured([Sample(at=now, site=site, w=5.0, quality="modelled", source="toy")])
        await asyncio.Event().wait()

    def _offer(self, site: SiteId, now: float) -> Offer:
        return Offer(
            id=OfferId("toy/1"),
            plugin=self._briefing.name,
            kind="pause",
            legs=(Leg(site=site, import_delta_w=-1000.0, latency_s=0.01),),
            steps=(0.5, 1.0),
            valid_until=now + self._valid_s,
            sustain_s=60.0,
        )

    async def prepare(self, order: ShiftOrder) -> Answer:
        return await self._carry(order, ShiftState.PREPARED)

    async def commit(self, order: ShiftOrder) -> Answer:
        self._commits += 1
        return await self._carry(order, ShiftState.ACTIVE)

    async def rollback(self, order: ShiftOrder) -> Answer:
        return await self._carry(order, ShiftState.RETURNED)

    async def _carry(self, order: ShiftOrder, state: ShiftState) -> Answer:
        if order.verb is not ShiftVerb.ROLLBACK:
            if order.step == STEP_RAISES:
                raise KeyError("nothing under this name")
            if order.step == STEP_REFUSES:
                return Answer(accepted=False, reason="no such step")
        self._states[order.id] = state
        self._file.write_text(json.dumps(self._states))
        if order.step == STEP_HANGS and order.verb is ShiftVerb.COMMIT:
            await asyncio.Event().wait()
        self._desk.shifted(order.id, state, f"commits={self._commits}")
        return Answer(accepted=True)

    async def status(self, order: OrderId) -> OrderStatus | None:
        state = self._states.get(order)
        return None if state is None else OrderStatus(order=order, state=ShiftState(state))

    async def recover(self, orders: Sequence[ShiftOrder], fence: int) -> Sequence[OrderStatus]:
        found = [await self.status(order.id) for order in orders]
        return [status for status in found if status is not None]

    async def estop(self) -> Answer:
        self._desk.offer([])
        return Answer(accepted=True, reason=f"stopped with {len(self._states)} orders")


def plugin() -> Toy:
    """The factory that an entry point would name."""
    return Toy()
