"""What can be wrong with a simulated device, switchable while it runs.

Where a fault acts: `wire` on the bytes of an answer, `answer` on the request, `measure` on what the registers show,
`command` on what becomes of an order, `failsafe` on falling back, `state` on the device as a whole. A device of a profile
knows all of them, the two built by hand (`sim.battery`, `sim.meter`) those that they are asked for.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from pymodbus.constants import ExcCodes

Where = Literal["wire", "answer", "measure", "command", "failsafe", "state"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault."""

    where: Where
    words: str
    value: str = ""
    """What its value is; empty = it has none."""


FAULTS: Final[Mapping[str, Fault]] = {
    # --- wire
    "silent": Fault("wire", "no answer, nothing is carried out"),
    "mute": Fault("wire", "carried out, but no answer"),
    "garbage": Fault("wire", "an answer of random content"),
    "truncated": Fault("wire", "the end of the answer is missing"),
    "foreign": Fault("wire", "the answer is not Modbus but HTTP"),
    "wrong_transaction": Fault("wire", "an answer to another request"),
    "wrong_unit": Fault("wire", "an answer of another unit"),
    "wrong_function": Fault("wire", "an answer to another function"),
    "short_count": Fault("wire", "one register less than was asked for"),
    "wrong_length": Fault("wire", "a length that the answer does not have"),
    "twice": Fault("wire", "every answer comes twice"),
    # --- answer
    "hang": Fault("answer", "held back; carried out (late) and answered when healed"),
    "exception": Fault("answer", "every request is answered with an exception", "code"),
    "exception_on_read": Fault("answer", "every read is answered with an exception", "code"),
    "exception_on_write": Fault("answer", "every write is answered with an exception", "code"),
    "busy": Fault("answer", "every second request is answered with exception 6, busy"),
    "delay": Fault("answer", "every answer takes this long", "ms"),
    "delay_on_write": Fault("answer", "every answer to a write takes this long", "ms"),
    # --- measure
    "nan": Fault("measure", "measurements read 'no value'"),
    "frozen": Fault("measure", "the power stands still"),
    "frozen_soc": Fault("measure", "the state of charge stands still"),
    "soc_jump": Fault("measure", "the state of charge is off by this much", "%"),
    "soc_beyond": Fault("measure", "the state of charge reads 120 %"),
    "sign_flipped": Fault("measure", "the power has the wrong sign"),
    "wrong_scale": Fault("measure", "the power is multiplied by this", "factor"),
    "swapped_words": Fault("measure", "the words of long values are swapped"),
    "swapped_bytes": Fault("measure", "the bytes of every register are swapped"),
    "offset": Fault("measure", "the power is off by this much", "W"),
    "zero": Fault("measure", "the power reads 0"),
    "spikes": Fault("measure", "every fifth power is a hundred times too large"),
    "stale": Fault("measure", "measurements are renewed only so often", "s"),
    # --- command
    "ignore": Fault("command", "writes are acknowledged and dropped"),
    "clip": Fault("command", "setpoints are cut to +- this", "W"),
    "paper": Fault("command", "setpoints read back as written, the power does not follow"),
    "inverted": Fault("command", "discharges when it is to charge, and the other way round"),
    "half": Fault("command", "gives half of what was asked"),
    "late": Fault("command", "carries orders out after so long", "s"),
    "adds": Fault("command", "each setpoint is added to the one before"),
    "forgets": Fault("command", "goes back to its own control after so long, whatever it is told", "s"),
    "overrides": Fault("command", "its own control writes another setpoint over ours"),
    "never_enables": Fault("command", "takes the setpoint but not the enabling"),
    "local": Fault("command", "switched to local control at the device, writes are dropped"),
    # --- failsafe
    "dead_timer": Fault("failsafe", "the reversion timer never starts"),
    "frozen_timer": Fault("failsafe", "the countdown stands still, no reversion"),
    "never_revert": Fault("failsafe", "counts down, and holds the setpoint all the same"),
    "slow_revert": Fault("failsafe", "falls back only after so many times the timer", "times"),
    "early_revert": Fault("failsafe", "falls back after so long, refreshed or not", "s"),
    "reverts_elsewhere": Fault("failsafe", "falls back to this discharge power instead", "W"),
    "deaf_to_heartbeat": Fault("failsafe", "does not miss the heartbeat"),
    "deaf_to_refresh": Fault("failsafe", "a refresh does not restart the timer"),
    # --- state
    "stopped": Fault("state", "the inverter is off"),
    "alarm": Fault("state", "an alarm stands"),
    "stranger": Fault("state", "says that it is another product"),
    "reboot": Fault("state", "silent for so long, then free again", "s"),
}


