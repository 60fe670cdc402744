"""The life of one battery: what is asked and written, in which order, and what is told of it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.modbus_playbook import BATTERY, Paper, Playbook, an_order, battery_profile, profile
from vpp_gateway.domain.fact import Lost, Obeyed, Refused
from vpp_gateway.domain.instruction import DeviceId
from vpp_gateway.domain.reading import Health
from vpp_gateway.errors import MisuseError, Unreachable
from vpp_gateway.portfolio.envelope import battery_room
from vpp_gateway.southbound.modbus.judge import FollowJudge, SocJudge
from vpp_gateway.southbound.modbus.meter import MeterSession
from vpp_gateway.southbound.modbus.session import BatterySession
from vpp_gateway.southbound.modbus.states import State
from vpp_gateway.southbound.modbus.tables import tables_of
from vpp_gateway.southbound.modbus.wire import Purpose, Timing, Write

# The chain of the paper device: 701 at 40070, 702 at 40225, 704 at 40277, 713 at 40344, 715 at 40353.
ENABLE, CONFIGURE, WSET, TIMER, HEARTBEAT = 40299, 40300, 40301, 40308, 40358
READBACK = ("READBACK", 40299, 13)
HALF_MW = (0x0007, 0xA120)


def free() -> Playbook:
    book = Playbook().connect()
    book.look()
    return book


def armed() -> Playbook:
    book = free()
    book.session.arm()
    book.settle().look()
    return book


def holding(w: float = 5e5) -> Playbook:
    book = armed().order(an_order(w)).settle()
    book.look()
    book.outcomes()
    return book


# --- arming and ordering -------------------------------------------------------------------------------------


def test_an_unknown_device_is_scanned_and_then_released() -> None:
    book = Playbook().connect()
    assert book.look() == [("RELEASE", ENABLE, (0,)), READBACK]
    assert book.session.state is State.FREE


def test_arming_configures_in_one_write_and_enables_alone() -> None:
    book = free()
    book.session.arm()
    book.settle()
    configured = (
        1,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        30,
    )  # WATTS, 0 W, revert to 0 W, percent pair, local control, 30 s
    assert book.look() == [("CONFIGURE", CONFIGURE, configured), ("ENABLE", ENABLE, (1,)), READBACK]
    assert book.session.state is State.ARMED


def test_an_order_to_an_armed_battery_is_one_write_and_its_readback() -> None:
    book = armed().order(an_order(5e5))
    book.step()
    book.now += 0.03
    book.settle()
    assert book.look() == [("SETPOINT", WSET, HALF_MW), READBACK]
    (told,) = book.outcomes()
    assert isinstance(told, Obeyed)
    assert (told.discharge_w, told.acknowledged_at, told.confirmed_at) == (5e5, 1000.0, 1000.03)
    assert (told.epoch, told.seq, told.site, told.device, told.instruction) == (1, 1, "tokyo", "b1", "tso/1")


def test_an_order_to_a_free_battery_arms_it_with_the_value() -> None:
    book = free().order(an_order(-5e5)).settle()
    (configure, enable, readback) = book.look()
    assert configure[2] == (1, 0xFFF8, 0x5EE0, 0, 0, 0, 0, 0, 0, 30)
    assert (enable[0], readback) == ("ENABLE", READBACK)
    assert [type(told) for told in book.outcomes()] == [Obeyed]


def test_the_same_order_again_writes_nothing_and_a_new_sequence_is_written() -> None:
    book = holding().order(an_order(5e5)).settle()
    assert book.look() == []
    book.order(an_order(5e5, seq=2)).settle()
    assert book.look() == [("SETPOINT", WSET, HALF_MW), READBACK]


def test_no_order_means_release() -> None:
    book = holding().order(None).settle()
    assert book.look() == [("RELEASE", ENABLE, (0,)), READBACK]
    book.cycle()
    assert book.session.reading is not None
    assert (book.session.reading.armed, book.session.reading.setpoint_w) == (False, None)


def test_a_newer_order_overtakes_before_the_readback_of_the_older() -> None:
    book = armed().order(an_order(1e5))
    book.step()
    book.order(an_order(5e5, seq=2)).settle()
    assert [entry[0] for entry in book.look()] == ["SETPOINT", "SETPOINT", "READBACK"]
    assert [(type(told), told.seq) for told in book.outcomes()] == [(Obeyed, 2)]


def test_sign_and_reversion_follow_the_profile() -> None:
    book = Playbook(battery_profile({"discharge_sign": -1}, {"704.WSetEnaRvrt": 1})).connect()
    book.look()
    book.order(an_order(5e5)).settle()
    assert book.look()[0][2] == (1, 0xFFF8, 0x5EE0, 0, 0, 0, 0, 1, 0, 30)
    told = book.outcomes()[0]
    assert isinstance(told, Obeyed)
    assert told.discharge_w == 5e5


def test_single_points_are_written_where_the_profile_says_so() -> None:
    book = Playbook(battery_profile({"separate": True}))
    book.device.put("704.WSetPct", None)
    book.device.put("704.WSetPctRvrt", None)
    book.connect().look()
    book.order(an_order(5e5)).settle()
    written = [
        (name, address, len(words)) for name, address, words in book.writes() if isinstance(words, tuple)
    ]
    assert written == [
        ("CONFIGURE", 40300, 1),
        ("CONFIGURE", 40301, 2),
        ("CONFIGURE", 40303, 2),
        ("CONFIGURE", 40307, 1),
        ("CONFIGURE", 40308, 2),
        ("ENABLE", 40299, 1),
    ]


# --- what must not happen ------------------------------------------------------------------------------------


@pytest.mark.parametrize("w", [1.0001e6, -8.1e5, float("nan")])
def test_a_setpoint_outside_the_nameplate_is_never_written(w: float) -> None:
    book = armed().order(an_order(w)).settle()
    assert book.writes() == []
    (told,) = book.outcomes()
    assert isinstance(told, Refused)
    assert "outside the nameplate" in told.reason


def test_the_devices_own_smaller_rating_counts() -> None:
    book = Playbook()
    book.device.put("702.WDisChaRteMax", 4e5)
    book.connect().look()
    book.order(an_order(5e5)).settle()
    assert book.writes() == []
    assert "-800000..400000 W" in getattr(book.outcomes()[0], "reason", "")


def test_an_order_past_its_deadline_is_dropped() -> None:
    book = armed().order(an_order(5e5, deadline_at=999.9)).settle()
    assert book.writes() == []
    (told,) = book.outcomes()
    assert isinstance(told, Refused)
    assert "deadline has passed" in told.reason


def test_an_order_that_waits_for_the_connection_is_dropped_at_its_deadline() -> None:
    book = Playbook().order(an_order(5e5, deadline_at=1005.0))
    book.now = 1006.0
    book.connect()
    assert book.writes() == [("RELEASE", ENABLE, (0,))]
    assert [type(told) for told in book.outcomes()] == [Refused]


def test_nothing_is_enabled_when_the_deadline_passes_between_the_two_writes() -> None:
    book = free().order(an_order(5e5, deadline_at=1000.5))
    book.step()
    book.now = 1001.0
    book.settle()
    assert [name for name, _, _ in book.writes()] == ["CONFIGURE", "RELEASE"]
    assert [type(told) for told in book.outcomes()] == [Refused]


def test_a_held_order_outlives_its_deadline_until_it_is_replaced() -> None:
    book = armed().order(an_order(5e5, deadline_at=1000.5)).settle()
    book.look()
    for _ in range(6):
        book.cycle()
    assert book.session.state is State.HOLDING
    assert [name for name, _, _ in book.writes()] == ["REFRESH"]


def test_a_second_request_is_not_asked_while_one_is_unanswered() -> None:
    book = armed().order(an_order(5e5))
    book.unanswered()
    with pytest.raises(MisuseError, match="unanswered"):
        book.session.next(book.now)


def test_a_refresh_that_cannot_keep_the_timer_alive_is_a_mistake() -> None:
    chosen = battery_profile()
    with pytest.raises(MisuseError, match=r"refresh_s 6 is more than half of its reversion of 10 s"):
        BatterySession(BATTERY, chosen, tables_of(chosen), Timing(refresh_s=6, reversion_s=10))


# --- devices that say no, or yes and do not ------------------------------------------------------------------


def test_a_device_that_accepts_and_ignores_is_found_out_and_tried_again() -> None:
    book = armed()
    book.device.ignores = True
    book.order(an_order(5e5)).settle()
    (told,) = book.outcomes()
    assert isinstance(told, Refused)
    assert told.reason == "704.WSet reads back 0, expected 500000"
    assert book.session.health(book.now).health is Health.REFUSING
    book.look()
    book.cycle(1.0)
    assert book.writes() == []
    book.device.ignores = False
    book.cycle(5.0)
    assert [name for name, _, _ in book.writes()] == ["CONFIGURE", "ENABLE"]
    assert [type(told) for told in book.outcomes()] == [Obeyed]
    assert book.session.health(book.now).health is Health.GOOD


@pytest.mark.parametrize("purpose", [Purpose.CONFIGURE, Purpose.ENABLE, Purpose.READBACK])
def test_an_exception_refuses_the_order_with_its_words(purpose: Purpose) -> None:
    book = free()
    book.device.refuses[purpose] = 6
    book.order(an_order(5e5)).settle()
    (told,) = book.outcomes()
    assert isinstance(told, Refused)
    assert told.reason.endswith("exception 6 (busy)")
    assert book.session.state is State.UNKNOWN


def test_a_release_that_is_not_taken_over_is_said_and_repeated() -> None:
    book = holding()
    book.device.ignores = True
    book.order(None).settle()
    assert "release was not taken over" in book.session.health(book.now).reason
    book.device.ignores = False
    book.look()
    book.cycle(5.0)
    assert book.writes() == [("RELEASE", ENABLE, (0,))]
    assert book.session.state is State.FREE


def test_a_device_whose_timer_does_not_run_is_released_and_not_armed_again() -> None:
    book = free()
    book.device.put("704.WSetRvrtRem", None)
    book.device._count_down = lambda now: None  # type: ignore[method-assign]
    book.order(an_order(5e5)).settle()
    assert [name for name, _, _ in book.writes()] == ["CONFIGURE", "ENABLE", "RELEASE"]
    (told,) = book.outcomes()
    assert isinstance(told, Refused)
    assert told.reason == "the reversion timer does not run"
    book.order(an_order(5e5, seq=2)).settle()
    assert book.writes() == []
    assert book.session.health(book.now).health is Health.REFUSING


def test_a_device_switched_to_local_is_not_written_to() -> None:
    book = Playbook()
    book.device.put("715.LocRemCtl", 1)
    book.connect().look()
    book.order(an_order(5e5)).settle()
    assert book.writes() == []
    assert [getattr(told, "reason", "") for told in book.outcomes()] == [
        "switched to local control at the device"
    ]


def test_a_device_without_an_absolute_setpoint_is_not_armed() -> None:
    book = Playbook()
    book.device.put("702.CtrlModes", 0b1)
    book.connect().look()
    book.order(an_order(5e5)).settle()
    assert book.writes() == []
    assert "lacks FIXED_W" in book.session.health(book.now).reason


# --- refreshing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "address", "registers"),
    [
        ({"704.WSetEna": 1}, ENABLE, (1,)),
        ({"704.WSet": "w"}, WSET, HALF_MW),
        ({"704.WSetRvrtTms": "timer_s"}, TIMER, (0, 30)),
    ],
)
def test_the_timer_is_refreshed_the_way_the_product_wants(
    line: dict[str, object], address: int, registers: tuple[int, ...]
) -> None:
    book = Playbook(battery_profile({"refresh": [line]})).connect().order(an_order(5e5)).settle()
    book.look()
    for _ in range(4):
        book.cycle()
    assert book.writes() == []
    book.cycle()
    assert book.writes() == [("REFRESH", address, registers)]


def test_a_cycle_is_one_read_and_one_heartbeat_and_every_five_seconds_the_rest() -> None:
    book = holding()
    book.device.put("701.W", 5e5)
    seconds = []
    for _ in range(10):
        book.cycle()
        seconds.append([name for name, _, _ in book.look()])
    plain, refreshing = ["FAST", "HEARTBEAT"], ["SLOW", "FAST", "REFRESH", "HEARTBEAT"]
    assert seconds.count(refreshing) == 2
    assert all(asked in (plain, refreshing, ["SLOW", *plain]) for asked in seconds)


def test_without_cycles_nothing_is_refreshed() -> None:
    book = holding()
    book.now += 60
    book.settle()
    assert book.look() == []


def test_a_countdown_that_stands_still_is_found_out() -> None:
    book = holding()
    book.device.counts_down = False
    for _ in range(6):
        book.cycle()
    assert "stands still: 30 s left, expected 25 s" in book.session.health(book.now).reason


def test_a_refresh_that_does_not_restart_the_timer_is_found_out() -> None:
    book = holding()
    for _ in range(10):
        book.device.restart_at = 1000.0
        book.cycle()
    assert "does not restart the reversion timer" in book.session.health(book.now).reason


def test_a_setpoint_that_has_gone_is_asserted_again() -> None:
    book = holding()
    book.device.put("704.WSetEna", 0)
    for _ in range(5):
        book.cycle()
    assert [name for name, _, _ in book.writes()][:2] == ["CONFIGURE", "ENABLE"]
    assert book.session.state is State.HOLDING


def test_the_heartbeat_counts_on_from_the_device_and_wraps_before_not_implemented() -> None:
    book = Playbook()
    book.device.put("715.ControllerHb", 0xFFFF_FFFD)
    book.connect().look()
    beats = []
    for _ in range(3):
        book.cycle()
        beats += [registers for name, _, registers in book.look() if name == "HEARTBEAT"]
    assert beats == [(0xFFFF, 0xFFFE), (0, 0), (0, 1)]


def test_what_was_read_before_a_write_is_not_held_against_it() -> None:
    book = Playbook(battery_profile(max_read=40)).connect().order(an_order(1e5)).settle()
    for _ in range(4):
        book.cycle()
    book.look()
    book.now += 1
    book.session.cycle(book.now)
    book.step()
    assert book.look() == [("SLOW", 40299, 13)], "the first of two reads"
    book.order(an_order(5e5, seq=2)).settle()
    assert [name for name, _, _ in book.writes()] == ["SETPOINT", "REFRESH"]
    assert book.session.state is State.HOLDING


def test_a_battery_that_turns_local_while_holding_is_released_at_the_next_order() -> None:
    book = holding()
    book.device.put("715.LocRemCtl", 1)
    for _ in range(5):
        book.cycle()
    book.look()
    book.order(an_order(4e5, seq=2)).settle()
    assert book.writes() == [("RELEASE", ENABLE, (0,))]
    assert [type(told) for told in book.outcomes()] == [Refused]


# --- losing the connection -----------------------------------------------------------------------------------


def test_an_unanswered_order_is_lost_and_asserted_first_after_the_reconnect() -> None:
    book = armed().order(an_order(5e5))
    book.unanswered()
    book.lose()
    (told,) = book.outcomes()
    assert isinstance(told, Lost)
    assert book.session.health(book.now).health is Health.LOST
    book.look()
    book.now += 1
    book.connect()
    assert [name for name, _, _ in book.look()] == ["CHECK", "CONFIGURE", "ENABLE", "READBACK"]
    assert [type(told) for told in book.outcomes()] == [Obeyed]


def test_after_the_deadline_the_reconnect_begins_with_the_release() -> None:
    book = armed().order(an_order(5e5, deadline_at=1010.0))
    book.unanswered()
    book.lose()
    book.look()
    book.now += 60
    book.connect()
    assert [name for name, _, _ in book.look()] == ["CHECK", "RELEASE", "READBACK"]
    assert [type(told) for told in book.outcomes()] == [Lost]


def test_a_held_order_is_asserted_again_and_not_told_twice() -> None:
    book = holding()
    book.lose()
    assert book.outcomes() == []
    book.connect()
    assert book.session.state is State.HOLDING
    assert book.outcomes() == []


def test_a_held_order_is_not_told_again_because_another_was_refused_beside_it() -> None:
    book = holding()
    book.order(an_order(6e5, seq=2, deadline_at=book.now - 1.0)).settle()
    assert [type(each) for each in book.outcomes()] == [Refused]
    book.lose()
    book.connect()
    assert book.device.get("704.WSetEna") == 1, "it is asserted again"
    assert [each for each in book.outcomes() if isinstance(each, Obeyed)] == []


def test_a_held_order_past_its_deadline_is_not_asserted_again() -> None:
    book = armed().order(an_order(5e5, deadline_at=1010.0)).settle()
    book.outcomes()
    book.look()
    book.now = 1020.0
    book.lose().connect()
    assert [name for name, _, _ in book.writes()] == ["RELEASE"]
    assert [type(told) for told in book.outcomes()] == [Refused]


def test_a_release_during_the_outage_is_the_first_write_after_it() -> None:
    book = holding()
    book.lose().order(None).connect()
    assert book.look()[:2] == [("CHECK", 40277, 2), ("RELEASE", ENABLE, (0,))]


def test_another_device_behind_the_same_address_is_not_taken_for_the_old_one() -> None:
    book = holding()
    book.lose()
    book.device.put("1.SN", "P2")
    book.connect()
    assert book.session.state is State.DOWN
    health = book.session.health(book.now)
    assert health.health is Health.IMPLAUSIBLE
    assert "another device" in health.reason


def test_a_scale_factor_that_has_changed_stops_the_device() -> None:
    book = holding()
    book.lose()
    other = Playbook().device
    other.image._exponents = {**other.image._exponents, "704.WSet_SF": 1}
    at = other.image.index(other.image.point("704.WSet_SF"))
    book.device.image.registers[at] = 1
    book.connect()
    assert book.session.health(book.now).health is Health.IMPLAUSIBLE


# --- readings ------------------------------------------------------------------------------------------------


def test_a_reading_has_the_fields_words_and_signs() -> None:
    book = holding(-5e5)
    book.device.put("701.W", -5e5)
    book.cycle()
    reading = book.session.reading
    assert reading is not None
    assert (reading.at, reading.discharge_w, reading.setpoint_w, reading.armed) == (1001.0, -5e5, -5e5, True)
    assert (reading.discharge_room_w, reading.charge_room_w) == (1e6, 8e5)
    assert reading.soc == pytest.approx(0.5)


def test_an_empty_battery_has_no_room_to_discharge() -> None:
    book = free()
    book.device.put("713.SoC", 10)
    book.cycle(6.0)
    assert book.session.reading is not None
    assert (book.session.reading.discharge_room_w, book.session.reading.charge_room_w) == (0.0, 8e5)


def with_802(soc_min: float | None, soc_max: float | None, soc: float) -> Playbook:
    book = Playbook()
    book.device = Paper((1, 701, 702, 704, 713, 715, 802))
    for key, value in (("802.SoCMin", soc_min), ("802.SoCMax", soc_max), ("713.SoC", soc)):
        book.device.put(key, value)
    book.connect()
    book.cycle(6.0)
    return book


def test_the_devices_own_window_of_charge_counts_where_it_is_narrower() -> None:
    """Settings allow 10 % to 95 %."""
    for soc_min, soc_max, soc, room in (
        (20.0, 90.0, 20.0, (0.0, 8e5)),
        (20.0, 90.0, 90.0, (1e6, 0.0)),
        (5.0, 100.0, 15.0, (1e6, 8e5)),
        (None, None, 15.0, (1e6, 8e5)),
    ):
        reading = with_802(soc_min, soc_max, soc).session.reading
        assert reading is not None
        assert (reading.discharge_room_w, reading.charge_room_w) == room
        assert reading.soc_min == max(0.1, (soc_min or 0.0) / 100)
        energy = battery_room(BATTERY, reading, 1.0).energy_down_wh
        assert energy == pytest.approx(
            (reading.soc - reading.soc_min) * BATTERY.energy_wh * BATTERY.efficiency
        )


def test_a_window_of_charge_that_makes_no_sense_stops_the_device() -> None:
    assert "802.SoCMin" in with_802(120.0, 90.0, 50.0).session.health(1001.0).reason


@pytest.mark.parametrize(
    ("key", "value"), [("701.W", None), ("701.W", 1.3e6), ("713.SoC", None), ("713.SoC", 101)]
)
def test_nonsense_is_implausible_and_the_last_good_reading_stands(key: str, value: float | None) -> None:
    book = free().cycle()
    before = book.session.reading
    book.device.put(key, value)
    book.cycle(6.0)
    assert book.session.health(book.now).health is Health.IMPLAUSIBLE
    if key == "701.W":
        assert book.session.reading == before
    book.device.put(key, 0 if key == "701.W" else 50)
    book.cycle(6.0)
    assert book.session.health(book.now).health is Health.GOOD


def test_a_reading_grows_stale() -> None:
    book = free().cycle()
    assert book.session.health(book.now + 2).health is Health.GOOD
    assert book.session.health(book.now + 3).health is Health.STALE


def test_a_register_without_power_behind_it_is_found_out() -> None:
    book = holding()
    for _ in range(12):
        book.cycle()
    health = book.session.health(book.now)
    assert health.health is Health.REFUSING
    assert health.reason == "confirmed 500000 W but delivers 0 W"


def test_an_inverter_that_is_off_is_said() -> None:
    book = free()
    book.device.put("701.St", 0)
    book.cycle()
    assert book.session.health(book.now).reason == "the inverter is off"


def test_a_frozen_state_of_charge_is_found_out_and_the_integrated_one_trusted() -> None:
    judge = SocJudge(BATTERY)
    judge.report(0.5, 0.0)
    for second in range(0, 361, 10):
        judge.flow(float(second), 1e6)
        judge.report(0.5, float(second))
    assert judge.frozen
    assert judge.trusted() == pytest.approx(0.5 - 1e5 / 0.95 / 2e6)
    judge.report(0.44, 361.0)
    assert not judge.frozen
    assert judge.trusted() == 0.44


def test_after_a_jump_of_the_state_of_charge_the_smaller_one_counts_for_a_minute() -> None:
    judge = SocJudge(BATTERY)
    for second in (0.0, 1.0, 2.0):
        judge.flow(second, 0.0)
        judge.report(0.5, second)
    judge.report(0.9, 3.0)
    assert (judge.jumped, judge.trusted()) == (pytest.approx(0.4), 0.5)
    judge.report(0.901, 62.0)
    assert judge.trusted() == 0.5
    judge.report(0.902, 63.0)
    assert (judge.jumped, judge.trusted()) == (0.0, 0.902)


def test_a_state_of_charge_after_a_long_silence_has_not_jumped() -> None:
    judge = SocJudge(BATTERY)
    judge.flow(0.0, 1e6)
    judge.report(0.5, 0.0)
    judge.flow(3600.0, 0.0)
    judge.report(0.2, 3600.0)
    assert (judge.jumped, judge.trusted()) == (0.0, 0.2)


def test_a_slow_ramp_is_following_and_standing_still_is_not() -> None:
    judge = FollowJudge(settle_s=10, tolerance_w=1e5)
    assert not any(judge.strays(float(t), 2e4 * t, 1e6) for t in range(46))
    assert [judge.strays(float(t), 0.0, 1e6) for t in (100, 105, 111)] == [False, False, True]


# --- meter ---------------------------------------------------------------------------------------------------


def test_a_meter_that_never_answered_is_lost_and_a_refusal_is_said() -> None:
    chosen = profile("sunspec-meter")
    meter = MeterSession(DeviceId("m"), chosen, tables_of(chosen), bound_w=1e7, heartbeat_s=1.0)
    assert meter.health(0.0).health is Health.LOST
    meter.connected(0.0)
    assert meter.next(0.0) is not None
    meter.refused(2, 0.0)
    meter.lost(Unreachable("gone"), 1.0)
    assert (meter.health(1.0).health, meter.health(1.0).reason) == (Health.LOST, "gone")
    assert meter.next(1.0) is None


# --- whatever happens ----------------------------------------------------------------------------------------

ACT = st.one_of(
    st.tuples(st.just("order"), st.integers(-1_000_000, 1_200_000), st.floats(-1, 8)),
    st.tuples(st.just("release"), st.just(0), st.just(0.0)),
    st.tuples(st.just("arm"), st.just(0), st.just(0.0)),
    st.tuples(st.just("cycle"), st.just(0), st.floats(0.1, 8)),
    st.tuples(st.just("step"), st.integers(1, 4), st.floats(0, 2)),
    st.tuples(st.just("lose"), st.just(0), st.floats(0, 8)),
    st.tuples(st.just("ignore"), st.integers(0, 1), st.just(0.0)),
    st.tuples(st.just("refuse"), st.sampled_from(list(Purpose)), st.just(0.0)),
    st.tuples(st.just("heal"), st.just(0), st.just(0.0)),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(ACT, max_size=30))
def test_whatever_happens_no_write_is_outside_the_nameplate_or_late(
    acts: list[tuple[str, int, float]],
) -> None:
    book = Playbook().connect()
    orders = {}
    for seq, (act, number, seconds) in enumerate(acts):
        match act:
            case "order":
                order = an_order(number, seq=seq, deadline_at=book.now + seconds)
                orders[number] = max(order.deadline_at, orders.get(number, 0.0))
                book.order(order)
            case "release":
                book.order(None)
            case "arm":
                book.session.arm()
            case "cycle":
                book.now += seconds
                book.session.cycle(book.now)
            case "step":
                for _ in range(number):
                    book.now += seconds
                    check(book, orders)
            case "lose":
                book.lose()
                book.now += seconds
                book.session.connected(book.now)
            case "ignore":
                book.device.ignores = bool(number)
            case "refuse":
                book.device.refuses[Purpose(number)] = 4
            case "heal":
                book.device.refuses.clear()
        if book.session.state is State.DOWN:
            book.session.connected(book.now)
        for _ in range(100):
            if not check(book, orders):
                break
    told = book.outcomes()
    assert len({(type(each), each.seq, each.at) for each in told}) == len(told), (
        "nothing is told twice at once"
    )
    # healed and left in peace, it comes to rest where it is wanted
    book.device.refuses.clear()
    book.device.ignores = False
    book.order(None)
    if book.session.state is State.DOWN:
        book.session.connected(book.now)
    book.settle().cycle(6.0).cycle(6.0)
    assert book.session.state is State.FREE
    assert book.device.get("704.WSetEna") == 0


def check(book: Playbook, orders: dict[int, float]) -> bool:
    """One step; no setpoint outside the nameplate, and none after the last deadline of its value."""
    if book.session.state is State.DOWN:
        return False
    held = book.session.state in (State.ARMED, State.HOLDING)
    request = book.step()
    if isinstance(request, Write) and request.purpose in (Purpose.CONFIGURE, Purpose.SETPOINT):
        words = request.registers[1:3] if request.purpose is Purpose.CONFIGURE else request.registers
        w = (words[0] << 16 | words[1]) - (1 << 32 if words[0] & 0x8000 else 0)
        assert -8e5 <= w <= 1e6
        if w != 0 or not held:
            assert w == 0 or book.now <= orders[w], "written after its deadline"
    return request is not None
