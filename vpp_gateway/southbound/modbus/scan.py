"""Finding out what a SunSpec device is: base address, chain of models, identity and nameplate. Pure.

    probing   read 2 at each base        -> SunS found
    chaining  read 2 at each model       -> (ID, L), until 0xFFFF
    reading   identity and nameplate     -> SunSpecMap

`next()` says what to read, `receive()` or `refuse()` takes the answer. One scan per connection; its result is
compared with the earlier one, so that a replaced or re-programmed device is noticed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vpp_gateway.errors import Implausible, Rejected
from vpp_gateway.southbound.modbus.codec import Block, Raw, decode, plan_reads, scaler
from vpp_gateway.southbound.modbus.identity import identify
from vpp_gateway.southbound.modbus.point import Point
from vpp_gateway.southbound.modbus.profile import DeviceProfile
from vpp_gateway.southbound.modbus.sunspec import END_MODEL, FIXED_SCALES_FROM, SUNS, Tables

CHAIN_MAX = 64
"""More models than any real device has; a longer chain is a broken one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SunSpecMap:
    """What one scan found."""

    base: int
    addresses: Mapping[int, int]
    """Wire address of the ID register, by model."""
    lengths: Mapping[int, int]
    """Registers with header, by model, as the device says."""
    raw: Mapping[str, Raw] = field(default_factory=dict)
    """Unscaled values of the points read along, by key; None = not implemented."""
    lasting: frozenset[str] = frozenset()
    """Scale factors that must not change, by key: those that are not read along with every value."""

    def has(self, point: Point) -> bool:
        """The device's model is there and long enough, and its group repeats so often."""
        if point.model not in self.addresses or point.offset + point.size > self.lengths[point.model]:
            return False
        count = None if point.counted_by is None else self.raw.get(f"{point.model}.{point.counted_by}")
        return not isinstance(count, int) or point.nth <= count

    def address(self, point: Point) -> int:
        """Wire address of `point`. Raises Rejected when the device has no such register."""
        if not self.has(point):
            raise Rejected(f"the device has no {point.key}")
        return self.addresses[point.model] + point.offset

    def scale(self, point: Point) -> int:
        """Scale factor of `point`. Raises Implausible when its scale factor point is not implemented."""
        if not isinstance(point.scale, str):
            return int(point.scale or 0)
        exponent = self.raw.get(f"{point.model}.{point.scale}")
        if not isinstance(exponent, int):
            raise Implausible(f"{point.model}.{point.scale}, the scale of {point.key}, is not implemented")
        return exponent

    def value(self, point: Point) -> float | None:
        """Scaled value at the time of the scan; None when absent."""
        raw = self.raw.get(point.key)
        return scaler(self.scale(point))(raw) if isinstance(raw, int | float) else None

    def same_device(self, other: SunSpecMap) -> bool:
        """Same identity, same registers, same scale factors."""
        return (
            self.addresses == other.addresses
            and self.lengths == other.lengths
            and all(self.raw.get(key) == other.raw.get(key) for key in ("1.Mn", "1.Md", "1.SN"))
            and all(self.raw.get(key) == other.raw.get(key) for key in self.lasting)
        )


