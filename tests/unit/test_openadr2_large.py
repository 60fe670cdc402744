"""Long event lists: taken whole with the limits that profiles have by default, and one bad event costs only itself."""

from __future__ import annotations

import pytest

from tests.bench.openadr2_lists import body, event_list
from tests.playbook.ven_stage import xsd
from tests.unit.test_openadr2_wire import HOSTILE
from vpp_gateway.northbound.openadr2 import xml_intake
from vpp_gateway.northbound.openadr2.codec import Codec
from vpp_gateway.northbound.openadr2.messages import BrokenEvent, DistributeEvent, Event
from vpp_gateway.northbound.openadr2.program import ProgramProfile
from vpp_gateway.northbound.openadr2.xml_intake import Limits, WireError
from vpp_gateway.profile import list_profiles, load_profile

THOUSAND = event_list(1000)


def codec(bytes_max: int = Limits().bytes_max) -> Codec:
    return Codec(schema=xsd(), limits=Limits(bytes_max=bytes_max))


@pytest.mark.parametrize("name", list_profiles("programs"))
def test_a_thousand_events_are_taken_with_the_limits_of_each_program(name: str) -> None:
    program = load_profile("programs", name, ProgramProfile)
    assert codec(program.body_max_bytes).decode(body(THOUSAND), 0.0).message == THOUSAND


def test_a_thousand_events_as_wordy_vtns_write_them() -> None:
    """Eight namespace declarations an event, and fractions of seconds, as some VTNs have them."""
    wordy = body(THOUSAND).replace(b":00Z<", b":00.000000Z<")
    declared = b"".join(b' xmlns:n%d="http://x.example/%d"' % (each, each) for each in range(8))
    wordy = wordy.replace(b"<ei:eiEvent>", b"<ei:eiEvent%s>" % declared)
    assert codec().decode(wordy, 0.0).message == THOUSAND


def test_a_thousand_intervals() -> None:
    message = event_list(1, intervals=1000)
    assert codec().decode(body(message), 0.0).message == message


@pytest.mark.parametrize("bad", [1, 999])
def test_bad_events_in_a_long_list_cost_only_themselves(bad: int) -> None:
    said = body(THOUSAND).replace(b"<ei:eventStatus>far<", b"<ei:eventStatus>soon<", bad)
    message = codec().decode(said, 0.0).message
    assert isinstance(message, DistributeEvent)
    assert [isinstance(event, BrokenEvent) for event in message.events] == [True] * bad + [False] * (
        1000 - bad
    )
    assert all(isinstance(event, Event) or "eventStatus" in event.reason for event in message.events)


def test_a_list_beyond_the_limits_is_refused() -> None:
    with pytest.raises(WireError, match="at most 10000 elements"):
        Codec(schema=xsd(), limits=Limits(elements_max=10_000)).decode(body(THOUSAND), 0.0)


@pytest.mark.parametrize("name", HOSTILE)
def test_the_quick_look_lets_nothing_pass_that_the_pre_pass_refuses(name: str) -> None:
    """What passes the quick look and is not well-formed is refused by the parser: nothing of the tree is lost."""
    document, limits = HOSTILE[name](), Limits()
    if len(document) > limits.bytes_max or not xml_intake.plain(document, limits):
        return
    try:
        xml_intake.count(document, limits)
    except WireError as error:
        with pytest.raises(WireError):
            xml_intake.parse(document, limits)
        assert "levels" in str(error) or "well-formed" in str(error)


@pytest.mark.parametrize("levels", [64, 65])
def test_depth_is_counted_in_the_tree(levels: int) -> None:
    document = b"<a>" * levels + b"</a>" * levels
    assert xml_intake.plain(document, Limits())
    if levels > Limits().depth_max:
        with pytest.raises(WireError, match="64 levels"):
            xml_intake.parse(document, Limits())
    else:
        assert xml_intake.parse(document, Limits()).tag == "a"


@pytest.mark.parametrize(
    "document",
    [
        b"<!DOCTYPE a []><a/>",
        b"<?xml version='1.0' encoding='utf-16'?><a/>",
        b"<?xml version='1.0' encoding='cp037'?><a/>",
        b"\xef\xbb\xbf<?xml version='1.0' encoding='utf-7'?><a/>",
        "<a/>".encode("utf-16"),
        "<a/>".encode("utf-16-le"),
        b"<a>\xff</a>",
        b"<a><![CDATA[x]]></a>",
    ],
)
def test_whatever_may_hide_something_is_looked_at_closely(document: bytes) -> None:
    assert not xml_intake.plain(document, Limits())
