"""Holds a tree against the schema at a cost that grows with its size alone, however much is wrong with it.

For each error libxml2's validation of a tree names the place, and counts the siblings before it: 50 000 bad elements
beside each other take 14 s. Validation of a stream names no place. So a tree in which that could matter is written out
again and validated as a stream, which takes 0.16 s for the same one. These are bytes of ours, of a tree that passed
the intake; nothing from the wire is ever parsed with a schema bound to the parser.
"""

from __future__ import annotations

from functools import cache

from lxml import etree

SMALL = 3000
"""Elements of a tree in which nothing can cost much."""
STEPS_MAX = 30_000_000
"""Elements times siblings; a list of 1000 events stays below."""


def complaint(tree: etree._Element, schema: etree.XMLSchema) -> str:
    """The first thing that is wrong with a tree, in libxml2's words; empty when it is valid."""
    if _costly(tree):
        return _streamed(tree, schema)
    return "" if schema.validate(tree) else _first(schema.error_log)


def _costly(tree: etree._Element) -> bool:
    elements = _elements()(tree)
    assert isinstance(elements, float)
    return elements > SMALL and bool(_wider_than(int(STEPS_MAX // elements))(tree))


@cache
def _elements() -> etree.XPath:
    return etree.XPath("count(descendant-or-self::*)")


def _wider_than(siblings: int) -> etree.XPath:
    return etree.XPath(f"boolean(descendant-or-self::*[count(*) > {siblings}])")


def _streamed(tree: etree._Element, schema: etree.XMLSchema) -> str:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, schema=schema)
    try:
        etree.fromstring(etree.tostring(tree, with_tail=False), parser)
    except etree.XMLSyntaxError:
        return _first(parser.error_log)
    return ""


def _first(errors: etree._ListErrorLog) -> str:
    return str(errors.filter_from_errors()[0].message)
