"""XML as the harness needs it: short names, XPath with the standard's prefixes, and alterations of a tree.

An alteration is what makes a message wrong on purpose, or a VEN defective on purpose:

    {set: //ei:responseCode, to: "452"}      {remove: //ei:venID}      {repeat: //oadr:oadrEvent}
    {attribute: //oadr:oadrX, name: ..., to: ...}      {insert: <xml/>, into: //xpath, at: 0}
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from types import MappingProxyType
from typing import Self, cast

from lxml import etree
from pydantic import BaseModel, ConfigDict, Field, model_validator

from vpp_gateway.northbound.openadr2.xml_names import NAMESPACES, tag

Found = list[etree._Element] | list[str] | str | float | bool
PREFIXES = {**NAMESPACES, "xsi": "http://www.w3.org/2001/XMLSchema-instance"}


class ProcedureError(Exception):
    """A procedure asks for something that cannot be done; names the key."""


def evaluate(tree: etree._Element, path: str, named: Mapping[str, str] = MappingProxyType({})) -> Found:
    """The value of an XPath 1.0 expression with the standard's prefixes; `$name` is a text of `named`.

    Raises:
        ProcedureError: it is no XPath.
    """
    try:
        return cast(Found, etree.XPath(path, namespaces=PREFIXES)(tree, **named))
    except etree.XPathError as error:
        raise ProcedureError(f"no XPath: {path}: {error}") from None


def nodes(tree: etree._Element, path: str) -> list[etree._Element]:
    """The elements at a path."""
    found = evaluate(tree, path)
    return [one for one in found if isinstance(one, etree._Element)] if isinstance(found, list) else []


def values(tree: etree._Element, path: str, named: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """The texts at a path: of elements, attributes, or of a computed value."""
    found = evaluate(tree, path, named)
    if not isinstance(found, list):
        if isinstance(found, bool):
            return ["true" if found else "false"]
        return [f"{found:g}" if isinstance(found, float) else found]
    return [(one.text or "") if isinstance(one, etree._Element) else str(one) for one in found]


def message_of(payload: etree._Element) -> etree._Element | None:
    """The message inside an oadrPayload, or None."""
    signed = payload.find(tag("oadr:oadrSignedObject"))
    return None if signed is None or not len(signed) else signed[0]


def name_of(payload: etree._Element) -> str:
    """Its element name, for instance `oadrPoll`; empty when there is none."""
    message = message_of(payload)
    return "" if message is None else etree.QName(message).localname


class Alteration(BaseModel):
    """One change to a tree; exactly one of set, remove, repeat, attribute, insert."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    set: str | None = None
    """XPath of elements whose text becomes `to`."""
    remove: str | None = None
    """XPath of elements that go."""
    repeat: str | None = None
    """XPath of elements that are put a second time behind themselves."""
    attribute: str | None = None
    """XPath of elements whose attribute `name` becomes `to`."""
    insert: str | None = None
    """XML put into the elements `into`, as child number `at` (-1: last)."""
    to: str = ""
    name: str = ""
    into: str = ""
    at: int = -1

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [key for key in ("set", "remove", "repeat", "attribute", "insert") if getattr(self, key)]
        if len(given) != 1:
            raise ValueError("give exactly one of set, remove, repeat, attribute, insert")
        if self.attribute and not self.name:
            raise ValueError("attribute needs a name")
        if self.insert and not self.into:
            raise ValueError("insert needs into")
        return self


class Alterations(BaseModel):
    """A list of changes, made in order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alter: tuple[Alteration, ...] = Field(default=())


def alter(tree: etree._Element, changes: tuple[Alteration, ...]) -> bool:
    """Change a tree in place; False when a path met nothing."""
    met = [_alter(tree, change) for change in changes]  # every one is made, also after one that met nothing
    return all(met)


def _alter(tree: etree._Element, change: Alteration) -> bool:
    path = change.set or change.remove or change.repeat or change.attribute or change.into
    met = nodes(tree, path)
    for element in met:
        parent = element.getparent()
        if change.set is not None:
            element.text = change.to
        elif change.attribute is not None:
            prefix, _, local = change.name.rpartition(":")
            element.set(f"{{{PREFIXES[prefix]}}}{local}" if prefix else local, change.to)
        elif change.insert is not None:
            _insert(element, change)
        elif parent is not None and change.remove is not None:
            parent.remove(element)
        elif parent is not None:
            element.addnext(copy.deepcopy(element))
    return bool(met)


def _insert(parent: etree._Element, change: Alteration) -> None:
    spaces = " ".join(f'xmlns:{prefix}="{space}"' for prefix, space in PREFIXES.items())
    try:
        wrapper = etree.fromstring(f"<w {spaces}>{change.insert}</w>")
    except etree.XMLSyntaxError as error:
        raise ProcedureError(f"insert: no XML: {error}") from None
    at = len(parent) if change.at < 0 else change.at
    for offset, child in enumerate(list(wrapper)):
        parent.insert(at + offset, child)
