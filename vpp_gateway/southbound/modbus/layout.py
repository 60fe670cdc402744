"""The registers of one scanned battery, made ready: compiled reads, and the writes of its setpoint block. Pure.

Built once per scan; after that a cycle costs list look-ups only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from vpp_gateway.domain.fleet import Battery
from vpp_gateway.errors import Implausible
from vpp_gateway.southbound.modbus.codec import (
    Block,
    Model,
    Point,
    Reader,
    absent,
    decode,
    device_of,
    discharge_of,
    encode,
    plan_reads,
    plausible,
    reader,
    scaler,
)
from vpp_gateway.southbound.modbus.profile import DeviceProfile, SetpointBlock
from vpp_gateway.southbound.modbus.scan import DeviceMap

FIXED_W_BIT = 1
"""702 CtrlModes: the device can hold an absolute power."""


def point_of(models: Mapping[int, Model], name: str) -> Point:
    """The point that a profile calls `<model>.<point>`. Raises ConfigError when the model has none such."""
    model, _, point = name.partition(".")
    return models[int(model)].point(point)


def setpoint_points(profile: DeviceProfile, models: Mapping[int, Model]) -> list[Point]:
    """The points of the setpoint block, to be read once by the scan."""
    block = profile.setpoint
    names = (*_CONFIGURE, "enable", "remaining") if block is not None else ()
    return [point_of(models, getattr(block, name)) for name in names]


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """One read and what is in its answer."""

    block: Block
    readers: tuple[tuple[str, Reader], ...]
    """Role, or field of SetpointBlock, with its reader."""


def read_plans(spans: Mapping[str, tuple[Point, int]], device: DeviceMap, most: int) -> tuple[ReadPlan, ...]:
    """Reads of at most `most` registers for all named (point, exponent)."""
    blocks = plan_reads([(device.address(point), point.size) for point, _ in spans.values()], most)
    plans = []
    for block in blocks:
        readers = []
        for name, (point, exponent) in spans.items():
            index = device.address(point) - block.address
            if index >= 0 and index + point.size <= block.count:
                readers.append((name, reader(point, index, exponent)))
        plans.append(ReadPlan(block, tuple(readers)))
    return tuple(plans)


@dataclass(frozen=True, slots=True)
class Setting:
    """What the setpoint block should read back: unscaled value per field."""

    fields: tuple[tuple[str, float], ...]

    def difference(self, read: Mapping[str, float | None]) -> str:
        """The first field that reads back otherwise, in words; empty when all agree."""
        for name, expected in self.fields:
            found = read.get(name)
            if found != expected:
                return (
                    f"{name} reads back {'nothing' if found is None else f'{found:g}'}, expected {expected:g}"
                )
        return ""


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
        self, battery: Battery, profile: DeviceProfile, models: Mapping[int, Model], device: DeviceMap
    ) -> None:
        """
        Raises:
            Rejected: the device lacks a register that the profile needs.
            Implausible: a scale factor is missing, or a limit makes no sense.
        """
        assert profile.setpoint is not None
        self._profile = profile
        self._device = device
        self._block: SetpointBlock = profile.setpoint
        roles = {role: point_of(models, name) for role, name in profile.points.items()}
        self._points = {
            name: point_of(models, getattr(self._block, name))
            for name in (*_CONFIGURE, "enable", "remaining")
        }
        self._exponent = device.exponent(self._points["value"])
        self.resolution_w = scaler(self._exponent)(1)
        present = {
            role: (roles[role], device.exponent(roles[role]))
            for role in (*profile.fast, *profile.slow)
            if device.has(roles[role])
        }
        fast = {role: present[role] for role in profile.fast if role in present}
        state = {name: (self._points[name], 0) for name in (*_VERIFIED, "remaining")}
        slow = {role: present[role] for role in profile.slow if role in present} | state
        together = read_plans(fast | slow, device, profile.max_read)
        self.fast = together if len(together) == 1 else read_plans(fast, device, profile.max_read)
        self.slow = () if len(together) == 1 else read_plans(slow, device, profile.max_read)
        self.readback = read_plans(state, device, profile.max_read)
        self.heartbeat = roles.get("heartbeat") if self._implemented(roles.get("heartbeat")) else None
        self.discharge_max_w = self._rating(roles.get("discharge_max_w"), battery.discharge_max_w)
        self.charge_max_w = self._rating(roles.get("charge_max_w"), battery.charge_max_w)
        self.soc_min = max(battery.soc_min, self._share(roles.get("soc_min"), 0.0))
        self.soc_max = min(battery.soc_max, self._share(roles.get("soc_max"), 1.0))
        modes = device.value(roles["control_modes"]) if "control_modes" in roles else None
        self.holds_watts = modes is None or bool(int(modes) >> FIXED_W_BIT & 1)

    def _implemented(self, point: Point | None) -> bool:
        return point is not None and self._device.has(point) and self._device.raw.get(point.key) is not None

    def _rating(self, point: Point | None, configured_w: float) -> float:
        told_w = self._device.value(point) if point is not None else None
        return configured_w if not told_w else min(configured_w, told_w)

    def _share(self, point: Point | None, unsaid: float) -> float:
        """A bound of the SoC window, 0..1. Raises Implausible when the device says nonsense."""
        told = self._device.value(point) if point is not None and self._device.has(point) else None
        if point is None or told is None:
            return unsaid
        return plausible(f"{point.key}, %,", told, 0.0, 100.0) / 100

    def address(self, name: str) -> int:
        """Wire address of a field of the setpoint block."""
        return self._device.address(self._points[name])

    def setting(self, discharge_w: float, reversion_s: float) -> Setting:
        """What configure() + enabling must read back.

        Raises:
            MisuseError: the setpoint does not fit the register.
        """
        value = decode(self._points["value"], self.value_registers(discharge_w))
        assert isinstance(value, int)
        holds_zero = self._block.reversion == "hold_zero"
        return Setting(
            (
                ("enable", 1),
                ("mode", self._block.mode_watts),
                ("value", value),
                ("revert_value", 0),
                ("revert_enable", 1 if holds_zero else 0),
                ("timer", round(reversion_s)),
            )
        )

    def value_registers(self, discharge_w: float) -> list[int]:
        """Registers of the setpoint, cut towards zero to the device's resolution."""
        return encode(
            self._points["value"], device_of(discharge_w, self._block.discharge_sign), self._exponent
        )

    def held_w(self, discharge_w: float) -> float:
        """discharge_w that the device holds after `discharge_w` was cut to its resolution."""
        value = decode(self._points["value"], self.value_registers(discharge_w))
        assert isinstance(value, int)
        return discharge_of(scaler(self._exponent)(value), self._block.discharge_sign)

    def configure(self, discharge_w: float, reversion_s: float) -> list[tuple[int, list[int]]]:
        """(address, registers) writes that set value, reversion and timer, without enabling (reference order)."""
        wanted = dict(self.setting(discharge_w, reversion_s).fields)
        pieces: list[tuple[int, list[int]]] = []
        for name in _CONFIGURE:
            point = self._points[name]
            if name == "value":
                registers = self.value_registers(discharge_w)
            elif name in wanted:
                registers = encode(point, wanted[name])
            elif self._device.raw.get(point.key) is None:
                if self._block.write == "points":
                    continue
                registers = absent(point)  # the percent pair of a device that knows watts only
            else:
                registers = encode(point, 0)
            pieces.append((self._device.address(point), registers))
        return pieces if self._block.write == "points" else _joined(pieces)

    def beat(self, count: int) -> tuple[int, int, list[int]]:
        """(new count, address, registers) of the next heartbeat; wraps to zero before "not implemented"."""
        assert self.heartbeat is not None
        count = (count + 1) % ((1 << 16 * self.heartbeat.size) - 1)
        return count, self._device.address(self.heartbeat), encode(self.heartbeat, count)

    def enable(self, on: bool) -> tuple[int, list[int]]:
        """The write that enables or releases the setpoint."""
        return self.address("enable"), [1 if on else 0]

    def refresh(self, discharge_w: float, reversion_s: float) -> tuple[int, list[int]]:
        """The write that restarts the reversion timer of this product."""
        match self._block.refresh_by:
            case "enable":
                return self.enable(True)
            case "setpoint":
                return self.address("value"), self.value_registers(discharge_w)
            case "timer":
                return self.address("timer"), encode(self._points["timer"], round(reversion_s))

    def same_head(self, registers: Sequence[int]) -> bool:
        """The two registers at `head()` still say the setpoint's model."""
        model = self._points["enable"].model
        return list(registers) == [model, self._device.lengths[model] - 2]

    def head(self) -> Block:
        """Where the setpoint's model announces itself."""
        return Block(self._device.addresses[self._points["enable"].model], 2)


def _joined(pieces: Sequence[tuple[int, list[int]]]) -> list[tuple[int, list[int]]]:
    """Neighbouring writes as one; Raises Implausible when they do not touch."""
    joined = [(pieces[0][0], list(pieces[0][1]))]
    for address, registers in pieces[1:]:
        start, so_far = joined[-1]
        if address != start + len(so_far):
            raise Implausible("the setpoint block is not contiguous: use `write: points` in the profile")
        so_far.extend(registers)
    return joined


_CONFIGURE = ("mode", "value", "revert_value", "percent", "percent_revert", "revert_enable", "timer")
_VERIFIED = ("enable", "mode", "value", "revert_value", "revert_enable", "timer")
