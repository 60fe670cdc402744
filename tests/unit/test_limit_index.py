"""Limits by place against a plain reading of all instructions: the same tightest ones, and the same crossings."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import pytest

from tests.unit.fleets import SITES, fleet, instruction
from vpp_gateway.domain.instruction import Delta, Instruction, Limit, Phase
from vpp_gateway.portfolio.availability import limited_devices, limits_in
from vpp_gateway.portfolio.crossing import crossing
from vpp_gateway.portfolio.sweep import Place
from vpp_gateway.portfolio.timeline import Timeline

HOME = {battery.id: battery.site for battery in fleet().batteries}
DEVICES = tuple(HOME)


def overlapping(one: Instruction, since: float, until: float) -> Iterator[Limit]:
    for phase in one.phases:
        end_at = math.inf if phase.end_at is None else phase.end_at
        if isinstance(phase.demand, Limit) and phase.start_at < until and end_at > since:
            yield phase.demand


def plain_limits(
    timeline: Timeline, place: Place, since: float, until: float
) -> tuple[float | None, float | None]:
    found = [
        limit
        for one in timeline
        if place in timeline.claim_of(one)
        for limit in overlapping(one, since, until)
    ]
    return (
        min((limit.import_max_w for limit in found if limit.import_max_w is not None), default=None),
        min((limit.export_max_w for limit in found if limit.export_max_w is not None), default=None),
    )


def plain_crossing(timeline: Timeline, mine: Instruction, since: float) -> tuple[object, ...] | None:
    """Pair by pair, in the order in which they were accepted: (place, other, import, export)."""
    claim = timeline.claim_of(mine)
    for other in timeline:
        shared = [place for place in timeline.claim_of(other) if place in claim]
        if other.id == mine.id or not shared:
            continue
        for a, b in product(mine.phases, other.phases):
            start_at = max(a.start_at, b.start_at, since)
            ends = [end for end in (a.end_at, b.end_at) if end is not None]
            if not isinstance(a.demand, Limit) or not isinstance(b.demand, Limit):
                continue
            if ends and start_at >= min(ends):
                continue
            for imports, exports in ((a.demand, b.demand), (b.demand, a.demand)):
                import_w, export_w = imports.import_max_w, exports.export_max_w
                if import_w is not None and export_w is not None and import_w < -export_w:
                    return shared[0], other.id, import_w, export_w
    return None


def any_instruction(rng: random.Random, name: str) -> Instruction:
    phases: list[Phase] = []
    at = float(rng.randint(0, 60))
    for _ in range(rng.randint(1, 3)):
        limit = Limit(
            import_max_w=rng.choice([None, float(rng.randint(-30, 50))]),
            export_max_w=rng.choice([None, float(rng.randint(-30, 50))]),
        )
        length = float(rng.randint(1, 20))
        phases.append(
            Phase(
                start_at=at,
                end_at=at + length,
                demand=limit if rng.random() < 0.8 else Delta(regulation_w=1.0),
            )
        )
        at += length
    if rng.random() < 0.1:
        phases[-1] = replace(phases[-1], end_at=None)
    devices = tuple(rng.sample(DEVICES, 2)) if rng.random() < 0.3 else ()
    scope = () if devices else tuple(rng.sample(SITES, rng.randint(0, 2)))
    return replace(instruction(name, scope=scope), phases=tuple(phases), devices=devices)


@pytest.mark.parametrize("seed", range(60))
def test_the_index_says_what_a_plain_reading_says(seed: int) -> None:
    rng = random.Random(seed)
    timeline = Timeline(sites=SITES, home=HOME)
    for number in range(40):
        one = any_instruction(rng, f"e{rng.randint(0, 25)}")
        since = float(rng.randint(0, 80))
        found = crossing(timeline, one, since)
        told = found and (found.place, found.other, found.import_max_w, found.export_max_w)
        assert told == plain_crossing(timeline, one, since)
        timeline.admit(one)
        if rng.random() < 0.3:
            timeline.withdraw(instruction(f"e{rng.randint(0, 25)}").id)
        until = since + rng.randint(1, 30)
        for read in (timeline, timeline.copy()) if number % 10 == 0 else (timeline,):
            for site in SITES:
                assert limits_in(read, site, since, until) == plain_limits(read, (site, None), since, until)
                named = {
                    device
                    for device, home in HOME.items()
                    if home == site and plain_limits(read, (site, device), since, until) != (None, None)
                }
                assert limited_devices(read, site, since, until) == named


def test_an_earlier_copy_keeps_its_limits() -> None:
    timeline = Timeline(sites=SITES, home=HOME)
    limit = instruction("l", demand=Limit(import_max_w=5.0, export_max_w=None))
    timeline.admit(limit)
    before = timeline.copy()
    timeline.withdraw(limit.id)
    assert limits_in(before, SITES[0], limit.start_at, limit.start_at + 1.0) == (5.0, None)
    assert limits_in(timeline, SITES[0], limit.start_at, limit.start_at + 1.0) == (None, None)
