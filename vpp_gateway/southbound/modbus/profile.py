"""What is special about one product: a register map with its habits, as data (`profiles/devices/*.yaml`).

Points are named `<model>.<point>` in SunSpec's words; addresses are found by scanning the device. Everything that
devices do differently and that a gateway must know is a field here: which write restarts the reversion timer,
what the device falls back to, which way its signs point.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from vpp_gateway.profile import Profile
from vpp_gateway.southbound.modbus.codec import READ_MAX, WRITE_MAX

PointName = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,5}\.[A-Za-z0-9_.]+$")]
"""`<model>.<point>`, for instance `701.W`."""

BatteryRole = Literal[
    "discharge_w",
    "running",
    "soc",
    "discharge_max_w",
    "charge_max_w",
    "soc_min",
    "soc_max",
    "control_modes",
    "local_remote",
    "heartbeat",
]
MeterRole = Literal["import_w"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SetpointBlock(_Frozen):
    """The registers of an absolute active power setpoint with its reversion timer (SunSpec 704 words)."""

    enable: PointName = "704.WSetEna"
    mode: PointName = "704.WSetMod"
    mode_watts: int = 1
    """Value of `mode` that means watts."""
    value: PointName = "704.WSet"
    revert_value: PointName = "704.WSetRvrt"
    percent: PointName = "704.WSetPct"
    percent_revert: PointName = "704.WSetPctRvrt"
    revert_enable: PointName = "704.WSetEnaRvrt"
    """The value that `enable` takes on reversion (sunspec/models #126), not a switch of the timer."""
    timer: PointName = "704.WSetRvrtTms"
    remaining: PointName = "704.WSetRvrtRem"
    write: Literal["block", "points"] = "block"
    """`points`: one write per implemented point, for devices that refuse a block with unimplemented ones."""
    refresh_by: Literal["enable", "setpoint", "timer"] = "enable"
    """Which write restarts the timer (sunspec/models #215); found at commissioning."""
    reversion: Literal["local_control", "hold_zero"] = "local_control"
    discharge_sign: Literal[1, -1] = 1
    """1: a positive `value` discharges."""

    @property
    def configure(self) -> tuple[PointName, ...]:
        """The points written before enabling, in the order of writing."""
        return (
            self.mode,
            self.value,
            self.revert_value,
            self.percent,
            self.percent_revert,
            self.revert_enable,
            self.timer,
        )


class DeviceProfile(Profile):
    """One product."""

    name: str
    kind: Literal["battery", "meter"]
    unit: int = Field(default=1, ge=0, le=247)
    """Modbus unit id."""
    bases: tuple[int, ...] = (40000, 0, 50000)
    """Where to look for `SunS`, in this order (wire addresses)."""
    timeout_s: float = Field(default=0.5, gt=0, le=1.0)
    """One request and its answer; also the connection attempt."""
    max_read: int = Field(default=122, ge=2, le=READ_MAX)
    max_write: int = Field(default=WRITE_MAX, ge=2, le=WRITE_MAX)
    manufacturer: str | None = None
    """Regular expression that model 1 `Mn` must match; None = any."""
    points: dict[str, PointName]
    """Role -> point."""
    optional: frozenset[int] = frozenset()
    """Models that not every device of this kind has; its points are then left out."""
    fast: tuple[str, ...]
    """Roles read every cycle."""
    slow: tuple[str, ...] = ()
    """Roles read every `slow_s`."""
    slow_s: float = Field(default=5.0, gt=0)
    power_sign: Literal[1, -1] = 1
    """Battery: 1 = `discharge_w` positive leaves the battery. Meter: 1 = `import_w` positive is consumption."""
    setpoint: SetpointBlock | None = None
    requires_remote: bool = True
    """Refuse to arm while `local_remote` says LOCAL; some devices say so and obey all the same."""
    settle_s: float = Field(default=10.0, gt=0)
    """Time a device may take from a setpoint to that power, above its ramp."""
    failsafe: Literal["device", "external"] = "device"
    """`external`: no working reversion timer; needs a dead-man of its own."""

    @model_validator(mode="after")
    def _consistent(self) -> DeviceProfile:
        known = set(_ROLES[self.kind])
        for role in self.points:
            if role not in known:
                raise ValueError(
                    f"points: {role!r} is not a role of a {self.kind}; allowed: {', '.join(sorted(known))}"
                )
        for role in (*self.fast, *self.slow):
            if role not in self.points:
                raise ValueError(f"fast/slow: {role!r} is not among points")
        required = {"discharge_w", "soc"} if self.kind == "battery" else {"import_w"}
        if missing := required - {*self.fast, *self.slow}:
            raise ValueError(f"fast/slow: a {self.kind} must read {', '.join(sorted(missing))}")
        if (self.kind == "battery") != (self.setpoint is not None):
            raise ValueError("setpoint: required for a battery, not allowed for a meter")
        if self.manufacturer is not None:
            re.compile(self.manufacturer)
        return self

    @property
    def models(self) -> frozenset[int]:
        """Numbers of all SunSpec models this profile speaks of, model 1 (identity) included."""
        names = [*self.points.values()]
        if self.setpoint is not None:
            names += [self.setpoint.enable, *self.setpoint.configure, self.setpoint.remaining]
        return frozenset({1, *(int(name.split(".", 1)[0]) for name in names)})


_ROLES = {"battery": BatteryRole.__args__, "meter": MeterRole.__args__}  # type: ignore[attr-defined]
