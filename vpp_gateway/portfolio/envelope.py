"""How much each battery and each grid connection can still give, and for how long; `rooms` adds it up the tree.

Room is a magnitude per direction: `down` = regulation_w > 0 (discharge, less import), `up` = regulation_w < 0
(charge, more import). A battery's room is the least of its nameplate, its own word, and the energy between its SoC
window and the time it must hold. Anything doubtful has room 0 and is named: a NaN never means unlimited.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from vpp_gateway.domain.fleet import Battery, Site
from vpp_gateway.domain.plan import SiteBounds
from vpp_gateway.domain.reading import BatteryReading

OPEN_END_HOLD_S = 1800.0
"""An open-ended instruction is planned as if it lasted this long; the plan is renewed long before."""
NO_BOUND_W = 1e12
"""Stands for 'nothing binds here' in bounds that a solver must be able to add up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What one battery can give, W per direction, and the energy behind it, Wh."""

    down_w: float
    up_w: float
    energy_down_wh: float
    """AC energy it can still deliver above its SoC floor."""
    energy_up_wh: float
    """AC energy it can still take below its SoC ceiling."""
    limit: str = ""
    """What binds: nameplate | device | soc | reading; empty when both directions are open."""


NO_ROOM = Room(down_w=0.0, up_w=0.0, energy_down_wh=0.0, energy_up_wh=0.0, limit="reading")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What one battery has now: W per direction, and the energy behind it, Wh at its AC side."""

    down_w: float
    up_w: float
    down_wh: float
    up_wh: float


def battery_reach(battery: Battery, reading: BatteryReading) -> Reach | None:
    """Power and energy of one battery; None = reading or nameplate cannot be true, and nothing may be counted on.

    The narrower of the operator's and the device's own SoC window counts.
    """
    values = (
        reading.soc, reading.discharge_room_w, reading.charge_room_w, reading.discharge_w,
        battery.discharge_max_w, battery.charge_max_w, battery.energy_wh, battery.soc_min, battery.soc_max,
    )  # fmt: skip
    if not all(map(math.isfinite, values)) or not 0.0 <= reading.soc <= 1.0 or not battery.efficiency > 0.0:
        return None
    floor, ceiling = max(battery.soc_min, reading.soc_min), min(battery.soc_max, reading.soc_max)
    return Reach(
        down_w=max(0.0, min(battery.discharge_max_w, reading.discharge_room_w)),
        up_w=max(0.0, min(battery.charge_max_w, reading.charge_room_w)),
        down_wh=max(0.0, reading.soc - floor) * battery.energy_wh * battery.efficiency,
        up_wh=max(0.0, ceiling - reading.soc) * battery.energy_wh / battery.efficiency,
    )


def battery_room(battery: Battery, reading: BatteryReading | None, hold_s: float) -> Room:
    """Room of one battery for holding a setpoint during `hold_s` seconds.

    A missing or impossible reading gives no room at all.
    """
    reach = None if reading is None else battery_reach(battery, reading)
    if reach is None:
        return NO_ROOM
    hours = max(hold_s, 1.0) / 3600.0
    down, up = min(reach.down_w, reach.down_wh / hours), min(reach.up_w, reach.up_wh / hours)
    limit = "soc" if down < reach.down_w or up < reach.up_w else ""
    return Room(down_w=down, up_w=up, energy_down_wh=reach.down_wh, energy_up_wh=reach.up_wh, limit=limit)


def nameplate_room(battery: Battery, hold_s: float) -> Room:
    """Room by the nameplate at half charge: for judging an instruction before the first reading has come."""
    energy_wh = 0.5 * (battery.soc_max - battery.soc_min) * battery.energy_wh
    hours = max(hold_s, 1.0) / 3600.0
    return Room(
        down_w=min(battery.discharge_max_w, energy_wh / hours),
        up_w=min(battery.charge_max_w, energy_wh / hours),
        energy_down_wh=energy_wh,
        energy_up_wh=energy_wh,
        limit="nameplate",
    )


def site_bounds(
    site: Site, load_w: float | None, import_max_w: float | None, export_max_w: float | None
) -> SiteBounds:
    """Regulation that the grid connection can carry around its present load without batteries and levers.

    Args:
        site: The contracted limits.
        load_w: Import at the PCC without what we command; None = unknown, then nothing may be added.
        import_max_w: A tighter limit in force, or None.
        export_max_w: A tighter limit in force, or None.
    """
    if load_w is None or not math.isfinite(load_w):
        return SiteBounds(site=site.id, down_max_w=0.0, up_max_w=0.0)
    import_max = site.import_max_w if import_max_w is None else min(site.import_max_w, import_max_w)
    export_max = site.export_max_w if export_max_w is None else min(site.export_max_w, export_max_w)
    return SiteBounds(
        site=site.id,
        down_max_w=max(0.0, load_w + export_max),
        up_max_w=max(0.0, import_max - load_w),
    )


def hold_s(end_at: float | None, now: float) -> float:
    """Seconds that a plan made now must hold."""
    return OPEN_END_HOLD_S if end_at is None else max(1.0, end_at - now)
