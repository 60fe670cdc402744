"""What comes back when shifted work ends, and what is done so that the end of an event makes no peak.

    work is given back           -> a debt: what its sites will take on top, for as long as its offer says
    its instruction is over      -> work that would lift a site above its baseline waits for its turn, for at most
                                    `return_within_s`: what still stands pays for what comes back
    while debts run              -> batteries hold the import of a site that nobody rules at its baseline, as their energy
                                    lasts and until what is owed has come; they are not recharged, and what the site takes
                                    is nobody's baseline

A site that another instruction rules is that one's affair: its meter shows the rebound, and the batteries follow it.
Work that owes nothing is given back at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from vpp_gateway.dispatch.allocation_beside import rebound_problem
from vpp_gateway.dispatch.debt import LONGEST_S, Debt, debt_of
from vpp_gateway.dispatch.keep import Keep
from vpp_gateway.dispatch.measured import Baselines, asked_in_force_w
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.dispatch.schedule import leased
from vpp_gateway.dispatch.shift import METER_LAG_S, Shifts
from vpp_gateway.dispatch.shift_record import ShiftRecord
from vpp_gateway.dispatch.sites import Sites, SiteState
from vpp_gateway.domain.command import Shift
from vpp_gateway.domain.fact import Fact, Shifted
from vpp_gateway.domain.instruction import DeviceId, InstructionId, SiteId
from vpp_gateway.domain.order import OrderId, ShiftState, Step
from vpp_gateway.domain.plan import Reason
from vpp_gateway.optimise.allocate import closed_form
from vpp_gateway.portfolio.envelope import battery_room
from vpp_gateway.portfolio.timeline import InForce, Timeline

REBOUND = InstructionId("rebound")
"""Stands where other steps name their instruction."""
TOLERANCE = 0.01
"""Of the baseline: an import above it by so little is no peak."""
QUIET_S = 60.0
"""Batteries are let go so long after the import was last above its baseline."""
HOLD_LEAST_S = 10.0
UNSEEN_S = 10.0
"""So long batteries hold on to what they gave when no meter is to be believed."""
BEYOND = 1.2
"""Of what is owed: when so much has come, all has, and the rest is the load's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """How one site is held this second."""

    level_w: float
    """Import that it is held at."""
    above_w: float
    """What it would take above that without batteries."""
    given_w: Mapping[DeviceId, float]
    """What of it batteries are ordered to give."""
    seen_at: float
    """UTC (Unix s): the load was seen last."""

    @property
    def held_w(self) -> float:
        return math.fsum(self.given_w.values())


