"""From instructions in force to a Problem, and from a Plan to battery setpoints.

Each second, for every group of sites that one instruction rules:

    asked      D   = the demand as regulation against the baseline
    shown      nb  = baseline - load             what the meters show of everything but our batteries:
                                                 workload shifts that are real by now, and noise
    coming         shifts ordered a moment ago that are known to be faster than a second
    batteries  N   = D - nb - coming             and the trim of D (`trim`)

So the batteries bridge exactly until a shift is real at the meter, and give way as it becomes real: the hand-over
needs no timer. A shift that was promised to be fast and is not is no longer expected after its latency and the
meter's lag, and the batteries fill in. Battery and meter of one reading are taken in one cycle, hence the ramp of a battery does not
disturb the sum.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from vpp_gateway.dispatch.keep import Keep, held, left_to_others, sustained_w
from vpp_gateway.dispatch.measured import Baselines, asked_in_force_w, given_alone_w, shown_w
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.dispatch.problem_parts import behind, bounds_of, feeders_of, limited, resource_of, target_of
from vpp_gateway.dispatch.sites import Sites
from vpp_gateway.dispatch.trim import Trims
from vpp_gateway.domain.fleet import SiteLink
from vpp_gateway.domain.instruction import (
    DeviceId,
    SiteId,
)
from vpp_gateway.domain.plan import Coupling, Lever, Problem, Resource, Target, Use
from vpp_gateway.domain.reading import BatteryReading
from vpp_gateway.portfolio.envelope import (
    NO_ROOM,
    battery_room,
    hold_s,
)
from vpp_gateway.portfolio.own_sun import with_own_sun
from vpp_gateway.portfolio.timeline import Bound, InForce

LIMIT_HOLD_S = 60.0
"""A battery that only holds a limit is planned for so long: the load may be below it again by then."""


def _credited_alone_w(row: InForce, sites: Sites, now: float, policy: Policy) -> float:
    """What of that is not to be ordered again, for their site is lost."""
    given = given_alone_w(row, sites, now, policy)
    return math.fsum(w for site, w in given.items() if not sites[site].linked)


def now_problem(
    sites: Sites,
    rows: Iterable[InForce],
    bounds: Iterable[Bound],
    baselines: Baselines,
    trims: Trims,
    now: float,
    policy: Policy,
    keep: Keep | None = None,
) -> Problem:
    """What the batteries must give this second, levers left as they are.

    Args:
        trims: What is added to what is asked, because that much less arrives.
        keep: Floors of the plan: a battery goes below its own only when all have reached theirs.
    """
    targets: list[Target] = []
    holds: dict[SiteId, float] = {}
    alone: dict[DeviceId, float] = {}
    bounds = tuple(bounds)
    for row in rows:
        states = [sites[id] for id in row.sites]
        shown = math.fsum(shown_w(row.instruction.id, s, baselines, now, policy, row.without) for s in states)
        shown += _credited_alone_w(row, sites, now, policy)
        asked = asked_in_force_w(row, sites, baselines)
        holds.update((id, hold_s(row.instruction.end_at, now)) for id in row.sites)
        alone.update((id, hold_s(row.instruction.end_at, now)) for id in row.devices)
        if asked is None:
            targets.append(target_of(row, 0.0))
            continue
        coming = math.fsum(s.coming_w for s in states)
        need = trims.trimmed_w(row.instruction.id, asked) - shown - coming
        targets.append(target_of(row, need))
    limits = bounds_of(sites, bounds, {})
    for limit in limits:
        if limit.must_w:
            holds.setdefault(limit.site, LIMIT_HOLD_S)
    return Problem(
        id="now",
        at=now,
        tiers=sites.fleet.tiers,
        targets=tuple(targets),
        resources=limited(_resources(sites, holds, alone, 1.0, keep), bounds),
        levers=(),
        bounds=limits,
        feeders=feeders_of(sites),
    )


def plan_problem(
    id: str,
    sites: Sites,
    rows: Iterable[InForce],
    bounds: Iterable[Bound],
    baselines: Baselines,
    levers: tuple[Lever, ...],
    active_w: Mapping[SiteId, float],
    at: float,
    now: float,
    policy: Policy,
    keep: Keep | None = None,
) -> Problem:
    """Which levers should carry the phases in force at `at`, batteries kept back for bridging.

    Args:
        levers: Offers that can be called, and orders that could be taken back.
        active_w: Regulation per site that orders already give at the meter; taken out of what is shown, since
            the same orders are among the levers.
        at: The moment planned for (now, or the start of a coming phase).
        keep: What the plan of the hour says of that moment: batteries end at their floors, and leave to the other
            tiers what these carry in it. None = the batteries' energy is spread over the time that is left.
    """
    targets: list[Target] = []
    holds: dict[SiteId, float] = {}
    alone: dict[DeviceId, float] = {}
    bounds = tuple(bounds)
    for row in rows:
        states = [sites[id] for id in row.sites]
        whole = asked_in_force_w(row, sites, baselines)
        if whole is None:
            continue
        drift = 0.0
        if at <= now:
            drift = math.fsum(
                shown_w(row.instruction.id, s, baselines, now, policy, row.without)
                - active_w.get(s.site.id, 0.0)
                for s in states
            )
            drift += _credited_alone_w(row, sites, now, policy)
        targets.append(target_of(row, whole - drift))
        holds.update((site, hold_s(row.instruction.end_at, at)) for site in row.sites)
        alone.update((id, hold_s(row.instruction.end_at, at)) for id in row.devices)
    limits = bounds_of(sites, bounds, active_w)
    moves = [lever for lever in levers if len(lever.legs) > 1]
    return Problem(
        id=id,
        at=at,
        tiers=sites.fleet.tiers,
        targets=tuple(targets),
        resources=left_to_others(
            limited(_resources(sites, holds, alone, 1.0 - policy.bridge_reserve, keep), bounds),
            targets,
            keep,
        ),
        levers=with_own_sun(
            tuple(held(_lasting(lever, holds), keep) for lever in levers),
            {b.site: b.spare_sun_w for b in limits if b.spare_sun_w is not None},
        ),
        bounds=limits,
        couplings=tuple(_coupling(link, moves) for link in sites.fleet.links),
        feeders=feeders_of(sites),
    )


def _lasting(lever: Lever, holds: Mapping[SiteId, float]) -> Lever:
    """With what is missing between the time it can be held and the end of what it would serve."""
    needed_s = max((holds.get(leg.site, 0.0) for leg in lever.legs), default=0.0)
    short_s = max(0.0, needed_s - lever.lasts_s)
    return lever if short_s == lever.short_s else replace(lever, short_s=short_s)


def _coupling(link: SiteLink, levers: Iterable[Lever]) -> Coupling:
    """The moves that go over a link, each by what it takes off the meter of its source."""
    uses = []
    for lever in levers:
        relieved = {leg.site: leg.regulation_w for leg in lever.legs if leg.regulation_w > 0.0}
        loaded = {leg.site for leg in lever.legs if leg.regulation_w < 0.0}
        if link.source in relieved and link.destination in loaded:
            uses.append(Use(offer=lever.offer, w=relieved[link.source]))
    return Coupling(
        name=f"{link.source} > {link.destination}",
        uses=tuple(uses),
        limit_w=link.max_w,
        between=(link.source, link.destination),
    )


def _resources(
    sites: Sites,
    holds: Mapping[SiteId, float],
    alone: Mapping[DeviceId, float],
    easy: float,
    keep: Keep | None,
) -> tuple[Resource, ...]:
    rows = []
    for state in sites:
        lines = behind(state.site)
        for battery in state.site.batteries:
            hold = alone.get(battery.id, holds.get(state.site.id))
            if hold is None:
                continue
            reading: BatteryReading | None = state.usable.get(battery.id)
            down_w, up_w = sustained_w(battery, reading, hold, keep) if reading else (0.0, 0.0)
            # The bridging part may use power that the energy would not carry to the end.
            instant = battery_room(battery, reading, min(hold, 60.0)) if reading else NO_ROOM
            easy_down = min(instant.down_w * easy, down_w)
            easy_up = min(instant.up_w * easy, up_w)
            lasting = battery_room(battery, reading, hold) if sites.worn else None
            rows.append(resource_of(battery, lines.get(battery.id), instant, easy_down, easy_up, lasting))
    return tuple(rows)
