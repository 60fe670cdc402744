"""From instructions in force to a Problem, and from a Plan to battery setpoints.

Each second, for every group of sites that one instruction rules:

    asked      D   = the demand as regulation against the baseline
    shown      nb  = baseline - load             what the meters show of everything but our batteries:
                                                 workload shifts that are real by now, and noise
    coming         shifts ordered a moment ago that are known to be faster than a second
    batteries  N   = D - nb - coming

So the batteries bridge exactly until a shift is real at the meter, and give way as it becomes real: the hand-over
needs no timer. A shift that was promised to be fast and is not is no longer expected after its latency and the
meter's lag, and the batteries fill in. Battery and meter of one reading are taken in one cycle, hence the ramp of a battery does not
disturb the sum.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from vpp_gateway.dispatch.keep import Keep, held, left_to_others, sustained_w
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.dispatch.sites import Sites, SiteState
from vpp_gateway.domain.fleet import BATTERY, Battery, Feeder, FeederId, Site, SiteLink
from vpp_gateway.domain.instruction import (
    Delta,
    Demand,
    DeviceId,
    InstructionId,
    Level,
    Limit,
    Multiplier,
    Setpoint,
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
from vpp_gateway.portfolio.rooms import feeder_max_w
from vpp_gateway.portfolio.timeline import Bound, InForce

MIN_WEIGHT_WH = 1.0


@dataclass(slots=True)
class Baselines:
    """Baseline per instruction and site, frozen when the instruction starts."""

    _frozen: dict[InstructionId, dict[SiteId, float]] = field(default_factory=dict)

    def of(self, instruction: InstructionId, state: SiteState) -> float | None:
        """Baseline import of one site, W: frozen, or what it would be if the instruction started now."""
        frozen = self._frozen.get(instruction, {}).get(state.site.id)
        if frozen is not None:
            return frozen
        mean = state.window.mean_w()
        return state.load_w if mean is None else mean

    def freeze(self, instruction: InstructionId, states: Iterable[SiteState]) -> None:
        """Fix the baseline of sites that have none yet for this instruction."""
        known = self._frozen.setdefault(instruction, {})
        for state in states:
            value = self.of(instruction, state)
            if state.site.id not in known and value is not None:
                known[state.site.id] = value

    def forget(self, instruction: InstructionId) -> None:
        self._frozen.pop(instruction, None)


def regulation_asked_w(demand: Demand, baseline_w: float) -> float:
    """A demand as regulation against the summed baseline of its sites, W."""
    match demand:
        case Delta(regulation_w=w) | Level(regulation_w=w):
            return w
        case Setpoint(import_w=w):
            return baseline_w - w
        case Multiplier(factor=share):
            return baseline_w * (1.0 - share)
        case Limit():
            raise ValueError("a limit bounds the others, it asks for nothing")


def asked_of_w(
    instruction: InstructionId, demand: Demand, states: Iterable[SiteState], baselines: Baselines
) -> float | None:
    """What a demand asks of these sites as regulation, W; None while that cannot be known.

    Only a setpoint and a multiplier need to know what their sites would take: with one of them unheard of, the
    difference to it would be a number of the wrong size, even of the wrong sign.
    """
    if not isinstance(demand, Setpoint | Multiplier):
        return regulation_asked_w(demand, 0.0)
    known = [baselines.of(instruction, state) for state in states]
    if any(baseline is None for baseline in known):
        return None
    return regulation_asked_w(demand, math.fsum(w for w in known if w is not None))


def shown_w(
    instruction: InstructionId, state: SiteState, baselines: Baselines, now: float, policy: Policy
) -> float:
    """Regulation that one site shows of everything but the batteries we can read, W."""
    baseline = baselines.of(instruction, state)
    if baseline is None or state.load_w is None:
        return 0.0
    return baseline - state.load_w + state.credit_w(now, policy)


def delivered_w(
    instruction: InstructionId, state: SiteState, baselines: Baselines, now: float, policy: Policy
) -> float:
    """Regulation that one site delivers at its meter against its baseline, W."""
    battery = state.battery_w if state.linked else 0.0
    return shown_w(instruction, state, baselines, now, policy) + battery


def now_problem(
    sites: Sites,
    rows: Iterable[InForce],
    bounds: Iterable[Bound],
    baselines: Baselines,
    trim_w: Mapping[InstructionId, float],
    now: float,
    policy: Policy,
    keep: Keep | None = None,
) -> Problem:
    """What the batteries must give this second, levers left as they are.

    Args:
        keep: Floors of the plan: a battery goes below its own only when all have reached theirs.
    """
    targets: list[Target] = []
    holds: dict[SiteId, float] = {}
    for row in rows:
        states = [sites[id] for id in row.sites]
        shown = math.fsum(shown_w(row.instruction.id, s, baselines, now, policy) for s in states)
        asked = asked_of_w(row.instruction.id, row.phase.demand, states, baselines)
        if asked is None:
            targets.append(Target(instruction=row.instruction.id, sites=row.sites, regulation_w=0.0))
            holds.update((id, hold_s(row.instruction.end_at, now)) for id in row.sites)
            continue
        coming = math.fsum(s.coming_w for s in states)
        need = asked - shown - coming + trim_w.get(row.instruction.id, 0.0)
        targets.append(Target(instruction=row.instruction.id, sites=row.sites, regulation_w=need))
        holds.update((id, hold_s(row.instruction.end_at, now)) for id in row.sites)
    return Problem(
        id="now",
        at=now,
        tiers=sites.fleet.tiers,
        targets=tuple(targets),
        resources=_resources(sites, holds, 1.0, keep),
        levers=(),
        bounds=_bounds(sites, bounds, {}),
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
    for row in rows:
        states = [sites[id] for id in row.sites]
        whole = asked_of_w(row.instruction.id, row.phase.demand, states, baselines)
        if whole is None:
            continue
        drift = 0.0
        if at <= now:
            drift = math.fsum(
                shown_w(row.instruction.id, s, baselines, now, policy) - active_w.get(s.site.id, 0.0)
                for s in states
            )
        targets.append(Target(instruction=row.instruction.id, sites=row.sites, regulation_w=whole - drift))
        holds.update((site, hold_s(row.instruction.end_at, at)) for site in row.sites)
    return Problem(
        id=id,
        at=at,
        tiers=sites.fleet.tiers,
        targets=tuple(targets),
        resources=left_to_others(_resources(sites, holds, 1.0 - policy.bridge_reserve, keep), targets, keep),
        levers=tuple(held(_lasting(lever, holds), keep) for lever in levers),
        bounds=_bounds(sites, bounds, active_w),
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
    battery: Battery, feeder: FeederId | None, room: Room, easy_down_w: float, easy_up_w: float
) -> Resource:
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
    )


def _resources(
    sites: Sites, holds: Mapping[SiteId, float], easy: float, keep: Keep | None
) -> tuple[Resource, ...]:
    rows = []
    for state in sites:
        hold = holds.get(state.site.id)
        if hold is None:
            continue
        behind = _behind(state.site)
        for battery in state.site.batteries:
            reading: BatteryReading | None = state.usable.get(battery.id)
            down_w, up_w = sustained_w(battery, reading, hold, keep) if reading else (0.0, 0.0)
            # The bridging part may use power that the energy would not carry to the end.
            instant = battery_room(battery, reading, min(hold, 60.0)) if reading else NO_ROOM
            easy_down = min(instant.down_w * easy, down_w)
            easy_up = min(instant.up_w * easy, up_w)
            rows.append(_resource(battery, behind.get(battery.id), instant, easy_down, easy_up))
    return tuple(rows)


def _bounds(
    sites: Sites, bounds: Iterable[Bound], active_w: Mapping[SiteId, float]
) -> tuple[SiteBounds, ...]:
    tightest: dict[SiteId, list[Bound]] = {}
    for bound in bounds:
        tightest.setdefault(bound.site, []).append(bound)
    rows = []
    for state in sites:
        here = tightest.get(state.site.id, [])
        load = state.load_w if state.linked else None
        rows.append(
            site_bounds(
                state.site,
                None if load is None else load + active_w.get(state.site.id, 0.0),
                min((b.import_max_w for b in here if b.import_max_w is not None), default=None),
                min((b.export_max_w for b in here if b.export_max_w is not None), default=None),
            )
        )
    return tuple(rows)


def forecast_problem(
    sites: Sites,
    rows: Iterable[InForce],
    baselines: Baselines,
    prepared_w: Mapping[SiteId, float],
    at: float,
) -> Problem:
    """What the batteries should begin with at `at`, as far as one can say before: load as in the baseline.

    Args:
        prepared_w: Regulation per site of fast shifts that will be committed at `at`.
    """
    targets, resources = [], []
    for row in rows:
        states = [sites[id] for id in row.sites]
        asked = asked_of_w(row.instruction.id, row.phase.demand, states, baselines)
        if asked is not None:
            asked -= math.fsum(prepared_w.get(site, 0.0) for site in row.sites)
        targets.append(Target(instruction=row.instruction.id, sites=row.sites, regulation_w=asked or 0.0))
        for state in states:
            behind = _behind(state.site)
            for battery in state.site.batteries:
                reading = state.usable.get(battery.id)
                room = battery_room(battery, reading, 60.0) if reading else NO_ROOM
                if state.reading is None:
                    room = nameplate_room(battery, 60.0)
                resources.append(_resource(battery, behind.get(battery.id), room, room.down_w, room.up_w))
    return Problem(
        id="forecast",
        at=at,
        tiers=sites.fleet.tiers,
        targets=tuple(targets),
        resources=tuple(resources),
        levers=(),
        bounds=_bounds(sites, (), {}),
        feeders=_feeders(sites),
    )
