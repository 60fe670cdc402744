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

from vpp_gateway.clock import Clock
from vpp_gateway.sim.bank import Bank
from vpp_gateway.sim.battery import Written
from vpp_gateway.sim.faults import Faults
from vpp_gateway.sim.plant import BatteryPlant
from vpp_gateway.sim.showing import show
from vpp_gateway.southbound.modbus.codec import device_of, discharge_of
from vpp_gateway.southbound.modbus.point import Table
from vpp_gateway.southbound.modbus.profile import Command, DeviceProfile, Line
from vpp_gateway.southbound.modbus.terms import ByDirection, Ratings, Term, told

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
        clock: of the world.
        unit: Modbus unit id.
        faults: switchable while it runs.
    """

    def __init__(self, bank: Bank, behaviour: Behaviour, *, clock: Clock, unit: int, faults: Faults) -> None:
        self.bank, self.faults = bank, faults
        self.log: list[Written] = []
        """Every write."""
        self._behaviour, self._clock, self._unit = behaviour, clock, unit

    def device(self) -> SimDevice:
        """For a pymodbus server: one space of 65 536 registers, filled by each request."""
        data = SimData(0, values=[0] * 0x10000, datatype=DataType.REGISTERS)
        return SimDevice(self._unit, simdata=[data], action=self._access)

    async def _access(
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
        if refusal := await self.faults.gate():
            return refusal
        now = self._clock.utc()
        self._behaviour.refresh(now)
        if values is not None:
            return self._write(address, values, now)
        words = self.bank.read(table, address, count)
        if words is None:
            return ExcCodes.ILLEGAL_ADDRESS
        registers[address : address + count] = words
        return None

    def _write(self, address: int, values: list[int] | list[bool], now: float) -> ExcCodes | None:
        words = [int(value) for value in values]
        ignored = "ignore" in self.faults
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
        clock: of the world.
        faults: switchable while it runs.
        name: serial number, where the identity has room for one.
        local_w: discharge_w that its own control keeps up.
    """

    def __init__(
        self,
        profile: DeviceProfile,
        bank: Bank,
        plant: BatteryPlant,
        *,
        clock: Clock,
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
        self._beat_at = clock.utc()
        self.armed = False
        self.reversions: list[float] = []
        """UTC (Unix s) of each fall-back by itself."""
        for name, row in profile.identity.items():
            bank.put(name, row.example if not row.example.isdigit() else float(row.example))
        for role, value in self._nameplate().items():
            if role in profile.points:
                show(bank, profile.points[role], value)
        for point in self._command.points:
            bank.put(point, 0.0)
        self._put(self._command.release, 0.0)
        plant.want(local_w, clock.utc())

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
        from vpp_gateway.southbound.modbus.terms import put

        for line in lines:
            for name, term in line.items():
                value = put(term, w, self._ratings, 0.0)
                if value is not None:
                    self._bank.put(name, value)

    def written(self, address: int, count: int, now: float) -> None:
        """See `Behaviour`."""
        beat = self._profile.heartbeat
        if beat is not None and self._bank.covers(beat.point, "holding", address, count):
            self._beat_at = now
        touched = {
            name: self._bank.covers(name, "holding", address, count) for name in self._command.points
        }
        if not any(touched.values()):
            return
        self.armed = self._looks_armed()
        if self.armed and self._restarts(touched):
            timer_s = self._timer_s()
            self._expires_at = math.inf if timer_s is None or "dead_timer" in self._faults else now + timer_s
        self._obey(now)

    def _restarts(self, touched: dict[str, bool]) -> bool:
        lines = [self._command.arm[-1], *self._command.refresh]
        if self._command.setpoint_restarts or self._reversion.kind == "watchdog":
            lines += self._command.setpoint
        return any(touched[name] for line in lines for name in line)

    def _timer_s(self) -> float | None:
        if self._reversion.kind == "watchdog":
            return self._reversion.fixed_s
        if self._reversion.kind != "timer":
            return None
        for _, lines in self._command.scripts():
            for line in lines:
                for name, term in line.items():
                    if term == "timer_s":
                        return self._bank.get(name) or None
        return None

    def _looks_armed(self) -> bool:
        armed, free = (
            {name: term for line in lines for name, term in line.items() if isinstance(term, float | int)}
            for lines in (self._command.arm, self._command.release)
        )
        switches = [name for name in free if name in armed and armed[name] != free[name]]
        if switches:
            return all(self._bank.get(name) == armed[name] for name in switches)
        return any(self._bank.get(name) != value for name, value in free.items())

    def _obey(self, now: float) -> None:
        self.plant.want(self._told_w() if self.armed else self._local_w, now)

    def _told_w(self) -> float:
        script: dict[str, Term] = {
            name: term for line in self._command.setpoint for name, term in line.items()
        }
        arm: dict[str, Term] = {
            name: term for line in self._command.arm for name, term in line.items() if isinstance(term, ByDirection)
        }
        held = {name: self._bank.get(name) for name in (*arm, *script)}
        w = told(held, arm | script, self._ratings)
        if w is None:
            return self._local_w
        if "clip" in self._faults:
            most_w = self._faults.value("clip")
            w = min(max(w, -most_w), most_w)
        return discharge_of(w, self._command.discharge_sign)

    # --- time ------------------------------------------------------------------------------------------------

    def settle(self, now: float) -> None:
        """Fall back at the moment that has passed."""
        beat = self._profile.heartbeat
        due_at = self._expires_at
        if beat is not None and beat.timeout_s is not None:
            due_at = min(due_at, self._beat_at + beat.timeout_s)
        if not self.armed or due_at > now:
            return
        self._expires_at = math.inf
        if "never_revert" in self._faults or "frozen_timer" in self._faults:
            return
        self.reversions.append(due_at)
        if self._reversion.to == "hold":
            return
        if self._reversion.to == "hold_zero":
            self._put(self._command.setpoint, 0.0)
            self.plant.want(0.0, due_at)
            return
        self._put(self._command.release, 0.0)
        self.armed = False
        self.plant.want(self._local_w, due_at)

    def refresh(self, now: float) -> None:
        """See `Behaviour`."""
        self.settle(now)
        w = self.plant.look(now)
        nothing = "nan" in self._faults
        points = self._profile.points
        shown: dict[str, float | None] = {
            "discharge_w": None if nothing else device_of(w, self._profile.power_sign),
            "soc": None if nothing else 100 * self.plant.soc,
            "running": 0.0 if self.plant.stopped else 1.0,
            "alarm": 1.0 if self.plant.stopped else 0.0,
            "local_remote": 1.0 if "local" in self._faults else 0.0,
        }
        for role, value in shown.items():
            if role in points:
                show(self._bank, points[role], value)
        remaining = self._reversion.remaining
        if remaining is not None:
            left_s = max(0.0, math.ceil(self._expires_at - now)) if self._expires_at < math.inf else 0.0
            self._bank.put(remaining, left_s if self.armed else 0.0)


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
        self._profile, self._bank, self._import_w, self._faults = profile, bank, import_w, faults
        self._frozen_w: float | None = None
        for name, row in profile.identity.items():
            bank.put(name, row.example if not row.example.isdigit() else float(row.example))
        for role, value in (("frequency_hz", 50.0), ("import_wh", 0.0), ("export_wh", 0.0)):
            if role in profile.points:
                show(bank, profile.points[role], value)

    def written(self, address: int, count: int, now: float) -> None:
        """See `Behaviour`; nothing is writable."""

    def refresh(self, now: float) -> None:
        """See `Behaviour`."""
        w = self._import_w(now)
        self._frozen_w = None if "frozen" not in self._faults else w if self._frozen_w is None else self._frozen_w
        shown_w = w if self._frozen_w is None else self._frozen_w
        value = None if "nan" in self._faults else shown_w * self._profile.power_sign
        show(self._bank, self._profile.points["import_w"], value)
