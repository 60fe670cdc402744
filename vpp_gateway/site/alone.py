"""A site without its centre goes on keeping its promise: the import at its PCC stays what the centre wanted.

    missing = import now - import wanted      shared over the batteries that have a setpoint, by their rating

The centre closes this loop each second over all sites; when it is away each site closes it over its own meter, with
what its own batteries can give. Nothing here knows of an instruction, a baseline or other sites.
"""

from __future__ import annotations

from collections.abc import Mapping

from vpp_gateway.domain.fleet import Battery, Site
from vpp_gateway.domain.instruction import DeviceId
from vpp_gateway.domain.order import SiteSchedule, Step
from vpp_gateway.domain.quantity import clamp
from vpp_gateway.domain.reading import BatteryReading, Health, SiteReading

DEADBAND = 0.002
"""Of a battery's rating: a smaller change is not worth a write."""


def rules(schedule: SiteSchedule, step: Step) -> bool:
    """Whether the import that the schedule wants is that of this step: it is of the moment of its issue, not later."""
    return schedule.alone_import_w is not None and step.start_at <= schedule.issued_at


def alone(
    schedule: SiteSchedule, held_w: Mapping[DeviceId, float], reading: SiteReading, site: Site
) -> dict[DeviceId, float]:
    """discharge_w per battery that has a setpoint, so that the PCC shows what was wanted.

    Args:
        schedule: What the agent holds; `alone_import_w` is the import wanted at the PCC, W.
        held_w: Setpoints as they are, W.
        reading: What the site saw in this cycle.

    Returns:
        New setpoints; nothing where the meter or the batteries do not say how it stands: then all stays as it is.
    """
    running = [step for step in schedule.steps if step.device in held_w and rules(schedule, step)]
    if schedule.alone_import_w is None or reading.meter is None or not running:
        return dict(held_w)
    good = {row.device for row in reading.health if row.health is Health.GOOD}
    batteries = {b.id: b for b in site.batteries if b.id in held_w and b.id in good}
    seen = {b.device: b for b in reading.batteries if b.device in batteries}
    rating = {id: max(batteries[id].discharge_max_w, batteries[id].charge_max_w) for id in seen}
    whole = sum(rating.values())
    if whole <= 0:
        return dict(held_w)
    missing_w = reading.meter.import_w - schedule.alone_import_w
    result = dict(held_w)
    for id, row in seen.items():
        wanted = _within(batteries[id], row, row.discharge_w + missing_w * rating[id] / whole)
        if abs(wanted - held_w[id]) > DEADBAND * rating[id]:
            result[id] = wanted
    return result


def _within(battery: Battery, row: BatteryReading, discharge_w: float) -> float:
    """Inside what the battery can give now, and its operating window."""
    lower = -min(row.charge_room_w, battery.charge_max_w) if row.soc < battery.soc_max else 0.0
    upper = min(row.discharge_room_w, battery.discharge_max_w) if row.soc > battery.soc_min else 0.0
    return clamp(discharge_w, lower, upper)
