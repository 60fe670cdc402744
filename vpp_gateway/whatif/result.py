"""The result of a play as a value: what `vpp-gateway simulate --json` prints, and what its table shows."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

from pydantic import BaseModel, ConfigDict

from vpp_gateway.catalogue import Lang, text
from vpp_gateway.domain.instruction import Limit
from vpp_gateway.domain.plan import Reason
from vpp_gateway.metering.delivery import within
from vpp_gateway.optimise.explain import told
from vpp_gateway.whatif.after import After
from vpp_gateway.whatif.course import Course, HandOver
from vpp_gateway.whatif.judge import TIERS, EventResult
from vpp_gateway.whatif.remarks import elsewhere_s, held_by, remarks_on, ruled_elsewhere
from vpp_gateway.whatif.scenario import faults_of
from vpp_gateway.whatif.sun import sun_of
from vpp_gateway.whatif.world import Play


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class HandOverResult(_Model):
    """The workload takes over from the batteries. `events why` tells the same ones."""

    ordered_s: float
    """First order that belongs to it, s from the start of the play."""
    real_s: float
    """Nine tenths of it are seen at the meters and the batteries are down, s from the start of the play."""
    lasted_s: float
    """From the order to its being real, s."""
    grown_regulation_w: float
    """What the workload that was ordered gives more than before, W."""


class AfterResult(_Model):
    """A site to which work came back when the event was over."""

    site: str
    """Its id."""
    until_s: float
    """Looked at until another event rules it or the play is over, s from the start of the play."""
    returned_wh: float
    """What that work took on top until then, Wh."""
    returned_w: float
    """Its largest power, W."""
    above_baseline_w: float
    """Most that the site took above the baseline of the event in the mean of a minute, W; < 0: it stayed below."""


class RuledElsewhere(_Model):
    """A site of an event that another event ruled for a while: what it gave then counts for that one alone."""

    site: str
    """Its id."""
    event: str
    """Which event ruled it."""
    seconds: int
    """For how long."""


class LimitedSite(_Model):
    """One site under a limit, at its true meter, over the counted samples."""

    site: str
    """Its id."""
    held: bool
    """Never beyond the limit by more than 1 % of it."""
    import_w: float
    """Mean import, W."""
    samples_above: int
    """Whole seconds beyond the limit at all."""
    samples_broken: int
    """Of these, beyond it by more than 1 % of it."""
    worst_excess_w: float
    """The most it was beyond the limit, W; < 0: so much was left at the tightest second."""


class LimitResult(_Model):
    """What became of a limit; it bounds the import or export of each of its sites."""

    import_max_w: float | None
    """The most that each site may import, W; null: not limited."""
    export_max_w: float | None
    """The most that each site may export, W; null: not limited."""
    sites: tuple[LimitedSite, ...]
    """Those of its scope."""


class Said(_Model):
    """A sentence in both languages."""

    text: str
    """In English."""
    text_ja: str
    """In Japanese."""


class SimulatedEvent(_Model):
    """One event. Powers are means over the counted samples, W of regulation (> 0 relieves the grid)."""

    name: str
    """Of the event."""
    said: str
    """As it was asked for."""
    opt: Literal["in", "out", ""]
    """The gateway's answer; empty: it gave none."""
    reason: str
    """Why not; empty when it opted in."""
    reason_ja: str
    """The same in Japanese."""
    scope: tuple[str, ...]
    """Sites."""
    start_s: float
    """From the start of the play."""
    received_s: float
    """When the gateway received it; later than start_s: it came late, and seconds count from 10 s after that."""
    duration_s: float
    """How long it lasts."""
    target_regulation_w: float | None
    """None: nothing was counted, or it is a limit, which asks for nothing."""
    delivered_regulation_w: float | None
    """At the true meters, against the baseline that the gateway froze."""
    shortfall_w: float | None
    """Mean of what was missing, >= 0."""
    reached_after_s: float | None
    """From the start to the first sample within 10 %."""
    samples: int
    """Whole seconds that count: from second 10 on, or from 10 s after its receipt where that was later, in which it rules
    a site of its own."""
    share_within_10pct: float | None
    """Of the samples, 0..1."""
    by_tier_w: dict[str, float]
    """battery, workload, pv (beyond the baseline's), rest (noise and rebound)."""
    by_site_w: dict[str, float]
    """Site -> what it delivered."""
    unreported_samples: int
    """Samples that fell short while the gateway took them for good."""
    samples_elsewhere: int
    """Whole seconds in which other events ruled all of its sites; they are not counted."""
    ruled_elsewhere: tuple[RuledElsewhere, ...]
    """Sites that other events ruled, and for how long."""
    limit: LimitResult | None
    """Of a limit: what became of it; null for every other event, and for one that was refused."""
    remarks: tuple[Said, ...]
    """What others ruled of it, how a limit was held, and why nothing can be judged, in words."""
    hand_overs: tuple[HandOverResult, ...]
    """When the workload took over from the batteries."""
    after: tuple[AfterResult, ...]
    """What came back when it was over."""
    met: bool | None
    """Opted in, and the mean lies within 10 % of the target, or the limit was held; null: it was taken, and no second
    of it counts, so that nothing can be said."""


class SimulatedFailure(_Model):
    """Something was made to fail."""

    at_s: float
    """From the start of the play."""
    what: str
    """battery, meter, plug-in, planner, link or site."""
    how: str
    """For instance dead, silent, stuck."""
    where: str
    """Device or site; plug-in and planner are `work`."""
    for_s: float | None
    """None = to the end."""


