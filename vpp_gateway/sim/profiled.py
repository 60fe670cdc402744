"""A device of any profile: its registers, and what it makes of what is written to them.

The profile's own scripts, read backwards, are its understanding of orders; its plant is the physics of `sim.plant`. So it
proves that a profile is whole and that our session can drive such a device. About the real product it proves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol, cast

from pymodbus.constants import ExcCodes
from pymodbus.simulator import DataType, SimData, SimDevice

from vpp_gateway.sim.bank import Bank
from vpp_gateway.sim.battery import Written
from vpp_gateway.sim.faults import Faults
from vpp_gateway.sim.plant import BatteryPlant
from vpp_gateway.sim.showing import Shown, introduce, show
from vpp_gateway.southbound.modbus.codec import device_of, discharge_of
from vpp_gateway.southbound.modbus.point import Table
from vpp_gateway.southbound.modbus.profile import Command, DeviceProfile, Line
from vpp_gateway.southbound.modbus.terms import Ratings, Term, put, told

_TABLES: dict[int, Table] = {3: "holding", 4: "input", 6: "holding", 16: "holding"}


class Behaviour(Protocol):
    """What lives behind the registers."""

    def refresh(self, now: float) -> None:
        """Bring the registers to `now`."""
        ...

    def written(self, address: int, count: int, now: float) -> None:
        """Registers have just been written."""
        ...


class ProfiledDevice:
    """Registers of a profile on a Modbus server.

    Args:
        bank: its registers.
        behaviour: what is behind them.
        now: tells UTC (Unix s).
        unit: Modbus unit id.
        faults: switchable while it runs.
    """

    def __init__(
        self, bank: Bank, behaviour: Behaviour, *, now: Callable[[], float], unit: int, faults: Faults
    ) -> None:
        self.bank, self.faults = bank, faults
        self.log: list[Written] = []
        """Every write."""
        self._behaviour, self._now, self._unit = behaviour, now, unit

    def device(self) -> SimDevice:
        """For a pymodbus server: one space of 65 536 registers, filled by each request."""
        data = SimData(0, values=[0] * 0x10000, datatype=DataType.REGISTERS)
        return SimDevice(self._unit, simdata=[data], action=self.access)

    async def access(
        self,
        function_code: int,
        start: int,
        address: int,
        count: int,
        registers: list[int],
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Hook of the server for each request."""
        table = _TABLES.get(function_code)
        if table is None:
            return ExcCodes.ILLEGAL_FUNCTION
        if refusal := await self.faults.gate(writing=values is not None):
            return refusal
        now = self._now()
        self._behaviour.refresh(now)
        if values is not None:
            return self._write(address, values, now)
        words = self.bank.read(table, address, count, swapped="swapped_words" in self.faults)
        if words is None:
            return ExcCodes.ILLEGAL_ADDRESS
        if "swapped_bytes" in self.faults:
            words = [word >> 8 | word << 8 & 0xFF00 for word in words]
        registers[address : address + count] = words
        return None

    def _write(self, address: int, values: list[int] | list[bool], now: float) -> ExcCodes | None:
        words = [int(value) for value in values]
        ignored = "ignore" in self.faults or "local" in self.faults
        taken = not ignored and self.bank.write(address, words)
        self.log.append(Written(now, address, tuple(words), taken))
        if ignored:
            held = self.bank.read("holding", address, len(words))
            if held is not None:
                cast(list[int], values)[:] = held
            return None
        if not taken:
            return ExcCodes.ILLEGAL_ADDRESS
        self._behaviour.written(address, len(words), now)
        return None