def known(name: str, allowed: frozenset[str]) -> str:
    """`name`, when a device can have this fault. Raises ValueError otherwise."""
    if name not in allowed:
        raise ValueError(f"no fault {name!r} of this device; allowed: {', '.join(sorted(allowed))}")
    return name


class Faults:
    """The faults of one device.

    Args:
        delay_ms: how long an answer takes in good health.
    """

    def __init__(self, delay_ms: float = 0.0) -> None:
        self._delay_ms = delay_ms
        self._active: dict[str, float] = {}
        self._requests = 0
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
        if (value is None) == bool(FAULTS[name].value):
            raise ValueError(f"fault {name!r} takes {'a' if FAULTS[name].value else 'no'} value")
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

    async def gate(self, *, writing: bool = False) -> ExcCodes | None:
        """Let one request through: waits, or says with which exception to answer it instead."""
        active = self._active
        if not active and not self._delay_ms:
            return None
        self._requests += 1
        delay_ms = active.get("delay", self._delay_ms)
        if writing:
            delay_ms = active.get("delay_on_write", delay_ms)
        if delay_ms:
            await asyncio.sleep(delay_ms / 1000)
        if "hang" in active:
            await self._thawed.wait()
        if "silent" in active or "reboot" in active:
            return ExcCodes.DEVICE_FAILURE  # never sent: see packet()
        if "busy" in active and self._requests % 2:
            return ExcCodes.DEVICE_BUSY
        code = active.get("exception", active.get("exception_on_write" if writing else "exception_on_read"))
        return None if code is None else ExcCodes(int(code))

    def packet(self, sending: bool, packet: bytes) -> bytes:
        """Hook of the server for each packet: swallows, spoils or doubles the answers of a device that does so."""
        if not sending:
            return packet
        if self._active.keys() & {"silent", "mute", "reboot"}:
            return b""
        self.answers += 1
        for name, spoil in _SPOILT.items():
            if name in self._active:
                packet = spoil(packet)
        return packet


# --- spoilt answers: MBAP is transaction (2), protocol (2), length (2), unit (1), then function and content ----------


def _garbage(packet: bytes) -> bytes:
    return bytes((index * 151 + 90) & 0xFF for index in range(len(packet)))


def _header(packet: bytes, **changes: int) -> bytes:
    names = ("transaction", "protocol", "length", "unit")
    fields = dict(zip(names, struct.unpack(">HHHB", packet[:7]), strict=True))
    fields |= {name: fields[name] + by & (0xFF if name == "unit" else 0xFFFF) for name, by in changes.items()}
    return struct.pack(">HHHB", *fields.values()) + packet[7:]


def _short(packet: bytes) -> bytes:
    """A read answers one register less; the frame itself is in order."""
    if len(packet) < 12 or packet[7] not in (3, 4):
        return packet
    shorter = packet[:8] + bytes([packet[8] - 2]) + packet[9:-2]
    return _header(shorter, length=-2)


_SPOILT: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "garbage": _garbage,
    "truncated": lambda packet: packet[:-3],
    "foreign": lambda packet: b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    "wrong_transaction": lambda packet: _header(packet, transaction=1),
    "wrong_unit": lambda packet: _header(packet, unit=1),
    "wrong_function": lambda packet: packet[:7] + bytes([packet[7] ^ 0x20]) + packet[8:],
    "short_count": _short,
    "wrong_length": lambda packet: _header(packet, length=40),
    "twice": lambda packet: packet + packet,
}
