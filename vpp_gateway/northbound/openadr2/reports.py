"""Reports: what the VTN may order, which points are due, each of them once.

    start ----g----g----g----g----g----g----g----> time      g: granularity, one point each
          |-- back duration --|-- back duration --|          a report is due at the end of each

A report carries every whole interval that ended by its due time and was not sent before. `through`, the end of the
last interval sent, is the only memory: after an outage the points are read from telemetry again, with their
original times, so nothing has to be buffered and nothing is sent twice.

A one-shot order (granularity and back duration 0) has one interval, the last whole one before it was taken or before
its start. History is a report whose intervals have all ended: due at once, ended when the last is sent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from vpp_gateway.domain.instruction import RoomName
from vpp_gateway.northbound.openadr2.facts import ReportRequested
from vpp_gateway.northbound.openadr2.program import UsageReport
from vpp_gateway.northbound.openadr2.report_offer import Offer, Sheet
from vpp_gateway.northbound.openadr2.report_points import EPSILON_S, points_of
from vpp_gateway.northbound.openadr2.report_words import (
    Feed,
    GreenReading,
    GreenUsage,
    Point,
    Report,
    ReportRequest,
)
from vpp_gateway.northbound.openadr2.state import Duty
from vpp_gateway.northbound.openadr2.xml_text import shown
from vpp_gateway.northbound.turn import Telemetry

READ_MAX_S = 3600.0
"""So much telemetry is read for one message, or one interval if that is longer: the engine waits meanwhile."""


def accept(
    request: ReportRequest, offer: Offer | None, *, room: RoomName, now: float
) -> ReportRequested | tuple[str, str]:
    """Take a report request, or (4xx code, reason)."""
    if offer is None:
        return "461", "expected no report request: this program takes no reports"
    rule = offer.rule
    sheet = offer.sheets.get(request.specifier_id)
    if sheet is None:
        known = ", ".join(offer.sheets)
        return "452", f"reportSpecifierID: expected one of {known}, found {shown(request.specifier_id)}"
    unknown = [wanted.r_id for wanted in request.wanted if wanted.r_id not in sheet.points]
    if unknown:
        return "452", f"rID: expected one of {', '.join(sheet.points)}, found {shown(unknown[0])}"
    if not request.wanted:
        return "452", "rID: expected at least one specifierPayload, found none"
    granularity_s = request.granularity_s or rule.min_period_s
    back_duration_s = request.back_duration_s or granularity_s
    if not rule.min_period_s <= granularity_s <= rule.max_period_s or back_duration_s < 0:
        return "461", (
            f"granularity: expected {rule.min_period_s:g} to {rule.max_period_s:g} s, found {granularity_s:g} s"
        )
    start_at = math.ceil(now) if request.start_at is None else request.start_at
    end_at = start_at + request.duration_s if request.duration_s else None
    if sheet.past:
        span = _past(request, rule, granularity_s, now)
        if isinstance(span, str):
            return "461", span
        (start_at, end_at), back_duration_s = span, granularity_s
    elif not request.granularity_s and not request.back_duration_s:
        end_at = max(float(math.floor(now)), start_at if request.start_at is not None else 0.0)
        start_at, back_duration_s = end_at - granularity_s, granularity_s
    elif end_at is not None and end_at <= now - rule.backfill_max_s:
        return "461", f"reportInterval: expected one that ends within the last {rule.backfill_max_s:g} s"
    return ReportRequested(
        at=now,
        room=room,
        request_id=request.request_id,
        specifier_id=request.specifier_id,
        r_ids=tuple(dict.fromkeys(wanted.r_id for wanted in request.wanted)),
        granularity_s=granularity_s,
        back_duration_s=back_duration_s,
        start_at=start_at,
        end_at=end_at,
    )


def _past(
    request: ReportRequest, rule: UsageReport, granularity_s: float, now: float
) -> tuple[float, float] | str:
    """Start and end of the history asked for, as far as it is past and kept; or why there is none."""
    oldest, newest = now - rule.history_max_s, float(math.floor(now))
    end_at = newest
    if request.start_at is None:
        span_s = request.duration_s or request.back_duration_s or granularity_s
        start_at = newest - span_s
    else:
        start_at = request.start_at
        if request.duration_s:
            end_at = min(start_at + request.duration_s, newest)
    if start_at < oldest:  # whole intervals are left out, the grid stays the one asked for
        start_at += math.ceil((oldest - start_at) / granularity_s) * granularity_s
    if start_at + granularity_s > end_at + EPSILON_S:
        return (
            f"reportInterval: expected at least one whole interval of {granularity_s:g} s within the last "
            f"{rule.history_max_s:g} s, found none"
        )
    return start_at, end_at


def due_at(duty: Duty, rule: UsageReport) -> float:
    """When the next report of `duty` can be sent (UTC, Unix s)."""
    if duty.end_at is not None and (duty.ending or over(duty)):
        return duty.end_at + rule.settle_s
    first_end = duty.through + duty.granularity_s
    turns = math.ceil((first_end - duty.start_at - EPSILON_S) / duty.back_duration_s)
    due = duty.start_at + max(turns, 1) * duty.back_duration_s
    if duty.end_at is not None:
        due = min(due, max(duty.end_at, first_end))
    return due + rule.settle_s


def over(duty: Duty) -> bool:
    """No whole interval is left before the end of `duty`."""
    return duty.end_at is not None and duty.through + duty.granularity_s > duty.end_at + EPSILON_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Points of one oadrUpdateReport."""

    points: tuple[Point, ...]
    since: float
    through: float
    """End of the last interval looked at, with or without points."""
    note: str = ""
    """What was skipped, in words."""


