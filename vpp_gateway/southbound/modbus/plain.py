"""A device that does not tell its map: its points as the profile lists them, and its introduction after connecting. Pure.

    next() -> a read of identity and nameplate     receive() | refuse()     -> PlainMap

A read that is refused is asked again point by point, so that one register that this model of the product lacks does not
take its neighbours with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from vpp_gateway.errors import Rejected
from vpp_gateway.southbound.modbus.codec import SIZES, Block, Raw, decode, plan_reads, scaler
from vpp_gateway.southbound.modbus.identity import identify
from vpp_gateway.southbound.modbus.point import PLAIN, Point, Scale, Table

PlainType = Literal["u16", "s16", "u32", "s32", "u64", "s64", "float32", "float64", "string"]


def _factor(value: object) -> object:
    """A factor as it was written: 0.1 is a tenth, not the nearest binary number."""
    return Fraction(str(value)) if isinstance(value, int | float) and not isinstance(value, bool) else value


class PlainPoint(BaseModel):
    """One register, or a few in a row."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    at: int = Field(ge=0, le=0xFFFF)
    """Wire address: counted from 0, as on the wire. Many manuals count from 1, from 30001 or from 40001."""
    table: Table = "holding"
    type: PlainType = "u16"
    size: int | None = Field(default=None, ge=1, le=64)
    """Registers of a text."""
    scale: Annotated[Fraction, BeforeValidator(_factor)] = Field(
        default=Fraction(1), gt=0, json_schema_extra={"type": "number"}
    )
    """Value in `unit` = number * scale."""
    bias: float = Field(default=0.0, allow_inf_nan=False)
    """Added after scaling, in `unit`: some devices count from an offset."""
    unit: str = ""
    """After scaling. Powers must come out in W, energies in Wh, shares in %, times in s."""
    words: Literal["big", "little"] = "big"
    """`little`: the least significant register comes first."""
    bytes: Literal["big", "little"] = "big"
    """`little`: the low byte of each register comes first."""
    unknown: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Patterns (unsigned) that mean "no value"."""
    write: bool = False
    """It may be written."""
    cyclic: bool = True
    """It may be written again and again: the device does not keep it in flash memory."""
    optional: bool = False
    """Not every model of the product has it."""

    @model_validator(mode="after")
    def _sized(self) -> PlainPoint:
        if (self.type == "string") != (self.size is not None):
            raise ValueError("size: required for a string, not allowed otherwise")
        if self.at + self.registers > 0x10000:
            raise ValueError(f"at: {self.at} and {self.registers} registers reach beyond 65535")
        if self.write and self.table == "input":
            raise ValueError("write: input registers cannot be written")
        return self

    @property
    def registers(self) -> int:
        """How many."""
        return SIZES[self.type] if self.size is None else self.size

    def point(self, name: str) -> Point:
        """For the codec."""
        return Point(
            model=PLAIN,
            name=name,
            offset=self.at,
            size=self.registers,
            type=self.type,
            scale=self.scale,
            bias=self.bias,
            writable=self.write,
            table=self.table,
            low_word_first=self.words == "little",
            swapped_bytes=self.bytes == "little",
            unknown=self.unknown,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainMap:
    """What one introduction found."""

    raw: Mapping[str, Raw]
    """Unscaled values at the time of the introduction, by point; None = no value."""
    missing: frozenset[str]
    """Points that this device refused."""
    identity: tuple[str, ...] = field(default=())
    """Names of the points that tell one device from another."""

    def has(self, point: Point) -> bool:
        """The device has it."""
        return point.key not in self.missing

    def address(self, point: Point) -> int:
        """Wire address of `point`. Raises Rejected when the device has no such register."""
        if not self.has(point):
            raise Rejected(f"the device has no {point.key}")
        return point.offset

    def scale(self, point: Point) -> Scale:
        """Its factor."""
        return point.scale if isinstance(point.scale, Fraction) else Fraction(1)

    def value(self, point: Point) -> float | None:
        """Scaled value at the time of the introduction; None when absent."""
        raw = self.raw.get(point.key)
        return scaler(self.scale(point))(raw) + point.bias if isinstance(raw, int | float) else None

    def same_device(self, other: PlainMap) -> bool:
        """Same identity, same registers."""
        same = all(self.raw.get(name) == other.raw.get(name) for name in self.identity)
        return same and self.missing == other.missing


class Introduction:
    """One walk through identity and nameplate of one device."""

    def __init__(
        self,
        points: Sequence[Point],
        *,
        identity: Mapping[str, str],
        profile: str,
        optional: frozenset[str],
        most: int,
        gap: int,
    ) -> None:
        """
        Args:
            points: to be read once.
            identity: regular expression by point: tells which device this is.
            profile: its name, for messages.
            optional: names of points that it may lack.
            most: registers of one read.
            gap: registers without a point that may be read along.
        """
        self._points = {point.key: point for point in points}
        self._identity, self._profile, self._optional = identity, profile, optional
        tables: tuple[Table, ...] = ("holding", "input")
        self._blocks = deque(
            block
            for table in tables
            for block in plan_reads(
                ((p.offset, p.size) for p in points if p.table == table), most, gap=gap, table=table
            )
        )
        self._raw: dict[str, Raw] = {}
        self._missing: set[str] = set()

    def next(self) -> Block:
        """What to read now."""
        return self._blocks[0]

    def _inside(self, block: Block) -> list[Point]:
        return [
            point
            for point in self._points.values()
            if point.table == block.table
            and block.address <= point.offset
            and point.offset + point.size <= block.address + block.count
        ]

    def refuse(self, code: int) -> None:
        """The device answered the last read with an exception. Raises Rejected when it lacks what it must have."""
        block = self._blocks.popleft()
        inside = self._inside(block)
        if len(inside) > 1:
            self._blocks.extendleft(Block(p.offset, p.size, p.table) for p in reversed(inside))
            return
        for point in inside:
            if point.key not in self._optional:
                raise Rejected(f"exception {code} on reading {point.key} at {point.offset} ({point.table})")
            self._missing.add(point.key)
        if not self._blocks:
            identify(self._raw, self._identity, self._profile)

    def receive(self, registers: Sequence[int]) -> None:
        """Take the answer. Raises Rejected when this is another device."""
        block = self._blocks.popleft()
        for point in self._inside(block):
            self._raw[point.key] = decode(point, registers, point.offset - block.address)
        if not self._blocks:
            identify(self._raw, self._identity, self._profile)

    @property
    def done(self) -> bool:
        """The result is complete."""
        return not self._blocks

    @property
    def result(self) -> PlainMap:
        """What was found."""
        return PlainMap(raw=self._raw, missing=frozenset(self._missing), identity=tuple(self._identity))
