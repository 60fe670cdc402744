"""Problems beside those of the second: what batteries should begin with later, and what they do when nobody rules them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from vpp_gateway.dispatch.measured import Baselines, asked_in_force_w
from vpp_gateway.dispatch.problem_parts import behind, bounds_of, feeders_of, limited, resource_of, target_of
from vpp_gateway.dispatch.sites import Sites, SiteState
from vpp_gateway.domain.fleet import Battery, FeederId
from vpp_gateway.domain.instruction import DeviceId, InstructionId, SiteId
from vpp_gateway.domain.plan import Problem, Resource, Target
from vpp_gateway.portfolio.envelope import NO_ROOM, battery_room, hold_s, nameplate_room
from vpp_gateway.portfolio.timeline import Bound, InForce

HOLD_S = 60.0
"""Power of a battery that has so much energy at least is not bounded by it."""


def forecast_problem(
    sites: Sites,
    rows: Iterable[InForce],
    baselines: Baselines,
    prepared_w: Mapping[SiteId, float],
    at: float,
    bounds: Iterable[Bound] = (),
    standing_w: Mapping[InstructionId, Mapping[SiteId, float]] | None = None,
) -> Problem:
    """What the batteries should begin with at `at`, as far as one can say before: load as in the baseline.

    Args:
        bounds: Limits in force then; those of sites as far as the load is what it is now.
        prepared_w: Regulation per site of fast shifts that will be committed at `at`.
        standing_w: The same, by instruction, of work that stands for it already.
    """
    bounds = tuple(bounds)
    targets, resources = [], []
    lines = {device: line for state in sites for device, line in behind(state.site).items()}
    for row in rows:
        asked = asked_in_force_w(row, sites, baselines)
        if asked is not None:
            standing = (standing_w or {}).get(row.instruction.id, {})
            asked -= math.fsum(prepared_w.get(site, 0.0) + standing.get(site, 0.0) for site in row.sites)
        targets.append(target_of(row, asked or 0.0))
        for state, battery in _batteries_of(row, sites):
            resource = _begins(state, battery, lines.get(battery.id))
            reading = state.usable.get(battery.id) if sites.worn else None
            if reading is not None:
                lasting = battery_room(battery, reading, hold_s(row.instruction.end_at, at))
                resource = replace(resource, lasting_down_w=lasting.down_w, lasting_up_w=lasting.up_w)
            resources.append(resource)
    return Problem(
        id="forecast",
        at=at,
        tiers=sites.fleet.tiers,
        targets=tuple(targets),
        resources=limited(tuple(resources), bounds),
        levers=(),
        bounds=bounds_of(sites, bounds, {}),
        feeders=feeders_of(sites),
    )


def rebound_problem(
    sites: Sites,
    state: SiteState,
    regulation_w: float,
    most_w: Mapping[DeviceId, float],
    by: InstructionId,
    bounds: Iterable[Bound],
    now: float,
) -> Problem:
    """What batteries of one site give together that nobody rules, each at most so much.

    Args:
        regulation_w: To be given, W (>= 0).
        most_w: Power of each battery that takes part, W.
        by: Stands where another problem names its instruction.
    """
    lines = behind(state.site)
    free = [battery for battery in state.site.batteries if battery.id in most_w]
    resources = tuple(
        resource_of(
            battery,
            lines.get(battery.id),
            replace(battery_room(battery, state.usable[battery.id], HOLD_S), down_w=most_w[battery.id]),
            most_w[battery.id],
            0.0,
        )
        for battery in free
    )
    bounds = tuple(bounds)
    return Problem(
        id="rebound",
        at=now,
        tiers=sites.fleet.tiers,
        targets=(Target(instruction=by, sites=(state.site.id,), regulation_w=regulation_w),),
        resources=limited(resources, bounds),
        levers=(),
        bounds=bounds_of(sites, bounds, {}),
        feeders=feeders_of(sites),
    )


def _begins(state: SiteState, battery: Battery, line: FeederId | None) -> Resource:
    """What one battery could begin with by its last reading: the same in every segment that is looked ahead to."""
    reading = state.usable.get(battery.id)
    known = state.begins.get(battery.id)
    if known is not None and known[0] is reading and state.reading is not None:
        return known[1]
    room = battery_room(battery, reading, HOLD_S) if reading else NO_ROOM
    if state.reading is None:
        room = nameplate_room(battery, HOLD_S)
    resource = resource_of(battery, line, room, room.down_w, room.up_w)
    if reading is not None:
        state.begins[battery.id] = (reading, resource)
    return resource


def _batteries_of(row: InForce, sites: Sites) -> Iterator[tuple[SiteState, Battery]]:
    """Batteries that give for one instruction."""
    for state in (sites[id] for id in row.sites):
        yield from ((state, battery) for battery in state.site.batteries if battery.id not in row.without)
    for battery in (sites.batteries[id] for id in row.devices):
        yield sites[battery.site], battery