class Renewables(_Model):
    """What became of the sun, Wh over the whole play."""

    sun_wh: float
    """What PV could have given."""
    used_wh: float
    """What it gave; the rest was curtailed at an export limit."""
    surplus_wh: float
    """What it could have given beyond what the sites take anyway and may export."""
    surplus_used_wh: float
    """What it gave beyond that."""
    surplus_bound_wh: float | None
    """The most that could have been used of the surplus: a linear program with perfect foresight; None: it gave no
    answer in its time."""


class SimulationResult(_Model):
    """One play. Every power is modelled: no meter hardware stands behind it."""

    schema_version: Literal[1] = 1
    """Counts the shape of this document."""
    modelled: Literal[True] = True
    """No meter hardware stands behind any number."""
    name: str
    """Of the scenario."""
    seed: int
    """All chance comes from it."""
    simulated_s: float
    """Length of the play without its warm-up."""
    assumed: tuple[str, ...]
    """What nobody said and was therefore assumed, in words."""
    notices: tuple[str, ...]
    """What was said and can be so, but is seldom meant, in words."""
    notices_ja: tuple[str, ...]
    """The same in Japanese."""
    events: tuple[SimulatedEvent, ...]
    """In the order in which they were given."""
    failures: tuple[SimulatedFailure, ...]
    """In time order."""
    renewables: Renewables | None
    """None: there is no PV."""
    trouble: str
    """What the engine could not digest; empty when all went well."""

    @property
    def met(self) -> bool:
        """Whether every event was met; one that cannot be judged was not."""
        return not self.trouble and all(event.met for event in self.events)


def result_of(play: Play, course: Course, judged: tuple[EventResult, ...]) -> SimulationResult:
    """The result of a play."""
    return SimulationResult(
        name=play.name,
        seed=play.seed,
        simulated_s=play.end_s,
        assumed=tuple(text(code, "en") for code in play.assumed),
        notices=_notices(play, "en"),
        notices_ja=_notices(play, "ja"),
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


def _notices(play: Play, lang: Lang) -> tuple[str, ...]:
    return tuple(text(row.code, lang, **dict(row.values)) for row in play.notices)


def _event(play: Play, row: EventResult) -> SimulatedEvent:
    means, asked = row.mean_w(), row.asked
    return SimulatedEvent(
        name=asked.name,
        said=asked.said,
        opt=row.opt if row.opt in ("in", "out") else "",
        reason=_refused(row, "en"),
        reason_ja=_refused(row, "ja"),
        scope=play.scope_of(asked),
        start_s=asked.start_s,
        received_s=asked.received_s,
        duration_s=asked.duration_s,
        target_regulation_w=means.get("target"),
        delivered_regulation_w=means.get("delivered"),
        shortfall_w=means.get("shortfall"),
        reached_after_s=row.reached_after_s,
        samples=len(row.counted) or max((one.samples for one in row.limits.values()), default=0),
        share_within_10pct=row.share_within,
        by_tier_w=_tiers(play, row, means),
        by_site_w={name.removeprefix("site."): w for name, w in means.items() if name.startswith("site.")},
        unreported_samples=len(row.unreported),
        hand_overs=tuple(_hand_over(over) for over in row.hand_overs),
        after=tuple(_after(one) for one in row.after),
        samples_elsewhere=elsewhere_s(row),
        ruled_elsewhere=tuple(
            RuledElsewhere(site=site, event=event, seconds=seconds)
            for (site, event), seconds in ruled_elsewhere(row).items()
        ),
        limit=_limit(row),
        remarks=tuple(Said(text=told(r, "en"), text_ja=told(r, "ja")) for r in remarks_on(row)),
        met=_met(row, means),
    )


def _refused(row: EventResult, lang: Lang) -> str:
    """Why it was not taken, and which events hold its sites where that is why."""
    said = [told(row.reason, lang)]
    if isinstance(row.reason, Reason) and row.reason.code.startswith("opt.short_"):
        said += [told(reason, lang) for reason in held_by(row.held_by)]
    return {"en": "; ", "ja": "。"}[lang].join(said)


def _limit(row: EventResult) -> LimitResult | None:
    limit = row.asked.demand
    if not isinstance(limit, Limit) or not row.limits:
        return None
    sites = tuple(
        LimitedSite(
            site=site,
            held=bool(account.held),
            import_w=account.import_w,
            samples_above=account.samples_above,
            samples_broken=account.samples_broken,
            worst_excess_w=account.worst_excess_w,
        )
        for site, account in row.limits.items()
        if account.samples
    )
    return LimitResult(import_max_w=limit.import_max_w, export_max_w=limit.export_max_w, sites=sites)


def _tiers(play: Play, row: EventResult, means: dict[str, float]) -> dict[str, float]:
    sunny = any(play.sites[site].pv for site in play.scope_of(row.asked))
    return {tier: means[f"tier.{tier}"] for tier in TIERS if means and (sunny or tier != "pv")}


def _after(one: After) -> AfterResult:
    return AfterResult(
        site=one.site,
        until_s=one.until_s,
        returned_wh=one.returned_wh,
        returned_w=one.returned_w,
        above_baseline_w=one.above_w,
    )


def _hand_over(over: HandOver) -> HandOverResult:
    return HandOverResult(
        ordered_s=over.ordered_s,
        real_s=over.real_s,
        lasted_s=over.lasted_s,
        grown_regulation_w=over.work_w,
    )


def _met(row: EventResult, means: dict[str, float]) -> bool | None:
    if row.opt != "in":
        return False
    if isinstance(row.asked.demand, Limit):
        return row.held
    return within(means["delivered"], means["target"]) if means else None


def _renewables(play: Play, course: Course) -> Renewables | None:
    found = sun_of(play, course)
    return None if found is None else Renewables(**asdict(found))
