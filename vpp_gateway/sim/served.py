"""One simulated device of a profile behind real Modbus/TCP, for users and tests.

async with ServedBattery(profile, plate, ...) as served:   host, port = served.address
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Self, cast

from pymodbus.server import ModbusTcpServer

from vpp_gateway.clock import Clock
from vpp_gateway.sim.bank import Bank
from vpp_gateway.sim.faults import Faults
from vpp_gateway.sim.plant import BatteryPlant, BatteryPlate
from vpp_gateway.sim.profiled import BatteryBehaviour, MeterBehaviour, ProfiledDevice
from vpp_gateway.southbound.modbus.choice import imagined
from vpp_gateway.southbound.modbus.profile import DeviceProfile


class Served:
    """A device that listens while the context is open.

    Args:
        device: what is served.
        host: address to listen on.
        port: 0 = any free one.
    """

    def __init__(self, device: ProfiledDevice, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.device = device
        self._host, self._port = host, port
        self._server: ModbusTcpServer | None = None

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) where it listens."""
        return self._host, self._port

    async def __aenter__(self) -> Self:
        logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
        server = ModbusTcpServer(
            self.device.device(), address=(self._host, self._port), trace_packet=self.device.faults.packet
        )
        await server.serve_forever(background=True)
        self._port = cast(asyncio.Server, server.transport).sockets[0].getsockname()[1]
        self._server = server
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        self.device.faults.heal("hang")
        for handler in list(server.active_connections.values()):
            if handler.transport is not None:
                cast(asyncio.WriteTransport, handler.transport).abort()
        await server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus leaves it untyped


def battery(
    profile: DeviceProfile,
    plate: BatteryPlate,
    *,
    soc: float,
    clock: Clock,
    faults: Faults,
    local_w: float = 0.0,
    models: Collection[int] | None = None,
) -> tuple[ProfiledDevice, BatteryBehaviour]:
    """A battery of `profile`.

    Args:
        profile: of kind battery.
        plate: as built.
        soc: at the start, 0..1.
        clock: of the world.
        faults: switchable while it runs.
        local_w: discharge_w that its own control keeps up.
        models: the SunSpec models that it may have, where the profile leaves that open; None = the best ones.
    """
    profile = imagined(profile, models)
    plant, bank = BatteryPlant(plate, soc=soc, at=clock.utc()), Bank(profile)
    behaviour = BatteryBehaviour(profile, bank, plant, now=clock.utc, faults=faults, local_w=local_w)
    return ProfiledDevice(bank, behaviour, now=clock.utc, unit=profile.unit, faults=faults), behaviour


def meter(
    profile: DeviceProfile,
    import_w: Callable[[float], float],
    *,
    clock: Clock,
    faults: Faults,
    models: Collection[int] | None = None,
) -> ProfiledDevice:
    """A meter of `profile`.

    Args:
        profile: of kind meter.
        import_w: the truth at a time (UTC, Unix s).
        clock: of the world.
        faults: switchable while it runs.
        models: as for a battery.
    """
    profile = imagined(profile, models)
    bank = Bank(profile)
    behaviour = MeterBehaviour(profile, bank, import_w, faults=faults)
    return ProfiledDevice(bank, behaviour, now=clock.utc, unit=profile.unit, faults=faults)
