"""A course judged at the true meters: what each event was to give, what it gave, and who gave it.

    delivered = sum over its sites of (baseline - import)              the baseline is the one that the gateway froze
              = batteries + workload + rest                            rest: noise, PV and rebound against the baseline

Samples are whole seconds. Those before second `SETTLE_S` are not counted, as balancing products do; what is excused
after a failure is the caller's to say.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vpp_gateway.domain.instruction import (
    Delta,
    Demand,
    InstructionId,
    Level,
    Limit,
    Multiplier,
    Setpoint,
    SiteId,
)
from vpp_gateway.metering.delivery import SETTLE_S, missing_w, within
from vpp_gateway.whatif.course import Course, Second
from vpp_gateway.whatif.house import instruction_id
from vpp_gateway.whatif.world import Asked, Play

TIERS = ("battery", "workload", "rest")
HAND_OVER_SHARE = 0.9
"""The hand-over is over when the workload gives this share of what it gives from then on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One second of one event, W of regulation."""

    at_s: float
    target_w: float
    delivered_w: float
    tiers_w: Mapping[str, float]
    sites_w: Mapping[SiteId, float]
    carried_w: Mapping[tuple[str, SiteId], float]
    """The tiers once more, each by site; without the rest."""
    believed_w: float | None
    """What the gateway accounted for this second."""
    doubted: bool
    """The gateway said that it does not see all of the sites."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """When the workload took over from the batteries, seconds of the play."""

    ordered_s: float
    real_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EventResult:
    """One event, judged."""

    asked: Asked
    opt: str
    reason: str
    samples: tuple[Sample, ...]
    """Every second of it; empty when it was refused."""
    excused: tuple[tuple[float, float], ...] = ()
    """[from, to] seconds of the play that do not count."""
    hand_overs: tuple[HandOver, ...] = ()

    @property
    def counted(self) -> tuple[Sample, ...]:
        """Samples from second 10 on that nothing excuses."""
        first = self.asked.start_s + SETTLE_S
        return tuple(
            s
            for s in self.samples
            if s.at_s >= first and not any(since <= s.at_s <= until for since, until in self.excused)
        )

    @property
    def share_within(self) -> float | None:
        """Share of the counted samples within 10 %; None when there are none."""
        counted = self.counted
        return sum(ok(s) for s in counted) / len(counted) if counted else None

    @property
    def reached_after_s(self) -> float | None:
        """Seconds from the start to the first sample within 10 %."""
        first = next((s for s in self.samples if ok(s)), None)
        return None if first is None else first.at_s - self.asked.start_s

    @property
    def unreported(self) -> tuple[Sample, ...]:
        """Counted samples that fell short although the gateway took them for good and doubted nothing."""
        return tuple(s for s in self.counted if _unreported(s))

    def mean_w(self) -> dict[str, float]:
        """Means over the counted samples: target, delivered, shortfall, each tier (`tier.…`) and site (`site.…`)."""
        counted = self.counted
        if not counted:
            return {}
        rows: dict[str, float] = {
            "target": _mean(s.target_w for s in counted),
            "delivered": _mean(s.delivered_w for s in counted),
            "shortfall": _mean(missing_w(s.delivered_w, s.target_w) for s in counted),
        }
        rows |= {f"tier.{tier}": _mean(s.tiers_w[tier] for s in counted) for tier in TIERS}
        rows |= {f"site.{site}": _mean(s.sites_w[site] for s in counted) for site in counted[0].sites_w}
        return rows


def ok(sample: Sample, tolerance: float = 0.10) -> bool:
    """Whether the true delivery lies within the tolerance."""
    return within(sample.delivered_w, sample.target_w, tolerance)


def judge(
    play: Play, course: Course, *, excused: Iterable[tuple[float, float]] = ()
) -> tuple[EventResult, ...]:
    """Every event of the play.

    Args:
        excused: [from, to] seconds of the play that do not count, for instance just after a failure.
    """
    away = tuple(excused)
    return tuple(_event(play, course, asked, away) for asked in play.asked)


def samples_of(
    play: Play, course: Course, asked: Asked, since_s: float, until_s: float
) -> tuple[Sample, ...]:
    """Seconds of one event, also before and after it; none while nothing was promised for it."""
    id = instruction_id(asked)
    frozen = course.baselines.get(id, {})
    scope = [site for site in play.scope_of(asked) if site in frozen]
    if course.opts.get(id, ("", ""))[0] != "in" or not scope or isinstance(asked.demand, Limit):
        return ()
    shifted = _shifted_before(course, asked)
    return tuple(
        _sample(second, id, asked, scope, frozen, shifted)
        for second in course.seconds
        if since_s <= second.at_s < until_s
    )


def _event(
    play: Play, course: Course, asked: Asked, excused: tuple[tuple[float, float], ...]
) -> EventResult:
    id = instruction_id(asked)
    opt, reason = course.opts.get(id, ("", ""))
    samples = samples_of(play, course, asked, asked.start_s, asked.end_s)
    return EventResult(
        asked=asked,
        opt=opt,
        reason=reason,
        samples=samples,
        excused=excused,
        hand_overs=_hand_overs(course, id, samples),
    )


def _sample(
    second: Second,
    id: InstructionId,
    asked: Asked,
    scope: list[SiteId],
    frozen: Mapping[SiteId, float],
    shifted: Mapping[SiteId, float],
) -> Sample:
    by_site = {site: frozen[site] - second.sites[site].import_w for site in scope}
    delivered = math.fsum(by_site.values())
    carried = {("battery", site): second.sites[site].battery_w for site in scope}
    carried |= {("workload", site): shifted.get(site, 0.0) - second.sites[site].shift_w for site in scope}
    battery = math.fsum(w for (tier, _), w in carried.items() if tier == "battery")
    work = math.fsum(w for (tier, _), w in carried.items() if tier == "workload")
    during = asked.start_s <= second.at_s < asked.end_s
    belief = second.beliefs.get(id)
    return Sample(
        at_s=second.at_s,
        target_w=target_w(asked.demand, math.fsum(frozen[site] for site in scope)) if during else 0.0,
        delivered_w=delivered,
        tiers_w={"battery": battery, "workload": work, "rest": delivered - battery - work},
        sites_w=by_site,
        carried_w=carried,
        believed_w=None if belief is None else belief.delivered_w,
        doubted=any(site in second.doubts for site in scope),
    )


def target_w(demand: Demand, baseline_w: float) -> float:
    """A demand as regulation against the summed baseline of its sites, W; 0 for a limit."""
    match demand:
        case Delta(regulation_w=w) | Level(regulation_w=w):
            return w
        case Setpoint(import_w=w):
            return baseline_w - w
        case Multiplier(factor=share):
            return baseline_w * (1.0 - share)
        case Limit():
            return 0.0


def _shifted_before(course: Course, asked: Asked) -> dict[SiteId, float]:
    """What earlier shifts still took at the start: it is inside the baseline."""
    before = [s for s in course.seconds if s.at_s < asked.start_s]
    return {site: row.shift_w for site, row in before[-1].sites.items()} if before else {}


def _hand_overs(course: Course, id: InstructionId, samples: tuple[Sample, ...]) -> tuple[HandOver, ...]:
    """First commits that made the workload carry a good part of the target for good, and when they were real."""
    commits = [m.at_s for m in course.marks if m.instruction == id and m.verb.value == "commit"]
    if not commits or not samples:
        return ()
    settled = samples[len(samples) // 2 :]
    lasting = _mean(s.tiers_w["workload"] for s in settled)
    if abs(lasting) < 0.05 * abs(samples[-1].target_w):
        return ()
    real = next((s.at_s for s in samples if s.tiers_w["workload"] / lasting >= HAND_OVER_SHARE), None)
    return () if real is None else (HandOver(ordered_s=min(commits), real_s=real),)


def _unreported(sample: Sample) -> bool:
    short = not ok(sample) and missing_w(sample.delivered_w, sample.target_w) > 0.0
    if not short or sample.doubted:
        return False
    return sample.believed_w is None or within(sample.believed_w, sample.target_w)


def _mean(values: Iterable[float]) -> float:
    rows = list(values)
    return math.fsum(rows) / len(rows) if rows else 0.0
