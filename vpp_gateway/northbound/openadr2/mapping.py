"""Protocol words -> domain words: one 2.0b event becomes one `Instruction`, or a refusal with its 4xx code.

    market context known?  453      eiTarget ours?   462      a signal we take?   460
    unit, numbers, times in order?  454

What a positive number means, and what a level asks for, is the program profile's. `delta` is change against the use
without the signal, `setpoint` a target for the import; both reach the domain as W with the basis in the name.
"""

from __future__ import annotations

from vpp_gateway.domain.instruction import EventId, Instruction, InstructionId, Phase, Priority, RoomName
from vpp_gateway.northbound.openadr2.demands import demand_of
from vpp_gateway.northbound.openadr2.messages import Event, Signal
from vpp_gateway.northbound.openadr2.party import Party, Refusal, Refused
from vpp_gateway.northbound.openadr2.program import ProgramProfile, SignalRule
from vpp_gateway.northbound.openadr2.ramps import with_ramps
from vpp_gateway.northbound.openadr2.targets import Scope, choose, event_scope
from vpp_gateway.northbound.openadr2.xml_text import shown

__all__ = [
    "Party",
    "Refusal",
    "active_period",
    "event_id_of",
    "instruction_id",
    "instruction_of",
    "priority_of",
]

LOWEST_PRIORITY = 2**32
SUM_TOLERANCE_S = 1.0
"""Slack when interval durations are compared with the active period (rule 8)."""
LATEST_AT = 253_402_300_799.0
"""9999-12-31T23:59:59Z: nothing later can be written in a message or shown."""


def instruction_of(
    event: Event, *, party: Party, program: ProgramProfile, received_at: float, offset_s: float = 0.0
) -> Instruction | Refusal:
    """What `event` asks of us.

    Args:
        offset_s: Randomised delay of the start drawn for this event (rule 30).
    """
    try:
        scope = event_scope(event, party, program)
        rule, signal, scope = choose(event, scope, party, program)
        phases = _phases(event, signal, rule, scope, party, program, offset_s)
        start_at = phases[0].start_at
        if program.apply_ramps and (event.ramp_up_s or event.recovery_s):
            phases = with_ramps(phases, event.ramp_up_s or 0.0, event.recovery_s or 0.0, program.ramp_steps)
        return Instruction(
            id=instruction_id(party.room, event.event_id),
            room=party.room,
            event_id=EventId(event.event_id),
            modification=event.modification,
            program=program.name,
            received_at=received_at,
            phases=phases,
            scope=scope.sites,
            devices=tuple(one.id for one in scope.devices),
            priority=priority_of(event.priority),
            test=event.test,
            activated_at=None if phases[0].start_at == start_at else start_at,
        )
    except Refused as refused:
        return refused.refusal


def active_period(event: Event, offset_s: float) -> tuple[float, float | None]:
    """Start and end of the active period, startafter included, ramps left out; None = open end (rule 47)."""
    start_at = event.start_at + offset_s
    return start_at, start_at + event.duration_s if event.duration_s else None


def instruction_id(room: RoomName, event_id: str) -> InstructionId:
    """`<room>/<event id>`."""
    return InstructionId(f"{room}/{event_id}")


def event_id_of(room: RoomName, instruction: InstructionId) -> str:
    """The peer's identifier inside an instruction id of this room."""
    return instruction.removeprefix(f"{room}/")


def priority_of(priority: int | None) -> Priority:
    """2.0b: 1 is highest, larger is lower, 0 or absent is lowest."""
    return Priority(rank=priority - 1 if priority else LOWEST_PRIORITY)


def _phases(
    event: Event,
    signal: Signal,
    rule: SignalRule,
    scope: Scope,
    party: Party,
    program: ProgramProfile,
    offset_s: float,
) -> tuple[Phase, ...]:
    spans = _spans(event, signal)
    for other in event.signals:  # one that is not acted on is no licence for times that contradict the event
        if other is not signal:
            _spans(event, other)
    return tuple(
        Phase(
            start_at=start_at + offset_s,
            end_at=None if stop_at is None else stop_at + offset_s,
            demand=demand_of(interval.value, signal, rule, scope, party, program),
        )
        for interval, (start_at, stop_at) in zip(signal.intervals, spans, strict=True)
    )


def _spans(event: Event, signal: Signal) -> list[tuple[float, float | None]]:
    """Start and end of each interval, startafter left out; None = open end. Raises Refused with 454."""
    if event.duration_s < 0 or event.startafter_s < 0:
        raise Refused("454", "active period: expected durations of zero or more, found a negative one")
    end_at = event.start_at + event.duration_s if event.duration_s else None  # rule 47: 0 = open end
    if event.start_at + event.duration_s + event.startafter_s + max(event.recovery_s or 0.0, 0.0) > LATEST_AT:
        raise Refused("454", "active period: expected an end before the year 10000, found a later one")
    name = f"signal {shown(signal.id)}"
    spans: list[tuple[float, float | None]] = []
    cursor = event.start_at
    for index, interval in enumerate(signal.intervals):
        last = index == len(signal.intervals) - 1
        given = interval.start_at
        start_at = cursor if given is None or abs(given - cursor) < SUM_TOLERANCE_S else given
        if start_at < cursor or interval.duration_s < 0 or (interval.duration_s == 0 and not last):
            raise Refused(
                "454", f"{name}, interval {index}: expected to follow the one before, found an overlap"
            )
        stop_at = start_at + interval.duration_s if interval.duration_s else end_at
        if last and end_at is None and interval.duration_s == 0:
            stop_at = None
        spans.append((start_at, stop_at))
        cursor = start_at if stop_at is None else stop_at
    if end_at is not None and abs(cursor - end_at) > SUM_TOLERANCE_S:  # rule 8
        raise Refused(
            "454",
            f"{name}, intervals: expected to fill the active period of {event.duration_s:.0f} s, "
            f"found {cursor - event.start_at:.0f} s",
        )
    if abs(spans[0][0] - event.start_at) > SUM_TOLERANCE_S:
        raise Refused(
            "454",
            f"{name}, intervals: expected the first to start with the active period, found another start",
        )
    return spans
