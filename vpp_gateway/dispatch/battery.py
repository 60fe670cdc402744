"""The battery tier, second by second: shares of now, forecasts of later, one schedule per site.

What the shares of now leave at the meters is learned by a slow trim (`trim`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Set

from vpp_gateway.dispatch.allocation import now_problem
from vpp_gateway.dispatch.allocation_beside import forecast_problem
from vpp_gateway.dispatch.keep import Keep
from vpp_gateway.dispatch.limits import keep_limits, kept_now
from vpp_gateway.dispatch.measured import Baselines, asked_in_force_w, delivered_w, given_alone_w
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.dispatch.rebound import REBOUND, Rebounds
from vpp_gateway.dispatch.recharge import RECHARGE, Recharge
from vpp_gateway.dispatch.schedule import Schedules, steps_of
from vpp_gateway.dispatch.shift import Shifts
from vpp_gateway.dispatch.sites import Sites
from vpp_gateway.dispatch.trim import Trims
from vpp_gateway.domain.instruction import DeviceId, InstructionId, SiteId
from vpp_gateway.domain.order import SiteSchedule, Step
from vpp_gateway.domain.plan import Plan, Problem, Reason
from vpp_gateway.metering.account import Account
from vpp_gateway.metering.delivery import within
from vpp_gateway.optimise.allocate import closed_form
from vpp_gateway.portfolio.timeline import InForce, Segment, Timeline

FORECAST_EVERY_S = 60.0
LEASES = frozenset({REBOUND, RECHARGE})
"""Steps that nobody's instruction bounds."""


