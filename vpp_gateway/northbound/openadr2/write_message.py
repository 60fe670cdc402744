"""Messages -> elements, in schema order, nothing optional unless it is meant (rule 46).

lxml escapes every text. Namespaces are declared once at the root, so that a signature sees the same context before
and after serialising. No schemaLocation (rule 45).
"""

from __future__ import annotations

from typing import assert_never

from lxml import etree

from vpp_gateway.northbound.openadr2 import write_opt, write_report
from vpp_gateway.northbound.openadr2.messages import (
    BrokenEvent,
    CanceledPartyRegistration,
    CancelPartyRegistration,
    CreatedEvent,
    CreatedPartyRegistration,
    CreatePartyRegistration,
    DistributeEvent,
    Event,
    Message,
    Poll,
    QueryRegistration,
    RequestEvent,
    RequestReregistration,
    Response,
    Signal,
    Targets,
    name_of,
)
from vpp_gateway.northbound.openadr2.opt_words import CanceledOpt, CancelOpt, CreatedOpt, CreateOpt
from vpp_gateway.northbound.openadr2.report_words import (
    CanceledReport,
    CancelReport,
    CreatedReport,
    CreateReport,
    RegisteredReport,
    RegisterReport,
    UpdatedReport,
    UpdateReport,
)
from vpp_gateway.northbound.openadr2.write_parts import duration, response, start, unit
from vpp_gateway.northbound.openadr2.xml_names import NAMESPACES, add, add_if, tag
from vpp_gateway.northbound.openadr2.xml_text import write_bool, write_date, write_duration, write_number

SIGNED_OBJECT_ID = "oadrSignedObject"


def payload(message: Message) -> etree._Element:
    """The oadrPayload tree that holds `message`."""
    root = etree.Element(tag("oadr:oadrPayload"), nsmap=dict(NAMESPACES))
    signed = add(root, "oadr:oadrSignedObject")
    signed.set(tag("oadr:Id"), SIGNED_OBJECT_ID)
    element = add(signed, f"oadr:{name_of(message)}")
    element.set(tag("ei:schemaVersion"), "2.0b")
    _fill(element, message)
    return root


def _fill(
    element: etree._Element, message: Message
) -> None:  # one arm per message, in the order of the union
    match message:
        case QueryRegistration():
            add(element, "pyld:requestID", message.request_id)
        case CreatePartyRegistration():
            _create_party_registration(element, message)
        case CreatedPartyRegistration():
            _created_party_registration(element, message)
        case CancelPartyRegistration():
            add(element, "pyld:requestID", message.request_id)
            add(element, "ei:registrationID", message.registration_id)
            add_if(element, "ei:venID", message.ven_id)
        case CanceledPartyRegistration():
            response(element, message.response)
            add_if(element, "ei:registrationID", message.registration_id)
            add_if(element, "ei:venID", message.ven_id)
        case RequestReregistration() | Poll():
            add(element, "ei:venID", message.ven_id)
        case Response():
            response(element, message.response)
            add_if(element, "ei:venID", message.ven_id)
        case RequestEvent():
            _request_event(element, message)
        case DistributeEvent():
            _distribute_event(element, message)
        case CreatedEvent():
            _created_event(element, message)
        case RegisterReport():
            write_report.register_report(element, message)
        case RegisteredReport():
            write_report.registered_report(element, message)
        case CreateReport():
            write_report.create_report(element, message)
        case CreatedReport() | CanceledReport():
            write_report.pending(element, message)
        case UpdateReport():
            write_report.update_report(element, message)
        case UpdatedReport():
            write_report.updated_report(element, message)
        case CancelReport():
            write_report.cancel_report(element, message)
        case CreateOpt():
            write_opt.create_opt(element, message)
        case CreatedOpt():
            write_opt.created_opt(element, message)
        case CancelOpt():
            write_opt.cancel_opt(element, message)
        case CanceledOpt():
            write_opt.canceled_opt(element, message)
        case _:
            assert_never(message)


def _create_party_registration(element: etree._Element, message: CreatePartyRegistration) -> None:
    add(element, "pyld:requestID", message.request_id)
    add_if(element, "ei:registrationID", message.registration_id)
    add_if(element, "ei:venID", message.ven_id)
    add(element, "oadr:oadrProfileName", "2.0b")
    add(element, "oadr:oadrTransportName", "simpleHttp")
    add_if(element, "oadr:oadrTransportAddress", message.transport_address)
    add(element, "oadr:oadrReportOnly", write_bool(message.report_only))
    add(element, "oadr:oadrXmlSignature", write_bool(message.xml_signature))
    add_if(element, "oadr:oadrVenName", message.ven_name)
    add(element, "oadr:oadrHttpPullModel", write_bool(message.http_pull))


def _created_party_registration(element: etree._Element, message: CreatedPartyRegistration) -> None:
    response(element, message.response)
    add_if(element, "ei:registrationID", message.registration_id)
    add_if(element, "ei:venID", message.ven_id)
    add(element, "ei:vtnID", message.vtn_id)
    profiles = add(element, "oadr:oadrProfiles")
    for name in message.profiles:
        profile = add(profiles, "oadr:oadrProfile")
        add(profile, "oadr:oadrProfileName", name)
        add(
            add(add(profile, "oadr:oadrTransports"), "oadr:oadrTransport"),
            "oadr:oadrTransportName",
            "simpleHttp",
        )
    if message.poll_s is not None:
        duration(element, "oadr:oadrRequestedOadrPollFreq", message.poll_s)


