"""The hands of whoever writes a message by its words: what may be referred to, fields, elements in schema order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lxml import etree

from vpp_gateway.conform.openadr2.xml import ProcedureError
from vpp_gateway.northbound.openadr2.xml_names import tag

CONTEXT = "http://utility.example/program"
UNITS: Mapping[str, tuple[str, str, str, str, str]] = {
    "W": ("power:powerReal", "power", "RealPower", "W", "none"),
    "kW": ("power:powerReal", "power", "RealPower", "W", "k"),
    "MW": ("power:powerReal", "power", "RealPower", "W", "M"),
    "kWh": ("power:energyReal", "power", "RealEnergy", "Wh", "k"),
    "VA": ("power:powerApparent", "power", "ApparentPower", "VA", "none"),
    "V": ("power:voltage", "power", "Voltage", "V", "none"),
    "A": ("oadr:current", "oadr", "Current", "A", "none"),
    "Hz": ("oadr:frequency", "oadr", "Frequency", "Hz", "none"),
}
"""Word -> (element, prefix of its children, itemDescription, itemUnits, siScaleCode)."""


_AT = re.compile(r"\{at ([+-]?\d+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a message may refer to."""

    t0: float
    """UTC (Unix s) of the procedure's start."""
    now: float
    vtn_id: str
    ven_id: str
    registration_id: str
    request_id: str
    """A fresh one for this message."""
    answers: str = ""
    """requestID of the message that is answered."""
    names: Mapping[str, str]
    """What the procedure remembered."""


class Fields:
    """The fields of one message or part; taking one that nobody knows in the end is an error."""

    def __init__(self, given: Mapping[str, Any], where: str, scene: Scene) -> None:
        if not isinstance(given, Mapping):
            raise ProcedureError(f"{where}: expected fields, found {given!r}")
        self._left = dict(given)
        self.where = where
        self.scene = scene

    def take(self, key: str, default: Any = None) -> Any:
        """One field, or its default."""
        return self._left.pop(key, default)

    def text(self, key: str, default: str | None = None) -> str | None:
        """One field as the text that stands in the message; `{name}` is what was remembered."""
        found = self.take(key, default)
        if found is None:
            return None
        if isinstance(found, bool):
            return "true" if found else "false"
        return fill(str(found), self.scene)

    def date(self, key: str, default: float | str | None = None) -> str | None:
        """A date: a number counts from the procedure's start."""
        found = self.take(key, default)
        if found is None or isinstance(found, str):
            return None if found is None else fill(found, self.scene)
        return date(self.scene.t0 + float(found))

    def duration(self, key: str, default: float | str | None = None) -> str | None:
        """A duration: a number is seconds."""
        found = self.take(key, default)
        return found if found is None or isinstance(found, str) else duration(float(found))

    def part(self, key: str, given: Any = None) -> Fields:
        """A part with fields of its own."""
        return Fields(given if given is not None else self.take(key, {}), f"{self.where}.{key}", self.scene)

    def done(self) -> None:
        """Every field was understood. Raises ProcedureError."""
        if self._left:
            raise ProcedureError(f"{self.where}: unknown {', '.join(sorted(self._left))}")


def fill(found: str, scene: Scene) -> str:
    """`{name}` -> what was remembered, `{ven_id}` and the like -> who takes part, `{at 600}` -> that time, without `Z`."""
    found = _AT.sub(lambda at: date(scene.t0 + float(at[1])).removesuffix("Z"), found)
    known = {"ven_id": scene.ven_id, "vtn_id": scene.vtn_id, "registration_id": scene.registration_id}
    for name, value in {**known, **scene.names}.items():
        found = found.replace("{" + name + "}", value)
    return found


def date(at: float) -> str:
    """UTC with `Z`, whole seconds."""
    return datetime.fromtimestamp(round(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def duration(seconds: float) -> str:
    """Whole seconds."""
    whole = round(seconds)
    return f"-PT{-whole}S" if whole < 0 else f"PT{whole}S"


def seconds_of(written: str) -> float | None:
    """Seconds of a duration of days, hours, minutes and seconds; None when it is none."""
    found = re.fullmatch(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", written)
    if found is None:
        return None
    return float(
        sum(int(n or 0) * size for n, size in zip(found.groups(), (86400, 3600, 60, 1), strict=True))
    )


def put(parent: etree._Element, name: str, content: str | None = None) -> etree._Element:
    """Append an element."""
    child = etree.SubElement(parent, tag(name))
    if content is not None:
        child.text = content
    return child


def maybe(parent: etree._Element, name: str, content: str | None) -> None:
    """Append an element when it has content."""
    if content is not None:
        put(parent, name, content)


def span(parent: etree._Element, name: str, content: str | None) -> None:
    """A duration property."""
    if content is not None:
        put(put(parent, name), "xcal:duration", content)


def moment(parent: etree._Element, content: str | None) -> None:
    """dtstart."""
    if content is not None:
        put(put(parent, "xcal:dtstart"), "xcal:date-time", content)


def outcome(parent: etree._Element, fields: Fields) -> None:
    """eiResponse: 200 OK unless the fields say otherwise."""
    said = put(parent, "ei:eiResponse")
    put(said, "ei:responseCode", fields.text("code", "200"))
    maybe(said, "ei:responseDescription", fields.text("description", "OK"))
    put(said, "pyld:requestID", fields.text("answers", fields.scene.answers))


def unit(parent: etree._Element, word: str, where: str) -> None:
    """itemBase by its word."""
    if word not in UNITS:
        raise ProcedureError(f"{where}: expected one of {', '.join(UNITS)}, found {word}")
    element, prefix, description, units, scale = UNITS[word]
    item = put(parent, element)
    put(item, f"{prefix}:itemDescription", description)
    put(item, f"{prefix}:itemUnits", units)
    put(item, "scale:siScaleCode", scale)
    if element.startswith("power:power"):
        attributes = put(item, "power:powerAttributes")
        for key, value in (("hertz", "50"), ("voltage", "6600"), ("ac", "true")):
            put(attributes, f"power:{key}", value)


def targets(parent: etree._Element, fields: Fields) -> None:
    """eiTarget's criteria, in schema order."""
    for device in _many(fields, "device"):
        put(put(parent, "power:endDeviceAsset"), "power:mrid", device)
    for key, name in (
        ("group", "groupID"),
        ("resource", "resourceID"),
        ("ven", "venID"),
        ("party", "partyID"),
    ):
        for one in _many(fields, key):
            put(parent, f"ei:{name}", one)
    fields.done()


def _many(fields: Fields, key: str) -> Sequence[str]:
    found = fields.take(key, ())
    listed = found if isinstance(found, list | tuple) else (found,)
    return [fill(str(one), fields.scene) for one in listed]
