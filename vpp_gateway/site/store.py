"""The site agent's own small memory: highest epoch obeyed, schedule held, shift orders that stand.

One JSON file, replaced atomically. It is synced to disk when the epoch, the instructions or the open orders change;
a mere correction of a setpoint is written at most every `VALUE_EVERY_S`: after a restart the agent corrects it from
the centre within a second, or holds the older value if the centre is away.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from vpp_gateway.domain.order import OrderId, ShiftOrder, ShiftState, ShiftVerb, SiteSchedule
from vpp_gateway.errors import JournalError

VALUE_EVERY_S = 10.0
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What survives a restart of the agent."""

    version: int = VERSION
    highest_epoch: int = 0
    schedule: SiteSchedule | None = None
    orders: tuple[ShiftOrder, ...] = ()


_MEMORY: TypeAdapter[Memory] = TypeAdapter(Memory)


@dataclass(slots=True)
class AgentStore:
    """Keeps one `Memory` in one file.

    Args:
        path: The file; its folder must exist.
    """

    path: Path
    memory: Memory = field(default_factory=Memory)
    trouble: str = ""
    """Why the last write failed, in words; empty when it did not."""
    _written_at: float = float("-inf")

    def load(self) -> None:
        """Read the file; a missing one is an empty memory.

        Raises:
            JournalError: the file cannot be read as a memory; the agent must not guess what it held.
        """
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return
        try:
            self.memory = _MEMORY.validate_json(raw)
        except ValidationError as error:
            raise JournalError(
                f"{self.path}: not an agent memory of version {VERSION}: {error.errors()[0]['msg']}; "
                "move it away to start without a held schedule"
            ) from error

    def hold(self, schedule: SiteSchedule, now: float) -> None:
        """Remember a schedule; `now` is monotonic seconds."""
        old = self.memory.schedule
        same_shape = old is not None and _shape(old) == _shape(schedule)
        self.memory = Memory(
            highest_epoch=max(self.memory.highest_epoch, schedule.epoch),
            schedule=schedule,
            orders=self.memory.orders,
        )
        if not same_shape or now >= self._written_at + VALUE_EVERY_S:
            self._write(now)

    def order(self, order: ShiftOrder, now: float) -> None:
        """Remember an order to a plug-in."""
        others = tuple(o for o in self.memory.orders if o.id != order.id)
        self._keep_orders((*others, order), now)

    def settle(self, id: OrderId, state: ShiftState, now: float) -> None:
        """Forget an order that is over."""
        if state in (ShiftState.RETURNED, ShiftState.FAILED):
            left = tuple(o for o in self.memory.orders if o.id != id)
            if len(left) != len(self.memory.orders):
                self._keep_orders(left, now)

    def open_orders(self) -> tuple[ShiftOrder, ...]:
        """Orders that stand, for the plug-ins' `recover`."""
        return tuple(o for o in self.memory.orders if o.verb is not ShiftVerb.ROLLBACK)

    def _keep_orders(self, orders: tuple[ShiftOrder, ...], now: float) -> None:
        self.memory = Memory(
            highest_epoch=max([self.memory.highest_epoch, *(o.fence for o in orders)]),
            schedule=self.memory.schedule,
            orders=orders,
        )
        self._write(now)

    def _write(self, now: float) -> None:
        """Replace the file; a full disk is remembered as trouble, the agent goes on from memory."""
        draft = self.path.with_suffix(".new")
        try:
            with draft.open("wb") as file:
                file.write(_MEMORY.dump_json(self.memory))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except OSError as error:
            self.trouble = f"{self.path}: {error.strerror or error}; the schedule is held in memory only"
            return
        self.trouble, self._written_at = "", now


def _shape(schedule: SiteSchedule) -> tuple[object, ...]:
    return (
        schedule.epoch,
        *((s.device, s.start_at, s.end_at, s.instruction, s.modification) for s in schedule.steps),
    )
