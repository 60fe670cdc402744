"""The phases of one instruction, one after the other: what each leaves in the batteries for those after it.

    phase       200 kW down, 5 min    100 kW up, 30 min    10 kW down, 2.5 h
    takes       16.7 kWh
    gives back                        45 kWh of 50         what both conversions leave
    needs                                                  25 kWh

Each phase is taken to be met as the allocation meets it, by energy headroom inside power, feeders and grid connection;
so an uneven pair of batteries is judged by its worse one. Energy is at the AC side.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from vpp_gateway.domain.fleet import BATTERY, Battery, FeederId
from vpp_gateway.domain.instruction import DeviceId, InstructionId
from vpp_gateway.domain.plan import FeederBounds, Problem, Resource, SiteBounds, Target
from vpp_gateway.optimise.allocate import closed_form
from vpp_gateway.portfolio.asset import Asset, Direction, Hold, give
from vpp_gateway.portfolio.rooms import SiteAssets, feeder_max_w

WEIGHT_MIN_WH = 1.0


@dataclass(slots=True)
class Course:
    """What the phases so far have changed.

    Args:
        batteries: Of the whole portfolio.
    """

    batteries: Mapping[DeviceId, Battery]
    _stored_wh: dict[DeviceId, float] = field(default_factory=dict)
    """By battery, against now; inside it, so after losses."""

    def left(self, asset: Asset) -> Asset:
        """A battery with the energy that the phases so far leave in it."""
        id = DeviceId(asset.id)
        more_wh = self._stored_wh.get(id, 0.0)
        if not more_wh:
            return asset
        efficiency = self.batteries[id].efficiency
        return replace(
            asset,
            down_wh=max(0.0, asset.down_wh + more_wh * efficiency),
            up_wh=max(0.0, asset.up_wh - more_wh / efficiency),
        )

    def meet(
        self, id: InstructionId, sites: Sequence[SiteAssets], w: float, hold: Hold, direction: Direction
    ) -> None:
        """One phase more: the batteries of these sites give so much together (>= 0), as far as they can."""
        plan = closed_form(_problem(id, sites, w if direction == "down" else -w, hold), explain=False)
        for share in plan.shares:
            wh = share.regulation_w * hold.seconds / 3600.0
            efficiency = self.batteries[share.id].efficiency
            stored_wh = wh / efficiency if wh > 0.0 else wh * efficiency
            self._stored_wh[share.id] = self._stored_wh.get(share.id, 0.0) - stored_wh


def _problem(id: InstructionId, sites: Sequence[SiteAssets], w: float, hold: Hold) -> Problem:
    """One phase as an allocation, each battery with what it can hold to the end of it."""
    return Problem(
        id="course",
        at=hold.start_at,
        tiers=(BATTERY,),
        targets=(Target(instruction=id, sites=tuple(one.site.id for one in sites), regulation_w=w),),
        resources=tuple(_resource(asset, hold) for one in sites for asset in one.batteries),
        levers=(),
        bounds=tuple(
            SiteBounds(site=one.site.id, down_max_w=one.down_max_w, up_max_w=one.up_max_w) for one in sites
        ),
        feeders=tuple(
            FeederBounds(
                id=line.id,
                site=one.site.id,
                down_max_w=feeder_max_w(line, "down"),
                up_max_w=feeder_max_w(line, "up"),
            )
            for one in sites
            for line in one.site.feeders
        ),
    )


def _resource(asset: Asset, hold: Hold) -> Resource:
    down_w, up_w = give(asset, hold, "down")[0], give(asset, hold, "up")[0]
    return Resource(
        id=DeviceId(asset.id),
        site=asset.site,
        tier=asset.tier,
        down_room_w=down_w,
        up_room_w=up_w,
        easy_down_w=down_w,
        easy_up_w=up_w,
        weight_down=_weight(asset.down_wh),
        weight_up=_weight(asset.up_wh),
        feeder=None if asset.feeder is None else FeederId(asset.feeder),
    )


def _weight(wh: float) -> float:
    return max(WEIGHT_MIN_WH, wh) if math.isfinite(wh) else WEIGHT_MIN_WH
