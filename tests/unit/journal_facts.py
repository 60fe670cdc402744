"""Facts for the journal's tests: a strategy for each dataclass, and a day in small."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from vpp_gateway.domain import fact as facts
from vpp_gateway.domain.fact import Fact, Instructed, Lost, Obeyed, Tick
from vpp_gateway.domain.instruction import (
    DeviceId,
    EventId,
    Instruction,
    InstructionId,
    Level,
    Phase,
    Priority,
    RoomName,
    SiteId,
)
from vpp_gateway.domain.reading import (
    BatteryReading,
    DeviceHealth,
    Health,
    MeterReading,
    SiteReading,
    Snapshot,
)
from vpp_gateway.journal.records import FactCodec

FACT_TYPES: tuple[type, ...] = get_args(facts.Fact)
CODEC = FactCodec(FACT_TYPES)
T0 = 1_780_000_000.0


def strategy_of(hint: Any) -> st.SearchStrategy[Any]:
    """Every value of a field's type that may stand in a fact: floats are finite."""
    hint = getattr(hint, "__supertype__", hint)
    if hint is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    if hint is int:
        return st.integers(-(2**53), 2**53)
    if hint in (str, bool, type(None)):
        return st.from_type(hint)
    if get_origin(hint) in (Union, UnionType):
        return st.one_of(*map(strategy_of, get_args(hint)))
    if get_origin(hint) is Literal:
        return st.sampled_from(get_args(hint))
    if get_origin(hint) is tuple:
        return _tuple_of(get_args(hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(hint)
    assert is_dataclass(hint), f"no strategy for {hint}"
    hints = get_type_hints(hint)
    return st.builds(hint, **{field.name: strategy_of(hints[field.name]) for field in fields(hint)})


def _tuple_of(args: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    if args[-1] is Ellipsis:
        return st.lists(strategy_of(args[0]), max_size=3).map(tuple)
    return st.tuples(*map(strategy_of, args))


def tick(at: float, sites: int = 1) -> Tick:
    return Tick(at=at, snapshot=Snapshot(at=at, sites=tuple(_site(f"dc{n}", at) for n in range(sites))))


def _site(name: str, at: float) -> SiteReading:
    meter = MeterReading(device=DeviceId(f"{name}-pcc"), at=at, import_w=12_345_678.9)
    names = [DeviceId(f"{name}-bat{n}") for n in range(2)]
    return SiteReading(
        site=SiteId(name),
        at=at,
        meter=meter,
        batteries=tuple(_battery(device, at) for device in names),
        health=tuple(DeviceHealth(device=device, health=Health.GOOD, seen_at=at) for device in names),
        applied_seq=7,
    )


def _battery(device: DeviceId, at: float) -> BatteryReading:
    return BatteryReading(
        device=device,
        at=at,
        discharge_w=123_456.789,
        soc=0.5123,
        discharge_room_w=1e6,
        charge_room_w=1e6,
        armed=True,
        setpoint_w=123_456.0,
    )


def instructed(at: float, event: str = "007") -> Instructed:
    phase = Phase(start_at=at + 60.0, end_at=at + 1860.0, demand=Level(level=2, regulation_w=3e6))
    instruction = Instruction(
        id=InstructionId(f"tso/{event}"),
        room=RoomName("tso"),
        event_id=EventId(event),
        modification=0,
        program="調整力",
        received_at=at,
        phases=(phase,),
        scope=(),
        priority=Priority(rank=1),
    )
    return Instructed(at=at, instruction=instruction)


def obeyed(at: float, seq: int) -> Obeyed:
    return Obeyed(
        at=at,
        site=SiteId("dc0"),
        device=DeviceId("dc0-bat0"),
        instruction=InstructionId("tso/007"),
        epoch=1,
        seq=seq,
        discharge_w=5e5,
        acknowledged_at=at - 0.2,
        confirmed_at=at - 0.1,
    )


def lost(at: float, seq: int, reason: str = "no answer within 0.3 s") -> Lost:
    return Lost(
        at=at,
        site=SiteId("dc0"),
        device=DeviceId("dc0-bat1"),
        instruction=InstructionId("tso/007"),
        epoch=1,
        seq=seq,
        reason=reason,
    )


def day(count: int, start: float = T0) -> list[Fact]:
    """`count` facts, one a second: mostly ticks, every fifth something else."""
    makers = (tick, tick, tick, tick, instructed)
    facts_: list[Fact] = [makers[n % 5](start + n) for n in range(count)]
    return [obeyed(start + n, n) if n % 10 == 9 else fact for n, fact in enumerate(facts_)]
