"""From what really is to the registers that show it: the inverse of `southbound.modbus.measures`."""

from __future__ import annotations

from vpp_gateway.sim.bank import Bank
from vpp_gateway.southbound.modbus.measures import Measure, Role

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
        codes = (role.positive or role.negative) if value == 0 else role.positive if value > 0 else role.negative
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
