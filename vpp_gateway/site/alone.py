"""A site without its centre goes on keeping its promise: the import at its PCC stays what the centre wanted.

    missing = import now - import wanted      shared over the batteries that have a setpoint, by their rating

The centre closes this loop each second over all sites; when it is away each site closes it over its own meter, with
what its own batteries can give. Nothing here knows of an instruction, a baseline or other sites. What a battery must
not do holds for every setpoint, whoever it is from: its power, its operating window, and what the grid connection
carries in either direction.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from vpp_gateway.domain.fleet import Battery, Site
from vpp_gateway.domain.instruction import DeviceId
from vpp_gateway.domain.order import SiteSchedule, Step
from vpp_gateway.domain.reading import BatteryReading, Health, SiteReading

DEADBAND = 0.002
"""Of a battery's rating: a smaller change is not worth a write."""


def rules(schedule: SiteSchedule, step: Step) -> bool:
    """Whether the import that the schedule wants is that of this step: it is of the moment of its issue, not later."""
    return schedule.alone_import_w is not None and step.start_at <= schedule.issued_at


def alone(
    schedule: SiteSchedule,
    running: Iterable[Step],
    held_w: Mapping[DeviceId, float],
    reading: SiteReading,
    site: Site,
    *,
    believed: bool,
) -> dict[DeviceId, float]:
    """discharge_w per battery that has a setpoint, so that the PCC shows what was wanted and no limit is passed.

    Args:
        schedule: What the agent holds; `alone_import_w` is the import wanted at the PCC, W.
        running: Its steps that are in force now.
        held_w: Setpoints as they are, W.
        reading: What the site saw in this cycle.
        believed: The batteries do not speak against the meter. Where they do, the loop is not closed over it.

    Returns:
        New setpoints. Where nothing is known of the import or of a battery, its setpoint stays as it is.
    """
    seen = _seen(held_w, reading, site)
    result = dict(held_w)
    import_w = None if reading.meter is None or not believed else reading.meter.import_w
    known = import_w is not None and math.isfinite(import_w)
    wanted = dict(held_w)
    if known and any(rules(schedule, step) for step in running):
        assert import_w is not None and schedule.alone_import_w is not None
        wanted |= _shared(import_w - schedule.alone_import_w, seen)
    bounded = {id: _within(battery, row, wanted[id]) for id, (battery, row) in seen.items()}
    if known and import_w is not None:
        bounded = _carried(import_w, bounded, seen, site)
    for id, (battery, _) in seen.items():
        if abs(bounded[id] - held_w[id]) > DEADBAND * _rating_w(battery):
            result[id] = bounded[id]
    return result


_Seen = Mapping[DeviceId, tuple[Battery, BatteryReading]]


def _seen(held_w: Mapping[DeviceId, float], reading: SiteReading, site: Site) -> _Seen:
    """Batteries with a setpoint whose readings are good and can be true."""
    good = {row.device for row in reading.health if row.health is Health.GOOD}
    batteries = {battery.id: battery for battery in site.batteries}
    return {
        row.device: (batteries[row.device], row)
        for row in reading.batteries
        if row.device in held_w and row.device in good and row.device in batteries and _plausible(row)
    }


def _plausible(row: BatteryReading) -> bool:
    values = (row.discharge_w, row.soc, row.charge_room_w, row.discharge_room_w)
    return (
        all(math.isfinite(value) for value in values) and min(row.charge_room_w, row.discharge_room_w) >= 0.0
    )


def _shared(missing_w: float, seen: _Seen) -> dict[DeviceId, float]:
    whole = math.fsum(_rating_w(battery) for battery, _ in seen.values())
    return {
        id: row.discharge_w + (missing_w * _rating_w(battery) / whole if whole > 0 else 0.0)
        for id, (battery, row) in seen.items()
    }


def _within(battery: Battery, row: BatteryReading, discharge_w: float) -> float:
    """Inside what the battery can give now, and its operating window."""
    lower = -min(row.charge_room_w, battery.charge_max_w) if row.soc < battery.soc_max else 0.0
    upper = min(row.discharge_room_w, battery.discharge_max_w) if row.soc > battery.soc_min else 0.0
    return min(max(discharge_w, lower), upper)


def _carried(
    import_w: float, wanted: Mapping[DeviceId, float], seen: _Seen, site: Site
) -> dict[DeviceId, float]:
    """No more than the grid connection carries: what would pass its limits is taken off the batteries that cause it."""
    load_w = import_w + math.fsum(row.discharge_w for _, row in seen.values())
    total = math.fsum(wanted.values())
    most, least = load_w + site.export_max_w, load_w - site.import_max_w
    if total > most:
        share = max(0.0, most) / total if total > 0 else 0.0
        return {id: w * share if w > 0 else w for id, w in wanted.items()}
    if total < least:
        share = min(0.0, least) / total if total < 0 else 0.0
        return {id: w * share if w < 0 else w for id, w in wanted.items()}
    return dict(wanted)


def _rating_w(battery: Battery) -> float:
    return max(battery.discharge_max_w, battery.charge_max_w)
