"""Batteries and meters over real sockets: what the wire does to orders, and what the device does without us."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tests.unit.modbus_playbook import BATTERY, battery_profile, profile
from vpp_gateway.clock import SeededRng, SystemClock
from vpp_gateway.domain.fact import Lost, Obeyed, Outcome, Refused
from vpp_gateway.domain.instruction import DeviceId
from vpp_gateway.domain.reading import Health
from vpp_gateway.errors import MisuseError, Unreachable
from vpp_gateway.sim.battery import SimBattery
from vpp_gateway.sim.field import BatterySpec, FieldSpec, MeterSpec, SimField, SiteSpec
from vpp_gateway.southbound.modbus.client import Address, BatteryClient, MeterClient
from vpp_gateway.southbound.modbus.states import State
from vpp_gateway.southbound.modbus.transport import USER_TIMEOUT_MS, Transport
from vpp_gateway.southbound.modbus.wire import DeviceOrder, Timing

WITHIN_S = 10.0
FAST = Timing(heartbeat_s=0.1, refresh_s=0.4, reversion_s=2.0)
WSET, ENABLE = 40301, 40299


class Bench:
    """One battery and one meter of one site, with their clients running."""

    def __init__(self, field: SimField, timing: Timing, setpoint: dict[str, object]) -> None:
        self.clock = SystemClock()
        self.field = field
        self.device: SimBattery = field.batteries["b1"]
        self.told: list[Outcome] = []
        self.battery = BatteryClient(
            battery=BATTERY,
            address=Address(*field.address("b1")),
            profile=battery_profile(setpoint, timeout_s=0.3),
            timing=timing,
            clock=self.clock,
            rng=SeededRng(1),
            on_outcome=self.told.append,
        )
        self.meter = MeterClient(
            device=DeviceId("m1"),
            address=Address(*field.address("m1")),
            profile=profile("sunspec-meter"),
            timing=timing,
            clock=self.clock,
            rng=SeededRng(2),
            bound_w=1e7,
        )
        self.seq = 0

    def order(self, w: float, *, for_s: float = 60.0) -> None:
        self.seq += 1
        at = self.clock.utc() + for_s
        self.battery.order(DeviceOrder(epoch=1, seq=self.seq, discharge_w=w, deadline_at=at))

    async def until(self, met: Callable[[], bool], what: str, *, cycling: bool = True) -> None:
        """Wait, calling the agent's heartbeat ten times a second; fails by name."""
        try:
            async with asyncio.timeout(WITHIN_S):
                while not met():
                    if cycling:
                        await asyncio.gather(self.battery.cycle(0.4), self.meter.cycle(0.4))
                    await asyncio.sleep(0.1 if cycling else 0.01)
        except TimeoutError:
            pytest.fail(
                f"not within {WITHIN_S:g} s: {what}; {self.battery.state}, {self.battery.health}, {self.told}"
            )

    async def become(self, state: State) -> None:
        await self.until(lambda: self.battery.state is state, f"state {state}", cycling=False)

    def discharges(self) -> bool:
        """The device really delivers."""
        return self.device.discharge_w(self.clock.utc()) > 1e3

    def written(self) -> list[tuple[int, tuple[int, ...]]]:
        return [(entry.address, entry.values) for entry in self.device.log]


@asynccontextmanager
async def bench(
    timing: Timing = FAST,
    *,
    setpoint: dict[str, object] | None = None,
    heartbeat_timeout_s: float | None = None,
    running: bool = True,
) -> AsyncIterator[Bench]:
    battery = BatterySpec(
        id="b1",
        discharge_max_w=1e6,
        charge_max_w=8e5,
        energy_wh=2e6,
        ramp_w_per_s=1e8,
        heartbeat_timeout_s=heartbeat_timeout_s,
    )
    spec = FieldSpec(
        seed=1, sites=(SiteSpec(id="tokyo", load_w=2e6, meter=MeterSpec(id="m1"), batteries=(battery,)),)
    )
    async with SimField(spec, clock=SystemClock()) as field:
        made = Bench(field, timing, setpoint or {})
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(client.run()) for client in (made.battery, made.meter) if running]
            try:
                if running:
                    await made.become(State.FREE)
                yield made
            finally:
                for task in tasks:
                    task.cancel()


