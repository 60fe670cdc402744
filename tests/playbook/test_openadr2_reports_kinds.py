"""Reports of every kind and period by playbook: status, history, Green Button, further quantities, several at once."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from tests.playbook.test_openadr2_reports import order, reporting, starts
from tests.playbook.ven_stage import START, Stage, program, registered
from vpp_gateway.northbound.openadr2.facts import ReportClosed, ReportsRegistered
from vpp_gateway.northbound.openadr2.messages import Poll
from vpp_gateway.northbound.openadr2.report_words import (
    CreatedReport,
    CreateReport,
    RegisteredReport,
    RegisterReport,
    ReportRequest,
    UpdatedReport,
    UpdateReport,
    Wanted,
)
from vpp_gateway.northbound.openadr2.session import VenSession

HOUR = 3600.0


def reports_of(**changes: Any) -> Any:
    """The generic program's reports section, changed."""
    return program().reports.model_copy(update=changes).model_dump()  # type: ignore[union-attr]


def ordered(stage: Stage, *requests: ReportRequest) -> Stage:
    """The VTN orders these with the next poll."""
    for request in requests:
        stage.vtn.orders[request.request_id] = request
    stage.vtn.queue(CreateReport(request_id="q", requests=requests, ven_id="VEN-1"))
    stage.run(11)
    return stage


def points(stage: Stage, request_id: str = "R1") -> list[Any]:
    return [
        point
        for update in stage.sent(UpdateReport)
        for report in update.reports
        if report.request_id == request_id
        for point in report.points
    ]


# -- periods ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("granularity_s", [1.0, 7.0, 25.0, 90.0, 5400.0])
def test_any_period_is_kept_to_the_second(granularity_s: float) -> None:
    stage = reporting(granularity_s=granularity_s, back_duration_s=granularity_s)
    stage.run(4 * granularity_s + 30)
    found = starts(stage)
    assert len(found) >= 4 and found[0] == 0.0
    assert {b - a for a, b in pairwise(found)} == {granularity_s}


@pytest.mark.parametrize(("granularity_s", "back_s"), [(7.0, 25.0), (10.0, 3.0), (60.0, 90.0)])
def test_back_duration_and_granularity_need_not_fit(granularity_s: float, back_s: float) -> None:
    stage = reporting(granularity_s=granularity_s, back_duration_s=back_s)
    stage.run(500)
    found = starts(stage)
    assert (
        found == [granularity_s * index for index in range(len(found))]
        and len(found) >= 500 / granularity_s - 3
    )


def test_an_order_that_starts_later_waits() -> None:
    stage = ordered(registered(), order(start_at=START + 600, duration_s=60.0))
    stage.run(500)
    assert points(stage) == []
    stage.run(400)
    assert [point.start_at - START for point in points(stage)] == [600 + 10 * n for n in range(6)]
    assert [fact.cause for fact in stage.facts_of(ReportClosed)] == ["completed"]


def test_an_order_that_began_in_the_past_is_caught_up() -> None:
    stage = registered()
    stage.run(600)
    ordered(stage, order(start_at=START + 60, duration_s=0.0))
    stage.run(120)
    found = [point.start_at - START for point in points(stage)]
    assert found == [60 + 10 * n for n in range(len(found))] and found[-1] > 650


def test_an_order_that_ends_before_its_first_interval_sends_nothing_and_ends() -> None:
    stage = ordered(registered(), order(start_at=START + 100, duration_s=5.0, granularity_s=10.0))
    stage.run(300)
    assert points(stage) == []
    assert [fact.cause for fact in stage.facts_of(ReportClosed)] == ["completed"]


# -- several at once --------------------------------------------------------------------------------------------


