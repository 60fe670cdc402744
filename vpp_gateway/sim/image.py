"""The registers of a simulated SunSpec device: a chain of models, built from the published point tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pymodbus.simulator import DataType, SimData, SimDevice
from pymodbus.simulator.simdevice import SimAction

from vpp_gateway.southbound.modbus.codec import absent, encode, encode_text
from vpp_gateway.southbound.modbus.point import Point
from vpp_gateway.southbound.modbus.sunspec import END_MODEL, SUNS, Model
from vpp_gateway.southbound.modbus.tables import load_models


def fitting_exponent(largest: float, most: int = 32000) -> int:
    """The smallest scale factor (>= 0) with which `largest` fits a 16-bit point."""
    exponent = 0
    while largest / 10**exponent > most:
        exponent += 1
    return exponent


class Image:
    """All registers of one device; every point starts as "not implemented" until it is put.

    Args:
        models: numbers, in the order of the chain.
        base: wire address of `SunS`.
        exponents: scale factor points by key, for instance `{"701.W_SF": 2}`.
        repeats: how often the group at the end of a model stands there, by model; 0 unless said.
    """

    def __init__(
        self,
        models: Sequence[int],
        *,
        base: int,
        exponents: Mapping[str, int],
        repeats: Mapping[int, int] | None = None,
    ) -> None:
        self.base = base
        self._repeats = repeats or {}
        loaded = load_models(models)
        self._tables = {id: table.repeated(self._repeats.get(id, 0)) for id, table in loaded.items()}
        self._exponents = exponents
        self.starts: dict[int, int] = {}
        """Wire address of each model's ID register."""
        self.registers: list[int] = list(SUNS)
        self._owners: dict[int, Point] = {}
        for id in models:
            self._append(self._tables[id])
        self.registers += [END_MODEL, 0]

    def _append(self, table: Model) -> None:
        start = self.base + len(self.registers)
        self.starts[table.id] = start
        for point in table.points.values():
            for offset in range(point.size):
                self._owners[start + point.offset + offset] = point
            if point.name == "ID":
                self.registers += [table.id]
            elif point.name == "L":
                self.registers += [table.length - 2]
            elif table.group is not None and point.name == table.group.counted_by:
                self.registers += [self._repeats.get(table.id, 0)]
            elif point.key in self._exponents:
                self.registers += encode(point, self._exponents[point.key])
            else:
                self.registers += absent(point)

    def point(self, key: str) -> Point:
        """The point named `<model>.<point>`."""
        model, _, name = key.partition(".")
        return self._tables[int(model)].point(name)

    def exponent(self, point: Point) -> int:
        """Its scale factor, 0 when it has none."""
        if not isinstance(point.scale, str):
            return int(point.scale or 0)
        return self._exponents.get(f"{point.model}.{point.scale}", 0)

    def index(self, point: Point) -> int:
        """Its place in `registers`."""
        return self.starts[point.model] + point.offset - self.base

    def put(self, key: str, value: float | str | None) -> None:
        """Set a point; None = not implemented."""
        point = self.point(key)
        if value is None:
            words = absent(point)
        elif isinstance(value, str):
            words = encode_text(point, value)
        else:
            words = encode(point, value, self.exponent(point))
        at = self.index(point)
        self.registers[at : at + point.size] = words

    def writable(self, address: int, count: int) -> bool:
        """Every one of these registers belongs to a point that may be written."""
        owners = (self._owners.get(address + offset) for offset in range(count))
        return all(owner is not None and owner.writable for owner in owners)

    def covers(self, key: str, address: int, count: int) -> bool:
        """The point lies wholly inside this range of registers."""
        point = self.point(key)
        start = self.starts[point.model] + point.offset
        return address <= start and start + point.size <= address + count

    def overlaps(self, model: int, address: int, count: int) -> bool:
        """Some register of the model lies inside this range."""
        start = self.starts[model]
        return address < start + self._tables[model].length and start < address + count

    def device(self, unit: int, action: SimAction) -> SimDevice:
        """The device for a pymodbus server, with a copy of these registers."""
        data = SimData(self.base, values=list(self.registers), datatype=DataType.REGISTERS)
        return SimDevice(unit, simdata=[data], action=action)
