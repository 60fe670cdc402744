"""The stretches of time that an instruction is judged in: in each of them the same places are free for it.

    phases        |      100 kW down      |  50 kW down |
    more urgent         |  has site A  |
    spans         | A B |      B       |A B|    A B      |

Nothing is asked of a span in which others have every place (decision 22): it is left out. An instruction that never rules
anything is judged as it stands, and falls short.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from vpp_gateway.dispatch.sites import Sites
from vpp_gateway.domain.instruction import DeviceId, Instruction, Limit, Phase, SiteId
from vpp_gateway.portfolio.asset import Direction, Hold
from vpp_gateway.portfolio.envelope import hold_s
from vpp_gateway.portfolio.sweep import Place
from vpp_gateway.portfolio.timeline import Timeline

TAKINGS_MAX = 16
"""Where more phases of others are in its way, what they take counts as taken for all of its life."""
Free = Mapping[SiteId, frozenset[DeviceId]]
"""Batteries that no more urgent instruction takes, by site; sites that one takes are not in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One stretch of one phase."""

    phase: Phase
    start_at: float
    until: float
    """Its end; inf = open, though its hold is not."""
    work_until: float
    """Work is counted on that lasts so long: to the end of the phase, or of what stands for an open one. UTC (Unix s)."""
    free: Free

    @property
    def hold(self) -> Hold:
        return Hold(start_at=self.start_at, hold_s=hold_s(_end_at(self.until), self.start_at))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One span, as it is weighed."""

    instruction: Instruction
    span: Span
    direction: Direction
    begin_at: float
    """When the instruction first rules something from now on, UTC (Unix s)."""
    whole: frozenset[SiteId]
    """Sites that are free for it from the grid connection on."""

    @property
    def free(self) -> Free:
        return self.span.free

    @property
    def hold(self) -> Hold:
        return self.span.hold

    @property
    def until(self) -> float:
        return self.span.until

    @property
    def sign(self) -> float:
        return 1.0 if self.direction == "down" else -1.0


def spans_of(timeline: Timeline, sites: Sites, instruction: Instruction, now: float) -> tuple[Span, ...]:
    """What is left of an instruction, in time order; a limit goes before every demand and is never cut."""
    takings = timeline.takings(instruction, TAKINGS_MAX)
    claim = timeline.claim_of(instruction)
    found = [
        span
        for phase in instruction.phases
        if phase.end_at is None or phase.end_at > now
        for span in _cut(phase, max(now, phase.start_at), takings, claim, sites)
    ]
    demands = [span for span in found if not isinstance(span.phase.demand, Limit)]
    if not any(span.free for span in demands):
        return tuple(found)
    return tuple(span for span in found if span.free or span not in demands)


def _cut(
    phase: Phase,
    since: float,
    takings: list[tuple[float, float, frozenset[Place]]],
    claim: tuple[Place, ...],
    sites: Sites,
) -> Iterator[Span]:
    """One phase wherever it changes what is free."""
    until = math.inf if phase.end_at is None else phase.end_at
    work_until = Hold(start_at=since, hold_s=hold_s(phase.end_at, since)).until
    edges = (
        ()
        if isinstance(phase.demand, Limit)
        else (edge for start, end, _ in takings for edge in (start, end))
    )
    cuts = [since, *sorted({edge for edge in edges if since < edge < until}), until]
    spans: list[tuple[float, float, Free]] = []
    for start_at, end_at in pairwise(cuts):
        taken = {
            place for start, end, places in takings if start < end_at and end > start_at for place in places
        }
        free = _free(claim, taken, sites)
        if spans and spans[-1][2] == free:
            spans[-1] = (spans[-1][0], end_at, free)
        else:
            spans.append((start_at, end_at, free))
    for start_at, end_at, free in spans:
        yield Span(phase=phase, start_at=start_at, until=end_at, work_until=work_until, free=free)


def _free(claim: tuple[Place, ...], taken: set[Place], sites: Sites) -> Free:
    free: dict[SiteId, frozenset[DeviceId]] = {}
    for site, device in claim:
        if (site, None) in taken:
            continue
        named = {b.id for b in sites[site].site.batteries} if device is None else {device}
        free[site] = free.get(site, frozenset()) | {d for d in named if (site, d) not in taken}
    return free


def _end_at(until: float) -> float | None:
    return None if math.isinf(until) else until
