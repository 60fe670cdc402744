"""What the demo measured, as the published `demo.json` (schema: docs/schemas/demo.schema.json).

Delivery is judged from the observer's own readings of the site meters over Modbus; reaction times of the gateway come
from its journalled stopwatch; downtime comes from the workers' own output. The field is simulated, so every power is
modelled: the numbers prove the gateway's work, not a battery's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from vpp_gateway.demo.observer import Observer, Sight
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.errors import PeerError
from vpp_gateway.metering.delivery import SETTLE_S, missing_w, within

BASELINE_S = 8.0
SAMPLE_S = 1.0


class _View(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        populate_by_name=True,
        serialize_by_alias=True,
    )


class EventResult(_View):
    """One event, from the VTN's order to the meters."""

    id: str
    """OpenADR eventID."""
    direction: Literal["down", "up"]
    """down = relieve the grid (下げDR), up = take more (上げDR)."""
    scope: str
    """Site it was for; `portfolio` = all sites."""
    target_regulation_w: float
    """W ordered against the baseline; > 0 relieves the grid."""
    received_at: str
    """UTC (ISO 8601): the last byte of the message was at the gateway; from its journal."""
    due_at: str
    """UTC (ISO 8601): start of the event as ordered by the VTN."""
    t_opt_s: float
    """s from received_at until the VTN had our oadrCreatedEvent; clock of the VTN process on the same machine."""
    t_first_setpoint_s: float | None
    """s from due_at until the first battery acknowledged its setpoint; clock of the site agent."""
    t_all_setpoints_s: float | None
    """s from due_at until the last battery acknowledged its setpoint; clock of the site agent."""
    t_reached_s: float | None
    """s from due_at until the observer first saw the sites' meters within 10 % of the target."""
    samples: int
    """Number of 1 s samples from second 10 to the end; observer, at the site meters."""
    within_10pct: float
    """Share (0..1) of these samples within 10 % of the target."""
    delivered_regulation_w: float
    """W, mean over these samples; baseline minus import at the site meters; > 0 relieves the grid."""
    delivered_by_tier_w: dict[str, float]
    """W per tier, means over these samples: battery = the batteries' own meters, workload = the rest at the PCC."""
    delivered_by_site_w: dict[str, float]
    """W per site, means over these samples, each against its own baseline."""
    shortfall_w: float
    """W missing towards the target, mean over these samples (>= 0)."""


class MoveResult(_View):
    """Work that moved between two sites."""

    from_site: str = Field(alias="from")
    """Site that the work left."""
    to_site: str = Field(alias="to")
    """Site that the work went to."""
    jobs: list[str]
    """Names of the moved jobs."""
    source_change_w: float
    """W by which all moves of the act together change the source's load (declared); >= 0: as much came as went."""
    destination_change_w: float
    """W by which all moves of the act together change the destination's load (declared)."""
    t_source_down_s: float | None
    """s after the order (start of the event) until the observer saw the source's load down by 90 % of its change;
    null = never, or its change is not down."""
    t_destination_up_s: float | None
    """s after the order until the observer saw the destination's load up by 90 % of its change; null as above."""
    downtime_s: float
    """Longest gap (s) in the moved jobs' own output since the order, the time since its last line included."""
    lost_steps: int
    """Steps of work missing in that output."""
    repeated_steps: int
    """Steps of work done twice in that output."""
    work_proven: bool
    """Whether every state in that output is the one that so many steps of the job's own chain make."""


class DemoResult(_View):
    """The whole demo."""

    schema_version: Literal[1] = 1
    """Version of this shape."""
    simulated: Literal[True] = True
    """The field is simulated: every power is modelled, nothing here is a real delivery."""
    began_at: str
    """UTC (ISO 8601): start of the demo; clock of the demo."""
    seconds: float
    """s that the demo took, start-up and shut-down included; monotonic clock of the demo."""
    ready_s: float
    """s until utility, sites, solver and plug-in were in service; monotonic clock of the demo."""
    events: list[EventResult]
    """In the order in which they were sent."""
    moves: list[MoveResult]
    """Work that moved while the demo ran."""
    reports_received_by_vtn: int
    """Telemetry reports (oadrUpdateReport) that the VTN received during the acts."""
    report_points_received_by_vtn: int
    """Data points in these reports."""
    longest_report_gap_s: float
    """Longest time (s) without a report during the acts, their edges included; clock of the VTN process."""
    within_goals: bool
    """True when every goal of the demo held; `missed` names the others."""
    missed: list[str]
    """Goals that did not hold, in words."""


def baseline_w(observer: Observer, sites: Sequence[SiteId], due_at: float) -> dict[SiteId, float]:
    """Mean load of each site in the seconds before the event, W; the observer's own baseline.

    Raises:
        PeerError: it saw nothing then.
    """
    sights = observer.between(due_at - BASELINE_S, due_at)
    if not sights:
        raise PeerError(f"no reading of the site meters in the {BASELINE_S:g} s before an event")
    return {site: _mean([sight.load_w(site) for sight in sights]) for site in sites}


def seconds_of(observer: Observer, since: float, until: float) -> list[Sight]:
    """One look per second in [since, until)."""
    picked: dict[int, Sight] = {}
    for sight in observer.between(since, until):
        picked.setdefault(math.floor(sight.at), sight)
    return list(picked.values())


def delivery(
    observer: Observer,
    sites: Sequence[SiteId],
    base: dict[SiteId, float],
    target_w: float,
    due_at: float,
    end_at: float,
) -> dict[str, Any]:
    """Fields of an EventResult that the observer decides."""

    def given(sight: Sight) -> float:
        return sum(base[site] - sight.import_w[site] for site in sites)

    reached = next((s for s in observer.between(due_at, end_at) if within(given(s), target_w)), None)
    looks = seconds_of(observer, due_at + SETTLE_S, end_at)
    battery = _mean([sum(s.battery_w[site] for site in sites) for s in looks])
    total = _mean([given(s) for s in looks])
    return {
        "t_reached_s": None if reached is None else round(reached.at - due_at, 3),
        "samples": len(looks),
        "within_10pct": _mean([1.0 if within(given(s), target_w) else 0.0 for s in looks]),
        "delivered_regulation_w": round(total, 1),
        "delivered_by_tier_w": {"battery": round(battery, 1), "workload": round(total - battery, 1)},
        "delivered_by_site_w": {
            site: round(_mean([base[site] - s.import_w[site] for s in looks]), 1) for site in sites
        },
        "shortfall_w": round(_mean([missing_w(given(s), target_w) for s in looks]), 1),
    }


def first_change_s(
    observer: Observer, site: SiteId, base_w: float, change_w: float, since: float, until: float
) -> float | None:
    """s from `since` until the site's load was seen to have changed by 90 % of `change_w` (signed); None = never."""
    for sight in observer.between(since, until):
        if site in sight.unsure:
            continue
        moved = sight.load_w(site) - base_w
        if abs(moved) >= 0.9 * abs(change_w) and (moved > 0) == (change_w > 0):
            return round(sight.at - since, 3)
    return None


def after(seconds: float | None) -> str:
    """A time in words; None = it did not happen."""
    return "never" if seconds is None else f"after {seconds:.2f} s"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
