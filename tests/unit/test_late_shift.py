"""Work that was ordered and does not come: late, failed, or back and forth. What works beside it carries the event."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.unit.fleets import SITES, fleet, instruction
from tests.unit.test_gateway import House
from vpp_gateway.console import alarms
from vpp_gateway.dispatch.policy import Policy, RollingPolicy
from vpp_gateway.domain.command import Command, Plan, Shift
from vpp_gateway.domain.fact import Instructed, Linked, Offered, Planned, Shifted, Started
from vpp_gateway.domain.horizon import HorizonProblem
from vpp_gateway.domain.instruction import Delta
from vpp_gateway.domain.order import Leg, Offer, OfferId, OrderId, PluginName, ShiftState, ShiftVerb
from vpp_gateway.gateway import Gateway
from vpp_gateway.metering.delivery import Delivery
from vpp_gateway.optimise.explain import sentence
from vpp_gateway.optimise.handover import brief
from vpp_gateway.optimise.horizon import solve
from vpp_gateway.sim.link_plant import LinkPlant

CHEAP, DEAR = PluginName("cheap"), PluginName("dear")
HOSTS = {CHEAP: SITES[0], DEAR: SITES[1]}
SMALL = fleet(energy_wh=20_000.0)
"""300 kW of batteries that carry 150 kW for a third of an hour and a little."""
NEVER = math.inf


def gateway(rolling: RollingPolicy | None = None) -> Gateway:
    return Gateway(SMALL, Policy(rolling=rolling), HOSTS)


@dataclass(frozen=True, kw_only=True)
class Hand:
    """One lever of a plug-in, and how it does what it is told."""

    plugin: PluginName
    legs: tuple[tuple[int, float], ...]
    kind: str = "pause"
    cost: float = 1.0
    latency_s: float = 0.5
    real_s: float = 2.0
    """From the order until it is active; NEVER."""
    ramps: bool = True
    """Says `ramping` after a second."""
    fails_s: float = NEVER
    """Fails so long after the order."""
    empty: bool = False
    """While an order is open nothing is on offer, and that is said."""
    mute: bool = False
    """Does not answer to a rollback either."""


@dataclass
class Levers(House):
    """The house with several plug-ins, and a planner of the hour that answers after a second where one is wanted."""

    gateway: Gateway = field(default_factory=gateway)
    plant: LinkPlant = field(default_factory=lambda: LinkPlant(SMALL, seed=1, load_w=400_000.0))
    hands: dict[tuple[PluginName, str], Hand] = field(default_factory=dict)
    edition: int = 0
    real: set[OrderId] = field(default_factory=set)
    problems: list[HorizonProblem] = field(default_factory=list)

    def begin(self, *hands: Hand) -> Levers:
        self.feed(Started(at=self.now, epoch=1, version="test"))
        self.run_until(960.0)
        for hand in hands:
            self.have(hand)
        return self

    def have(self, hand: Hand) -> None:
        """A lever, or a lever that does otherwise from now on; what is on offer is said anew."""
        self.hands[hand.plugin, hand.kind] = hand
        self.feed(self.offered(hand.plugin, self.now))

    def ask(self, w: float = 150_000.0, name: str = "EV-1", duration_s: float = 3600.0) -> None:
        start_at = max(1000.0, self.now + 30.0)
        wanted = instruction(
            name, demand=Delta(regulation_w=w), duration_s=duration_s, start_at=start_at, received_at=self.now
        )
        self.feed(Instructed(at=self.now, instruction=wanted))
        assert self.answers[-1].opt == "in"

    def offered(self, plugin: PluginName, at: float) -> Offered:
        offers = []
        for hand in self.hands.values():
            if hand.plugin == plugin:
                self.edition += 1
                legs = (Leg(site=SITES[n], import_delta_w=w, latency_s=hand.latency_s) for n, w in hand.legs)
                offers.append(
                    Offer(
                        id=OfferId(f"{plugin}-{self.edition}"),
                        plugin=plugin,
                        kind=hand.kind,
                        legs=tuple(legs),
                        steps=(0.25, 0.5, 0.75, 1.0),
                        valid_until=1e9,
                        sustain_s=7200.0,
                        cost=hand.cost,
                    )
                )
        return Offered(at=at, plugin=plugin, offers=tuple(offers))

    def obey(self, command: Command) -> None:
        if isinstance(command, Plan):
            self.problems.append(command.problem)
            made = brief(solve(command.problem))
            self.pending.append(
                (self.now + 1.0, Planned(at=self.now + 1.0, problem=command.problem.id, plan=made), None)
            )
            return
        super().obey(command)

    def shift(self, command: Shift) -> None:
        order = command.order
        record = self.gateway.shifts.orders[order.id]
        hand, share = self.hands[order.plugin, record.offer.kind], record.share

        def says(after_s: float, state: ShiftState, sign: float = 0.0) -> None:
            def effect() -> None:
                if sign and (sign > 0.0) == (order.id in self.real):
                    return
                (self.real.add if sign > 0.0 else self.real.discard)(order.id)
                for n, w in hand.legs if sign else ():
                    self.plant.sites[SITES[n]].shift_w += sign * w * share

            if after_s < NEVER:
                at = self.now + after_s
                fact = Shifted(at=at, order=order.id, plugin=order.plugin, state=state, reason="it said no")
                self.pending.append((at, fact, effect))

        def offers(after_s: float) -> None:
            self.pending.append((self.now + after_s, self.offered(order.plugin, self.now + after_s), None))

        match order.verb:
            case ShiftVerb.PREPARE:
                says(1.0, ShiftState.PREPARED)
            case ShiftVerb.COMMIT:
                if hand.empty:
                    at, why = self.now + 0.5, "nothing to offer now"
                    self.pending.append(
                        (at, Offered(at=at, plugin=order.plugin, offers=(), reason=why), None)
                    )
                if hand.ramps:
                    says(min(1.0, hand.real_s), ShiftState.RAMPING)
                says(hand.real_s, ShiftState.ACTIVE, 1.0)
                says(hand.fails_s, ShiftState.FAILED, -1.0)
                if hand.fails_s < NEVER:
                    offers(hand.fails_s)
            case ShiftVerb.ROLLBACK if not hand.mute:
                says(2.0, ShiftState.RETURNED, -1.0)
                offers(3.0)

    def told(self, plugin: PluginName) -> Counter[str]:
        """How often a plug-in was told what."""
        return Counter(str(s.order.verb) for s in self.shifts if s.order.plugin == plugin)

    def account(self, name: str = "EV-1") -> Delivery:
        found = self.delivery(name)
        assert isinstance(found, Delivery)
        return found

    def doubted(self) -> dict[str, float]:
        """Who is not called now, and for how long that is."""
        return {doubt.name: doubt.last_s for doubt in self.gateway.shifts.doubts.running(self.now)}

    def soc(self) -> float:
        return min(b.soc for site in self.plant.sites.values() for b in site.batteries.values())

    def check_replay(self, rolling: RollingPolicy | None = None) -> None:
        twin = gateway(rolling)
        for fact, now, commands in self.log:
            assert twin.step(fact, now) == commands


def cheap(**how: Any) -> Hand:
    return replace(Hand(plugin=CHEAP, legs=((0, -200_000.0),)), **how)


def dear(**how: Any) -> Hand:
    return replace(Hand(plugin=DEAR, legs=((1, -200_000.0),), cost=5.0), **how)


CHEAP_PAUSE, DEAR_PAUSE = "cheap: pause tokyo-1", "dear: pause tokyo-2"
ROLLING = RollingPolicy(ahead_s=3600.0, steps=30)


# -- late --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rolling", [None, ROLLING], ids=["alone", "with-plan-of-the-hour"])
@pytest.mark.parametrize("ramps", [True, False], ids=["ramping", "mute"])
def test_an_order_that_never_becomes_active_makes_room_for_the_next(
    rolling: RollingPolicy | None, ramps: bool
) -> None:
    """Half a second is promised; the batteries alone would be empty after a third of the hour."""
    house = Levers(gateway=gateway(rolling)).begin(cheap(real_s=NEVER, ramps=ramps), dear())
    house.ask()
    house.run_until(1010.0)
    assert house.told(CHEAP) == {"prepare": 1, "commit": 1} and not house.told(DEAR)
    house.run_until(1030.0)
    assert house.told(CHEAP)["rollback"] == 1 and house.told(DEAR)["commit"] == 1
    (late,) = (reason for reason in house.account().why if reason.code == "shift.late")
    assert "is late: not active 11 s after the order (promised 0.5 s)" in sentence(late, "en")
    assert CHEAP_PAUSE in sentence(late, "ja") and "遅れている" in sentence(late, "ja")
    house.run_until(3400.0)
    account = house.account()
    assert account.samples_within == account.samples > 2300
    assert house.soc() > 0.45, "the batteries only bridge"
    house.check_replay(rolling)


def test_what_is_late_is_called_again_after_its_doubt_and_believed_when_it_works() -> None:
    house = Levers().begin(cheap(real_s=NEVER))
    house.ask()
    house.run_until(1020.0)
    assert house.doubted() == {CHEAP_PAUSE: 60.0}
    house.run_until(1090.0)
    assert house.told(CHEAP)["commit"] == 2 and house.doubted() == {CHEAP_PAUSE: 120.0}
    house.have(cheap())
    house.run_until(1220.0)
    assert house.told(CHEAP)["commit"] == 3
    assert house.gateway.shifts.doubts.unproven(house.gateway.shifts.orders[OrderId("1-3")].offer)
    house.run_until(1300.0)
    assert not house.gateway.shifts.doubts.unproven(house.gateway.shifts.orders[OrderId("1-3")].offer)
    house.run_until(3400.0)
    assert house.account().samples_within >= house.account().samples - 5
    house.check_replay()


def test_what_becomes_active_after_it_was_taken_back_is_not_counted_and_not_believed() -> None:
    house = Levers().begin(cheap(real_s=12.0), dear())
    house.ask()
    house.run_until(1011.0)
    assert house.told(CHEAP)["rollback"] == 1
    house.run_until(1012.0)
    assert house.real == {OrderId("1-1")} and house.gateway.shifts.active_w() == {}
    house.run_until(1030.0)
    assert house.real == {OrderId("1-2")}, "it has returned, and the dear one is real"
    assert house.doubted() == {CHEAP_PAUSE: 60.0}
    house.run_until(1300.0)
    account = house.account()
    assert account.samples - account.samples_within <= 3
    house.check_replay()


@pytest.mark.parametrize(
    ("latency_s", "real_s"), [(0.0, 9.0), (0.5, 10.0), (5.0, 19.0), (240.0, 480.0), (240.0, 30.0)]
)
def test_a_slow_offer_and_a_loaded_machine_have_their_time(latency_s: float, real_s: float) -> None:
    house = Levers().begin(cheap(latency_s=latency_s, real_s=real_s), dear())
    house.ask()
    house.run_until(1700.0)
    assert house.told(CHEAP) == {"prepare": 1, "commit": 1} and not house.told(DEAR)
    assert not house.doubted()
    account = house.account()
    assert account.samples - account.samples_within <= 3


def test_an_order_that_is_active_no_longer_is_late_too() -> None:
    house = Levers().begin(cheap(), dear())
    house.ask()
    house.run_until(1100.0)
    (record,) = house.gateway.shifts.standing()
    house.plant.sites[SITES[0]].shift_w = 0.0
    house.feed(Shifted(at=house.now, order=record.order.id, plugin=CHEAP, state=ShiftState.RAMPING))
    house.run_until(1109.0)
    assert house.told(CHEAP)["rollback"] == 0
    house.run_until(1140.0)
    assert house.told(CHEAP)["rollback"] == 1 and house.told(DEAR)["commit"] == 1


def test_a_move_that_hangs_makes_room_for_another() -> None:
    """Two legs: the solver decides. The plug-in that hangs is told to return, and to nothing else."""
    ways = {"kind": "move", "latency_s": 3.0}
    hanging = replace(cheap(real_s=NEVER, **ways), legs=((0, -80_000.0), (2, 80_000.0)))
    working = replace(dear(**ways), legs=((0, -80_000.0), (2, 80_000.0)))
    house = Levers().begin(hanging, working)
    for name, n, w in (("down", 0, 75_000.0), ("up", 2, -75_000.0)):
        wanted = instruction(
            name, demand=Delta(regulation_w=w), scope=(SITES[n],), duration_s=1800.0, received_at=house.now
        )
        house.feed(Instructed(at=house.now, instruction=wanted))
    house.run_until(1015.0)
    assert house.told(CHEAP)["commit"] == 1 and not house.told(DEAR)
    house.run_until(1040.0)
    assert house.told(CHEAP) == {"prepare": 1, "commit": 1, "rollback": 1}
    assert house.told(DEAR) == {"commit": 1}
    house.have(replace(hanging, real_s=2.0))
    house.run_until(2500.0)
    assert house.told(CHEAP)["commit"] == 1, "nothing that works is given back for it"
    for name in ("down", "up"):
        account = house.account(name)
        assert account.samples - account.samples_within <= 3
    house.check_replay()


def test_a_plug_in_that_does_not_answer_at_all_leaves_its_site_in_peace() -> None:
    """What was told to return and never says so would keep the baseline of its site where it was, for ever."""
    house = Levers().begin(cheap(real_s=NEVER, ramps=False, mute=True), dear())
    house.ask()
    house.run_until(1600.0)
    shifts = house.gateway.shifts
    assert shifts.disturbed_sites(house.now) >= {SITES[0]}
    house.run_until(1620.0)
    assert OrderId("1-1") not in shifts.orders and SITES[0] not in shifts.disturbed_sites(house.now)
    house.feed(Shifted(at=house.now, order=OrderId("1-1"), plugin=CHEAP, state=ShiftState.ACTIVE))
    assert house.told(CHEAP)["rollback"] == 2, "it stands after all"
    house.check_replay()


# -- links and a new centre ----------------------------------------------------------------------------------------------


def test_what_an_agent_hosts_that_is_not_heard_is_not_counted_on_and_not_doubted() -> None:
    """The order may have been carried out: it is asked again when the agent is back, and has its time again."""
    house = Levers(gateway=gateway(ROLLING)).begin(cheap(real_s=NEVER), dear())
    house.ask()
    house.run_until(1003.0)
    house.plant.sites[SITES[0]].lost = True
    house.feed(Linked(at=house.now, site=SITES[0], up=False, reason="cut", silent=True))
    house.run_until(1040.0)
    assert house.told(CHEAP)["rollback"] == 0 and not house.doubted()
    assert house.told(DEAR)["commit"] == 1, "nobody knows of the cheap one, so the dear one is called"
    orders = {work.offer for work in house.problems[-1].works if work.offer.startswith("order:")}
    assert orders == {"order:1-2"}, "nor does the plan of the hour count on it"
    house.plant.sites[SITES[0]].lost = False
    house.feed(Linked(at=house.now, site=SITES[0], up=True))
    house.run_until(1050.0)
    assert house.told(CHEAP) == {"prepare": 1, "commit": 2}
    house.run_until(1055.0)
    assert house.told(CHEAP)["rollback"] == 1 and house.doubted() == {CHEAP_PAUSE: 60.0}
    house.check_replay(ROLLING)


def test_a_new_centre_knows_what_hangs_and_what_is_doubted() -> None:
    house = Levers().begin(cheap(real_s=NEVER), dear())
    house.ask()
    house.run_until(1005.0)
    house.feed(Started(at=house.now, epoch=2, version="test"))
    for site in SITES:
        house.feed(Linked(at=house.now, site=site, up=True))
    house.run_until(1014.0)
    assert house.told(CHEAP)["commit"] == 2 and house.told(CHEAP)["rollback"] == 0
    house.run_until(1040.0)
    assert house.told(CHEAP)["rollback"] == 1 and house.told(DEAR)["commit"] == 1
    house.feed(Started(at=house.now, epoch=3, version="test"))
    assert house.doubted() == {CHEAP_PAUSE: 60.0}
    house.run_until(1200.0)
    house.check_replay()


# -- failed --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rolling", [None, ROLLING], ids=["alone", "with-plan-of-the-hour"])
@pytest.mark.parametrize("empty", [False, True], ids=["offers-on", "offers-nothing-meanwhile"])
@pytest.mark.parametrize("latency_s", [0.5, 20.0], ids=["fast", "slow"])
def test_a_live_plug_in_that_fails_each_order_does_not_starve_one_that_works(
    rolling: RollingPolicy | None, empty: bool, latency_s: float
) -> None:
    """It would be called each second, for ever; and after its doubt the working one would be given back for it."""
    failing = cheap(real_s=NEVER, fails_s=1.0, empty=empty, latency_s=latency_s)
    house = Levers(gateway=gateway(rolling)).begin(failing, dear(latency_s=latency_s, real_s=latency_s))
    house.ask()
    house.run_until(3400.0)
    assert house.told(CHEAP)["commit"] == 1
    assert house.told(DEAR) == {"commit": 1}, "it carries the event and is never given back"
    account = house.account()
    assert account.samples - account.samples_within <= 1 < 2300 < account.samples
    house.check_replay(rolling)


def test_the_plan_of_the_hour_orders_nothing_ahead_that_must_prove_itself_while_others_work() -> None:
    """It needs longer than the dwell of what stands, so a plan that counted on it would order it now."""
    failing = cheap(real_s=NEVER, fails_s=1.0, latency_s=400.0)
    house = Levers(gateway=gateway(ROLLING)).begin(failing, dear())
    house.ask()
    house.run_until(2500.0)
    assert house.told(CHEAP)["commit"] == 1
    assert house.told(DEAR)["commit"] == 1 and house.told(DEAR)["rollback"] == 0


def test_alone_it_is_tried_again_after_doubled_times() -> None:
    house = Levers().begin(cheap(real_s=NEVER, fails_s=1.0))
    house.ask()
    house.run_until(2000.0)
    orders = [now for _, now, cs in house.log for c in cs if isinstance(c, Shift)][1:]
    gaps = [after - before for before, after in itertools.pairwise(orders)]
    assert [round(gap, -1) for gap in gaps] == [60.0, 120.0, 240.0, 480.0]


def test_the_next_event_tries_it_by_its_cost_and_keeps_it_where_it_works() -> None:
    house = Levers().begin(cheap(real_s=NEVER, fails_s=1.0), dear())
    house.ask(250_000.0, duration_s=300.0)
    house.run_until(1200.0)
    house.have(cheap())
    house.run_until(1400.0)
    assert house.told(CHEAP)["commit"] == 1
    house.ask(250_000.0, name="EV-2", duration_s=300.0)
    house.run_until(house.now + 100.0)
    assert house.told(CHEAP)["commit"] == 2 and house.told(DEAR) == {"commit": 1, "rollback": 1}
    assert not house.gateway.shifts.doubts.unproven(next(house.gateway.shifts.standing()).offer)


def test_one_that_works_for_a_moment_proves_nothing() -> None:
    house = Levers().begin(cheap(fails_s=20.0))
    house.ask()
    house.run_until(1300.0)
    assert house.doubted() == {CHEAP_PAUSE: 240.0}


def test_what_works_is_kept_while_an_unproven_one_beside_it_is_on_trial() -> None:
    """More is asked for a moment than the dear one gives, and the cheap one is called beside it: while that is on its
    way it is no reason to let the dear one go."""
    house = Levers().begin(cheap(real_s=NEVER, fails_s=1.0), dear())
    house.ask()
    house.run_until(1400.0)
    house.have(cheap(latency_s=20.0, real_s=NEVER, fails_s=30.0))

    def more(w: float) -> None:
        for state in house.plant.sites.values():
            state.load_w += w / 3.0

    more(230_000.0)
    house.run_until(1410.0)
    assert house.told(CHEAP)["commit"] == 2, "what works does not suffice"
    more(-230_000.0)
    house.run_until(1438.0)
    assert house.told(DEAR) == {"commit": 1}
    house.run_until(1500.0)
    assert house.told(DEAR) == {"commit": 1} and house.doubted() == {CHEAP_PAUSE: 120.0}


def test_a_broken_lever_does_not_cost_its_healthy_siblings() -> None:
    broken = cheap(real_s=NEVER, fails_s=1.0)
    sibling = cheap(kind="shed", cost=2.0)
    house = Levers().begin(broken, sibling, dear())
    house.ask()
    house.run_until(1100.0)
    assert house.told(CHEAP)["commit"] == 2 and not house.told(DEAR)
    assert "shed" in {record.offer.kind for record in house.gateway.shifts.standing()}


def test_a_plug_in_of_which_nothing_works_is_doubted_as_a_whole() -> None:
    """Four levers, all broken: after the third the dear plug-in is called, not the fourth."""
    hands = [
        cheap(kind=kind, cost=1.0 + n, real_s=NEVER, fails_s=1.0)
        for n, kind in enumerate(("pause", "shed", "cap", "stop"))
    ]
    house = Levers().begin(*hands, dear(cost=9.0))
    house.ask()
    house.run_until(1055.0)
    assert house.told(CHEAP)["commit"] == 3 and house.told(DEAR)["commit"] == 1
    assert house.doubted()["cheap"] == 60.0
    house.check_replay()


def test_what_is_not_called_is_an_alarm_until_it_can_be_called_again() -> None:
    house = Levers().begin(cheap(real_s=NEVER), dear())
    house.ask()
    house.run_until(1020.0)

    def said() -> list[tuple[str, str, str, str]]:
        rows = list(alarms.of_doubts(house.gateway.shifts.doubts.running(house.now)))
        dated = alarms.Alarms().dated(house.now, rows)
        return [(alarm.code, alarm.severity, alarm.text, alarm.text_ja) for alarm in dated]

    assert said() == [
        (
            "plugin_doubted",
            "warning",
            f"Workload {CHEAP_PAUSE} is not called for now: it was late with an order.",
            f"ワークロード {CHEAP_PAUSE} は当面呼び出さない(命令の実施が遅れた)。",
        )
    ]
    house.run_until(1080.0)
    assert said() == []