def test_several_orders_keep_their_own_data_points() -> None:
    tokyo = order(request_id="0042", wanted=(Wanted(r_id="tokyo"),), granularity_s=5.0, back_duration_s=5.0)
    rest = order(request_id="1.2", wanted=(Wanted(r_id="chubu"), Wanted(r_id="kansai")))
    stage = ordered(registered(), tokyo, rest)
    stage.run(200)
    assert stage.sent(CreatedReport)[0].pending == ("0042", "1.2")
    assert {point.r_id for point in points(stage, "0042")} == {"tokyo"}
    assert {point.r_id for point in points(stage, "1.2")} == {"chubu", "kansai"}
    for id, r_id, step in (("0042", "tokyo", 5.0), ("1.2", "kansai", 10.0)):
        found = [point.start_at for point in points(stage, id) if point.r_id == r_id]
        assert {b - a for a, b in pairwise(found)} == {step}


def test_the_same_id_ordered_again_replaces() -> None:
    stage = ordered(registered(), order())
    stage.run(100)
    ordered(stage, order(granularity_s=30.0, back_duration_s=30.0))
    before = len(points(stage))
    stage.run(300)
    found = [point.start_at for point in points(stage)][before:]
    assert {b - a for a, b in pairwise(found)} == {30.0}
    assert len(stage.session.desk.state.duties) == 1


# -- status -----------------------------------------------------------------------------------------------------


def test_status_tells_what_is_known_of_each_resource() -> None:
    stage = Stage()
    stage.meter.online = lambda site, at: site != "chubu"
    wanted = (Wanted(r_id="tokyo"), Wanted(r_id="chubu"))
    ordered(registered(stage), order(specifier_id="status", wanted=wanted))
    stage.run(100)
    (update, *_) = stage.sent(UpdateReport)
    assert update.reports[0].name == "TELEMETRY_STATUS"
    said = {point.r_id: point.status for point in points(stage)}
    assert said["tokyo"].online and not said["tokyo"].manual_override
    assert said["tokyo"].percent_offset.current == -10.0
    assert not said["chubu"].online


# -- history ----------------------------------------------------------------------------------------------------


def past(**changes: Any) -> ReportRequest:
    given = {"specifier_id": "history", "granularity_s": 60.0, "back_duration_s": 0.0}
    return order(**{**given, **changes})


def test_history_is_served_at_once_for_the_interval_asked() -> None:
    stage = ordered(registered(), past(start_at=START - 7200, duration_s=3600.0))
    found = [point.start_at - START for point in points(stage)]
    assert found == [-7200 + 60 * n for n in range(60)]
    assert stage.sent(UpdateReport)[0].reports[0].name == "HISTORY_USAGE"
    assert [fact.cause for fact in stage.facts_of(ReportClosed)] == ["completed"]


def test_long_history_comes_in_pieces_in_order() -> None:
    stage = ordered(registered(), past(start_at=START - 86400, duration_s=86400.0))
    stage.run(120)
    found = [point.start_at - START for point in points(stage)]
    assert found == [-86400 + 60 * n for n in range(1440)]
    assert len(stage.sent(UpdateReport)) > 1
    assert len(stage.sent(Poll)) >= 10  # polls have their turn meanwhile


def test_history_without_an_interval_is_that_of_the_back_duration() -> None:
    stage = ordered(registered(), past(back_duration_s=600.0))
    assert len(points(stage)) == 10


def test_history_of_the_future_is_refused() -> None:
    stage = ordered(registered(), past(start_at=START + 86400, duration_s=3600.0))
    assert stage.sent(CreatedReport)[0].response.code == "461"
    assert points(stage) == []


def test_green_button_is_energy_in_a_feed() -> None:
    stage = registered()
    stage.meter.import_w = lambda site, at: 3600.0
    ordered(
        stage, past(specifier_id="greenbutton", start_at=START - 7200, duration_s=3600.0, granularity_s=900.0)
    )
    (report,) = stage.sent(UpdateReport)[0].reports
    assert report.name == "HISTORY_GREENBUTTON" and report.points == () and report.feed is not None
    (usage,) = report.feed.usages
    assert usage.r_id == "portfolio" and usage.interval_s == 900.0
    assert [(r.start_at - START, r.value_wh) for r in usage.readings] == [
        (-7200 + 900 * n, 900) for n in range(4)
    ]


