"""All registers of a simulated device of any profile: what the profile lists, or a chain of SunSpec models.

Every point can be put and got by its name, in the unit after scaling. Registers that no point owns do not exist in a
plain device: reading or writing them is answered with exception 2, as real devices do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from vpp_gateway.errors import MisuseError
from vpp_gateway.sim.image import Image
from vpp_gateway.southbound.modbus.codec import absent, decode, encode, encode_text, scaler
from vpp_gateway.southbound.modbus.point import Point, Scale, Table
from vpp_gateway.southbound.modbus.profile import DeviceProfile
from vpp_gateway.southbound.modbus.tables import tables_of

TABLES: tuple[Table, ...] = ("holding", "input")
EXPONENTS = {
    "W": 2,
    "DCW": 1,
    "Max": 2,
    "Pct": -2,
    "SoC": -2,
    "ChaState": -2,
    "MinRsv": -2,
    "InOutWRte": -2,
    "Hz": -2,
    "PF": -3,
    "V": -1,
    "A": -2,
}
"""Scale factors that real devices use, by how the name of the scale factor point begins; others are 0."""


class Bank:
    """Registers by table and wire address.

    Args:
        profile: what the device is.
        base: wire address of `SunS`, of a SunSpec device.
        exponents: scale factor points that shall have another value, by key.
    """

    def __init__(
        self, profile: DeviceProfile, *, base: int = 40000, exponents: Mapping[str, int] | None = None
    ) -> None:
        self._tables = tables_of(profile)
        self._owners: dict[tuple[Table, int], Point] = {}
        self._words: dict[tuple[Table, int], int] = {}
        self._places: dict[str, int] = {}
        self._scales: dict[str, Scale] = {}
        if profile.sunspec:
            self._chain(profile, base, exponents or {})
        else:
            for name, point in self._tables.plain.items():
                self._own(name, point, point.offset, point.scale if isinstance(point.scale, Fraction) else 0)
                self._store(point, point.offset, _blank(point))
            self._fill_gaps(profile.gap)

    def _fill_gaps(self, gap: int) -> None:
        """Holes that the profile says may be read along read as 0."""
        for table in TABLES:
            addresses = sorted(address for own, address in self._words if own == table)
            for left, right in pairwise(addresses):
                if 1 < right - left <= gap + 1:
                    self._words |= {(table, address): 0 for address in range(left + 1, right)}

    def _chain(self, profile: DeviceProfile, base: int, exponents: Mapping[str, int]) -> None:
        repeats = {
            id: max(
                (p.nth for name in profile.names() if (p := self._tables.point(name)).model == id), default=0
            )
            for id in profile.models
        }
        models = [model.repeated(repeats[id]) for id, model in self._tables.models.items()]
        told = {
            point.key: exponents.get(point.key, _exponent(point.name.rpartition(".")[2]))
            for model in models
            for point in model.points.values()
            if point.type == "sunssf"
        }
        image = Image(sorted(profile.models), base=base, exponents=told, repeats=repeats)
        for index, word in enumerate(image.registers):
            self._words["holding", base + index] = word
        for model in models:
            for point in model.points.values():
                self._own(point.key, point, image.starts[model.id] + point.offset, image.exponent(point))
        for name, said in {"1.Mn": "Simulated", "1.Md": profile.name, "1.Vr": "1", "1.SN": "1"}.items():
            self.put(name, said)

    def _own(self, name: str, point: Point, address: int, scale: Scale) -> None:
        self._places[name], self._scales[name] = address, scale
        for offset in range(point.size):
            self._owners[point.table, address + offset] = point

    def _store(self, point: Point, address: int, words: list[int]) -> None:
        if (point.table, address) not in self._owners:
            return  # dropped
        for offset, word in enumerate(words):
            self._words[point.table, address + offset] = word

    # --- by name ---------------------------------------------------------------------------------------------

    def has(self, name: str) -> bool:
        """The device has such a point."""
        return name in self._places

    def put(self, name: str, value: float | str | None) -> None:
        """Set a point, in its unit; None = no value. A number is rounded to its resolution and cut to its range."""
        point = self._tables.point(name)
        self._store(point, self._places[name], self._encoded(name, point, value))

    def _encoded(self, name: str, point: Point, value: float | str | None) -> list[int]:
        if value is None:
            return _blank(point)
        if point.type == "string":
            return encode_text(point, str(value))
        number = float(value)
        scale = self._scales[name]
        if not point.type.startswith("float"):
            step = float(scale) if isinstance(scale, Fraction) else 10.0**scale
            number = round((number - point.bias) / step) * step + point.bias
        try:
            return encode(point, number, scale)
        except MisuseError:
            return _edge(point, number)

    def get(self, name: str) -> float | None:
        """The value of a point, in its unit; None = no value."""
        point = self._tables.point(name)
        place = self._places[name]
        words = [self._words[point.table, place + offset] for offset in range(point.size)]
        raw = decode(point, words)
        return scaler(self._scales[name])(raw) + point.bias if isinstance(raw, int | float) else None

    def can_say_nothing(self, name: str) -> bool:
        """The point has a pattern for "no value"."""
        point = self._tables.point(name)
        return bool(point.model or point.unknown or point.type.startswith("float"))

    def covers(self, name: str, table: Table, address: int, count: int) -> bool:
        """The point lies wholly inside this range of registers."""
        point, start = self._tables.point(name), self._places[name]
        return point.table == table and address <= start and start + point.size <= address + count

    def addresses(self, name: str) -> range:
        """Wire addresses of a point."""
        start = self._places[name]
        return range(start, start + self._tables.point(name).size)

    def drop(self, name: str) -> None:
        """The device lacks this point: its registers do not exist."""
        point = self._tables.point(name)
        for address in self.addresses(name):
            self._words.pop((point.table, address), None)
            self._owners.pop((point.table, address), None)

    # --- by address ------------------------------------------------------------------------------------------

    def read(self, table: Table, address: int, count: int, *, swapped: bool = False) -> list[int] | None:
        """Registers; None when one of them does not exist.

        Args:
            swapped: the words of every long value in the wrong order.
        """
        found = [self._words.get((table, address + offset)) for offset in range(count)]
        known = [word for word in found if word is not None]
        if len(known) != count:
            return None
        return self._swapped(table, address, known) if swapped else known

    def _swapped(self, table: Table, address: int, words: list[int]) -> list[int]:
        for name, start in self._places.items():
            point = self._tables.point(name)
            at = start - address
            if point.table == table and at >= 0 and at + point.size <= len(words):
                words[at : at + point.size] = words[at : at + point.size][::-1]
        return words

    def write(self, address: int, words: list[int]) -> bool:
        """Take over holding registers; False when one of them does not exist or may not be written."""
        owners = [self._owners.get(("holding", address + offset)) for offset in range(len(words))]
        if not all(owner is not None and owner.writable for owner in owners):
            return False
        for offset, word in enumerate(words):
            self._words["holding", address + offset] = word
        return True

    def span(self, table: Table) -> tuple[int, int] | None:
        """First and last address of a table; None when it is empty."""
        addresses = [address for own, address in self._words if own == table]
        return (min(addresses), max(addresses)) if addresses else None


def _exponent(name: str) -> int:
    return next((value for start, value in EXPONENTS.items() if name.startswith(start)), 0)


def _blank(point: Point) -> list[int]:
    """Registers of a point without a value."""
    try:
        return absent(point)
    except MisuseError:
        return [0] * point.size


def _edge(point: Point, number: float) -> list[int]:
    """The value nearest to one that does not fit: devices saturate, just below what means "no value"."""
    bits = 16 * point.size
    signed = point.type.startswith(("s", "int"))
    if not math.isfinite(number) or bits > 32:
        return _blank(point)
    top = (1 << bits - 1) - 2 if signed else (1 << bits) - 2
    low = -top if signed else 0
    return encode(replace(point, bias=0.0), float(top if number > 0 else low))
