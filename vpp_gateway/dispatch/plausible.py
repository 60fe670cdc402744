"""Readings that cannot be true are taken out at the door, as if the site agent had not sent them.

A number that is none, or a state of charge outside 0..1, would spoil every sum it enters. The device gets a health that
says so; the rest of the reading stays. Agents judge what they read themselves; this holds whatever stands there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, replace

from vpp_gateway.domain.instruction import DeviceId, Instruction, Limit
from vpp_gateway.domain.reading import BatteryReading, DeviceHealth, Health, SiteReading


def impossible(instruction: Instruction) -> tuple[str, str] | None:
    """The first field of an instruction that cannot be meant, and what it says; None when all can."""
    for n, phase in enumerate(instruction.phases):
        for name, value in asdict(phase.demand).items():
            if value is not None and not math.isfinite(value):
                return f"phases[{n}].{name}", f"{value}"
        if not math.isfinite(phase.start_at):
            return f"phases[{n}].start_at", f"{phase.start_at}"
        if phase.end_at is not None and not phase.end_at > phase.start_at:
            return f"phases[{n}].end_at", f"{phase.end_at}"
        limit = phase.demand
        if isinstance(limit, Limit) and None not in (limit.import_max_w, limit.export_max_w):
            assert limit.import_max_w is not None and limit.export_max_w is not None
            if limit.import_max_w < -limit.export_max_w:
                return f"phases[{n}].import_max_w", f"{limit.import_max_w:g}"
    return None


def plausible(reading: SiteReading) -> SiteReading:
    """The reading without what cannot be true; the same object where all can."""
    faults = dict(_faults(reading))
    if not faults:
        return reading
    meter, pv = reading.meter, reading.pv
    return replace(
        reading,
        meter=None if meter is None or meter.device in faults else meter,
        batteries=tuple(battery for battery in reading.batteries if battery.device not in faults),
        pv=None if pv is None or pv.device in faults else pv,
        health=(
            *(row for row in reading.health if row.device not in faults),
            *(DeviceHealth(device=id, health=Health.IMPLAUSIBLE, reason=why) for id, why in faults.items()),
        ),
    )


def _faults(reading: SiteReading) -> Iterator[tuple[DeviceId, str]]:
    for meter in (reading.meter, reading.pv):
        if meter is not None and not math.isfinite(meter.import_w):
            yield meter.device, _untrue("import_w", meter.import_w)
    for battery in reading.batteries:
        fault = _fault(battery)
        if fault:
            yield battery.device, fault


def _fault(battery: BatteryReading) -> str:
    for name, value in (
        ("discharge_w", battery.discharge_w),
        ("discharge_room_w", battery.discharge_room_w),
        ("charge_room_w", battery.charge_room_w),
    ):
        if not math.isfinite(value):
            return _untrue(name, value)
    for name, share in (("soc", battery.soc), ("soc_min", battery.soc_min), ("soc_max", battery.soc_max)):
        if not 0.0 <= share <= 1.0:
            return _untrue(name, share)
    return ""


def _untrue(name: str, value: float) -> str:
    return f"{name} is {value:g}, which cannot be true"
