"""Reports: what we offer, what the VTN may order, which points are due, each of them once.

    start ----g----g----g----g----g----g----g----> time      g: granularity, one point each
          |-- back duration --|-- back duration --|          a report is due at the end of each

A report carries every whole interval that ended by its due time and was not sent before. `through`, the end of the
last interval sent, is the only memory: after an outage the points are read from telemetry again, with their
original times, so nothing has to be buffered and nothing is sent twice. Powers are import in W.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vpp_gateway.domain.instruction import RoomName, SiteId
from vpp_gateway.northbound.openadr2.facts import ReportRequested
from vpp_gateway.northbound.openadr2.program import UsageReport
from vpp_gateway.northbound.openadr2.report_words import (
    Description,
    Point,
    RegisterReport,
    Report,
    ReportRequest,
    Unit,
)
from vpp_gateway.northbound.openadr2.state import Duty
from vpp_gateway.northbound.openadr2.xml_text import shown
from vpp_gateway.northbound.turn import Telemetry, UsageSample

METADATA = "METADATA"
"""reportSpecifierID that asks for our METADATA report (rule 306)."""
GOOD = "Quality Good - Non Specific"
UNCERTAIN = "Quality Uncertain - Non Specific"
_EPSILON_S = 1e-3
"""Slack for the binary fractions of Unix seconds; far below the one second that the schema can express."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What this VEN can report in one room."""

    rule: UsageReport
    points: Mapping[str, SiteId | None]
    """rID -> site; None = the portfolio's sum."""


def offer_of(rule: UsageReport, resources: Mapping[str, SiteId]) -> Offer:
    """One rID for the portfolio and one per resource."""
    points: dict[str, SiteId | None] = {rule.portfolio_r_id: None}
    points.update(resources)
    return Offer(rule=rule, points=points)


def metadata(
    offer: Offer, *, request_id: str, ven_id: str, now: float, asked_by: str | None = None
) -> RegisterReport:
    """oadrRegisterReport with the METADATA of everything we offer.

    Args:
        asked_by: reportRequestID when the VTN asked for it; None = unsolicited, written as "0" (rule 311).
    """
    rule = offer.rule
    descriptions = tuple(
        Description(
            r_id=r_id,
            resource_id=None if site is None else r_id,
            report_type="usage",
            reading_type="Summed" if site is None else "Direct Read",
            unit=Unit(
                name="powerReal", units="W", scale="none", hertz=rule.hertz, voltage=rule.voltage, ac=True
            ),
            min_period_s=rule.min_period_s,
            max_period_s=rule.max_period_s,
        )
        for r_id, site in offer.points.items()
    )
    report = Report(
        request_id=asked_by or "0",
        specifier_id=rule.specifier_id,
        name="METADATA_TELEMETRY_USAGE",
        created_at=now,
        duration_s=rule.backfill_max_s,
        descriptions=descriptions,
    )
    return RegisterReport(request_id=request_id, reports=(report,), ven_id=ven_id, report_request_id=asked_by)


def accept(
    request: ReportRequest, offer: Offer | None, *, room: RoomName, now: float
) -> ReportRequested | tuple[str, str]:
    """Take a report request, or (4xx code, reason)."""
    if offer is None:
        return "461", "expected no report request: this program takes no reports"
    rule = offer.rule
    if request.specifier_id != rule.specifier_id:
        return "452", f"reportSpecifierID: expected {rule.specifier_id}, found {shown(request.specifier_id)}"
    unknown = [wanted.r_id for wanted in request.wanted if wanted.r_id not in offer.points]
    if unknown:
        return "452", f"rID: expected one of {', '.join(offer.points)}, found {shown(unknown[0])}"
    granularity_s = request.granularity_s or rule.min_period_s
    back_duration_s = request.back_duration_s or granularity_s
    if not rule.min_period_s <= granularity_s <= rule.max_period_s or back_duration_s < 0:
        return "461", (
            f"granularity: expected {rule.min_period_s:g} to {rule.max_period_s:g} s, found {granularity_s:g} s"
        )
    start_at = math.ceil(now) if request.start_at is None else request.start_at
    return ReportRequested(
        at=now,
        room=room,
        request_id=request.request_id,
        specifier_id=request.specifier_id,
        r_ids=tuple(dict.fromkeys(wanted.r_id for wanted in request.wanted)),
        granularity_s=granularity_s,
        back_duration_s=back_duration_s,
        start_at=start_at,
        end_at=start_at + request.duration_s if request.duration_s else None,
    )


def due_at(duty: Duty, rule: UsageReport) -> float:
    """When the next report of `duty` can be sent (UTC, Unix s)."""
    if duty.ending and duty.end_at is not None:
        return duty.end_at + rule.settle_s
    first_end = duty.through + duty.granularity_s
    turns = math.ceil((first_end - duty.start_at - _EPSILON_S) / duty.back_duration_s)
    due = duty.start_at + max(turns, 1) * duty.back_duration_s
    if duty.end_at is not None:
        due = min(due, max(duty.end_at, first_end))
    return due + rule.settle_s


def over(duty: Duty) -> bool:
    """No whole interval is left before the end of `duty`."""
    return duty.end_at is not None and duty.through + duty.granularity_s > duty.end_at + _EPSILON_S


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
    rule = offer.rule
    until = now - rule.settle_s
    if not duty.ending:  # only whole back durations
        turns = math.floor((until - duty.start_at + _EPSILON_S) / duty.back_duration_s)
        whole = duty.start_at + turns * duty.back_duration_s
        until = whole if duty.end_at is None or until < duty.end_at else duty.end_at
    elif duty.end_at is not None:
        until = min(until, duty.end_at)
    since, note = duty.through, ""
    if now - since > rule.backfill_max_s:
        steps = math.ceil((now - rule.backfill_max_s - since) / duty.granularity_s)
        note = f"{steps} intervals older than {rule.backfill_max_s:g} s were not sent"
        since += steps * duty.granularity_s
    intervals = max(math.floor((until - since + 2 * _EPSILON_S) / duty.granularity_s), 0)
    intervals = min(intervals, max(rule.points_max // max(len(duty.r_ids), 1), 1))
    through = since + intervals * duty.granularity_s
    points = [
        point
        for r_id in duty.r_ids
        if r_id in offer.points
        for point in _means(
            r_id, telemetry.usage(offer.points[r_id], since, through), since, duty.granularity_s
        )
    ]
    points.sort(key=lambda point: point.start_at or 0.0)
    return Batch(points=tuple(points), since=since, through=through, note=note)


def _means(r_id: str, samples: Sequence[UsageSample], since: float, granularity_s: float) -> Iterator[Point]:
    """Mean import of each interval that has readings."""
    bins: dict[int, list[UsageSample]] = {}
    for sample in samples:
        if not math.isfinite(sample.import_w):
            continue
        bins.setdefault(math.floor((sample.at - since + _EPSILON_S) / granularity_s), []).append(sample)
    for index, inside in bins.items():
        yield Point(
            r_id=r_id,
            value=sum(sample.import_w for sample in inside) / len(inside),
            start_at=since + index * granularity_s,
            duration_s=granularity_s,
            quality=UNCERTAIN if any(sample.modelled for sample in inside) else GOOD,
        )


def data_report(duty: Duty, made: Batch, *, report_id: str, now: float) -> Report:
    """The oadrReport that carries a batch."""
    return Report(
        request_id=duty.request_id,
        specifier_id=duty.specifier_id,
        name="TELEMETRY_USAGE",
        created_at=now,
        start_at=made.since,
        duration_s=made.through - made.since,
        report_id=report_id,
        points=made.points,
    )
