"""A lever as a site plug-in: built when the host says hello, then every word is the lever's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vpp_gateway.domain.order import OrderId, ShiftOrder
from vpp_gateway.errors import MisuseError
from vpp_gateway.southbound.workload.contract import OrderStatus
from vpp_gateway.southbound.workload.lever import Lever
from vpp_gateway.southbound.workload.plugin import Answer, Briefing, Desk, Profile

Build = Callable[[Briefing, Desk], tuple[Lever, Profile]]
"""Makes the lever from the operator's configuration. Raises ConfigError when that is wrong."""


class LeverPlugin:
    """Implements `SitePlugin` by the lever that `build` makes."""

    def __init__(self, build: Build) -> None:
        self._build = build
        self._built: Lever | None = None

    @property
    def _lever(self) -> Lever:
        if self._built is None:
            raise MisuseError("an order before hello")
        return self._built

    async def hello(self, briefing: Briefing, desk: Desk) -> Profile:
        self._built, profile = self._build(briefing, desk)
        return profile

    async def run(self) -> None:
        await self._lever.run()

    async def prepare(self, order: ShiftOrder) -> Answer:
        return await self._lever.prepare(order)

    async def commit(self, order: ShiftOrder) -> Answer:
        return await self._lever.commit(order)

    async def rollback(self, order: ShiftOrder) -> Answer:
        return await self._lever.rollback(order)

    async def status(self, order: OrderId) -> OrderStatus | None:
        return await self._lever.status(order)

    async def recover(self, orders: Sequence[ShiftOrder], fence: int) -> Sequence[OrderStatus]:
        return await self._lever.recover(orders, fence)

    async def estop(self) -> Answer:
        return await self._lever.estop()
