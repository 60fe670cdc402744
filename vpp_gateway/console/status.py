"""Everything that an operator sees, as one published document.

`vpp-gateway status --json`, `GET /api/v1/status` and the SSE stream all carry exactly this; its JSON Schema lies in
`docs/schemas/status.schema.json` and the page's TypeScript types are written from it (`console.typescript`). A field
is added freely; renaming, removing or changing the meaning of one raises `schema_version`.

    Status -- gateway      who speaks
           |- portfolio    the sums
           |- sites        per data centre: its meter, its batteries
           |- links        every connection and inner organ: VTN, agents, plug-ins, solver, planner, journal
           |- events       what was asked, when each stage was passed, what was delivered, and why so
           |- plugins      workload offers
           `- alarms       what somebody should look at, worst first

Bases as everywhere: `regulation_w` > 0 relieves the grid, `import_w` > 0 takes from it, `discharge_w` > 0 leaves the
battery. Power in W, times in UTC as Unix seconds, ages in s. The docstring of each field is its description in the
schema and says unit, direction and origin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from vpp_gateway.console.rollup import SiteHealth, severity, worst
from vpp_gateway.domain.reading import Health

SCHEMA_VERSION: Final = 1

LinkKind = Literal["openadr2", "site", "plugin", "solver", "planner", "journal"]
LinkHealth = Literal["good", "warning", "bad"]
EventState = Literal["pending", "active", "completed", "cancelled", "refused"]
Severity = Literal["info", "warning", "alarm", "trip"]
SEVERITIES: tuple[Severity, ...] = ("trip", "alarm", "warning", "info")
"""Worst first."""


class View(BaseModel):
    """Base of the published models: frozen, nothing unknown, no NaN or infinity."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True, validate_default=True
    )


class GatewayView(View):
    """Who speaks."""

    name: str
    """The operator's name for this gateway, from settings."""
    version: str
    """Version of the package that runs."""
    epoch: int
    """How often a centre has started on this journal; a higher one fences off a lower one."""
    started_at: float
    """UTC (Unix s) when this process took over."""
    simulated: bool
    """True when sites, devices or the utility are simulated: nothing here is a real delivery."""


class PortfolioView(View):
    """Sums over all sites with a trusted reading."""

    import_w: float
    """W taken from the grid, sum of the sites' meters; < 0 = export."""
    baseline_import_w: float
    """W that the same sites would take without any instruction, from the baseline method."""
    regulation_w: float
    """W of relief now: baseline minus measured import; > 0 relieves the grid."""
    target_regulation_w: float | None
    """W of relief ordered now by all instructions together; > 0 = down-DR, null = nothing ordered."""
    shortfall_w: float
    """W of the order that the last allocation could not place, >= 0, in the direction of the order."""
    by_tier_w: dict[str, float]
    """W of relief per tier (for instance `battery`, `workload`), from battery readings and active shifts."""


class MeterView(View):
    """The meter at the grid connection point, or the check meter beside it."""

    id: str
    """Device id, from settings."""
    health: Health
    """Judged by the site agent from age and plausibility of the readings."""
    reason: str
    """Why it is not good, in words; empty when good."""
    reason_ja: str
    """The same in Japanese, as far as the words are our own."""
    age_s: float | None
    """s since the last good reading, at `Status.at`; null = never seen."""
    import_w: float | None = None
    """W taken from the grid by its own word, believed or not; < 0 = export, null = says nothing now."""
    read_by: str = ""
    """Id of the site whose agent reads it; empty = none has read it yet."""


class BatteryView(View):
    """One battery as it answered last."""

    id: str
    """Device id, from settings."""
    health: Health
    """Judged by the site agent from age, plausibility and obedience."""
    reason: str
    """Why it is not good, in words; empty when good."""
    reason_ja: str
    """The same in Japanese, as far as the words are our own."""
    age_s: float | None
    """s since the last good reading, at `Status.at`; null = never seen."""
    discharge_w: float | None
    """W leaving the battery on its AC side, by its own meter; < 0 = charging, null = not known."""
    soc: float | None
    """State of charge, 0..1, by the battery's own word; null = not known."""
    setpoint_w: float | None
    """discharge_w last confirmed by read-back; null = local control."""
    armed: bool
    """True while the site agent holds the setpoint enabled with its reversion timer running."""


