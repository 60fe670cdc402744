"""Opt in or out: can this instruction be delivered for its whole duration, before we promise it?

For every phase, the room of the scope in the direction asked: batteries by power and by energy until the end, and
workload offers that reach the scope. In words, so that the peer's operator understands a refusal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from vpp_gateway.dispatch.allocation import Baselines, regulation_asked_w
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.dispatch.shift import Shifts
from vpp_gateway.dispatch.sites import Sites, SiteState
from vpp_gateway.domain.instruction import Instruction, Limit, SiteId
from vpp_gateway.domain.quantity import regulation_of
from vpp_gateway.portfolio.envelope import battery_room, hold_s, nameplate_room


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Opt and its reason in words."""

    opt: Literal["in", "out"]
    reason: str
    room_w: float
    """Room in the direction asked, W (>= 0), the least over the phases."""


def judge(
    instruction: Instruction,
    scope: tuple[SiteId, ...],
    sites: Sites,
    shifts: Shifts,
    baselines: Baselines,
    now: float,
    in_grace: bool,
    policy: Policy,
) -> Verdict:
    """Judge one instruction against the envelope of its scope.

    Args:
        in_grace: The gateway has just started: a site without readings counts by its nameplates.
    """
    if not scope:
        return Verdict(opt="out", reason="none of its sites belongs to this portfolio", room_w=0.0)
    if instruction.end_at is not None and instruction.end_at <= now:
        return Verdict(opt="out", reason="its end has passed", room_w=0.0)
    states = [sites[id] for id in scope]
    if not in_grace and not any(state.linked for state in states):
        names = ", ".join(scope)
        return Verdict(opt="out", reason=f"no site of its scope can be reached now ({names})", room_w=0.0)
    hold = hold_s(instruction.end_at, max(now, instruction.start_at))
    least = math.inf
    for phase in instruction.phases:
        if isinstance(phase.demand, Limit):
            continue
        baseline = math.fsum(baselines.of(instruction.id, state) or 0.0 for state in states)
        asked = regulation_asked_w(phase.demand, baseline)
        room = _room_w(states, scope, shifts, asked, hold, now, in_grace)
        least = min(least, room)
        if room < abs(asked) * policy.opt_in_at_least:
            way = "down" if asked > 0 else "up"
            return Verdict(
                opt="out",
                reason=f"asked {abs(asked):.0f} W {way} for {hold:.0f} s, only {room:.0f} W can be held so long",
                room_w=room,
            )
    return Verdict(opt="in", reason="", room_w=least if math.isfinite(least) else 0.0)


def _room_w(
    states: list[SiteState],
    scope: tuple[SiteId, ...],
    shifts: Shifts,
    asked: float,
    hold: float,
    now: float,
    in_grace: bool,
) -> float:
    total = 0.0
    for state in states:
        for battery in state.site.batteries:
            reading = state.usable.get(battery.id)
            if reading is None and not (in_grace and state.reading is None):
                continue
            room = battery_room(battery, reading, hold) if reading else nameplate_room(battery, hold)
            total += room.down_w if asked > 0 else room.up_w
    sign = 1.0 if asked > 0 else -1.0
    for offer in shifts.callable_offers(now):
        net = math.fsum(regulation_of(leg.import_delta_w) for leg in offer.legs if leg.site in scope)
        if offer.sustain_s >= hold:
            total += max(0.0, sign * net)
    return total + _standing_w(shifts, scope, sign)


def _standing_w(shifts: Shifts, scope: tuple[SiteId, ...], sign: float) -> float:
    """What orders that stand already give in this direction."""
    return math.fsum(
        max(0.0, sign * math.fsum(record.regulation_w(site) for site in scope))
        for record in shifts.standing()
        if record.committed
    )