class BatteryBehaviour:
    """A battery that obeys as its profile says.

    Args:
        profile: of kind battery.
        bank: its registers.
        plant: its physics.
        now: tells UTC (Unix s).
        faults: switchable while it runs.
        local_w: discharge_w that its own control keeps up.
    """

    def __init__(
        self,
        profile: DeviceProfile,
        bank: Bank,
        plant: BatteryPlant,
        *,
        now: Callable[[], float],
        faults: Faults,
        local_w: float = 0.0,
    ) -> None:
        assert profile.command is not None and profile.reversion is not None
        self._profile, self._bank, self.plant, self._faults = profile, bank, plant, faults
        self._command: Command = profile.command
        self._reversion = profile.reversion
        self._local_w = local_w
        plate = plant.plate
        self._ratings = Ratings(discharge_max_w=plate.discharge_max_w, charge_max_w=plate.charge_max_w)
        self._expires_at = math.inf
        self._early_at = math.inf
        self._beat_at = now()
        self._due: tuple[float, float] | None = None
        """(when, discharge_w) of an order that is carried out late."""
        self._wanted_w = local_w
        self._shown = Shown(faults)
        self.armed = False
        self.reversions: list[float] = []
        """UTC (Unix s) of each fall-back by itself."""
        introduce(bank, profile)
        for role, value in self._nameplate().items():
            if role in profile.points:
                show(bank, profile.points[role], value)
        for point in self._command.points:
            bank.put(point, 0.0)
        self._put(self._command.release, 0.0)
        plant.want(local_w, now())

    def _nameplate(self) -> dict[str, float]:
        plate = self.plant.plate
        return {
            "energy_wh": plate.energy_wh,
            "discharge_max_w": plate.discharge_max_w,
            "charge_max_w": plate.charge_max_w,
            "soc_min": 100 * plate.soc_min,
            "soc_max": 100 * plate.soc_max,
            "control_modes": 0b11,
            "frequency_hz": 50.0,
        }

    # --- orders ----------------------------------------------------------------------------------------------

    def _put(self, lines: tuple[Line, ...], w: float) -> None:
        for line in lines:
            for name, term in line.items():
                value = put(term, w, self._ratings, 0.0)
                if value is not None:
                    self._bank.put(name, value)
                    if name in self._command.read_back:
                        self._bank.put(self._command.read_back[name], value)

    def written(self, address: int, count: int, now: float) -> None:
        """See `Behaviour`."""
        beat = self._profile.heartbeat
        if beat is not None and self._bank.covers(beat.point, "holding", address, count):
            self._beat_at = now
        touched = {name: self._bank.covers(name, "holding", address, count) for name in self._command.points}
        if not any(touched.values()):
            return
        for written, shown in self._command.read_back.items():
            self._bank.put(shown, self._bank.get(written))
        was_armed = self.armed
        if "never_enables" in self._faults:
            self._put(self._command.release, 0.0)
        self.armed = self._looks_armed()
        if self.armed and not was_armed:
            self._beat_at = now
        if self.armed and (not was_armed or self._early_at == math.inf):
            self._early_at = now + self._early_s()
        if self.armed and self._restarts(touched, was_armed=was_armed):
            self._start_timer(now)
        if any(touched[name] for line in self._command.setpoint for name in line) or self.armed != was_armed:
            self._obey(now)

    def _early_s(self) -> float:
        names = [name for name in ("early_revert", "forgets") if name in self._faults]
        return min((self._faults.value(name) for name in names), default=math.inf)

    def _restarts(self, touched: dict[str, bool], *, was_armed: bool) -> bool:
        lines = [self._command.arm[-1]] if not was_armed else []
        if "deaf_to_refresh" not in self._faults:
            lines += self._command.refresh
            if self._command.setpoint_restarts or self._reversion.kind == "watchdog":
                lines += self._command.setpoint
        return any(touched[name] for line in lines for name in line)

    def _start_timer(self, now: float) -> None:
        timer_s = self._timer_s()
        if timer_s is None or "dead_timer" in self._faults:
            self._expires_at = math.inf
            return
        times = self._faults.value("slow_revert") if "slow_revert" in self._faults else 1.0
        self._expires_at = now + timer_s * times

    def _timer_s(self) -> float | None:
        if self._reversion.kind == "watchdog":
            return self._reversion.fixed_s
        if self._reversion.kind != "timer":
            return None
        lines = [line for _, lines in self._command.scripts() for line in lines]
        names = [name for line in lines for name, term in line.items() if term == "timer_s"]
        return (self._bank.get(names[0]) or None) if names else None

    def _looks_armed(self) -> bool:
        armed, free = (
            {name: term for line in lines for name, term in line.items() if isinstance(term, float | int)}
            for lines in (self._command.arm, self._command.release)
        )
        switches = [name for name in free if name in armed and armed[name] != free[name]]
        if switches:
            return all(self._bank.get(name) == armed[name] for name in switches)
        if self._release_is_zero:
            return True  # until its watchdog ends it
        return any(self._bank.get(name) != value for name, value in free.items())

    @property
    def _release_is_zero(self) -> bool:
        """Releasing writes the same as a setpoint of 0 W: only time tells them apart."""
        (release, *others) = self._command.release
        setpoint = {name: term for line in self._command.setpoint for name, term in line.items()}
        zero = {name: put(term, 0.0, self._ratings, 0.0) for name, term in setpoint.items()}
        return not others and dict(release) == zero

    def _obey(self, now: float) -> None:
        faults = self._faults
        w = self._told_w() if self.armed else self._local_w
        if self.armed:
            if "inverted" in faults:
                w = 0.0 - w
            if "half" in faults:
                w /= 2
            if "adds" in faults:
                w += self._wanted_w
            if "paper" in faults:
                w = self._local_w
            if "late" in faults:
                self._due = (now + faults.value("late"), w)
                return
        self._due, self._wanted_w = None, w
        self.plant.want(w, now)

    def _told_w(self) -> float:
        script: dict[str, Term] = {
            name: term
            for lines in (self._command.arm, self._command.setpoint)
            for line in lines
            for name, term in line.items()
        }
        w = told({name: self._bank.get(name) for name in script}, script, self._ratings)
        if w is None:
            return self._local_w
        if "clip" in self._faults:
            most_w = self._faults.value("clip")
            cut_w = min(max(w, -most_w), most_w)
            if cut_w != w:
                self._put(self._command.setpoint, cut_w)
            w = cut_w
        return discharge_of(w, self._command.discharge_sign)

    # --- time ------------------------------------------------------------------------------------------------

    def settle(self, now: float) -> None:
        """What has happened by itself until now: a late order, a fall-back, another setpoint."""
        if self._due is not None and self._due[0] <= now:
            (at, w), self._due = self._due, None
            self._wanted_w = w
            self.plant.want(w, at)
        if "reboot" in self._faults and self.armed:
            self._fall_back(now, "local_control")
        if self.armed:
            due_at = min(self._expires_at, self._early_at, self._beat_missed_at())
            if due_at <= now:
                early = due_at == self._early_at
                self._expires_at = self._early_at = math.inf
                if early:
                    self._fall_back(due_at, "local_control")
                elif not self._faults_hold():
                    self._fall_back(due_at, self._reversion.to)
        if "overrides" in self._faults and self.armed:
            self._put(self._command.setpoint, 0.0)
            self.plant.want(self._local_w, now)

    def _faults_hold(self) -> bool:
        return "never_revert" in self._faults or "frozen_timer" in self._faults

    def _beat_missed_at(self) -> float:
        beat = self._profile.heartbeat
        if beat is None or beat.timeout_s is None or "deaf_to_heartbeat" in self._faults:
            return math.inf
        return self._beat_at + beat.timeout_s

    def _fall_back(self, at: float, to: str) -> None:
        self.reversions.append(at)
        self._beat_at = at
        if to == "hold":
            return
        if to == "hold_zero":
            self._put(self._command.setpoint, 0.0)
            self.plant.want(0.0, at)
            return
        self._put(self._command.release, 0.0)
        self.armed = False
        elsewhere = "reverts_elsewhere" in self._faults
        self.plant.want(self._faults.value("reverts_elsewhere") if elsewhere else self._local_w, at)

    def refresh(self, now: float) -> None:
        """See `Behaviour`."""
        self.plant.stop("stopped" in self._faults, now)
        self.settle(now)
        points, shown = self._profile.points, self._shown
        w = self.plant.look(now)
        values: dict[str, float | None] = {
            "discharge_w": shown.power_w(device_of(w, self._profile.power_sign), now),
            "soc": shown.soc(100 * self.plant.soc, now),
            "running": 0.0 if self.plant.stopped else 1.0,
            "alarm": 1.0 if self.plant.stopped or "alarm" in self._faults else 0.0,
            "local_remote": 1.0 if "local" in self._faults else 0.0,
        }
        introduce(self._bank, self._profile)
        for role, value in values.items():
            if role in points:
                show(self._bank, points[role], value)
        if "stranger" in self._faults:
            introduce(self._bank, self._profile, stranger=True)
        if self._reversion.remaining is not None:
            self._bank.put(self._reversion.remaining, self._remaining_s(now))

    def _remaining_s(self, now: float) -> float:
        if not self.armed or self._expires_at == math.inf:
            return 0.0
        if "frozen_timer" in self._faults:
            return self._timer_s() or 0.0
        return max(0.0, math.ceil(self._expires_at - now))


class MeterBehaviour:
    """A meter that shows the truth.

    Args:
        profile: of kind meter.
        bank: its registers.
        import_w: the truth at a time (UTC, Unix s).
        faults: switchable while it runs.
    """

    def __init__(
        self, profile: DeviceProfile, bank: Bank, import_w: Callable[[float], float], *, faults: Faults
    ) -> None:
        self._profile, self._bank, self._import_w = profile, bank, import_w
        self._shown = Shown(faults)
        self._faults = faults
        introduce(bank, profile)
        for role, value in (("frequency_hz", 50.0), ("import_wh", 0.0), ("export_wh", 0.0)):
            if role in profile.points:
                show(bank, profile.points[role], value)

    def written(self, address: int, count: int, now: float) -> None:
        """See `Behaviour`; nothing is writable."""

    def refresh(self, now: float) -> None:
        """See `Behaviour`."""
        w = self._shown.power_w(self._import_w(now) * self._profile.power_sign, now)
        show(self._bank, self._profile.points["import_w"], w)
        introduce(self._bank, self._profile, stranger="stranger" in self._faults)
