"""Wire of OpenADR 2.0b: round trip of every message, odd but legal forms, and what must be refused cheaply."""

from __future__ import annotations

import re
import tracemalloc
from time import process_time

import pytest
import xmlschema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.playbook.ven_stage import START, xsd
from tests.unit.openadr2_hostile import HOSTILE
from tests.unit.openadr2_words import EVENTS, ITEMS, MESSAGES, poll
from vpp_gateway.errors import MisuseError
from vpp_gateway.northbound.openadr2 import schema
from vpp_gateway.northbound.openadr2.codec import Codec
from vpp_gateway.northbound.openadr2.messages import BrokenEvent, DistributeEvent, Event, Message, Poll
from vpp_gateway.northbound.openadr2.opt_words import (
    Availability,
    CanceledOpt,
    CancelOpt,
    CreatedOpt,
    CreateOpt,
)
from vpp_gateway.northbound.openadr2.report_words import EiResponse, Point, Report, Unit, UpdateReport
from vpp_gateway.northbound.openadr2.xml_intake import Limits, WireError
from vpp_gateway.northbound.openadr2.xml_text import read_date, read_duration, write_date, write_duration
from vpp_gateway.sim.vtn import dispatch


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec(schema=xsd())


# -- round trip --------------------------------------------------------------------------------------------------


@given(message=MESSAGES)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_round_trip(codec: Codec, message: Message) -> None:
    assert codec.decode(codec.encode(message, START), START).message == message


