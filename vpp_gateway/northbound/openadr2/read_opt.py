"""EiOpt: elements -> frozen values."""

from __future__ import annotations

from typing import cast

from lxml import etree

from vpp_gateway.northbound.openadr2.opt_words import (
    Availability,
    CanceledOpt,
    CancelOpt,
    CreatedOpt,
    CreateOpt,
    Opt,
)
from vpp_gateway.northbound.openadr2.read_event import response
from vpp_gateway.northbound.openadr2.xml_names import find, need, optional, tag, text, texts
from vpp_gateway.northbound.openadr2.xml_text import read_count, read_date, read_duration


def create_opt(element: etree._Element) -> CreateOpt:
    """oadrCreateOpt."""
    event = find(element, "ei:qualifiedEventID")
    components = find(element, "xcal:vavailability", "xcal:components")
    target = need(element, "ei:eiTarget")
    devices = find(element, "oadr:oadrDeviceClass")
    return CreateOpt(
        request_id=text(element, "pyld:requestID"),
        opt_id=text(element, "ei:optID"),
        opt=cast(Opt, text(element, "ei:optType").strip()),
        reason=text(element, "ei:optReason").strip(),
        ven_id=text(element, "ei:venID"),
        created_at=read_date(text(element, "ei:createdDateTime")),
        event_id=None if event is None else text(event, "ei:eventID"),
        modification=None if event is None else read_count(text(event, "ei:modificationNumber")),
        available=() if components is None else tuple(_available(child) for child in components),
        market_context=optional(element, "emix:marketContext"),
        ven_ids=texts(target, "ei:venID"),
        resource_ids=texts(target, "ei:resourceID"),
        group_ids=texts(target, "ei:groupID"),
        party_ids=texts(target, "ei:partyID"),
        device_classes=()
        if devices is None
        else tuple(text(child, "power:mrid") for child in devices.findall(tag("power:endDeviceAsset"))),
    )


def created_opt(element: etree._Element) -> CreatedOpt:
    """oadrCreatedOpt."""
    return CreatedOpt(response=response(element, "ei:eiResponse"), opt_id=text(element, "ei:optID"))


def cancel_opt(element: etree._Element) -> CancelOpt:
    """oadrCancelOpt."""
    return CancelOpt(
        request_id=text(element, "pyld:requestID"),
        opt_id=text(element, "ei:optID"),
        ven_id=text(element, "ei:venID"),
    )


def canceled_opt(element: etree._Element) -> CanceledOpt:
    """oadrCanceledOpt."""
    return CanceledOpt(response=response(element, "ei:eiResponse"), opt_id=optional(element, "ei:optID"))


def _available(element: etree._Element) -> Availability:
    period = need(element, "xcal:properties")
    return Availability(
        start_at=read_date(text(period, "xcal:dtstart", "xcal:date-time")),
        duration_s=read_duration(text(period, "xcal:duration", "xcal:duration")),
    )
