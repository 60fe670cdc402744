"""Lists read by moulds: whatever the document, the outcome is that of the usual way, and no tag can hide."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from tests.bench.openadr2_lists import body, event_list
from tests.playbook.ven_stage import xsd
from vpp_gateway.northbound.openadr2 import wire
from vpp_gateway.northbound.openadr2.codec import Codec
from vpp_gateway.northbound.openadr2.long_lists import LEFT_FEW, SHELL_MAX, LongLists
from vpp_gateway.northbound.openadr2.messages import DistributeEvent, Event, Message
from vpp_gateway.northbound.openadr2.moulds import EVENT_MAX, MOULDS_MAX, Moulds
from vpp_gateway.northbound.openadr2.xml_intake import Limits, WireError, parse
from vpp_gateway.northbound.openadr2.xml_names import need

MANY = 40
FAR = b"<ei:eventStatus>far</ei:eventStatus>"
OPENING, CLOSING = b"<oadr:oadrEvent>", b"</oadr:oadrEvent>"


def usual(document: bytes) -> Message | str:
    """The tree and nothing else."""
    try:
        payload = parse(document, Limits())
        refused = wire.check(payload, xsd())
        return wire.read(need(payload, "oadr:oadrSignedObject"), refused)
    except WireError as error:
        return str(error)


def ours(codec: Codec, document: bytes) -> Message | str:
    try:
        return codec.decode(document, 0.0).message
    except WireError as error:
        return str(error)


def taught() -> Codec:
    """A codec that has read such a list before."""
    codec = Codec(schema=xsd())
    assert codec.decode(body(event_list(MANY)), 0.0).message == event_list(MANY)
    return codec


def in_event(number: int, old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Change one event of the list."""

    def change(document: bytes) -> bytes:
        head, *events = document.split(OPENING)
        assert old in events[number]
        events[number] = events[number].replace(old, new, 1)
        return OPENING.join((head, *events))

    return change