def _request_event(element: etree._Element, message: RequestEvent) -> None:
    request = add(element, "pyld:eiRequestEvent")
    add(request, "pyld:requestID", message.request_id)
    add(request, "ei:venID", message.ven_id)
    if message.reply_limit is not None:
        add(request, "pyld:replyLimit", str(message.reply_limit))


def _created_event(element: etree._Element, message: CreatedEvent) -> None:
    created = add(element, "pyld:eiCreatedEvent")
    response(created, message.response)
    if (
        message.event_responses or message.response.ok
    ):  # rule 35: mandatory unless eiResponse carries an error
        responses = add(created, "ei:eventResponses")
        for single in message.event_responses:
            item = add(responses, "ei:eventResponse")
            add(item, "ei:responseCode", single.code)
            add_if(item, "ei:responseDescription", single.description or None)
            add(item, "pyld:requestID", single.request_id)
            qualified = add(item, "ei:qualifiedEventID")
            add(qualified, "ei:eventID", single.event_id)
            add(qualified, "ei:modificationNumber", str(single.modification))
            add(item, "ei:optType", single.opt)
    add(created, "ei:venID", message.ven_id)


def _distribute_event(element: etree._Element, message: DistributeEvent) -> None:
    if message.response is not None:
        response(element, message.response)
    add(element, "pyld:requestID", message.request_id)
    add(element, "ei:vtnID", message.vtn_id)
    for event in message.events:
        match event:
            case Event():
                _event(add(element, "oadr:oadrEvent"), event)
            case BrokenEvent():
                raise ValueError(f"a broken event cannot be written: {event.event_id}")
            case _:
                assert_never(event)


def _event(element: etree._Element, event: Event) -> None:
    if event.baseline is not None:
        raise ValueError(f"a baseline cannot be written: {event.baseline}")
    body = add(element, "ei:eiEvent")
    _descriptor(add(body, "ei:eventDescriptor"), event)
    period = add(body, "ei:eiActivePeriod")
    _period(add(period, "xcal:properties"), event)
    add(period, "xcal:components")
    signals = add(body, "ei:eiEventSignals")
    for signal in event.signals:
        _signal(add(signals, "ei:eiEventSignal"), signal)
    _targets(add(body, "ei:eiTarget"), event.targets)
    add(element, "oadr:oadrResponseRequired", "always" if event.response_required else "never")


def _descriptor(element: etree._Element, event: Event) -> None:
    add(element, "ei:eventID", event.event_id)
    add(element, "ei:modificationNumber", str(event.modification))
    if event.modified_at is not None:
        add(element, "ei:modificationDateTime", write_date(event.modified_at))
    add_if(element, "ei:modificationReason", event.modification_reason or None)
    if event.priority is not None:
        add(element, "ei:priority", str(event.priority))
    add(add(element, "ei:eiMarketContext"), "emix:marketContext", event.market_context)
    add(element, "ei:createdDateTime", write_date(event.created_at))
    add(element, "ei:eventStatus", event.status)
    if event.test:
        add(element, "ei:testEvent", "true")
    add_if(element, "ei:vtnComment", event.comment or None)


def _period(element: etree._Element, event: Event) -> None:
    start(element, event.start_at)
    duration(element, "xcal:duration", event.duration_s)
    if event.startafter_s:
        tolerate = add(add(element, "xcal:tolerance"), "xcal:tolerate")
        add(tolerate, "xcal:startafter", write_duration(event.startafter_s))
    extras = (
        ("ei:x-eiNotification", event.notification_s),
        ("ei:x-eiRampUp", event.ramp_up_s),
        ("ei:x-eiRecovery", event.recovery_s),
    )
    for name, seconds in extras:
        if seconds is not None:
            duration(element, name, seconds)


def _signal(element: etree._Element, signal: Signal) -> None:
    intervals = add(element, "strm:intervals")
    for index, interval in enumerate(signal.intervals):
        item = add(intervals, "ei:interval")
        if interval.start_at is not None:
            start(item, interval.start_at)
        duration(item, "xcal:duration", interval.duration_s)
        add(add(item, "xcal:uid"), "xcal:text", interval.uid if interval.uid is not None else str(index))
        payload_float = add(add(item, "ei:signalPayload"), "ei:payloadFloat")
        add(payload_float, "ei:value", write_number(interval.value))
    if not signal.targets.empty:
        _targets(add(element, "ei:eiTarget"), signal.targets)
    add(element, "ei:signalName", signal.name)
    add(element, "ei:signalType", signal.type)
    add(element, "ei:signalID", signal.id)
    if signal.unit is not None:
        unit(element, signal.unit)
    if signal.current_value is not None:
        payload = add(add(element, "ei:currentValue"), "ei:payloadFloat")
        add(payload, "ei:value", write_number(signal.current_value))


def _targets(element: etree._Element, targets: Targets) -> None:
    if targets.others:
        raise ValueError(f"targets of these kinds cannot be written: {', '.join(targets.others)}")
    for device in targets.device_classes:
        add(add(element, "power:endDeviceAsset"), "power:mrid", device)
    names: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("ei:groupID", targets.group_ids),
        ("ei:resourceID", targets.resource_ids),
        ("ei:venID", targets.ven_ids),
        ("ei:partyID", targets.party_ids),
    )
    for name, ids in names:
        for one in ids:
            add(element, name, one)
