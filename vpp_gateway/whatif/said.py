"""Events and failures as an operator writes them, in one line each.

    down 2MW area=tokyo in 60s for 15min              up 500kW site=dc-1,dc-2 in 1min for 30min
    setpoint 8MW site=dc-1 for 1h                     limit 9MW site=dc-1 in 5min for 10min
    battery dc-1-bat-2 dead in 5min for 60s           meter dc-1-meter stuck in 2min
    plug-in dead in 3min      planner dead in 1h      link dc-1 in 90s for 30s      site dc-2 in 90s

`in` counts from the start of the play, `for` lasts. Words may stand in any order after the first two. An event that is
`known` only after its start is played as one that came late; one that is over by then is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from vpp_gateway.catalogue import Told
from vpp_gateway.domain.fleet import Fleet
from vpp_gateway.domain.instruction import Delta, Demand, Limit, Setpoint, SiteId
from vpp_gateway.whatif.world import FAULTS, WORK, Asked, Fault

UNITS_W: Mapping[str, float] = {"W": 1.0, "kW": 1e3, "MW": 1e6, "GW": 1e9}
UNITS_S: Mapping[str, float] = {"s": 1.0, "min": 60.0, "h": 3600.0}
DEMANDS = ("down", "up", "setpoint", "limit")
OPTIONS = ("area", "site", "name", "priority", "known")
START_S, DURATION_S, FAULT_AT_S = 60.0, 900.0, 300.0
LONGEST_S = 24 * 3600.0
ALONE = ("plug-in", "planner")
"""There is one of each: it needs no name."""
EXAMPLES = {1: "battery dc-1-bat-2 dead in 5min for 60s", 2: "down 2MW in 60s for 15min"}
"""Least words of a failure or an event -> a line of its kind."""
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)([A-Za-z]+)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class SpecError(Told):
    """One line that cannot be understood, as the catalogue's text `problem.whatif.…` says it."""


@dataclass(frozen=True, slots=True)
class Known:
    """The names that a line may use."""

    sites: Mapping[SiteId, str]
    """Site -> its area."""
    batteries: Sequence[str] = ()
    meters: Sequence[str] = ()

    @classmethod
    def of(cls, fleet: Fleet) -> Known:
        """The names of a fleet."""
        return cls(
            {site.id: site.area for site in fleet.sites},
            [battery.id for battery in fleet.batteries],
            [site.meter for site in fleet.sites],
        )


def event_said(said: str, known: Known, name: str) -> Asked:
    """The event that a line asks for; `name` is its name where it gives none.

    Raises:
        SpecError: it cannot be understood, or names what does not exist.
    """
    words = _Words(said, min_words=2)
    demand = _demand(words.take(DEMANDS), words.quantity(UNITS_W))
    start_s, duration_s, known_s, known_at = START_S, DURATION_S, 0.0, 0
    scope: list[SiteId] = []
    rank = 100
    for key, value in words.rest(OPTIONS):
        match key:
            case "in":
                start_s = words.seconds(value)
            case "for":
                duration_s = words.seconds(value, least=1.0)
            case "known":
                known_s, known_at = words.seconds(value), words.at
            case "priority":
                rank = words.rank(value)
            case "name":
                name = words.name(value)
            case "area":
                for area in value.split(","):
                    area = words.one_of(area, sorted(set(known.sites.values())))
                    scope += [site for site, its in known.sites.items() if its == area]
            case "site":
                scope += [SiteId(words.one_of(site, list(known.sites))) for site in value.split(",")]
    if known_s >= start_s + duration_s:
        raise SpecError(
            "problem.whatif.known_late",
            found=f"known={known_s:g}s",
            word=str(known_at),
            end=f"{start_s + duration_s:g}",
        )
    return Asked(
        name=name,
        start_s=start_s,
        duration_s=duration_s,
        demand=demand,
        scope=tuple(dict.fromkeys(scope)),
        rank=rank,
        received_s=known_s,
        said=said,
    )


def fault_said(said: str, known: Known) -> Fault:
    """The failure that a line speaks of.

    Raises:
        SpecError: as `event_said`.
    """
    words = _Words(said, min_words=1)
    what = words.take(tuple(FAULTS))
    where, how = WORK, FAULTS[what][0]
    if what not in ALONE:
        choices = {"battery": known.batteries, "meter": known.meters}.get(what, list(known.sites))
        where = words.take(choices)
    if words.next_is(FAULTS[what]):
        how = words.take(FAULTS[what])
    at_s, for_s = FAULT_AT_S, None
    for key, value in words.rest(()):
        if key == "in":
            at_s = words.seconds(value)
        else:
            for_s = words.seconds(value, least=1.0)
    return Fault(at_s=at_s, what=what, how=how, where=where, for_s=for_s)


