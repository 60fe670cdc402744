"""What must agree between a scenario, the lines of the command line and the settings: names, times, and what physics allows.

refused: a name that nobody has or two have, a curve out of order, a failure after the end, work beyond the load;
noticed: what can be so, but is seldom meant: a load beyond the contracted import
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from vpp_gateway.domain.fleet import Fleet, Site
from vpp_gateway.plain import Loc
from vpp_gateway.whatif.said import Known, SpecError, event_said, fault_said
from vpp_gateway.whatif.scenario_words import Scenario, SiteScenario, WorkScenario, load_of
from vpp_gateway.whatif.world import Asked, Fault, Notice, end_of
from vpp_gateway.yaml_source import Finding
from vpp_gateway.yaml_validate import near


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongLine:
    """A line of the command line that cannot be played."""

    option: Literal["event", "failure"]
    said: str
    error: SpecError


def asked_in(lines: Sequence[str], known: Known) -> tuple[Asked, ...]:
    """The events that lines ask for; one without a name is called by its number.

    Raises:
        SpecError: a line cannot be understood.
    """
    return tuple(event_said(said, known, f"E{n}") for n, said in enumerate(lines, 1))


def wrong_lines(
    scenario: Scenario, portfolio: Fleet, events: Sequence[str], failures: Sequence[str]
) -> Iterator[WrongLine]:
    """What is wrong in lines that are played with a scenario that is right in itself."""
    known = Known.of(portfolio)
    wrong = False
    for said in events:
        if error := _event_error(said, known):
            wrong = True
            yield WrongLine(option="event", said=said, error=error)
    asked = () if wrong else asked_in((*scenario.events, *events), known)
    for index in _named_twice(asked):
        error = SpecError("problem.whatif.name_twice", found=asked[index].name)
        yield WrongLine(option="event", said=asked[index].said, error=error)
    for said in failures:
        if error := _failure_error(said, known, asked, scenario.after_s):
            yield WrongLine(option="failure", said=said, error=error)


def findings_of(scenario: Scenario, portfolio: Fleet, events: Sequence[str] = ()) -> Iterator[Finding]:
    """What is wrong in a scenario file whose fields are right one by one.

    Args:
        events: lines that are played with it.
    """
    yield from _lines(scenario, Known.of(portfolio), events)
    yield from _sites(scenario, portfolio)
    yield from _work(scenario, portfolio)


def notices_of(scenario: Scenario, portfolio: Fleet) -> Iterator[Notice]:
    """What can be so, but is seldom meant."""
    for site in portfolio.sites:
        said = scenario.sites.get(site.id)
        loads_w = [w for _, w in load_of(said, site.import_max_w)]
        work = scenario.work or ()
        away_kw = sum(row.kw for row in work if _takes_away(row) and row.site == site.id)
        comes_kw = sum(row.kw for row in work if (row.to or row.site) == site.id and not _stays_away(row))
        room_kw = (site.import_max_w + _peak_w(said)) / 1000.0
        if max(loads_w) > site.import_max_w:
            yield _notice("load", site, found=max(loads_w) / 1000.0)
        if min(loads_w) < away_kw * 1000.0 <= max(loads_w):
            yield _notice("away", site, found=away_kw, load=min(loads_w) / 1000.0)
        if comes_kw > room_kw:
            yield _notice("comes", site, found=comes_kw)


def _lines(scenario: Scenario, known: Known, events: Sequence[str]) -> Iterator[Finding]:
    wrong = [_event_error(said, known) for said in scenario.events]
    for index, error in enumerate(wrong):
        if error:
            yield _said(("events", index), error)
    clear = not any(wrong) and not any(_event_error(said, known) for said in events)
    asked = asked_in((*scenario.events, *events), known) if clear else ()
    for index in _named_twice(asked[: len(scenario.events)]):
        values = (("found", asked[index].name),)
        yield Finding(loc=("events", index), code="problem.whatif.name_twice", values=values)
    for index, said in enumerate(scenario.failures):
        if error := _failure_error(said, known, asked, scenario.after_s):
            yield _said(("failures", index), error)


def _event_error(said: str, known: Known) -> SpecError | None:
    try:
        event_said(said, known, "E")
    except SpecError as error:
        return error
    return None


def _failure_error(said: str, known: Known, asked: Sequence[Asked], after_s: float) -> SpecError | None:
    """Why a failure cannot be played; nothing asked = how long the play is cannot be told yet."""
    try:
        fault = fault_said(said, known)
    except SpecError as error:
        return error
    return _never(fault, end_of(asked, after_s), after_s) if asked else None


def _never(fault: Fault, end_s: float, after_s: float) -> SpecError | None:
    if fault.at_s < end_s:
        return None
    return SpecError(
        "problem.whatif.never",
        found=f"{fault.at_s:g}",
        end=f"{end_s:g}",
        last=f"{end_s - after_s:g}",
        after=f"{after_s:g}",
    )


def _named_twice(asked: Sequence[Asked]) -> Iterator[int]:
    """The places of events whose name an earlier one has."""
    names = [row.name for row in asked]
    yield from (index for index, name in enumerate(names) if name in names[:index])


def _sites(scenario: Scenario, portfolio: Fleet) -> Iterator[Finding]:
    known = [str(site.id) for site in portfolio.sites]
    for name, said in scenario.sites.items():
        loc: Loc = ("sites", name)
        if name not in known:
            yield _no_site(loc, name, known)
        if said.load_kw is not None and said.load_curve:
            values = (("found", f"{said.load_kw:g}"),)
            here: Loc = (*loc, "load_curve")
            other: Loc = (*loc, "load_kw")
            yield Finding(loc=here, code="problem.whatif.two_loads", values=values, other=other, at="key")
        yield from _in_order((*loc, "load_curve"), said.load_curve)
        yield from _in_order((*loc, "pv_curve"), said.pv_curve)


def _in_order(loc: Loc, points: Sequence[tuple[float, float]]) -> Iterator[Finding]:
    for index in range(1, len(points)):
        before_s, at_s = points[index - 1][0], points[index][0]
        if at_s <= before_s:
            values = (("found", f"{at_s:g}"), ("before", f"{before_s:g}"))
            yield Finding(loc=(*loc, index, 0), code="problem.whatif.curve_order", values=values)


def _work(scenario: Scenario, portfolio: Fleet) -> Iterator[Finding]:
    known = [str(site.id) for site in portfolio.sites]
    places = {str(site.id): site for site in portfolio.sites}
    first: dict[str, int] = {}
    away_kw: dict[str, float] = {}
    for index, row in enumerate(scenario.work or ()):
        loc: Loc = ("work", index)
        if (earlier := first.setdefault(row.name, index)) != index:
            other: Loc = ("work", earlier, "name")
            values = (("found", row.name),)
            yield Finding(loc=(*loc, "name"), code="problem.duplicate", values=values, other=other)
        for key, named in (("site", row.site), ("to", row.to)):
            if named is not None and named not in known:
                yield _no_site((*loc, key), named, known)
        if (row.kind == "move") != (row.to is not None):
            yield Finding(loc=loc, code="problem.whatif.move_to")
        if row.to == row.site:
            yield Finding(loc=(*loc, "to"), code="problem.whatif.move_to")
        if _takes_away(row) and row.site in places:
            yield from _beyond_load(loc, row, places[row.site], scenario.sites, away_kw)


def _beyond_load(
    loc: Loc,
    row: WorkScenario,
    site: Site,
    models: Mapping[str, SiteScenario],
    away_kw: dict[str, float],
) -> Iterator[Finding]:
    """No more can be taken away at a site than it ever takes; `away_kw` counts what earlier work takes already."""
    most_kw = max(w for _, w in load_of(models.get(row.site), site.import_max_w)) / 1000.0
    before_kw = away_kw.get(row.site, 0.0)
    if before_kw + row.kw > most_kw:
        values = {
            "found": f"{row.kw:g}",
            "site": row.site,
            "load": f"{most_kw:g}",
            "other": f"{before_kw:g}",
            "allowed": f"{max(0.0, most_kw - before_kw):g}",
        }
        yield Finding(loc=(*loc, "kw"), code="problem.whatif.beyond_load", values=tuple(values.items()))
    else:
        away_kw[row.site] = before_kw + row.kw


def _takes_away(row: WorkScenario) -> bool:
    return row.kind != "absorb"


def _stays_away(row: WorkScenario) -> bool:
    """Whether its load comes to no site."""
    return row.kind not in ("absorb", "move")


def _peak_w(said: SiteScenario | None) -> float:
    return max((kw for _, kw in said.pv_curve), default=0.0) * 1000.0 if said else 0.0


def _notice(name: str, site: Site, **kw: float) -> Notice:
    values = {"site": str(site.id), "limit": f"{site.import_max_w / 1000.0:g}"}
    values |= {key: f"{value:g}" for key, value in kw.items()}
    return Notice(code=f"whatif.notice.{name}", values=tuple(values.items()))


def _said(loc: Loc, error: SpecError) -> Finding:
    return Finding(loc=loc, code=error.code, values=tuple(error.values.items()))


def _no_site(loc: Loc, found: str, known: Sequence[str]) -> Finding:
    values = (("found", found), ("allowed", ", ".join(known)))
    return Finding(loc=loc, code="problem.choice", values=values, near=near(found, known), at="key")
