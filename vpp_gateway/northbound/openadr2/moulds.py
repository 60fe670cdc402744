"""Long event lists: an event that repeats an accepted one but for a few texts is read without a tree of its own.

A VTN sends the whole list each time (rule 50), and its events are alike: only ids, times, states and amounts differ.
An event that passed parser, schema and reader leaves a *mould*: its own markup, letter by letter, with holes where
such texts stood (`event_holes`). A later event that fits the mould is well-formed and valid for the reason that the
first one was, for each hole takes only a plain form that its schema type allows. What fits no mould stays in the
document and goes the usual way.

    <oadrEvent>..  first, kept ----+
    <oadrEvent>..  fits -> Event   |--> document with what is left --> intake, schema, reader --> joined in order
    <oadrEvent>..  fits none ------+

The first event is always kept: it shows that the place is the right one and which namespaces the prefixes mean
there. A mould is used only after it has proved itself: on the event it came from, and on two more with every hole
filled anew, each read both ways.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from typing import TypeVar

from vpp_gateway.northbound.openadr2.event_holes import Hole, holes_of, probe_of
from vpp_gateway.northbound.openadr2.messages import Event, Signal, SignalInterval

EVENT_MAX = 16 * 1024
"""Letters of an event that may become a mould."""
MOULDS_MAX = 16
_PROBES = 1, 8
"""Two choices of other texts: together they tell any two holes apart, also those with few words."""
_OPENING = re.compile(r"<((?:[A-Za-z_][\w.-]*:)?oadrEvent)(?=[\s>])", re.ASCII)
_SPACE = re.compile(r"[ \t\r\n]*")
_UTF8 = re.compile(r"""\bencoding\s*=\s*["']utf-8["']""", re.IGNORECASE)

Namespaces = frozenset[tuple[str | None, str]]
"""Prefix and namespace, as they hold around the events."""
Said = tuple[str, ...]
"""The texts of all holes of one event."""
Read = Callable[[bytes], Event | None]


class Mould:
    """One event's markup with holes, and how an Event is made of them. Raises ValueError when it cannot be one."""

    def __init__(self, markup: str, event: Event, around: Namespaces) -> None:
        holes = holes_of(markup)
        if holes is None or len(markup) > EVENT_MAX:
            raise ValueError("expected an event of plain tags and texts")
        self.around = around
        self.markup, self.holes = markup, holes
        self.elements = markup.count("<") - markup.count("</")
        self.equals_signs = markup.count("=")
        parts: list[str] = []
        here = 0
        for hole in holes:
            parts += (re.escape(markup[here : hole.begin]), f"({hole.kind.form})")
            here = hole.end
        self._match = re.compile("".join((*parts, re.escape(markup[here:])))).match
        self._event: Callable[..., Event] = _made(Event, event, _takes(holes, None, None), "signals")
        self._signals: tuple[tuple[Callable[..., Signal], tuple[Callable[..., SignalInterval], ...]], ...] = (
            tuple(
                (
                    _made(Signal, signal, _takes(holes, number, None), "intervals"),
                    tuple(
                        _made(SignalInterval, interval, _takes(holes, number, at))
                        for at, interval in enumerate(signal.intervals)
                    ),
                )
                for number, signal in enumerate(event.signals)
            )
        )

    def cast(self, text: str, begin: int) -> tuple[Event, int] | None:
        """The event whose markup begins there, and where it ends; None when it does not fit."""
        found = self._match(text, begin)
        if found is None:
            return None
        said = found.groups()
        try:
            signals = [
                signal(said, intervals=tuple([interval(said) for interval in intervals]))
                for signal, intervals in self._signals
            ]
            return self._event(said, signals=tuple(signals)), found.end()
        except ValueError:  # the right form without a meaning: the usual way says what is wrong
            return None


_Take = tuple[int, str, Callable[[str], object]]
"""Which hole, for which field, read how."""


def _takes(holes: tuple[Hole, ...], signal: int | None, interval: int | None) -> tuple[_Take, ...]:
    return tuple(
        (at, hole.kind.field, hole.kind.read)
        for at, hole in enumerate(holes)
        if (hole.signal, hole.interval) == (signal, interval)
    )


_Value = TypeVar("_Value", Event, Signal, SignalInterval)


def _made(
    kind: Callable[..., _Value], like: _Value, takes: tuple[_Take, ...], *given: str
) -> Callable[..., _Value]:
    """How one value is made of `Said`: what no hole gives and the caller does not give is as in `like`."""
    open_fields = {*given, *(field for _, field, _ in takes)}
    fixed = {field.name: getattr(like, field.name) for field in fields(like) if field.name not in open_fields}
    make = partial(kind, **fixed)

    def fill(said: Said, **more: object) -> _Value:
        for at, field, read in takes:
            more[field] = read(said[at])
        return make(**more)

    return fill


@dataclass(frozen=True, slots=True, kw_only=True)
class Parted:
    """A document whose events were held against the moulds."""

    head: str
    """All before the first event."""
    left: tuple[str, ...]
    """Events that go the usual way; the first of the list is among them."""
    places: tuple[int, ...]
    """Their positions in the list."""
    tail: str
    """All after the last event."""
    cast: dict[int, Event]
    """The others, by position."""
    elements: int
    """Of the events that were cast."""
    equals_signs: int
    """In their markup: no fewer than their attributes."""
    around: Namespaces | None
    """What must hold around the events for the moulds that were used; None = none was used."""

    def document(self, *events: str) -> bytes:
        """The document with these events in place of its own."""
        return "".join((self.head, *events, self.tail)).encode()


class Moulds:
    """The moulds of one connection, the last one used first. Safe to share between threads."""

    def __init__(self) -> None:
        self._kept: tuple[Mould, ...] = ()

    def part(self, body: bytes) -> Parted | None:
        """Split an event list; None when `body` is none, or holds markup in which a tag could hide."""
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError:
            return None
        declared = text.find("?>")
        if "encoding" in text[: declared + 1] and not _UTF8.search(text, 0, declared):
            return None
        word = text.find("oadrEvent")
        begin = text.rfind("<", 0, max(0, word))
        opening = _OPENING.match(text, begin) if begin >= 0 else None
        if opening is None or "<!" in text or text.rfind("<?") > 0:
            return None
        return self._part(text, begin, opening[0], f"</{opening[1]}>")

    def _part(self, text: str, begin: int, opening: str, closing: str) -> Parted:
        kept, at = self._kept, begin
        left: list[str] = []
        places: list[int] = []
        cast: dict[int, Event] = {}
        around: Namespaces | None = None
        elements = equals_signs = 0
        while text.startswith(opening, at):
            number = len(left) + len(cast)
            for mould in kept if number else ():
                if around is not None and mould.around != around:
                    continue
                found = mould.cast(text, at)
                if found is not None:
                    cast[number], end = found
                    around = mould.around
                    elements, equals_signs = elements + mould.elements, equals_signs + mould.equals_signs
                    if mould is not kept[0]:
                        kept = (mould, *(other for other in kept if other is not mould))
                    break
            else:
                end = text.find(closing, at) + len(closing)
                if end < len(closing):
                    break
                left.append(text[at:end])
                places.append(number)
            at = end if text.startswith("<", end) else _SPACE.match(text, end).end()  # type: ignore[union-attr]
        self._kept = kept
        return Parted(
            head=text[:begin],
            left=tuple(left),
            places=tuple(places),
            tail=text[at:],
            cast=cast,
            elements=elements,
            equals_signs=equals_signs,
            around=around,
        )

    def learn(self, parted: Parted, event: Event, around: Namespaces, read: Read) -> bool:
        """Keep a mould of an event that went the usual way, when it is a new one and proves itself.

        Args:
            event: What the usual way made of the last of `parted.left`.
            around: Prefixes and namespaces as they hold around the events.
            read: The usual way, for a document with one event; None when it did not come out whole.

        Returns:
            Whether there is a new mould.
        """
        markup = parted.left[-1]
        if any(mould.around == around and mould.cast(markup, 0) for mould in self._kept):
            return False
        try:
            mould = Mould(markup, event, around)
        except ValueError:
            return False
        if mould.cast(markup, 0) != (event, len(markup)):
            return False
        for shift in _PROBES:
            probe = probe_of(markup, mould.holes, shift)
            usual = read(parted.document(probe))
            if usual is None or mould.cast(probe, 0) != (usual, len(probe)):
                return False
        self._kept = (mould, *self._kept[: MOULDS_MAX - 1])
        return True
