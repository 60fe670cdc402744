"""A scenario file: what is asked, what fails, and how the sites are modelled. Everything in it may be left out.

    settings (fleet, policy) + scenario (loads, suns, work) + lines of the command line  ->  Play

What nobody says is assumed, and the result says so: the load is 60 % of the contracted import, with a noise of half a
percent; a plug-in of the settings can pause 10 % of the load of each of its sites within two seconds, in four steps,
and half of the energy comes back within 15 min.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from vpp_gateway.compose_centre import policy_of
from vpp_gateway.domain.fleet import Fleet
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.settings import Settings, fleet
from vpp_gateway.settings_words import Identifier, Kw, Number, Seconds, Section, Share, Text
from vpp_gateway.sim.model_site import Curve
from vpp_gateway.sim.model_work import WorkSpec
from vpp_gateway.whatif.said import Known, SpecError, event_said, fault_said
from vpp_gateway.whatif.world import LOAD_SHARE, WORK, Fault, Play, SiteModel
from vpp_gateway.yaml_source import Finding, InvalidFile, read_yaml
from vpp_gateway.yaml_validate import near, validate

NOISE_SHARE = 0.005
"""Of the load: the standard deviation of its noise where nothing is said."""
WORK_SHARE = 0.1
Point = Annotated[tuple[Number, Kw], Field()]


class SiteScenario(Section):
    """How one site is modelled."""

    load_kw: Annotated[Kw, Field(ge=0)] | None = None
    """Load without noise, kW."""
    load_curve: tuple[Point, ...] = ()
    """[second, kW] points instead of one load; straight lines in between."""
    noise_kw: Annotated[Kw, Field(ge=0)] | None = None
    """Standard deviation of the load's noise, kW."""
    noise_tau_s: Seconds = 120.0
    """How long the noise remembers, s."""
    pv_curve: tuple[Point, ...] = ()
    """[second, kW] points of what the sun would give."""
    soc: Share = 0.5
    """State of charge of the batteries at the start (0..1)."""


class WorkScenario(Section):
    """Work at one site that can be shifted."""

    name: Identifier
    """Your name for it."""
    kind: Literal["cap", "pause", "shed", "move", "absorb"]
    """What is done with it."""
    site: Identifier
    """Where it runs."""
    to: Identifier | None = None
    """Where a move takes it."""
    kw: Annotated[Kw, Field(gt=0)]
    """What it takes at full size, kW."""
    units: Annotated[int, Field(strict=True, ge=1, le=100)] = 4
    """In how many equal steps it can be called."""
    latency_s: Annotated[Number, Field(ge=0, le=3600)] = 2.0
    """From the order to the change at its site, s."""
    arrive_s: Annotated[Number, Field(ge=0, le=3600)] = 2.0
    """What a move needs more, s."""
    spread: Share = 0.2
    """A latency is off by up to this share."""
    cost: Annotated[Number, Field(ge=0, le=1e6)] = 1.0
    """Relative price inside its tier."""
    min_dwell_s: Annotated[Number, Field(ge=0, le=86400)] = 0.0
    """It is not taken back sooner, s."""
    sustain_s: Seconds = 14400.0
    """How long it can be held, s."""
    rebound_share: Annotated[Number, Field(ge=0, le=2)] = 0.0
    """Share of the saved energy that is used later."""
    rebound_within_s: Seconds = 900.0
    """Within how long, s."""


class Scenario(Section):
    """The whole file."""

    name: Text = "what-if"
    """Shown above the result."""
    seed: Annotated[int, Field(strict=True, ge=0)] = 1
    """All chance comes from it."""
    after_s: Annotated[Number, Field(ge=0, le=86400)] = 60.0
    """The play goes on so long after the last event, s."""
    sites: dict[Identifier, SiteScenario] = Field(default_factory=dict)
    """Site id -> how it is modelled."""
    work: tuple[WorkScenario, ...] | None = None
    """Work that can be shifted; without it, what the plug-ins of the settings are assumed to have."""
    events: tuple[Text, ...] = ()
    """What is asked, one line each."""
    failures: tuple[Text, ...] = ()
    """What fails, one line each."""


def load_scenario(path: Path | None, settings: Settings) -> Scenario:
    """Read and check a scenario file against the settings it is played on; no file is an empty one.

    Raises:
        InvalidFile: with every mistake, its line and what is allowed.
    """
    if path is None:
        return Scenario()
    document = read_yaml(path)
    scenario = validate(document, Scenario)
    if findings := list(_findings(scenario, fleet(settings))):
        raise InvalidFile(document.problems(findings))
    return scenario


