"""Protocol words -> domain words: one 2.0b event becomes one `Instruction`, or a refusal with its 4xx code.

    market context known?  453      eiTarget ours?   462      a signal we take?   460
    unit, numbers, times in order?  454

What a positive number means, and what a level asks for, is the program profile's. `delta` is change against the use
without the signal, `setpoint` a target for the import; both reach the domain as W with the basis in the name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vpp_gateway.domain.instruction import (
    Delta,
    Demand,
    EventId,
    Instruction,
    InstructionId,
    Level,
    Phase,
    Priority,
    RoomName,
    Setpoint,
    SiteId,
)
from vpp_gateway.domain.quantity import regulation_of
from vpp_gateway.northbound.openadr2.addressing import naming
from vpp_gateway.northbound.openadr2.messages import Event, Signal
from vpp_gateway.northbound.openadr2.program import ProgramProfile, SignalRule
from vpp_gateway.northbound.openadr2.report_words import SI_SCALE
from vpp_gateway.northbound.openadr2.xml_text import shown

LOWEST_PRIORITY = 2**32
SUM_TOLERANCE_S = 1.0
"""Slack when interval durations are compared with the active period (rule 8)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why an event cannot be taken."""

    code: str
    """453 market context, 454 data, 460 signal, 462 target."""
    reason: str
    """What was expected, what was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """Who we are in one northbound room."""

    room: RoomName
    ven_id: str
    resources: Mapping[str, SiteId]
    """resourceID -> site."""
    level_base_w: Mapping[SiteId, float]
    """W that a share of 1 means, per site."""


class _Refused(Exception):
    """Carries a `Refusal` out of the small hands below."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.refusal = Refusal(code=code, reason=reason)


def instruction_of(
    event: Event, *, party: Party, program: ProgramProfile, received_at: float, offset_s: float = 0.0
) -> Instruction | Refusal:
    """What `event` asks of us.

    Args:
        offset_s: Randomised delay of the start drawn for this event (rule 30).
    """
    try:
        scope = _scope(event, party, program)
        rule, signal = _signal(event, program)
        return Instruction(
            id=instruction_id(party.room, event.event_id),
            room=party.room,
            event_id=EventId(event.event_id),
            modification=event.modification,
            program=program.name,
            received_at=received_at,
            phases=_phases(event, signal, rule, scope, party, program, offset_s),
            scope=scope,
            priority=priority_of(event.priority),
            test=event.test,
        )
    except _Refused as refused:
        return refused.refusal


def instruction_id(room: RoomName, event_id: str) -> InstructionId:
    """`<room>/<event id>`."""
    return InstructionId(f"{room}/{event_id}")


def event_id_of(room: RoomName, instruction: InstructionId) -> str:
    """The peer's identifier inside an instruction id of this room."""
    return instruction.removeprefix(f"{room}/")


def priority_of(priority: int | None) -> Priority:
    """2.0b: 1 is highest, larger is lower, 0 or absent is lowest."""
    return Priority(rank=priority - 1 if priority else LOWEST_PRIORITY)


def _scope(event: Event, party: Party, program: ProgramProfile) -> tuple[SiteId, ...]:
    """Addressed sites; empty = the whole portfolio (rule 22)."""
    if program.market_contexts and event.market_context not in program.market_contexts:
        allowed = ", ".join(program.market_contexts)
        raise _Refused("453", f"market context: expected {allowed}, found {shown(event.market_context)}")
    targets = naming(event.targets, program)
    if targets.empty:
        return ()
    sites = tuple(dict.fromkeys(party.resources[id] for id in targets.resource_ids if id in party.resources))
    named = party.ven_id in targets.ven_ids
    if named and not (sites and program.ven_target_narrows):
        return ()
    if sites and (named or not targets.ven_ids or not program.ven_target_narrows):
        return sites
    ours = ", ".join((party.ven_id, *party.resources))
    found = ", ".join(shown(id) for id in (*targets.ven_ids, *targets.resource_ids, *targets.group_ids)[:5])
    raise _Refused("462", f"eiTarget: expected one of {ours}; found {found or 'criteria of other kinds'}")


