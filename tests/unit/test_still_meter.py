"""A meter that stands still while the batteries move is not believed."""

from __future__ import annotations

from vpp_gateway.domain.instruction import DeviceId
from vpp_gateway.domain.reading import BatteryReading, DeviceHealth, Health, MeterReading
from vpp_gateway.site.still import StillMeter

METER, BATTERY = DeviceId("meter"), DeviceId("b1")


def meter(at: float, w: float) -> MeterReading:
    return MeterReading(device=METER, at=at, import_w=w)


def battery(at: float, w: float) -> BatteryReading:
    return BatteryReading(
        device=BATTERY,
        at=at,
        discharge_w=w,
        soc=0.5,
        discharge_room_w=100_000.0,
        charge_room_w=100_000.0,
        armed=True,
        setpoint_w=w,
    )


def health(at: float) -> DeviceHealth:
    return DeviceHealth(device=METER, health=Health.GOOD, seen_at=at)


def test_doubted_at_once_and_called_stuck_after_three_seconds() -> None:
    still = StillMeter(100_000.0)
    assert still.believe(meter(0, 400_000.0), [battery(0, 0.0)]) == meter(0, 400_000.0)
    believed = [still.believe(meter(at, 400_000.0), [battery(at, 20_000.0)]) for at in (1, 2, 3, 4)]
    assert believed == [None] * 4
    assert still.judge(health(3), 3).health is Health.GOOD
    judged = still.judge(health(4), 4)
    assert judged.health is Health.IMPLAUSIBLE
    assert judged.reason == "import stands still at 400000 W while the batteries moved by 20000 W"


def test_the_first_change_of_value_ends_the_doubt() -> None:
    still = StillMeter(100_000.0)
    still.believe(meter(0, 400_000.0), [battery(0, 0.0)])
    assert still.believe(meter(1, 400_000.0), [battery(1, 20_000.0)]) is None
    assert still.believe(meter(2, 380_100.0), [battery(2, 20_000.0)]) == meter(2, 380_100.0)
    assert still.judge(health(9), 9).health is Health.GOOD


def test_a_steady_load_and_steady_batteries_raise_no_doubt() -> None:
    still = StillMeter(100_000.0)
    for at in range(100):
        same = still.believe(meter(at, 400_000.0), [battery(at, 4_000.0 * (at % 2))])
        assert same == meter(at, 400_000.0)
    assert still.judge(health(99), 99).health is Health.GOOD


def test_a_site_without_batteries_and_a_meter_without_a_reading_are_left_alone() -> None:
    still = StillMeter(0.0)
    assert still.believe(meter(0, 1.0), []) == meter(0, 1.0)
    assert still.believe(meter(1, 1.0), []) == meter(1, 1.0)
    assert still.believe(None, [battery(1, 1.0)]) is None
