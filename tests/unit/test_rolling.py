"""The plan of the hour in the gateway: asked for, kept, followed, and done without."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field, replace

import pytest

from tests.unit.fleets import SITES, fleet, instruction
from tests.unit.test_gateway import LEVER, House, offer
from vpp_gateway.dispatch.policy import Policy, RollingPolicy
from vpp_gateway.dispatch.rolling import SILENCE_S
from vpp_gateway.domain.command import Command, Plan
from vpp_gateway.domain.fact import Instructed, Offered, Planned, Shifted, Started, Withdrawn
from vpp_gateway.domain.fleet import BATTERY, WORKLOAD
from vpp_gateway.domain.horizon import HorizonPlan, HorizonProblem, StorePlan, TierCap, WorkPlan
from vpp_gateway.domain.instruction import Delta, InstructionId
from vpp_gateway.domain.order import OfferId, ShiftState, ShiftVerb
from vpp_gateway.gateway import Gateway
from vpp_gateway.optimise.handover import brief, hand_over
from vpp_gateway.optimise.horizon import solve
from vpp_gateway.portfolio.outlook import Armed
from vpp_gateway.sim.link_plant import LinkPlant

EVENT = InstructionId("tso/EV-1")
OFFERS = tuple(offer(f"pause-{n}", (i, -15e3), steps=(1.0,)) for n in range(4) for i in range(3))
ROLLING = RollingPolicy(ahead_s=3600.0, steps=30)


def gateway(rolling: RollingPolicy | None = ROLLING) -> Gateway:
    return Gateway(fleet(), Policy(rolling=rolling), {LEVER: SITES[0]})


@dataclass
class Looking(House):
    """The house with a planner that answers after a second, or never."""

    gateway: Gateway = field(default_factory=gateway)
    alive: bool = True
    problems: list[HorizonProblem] = field(default_factory=list)

    def obey(self, command: Command) -> None:
        if not isinstance(command, Plan):
            super().obey(command)
            return
        self.problems.append(command.problem)
        if self.alive:
            at = self.now + 1.0
            fact = Planned(at=at, problem=command.problem.id, plan=brief(solve(command.problem)))
            self.pending.append((at, fact, None))

    def until_asked(self) -> None:
        """Until a new problem is in hand."""
        known = len(self.problems)
        while len(self.problems) == known:
            self.run_until(self.now + 1.0)

    def told(self, plan: HorizonPlan) -> None:
        """Answer what is in hand by hand."""
        self.feed(Planned(at=self.now, problem=self.problems[-1].id, plan=plan))


def begun(house: Looking, until: float = 960.0) -> Looking:
    house.feed(Started(at=house.now, epoch=1, version="test"))
    house.run_until(until)
    return house


def made_plan(
    house: Looking, *, floor_wh: float = 10_000.0, work_w: float = 0.0, work: tuple[WorkPlan, ...] = ()
) -> HorizonPlan:
    """A plan of ten minutes by hand: one floor for all batteries, and what work carries of the event."""
    asked = next(i for i in house.gateway.timeline if i.id == EVENT).phases[0].demand
    assert isinstance(asked, Delta)
    return HorizonPlan(
        problem=house.problems[-1].id,
        at=house.now,
        lengths_s=(600.0,),
        method="highs",
        stores=tuple(
            StorePlan(
                id=battery.id,
                site=battery.site,
                tier=BATTERY,
                discharge_w=(0.0,),
                stored_wh=(),
                floor_wh=(floor_wh,),
                ceiling_wh=(95_000.0,),
            )
            for battery in house.gateway.fleet.batteries
        ),
        works=work,
        connections=(),
        caps=tuple(
            TierCap(instruction=EVENT, sites=SITES, tier=tier, regulation_w=(w,))
            for tier, w in ((BATTERY, asked.regulation_w - work_w), (WORKLOAD, work_w))
        ),
        shortfalls=(),
        reserve_missing_w=(),
        binding=(),
        refused=(),
        cost=0.0,
    )


def running(house: Looking, w: float = 90_000.0, duration_s: float = 3000.0) -> Looking:
    """An event that the batteries can carry to its end, with work to call, ten seconds after its start."""
    house.feed(Offered(at=house.now, plugin=LEVER, offers=OFFERS))
    house.feed(
        Instructed(at=house.now, instruction=instruction(demand=Delta(regulation_w=w), duration_s=duration_s))
    )
    house.run_until(1010.0)
    return house


def work_w(house: House) -> float:
    """Regulation that orders ask of the plug-in now."""
    return math.fsum(r.regulation_w(s) for r in house.gateway.shifts.standing() for s in SITES)


def battery_w(house: House) -> float:
    return math.fsum(b.discharge_w for s in house.plant.sites.values() for b in s.batteries.values())


# -- asking -------------------------------------------------------------------------------------------------------


def test_it_asks_at_an_event_while_it_is_in_force_and_one_at_a_time() -> None:
    house = begun(Looking())
    assert not house.problems, "nothing is asked, nothing is armed"
    house.feed(Instructed(at=house.now, instruction=instruction(duration_s=60.0)))
    assert len(house.problems) == 1
    house.run_until(1060.0)
    times = [problem.at for problem in house.problems]
    assert 10 <= len(times) <= 20
    assert max(b - a for a, b in itertools.pairwise(times)) <= 11.0
    house.run_until(1200.0)
    assert house.problems[-1].at <= 1062.0, "after the event nobody asks"
    asked = house.problems[0]
    assert asked.asked[0].instruction == EVENT and len(asked.stores) == 6 and len(asked.connections) == 3
    assert len({problem.id for problem in house.problems}) == len(house.problems)


def test_a_planner_that_is_silent_is_asked_again_and_named() -> None:
    house = running(begun(Looking(alive=False)))
    times = [problem.at for problem in house.problems]
    assert min(b - a for a, b in itertools.pairwise(times)) >= SILENCE_S
    house.run_until(1030.0)
    assert house.gateway.rolling.trouble == "the planner does not answer"
    house.alive = True
    house.run_until(1050.0)
    assert house.gateway.rolling.trouble == "" and house.gateway.rolling.plan is not None


def test_a_plan_that_nobody_asked_for_is_nothing_to_us() -> None:
    house = running(begun(Looking(alive=False)))
    foreign = replace(made_plan(house), problem="9-h9")
    house.feed(Planned(at=house.now, problem="9-h9", plan=foreign))
    assert house.gateway.rolling.plan is None
    in_hand = house.problems[-1].id
    house.told(made_plan(house))
    assert house.gateway.rolling.plan is not None and house.gateway.rolling.plan.problem == in_hand
    house.feed(Planned(at=house.now, problem=in_hand, plan=None, reason="answered twice"))
    assert house.gateway.rolling.trouble == ""


def test_what_would_make_the_loop_wait_is_not_asked() -> None:
    """A portfolio or a list of instructions that is too large is decided second by second, and it is said so."""
    large = Gateway(fleet(batteries=134), Policy(rolling=ROLLING), {})
    house = begun(Looking(gateway=large, plant=LinkPlant(fleet(batteries=134), seed=1, load_w=400_000.0)))
    house.feed(Instructed(at=house.now, instruction=instruction()))
    house.run_until(970.0)
    assert not house.problems
    assert large.rolling.trouble == "402 batteries and offers, a plan holds at most 400"
    many = begun(Looking())
    for number in range(501):
        row = instruction(f"E{number}", demand=Delta(regulation_w=1.0), rank=number)
        many.gateway.timeline.admit(row)
    many.run_until(970.0)
    assert not many.problems and "501 instructions" in many.gateway.rolling.trouble


def test_no_answer_costs_the_new_plan_only() -> None:
    house = running(begun(Looking(alive=False)))
    house.told(made_plan(house))
    house.until_asked()
    house.feed(Planned(at=house.now, problem=house.problems[-1].id, plan=None, reason="planner down"))
    assert house.gateway.rolling.trouble == "planner down"
    assert house.gateway.rolling.keep(house.now) is not None


# -- without a plan -----------------------------------------------------------------------------------------------


def other_commands(house: House) -> list[Command]:
    return [c for _, _, commands in house.log for c in commands if not isinstance(c, Plan)]


def test_without_a_plan_everything_is_as_without_a_planner() -> None:
    runs = []
    for rolling in (None, ROLLING):
        house = running(begun(Looking(gateway=gateway(rolling), alive=False)), w=240_000.0, duration_s=600.0)
        house.run_until(1700.0)
        runs.append(other_commands(house))
        assert bool(house.problems) is (rolling is not None)
    assert runs[0] == runs[1] and len(runs[0]) > 10


def test_an_old_plan_expires() -> None:
    house = running(begun(Looking(alive=False)))
    end = house.now + 600.0
    house.told(made_plan(house, work_w=90_000.0))
    house.run_until(end - 1.0)
    assert house.gateway.rolling.keep(house.now) is not None and work_w(house) >= 90_000.0
    house.run_until(end + 5.0)
    assert house.gateway.rolling.keep(house.now) is None
    house.run_until(end + 320.0)
    assert work_w(house) == 0.0, "the batteries can carry it to its end, so work is given back as ever"


def test_a_plan_for_another_event_bounds_nothing() -> None:
    house = running(begun(Looking(alive=False)))
    house.told(made_plan(house, work_w=90_000.0))
    changed = instruction(demand=Delta(regulation_w=60_000.0), duration_s=3000.0, modification=1)
    house.feed(Instructed(at=house.now, instruction=changed))
    keep = house.gateway.rolling.keep(house.now)
    assert keep is not None and not keep.others_w and keep.stores, "floors stay, what was asked has changed"


# -- what it hands over -------------------------------------------------------------------------------------------


def test_work_carries_what_the_plan_leaves_it() -> None:
    """The batteries could carry all of it; the plan spares them, and they bridge until work is real."""
    house = running(begun(Looking(alive=False)))
    assert work_w(house) == 0.0
    house.told(made_plan(house, work_w=60_000.0))
    house.run_until(1040.0)
    assert work_w(house) == pytest.approx(60_000.0)
    assert battery_w(house) == pytest.approx(30_000.0, rel=0.05)


def test_batteries_give_way_to_work_at_their_floor() -> None:
    """A little lies above the floor: what it carries until new work is real, no more. Less and less, softly."""
    house = running(begun(Looking(alive=False)))
    house.told(made_plan(house, floor_wh=49_800.0))
    house.run_until(1050.0)
    assert work_w(house) >= 30_000.0
    house.run_until(1300.0)
    assert work_w(house) >= 75_000.0
    stored = [b.soc * 100_000.0 for s in house.plant.sites.values() for b in s.batteries.values()]
    assert min(stored) >= 49_700.0
    record = next(iter(house.gateway.account.records()))
    assert record.samples == record.samples_within


def test_a_floor_yields_where_nobody_else_can_carry_it() -> None:
    house = begun(Looking(alive=False))
    house.feed(Instructed(at=house.now, instruction=instruction(duration_s=600.0)))
    house.run_until(1005.0)
    house.told(made_plan(house, floor_wh=60_000.0))
    house.run_until(1500.0)
    record = next(iter(house.gateway.account.records()))
    assert record.samples_within >= record.samples - 1 > 400


@pytest.mark.parametrize("share", [1.0, 0.0])
def test_what_the_plan_holds_is_not_given_back(share: float) -> None:
    """The batteries could take over; they do where the plan says so, and only after the dwell."""
    house = running(begun(Looking(alive=False)))
    house.told(made_plan(house, work_w=60_000.0))
    house.run_until(1040.0)
    held = tuple(
        WorkPlan(offer=OfferId(f"order:{order}"), tier=WORKLOAD, share=(share,), rebound=(0.0,))
        for order in house.gateway.shifts.orders
    )
    house.until_asked()
    house.told(made_plan(house, work=held))
    house.run_until(1300.0)
    assert work_w(house) == pytest.approx(60_000.0)
    house.run_until(1500.0)
    assert work_w(house) == pytest.approx(60_000.0 * share)


def test_slow_work_is_ordered_its_latency_before_it_is_needed() -> None:
    """An event of an hour that the batteries cannot carry: work must be real soon after its start at 2000."""
    house = begun(Looking(gateway=gateway(RollingPolicy(ahead_s=5400.0))))
    slow = tuple(
        replace(row, legs=tuple(replace(leg, latency_s=240.0) for leg in row.legs))
        for row in (offer("pause", (i, -90_000.0)) for i in range(3))
    )
    house.feed(Offered(at=house.now, plugin=LEVER, offers=slow))
    wanted = instruction(demand=Delta(regulation_w=240_000.0), start_at=2000.0, duration_s=5400.0)
    house.feed(Instructed(at=house.now, instruction=wanted))
    assert house.answers[-1].opt == "in"
    house.run_until(1750.0)
    assert not house.shifts, "nothing is disturbed before it must be"
    house.run_until(1990.0)
    assert house.shifts, "at its start only work that is ordered now would be too late"
    first = next(now for _, now, commands in house.log for c in commands if c is house.shifts[0])
    assert 2000.0 - 240.0 - 3.0 <= first <= 2000.0 - 240.0 + 1.0
    assert house.shifts[0].order.verb is ShiftVerb.COMMIT
    assert house.shifts[0].order.instruction == EVENT


def test_work_that_was_given_back_still_owes() -> None:
    house = running(begun(Looking(alive=False)))
    made = replace(offer("pause", (0, -60_000.0), steps=(1.0,)), id=OfferId("hot"), rebound_wh=60_000.0)
    house.feed(Offered(at=house.now, plugin=LEVER, offers=(made,)))
    house.told(made_plan(house, work_w=60_000.0))
    house.run_until(1040.0)
    record = next(iter(house.gateway.shifts.orders.values()))
    assert record.state is ShiftState.ACTIVE and record.active_at is not None
    house.run_until(1340.0)
    at, saved_s = house.now, house.now - record.active_at
    house.feed(Shifted(at=at, order=record.order.id, plugin=LEVER, state=ShiftState.RETURNED))
    house.run_until(at + SILENCE_S + 12.0)
    (debt,) = [w for w in house.problems[-1].works if w.offer == f"debt:{record.order.id}"]
    passed_s = house.problems[-1].at - at
    assert debt.owed_wh == pytest.approx(60_000.0 * saved_s / 7200.0 * (1.0 - passed_s / 1800.0), rel=0.01)
    assert set(debt.share_max) == {0.0} and debt.legs[0].site == SITES[0]
    assert solve(house.problems[-1]).works, "the planner understands it"


# -- what is armed ------------------------------------------------------------------------------------------------


def test_an_armed_product_is_planned_for_while_nothing_is_asked() -> None:
    armed = Armed(product="p", sites=SITES, start_at=0.0, end_at=1e9, down_w=120e3, up_w=0.0, bridge_s=1200.0)
    house = begun(Looking(gateway=gateway(replace(ROLLING, armed=(armed,)))))
    assert 1 <= len(house.problems) <= 3, "seldom, while nothing is in force"
    plan = house.gateway.rolling.plan
    assert plan is not None
    handed = hand_over(plan, house.now)
    assert handed is not None
    kept_wh = math.fsum(store.floor_wh - 10_000.0 for store in handed.stores)
    assert kept_wh == pytest.approx(120e3 * 1200.0 / 3600.0 / 0.95, rel=0.01)


def test_an_event_leaves_what_is_armed_and_calls_work_instead() -> None:
    """6 x 50 kWh, 30 kWh each above the window; 150 kW for 40 min = 100 kWh, and 140 kWh are sold."""
    armed = Armed(product="p", sites=SITES, start_at=0.0, end_at=1e9, down_w=280e3, up_w=0.0, bridge_s=1800.0)
    ends = []
    for products in ((), (armed,)):
        house = begun(Looking(gateway=gateway(replace(ROLLING, armed=products))))
        running(house, w=150_000.0, duration_s=2400.0)
        house.run_until(3300.0)
        record = next(r for r in house.gateway.account.records() if r.instruction == EVENT)
        assert record.samples - record.samples_within <= 3
        ends.append(
            math.fsum(
                (b.soc - 0.1) * 100_000.0 for s in house.plant.sites.values() for b in s.batteries.values()
            )
        )
    assert ends[1] >= 280e3 * 0.5 / 0.95 * 0.99 > ends[0]


# -- replay -------------------------------------------------------------------------------------------------------


def test_replay_gives_identical_commands_with_a_planner() -> None:
    house = running(begun(Looking()), w=240_000.0)
    house.run_until(1300.0)
    house.feed(Withdrawn(at=house.now, instruction=EVENT, modification=1, cause="cancelled"))
    house.feed(Started(at=house.now, epoch=2, version="test"))
    assert house.gateway.rolling.plan is None, "a new centre plans anew"
    house.run_until(1400.0)
    twin = gateway()
    for fact, now, commands in house.log:
        assert twin.step(fact, now) == commands
    assert sum(isinstance(c, Plan) for _, _, commands in house.log for c in commands) > 10


def test_a_brief_plan_keeps_no_less_than_the_plan() -> None:
    house = running(begun(Looking(alive=False)))
    whole = solve(house.problems[-1])
    kept = brief(whole)
    assert kept.connections == () and kept.lengths_s == whole.lengths_s
    for one, other in zip(kept.stores, whole.stores, strict=True):
        assert all(a >= b - 1e-3 for a, b in zip(one.floor_wh, other.floor_wh, strict=True))
        assert all(a <= b + 1e-3 for a, b in zip(one.ceiling_wh, other.ceiling_wh, strict=True))
    broken = replace(whole, stores=(replace(whole.stores[0], floor_wh=(math.nan,)), *whole.stores[1:]))
    with pytest.raises(ArithmeticError, match="not finite"):
        brief(broken)
