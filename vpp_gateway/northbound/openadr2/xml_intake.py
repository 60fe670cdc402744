"""The gate for XML from the wire: bounded before it is understood.

    bytes -> byte cap -> plain? -- yes --------------------------------------> lxml tree -> depth
                            +--- no, or in doubt --> expat pre-pass, exact --> lxml tree

In UTF-8 the bytes `<` and `=` bound the elements and attributes from above, and a DOCTYPE cannot hide: a document
below the limits by that count needs no closer look, which makes large event lists three times as fast to take in.
Everything else goes through the pre-pass: it sees what a byte search would miss (a DOCTYPE in UTF-16), counts
exactly, and costs far less than building a tree, so a hostile document is refused before lxml allocates anything.
lxml then parses with entities, network and huge trees off, and never with a schema bound to the parser; the schema
is applied to the finished tree. Comments are dropped while parsing, so that a comment cannot split an identifier in
two.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from xml.parsers import expat

from lxml import etree

from vpp_gateway.errors import PeerError
from vpp_gateway.northbound.openadr2.xml_text import shown

_UTF8 = re.compile(rb"""encoding\s*=\s*["'](utf-8|us-ascii)["']""", re.IGNORECASE)


class WireError(PeerError):
    """Bytes from the peer that are not a usable OpenADR 2.0b message; the text says what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one document may cost us."""

    bytes_max: int = 4 * 1024 * 1024
    """1000 events are 1.7 to 2.4 MiB."""
    elements_max: int = 120_000
    """1000 events of one interval are 50 000 to 60 000."""
    attributes_max: int = 40_000
    """Of the whole document, namespace declarations included; some VTNs write eight per event."""
    depth_max: int = 64


def parse(body: bytes, limits: Limits) -> etree._Element:
    """The root of a well-formed document inside the limits. Raises WireError."""
    if len(body) > limits.bytes_max:
        raise WireError(f"expected at most {limits.bytes_max} bytes, found {len(body)}")
    if not body.strip():
        raise WireError("expected an OpenADR message, found an empty body")
    looked_through = not plain(body, limits)
    if looked_through:
        count(body, limits)
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        raise WireError(f"expected well-formed XML, found: {shown(str(error), 160)}") from None
    if not looked_through and _deeper_than(limits.depth_max)(root):
        raise WireError(f"expected at most {limits.depth_max} levels, found more")
    return root


def plain(body: bytes, limits: Limits) -> bool:
    """Whether a look at the bytes alone shows UTF-8, no markup declaration, and counts inside the limits."""
    declaration = body[: body.find(b"?>") + 1]
    if b"encoding" in declaration and not _UTF8.search(declaration):
        return False
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return (
        b"\0" not in body  # UTF-16 without its mark
        and b"<!" not in body
        and body.count(b"=") <= limits.attributes_max
        and (
            body.count(b"<") <= limits.elements_max
            or body.count(b"<") - body.count(b"</") <= limits.elements_max
        )
    )


@cache
def _deeper_than(levels: int) -> etree.XPath:
    return etree.XPath("boolean(" + "/*" * (levels + 1) + ")")


def count(body: bytes, limits: Limits) -> None:
    """The exact pre-pass. Raises WireError at the first breach."""
    counter = _Counter(limits)
    parser = expat.ParserCreate()
    parser.StartElementHandler = counter.start
    parser.EndElementHandler = counter.end
    parser.StartDoctypeDeclHandler = counter.doctype
    parser.EntityDeclHandler = counter.entity
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise WireError(f"expected well-formed XML, found: {error}") from None
    except (ValueError, LookupError, UnicodeError) as error:  # unknown or broken encoding declaration
        raise WireError(f"expected UTF-8 XML, found: {shown(str(error), 160)}") from None


class _Counter:
    """Counts while expat walks; raises WireError from inside the walk at the first breach."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._depth = self._elements = self._attributes = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._elements += 1
        self._attributes += len(attributes)
        if self._depth > self._limits.depth_max:
            raise WireError(f"expected at most {self._limits.depth_max} levels, found more at {shown(name)}")
        if self._elements > self._limits.elements_max:
            raise WireError(f"expected at most {self._limits.elements_max} elements, found more")
        if self._attributes > self._limits.attributes_max:
            raise WireError(f"expected at most {self._limits.attributes_max} attributes, found more")

    def end(self, name: str) -> None:
        self._depth -= 1

    def doctype(self, *_: object) -> None:
        raise WireError("expected no DOCTYPE, found one")

    def entity(self, *_: object) -> None:
        raise WireError("expected no entity declaration, found one")