def everywhere(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda document: document.replace(old, new)


def all_in_one(document: bytes) -> bytes:
    """The first event holds the others, which the schema refuses; its id can be read all the same."""
    head, first, *others = document.split(OPENING)
    last, _, tail = others.pop().rpartition(CLOSING)
    inside = OPENING + OPENING.join((*others, last)) + CLOSING
    return head + OPENING + first.removesuffix(CLOSING) + inside + CLOSING + tail


def in_signature(
    document: bytes, keep: int = 1, inside: Callable[[bytes], bytes] = lambda said: said
) -> bytes:
    """All but the first events stand in a signature's Object. It is not looked at while signatures are not required."""
    head, *events = document.split(OPENING)
    last, _, tail = events.pop().rpartition(CLOSING)
    events.append(last + CLOSING)
    before, mark, behind = head.partition(b"<oadr:oadrSignedObject")
    hidden = b"".join(inside(OPENING + event) for event in events[keep:])
    listed = b"".join(OPENING + event for event in events[:keep])
    return before + SIGNATURE % hidden + mark + behind + listed + tail


SIGNATURE = (
    b'<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo>'
    b'<ds:CanonicalizationMethod Algorithm="a:b"/><ds:SignatureMethod Algorithm="a:b"/>'
    b'<ds:Reference><ds:DigestMethod Algorithm="a:b"/><ds:DigestValue>AAAA</ds:DigestValue></ds:Reference>'
    b"</ds:SignedInfo><ds:SignatureValue>AAAA</ds:SignatureValue><ds:Object>%s</ds:Object></ds:Signature>"
)
ID = b"<ei:eventID>event-000007<"
STRANGE: dict[str, Callable[[bytes], bytes]] = {
    "as it was": everywhere(b"", b""),
    "comment in an id": in_event(7, ID, b"<ei:eventID>event-<!-- -->000007<"),
    "character data in an id": in_event(7, ID, b"<ei:eventID><![CDATA[event-7]]><"),
    "an event in a comment": in_event(7, b"<ei:eiEvent>", b"<!--" + OPENING + CLOSING + b"--><ei:eiEvent>"),
    "instruction in an id": in_event(7, ID, b"<ei:eventID>event-<?x y?>7<"),
    "entity of XML's own": in_event(7, ID, b"<ei:eventID>event&amp;7<"),
    "entity of nobody's": in_event(7, ID, b"<ei:eventID>event&x;7<"),
    "character by number": in_event(7, ID, b"<ei:eventID>event&#45;7<"),
    "character that XML forbids": in_event(7, ID, b"<ei:eventID>event\x01<"),
    "character that XML forbids, in a comment": in_event(7, b">evening peak<", b">evening\x08peak<"),
    "letters beyond ASCII in a comment": in_event(7, b">evening peak<", ">夕方のピーク<".encode()),
    "letters beyond the first plane": in_event(7, b">evening peak<", ">🔋<".encode()),
    "a non-character": in_event(7, b">evening peak<", ">￾<".encode()),
    "bytes that are no UTF-8": in_event(7, b">evening peak<", b">\xff<"),
    "a line feed in a comment": in_event(7, b">evening peak<", b">evening\npeak<"),
    "a carriage return in a comment": in_event(7, b">evening peak<", b">evening\r\npeak<"),
    "greater-than in a comment": in_event(7, b">evening peak<", b">evening > peak<"),
    "no comment at all": in_event(7, b"<ei:vtnComment>evening peak</ei:vtnComment>", b""),
    "an empty comment": in_event(7, b">evening peak<", b"><"),
    "an empty id": in_event(7, ID, b"<ei:eventID><"),
    "spaces around an id": in_event(7, ID, b"<ei:eventID> event-7 <"),
    "a state that is none": in_event(7, FAR, FAR.replace(b"far", b"soon")),
    "two states": in_event(7, FAR, FAR + FAR),
    "a cancelled event": in_event(7, FAR, FAR.replace(b"far", b"cancelled")),
    "a month that is none": in_event(
        7, b"<xcal:date-time>2030-", b"<xcal:date-time>2030-13-01T00:00:00Z<!-- "
    ),
    "the 30th of February": in_event(7, b"2030-03-16T17:46:40Z", b"2030-02-30T17:46:40Z"),
    "the 24th hour": in_event(7, b"2030-03-16T17:46:40Z", b"2030-03-16T24:00:00Z"),
    "the year 0": in_event(7, b"2030-03-16T17:46:40Z", b"0000-03-16T17:46:40Z"),
    "a leap second": in_event(7, b"2030-03-16T17:46:40Z", b"2030-03-16T17:46:60Z"),
    "a time with an offset": in_event(7, b"2030-03-16T17:46:40Z", b"2030-03-16T17:46:40+09:00"),
    "a fraction of a second": in_event(7, b"2030-03-16T17:46:40Z", b"2030-03-16T17:46:40.5Z"),
    "a duration in days": in_event(7, b">PT15M<", b">P1D<"),
    "a duration that is none": in_event(7, b">PT15M<", b">15 min<"),
    "an amount with an exponent": in_event(7, b"<ei:value>-500<", b"<ei:value>-5e2<"),
    "an amount that is none": in_event(7, b"<ei:value>-500<", b"<ei:value>much<"),
    "not a number": in_event(7, b"<ei:value>-500<", b"<ei:value>NaN<"),
    "a count too large": in_event(7, b"<ei:priority>1<", b"<ei:priority>99999999999<"),
    "a negative count": in_event(7, b"<ei:priority>1<", b"<ei:priority>-1<"),
    "answers not wanted": in_event(7, b">always<", b">never<"),
    "answers wanted sometimes": in_event(7, b">always<", b">sometimes<"),
    "another target": in_event(7, b">ven-1<", b">ven-2<"),
    "an attribute": in_event(7, b"<ei:eiEvent>", b'<ei:eiEvent ei:x="1">'),
    "an attribute with a tag in it": in_event(7, b"<ei:eiEvent>", b'<ei:eiEvent ei:x="</oadr:oadrEvent>">'),
    "nil": in_event(
        7,
        b"<ei:eventID>",
        b'<ei:eventID xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true">',
    ),
    "a prefix that changes its meaning": in_event(
        7, b"<ei:eiEvent>", b'<ei:eiEvent xmlns:ei="http://x.example/">'
    ),
    "an event inside an event": in_event(7, b"<ei:eiEvent>", OPENING + CLOSING + b"<ei:eiEvent>"),
    "an event that never ends": in_event(7, CLOSING, b""),
    "an event that ends twice": in_event(7, CLOSING, CLOSING + CLOSING),
    "something between two events": in_event(7, CLOSING, CLOSING + b"<ei:vtnID>vtn-1</ei:vtnID>"),
    "words between two events": in_event(7, CLOSING, CLOSING + b"words"),
    "space between two events": in_event(7, CLOSING, CLOSING + b" \r\n\t "),
    "space around all tags": everywhere(b"><", b">\n  <"),
    "something after the last event": in_event(MANY - 1, CLOSING, CLOSING + b"<ei:vtnID>vtn-1</ei:vtnID>"),
    "the list ends early": lambda document: document[: len(document) // 2],
    "more after the end": everywhere(b"</oadr:oadrPayload>", b"</oadr:oadrPayload><x/>"),
    "other prefixes": lambda document: document.replace(b"oadr:", b"o:").replace(b":oadr=", b":o="),
    "one event with another prefix": in_event(
        7, b"<ei:eiEvent>", b"<e:eiEvent xmlns:e='http://docs.oasis-open.org/ns/energyinterop/201110'>"
    ),
    "another encoding": lambda document: document.replace(b"UTF-8", b"ISO-8859-1", 1),
    "UTF-16": lambda document: document.decode().replace("UTF-8", "UTF-16", 1).encode("utf-16"),
    "a byte order mark": lambda document: b"\xef\xbb\xbf" + document,
    "no declaration": lambda document: document.partition(b"?>")[2],
    "a document type": everywhere(b"?>", b"?><!DOCTYPE x>"),
    "an id twice": in_event(7, ID, b"<ei:eventID>event-000008<"),
    "no id": in_event(7, ID + b"/ei:eventID>", b""),
    "all others inside the first event": all_in_one,
    "all others in a signature's Object": in_signature,
    "half of them in a signature's Object": lambda document: in_signature(document, MANY // 2),
    "another VTN": everywhere(b">vtn-1<", b">vtn-2<"),
}


@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.parametrize("codec", [taught, lambda: Codec(schema=xsd())], ids=["taught", "new"])
def test_the_outcome_is_that_of_the_usual_way(name: str, codec: Callable[[], Codec]) -> None:
    document = STRANGE[name](body(event_list(MANY)))
    reader = codec()
    wanted = repr(usual(document))  # in letters: not-a-number is not itself
    assert repr(ours(reader, document)) == wanted
    assert repr(ours(reader, document)) == wanted, "once more, with what the first reading taught"


def test_the_usual_way_is_seldom_needed() -> None:
    """Otherwise the comparison above would compare nothing."""
    moulds, document = Moulds(), body(event_list(MANY))
    assert learn_last(moulds, document)
    parted = moulds.part(document)
    assert parted is not None
    assert (len(parted.left), len(parted.cast)) == (1, MANY - 1)
    assert tuple(parted.cast.values()) == event_list(MANY).events[1:]


def learn_last(
    moulds: Moulds, document: bytes, spoil: Callable[[Event], Event] = lambda event: event
) -> bool:
    """Teach the last event of a list; the usual way's word on a probe goes through `spoil`."""

    def read(probe: bytes) -> Event | None:
        said = usual(probe)
        assert isinstance(said, DistributeEvent)
        (event,) = said.events
        assert isinstance(event, Event)
        return spoil(event)

    said, parted = usual(document), moulds.part(document)
    assert isinstance(said, DistributeEvent) and parted is not None
    event = said.events[-1]
    assert isinstance(event, Event)
    return moulds.learn(parted, event, namespaces(document), read)


def namespaces(document: bytes) -> frozenset[tuple[str | None, str]]:
    return frozenset(etree.fromstring(document).nsmap.items())


def test_a_mould_that_does_not_prove_itself_is_not_kept() -> None:
    moulds, document = Moulds(), body(event_list(MANY))
    assert not learn_last(moulds, document, lambda event: replace(event, priority=event.start_at))
    assert not learn_last(moulds, document, lambda event: replace(event, status="near"))
    assert learn_last(moulds, document)
    assert not learn_last(moulds, document), "known already"


def test_the_same_letters_in_other_namespaces_fit_no_mould() -> None:
    """Prefixes mean what the document around says; moulds of another meaning are not used."""
    codec, document = taught(), body(event_list(MANY))
    swapped = document.replace(b"ns/energyinterop/201110/payloads", b"ns/energyinterop/201110/paylord")
    assert isinstance(ours(codec, swapped), str)
    swapped = document.replace(
        b'xmlns:scale="http://docs.oasis-open.org', b'xmlns:scale="http://docs.oasis-opem.org'
    )
    assert ours(codec, swapped) == usual(swapped)
    assert ours(codec, document) == event_list(MANY)


def test_an_event_that_is_not_of_the_list_teaches_nothing() -> None:
    """Its markup would stand for the event that is."""

    def without_holes(event: bytes) -> bytes:
        """No text has its plain form: here each begins with a reference to its first letter."""
        return re.sub(rb">([!-;=?-~])(?=[^<>]*<)", lambda found: b">&#%d;" % found[1][0], event)

    document = body(event_list(MANY))
    head, first, second, *others = document.split(OPENING)
    hidden = without_holes(OPENING + second)
    hiding = in_signature(document, inside=lambda _: hidden)
    codec = taught()
    for _ in range(2):
        assert ours(codec, hiding) == usual(hiding)
    afterwards = head + OPENING + first + hidden + b"".join(OPENING + other for other in others)
    assert ours(codec, afterwards) == usual(afterwards) == event_list(MANY)


def test_large_surroundings_are_read_once() -> None:
    """Learning reads all that stands around the events again and again."""
    plain = body(event_list(MANY))
    head, mark, behind = plain.partition(b"<oadr:oadrSignedObject")
    large = head + SIGNATURE % (b"<x>" + b"<y/>" * (SHELL_MAX // 4) + b"</x>") + mark + behind
    assert usual(large) == event_list(MANY)
    assert LongLists(xsd(), Limits()).read(large) is None
    assert LongLists(xsd(), Limits()).read(plain) == event_list(MANY)


def test_lines_may_end_in_two_letters() -> None:
    """CR LF between the tags is space like any other, so such lists are read by moulds as well."""
    document = body(event_list(MANY)).replace(b"><", b">\r\n<")
    parted = Moulds().part(document)
    assert parted is not None
    assert (len(parted.left), len(parted.cast)) == (MANY, 0)
    assert LongLists(xsd(), Limits()).read(document) == event_list(MANY)


def test_moulds_are_few_and_small() -> None:
    codec = Codec(schema=xsd())
    for number in range(3 * MOULDS_MAX):
        document = body(event_list(MANY)).replace(b">ven-1<", b">ven-%d<" % number)
        assert ours(codec, document) == usual(document)
    moulds = Moulds()
    large = body(event_list(1 + LEFT_FEW, intervals=EVENT_MAX // 200))
    assert not learn_last(moulds, large)


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn")), max_size=20)
TIMES = st.integers(1, 4_000_000_000).map(float)
SPANS = st.integers(0, 100_000).map(float)
VALUES = st.floats(-1e12, 1e12) | st.integers(-(10**9), 10**9).map(float)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "event_id": TEXT.filter(bool),
        "modification": st.integers(0, 2**32 - 1),
        "priority": st.none() | st.integers(0, 2**32 - 1),
        "status": st.sampled_from(["none", "far", "near", "active", "completed", "cancelled"]),
        "created_at": TIMES,
        "start_at": TIMES,
        "duration_s": SPANS,
        "comment": TEXT,
        "test": st.booleans(),
        "recovery_s": st.none() | SPANS,
        "response_required": st.booleans(),
        "value": VALUES,
        "signal_id": TEXT,
        "current_value": st.none() | VALUES,
        "signals": st.integers(1, 3),
    },
)


def varied(event: Event, changes: dict[str, object]) -> Event:
    """The event with other values; those of its signals are named here."""
    (signal,) = event.signals
    (interval,) = signal.intervals
    ours = dict(changes)
    if "value" in ours:
        signal = replace(signal, intervals=(replace(interval, value=ours.pop("value")),))
    for name, field in (("signal_id", "id"), ("current_value", "current_value")):
        if name in ours:
            signal = replace(signal, **{field: ours.pop(name)})
    count = ours.pop("signals", 1)
    assert isinstance(count, int)
    return replace(event, signals=(signal,) * count, **ours)


CODEC = Codec(schema=xsd())


@given(st.lists(CHANGES, min_size=1, max_size=6), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_lists_of_any_events(changes: list[dict[str, object]], kinds: int) -> None:
    plain = event_list(MANY)
    events = [event for event in plain.events if isinstance(event, Event)]
    message = replace(
        plain,
        events=tuple(
            varied(event, changes[number % len(changes)] if number % (kinds + 1) else {})
            for number, event in enumerate(events)
        ),
    )
    document = body(message)
    assert ours(CODEC, document) == usual(document)
