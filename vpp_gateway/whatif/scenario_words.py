"""What a scenario file can say: its sections and their fields.

Everything in it may be left out; `scenario` says what is assumed then, and `scenario_rules` what does not go together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from vpp_gateway.settings_words import Identifier, Kw, Number, Seconds, Section, Share, Text
from vpp_gateway.sim.model_site import Curve
from vpp_gateway.whatif.world import LOAD_SHARE

Point = tuple[Annotated[Number, Field(ge=0)], Annotated[Kw, Field(ge=0)]]


class SiteScenario(Section):
    """How one site is modelled."""

    load_kw: Annotated[Kw, Field(ge=0)] | None = None
    """Load without noise, kW; this or load_curve."""
    load_curve: tuple[Point, ...] = ()
    """[second, kW] points instead of load_kw, each second later than the one before; straight lines in between."""
    noise_kw: Annotated[Kw, Field(ge=0)] | None = None
    """Standard deviation of the load's noise, kW."""
    noise_tau_s: Seconds = 120.0
    """How long the noise remembers, s."""
    pv_curve: tuple[Point, ...] = ()
    """[second, kW] points of what the sun would give, each second later than the one before."""
    soc: Share = 0.5
    """State of charge of the batteries at the start (0..1)."""


class WorkScenario(Section):
    """Work at one site that can be shifted."""

    name: Identifier
    """Your name for it, unique in this file."""
    kind: Literal["cap", "pause", "shed", "move", "absorb"]
    """What is done with it."""
    site: Identifier
    """Where it runs."""
    to: Identifier | None = None
    """Where a move takes it."""
    kw: Annotated[Kw, Field(gt=0)]
    """What it takes at full size, kW; what is taken away at a site is at most its load."""
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


def load_of(said: SiteScenario | None, import_max_w: float) -> Curve:
    """The load of a site, W: as the file says it, else the assumed share of its contracted import."""
    if said is not None and said.load_curve:
        return curve_of(said.load_curve)
    if said is None or said.load_kw is None:
        return ((0.0, LOAD_SHARE * import_max_w),)
    return ((0.0, said.load_kw * 1000.0),)


def curve_of(points: Sequence[tuple[float, float]]) -> Curve:
    """Points of the file in W."""
    return tuple((at, kw * 1000.0) for at, kw in points)
