"""Quantities for reports: what is kept of a second, what follows from it, and what is not known."""

from __future__ import annotations

import math

from tests.unit.fleets import SITES, fleet
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.reading import (
    BatteryReading,
    DeviceHealth,
    Health,
    MeterReading,
    SiteReading,
    Snapshot,
)
from vpp_gateway.report_series import ASKED, extras, series, statuses

HERE, LOST = SITES[0], SITES[2]
FLEET = fleet()


def reading(site: SiteId, *, refusing: int | None = None, meter: bool = True) -> SiteReading:
    batteries = next(one for one in FLEET.sites if one.id == site).batteries
    return SiteReading(
        site=site,
        at=0.0,
        meter=MeterReading(device=FLEET.sites[0].meter, at=0.0, import_w=4e5, modelled=True)
        if meter
        else None,
        batteries=tuple(
            BatteryReading(
                device=battery.id,
                at=0.0,
                discharge_w=10_000.0,
                soc=0.5,
                discharge_room_w=50_000.0,
                charge_room_w=50_000.0,
                armed=True,
                setpoint_w=None,
            )
            for battery in batteries
        ),
        health=()
        if refusing is None
        else (DeviceHealth(device=batteries[refusing].id, health=Health.REFUSING, reason="local"),),
        applied_seq=0,
    )


def test_rooms_and_state_of_a_site_that_is_heard() -> None:
    kept = extras(FLEET, Snapshot(at=0.0, sites=(reading(HERE),)), {HERE: 390_000.0})
    assert kept[f"{HERE}/state"] == 1.0 and kept[f"{LOST}/state"] == 0.0
    assert kept[f"{HERE}/baseline_w"] == 390_000.0
    assert kept[f"{HERE}/up_w"] == 80_000.0  # two batteries, 40 kW each above what they give now
    assert kept[f"{HERE}/down_w"] == 120_000.0
    assert f"{LOST}/up_w" not in kept and f"{LOST}/baseline_w" not in kept


def test_a_battery_that_refuses_orders_gives_no_room_and_shows_as_override() -> None:
    kept = extras(FLEET, Snapshot(at=0.0, sites=(reading(HERE, refusing=0),)), {})
    assert kept[f"{HERE}/state"] == 3.0 and kept[f"{HERE}/up_w"] == 40_000.0
    (status,) = statuses([(0.0, kept)], HERE)
    assert status.online and status.override and status.offset_percent is None


def test_without_a_meter_a_site_is_not_online() -> None:
    kept = extras(FLEET, Snapshot(at=0.0, sites=(reading(HERE, meter=False),)), {HERE: 1.0})
    assert kept[f"{HERE}/state"] == 0.0 and f"{HERE}/up_w" not in kept


def row(**changes: float) -> dict[str, float]:
    found = {f"{site}/state": 1.0 for site in SITES}
    for site in FLEET.sites:
        found[f"{site.id}/import_w"], found[f"{site.id}/baseline_w"] = 360_000.0, 400_000.0
        found[f"{site.id}/modelled"] = 1.0
        for battery in site.batteries:
            found[f"{site.id}/{battery.id}/soc"] = 0.5
    return {**found, ASKED: 30_000.0, **changes}


def test_energy_follows_from_the_state_of_charge() -> None:
    (one,) = series([(0.0, row())], FLEET, "storedEnergy", HERE)
    assert one.value == 100_000.0 and one.modelled  # two of 100 kWh, half full
    (all_sites,) = series([(0.0, row())], FLEET, "storedEnergy", None)
    assert all_sites.value == 300_000.0
    (room,) = series([(0.0, row())], FLEET, "availableEnergyStorage", HERE)
    assert math.isclose(room.value, sum((b.soc_max - 0.5) * b.energy_wh for b in FLEET.sites[0].batteries))


def test_a_second_in_which_a_part_is_missing_has_no_value() -> None:
    whole = row()
    missing = {name: value for name, value in whole.items() if not name.endswith("b1/soc")}
    assert series([(0.0, missing)], FLEET, "storedEnergy", HERE) == []
    assert series([(0.0, {})], FLEET, "baseline", HERE) == []  # stored before these series were kept
    assert series([(0.0, whole)], FLEET, "dance", HERE) == []
    assert statuses([(0.0, {})], HERE) == []


def test_what_is_asked_is_of_the_portfolio_and_as_import() -> None:
    (one,) = series([(0.0, row())], FLEET, "deltaSetPoint", None)
    assert one.value == -30_000.0
    assert series([(0.0, row())], FLEET, "deltaSetPoint", HERE) == []


def test_the_offset_is_against_the_baseline() -> None:
    (one,) = statuses([(0.0, row())], HERE)
    assert one.offset_percent == -10.0
