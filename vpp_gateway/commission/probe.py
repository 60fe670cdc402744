"""Reading a device that nobody commands: one connection, one request at a time, never a write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

from vpp_gateway.errors import Rejected, Unreachable
from vpp_gateway.southbound.modbus.choice import settle
from vpp_gateway.southbound.modbus.codec import Block, decode, exception_words
from vpp_gateway.southbound.modbus.layout import DeviceMap, read_plans, role_spans
from vpp_gateway.southbound.modbus.measures import derive
from vpp_gateway.southbound.modbus.meeting import meet
from vpp_gateway.southbound.modbus.profile import DeviceProfile
from vpp_gateway.southbound.modbus.scan import CHAIN_MAX
from vpp_gateway.southbound.modbus.sunspec import END_MODEL, SUNS
from vpp_gateway.southbound.modbus.tables import load_models, tables_of
from vpp_gateway.southbound.modbus.transport import Address, Transport, quiet_pymodbus

BASES = (40000, 0, 50000)
_IDENTITY = {"maker": "Mn", "model": "Md", "version": "Vr", "serial": "SN"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A SunSpec device as it presents itself."""

    base: int
    models: tuple[tuple[int, int, int], ...]
    """(number, wire address of its ID register, registers with header)."""
    identity: Mapping[str, str]
    """maker, model, version, serial: as it says, empty where it says nothing."""


class Probe:
    """A connection for looking; an async context manager.

    Args:
        address: of the device.
        unit: Modbus unit id.
        timeout_s: of one request.
    """

    def __init__(self, address: Address, *, unit: int = 1, timeout_s: float = 0.5) -> None:
        self.address, self.unit = address, unit
        self._transport = Transport(address, unit=unit, timeout_s=timeout_s, on_lost=lambda: None)

    async def __aenter__(self) -> Probe:
        quiet_pymodbus()
        await self._transport.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport.kill()

    async def read(self, block: Block) -> tuple[tuple[int, ...], int]:
        """Registers, and the exception code, 0 for none.

        Raises:
            Unreachable: no answer in time.
        """
        if not self._transport.up:
            await self._transport.open()
        answer = await self._transport.read(block.address, block.count, block.table)
        return tuple(answer.registers), answer.exception

    async def chain(self, bases: tuple[int, ...] = BASES) -> Chain | None:
        """The chain of SunSpec models, None when there is none. Raises Unreachable."""
        for base in bases:
            registers, exception = await self.read(Block(base, 2))
            if exception or registers != SUNS:
                continue
            models = await self._walk(base + 2)
            return Chain(base=base, models=models, identity=await self._identity(models))
        return None

    async def _walk(self, cursor: int) -> tuple[tuple[int, int, int], ...]:
        models: list[tuple[int, int, int]] = []
        while len(models) < CHAIN_MAX and cursor < 0xFFFE:
            registers, exception = await self.read(Block(cursor, 2))
            if exception or registers[0] == END_MODEL:
                break
            models.append((registers[0], cursor, registers[1] + 2))
            cursor += registers[1] + 2
        return tuple(models)

    async def _identity(self, models: tuple[tuple[int, int, int], ...]) -> dict[str, str]:
        start = next((address for number, address, _ in models if number == 1), None)
        if start is None:
            return dict.fromkeys(_IDENTITY, "")
        table = load_models([1])[1]
        found: dict[str, str] = {}
        for word, name in _IDENTITY.items():
            point = table.point(name)
            registers, exception = await self.read(Block(start + point.offset, point.size))
            said = None if exception else decode(point, registers)
            found[word] = said if isinstance(said, str) else ""
        return found

    async def meet(self, profile: DeviceProfile) -> DeviceMap:
        """Get to know the device as one of this profile.

        Raises:
            Rejected: it is another one.
            Implausible: its map makes no sense.
            Unreachable: it does not answer.
        """
        tables = tables_of(profile)
        meeting = meet(profile, tables)
        while not meeting.done:
            registers, exception = await self.read(meeting.next())
            if exception:
                meeting.refuse(exception)
            else:
                meeting.receive(registers)
        assert meeting.result is not None
        settle(profile, tables, meeting.result)
        return meeting.result

    async def identity(self, profile: DeviceProfile) -> dict[str, str]:
        """What the device says of itself: maker, model, version, serial of SunSpec, or the points of the profile's identity.

        Raises:
            DeviceError: it does not answer, or is another one.
        """
        if profile.sunspec:
            chain = await self.chain(profile.bases)
            return {} if chain is None else dict(chain.identity)
        device = await self.meet(profile)
        return {name: str(device.raw.get(name)) for name in profile.identity}

    async def values(self, profile: DeviceProfile, device: DeviceMap) -> dict[str, float | None]:
        """All roles of the profile, read now; None = no value. Raises Rejected, Unreachable."""
        tables = tables_of(profile)
        profile = settle(profile, tables, device)
        spans = role_spans(profile.points, tables, device)
        found: dict[str, float | None] = {}
        for plan in read_plans(spans, device, profile.max_read, 0xFFFF if profile.sunspec else profile.gap):
            registers, exception = await self.read(plan.block)
            if exception:
                raise Rejected(f"{exception_words(exception)} on reading {plan.block.address}")
            found |= {name: read(registers) for name, read in plan.readers}
        fill = derive(profile.points)
        if fill is not None:
            fill(found)
        return {role: found.get(role) for role in profile.points}


async def answers(address: Address, timeout_s: float) -> bool:
    """Something accepts connections there."""
    try:
        async with Probe(address, timeout_s=timeout_s):
            return True
    except Unreachable:
        return False
