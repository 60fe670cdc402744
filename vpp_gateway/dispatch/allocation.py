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
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from vpp_gateway.dispatch.keep import Keep, held, left_to_others, sustained_w
from vpp_gateway.dispatch.limits import passed_w
from vpp_gateway.dispatch.measured import Baselines, asked_in_force_w, given_alone_w, shown_w
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.dispatch.sites import Sites, SiteState
from vpp_gateway.dispatch.trim import Trims
from vpp_gateway.domain.fleet import BATTERY, Battery, Feeder, FeederId, Site, SiteLink
from vpp_gateway.domain.instruction import (
    DeviceId,
    InstructionId,
    Limit,
    SiteId,
)
from vpp_gateway.domain.plan import Coupling, FeederBounds, Lever, Problem, Resource, SiteBounds, Target, Use
from vpp_gateway.domain.reading import BatteryReading
from vpp_gateway.portfolio.envelope import (
    NO_ROOM,
    Room,
    battery_room,
    hold_s,
    nameplate_room,
    site_bounds,
)
from vpp_gateway.portfolio.own_sun import spare_sun_w, with_own_sun
from vpp_gateway.portfolio.rooms import feeder_max_w
from vpp_gateway.portfolio.timeline import Bound, InForce

MIN_WEIGHT_WH = 1.0
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
            targets.append(_target(row, 0.0))
            continue
        coming = math.fsum(s.coming_w for s in states)
        need = trims.trimmed_w(row.instruction.id, asked) - shown - coming
        targets.append(_target(row, need))
    limits = _bounds(sites, bounds, {})
    for limit in limits:
        if limit.must_w:
            holds.setdefault(limit.site, LIMIT_HOLD_S)
    return Problem(
        id="now",
        at=now,
        tiers=sites.fleet.tiers,
        targets=tuple(targets),
        resources=_limited(_resources(sites, holds, alone, 1.0, keep), bounds),
        levers=(),
        bounds=limits,
        feeders=_feeders(sites),
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
        targets.append(_target(row, whole - drift))
        holds.update((site, hold_s(row.instruction.end_at, at)) for site in row.sites)
        alone.update((id, hold_s(row.instruction.end_at, at)) for id in row.devices)
    limits = _bounds(sites, bounds, active_w)
    return Problem(
        id=id,
        at=at,
        tiers=sites.fleet.tiers,
        targets=tuple(targets),
        resources=left_to_others(
            _limited(_resources(sites, holds, alone, 1.0 - policy.bridge_reserve, keep), bounds),
            targets,
            keep,
        ),
        levers=with_own_sun(
            tuple(held(_lasting(lever, holds), keep) for lever in levers),
            {b.site: b.spare_sun_w for b in limits if b.spare_sun_w is not None},
        ),
        bounds=limits,
        couplings=tuple(_coupling(link, levers) for link in sites.fleet.links),
        feeders=_feeders(sites),
    )


def _lasting(lever: Lever, holds: Mapping[SiteId, float]) -> Lever:
    """With what is missing between the time it can be held and the end of what it would serve."""
    needed_s = max((holds.get(leg.site, 0.0) for leg in lever.legs), default=0.0)
    return replace(lever, short_s=max(0.0, needed_s - lever.lasts_s))


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


def _feeders(sites: Sites) -> tuple[FeederBounds, ...]:
    """What the lines inside the sites carry besides what batteries on them do that are not ours to order now."""
    return tuple(_feeder(state, line) for state in sites for line in state.site.feeders)


def _feeder(state: SiteState, line: Feeder) -> FeederBounds:
    rows = state.reading.batteries if state.linked and state.reading else ()
    others = [
        row.discharge_w
        for row in rows
        if row.device in line.devices and row.device not in state.usable and math.isfinite(row.discharge_w)
    ]
    return FeederBounds(
        id=line.id,
        site=state.site.id,
        down_max_w=max(0.0, feeder_max_w(line, "down") - math.fsum(max(w, 0.0) for w in others)),
        up_max_w=max(0.0, feeder_max_w(line, "up") + math.fsum(min(w, 0.0) for w in others)),
    )


def _behind(site: Site) -> dict[DeviceId, FeederId]:
    return {device: line.id for line in site.feeders for device in line.devices}


def _resource(
    battery: Battery,
    feeder: FeederId | None,
    room: Room,
    easy_down_w: float,
    easy_up_w: float,
    lasting: Room | None = None,
) -> Resource:
    """One battery in a problem.

    Args:
        lasting: What its energy carries to the end of what it gives for; None = nothing is known of an end.
    """
    return Resource(
        id=battery.id,
        site=battery.site,
        tier=BATTERY,
        down_room_w=room.down_w,
        up_room_w=room.up_w,
        easy_down_w=easy_down_w,
        easy_up_w=easy_up_w,
        weight_down=max(room.energy_down_wh, MIN_WEIGHT_WH),
        weight_up=max(room.energy_up_wh, MIN_WEIGHT_WH),
        feeder=feeder,
        wear_cost=battery.wear_cost,
        lasting_down_w=math.inf if lasting is None else lasting.down_w,
        lasting_up_w=math.inf if lasting is None else lasting.up_w,
    )


def _target(row: InForce, regulation_w: float) -> Target:
    return Target(
        instruction=row.instruction.id,
        sites=row.sites,
        regulation_w=regulation_w,
        devices=row.devices,
        without=row.without,
    )


def _limited(resources: tuple[Resource, ...], bounds: Iterable[Bound]) -> tuple[Resource, ...]:
    """With the room that limits on single devices leave: import is charging, export is discharging."""
    limits = {bound.device: bound for bound in bounds if bound.device is not None}
    return (
        tuple(_within(r, limits[r.id]) if r.id in limits else r for r in resources) if limits else resources
    )


def _within(resource: Resource, limit: Bound) -> Resource:
    down = math.inf if limit.export_max_w is None else limit.export_max_w
    up = math.inf if limit.import_max_w is None else limit.import_max_w
    return replace(
        resource,
        down_room_w=min(resource.down_room_w, down),
        up_room_w=min(resource.up_room_w, up),
        easy_down_w=min(resource.easy_down_w, down),
        easy_up_w=min(resource.easy_up_w, up),
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
        behind = _behind(state.site)
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
            rows.append(_resource(battery, behind.get(battery.id), instant, easy_down, easy_up, lasting))
    return tuple(rows)


def _bounds(
    sites: Sites, bounds: Iterable[Bound], active_w: Mapping[SiteId, float]
) -> tuple[SiteBounds, ...]:
    tightest: dict[SiteId, list[Bound]] = {}
    for bound in bounds:
        if bound.device is not None:
            continue
        tightest.setdefault(bound.site, []).append(bound)
    rows = []
    for state in sites:
        here = tightest.get(state.site.id, [])
        load = state.load_w if state.linked else None
        if load is not None:
            load += active_w.get(state.site.id, 0.0)
        export_max_w = min((b.export_max_w for b in here if b.export_max_w is not None), default=None)
        import_max_w = min((b.import_max_w for b in here if b.import_max_w is not None), default=None)
        limits = site_bounds(state.site, load, import_max_w, export_max_w)
        if load is not None and here:
            limits = replace(
                limits, must_w=passed_w(Limit(import_max_w=import_max_w, export_max_w=export_max_w), load)
            )
        if load is not None and state.pv_w is not None:
            limit_w = min(state.site.export_max_w, math.inf if export_max_w is None else export_max_w)
            spare_w = spare_sun_w(load, state.pv_w, state.import_w, limit_w)
            limits = replace(limits, spare_sun_w=spare_w)
        rows.append(limits)
    return tuple(rows)


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
    for row in rows:
        asked = asked_in_force_w(row, sites, baselines)
        if asked is not None:
            standing = (standing_w or {}).get(row.instruction.id, {})
            asked -= math.fsum(prepared_w.get(site, 0.0) + standing.get(site, 0.0) for site in row.sites)
        targets.append(_target(row, asked or 0.0))
        for state, battery in _batteries_of(row, sites):
            reading = state.usable.get(battery.id)
            room = battery_room(battery, reading, 60.0) if reading else NO_ROOM
            if state.reading is None:
                room = nameplate_room(battery, 60.0)
            line = _behind(state.site).get(battery.id)
            hold = hold_s(row.instruction.end_at, at)
            lasting = battery_room(battery, reading, hold) if sites.worn and reading else None
            resources.append(_resource(battery, line, room, room.down_w, room.up_w, lasting))
    return Problem(
        id="forecast",
        at=at,
        tiers=sites.fleet.tiers,
        targets=tuple(targets),
        resources=_limited(tuple(resources), bounds),
        levers=(),
        bounds=_bounds(sites, bounds, {}),
        feeders=_feeders(sites),
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
    behind = _behind(state.site)
    free = [battery for battery in state.site.batteries if battery.id in most_w]
    resources = tuple(
        _resource(
            battery,
            behind.get(battery.id),
            replace(battery_room(battery, state.usable[battery.id], LIMIT_HOLD_S), down_w=most_w[battery.id]),
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
        resources=_limited(resources, bounds),
        levers=(),
        bounds=_bounds(sites, bounds, {}),
        feeders=_feeders(sites),
    )


def _batteries_of(row: InForce, sites: Sites) -> Iterator[tuple[SiteState, Battery]]:
    """Batteries that give for one instruction."""
    for state in (sites[id] for id in row.sites):
        yield from ((state, battery) for battery in state.site.batteries if battery.id not in row.without)
    for battery in (sites.batteries[id] for id in row.devices):
        yield sites[battery.site], battery
