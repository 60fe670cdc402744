"""Words between a session and its transport: a request, what it is for, and an order. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from vpp_gateway.domain.instruction import InstructionId


class Purpose(Enum):
    """Why a request was made; the answer is judged by it."""

    SCAN = auto()
    CHECK = auto()
    CONFIGURE = auto()
    ENABLE = auto()
    SETPOINT = auto()
    READBACK = auto()
    RELEASE = auto()
    FAST = auto()
    SLOW = auto()
    HEARTBEAT = auto()
    REFRESH = auto()


@dataclass(frozen=True, slots=True)
class Read:
    """Read holding registers (FC3)."""

    purpose: Purpose
    address: int
    count: int


@dataclass(frozen=True, slots=True)
class Write:
    """Write multiple registers (FC16)."""

    purpose: Purpose
    address: int
    registers: tuple[int, ...]


Request = Read | Write


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOrder:
    """What the site agent wants of one battery now; absolute."""

    epoch: int
    seq: int
    discharge_w: float
    deadline_at: float
    """UTC (Unix s) after which nobody may begin to carry it out. Once confirmed it is held until replaced."""
    instruction: InstructionId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The nested periods of one battery, seconds: heartbeat < refresh <= reversion / 2."""

    heartbeat_s: float = 1.0
    """How often the agent calls `cycle`."""
    refresh_s: float = 5.0
    """How often the reversion timer is restarted."""
    reversion_s: float = 30.0
    """After how long without refresh the device falls back by itself."""


EXCEPTIONS = {
    1: "illegal function",
    2: "illegal address",
    3: "illegal value",
    4: "device failure",
    5: "acknowledged, still working",
    6: "busy",
    7: "negative acknowledge",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway: no response",
}
"""Exception codes of the Modbus application protocol v1.1b3, section 7."""


def exception_words(code: int) -> str:
    """An exception code for people."""
    return f"exception {code} ({EXCEPTIONS.get(code, 'unknown')})"