class BatteryDispatch:
    """Keeps what the battery tier needs between two seconds."""

    def __init__(
        self,
        sites: Sites,
        timeline: Timeline,
        baselines: Baselines,
        shifts: Shifts,
        rebounds: Rebounds,
        policy: Policy,
    ) -> None:
        self._sites = sites
        self._shifts = shifts
        self._timeline = timeline
        self._baselines = baselines
        self._policy = policy
        self._schedules = Schedules(batteries=sites.batteries, deadband=policy.deadband)
        self._trims = Trims(batteries=sites.batteries)
        self._later: dict[SiteId, tuple[Step, ...]] = {}
        self._later_key: tuple[object, ...] = ()
        self._segments: tuple[Segment, ...] = ()
        self.problem: Problem | None = None
        """What was asked of the batteries in the last second; None: nothing."""
        self._rebounds = rebounds
        self._recharge = Recharge()
        self._lent: Mapping[DeviceId, tuple[float, InstructionId]] = {}
        self._short: Mapping[SiteId, InstructionId] = {}
        """Sites that could not be held to their limit in the last second, and whose limit it was."""
        self.plan: Plan | None = None
        """Shares of the last second."""

    def begin(self, epoch: int) -> None:
        """A new centre took over: every site gets its schedule again."""
        self._schedules.begin(epoch)
        self._later_key = ()

    def forget(self, site: SiteId) -> None:
        """The agent of this site came back: send it the schedule again."""
        self._schedules.forget(site)

    def asked_w(self, row: InForce) -> float:
        """The demand in force as regulation against the frozen baseline, W; 0 while that cannot be known."""
        return asked_in_force_w(row, self._sites, self._baselines) or 0.0

    def measure(self, account: Account, now: float) -> None:
        """Write down what each instruction in force has at the meters this second, and learn from it.

        Each watt counts once: what a device gives that another instruction rules alone is not in its site's.
        """
        # The plan of the last second is the one whose outcome is measured now.
        short_w = {} if self.plan is None else dict(self.plan.shortfall_w)
        for row in self._timeline.at(now):
            id, states = row.instruction.id, [self._sites[site] for site in row.sites]
            by_site = {
                s.site.id: delivered_w(id, s, self._baselines, now, self._policy, row.without) for s in states
            }
            alone = given_alone_w(row, self._sites, now, self._policy)
            battery = sum(s.held_w(now, self._policy, row.without) for s in states) + sum(alone.values())
            for state in states:
                account.doubted(id, state.site.id, state.doubt)
            asked = self.asked_w(row)
            assumed = [s.site.id for s in states if not s.sight]
            account.sample(id, now, asked, {**by_site, **alone}, battery, assumed)
            error_w = asked - sum(by_site.values()) - sum(alone.values())
            self._trims.learn(row, asked, error_w, short_w.get(id, 0.0), now)
            for site, by in self.held(row):
                values = (("site", str(site)), ("event", str(by)))
                account.note(id, Reason(code="held.limit", values=values))
        self._measure_limits(account, now)

    def _measure_limits(self, account: Account, now: float) -> None:
        """Write down how each limit in force is kept at the meters, and why where a second that counts is missed."""
        for id, limited in kept_now(self._sites, self._timeline.bounds_at(now)).items():
            given = math.fsum(limited.by_site_w.values())
            counted = account.sample(id, now, limited.must_w, limited.by_site_w, given)
            if not counted or within(given, limited.must_w):
                continue
            for site in limited.passed:
                code = "held.short" if self._short.get(site) == id else "held.late"
                account.note(id, Reason(code=code, values=(("site", str(site)),)))

    def held(self, row: InForce) -> tuple[tuple[SiteId, InstructionId], ...]:
        """Sites of an instruction that were held to a limit in the last second, and whose limit it was.

        Also sites whose limit one of its devices helped to keep.
        """
        targets = () if self.problem is None else self.problem.targets
        own = {
            site for target in targets if target.instruction == row.instruction.id for site in target.sites
        }
        return tuple(
            (site, target.instruction)
            for target in targets
            if target.instruction != row.instruction.id
            for site in target.sites
            if site in row.sites and site not in own
        ) + tuple(
            (self._sites.batteries[device].site, by)
            for device, (_, by) in self._lent.items()
            if device in row.devices
        )

    def note_first(self, begun: set[InstructionId], account: Account, now: float) -> None:
        """Which batteries the stopwatch of an instruction that has just begun waits for; it is struck off `begun`."""
        if self.plan is None:
            return
        for row in self._timeline.at(now) if begun else ():
            if row.instruction.id in begun:
                begun.discard(row.instruction.id)
                shares = (s for s in self.plan.shares if row.has(s.id, s.site) and s.regulation_w != 0.0)
                account.ordered(row.instruction.id, (share.id for share in shares))

    def expect(self, now: float) -> None:
        """Count on fast shifts from the load that was seen when they were ordered."""
        expected = self._shifts.expected_w(now)
        for state in self._sites:
            state.expect(expected.get(state.site.id))

    def schedules(self, now: float, *, measured: bool, keep: Keep | None = None) -> list[SiteSchedule]:
        """Schedules that differ from what the sites hold, to be sent now.

        Args:
            measured: The readings of this second are in.
            keep: What the plan of the hour says of now.
        """
        rows = self._timeline.at(now)
        self.expect(now)
        self._trims.keep_only({row.instruction.id for row in rows})
        current: dict[SiteId, tuple[Step, ...]] = {}
        if rows or any(bound.device is None for bound in self._timeline.bounds_at(now)):
            current = self._current(rows, now, keep)
        else:
            self.problem = self.plan = None
            self._short = {}
            self._lend({})
        back = self._recharge.steps(self._sites, self._timeline, self._policy.rolling, keep, now)
        back.update(self._rebounds.steps(rows, keep, now))
        alone = {device for row in rows for device in row.devices}
        self._forecast(now)
        result = []
        for id in self._sites.ids:
            state = self._sites[id]
            present = _the_greater(current.get(id, ()), back.get(id, ()), alone)
            steps = (*present, *self._later.get(id, ()))
            # What a credited site holds is what we count on: it is not changed before the site has spoken.
            counted_on = bool(steps or state.holds_leases(now, LEASES)) and state.credited(now, self._policy)
            if not state.linked and (measured or counted_on):
                continue
            schedule = self._schedules.update(id, steps, now, self._alone_import_w(id, present))
            if schedule is not None:
                result.append(schedule)
                state.told = schedule if state.linked else state.told
        return result

    def _current(
        self, rows: tuple[InForce, ...], now: float, keep: Keep | None
    ) -> dict[SiteId, tuple[Step, ...]]:
        bounds = self._timeline.bounds_at(now)
        problem = now_problem(
            self._sites, rows, bounds, self._baselines, self._trims, now, self._policy, keep
        )
        kept = keep_limits(problem, rows, self._timeline, now)
        self.problem, self.plan, self._short = kept.problem, kept.plan, kept.short
        self._lend(kept.lent)
        return steps_of(kept.plan, kept.rows, None, self._timeline.next_turn(now))

    def _lend(self, lent: Mapping[DeviceId, tuple[float, InstructionId]]) -> None:
        """Remember what batteries that are ruled alone give for limits: it does not count for him who rules them."""
        if lent or self._lent:
            self._lent = lent
            for state in self._sites:
                state.lent_w = {id: lent[id][0] for b in state.site.batteries if (id := b.id) in lent}

    def _alone_import_w(self, site: SiteId, present: tuple[Step, ...]) -> float | None:
        """What the PCC of a site shows once its setpoints and the shifts that are coming are real."""
        state = self._sites[site]
        held = any(step.instruction == REBOUND for step in present)
        if (self.plan is None and not held) or state.load_w is None or state.sight != "meter" or state.doubt:
            return None
        return state.load_w - state.coming_w - math.fsum(step.discharge_w for step in present)

    def _forecast(self, now: float) -> None:
        """Steps of coming segments; made again when what rules in them or the usable batteries change."""
        usable = tuple(device for state in self._sites for device in state.usable)
        prepared, standing = self._shifts.prepared_w(), self._shifts.standing_w()
        segments = self._timeline.coming(now)
        work = (tuple(prepared.items()), tuple((id, tuple(w.items())) for id, w in standing.items()))
        key = (usable, work, math.floor(now / FORECAST_EVERY_S))
        if key == self._later_key and (segments is self._segments or segments == self._segments):
            self._segments = segments
            return
        self._later_key, self._segments = key, segments
        later: dict[SiteId, tuple[Step, ...]] = {}
        coming = prepared
        for segment in segments:
            if not segment.rows:
                continue
            plan = closed_form(
                forecast_problem(
                    self._sites,
                    segment.rows,
                    self._baselines,
                    coming,
                    segment.start_at,
                    segment.bounds,
                    standing,
                ),
                explain=False,
            )
            coming = {}
            for site, steps in steps_of(plan, segment.rows, segment.start_at, segment.end_at).items():
                later[site] = (*later.get(site, ()), *steps)
        self._later = later


def _the_greater(ruled: tuple[Step, ...], free: tuple[Step, ...], alone: Set[DeviceId]) -> tuple[Step, ...]:
    """Steps of a site from now on: what an instruction or a limit has its batteries do goes first; where a limit asks for
    less than it takes to keep the site at its baseline, that goes on.

    Args:
        ruled: Of those that somebody rules, and that hold a limit.
        free: What holds or charges the batteries that nobody rules.
        alone: Batteries that are ruled alone: these are nobody else's.
    """
    own = tuple(step for step in ruled if step.device in alone)
    others = tuple(step for step in ruled if step.device not in alone)
    held = bool(free) and free[0].instruction == REBOUND
    if held and math.fsum(s.discharge_w for s in free) > math.fsum(s.discharge_w for s in others):
        return (*own, *free)
    used = {step.device for step in ruled}
    return (*ruled, *(step for step in free if step.device not in used))
