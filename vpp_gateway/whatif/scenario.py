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

from vpp_gateway.compose_centre import policy_of
from vpp_gateway.domain.fleet import Fleet
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.settings import Settings, fleet
from vpp_gateway.sim.model_work import WorkSpec
from vpp_gateway.whatif.said import Known, fault_said
from vpp_gateway.whatif.scenario_rules import asked_in, findings_of, notices_of, wrong_lines
from vpp_gateway.whatif.scenario_words import Scenario, SiteScenario, WorkScenario, curve_of, load_of
from vpp_gateway.whatif.world import WORK, Fault, Play, SiteModel
from vpp_gateway.yaml_source import InvalidFile, read_yaml
from vpp_gateway.yaml_validate import validate

NOISE_SHARE = 0.005
"""Of the load: the standard deviation of its noise where nothing is said."""
WORK_SHARE = 0.1
"""Of the load: what a plug-in can pause where nothing is said."""


def load_scenario(path: Path | None, settings: Settings, events: Sequence[str] = ()) -> Scenario:
    """Read and check a scenario file against the settings it is played on; no file is an empty one.

    Args:
        events: further lines that are played with it; they make the play longer.

    Raises:
        InvalidFile: with every mistake, its line and what is allowed.
    """
    if path is None:
        return Scenario()
    document = read_yaml(path)
    scenario = validate(document, Scenario)
    if findings := list(findings_of(scenario, fleet(settings), events)):
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
        SpecError: a line cannot be understood, or does not go with the others.
    """
    portfolio = fleet(settings)
    known = Known.of(portfolio)
    asked = asked_in((*scenario.events, *events), known)
    for wrong in wrong_lines(scenario, portfolio, events, failures):
        raise wrong.error
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
        notices=tuple(notices_of(scenario, portfolio)),
    )


def _assumed(settings: Settings, scenario: Scenario) -> Iterator[str]:
    models = [scenario.sites.get(site.id, SiteScenario()) for site in settings.sites]
    if any(model.load_kw is None and not model.load_curve for model in models):
        yield "whatif.assumed.load"
    if any(model.noise_kw is None for model in models):
        yield "whatif.assumed.noise"
    if scenario.work is None:
        yield "whatif.assumed.work" if settings.plugins else "whatif.assumed.no_work"
    if settings.gateway.profile_dirs:
        yield "whatif.assumed.profiles"


def _site(said: SiteScenario | None, import_max_w: float) -> SiteModel:
    load = load_of(said, import_max_w)
    said = said or SiteScenario()
    noise_w = NOISE_SHARE * load[0][1] if said.noise_kw is None else said.noise_kw * 1000.0
    return SiteModel(
        load=load, noise_w=noise_w, noise_tau_s=said.noise_tau_s, pv=curve_of(said.pv_curve), soc=said.soc
    )


def _work(settings: Settings, scenario: Scenario, portfolio: Fleet) -> tuple[WorkSpec, ...]:
    if scenario.work is not None:
        return tuple(_spec(row) for row in scenario.work)
    sites = dict.fromkeys(SiteId(site) for row in settings.plugins for site in row.sites)
    return tuple(
        WorkSpec(
            name=f"{WORK}-{site}",
            kind="pause",
            site=site,
            w=WORK_SHARE * load_of(scenario.sites.get(site), portfolio.site(site).import_max_w)[0][1],
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
