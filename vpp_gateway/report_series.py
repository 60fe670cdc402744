"""Quantities for reports, from the stored seconds: what is kept beside the readings, and what follows from both.

    <site>/state        bit 0: link up and a meter trusted; bit 1: a device answers but takes no orders
    <site>/check_import_w   what its check meter says; kept for all that have one, whichever agent reads it
    <site>/checked      1: its meter failed, or its agent is not heard, and the check meter is followed
    <site>/pv_w         what its PV gives, while its PV meter is believed
    <site>/baseline_w   what the site would take without any instruction
    <site>/up_w         relief that its batteries could still add now, by their own word
    <site>/down_w       what they could still take in addition
    /asked_w            regulation that all instructions together ask of the portfolio; > 0 relieves the grid

Stored energy follows from `<site>/<device>/soc`. A second in which a part is missing has no value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Set

from vpp_gateway.domain.fleet import Fleet, Site
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.reading import Health, SiteReading, Snapshot
from vpp_gateway.journal.telemetry import believed_w, is_checked
from vpp_gateway.northbound.turn import Sample, StatusSample

ASKED = "/asked_w"
_ONLINE, _OVERRIDE = 1, 2

Row = Mapping[str, float]


def extras(
    fleet: Fleet, snapshot: Snapshot, baseline_w: Mapping[SiteId, float], checked: Set[SiteId] = frozenset()
) -> dict[str, float]:
    """What is kept of one second, by name. A site that nobody sees has its state and nothing else.

    Args:
        fleet: All sites.
        snapshot: The second.
        baseline_w: Import without any instruction, W, of the sites where it is known.
        checked: Sites whose check meter is followed.
    """
    heard = {reading.site: reading for reading in snapshot.sites}
    checks = {row.device: row for reading in snapshot.sites for row in reading.checks}
    kept: dict[str, float] = {}
    for site in fleet.sites:
        reading = heard.get(site.id)
        seen = site.id in checked or (reading is not None and reading.meter is not None)
        kept[f"{site.id}/state"] = _state(site, reading, seen)
        check = None if site.check_meter is None else checks.get(site.check_meter)
        if check is not None and math.isfinite(check.import_w):
            kept[f"{site.id}/check_import_w"] = check.import_w
            if site.id in checked:
                kept[f"{site.id}/checked"] = 1.0
                kept[f"{site.id}/modelled"] = float(check.modelled)
        if not seen:
            continue
        if site.id in baseline_w:
            kept[f"{site.id}/baseline_w"] = baseline_w[site.id]
        if reading is not None:
            refusing = {row.device for row in reading.health if row.health is Health.REFUSING}
            able = [battery for battery in reading.batteries if battery.device not in refusing]
            kept[f"{site.id}/up_w"] = math.fsum(max(b.discharge_room_w - b.discharge_w, 0.0) for b in able)
            kept[f"{site.id}/down_w"] = math.fsum(max(b.charge_room_w + b.discharge_w, 0.0) for b in able)
    return kept


def _state(site: Site, reading: SiteReading | None, seen: bool) -> float:
    if reading is None:
        return 0.0
    own = {site.meter, *(battery.id for battery in site.batteries)}
    override = any(row.health is Health.REFUSING and row.device in own for row in reading.health)
    return float(seen * _ONLINE + override * _OVERRIDE)


def series(
    seconds: Iterable[tuple[float, Row]], fleet: Fleet, quantity: str, site: SiteId | None
) -> list[Sample]:
    """One quantity of one site, or of all sites together when `site` is None."""
    if quantity == "deltaSetPoint":
        return [Sample(at=at, value=0.0 - row[ASKED]) for at, row in seconds if site is None and ASKED in row]
    hand = _HANDS.get(quantity)
    chosen = fleet.sites if site is None else tuple(one for one in fleet.sites if one.id == site)
    if hand is None or not chosen:
        return []
    found = []
    for at, row in seconds:
        values = [hand(row, one) for one in chosen]
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            modelled = any(row.get(f"{one.id}/modelled", 0.0) != 0.0 for one in chosen)
            checked = any(is_checked(row, one.id) for one in chosen)
            found.append(Sample(at=at, value=math.fsum(known), modelled=modelled, checked=checked))
    return found


def statuses(seconds: Iterable[tuple[float, Row]], site: SiteId) -> list[StatusSample]:
    """How one site stood."""
    found = []
    for at, row in seconds:
        state = row.get(f"{site}/state")
        if state is None:
            continue
        import_w, baseline_w = believed_w(row, site), row.get(f"{site}/baseline_w")
        offset = None
        if import_w is not None and baseline_w is not None and baseline_w > 0:
            offset = round(100.0 * (import_w / baseline_w - 1.0), 3)
        bits = int(state)
        found.append(
            StatusSample(
                at=at,
                online=bool(bits & _ONLINE),
                override=bool(bits & _OVERRIDE),
                offset_percent=offset,
            )
        )
    return found


def _named(suffix: str) -> Callable[[Row, Site], float | None]:
    return lambda row, site: row.get(f"{site.id}/{suffix}")


def _stored_wh(row: Row, site: Site) -> float | None:
    shares = [row.get(f"{site.id}/{battery.id}/soc") for battery in site.batteries]
    known = [
        share * battery.energy_wh
        for share, battery in zip(shares, site.batteries, strict=True)
        if share is not None
    ]
    return math.fsum(known) if len(known) == len(shares) else None


def _storable_wh(row: Row, site: Site) -> float | None:
    shares = [row.get(f"{site.id}/{battery.id}/soc") for battery in site.batteries]
    known = [
        max(battery.soc_max - share, 0.0) * battery.energy_wh
        for share, battery in zip(shares, site.batteries, strict=True)
        if share is not None
    ]
    return math.fsum(known) if len(known) == len(shares) else None


def _operating(row: Row, site: Site) -> float | None:
    state = row.get(f"{site.id}/state")
    return None if state is None else float(int(state) & _ONLINE)


_HANDS: Mapping[str, Callable[[Row, Site], float | None]] = {
    "baseline": _named("baseline_w"),
    "upRegulationCapacityAvailable": _named("up_w"),
    "downRegulationCapacityAvailable": _named("down_w"),
    "storedEnergy": _stored_wh,
    "availableEnergyStorage": _storable_wh,
    "operatingState": _operating,
}
