"""The shells of this room: one task owns one connection, drives a pure session, and never blocks its callers.

run()    connect -> drive the session until a request fails -> reset -> wait 0.1 s, doubling to 1 s -> connect
cycle()  the agent's heartbeat: one reading, heartbeat and refresh; returns when done or at its deadline
order()  wakes the task at once; an order waits for at most one request that is under way
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from vpp_gateway.clock import Clock, Rng
from vpp_gateway.domain.fact import Outcome
from vpp_gateway.domain.fleet import Battery
from vpp_gateway.domain.instruction import DeviceId
from vpp_gateway.domain.reading import BatteryReading, DeviceHealth, MeterReading
from vpp_gateway.errors import DeviceError, Unreachable
from vpp_gateway.southbound.modbus.meter import MeterSession
from vpp_gateway.southbound.modbus.profile import DeviceProfile
from vpp_gateway.southbound.modbus.session import BatterySession
from vpp_gateway.southbound.modbus.states import State
from vpp_gateway.southbound.modbus.tables import tables_of
from vpp_gateway.southbound.modbus.transport import Address, Bus, Transport, quiet_pymodbus
from vpp_gateway.southbound.modbus.wire import DeviceOrder, Read, Request, Timing

FIRST_RETRY_S = 0.1
LAST_RETRY_S = 1.0

__all__ = ["Address", "BatteryClient", "Bus", "DeviceOrder", "MeterClient", "Timing"]


class _Session(Protocol):
    """What the driver needs of a session; `now` is UTC (Unix s)."""

    def connected(self, now: float) -> None: ...
    def lost(self, error: DeviceError, now: float) -> None: ...
    def cycle(self, now: float, *, only_look: bool = False) -> None: ...
    def next(self, now: float) -> Request | None: ...
    def receive(self, registers: Sequence[int], now: float) -> None: ...
    def refused(self, code: int, now: float) -> None: ...


class _Driver:
    """Carries a session's requests over a transport that it reopens as long as it runs."""

    def __init__(
        self,
        session: _Session,
        line: Bus | Address,
        profile: DeviceProfile,
        clock: Clock,
        rng: Rng,
        after_answer: Callable[[], None],
    ) -> None:
        self._session = session
        self._clock = clock
        self._rng = rng
        self._after_answer = after_answer
        self._transport = Transport(
            line, unit=profile.unit, timeout_s=profile.timeout_s, pause_s=profile.pause_s, on_lost=self.wake
        )
        self._retry_s = FIRST_RETRY_S
        self._woken = asyncio.Event()
        self._idle: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """There may be something to ask."""
        self._woken.set()

    async def run(self) -> None:
        """Serve until cancelled."""
        quiet_pymodbus()
        self._retry_s = FIRST_RETRY_S
        try:
            while True:
                try:
                    await self._transport.open()
                    self._session.connected(self._clock.utc())
                    await self._drive()
                except DeviceError as error:
                    self._transport.give_up()
                    self._session.lost(error, self._clock.utc())
                _heed_cancellation()
                self._after_answer()
                self._finish_cycle()
                await asyncio.sleep(self._retry_s * self._rng.uniform(0.8, 1.2))
                self._retry_s = min(2 * self._retry_s, LAST_RETRY_S)
        finally:
            self._transport.kill()
            self._finish_cycle()

    async def _drive(self) -> None:
        session, transport, clock = self._session, self._transport, self._clock
        while True:
            _heed_cancellation()
            request = session.next(clock.utc())
            if request is None:
                self._retry_s = FIRST_RETRY_S  # all was answered: the connection is good
                self._after_answer()
                self._finish_cycle()
                await self._woken.wait()
                self._woken.clear()
                if not transport.up:
                    raise Unreachable("the device closed the connection")
                continue
            if isinstance(request, Read):
                answer = await transport.read(request.address, request.count, request.table)
            else:
                answer = await transport.write(request.address, request.registers, request.function)
            if answer.exception:
                session.refused(answer.exception, clock.utc())
            else:
                session.receive(answer.registers, clock.utc())
            self._after_answer()

    def _finish_cycle(self) -> None:
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)
        self._idle = None

    async def cycle(self, deadline_s: float, *, only_look: bool = False) -> None:
        """Ask for one reading; return when all was answered, or after `deadline_s`, or at once while down."""
        if not self._transport.up:
            return
        self._session.cycle(self._clock.utc(), only_look=only_look)
        if self._idle is None:
            self._idle = asyncio.get_running_loop().create_future()
        self._woken.set()
        await asyncio.wait((self._idle,), timeout=deadline_s)


