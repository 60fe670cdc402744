"""Words between a session and its transport: a request, what it is for, and an order. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

from vpp_gateway.domain.instruction import InstructionId
from vpp_gateway.southbound.modbus.point import Table


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


ORDERING = (Purpose.ENABLE, Purpose.SETPOINT, Purpose.RELEASE)
"""With the answer to one of these the writes of an order are done."""


@dataclass(frozen=True, slots=True)
class Read:
    """Read registers: holding (FC3) or input (FC4)."""

    purpose: Purpose
    address: int
    count: int
    table: Table = "holding"

    def words(self) -> str:
        """For people."""
        return f"reading {self.count} registers at {self.address} ({self.purpose.name.lower()})"


@dataclass(frozen=True, slots=True)
class Write:
    """Write registers: several (FC16) or a single one (FC6)."""

    purpose: Purpose
    address: int
    registers: tuple[int, ...]
    function: Literal[6, 16] = 16

    def words(self) -> str:
        """For people."""
        return f"writing {len(self.registers)} registers at {self.address} ({self.purpose.name.lower()})"


Request = Read | Write


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOrder:
    """What the site agent wants of one battery now; absolute."""

    epoch: int
    seq: int
    discharge_w: float
    deadline_at: float
    """UTC (Unix s) after which nobody may begin to carry it out, nor assert it anew after a reconnect.

    Once confirmed it is held until replaced, also past this moment, as long as the connection stands.
    """
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