@given(event=EVENTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_round_trip_of_events(codec: Codec, event: Event) -> None:
    message = DistributeEvent(request_id="r", vtn_id="v", events=(event,))
    assert codec.decode(codec.encode(message, START), START).message == message


@pytest.mark.parametrize(
    "unit",
    [
        Unit(name="powerReal", units="J/s", scale="M", hertz=60.0, voltage=480.5, ac=False),
        Unit(name="powerApparent", units="VA", scale="k", hertz=50.0, voltage=6600.0, ac=True),
        Unit(name="powerReactive", units="VAR", scale="none", hertz=50.0, voltage=200.0, ac=True),
        Unit(name="pulseCount", units="count", scale="none", pulse_factor=0.25),
        *(Unit(name=name, units=units, scale="micro") for name, units in ITEMS if name != "customUnit"),
        Unit(name="customUnit", units="widgets", scale="c", description="whatever"),
    ],
    ids=lambda unit: unit.name,
)
def test_every_item_base_is_read_and_written(codec: Codec, unit: Unit) -> None:
    event = dispatch("E", start_at=START, duration_s=60.0, value=1.0, unit=unit)
    message = DistributeEvent(request_id="r", vtn_id="v", events=(event,))
    assert codec.decode(codec.encode(message, START), START).message == message


def test_a_second_schema_processor_agrees(codec: Codec) -> None:
    """lxml checks what we send; xmlschema, pure Python, is another reader of the same schema set."""
    oracle = xmlschema.XMLSchema(str(schema.find()))
    point = Point(
        r_id="tokyo", value=1.5, start_at=START, duration_s=1.0, quality="Quality Good - Non Specific"
    )
    report = Report(request_id="1", specifier_id="usage", created_at=START, points=(point,), report_id="x")
    for message in (
        Poll(ven_id="VEN-1"),
        UpdateReport(request_id="r", reports=(report,), ven_id="VEN-1"),
        DistributeEvent(
            request_id="r",
            vtn_id="v",
            events=(dispatch("E", start_at=START, duration_s=0, value=1, startafter_s=5),),
        ),
        *(
            CreateOpt(
                request_id="r", opt_id="o", opt="optOut", reason="x-own", ven_id="VEN-1", created_at=START,
                market_context="http://utility.example/program", ven_ids=("VEN-1",), resource_ids=("tokyo",),
                group_ids=("g",), party_ids=("p",), device_classes=("battery",), **subject,
            )
            for subject in (
                {"event_id": "E", "modification": 1},
                {"available": (Availability(start_at=START, duration_s=1800.0),)},
            )
        ),
        CreatedOpt(response=EiResponse(code="200", request_id="r"), opt_id="o"),
        CancelOpt(request_id="r", opt_id="o", ven_id="VEN-1"),
        CanceledOpt(response=EiResponse(code="452", request_id="r")),
    ):  # fmt: skip
        oracle.validate(codec.encode(message, START).decode())


@pytest.mark.parametrize(
    "id", ["007", "1.2.3", "10.0.0.1", "true", "null", "A&B", "<x/>", "]]>", "日本", " 1 ", "1e5"]
)
def test_identifiers_stay_text(codec: Codec, id: str) -> None:
    assert codec.decode(codec.encode(Poll(ven_id=id), START), START).message == Poll(ven_id=id)


def test_output_is_plain(codec: Codec) -> None:
    text = codec.encode(
        DistributeEvent(
            request_id="r", vtn_id="v", events=(dispatch("E", start_at=START, duration_s=0, value=1),)
        ),
        START,
    ).decode()
    assert "schemaLocation" not in text  # rule 45
    assert "2026-01-01T00:00:00Z" in text and "PT0S" in text
    for optional in (
        "priority",
        "testEvent",
        "vtnComment",
        "tolerance",
        "x-eiNotification",
        "currentValue",
        "None",
    ):
        assert optional not in text


def test_characters_that_xml_cannot_carry_are_replaced(codec: Codec) -> None:
    message = codec.decode(codec.encode(Poll(ven_id="a\x00b\x1bc\ud800"), START), START).message
    assert message == Poll(ven_id="a\ufffdb\ufffdc\ufffd")


def test_what_cannot_be_said_is_our_fault(codec: Codec) -> None:
    bad = Report(request_id="1", specifier_id="u", created_at=START, name="NO_SUCH_NAME")
    with pytest.raises(MisuseError, match="UpdateReport"):
        codec.encode(UpdateReport(request_id="r", reports=(bad,)), START)


# -- dates and durations -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-01-01T00:00:00Z", START),
        ("2026-01-01T00:00:00", START),  # V10: no Z is UTC
        ("2026-01-01T00:00:00.250Z", START + 0.25),
        ("2026-01-01T00:00:00.Z", START),
        ("+2026-01-01T00:00:00Z", START),
        ("2025-12-31T24:00:00Z", START),
        (" 2026-01-01T00:00:00Z\n", START),
    ],
)
def test_dates_that_are_read(text: str, at: float) -> None:
    assert read_date(text) == at


@pytest.mark.parametrize(
    "text",
    ["", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00+09:00", "-2026-01-01T00:00:00Z", "0000-01-01T00:00:00Z",
     "2026-01-01T24:00:01Z", "2026-01-01T00:00:60Z", "2026-13-01T00:00:00Z", "now", "２０２６-01-01T00:00:00Z"],
)  # fmt: skip
def test_dates_that_do_not_exist(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        read_date(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("PT0S", 0), ("P", 0), ("PT", 0), ("PT15M", 900), ("P1D", 86400), ("P1DT2H3M4S", 93784), ("-PT5M", -300),
     ("+PT5M", 300), ("3W", 1814400), ("P1M", 2592000), ("P1Y", 31536000), ("PT007S", 7), ("P5S", 5)],
)  # fmt: skip
def test_durations_that_are_read(text: str, seconds: float) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "15M", "P3W", "PT1.5S", "PT-5M", "P999999999999Y", "P101Y", "-", "PT5", "-3W"]
)
def test_durations_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        read_duration(text)


@given(st.integers(0, 4_000_000_000_000).map(lambda ms: ms / 1000))
def test_dates_come_back(at: float) -> None:
    assert read_date(write_date(at)) == at


