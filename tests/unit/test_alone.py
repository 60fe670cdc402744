"""A site without its centre keeps its import: the loop over its own meter."""

from __future__ import annotations

import math

import pytest

from tests.unit.fleets import SITES, fleet
from vpp_gateway.domain.instruction import DeviceId, InstructionId
from vpp_gateway.domain.order import SiteSchedule, Step
from vpp_gateway.domain.reading import BatteryReading, DeviceHealth, Health, MeterReading, SiteReading
from vpp_gateway.site.alone import alone

SITE = fleet().site(SITES[0])
BATTERIES = [battery.id for battery in SITE.batteries]
RATING_W = SITE.batteries[0].discharge_max_w
WANTED_W = 300_000.0


def schedule(start_at: float = 0.0, alone_import_w: float | None = WANTED_W) -> SiteSchedule:
    steps = tuple(
        Step(
            device=id,
            start_at=start_at,
            end_at=None,
            discharge_w=0.1 * RATING_W,
            instruction=InstructionId("e"),
            modification=0,
        )
        for id in BATTERIES
    )
    return SiteSchedule(
        site=SITE.id, epoch=1, seq=1, issued_at=10.0, steps=steps, alone_import_w=alone_import_w
    )


def reading(
    import_w: float | None,
    *,
    discharge_w: float = 0.1 * RATING_W,
    soc: float = 0.5,
    lost: tuple[str, ...] = (),
) -> SiteReading:
    meter = None if import_w is None else MeterReading(device=SITE.meter, at=20.0, import_w=import_w)
    rows = tuple(
        BatteryReading(
            device=id,
            at=20.0,
            discharge_w=discharge_w,
            soc=soc,
            discharge_room_w=RATING_W,
            charge_room_w=RATING_W,
        )
        for id in BATTERIES
        if id not in lost
    )
    health = tuple(
        DeviceHealth(device=id, health=Health.LOST if id in lost else Health.GOOD) for id in BATTERIES
    )
    return SiteReading(site=SITE.id, at=20.0, meter=meter, batteries=rows, health=health)


def told(given: SiteSchedule, seen: SiteReading, *, believed: bool = True) -> dict[DeviceId, float]:
    return alone(given, given.steps, held(), seen, SITE, believed=believed)


def held() -> dict[DeviceId, float]:
    return dict.fromkeys(BATTERIES, 0.1 * RATING_W)


@pytest.mark.parametrize("off_w", [0.3 * RATING_W, -0.15 * RATING_W])
def test_what_is_missing_at_the_meter_is_shared_by_rating(off_w: float) -> None:
    given = told(schedule(), reading(WANTED_W + off_w))
    assert math.fsum(given.values()) == pytest.approx(0.1 * RATING_W * len(BATTERIES) + off_w)
    assert len(set(given.values())) == 1


def test_nothing_changes_while_the_import_is_as_wanted() -> None:
    assert told(schedule(), reading(WANTED_W + 0.001 * RATING_W)) == held()


def test_a_battery_stays_inside_its_power_and_its_window() -> None:
    assert set(told(schedule(), reading(WANTED_W + 99e6)).values()) == {RATING_W}
    empty = told(schedule(), reading(WANTED_W + 99e6, soc=SITE.batteries[0].soc_min))
    assert max(empty.values()) == 0.0
    full = told(schedule(), reading(WANTED_W - 99e6, soc=SITE.batteries[0].soc_max))
    assert min(full.values()) == 0.0


def test_a_lost_battery_keeps_its_order_and_the_others_carry_all() -> None:
    lost = BATTERIES[0]
    given = told(schedule(), reading(WANTED_W + 0.2 * RATING_W, lost=(lost,)))
    assert given[lost] == held()[lost]
    assert math.fsum(w - held()[id] for id, w in given.items()) == pytest.approx(0.2 * RATING_W)


def test_without_a_meter_or_without_a_wish_everything_stays() -> None:
    assert told(schedule(), reading(None)) == held()
    assert told(schedule(alone_import_w=None), reading(0.0)) == held()


def test_the_wish_is_of_the_moment_of_its_issue_and_not_of_a_later_phase() -> None:
    assert told(schedule(start_at=15.0), reading(0.0)) == held()


def test_a_meter_that_the_batteries_speak_against_closes_no_loop() -> None:
    assert told(schedule(), reading(WANTED_W + 0.3 * RATING_W), believed=False) == held()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_numbers_that_are_none_move_nothing(bad: float) -> None:
    assert told(schedule(), reading(bad)) == held()
    assert told(schedule(), reading(WANTED_W + 0.3 * RATING_W, discharge_w=bad)) == held()
    assert told(schedule(), reading(WANTED_W + 0.3 * RATING_W, soc=bad)) == held()


def test_a_held_setpoint_too_stays_inside_the_window() -> None:
    """Nobody wishes an import here: only what the battery must not do is kept."""
    floor = SITE.batteries[0].soc_min
    assert set(told(schedule(alone_import_w=None), reading(None, soc=floor)).values()) == {0.0}


def test_no_more_is_given_than_the_connection_carries() -> None:
    given = told(schedule(alone_import_w=None), reading(-SITE.export_max_w, discharge_w=0.0))
    assert math.fsum(given.values()) == pytest.approx(0.0, abs=1.0)
    given = told(
        schedule(alone_import_w=SITE.import_max_w + 1e9), reading(SITE.import_max_w - 1000.0, discharge_w=0.0)
    )
    assert math.fsum(given.values()) == pytest.approx(-1000.0, abs=1.0)