def _heed_cancellation() -> None:
    """`asyncio.wait_for`, which pymodbus waits with, loses a cancellation that meets the answer (before Python 3.12)."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class BatteryClient:
    """One battery on the wire, for its site agent."""

    def __init__(
        self,
        *,
        battery: Battery,
        address: Bus | Address,
        profile: DeviceProfile,
        timing: Timing,
        clock: Clock,
        rng: Rng,
        on_outcome: Callable[[Outcome], None],
    ) -> None:
        """
        Args:
            battery: nameplate and operating window.
            address: where it listens, or the bus that it shares with others.
            profile: of kind battery.
            timing: heartbeat, refresh and reversion.
            clock: the shell's clock.
            rng: for the jitter of reconnecting.
            on_outcome: told what became of each order, inside this client's task or inside order(); must not
                block.
        """
        self._session = BatterySession(battery, profile, tables_of(profile), timing)
        self._clock = clock
        self._on_outcome = on_outcome
        self._driver = _Driver(self._session, address, profile, clock, rng, self._tell)

    async def run(self) -> None:
        """Own the connection until cancelled. Cancelling releases nothing: order(None) and wait for that."""
        await self._driver.run()

    async def cycle(self, deadline_s: float) -> None:
        """One reading, one heartbeat, the refresh if due; returns when done or after `deadline_s`.

        The reversion timer is refreshed only from here: an agent that stops calling lets the battery fall back.
        """
        await self._driver.cycle(deadline_s)

    async def look(self, deadline_s: float) -> None:
        """One reading of the power, in between two cycles; neither heartbeat nor refresh."""
        await self._driver.cycle(deadline_s, only_look=True)

    def order(self, order: DeviceOrder | None) -> None:
        """Want `order` from now on, None = release to local control. The latest wins; wakes the writer at once."""
        self._session.order(order, self._clock.utc())
        self._tell()
        self._driver.wake()

    def arm(self) -> None:
        """Have a setpoint of 0 W enabled ahead of an event, so that an order is a single write."""
        self._session.arm()
        self._driver.wake()

    @property
    def state(self) -> State:
        """What is known of the device's setpoint."""
        return self._session.state

    @property
    def reading(self) -> BatteryReading | None:
        """The last good reading, with its age in `at`; count on it only while `health` is good."""
        return self._session.reading

    @property
    def health(self) -> DeviceHealth:
        """Whether the battery can be counted on, and why not."""
        return self._session.health(self._clock.utc())

    def _tell(self) -> None:
        self._session.expire(self._clock.utc())
        for outcome in self._session.outcomes():
            self._on_outcome(outcome)


class MeterClient:
    """One meter on the wire."""

    def __init__(
        self,
        *,
        device: DeviceId,
        address: Bus | Address,
        profile: DeviceProfile,
        timing: Timing,
        clock: Clock,
        rng: Rng,
        bound_w: float,
    ) -> None:
        """
        Args:
            device: the meter's name.
            address: where it listens, or the bus that it shares with others.
            profile: of kind meter.
            timing: only the heartbeat counts.
            clock: the shell's clock.
            rng: for the jitter of reconnecting.
            bound_w: largest |import_w| that can be true at this grid connection point.
        """
        self._clock = clock
        self._session = MeterSession(
            device, profile, tables_of(profile), bound_w=bound_w, heartbeat_s=timing.heartbeat_s
        )
        self._driver = _Driver(self._session, address, profile, clock, rng, lambda: None)

    async def run(self) -> None:
        """Own the connection until cancelled."""
        await self._driver.run()

    async def cycle(self, deadline_s: float) -> None:
        """One reading; returns when done or after `deadline_s`."""
        await self._driver.cycle(deadline_s)

    @property
    def reading(self) -> MeterReading | None:
        """The last good reading."""
        return self._session.reading

    @property
    def health(self) -> DeviceHealth:
        """Whether the meter can be counted on, and why not."""
        return self._session.health(self._clock.utc())
