"""What a site agent drives, as it sees it: batteries, meters, plug-in hosts, and its end of the link."""

from __future__ import annotations

from typing import Protocol

from vpp_gateway.domain.order import ShiftOrder
from vpp_gateway.domain.reading import BatteryReading, DeviceHealth, MeterReading
from vpp_gateway.link.messages import Up
from vpp_gateway.southbound.modbus.wire import DeviceOrder


class BatteryDriver(Protocol):
    """A battery as the agent drives it; `southbound.modbus.client.BatteryClient` is one."""

    @property
    def reading(self) -> BatteryReading | None: ...
    @property
    def health(self) -> DeviceHealth: ...
    def order(self, order: DeviceOrder | None) -> None: ...
    def arm(self) -> None: ...
    async def cycle(self, deadline_s: float) -> None: ...
    async def run(self) -> None: ...


class MeterDriver(Protocol):
    """A meter as the agent reads it."""

    @property
    def reading(self) -> MeterReading | None: ...
    @property
    def health(self) -> DeviceHealth: ...
    async def cycle(self, deadline_s: float) -> None: ...
    async def run(self) -> None: ...


class Plugins(Protocol):
    """A plug-in host as the agent uses it."""

    def order(self, order: ShiftOrder) -> None: ...
    async def run(self) -> None: ...


class Uplink(Protocol):
    """The agent's end of the link."""

    def send(self, message: Up, *, keep: bool) -> None: ...
    async def run(self) -> None: ...
