"""The life of one battery behind Modbus, pure: what to ask next, what the answers mean, what was obeyed.

The states and their transitions stand in `states.py`. Nobody believes a write: an order is obeyed when the read-back
agrees. At most one request is unanswered, so at most one write can ever be executed late, and the first act after a
reconnect overwrites it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from vpp_gateway.domain.fact import Outcome
from vpp_gateway.domain.fleet import Battery
from vpp_gateway.domain.reading import BatteryReading, DeviceHealth, Health
from vpp_gateway.errors import DeviceError, Implausible, MisuseError, Rejected
from vpp_gateway.southbound.modbus.acquaintance import Acquaintance
from vpp_gateway.southbound.modbus.codec import exception_words
from vpp_gateway.southbound.modbus.judge import countdown_fault
from vpp_gateway.southbound.modbus.layout import BatteryLayout, DeviceMap, ReadPlan, Setting, Written, outside
from vpp_gateway.southbound.modbus.ledger import Ledger
from vpp_gateway.southbound.modbus.picture import Picture, Troubles
from vpp_gateway.southbound.modbus.profile import DeviceProfile
from vpp_gateway.southbound.modbus.script import Script, read
from vpp_gateway.southbound.modbus.states import IN_FLIGHT, STEADY, State, follow
from vpp_gateway.southbound.modbus.sunspec import Tables
from vpp_gateway.southbound.modbus.wire import ORDERING, DeviceOrder, Purpose, Read, Request, Timing


class BatterySession:
    """One battery; see the table in `states.py`. `now` is UTC (Unix s) everywhere."""

    def __init__(self, battery: Battery, profile: DeviceProfile, tables: Tables, timing: Timing) -> None:
        """Raises MisuseError when the refresh cannot keep the reversion timer alive."""
        self.state, self._battery, self._timing = State.DOWN, battery, timing
        self._troubles = Troubles(battery.id)
        self._picture = Picture(battery, profile, self._troubles)
        self._go_by(profile)
        self._ledger = Ledger(battery)
        self._order: DeviceOrder | None = None
        self._attempt: DeviceOrder | None = None
        self._setting: Setting | None = None
        self._held: DeviceOrder | None = None
        self._held_w: float | None = None
        self._last_w: float | None = None
        """The setpoint written last, confirmed or not."""
        self._acknowledged_at = self._refreshed_at = self._retry_at = 0.0
        self._known = Acquaintance(battery, profile, tables, timing)
        self._reads: deque[tuple[Purpose, ReadPlan]] = deque()
        self._values: dict[str, float | None] = {}
        self._readback: dict[str, float | None] = {}
        self._waiting: Request | None = None
        self._plan: ReadPlan | None = None
        self._arm = self._beat_due = self._refresh_due = False
        self._heartbeat, self._slow_at = 0, 0.0

    def _go_by(self, profile: DeviceProfile) -> None:
        """Take the device for what `profile` says."""
        assert profile.command is not None and profile.reversion is not None
        self._profile, self._command, self._picture.profile = profile, profile.command, profile
        self._by_effect = profile.command.proof == "effect"
        self._reversion_s = profile.reversion_s(self._timing.reversion_s)
        self._script, self._refreshes = Script(self._command.function), Script(self._command.function)

    # --- what the agent wants --------------------------------------------------------------------------------

    def order(self, order: DeviceOrder | None, now: float) -> None:
        """Take the newest wish; None = release to local control. Repeating one changes nothing.

        An order past its deadline, or outside the nameplate, is refused and leaves the standing one as it is. An
        order that is overtaken by a newer one before it was confirmed has no outcome.
        """
        if order is None:
            self._arm = False
            self._troubles.clear("unready")
        elif now > order.deadline_at and order != self._order:
            self._ledger.dropped(order, "its deadline has passed; nothing was written", now)
            return
        elif reason := outside(self._known.layout or self._battery, order.discharge_w):
            self._ledger.dropped(order, f"{reason}; nothing was written", now)
            return
        if order != self._order:
            self._order, self._retry_at = order, 0.0

    def arm(self) -> None:
        """Enable a setpoint of 0 W ahead of an event, so that an order is one write. Undone by order(None)."""
        self._arm = True

    def cycle(self, now: float, *, only_look: bool = False) -> None:
        """A heartbeat period has begun: one reading, one heartbeat, the refresh if due; or only a look at the power."""
        if self._known.layout is None or self.state is State.DOWN:
            return
        if only_look:
            self._reads.extend((Purpose.FAST, plan) for plan in self._known.layout.fast if not self._reads)
            return
        slack_s = self._timing.heartbeat_s / 2
        self._beat_due = self._known.layout.heartbeat is not None
        self._refresh_due = (
            self.state in STEADY and now - self._refreshed_at >= self._timing.refresh_s - slack_s
        )
        if not self._reads:
            if self._refresh_due or now - self._slow_at >= self._profile.slow_s - slack_s:
                self._reads.extend((Purpose.SLOW, plan) for plan in self._known.layout.slow)
            self._reads.extend((Purpose.FAST, plan) for plan in self._known.layout.fast)

    def outcomes(self) -> list[Outcome]:
        """What became of orders since the last call."""
        return self._ledger.take()

    @property
    def reading(self) -> BatteryReading | None:
        """The last good reading."""
        return self._picture.reading

    def health(self, now: float) -> DeviceHealth:
        """The worst that is known."""
        return self._troubles.health(now, 2.5 * self._timing.heartbeat_s)

    # --- the connection --------------------------------------------------------------------------------------

    def connected(self, now: float) -> None:
        """A fresh connection stands."""
        self._go("reconnected" if self._known.begin() else "connected")
        self._troubles.clear("link", "timer", "heartbeat")
        self._script.clear()
        self._reads.clear()
        self._waiting, self._beat_due, self._refresh_due = None, False, False
        self._retry_at = self._slow_at = 0.0

    def lost(self, error: DeviceError, now: float) -> None:
        """The connection is gone, or was given up because of `error`: what the device holds now is unknown."""
        attempt = self._attempt
        if self.state in IN_FLIGHT and attempt is not None and not self._ledger.told(attempt):
            self._ledger.lost(attempt, str(error), now)
        self._go("lost")
        health = {Rejected: Health.REFUSING, Implausible: Health.IMPLAUSIBLE}.get(type(error), Health.LOST)
        self._troubles.set("link", health, str(error))

    def expire(self, now: float) -> None:
        """Drop an order that is past its deadline, unless the device holds it; then the device is released."""
        order = self._order
        if order is None or now <= order.deadline_at:
            return
        if order is self._held and self.state in STEADY:
            return
        if order is self._attempt and self.state in IN_FLIGHT:
            if not self._script.holds(Purpose.ENABLE):
                return  # all is written, only the read-back is awaited
            self._script.clear()
            self._go("denied")
        self._ledger.dropped(order, "its deadline passed before it could be carried out", now)
        self._order, self._arm, self._retry_at = None, False, 0.0

    # --- asking ----------------------------------------------------------------------------------------------

    def next(self, now: float) -> Request | None:
        """The next request, or None when there is nothing to ask now."""
        if self._waiting is not None:
            raise MisuseError(f"{self._battery.id}: a request is unanswered, no other may follow")
        self._waiting = self._choose(now)
        return self._waiting

    def _choose(self, now: float) -> Request | None:
        if self.state is State.DOWN:
            return None
        layout = self._known.layout
        if layout is None:
            return self._known.scan_read()
        if self._known.unchecked:
            return self._known.check_read()
        self.expire(now)
        if self._decide(layout, now) or self._script:
            request, self._plan = self._script.next()
            return request
        if self._reads:
            purpose, self._plan = self._reads.popleft()
            return read(purpose, self._plan)
        if self._refresh_due and self.state in STEADY:
            self._refresh_due, self._refreshed_at = False, now
            self._refreshes.begin((Purpose.REFRESH, part) for part in layout.refresh(self._held_w or 0.0))
        if self._refreshes and self.state in STEADY:
            return self._refreshes.next()[0]
        if self._beat_due:
            self._beat_due = False
            self._heartbeat, beat = layout.beat(self._heartbeat)
            return self._script.write(Purpose.HEARTBEAT, beat)
        return self._known.scan_read()

    def _decide(self, layout: BatteryLayout, now: float) -> bool:
        """Begin what the wishes ask of this state; True when a script was begun."""
        wish = self._order
        match self.state:
            case State.UNKNOWN | State.FREE if wish is not None or self._arm:
                return now >= self._retry_at and self._begin(layout, wish, now)
            case State.UNKNOWN:
                return now >= self._retry_at and self._release(layout)
            case State.ARMED | State.HOLDING if wish is None and not (
                self._arm and self.state is State.ARMED
            ):
                return self._release(layout)
            case State.ARMED | State.HOLDING if wish is not None and wish is not self._held:
                return self._begin(layout, wish, now)
            case State.WRITING if wish is not None and wish is not self._attempt:
                return self._begin(layout, wish, now)
            case _:
                return False

    def _begin(self, layout: BatteryLayout, order: DeviceOrder | None, now: float) -> bool:
        discharge_w = order.discharge_w if order is not None else 0.0
        if reason := self._unready(layout, discharge_w):
            return self._decline(layout, order, reason, now)
        self._attempt = order
        self._troubles.clear("unready")
        if self.state in (State.UNKNOWN, State.FREE):
            *configure, enable = layout.arm(discharge_w)
            writes = [*((Purpose.CONFIGURE, part) for part in configure), (Purpose.ENABLE, enable)]
        else:
            writes = [(Purpose.SETPOINT, part) for part in layout.setpoint(discharge_w, self._last_w)]
        self._setting, self._last_w = layout.setting(discharge_w), discharge_w
        self._go("begin")
        self._write(layout, writes)
        return True

    def _decline(self, layout: BatteryLayout, order: DeviceOrder | None, reason: str, now: float) -> bool:
        """Nothing of `order` is written; a device that may hold something else is released instead."""
        self._troubles.set("unready", Health.REFUSING, reason)
        self._retry_at = now + self._timing.refresh_s
        if order is not None:
            self._ledger.refused(order, reason, now)
        return self.state is not State.FREE and self._release(layout)

    def _unready(self, layout: BatteryLayout, discharge_w: float) -> str:
        if not layout.holds_watts:
            return "the device does not offer an absolute power setpoint (CtrlModes lacks FIXED_W)"
        return (
            outside(layout, discharge_w) or self._troubles.reason("local") or self._troubles.reason("timer")
        )

    def _release(self, layout: BatteryLayout) -> bool:
        self._attempt = None
        self._go("release")
        self._setting = layout.released()
        self._write(layout, [(Purpose.RELEASE, part) for part in layout.release()])
        return True

    def _write(self, layout: BatteryLayout, writes: Sequence[tuple[Purpose, Written]]) -> None:
        self._readback.clear()
        self._values.clear()
        if self._reads:  # what was read before this write must not be judged after it
            self._reads = deque(entry for entry in self._reads if entry[0] is Purpose.FAST)
        self._refreshes.clear()
        self._script.begin(writes, layout.readback)

    # --- answers ---------------------------------------------------------------------------------------------

    def receive(self, registers: Sequence[int], now: float) -> None:
        """The outstanding request was answered; `registers` is empty for a write.

        Raises:
            DeviceError: this is not the expected device; give the connection up and report it by `lost`.
        """
        request, self._waiting = self._waiting, None
        assert request is not None
        match request.purpose:
            case Purpose.FAST | Purpose.SLOW | Purpose.READBACK:
                self._read(request.purpose, registers, now)
            case Purpose.SCAN:
                self._met(self._known.scanned(registers))
            case Purpose.CHECK:
                self._known.checked(registers)
            case Purpose.ENABLE:
                self._acknowledged_at = self._refreshed_at = now
            case Purpose.SETPOINT:
                self._acknowledged_at = now
                if self._command.setpoint_restarts:
                    self._refreshed_at = now
            case Purpose.REFRESH:
                self._refreshed_at = now
            case Purpose.HEARTBEAT:
                self._troubles.clear("heartbeat")
            case Purpose.CONFIGURE | Purpose.RELEASE:
                pass  # only the read-back counts
        if self._by_effect and request.purpose in ORDERING and not self._script and self._known.layout:
            self._confirm(self._known.layout, {}, now)  # acknowledged counts until the power says otherwise

    def refused(self, code: int, now: float) -> None:
        """The outstanding request was answered with an exception code."""
        request, self._waiting = self._waiting, None
        assert request is not None
        reason = f"{request.words()}: {exception_words(code)}"
        match request.purpose:
            case Purpose.SCAN | Purpose.CHECK:
                assert isinstance(request, Read)
                self._met(self._known.refused(request, code))
            case Purpose.FAST | Purpose.SLOW:
                self._troubles.set("reading", Health.REFUSING, reason)
            case Purpose.HEARTBEAT:
                self._troubles.set("heartbeat", Health.REFUSING, reason)
            case _:
                self._deny(reason, now)

    def _met(self, found: DeviceMap | None) -> None:
        if found is None:
            return
        self._go_by(self._known.profile)
        self._heartbeat = self._known.counted
        self._picture.switch(self._known.local)
        self._go("scanned")

    def _read(self, purpose: Purpose, registers: Sequence[int], now: float) -> None:
        assert self._plan is not None and self._known.layout is not None
        values = self._readback if purpose is Purpose.READBACK else self._values
        for name, reader in self._plan.readers:
            values[name] = reader(registers)
        if purpose is Purpose.READBACK:
            if not self._script:
                self._confirm(self._known.layout, values, now)
        elif not self._reads or self._reads[0][0] is not purpose:
            if self._known.layout.derive is not None:
                self._known.layout.derive(values)
            if "soc" in values:
                self._slow_at = now
                self._picture.slow(values, now)
                self._judge_setpoint(self._known.layout, values, now)
            if purpose is Purpose.FAST:
                self._picture.fast(values, now, self._known.layout, self._held_w)
            values.clear()

    def _confirm(self, layout: BatteryLayout, values: Mapping[str, float | None], now: float) -> None:
        assert self._setting is not None
        if self.state is State.RELEASING:
            if difference := self._setting.difference(values, silence_is_consent=True):
                self._deny(f"the release was not taken over: {difference}", now)
                return
            self._troubles.clear("order", "countdown")
            self._held = self._held_w = self._last_w = None
            self._go("confirmed")
            return
        order = self._attempt
        if difference := self._setting.difference(values):
            self._deny(difference, now)
        elif self._timer_dead(layout, values, now):
            if order is not None:
                self._ledger.refused(order, self._troubles.reason("timer"), now)
            self._order, self._arm, self._held_w = None, False, None
            self._go("denied")
        else:
            self._held = order
            self._held_w = layout.held_w(order.discharge_w if order is not None else 0.0)
            self._troubles.clear("order")
            self._picture.setpoint_changed()
            self._go("confirmed" if order is not None else "confirmed idle")
            if order is not None:
                self._ledger.obeyed(order, self._held_w, self._acknowledged_at, now)

    def _countdown(self, layout: BatteryLayout, values: Mapping[str, float | None], now: float) -> str:
        """What is wrong with the countdown of a device that has one."""
        if layout.remaining is None or self._reversion_s is None:
            return ""
        return countdown_fault(values.get(layout.remaining), self._reversion_s, now - self._refreshed_at)

    def _timer_dead(self, layout: BatteryLayout, values: Mapping[str, float | None], now: float) -> bool:
        """The countdown does not run although the profile trusts it: nothing may be held without a fail-safe."""
        fault = self._countdown(layout, values, now)
        if not fault or values.get(layout.remaining or ""):
            return False
        self._troubles.set("timer", Health.REFUSING, fault)
        return True

    def _judge_setpoint(self, layout: BatteryLayout, values: Mapping[str, float | None], now: float) -> None:
        """Does the device still hold what it confirmed, and does its countdown run?"""
        if self.state in STEADY and self._setting is not None:
            if difference := self._setting.difference(values):
                self._troubles.set("order", Health.REFUSING, f"no longer holds its setpoint: {difference}")
                self._stray(now)
            elif fault := self._countdown(layout, values, now):
                self._troubles.set("countdown", Health.REFUSING, fault)
            else:
                self._troubles.clear("countdown")
        elif self.state is State.FREE and layout.looks_armed(values):
            self._stray(now)

    def _stray(self, now: float) -> None:
        self._held_w, self._retry_at = None, now
        self._go("strayed")

    def _deny(self, reason: str, now: float) -> None:
        self._script.clear()
        self._held_w = None
        self._troubles.set("order", Health.REFUSING, reason)
        self._go("denied")
        self._retry_at = now + self._timing.refresh_s
        if self._attempt is not None:
            self._ledger.refused(self._attempt, reason, now)

    def _go(self, event: str) -> None:
        state = follow(self.state, event)
        if state is None:
            raise MisuseError(f"{self._battery.id}: {event!r} cannot happen in state {self.state}")
        self.state = state