# -- further data points ----------------------------------------------------------------------------------------


def test_further_quantities_are_offered_and_reported_with_their_units() -> None:
    stage = Stage(program=program(reports=reports_of(quantities=("storedEnergy", "baseline"), confidence=95)))
    stage.meter.values = {"storedEnergy": 1.5e6}
    registered(stage)
    offered = {row.r_id: row for row in stage.sent(RegisterReport)[0].reports[0].descriptions}
    assert offered["tokyo/storedEnergy"].unit.units == "Wh"  # type: ignore[union-attr]
    assert offered["portfolio/baseline"].report_type == "baseline"
    wanted = (Wanted(r_id="tokyo/storedEnergy"), Wanted(r_id="tokyo/baseline"), Wanted(r_id="tokyo"))
    ordered(stage, order(wanted=wanted))
    stage.run(100)
    found = {point.r_id: point for point in points(stage)}
    assert found["tokyo/storedEnergy"].value == 1.5e6 and found["tokyo/storedEnergy"].confidence == 95
    assert "tokyo/baseline" not in found  # not known: left out, not invented


def test_usage_as_energy_where_the_program_reads_it_so() -> None:
    stage = Stage(program=program(reports=reports_of(usage_unit="Wh")))
    stage.meter.import_w = lambda site, at: 7200.0
    ordered(registered(stage), order(granularity_s=60.0, back_duration_s=60.0))
    stage.run(200)
    assert {point.value for point in points(stage)} == {120.0}


# -- METADATA ---------------------------------------------------------------------------------------------------


def test_what_is_offered_anew_is_told_again_after_a_restart() -> None:
    stage = registered()
    assert len(stage.sent(RegisterReport)) == 1
    stage.restart()
    stage.run(60)
    assert len(stage.sent(RegisterReport)) == 1  # nothing has changed
    stage.program = program(reports=reports_of(quantities=("baseline",)))
    stage.restart()
    stage.run(60)
    assert len(stage.sent(RegisterReport)) == 2
    assert stage.sent(RegisterReport)[1].reports[0].request_id == "0"  # rule 311
    assert len(stage.facts_of(ReportsRegistered)) == 2


def test_metadata_name_the_request_that_asked_for_them() -> None:
    stage = ordered(registered(), replace(order(specifier_id="METADATA"), request_id="M-7"))
    stage.run(11)
    message = stage.sent(RegisterReport)[1]
    assert message.report_request_id == "M-7"
    assert {report.request_id for report in message.reports} == {"M-7"}


# -- the VTN as reporter ----------------------------------------------------------------------------------------


def test_reports_of_the_vtn_are_answered() -> None:
    stage = registered()
    stage.vtn.queue(RegisterReport(request_id="v1", ven_id="VEN-1"))
    stage.vtn.queue(UpdateReport(request_id="v2", reports=(), ven_id="VEN-1"))
    stage.run(40)
    assert stage.sent(RegisteredReport)[0].response.request_id == "v1"
    answer = stage.sent(UpdatedReport)[0].response
    assert (answer.request_id, answer.code) == ("v2", "452")


def test_a_long_outage_is_caught_up_in_order_without_starving_the_polls() -> None:
    stage = reporting(granularity_s=60.0, back_duration_s=60.0)
    stage.run(120)
    stage.down = "unreachable"
    stage.run(73 * HOUR)
    stage.down = ""
    polls = len(stage.sent(Poll))
    stage.run(600)
    found = starts(stage)
    assert found == [60.0 * index for index in range(len(found))]
    assert found[-1] >= 73 * HOUR - 60
    assert len(stage.sent(Poll)) - polls >= 30
    assert isinstance(stage.session, VenSession)
