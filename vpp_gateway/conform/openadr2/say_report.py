"""The VTN's report messages by their words.

{oadrCreateReport: {requests: [{id: R1, specifier: usage, granularity: 10, back: 60, rids: [portfolio]}]}}
"""

from __future__ import annotations

from lxml import etree

from vpp_gateway.conform.openadr2.words import Fields, fill, maybe, moment, outcome, put, span
from vpp_gateway.northbound.openadr2.xml_names import tag


def registered(element: etree._Element, fields: Fields) -> None:
    """oadrRegisteredReport."""
    outcome(element, fields)
    _requests(element, fields)
    maybe(element, "ei:venID", fields.text("ven", fields.scene.ven_id or None))


def create(element: etree._Element, fields: Fields) -> None:
    """oadrCreateReport."""
    put(element, "pyld:requestID", fields.text("request", fields.scene.request_id))
    _requests(element, fields)
    maybe(element, "ei:venID", fields.text("ven", fields.scene.ven_id or None))


def cancel(element: etree._Element, fields: Fields) -> None:
    """oadrCancelReport."""
    put(element, "pyld:requestID", fields.text("request", fields.scene.request_id))
    for one in fields.take("ids", []):
        put(element, "ei:reportRequestID", str(one))
    put(element, "pyld:reportToFollow", fields.text("follow", "false"))
    maybe(element, "ei:venID", fields.text("ven", fields.scene.ven_id or None))


def updated(element: etree._Element, fields: Fields) -> None:
    """oadrUpdatedReport; `cancel` puts an oadrCancelReport into it."""
    outcome(element, fields)
    given = fields.take("cancel")
    if given is not None:
        piggyback = put(element, "oadr:oadrCancelReport")
        piggyback.set(tag("ei:schemaVersion"), "2.0b")
        part = fields.part("cancel", given)
        cancel(piggyback, part)
        part.done()
    maybe(element, "ei:venID", fields.text("ven", fields.scene.ven_id or None))


def register(element: etree._Element, fields: Fields) -> None:
    """oadrRegisterReport of the VTN: what it could report itself."""
    put(element, "pyld:requestID", fields.text("request", fields.scene.request_id))
    for given in fields.take("reports", []):
        part = fields.part("reports", given)
        report = put(element, "oadr:oadrReport")
        span(report, "xcal:duration", part.duration("duration", 3600))
        for r_id in part.take("rids", []):
            row = put(report, "oadr:oadrReportDescription")
            put(row, "ei:rID", str(r_id))
            put(row, "ei:reportType", part.text("type", "usage"))
            put(row, "ei:readingType", "Direct Read")
        put(report, "ei:reportRequestID", part.text("request", "0"))
        put(report, "ei:reportSpecifierID", part.text("specifier", "vtn"))
        put(report, "ei:reportName", part.text("name", "METADATA_TELEMETRY_USAGE"))
        put(report, "ei:createdDateTime", part.date("created", 0))
        part.done()
    maybe(element, "ei:venID", fields.text("ven", fields.scene.ven_id or None))


def update(element: etree._Element, fields: Fields) -> None:
    """oadrUpdateReport of the VTN, without points."""
    put(element, "pyld:requestID", fields.text("request", fields.scene.request_id))
    maybe(element, "ei:venID", fields.text("ven", fields.scene.ven_id or None))


def _requests(element: etree._Element, fields: Fields) -> None:
    for index, given in enumerate(fields.take("requests", [])):
        part = fields.part(f"requests[{index}]", given)
        request = put(element, "oadr:oadrReportRequest")
        put(request, "ei:reportRequestID", part.text("id", f"R{index + 1}"))
        specifier = put(request, "ei:reportSpecifier")
        put(specifier, "ei:reportSpecifierID", part.text("specifier", "usage"))
        span(specifier, "xcal:granularity", part.duration("granularity", 0))
        span(specifier, "ei:reportBackDuration", part.duration("back", 0))
        start, length = part.date("start"), part.duration("duration")
        if start is not None:
            properties = put(put(specifier, "ei:reportInterval"), "xcal:properties")
            moment(properties, start)
            span(properties, "xcal:duration", length or "PT0S")
        for r_id in part.take("rids", []):
            payload = put(specifier, "ei:specifierPayload")
            put(payload, "ei:rID", fill(str(r_id), fields.scene))
            put(payload, "ei:readingType", part.text("reading", "x-notApplicable"))
        part.done()
