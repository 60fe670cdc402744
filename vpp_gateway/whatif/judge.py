"""A course judged at the true meters: what each event was to give, what it gave, and who gave it.

    delivered = sum over its sites of (baseline - import)              the baseline is the one that the gateway froze
              = batteries + workload + PV + rest                       PV beyond what it gave in the baseline's window;
                                                                       rest: noise and rebound

Samples are whole seconds. Those before second `SETTLE_S` are not counted, as balancing products do; what is excused
after a failure is the caller's to say.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vpp_gateway.dispatch.measured import regulation_asked_w
from vpp_gateway.domain.instruction import Demand, InstructionId, Limit, SiteId
from vpp_gateway.domain.plan import Reason
from vpp_gateway.metering.delivery import SETTLE_S, missing_w, within
from vpp_gateway.whatif.course import Course, HandOver, Second
from vpp_gateway.whatif.house import instruction_id
from vpp_gateway.whatif.world import Asked, Play

TIERS = ("battery", "workload", "pv", "rest")


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
class EventResult:
    """One event, judged."""

    asked: Asked
    opt: str
    reason: Reason | str | None
    """Why it was refused."""
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
    before = [s for s in course.seconds if s.at_s < asked.start_s]
    window = [s for s in before if s.at_s >= asked.start_s - play.policy.baseline_window_s]
    shifted = {site: row.shift_w for site, row in before[-1].sites.items()} if before else {}
    shone = {site: _mean(s.sites[site].pv_w for s in window) for site in scope}
    return tuple(
        _sample(second, id, asked, frozen, shifted, shone)
        for second in course.seconds
        if since_s <= second.at_s < until_s
    )


def _event(play: Play, course: Course, asked: Asked, excused: tuple[tuple[float, float], ...]) -> EventResult:
    id = instruction_id(asked)
    opt, said = course.opts.get(id, ("", ""))
    record = course.records.get(id)
    reason = said if record is None else record.opt_reason
    samples = samples_of(play, course, asked, asked.start_s, asked.end_s)
    return EventResult(
        asked=asked,
        opt=opt,
        reason=reason,
        samples=samples,
        excused=excused,
        hand_overs=tuple(course.hand_overs.get(id, ())),
    )


def _sample(
    second: Second,
    id: InstructionId,
    asked: Asked,
    frozen: Mapping[SiteId, float],
    shifted: Mapping[SiteId, float],
    shone: Mapping[SiteId, float],
) -> Sample:
    """One second; `shifted` and `shone` is what shifts took and PV gave inside the baseline, W."""
    scope = tuple(shone)
    rows = {site: second.sites[site] for site in scope}
    by_site = {site: frozen[site] - row.import_w for site, row in rows.items()}
    delivered = math.fsum(by_site.values())
    carried = {("battery", site): row.battery_w for site, row in rows.items()}
    carried |= {("workload", site): shifted.get(site, 0.0) - row.shift_w for site, row in rows.items()}
    carried |= {("pv", site): row.pv_w - shone[site] for site, row in rows.items()}
    tiers = {name: math.fsum(w for (tier, _), w in carried.items() if tier == name) for name in TIERS[:-1]}
    during = asked.start_s <= second.at_s < asked.end_s
    belief = second.beliefs.get(id)
    return Sample(
        at_s=second.at_s,
        target_w=target_w(asked.demand, math.fsum(frozen[site] for site in scope)) if during else 0.0,
        delivered_w=delivered,
        tiers_w={**tiers, "rest": delivered - math.fsum(tiers.values())},
        sites_w=by_site,
        carried_w=carried,
        believed_w=None if belief is None else belief.delivered_w,
        doubted=any(site in second.doubts for site in scope),
    )


def target_w(demand: Demand, baseline_w: float) -> float:
    """A demand as regulation against the summed baseline of its sites, W; 0 for a limit."""
    return 0.0 if isinstance(demand, Limit) else regulation_asked_w(demand, baseline_w)


def _unreported(sample: Sample) -> bool:
    short = not ok(sample) and missing_w(sample.delivered_w, sample.target_w) > 0.0
    if not short or sample.doubted:
        return False
    return sample.believed_w is None or within(sample.believed_w, sample.target_w)


def _mean(values: Iterable[float]) -> float:
    rows = list(values)
    return math.fsum(rows) / len(rows) if rows else 0.0
