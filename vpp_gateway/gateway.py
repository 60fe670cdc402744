"""The heart: step(fact, now) -> commands. Pure; it holds the projections and only delegates.

    Instructed  -> judge -> Answer, timeline          Tick, Woke -> start / end phases, correct, Arrange
    Withdrawn   -> release                            Solved     -> follow the plan: Shift
                                                      Planned    -> the plan of the hour, for the seconds to come
    Offered, Shifted, Linked, Obeyed ...              -> projections that the next second looks at

Folding the same facts gives the same commands: replaying a journal is the proof, and starting is recovering.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from vpp_gateway.dispatch.allocation import plan_problem
from vpp_gateway.dispatch.battery import BatteryDispatch
from vpp_gateway.dispatch.judge import Judge
from vpp_gateway.dispatch.measured import Baselines, spoken_of
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.dispatch.rebound import Rebounds
from vpp_gateway.dispatch.rolling import Rolling
from vpp_gateway.dispatch.shift import Shifts
from vpp_gateway.dispatch.shift_levers import at_stake_w, levers_of
from vpp_gateway.dispatch.sites import Sites
from vpp_gateway.domain.command import Answer, Arrange, Command, Conclude, Shift, Solve
from vpp_gateway.domain.fact import (
    Concluded,
    Fact,
    Instructed,
    Linked,
    Lost,
    Obeyed,
    Offered,
    Planned,
    Refused,
    Shifted,
    Solved,
    Started,
    Tick,
    Withdrawn,
    Woke,
)
from vpp_gateway.domain.fleet import Fleet
from vpp_gateway.domain.instruction import Instruction, InstructionId, SiteId
from vpp_gateway.domain.order import PluginName, ShiftState, ShiftVerb
from vpp_gateway.domain.plan import Plan, Problem, Reason
from vpp_gateway.metering.account import Account
from vpp_gateway.optimise.allocate import closed_form
from vpp_gateway.optimise.explain import reasons_of
from vpp_gateway.portfolio.forecast import UNKNOWN, ForecastSource
from vpp_gateway.portfolio.timeline import InForce, Timeline, ends_of

SOLVER_SILENCE_S = 3.0
"""A problem not answered for so long is asked again; the closed form holds meanwhile."""
A_SECOND = 200
"""So many instructions begin and end at most in one second, after those that rule; where it is more, the next goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """The problem that the solver worker has in hand."""

    problem: Problem
    verb: ShiftVerb
    asked_at: float


