"""The parts of a Problem: batteries, connections and feeders as they are known now."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from vpp_gateway.dispatch.limits import passed_w
from vpp_gateway.dispatch.sites import Sites, SiteState
from vpp_gateway.domain.fleet import BATTERY, Battery, Feeder, FeederId, Site
from vpp_gateway.domain.instruction import DeviceId, Limit, SiteId
from vpp_gateway.domain.plan import FeederBounds, Resource, SiteBounds, Target
from vpp_gateway.portfolio.envelope import Room, site_bounds
from vpp_gateway.portfolio.own_sun import spare_sun_w
from vpp_gateway.portfolio.rooms import feeder_max_w
from vpp_gateway.portfolio.timeline import Bound, InForce

MIN_WEIGHT_WH = 1.0


def feeders_of(sites: Sites) -> tuple[FeederBounds, ...]:
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


def behind(site: Site) -> dict[DeviceId, FeederId]:
    """Which of its batteries is behind which line."""
    return {device: line.id for line in site.feeders for device in line.devices}


def resource_of(
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


def limited(resources: tuple[Resource, ...], bounds: Iterable[Bound]) -> tuple[Resource, ...]:
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


def bounds_of(
    sites: Sites, bounds: Iterable[Bound], active_w: Mapping[SiteId, float]
) -> tuple[SiteBounds, ...]:
    """What each grid connection carries more, W, with the tightest of the limits in force.

    Args:
        active_w: Regulation per site that is to be decided anew, and so is taken out of the load, W.
    """
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


def target_of(row: InForce, regulation_w: float) -> Target:
    """What is asked of those that an instruction rules, W of regulation."""
    return Target(
        instruction=row.instruction.id,
        sites=row.sites,
        regulation_w=regulation_w,
        devices=row.devices,
        without=row.without,
    )
