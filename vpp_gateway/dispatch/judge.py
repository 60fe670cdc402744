"""Opt in or out: can this instruction be delivered for its whole duration, before we promise it?

For every phase, over its own length, the room of the scope in the direction asked: each battery by its power and by its
own energy, the feeder and the grid connection they sit behind, and the energy that is left of all of them after what is
promised already and what the phases before it take or give back (`course`); and workload as far as it lasts, less what
comes back of work that was shifted before (`judge_work`). Batteries that are blocked meanwhile count for nothing, and so do
sites and devices while a more urgent instruction rules them (`judge_spans`). With its reason, so that the peer's operator
and ours understand a refusal. Awards count for nothing here: an award is called by an instruction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Literal

from vpp_gateway.dispatch.course import Course
from vpp_gateway.dispatch.judge_spans import Asked, Span, spans_of
from vpp_gateway.dispatch.judge_work import Weighed, Work, profile_of
from vpp_gateway.dispatch.limits import passed_w
from vpp_gateway.dispatch.measured import Baselines, asked_of_w, regulation_asked_w, usual_w
from vpp_gateway.dispatch.plausible import impossible
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.dispatch.rebound import Rebounds
from vpp_gateway.dispatch.shift import Shifts
from vpp_gateway.dispatch.sites import Sites, SiteState
from vpp_gateway.domain.instruction import (
    DeviceId,
    Instruction,
    Limit,
    Multiplier,
    Setpoint,
    SiteId,
)
from vpp_gateway.domain.plan import Reason
from vpp_gateway.optimise.explain import told
from vpp_gateway.portfolio.asset import Asset, Direction, Hold, battery_asset, nameplate_asset
from vpp_gateway.portfolio.availability import limited_devices, limits_in
from vpp_gateway.portfolio.crossing import Crossing, crossing
from vpp_gateway.portfolio.envelope import NO_BOUND_W, hold_s, site_bounds
from vpp_gateway.portfolio.rooms import SiteAssets, scope_room
from vpp_gateway.portfolio.sweep import Place, Row
from vpp_gateway.portfolio.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Opt and its reason."""

    opt: Literal["in", "out"]
    reason: Reason | None = None
    """Why not; None when it is taken."""
    room_w: float
    """Room in the direction asked, W (>= 0), the least over the phases."""

    @property
    def words(self) -> str:
        """The reason in English, for the peer."""
        return told(self.reason, "en")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """What a judgement looks at."""

    timeline: Timeline
    sites: Sites
    shifts: Shifts
    rebounds: Rebounds
    baselines: Baselines
    policy: Policy
    now: float
    in_grace: bool
    """The gateway has just started: a site without readings counts by its nameplates."""

    def judge(self, instruction: Instruction) -> Verdict:
        """Judge one instruction against the envelope of its scope."""
        scope = self.timeline.scope_of(instruction)
        hindrance = self._hindrance(instruction, scope)
        if hindrance is not None:
            return Verdict(opt="out", reason=hindrance, room_w=0.0)
        spans = spans_of(self.timeline, self.sites, instruction, self.now)
        work = Work(
            timeline=self.timeline,
            sites=self.sites,
            shifts=self.shifts,
            rebounds=self.rebounds,
            baselines=self.baselines,
            policy=self.policy,
            now=self.now,
        )
        course = Course(batteries=self.sites.batteries)
        least, held = math.inf, False
        for span in spans:
            if isinstance(span.phase.demand, Limit):
                if (short := self._not_kept(instruction, span.phase.demand, span.hold, course)) is not None:
                    return short
                continue
            whole = self._whole(instruction, span)
            spoken = self._spoken(span, whole, scope)
            asked_w = asked_of_w(instruction.id, span.phase.demand, spoken, self.baselines)
            if asked_w is None:
                return Verdict(opt="out", reason=self._unknown(instruction, spoken), room_w=0.0)
            asked = Asked(
                instruction=instruction,
                span=span,
                direction="down" if asked_w > 0 else "up",
                begin_at=spans[0].start_at,
                whole=whole,
            )
            weighed = work.weigh(asked)
            if not held:
                self._hold_before(weighed, course)
                held = True
            assets = self._free_assets(weighed, course)
            room = max(0.0, self._room_w(weighed, assets) + weighed.work_w)
            least = min(least, room)
            if room < abs(asked_w) * self.policy.opt_in_at_least:
                return _short(asked_w, room, _phase_hold(span, spans), instruction)
            if span is not spans[-1]:
                level_w = weighed.work_w - min(abs(asked_w), room)
                given_w = weighed.back.above_wh(level_w) * 3600.0 / span.hold.seconds
                course.meet(instruction.id, assets, given_w, span.hold, asked.direction)
        return Verdict(opt="in", room_w=least if math.isfinite(least) else 0.0)

    def _whole(self, instruction: Instruction, span: Span) -> frozenset[SiteId]:
        """Sites that are free for it from the grid connection on."""
        return frozenset(
            site
            for site, device in self.timeline.claim_of(instruction)
            if device is None and site in span.free
        )

    def _spoken(self, span: Span, whole: frozenset[SiteId], scope: tuple[SiteId, ...]) -> list[SiteState]:
        """Sites whose baselines decide what is asked, as `spoken_of` says it of one in force."""
        shares = isinstance(span.phase.demand, Multiplier) and whole
        return [self.sites[id] for id in scope if not shares or id in whole]

    def _unknown(self, instruction: Instruction, states: Iterable[SiteState]) -> Reason:
        """Whose load it is that nobody knows."""
        unheard = (s.site.id for s in states if self.baselines.of(instruction.id, s) is None)
        return Reason(code="opt.load_unknown", values=(("sites", ", ".join(unheard)),))

    def _hold_before(self, weighed: Weighed, course: Course) -> None:
        """Until it begins, batteries hold its sites while work comes back there: that energy is gone."""
        until = Hold(start_at=self.now, hold_s=weighed.asked.begin_at - self.now)
        for id in weighed.asked.free if self.policy.hold_rebound else ():
            w = weighed.before_w(id, self.now)
            if w > 0.0:
                state = self.sites[id]
                assets = self._assets(state, frozenset(b.id for b in state.site.batteries), until, course)
                course.meet(weighed.asked.instruction.id, [assets], w, until, "down")

    def _not_kept(self, instruction: Instruction, limit: Limit, hold: Hold, course: Course) -> Verdict | None:
        """The verdict on a limit that the batteries of one of its sites cannot hold; None when all can.

        A limit goes before every demand, so it matters to nobody who rules the site; no workload is called for it.
        """
        for id in () if instruction.devices else self.timeline.scope_of(instruction):
            state = self.sites[id]
            must = passed_w(limit, state.load_w or 0.0)
            if not must:
                continue
            direction: Direction = "down" if must > 0 else "up"
            site = self._assets(state, frozenset(b.id for b in state.site.batteries), hold, course)
            energy = math.fsum(a.energy_wh(direction) for a in site.batteries if a.doubt is None)
            room = min(scope_room([site], (), hold, direction).w, energy * 3600.0 / hold.seconds)
            if room < abs(must) * self.policy.opt_in_at_least:
                return _short(must, room, hold, instruction)
            course.meet(instruction.id, [site], abs(must), hold, direction)
        return None

    def _hindrance(self, instruction: Instruction, scope: tuple[SiteId, ...]) -> Reason | None:
        """Why it cannot even be weighed; None when it can."""
        if not scope:
            return Reason(code="opt.no_site")
        if (field := impossible(instruction)) is not None:
            return Reason(code="opt.no_number", values=(("field", field[0]), ("found", field[1])))
        unknown = [device for device in instruction.devices if device not in self.timeline.home]
        if unknown:
            return Reason(code="opt.no_device", values=(("devices", ", ".join(unknown)),))
        if instruction.devices and any(
            isinstance(p.demand, Setpoint | Multiplier) for p in instruction.phases
        ):
            return Reason(code="opt.no_meter", values=(("devices", ", ".join(instruction.devices)),))
        if instruction.end_at is not None and instruction.end_at <= self.now:
            return Reason(code="opt.over")
        if (cross := crossing(self.timeline, instruction, self.now)) is not None:
            return _crossed(cross)
        if not self.in_grace and not any(self.sites[id].linked for id in scope):
            return Reason(code="opt.unreachable", values=(("sites", ", ".join(scope)),))
        return None

    def _free_assets(self, weighed: Weighed, course: Course) -> list[SiteAssets]:
        """The batteries that are free for it, with what the spans before leave in them."""
        asked = weighed.asked
        beside = self._beside_w(asked)
        return [
            self._assets(
                self.sites[id], devices, asked.hold, course, beside.get(id, 0.0), weighed.more_load_w(id)
            )
            for id, devices in asked.free.items()
        ]

    def _room_w(self, weighed: Weighed, assets: Sequence[SiteAssets]) -> float:
        """What these batteries can hold in one span beside what is promised to others, less what comes back, W.

        Below 0 where more comes back than they can hold.
        """
        asked, back = weighed.asked, weighed.back
        power = scope_room(assets, (), asked.hold, asked.direction).w
        energy = math.fsum(
            asset.energy_wh(asked.direction)
            for one in assets
            for asset in one.batteries
            if asset.doubt is None and not _blocked(one, asset, asked.hold)
        )
        energy = max(0.0, energy - self._promised_wh(asked))
        if back.most_w <= 0.0:
            return min(power, energy * 3600.0 / asked.hold.seconds)
        alone = scope_room([_endless(one) for one in assets], (), asked.hold, asked.direction).w
        return min(alone - back.most_w, -back.cut_w(min(energy, power * asked.hold.seconds / 3600.0)))

    def _beside_w(self, asked: Asked) -> dict[SiteId, float]:
        """What more urgent orders to single batteries may put on the connection of their site at one moment, W.

        Each is taken to be divided by the ratings of the batteries that it has.
        """
        since, until, sign = asked.hold.start_at, asked.until, asked.sign
        spans: dict[SiteId, list[tuple[float, float, float]]] = {}
        for row in self.timeline.beside(asked.instruction):
            start_at, end_at = max(row.phase.start_at, since), min(row.end_at, until)
            w = sign * (row.regulation_w or 0.0)
            if start_at >= end_at or w <= 0.0:
                continue
            ratings = {place: self._rating_w(place, sign) for place in row.claim}
            share = min(1.0, w / max(math.fsum(ratings.values()), 1.0))
            for (site, device), rating_w in ratings.items():
                if device is not None:
                    spans.setdefault(site, []).append((start_at, end_at, share * rating_w))
        return {site: profile_of(rows, since, until).most_w for site, rows in spans.items()}

    def _rating_w(self, place: Place, sign: float) -> float:
        """Of one battery, or of all at a site, in one direction, W."""
        site, device = place
        batteries = (b for b in self.sites[site].site.batteries if device is None or b.id == device)
        return math.fsum(b.discharge_max_w if sign > 0 else b.charge_max_w for b in batteries)

    def _assets(
        self,
        state: SiteState,
        devices: Set[DeviceId],
        hold: Hold,
        course: Course,
        beside_w: float = 0.0,
        more_load_w: float = 0.0,
    ) -> SiteAssets:
        """Those of its batteries that can be counted on, as far as its grid connection and its limits carry them.

        Args:
            course: What the spans before have changed.
            beside_w: What others put on the connection in the direction asked.
            more_load_w: What its load will be above what it is now.
        """
        unheard = self.in_grace and state.reading is None
        limited = limited_devices(self.timeline, state.site.id, hold.start_at, hold.until)
        batteries = tuple(
            course.left(
                nameplate_asset(state.site, battery)
                if unheard
                else battery_asset(state.site, battery, state.readable.get(battery.id))
            )
            for battery in state.site.batteries
            if battery.id in devices and battery.id not in limited
        )
        if state.load_w is None:
            return SiteAssets(
                site=state.site, batteries=batteries, down_max_w=NO_BOUND_W, up_max_w=NO_BOUND_W
            )
        tighter = limits_in(self.timeline, state.site.id, hold.start_at, hold.until)
        bounds = site_bounds(state.site, state.load_w + more_load_w, *tighter)
        return SiteAssets(
            site=state.site,
            batteries=batteries,
            down_max_w=bounds.down_max_w - beside_w,
            up_max_w=bounds.up_max_w - beside_w,
        )

    def _promised_wh(self, asked: Asked) -> float:
        """Energy that other accepted instructions may take from these batteries in the same direction before its end."""
        open_end_at = self.now + hold_s(None, self.now)
        total = 0.0
        for claim, rows in self.timeline.demands():
            share = self._share(claim, asked.free)
            if not share:
                continue
            asked_wh, asked_w = 0.0, None
            for row in rows:
                w = row.regulation_w
                if w is None:
                    asked_w = asked_w or self._asked_of(claim)
                    w = asked_w(row)
                w *= asked.sign
                if w <= 0.0 or row.instruction.id == asked.instruction.id:
                    continue
                until = min(row.end_at, asked.until)
                seconds = (open_end_at if until == math.inf else until) - max(row.phase.start_at, self.now)
                if seconds > 0.0:
                    asked_wh += w * seconds / 3600.0
            total += asked_wh * share
        return total

    def _share(self, claim: Sequence[Place], free: Mapping[SiteId, Set[DeviceId]]) -> float:
        """The part of what a claim gives that falls on these batteries: alike by site, and by device inside it."""
        claimed: dict[SiteId, set[DeviceId]] = {}
        for site, device in claim:
            named = {b.id for b in self.sites[site].site.batteries} if device is None else {device}
            claimed.setdefault(site, set()).update(named)
        parts = (
            len(devices & free[site]) / len(devices) if devices else 1.0
            for site, devices in claimed.items()
            if site in free
        )
        return math.fsum(parts) / max(len(claimed), 1)

    def _asked_of(self, claim: Sequence[Place]) -> Callable[[Row], float]:
        """What demands that depend on the load ask of these sites, W; the load of those that have not begun is one."""
        states = [self.sites[site] for site, device in claim if device is None]
        ahead = [usual_w(state) for state in states]
        unknown = any(w is None for w in ahead)
        load_w = math.fsum(w for w in ahead if w is not None)

        def asked_w(row: Row) -> float:
            if self.baselines.knows(row.instruction.id):
                return asked_of_w(row.instruction.id, row.phase.demand, states, self.baselines) or 0.0
            return 0.0 if unknown else regulation_asked_w(row.phase.demand, load_w)

        return asked_w


