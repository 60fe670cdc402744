"""After an event batteries go back to where they should stand: slowly, and only while nobody asks for anything.

    in force or near -> nothing      else, charge below the wanted one -> a share of the rating, as the grid connection allows

A battery begins when it lacks `BAND` of its wanted charge, or of what the plan of the hour keeps in it, and ends when it
is there. Only charging: what a battery has beyond its wanted charge costs nothing. A step ends by itself within two
minutes, so that nothing goes on charging when the centre is lost.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from vpp_gateway.dispatch.keep import Keep
from vpp_gateway.dispatch.policy import RollingPolicy
from vpp_gateway.dispatch.schedule import LEASE_S, leased
from vpp_gateway.dispatch.sites import Sites, SiteState
from vpp_gateway.domain.fleet import Battery
from vpp_gateway.domain.instruction import DeviceId, InstructionId, SiteId
from vpp_gateway.domain.order import Step
from vpp_gateway.portfolio.envelope import battery_room, site_bounds
from vpp_gateway.portfolio.rooms import feeder_max_w
from vpp_gateway.portfolio.timeline import Timeline

RECHARGE = InstructionId("recharge")
"""Stands where other steps name their instruction."""
CLEAR_S = 900.0
"""So long before the next instruction charging ends: the load just before it is its baseline."""
BAND = 0.02
"""State of charge that a battery must lack before it is charged."""
IMPORT_SHARE = 0.9
"""Of what the grid connection could take more: the load may rise meanwhile."""


@dataclass(slots=True)
class Recharge:
    """Which batteries are on their way back."""

    _begun: set[DeviceId] = field(default_factory=set)

    def steps(
        self, sites: Sites, timeline: Timeline, rolling: RollingPolicy | None, keep: Keep | None, now: float
    ) -> dict[SiteId, tuple[Step, ...]]:
        """What each site's batteries take until the next whole minute but one; empty while anything is in force or near.

        Args:
            keep: Floors of the plan of the hour: what armed products need goes before the wanted charge.
        """
        change = timeline.next_change(now)
        near = change is not None and change < now + CLEAR_S
        if rolling is None or rolling.recharge_share <= 0.0 or near or timeline.at(now):
            self._begun.clear()
            return {}
        found = {}
        for state in sites:
            wanted_w = _carried(state, timeline, self._wanted(state, rolling, keep), now)
            if state.fresh and any(wanted_w.values()):
                share = _share(state, timeline, math.fsum(wanted_w.values()), now)
                charged = {id: -w * share for id, w in wanted_w.items() if w * share > 0.0}
                found[state.site.id] = leased(charged, RECHARGE, now)
        return found

    def _wanted(
        self, state: SiteState, rolling: RollingPolicy, keep: Keep | None
    ) -> Mapping[DeviceId, float]:
        """Charging power that each battery would take, W."""
        wanted: dict[DeviceId, float] = {}
        for battery in state.site.batteries:
            reading = state.usable.get(battery.id)
            if reading is None:
                continue
            lacks = _target(battery, rolling, keep) - reading.soc
            if lacks <= 0.0:
                self._begun.discard(battery.id)
            elif lacks > BAND:
                self._begun.add(battery.id)
            if battery.id in self._begun:
                room_w = battery_room(battery, reading, LEASE_S).up_w
                wanted[battery.id] = min(rolling.recharge_share * battery.charge_max_w, room_w)
        return wanted


def _target(battery: Battery, rolling: RollingPolicy, keep: Keep | None) -> float:
    bounds = None if keep is None else keep.stores.get(battery.id)
    kept = 0.0 if bounds is None else bounds.floor_wh / battery.energy_wh
    return min(battery.soc_max, max(battery.soc_min, rolling.wanted_soc, kept))


def _carried(
    state: SiteState, timeline: Timeline, wanted_w: Mapping[DeviceId, float], now: float
) -> dict[DeviceId, float]:
    """What limits on single batteries and on their feeders leave of it, W."""
    bounds = [bound for bound in timeline.bounds_at(now) if bound.site == state.site.id]
    limits = {b.device: b.import_max_w for b in bounds if b.device is not None and b.import_max_w is not None}
    found = {id: max(0.0, min(w, limits.get(id, w))) for id, w in wanted_w.items()}
    for line in state.site.feeders:
        asked_w = math.fsum(found.get(id, 0.0) for id in line.devices)
        room_w = feeder_max_w(line, "up")
        if asked_w > room_w:
            found |= {id: found[id] * room_w / asked_w for id in line.devices if id in found}
    return found


def _share(state: SiteState, timeline: Timeline, asked_w: float, now: float) -> float:
    """Part of what is asked that the grid connection of the site takes, 0..1."""
    here = [b for b in timeline.bounds_at(now) if (b.site, b.device) == (state.site.id, None)]
    limits = [bound.import_max_w for bound in here if bound.import_max_w is not None]
    room_w = site_bounds(state.site, state.load_w, min(limits, default=None), None).up_max_w
    return min(1.0, IMPORT_SHARE * room_w / asked_w)
