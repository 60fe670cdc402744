"""The plan of the hour in the life of the gateway: when it is asked for, and what follows from it.

    something changed, or `every_s` is over   -> Plan(problem) -> planner ... Planned -> the plan in force
    the plan in force, each second            -> floors, and what work carries, for the allocation (`keep`)
                                              -> orders for slow work, its latency before it is needed (`due`)

One problem at a time; one that stays unanswered is given up, and the plan in force goes on until its own end. After
that, or while there is none, `keep` is None and the allocation decides as it would without. Nothing here is decided but
from facts, so a replay comes to the same plans and orders.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from vpp_gateway.dispatch.keep import Keep
from vpp_gateway.dispatch.measured import Baselines, asked_in_force_w
from vpp_gateway.dispatch.policy import Policy, RollingPolicy
from vpp_gateway.dispatch.rebound import Rebounds
from vpp_gateway.dispatch.shift import Shifts
from vpp_gateway.dispatch.shift_levers import HELD_COST
from vpp_gateway.dispatch.shift_record import ShiftRecord, held_id
from vpp_gateway.dispatch.sites import Sites
from vpp_gateway.dispatch.stays import Stays
from vpp_gateway.domain.command import Command, Shift
from vpp_gateway.domain.command import Plan as Ask
from vpp_gateway.domain.fact import (
    Fact,
    Instructed,
    Linked,
    Lost,
    Offered,
    Planned,
    Refused,
    Shifted,
    Withdrawn,
)
from vpp_gateway.domain.fleet import BATTERY, WORKLOAD
from vpp_gateway.domain.horizon import HorizonPlan, HorizonProblem, Work
from vpp_gateway.domain.instruction import InstructionId, SiteId
from vpp_gateway.domain.order import Offer, OfferId, ShiftState, ShiftVerb
from vpp_gateway.domain.plan import Call, MoveLeg, Plan, Reason
from vpp_gateway.optimise.handover import due, hand_over
from vpp_gateway.optimise.step_grid import step_lengths
from vpp_gateway.portfolio.availability import SiteNow
from vpp_gateway.portfolio.forecast import ForecastSource
from vpp_gateway.portfolio.outlook import Armed, marks_s, outlook, work_of
from vpp_gateway.portfolio.timeline import InForce, Timeline

SILENCE_S = 5.0
"""A problem not answered for so long is given up; longer than the planner's own deadline."""
GAP_S = 2.0
"""Between two problems, however much changes."""
SOON_S = 900.0
"""An instruction that begins later, and a product that is only armed, are looked at every `SLOW_S`: each plan stays in
the journal."""
SLOW_S = 60.0
INSTRUCTIONS_MAX, PARTS_MAX = 500, 400
"""With more instructions, or more batteries and offers, the problem itself would make the control loop wait: at these it
takes some 12 ms to make, at most of them offers; with 100 offers 6 ms."""
MARGIN_S = 30.0
"""Beyond the slowest latency: what the allocation needs to see that a floor is near."""
WITHIN_S = 1.5
"""Due work is looked for each second."""
LEAST_SHARE = 0.02
"""A smaller share of an offer is not worth its first step; the batteries carry it."""
HELD_LEAST = 0.5
"""An order of which the plan keeps more than this goes on: it can be given back whole only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _InHand:
    """The problem that the planner has in hand, and what it was made of."""

    problem: HorizonProblem
    asked_at: float
    basis: frozenset[tuple[InstructionId, int]]
    """Instructions and their modifications."""


class Rolling:
    """Keeps the plan of the hour.

    Args:
        forecasts: What the sites will take and generate; where it knows nothing, as now.
    """

    def __init__(
        self,
        sites: Sites,
        timeline: Timeline,
        baselines: Baselines,
        shifts: Shifts,
        rebounds: Rebounds,
        policy: Policy,
        forecasts: ForecastSource,
    ) -> None:
        self._sites, self._timeline, self._baselines, self._shifts = sites, timeline, baselines, shifts
        self._rebounds, self._policy, self._forecasts = rebounds, policy, forecasts
        self.plan: HorizonPlan | None = None
        """The last good one, however old."""
        self.trouble = ""
        """Why the last problem got no plan, in words."""
        self._basis: frozenset[tuple[InstructionId, int]] = frozenset()
        self._in_hand: _InHand | None = None
        self._asked_at = -math.inf
        self._changed = False
        self._epoch, self._counter = 0, 0

    def begin(self, epoch: int) -> None:
        """A new centre took over: it plans anew."""
        self._epoch, self._counter, self._in_hand, self._asked_at = epoch, 0, None, -math.inf
        self.plan, self.trouble, self._basis = None, "", frozenset()

    def notice(self, fact: Fact) -> None:
        """Look at a fact before it is folded: whether it changes the coming hour, and what comes back in it."""
        self._rebounds.notice(fact)
        if isinstance(fact, Instructed | Withdrawn | Offered | Linked | Refused | Lost | Shifted):
            self._changed = True

    def stir(self) -> None:
        """Something is other than the plan in force takes it to be: make the next one soon."""
        self._changed = True

    def take(self, fact: Planned) -> None:
        """An answer; one to a problem that is not in hand is nothing to us."""
        in_hand = self._in_hand
        if in_hand is None or fact.problem != in_hand.problem.id:
            return
        self._in_hand, self.trouble = None, fact.reason
        if fact.plan is not None:
            self.plan, self._basis = fact.plan, in_hand.basis

    def keep(self, at: float) -> Keep | None:
        """What the plan says of `at`; None without a plan for it."""
        handed = None if self.plan is None else hand_over(self.plan, at)
        if handed is None:
            return None
        known = self._as_planned()
        others: dict[tuple[InstructionId, tuple[SiteId, ...]], float] = {}
        for cap in handed.caps:
            if cap.instruction in known and cap.tier != BATTERY:
                key = (cap.instruction, cap.sites)
                others[key] = others.get(key, 0.0) + cap.regulation_w
        calls = dict(handed.calls)
        held = frozenset(
            held_id(record)
            for record in self._shifts.standing()
            if record.order.instruction in known and calls.get(held_id(record), 0.0) > HELD_LEAST
        )
        slowest_s = max((_latency_s(offer) for offer in self._shifts.callable_offers(at)), default=0.0)
        return Keep(
            stores={store.id: store for store in handed.stores},
            others_w=others,
            held=held,
            lasts_s=slowest_s + MARGIN_S,
        )

    def second(self, now: float) -> list[Command]:
        """Order what is due, and ask for a new plan when it is time."""
        rolling = self._policy.rolling
        if rolling is None:
            return []
        commands: list[Command] = [*self._due(now)]
        if self._in_hand is not None and now >= self._in_hand.asked_at + SILENCE_S:
            self._in_hand, self.trouble = None, "the planner does not answer"
        if self._in_hand is None and self._time_has_come(rolling, now):
            commands.extend(self._ask(rolling, now))
        return commands

    # -- asking ---------------------------------------------------------------------------------------------

    def _time_has_come(self, rolling: RollingPolicy, now: float) -> bool:
        nearest = self._nearest_s(now)
        if nearest > rolling.ahead_s and not any(True for _ in self._armed(rolling, now)):
            self._changed = False
            return False
        wait_s = rolling.every_s if nearest <= SOON_S else max(SLOW_S, rolling.every_s)
        return now >= self._asked_at + (GAP_S if self._changed else wait_s)

    def _nearest_s(self, now: float) -> float:
        """Seconds until something is asked of us; 0 while it is."""
        if self._timeline.at(now) or self._timeline.bounds_at(now):
            return 0.0
        change = self._timeline.next_change(now)
        return math.inf if change is None else change - now

    def _armed(self, rolling: RollingPolicy, now: float) -> Iterator[Armed]:
        return (p for p in rolling.armed if p.end_at > now and p.start_at < now + rolling.ahead_s)

    def _ask(self, rolling: RollingPolicy, now: float) -> list[Command]:
        self._asked_at, self._changed = now, False
        coming = [i for i in self._timeline if i.start_at < now + rolling.ahead_s]
        if len(coming) > INSTRUCTIONS_MAX:
            self.trouble = (
                f"{len(coming)} instructions in the coming hour, a plan holds at most {INSTRUCTIONS_MAX}"
            )
            return []
        offers = [offer for offer in self._shifts.plannable_offers(now) if offer.valid_until > now]
        records = [record for record in self._shifts.standing() if not record.overdue(now)]
        parts = len(offers) + len(records) + len(self._sites.batteries)
        if parts > PARTS_MAX:
            self.trouble = f"{parts} batteries and offers, a plan holds at most {PARTS_MAX}"
            return []
        armed = tuple(self._armed(rolling, now))
        latencies_s = {*map(_latency_s, offers), *(_coming_s(record, now) for record in records)}
        marks = marks_s(self._timeline, latencies_s, armed, now, now + rolling.ahead_s)
        lengths = step_lengths(rolling.ahead_s, rolling.steps, marks)
        stays = Stays(self._timeline, now, lengths, self._policy.shift_dwell_s)
        works = [*(_offered(o, stays, now) for o in offers), *(_ordered(r, stays, now) for r in records)]
        works += self._owing(now, len(lengths))
        active_w = self._shifts.active_w()
        self._counter += 1
        problem = outlook(
            f"{self._epoch}-h{self._counter}",
            now,
            lengths,
            sites=[
                SiteNow(
                    site=state.site,
                    # What our own shifts take off is told by them.
                    load_w=None if state.load_w is None else state.load_w + active_w.get(state.site.id, 0.0),
                    usable=state.usable,
                )
                for state in self._sites
            ],
            timeline=self._timeline,
            asked_w=self._asked_w,
            forecasts=self._forecasts,
            works=works,
            armed=armed,
            tiers=self._sites.fleet.tiers,
            bridge_s=rolling.bridge_s,
            wanted_soc=rolling.wanted_soc,
            ramp_w_per_s={
                id: battery.ramp_w_per_s
                for id, battery in self._sites.batteries.items()
                if battery.ramp_w_per_s is not None
            },
        )
        basis = frozenset((i.id, i.modification) for i in coming)
        self._in_hand = _InHand(problem=problem, asked_at=now, basis=basis)
        return [Ask(problem=problem)]

    def _asked_w(self, row: InForce) -> float | None:
        return asked_in_force_w(row, self._sites, self._baselines)

    # -- work as the plan sees it ---------------------------------------------------------------------------

    def _owing(self, now: float, steps: int) -> Iterator[Work]:
        """Work that was given back and still returns: nothing of it can be called."""
        for id, debt in self._rebounds.debts.items():
            left_s = debt.left_s(now)
            if left_s > 0.0:
                yield Work(
                    offer=OfferId(f"debt:{id}"),
                    tier=WORKLOAD,
                    legs=debt.legs,
                    share_max=(0.0,) * steps,
                    owed_wh=debt.left_wh(now),
                    rebound_within_s=left_s,
                )

    # -- orders ahead of the need ---------------------------------------------------------------------------

    def _due(self, now: float) -> list[Shift]:
        """Slow work that the plan wants to be real a latency from now."""
        if self.plan is None:
            return []
        offers = {
            offer.id: offer
            for offer in self._shifts.plannable_offers(now)
            if offer.valid_until > now and _latency_s(offer) > self._policy.prepare_lead_s
        }
        wanted = due(self.plan, {id: _latency_s(offer) for id, offer in offers.items()}, now, WITHIN_S)
        known, commands = self._as_planned(), []
        for id, offer in offers.items():
            share = wanted.get(id, 0.0)
            if share < LEAST_SHARE:
                continue
            real_at = now + _latency_s(offer) + WITHIN_S
            ruler = {
                site: row.instruction.id
                for row in self._timeline.at(real_at)
                for site in row.sites
                if row.instruction.id in known
            }
            plan = _called(self.plan.problem, offer, share)
            commands.extend(self._shifts.follow(plan, ShiftVerb.COMMIT, ruler, now))
        return commands

    def _as_planned(self) -> frozenset[InstructionId]:
        """Instructions that are still what the plan was made for."""
        return frozenset(
            id
            for id, modification in self._basis
            if (known := self._timeline.get(id)) is not None and known.modification == modification
        )


def _called(problem: str, offer: Offer, share: float) -> Plan:
    """A plan that calls so much of one offer, rounded up to its next step."""
    step = next((n for n, value in enumerate(offer.steps) if value >= share - 1e-9), len(offer.steps) - 1)
    call = Call(
        offer=offer.id,
        tier=WORKLOAD,
        step=step,
        share=offer.steps[step],
        reason=Reason(
            code="call.needed", values=(("share", f"{offer.steps[step]:.2f}"), ("cost", f"{offer.cost:g}"))
        ),
    )
    return Plan(problem=problem, method="horizon", shares=(), calls=(call,), shortfall_w=(), binding=())


def _offered(offer: Offer, stays: Stays, now: float) -> Work:
    """A fresh offer. Its plug-in renews it: one that is not renewed is missing in the next plan."""
    return work_of(offer, now, dwell_s=stays.dwell_s(offer, now + _latency_s(offer)), renewed=True)


def _ordered(record: ShiftRecord, stays: Stays, now: float) -> Work:
    """An order that stands: real now, or on its way; an overdue one is not counted on."""
    active_at = record.active_at if record.state is ShiftState.ACTIVE else None
    called_s = 0.0 if active_at is None else now - active_at
    dwell_s = stays.dwell_s(record.offer, now) + called_s
    share = 0.0 if active_at is None else 1.0
    return replace(
        work_of(record.offer, now, share=share, called_s=called_s, dwell_s=dwell_s, renewed=True),
        offer=held_id(record),
        legs=_legs(record),
        cost=record.offer.cost * HELD_COST,
        latency_s=_coming_s(record, now),
    )


def _coming_s(record: ShiftRecord, now: float) -> float:
    """How long until an order is real, s; 0 = it is."""
    if record.state is ShiftState.ACTIVE and record.active_at is not None:
        return 0.0
    begun_at = record.committed_at if record.committed else now
    return max(1.0, begun_at + record.slowest_s - now)


def _latency_s(offer: Offer) -> float:
    return max((leg.latency_s for leg in offer.legs), default=0.0)


def _legs(record: ShiftRecord) -> tuple[MoveLeg, ...]:
    """What an order gives where, at the meter."""
    sites = dict.fromkeys(leg.site for leg in record.offer.legs)
    return tuple(MoveLeg(site=site, regulation_w=record.regulation_w(site)) for site in sites)
