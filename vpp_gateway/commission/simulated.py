"""A simulated device of any profile, served until the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from vpp_gateway.clock import SystemClock
from vpp_gateway.sim.faults import FAULTS, Faults
from vpp_gateway.sim.plant import BatteryPlate
from vpp_gateway.sim.served import Served, battery, meter
from vpp_gateway.southbound.modbus.profile import DeviceProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class Plate:
    """A device as built."""

    power_w: float
    """Battery: greatest charge and discharge. Meter: what it shows."""
    energy_wh: float
    soc: float
    """0..1."""
    local_w: float
    """discharge_w of the battery's own control."""


async def serve(
    profile: DeviceProfile,
    plate: Plate,
    host: str,
    port: int,
    faults: Faults,
    ready: Callable[[tuple[str, int]], None],
    obey: Callable[[], Awaitable[None]],
) -> None:
    """Serve until cancelled.

    Args:
        profile: what is served.
        plate: as built.
        host: address to listen on.
        port: 0 = any free one.
        faults: switchable while it runs.
        ready: told where it listens.
        obey: switches faults; when it returns, nothing more is switched.
    """
    clock = SystemClock()
    if profile.kind == "meter":
        device = meter(profile, lambda now: plate.power_w, clock=clock, faults=faults)
    else:
        built = BatteryPlate(
            discharge_max_w=plate.power_w,
            charge_max_w=plate.power_w,
            energy_wh=plate.energy_wh,
            ramp_w_per_s=plate.power_w,
        )
        device, _ = battery(profile, built, soc=plate.soc, clock=clock, faults=faults, local_w=plate.local_w)
    async with Served(device, host=host, port=port) as served:
        ready(served.address)
        await obey()
        await asyncio.Event().wait()


def switch(faults: Faults, line: str) -> bool:
    """Do what a line says: `NAME`, `NAME VALUE`, `heal` or `heal NAME`; True when it heals.

    Raises:
        ValueError: no such fault, or a value is missing, too much or not a number.
    """
    name, *rest = line.split()
    if len(rest) > 1:
        raise ValueError(f"{line!r}: allowed is NAME, NAME VALUE, heal or heal NAME")
    if name == "heal":
        faults.heal(rest[0] if rest else None)
        return True
    faults.set(name, float(rest[0]) if rest else None)
    return False


__all__ = ["FAULTS", "Faults", "Plate", "serve", "switch"]
