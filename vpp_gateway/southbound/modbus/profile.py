"""What is special about one product: where it keeps things and what is written to it, as data (`profiles/devices/*.yaml`).

    points:   role -> point, or several points        what the gateway wants to know
    command:  arm, setpoint, refresh, release         what it writes, line by line; a line is one request
    reversion                                         how the device falls back when nobody speaks to it

Points of a SunSpec device are named `<model>.<point>` and found by walking its chain of models; all others are listed
under `registers`. Everything that devices do differently and that a gateway must know is a field here.

A profile may leave open which of several a device is: a role the first of several points, the whole profile one of several
`generations`. `choice.settle` decides it when the device is met.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from vpp_gateway.profile import Profile
from vpp_gateway.southbound.modbus.codec import READ_MAX, WRITE_MAX
from vpp_gateway.southbound.modbus.measures import Measure, PointName, Role, points_of
from vpp_gateway.southbound.modbus.plain import PlainPoint
from vpp_gateway.southbound.modbus.terms import Term, says_setpoint

BatteryRole = Literal[
    "discharge_w",
    "running",
    "alarm",
    "soc",
    "energy_wh",
    "discharge_max_w",
    "charge_max_w",
    "soc_min",
    "soc_max",
    "control_modes",
    "local_remote",
    "frequency_hz",
]
MeterRole = Literal["import_w", "frequency_hz", "import_wh", "export_wh"]
Grade = Literal["bronze", "silver", "gold", "platinum"]
"""bronze: a map only. silver: the contract passes on the simulator. gold: recorded from a device. platinum:
commissioned in the field, the report attached."""
Line = Annotated[dict[PointName, Term], Field(min_length=1)]
"""One request: points, in the order of their registers, and what is put there."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Product(_Frozen):
    """What the profile is for."""

    vendor: str = Field(min_length=1)
    models: tuple[str, ...] = Field(min_length=1)
    firmware: str = ""
    """Firmware that the map was taken from, as far as known."""
    quirks: tuple[str, ...] = ()
    """What to know before touching it."""


class Identity(_Frozen):
    """What a point must say."""

    matches: str
    """Regular expression, found anywhere in the text or in the digits of the number."""
    example: str
    """One that fits, as a device of this kind says it."""

    @model_validator(mode="after")
    def _fits(self) -> Identity:
        try:
            if re.search(self.matches, self.example):
                return self
        except re.error as error:
            raise ValueError(f"matches: {self.matches!r} is not a regular expression: {error}") from None
        raise ValueError(f"example: {self.example!r} does not match {self.matches!r}")


class Command(_Frozen):
    """What is written. Everything that is written is read back, but for what is named in `unread`."""

    arm: tuple[Line, ...] = Field(min_length=1)
    """From free to holding a setpoint. The last line is the one that enables."""
    setpoint: tuple[Line, ...] = Field(min_length=1)
    """Another setpoint, once it is armed."""
    refresh: tuple[Line, ...] = ()
    """What keeps the setpoint alive; nothing where the heartbeat or any access does."""
    release: tuple[Line, ...] = Field(min_length=1)
    """Back to the device's own control."""
    discharge_sign: Literal[1, -1] = 1
    """1: a positive `w` discharges."""
    setpoint_restarts: bool = False
    """A new setpoint restarts the reversion timer as well."""
    through_zero: bool = False
    """Between opposite directions 0 W is set first: magnitude and direction are two registers."""
    separate: bool = False
    """One request per point, for devices that refuse a block with unimplemented ones, or have single writes only."""
    function: Literal[6, 16] = 16
    """Modbus function that writes."""
    unread: frozenset[PointName] = frozenset()
    """Points that cannot be read back, or read back otherwise by design."""
    read_back: dict[PointName, PointName] = Field(default_factory=dict)
    """Written point -> point of the same type and scale that shows it, where that is another one."""
    proof: Literal["readback", "effect"] = "readback"
    """What counts as obeyed: that the registers read back, or, where nothing can be read back, that the writes are
    acknowledged and the power follows. The second finds a liar seconds later."""

    def scripts(self) -> Iterator[tuple[str, tuple[Line, ...]]]:
        """All four, by name."""
        yield from (
            ("arm", self.arm),
            ("setpoint", self.setpoint),
            ("refresh", self.refresh),
            ("release", self.release),
        )

    @property
    def points(self) -> tuple[str, ...]:
        """All points that are written, each once."""
        return tuple(dict.fromkeys(name for _, lines in self.scripts() for line in lines for name in line))


