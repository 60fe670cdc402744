"""Reads long event lists by moulds where it can; says None where the usual way has to read the document."""

from __future__ import annotations

from lxml import etree

from vpp_gateway.northbound.openadr2 import wire
from vpp_gateway.northbound.openadr2.messages import DistributeEvent, Event
from vpp_gateway.northbound.openadr2.moulds import Moulds, Namespaces, Parted
from vpp_gateway.northbound.openadr2.xml_intake import Limits, WireError, parse
from vpp_gateway.northbound.openadr2.xml_names import find, need

BYTES_MIN = 8 * 1024
"""Shorter documents gain nothing."""
LEFT_FEW = 8
"""So few events need no mould."""
LEARN_MAX = 3
"""New moulds of one document: each costs some milliseconds."""
SHELL_MAX = 64 * 1024
"""Letters around the events, at most: they are read anew with each event that is learned from."""
_NAME = b"oadrEvent"


class LongLists:
    """The lists of one connection, unsigned. Safe to share between threads."""

    def __init__(self, schema: etree.XMLSchema, limits: Limits) -> None:
        self._schema, self._limits = schema, limits
        self._moulds = Moulds()

    def read(self, body: bytes) -> DistributeEvent | None:
        """The list, when moulds read at least one event of it, or do so once they have learned from it.

        Returns:
            None for what is no list, is short, or holds anything wrong outside single events: the usual way then
            reads it anew and says what is wrong.
        """
        if not BYTES_MIN <= len(body) <= self._limits.bytes_max:
            return None
        parted = self._moulds.part(body)
        if parted is None or len(parted.head) + len(parted.tail) > SHELL_MAX:
            return None
        for _ in range(LEARN_MAX):
            if len(parted.left) <= LEFT_FEW or not self._learn(parted):
                break
            again = self._moulds.part(body)
            if again is None:
                return None
            parted = again
        if not parted.cast:
            return None
        rest, limits = parted.document(*parted.left), self._limits
        if (
            parted.elements + rest.count(b"<") > limits.elements_max
            or parted.equals_signs + rest.count(b"=") > limits.attributes_max
        ):
            return None
        said = self._read(rest, len(parted.left))
        if said is None:
            return None
        message, around = said
        if parted.around not in (None, around):
            return None
        events = dict(zip(parted.places, message.events, strict=True)) | parted.cast
        return DistributeEvent(
            request_id=message.request_id,
            vtn_id=message.vtn_id,
            events=tuple([events[place] for place in range(len(events))]),
            response=message.response,
        )

    def _learn(self, parted: Parted) -> bool:
        """From the last event that fits no mould; whether there is a new one."""
        said = self._read(parted.document(parted.left[-1]), 1)
        if said is None:
            return False
        (event,), around = said[0].events, said[1]
        return isinstance(event, Event) and self._moulds.learn(parted, event, around, self._only_event)

    def _read(self, document: bytes, events: int) -> tuple[DistributeEvent, Namespaces] | None:
        """The usual way; None when the document is not wholly a list of so many events that all have names.

        Nor may it name an oadrEvent anywhere else: inside another event, in a signature's Object, behind the list.
        Then what was parted are the list's own events, and what stands between two of them is one as well.
        """
        if document.count(_NAME) != 2 * events:
            return None
        try:
            payload = parse(document, self._limits)
            refused = wire.check(payload, self._schema)
            message = wire.read(need(payload, "oadr:oadrSignedObject"), refused)
        except WireError:
            return None
        distribute = find(payload, "oadr:oadrSignedObject", "oadr:oadrDistributeEvent")
        if distribute is None or not isinstance(message, DistributeEvent) or message.unreadable:
            return None
        if len(message.events) != events:
            return None
        return message, frozenset(distribute.nsmap.items())

    def _only_event(self, document: bytes) -> Event | None:
        said = self._read(document, 1)
        if said is None:
            return None
        (event,) = said[0].events
        return event if isinstance(event, Event) else None