def batch(duty: Duty, offer: Offer, telemetry: Telemetry, now: float) -> Batch:
    """What is due now, oldest first, at most `points_max`.

    An interval without a single reading is left out: no number is better than an invented one.
    """
    rule, sheet = offer.rule, offer.sheets.get(duty.specifier_id)
    until = now - rule.settle_s
    if not duty.ending:  # only whole back durations
        turns = math.floor((until - duty.start_at + EPSILON_S) / duty.back_duration_s)
        whole = duty.start_at + turns * duty.back_duration_s
        until = whole if duty.end_at is None or until < duty.end_at else duty.end_at
    elif duty.end_at is not None:
        until = min(until, duty.end_at)
    since, note = duty.through, ""
    keep_s = rule.history_max_s if sheet is not None and sheet.past else rule.backfill_max_s
    if now - since > keep_s + duty.granularity_s:
        steps = math.ceil((now - keep_s - since) / duty.granularity_s)
        note = f"{steps} intervals older than {keep_s:g} s were not sent"
        since += steps * duty.granularity_s
    intervals = max(math.floor((until - since + 2 * EPSILON_S) / duty.granularity_s), 0)
    intervals = min(
        intervals,
        max(rule.points_max // max(len(duty.r_ids), 1), 1),
        max(math.floor(READ_MAX_S / duty.granularity_s), 1),
    )
    through = since + intervals * duty.granularity_s
    points: list[Point] = []
    if sheet is not None and intervals:
        wanted = [sheet.points[r_id] for r_id in duty.r_ids if r_id in sheet.points]
        for one in wanted:
            points += points_of(one, rule, telemetry, since, through, duty.granularity_s)
    points.sort(key=lambda point: point.start_at or 0.0)
    return Batch(points=tuple(points), since=since, through=through, note=note)


def data_report(duty: Duty, offer: Offer, made: Batch, *, report_id: str, now: float) -> Report:
    """The oadrReport that carries a batch."""
    sheet = offer.sheets[duty.specifier_id]
    green = sheet.kind == "greenbutton"
    return Report(
        request_id=duty.request_id,
        specifier_id=duty.specifier_id,
        name=sheet.name,
        created_at=now,
        start_at=made.since,
        duration_s=made.through - made.since,
        report_id=report_id,
        points=() if green else made.points,
        feed=_feed(duty, sheet, made, report_id, now) if green else None,
    )


def _feed(duty: Duty, sheet: Sheet, made: Batch, report_id: str, now: float) -> Feed:
    usages = []
    for r_id in duty.r_ids:
        readings = tuple(
            GreenReading(
                start_at=point.start_at or 0.0,
                duration_s=duty.granularity_s,
                value_wh=round(point.value or 0.0),
            )
            for point in made.points
            if point.r_id == r_id
        )
        if readings and r_id in sheet.points:
            usages.append(GreenUsage(r_id=r_id, interval_s=duty.granularity_s, readings=readings))
    return Feed(id=f"urn:uuid:{report_id}", updated_at=now, usages=tuple(usages))