def play_of(
    settings: Settings,
    scenario: Scenario,
    events: Sequence[str] = (),
    failures: Sequence[str] = (),
    seed: int | None = None,
) -> Play:
    """Settings, scenario and further lines as one play.

    Raises:
        SpecError: a line cannot be understood.
    """
    portfolio = fleet(settings)
    known = Known.of(portfolio)
    lines = [*scenario.events, *events]
    asked = tuple(event_said(said, known, f"E{n}") for n, said in enumerate(lines, 1))
    names = [row.name for row in asked]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise SpecError("problem.whatif.name_twice", found=twice)
    checks = {SiteId(row.id): row.check_meter for row in settings.sites}
    readers = {id: SiteId(row.read_by) if row and row.read_by else None for id, row in checks.items()}
    return Play(
        name=scenario.name,
        fleet=portfolio,
        policy=policy_of(settings),
        sites={
            site.id: replace(
                _site(scenario.sites.get(site.id), site.import_max_w), check_read_by=readers[site.id]
            )
            for site in portfolio.sites
        },
        work=_work(settings, scenario, portfolio),
        asked=asked,
        faults=tuple(fault_said(said, known) for said in (*scenario.failures, *failures)),
        seed=scenario.seed if seed is None else seed,
        after_s=scenario.after_s,
        refresh_hold_s=settings.timing.hold_s,
        assumed=tuple(_assumed(settings, scenario)),
    )


def _assumed(settings: Settings, scenario: Scenario) -> Iterator[str]:
    models = [scenario.sites.get(site.id, SiteScenario()) for site in settings.sites]
    if any(model.load_kw is None and not model.load_curve for model in models):
        yield "whatif.assumed.load"
    if any(model.noise_kw is None for model in models):
        yield "whatif.assumed.noise"
    if scenario.work is None:
        yield "whatif.assumed.work" if settings.plugins else "whatif.assumed.no_work"


def _findings(scenario: Scenario, portfolio: Fleet) -> Iterator[Finding]:
    """What only the settings can tell: names."""
    known = Known.of(portfolio)
    for field, said in (("events", scenario.events), ("failures", scenario.failures)):
        for index, line in enumerate(said):
            try:
                event_said(line, known, "E") if field == "events" else fault_said(line, known)
            except SpecError as error:
                yield Finding(loc=(field, index), code=error.code, values=tuple(error.values.items()))
    for site in scenario.sites:
        if site not in known.sites:
            yield _no_site(("sites", site), site, known)
    for index, row in enumerate(scenario.work or ()):
        for key, named in (("site", row.site), ("to", row.to)):
            if named is not None and named not in known.sites:
                yield _no_site(("work", index, key), named, known)
        if (row.kind == "move") != (row.to is not None):
            yield Finding(loc=("work", index), code="problem.whatif.move_to")
        if row.to == row.site:
            yield Finding(loc=("work", index, "to"), code="problem.whatif.move_to")


def _no_site(loc: tuple[str | int, ...], found: str, known: Known) -> Finding:
    sites = list(known.sites)
    values = (("found", found), ("allowed", ", ".join(sites)))
    return Finding(loc=loc, code="problem.choice", values=values, near=near(found, sites), at="key")


def _site(said: SiteScenario | None, import_max_w: float) -> SiteModel:
    said = said or SiteScenario()
    load = _curve(said.load_curve)
    if not load:
        load = ((0.0, LOAD_SHARE * import_max_w if said.load_kw is None else said.load_kw * 1000.0),)
    noise_w = NOISE_SHARE * load[0][1] if said.noise_kw is None else said.noise_kw * 1000.0
    return SiteModel(
        load=load, noise_w=noise_w, noise_tau_s=said.noise_tau_s, pv=_curve(said.pv_curve), soc=said.soc
    )


def _curve(points: Sequence[tuple[float, float]]) -> Curve:
    return tuple(sorted((at, kw * 1000.0) for at, kw in points))


def _work(settings: Settings, scenario: Scenario, portfolio: Fleet) -> tuple[WorkSpec, ...]:
    if scenario.work is not None:
        return tuple(_spec(row) for row in scenario.work)
    sites = dict.fromkeys(SiteId(site) for row in settings.plugins for site in row.sites)
    return tuple(
        WorkSpec(
            name=f"{WORK}-{site}",
            kind="pause",
            site=site,
            w=WORK_SHARE * _site(scenario.sites.get(site), portfolio.site(site).import_max_w).load[0][1],
            rebound_share=0.5,
        )
        for site in sites
    )


def _spec(row: WorkScenario) -> WorkSpec:
    return WorkSpec(
        name=row.name,
        kind=row.kind,
        site=SiteId(row.site),
        to=None if row.to is None else SiteId(row.to),
        w=row.kw * 1000.0,
        units=row.units,
        latency_s=row.latency_s,
        arrive_s=row.arrive_s,
        spread=row.spread,
        cost=row.cost,
        min_dwell_s=row.min_dwell_s,
        sustain_s=row.sustain_s,
        rebound_share=row.rebound_share,
        rebound_within_s=row.rebound_within_s,
    )


def faults_of(play: Play) -> tuple[Fault, ...]:
    """What fails, in time order."""
    return tuple(sorted(play.faults, key=lambda fault: fault.at_s))
