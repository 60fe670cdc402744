"""Reports: elements -> frozen values."""

from __future__ import annotations

from lxml import etree

from vpp_gateway.northbound.openadr2 import green_button
from vpp_gateway.northbound.openadr2.read_event import date, duration, read_float, response, unit
from vpp_gateway.northbound.openadr2.report_words import (
    CanceledReport,
    CancelReport,
    ControlState,
    CreatedReport,
    CreateReport,
    Description,
    Feed,
    Point,
    RegisteredReport,
    RegisterReport,
    Report,
    ReportRequest,
    ResourceStatus,
    UpdatedReport,
    UpdateReport,
    Wanted,
)
from vpp_gateway.northbound.openadr2.xml_names import find, need, optional, tag, text, texts
from vpp_gateway.northbound.openadr2.xml_text import read_bool, read_count, read_date, read_duration


def register_report(element: etree._Element) -> RegisterReport:
    """oadrRegisterReport."""
    return RegisterReport(
        request_id=text(element, "pyld:requestID"),
        reports=_reports(element),
        ven_id=optional(element, "ei:venID"),
        report_request_id=optional(element, "ei:reportRequestID"),
    )


def registered_report(element: etree._Element) -> RegisteredReport:
    """oadrRegisteredReport."""
    return RegisteredReport(
        response=response(element, "ei:eiResponse"),
        requests=_requests(element),
        ven_id=optional(element, "ei:venID"),
    )


def create_report(element: etree._Element) -> CreateReport:
    """oadrCreateReport."""
    return CreateReport(
        request_id=text(element, "pyld:requestID"),
        requests=_requests(element),
        ven_id=optional(element, "ei:venID"),
    )


def created_report(element: etree._Element) -> CreatedReport:
    """oadrCreatedReport."""
    return CreatedReport(
        response=response(element, "ei:eiResponse"),
        pending=texts(need(element, "oadr:oadrPendingReports"), "ei:reportRequestID"),
        ven_id=optional(element, "ei:venID"),
    )


def update_report(element: etree._Element) -> UpdateReport:
    """oadrUpdateReport."""
    return UpdateReport(
        request_id=text(element, "pyld:requestID"),
        reports=_reports(element),
        ven_id=optional(element, "ei:venID"),
    )


def updated_report(element: etree._Element) -> UpdatedReport:
    """oadrUpdatedReport."""
    cancel = find(element, "oadr:oadrCancelReport")
    return UpdatedReport(
        response=response(element, "ei:eiResponse"),
        cancel=None if cancel is None else cancel_report(cancel),
        ven_id=optional(element, "ei:venID"),
    )


def cancel_report(element: etree._Element) -> CancelReport:
    """oadrCancelReport."""
    return CancelReport(
        request_id=text(element, "pyld:requestID"),
        report_request_ids=texts(element, "ei:reportRequestID"),
        follow=read_bool(text(element, "pyld:reportToFollow")),
        ven_id=optional(element, "ei:venID"),
    )


def canceled_report(element: etree._Element) -> CanceledReport:
    """oadrCanceledReport."""
    return CanceledReport(
        response=response(element, "ei:eiResponse"),
        pending=texts(need(element, "oadr:oadrPendingReports"), "ei:reportRequestID"),
        ven_id=optional(element, "ei:venID"),
    )


def _requests(element: etree._Element) -> tuple[ReportRequest, ...]:
    return tuple(_request(child) for child in element.findall(tag("oadr:oadrReportRequest")))


def _request(element: etree._Element) -> ReportRequest:
    specifier = need(element, "ei:reportSpecifier")
    return ReportRequest(
        request_id=text(element, "ei:reportRequestID"),
        specifier_id=text(specifier, "ei:reportSpecifierID"),
        granularity_s=duration(specifier, "xcal:granularity") or 0.0,
        back_duration_s=duration(specifier, "ei:reportBackDuration") or 0.0,
        start_at=date(specifier, "ei:reportInterval", "xcal:properties", "xcal:dtstart"),
        duration_s=duration(specifier, "ei:reportInterval", "xcal:properties", "xcal:duration"),
        wanted=tuple(
            Wanted(r_id=text(child, "ei:rID"), reading_type=text(child, "ei:readingType").strip())
            for child in specifier.findall(tag("ei:specifierPayload"))
        ),
    )


