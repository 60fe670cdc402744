"""The schema's word on large trees is the same as on small ones; what it costs, test_openadr2_hostile counts."""

from __future__ import annotations

import pytest
from lxml import etree

from tests.bench.openadr2_lists import body, event_list
from tests.playbook.ven_stage import xsd
from vpp_gateway.northbound.openadr2 import validity, wire
from vpp_gateway.northbound.openadr2.xml_intake import Limits, WireError, parse

WIDE = 2400
SPOILT = {
    "nothing": (b"", b""),
    "a state": (b">far<", b">soon<"),
    "a number": (b"<ei:value>-500<", b"<ei:value>much<"),
    "a missing part": (b"<ei:signalType>delta</ei:signalType>", b""),
    "a part too many": (b"</oadr:oadrEvent>", b"<ei:eventID>x &amp; y</ei:eventID></oadr:oadrEvent>"),
    "a namespace": (b"<ei:eventStatus>", b"<ei:eventStatus xmlns:ei='urn:evil'>"),
    "a text": (b"<ei:eiEvent>", b"<ei:eiEvent>\r\n\xe8\xa9\xa6 &#13; &gt;"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_large_tree_gets_the_words_that_libxml2_has_for_it(name: str) -> None:
    old, new = SPOILT[name]
    document = body(event_list(WIDE)).replace(old, new, 1)
    tree, schema = etree.fromstring(document), xsd()
    assert (WIDE * len(tree.findall(".//*"))) > validity.STEPS_MAX
    found = validity.complaint(tree, schema)
    assert schema.validate(tree) == (not found)
    assert found == ("" if not found else schema.error_log.filter_from_errors()[0].message)
    assert etree.tostring(tree) == etree.tostring(etree.fromstring(document)), "the tree is as it was"


def test_a_list_of_more_bad_events_than_anybody_sends_is_refused() -> None:
    good = body(event_list(1))
    for bad, refused in ((wire.REFUSED_MAX, False), (wire.REFUSED_MAX + 1, True)):
        payload = parse(good.replace(b"</ei:vtnID>", b"</ei:vtnID>" + b"<oadr:oadrEvent/>" * bad), Limits())
        if refused:
            with pytest.raises(WireError, match="at most 1000 events"):
                wire.check(payload, xsd())
        else:
            assert len(wire.check(payload, xsd())) == bad