class Scan:
    """One walk through one device."""

    def __init__(self, profile: DeviceProfile, tables: Tables, nameplate: Sequence[Point]) -> None:
        """
        Args:
            profile: the product that is expected here.
            tables: of the profile.
            nameplate: points to read once, besides identity and the scale factors that they and the profile's
                points need.
        """
        self._profile = profile
        self._tables, self._models = tables, tables.models
        self._nameplate = nameplate
        self._bases = deque(profile.bases)
        self._base = 0
        self._cursor: int | None = None
        self._chain: list[tuple[int, int, int]] = []
        self._blocks: deque[Block] = deque()
        self._wanted: list[Point] = []
        self._raw: dict[str, Raw] = {}
        self.result: SunSpecMap | None = None

    def next(self) -> Block:
        """What to read now."""
        if self._cursor is not None:
            return Block(self._cursor, 2)
        if self._blocks:
            return self._blocks[0]
        return Block(self._bases[0], 2)

    def refuse(self, code: int) -> None:
        """The device answered the last read with an exception.

        Raises:
            Rejected: no base is left to try, or a read inside the chain was refused.
        """
        if self._cursor is not None or self._blocks:
            block = self.next()
            raise Rejected(
                f"exception {code} on reading {block.count} registers at {block.address} during the scan"
            )
        self._bases.popleft()
        if not self._bases:
            raise Rejected(
                f"no SunSpec map at any of {', '.join(map(str, self._profile.bases))}: not a SunSpec device"
            )

    def receive(self, registers: Sequence[int]) -> None:
        """Take the answer.

        Raises:
            Rejected: not the expected device: no SunSpec map, a model missing, another manufacturer.
            Implausible: the chain does not end.
        """
        if self._cursor is not None:
            self._link(registers)
        elif self._blocks:
            self._note(self._blocks.popleft(), registers)
        elif tuple(registers) == SUNS:
            self._base = self._bases[0]
            self._cursor = self._base + 2
        else:
            self.refuse(0)

    def _link(self, registers: Sequence[int]) -> None:
        assert self._cursor is not None
        id, length = registers
        if id == END_MODEL:
            self._cursor = None
            self._plan()
            return
        if len(self._chain) >= CHAIN_MAX or self._cursor + length + 4 > 0x10000:
            raise Implausible(f"the chain of SunSpec models does not end: model {id} at {self._cursor}")
        self._chain.append((id, self._cursor, length + 2))
        self._cursor += length + 2

    def _plan(self) -> None:
        addresses: dict[int, int] = {}
        lengths: dict[int, int] = {}
        for id, address, length in self._chain:  # the first of its kind counts
            if addresses.setdefault(id, address) == address:
                lengths[id] = length
        if missing := sorted(self._profile.needed - set(addresses)):
            raise Rejected(
                f"the device lacks SunSpec model {', '.join(map(str, missing))}; profile {self._profile.name}"
            )
        self.result = SunSpecMap(
            base=self._base, addresses=addresses, lengths=lengths, raw=self._raw, lasting=self._lasting()
        )
        identity = [self._models[1].point(name) for name in ("Mn", "Md", "Vr", "SN")]
        identity += [self._tables.point(name) for name in self._profile.identity]
        wanted = [*identity, *self._nameplate, *self._scales_and_counts()]
        self._wanted = [point for point in dict.fromkeys(wanted) if self.result.has(point)]
        spans = [(self.result.address(point), point.size) for point in self._wanted]
        self._blocks = deque(plan_reads(spans, self._profile.max_read))

    def _lasting(self) -> frozenset[str]:
        """Scale factors of models that are written to, and of those whose devices keep them."""
        models = [self._models[id] for id in self._profile.models]
        kept = [
            model
            for model in models
            if model.id >= FIXED_SCALES_FROM or any(point.writable for point in model.points.values())
        ]
        return frozenset(
            point.key for model in kept for point in model.points.values() if point.type == "sunssf"
        )

    def _scales_and_counts(self) -> list[Point]:
        """What the numbers of the models mean, and how often their groups repeat."""
        fixed = [
            point
            for model in self._profile.models
            for point in self._models[model].points.values()
            if point.type == "sunssf"
        ]
        used = (self._tables.scale_of(point) for point in self._nameplate)
        counts = (
            self._models[point.model].point(point.counted_by)
            for point in self._nameplate
            if point.counted_by is not None
        )
        return [*fixed, *(point for point in used if point is not None), *counts]

    def _note(self, block: Block, registers: Sequence[int]) -> None:
        assert self.result is not None
        for point in self._wanted:
            index = self.result.addresses[point.model] + point.offset - block.address
            if index >= 0 and index + point.size <= block.count:
                self._raw[point.key] = decode(point, registers, index)
        if not self._blocks:
            identify(self._raw, self._profile.expected, self._profile.name)

    @property
    def done(self) -> bool:
        """The result is complete."""
        return self.result is not None and self._cursor is None and not self._blocks
