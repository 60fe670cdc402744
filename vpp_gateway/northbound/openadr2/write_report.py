"""Report messages -> elements."""

from __future__ import annotations

from lxml import etree

from vpp_gateway.northbound.openadr2 import green_button
from vpp_gateway.northbound.openadr2.report_words import (
    CanceledReport,
    CancelReport,
    CreatedReport,
    CreateReport,
    Description,
    Point,
    RegisteredReport,
    RegisterReport,
    Report,
    ReportRequest,
    ResourceStatus,
    UpdatedReport,
    UpdateReport,
)
from vpp_gateway.northbound.openadr2.write_parts import duration, response, start, unit
from vpp_gateway.northbound.openadr2.xml_names import add, add_if, tag
from vpp_gateway.northbound.openadr2.xml_text import write_bool, write_date, write_duration, write_number


def register_report(element: etree._Element, message: RegisterReport) -> None:
    """oadrRegisterReport."""
    add(element, "pyld:requestID", message.request_id)
    for report in message.reports:
        _report(add(element, "oadr:oadrReport"), report)
    add_if(element, "ei:venID", message.ven_id)
    add_if(element, "ei:reportRequestID", message.report_request_id)


def registered_report(element: etree._Element, message: RegisteredReport) -> None:
    """oadrRegisteredReport."""
    response(element, message.response)
    for request in message.requests:
        _request(add(element, "oadr:oadrReportRequest"), request)
    add_if(element, "ei:venID", message.ven_id)


def create_report(element: etree._Element, message: CreateReport) -> None:
    """oadrCreateReport."""
    add(element, "pyld:requestID", message.request_id)
    for request in message.requests:
        _request(add(element, "oadr:oadrReportRequest"), request)
    add_if(element, "ei:venID", message.ven_id)


def pending(element: etree._Element, message: CreatedReport | CanceledReport) -> None:
    """oadrCreatedReport and oadrCanceledReport have the same body."""
    response(element, message.response)
    reports = add(element, "oadr:oadrPendingReports")
    for request_id in message.pending:
        add(reports, "ei:reportRequestID", request_id)
    add_if(element, "ei:venID", message.ven_id)


def update_report(element: etree._Element, message: UpdateReport) -> None:
    """oadrUpdateReport."""
    add(element, "pyld:requestID", message.request_id)
    for report in message.reports:
        _report(add(element, "oadr:oadrReport"), report)
    add_if(element, "ei:venID", message.ven_id)


def updated_report(element: etree._Element, message: UpdatedReport) -> None:
    """oadrUpdatedReport."""
    response(element, message.response)
    if message.cancel is not None:
        cancel = add(element, "oadr:oadrCancelReport")
        cancel.set(tag("ei:schemaVersion"), "2.0b")
        cancel_report(cancel, message.cancel)
    add_if(element, "ei:venID", message.ven_id)


def cancel_report(element: etree._Element, message: CancelReport) -> None:
    """oadrCancelReport."""
    add(element, "pyld:requestID", message.request_id)
    for request_id in message.report_request_ids:
        add(element, "ei:reportRequestID", request_id)
    add(element, "pyld:reportToFollow", write_bool(message.follow))
    add_if(element, "ei:venID", message.ven_id)


def _request(element: etree._Element, request: ReportRequest) -> None:
    add(element, "ei:reportRequestID", request.request_id)
    specifier = add(element, "ei:reportSpecifier")
    add(specifier, "ei:reportSpecifierID", request.specifier_id)
    duration(specifier, "xcal:granularity", request.granularity_s)
    duration(specifier, "ei:reportBackDuration", request.back_duration_s)
    if request.start_at is not None:
        properties = add(add(specifier, "ei:reportInterval"), "xcal:properties")
        start(properties, request.start_at)
        duration(properties, "xcal:duration", request.duration_s or 0.0)
    for wanted in request.wanted:
        payload = add(specifier, "ei:specifierPayload")
        add(payload, "ei:rID", wanted.r_id)
        add(payload, "ei:readingType", wanted.reading_type)


def _report(element: etree._Element, report: Report) -> None:
    if report.start_at is not None:
        start(element, report.start_at)
    if report.duration_s is not None:
        duration(element, "xcal:duration", report.duration_s)
    if report.feed is not None:
        payload = add(add(add(element, "strm:intervals"), "ei:interval"), "oadr:oadrGBPayload")
        green_button.write(payload, report.feed)
    elif report.points:
        intervals = add(element, "strm:intervals")
        for point in report.points:
            _point(add(intervals, "ei:interval"), point)
    add_if(element, "ei:eiReportID", report.report_id)
    for description in report.descriptions:
        _description(add(element, "oadr:oadrReportDescription"), description)
    add(element, "ei:reportRequestID", report.request_id)
    add(element, "ei:reportSpecifierID", report.specifier_id)
    add_if(element, "ei:reportName", report.name)
    add(element, "ei:createdDateTime", write_date(report.created_at))


def _point(element: etree._Element, point: Point) -> None:
    if point.value is None and point.status is None:
        raise ValueError(f"a point without a number or status cannot be written: {point.r_id}")
    if point.start_at is not None:
        start(element, point.start_at)
    if point.duration_s is not None:
        duration(element, "xcal:duration", point.duration_s)
    payload = add(element, "oadr:oadrReportPayload")
    add(payload, "ei:rID", point.r_id)
    if point.confidence is not None:
        add(payload, "ei:confidence", str(point.confidence))
    if point.status is not None:
        _status(add(payload, "oadr:oadrPayloadResourceStatus"), point.status)
    elif point.value is not None:
        add(add(payload, "ei:payloadFloat"), "ei:value", write_number(point.value))
    add_if(payload, "oadr:oadrDataQuality", point.quality)


def _status(element: etree._Element, status: ResourceStatus) -> None:
    add(element, "oadr:oadrOnline", write_bool(status.online))
    add(element, "oadr:oadrManualOverride", write_bool(status.manual_override))
    ways = (
        ("oadrCapacity", status.capacity),
        ("oadrLevelOffset", status.level_offset),
        ("oadrPercentOffset", status.percent_offset),
        ("oadrSetPoint", status.set_point),
    )
    if not any(way for _, way in ways):
        return
    state = add(element, "oadr:oadrLoadControlState")
    for name, way in ways:
        if way is None:
            continue
        child = add(state, f"oadr:{name}")
        for part, value in (
            ("oadrMin", way.min),
            ("oadrMax", way.max),
            ("oadrCurrent", way.current),
            ("oadrNormal", way.normal),
        ):
            if value is not None:
                add(child, f"oadr:{part}", write_number(value))


def _description(element: etree._Element, description: Description) -> None:
    add(element, "ei:rID", description.r_id)
    if description.resource_id is not None:
        add(add(element, "ei:reportDataSource"), "ei:resourceID", description.resource_id)
    add(element, "ei:reportType", description.report_type)
    if description.unit is not None:
        unit(element, description.unit)
    add(element, "ei:readingType", description.reading_type)
    add_if(element, "emix:marketContext", description.market_context)
    if description.min_period_s is not None and description.max_period_s is not None:
        rate = add(element, "oadr:oadrSamplingRate")
        add(rate, "oadr:oadrMinPeriod", write_duration(description.min_period_s))
        add(rate, "oadr:oadrMaxPeriod", write_duration(description.max_period_s))
        add(rate, "oadr:oadrOnChange", write_bool(description.on_change))