class SiteView(View):
    """One data centre = one grid connection point (PCC)."""

    id: str
    """Site id, from settings."""
    name: str
    """Name in English, from settings."""
    name_ja: str
    """Name in Japanese, from settings."""
    area: str
    """Grid area, from settings."""
    linked: bool
    """True while the site's agent is connected and fresh."""
    health: SiteHealth
    """Worst of the agent's link, the meter and the batteries; a meter that the other one stands in for is a warning."""
    reason: str
    """Which child made it so, and why; empty when good."""
    reason_ja: str
    """The same in Japanese, as far as the words are our own."""
    age_s: float | None
    """s since the last message of the site's agent, at `Status.at`; null = never."""
    import_w: float | None
    """W taken from the grid at the PCC, by the meter that is followed; < 0 = export, null = not known."""
    sight: Literal["meter", "check", ""] = "meter"
    """Which meter is followed: the meter, the check meter, or none that can be believed now."""
    alone: bool = False
    """True while its link is silent and its agent is taken to live and to keep its import by itself."""
    meter_modelled: bool
    """True when no meter hardware stands behind `import_w`."""
    baseline_import_w: float | None
    """W that the site would take without any instruction, from the baseline method; null = not known."""
    regulation_w: float | None
    """W of relief now: baseline minus measured import; > 0 relieves the grid, null = not known."""
    target_regulation_w: float | None
    """W of relief allocated to this site; > 0 = down-DR, null = nothing ordered."""
    import_max_w: float
    """Contracted import at the PCC, W, from settings."""
    export_max_w: float
    """Allowed export at the PCC, W, from settings; 0 = no reverse flow."""
    by_tier_w: dict[str, float]
    """W of relief per tier at this site; > 0 relieves the grid."""
    meter: MeterView
    """The meter at the grid connection point."""
    check_meter: MeterView | None = None
    """A second meter there, read on another way; null = none."""
    batteries: tuple[BatteryView, ...]
    """The site's batteries in the order of the settings."""
    pv_w: float | None = None
    """W that the site's PV gives, by the PV meter; null = no such meter, or not known."""
    pv_meter: MeterView | None = None
    """The meter behind `pv_w`; null = the settings name none."""

    @model_validator(mode="after")
    def _never_green_over_a_fault(self) -> Self:
        """A site cannot be healthier than its worst device, nor good without its agent."""
        floor, reason = worst(*counted(self.sight, self.meter, self.check_meter, self.batteries))
        if not self.linked:
            floor, reason = Health.LOST, "its agent is not linked"
        if severity(self.health) < severity(floor):
            raise ValueError(f"site {self.id} cannot be {self.health} while {reason}; use rollup.site_health")
        return self


def counted(
    sight: str, meter: MeterView, check_meter: MeterView | None, batteries: Sequence[BatteryView]
) -> tuple[Sequence[MeterView | BatteryView], Sequence[MeterView]]:
    """Devices whose health counts in full, and those that another one stands in for.

    The check meter is the second of two; the meter is replaced while the check meter is followed.
    """
    second = () if check_meter is None else (check_meter,)
    if sight == "check":
        return batteries, (meter, *second)
    return (meter, *batteries), second


class LinkView(View):
    """One connection or inner organ that delivery depends on."""

    name: str
    """The operator's name for it: northbound room, site id, plug-in, `solver`, `planner`, `journal`."""
    kind: LinkKind
    """What it is."""
    state: str
    """One word of its own state machine, for instance `registered`."""
    health: LinkHealth
    """good = in service; warning = works, but look; bad = not in service."""
    detail: str
    """In words: why, and what comes next."""
    detail_ja: str
    """The same in Japanese, as far as the words are our own."""
    age_s: float | None
    """s since the last good exchange (planner: since the last good plan), at `Status.at`; null = none yet."""
    refused_messages: int
    """Messages of this peer refused since start (hostile, malformed, for somebody else)."""


class StagesView(View):
    """The stopwatch of one event: UTC (Unix s) at which each stage was passed; null = not yet."""

    received_at: float
    """The message that carried this modification arrived."""
    answered_at: float | None
    """The answer (opt in or out) left for the peer."""
    started_at: float | None
    """The first interval came into force."""
    first_setpoint_at: float | None
    """The first device acknowledged its setpoint."""
    all_setpoints_at: float | None
    """The last device of the first order confirmed its setpoint by read-back."""
    reached_at: float | None
    """Delivered regulation first came within 10 % of the order, at the meters."""
    ended_at: float | None
    """The event completed, was cancelled or refused."""


