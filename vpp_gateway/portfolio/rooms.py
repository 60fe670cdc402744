"""Room up and down, added up the tree: thing, feeder, site, area, portfolio; and per tier.

    portfolio = sum of sites       each question stands alone: the rooms of two areas may rest on one move
      area    = sum of its sites
        site  = least of (its things and feeders together, what its grid connection carries)
          feeder = least of (its things together, its own limit)
            thing = power, energy, ramp, response, dwell, times

The limits are nested, so the least on the way up is exact: no allocation can hold more, and one can hold that much.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from vpp_gateway.domain.fleet import Feeder, Site, TierName
from vpp_gateway.domain.instruction import DeviceId
from vpp_gateway.domain.order import Offer
from vpp_gateway.domain.reading import BatteryReading
from vpp_gateway.portfolio.asset import (
    DIRECTIONS,
    Asset,
    Bind,
    Direction,
    Hold,
    battery_asset,
    give,
    work_assets,
)
from vpp_gateway.portfolio.envelope import site_bounds

Level = Literal["resource", "tier", "feeder", "site", "area", "portfolio"]
BINDS_MAX = 5
"""Limits that are named with one room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteAssets:
    """One site as the tree sees it."""

    site: Site
    batteries: tuple[Asset, ...]
    down_max_w: float
    """What its grid connection can still carry in the down direction."""
    up_max_w: float
    doubt: bool = False
    """Its load is not known, so nothing may be added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What promises take of one thing during a question."""

    down_w: float = 0.0
    up_w: float = 0.0
    left_down_wh: float = math.inf
    left_up_wh: float = math.inf

    def power_w(self, direction: Direction) -> float:
        return self.down_w if direction == "down" else self.up_w

    def left_wh(self, direction: Direction) -> float:
        return self.left_down_wh if direction == "down" else self.left_up_wh


