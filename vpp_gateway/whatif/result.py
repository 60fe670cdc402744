"""The result of a play as a value: what `vpp-gateway simulate --json` prints, and what its table shows."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from vpp_gateway.catalogue import text
from vpp_gateway.domain.instruction import Limit
from vpp_gateway.metering.delivery import within
from vpp_gateway.whatif.course import Course
from vpp_gateway.whatif.judge import TIERS, EventResult
from vpp_gateway.whatif.scenario import faults_of
from vpp_gateway.whatif.world import Play


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class HandOverResult(_Model):
    """The workload takes over from the batteries; seconds of the play."""

    ordered_s: float
    """First commit of a workload shift."""
    real_s: float
    """The workload carries at the meters what it carries from then on."""


class SimulatedEvent(_Model):
    """One event. Powers are means over the counted samples, W of regulation (> 0 relieves the grid)."""

    name: str
    said: str
    """As it was asked for."""
    opt: Literal["in", "out", ""]
    """The gateway's answer; empty: it gave none."""
    reason: str
    """Why not; empty when it opted in."""
    scope: tuple[str, ...]
    """Sites."""
    start_s: float
    """From the start of the play."""
    duration_s: float
    target_regulation_w: float | None
    """None: nothing was counted (opted out, or a limit, which asks for nothing)."""
    delivered_regulation_w: float | None
    """At the true meters, against the baseline that the gateway froze."""
    shortfall_w: float | None
    """Mean of what was missing, >= 0."""
    reached_after_s: float | None
    """From the start to the first sample within 10 %."""
    samples: int
    """Whole seconds that count: from second 10 on."""
    share_within_10pct: float | None
    """Of the samples, 0..1."""
    by_tier_w: dict[str, float]
    """battery, workload, rest; the rest is noise, PV and rebound against the baseline."""
    by_site_w: dict[str, float]
    unreported_samples: int
    """Samples that fell short while the gateway took them for good."""
    hand_overs: tuple[HandOverResult, ...]
    met: bool | None
    """Opted in, and the mean lies within 10 % of the target; None for a limit."""


class SimulatedFailure(_Model):
    """Something was made to fail."""

    at_s: float
    what: str
    how: str
    where: str
    for_s: float | None
    """None = to the end."""


class Renewables(_Model):
    """What became of the sun, Wh over the whole play."""

    sun_wh: float
    """What PV could have given."""
    used_wh: float
    """What it gave; the rest was curtailed at an export limit."""


class SimulationResult(_Model):
    """One play. Every power is modelled: no meter hardware stands behind it."""

    schema_version: Literal[1] = 1
    modelled: Literal[True] = True
    name: str
    seed: int
    simulated_s: float
    """Length of the play without its warm-up."""
    assumed: tuple[str, ...]
    """What nobody said and was therefore assumed, in words."""
    events: tuple[SimulatedEvent, ...]
    failures: tuple[SimulatedFailure, ...]
    renewables: Renewables | None
    """None: there is no PV."""
    trouble: str
    """What the engine could not digest; empty when all went well."""

    @property
    def met(self) -> bool:
        """Whether every event was met."""
        return not self.trouble and all(event.met is not False for event in self.events)


def result_of(play: Play, course: Course, judged: tuple[EventResult, ...]) -> SimulationResult:
    """The result of a play."""
    return SimulationResult(
        name=play.name,
        seed=play.seed,
        simulated_s=play.end_s,
        assumed=tuple(text(code, "en") for code in play.assumed),
        events=tuple(_event(play, row) for row in judged),
        failures=tuple(
            SimulatedFailure(
                at_s=fault.at_s, what=fault.what, how=fault.how, where=fault.where, for_s=fault.for_s
            )
            for fault in faults_of(play)
        ),
        renewables=_renewables(play, course),
        trouble=course.trouble,
    )


def _event(play: Play, row: EventResult) -> SimulatedEvent:
    means, asked = row.mean_w(), row.asked
    return SimulatedEvent(
        name=asked.name,
        said=asked.said,
        opt=row.opt if row.opt in ("in", "out") else "",  # type: ignore[arg-type]  # narrowed
        reason=row.reason,
        scope=play.scope_of(asked),
        start_s=asked.start_s,
        duration_s=asked.duration_s,
        target_regulation_w=means.get("target"),
        delivered_regulation_w=means.get("delivered"),
        shortfall_w=means.get("shortfall"),
        reached_after_s=row.reached_after_s,
        samples=len(row.counted),
        share_within_10pct=row.share_within,
        by_tier_w={tier: means[f"tier.{tier}"] for tier in TIERS if means},
        by_site_w={
            name.removeprefix("site."): w for name, w in means.items() if name.startswith("site.")
        },
        unreported_samples=len(row.unreported),
        hand_overs=tuple(HandOverResult(ordered_s=h.ordered_s, real_s=h.real_s) for h in row.hand_overs),
        met=None if isinstance(asked.demand, Limit) else _met(means),
    )


def _met(means: dict[str, float]) -> bool:
    return bool(means) and within(means["delivered"], means["target"])


def _renewables(play: Play, course: Course) -> Renewables | None:
    if not any(model.pv for model in play.sites.values()):
        return None
    seconds = [s for s in course.seconds if s.at_s >= 0.0]
    return Renewables(
        sun_wh=sum(row.sun_w for s in seconds for row in s.sites.values()) / 3600.0,
        used_wh=sum(row.pv_w for s in seconds for row in s.sites.values()) / 3600.0,
    )
