"""Events: elements -> frozen values. One unreadable event becomes a `BrokenEvent`; the others stay good (rule 19)."""

from __future__ import annotations

from typing import cast

from lxml import etree

from vpp_gateway.northbound.openadr2.messages import (
    BrokenEvent,
    CreatedEvent,
    DistributeEvent,
    Event,
    EventResponse,
    EventStatus,
    OptType,
    Signal,
    SignalInterval,
    Targets,
)
from vpp_gateway.northbound.openadr2.report_words import EiResponse, Unit
from vpp_gateway.northbound.openadr2.xml_intake import WireError
from vpp_gateway.northbound.openadr2.xml_names import (
    NAMESPACES,
    find,
    local,
    need,
    optional,
    tag,
    text,
    texts,
)
from vpp_gateway.northbound.openadr2.xml_text import read_bool, read_count, read_date, read_duration, shown

_KNOWN_TARGETS = {tag(f"ei:{name}") for name in ("venID", "resourceID", "groupID", "partyID")}
_DEVICE = tag("power:endDeviceAsset")
_PAYLOAD = tag("ei:signalPayload")


def response(parent: etree._Element, *path: str) -> EiResponse:
    """eiResponse below `parent`."""
    found = need(parent, *path) if path else parent
    return EiResponse(
        code=text(found, "ei:responseCode"),
        description=optional(found, "ei:responseDescription") or "",
        request_id=text(found, "pyld:requestID"),
    )


def unit(parent: etree._Element) -> Unit | None:
    """The emix:itemBase child of `parent` (a substitution group: powerReal, energyReal, voltage, ...), or None."""
    for child in parent:
        scale = optional(child, "scale:siScaleCode")
        units = _item_units(child)
        if units is None:
            continue
        pulse = optional(child, "oadr:pulseFactor")
        attributes = find(child, "power:powerAttributes")
        return Unit(
            name=local(child),
            units=units.strip(),
            scale=(scale or "none").strip(),
            hertz=None if attributes is None else float(text(attributes, "power:hertz")),
            voltage=None if attributes is None else float(text(attributes, "power:voltage")),
            ac=None if attributes is None else read_bool(text(attributes, "power:ac")),
            description=optional(child, "oadr:itemDescription") if local(child) == "customUnit" else None,
            pulse_factor=None if pulse is None else read_float(pulse),
        )
    return None


def _item_units(item: etree._Element) -> str | None:
    for prefix in ("power", "oadr"):
        found = item.find(f"{{{NAMESPACES[prefix]}}}itemUnits")
        if found is not None:
            return found.text or ""
    return None


def duration(parent: etree._Element, *path: str) -> float | None:
    """A `xcal:DurationPropType` element below `parent` in seconds, or None when absent."""
    found = optional(parent, *path, "xcal:duration")
    return None if found is None else read_duration(found)


def date(parent: etree._Element, *path: str) -> float | None:
    """A dtstart-like element below `parent`, UTC, or None when absent."""
    found = optional(parent, *path, "xcal:date-time")
    return None if found is None else read_date(found)


def targets(found: etree._Element | None) -> Targets:
    """eiTarget; None reads as an empty one."""
    if found is None:
        return Targets()
    return Targets(
        ven_ids=texts(found, "ei:venID"),
        resource_ids=texts(found, "ei:resourceID"),
        group_ids=texts(found, "ei:groupID"),
        party_ids=texts(found, "ei:partyID"),
        device_classes=tuple(text(child, "power:mrid") for child in found.findall(_DEVICE)),
        others=tuple(local(child) for child in found if child.tag not in _KNOWN_TARGETS | {_DEVICE}),
    )


def distribute_event(element: etree._Element, refused: dict[int, str] | None = None) -> DistributeEvent:
    """oadrDistributeEvent.

    Args:
        refused: events by position that the schema refused, with the reason.
    """
    events: list[Event | BrokenEvent] = []
    unreadable: list[str] = []
    for index, child in enumerate(element.findall(tag("oadr:oadrEvent"))):
        reason = (refused or {}).get(index)
        try:
            if reason is not None:
                raise ValueError(reason)
            events.append(_event(child))
        except (ValueError, WireError) as error:
            broken = _broken(child, str(error))
            if broken is None:
                unreadable.append(f"event {index + 1} has no readable id: {error}")
            else:
                events.append(broken)
    said = find(element, "ei:eiResponse")
    return DistributeEvent(
        request_id=text(element, "pyld:requestID"),
        vtn_id=text(element, "ei:vtnID"),
        events=tuple(events),
        response=None if said is None else response(said),
        unreadable=tuple(unreadable),
    )


