"""The gateway against a plant model at the site link: events met at the meters, losses filled, replay identical."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from tests.unit.fleets import SITES, fleet, instruction
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.domain.command import Answer, Arrange, Command, Conclude, Shift, Solve
from vpp_gateway.domain.fact import (
    Concluded,
    Fact,
    Instructed,
    Obeyed,
    Offered,
    Shifted,
    Solved,
    Started,
    Tick,
    Withdrawn,
    Woke,
)
from vpp_gateway.domain.instruction import Delta, DeviceId, InstructionId, Multiplier, Setpoint
from vpp_gateway.domain.order import Leg, Offer, OfferId, PluginName, ShiftState, ShiftVerb
from vpp_gateway.gateway import Gateway
from vpp_gateway.northbound.openadr2.ramps import with_ramps
from vpp_gateway.optimise.linear import solve
from vpp_gateway.sim.link_plant import LinkPlant

LEVER = PluginName("lever")


@dataclass
class House:
    """The gateway, a plant at the link, and a plug-in that obeys within two seconds."""

    gateway: Gateway = field(default_factory=lambda: Gateway(fleet(), Policy(), {LEVER: SITES[0]}))
    plant: LinkPlant = field(default_factory=lambda: LinkPlant(fleet(), seed=1, load_w=400_000.0))
    now: float = 900.0
    log: list[tuple[Fact, float, list[Command]]] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    shifts: list[Shift] = field(default_factory=list)
    pending: list[tuple[float, Fact, Callable[[], None] | None]] = field(default_factory=list)

    def feed(self, fact: Fact) -> None:
        commands = self.gateway.step(fact, self.now)
        self.log.append((fact, self.now, commands))
        for command in commands:
            self.obey(command)

    def obey(self, command: Command) -> None:
        match command:
            case Answer():
                self.answers.append(command)
            case Arrange():
                self.plant.arrange(command.schedule)
            case Solve():
                self.feed(Solved(at=self.now, problem=command.problem.id, plan=solve(command.problem)))
            case Conclude():
                self.feed(Concluded(at=self.now, record=command.record))
            case Shift():
                self.shifts.append(command)
                self.shift(command)

    def shift(self, command: Shift) -> None:
        order = command.order
        record = self.gateway.shifts.orders[order.id]
        sign, state = {
            ShiftVerb.PREPARE: (0.0, ShiftState.PREPARED),
            ShiftVerb.COMMIT: (1.0, ShiftState.ACTIVE),
            ShiftVerb.ROLLBACK: (-1.0, ShiftState.RETURNED),
        }[order.verb]

        def effect() -> None:
            for leg in record.offer.legs:
                self.plant.sites[leg.site].shift_w += sign * leg.import_delta_w * record.share

        fact = Shifted(at=self.now + 2.0, order=order.id, plugin=order.plugin, state=state)
        self.pending.append((self.now + 2.0, fact, effect))
        if order.verb is ShiftVerb.ROLLBACK:
            # What was given back is on offer again, under a new name.
            again = replace(record.offer, id=OfferId(f"{record.offer.id}+"))
            offers = Offered(at=self.now + 3.0, plugin=LEVER, offers=(again,))
            self.pending.append((self.now + 3.0, offers, None))

    def run_until(self, until: float) -> None:
        while self.now < until:
            self.now += 1.0
            due = [row for row in self.pending if row[0] <= self.now]
            self.pending = [row for row in self.pending if row[0] > self.now]
            for _, fact, effect in due:
                if effect:
                    effect()
                self.feed(fact)
            wake = self.gateway.next_wake(self.now - 1.0)
            if wake is not None and wake <= self.now:
                self.feed(Woke(at=self.now))
            self.feed(Tick(at=self.now, snapshot=self.plant.second(self.now)))

    def delivery(self, name: str = "EV-1") -> object:
        return self.gateway.account.delivery(InstructionId(f"tso/{name}"))


@pytest.fixture
def house() -> House:
    house = House()
    house.feed(Started(at=house.now, epoch=1, version="test"))
    house.run_until(960.0)
    return house


def offer(kind: str, *legs: tuple[int, float], steps: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)) -> Offer:
    return Offer(
        id=OfferId(f"{kind}:{'-'.join(SITES[i] for i, _ in legs)}"),
        plugin=LEVER,
        kind=kind,
        legs=tuple(Leg(site=SITES[i], import_delta_w=w, latency_s=0.1) for i, w in legs),
        steps=steps,
        valid_until=1e9,
        sustain_s=7200.0,
    )


@pytest.mark.parametrize("w", [90_000.0, -60_000.0])
def test_event_is_met_at_the_meters(house: House, w: float) -> None:
    house.feed(Instructed(at=house.now, instruction=instruction(demand=Delta(regulation_w=w))))
    assert house.answers[-1].opt == "in"
    house.run_until(1700.0)
    record = next(iter(house.gateway.account.records()))
    assert record.state == "completed"
    assert record.samples >= 585
    assert record.samples_within == record.samples
    assert record.delivered_regulation_w == pytest.approx(w, rel=0.01)
    assert record.stopwatch.reached_at is not None and record.stopwatch.reached_at <= 1002.0
    assert dict(record.by_tier_w)["battery"] == pytest.approx(w, rel=0.01)
    assert all(b.discharge_w == 0.0 for s in house.plant.sites.values() for b in s.batteries.values())


def test_setpoint_is_absolute_at_the_meter(house: House) -> None:
    house.feed(Instructed(at=house.now, instruction=instruction(demand=Setpoint(import_w=1_100_000.0))))
    house.run_until(1100.0)
    total = sum(s.reading(house.now).meter.import_w for s in house.plant.sites.values())  # type: ignore[union-attr]
    assert total == pytest.approx(1_100_000.0, rel=0.001)


def test_too_much_is_refused_with_the_reason(house: House) -> None:
    house.feed(Instructed(at=house.now, instruction=instruction(demand=Delta(regulation_w=900_000.0))))
    assert house.answers[-1].opt == "out"
    assert "only 300.0 kW" in house.answers[-1].reason
    assert not house.gateway.timeline.at(1001.0)


def test_lost_battery_is_filled_by_the_others(house: House) -> None:
    house.feed(Instructed(at=house.now, instruction=instruction()))
    house.run_until(1050.0)
    house.plant.sites[SITES[0]].batteries[next(iter(house.plant.sites[SITES[0]].batteries))].dead = True
    house.run_until(1600.0)
    record = next(iter(house.gateway.account.records()))
    assert record.samples - record.samples_within <= 2


def test_cancellation_releases_everything(house: House) -> None:
    house.feed(Instructed(at=house.now, instruction=instruction()))
    house.run_until(1050.0)
    house.feed(
        Withdrawn(at=house.now, instruction=InstructionId("tso/EV-1"), modification=1, cause="cancelled")
    )
    assert house.answers[-1].reason == "cancelled"
    house.run_until(1055.0)
    assert all(not s.schedule.steps for s in house.plant.sites.values() if s.schedule)
    assert all(b.discharge_w == 0.0 for s in house.plant.sites.values() for b in s.batteries.values())


def test_operators_opt_out_releases_everything_and_his_opt_in_calls_it_again(house: House) -> None:
    house.feed(Instructed(at=house.now, instruction=instruction()))
    house.run_until(1050.0)
    answered = len(house.answers)
    house.feed(
        Withdrawn(at=house.now, instruction=InstructionId("tso/EV-1"), modification=1, cause="opted-out")
    )
    assert len(house.answers) == answered, "the operator has said it himself"
    house.run_until(1055.0)
    assert all(b.discharge_w == 0.0 for s in house.plant.sites.values() for b in s.batteries.values())
    (record,) = house.gateway.account.records()
    assert (record.state, record.opt) == ("cancelled", "out")
    assert record.opt_reason is not None and record.opt_reason.code == "opt.operator"
    house.feed(Instructed(at=house.now, instruction=instruction()))
    assert house.answers[-1].opt == "in"
    house.run_until(1065.0)
    assert any(b.discharge_w > 0.0 for s in house.plant.sites.values() for b in s.batteries.values())


def test_move_serves_area_down_and_area_up_and_hands_over(house: House) -> None:
    house.feed(Offered(at=house.now, plugin=LEVER, offers=(offer("move", (0, -80_000.0), (2, 80_000.0)),)))
    for name, site, w in (("down", SITES[0], 75_000.0), ("up", SITES[2], -75_000.0)):
        house.feed(
            Instructed(
                at=house.now,
                instruction=instruction(name, demand=Delta(regulation_w=w), scope=(site,)),
            )
        )
    house.run_until(1600.0)
    verbs = [shift.order.verb for shift in house.shifts]
    assert verbs[:2] == [ShiftVerb.PREPARE, ShiftVerb.COMMIT]
    assert ShiftVerb.ROLLBACK in verbs
    records = {r.instruction: r for r in house.gateway.account.records()}
    for name, w in (("down", 75_000.0), ("up", -75_000.0)):
        record = records[InstructionId(f"tso/{name}")]
        assert record.samples - record.samples_within <= 2
        assert abs(dict(record.by_tier_w)["workload"]) >= 0.3 * abs(w)
        assert any(reason.code.startswith("call.") for reason in record.why)


def test_a_shift_given_up_that_stands_after_all_is_taken_back(house: House) -> None:
    house.feed(Offered(at=house.now, plugin=LEVER, offers=(offer("pause", (0, -60_000.0)),)))
    house.feed(Instructed(at=house.now, instruction=instruction(demand=Delta(regulation_w=240_000.0))))
    house.run_until(1010.0)
    order = house.shifts[0].order
    for state in (ShiftState.FAILED, ShiftState.ACTIVE):
        house.feed(Shifted(at=house.now, order=order.id, plugin=LEVER, state=state, reason="died"))
    assert (house.shifts[-1].order.id, house.shifts[-1].order.verb) == (order.id, ShiftVerb.ROLLBACK)


def acknowledged(house: House, at: float) -> None:
    """A battery says that it does what its schedule says; heard before the centre's own timer."""
    house.now = at
    house.feed(
        Obeyed(
            at=at,
            site=SITES[0],
            device=DeviceId("tokyo-1/b1"),
            epoch=1,
            seq=1,
            instruction=InstructionId("tso/EV-1"),
            discharge_w=10_000.0,
            acknowledged_at=at,
            confirmed_at=at,
        )
    )


