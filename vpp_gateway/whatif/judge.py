"""A course judged at the true meters: what each event was to give, what it gave, and who gave it.

    delivered = sum over its sites of (baseline - import)              the baseline is the one that the gateway froze
              = batteries + workload + PV + rest                       PV beyond what it gave in the baseline's window;
                                                                       rest: noise and rebound

Samples are whole seconds. Those before second `SETTLE_S` are not counted, as balancing products do; what is excused
after a failure is the caller's to say. An event that was received after its start is judged from its receipt. A site
that another event rules (`ruling`) counts for that one alone: a second in which others rule all sites of an event is not
counted for it. A limit is judged by what flows at each of its sites.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from vpp_gateway.dispatch.measured import regulation_asked_w
from vpp_gateway.domain.instruction import Demand, InstructionId, Limit, Setpoint, SiteId
from vpp_gateway.domain.plan import Reason
from vpp_gateway.metering.delivery import SETTLE_S, missing_w, within
from vpp_gateway.metering.limit import LimitAccount
from vpp_gateway.whatif.after import After, afters
from vpp_gateway.whatif.course import Course, HandOver, Second
from vpp_gateway.whatif.house import instruction_id
from vpp_gateway.whatif.ruling import before, elsewhere, holders, limiters
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
    elsewhere: Mapping[SiteId, str] = field(default_factory=dict)
    """Sites of the event that another one rules, and its name: nothing of them is in this sample."""

    @property
    def rules(self) -> bool:
        """Whether the event rules a site of its own in this second."""
        return bool(self.sites_w)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventResult:
    """One event, judged."""

    asked: Asked
    opt: str
    reason: Reason | str | None
    """Why it was refused."""
    samples: tuple[Sample, ...]
    """Every second of it since it was known; empty when it was refused."""
    excused: tuple[tuple[float, float], ...] = ()
    """[from, to] seconds of the play that do not count."""
    hand_overs: tuple[HandOver, ...] = ()
    after: tuple[After, ...] = ()
    """Sites to which work came back when it was over."""
    limits: Mapping[SiteId, LimitAccount] = field(default_factory=dict)
    """Of a limit that was opted in: how each of its sites kept it."""
    held_by: tuple[tuple[str, tuple[SiteId, ...]], ...] = ()
    """Events that went before it when it was judged, and the sites of it that they rule in its time."""
    limited_by: tuple[tuple[str, tuple[SiteId, ...]], ...] = ()
    """Limits that bound sites of it in its time."""

    @property
    def counted(self) -> tuple[Sample, ...]:
        """Samples from second 10 on that nothing excuses, in which it rules a site of its own."""
        first = self.asked.begins_s + SETTLE_S
        return tuple(
            s
            for s in self.samples
            if s.rules
            and s.at_s >= first
            and not any(since <= s.at_s <= until for since, until in self.excused)
        )

    @property
    def held(self) -> bool | None:
        """Of a limit: whether every site kept it; None where that cannot be said."""
        found = [account.held for account in self.limits.values()]
        return False if False in found else True if found and None not in found else None

    @property
    def share_within(self) -> float | None:
        """Share of the counted samples within 10 %; None when there are none."""
        counted = self.counted
        return sum(ok(s) for s in counted) / len(counted) if counted else None

    @property
    def reached_after_s(self) -> float | None:
        """Seconds from the start to the first sample within 10 %."""
        first = next((s for s in self.samples if s.rules and ok(s)), None)
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
        sites = dict.fromkeys(site for s in counted for site in s.sites_w)
        rows |= {f"site.{site}": _mean(s.sites_w.get(site, 0.0) for s in counted) for site in sites}
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
    others = before(play, course, asked)
    if course.opts.get(id, ("", ""))[0] != "in" or not (scope or others) or isinstance(asked.demand, Limit):
        return ()
    earlier = [s for s in course.seconds if s.at_s < asked.begins_s]
    window = [s for s in earlier if s.at_s >= asked.begins_s - play.policy.baseline_window_s]
    shifted = {site: row.shift_w for site, row in earlier[-1].sites.items()} if earlier else {}
    shone = {site: _mean(s.sites[site].pv_w for s in window) for site in scope}
    return tuple(
        _sample(second, id, asked, frozen, shifted, shone, elsewhere(play, others, asked, second.at_s))
        for second in course.seconds
        if since_s <= second.at_s < until_s
    )


def _event(play: Play, course: Course, asked: Asked, excused: tuple[tuple[float, float], ...]) -> EventResult:
    id = instruction_id(asked)
    opt, said = course.opts.get(id, ("", ""))
    record = course.records.get(id)
    reason = said if record is None else record.opt_reason
    samples = samples_of(play, course, asked, asked.begins_s, asked.end_s)
    return EventResult(
        asked=asked,
        opt=opt,
        reason=reason,
        samples=samples,
        excused=excused,
        hand_overs=tuple(course.hand_overs.get(id, ())),
        after=tuple(afters(play, course, asked)),
        limits=_limits(play, course, asked, excused) if opt == "in" else {},
        held_by=tuple(holders(play, course, asked)),
        limited_by=tuple(limiters(play, course, asked)),
    )


def _limits(
    play: Play, course: Course, asked: Asked, excused: tuple[tuple[float, float], ...]
) -> dict[SiteId, LimitAccount]:
    """What truly flowed at the sites of a limit, over the seconds that count."""
    limit = asked.demand
    if not isinstance(limit, Limit):
        return {}
    accounts = {site: LimitAccount(limit=limit) for site in play.scope_of(asked)}
    for second in course.seconds:
        counts = asked.begins_s + SETTLE_S <= second.at_s < asked.end_s
        if counts and not any(since <= second.at_s <= until for since, until in excused):
            for site, account in accounts.items():
                account.add(limit, second.sites[site].import_w)
    return accounts


def _sample(
    second: Second,
    id: InstructionId,
    asked: Asked,
    frozen: Mapping[SiteId, float],
    shifted: Mapping[SiteId, float],
    shone: Mapping[SiteId, float],
    others: Mapping[SiteId, str],
) -> Sample:
    """One second; `shifted` and `shone` is what shifts took and PV gave inside the baseline, W.

    Args:
        others: Sites that another event rules while this one is in force.
    """
    during = asked.start_s <= second.at_s < asked.end_s
    lost = dict(others) if during else {}
    scope = tuple(site for site in shone if site not in lost)
    # An import is asked of the whole scope: a site that another event rules counts as its baseline.
    spoken = tuple(shone) if isinstance(asked.demand, Setpoint) else scope
    rows = {site: second.sites[site] for site in scope}
    by_site = {site: frozen[site] - row.import_w for site, row in rows.items()}
    delivered = math.fsum(by_site.values())
    carried = {("battery", site): row.battery_w for site, row in rows.items()}
    carried |= {("workload", site): shifted.get(site, 0.0) - row.shift_w for site, row in rows.items()}
    carried |= {("pv", site): row.pv_w - shone[site] for site, row in rows.items()}
    tiers = {name: math.fsum(w for (tier, _), w in carried.items() if tier == name) for name in TIERS[:-1]}
    belief = second.beliefs.get(id)
    return Sample(
        at_s=second.at_s,
        target_w=target_w(asked.demand, math.fsum(frozen[site] for site in spoken))
        if during and scope
        else 0.0,
        delivered_w=delivered,
        tiers_w={**tiers, "rest": delivered - math.fsum(tiers.values())},
        sites_w=by_site,
        carried_w=carried,
        believed_w=None if belief is None else belief.delivered_w,
        doubted=any(site in second.doubts for site in scope),
        elsewhere=lost,
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
