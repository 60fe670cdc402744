"""Which of several a device is: decided once, from what it has and says when it is met. Pure.

    generations: [sunspec-700-battery, sunspec-storage-legacy]        discharge_w: {first_of: [103.W, 113.W]}
        the first that it can be commanded as                             the first that it has

What comes out is a profile that leaves nothing open; everything behind the meeting speaks of that one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from vpp_gateway.errors import Implausible, MisuseError, Rejected
from vpp_gateway.southbound.modbus.measures import Measure, Role, points_of
from vpp_gateway.southbound.modbus.point import Point
from vpp_gateway.southbound.modbus.profile import DeviceProfile, model_of
from vpp_gateway.southbound.modbus.sunspec import Tables

FIXED_W_BIT = 1
"""702 CtrlModes: the device can hold an absolute power."""


class Known(Protocol):
    """What is known of a device that was met."""

    def has(self, point: Point) -> bool: ...
    def value(self, point: Point) -> float | None: ...


def settle(profile: DeviceProfile, tables: Tables, device: Known) -> DeviceProfile:
    """What `device` is, of all that `profile` leaves open.

    Raises:
        Rejected: it has none of the places where a required value may lie, or is of no generation.
    """
    reasons: list[str] = []
    fitting: list[DeviceProfile] = []
    for way in profile.ways:
        try:
            fitting.append(_settled(way, tables, device, len(profile.ways) > 1))
        except Rejected as error:
            reasons.append(str(error))
    if not fitting:
        raise Rejected("; ".join(reasons))
    return next((way for way in fitting if commands(way, tables, device)), fitting[0])


def _settled(way: DeviceProfile, tables: Tables, device: Known, one_of_several: bool) -> DeviceProfile:
    if one_of_several:
        _hold_all(way, tables, device)
    roles: dict[str, Role] = {}
    for role, source in way.points.items():
        found = _first(source, tables, device)
        if found is not None:
            roles[role] = found
        elif role in way.required:
            raise Rejected(f"the device has none of {', '.join(points_of(source))}; profile {way.name}")
    return _with(way, roles)


def _hold_all(way: DeviceProfile, tables: Tables, device: Known) -> None:
    """Raises Rejected when the device lacks a model that this way needs."""
    heads = {model: tables.models[model].point("ID") for model in way.needed}
    if missing := sorted(model for model, head in heads.items() if not device.has(head)):
        numbers = ", ".join(map(str, missing))
        raise Rejected(f"the device lacks SunSpec model {numbers}; profile {way.name}")


def _with(profile: DeviceProfile, roles: dict[str, Role]) -> DeviceProfile:
    if roles == profile.points:
        return profile
    fast, slow = (tuple(role for role in roles_ if role in roles) for roles_ in (profile.fast, profile.slow))
    return profile.model_copy(update={"points": roles, "fast": fast, "slow": slow})


def _first(source: Role, tables: Tables, device: Known) -> Role | None:
    """The place where the device keeps a value; None when it has none of those that are open."""
    if not isinstance(source, Measure) or not source.first_of:
        return source
    there = [
        found
        for one in source.first_of
        if (found := _first(one, tables, device)) is not None
        and all(device.has(tables.point(name)) for name in points_of(found))
    ]
    return next((one for one in there if _says(one, tables, device)), there[0] if there else None)


def _says(role: Role, tables: Tables, device: Known) -> bool:
    """All of its points had a value when the device was met."""
    try:
        return all(device.value(tables.point(name)) is not None for name in points_of(role))
    except Implausible:
        return False  # its scale factor is not implemented


def commands(profile: DeviceProfile, tables: Tables, device: Known) -> bool:
    """The device has all that is written to it, and does not deny that it holds a power."""
    if profile.command is None:
        return True
    modes = profile.points.get("control_modes")
    said = device.value(tables.point(modes)) if isinstance(modes, str) else None
    written = all(device.has(tables.point(name)) for name in profile.command.points)
    return written and (said is None or bool(int(said) >> FIXED_W_BIT & 1))


# --- without a device ----------------------------------------------------------------------------------------


def imagined(profile: DeviceProfile, models: Collection[int] | None = None) -> DeviceProfile:
    """A profile that leaves nothing open, for a simulated device: the first of everything.

    Args:
        models: numbers of the SunSpec models that it shall have, or at least be able to have; None = all.

    Raises:
        MisuseError: no device with these models is one of this profile.
    """
    for way in profile.ways:
        found = _imagined(way, models)
        if found is not None:
            return found
    wanted = ", ".join(map(str, sorted(models or ())))
    raise MisuseError(
        f"no device with the models {wanted} is one of profile {profile.name}; "
        f"it speaks of {', '.join(map(str, sorted(profile.models))) or 'no SunSpec model'}"
    )


def _imagined(way: DeviceProfile, models: Collection[int] | None) -> DeviceProfile | None:
    allowed = way.models if models is None else way.models & {1, *models}
    if not way.needed <= allowed or (models is not None and not way.sunspec):
        return None
    roles = {
        role: found
        for role, source in way.points.items()
        if (found := _allowed(source, lambda name: not way.sunspec or model_of(name) in allowed)) is not None
    }
    return _with(way, roles) if way.required <= set(roles) else None


def _allowed(source: Role, allows: Callable[[str], bool]) -> Role | None:
    if isinstance(source, Measure) and source.first_of:
        return next((f for one in source.first_of if (f := _allowed(one, allows)) is not None), None)
    return source if all(allows(name) for name in points_of(source)) else None


__all__ = ["FIXED_W_BIT", "Known", "commands", "imagined", "settle"]