def test_an_answer_before_the_timer_loses_no_order(house: House) -> None:
    """At the start of an event, and at the change from one event to the next."""
    house.feed(Offered(at=house.now, plugin=LEVER, offers=(offer("move", (0, -80_000.0), (2, 80_000.0)),)))
    for name, site, w, start_at in (
        ("EV-1", SITES[0], 75_000.0, 1000.0),
        ("EV-2", SITES[2], -75_000.0, 1000.0),
        ("EV-3", SITES[1], 40_000.0, 1600.0),
    ):
        wanted = instruction(name, demand=Delta(regulation_w=w), scope=(site,), start_at=start_at)
        house.feed(Instructed(at=house.now, instruction=wanted))
    house.run_until(999.0)
    assert [shift.order.verb for shift in house.shifts] == [ShiftVerb.PREPARE]
    assert house.gateway.next_wake(1000.01) == 1000.0, "what was passed over is due at once"
    acknowledged(house, 1000.01)
    assert house.gateway.next_wake(1000.01) == 1595.0
    assert [shift.order.verb for shift in house.shifts] == [ShiftVerb.PREPARE, ShiftVerb.COMMIT]
    house.now = 1000.0
    house.run_until(1599.0)
    assert not any(shift.order.verb is ShiftVerb.ROLLBACK for shift in house.shifts)
    acknowledged(house, 1600.01)
    assert house.shifts[-1].order.verb is ShiftVerb.ROLLBACK


