"""Where in the markup of one event the texts stand that differ from event to event, and the plain forms they take.

A form is narrower than the schema's type and than what the reader takes: digits for a number, `2026-01-31T09:00:00Z`
for a time, printable letters for a name. What has another form is no mistake; the event then goes the usual way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vpp_gateway.northbound.openadr2.xml_text import read_count, read_date, read_duration

_TOKEN = re.compile(r"<(/?)([^<>\s/]+)([^<>]*?)(/?)>([^<>]*)")
_NAMESPACES_ONLY = re.compile(r"""(?:\s+xmlns(?::[\w.-]+)?\s*=\s*(?:"[^"<>]*"|'[^'<>]*'))*\s*""")
_LETTERS = r"[ !-%'-;=?-~\u00a0-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd]"
_NAME = r"[!-%'-;=?-~]{1,128}"
_COUNT = r"[0-9]{1,9}"
_NUMBER = r"-?[0-9]{1,9}(?:\.[0-9]{1,9})?"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}Z"
_DURATION = r"PT[0-9]{1,5}[HMS]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Texts of one kind."""

    field: str
    """Of the Event, Signal or SignalInterval."""
    form: str
    """Regular expression without groups; holds neither `<` nor `&`."""
    read: Callable[[str], object]
    """Raises ValueError for a text of the right form that means nothing, such as the 30th of February."""
    probe: Callable[[int], str]
    """A text of this kind, another one for each number below 60."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """One such text in the markup of an event."""

    kind: Kind
    signal: int | None
    """Which signal of the event; None = of the event itself."""
    interval: int | None
    """Which interval of the signal."""
    begin: int
    end: int
    """Letters of the markup: from `begin` up to `end`."""


def _name(field: str) -> Kind:
    return Kind(field=field, form=_NAME, read=str, probe=lambda at: f"probe-{at}")


def _count(field: str) -> Kind:
    return Kind(field=field, form=_COUNT, read=read_count, probe=lambda at: str(700 + at))


def _date(field: str) -> Kind:
    return Kind(field=field, form=_DATE, read=read_date, probe=lambda at: f"2031-02-03T04:05:{at:02d}Z")


def _duration(field: str) -> Kind:
    return Kind(field=field, form=_DURATION, read=read_duration, probe=lambda at: f"PT{700 + at}S")


def _number(field: str) -> Kind:
    return Kind(field=field, form=_NUMBER, read=float, probe=lambda at: f"-{at}.25")


def _word(field: str, words: tuple[str, ...], read: Callable[[str], object]) -> Kind:
    return Kind(field=field, form="|".join(words), read=read, probe=lambda at: words[at % len(words)])


_DESCRIPTOR, _PERIOD = "eiEvent/eventDescriptor/", "eiEvent/eiActivePeriod/properties/"
_SIGNAL = "eiEvent/eiEventSignals/eiEventSignal"
_INTERVAL = f"{_SIGNAL}/intervals/interval"
_STATES = ("far", "near", "active", "completed", "cancelled", "none")
KINDS: dict[str, Kind] = {
    f"{_DESCRIPTOR}eventID": _name("event_id"),
    f"{_DESCRIPTOR}modificationNumber": _count("modification"),
    f"{_DESCRIPTOR}priority": _count("priority"),
    f"{_DESCRIPTOR}createdDateTime": _date("created_at"),
    f"{_DESCRIPTOR}eventStatus": _word("status", _STATES, str),
    f"{_DESCRIPTOR}vtnComment": Kind(
        field="comment", form=f"{_LETTERS}{{0,500}}", read=str, probe=lambda at: f"probe {at}: 試し"
    ),
    f"{_PERIOD}dtstart/date-time": _date("start_at"),
    f"{_PERIOD}duration/duration": _duration("duration_s"),
    f"{_SIGNAL}/signalID": _name("id"),
    f"{_SIGNAL}/currentValue/payloadFloat/value": _number("current_value"),
    f"{_INTERVAL}/dtstart/date-time": _date("start_at"),
    f"{_INTERVAL}/duration/duration": _duration("duration_s"),
    f"{_INTERVAL}/signalPayload/payloadFloat/value": _number("value"),
    "oadrResponseRequired": _word("response_required", ("always", "never"), "always".__eq__),
}
"""Path below oadrEvent, in names without their prefixes -> what stands there."""


def holes_of(markup: str) -> tuple[Hole, ...] | None:
    """The holes of one oadrEvent, in order.

    Returns:
        None when the markup is not of the simplest kind: tags without attributes (namespaces apart), and text.
    """
    return None if (found := list(_walk(markup))) and found[-1] is None else tuple(filter(None, found))


def _walk(markup: str) -> Iterator[Hole | None]:
    """Each hole; None at the end when the markup cannot be told apart in full."""
    path: list[str] = []
    here, signal, interval = 0, -1, -1
    for token in _TOKEN.finditer(markup):
        closing, name, attributes, empty, text = token.groups()
        if token.start() != here or not _NAMESPACES_ONLY.fullmatch(attributes):
            yield None
            return
        here = token.end()
        if closing:
            if not path:
                yield None
                return
            path.pop()
            continue
        path.append(name.rpartition(":")[2])
        place = "/".join(path[1:])
        if place == _SIGNAL:
            signal, interval = signal + 1, -1
        elif place == _INTERVAL:
            interval += 1
        if empty:
            path.pop()
        elif (kind := KINDS.get(place)) is not None and re.fullmatch(kind.form, text):
            yield Hole(
                kind=kind,
                signal=signal if place.startswith(_SIGNAL) else None,
                interval=interval if place.startswith(_INTERVAL) else None,
                begin=token.start(5),
                end=token.end(5),
            )
    if here != len(markup):
        yield None


def probe_of(markup: str, holes: tuple[Hole, ...], number: int) -> str:
    """The markup with each hole filled anew, each with a text of its own; `number` shifts the choice."""
    parts: list[str] = []
    here = 0
    for at, hole in enumerate(holes):
        parts += (markup[here : hole.begin], hole.kind.probe((at + number) % 60))
        here = hole.end
    return "".join((*parts, markup[here:]))
