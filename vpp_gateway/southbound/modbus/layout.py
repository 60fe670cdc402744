"""The registers of one battery that we have met, made ready: compiled reads, and the writes of its scripts. Pure.

Built once per introduction; after that a cycle costs list look-ups only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from vpp_gateway.domain.fleet import Battery
from vpp_gateway.errors import Implausible
from vpp_gateway.southbound.modbus.choice import FIXED_W_BIT
from vpp_gateway.southbound.modbus.codec import (
    Block,
    Reader,
    absent,
    decode,
    device_of,
    discharge_of,
    encode,
    plan_reads,
    plausible,
    reader,
    scaled_reader,
    scaler,
)
from vpp_gateway.southbound.modbus.measures import Role, derive, points_of
from vpp_gateway.southbound.modbus.plain import PlainMap
from vpp_gateway.southbound.modbus.point import Point, Scale, Table
from vpp_gateway.southbound.modbus.profile import Command, DeviceProfile, Line
from vpp_gateway.southbound.modbus.scan import SunSpecMap
from vpp_gateway.southbound.modbus.sunspec import Tables
from vpp_gateway.southbound.modbus.terms import Ratings, Term, put, told

DeviceMap = SunSpecMap | PlainMap
"""What is known of the registers of one device."""


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """One read and what is in its answer."""

    block: Block
    readers: tuple[tuple[str, Reader], ...]
    """Role or point with its reader."""


def role_spans(
    roles: Mapping[str, Role], tables: Tables, device: DeviceMap
) -> dict[str, tuple[Point, Scale]]:
    """Point and scale of each role that the device has, by role; of a role of several points by the points' names."""
    spans: dict[str, tuple[Point, Scale]] = {}
    for name, role in roles.items():
        points = (
            {name: tables.point(role)}
            if isinstance(role, str)
            else {p: tables.point(p) for p in points_of(role)}
        )
        if all(device.has(point) for point in points.values()):
            spans |= {key: (point, device.scale(point)) for key, point in points.items()}
    return spans


def read_plans(
    spans: Mapping[str, tuple[Point, Scale]], device: DeviceMap, most: int, gap: int
) -> tuple[ReadPlan, ...]:
    """Reads of at most `most` registers for all named (point, scale).

    A scale factor that the device may change while it runs is read in the same request as its value, and counts instead
    of the one that was found when the device was met.
    """
    tables: tuple[Table, ...] = ("holding", "input")
    plans = []
    for table in tables:
        own = {
            name: (p, scale, _span(p, device, most)) for name, (p, scale) in spans.items() if p.table == table
        }
        for block in plan_reads([span for _, _, span in own.values()], most, gap=gap, table=table):
            readers = []
            for name, (point, scale, (address, size)) in own.items():
                if block.address <= address and address + size <= block.address + block.count:
                    readers.append((name, _reader(point, scale, device, block.address, size)))
            plans.append(ReadPlan(block, tuple(readers)))
    return tuple(plans)


def _span(point: Point, device: DeviceMap, most: int) -> tuple[int, int]:
    """(address, registers) of a point, together with its scale factor where that is read along."""
    address, size = device.address(point), point.size
    if not isinstance(device, SunSpecMap) or point.scale_at is None:
        return address, size
    along = device.addresses[point.model] + point.scale_at
    first, last = min(address, along), max(address + size, along + 1)
    return (first, last - first) if last - first <= most else (address, size)


def _reader(point: Point, scale: Scale, device: DeviceMap, start: int, size: int) -> Reader:
    """Reads `point` out of a reply that begins at `start`."""
    index = device.address(point) - start
    if not isinstance(device, SunSpecMap) or point.scale_at is None or size == point.size:
        return reader(point, index, scale)
    return scaled_reader(point, index, device.addresses[point.model] + point.scale_at - start)


@dataclass(frozen=True, slots=True)
class Setting:
    """What must read back: unscaled value per point."""

    fields: tuple[tuple[str, float], ...]

    def difference(self, read: Mapping[str, float | None], *, silence_is_consent: bool = False) -> str:
        """The first point that reads back otherwise, in words; empty when all agree.

        Args:
            read: unscaled value by point; None = no value.
            silence_is_consent: a point without value agrees.
        """
        for name, expected in self.fields:
            found = read.get(name)
            if found != expected and not (found is None and silence_is_consent):
                return (
                    f"{name} reads back {'nothing' if found is None else f'{found:g}'}, expected {expected:g}"
                )
        return ""


@dataclass(frozen=True, slots=True)
class Written:
    """One write request."""

    address: int
    registers: tuple[int, ...]


class Limits(Protocol):
    """Something with a nameplate."""

    @property
    def discharge_max_w(self) -> float: ...
    @property
    def charge_max_w(self) -> float: ...


def outside(limits: Limits, discharge_w: float) -> str:
    """Why a setpoint is outside the nameplate, in words; empty when it is inside."""
    if -limits.charge_max_w <= discharge_w <= limits.discharge_max_w:
        return ""
    span = f"{-limits.charge_max_w:g}..{limits.discharge_max_w:g} W"
    return f"{discharge_w:g} W is outside the nameplate {span}"