def test_noise_at_the_easy_limit_moves_no_work_to_and_fro() -> None:
    house = House(plant=LinkPlant(fleet(), seed=7, load_w=400_000.0, noise_w=3_000.0))
    house.feed(Started(at=house.now, epoch=1, version="test"))
    house.run_until(960.0)
    house.feed(Offered(at=house.now, plugin=LEVER, offers=(offer("pause", (0, -100_000.0), steps=(1.0,)),)))
    house.feed(Instructed(at=house.now, instruction=instruction(demand=Delta(regulation_w=150_000.0))))
    house.run_until(1590.0)
    verbs = [shift.order.verb for shift in house.shifts]
    assert verbs.count(ShiftVerb.COMMIT) <= 2, verbs
    assert verbs.count(ShiftVerb.ROLLBACK) <= 1, verbs


def test_workload_takes_over_from_the_batteries(house: House) -> None:
    offers = tuple(offer("pause", (i, -60_000.0)) for i in range(3))
    house.feed(Offered(at=house.now, plugin=LEVER, offers=offers))
    house.feed(Instructed(at=house.now, instruction=instruction(demand=Delta(regulation_w=240_000.0))))
    house.run_until(1004.0)
    house.run_until(1600.0)
    record = next(iter(house.gateway.account.records()))
    tiers = dict(record.by_tier_w)
    assert tiers["workload"] > 60_000.0
    assert tiers["battery"] + tiers["workload"] == pytest.approx(240_000.0, rel=0.02)