def _reports(element: etree._Element) -> tuple[Report, ...]:
    return tuple(_report(child) for child in element.findall(tag("oadr:oadrReport")))


def _report(element: etree._Element) -> Report:
    intervals = find(element, "strm:intervals")
    name = optional(element, "ei:reportName")
    return Report(
        request_id=text(element, "ei:reportRequestID"),
        specifier_id=text(element, "ei:reportSpecifierID"),
        created_at=read_date(text(element, "ei:createdDateTime")),
        name=None if name is None else name.strip(),
        start_at=date(element, "xcal:dtstart"),
        duration_s=duration(element, "xcal:duration"),
        report_id=optional(element, "ei:eiReportID"),
        descriptions=tuple(
            _description(child) for child in element.findall(tag("oadr:oadrReportDescription"))
        ),
        feed=_feed(intervals),
        points=() if intervals is None else tuple(point for child in intervals for point in _points(child)),
    )


def _feed(intervals: etree._Element | None) -> Feed | None:
    payload = None if intervals is None else find(intervals, "ei:interval", "oadr:oadrGBPayload")
    return None if payload is None else green_button.read(payload)


def _points(interval: etree._Element) -> list[Point]:
    start_at, duration_s = date(interval, "xcal:dtstart"), duration(interval, "xcal:duration")
    points = []
    for payload in interval.findall(tag("oadr:oadrReportPayload")):
        value = optional(payload, "ei:payloadFloat", "ei:value")
        quality = optional(payload, "oadr:oadrDataQuality")
        confidence = optional(payload, "ei:confidence")
        points.append(
            Point(
                r_id=text(payload, "ei:rID"),
                value=None if value is None else read_float(value),
                status=_status(find(payload, "oadr:oadrPayloadResourceStatus")),
                start_at=start_at,
                duration_s=duration_s,
                quality=None if quality is None else quality.strip(),
                confidence=None if confidence is None else read_count(confidence),
            )
        )
    return points


def _status(element: etree._Element | None) -> ResourceStatus | None:
    if element is None:
        return None
    state = find(element, "oadr:oadrLoadControlState")
    return ResourceStatus(
        online=read_bool(text(element, "oadr:oadrOnline")),
        manual_override=read_bool(text(element, "oadr:oadrManualOverride")),
        capacity=_way(state, "oadrCapacity"),
        level_offset=_way(state, "oadrLevelOffset"),
        percent_offset=_way(state, "oadrPercentOffset"),
        set_point=_way(state, "oadrSetPoint"),
    )


def _way(state: etree._Element | None, name: str) -> ControlState | None:
    element = None if state is None else find(state, f"oadr:{name}")
    if element is None:
        return None
    values = {part: optional(element, f"oadr:{part}") for part in ("oadrMin", "oadrMax", "oadrNormal")}
    numbers = {part: None if found is None else read_float(found) for part, found in values.items()}
    return ControlState(
        current=read_float(text(element, "oadr:oadrCurrent")),
        min=numbers["oadrMin"],
        max=numbers["oadrMax"],
        normal=numbers["oadrNormal"],
    )


def _description(element: etree._Element) -> Description:
    rate = find(element, "oadr:oadrSamplingRate")
    return Description(
        r_id=text(element, "ei:rID"),
        report_type=text(element, "ei:reportType").strip(),
        reading_type=text(element, "ei:readingType").strip(),
        unit=unit(element),
        resource_id=optional(element, "ei:reportDataSource", "ei:resourceID"),
        market_context=optional(element, "emix:marketContext"),
        min_period_s=None if rate is None else read_duration(text(rate, "oadr:oadrMinPeriod")),
        max_period_s=None if rate is None else read_duration(text(rate, "oadr:oadrMaxPeriod")),
        on_change=rate is not None and read_bool(text(rate, "oadr:oadrOnChange")),
    )
