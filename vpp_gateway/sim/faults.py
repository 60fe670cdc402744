"""What can be wrong with a simulated device, switchable while it runs.

silent        no answer, nothing is carried out
mute          carried out, but no answer
hang          held back; carried out (late) and answered when healed
exception     every request is answered with exception `value`
delay         every answer takes `value` milliseconds
nan           measurements read "not implemented"
ignore        battery: writes are acknowledged and dropped
clip          battery: setpoints are cut to +-`value` W
frozen_soc    battery: the state of charge stands still
stopped       battery: the inverter is off
local         battery: switched to local control at the device, writes are dropped
dead_timer    battery: the reversion timer never starts
frozen_timer  battery: the countdown stands still, no reversion
never_revert  battery: counts down, and holds the setpoint all the same
frozen        meter: the value stands still
"""

from __future__ import annotations

import asyncio

from pymodbus.constants import ExcCodes

FAULTS = (
    "silent",
    "mute",
    "hang",
    "exception",
    "delay",
    "nan",
    "ignore",
    "clip",
    "frozen_soc",
    "stopped",
    "local",
    "dead_timer",
    "frozen_timer",
    "never_revert",
    "frozen",
)
_WITH_VALUE = ("exception", "delay", "clip")


class Faults:
    """The faults of one device.

    Args:
        delay_ms: how long an answer takes in good health.
    """

    def __init__(self, delay_ms: float = 0.0) -> None:
        self._delay_ms = delay_ms
        self._active: dict[str, float] = {}
        self.answers = 0
        """Answers sent since the start."""
        self._thawed = asyncio.Event()

    def set(self, name: str, value: float | None = None) -> None:
        """Switch a fault on.

        Raises:
            ValueError: no such fault, or a value is missing.
        """
        if name not in FAULTS:
            raise ValueError(f"no fault {name!r}; allowed: {', '.join(FAULTS)}")
        if (value is None) == (name in _WITH_VALUE):
            raise ValueError(f"fault {name!r} takes {'a' if name in _WITH_VALUE else 'no'} value")
        self._active[name] = 0.0 if value is None else value
        if name == "hang":
            self._thawed.clear()

    def heal(self, name: str | None = None) -> None:
        """Switch one fault off, or all of them."""
        for known in [name] if name is not None else list(self._active):
            self._active.pop(known, None)
        if "hang" not in self._active:
            self._thawed.set()

    def __contains__(self, name: str) -> bool:
        return name in self._active

    def value(self, name: str) -> float:
        """The value of an active fault."""
        return self._active[name]

    @property
    def any(self) -> bool:
        """At least one fault is active."""
        return bool(self._active)

    async def gate(self) -> ExcCodes | None:
        """Let one request through: waits, or says with which exception to answer it instead."""
        active = self._active
        if not active and not self._delay_ms:
            return None
        delay_ms = active.get("delay", self._delay_ms)
        if delay_ms:
            await asyncio.sleep(delay_ms / 1000)
        if "hang" in active:
            await self._thawed.wait()
        if "silent" in active:
            return ExcCodes.DEVICE_FAILURE  # never sent: see packet()
        return ExcCodes(int(active["exception"])) if "exception" in active else None

    def packet(self, sending: bool, packet: bytes) -> bytes:
        """Hook of the server for each packet: swallows the answers of a silent or mute device."""
        if not sending:
            return packet
        if "silent" in self._active or "mute" in self._active:
            return b""
        self.answers += 1
        return packet
