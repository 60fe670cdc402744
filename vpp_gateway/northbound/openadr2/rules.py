"""Which conformance rules a message touches, by its kind and its content; for the record, never for a decision.

Rule numbers are those of the OpenADR 2.0 conformance rules; docs/conformance.md says what each asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from vpp_gateway.northbound.openadr2.messages import (
    BrokenEvent,
    CanceledPartyRegistration,
    CancelPartyRegistration,
    CreatedEvent,
    CreatedPartyRegistration,
    CreatePartyRegistration,
    DistributeEvent,
    Event,
    Message,
    Poll,
    QueryRegistration,
    RequestEvent,
    RequestReregistration,
    Response,
)
from vpp_gateway.northbound.openadr2.opt_words import CanceledOpt, CancelOpt, CreatedOpt, CreateOpt
from vpp_gateway.northbound.openadr2.report_words import (
    CanceledReport,
    CancelReport,
    CreatedReport,
    CreateReport,
    RegisteredReport,
    RegisterReport,
    UpdatedReport,
    UpdateReport,
)

ALWAYS = ("1", "21", "45", "46", "53")
"""Touched by every message: dates, ids, no schemaLocation, optional elements, simple HTTP."""


def touched(message: Message) -> tuple[str, ...]:
    """Rules, each once, numbers in ascending order."""
    found = {*ALWAYS, *_KINDS.get(type(message), ())}
    if isinstance(message, DistributeEvent):
        found.update(_distribute(message))
    response = getattr(message, "response", None)
    if response is not None and not response.ok:
        found.update(("25", "48"))
    return tuple(sorted(found, key=_order))


_KINDS: Mapping[type, tuple[str, ...]] = {
    QueryRegistration: (),
    CreatePartyRegistration: ("37",),
    CreatedPartyRegistration: ("54",),
    CancelPartyRegistration: (),
    CanceledPartyRegistration: (),
    RequestReregistration: (),
    Poll: ("37", "54", "55", "64"),
    Response: (),
    RequestEvent: ("23",),
    DistributeEvent: ("12", "15", "41", "43", "50", "61", "62"),
    CreatedEvent: ("12", "25", "35", "42", "62", "64"),
    RegisterReport: ("306", "311"),
    RegisteredReport: (),
    CreateReport: ("304", "306"),
    CreatedReport: ("304",),
    UpdateReport: ("304", "314"),
    UpdatedReport: ("304",),
    CancelReport: ("304",),
    CanceledReport: ("304",),
    CreateOpt: ("206",),
    CreatedOpt: ("206",),
    CancelOpt: ("206",),
    CanceledOpt: ("206",),
}


def _distribute(message: DistributeEvent) -> Iterator[str]:
    if not message.request_id:
        yield "44"
    for event in message.events:
        match event:
            case BrokenEvent():
                yield from ("19", "31", "48")
            case Event():
                yield from (rule for rule, holds in _EVENT.items() if holds(event))


_EVENT: Mapping[str, Callable[[Event], bool]] = {
    "2": lambda event: any(len(signal.intervals) > 1 for signal in event.signals),
    "6": lambda event: event.test,
    "8": lambda event: event.duration_s > 0,
    "9": lambda event: any(signal.name == "SIMPLE" for signal in event.signals),
    "14": lambda event: any(signal.current_value is not None for signal in event.signals),
    "18": lambda event: bool(event.priority),
    "22": lambda event: True,
    "30": lambda event: event.startafter_s > 0,
    "31": lambda event: True,
    "32": lambda event: True,
    "36": lambda event: event.status == "cancelled",
    "47": lambda event: event.duration_s == 0,
    "48": lambda event: True,
    "52": lambda event: event.status == "cancelled",
    "56": lambda event: event.modification == 0,
    "57": lambda event: event.modification > 0,
    "58": lambda event: event.modification > 0,
    "59": lambda event: event.status == "cancelled",
    "60": lambda event: event.status == "cancelled",
    "65": lambda event: event.status == "cancelled" and event.startafter_s > 0,
    "66": lambda event: event.status == "completed",
}
"""Rule -> whether this event touches it."""


def known() -> frozenset[str]:
    """Every rule that `touched` can name."""
    kinds = {rule for rules in _KINDS.values() for rule in rules}
    return frozenset({*ALWAYS, *kinds, *_EVENT, "19", "25", "44", "48"})


def _order(rule: str) -> tuple[int, str]:
    return int(rule), rule