def _signal(event: Event, program: ProgramProfile) -> tuple[SignalRule, Signal]:
    """The first signal, in the profile's order, that the program takes."""
    for rule in program.signals:
        for signal in event.signals:
            names = {rule.name, rule.name.lower()} if rule.name == "SIMPLE" else {rule.name}
            ours = signal.name in names and signal.type == rule.type
            if ours and rule.meaning != "ignore" and not signal.targets.device_classes:
                return rule, signal
    taken = ", ".join(f"{rule.name}/{rule.type}" for rule in program.signals if rule.meaning != "ignore")
    found = ", ".join(f"{shown(signal.name)}/{shown(signal.type)}" for signal in event.signals[:5])
    raise _Refused("460", f"signal: expected {taken}; found {found}")


def _phases(
    event: Event,
    signal: Signal,
    rule: SignalRule,
    scope: tuple[SiteId, ...],
    party: Party,
    program: ProgramProfile,
    offset_s: float,
) -> tuple[Phase, ...]:
    if event.duration_s < 0 or event.startafter_s < 0:
        raise _Refused("454", "active period: expected durations of zero or more, found a negative one")
    end_at = event.start_at + event.duration_s if event.duration_s else None  # rule 47: 0 = open end
    phases: list[Phase] = []
    cursor = event.start_at
    for index, interval in enumerate(signal.intervals):
        last = index == len(signal.intervals) - 1
        given = interval.start_at
        start_at = cursor if given is None or abs(given - cursor) < SUM_TOLERANCE_S else given
        if start_at < cursor or interval.duration_s < 0 or (interval.duration_s == 0 and not last):
            raise _Refused("454", f"interval {index}: expected to follow the one before, found an overlap")
        stop_at = start_at + interval.duration_s if interval.duration_s else end_at
        if last and end_at is None and interval.duration_s == 0:
            stop_at = None
        demand = _demand(interval.value, signal, rule, scope, party, program)
        phases.append(
            Phase(
                start_at=start_at + offset_s,
                end_at=None if stop_at is None else stop_at + offset_s,
                demand=demand,
            )
        )
        cursor = start_at if stop_at is None else stop_at
    if end_at is not None and abs(cursor - end_at) > SUM_TOLERANCE_S:  # rule 8
        raise _Refused(
            "454",
            f"intervals: expected to fill the active period of {event.duration_s:.0f} s, "
            f"found {cursor - event.start_at:.0f} s",
        )
    if abs(phases[0].start_at - offset_s - event.start_at) > SUM_TOLERANCE_S:
        raise _Refused(
            "454", "intervals: expected the first to start with the active period, found another start"
        )
    return tuple(phases)


def _demand(
    value: float,
    signal: Signal,
    rule: SignalRule,
    scope: Sequence[SiteId],
    party: Party,
    program: ProgramProfile,
) -> Demand:
    if not math.isfinite(value):
        raise _Refused("454", f"payload: expected a finite number, found {value}")
    if rule.meaning == "level":
        return _level(value, scope, party, program)
    watts = value * _factor(signal, rule)
    if not math.isfinite(watts):
        raise _Refused("454", f"payload: expected a finite power, found {value}")
    if rule.meaning == "delta":
        return Delta(regulation_w=watts if rule.positive == "regulation" else regulation_of(watts))
    return Setpoint(import_w=watts if rule.positive == "import" else regulation_of(watts))


def _factor(signal: Signal, rule: SignalRule) -> float:
    """Multiplier from the signal's number to W."""
    allowed = ", ".join(rule.units)
    if signal.unit is None:
        if rule.when_absent is None:
            raise _Refused("454", f"unit: expected {allowed} with a siScaleCode, found none")
        return SI_SCALE[rule.when_absent.scale]
    if signal.unit.units not in rule.units or signal.unit.scale not in SI_SCALE:
        raise _Refused("454", f"unit: expected {allowed}, found {shown(signal.unit.units)}")
    return signal.unit.factor


def _level(value: float, scope: Sequence[SiteId], party: Party, program: ProgramProfile) -> Level:
    rule = next((rule for rule in program.levels if rule.level == value), None)
    if rule is None:
        allowed = ", ".join(str(rule.level) for rule in program.levels)
        raise _Refused("454", f"SIMPLE level: expected {allowed}, found {value:g}")
    if rule.regulation_w is not None:
        return Level(level=int(value), regulation_w=rule.regulation_w)
    base_w = sum(party.level_base_w.get(site, 0.0) for site in (scope or party.level_base_w))
    return Level(level=int(value), regulation_w=(rule.share or 0.0) * base_w)