def on_the_wire(story: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Run an async test on a real loop."""

    def run() -> None:
        asyncio.run(_awaited(story))

    run.__name__ = story.__name__  # type: ignore[attr-defined]
    return run


async def _awaited(story: Callable[[], Awaitable[None]]) -> None:
    await story()


# --- the good case -------------------------------------------------------------------------------------------


@on_the_wire
async def test_an_armed_battery_takes_a_setpoint_and_the_meter_feels_it() -> None:
    async with bench() as site:
        site.battery.arm()
        await site.become(State.ARMED)
        site.order(5e5)
        await site.until(lambda: bool(site.told), "an outcome")
        (told,) = site.told
        assert isinstance(told, Obeyed)
        assert told.discharge_w == 5e5
        assert told.acknowledged_at <= told.confirmed_at
        assert (WSET, (0x0007, 0xA120)) in site.written()
        await site.until(lambda: getattr(site.battery.reading, "discharge_w", 0) == 5e5, "the power")
        await site.until(lambda: getattr(site.meter.reading, "import_w", 0) < 1.51e6, "the meter")
        assert site.meter.reading is not None
        assert site.meter.reading.import_w == pytest.approx(1.5e6, rel=0.002)
        assert (site.battery.health.health, site.meter.health.health) == (Health.GOOD, Health.GOOD)
        site.battery.order(None)
        await site.become(State.FREE)
        assert site.device.enabled is False


@on_the_wire
async def test_the_refresh_keeps_it_alive_and_without_it_the_device_falls_back_by_itself() -> None:
    async with bench() as site:
        site.order(5e5)
        await site.become(State.HOLDING)
        begun = site.clock.utc()
        await site.until(lambda: site.clock.utc() - begun > 1.5 * FAST.reversion_s, "the time to pass")
        assert site.device.reversions == []
        assert site.battery.health.health is Health.GOOD
        stopped = site.clock.utc()
        await site.until(lambda: not site.discharges(), "the fall-back", cycling=False)
        (fell_back_at,) = site.device.reversions
        assert fell_back_at - stopped <= FAST.reversion_s + 0.1


@on_the_wire
async def test_a_device_that_minds_the_heartbeat_falls_back_when_it_stops() -> None:
    async with bench(
        Timing(heartbeat_s=0.1, refresh_s=5.0, reversion_s=60.0), heartbeat_timeout_s=0.6
    ) as site:
        site.order(5e5)
        await site.become(State.HOLDING)
        begun = site.clock.utc()
        await site.until(lambda: site.clock.utc() - begun > 1.0, "the time to pass")
        assert site.discharges()
        assert site.device.heartbeats >= 5
        await site.until(lambda: not site.discharges(), "the fall-back", cycling=False)


# --- devices that say no, or nothing -------------------------------------------------------------------------


@on_the_wire
async def test_a_device_that_accepts_and_ignores_is_refused() -> None:
    async with bench() as site:
        site.battery.arm()
        await site.become(State.ARMED)
        site.device.fault("ignore")
        site.order(5e5)
        await site.until(lambda: bool(site.told), "an outcome", cycling=False)
        (told,) = site.told
        assert isinstance(told, Refused)
        assert told.reason == "704.WSet reads back 0, expected 500000"
        assert site.battery.health.health is Health.REFUSING
        assert not site.discharges()


@on_the_wire
async def test_a_device_that_clips_is_refused_with_what_it_holds() -> None:
    async with bench() as site:
        site.device.fault("clip", 2e5)
        site.order(5e5)
        await site.until(lambda: bool(site.told), "an outcome", cycling=False)
        assert getattr(site.told[0], "reason", "") == "704.WSet reads back 200000, expected 500000"


@on_the_wire
async def test_an_exception_is_refused_by_its_name() -> None:
    async with bench() as site:
        site.battery.arm()
        await site.become(State.ARMED)
        site.device.fault("exception", 4)
        site.order(5e5)
        await site.until(lambda: bool(site.told), "an outcome", cycling=False)
        (told,) = site.told
        assert isinstance(told, Refused)
        assert told.reason == "writing 2 registers at 40301 (setpoint): exception 4 (device failure)"


@on_the_wire
async def test_not_implemented_measurements_are_implausible() -> None:
    async with bench() as site:
        await site.until(lambda: site.battery.reading is not None, "a reading")
        before = site.battery.reading
        site.device.fault("nan")
        site.field.meters["m1"].fault("nan")
        await site.until(lambda: site.battery.health.health is Health.IMPLAUSIBLE, "the doubt")
        await site.until(lambda: site.meter.health.health is Health.IMPLAUSIBLE, "the doubt about the meter")
        assert site.battery.health.reason.startswith("power, W, reads 'not implemented'")
        assert before is not None
        assert site.battery.reading is not None
        assert site.battery.reading.discharge_w == before.discharge_w


@pytest.mark.parametrize("fault", ["dead_timer", "frozen_timer", "never_revert"])
def test_a_lying_timer(fault: str) -> None:
    async def story() -> None:
        async with bench(Timing(heartbeat_s=0.1, refresh_s=4.0, reversion_s=8.0)) as site:
            site.device.fault(fault)
            site.order(5e5)
            if fault == "dead_timer":
                await site.until(lambda: bool(site.told), "an outcome", cycling=False)
                assert getattr(site.told[0], "reason", "") == "the reversion timer does not run"
                await site.become(State.FREE)
                assert not site.discharges()
            elif fault == "frozen_timer":
                await site.become(State.HOLDING)
                await site.until(lambda: "stands still" in site.battery.health.reason, "the finding")
            else:  # only the commissioning test can find this one: it counts as it should
                await site.become(State.HOLDING)
                assert site.battery.health.reason in ("", "no reading yet")

    asyncio.run(story())


# --- losing and finding --------------------------------------------------------------------------------------


@on_the_wire
async def test_a_silent_device_is_lost_in_time_and_its_connection_is_reset() -> None:
    async with bench() as site:
        site.battery.arm()
        await site.become(State.ARMED)
        server = site.field._servers["b1"]
        (old,) = server.active_connections.values()
        site.device.fault("silent")
        begun = site.clock.utc()
        site.order(5e5)
        await site.until(lambda: bool(site.told), "an outcome", cycling=False)
        (told,) = site.told
        assert isinstance(told, Lost)
        assert told.at - begun <= 1.0
        assert site.battery.health.health is Health.LOST
        await site.until(lambda: old not in server.active_connections.values(), "the reset", cycling=False)
        site.device.heal()
        healed = site.clock.utc()
        await site.until(lambda: isinstance(site.told[-1], Obeyed), "the re-assertion", cycling=False)
        assert site.clock.utc() - healed <= 1.5
        assert site.discharges()


@on_the_wire
async def test_a_dead_device_comes_back_and_is_asserted_first() -> None:
    async with bench() as site:
        site.order(5e5)
        await site.become(State.HOLDING)
        await site.field.kill("b1")
        await site.become(State.DOWN)
        assert site.battery.health.health is Health.LOST
        site.device.log.clear()
        await site.field.revive("b1")
        revived = site.clock.utc()
        await site.become(State.HOLDING)
        assert site.clock.utc() - revived <= 1.5
        assert [address for address, _ in site.written()] == [40300, ENABLE]


@on_the_wire
async def test_a_write_that_a_hanging_device_executes_late_is_overwritten_at_once() -> None:
    async with bench() as site:
        site.battery.arm()
        await site.become(State.ARMED)
        site.device.fault("hang")
        site.order(5e5)
        await site.until(lambda: bool(site.told), "an outcome", cycling=False)
        assert isinstance(site.told[0], Lost)
        site.battery.order(None)
        site.device.heal()
        await site.become(State.FREE)
        assert (WSET, (0x0007, 0xA120)) in site.written(), "the late write did come"
        assert site.device.enabled is False
        await site.until(lambda: not site.discharges(), "the end of the late setpoint", cycling=False)


@on_the_wire
async def test_an_order_whose_deadline_passes_during_the_outage_is_never_written() -> None:
    async with bench() as site:
        site.battery.arm()
        await site.become(State.ARMED)
        await site.field.kill("b1")
        await site.become(State.DOWN)
        site.device.log.clear()
        site.order(5e5, for_s=0.2)
        await site.until(lambda: bool(site.told), "an outcome", cycling=False)
        assert isinstance(site.told[0], Refused)
        await site.field.revive("b1")
        await site.become(State.FREE)
        assert site.written() == [(ENABLE, (0,))]


@on_the_wire
async def test_a_cycle_ends_at_its_deadline_with_a_silent_device() -> None:
    async with bench() as site:
        site.device.fault("delay", 200)
        begun = asyncio.get_running_loop().time()
        await site.battery.cycle(0.1)
        assert asyncio.get_running_loop().time() - begun < 0.19


# --- the transport -------------------------------------------------------------------------------------------


class Peer:
    """A plain TCP server that reads what comes and keeps it, without ever answering."""

    def __init__(self) -> None:
        self.received = b""
        self.ended = asyncio.Event()
        self.end: type[Exception] | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(1000):
                self.received += chunk
        except ConnectionError as error:
            self.end = type(error)
        finally:
            writer.close()
            self.ended.set()


@asynccontextmanager
async def transport(timeout_s: float) -> AsyncIterator[tuple[Transport, Peer]]:
    peer = Peer()
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    address = Address(*server.sockets[0].getsockname()[:2])
    made = Transport(address, unit=1, timeout_s=timeout_s, on_lost=lambda: None)
    try:
        await made.open()
        yield made, peer
    finally:
        made.kill()
        server.close()
        await server.wait_closed()


@on_the_wire
async def test_a_timed_out_write_resets_the_connection() -> None:
    async with transport(0.1) as (made, peer):
        with pytest.raises(Unreachable, match=r"no answer within 0\.1 s"):
            await made.write(40301, [7, 0xA120])
        async with asyncio.timeout(WITHIN_S):
            await peer.ended.wait()
        assert peer.end is ConnectionResetError, "a graceful close would have delivered what is queued"
        assert not made.up
        with pytest.raises(Unreachable, match="not connected"):
            await made.write(40301, [0, 0])


@on_the_wire
async def test_a_cancelled_write_resets_the_connection() -> None:
    async with transport(1.0) as (made, peer):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await made.write(40301, [7, 0xA120])
        async with asyncio.timeout(WITHIN_S):
            await peer.ended.wait()
        assert peer.end is ConnectionResetError
        assert len(peer.received) == 17


@on_the_wire
async def test_the_kernel_is_told_to_give_up_on_unacknowledged_data() -> None:
    async with transport(0.1) as (made, _):
        client = made._bus._client
        assert client is not None
        sock = client.ctx.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == USER_TIMEOUT_MS


@on_the_wire
async def test_more_than_a_request_can_carry_is_not_sent() -> None:
    async with transport(0.1) as (made, peer):
        with pytest.raises(MisuseError, match=r"124 registers; 1\.\.123"):
            await made.write(0, [0] * 124)
        with pytest.raises(MisuseError, match=r"126 registers; 1\.\.125"):
            await made.read(0, 126)
        with pytest.raises(MisuseError, match="not register values"):
            await made.write(0, [-1])
        assert peer.received == b""


@on_the_wire
async def test_a_connection_that_breaks_while_waiting_is_noticed_before_the_timeout() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        made = Transport(
            Address(*server.sockets[0].getsockname()[:2]), unit=1, timeout_s=1.0, on_lost=lambda: None
        )
        await made.open()
        begun = asyncio.get_running_loop().time()
        with pytest.raises(Unreachable, match="the connection broke"):
            await made.read(0, 2)
        assert asyncio.get_running_loop().time() - begun < 0.5


@on_the_wire
async def test_nobody_listening_is_unreachable() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = Address(*closed.getsockname())
    with pytest.raises(Unreachable, match="no connection"):
        await Transport(address, unit=1, timeout_s=0.2, on_lost=lambda: None).open()
