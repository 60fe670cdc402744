"""Event lists as a utility sends them, for the row `openadr2_parse` and the tests of large messages."""

from __future__ import annotations

from vpp_gateway.northbound.openadr2 import schema
from vpp_gateway.northbound.openadr2.codec import Codec
from vpp_gateway.northbound.openadr2.messages import DistributeEvent, Event, Signal, SignalInterval, Targets
from vpp_gateway.northbound.openadr2.report_words import Unit

QUARTER_S = 900.0
KW = Unit(name="powerReal", units="W", scale="k", hertz=50.0, voltage=6600.0, ac=True)


def event(number: int, first_at: float, intervals: int = 1) -> Event:
    """A dispatch by an hour's notice; nothing optional is left out that a utility fills in."""
    return Event(
        event_id=f"event-{number:06d}",
        modification=number % 3,
        status="far",
        market_context="http://utility.example/fast-dr",
        created_at=first_at - 86_400.0,
        priority=1,
        comment="evening peak",
        start_at=first_at + 3600.0 * number,
        duration_s=QUARTER_S * intervals,
        notification_s=3600.0,
        ramp_up_s=300.0,
        signals=(
            Signal(
                name="LOAD_DISPATCH",
                type="delta",
                id=f"signal-{number}",
                intervals=tuple(
                    SignalInterval(duration_s=QUARTER_S, value=-500.0 - uid, start_at=None, uid=str(uid))
                    for uid in range(intervals)
                ),
                unit=KW,
            ),
        ),
        targets=Targets(ven_ids=("ven-1",)),
        response_required=True,
    )


def event_list(events: int, intervals: int = 1, first_at: float = 1_900_000_000.0) -> DistributeEvent:
    """One oadrDistributeEvent."""
    return DistributeEvent(
        request_id="request-1",
        vtn_id="vtn-1",
        events=tuple(event(number, first_at, intervals) for number in range(events)),
    )


def body(message: DistributeEvent) -> bytes:
    """Its bytes, unsigned."""
    return Codec(schema=schema.load()).encode(message, 0.0)
