"""Telemetry reports by playbook: what is offered, ordered, sent, sent again and cancelled."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from tests.playbook.ven_stage import START, Stage, program, registered
from vpp_gateway.clock import SeededRng
from vpp_gateway.northbound.openadr2.facts import ReportClosed, ReportSent, ReportsRegistered
from vpp_gateway.northbound.openadr2.messages import Poll, Response
from vpp_gateway.northbound.openadr2.report_words import (
    CanceledReport,
    CancelReport,
    CreatedReport,
    CreateReport,
    EiResponse,
    RegisteredReport,
    RegisterReport,
    ReportRequest,
    Unit,
    UpdateReport,
    Wanted,
)
from vpp_gateway.sim.vtn import Vtn

ALL = ("portfolio", "tokyo", "chubu", "kansai")


def reporting(granularity_s: float = 10.0, back_duration_s: float = 60.0, **changes: object) -> Stage:
    """A registered VEN whose VTN ordered a report of everything with the METADATA."""
    vtn = Vtn(rng=SeededRng("vtn"), order=(granularity_s, back_duration_s))
    stage = Stage(vtn=vtn, program=program(**changes))
    stage.meter.import_w = lambda site, at: at - START + (0.0 if site is None else 0.5)
    return registered(stage)


def starts(stage: Stage, r_id: str = "portfolio") -> list[float]:
    """Starts of the points the VTN got, relative to the beginning."""
    return [(heard.point.start_at or 0.0) - START for heard in stage.vtn.points if heard.point.r_id == r_id]


def test_metadata_say_what_can_be_measured() -> None:
    stage = registered()
    (message,) = stage.sent(RegisterReport)
    report = message.reports[0]
    assert [one.name for one in message.reports] == [
        "METADATA_TELEMETRY_USAGE",
        "METADATA_TELEMETRY_STATUS",
        "METADATA_HISTORY_USAGE",
        "METADATA_HISTORY_GREENBUTTON",
    ]
    assert (report.name, report.request_id, report.specifier_id) == ("METADATA_TELEMETRY_USAGE", "0", "usage")
    assert tuple(description.r_id for description in report.descriptions) == ALL
    portfolio, site = report.descriptions[:2]
    assert portfolio.resource_id is None and site.resource_id == "tokyo"
    assert site.unit == Unit(name="powerReal", units="W", scale="none", hertz=50.0, voltage=6600.0, ac=True)
    assert (site.report_type, site.reading_type, site.min_period_s) == ("usage", "Direct Read", 1.0)


def test_order_is_confirmed_and_points_come_once_with_their_own_times() -> None:
    stage = reporting()
    stage.run(300)
    assert stage.sent(CreatedReport)[0].response.ok
    assert stage.sent(CreatedReport)[0].pending == tuple(stage.vtn.orders)
    for r_id in ALL:
        found = starts(stage, r_id)
        assert found == [10.0 * index for index in range(len(found))] and len(found) == 30
    assert (
        Counter((heard.point.r_id, heard.point.start_at) for heard in stage.vtn.points).most_common(1)[0][1]
        == 1
    )
    first = stage.vtn.points[0].point
    assert (first.value, first.duration_s) == (4.5, 10.0)  # mean of the seconds 0..9
    assert [len(update.reports[0].points) for update in stage.sent(UpdateReport)] == [24] * 5


def test_reports_leave_when_they_are_due() -> None:
    stage = reporting()
    stage.run(200)
    times = [at - START for at, post in stage.posts if isinstance(post.message, UpdateReport)]
    assert times == [60.5, 120.5, 180.5]  # back duration, and half a second for the last reading


def test_back_duration_need_not_be_a_multiple_of_granularity() -> None:
    stage = reporting(granularity_s=7.0, back_duration_s=25.0)
    stage.run(200)
    found = starts(stage)
    assert found == [7.0 * index for index in range(len(found))]
    counts = [len(update.reports[0].points) // 4 for update in stage.sent(UpdateReport)]
    assert counts == [3, 4, 3, 4, 3, 4, 4, 3]  # whole intervals that ended by 25, 50, 75 ... 200 s


def test_granularity_zero_and_back_duration_zero_are_one_shot() -> None:
    stage = reporting(granularity_s=0.0, back_duration_s=0.0)
    stage.run(60)
    assert starts(stage) == [-1.0]
    assert [fact.cause for fact in stage.facts_of(ReportClosed)] == ["completed"]


def test_nothing_is_lost_in_an_outage_and_it_comes_in_order() -> None:
    stage = reporting()
    stage.run(130)
    stage.down = "timeout"
    stage.run(1000)
    before = len(starts(stage))
    stage.down = ""
    stage.run(120)
    found = starts(stage)
    assert found == [10.0 * index for index in range(len(found))]
    assert len(found) > before + 100
    assert max(len(update.reports[0].points) for update in stage.sent(UpdateReport)) <= 900


def test_a_report_whose_answer_was_lost_is_sent_again_unchanged() -> None:
    stage = reporting()
    stage.run(59)
    stage.down = "timeout"
    stage.run(10)
    stage.down = ""
    stage.run(20)
    lost, *_, taken = stage.sent(UpdateReport)
    assert lost == taken  # the VTN can tell a repetition by its ids


def test_old_intervals_are_given_up_after_the_configured_time() -> None:
    stage = reporting(reports={"backfill_max_s": 300.0})
    stage.run(61)
    stage.down = "unreachable"
    stage.run(1200)
    stage.down = ""
    stage.run(120)
    found = starts(stage)
    assert found[:6] == [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]
    assert any("older than 300 s" in fact.note for fact in stage.facts_of(ReportSent))
    gap = [after - before for before, after in pairwise(found) if after - before > 10.0]
    assert len(gap) == 1 and 600.0 < gap[0] < 1200.0


def test_an_interval_without_readings_is_left_out_not_invented() -> None:
    stage = reporting()
    stage.meter.missing = set(range(int(START) + 20, int(START) + 40))
    stage.run(70)
    assert starts(stage) == [0.0, 10.0, 40.0, 50.0]


def test_restart_goes_on_where_the_last_report_ended() -> None:
    stage = reporting()
    stage.run(130)
    stage.restart()
    stage.run(130)
    found = starts(stage)
    assert found == [10.0 * index for index in range(len(found))] and len(found) == 24


@pytest.mark.parametrize("piggyback", [False, True])
def test_cancellation_by_poll_or_inside_an_updated_report(piggyback: bool) -> None:
    stage = reporting()
    stage.run(70)
    (order,) = stage.vtn.orders
    stage.vtn.cancel_report(order, piggyback=piggyback)
    stage.vtn.orders[order] = None  # type: ignore[assignment]  # the report under way is still taken
    stage.run(70)
    assert stage.sent(CanceledReport)[0].response.ok
    assert stage.sent(CanceledReport)[0].pending == ()
    assert [fact.cause for fact in stage.facts_of(ReportClosed)] == ["cancelled"]
    count = len(stage.vtn.points)
    stage.run(600)
    assert len(stage.vtn.points) == count


def test_cancellation_with_a_last_report() -> None:
    stage = reporting(back_duration_s=3600.0)
    stage.run(100)
    (order,) = stage.vtn.orders
    kept = stage.vtn.orders[order]
    stage.vtn.cancel_report(order, follow=True)
    stage.vtn.orders[order] = kept
    stage.run(60)
    found = starts(stage)
    assert found and found == [10.0 * index for index in range(len(found))]
    assert [fact.cause for fact in stage.facts_of(ReportClosed)] == ["completed"]


def test_a_report_with_an_end_ends() -> None:
    stage = registered()
    request = ReportRequest(
        request_id="R1",
        specifier_id="usage",
        granularity_s=10.0,
        back_duration_s=20.0,
        start_at=START + 60,
        duration_s=50.0,
        wanted=(Wanted(r_id="tokyo"),),
    )
    stage.vtn.orders["R1"] = request
    stage.vtn.queue(CreateReport(request_id="r", requests=(request,), ven_id="VEN-1"))
    stage.run(300)
    assert starts(stage, "tokyo") == [60.0, 70.0, 80.0, 90.0, 100.0]
    assert [fact.cause for fact in stage.facts_of(ReportClosed)] == ["completed"]


def test_several_orders_keep_their_own_data_points() -> None:
    stage = registered()
    one = stage.vtn.order_report(["tokyo"], granularity_s=10, back_duration_s=10)
    two = stage.vtn.order_report(["chubu", "kansai"], granularity_s=30, back_duration_s=60)
    stage.run(200)
    found = {(heard.report_request_id, heard.point.r_id) for heard in stage.vtn.points}
    assert found == {(one, "tokyo"), (two, "chubu"), (two, "kansai")}


def order(**changes: object) -> ReportRequest:
    given = ReportRequest(
        request_id="R1",
        specifier_id="usage",
        granularity_s=10.0,
        back_duration_s=60.0,
        wanted=(Wanted(r_id="portfolio"),),
    )
    return replace(given, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (order(specifier_id="dance"), "452"),
        (order(wanted=(Wanted(r_id="osaka"),)), "452"),
        (order(granularity_s=90_000.0), "461"),
        (order(back_duration_s=-10.0), "461"),
    ],
)
def test_an_order_that_cannot_be_served_is_refused_the_others_go_on(bad: ReportRequest, code: str) -> None:
    stage = registered()
    good = order(request_id="R2")
    stage.vtn.queue(CreateReport(request_id="r", requests=(bad, good), ven_id="VEN-1"))
    stage.run(20)
    created = stage.sent(CreatedReport)[0]
    assert created.response.code == code and created.pending == ("R2",)
    assert created.response.request_id == "r"
    assert code in stage.session.status().detail


def test_asked_for_metadata() -> None:
    stage = registered()
    stage.vtn.queue(CreateReport(request_id="r", requests=(order(specifier_id="METADATA"),), ven_id="VEN-1"))
    stage.run(20)
    assert stage.sent(RegisterReport)[1].report_request_id == "R1"  # rule 306
    assert stage.sent(RegisterReport)[1].reports[0].request_id == "R1"


def test_cancelling_an_unknown_report_is_an_error() -> None:
    stage = registered()
    stage.vtn.queue(CancelReport(request_id="r", report_request_ids=("nope",), ven_id="VEN-1"))
    stage.run(20)
    assert stage.sent(CanceledReport)[0].response.code == "452"


def test_the_vtns_own_metadata_are_acknowledged() -> None:
    stage = registered()
    stage.vtn.queue(RegisterReport(request_id="theirs", ven_id="VEN-1"))
    stage.run(20)
    assert stage.sent(RegisteredReport)[0].response == EiResponse(
        code="200", description="OK", request_id="theirs"
    )


def test_a_vtn_that_forgot_the_order_is_offered_the_report_again() -> None:
    stage = reporting()
    stage.run(70)
    stage.vtn.orders.clear()
    stage.run(200)
    assert [fact.cause for fact in stage.facts_of(ReportClosed)] == ["unknown"]
    assert len(stage.sent(RegisterReport)) == 2  # and the VTN orders anew
    assert len({heard.report_request_id for heard in stage.vtn.points}) == 2
    assert len(starts(stage)) == len(set(starts(stage)))


def test_reregistration_ends_the_old_orders() -> None:
    stage = reporting()
    stage.run(70)
    stage.vtn.ask_reregistration()
    stage.run(200)
    assert len(stage.facts_of(ReportsRegistered)) == 2
    gaps = Counter(starts(stage))
    assert max(gaps.values()) == 1  # no job of the old registration goes on beside the new one


def test_a_vtn_that_cannot_take_reports_does_not_stop_the_polls() -> None:
    stage = reporting()
    stage.run(55)
    stage.mangle = lambda said: (
        Response(response=EiResponse(code="500", description="disk full"))
        if type(said).__name__ == "UpdatedReport"
        else said
    )
    stage.run(600)
    updates, polls = len(stage.sent(UpdateReport)), len(stage.sent(Poll))
    assert polls > 50 and updates < 40
    assert "disk full" in stage.session.status().detail or stage.session.status().detail == ""


def test_a_ven_without_reports_says_so_once_with_an_empty_list() -> None:
    stage = registered(Stage(program=program(reports=None)))
    stage.run(3600)
    (said,) = stage.sent(RegisterReport)
    assert said.reports == () and said.report_request_id is None
    stage.restart()
    stage.run(3600)
    assert len(stage.sent(RegisterReport)) == 1
    stage.vtn.forget_ven()
    stage.run(60)
    assert len(stage.sent(RegisterReport)) == 2


def test_no_reports_where_the_program_takes_none() -> None:
    stage = registered(Stage(program=program(reports=None)))
    stage.vtn.queue(CreateReport(request_id="r", requests=(order(),), ven_id="VEN-1"))
    stage.run(20)
    assert stage.sent(CreatedReport)[0].response.code == "461"