NOTHING_TAKEN: Mapping[str, Taken] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """Room in one direction."""

    w: float = 0.0
    """Can be held from the response time to the end."""
    wh: float = 0.0
    """Can be given in that time, if not all of it evenly (>= w for the time)."""
    binds: tuple[Bind, ...] = ()
    """What holds it down; power alone when nothing else does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRoom:
    """Room of one node of the tree, magnitudes."""

    level: Level
    id: str
    down: Sum
    up: Sum


def site_assets(
    site: Site,
    load_w: float | None,
    usable: Mapping[DeviceId, BatteryReading],
    *,
    import_max_w: float | None = None,
    export_max_w: float | None = None,
    margin: float = 0.0,
) -> SiteAssets:
    """One site from its readings.

    Args:
        load_w: Import at the PCC without our batteries; None = unknown, then its grid connection carries nothing more.
        import_max_w, export_max_w: Tighter limits in force, or None.
        margin: Share by which the load may differ, to the worse side.
    """
    known = load_w is not None and math.isfinite(load_w)
    slack = margin * abs(load_w) if known and load_w is not None else 0.0
    least = None if not known or load_w is None else load_w - slack
    most = None if not known or load_w is None else load_w + slack
    return SiteAssets(
        site=site,
        batteries=tuple(battery_asset(site, one, usable.get(one.id)) for one in site.batteries),
        down_max_w=_carried(site_bounds(site, least, import_max_w, export_max_w).down_max_w),
        up_max_w=_carried(site_bounds(site, most, import_max_w, export_max_w).up_max_w),
        doubt=not known,
    )


def scope_room(
    sites: Sequence[SiteAssets],
    offers: Iterable[Offer],
    hold: Hold,
    direction: Direction,
    *,
    taken: Mapping[str, Taken] = NOTHING_TAKEN,
    later_share: float = 0.0,
    tier: TierName | None = None,
) -> Sum:
    """Room of some sites together, in one direction.

    Args:
        offers: Workload offers that can be relied on.
        taken: What promises take, by id of the thing.
        later_share: Share of an offer that is taken to be there after its validity.
        tier: Of this tier alone; None = all.
    """
    ids = frozenset(one.site.id for one in sites)
    work = work_assets(offers, ids, later_share)
    parts = [
        _site_sum(one, [asset for asset in work if asset.site == one.site.id], hold, direction, taken, tier)
        for one in sites
    ]
    return _together(parts)


def rooms(
    sites: Sequence[SiteAssets],
    offers: Collection[Offer],
    hold: Hold,
    *,
    tiers: Iterable[TierName] = (),
    taken: Mapping[str, Taken] = NOTHING_TAKEN,
    later_share: float = 0.0,
) -> tuple[NodeRoom, ...]:
    """Room of every node, each asked alone: things, feeders, sites, tiers, areas, portfolio."""

    def both(level: Level, id: str, scope: Sequence[SiteAssets], tier: TierName | None = None) -> NodeRoom:
        down, up = (
            scope_room(scope, offers, hold, d, taken=taken, later_share=later_share, tier=tier)
            for d in DIRECTIONS
        )
        return NodeRoom(level=level, id=id, down=down, up=up)

    rows: list[NodeRoom] = []
    for one in sites:
        for asset in (*one.batteries, *work_assets(offers, (one.site.id,), later_share)):
            down, up = (_thing(asset, hold, d, taken) for d in DIRECTIONS)
            rows.append(NodeRoom(level="resource", id=asset.id, down=down, up=up))
        for feeder in one.site.feeders:
            down, up = (_feeder_sum(feeder, one, hold, d, taken) for d in DIRECTIONS)
            rows.append(NodeRoom(level="feeder", id=feeder.id, down=down, up=up))
    rows += [both("site", one.site.id, (one,)) for one in sites]
    rows += [both("tier", tier, sites, tier) for tier in tiers]
    areas = dict.fromkeys(one.site.area for one in sites)
    rows += [both("area", area, [one for one in sites if one.site.area == area]) for area in areas]
    return (*rows, both("portfolio", "portfolio", sites))


def _thing(asset: Asset, hold: Hold, direction: Direction, taken: Mapping[str, Taken]) -> Sum:
    less = taken.get(asset.id)
    taken_w = 0.0 if less is None else less.power_w(direction)
    left_wh = None if less is None else less.left_wh(direction)
    w, limit = give(asset, hold, direction, taken_w=taken_w, left_wh=left_wh)
    energy = asset.energy_wh(direction) if left_wh is None else min(asset.energy_wh(direction), left_wh)
    power = max(0.0, asset.power_w(direction) - taken_w)
    if math.isinf(energy):
        power = w
    wh = min(energy, power * hold.seconds / 3600.0) if w > 0 else 0.0
    return Sum(w=w, wh=wh, binds=(Bind(limit=limit, at=asset.id),))


def _feeder_sum(
    feeder: Feeder, one: SiteAssets, hold: Hold, direction: Direction, taken: Mapping[str, Taken]
) -> Sum:
    behind = [asset for asset in one.batteries if asset.feeder == feeder.id]
    return _below_feeder(feeder, behind, hold, direction, taken)


def _below_feeder(
    feeder: Feeder, behind: Sequence[Asset], hold: Hold, direction: Direction, taken: Mapping[str, Taken]
) -> Sum:
    bound = feeder_max_w(feeder, direction) - _taken_w(behind, direction, taken)
    inner = _together([_thing(asset, hold, direction, taken) for asset in behind])
    return _capped(inner, bound, hold, Bind(limit="feeder", at=feeder.id))


def feeder_max_w(feeder: Feeder, direction: Direction) -> float:
    """What its devices may give together in one direction, W; 0 where its limits cannot be true."""
    if direction == "down":
        return _carried(feeder.export_max_w + feeder.load_min_w)
    return _carried(feeder.import_max_w - feeder.load_max_w)


def _site_sum(
    one: SiteAssets,
    work: Sequence[Asset],
    hold: Hold,
    direction: Direction,
    taken: Mapping[str, Taken],
    tier: TierName | None,
) -> Sum:
    batteries = [asset for asset in one.batteries if tier is None or asset.tier == tier]
    loose = [asset for asset in (*batteries, *work) if asset.feeder is None]
    loose = [asset for asset in loose if tier is None or asset.tier == tier]
    parts = [_thing(asset, hold, direction, taken) for asset in loose]
    for feeder in one.site.feeders:
        behind = [asset for asset in batteries if asset.feeder == feeder.id]
        parts.append(_below_feeder(feeder, behind, hold, direction, taken))
    bound = (one.down_max_w if direction == "down" else one.up_max_w) - _taken_w(
        one.batteries, direction, taken
    )
    edge = Bind(limit=_edge(one, direction), at=one.site.id)
    return _capped(_together(parts), bound, hold, edge)


def _edge(one: SiteAssets, direction: Direction) -> Literal["load", "export", "import"]:
    if one.doubt:
        return "load"
    return "export" if direction == "down" else "import"


def _taken_w(assets: Iterable[Asset], direction: Direction, taken: Mapping[str, Taken]) -> float:
    return math.fsum(taken[asset.id].power_w(direction) for asset in assets if asset.id in taken)


def _together(parts: Sequence[Sum]) -> Sum:
    binds = dict.fromkeys(bind for part in parts for bind in part.binds)
    telling = [bind for bind in binds if bind.limit != "power"]
    return Sum(
        w=math.fsum(part.w for part in parts),
        wh=math.fsum(part.wh for part in parts),
        binds=tuple(telling or binds)[:BINDS_MAX],
    )


def _capped(inner: Sum, bound: float, hold: Hold, edge: Bind) -> Sum:
    bound = _carried(bound)
    wh = min(inner.wh, bound * hold.seconds / 3600.0)
    return Sum(w=min(inner.w, bound), wh=wh, binds=inner.binds if inner.w <= bound else (edge,))


def _carried(bound: float) -> float:
    """A bound that can be counted with: nothing that is NaN, negative or without end."""
    return bound if math.isfinite(bound) and bound > 0 else 0.0
