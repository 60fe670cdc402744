"""Examples and strategies of OpenADR 2.0b messages for the tests of wire and signature."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from vpp_gateway.northbound.openadr2.messages import (
    CanceledPartyRegistration,
    CancelPartyRegistration,
    CreatedEvent,
    CreatedPartyRegistration,
    CreatePartyRegistration,
    DistributeEvent,
    Event,
    EventResponse,
    Message,
    Poll,
    QueryRegistration,
    RequestEvent,
    RequestReregistration,
    Response,
    Signal,
    SignalInterval,
    Targets,
)
from vpp_gateway.northbound.openadr2.opt_words import (
    OPT_REASONS,
    Availability,
    CanceledOpt,
    CancelOpt,
    CreatedOpt,
    CreateOpt,
)
from vpp_gateway.northbound.openadr2.report_words import (
    SI_SCALE,
    CanceledReport,
    CancelReport,
    CreatedReport,
    CreateReport,
    Description,
    EiResponse,
    Point,
    RegisteredReport,
    RegisterReport,
    Report,
    ReportRequest,
    Unit,
    UpdatedReport,
    UpdateReport,
    Wanted,
)

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn"), exclude_characters="￾￿"))
IDS = st.one_of(
    st.sampled_from(["007", "1.2.3", "10.0.0.1", "true", "A&B<c>", " x ", "2026-01-01", "-1"]), TEXT
)
GIVEN = IDS.filter(bool)
MAYBE_ID = st.none() | GIVEN
WHEN = st.integers(0, 4_000_000_000).map(float) | st.integers(0, 4_000_000_000_000).map(lambda ms: ms / 1000)
SPAN = st.integers(0, 10_000_000).map(float)
NUMBER = st.floats(allow_nan=False, allow_infinity=False, width=32)
CONTEXT = st.sampled_from(["http://utility.example/program", "urn:x:1", ""])
RESPONSES = st.builds(
    EiResponse, code=st.sampled_from(["200", "450", "454", "463", "500"]), description=TEXT, request_id=IDS
)
ITEMS = (
    ("energyReal", "Wh"),
    ("energyApparent", "VAh"),
    ("energyReactive", "VARh"),
    ("voltage", "V"),
    ("current", "A"),
    ("frequency", "Hz"),
    ("currency", "USD"),
    ("currencyPerKWh", "JPY"),
    ("currencyPerKW", "EUR"),
    ("currencyPerThm", "USD"),
    ("Therm", "thm"),
    ("temperature", "celsius"),
    ("customUnit", "widgets"),
)
"""itemBase elements with their itemUnits, those of power aside."""
UNITS = st.builds(
    Unit,
    name=st.just("powerReal"),
    units=st.sampled_from(["W", "J/s"]),
    scale=st.sampled_from(sorted(SI_SCALE)),
    hertz=st.sampled_from([50.0, 60.0]),
    voltage=st.sampled_from([200.0, 6600.0]),
    ac=st.booleans(),
) | st.sampled_from(ITEMS).flatmap(
    lambda item: st.builds(
        Unit,
        name=st.just(item[0]),
        units=st.just(item[1]),
        scale=st.sampled_from(sorted(SI_SCALE)),
        description=st.just("a unit of our own") if item[0] == "customUnit" else st.none(),
    )
)


def tuples(of: st.SearchStrategy[Any], min_size: int = 0) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(of, min_size=min_size, max_size=3).map(tuple)


TARGETS = st.builds(
    Targets,
    ven_ids=tuples(GIVEN),
    resource_ids=tuples(GIVEN),
    group_ids=tuples(GIVEN),
    party_ids=tuples(GIVEN),
    device_classes=tuples(GIVEN),
)
INTERVALS = st.builds(
    SignalInterval, duration_s=SPAN, value=NUMBER, start_at=st.none() | WHEN, uid=st.sampled_from(["0", "a"])
)
SIGNALS = st.builds(
    Signal,
    name=st.sampled_from(["LOAD_DISPATCH", "SIMPLE", "x-own"]),
    type=st.sampled_from(["delta", "setpoint", "level"]),
    id=IDS,
    intervals=tuples(INTERVALS, 1),
    unit=st.none() | UNITS,
    targets=TARGETS,
    current_value=st.none() | NUMBER,
)
EVENTS = st.builds(
    Event,
    event_id=GIVEN,
    modification=st.integers(0, 2**32 - 1),
    status=st.sampled_from(["none", "far", "near", "active", "completed", "cancelled"]),
    market_context=CONTEXT,
    start_at=WHEN,
    duration_s=SPAN,
    signals=tuples(SIGNALS, 1),
    targets=TARGETS,
    response_required=st.booleans(),
    created_at=WHEN,
    priority=st.none() | st.integers(0, 2**32 - 1),
    test=st.booleans(),
    comment=TEXT,
    startafter_s=SPAN,
    notification_s=st.none() | SPAN,
    ramp_up_s=st.none() | SPAN.map(lambda s: -s),
    recovery_s=st.none() | SPAN,
)
DESCRIPTIONS = st.builds(
    Description,
    r_id=IDS,
    report_type=st.sampled_from(["usage", "x-own"]),
    reading_type=st.sampled_from(["Direct Read", "Summed"]),
    unit=st.none() | UNITS,
    resource_id=st.none() | IDS,
    market_context=st.none() | st.just("http://utility.example/program"),
    min_period_s=st.just(1.0),
    max_period_s=SPAN,
    on_change=st.booleans(),
)
POINTS = st.builds(
    Point,
    r_id=IDS,
    value=NUMBER,
    start_at=st.none() | WHEN,
    duration_s=st.none() | SPAN,
    quality=st.none() | st.just("Quality Good - Non Specific"),
    confidence=st.none() | st.integers(0, 100),
)
REPORTS = st.builds(
    Report,
    request_id=IDS,
    specifier_id=IDS,
    created_at=WHEN,
    name=st.none() | st.just("TELEMETRY_USAGE"),
    start_at=st.none() | WHEN,
    duration_s=st.none() | SPAN,
    report_id=st.none() | IDS,
    descriptions=tuples(DESCRIPTIONS),
    points=tuples(POINTS),
)
REQUESTS = st.builds(
    ReportRequest,
    request_id=IDS,
    specifier_id=IDS,
    granularity_s=SPAN,
    back_duration_s=SPAN,
    wanted=tuples(st.builds(Wanted, r_id=IDS), 1),
)
CANCELS = st.builds(
    CancelReport, request_id=IDS, report_request_ids=tuples(IDS, 1), follow=st.booleans(), ven_id=MAYBE_ID
)
VEN_ID = st.none() | IDS
OPT_FIELDS: dict[str, Any] = {
    "request_id": IDS,
    "opt_id": IDS,
    "opt": st.sampled_from(["optIn", "optOut"]),
    "reason": st.sampled_from([*OPT_REASONS, "x-own"]),
    "ven_id": IDS,
    "created_at": WHEN,
    "market_context": st.none() | CONTEXT,
    "ven_ids": tuples(IDS),
    "resource_ids": tuples(IDS),
    "group_ids": tuples(IDS),
    "party_ids": tuples(IDS),
    "device_classes": tuples(IDS),
}
MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.builds(QueryRegistration, request_id=IDS),
    st.builds(
        CreatePartyRegistration,
        request_id=IDS,
        registration_id=VEN_ID,
        ven_id=VEN_ID,
        ven_name=st.none() | TEXT,
        xml_signature=st.booleans(),
    ),
    st.builds(
        CreatedPartyRegistration,
        response=RESPONSES,
        vtn_id=IDS,
        registration_id=MAYBE_ID,
        ven_id=MAYBE_ID,
        poll_s=st.none() | SPAN,
    ),
    st.builds(CancelPartyRegistration, request_id=IDS, registration_id=IDS, ven_id=VEN_ID),
    st.builds(CanceledPartyRegistration, response=RESPONSES, registration_id=VEN_ID, ven_id=VEN_ID),
    st.builds(RequestReregistration, ven_id=IDS),
    st.builds(Poll, ven_id=IDS),
    st.builds(Response, response=RESPONSES, ven_id=VEN_ID),
    st.builds(RequestEvent, request_id=IDS, ven_id=IDS, reply_limit=st.none() | st.integers(0, 99)),
    st.builds(
        DistributeEvent, request_id=IDS, vtn_id=IDS, events=tuples(EVENTS), response=st.none() | RESPONSES
    ),
    st.builds(
        CreatedEvent,
        response=RESPONSES,
        ven_id=IDS,
        event_responses=tuples(
            st.builds(
                EventResponse,
                code=st.just("200"),
                request_id=IDS,
                event_id=IDS,
                modification=st.integers(0, 99),
                opt=st.sampled_from(["optIn", "optOut"]),
                description=TEXT,
            )
        ),
    ),
    st.builds(
        RegisterReport, request_id=IDS, reports=tuples(REPORTS), ven_id=VEN_ID, report_request_id=VEN_ID
    ),
    st.builds(RegisteredReport, response=RESPONSES, requests=tuples(REQUESTS), ven_id=VEN_ID),
    st.builds(CreateReport, request_id=IDS, requests=tuples(REQUESTS, 1), ven_id=VEN_ID),
    st.builds(CreatedReport, response=RESPONSES, pending=tuples(IDS), ven_id=VEN_ID),
    st.builds(UpdateReport, request_id=IDS, reports=tuples(REPORTS), ven_id=VEN_ID),
    st.builds(UpdatedReport, response=RESPONSES, cancel=st.none() | CANCELS, ven_id=VEN_ID),
    CANCELS,
    st.builds(CanceledReport, response=RESPONSES, pending=tuples(IDS), ven_id=VEN_ID),
    st.builds(CreateOpt, event_id=IDS, modification=st.integers(0, 99), **OPT_FIELDS),
    st.builds(
        CreateOpt, available=tuples(st.builds(Availability, start_at=WHEN, duration_s=SPAN), 1), **OPT_FIELDS
    ),
    st.builds(CreatedOpt, response=RESPONSES, opt_id=IDS),
    st.builds(CancelOpt, request_id=IDS, opt_id=IDS, ven_id=IDS),
    st.builds(CanceledOpt, response=RESPONSES, opt_id=VEN_ID),
)

OADR = "http://openadr.org/oadr-2.0b/2012/07"


def poll(inner: str = "<ei:venID>VEN-1</ei:venID>", head: str = "", around: str = "{}") -> bytes:
    """An oadrPoll by hand."""
    body = (
        f'<oadr:oadrPayload xmlns:oadr="{OADR}" xmlns:ei="http://docs.oasis-open.org/ns/energyinterop/201110">'
        f'<oadr:oadrSignedObject><oadr:oadrPoll ei:schemaVersion="2.0b">{inner}</oadr:oadrPoll>'
        f"</oadr:oadrSignedObject></oadr:oadrPayload>"
    )
    return (head + around.format(body)).encode()
