"""Events: elements -> frozen values. One unreadable event becomes a `BrokenEvent`; the others stay good (rule 19)."""

from __future__ import annotations

from collections.abc import Iterable
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
    branches,
    find,
    inner,
    local,
    need,
    optional,
    tag,
    text,
)
from vpp_gateway.northbound.openadr2.xml_text import read_bool, read_count, read_date, read_duration, shown

_EVENT, _DESCRIPTOR, _PERIOD = tag("ei:eiEvent"), tag("ei:eventDescriptor"), tag("ei:eiActivePeriod")
_SIGNALS, _SIGNAL, _TARGET = tag("ei:eiEventSignals"), tag("ei:eiEventSignal"), tag("ei:eiTarget")
_RESPONSE_REQUIRED, _PROPERTIES = tag("oadr:oadrResponseRequired"), tag("xcal:properties")
_EVENT_ID, _MODIFICATION, _STATUS = tag("ei:eventID"), tag("ei:modificationNumber"), tag("ei:eventStatus")
_MARKET, _CREATED = tag("ei:eiMarketContext"), tag("ei:createdDateTime")
_PRIORITY, _TEST, _COMMENT = tag("ei:priority"), tag("ei:testEvent"), tag("ei:vtnComment")
_MODIFIED, _REASON = tag("ei:modificationDateTime"), tag("ei:modificationReason")
_BASELINE = tag("ei:eiEventBaseline")
_DTSTART, _DURATION, _UID = tag("xcal:dtstart"), tag("xcal:duration"), tag("xcal:uid")
_NOTIFICATION, _RAMP_UP, _RECOVERY = tag("ei:x-eiNotification"), tag("ei:x-eiRampUp"), tag("ei:x-eiRecovery")
_TOLERANCE, _INTERVALS, _PAYLOAD = tag("xcal:tolerance"), tag("strm:intervals"), tag("ei:signalPayload")
_SIGNAL_NAME, _SIGNAL_TYPE, _SIGNAL_ID = tag("ei:signalName"), tag("ei:signalType"), tag("ei:signalID")
_CURRENT, _GREEN_BUTTON = tag("ei:currentValue"), tag("oadr:oadrGBDataDescription")
_NO_ITEMS = frozenset({_INTERVALS, _SIGNAL_NAME, _SIGNAL_TYPE, _SIGNAL_ID, _TARGET, _CURRENT})
_POWER_UNITS, _OADR_UNITS, _SCALE = tag("power:itemUnits"), tag("oadr:itemUnits"), tag("scale:siScaleCode")
_HERTZ, _VOLTAGE, _AC = tag("power:hertz"), tag("power:voltage"), tag("power:ac")
_ATTRIBUTES, _PULSE = tag("power:powerAttributes"), tag("oadr:pulseFactor")
_KNOWN_TARGETS = tuple(tag(f"ei:{name}") for name in ("venID", "resourceID", "groupID", "partyID"))
_DEVICE = tag("power:endDeviceAsset")


def response(parent: etree._Element, *path: str) -> EiResponse:
    """eiResponse below `parent`."""
    found = need(parent, *path) if path else parent
    return EiResponse(
        code=text(found, "ei:responseCode"),
        description=optional(found, "ei:responseDescription") or "",
        request_id=text(found, "pyld:requestID"),
    )


