"""A bench for plug-in hosts: collects what a host tells, and waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from vpp_gateway.clock import Clock, SeededRng, SystemClock
from vpp_gateway.domain.fact import Offered, Shifted
from vpp_gateway.domain.instruction import InstructionId
from vpp_gateway.domain.order import Offer, OfferId, OrderId, ShiftOrder, ShiftState, ShiftVerb
from vpp_gateway.southbound.workload.host import PluginHost
from vpp_gateway.southbound.workload.spec import PluginSpec, Timing, TransportFactory

QUICK = Timing(
    hello_s=5.0,
    recover_s=5.0,
    call_s=0.4,
    heartbeat_s=0.1,
    heartbeat_deadline_s=2.0,
    respawn_first_s=0.05,
    respawn_max_s=0.2,
)


@dataclass(slots=True)
class Bench:
    """One host under test and all it has told."""

    spec: PluginSpec
    clock: Clock = field(default_factory=SystemClock)
    offered: list[Offered] = field(default_factory=list)
    shifted: list[Shifted] = field(default_factory=list)
    host: PluginHost = field(init=False)
    _told: asyncio.Event = field(default_factory=asyncio.Event)

    def furnish(self, factory: TransportFactory, timing: Timing = QUICK) -> None:
        self.host = PluginHost(
            self.spec, factory, self.clock, SeededRng(1), timing, self._on_offered, self._on_shifted
        )

    def _on_offered(self, fact: Offered) -> None:
        self.offered.append(fact)
        self._told.set()

    def _on_shifted(self, fact: Shifted) -> None:
        self.shifted.append(fact)
        self._told.set()

    async def until(self, true: Callable[[], bool], within_s: float = 10.0) -> None:
        """Wait until `true`, looking whenever the host tells something and every few milliseconds."""
        async with asyncio.timeout(within_s):
            while not true():
                self._told.clear()
                try:
                    async with asyncio.timeout(0.01):
                        await self._told.wait()
                except TimeoutError:
                    continue

    async def ready(self) -> None:
        await self.until(lambda: self.host.status().state == "ready")

    async def offers(self, kind: str) -> Offer:
        """The first standing offer of a kind, once there is one."""
        await self.until(lambda: bool(self.offered) and any(o.kind == kind for o in self.offered[-1].offers))
        return next(offer for offer in self.offered[-1].offers if offer.kind == kind)

    async def state(self, order: str, state: ShiftState, within_s: float = 10.0) -> Shifted:
        """Wait until an order has been told to be in a state."""
        await self.until(lambda: state in self.states(order), within_s)
        return next(fact for fact in self.shifted if fact.order == order and fact.state is state)

    def states(self, order: str) -> list[ShiftState]:
        return [fact.state for fact in self.shifted if fact.order == order]

    def order(
        self, id: str, verb: ShiftVerb, offer: str, *, step: int = 0, fence: int = 1, in_s: float = 30
    ) -> ShiftOrder:
        return ShiftOrder(
            id=OrderId(id),
            plugin=self.spec.name,
            offer=OfferId(offer),
            verb=verb,
            step=step,
            fence=fence,
            deadline_at=self.clock.utc() + in_s,
            instruction=InstructionId("tso/EV-1"),
        )

    def give(
        self, id: str, verb: ShiftVerb, offer: str, *, step: int = 0, fence: int = 1, in_s: float = 30
    ) -> None:
        self.host.order(self.order(id, verb, offer, step=step, fence=fence, in_s=in_s))


@asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[Bench]:
    """The bench with its host at work."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bench.host.run())
        try:
            yield bench
        finally:
            task.cancel()