@dataclass(slots=True)
class Rebounds:
    """Debts, work that waits to be given back, and the sites that are held meanwhile."""

    sites: Sites
    timeline: Timeline
    baselines: Baselines
    shifts: Shifts
    policy: Policy
    note: Callable[[InstructionId, Reason], None]
    """Keeps a remark with an instruction."""
    debts: dict[OrderId, Debt] = field(default_factory=dict)
    holding: dict[SiteId, Holding] = field(default_factory=dict)
    """Sites that are held this second; also those that need nothing now."""
    _levels: dict[SiteId, float] = field(default_factory=dict)
    """Baseline of sites whose instruction is over, W."""
    _above_at: dict[SiteId, float] = field(default_factory=dict)
    _returned_wh: dict[SiteId, float] = field(default_factory=dict)
    """What a site has taken above its level for the debts that run."""
    _looked_at: float | None = None
    _alone: frozenset[DeviceId] = frozenset()
    _keep: Keep | None = None
    """As of the last look: batteries that are ruled alone, and floors."""

    def notice(self, fact: Fact) -> None:
        """Look at a fact before it is folded: an order that ends owes from now on."""
        if isinstance(fact, Shifted) and fact.state in (ShiftState.RETURNED, ShiftState.FAILED):
            record = self.shifts.orders.get(fact.order)
            if record is not None and (not record.owed or fact.order in self.debts):
                self._owe(record, fact.at)

    def _owe(self, record: ShiftRecord, now: float) -> None:
        debt = debt_of(record, now)
        record.owed = True
        if debt is not None:
            self.debts[record.order.id] = debt

    # -- the end of an instruction --------------------------------------------------------------------------

    def over(self, id: InstructionId, now: float) -> list[Shift]:
        """An instruction is over: what was ordered for it serves the one that rules its place now, returns, or has to wait
        for its turn.

        To be called while its baselines are known.
        """
        touched = self.owing() | {leg.site for r in self.shifts.orders.values() for leg in r.offer.legs}
        for site, level_w in self.baselines.frozen(id).items():
            if site in touched and site not in self._levels:
                self._levels[site], self._returned_wh[site] = level_w, 0.0
        orders = [record for record in self.shifts.standing() if record.order.instruction == id]
        for record in orders:
            waits_s = self.policy.return_within_s if debt_of(record, now) is not None else 0.0
            record.returns_by = now + max(0.0, min(waits_s, record.lasts_s(now)))
        self._hand_on(now)
        self._tell(id, (record for record in orders if record.waits), now)
        return self._give_back(now)

    def _tell(self, id: InstructionId, orders: Iterable[ShiftRecord], now: float) -> None:
        """What its work owes its sites, with the instruction."""
        owed: dict[SiteId, tuple[float, float]] = {}
        for debt in filter(None, (debt_of(record, now) for record in orders)):
            for site in (leg.site for leg in debt.legs if debt.part(leg.site) > 0.0):
                wh, within_s = owed.get(site, (0.0, 0.0))
                owed[site] = wh + debt.part(site) * debt.owed_wh, max(within_s, debt.within_s)
        for site, (wh, within_s) in owed.items():
            values = (("site", str(site)), ("kwh", f"{wh / 1000:.1f}"), ("minutes", f"{within_s / 60:.0f}"))
            held = site in self._levels and self.policy.hold_rebound
            self.note(id, Reason(code="rebound.held" if held else "rebound.owed", values=values))

    def second(self, now: float) -> list[Shift]:
        """Forget what has come back, and give back what has waited long enough or has its turn now."""
        for record in self.shifts.orders.values():
            if record.taken_back and not record.owed:
                self._owe(record, now)
        waiting = self._waiting()
        if not self.debts and not waiting:
            if self._levels:
                self._levels.clear()
                self._above_at.clear()
            return []
        for id in [id for id, debt in self.debts.items() if debt.left_s(now) <= 0.0]:
            self._close(id)
        for site in self._levels:
            here = {id: wh for id, debt in self.debts.items() if (wh := debt.part(site) * debt.owed_wh) > 0.0}
            if here and self._returned_wh[site] >= BEYOND * math.fsum(here.values()):
                for id in here:
                    self._close(id)
        shifts = []
        if waiting:
            self._hand_on(now)
            shifts = self._give_back(now)
        owing = self.owing()
        self._levels = {site: w for site, w in self._levels.items() if site in owing}
        return shifts

    def _close(self, id: OrderId) -> None:
        debt = self.debts.pop(id)
        for site, wh in self._returned_wh.items():
            self._returned_wh[site] = max(0.0, wh - debt.part(site) * debt.owed_wh)

    def _waiting(self) -> list[ShiftRecord]:
        return [record for record in self.shifts.orders.values() if record.waits]

    def owing(self) -> set[SiteId]:
        """Sites that take more than they would without what we did, or soon will."""
        return {
            *(leg.site for debt in self.debts.values() for leg in debt.legs),
            *(leg.site for record in self._waiting() for leg in record.offer.legs),
        }

    def _hand_on(self, now: float) -> None:
        """What waits at a site that is ruled anew serves him who rules it now, or returns at once if it would work against
        him."""
        ruler = {site: row for row in self.timeline.at(now) for site in row.sites}
        for record in self._waiting() if ruler else ():
            site = next((leg.site for leg in record.offer.legs if leg.site in ruler), None)
            if site is None:
                continue
            asked_w = asked_in_force_w(ruler[site], self.sites, self.baselines) or 0.0
            if asked_w * record.regulation_w(site) > 0.0:
                record.order = replace(record.order, instruction=ruler[site].instruction.id)
                record.returns_by = None
            else:
                record.returns_by = now

    def _give_back(self, now: float) -> list[Shift]:
        """Orders whose turn it is: the dearest first, as long as every site stays at its baseline with what its batteries
        can give; where nothing else comes back, waiting would change nothing."""
        turn: list[ShiftRecord] = []
        waiting = self._waiting()
        room_w = {site: self._room_w(site, now) for site in self._levels} if waiting else {}
        busy = {leg.site for debt in self.debts.values() for leg in debt.legs}
        busy |= {leg.site for r in self.shifts.orders.values() if r.taken_back for leg in r.offer.legs}
        for record in sorted(waiting, key=_dearest):
            more_w = _comes_back_w(record, now)
            fits = all(w <= room_w.get(site, math.inf) for site, w in more_w.items() if w > 0.0)
            over = record.returns_by is not None and now >= record.returns_by
            if fits or over or busy.isdisjoint(more_w):
                turn.append(record)
                if debt_of(record, now) is not None:
                    busy.update(more_w)
                for site, w in more_w.items():
                    room_w[site] = room_w.get(site, math.inf) - w
                self._owe(record, now)
        return self.shifts.give_back(turn, now)

    def _room_w(self, site: SiteId, now: float) -> float:
        """What more a site may take, batteries helping, W; none while nobody can see it."""
        state, level_w = self.sites[site], self._levels[site]
        if state.load_w is None or not state.fresh or not state.linked:
            return -math.inf
        coming_w = 0.0
        for record in self.shifts.orders.values():
            if record.taken_back:
                coming_w += _comes_back_w(record, now).get(site, 0.0)
        for id, debt in self.debts.items():
            # It has just come back, and the meter may not show it yet.
            if id not in self.shifts.orders and now < debt.since + METER_LAG_S:
                coming_w += math.fsum(leg.regulation_w for leg in debt.legs if leg.site == site)
                coming_w += debt.back_w(site)
        lasting_s = max((d.left_s(now) for d in self.debts.values()), default=0.0)
        lasting_s = max(lasting_s, *(r.offer.rebound_within_s for r in self._waiting()), HOLD_LEAST_S)
        cover_w = 0.0
        if self.policy.hold_rebound:
            most_w = self._lasting_w(state, min(lasting_s, LONGEST_S))
            cover_w = math.fsum(self._shared(state, math.fsum(most_w.values()), most_w, now).values())
        return _at_most_w(level_w) - state.load_w - coming_w + cover_w

    # -- holding a site -------------------------------------------------------------------------------------

    def steps(self, rows: Iterable[InForce], keep: Keep | None, now: float) -> dict[SiteId, tuple[Step, ...]]:
        """What batteries give so that no site that owes is above its baseline; a site that needs nothing has no steps.

        Args:
            keep: Floors of the plan of the hour: what armed products need is not used.
        """
        passed_s = 0.0 if self._looked_at is None else min(max(0.0, now - self._looked_at), 2.0)
        self._looked_at = now
        if not self._levels:
            self.holding = {}
            return {}
        rows = tuple(rows)
        ruled = {site for row in rows for site in row.sites}
        self._alone, self._keep = frozenset(device for row in rows for device in row.devices), keep
        holding = {}
        for site in self._levels:
            state = self.sites[site]
            if site in ruled or not state.linked or not any(d.part(site) > 0.0 for d in self.debts.values()):
                continue
            if (held := self._look(state, passed_s, now)) is not None:
                holding[site] = held
        self.holding = holding
        if not self.policy.hold_rebound:
            return {}
        return {site: self._ordered(site, now) for site in holding}

    def _look(self, state: SiteState, passed_s: float, now: float) -> Holding | None:
        """One site this second; as it was, while its meters are silent for a moment."""
        site, level_w = state.site.id, self._levels[state.site.id]
        if state.load_w is None or not state.fresh:
            before = self.holding.get(site)
            return before if before is not None and now < before.seen_at + UNSEEN_S else None
        self._returned_wh[site] += max(0.0, state.load_w - level_w) * passed_s / 3600.0
        above_w = max(0.0, state.load_w - _at_most_w(level_w))
        if above_w > 0.0:
            self._above_at[site] = now
        given_w = self._hold(state, above_w, now) if self.policy.hold_rebound else {}
        return Holding(level_w=level_w, above_w=above_w, given_w=given_w, seen_at=now)

    def _ordered(self, site: SiteId, now: float) -> tuple[Step, ...]:
        if now > self._above_at.get(site, -math.inf) + QUIET_S:
            return ()
        return leased(self.holding[site].given_w, REBOUND, now)

    def _hold(self, state: SiteState, above_w: float, now: float) -> Mapping[DeviceId, float]:
        """Power of each battery that is free, W: all of what is above, or as much as lasts until all is back."""
        site = state.site.id
        debts = [debt for debt in self.debts.values() if debt.part(site) > 0.0]
        left_wh = math.fsum(d.part(site) * d.owed_wh for d in debts) - self._returned_wh[site]
        left_s = max((d.left_s(now) for d in debts), default=0.0)
        if above_w > 0.0:
            left_s = min(left_s, max(0.0, left_wh) / above_w * 3600.0)
        most_w = self._lasting_w(state, max(HOLD_LEAST_S, left_s))
        return self._shared(state, min(above_w, math.fsum(most_w.values())), most_w, now)

    def _shared(
        self, state: SiteState, w: float, most_w: Mapping[DeviceId, float], now: float
    ) -> Mapping[DeviceId, float]:
        """What each battery gives of it, W; limits of feeders and single devices are kept."""
        bounds = tuple(bound for bound in self.timeline.bounds_at(now) if bound.site == state.site.id)
        problem = rebound_problem(self.sites, state, w, most_w, REBOUND, bounds, now)
        return {share.id: share.regulation_w for share in closed_form(problem, explain=False).shares}

    def _lasting_w(self, state: SiteState, lasting_s: float) -> dict[DeviceId, float]:
        """Power that each battery that is free can give for so long, W."""
        found = {}
        for battery in state.site.batteries:
            reading = state.usable.get(battery.id)
            if reading is None or battery.id in self._alone:
                continue
            room_w = battery_room(battery, reading, lasting_s).down_w
            bounds = None if self._keep is None else self._keep.stores.get(battery.id)
            if bounds is not None:
                free_wh = max(0.0, reading.soc * battery.energy_wh - bounds.floor_wh)
                room_w = min(room_w, free_wh * battery.efficiency * 3600.0 / lasting_s)
            found[battery.id] = room_w
        return found


def _at_most_w(level_w: float) -> float:
    """What a site may take that is held at this import."""
    return level_w + TOLERANCE * abs(level_w)


def _dearest(record: ShiftRecord) -> tuple[int, float, float]:
    """First whose absence disturbs most."""
    return -record.offer.sla_tier, -record.offer.cost, -record.offer.downtime_s


def _comes_back_w(record: ShiftRecord, now: float) -> Mapping[SiteId, float]:
    """Import that an order adds to each of its sites when it is given back: what it gave, and what it owes, W."""
    debt = debt_of(record, now)
    return {
        leg.site: record.regulation_w(leg.site) + (0.0 if debt is None else debt.back_w(leg.site))
        for leg in record.offer.legs
    }
