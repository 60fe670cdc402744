"""The requests that one wish of the agent comes to, in order: writes, then the reads that prove them. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Literal

from vpp_gateway.southbound.modbus.layout import ReadPlan, Written
from vpp_gateway.southbound.modbus.wire import Purpose, Read, Request, Write


class Script:
    """What is still to be asked of it.

    Args:
        function: Modbus function that writes to this device.
    """

    def __init__(self, function: Literal[6, 16]) -> None:
        self._function: Literal[6, 16] = function
        self._steps: deque[tuple[Request, ReadPlan | None]] = deque()

    def __bool__(self) -> bool:
        return bool(self._steps)

    def begin(self, writes: Iterable[tuple[Purpose, Written]], proof: Iterable[ReadPlan] = ()) -> None:
        """Forget what was to be asked; ask this."""
        self._steps.clear()
        self._steps.extend((self.write(purpose, part), None) for purpose, part in writes)
        self._steps.extend((read(Purpose.READBACK, plan), plan) for plan in proof)

    def write(self, purpose: Purpose, part: Written) -> Write:
        """One write as this device wants it."""
        return Write(purpose, part.address, part.registers, self._function)

    def next(self) -> tuple[Request, ReadPlan | None]:
        """The next request, and what is in its answer."""
        return self._steps.popleft()

    def holds(self, purpose: Purpose) -> bool:
        """A request of this purpose is still to be asked."""
        return any(request.purpose is purpose for request, _ in self._steps)

    def clear(self) -> None:
        """Nothing more is to be asked."""
        self._steps.clear()


def read(purpose: Purpose, plan: ReadPlan) -> Read:
    """One planned read."""
    return Read(purpose, plan.block.address, plan.block.count, plan.block.table)