class Heartbeat(_Frozen):
    """A sign of life that the device expects."""

    point: PointName
    style: Literal["counter", "toggle", "constant"] = "counter"
    value: int = 1
    """What a constant heartbeat writes."""
    timeout_s: float | None = Field(default=None, gt=0)
    """The device falls back without it after so long; None = it does not care, or nobody knows."""


class Reversion(_Frozen):
    """How the device falls back by itself when the gateway is gone."""

    kind: Literal["timer", "watchdog", "heartbeat", "none"]
    """timer: we set its length. watchdog: a fixed length. heartbeat: see `heartbeat`. none: it never does."""
    to: Literal["local_control", "hold_zero", "hold"] = "local_control"
    """What it does then."""
    remaining: PointName | None = None
    """Its countdown, s."""
    fixed_s: float | None = Field(default=None, gt=0)
    """Length of a watchdog."""
    least_s: float = Field(default=1.0, gt=0)
    """Shortest timer that it takes."""
    most_s: float = Field(default=86400.0, gt=0)

    @model_validator(mode="after")
    def _consistent(self) -> Reversion:
        if (self.kind == "watchdog") != (self.fixed_s is not None):
            raise ValueError("fixed_s: required for a watchdog, not allowed otherwise")
        if self.remaining is not None and self.kind != "timer":
            raise ValueError("remaining: only a timer has a countdown")
        return self


