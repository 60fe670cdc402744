"""The site agent: owns every device of one site, holds its schedule, and carries it out with or without the centre.

    whole second   read all devices, heartbeat, refresh leases; readings up
    schedule in    (epoch, seq) newer than held? hold it, apply it at once
    step boundary  apply what begins or ends, to the instant
    no step        release to the device's own control
    centre away    hold the schedule for `hold_s` and keep the import it was to give, then release everything
    agent dead     nobody refreshes: the devices' reversion timers end the order

One writer per device; each device is owned by one task of its client. The agent imports no solver and stays small.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from vpp_gateway.clock import Clock
from vpp_gateway.domain.fact import Lost, Obeyed, Offered, Outcome, Refused, Shifted
from vpp_gateway.domain.fleet import Site
from vpp_gateway.domain.instruction import DeviceId
from vpp_gateway.domain.order import PluginName, ShiftOrder, SiteSchedule, Step
from vpp_gateway.domain.reading import MeterReading, SiteReading
from vpp_gateway.link.messages import (
    LINK_VERSION,
    Down,
    Hello,
    LostReport,
    ObeyedReport,
    OfferedReport,
    Readings,
    RefusedReport,
    ScheduleOrder,
    ShiftCommand,
    ShiftedReport,
    Up,
    Welcome,
)
from vpp_gateway.metering.watch import MeterWatch
from vpp_gateway.site.alone import alone, rules
from vpp_gateway.site.drivers import BatteryDriver, MeterDriver, Plugins, Uplink
from vpp_gateway.site.still import StillMeter
from vpp_gateway.site.store import AgentStore
from vpp_gateway.southbound.modbus.wire import DeviceOrder

CYCLE_DEADLINE_S = 0.8
CLOCK_SLACK_S = 0.5
"""More than a message may take to arrive; less than an edge of an event may be off."""
BEHIND_BEATS = 3
"""So many beats of the centre, one a second, must say that this clock is ahead before it goes back."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """How long the agent goes on, and how early it arms."""

    hold_s: float
    """Without word from the centre for so long, everything is released."""
    arm_lead_s: float
    """Devices are armed so long before a step begins."""


class SiteAgent:
    """One site.

    Args:
        site: The site's static side.
        batteries: Driver per battery.
        meter: Driver of the PCC meter.
        store: Loaded memory of an earlier life.
        secret: Shared secret of the link.
        modelled: The field is simulated: no meter hardware stands behind the readings.
        checks: Drivers of check meters that are read here, of whichever site.
        pv_meter: Driver of the meter of the site's PV plant.
    """

    def __init__(
        self,
        *,
        site: Site,
        batteries: Mapping[DeviceId, BatteryDriver],
        meter: MeterDriver,
        store: AgentStore,
        holding: Holding,
        secret: str,
        clock: Clock,
        modelled: bool = False,
        checks: Mapping[DeviceId, MeterDriver] | None = None,
        pv_meter: MeterDriver | None = None,
    ) -> None:
        self.site, self._modelled = site, modelled
        self._batteries, self._meter, self._checks = dict(batteries), meter, dict(checks or {})
        self._pv_meter = pv_meter
        self._meters = (meter, *self._checks.values(), *(() if pv_meter is None else (pv_meter,)))
        self._still = StillMeter(sum(max(b.discharge_max_w, b.charge_max_w) for b in site.batteries))
        self._store, self._holding, self._secret, self._clock = store, holding, secret, clock
        self._plugins: dict[PluginName, Plugins] = {}
        self._offered: dict[PluginName, Offered] = {}
        self._uplink: Uplink | None = None
        self._linked = False
        self._behind_s: list[float] = []
        self._heard_at = clock.monotonic()
        self._welcomed_epoch = 0
        self._stirred = asyncio.Event()
        self._applied: dict[DeviceId, DeviceOrder | None] = {}
        self._last: SiteReading | None = None
        self._alone_w: dict[DeviceId, float] = {}
        """discharge_w that this agent gives by itself instead of the setpoints it holds, until the centre orders anew."""
        self._alone_from = 0.0
        """A step that begins later has its own setpoint again."""
        self._watch = MeterWatch(power_w=sum(max(b.discharge_max_w, b.charge_max_w) for b in site.batteries))

    # -- wiring ---------------------------------------------------------------------------------------------

    def connect(self, uplink: Uplink, plugins: Mapping[PluginName, Plugins]) -> None:
        """Attach link and plug-in hosts; before `run`."""
        self._uplink, self._plugins = uplink, dict(plugins)

    def hello(self) -> Hello:
        """First word on the link."""
        return Hello(
            version=LINK_VERSION,
            site=self.site.id,
            highest_epoch=self._store.memory.highest_epoch,
            secret=self._secret,
        )

    @property
    def schedule(self) -> SiteSchedule | None:
        """What is held."""
        return self._store.memory.schedule

    async def run(self) -> None:
        """Serve until cancelled."""
        assert self._uplink is not None, "connect() comes before run()"
        async with asyncio.TaskGroup() as group:
            group.create_task(self._uplink.run())
            for meter in self._meters:
                group.create_task(meter.run())
            for battery in self._batteries.values():
                group.create_task(battery.run())
            for plugin in self._plugins.values():
                group.create_task(plugin.run())
            group.create_task(self._cycle_each_second())
            group.create_task(self._apply_on_time())

    # -- from the centre ------------------------------------------------------------------------------------

    def on_message(self, message: Down) -> None:
        """The centre said something."""
        self._heard_at = self._clock.monotonic()
        match message:
            case Welcome():
                self._welcomed_epoch = message.epoch
                self._follow_clock(message.at)
            case ScheduleOrder():
                self._take_schedule(message.schedule)
            case ShiftCommand():
                self._take_shift(message.order)

    def on_linked(self, up: bool) -> None:
        """The link came (after the centre's welcome) or went."""
        self._linked = up
        self._heard_at = self._clock.monotonic()
        if up:
            for offered in self._offered.values():
                self._send(OfferedReport(fact=offered), keep=False)
            if self._last is not None:  # a new centre orders nothing before it has seen the site
                self._send(Readings(reading=self._last), keep=False)
            log.info("centre linked", site=self.site.id, epoch=self._welcomed_epoch)
        else:
            log.warning("centre lost, holding the schedule", site=self.site.id, hold_s=self._holding.hold_s)

    def _follow_clock(self, at: float) -> None:
        """Schedules are written in the centre's time; a wall clock set in between must not move them.

        A message that was kept waiting looks like a centre that is behind, never like one that is ahead. So the clock
        goes back only when several in a row say so, and by the least that they say.
        """
        off_s = at - self._clock.utc()
        if abs(off_s) <= CLOCK_SLACK_S:
            self._behind_s.clear()
            return
        if off_s < 0 and self._linked:
            self._behind_s.append(off_s)
            if len(self._behind_s) < BEHIND_BEATS:
                return
            off_s = max(self._behind_s)
        self._behind_s.clear()
        log.warning("clock follows the centre", site=self.site.id, by_s=round(off_s, 3))
        self._clock.align(self._clock.utc() + off_s)
        self._stirred.set()

    def _take_schedule(self, schedule: SiteSchedule) -> None:
        held = self._store.memory.schedule
        if schedule.site != self.site.id:
            log.warning("schedule for another site refused", site=self.site.id, other=schedule.site)
            return
        if schedule.epoch < self._store.memory.highest_epoch:
            log.warning(
                "schedule of an older centre refused",
                site=self.site.id,
                epoch=schedule.epoch,
                highest=self._store.memory.highest_epoch,
            )
            return
        if held is not None and (schedule.epoch, schedule.seq) <= (held.epoch, held.seq):
            return
        self._store.hold(schedule, self._clock.monotonic())
        self._alone_w = {}
        self._apply()
        self._stirred.set()

    def _take_shift(self, order: ShiftOrder) -> None:
        plugin = self._plugins.get(order.plugin)
        if plugin is None:
            log.warning("order for a plug-in that is not hosted here", plugin=order.plugin, order=order.id)
            return
        self._store.order(order, self._clock.monotonic())
        plugin.order(order)

    # -- from devices and plug-ins --------------------------------------------------------------------------

    def on_outcome(self, outcome: Outcome) -> None:
        """A device obeyed, refused or was lost."""
        match outcome:
            case Obeyed():
                self._send(ObeyedReport(fact=outcome), keep=True)
            case Refused():
                self._send(RefusedReport(fact=outcome), keep=True)
            case Lost():
                self._send(LostReport(fact=outcome), keep=True)

    def on_offered(self, offered: Offered) -> None:
        """A plug-in published its offers."""
        self._offered[offered.plugin] = offered
        self._send(OfferedReport(fact=offered), keep=False)

    def on_shifted(self, shifted: Shifted) -> None:
        """A plug-in said where an order stands."""
        self._store.settle(shifted.order, shifted.state, self._clock.monotonic())
        self._send(ShiftedReport(fact=shifted), keep=True)

    def _send(self, message: Up, *, keep: bool) -> None:
        if self._uplink is not None:
            self._uplink.send(message, keep=keep)

    # -- the second -----------------------------------------------------------------------------------------

    async def _cycle_each_second(self) -> None:
        while True:
            now = self._clock.utc()
            await asyncio.sleep(1.0 - now % 1.0)
            await self.cycle()

    async def cycle(self) -> None:
        """Read everything once and tell the centre."""
        at = self._clock.utc()
        self._apply()
        drivers: Sequence[BatteryDriver | MeterDriver] = (*self._meters, *self._batteries.values())
        await asyncio.gather(*(driver.cycle(CYCLE_DEADLINE_S) for driver in drivers))
        self._last = self._reading(at)
        self._send(Readings(reading=self._last), keep=False)
        self._keep_alone(self._last)

    def _reading(self, at: float) -> SiteReading:
        readings = (driver.reading for driver in self._batteries.values())
        batteries = tuple(r for r in readings if r is not None and r.at >= at - 0.5)
        meter = self._still.believe(self._metered(self._meter, at), batteries)
        checks = (self._metered(driver, at) for driver in self._checks.values())
        schedule = self._store.memory.schedule
        return SiteReading(
            site=self.site.id,
            at=at,
            meter=meter,
            batteries=batteries,
            health=(
                self._still.judge(self._meter.health, at),
                *(driver.health for driver in self._meters[1:]),
                *(driver.health for driver in self._batteries.values()),
            ),
            applied_seq=0 if schedule is None else schedule.seq,
            checks=tuple(reading for reading in checks if reading is not None),
            pv=None if self._pv_meter is None else self._metered(self._pv_meter, at),
        )

    def _metered(self, driver: MeterDriver, at: float) -> MeterReading | None:
        """What a meter said in this cycle."""
        reading = driver.reading
        if reading is None or reading.at < at - 0.5:
            return None
        return replace(reading, modelled=True) if self._modelled else reading

    def _keep_alone(self, reading: SiteReading) -> None:
        """The centre is away: keep the import that it wanted, as it would do each second."""
        believed = self._meter_believed(reading)
        schedule, now = self._store.memory.schedule, self._clock.utc()
        if self._linked or schedule is None:
            return
        running = [s for s in self._steps() if s.start_at <= now and (s.end_at is None or now < s.end_at)]
        held = {id: order.discharge_w for id, order in self._applied.items() if order is not None}
        shared = (step.device for step in running if rules(schedule, step))
        # The others carry the part of a blocked battery, which begins with nothing when its time is over.
        self._alone_w = {device: 0.0 for device in shared if self.site.is_blocked(device, now, now)}
        self._alone_w |= alone(schedule, running, held, reading, self.site, believed=believed)
        self._alone_from = max((step.start_at for step in running), default=now)
        self._apply()

    def _meter_believed(self, reading: SiteReading) -> bool:
        """Whether the batteries' movements fit the meter's; heard each second, so that it is known when it matters."""
        meter = reading.meter
        if meter is None or not math.isfinite(meter.import_w):
            return False
        battery_w = math.fsum(b.discharge_w for b in reading.batteries if math.isfinite(b.discharge_w))
        return self._watch.believes(reading.at, meter.import_w, battery_w) and not self._watch.doubt

    # -- the schedule ---------------------------------------------------------------------------------------

    async def _apply_on_time(self) -> None:
        """Apply at every step boundary, to the instant, whether or not a cycle is due."""
        while True:
            self._stirred.clear()
            now = self._clock.utc()
            due = self._next_boundary(now)
            try:
                async with asyncio.timeout(None if due is None else max(0.0, due - now)):
                    await self._stirred.wait()
            except TimeoutError:
                self._apply()

    def _steps(self) -> tuple[Step, ...]:
        schedule = self._store.memory.schedule
        if schedule is None:
            return ()
        silent_s = self._clock.monotonic() - self._heard_at
        if not self._linked and silent_s > self._holding.hold_s:
            return ()
        return schedule.steps

    def _next_boundary(self, now: float) -> float | None:
        moments = [
            moment
            for step in self._steps()
            for moment in (step.start_at - self._holding.arm_lead_s, step.start_at, step.end_at)
            if moment is not None and moment > now
        ]
        return min(moments, default=None)

    def _apply(self) -> None:
        """Give every device the order of now: its step, arming for a step that is near, or release; also when blocked."""
        now = self._clock.utc()
        schedule = self._store.memory.schedule
        steps: dict[DeviceId, Step] = {}
        arming: set[DeviceId] = set()
        for step in self._steps():
            if self.site.is_blocked(step.device, now, now):
                continue
            if step.start_at <= now and (step.end_at is None or now < step.end_at):
                steps[step.device] = step
            elif now < step.start_at <= now + self._holding.arm_lead_s:
                arming.add(step.device)
        for device, driver in self._batteries.items():
            if (held := steps.get(device)) is not None and schedule is not None:
                self._order(device, driver, self._device_order(schedule, held))
            elif device in arming:
                if self._applied.get(device) is not None:
                    self._order(device, driver, None)
                driver.arm()
            else:
                self._order(device, driver, None)

    def _order(self, device: DeviceId, driver: BatteryDriver, order: DeviceOrder | None) -> None:
        self._applied[device] = order
        driver.order(order)

    def _held_until(self, schedule: SiteSchedule) -> float:
        """When a step without end ends if the centre is not heard again; moved on in quarters, not each second."""
        hold_s = self._holding.hold_s
        silent_s = self._clock.monotonic() - self._heard_at
        heard_s = max(0.0, self._clock.utc() - silent_s - schedule.issued_at)
        return schedule.issued_at + math.floor(4.0 * heard_s / hold_s) * hold_s / 4.0 + hold_s

    def _device_order(self, schedule: SiteSchedule, step: Step) -> DeviceOrder:
        end_at = self._held_until(schedule) if step.end_at is None else step.end_at
        own_w = self._alone_w.get(step.device) if step.start_at <= self._alone_from else None
        discharge_w = step.discharge_w if own_w is None else own_w
        return DeviceOrder(
            epoch=schedule.epoch,
            seq=schedule.seq,
            discharge_w=discharge_w,
            deadline_at=end_at,
            instruction=step.instruction,
        )
