"""Namespaces of OpenADR 2.0b, and the few hands that reach into a tree by prefixed name (`ei:eventID`)."""

from __future__ import annotations

from functools import cache

from lxml import etree

from vpp_gateway.northbound.openadr2.xml_intake import WireError

NAMESPACES: dict[str, str] = {
    "oadr": "http://openadr.org/oadr-2.0b/2012/07",
    "ei": "http://docs.oasis-open.org/ns/energyinterop/201110",
    "pyld": "http://docs.oasis-open.org/ns/energyinterop/201110/payloads",
    "xcal": "urn:ietf:params:xml:ns:icalendar-2.0",
    "strm": "urn:ietf:params:xml:ns:icalendar-2.0:stream",
    "emix": "http://docs.oasis-open.org/ns/emix/2011/06",
    "power": "http://docs.oasis-open.org/ns/emix/2011/06/power",
    "scale": "http://docs.oasis-open.org/ns/emix/2011/06/siscale",
    "atom": "http://www.w3.org/2005/Atom",
    "espi": "http://naesb.org/espi",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
    "dsp": "http://openadr.org/oadr-2.0b/2012/07/xmldsig-properties",
}


@cache
def tag(name: str) -> str:
    """`ei:eventID` -> `{http://...}eventID`."""
    prefix, local = name.split(":")
    return f"{{{NAMESPACES[prefix]}}}{local}"


def local(element: etree._Element) -> str:
    """Element name without namespace."""
    return etree.QName(element).localname


def find(parent: etree._Element, *path: str) -> etree._Element | None:
    """The first element down the path, or None."""
    here = parent
    for name in path:
        wanted = tag(name)
        for child in here:  # several times as fast as lxml's own find()
            if child.tag == wanted:
                here = child
                break
        else:
            return None
    return here


def need(parent: etree._Element, *path: str) -> etree._Element:
    """Like `find`, but a missing element is a WireError (the schema should have refused it before)."""
    found = find(parent, *path)
    if found is None:
        raise WireError(f"expected {'/'.join(path)} in {local(parent)}, found none")
    return found


def text(parent: etree._Element, *path: str) -> str:
    """Text of a required element, untouched: identifiers keep zeros and spaces."""
    return need(parent, *path).text or ""


def optional(parent: etree._Element, *path: str) -> str | None:
    """Text of an element, or None when it is absent."""
    found = find(parent, *path)
    return None if found is None else found.text or ""


def inner(element: etree._Element) -> str:
    """Text of an element's only child, as in `<duration><duration>PT1H</duration></duration>`; empty when none."""
    for child in element:
        return child.text or ""
    return ""


def branches(parent: etree._Element) -> dict[str, etree._Element]:
    """The children by tag, for a parent whose children come at most once."""
    return {child.tag: child for child in parent}


def texts(parent: etree._Element, name: str) -> tuple[str, ...]:
    """Texts of all children of that name."""
    wanted = tag(name)
    return tuple([child.text or "" for child in parent if child.tag == wanted])


def add(parent: etree._Element, name: str, content: str | None = None) -> etree._Element:
    """Append an element; lxml escapes the content. Characters that XML cannot carry are replaced by U+FFFD."""
    child = etree.SubElement(parent, tag(name))
    if content is not None:
        child.text = printable(content)
    return child


def add_if(parent: etree._Element, name: str, content: str | None) -> None:
    """Append an element only when there is something meant."""
    if content is not None:
        add(parent, name, content)


def printable(content: str) -> str:
    """`content` without the characters that XML 1.0 forbids."""
    if content.isprintable():
        return content
    return "".join(c if _allowed(ord(c)) else "�" for c in content)


def _allowed(code: int) -> bool:
    return code in (0x9, 0xA, 0xD) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code >= 0x10000
