"""oadrDistributeEvent by its words.

{id: E1, start: 600, duration: 900, value: -100, unit: kW}                       one signal, one interval
{id: E2, start: 60, duration: 120, signals: [{name: SIMPLE, type: level,
    intervals: [{duration: 60, value: 1}, {duration: 60, value: 2}]}]}            everything else
"""

from __future__ import annotations

from typing import Any

from lxml import etree

from vpp_gateway.conform.openadr2.words import (
    CONTEXT,
    Fields,
    maybe,
    moment,
    outcome,
    put,
    span,
    targets,
    unit,
)


def distribute(element: etree._Element, fields: Fields) -> None:
    """The whole list."""
    if fields.take("response", False):
        outcome(element, fields)
    put(element, "pyld:requestID", fields.text("request", fields.scene.request_id))
    put(element, "ei:vtnID", fields.text("vtn", fields.scene.vtn_id))
    for index, given in enumerate(fields.take("events", [])):
        event = fields.part(f"events[{index}]", given)
        _event(put(element, "oadr:oadrEvent"), event)
        event.done()


def _event(element: etree._Element, event: Fields) -> None:
    body = put(element, "ei:eiEvent")
    start, length = event.take("start", 600), event.take("duration", 900)
    event_id = event.text("id", "")
    _descriptor(put(body, "ei:eventDescriptor"), event, event_id or "", start, length)
    period = put(body, "ei:eiActivePeriod")
    _period(put(period, "xcal:properties"), event, start, length)
    put(period, "xcal:components")
    signals = event.take("signals")
    short = {key: event.take(key) for key in ("name", "type", "value", "unit")}
    if signals is None:
        name = short["name"] or "LOAD_DISPATCH"
        signals = [
            {
                "name": name,
                "type": short["type"] or ("level" if name == "SIMPLE" else "delta"),
                "unit": short["unit"] or ("W" if name == "LOAD_DISPATCH" else None),
                "intervals": [{"duration": length, "value": 0 if short["value"] is None else short["value"]}],
            }
        ]
    listed = put(body, "ei:eiEventSignals")
    for index, given in enumerate(signals):
        signal = event.part(f"signals[{index}]", given)
        _signal(put(listed, "ei:eiEventSignal"), signal, f"{event_id}-{index}")
        signal.done()
    targets(put(body, "ei:eiTarget"), event.part("target"))
    put(element, "oadr:oadrResponseRequired", event.text("response", "always"))


def status_at(start: float, length: float, ramp: float, now: float) -> str:
    """The eventStatus that the clock gives."""
    if now < start:
        return "near" if now >= start - ramp else "far"
    return "active" if length == 0 or now < start + length else "completed"


def _descriptor(element: etree._Element, event: Fields, event_id: str, start: Any, length: Any) -> None:
    scene = event.scene
    put(element, "ei:eventID", event_id)
    put(element, "ei:modificationNumber", event.text("modification", "0"))
    maybe(element, "ei:modificationReason", event.text("reason"))
    maybe(element, "ei:priority", event.text("priority"))
    put(put(element, "ei:eiMarketContext"), "emix:marketContext", event.text("context", CONTEXT))
    put(element, "ei:createdDateTime", event.date("created", 0))
    timed = isinstance(start, int | float) and isinstance(length, int | float)
    status = status_at(scene.t0 + start, length, 0.0, scene.now) if timed else "far"
    put(element, "ei:eventStatus", event.text("status", status))
    maybe(element, "ei:testEvent", event.text("test"))
    maybe(element, "ei:vtnComment", event.text("comment"))


def _period(element: etree._Element, event: Fields, start: Any, length: Any) -> None:
    again = event.part("period", {"start": start, "duration": length})
    moment(element, again.date("start"))
    span(element, "xcal:duration", again.duration("duration"))
    startafter = event.duration("startafter")
    if startafter is not None:
        put(put(put(element, "xcal:tolerance"), "xcal:tolerate"), "xcal:startafter", startafter)
    for key, name in (("notification", "Notification"), ("ramp_up", "RampUp"), ("recovery", "Recovery")):
        span(element, f"ei:x-ei{name}", event.duration(key))


def _signal(element: etree._Element, signal: Fields, default_id: str) -> None:
    intervals = put(element, "strm:intervals")
    for index, given in enumerate(signal.take("intervals", [])):
        interval = signal.part(f"intervals[{index}]", given)
        item = put(intervals, "ei:interval")
        moment(item, interval.date("start"))
        span(item, "xcal:duration", interval.duration("duration"))
        uid = interval.text("uid", str(index))
        if uid != "":
            put(put(item, "xcal:uid"), "xcal:text", uid)
        payload = put(put(item, "ei:signalPayload"), "ei:payloadFloat")
        put(payload, "ei:value", interval.text("value", "0"))
        interval.done()
    target = signal.take("target")
    if target is not None:
        targets(put(element, "ei:eiTarget"), signal.part("target", target))
    put(element, "ei:signalName", signal.text("name", "LOAD_DISPATCH"))
    put(element, "ei:signalType", signal.text("type", "delta"))
    put(element, "ei:signalID", signal.text("id", default_id))
    word = signal.take("unit")
    if word is not None:
        unit(element, word, signal.where)
    current = signal.text("current")
    if current is not None:
        put(put(put(element, "ei:currentValue"), "ei:payloadFloat"), "ei:value", current)
