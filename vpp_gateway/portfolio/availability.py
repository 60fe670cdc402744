"""The regulation that could be held in each block of the coming hours, beside what is owed already.

    block      |  0  |  1  |  2  |  3  |        each block stands for itself: one event, called for that block alone
    accepted         |=EV-1=|                   its sites offer nothing meanwhile, and less energy afterwards
    spare      |#####|     |     |###  |

Deliberately low, so that what is offered can be held:

- Only batteries that can be read now count; offers of workload come and go, and count for nothing.
- A battery starts each block with the charge it has now. What accepted instructions may take before the block's end is
  taken off, in both directions, since the state of charge at their end is not known; nothing is expected to recharge.
- A site that an accepted instruction rules in some part of a block offers nothing in the whole block: the timeline
  gives each site to one instruction only.
- The grid connection carries no more than its contract and the limits in force during the block allow, around a load
  that may be `LOAD_MARGIN` away from the present one. A load that is not known carries nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from vpp_gateway.domain.fleet import Site
from vpp_gateway.domain.instruction import DeviceId, Instruction, Limit, Multiplier, Phase, Setpoint, SiteId
from vpp_gateway.domain.reading import BatteryReading
from vpp_gateway.portfolio.asset import DIRECTIONS, Direction, Hold
from vpp_gateway.portfolio.rooms import scope_room, site_assets
from vpp_gateway.portfolio.timeline import Timeline

LOAD_MARGIN = 0.1
"""Share by which the load at the grid connection may differ from the present one, to the worse side."""
BLOCKS_MAX = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteNow:
    """What is known of one site."""

    site: Site
    load_w: float | None
    """Import at the PCC without our batteries; None = unknown."""
    usable: Mapping[DeviceId, BatteryReading]
    """Batteries that can be read and take orders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """What could be held from its start to its end, W per direction (magnitudes)."""

    start_at: float
    """UTC (Unix s)."""
    end_at: float
    down_w: Mapping[SiteId, float]
    up_w: Mapping[SiteId, float]

    def room_w(self, direction: Direction) -> float:
        """Sum over the sites."""
        return math.fsum((self.down_w if direction == "down" else self.up_w).values())


def blocks(
    sites: Iterable[SiteNow], timeline: Timeline, now: float, *, block_s: float, horizon_s: float
) -> tuple[Block, ...]:
    """Blocks on whole multiples of `block_s` since the epoch, the first one holding `now`.

    Args:
        sites: Every site of the portfolio.
        timeline: Accepted instructions.
        block_s: Length of a block, s.
        horizon_s: How far to look, s; at most `BLOCKS_MAX` blocks.
    """
    known = tuple(sites)
    first = math.floor(now / block_s)
    count = min(BLOCKS_MAX, math.ceil((now + horizon_s) / block_s) - first)
    result = []
    for index in range(first, first + count):
        start_at, end_at = index * block_s, (index + 1) * block_s
        rooms = {one.site.id: _site(one, known, timeline, now, start_at, end_at) for one in known}
        result.append(
            Block(
                start_at=start_at,
                end_at=end_at,
                down_w={id: room[0] for id, room in rooms.items()},
                up_w={id: room[1] for id, room in rooms.items()},
            )
        )
    return tuple(result)


def _site(
    one: SiteNow,
    all_sites: tuple[SiteNow, ...],
    timeline: Timeline,
    now: float,
    start_at: float,
    end_at: float,
) -> tuple[float, float]:
    """(down, up) W of one site in one block."""
    id = one.site.id
    if any(True for _ in demands(timeline, id, start_at, end_at)):
        return 0.0, 0.0
    hours = (end_at - start_at) / 3600.0
    taken_wh = _taken_wh(one, all_sites, timeline, now, end_at)
    import_max, export_max = limits_in(timeline, id, start_at, end_at)
    limited = limited_devices(timeline, id, start_at, end_at)
    assets = site_assets(
        one.site,
        one.load_w,
        {device: reading for device, reading in one.usable.items() if device not in limited},
        import_max_w=import_max,
        export_max_w=export_max,
        margin=LOAD_MARGIN,
    )
    hold = Hold(start_at=start_at, hold_s=end_at - start_at)
    free = [
        asset for asset in assets.batteries if not one.site.is_blocked(DeviceId(asset.id), start_at, end_at)
    ]
    rooms = []
    for direction in DIRECTIONS:
        wh = math.fsum(asset.energy_wh(direction) for asset in free if asset.doubt is None)
        power = scope_room((assets,), (), hold, direction).w
        rooms.append(min(power, max(0.0, wh - taken_wh) / hours))
    return rooms[0], rooms[1]


def _taken_wh(
    one: SiteNow, all_sites: tuple[SiteNow, ...], timeline: Timeline, now: float, until: float
) -> float:
    """Energy that accepted instructions may move at this site between now and `until`, in either direction."""
    return math.fsum(spend.wh for spend in spends(one, all_sites, timeline, now, until))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """Energy that one phase of an accepted instruction may move at one site."""

    directions: tuple[Direction, ...]
    """Both, where it depends on a load that nobody knows yet."""
    wh: float
    start_at: float
    end_at: float


def spends(
    one: SiteNow, all_sites: Iterable[SiteNow], timeline: Timeline, now: float, until: float
) -> Iterator[Spend]:
    """What accepted instructions may move at this site between now and `until`."""
    own_w = _power_w(one)
    known = tuple(all_sites)
    for instruction, phase in demands(timeline, one.site.id, now, until):
        start_at = max(now, phase.start_at)
        end_at = max(start_at, until if phase.end_at is None else min(until, phase.end_at))
        directions: tuple[Direction, ...] = DIRECTIONS
        if isinstance(phase.demand, Setpoint | Multiplier | Limit):
            asked_w = own_w  # what it asks depends on a load that nobody knows yet: all of it
        else:
            directions = ("down",) if phase.demand.regulation_w > 0 else ("up",)
            scope = timeline.scope_of(instruction)
            whole = math.fsum(_power_w(other) for other in known if other.site.id in scope)
            share = own_w / whole if whole else 0.0
            asked_w = min(own_w, abs(phase.demand.regulation_w) * share)
        wh = asked_w * (end_at - start_at) / 3600.0
        yield Spend(directions=directions, wh=wh, start_at=start_at, end_at=end_at)


def _power_w(one: SiteNow) -> float:
    """The larger of what its batteries may charge and discharge."""
    return math.fsum(max(battery.discharge_max_w, battery.charge_max_w) for battery in one.site.batteries)


def demands(
    timeline: Timeline, site: SiteId, since: float, until: float
) -> Iterator[tuple[Instruction, Phase]]:
    """Phases, other than limits, that speak of `site` in some part of [since, until)."""
    for instruction in timeline:
        if site in timeline.scope_of(instruction):
            for phase in _overlapping(instruction, since, until):
                if not isinstance(phase.demand, Limit):
                    yield instruction, phase


def limits_in(
    timeline: Timeline, site: SiteId, since: float, until: float
) -> tuple[float | None, float | None]:
    """The tightest (import, export) limits in some part of [since, until)."""
    return timeline.limits.tightest((site, None), since, until)


def limited_devices(timeline: Timeline, site: SiteId, since: float, until: float) -> frozenset[DeviceId]:
    """Devices of a site that a limit of their own bounds in some part of [since, until); they offer nothing meanwhile."""
    return timeline.limits.devices(site, since, until)


def _overlapping(instruction: Instruction, since: float, until: float) -> Iterator[Phase]:
    for phase in instruction.phases:
        if phase.start_at < until and (phase.end_at is None or phase.end_at > since):
            yield phase