def _broken(element: etree._Element, reason: str) -> BrokenEvent | None:
    descriptor = find(element, "ei:eiEvent", "ei:eventDescriptor")
    if descriptor is None:
        return None
    event_id = optional(descriptor, "ei:eventID")
    try:
        modification = read_count(optional(descriptor, "ei:modificationNumber") or "")
    except ValueError:
        return None
    if not event_id:
        return None
    wanted = (optional(element, "oadr:oadrResponseRequired") or "always").strip() != "never"
    return BrokenEvent(event_id=event_id, modification=modification, response_required=wanted, reason=reason)


def _event(element: etree._Element) -> Event:
    event = need(element, "ei:eiEvent")
    descriptor = need(event, "ei:eventDescriptor")
    period = need(event, "ei:eiActivePeriod", "xcal:properties")
    startafter = optional(period, "xcal:tolerance", "xcal:tolerate", "xcal:startafter")
    priority = optional(descriptor, "ei:priority")
    test = optional(descriptor, "ei:testEvent")
    event_id = text(descriptor, "ei:eventID")
    if not event_id:
        raise ValueError("expected an eventID, found an empty one")
    return Event(
        event_id=event_id,
        modification=read_count(text(descriptor, "ei:modificationNumber")),
        status=cast(EventStatus, text(descriptor, "ei:eventStatus").strip()),
        market_context=text(descriptor, "ei:eiMarketContext", "emix:marketContext").strip(),
        created_at=read_date(text(descriptor, "ei:createdDateTime")),
        priority=None if priority is None else read_count(priority),
        test=test is not None and test.strip().lower() != "false",
        comment=optional(descriptor, "ei:vtnComment") or "",
        start_at=read_date(text(period, "xcal:dtstart", "xcal:date-time")),
        duration_s=read_duration(text(period, "xcal:duration", "xcal:duration")),
        startafter_s=0.0 if startafter is None else read_duration(startafter),
        notification_s=duration(period, "ei:x-eiNotification"),
        ramp_up_s=duration(period, "ei:x-eiRampUp"),
        recovery_s=duration(period, "ei:x-eiRecovery"),
        signals=tuple(
            _signal(child) for child in need(event, "ei:eiEventSignals").findall(tag("ei:eiEventSignal"))
        ),
        targets=targets(find(event, "ei:eiTarget")),
        response_required=text(element, "oadr:oadrResponseRequired").strip() == "always",
    )


def _signal(element: etree._Element) -> Signal:
    if find(element, "oadr:oadrGBDataDescription") is not None:
        raise ValueError("expected a unit of the signal, found oadrGBDataDescription")
    current = optional(element, "ei:currentValue", "ei:payloadFloat", "ei:value")
    return Signal(
        name=text(element, "ei:signalName").strip(),
        type=text(element, "ei:signalType").strip(),
        id=text(element, "ei:signalID"),
        intervals=tuple(_interval(child) for child in need(element, "strm:intervals")),
        unit=unit(element),
        targets=targets(find(element, "ei:eiTarget")),
        current_value=None if current is None else read_float(current),
    )


def _interval(element: etree._Element) -> SignalInterval:
    value = optional(element, "ei:signalPayload", "ei:payloadFloat", "ei:value")
    if value is None:
        raise ValueError("expected a payloadFloat in each signal interval, found none")
    if len(element.findall(_PAYLOAD)) > 1:
        raise ValueError("expected one signalPayload in each interval, found several")
    return SignalInterval(
        duration_s=duration(element, "xcal:duration") or 0.0,
        value=read_float(value),
        start_at=date(element, "xcal:dtstart"),
        uid=optional(element, "xcal:uid", "xcal:text"),
    )


def read_float(found: str) -> float:
    """xs:float. Raises ValueError with the text found."""
    try:
        return float(found.strip())
    except ValueError:
        raise ValueError(f"expected a number, found {shown(found)}") from None


def created_event(element: etree._Element) -> CreatedEvent:
    """oadrCreatedEvent."""
    created = need(element, "pyld:eiCreatedEvent")
    responses = find(created, "ei:eventResponses")
    return CreatedEvent(
        response=response(created, "ei:eiResponse"),
        ven_id=text(created, "ei:venID"),
        event_responses=() if responses is None else tuple(_event_response(child) for child in responses),
    )


def _event_response(element: etree._Element) -> EventResponse:
    return EventResponse(
        code=text(element, "ei:responseCode"),
        description=optional(element, "ei:responseDescription") or "",
        request_id=text(element, "pyld:requestID"),
        event_id=text(element, "ei:qualifiedEventID", "ei:eventID"),
        modification=read_count(text(element, "ei:qualifiedEventID", "ei:modificationNumber")),
        opt=cast(OptType, text(element, "ei:optType").strip()),
    )
