"""Meeting a device: how its registers become known, whether it tells its own map or the profile lists it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from vpp_gateway.southbound.modbus.codec import Block
from vpp_gateway.southbound.modbus.layout import DeviceMap
from vpp_gateway.southbound.modbus.plain import Introduction, PlainMap
from vpp_gateway.southbound.modbus.profile import DeviceProfile
from vpp_gateway.southbound.modbus.scan import Scan
from vpp_gateway.southbound.modbus.sunspec import Tables


class Meeting(Protocol):
    """Says what to read, takes the answer, and knows the device in the end."""

    @property
    def done(self) -> bool:
        """Nothing more is to be read."""
        ...

    @property
    def result(self) -> DeviceMap | None:
        """What was found; complete when `done`."""
        ...

    def next(self) -> Block:
        """What to read now."""
        ...

    def receive(self, registers: Sequence[int]) -> None:
        """Take the answer. Raises DeviceError when this is not the expected device."""
        ...

    def refuse(self, code: int) -> None:
        """The last read was answered with an exception. Raises Rejected when that ends it."""
        ...


def meet(profile: DeviceProfile, tables: Tables) -> Meeting:
    """Begin to get to know a device of this profile."""
    points = [tables.point(name) for name in profile.names()]
    if profile.sunspec:
        return Scan(profile, tables, points)
    command = profile.command
    unread = frozenset() if command is None else command.unread | command.read_back.keys()
    return Introduction(
        [point for point in points if point.key not in unread],
        identity=profile.expected,
        profile=profile.name,
        optional=frozenset(name for name, row in profile.registers.items() if row.optional),
        most=profile.max_read,
        gap=profile.gap,
    )


def same_device(known: DeviceMap, found: DeviceMap) -> bool:
    """Whether two meetings were with one device: same identity, same registers, same scale factors."""
    if isinstance(known, PlainMap):
        return isinstance(found, PlainMap) and known.same_device(found)
    return not isinstance(found, PlainMap) and known.same_device(found)