class DeviceProfile(Profile):
    """One product."""

    name: str
    kind: Literal["battery", "meter"]
    product: Product
    grade: Grade = "bronze"
    unit: int = Field(default=1, ge=0, le=247)
    """Modbus unit id."""
    port: int = Field(default=502, ge=1, le=65535)
    """TCP port unless the operator says otherwise."""
    bases: tuple[int, ...] = (40000, 0, 50000)
    """SunSpec: where to look for `SunS`, in this order (wire addresses)."""
    registers: dict[PointName, PlainPoint] = Field(default_factory=dict)
    """All points of a device that is not SunSpec."""
    timeout_s: float = Field(default=0.5, gt=0, le=1.0)
    """One request and its answer; also the connection attempt."""
    pause_s: float = Field(default=0.0, ge=0, le=1.0)
    """Rest that the device needs between two requests."""
    max_read: int = Field(default=122, ge=2, le=READ_MAX)
    max_write: int = Field(default=WRITE_MAX, ge=1, le=WRITE_MAX)
    gap: int = Field(default=0, ge=0, le=READ_MAX)
    """Registers without a point that may be read along. A SunSpec chain has no holes: there it does not count."""
    identity: dict[PointName, Identity] = Field(default_factory=dict)
    """Points that tell what device this is; asked before anything is written."""
    generations: tuple[str, ...] = ()
    """Names of profiles, the best one first: the device is the first of them that it can be commanded as. Instead of
    points and commands of its own."""
    points: dict[str, Role] = Field(default_factory=dict)
    """Role -> point, or several points."""
    optional: frozenset[int] = frozenset()
    """SunSpec models that not every device of this kind has; its points are then left out."""
    fast: tuple[str, ...] = ()
    """Roles read every cycle."""
    slow: tuple[str, ...] = ()
    """Roles read every `slow_s`."""
    slow_s: float = Field(default=5.0, gt=0)
    power_sign: Literal[1, -1] = 1
    """Battery: 1 = `discharge_w` positive leaves the battery. Meter: 1 = `import_w` positive is consumption."""
    command: Command | None = None
    heartbeat: Heartbeat | None = None
    reversion: Reversion | None = None
    requires_remote: bool = True
    """Refuse to arm while `local_remote` says LOCAL; some devices say so and obey all the same."""
    settle_s: float = Field(default=10.0, gt=0)
    """Time a device may take from a setpoint to that power, above its ramp."""
    _ways: tuple[DeviceProfile, ...] = PrivateAttr(default=())

    @model_validator(mode="after")
    def _consistent(self) -> DeviceProfile:
        if self.generations:
            if self.points or self.registers or self.command or self.reversion or self.fast or self.slow:
                raise ValueError("generations: no points, registers or commands beside them")
            return self
        known = set(_ROLES[self.kind])
        for role in self.points:
            if role not in known:
                raise ValueError(
                    f"points: {role!r} is not a role of a {self.kind}; allowed: {', '.join(sorted(known))}"
                )
        for role in (*self.fast, *self.slow):
            if role not in self.points:
                raise ValueError(f"fast/slow: {role!r} is not among points")
        if missing := self.required - {*self.fast, *self.slow}:
            raise ValueError(f"fast/slow: a {self.kind} must read {', '.join(sorted(missing))}")
        self._check_commands()
        self._check_points()
        return self

    def _check_commands(self) -> None:
        for name, wanted in (("command", self.command), ("reversion", self.reversion)):
            if (self.kind == "battery") != (wanted is not None):
                raise ValueError(f"{name}: required for a battery, not allowed for a meter")
        if self.command is None or self.reversion is None:
            return
        for name, lines in (("arm", self.command.arm), ("setpoint", self.command.setpoint)):
            script = {point: term for line in lines for point, term in line.items()}
            if not says_setpoint(script):
                raise ValueError(
                    f"command: {name} does not say a setpoint; one of w, -w, discharge_w with charge_w, or magnitude_w "
                    "with a code by direction is needed"
                )
        for name, lines in self.command.scripts():
            silent = {n for line in lines for n in line} <= self.command.unread
            if name in ("arm", "setpoint") and silent and self.command.proof == "readback":
                raise ValueError(
                    f"command: nothing of {name} can be read back; then nobody knows what the device "
                    "holds; if it is so, say `proof: effect`"
                )
        terms = [term for _, lines in self.command.scripts() for line in lines for term in line.values()]
        if self.reversion.kind == "timer" and "timer_s" not in terms:
            raise ValueError("reversion: a timer is written nowhere: put timer_s somewhere in arm")
        if self.reversion.kind == "heartbeat" and (
            self.heartbeat is None or self.heartbeat.timeout_s is None
        ):
            raise ValueError("reversion: of kind heartbeat needs heartbeat.timeout_s")

    def _check_points(self) -> None:
        for name in self.names():
            if "." in name and name.split(".", 1)[0].isdigit() and not self.registers:
                continue
            if name not in self.registers:
                allowed = ", ".join(sorted(self.registers)) or "<model>.<point> of a SunSpec device"
                raise ValueError(f"point {name!r} is not among registers; allowed: {allowed}")
        for name, row in self.registers.items():
            if row.registers > self.max_read:
                raise ValueError(
                    f"max_read: {self.max_read} registers are fewer than {name} has ({row.registers})"
                )
        self._check_read_back()
        for name in () if self.command is None else self.command.points:
            if name in self.registers and not self.registers[name].write:
                raise ValueError(f"registers: {name} is written by command, but is not marked `write: true`")

    def _check_read_back(self) -> None:
        for written, shown in () if self.command is None else self.command.read_back.items():
            one, other = self.registers.get(written), self.registers.get(shown)
            if (
                one is None
                or other is None
                or (one.type, one.scale, one.bias) != (other.type, other.scale, other.bias)
            ):
                raise ValueError(f"read_back: {written} and {shown} must be registers of one type and scale")

    @property
    def required(self) -> frozenset[str]:
        """Roles that a device must have."""
        return frozenset({"discharge_w", "soc"} if self.kind == "battery" else {"import_w"})

    @property
    def ways(self) -> tuple[DeviceProfile, ...]:
        """What the device may be, the best one first: the generations, or only this profile."""
        return self._ways or (self,)

    def among(self, ways: tuple[DeviceProfile, ...]) -> DeviceProfile:
        """This choice with its generations, seen as the first of them until a device is met."""
        own = {"name", "source", "verified", "product", "grade", "unit", "port", "bases", "generations"}
        whole = ways[0].model_copy(update={name: getattr(self, name) for name in own})
        whole._ways = ways
        return whole

    def names(self) -> tuple[str, ...]:
        """All points that this profile speaks of, each once."""
        if self._ways:
            return tuple(dict.fromkeys(name for way in self._ways for name in way.names()))
        measured = (name for role in self.points.values() for name in points_of(role))
        return tuple(dict.fromkeys((*measured, *self._other_names())))

    def _other_names(self) -> list[str]:
        """Points that no role is made of."""
        found = list(self.identity)
        if self.command is not None:
            found += [*self.command.points, *self.command.read_back.values()]
        if self.heartbeat is not None:
            found.append(self.heartbeat.point)
        if self.reversion is not None and self.reversion.remaining is not None:
            found.append(self.reversion.remaining)
        return found

    @property
    def expected(self) -> dict[str, str]:
        """Regular expression by point of the identity."""
        return {name: row.matches for name, row in self.identity.items()}

    @property
    def sunspec(self) -> bool:
        """The device tells its own map."""
        return not self.registers

    @property
    def models(self) -> frozenset[int]:
        """Numbers of all SunSpec models this profile speaks of, model 1 (identity) included; none of a plain device."""
        if not self.sunspec:
            return frozenset()
        return frozenset({1, *map(model_of, self.names())})

    @property
    def needed(self) -> frozenset[int]:
        """SunSpec models without which no device is one of this profile."""
        if self._ways:
            return frozenset.intersection(*(way.needed for way in self._ways))
        if not self.sunspec:
            return frozenset()
        settled = (role for role in self.points.values() if not (isinstance(role, Measure) and role.first_of))
        measured = (name for role in settled for name in points_of(role))
        return frozenset({1, *map(model_of, (*measured, *self._other_names()))}) - self.optional

    def reversion_s(self, wanted_s: float) -> float | None:
        """After how long the device falls back when `wanted_s` is asked for; None = never by itself.

        As long as it may be one of several generations, of the one that takes longest.
        """
        if self._ways:
            found = [way.reversion_s(wanted_s) for way in self._ways]
            known = [seconds for seconds in found if seconds is not None]
            return max(known) if len(known) == len(found) else None
        if self.reversion is None or self.reversion.kind == "none":
            return None
        if self.reversion.kind == "watchdog":
            return self.reversion.fixed_s
        if self.reversion.kind == "heartbeat":
            return None if self.heartbeat is None else self.heartbeat.timeout_s
        return min(max(wanted_s, self.reversion.least_s), self.reversion.most_s)


def model_of(name: str) -> int:
    """The SunSpec model of a point that is named `<model>.<point>`."""
    return int(name.split(".", 1)[0])


def device_schema() -> dict[str, object]:
    """The JSON Schema (2020-12) of a device profile, for editors."""
    schema: dict[str, object] = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return schema | DeviceProfile.model_json_schema() | {"title": "vpp-gateway device profile"}


_ROLES: Mapping[str, tuple[str, ...]] = {
    "battery": get_args(BatteryRole),
    "meter": get_args(MeterRole),
}
__all__ = ["Command", "DeviceProfile", "Heartbeat", "Line", "Measure", "Reversion", "model_of"]