def unit(parent: Iterable[etree._Element]) -> Unit | None:
    """The emix:itemBase among `parent`'s children (powerReal, energyReal, voltage, ...: whatever has itemUnits)."""
    for child in parent:
        said = branches(child)
        units = said.get(_POWER_UNITS, said.get(_OADR_UNITS))
        if units is None:
            continue
        scale, attributes = said.get(_SCALE), said.get(_ATTRIBUTES)
        power = None if attributes is None else branches(attributes)
        pulse, name = said.get(_PULSE), local(child)
        return Unit(
            name=name,
            units=(units.text or "").strip(),
            scale=((None if scale is None else scale.text) or "none").strip(),
            hertz=None if power is None else float(power[_HERTZ].text or ""),
            voltage=None if power is None else float(power[_VOLTAGE].text or ""),
            ac=None if power is None else read_bool(power[_AC].text or ""),
            description=optional(child, "oadr:itemDescription") if name == "customUnit" else None,
            pulse_factor=None if pulse is None else read_float(pulse.text or ""),
        )
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
    named: dict[str, list[str]] = {name: [] for name in _KNOWN_TARGETS}
    devices: list[str] = []
    others: list[str] = []
    for child in found:
        if child.tag in named:
            named[child.tag].append(child.text or "")
        elif child.tag == _DEVICE:
            devices.append(text(child, "power:mrid"))
        else:
            others.append(local(child))
    vens, resources, groups, parties = map(tuple, named.values())
    return Targets(
        ven_ids=vens,
        resource_ids=resources,
        group_ids=groups,
        party_ids=parties,
        device_classes=tuple(devices),
        others=tuple(others),
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
    try:
        return _read_event(branches(element))
    except KeyError as missing:  # the schema should have refused it before
        raise WireError(f"expected {missing.args[0]} in an event, found none") from None


def _read_event(whole: dict[str, etree._Element]) -> Event:
    """Each child list is walked once: a thousand events arrive in one message."""
    event = branches(whole[_EVENT])
    descriptor = branches(event[_DESCRIPTOR])
    (properties,) = [child for child in event[_PERIOD] if child.tag == _PROPERTIES]
    period = branches(properties)
    tolerance = period.get(_TOLERANCE)
    startafter = None if tolerance is None else optional(tolerance, "xcal:tolerate", "xcal:startafter")
    event_id = descriptor[_EVENT_ID].text
    if not event_id:
        raise ValueError("expected an eventID, found an empty one")
    priority, test = descriptor.get(_PRIORITY), descriptor.get(_TEST)
    modified = descriptor.get(_MODIFIED)
    baseline = next((child for child in event[_SIGNALS] if child.tag == _BASELINE), None)
    return Event(
        event_id=event_id,
        modification=read_count(descriptor[_MODIFICATION].text or ""),
        status=cast(EventStatus, (descriptor[_STATUS].text or "").strip()),
        market_context=inner(descriptor[_MARKET]).strip(),
        created_at=read_date(descriptor[_CREATED].text or ""),
        priority=None if priority is None else read_count(priority.text or ""),
        test=test is not None and (test.text or "").strip().lower() != "false",
        comment=_said(descriptor.get(_COMMENT)),
        modified_at=None if modified is None else read_date(modified.text or ""),
        modification_reason=_said(descriptor.get(_REASON)),
        baseline=None if baseline is None else text(baseline, "ei:baselineName"),
        start_at=read_date(inner(period[_DTSTART])),
        duration_s=read_duration(inner(period[_DURATION])),
        startafter_s=0.0 if startafter is None else read_duration(startafter),
        notification_s=_span(period.get(_NOTIFICATION)),
        ramp_up_s=_span(period.get(_RAMP_UP)),
        recovery_s=_span(period.get(_RECOVERY)),
        signals=tuple([_signal(branches(child)) for child in event[_SIGNALS] if child.tag == _SIGNAL]),
        targets=targets(event.get(_TARGET)),
        response_required=(whole[_RESPONSE_REQUIRED].text or "").strip() == "always",
    )


def _said(found: etree._Element | None) -> str:
    return "" if found is None else found.text or ""


def _span(found: etree._Element | None) -> float | None:
    return None if found is None else read_duration(inner(found))


def _signal(parts: dict[str, etree._Element]) -> Signal:
    if _GREEN_BUTTON in parts:
        raise ValueError("expected a unit of the signal, found oadrGBDataDescription")
    current = parts.get(_CURRENT)
    now = None if current is None else optional(current, "ei:payloadFloat", "ei:value")
    return Signal(
        name=(parts[_SIGNAL_NAME].text or "").strip(),
        type=(parts[_SIGNAL_TYPE].text or "").strip(),
        id=parts[_SIGNAL_ID].text or "",
        intervals=tuple([_interval(child) for child in parts[_INTERVALS]]),
        unit=unit([child for name, child in parts.items() if name not in _NO_ITEMS]),
        targets=targets(parts.get(_TARGET)),
        current_value=None if now is None else read_float(now),
    )


def _interval(element: etree._Element) -> SignalInterval:
    parts = branches(element)
    if len(parts) != len(element):
        raise ValueError("expected one signalPayload in each interval, found several")
    payload = parts.get(_PAYLOAD)
    value = None if payload is None else optional(payload, "ei:payloadFloat", "ei:value")
    if value is None:
        raise ValueError("expected a payloadFloat in each signal interval, found none")
    start, uid = parts.get(_DTSTART), parts.get(_UID)
    return SignalInterval(
        duration_s=_span(parts.get(_DURATION)) or 0.0,
        value=read_float(value),
        start_at=None if start is None else read_date(inner(start)),
        uid=None if uid is None else inner(uid),
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
