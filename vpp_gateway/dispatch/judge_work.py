"""What workload gives to an instruction that is judged, and what shifted work that comes back takes from it.

    offer                      counts that can be held from the first call to the end of the phase
    order of the same          counts as long as it lasts
    order of another one       counts that stands when the judged one begins to rule its sites and lasts to the end of the
                               phase: who rules a site has the work that stands there
    any other order            is given back before, or meanwhile: it owes from then on
    debt                       is import on top at its sites: batteries give so much more, until all of it is back

A site has one ruler at a time, so no order counts for two instructions at once. Where it cannot be known when work is
given back, all that time counts as the time of its debt.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from vpp_gateway.dispatch.debt import Debt, debt_of
from vpp_gateway.dispatch.judge_spans import Asked
from vpp_gateway.dispatch.measured import Baselines, asked_in_force_w
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.dispatch.rebound import Rebounds
from vpp_gateway.dispatch.shift import METER_LAG_S, Shifts
from vpp_gateway.dispatch.shift_record import ShiftRecord
from vpp_gateway.dispatch.sites import Sites
from vpp_gateway.domain.instruction import Instruction, InstructionId, SiteId
from vpp_gateway.domain.order import Offer, OrderId
from vpp_gateway.domain.quantity import regulation_of
from vpp_gateway.portfolio.envelope import battery_room
from vpp_gateway.portfolio.timeline import Timeline

RULERS_MAX = 32
"""So many instructions are followed that hand work on to each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """What one site takes on top for one debt."""

    site: SiteId
    since: float
    """UTC (Unix s)."""
    until: float
    w: float
    wh: float
    """In all; less than power and time make together where it is not known when it begins."""
    runs: bool
    """It comes back already: its load shows it."""

    def between_wh(self, since: float, until: float) -> float:
        """What of it may come in this time, Wh."""
        return min(self.wh, self.w * max(0.0, min(until, self.until) - max(since, self.since)) / 3600.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Power over a stretch of time, step by step."""

    steps: tuple[tuple[float, float], ...]
    """(W, seconds), the most first."""

    @property
    def most_w(self) -> float:
        return self.steps[0][0] if self.steps else 0.0

    def above_wh(self, level_w: float) -> float:
        """Energy of what is above a level, Wh."""
        return math.fsum(max(0.0, w - level_w) * seconds for w, seconds in self.steps) / 3600.0

    def cut_w(self, wh: float) -> float:
        """The level above which there is so much energy, W; below 0 where that is more than all of it."""
        lasts_s, sum_ws = 0.0, 0.0
        for index, (w, seconds) in enumerate(self.steps):
            lasts_s, sum_ws = lasts_s + seconds, sum_ws + w * seconds
            level_w = (sum_ws - wh * 3600.0) / lasts_s
            if index + 1 == len(self.steps) or level_w >= self.steps[index + 1][0]:
                return level_w
        return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """What work gives in one span, and what comes back against it."""

    asked: Asked
    work_w: float
    """What work gives, W (>= 0)."""
    owed: tuple[Owed, ...]
    moved_w: Mapping[SiteId, float]
    """Regulation that stands now, by site, and that the load will show no more, W."""

    @property
    def back(self) -> Profile:
        """What comes back against it while it lasts; what comes back in its own direction counts for nothing."""
        against = self.asked.whole if self.asked.direction == "down" else ()
        return self._profile(row for row in self.owed if row.site in against)

    def before_w(self, site: SiteId, now: float) -> float:
        """What the batteries of a site give on the average until it begins, so that what comes back makes no peak."""
        seconds = self.asked.begin_at - now
        if seconds <= 0.0 or self.asked.direction == "up":
            return 0.0
        here = (row for row in self.owed if row.site == site)
        return math.fsum(row.between_wh(now, self.asked.begin_at) for row in here) * 3600.0 / seconds

    def more_load_w(self, site: SiteId) -> float:
        """What the load of a site will be above what it is now, to the worse side of its grid connection, W."""
        coming = self._profile(row for row in self.owed if row.site == site and not row.runs)
        return self.moved_w.get(site, 0.0) + coming.most_w

    def _profile(self, rows: Iterable[Owed]) -> Profile:
        since, until = self.asked.hold.start_at, self.asked.hold.until
        return profile_of(((row.since, row.until, row.w) for row in rows), since, until)


Times = tuple[float, float]
"""When an order is given back, at the earliest and at the latest; inf = it stands for what is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Offers, orders and debts as they stand at a judgement."""

    timeline: Timeline
    sites: Sites
    shifts: Shifts
    rebounds: Rebounds
    baselines: Baselines
    policy: Policy
    now: float
    _at_once: dict[InstructionId, bool] = field(default_factory=dict)
    """Whether what an instruction has ordered returns at once when it is over."""

    def weigh(self, asked: Asked) -> Weighed:
        """What work means for one span."""
        times = {
            record.order.id: (self.now, self.now) if record.taken_back else self._back_at(record, asked)
            for record in self._real()
        }
        return Weighed(
            asked=asked,
            work_w=self._given_w(asked, times),
            owed=tuple(self._owed(asked, times)),
            moved_w=self._moved_w(asked, times),
        )

    # -- what it gives --------------------------------------------------------------------------------------

    def _given_w(self, asked: Asked, times: Mapping[OrderId, Times]) -> float:
        """Offers that reach the sites that are free for it as a whole, and orders that serve it there, W."""
        lasting_s = asked.span.work_until - asked.begin_at
        links = self._links_w()
        offers = (
            _carried(offer, links)
            * math.fsum(regulation_of(leg.import_delta_w) for leg in offer.legs if leg.site in asked.whole)
            for offer in self.shifts.callable_offers(self.now)
            if offer.sustain_s >= lasting_s
        )
        orders = (
            math.fsum(record.regulation_w(site) for site in asked.whole)
            for record in self._real()
            if times[record.order.id][0] >= asked.span.work_until
        )
        return math.fsum(max(0.0, asked.sign * net) for net in (*offers, *orders))

    def _real(self) -> Iterator[ShiftRecord]:
        """Orders that stand and are counted on, and those that are on their way back."""
        return (
            record
            for record in self.shifts.orders.values()
            if record.committed and (record.taken_back or (record.open and not record.overdue(self.now)))
        )

    def _links_w(self) -> dict[tuple[SiteId, SiteId], float]:
        """What the links between sites carry beside the moves that stand, W."""
        left = {(link.source, link.destination): link.max_w for link in self.sites.fleet.links}
        for record in self.shifts.standing():
            if (pair := _between(record.offer)) in left:
                left[pair] -= record.share * abs(record.offer.legs[0].import_delta_w)
        return left

    # -- what it takes --------------------------------------------------------------------------------------

    def _moved_w(self, asked: Asked, times: Mapping[OrderId, Times]) -> dict[SiteId, float]:
        """By site what active orders give now and not in this span: to the worse side where that is not known."""
        moved: dict[SiteId, float] = {}
        for record in self._real():
            first, last = times[record.order.id]
            gone = last <= asked.hold.start_at if asked.direction == "down" else first < asked.hold.until
            if gone and record.active_at is not None:
                for site in {leg.site for leg in record.offer.legs}:
                    moved[site] = moved.get(site, 0.0) + record.regulation_w(site)
        return moved

    def _owed(self, asked: Asked, times: Mapping[OrderId, Times]) -> Iterator[Owed]:
        """Debts that run, and those that work will have before the span is over."""
        for id, debt in self.rebounds.debts.items():
            # One that is told to return takes its time, and owes anew from when it has.
            returning = id in self.shifts.orders
            since = self.now if returning else debt.since
            left_wh = debt.owed_wh if returning else debt.left_wh(self.now)
            yield from _rows(debt, since, since + debt.within_s, left_wh, runs=not returning)
        for record in self._real():
            first, last = times[record.order.id]
            if first >= asked.hold.until or record.order.id in self.rebounds.debts:
                continue
            if (due := debt_of(_begun(record), last)) is not None:
                yield from _rows(due, first, last + METER_LAG_S + due.within_s, due.owed_wh, runs=False)

    # -- when it is given back ------------------------------------------------------------------------------

    def _back_at(self, record: ShiftRecord, asked: Asked) -> Times:
        over_at = self.now + record.lasts_s(self.now)
        first, last = self._freed_at(record, asked)
        return min(first, over_at), min(last, over_at)

    def _freed_at(self, record: ShiftRecord, asked: Asked) -> Times:
        """The same, though it could be held for ever."""
        by = self.timeline.get(record.order.instruction)
        if by is None or record.waits:
            return self._turn_at(record, asked)
        if by.id == asked.instruction.id:
            return math.inf, math.inf
        held_until = self._handed_on(record, by, asked)
        if held_until >= asked.begin_at:
            helps = asked.sign * math.fsum(record.regulation_w(site) for site in asked.whole) >= 0.0
            return (math.inf, math.inf) if helps else (asked.begin_at, asked.begin_at)
        waits = debt_of(_begun(record), held_until) is not None and not self._returns_at_once(
            by.id, held_until
        )
        latest = held_until + self.policy.return_within_s if waits else held_until
        return held_until, min(latest, asked.begin_at)

    def _turn_at(self, record: ShiftRecord, asked: Asked) -> Times:
        """It waits already: while others come back at its sites, and no longer than it may."""
        latest = self.now if record.returns_by is None else max(self.now, record.returns_by)
        legs = {leg.site for leg in record.offer.legs}
        debts = (debt for debt in self.rebounds.debts.values() if any(leg.site in legs for leg in debt.legs))
        free_at = min((debt.since + debt.within_s for debt in debts), default=self.now)
        if asked.begin_at <= max(self.now, min(free_at, latest)):
            return math.inf, math.inf
        return self.now, min(asked.begin_at, latest)

    def _handed_on(self, record: ShiftRecord, by: Instruction, asked: Asked) -> float:
        """Until when it serves instructions that follow each other without a gap and want the same."""
        held_until = math.inf if by.end_at is None else by.end_at
        sites = [leg.site for leg in record.offer.legs]
        for _ in range(RULERS_MAX):
            if held_until >= asked.begin_at:
                break
            rows = [row for row in self.timeline.at(held_until) if row.instruction.id != asked.instruction.id]
            ruler = next(((site, row) for site in sites for row in rows if site in row.sites), None)
            if ruler is None:
                break
            site, row = ruler
            wanted_w = asked_in_force_w(row, self.sites, self.baselines) or 0.0
            if wanted_w * record.regulation_w(site) <= 0.0:
                break
            held_until = math.inf if row.instruction.end_at is None else row.instruction.end_at
        return held_until

    def _returns_at_once(self, by: InstructionId, at: float) -> bool:
        """Whether all that an instruction has ordered returns at once when it is over: nothing else comes back, or batteries hold all of it."""
        if by not in self._at_once:
            together = [one for one in self.shifts.standing() if one.order.instruction == by]
            debts = [debt for one in together if (debt := debt_of(_begun(one), at)) is not None]
            earlier = [debt for debt in self.rebounds.debts.values() if debt.left_s(at) > 0.0]
            alone = len(together) == 1 and not earlier
            lasting_s = max((debt.within_s for debt in debts), default=0.0)
            self._at_once[by] = alone or all(
                math.fsum(debt.back_w(site) for debt in (*debts, *earlier)) <= self._cover_w(site, lasting_s)
                for site in {leg.site for debt in debts for leg in debt.legs}
            )
        return self._at_once[by]

    def _cover_w(self, site: SiteId, seconds: float) -> float:
        """What the batteries of a site hold for so long, W."""
        if not self.policy.hold_rebound:
            return 0.0
        state = self.sites[site]
        return math.fsum(
            battery_room(battery, state.usable.get(battery.id), seconds).down_w
            for battery in state.site.batteries
        )


def _rows(debt: Debt, since: float, until: float, wh: float, *, runs: bool) -> Iterator[Owed]:
    """What each site takes on top for one debt of which so much is to come at its larger leg, Wh."""
    for site in dict.fromkeys(leg.site for leg in debt.legs):
        if (w := debt.back_w(site)) > 0.0:
            yield Owed(site=site, since=since, until=until, w=w, wh=debt.part(site) * wh, runs=runs)


def _begun(record: ShiftRecord) -> ShiftRecord:
    """The order as it owes: one that is on its way is taken to be active from its call on."""
    return record if record.active_at is not None else replace(record, active_at=record.committed_at)


def profile_of(spans: Iterable[tuple[float, float, float]], since: float, until: float) -> Profile:
    """The sum of (start, end, W) from `since` to `until`."""
    edges = sorted(
        edge
        for start, end, w in spans
        if start < until and end > since
        for edge in ((max(since, start), w), (min(until, end), -w))
    )
    steps, w, at = [], 0.0, since
    for edge_at, more_w in (*edges, (until, 0.0)):
        if edge_at > at:
            steps.append((w, edge_at - at))
        w, at = max(0.0, w + more_w), edge_at
    return Profile(steps=tuple(sorted(steps, reverse=True)))


def _between(offer: Offer) -> tuple[SiteId, SiteId]:
    """Source and destination of a move; of anything else its site twice, which no link joins."""
    return offer.legs[0].site, offer.legs[-1].site


def _carried(offer: Offer, links: dict[tuple[SiteId, SiteId], float]) -> float:
    """Share of an offer that its link carries in a whole step; what it takes is taken off."""
    pair, whole_w = _between(offer), abs(offer.legs[0].import_delta_w)
    if pair not in links:
        return 1.0
    share = max((step for step in offer.steps if step * whole_w <= links[pair] + 1e-6), default=0.0)
    links[pair] -= share * whole_w
    return share
