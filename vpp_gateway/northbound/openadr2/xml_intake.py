"""The gate for XML from the wire: bounded before it is understood.

    bytes -> byte cap -> expat pre-pass (no DOCTYPE; elements, attributes, depth counted) -> lxml tree

The pre-pass sees what a byte search would miss (a DOCTYPE in UTF-16) and costs far less than building a tree, so a
hostile document is refused before lxml allocates anything. lxml then parses with entities, network and huge trees
off, and never with a schema bound to the parser; the schema is applied to the finished tree. Comments are dropped
while parsing, so that a comment cannot split an identifier in two.
"""

from __future__ import annotations

from dataclasses import dataclass
from xml.parsers import expat

from lxml import etree

from vpp_gateway.errors import PeerError
from vpp_gateway.northbound.openadr2.xml_text import shown


class WireError(PeerError):
    """Bytes from the peer that are not a usable OpenADR 2.0b message; the text says what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one document may cost us."""

    bytes_max: int = 1024 * 1024
    elements_max: int = 60_000
    attributes_max: int = 20_000
    """Of the whole document."""
    depth_max: int = 64


def parse(body: bytes, limits: Limits) -> etree._Element:
    """The root of a well-formed document inside the limits. Raises WireError."""
    if len(body) > limits.bytes_max:
        raise WireError(f"expected at most {limits.bytes_max} bytes, found {len(body)}")
    if not body.strip():
        raise WireError("expected an OpenADR message, found an empty body")
    _prepass(body, limits)
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
        return etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        raise WireError(f"expected well-formed XML, found: {shown(str(error), 160)}") from None


def _prepass(body: bytes, limits: Limits) -> None:
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