class BatteryLayout:
    """Addresses, scales and limits of one battery."""

    def __init__(
        self, battery: Battery, profile: DeviceProfile, tables: Tables, device: DeviceMap, reversion_s: float
    ) -> None:
        """
        Args:
            reversion_s: after how long the battery shall fall back, as far as it lets us say.

        Raises:
            Rejected: the device lacks a register that the profile needs.
            Implausible: a scale factor is missing, or a limit makes no sense.
        """
        assert profile.command is not None and profile.reversion is not None
        self._profile, self._tables, self._device = profile, tables, device
        self._command: Command = profile.command
        self._timer_s = profile.reversion_s(reversion_s) or 0.0
        self._points = {name: tables.point(name) for name in self._command.points}
        self._scales: dict[str, Scale] = {
            name: device.scale(point) if self._means_something(name) else 0
            for name, point in self._points.items()
        }
        self.remaining = profile.reversion.remaining
        self._plan_reads()
        beat = None if profile.heartbeat is None else tables.point(profile.heartbeat.point)
        self.heartbeat = beat if beat is not None and self._implemented(beat) else None
        self.discharge_max_w = self._rating("discharge_max_w", battery.discharge_max_w)
        self.charge_max_w = self._rating("charge_max_w", battery.charge_max_w)
        self.soc_min = max(battery.soc_min, self._share("soc_min", 0.0))
        self.soc_max = min(battery.soc_max, self._share("soc_max", 1.0))
        self._ratings = Ratings(
            discharge_max_w=self._told("discharge_max_w") or battery.discharge_max_w,
            charge_max_w=self._told("charge_max_w") or battery.charge_max_w,
        )
        modes = self._told("control_modes")
        self.holds_watts = modes is None or bool(int(modes) >> FIXED_W_BIT & 1)

    def _plan_reads(self) -> None:
        profile, device = self._profile, self._device
        gap = 0xFFFF if profile.sunspec else profile.gap
        fast, slow = (
            {role: profile.points[role] for role in roles} for roles in (profile.fast, profile.slow)
        )
        fast_spans, slow_spans = (role_spans(roles, self._tables, device) for roles in (fast, slow))
        shown = self._command.read_back
        state: dict[str, tuple[Point, Scale]] = {
            name: (replace(self._tables.point(shown.get(name, name)), bias=0.0, scale_at=None), 0)
            for name in self._points
            if self._verified(name)
        }
        if self.remaining is not None:
            remaining = self._tables.point(self.remaining)
            state[self.remaining] = (remaining, device.scale(remaining))
        together = read_plans(fast_spans | slow_spans | state, device, profile.max_read, gap)
        one = len(together) == 1
        self.fast = together if one else read_plans(fast_spans, device, profile.max_read, gap)
        self.slow = () if one else read_plans(slow_spans | state, device, profile.max_read, gap)
        self.readback = read_plans(state, device, profile.max_read, gap)
        self.derive: Callable[[dict[str, float | None]], None] | None = derive(fast | slow)

    def _means_something(self, name: str) -> bool:
        """Something else than nothing is put into the point."""
        lines = [line for _, lines in self._command.scripts() for line in lines]
        return any(line[name] != "nothing" for line in lines if name in line)

    def _verified(self, name: str) -> bool:
        return name not in self._command.unread and self._means_something(name)

    def _implemented(self, point: Point) -> bool:
        return self._device.has(point) and self._device.raw.get(point.key) is not None

    @property
    def local(self) -> bool:
        """The device was switched to local control when it was met."""
        return self._told("local_remote") == 1

    def _told(self, role: str) -> float | None:
        """What the device said when it was met; None when it said nothing."""
        source = self._profile.points.get(role)
        if source is None:
            return None
        values = {
            name: self._device.value(point)
            for name in points_of(source)
            if self._device.has(point := self._tables.point(name))
        }
        return values.get(source) if isinstance(source, str) else source.value(values)

    def _rating(self, role: str, configured_w: float) -> float:
        told_w = self._told(role)
        return configured_w if not told_w else min(configured_w, told_w)

    def _share(self, role: str, unsaid: float) -> float:
        """A bound of the SoC window, 0..1. Raises Implausible when the device says nonsense."""
        said, source = self._told(role), self._profile.points.get(role)
        name = source if isinstance(source, str) else role
        return unsaid if said is None else plausible(f"{name}, %,", said, 0.0, 100.0) / 100

    # --- writes ----------------------------------------------------------------------------------------------

    def registers(self, name: str, term: Term, discharge_w: float) -> tuple[int, ...] | None:
        """What is written to a point; None = nothing is.

        Raises:
            MisuseError: the setpoint does not fit the register.
        """
        point = self._points[name]
        value = put(term, device_of(discharge_w, self._command.discharge_sign), self._ratings, self._timer_s)
        if value is not None:
            return tuple(encode(point, value, self._scales[name]))
        if self._device.raw.get(point.key) is not None:
            return tuple(encode(point, 0))
        return None if self._command.separate else tuple(absent(point))

    def writes(self, lines: Sequence[Line], discharge_w: float) -> list[Written]:
        """The requests of a script. Raises Implausible when the points of a line do not touch in this device."""
        requests: list[Written] = []
        for line in lines:
            pieces = [
                Written(self._device.address(self._points[name]), registers)
                for name, term in line.items()
                if (registers := self.registers(name, term, discharge_w)) is not None
            ]
            requests += pieces if self._command.separate else [_joined(pieces)]
        return requests

    def arm(self, discharge_w: float) -> list[Written]:
        """From free to holding; the last one enables."""
        return self.writes(self._command.arm, discharge_w)

    def setpoint(self, discharge_w: float, held_w: float | None) -> list[Written]:
        """Another setpoint; through zero where direction and magnitude are apart and the direction changes."""
        first = (
            self.writes(self._command.setpoint, 0.0)
            if self._command.through_zero and held_w is not None and held_w * discharge_w < 0
            else []
        )
        return first + self.writes(self._command.setpoint, discharge_w)

    def refresh(self, discharge_w: float) -> list[Written]:
        """What keeps the setpoint alive."""
        return self.writes(self._command.refresh, discharge_w)

    def release(self) -> list[Written]:
        """Back to the device's own control."""
        return self.writes(self._command.release, 0.0)

    def beat(self, count: int) -> tuple[int, Written]:
        """(new count, write) of the next heartbeat; a counter wraps to zero before "not implemented"."""
        assert self.heartbeat is not None and self._profile.heartbeat is not None
        match self._profile.heartbeat.style:
            case "counter":
                count = (count + 1) % ((1 << 16 * self.heartbeat.size) - 1)
            case "toggle":
                count = 0 if count else 1
            case "constant":
                count = self._profile.heartbeat.value
        return count, Written(self._device.address(self.heartbeat), tuple(encode(self.heartbeat, count)))

    # --- what must read back ---------------------------------------------------------------------------------

    def setting(self, discharge_w: float) -> Setting:
        """What an armed device must read back at this setpoint. Raises MisuseError when it does not fit."""
        return self._expected((*self._command.arm, *self._command.setpoint), discharge_w)

    def released(self) -> Setting:
        """What a released device must read back."""
        return self._expected(self._command.release, 0.0)

    def looks_armed(self, read: Mapping[str, float | None]) -> bool:
        """A free device reads back as if it were armed: somebody else has a setpoint enabled."""
        armed, free = dict(self.setting(0.0).fields), dict(self.released().fields)
        switches = [name for name in free if armed.get(name, free[name]) != free[name]]
        return bool(switches) and all(read.get(name) == armed[name] for name in switches)

    def _expected(self, lines: Sequence[Line], discharge_w: float) -> Setting:
        fields: dict[str, float] = {}
        for line in lines:
            for name, term in line.items():
                registers = self.registers(name, term, discharge_w) if self._verified(name) else None
                value = (
                    None if registers is None or term == "nothing" else decode(self._points[name], registers)
                )
                if isinstance(value, int | float):
                    fields[name] = value
        return Setting(tuple(fields.items()))

    def held_w(self, discharge_w: float) -> float:
        """discharge_w that the device holds after `discharge_w` was cut to the resolution of its registers."""
        script = {name: term for line in self._command.setpoint for name, term in line.items()}
        held: dict[str, float | None] = {}
        for name, term in script.items():
            registers = self.registers(name, term, discharge_w)
            value = None if registers is None else decode(self._points[name], registers)
            if isinstance(value, int | float):
                held[name] = scaler(self._scales[name])(value) + self._points[name].bias
        w = told(held, script, self._ratings)
        return discharge_w if w is None else discharge_of(w, self._command.discharge_sign)

    # --- still the same --------------------------------------------------------------------------------------

    def head(self) -> Block | None:
        """Where the setpoint's model announces itself; None in a device without models."""
        if not isinstance(self._device, SunSpecMap):
            return None
        return Block(self._device.addresses[self._setpoint_model], 2)

    def same_head(self, registers: Sequence[int]) -> bool:
        """The two registers at `head()` still say the setpoint's model."""
        assert isinstance(self._device, SunSpecMap)
        model = self._setpoint_model
        return list(registers) == [model, self._device.lengths[model] - 2]

    @property
    def _setpoint_model(self) -> int:
        return self._points[next(iter(self._command.arm[-1]))].model


def _joined(pieces: Sequence[Written]) -> Written:
    """Neighbouring writes as one; Raises Implausible when they do not touch."""
    address, so_far = pieces[0].address, list(pieces[0].registers)
    for piece in pieces[1:]:
        if piece.address != address + len(so_far):
            raise Implausible("the points of one line do not touch: use `separate: true` in the profile")
        so_far.extend(piece.registers)
    return Written(address, tuple(so_far))