class EventView(View):
    """One event of a grid operator, newest modification."""

    id: str
    """`<room>/<event id>`, unique in this gateway."""
    room: str
    """Northbound connection that it came by."""
    event_id: str
    """The peer's identifier, text as received."""
    modification: int
    """The peer's modification number."""
    direction: Literal["down", "up"]
    """down = relieve the grid (下げDR), up = take more (上げDR)."""
    target_regulation_w: float
    """W ordered in the phase in force (before start: the first, after the end: the last); > 0 = down."""
    scope: tuple[str, ...]
    """Sites it speaks of; empty = the whole portfolio."""
    start_at: float
    """UTC (Unix s) of the first interval's start."""
    end_at: float | None
    """UTC (Unix s) of the last interval's end; null = until cancelled."""
    state: EventState
    """Where it stands."""
    opt: Literal["in", "out"] | None
    """Our answer; null = not answered yet."""
    opt_reason: str
    """Why so, in words, as told to the peer; may be empty."""
    opt_reason_ja: str
    """The same in Japanese; English for an event from before reasons were translated."""
    test: bool
    """True when the peer marked it as a test."""
    stages: StagesView
    """When each stage was passed."""
    delivered_regulation_w: float | None
    """W of relief at the meters, mean since the 10th second of the event; null before it."""
    within_10pct: bool | None
    """True when that mean lies within 10 % of the order; null before the 10th second."""
    shortfall_w: float | None
    """W of the order that could not be placed, >= 0; null before the start."""
    by_tier_w: dict[str, float]
    """W of relief per tier as allocated last; > 0 relieves the grid."""
    by_site_w: dict[str, float]
    """W of relief per site id as allocated last; > 0 relieves the grid."""
    why: tuple[str, ...]
    """Sentences, English: why the order was split so; from the allocation itself."""
    why_ja: tuple[str, ...]
    """The same sentences in Japanese, one for one."""


class LegView(View):
    """What one site feels of an offer at full step."""

    site: str
    """Site id."""
    import_delta_w: float
    """Change of the site's import, W, by the plug-in's word; < 0 = takes less from the grid."""


class OfferView(View):
    """A workload shift that a plug-in promises to be able to carry out."""

    id: str
    """The plug-in's id for it."""
    kind: str
    """cap, pause, shed, move or absorb."""
    legs: tuple[LegView, ...]
    """One leg, or two for a move."""
    steps: tuple[float, ...]
    """Shares (0..1] of the legs that can be called, ascending."""


class PluginView(View):
    """One workload plug-in."""

    name: str
    """Its name, from settings."""
    site: str
    """Site id of the agent that hosts it."""
    state: str
    """One word: for instance `ready`, `ramping`, `active`, `failed`, `gone`."""
    reason: str
    """Why it offers nothing or failed, in words; empty otherwise."""
    reason_ja: str
    """The same in Japanese, as far as the words are our own."""
    offers: tuple[OfferView, ...]
    """Its offers now."""


class AlarmView(View):
    """Something that somebody should look at."""

    code: str
    """Stable code, to be looked up in the runbook."""
    severity: Severity
    """info = know, warning = look today, alarm = act now, trip = the gateway has already acted."""
    text: str
    """What happened, to whom, what to check, in English."""
    text_ja: str
    """The same in Japanese."""
    since: float
    """UTC (Unix s) since when it stands."""


class Status(View):
    """The gateway at one moment."""

    schema_version: Literal[1] = SCHEMA_VERSION
    """Version of this document's shape."""
    at: float
    """UTC (Unix s) of this picture, by the gateway's clock; all ages are counted from here."""
    gateway: GatewayView
    """Which gateway this is, and whether its world is simulated."""
    portfolio: PortfolioView
    """Sums over all sites."""
    sites: tuple[SiteView, ...]
    """In the order of the settings."""
    links: tuple[LinkView, ...]
    """Connections and inner organs."""
    events: tuple[EventView, ...]
    """Newest first; bounded to what is pending, active or recent."""
    plugins: tuple[PluginView, ...]
    """Workload plug-ins."""
    alarms: tuple[AlarmView, ...]
    """Standing alarms, worst first."""
