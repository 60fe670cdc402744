"""Events of a VTN over mutual TLS with signed messages: registration, opt, delivery at the meters, reports, and back.

Offsets in the names are seconds; the VEN polls every 5 s, so a change is heard within 6 s.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.house.day import assert_event_met, assert_met, assert_quiet, play
from tests.house.house import POLL_S, House
from tests.house.world import SITES
from vpp_gateway.northbound.openadr2.messages import CreatePartyRegistration
from vpp_gateway.sim.vtn import Vtn, dispatch

HEARD_S = POLL_S + 1.0
RELEASED_S = 3.0
GAP_S = 65.0
"""Between two events, so that the baseline window holds undisturbed load alone."""
REPORT = (10.0, 30.0)


def opts(vtn: Vtn, event: str) -> list[tuple[int, str]]:
    return [(heard.response.modification, heard.response.opt) for heard in vtn.opts.get(event, [])]


def reported(vtn: Vtn, r_id: str = "portfolio") -> list[float]:
    return [heard.point.start_at for heard in vtn.points if heard.point.r_id == r_id]


def assert_no_gap(starts: list[float], granularity_s: float, at_least: int) -> None:
    """Each point once, in order, none missing."""
    assert len(starts) >= at_least
    assert starts == [starts[0] + granularity_s * index for index in range(len(starts))]


def test_down_is_met_modified_in_mid_event_and_too_much_is_refused(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        vtn = house.vtn
        assert house.link("tso").state == "registered" and vtn.registration_id is not None
        down = house.event("007", after_s=30, duration_s=120, regulation_w=120_000)
        vtn.add_event(down)
        vtn.add_event(house.event("too-much", after_s=40, duration_s=120, regulation_w=5_000_000))
        await house.run_for(HEARD_S)
        assert opts(vtn, "007") == [(0, "optIn")]
        assert opts(vtn, "too-much") == [(0, "optOut")]
        # The other one rules until 10 s before its end.
        assert "asked 5000.0 kW down for 10 s, only" in vtn.opts["too-much"][0].response.description
        assert house.view("too-much").state == "refused"

        await house.until(down.start_at + 60)
        assert_met(house, down.start_at, down.start_at + 60, 120_000)
        less = replace(down.signals[0].intervals[0], value=-60_000.0)
        vtn.modify("007", signals=(replace(down.signals[0], intervals=(less,)),))
        await house.until(down.start_at + 120 + RELEASED_S)
        assert opts(vtn, "007") == [(0, "optIn"), (1, "optIn")]
        assert_met(house, down.start_at + 60 + HEARD_S, down.start_at + 120, 60_000)
        await house.run_for(10)
        assert_quiet(house, down.start_at + 120 + RELEASED_S, house.clock.utc())
        record = house.record("007")
        assert (record.state, record.target_regulation_w) == ("completed", 60_000)
        assert record.samples_within >= 0.95 * record.samples

    play(tmp_path, scene, vtn=True)


def test_up_level_and_setpoint_events(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        vtn = house.vtn
        up = house.event("up", after_s=20, duration_s=60, regulation_w=-90_000)
        at = up.start_at + 60 + GAP_S
        level = dispatch(
            "level", start_at=at, duration_s=60, value=1.0, name="SIMPLE", type="level", unit=None
        )
        setpoint = dispatch(
            "setpoint", start_at=at + 60 + GAP_S, duration_s=60, value=1_100_000.0, type="setpoint"
        )
        for event in (up, level, setpoint):
            vtn.add_event(event)
        await house.until(setpoint.start_at + 60 + RELEASED_S)
        for event in (up, level, setpoint):
            assert opts(vtn, event.event_id) == [(0, "optIn")]
        assert_event_met(house, up, -90_000)
        assert_quiet(house, up.start_at + 60 + RELEASED_S, level.start_at)
        assert_event_met(house, level, 0.25 * len(SITES) * 100_000)
        assert_event_met(house, setpoint, 100_000)

    play(tmp_path, scene, vtn=True)


@pytest.mark.parametrize("how", ["cancel", "drop, another stays", "drop, list is empty"])
def test_a_cancelled_event_is_released_at_once(tmp_path: Path, how: str) -> None:
    async def scene(house: House) -> None:
        vtn = house.vtn
        event = house.event("E", after_s=15, duration_s=300, regulation_w=90_000)
        vtn.add_event(event)
        if how == "drop, another stays":
            vtn.add_event(house.event("later", after_s=3000, duration_s=60, regulation_w=10_000))
        await house.until(event.start_at + 30)
        assert_met(house, event.start_at, event.start_at + 30, 90_000)
        if how == "cancel":
            vtn.cancel("E")
        else:
            vtn.drop("E")
        await house.run_for(HEARD_S)
        gone = house.clock.utc() + RELEASED_S
        await house.run_for(30)
        assert_quiet(house, gone, house.clock.utc())
        record = house.record("E")
        assert record.state == "cancelled"
        assert record.stopwatch.ended_at is not None and record.stopwatch.ended_at <= gone
        assert opts(vtn, "E") == [(0, "optIn"), (1, "optIn")][: 2 if how == "cancel" else 1]
        assert ("later" in vtn.opts) is (how == "drop, another stays")

    play(tmp_path, scene, vtn=True)


def test_vtn_down_at_start_then_up(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        assert house.utility is not None
        link = house.link("tso")
        assert (link.state, link.health) == ("lost", "bad")
        assert "oadrQueryRegistration" in link.detail and "next try at" in link.detail
        assert house.alarms("room")
        await house.utility.listen()
        await house.run_for(65)  # the longest back-off
        assert house.link("tso").state == "registered" and not house.alarms("room")
        event = house.event("E", after_s=15, duration_s=60, regulation_w=90_000)
        house.vtn.add_event(event)
        await house.until(event.start_at + 60)
        assert_event_met(house, event, 90_000)

    play(tmp_path, scene, vtn=True, listening=False)


def test_ten_minutes_of_silence_in_mid_event(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        vtn, utility = house.vtn, house.utility
        assert utility is not None
        event = house.event("E", after_s=15, duration_s=720, regulation_w=120_000)
        vtn.add_event(event)
        await house.until(event.start_at + 60)
        before = len(reported(vtn))
        await utility.silence()
        await house.run_for(600)
        assert len(reported(vtn)) == before
        assert house.link("tso").state == "lost" and house.alarms("room")
        assert house.view("E").state == "active"
        await utility.listen()
        await house.until(event.start_at + 720 + 60)
        assert_event_met(house, event, 120_000)
        record = house.record("E")
        assert record.state == "completed" and record.samples_within == record.samples
        assert house.link("tso").state == "registered"
        assert vtn.registration_id is not None and len(vtn.said(CreatePartyRegistration)) == 1
        for r_id in ("portfolio", *SITES):
            assert_no_gap(reported(vtn, r_id), 10.0, at_least=80)

    play(tmp_path, scene, vtn=True, order=REPORT)


def test_the_centre_restarts_in_mid_event(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        vtn = house.vtn
        event = house.event("E", after_s=15, duration_s=180, regulation_w=120_000)
        vtn.add_event(event)
        await house.until(event.start_at + 60)
        registration, epoch = vtn.registration_id, house.engine.gateway.epoch
        await house.crash_centre()
        await house.run_for(8)
        await house.start_centre()
        assert house.engine.gateway.epoch == epoch + 1
        await house.until(event.start_at + 180 + 45)
        assert vtn.registration_id == registration
        assert len(vtn.said(CreatePartyRegistration)) == 1, "registered once in both lives"
        kinds = [entry.kind for entry in house.engine.journal.entries()]
        assert kinds.count("openadr2.Registered") == 1 and kinds.count("Started") == 2
        assert {opt for _, opt in opts(vtn, "E")} == {"optIn"}
        assert_event_met(house, event, 120_000)
        assert_quiet(house, event.start_at + 180 + RELEASED_S, house.clock.utc())
        record = house.record("E")
        assert record.state == "completed"
        assert record.stopwatch.started_at == event.start_at
        assert record.samples >= 155, "only the seconds without a centre are missing"
        assert record.samples_within + record.samples_assumed == record.samples
        assert record.samples_assumed <= 3, "until the new centre has heard every site"
        starts = reported(vtn)
        assert starts == sorted(set(starts)), "in order, each once"
        assert starts[-1] >= event.start_at + 180

    play(tmp_path, scene, vtn=True, work=True, order=REPORT)


def test_a_cancelled_event_runs_on_until_its_randomised_end(tmp_path: Path) -> None:
    """Rule 65: with startafter 30 s the end after a cancellation is a draw of 0 to 30 s, not the same second for all."""

    async def scene(house: House) -> None:
        vtn = house.vtn
        down = replace(
            house.event("007", after_s=20, duration_s=600, regulation_w=120_000), startafter_s=30.0
        )
        vtn.add_event(down)
        await house.until(down.start_at + 60)
        vtn.cancel("007")
        await house.run_for(HEARD_S)
        assert opts(vtn, "007") == [(0, "optIn"), (1, "optIn")]
        assert "ends by draw" in house.link("tso").detail
        assert house.link("tso").detail_ja.startswith("イベント")
        await house.until(down.start_at + 60 + HEARD_S + 30 + RELEASED_S)
        view = house.view("007")
        ended_at = view.stages.ended_at
        assert view.state == "cancelled" and ended_at is not None
        assert down.start_at + 60 + 2 < ended_at < down.start_at + 60 + HEARD_S + 30
        assert_met(house, down.start_at + 35, ended_at - 0.5, 120_000)
        await house.run_for(15)
        assert_quiet(house, ended_at + RELEASED_S, ended_at + RELEASED_S + 10)

    play(tmp_path, scene, vtn=True)