def _endless(one: SiteAssets) -> SiteAssets:
    """A site by its power alone."""
    batteries = tuple(replace(asset, down_wh=math.inf, up_wh=math.inf) for asset in one.batteries)
    return replace(one, batteries=batteries)


def _phase_hold(span: Span, spans: Sequence[Span]) -> Hold:
    """The phase of a span, as far as it is judged: people know phases."""
    of = [one for one in spans if one.phase is span.phase]
    return replace(of[0], until=of[-1].until).hold


def _blocked(one: SiteAssets, asset: Asset, asked: Hold) -> bool:
    return one.site.is_blocked(DeviceId(asset.id), asked.start_at, asked.until)


def _short(asked: float, room: float, hold: Hold, instruction: Instruction) -> Verdict:
    """Too little, and in which phase where that is not the first."""
    code = "opt.short_down" if asked > 0 else "opt.short_up"
    values: tuple[tuple[str, str], ...]
    values = (("w", f"{abs(asked):.0f}"), ("seconds", f"{hold.hold_s:.0f}"), ("room_w", f"{room:.0f}"))
    after_s = hold.start_at - instruction.active_from
    if after_s > 0.0 and instruction.phase_at(hold.start_at) is not instruction.phases[0]:
        code, values = f"{code}_later", (*values, ("after", f"{after_s:.0f}"))
    return Verdict(opt="out", reason=Reason(code=code, values=values), room_w=room)


def _crossed(cross: Crossing) -> Reason:
    """Why a limit is refused that crosses one that stands."""
    values = (
        ("place", cross.place[1] or cross.place[0]),
        ("other", cross.other),
        ("import_kw", f"{cross.import_max_w / 1000:.1f}"),
        ("export_kw", f"{cross.export_max_w / 1000:.1f}"),
    )
    return Reason(code="opt.limits_cross", values=values)
