"""From what really is to the registers that show it: the inverse of `southbound.modbus.measures`, and its faults."""

from __future__ import annotations

import re

from vpp_gateway.sim.bank import Bank
from vpp_gateway.sim.faults import Faults
from vpp_gateway.southbound.modbus.measures import Measure, Role
from vpp_gateway.southbound.modbus.profile import DeviceProfile

VOLTS = 400.0
"""What the other factors of a product show, for instance the voltage beside a current."""


def show(bank: Bank, role: Role, value: float | None) -> None:
    """Put registers so that they read as `value`; None = no value."""
    if isinstance(role, str):
        bank.put(role, value)
    elif value is None:
        for point in role.points:
            bank.put(point, None)
    elif role.state is not None:
        bank.put(role.state, float(_code(role, bool(value))))
    elif role.product:
        first, *others = role.product
        for other in others:
            bank.put(other, VOLTS)
        bank.put(first, value / VOLTS ** len(others))
    elif role.magnitude is not None and role.by is not None:
        bank.put(role.magnitude, abs(value))
        codes = (
            (role.positive or role.negative) if value == 0 else role.positive if value > 0 else role.negative
        )
        bank.put(role.by, float(min(codes or role.positive or role.negative)))
    else:
        _split(bank, role, value)


def _split(bank: Bank, role: Measure, value: float) -> None:
    """A sum: a positive value among those that count positive, a negative one among the others, where there are any."""
    takers = role.plus if value >= 0 or not role.minus else role.minus
    takers = takers or role.minus
    sign = 1.0 if takers is role.plus else -1.0
    for point in (*role.plus, *role.minus):
        bank.put(point, sign * value / len(takers) if point in takers else 0.0)


def _code(role: Measure, wanted: bool) -> int:
    """A code that says that a state is as wanted, or is not."""
    for code in range(0x10000):
        fits = role.value({role.state or "": float(code)}) == 1.0
        if fits == wanted:
            return code
    raise ValueError(f"no code of {role.state} says {'yes' if wanted else 'no'}")


def introduce(bank: Bank, profile: DeviceProfile, *, stranger: bool = False) -> None:
    """Put what the device says of itself; a stranger says something else."""
    for name, row in profile.identity.items():
        said = row.example
        if said.isdigit():
            bank.put(name, _other(row.matches) if stranger else float(said))
        else:
            bank.put(name, "?" if stranger else said)


def _other(pattern: str) -> float:
    """A number that does not match."""
    return next(
        (float(number) for number in (64_999, 0, 7, 77_777) if not re.search(pattern, str(number))), 0.0
    )


class Shown:
    """What a device shows of its power and state of charge, with its faults.

    Args:
        faults: of the device.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._held: dict[str, tuple[float, float]] = {}
        self._looks = 0

    def power_w(self, w: float, now: float) -> float | None:
        """Of a power, W; None = no value."""
        faults = self._faults
        if "nan" in faults:
            return None
        w = self._renewed("frozen", w, now)
        if "sign_flipped" in faults:
            w = 0.0 - w
        if "wrong_scale" in faults:
            w *= faults.value("wrong_scale")
        if "offset" in faults:
            w += faults.value("offset")
        self._looks += 1
        if "spikes" in faults and self._looks % 5 == 0:
            w *= 100.0
        return 0.0 if "zero" in faults else w

    def soc(self, percent: float, now: float) -> float | None:
        """Of a state of charge, %; None = no value."""
        faults = self._faults
        if "nan" in faults:
            return None
        percent = self._renewed("frozen_soc", percent, now)
        if "soc_jump" in faults:
            percent = min(max(percent + faults.value("soc_jump"), 0.0), 100.0)
        return 120.0 if "soc_beyond" in faults else percent

    def _renewed(self, frozen: str, value: float, now: float) -> float:
        """The value that was there when it froze, or when it was renewed last."""
        stale = "stale" in self._faults
        if not stale and frozen not in self._faults:
            self._held.pop(frozen, None)
            return value
        at, held = self._held.setdefault(frozen, (now, value))
        if stale and frozen not in self._faults and now - at >= self._faults.value("stale"):
            self._held[frozen] = (now, value)
            return value
        return held
