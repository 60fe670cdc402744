"""Green Button: stored energy use as an Atom feed of ESPI resources, the body of an oadrGBPayload.

    feed -> per data point: UsagePoint, MeterReading, ReadingType, IntervalBlock (one entry each, linked by href)

ESPI codes: commodity 1 = secondary metered electricity, kind 12 = energy, uom 72 = Wh, flowDirection 1 = forward
(taken from the grid), accumulationBehaviour 4 = energy of the interval. A negative value was given to the grid.
Whole Wh: `value` is an integer in the schema.
"""

from __future__ import annotations

from lxml import etree

from vpp_gateway.northbound.openadr2.report_words import Feed, GreenReading, GreenUsage
from vpp_gateway.northbound.openadr2.xml_names import add, find, need, tag, text
from vpp_gateway.northbound.openadr2.xml_text import read_date, write_date

_ELECTRICITY = "0"
"""ServiceCategory kind."""
_READING_TYPE = (
    ("accumulationBehaviour", "4"),
    ("commodity", "1"),
    ("flowDirection", "1"),
    ("intervalLength", ""),
    ("kind", "12"),
    ("powerOfTenMultiplier", "0"),
    ("uom", "72"),
)
"""In schema order; the length is the report's own."""


def write(parent: etree._Element, feed: Feed) -> None:
    """atom:feed."""
    root = add(parent, "atom:feed")
    add(root, "atom:id", feed.id)
    add(root, "atom:title", "Green Button Usage Feed")
    add(root, "atom:updated", write_date(feed.updated_at))
    for number, usage in enumerate(feed.usages, 1):
        base = f"UsagePoint/{number}"
        reading = f"{base}/MeterReading/1"
        point = _entry(root, feed, base, usage.r_id, related=reading)
        add(add(add(point, "espi:UsagePoint"), "espi:ServiceCategory"), "espi:kind", _ELECTRICITY)
        meter = _entry(root, feed, reading, usage.r_id, related=f"ReadingType/{number}")
        add(meter, "espi:MeterReading")
        kind = add(_entry(root, feed, f"ReadingType/{number}", usage.r_id), "espi:ReadingType")
        for name, value in _READING_TYPE:
            add(kind, f"espi:{name}", value or str(round(usage.interval_s)))
        block = add(_entry(root, feed, f"{reading}/IntervalBlock/1", usage.r_id), "espi:IntervalBlock")
        first, last = usage.readings[0], usage.readings[-1]
        _period(block, "interval", first.start_at, last.start_at + last.duration_s - first.start_at)
        for one in usage.readings:
            element = add(block, "espi:IntervalReading")
            _period(element, "timePeriod", one.start_at, one.duration_s)
            add(element, "espi:value", str(one.value_wh))


def read(parent: etree._Element) -> Feed:
    """The feed as this module writes it; entries of other kinds are passed over."""
    root = need(parent, "atom:feed")
    usages: list[GreenUsage] = []
    interval_s = 0.0
    for entry in root.findall(tag("atom:entry")):
        kind = find(entry, "atom:content", "espi:ReadingType")
        block = find(entry, "atom:content", "espi:IntervalBlock")
        if kind is not None:
            interval_s = float(int(text(kind, "espi:intervalLength")))
        if block is not None:
            readings = tuple(_reading(one) for one in block.findall(tag("espi:IntervalReading")))
            title = text(entry, "atom:title")
            usages.append(GreenUsage(r_id=title, interval_s=interval_s, readings=readings))
    return Feed(
        id=text(root, "atom:id"), updated_at=read_date(text(root, "atom:updated")), usages=tuple(usages)
    )


def _entry(root: etree._Element, feed: Feed, path: str, title: str, related: str = "") -> etree._Element:
    """An entry; returns its content."""
    entry = add(root, "atom:entry")
    add(entry, "atom:id", f"{feed.id}:{path.replace('/', ':')}")
    add(entry, "atom:link").attrib.update({"rel": "self", "href": path})
    if related:
        add(entry, "atom:link").attrib.update({"rel": "related", "href": related})
    add(entry, "atom:title", title)
    content = add(entry, "atom:content")
    add(entry, "atom:updated", write_date(feed.updated_at))
    return content


def _period(parent: etree._Element, name: str, start_at: float, duration_s: float) -> None:
    period = add(parent, f"espi:{name}")
    add(period, "espi:duration", str(round(duration_s)))
    add(period, "espi:start", str(round(start_at)))


def _reading(element: etree._Element) -> GreenReading:
    return GreenReading(
        start_at=float(int(text(element, "espi:timePeriod", "espi:start"))),
        duration_s=float(int(text(element, "espi:timePeriod", "espi:duration"))),
        value_wh=int(text(element, "espi:value")),
    )
