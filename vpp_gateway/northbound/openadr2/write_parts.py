"""The parts that several messages share, as elements."""

from __future__ import annotations

from lxml import etree

from vpp_gateway.northbound.openadr2.report_words import EiResponse, Unit
from vpp_gateway.northbound.openadr2.xml_names import add, add_if
from vpp_gateway.northbound.openadr2.xml_text import write_bool, write_date, write_duration, write_number

_DESCRIPTIONS = {
    "powerReal": "RealPower",
    "powerApparent": "ApparentPower",
    "powerReactive": "ReactivePower",
    "energyReal": "RealEnergy",
    "energyApparent": "ApparentEnergy",
    "energyReactive": "ReactiveEnergy",
    "voltage": "Voltage",
    "current": "Current",
    "frequency": "Frequency",
    "customUnit": "Custom",
    "currency": "currency",
    "currencyPerKWh": "currencyPerKWh",
    "currencyPerKW": "currencyPerKW",
    "currencyPerThm": "currency",
    "Therm": "Therm",
    "temperature": "temperature",
    "pulseCount": "pulse count",
}
"""itemDescription, fixed by the schema for all but customUnit; it knows none for currencyPerThm."""
_OADR_ITEMS = (
    "current",
    "frequency",
    "customUnit",
    "currency",
    "currencyPerKWh",
    "currencyPerKW",
    "currencyPerThm",
    "Therm",
    "temperature",
    "pulseCount",
)


def response(parent: etree._Element, said: EiResponse) -> None:
    """eiResponse."""
    element = add(parent, "ei:eiResponse")
    add(element, "ei:responseCode", said.code)
    add_if(element, "ei:responseDescription", said.description or None)
    add(element, "pyld:requestID", said.request_id)


def start(parent: etree._Element, at: float) -> None:
    """dtstart."""
    add(add(parent, "xcal:dtstart"), "xcal:date-time", write_date(at))


def duration(parent: etree._Element, name: str, seconds: float) -> None:
    """An element of type DurationPropType."""
    add(add(parent, name), "xcal:duration", write_duration(seconds))


def unit(parent: etree._Element, item: Unit) -> None:
    """The emix:itemBase of a number."""
    prefix = "oadr" if item.name in _OADR_ITEMS else "power"
    element = add(parent, f"{prefix}:{item.name}")
    add(element, f"{prefix}:itemDescription", item.description or _DESCRIPTIONS[item.name])
    add(element, f"{prefix}:itemUnits", item.units)
    if item.pulse_factor is not None:
        add(element, "oadr:pulseFactor", write_number(item.pulse_factor))
    else:
        add(element, "scale:siScaleCode", item.scale)
    if item.hertz is not None and item.voltage is not None and item.ac is not None:
        attributes = add(element, "power:powerAttributes")
        add(attributes, "power:hertz", write_number(item.hertz))
        add(attributes, "power:voltage", write_number(item.voltage))
        add(attributes, "power:ac", write_bool(item.ac))