@given(st.integers(-(10**8), 10**8))
def test_durations_come_back(seconds: int) -> None:
    text = write_duration(seconds)
    assert read_duration(text) == seconds
    assert re.fullmatch(r"-?PT(\d+H)?(\d+M)?(\d+S)?", text) and text[-1] != "T"


# -- one bad event among good ones --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "spoilt"),
    [
        ("2026-01-01T00:00:00Z", "2026-02-31T00:00:00Z"),
        ("2026-01-01T00:00:00Z", "yesterday"),
        ("PT1H", "PT1H30"),
        ("PT1H", "P9999999999Y"),
        (">far<", ">soon<"),
        (">delta<", ">epsilon<"),
        ("<ei:payloadFloat><ei:value>1</ei:value></ei:payloadFloat>", ""),
        (
            "<ei:modificationNumber>0</ei:modificationNumber>",
            "<ei:modificationNumber>-7</ei:modificationNumber>",
        ),
        (">LOAD_DISPATCH<", ">OTHER<"),
        ("<ei:eventID>bad</ei:eventID>", ""),
    ],
)
def test_a_bad_event_costs_only_itself(codec: Codec, found: str, spoilt: str) -> None:
    events = tuple(dispatch(id, start_at=START, duration_s=3600, value=1) for id in ("good1", "bad", "good2"))
    text = codec.encode(DistributeEvent(request_id="r", vtn_id="v", events=events), START).decode()
    begin = text.index("<oadr:oadrEvent>", text.index("good1"))
    end = text.index("</oadr:oadrEvent>", begin)
    assert found in text[begin:end]
    broken = text[:begin] + text[begin:end].replace(found, spoilt) + text[end:]
    message = codec.decode(broken.encode(), START).message
    assert isinstance(message, DistributeEvent)
    good = [event.event_id for event in message.events if isinstance(event, Event)]
    bad = [event for event in message.events if isinstance(event, BrokenEvent)]
    assert good == ["good1", "good2"]
    assert len(bad) + len(message.unreadable) == 1
    assert all(event.event_id == "bad" and "expected" in event.reason for event in bad)


def test_dates_without_z_are_read_in_messages(codec: Codec) -> None:
    event = dispatch("E", start_at=START, duration_s=60, value=1)
    body = codec.encode(DistributeEvent(request_id="r", vtn_id="v", events=(event,)), START)
    message = codec.decode(body.replace(b"00:00Z", b"00:00"), START).message
    assert isinstance(message, DistributeEvent) and message.events == (event,)


def test_comments_do_not_split_identifiers(codec: Codec) -> None:
    assert codec.decode(poll("<ei:venID>VEN<!-- x -->-1</ei:venID>"), START).message == Poll(ven_id="VEN-1")
    assert codec.decode(poll("<ei:venID><![CDATA[VEN]]>-1</ei:venID>"), START).message == Poll(ven_id="VEN-1")


# -- hostile documents --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_document_is_refused_within_bounds(codec: Codec, name: str) -> None:
    body = HOSTILE[name]()
    tracemalloc.start()
    began = process_time()
    with pytest.raises(WireError) as refusal:
        codec.decode(body, START)
    spent_s = process_time() - began
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert spent_s < 2.0, f"{spent_s:.2f} s of CPU"  # tracing slows it; a bomb costs minutes
    assert peak < 64 * 1024 * 1024
    assert len(str(refusal.value)) < 500 and str(refusal.value).isprintable()


@given(st.binary(max_size=300), st.integers(0, 400))
@settings(max_examples=200, deadline=None)
def test_noise_never_escapes_as_another_error(codec: Codec, noise: bytes, at: int) -> None:
    body = poll()
    for damaged in (noise, body[:at] + noise + body[at:], body[:at] + noise):
        try:
            codec.decode(damaged, START)
        except WireError:
            continue


def test_limits_are_configurable() -> None:
    small = Codec(schema=xsd(), limits=Limits(bytes_max=200))
    with pytest.raises(WireError, match="at most 200 bytes"):
        small.decode(poll(), START)
