"""A SunSpec meter (213, float) at a site's grid connection point, with the error of its accuracy class."""

from __future__ import annotations

import math
from collections.abc import Callable

from pymodbus.constants import ExcCodes
from pymodbus.simulator import SimDevice

from vpp_gateway.clock import Clock, Rng
from vpp_gateway.sim.faults import FAULTS, Faults, known
from vpp_gateway.sim.image import Image

KNOWS = frozenset({"nan", "frozen"}) | {
    name for name, fault in FAULTS.items() if fault.where in ("wire", "answer")
}
"""Faults that it can have."""


class SimMeter:
    """One meter.

    Args:
        name: serial number in model 1.
        import_w: the truth at a time (UTC, Unix s).
        clock: of the world.
        rng: seeded, for its error.
        model: what it says that it is, in model 1.
        accuracy: class as a share of the value (0.002 = class 0.2): half of it a constant gain error, half noise
            that is drawn anew each second.
    """

    def __init__(
        self,
        name: str,
        import_w: Callable[[float], float],
        *,
        clock: Clock,
        rng: Rng,
        model: str = "SM-213",
        accuracy: float = 0.002,
        base: int = 40000,
        unit: int = 1,
        delay_ms: float = 0.0,
    ) -> None:
        self.name = name
        self.faults = Faults(delay_ms)
        self._import_w = import_w
        self._clock = clock
        self._rng = rng
        self._half = accuracy / 2
        self._gain = 1.0 + rng.uniform(-self._half, self._half)
        self._second = -math.inf
        self._noise = 0.0
        self._frozen_w = 0.0
        self._unit = unit
        self.image = Image((1, 213), base=base, exponents={})
        for key, value in {
            "1.Mn": "Simulated Metering",
            "1.Md": model,
            "1.Vr": "1.0",
            "1.SN": name,
        }.items():
            self.image.put(key, value)
        self.image.put("213.Hz", 50.0)

    def device(self) -> SimDevice:
        """For a pymodbus server."""
        return self.image.device(self._unit, self._access)

    def reading_w(self, now: float) -> float:
        """What the meter would show at `now`."""
        second = math.floor(now)
        if second != self._second:
            self._second, self._noise = second, self._rng.uniform(-self._half, self._half)
        return self._import_w(now) * (self._gain + self._noise)

    def fault(self, name: str, value: float | None = None) -> None:
        """Switch a fault on; see `sim.faults`."""
        self._frozen_w = self.reading_w(self._clock.utc())
        self.faults.set(known(name, KNOWS), value)

    def heal(self, name: str | None = None) -> None:
        """Switch one fault off, or all."""
        self.faults.heal(name)

    async def _access(
        self,
        function_code: int,
        start: int,
        address: int,
        count: int,
        registers: list[int],
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Hook of the server for each request."""
        if refusal := await self.faults.gate(writing=values is not None):
            return refusal
        if values is not None:
            return ExcCodes.ILLEGAL_ADDRESS
        if self.image.overlaps(213, address, count):
            shown_w = self._frozen_w if "frozen" in self.faults else self.reading_w(self._clock.utc())
            self.image.put("213.W", None if "nan" in self.faults else shown_w)
            at = address - self.image.base
            registers[at : at + count] = self.image.registers[at : at + count]
        return None
