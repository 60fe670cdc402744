"""EiOpt: frozen values -> elements, in schema order."""

from __future__ import annotations

from lxml import etree

from vpp_gateway.northbound.openadr2.opt_words import CanceledOpt, CancelOpt, CreatedOpt, CreateOpt
from vpp_gateway.northbound.openadr2.write_parts import duration, response, start
from vpp_gateway.northbound.openadr2.xml_names import add, add_if
from vpp_gateway.northbound.openadr2.xml_text import write_date


def create_opt(element: etree._Element, message: CreateOpt) -> None:
    """oadrCreateOpt. Raises ValueError when it names an event without its modification, or the other way round."""
    if (message.event_id is None) != (message.modification is None):
        raise ValueError(
            "an opt for an event: expected eventID and modificationNumber, found one of the two alone"
        )
    add(element, "ei:optID", message.opt_id)
    add(element, "ei:optType", message.opt)
    add(element, "ei:optReason", message.reason)
    add_if(element, "emix:marketContext", message.market_context)
    add(element, "ei:venID", message.ven_id)
    if message.available:
        components = add(add(element, "xcal:vavailability"), "xcal:components")
        for one in message.available:
            period = add(add(components, "xcal:available"), "xcal:properties")
            start(period, one.start_at)
            duration(period, "xcal:duration", one.duration_s)
    add(element, "ei:createdDateTime", write_date(message.created_at))
    add(element, "pyld:requestID", message.request_id)
    if message.event_id is not None:
        qualified = add(element, "ei:qualifiedEventID")
        add(qualified, "ei:eventID", message.event_id)
        add(qualified, "ei:modificationNumber", str(message.modification))
    target = add(element, "ei:eiTarget")
    names: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("ei:groupID", message.group_ids),
        ("ei:resourceID", message.resource_ids),
        ("ei:venID", message.ven_ids),
        ("ei:partyID", message.party_ids),
    )
    for name, ids in names:
        for one_id in ids:
            add(target, name, one_id)
    if message.device_classes:
        devices = add(element, "oadr:oadrDeviceClass")
        for mrid in message.device_classes:
            add(add(devices, "power:endDeviceAsset"), "power:mrid", mrid)


def created_opt(element: etree._Element, message: CreatedOpt) -> None:
    """oadrCreatedOpt."""
    response(element, message.response)
    add(element, "ei:optID", message.opt_id)


def cancel_opt(element: etree._Element, message: CancelOpt) -> None:
    """oadrCancelOpt."""
    add(element, "pyld:requestID", message.request_id)
    add(element, "ei:optID", message.opt_id)
    add(element, "ei:venID", message.ven_id)


def canceled_opt(element: etree._Element, message: CanceledOpt) -> None:
    """oadrCanceledOpt."""
    response(element, message.response)
    add_if(element, "ei:optID", message.opt_id)