def _demand(kind: str, w: float) -> Demand:
    match kind:
        case "down":
            return Delta(regulation_w=w)
        case "up":
            return Delta(regulation_w=-w)
        case "setpoint":
            return Setpoint(import_w=w)
        case _:
            return Limit(import_max_w=w, export_max_w=None)


@dataclass(slots=True)
class _Words:
    """The words of one line, taken one by one; every complaint says which word it is about."""

    said: str
    min_words: int
    _words: list[str] = field(init=False)
    at: int = 0
    """How many words are taken: the number of the last one."""

    def __post_init__(self) -> None:
        self._words = self.said.split()
        if len(self._words) < self.min_words:
            raise SpecError("problem.whatif.short", found=self.said, example=EXAMPLES[self.min_words])

    def next_is(self, allowed: Sequence[str]) -> bool:
        return self.at < len(self._words) and self._words[self.at] in allowed

    def take(self, allowed: Sequence[str]) -> str:
        if self.at >= len(self._words):
            raise SpecError(
                "problem.whatif.missing", found=self.said, allowed=", ".join(allowed), word=str(self.at + 1)
            )
        return self.one_of(self._next(), allowed)

    def quantity(self, units: Mapping[str, float]) -> float:
        return self._number(self._next(), units)

    def rest(self, options: Sequence[str]) -> Iterator[tuple[str, str]]:
        """What is left, as (key, value): `in 60s`, `for 15min`, `area=tokyo`; each at most once."""
        found: set[str] = set()
        while self.at < len(self._words):
            word = self._next()
            if word in ("in", "for"):
                if self.at >= len(self._words):
                    raise self._wrong("problem.whatif.duration", word, allowed="60s, 15min, 1.5h")
                pair = (word, self._next())
            else:
                key, equals, value = word.partition("=")
                allowed = ["in", "for", *(f"{option}=" for option in options)]
                if not equals or key not in options or not value:
                    self.one_of(word if not equals else f"{key}=", allowed)
                    raise self._wrong("problem.whatif.word", word, allowed=", ".join(allowed))
                pair = (key, value)
            if pair[0] in found:
                raise self._wrong("problem.whatif.twice", pair[0])
            found.add(pair[0])
            yield pair

    def seconds(self, word: str, least: float = 0.0) -> float:
        seconds = self._number(word, UNITS_S)
        if not least <= seconds <= LONGEST_S:
            raise self._wrong("problem.whatif.range", word, allowed=f"{least:g}s - {LONGEST_S / 3600:g}h")
        return seconds

    def rank(self, word: str) -> int:
        if not word.isdecimal() or int(word) > 1000:
            raise self._wrong("problem.whatif.word", word, allowed="0 - 1000")
        return int(word)

    def name(self, word: str) -> str:
        if not _NAME.fullmatch(word):
            raise self._wrong("problem.whatif.word", word, allowed="A-Z a-z 0-9 . _ - (1-64)")
        return word

    def one_of(self, word: str, allowed: Sequence[str]) -> str:
        if word in allowed:
            return word
        near = get_close_matches(word, allowed, n=1)
        code = "problem.whatif.near" if near else "problem.whatif.word"
        values = {"near": near[0]} if near else {}
        raise self._wrong(code, word, allowed=", ".join(allowed) or "-", **values)

    def _number(self, word: str, units: Mapping[str, float]) -> float:
        found = _QUANTITY.fullmatch(word)
        example = "2MW, 500kW" if "MW" in units else "60s, 15min, 1.5h"
        if found is None or found[2] not in units:
            code = "problem.whatif.power" if "MW" in units else "problem.whatif.duration"
            raise self._wrong(code, word, allowed=f"{example} ({', '.join(units)})")
        return float(found[1]) * units[found[2]]

    def _next(self) -> str:
        self.at += 1
        return self._words[self.at - 1]

    def _wrong(self, code: str, word: str, **values: str) -> SpecError:
        return SpecError(code, found=word, word=str(self.at), **values)