class Gateway:
    """All projections of the centre.

    Args:
        fleet: What we have.
        policy: How it is to be dispatched.
        host_of: The site whose agent hosts each workload plug-in.
        forecasts: What the sites will take and generate, for the plan of the hour.
    """

    def __init__(
        self,
        fleet: Fleet,
        policy: Policy,
        host_of: Mapping[PluginName, SiteId],
        forecasts: ForecastSource = UNKNOWN,
    ) -> None:
        self.fleet = fleet
        self.policy = policy
        self.timeline = Timeline(
            sites=tuple(site.id for site in fleet.sites), home={b.id: b.site for b in fleet.batteries}
        )
        self.sites = Sites(fleet, policy)
        self.baselines = Baselines()
        self.shifts = Shifts(
            host_of=host_of, commit_within_s=policy.commit_within_s, dwell_s=policy.shift_dwell_s
        )
        self.account = Account()
        known = (self.sites, self.timeline, self.baselines, self.shifts)
        self.rebounds = Rebounds(*known, policy, self.account.note)
        self.battery = BatteryDispatch(*known, self.rebounds, policy)
        self.rolling = Rolling(*known, self.rebounds, policy, forecasts)
        self.epoch = 0
        self.started_at: float | None = None
        self.last_problem: Problem | None = None
        self.last_plan: Plan | None = None
        self.solver_trouble = ""
        self._asked: _Asked | None = None
        self._problem_counter = 0
        self._planned_at = float("-inf")
        self._replan = False
        self._prepared_for: float | None = None
        self._edge: float | None = None
        """When the next phase begins or ends."""
        self._begun: set[InstructionId] = set()
        """Instructions in force whose first allocation is not made yet."""
        self._ruled: tuple[InForce, ...] = ()
        """Who ruled what in the last second."""

    def step(self, fact: Fact, now: float) -> list[Command]:
        """Fold one fact in and say what is to be done.

        Args:
            fact: What has happened; durable already.
            now: UTC (Unix s) of the fold, the same on replay.
        """
        self.rolling.notice(fact)
        match fact:
            case Tick():
                self._mark_disturbed(now)
                self.sites.fold(fact.snapshot)
                return self._second(now, measured=True)
            case Woke():
                return self._second(now, measured=False)
            case Instructed():
                return self._instructed(fact, now)
            case Withdrawn():
                return self._withdrawn(fact, now)
            case Offered():
                self.shifts.fold_offers(fact)
                self._replan = True
            case Shifted():
                return self._shifted(fact, now)
            case Linked():
                return self._linked(fact, now)
            case Obeyed():
                return self._obeyed(fact, now)
            case Refused() | Lost():
                self.account.troubled(fact)
                self._replan = True
            case Solved():
                return self._solved(fact, now)
            case Planned():
                self.rolling.take(fact)
            case Started():
                self._started(fact, now)
            case Concluded():
                self.account.conclude(fact.record)
            case _:
                assert_never(fact)
        return []

    def next_wake(self, now: float) -> float | None:
        """UTC (Unix s) of the next moment that needs a `Woke`, or None; a moment that was passed over still does."""
        if self._edge is not None and self._edge <= now:
            return self._edge
        change = self.timeline.next_turn(now)
        if change is None:
            return None
        lead = change - self.policy.prepare_lead_s
        return lead if lead > now else change

    # -- instructions ---------------------------------------------------------------------------------------

    def _instructed(self, fact: Instructed, now: float) -> list[Command]:
        instruction = fact.instruction
        verdict = Judge(
            timeline=self.timeline,
            sites=self.sites,
            shifts=self.shifts,
            rebounds=self.rebounds,
            baselines=self.baselines,
            policy=self.policy,
            now=now,
            in_grace=self.started_at is not None and now < self.started_at + self.policy.start_grace_s,
        ).judge(instruction)
        self.account.instructed(instruction, verdict.opt, verdict.reason, now)
        answer = Answer(
            room=instruction.room,
            instruction=instruction.id,
            modification=instruction.modification,
            opt=verdict.opt,
            reason=verdict.words,
        )
        if verdict.opt == "out":
            return [answer, *self._drop(instruction.id, now)]
        self.timeline.admit(instruction)
        self._prepared_for = None
        self._replan = True
        return [answer, *self._second(now, measured=False)]

    def _withdrawn(self, fact: Withdrawn, now: float) -> list[Command]:
        known = self.timeline.get(fact.instruction)
        self.account.withdrawn(fact, now)
        commands: list[Command] = []
        if known is not None and fact.cause == "cancelled":
            commands.append(
                Answer(
                    room=known.room,
                    instruction=known.id,
                    modification=fact.modification,
                    opt="in",
                    reason="cancelled",
                )
            )
        return [*commands, *self._drop(fact.instruction, now), *self._conclude()]

    def _drop(self, id: InstructionId, now: float) -> list[Command]:
        """Nothing is owed for this instruction any more: release what was ordered for it."""
        if self.timeline.withdraw(id) is None:
            return []
        self._prepared_for = None
        return [*self._release(id, now), *self._second(now, measured=False)]

    def _release(self, id: InstructionId, now: float) -> list[Shift]:
        commands = self.rebounds.over(id, now)
        self.baselines.forget(id)
        self._mark_disturbed(now)
        return commands

    # -- time -----------------------------------------------------------------------------------------------

    def _obeyed(self, fact: Obeyed, now: float) -> list[Command]:
        """Batteries act at the edge of a phase by themselves; their answer may come before the centre's own timer."""
        commands = [] if self._edge is None or now < self._edge else self._second(now, measured=False)
        self.account.obeyed(fact)
        return commands

    def _second(self, now: float, *, measured: bool) -> list[Command]:
        """Begin and end what is due, correct what is running, plan what is coming."""
        commands = self._advance(now)
        if measured:
            self.battery.measure(self.account, now)
        if not self._listening(now):
            commands.extend(self._take_back(now))
            schedules = self.battery.schedules(now, measured=measured, keep=self.rolling.keep(now))
            commands.extend(Arrange(schedule=s) for s in schedules)
            self.battery.note_first(self._begun, self.account, now)
            commands.extend(self._plan(now))
            commands.extend(self.rolling.second(now))
        commands.extend(self._conclude())
        return commands

    def _listening(self, now: float) -> bool:
        """A new centre hears the sites before it orders anything: they hold what an earlier one ordered."""
        if self.started_at is None or now >= self.started_at + self.policy.listen_s:
            return False
        return not all(state.linked for state in self.sites)

    def _advance(self, now: float) -> list[Command]:
        commands: list[Command] = []
        self.timeline.reach(now)
        for instruction in self.timeline.over(now, A_SECOND):
            self.account.ended(instruction.id, instruction.end_at or now, "completed")
            self.timeline.withdraw(instruction.id)
            commands.extend(self._release(instruction.id, now))
        rows = self.timeline.at(now)
        due = (*(row.instruction for row in rows), *self.timeline.begin(now, A_SECOND))
        begun = [one.id for one in due if self.account.begun(one)]
        for row in rows:
            self.baselines.freeze(row.instruction.id, [self.sites[id] for id in spoken_of(row)])
        self._begun.update(row.instruction.id for row in rows if row.instruction.id in begun)
        self._name_losers(rows, begun, now)
        self._edge = self.timeline.next_turn(now)
        prepared = self.shifts.commit_prepared({row.instruction.id for row in rows}, now)
        commands.extend(prepared)
        if begun or prepared:
            self._mark_disturbed(now)
            self._replan = True
        return commands

    def _name_losers(self, rows: tuple[InForce, ...], begun: list[InstructionId], now: float) -> None:
        """Tell an instruction that begins, or had something to rule before, what others rule of its scope."""
        if rows == self._ruled and not begun:
            return
        before, self._ruled = self._ruled, rows
        ids = dict.fromkeys((*begun, *(row.instruction.id for row in (*before, *rows))))
        for id, place, by in self.timeline.lost_to_others(ids, now):
            self.account.note(id, Reason(code="timeline.lost", values=(("place", place), ("event", by))))

    def _conclude(self) -> list[Command]:
        return [Conclude(record=record) for record in self.account.to_conclude()]

    # -- the workload tier ----------------------------------------------------------------------------------

    def _plan(self, now: float) -> list[Command]:
        if self._asked is not None and now < self._asked.asked_at + SOLVER_SILENCE_S:
            return []
        rows = self.timeline.at(now)
        wait_s = min(self.policy.replan_s, 1.0) if self._replan else self.policy.replan_s
        due = now >= self._planned_at + wait_s
        if rows and due and self.shifts.settled(now):
            return self._ask(now, now, ShiftVerb.COMMIT)
        start = self.timeline.next_turn(now)
        if start is not None and start <= now + self.policy.prepare_lead_s and start != self._prepared_for:
            self._prepared_for = start
            if self.timeline.at(start):
                return self._ask(start, now, ShiftVerb.PREPARE)
        return []

    def _ask(self, at: float, now: float, verb: ShiftVerb) -> list[Command]:
        self._planned_at, self._replan = now, False
        rows = self.timeline.at(at)
        levers = levers_of(self.shifts, at, now, ends_of(rows))
        self._problem_counter += 1
        problem = plan_problem(
            f"{self.epoch}-{self._problem_counter}",
            self.sites,
            rows,
            self.timeline.bounds_at(at),
            self.baselines,
            levers,
            at_stake_w(self.shifts, now),
            at,
            now,
            self.policy,
            self.rolling.keep(at),
        )
        self._asked = _Asked(problem=problem, verb=verb, asked_at=now)
        if all(len(lever.legs) == 1 for lever in levers):
            return self._follow(closed_form(problem), now)
        return [Solve(problem=problem)]

    def _solved(self, fact: Solved, now: float) -> list[Command]:
        if self._asked is None or fact.problem != self._asked.problem.id:
            return []
        self.solver_trouble = fact.reason if fact.plan is None else ""
        return self._follow(fact.plan or closed_form(self._asked.problem), now)

    def _follow(self, plan: Plan, now: float) -> list[Command]:
        asked, self._asked = self._asked, None
        if asked is None:
            return []
        self.last_problem, self.last_plan = asked.problem, plan
        verb = ShiftVerb.COMMIT if now >= asked.problem.at else asked.verb
        ruler = {
            s: row.instruction.id for row in self.timeline.at(max(now, asked.problem.at)) for s in row.sites
        }
        commands = self.shifts.follow(plan, verb, ruler, now, asked.problem.at)
        self._mark_disturbed(now)
        for target in asked.problem.targets:
            self.account.explain(target.instruction, reasons_of(plan, target, asked.problem))
        return list(commands)

    def _shifted(self, fact: Shifted, now: float) -> list[Command]:
        commands = self.shifts.disown(fact, now)
        record = self.shifts.fold_state(fact)
        if record is not None and fact.state is ShiftState.FAILED:
            self._troubled(record.order.instruction, record.trouble)
        self._mark_disturbed(now)
        return list(commands)

    def _take_back(self, now: float) -> list[Shift]:
        """What should be active by now and is not makes room for something else; what waits to return has its turn."""
        late = self.shifts.take_back_late({s.site.id for s in self.sites if s.linked}, now)
        for record, _ in late:
            self._troubled(record.order.instruction, record.trouble)
        return [*(shift for _, shift in late), *self.rebounds.second(now)]

    def _troubled(self, id: InstructionId, why: Reason) -> None:
        """Work that was counted on is missing: it is noted, and both plans are made again."""
        self.account.note(id, why)
        self.rolling.stir()
        self._replan = True

    def _mark_disturbed(self, now: float) -> None:
        self.sites.disturb(self.shifts.disturbed_sites(now) | self.rebounds.owing(), self.shifts.active_w())
        self.battery.expect(now)

    # -- links and epochs -----------------------------------------------------------------------------------

    def _linked(self, fact: Linked, now: float) -> list[Command]:
        self.sites.link(fact.site, fact.up, fact.at, fact.reason, fact.silent)
        self._replan = True
        if not fact.up:
            return self._second(now, measured=False)
        self.battery.forget(fact.site)
        return [*self.shifts.again(fact.site, now), *self._second(now, measured=False)]

    def _started(self, fact: Started, now: float) -> None:
        self.epoch, self.started_at = fact.epoch, now
        self.battery.begin(fact.epoch)
        self.shifts.begin(fact.epoch)
        self.rolling.begin(fact.epoch)
        self.account.reopen()
        self._asked, self._planned_at, self._prepared_for = None, float("-inf"), None
        self.sites.begin(now)

    def instruction(self, id: InstructionId) -> Instruction | None:
        """The instruction as last received, accepted or not; None when unknown."""
        return self.account.instruction(id)