def test_replay_gives_identical_commands(house: House) -> None:
    house.feed(Instructed(at=house.now, instruction=instruction()))
    house.run_until(1300.0)
    twin = Gateway(fleet(), Policy(), {LEVER: SITES[0]})
    for fact, now, commands in house.log:
        assert twin.step(fact, now) == commands


def import_w(house: House) -> float:
    """What the meters of all sites show."""
    readings = (site.reading(house.now).meter for site in house.plant.sites.values())
    return sum(meter.import_w for meter in readings if meter is not None)


def test_a_multiplier_is_a_share_of_the_baseline_at_the_meter(house: House) -> None:
    """Resolved at dispatch against the baseline of the moment it begins; judged by the same number."""
    before = import_w(house)
    house.feed(Instructed(at=house.now, instruction=instruction(demand=Multiplier(factor=0.9))))
    assert house.answers[-1].opt == "in"
    house.run_until(1100.0)
    assert import_w(house) == pytest.approx(0.9 * before, rel=0.001)
    house.run_until(1700.0)
    record = next(iter(house.gateway.account.records()))
    assert record.samples_within == record.samples > 0
    assert record.target_regulation_w == pytest.approx(0.1 * before, rel=0.01)


def test_a_multiplier_beyond_the_batteries_is_refused(house: House) -> None:
    house.feed(Instructed(at=house.now, instruction=instruction(demand=Multiplier(factor=0.2))))
    assert house.answers[-1].opt == "out"


def test_a_site_knows_both_ramps_of_an_event_to_their_end(house: House) -> None:
    """A centre that is lost before a ramped event must not end it early."""
    base = instruction(start_at=2000.0)
    phases = with_ramps(base.phases, 300.0, 300.0, 10)
    ramped = replace(base, phases=phases, activated_at=2000.0)
    house.feed(Instructed(at=house.now, instruction=ramped))
    house.run_until(house.now + 3.0)
    schedules = [c.schedule for _, _, commands in house.log for c in commands if isinstance(c, Arrange)]
    last = {schedule.site: schedule for schedule in schedules}
    assert {max(step.end_at or 0.0 for step in one.steps) for one in last.values()} == {ramped.end_at}


def test_a_ramp_is_followed_at_the_meter(house: House) -> None:
    base = instruction()
    phases = with_ramps(base.phases, 30.0, 30.0, 10)
    ramped = replace(base, phases=phases, activated_at=1000.0)
    before = import_w(house)
    house.feed(Instructed(at=house.now, instruction=ramped))
    assert house.answers[-1].opt == "in"
    relief = {}
    for now in (984.0, 1100.0, 1614.0, 1640.0):
        house.run_until(now)
        relief[now] = before - import_w(house)
    assert relief[984.0] == pytest.approx(0.45 * 90_000.0, rel=0.01)
    assert relief[1100.0] == pytest.approx(90_000.0, rel=0.01)
    assert relief[1614.0] == pytest.approx(0.55 * 90_000.0, rel=0.01)
    assert relief[1640.0] == pytest.approx(0.0, abs=1000.0)
    record = next(iter(house.gateway.account.records()))
    assert record.state == "completed"


def test_an_import_that_is_asked_of_two_sites_asks_the_same_when_a_more_urgent_event_takes_one() -> None:
    """The rest is never driven the other way round, and what the urgent one gives counts for that one alone."""
    house = House()
    house.feed(Started(at=house.now, epoch=1, version="t"))
    house.run_until(960.0)
    one, other = SITES[0], SITES[1]
    asked = instruction("SP", demand=Setpoint(import_w=700_000.0), scope=(one, other), rank=100)
    house.feed(Instructed(at=house.now, instruction=asked))
    house.run_until(1050.0)
    urgent = instruction(
        "URG", demand=Delta(regulation_w=30_000.0), scope=(one,), rank=1, start_at=1060.0, duration_s=200.0
    )
    house.feed(Instructed(at=house.now, instruction=urgent))
    house.run_until(1100.0)
    imports = {id: site.reading(house.now).meter.import_w for id, site in house.plant.sites.items()}
    assert imports[one] == pytest.approx(370_000.0, rel=0.01)
    assert imports[other] == pytest.approx(300_000.0, rel=0.01), (
        "100 kW less than its 400, as was asked of both"
    )
    record = house.delivery("SP")
    assert (record.target_w, record.samples_within) == (100_000.0, record.samples)
    house.run_until(1300.0)
    imports = {id: site.reading(house.now).meter.import_w for id, site in house.plant.sites.items()}
    assert imports[one] + imports[other] == pytest.approx(700_000.0, rel=0.01)
