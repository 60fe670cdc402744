"""The end of an event: shifted work comes back without making a peak, and batteries hold what it takes on top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.unit.fleets import SITES, fleet, instruction
from tests.unit.test_gateway import LEVER, House, offer
from vpp_gateway.catalogue import text
from vpp_gateway.console.alarms import of_rebounds
from vpp_gateway.dispatch.keep import Keep
from vpp_gateway.dispatch.policy import Policy, RollingPolicy
from vpp_gateway.dispatch.rebound import REBOUND, TOLERANCE
from vpp_gateway.domain.command import Shift
from vpp_gateway.domain.fact import Instructed, Offered, Started, Withdrawn
from vpp_gateway.domain.horizon import StoreBounds
from vpp_gateway.domain.instruction import Delta, InstructionId, Limit
from vpp_gateway.domain.order import Offer, OfferId, ShiftVerb
from vpp_gateway.gateway import Gateway
from vpp_gateway.sim.link_plant import LinkPlant

A = SITES[0]
LOAD_W, LEVEL_W = 400_000.0, 400_000.0 * (1.0 + TOLERANCE)
END_AT = 1600.0
BACK_S = 300.0


@dataclass
class Returning(House):
    """What was shifted comes back within `BACK_S`, evenly, on top of the load."""

    rebounds: bool = True
    mute: bool = False
    """The plug-in answers no order any more."""

    def shift(self, command: Shift) -> None:
        if self.mute:
            return
        super().shift(command)
        order = command.order
        self.pending = [row for row in self.pending if not getattr(row[1], "offers", ())]
        record = self.gateway.shifts.orders[order.id]
        if order.verb is not ShiftVerb.ROLLBACK or record.active_at is None or not self.rebounds:
            return
        made = record.offer
        held = min(1.0, (self.now - record.active_at) / made.sustain_s)
        back_w = made.rebound_wh * record.share * held * 3600.0 / made.rebound_within_s
        quiet = Offered(at=self.now, plugin=LEVER, offers=())

        def more(w: float) -> None:
            self.plant.sites[record.offer.legs[0].site].shift_w += w

        self.pending.append((self.now + 2.0, quiet, lambda: more(back_w)))
        self.pending.append((self.now + 2.0 + BACK_S, quiet, lambda: more(-back_w)))


def work(name: str, w: float, rebound_wh: float, **more: Any) -> Offer:
    """A pause at tokyo-1 that can be held for as long as the event lasts, all or nothing."""
    made = replace(
        offer("pause", (0, -w), steps=(1.0,)),
        id=OfferId(name),
        sustain_s=600.0,
        rebound_wh=rebound_wh,
        rebound_within_s=BACK_S,
    )
    return replace(made, **more)


def house_of(
    *offers: Offer,
    w: float,
    policy: Policy | None = None,
    power_w: float = 100_000.0,
    soc: float = 0.5,
    plant: type[LinkPlant] = LinkPlant,
) -> Returning:
    """A house in the middle of an event at tokyo-1 that these offers carry."""
    made = fleet(power_w=power_w)
    house = Returning(
        gateway=Gateway(made, policy or Policy(), {LEVER: A}),
        plant=plant(made, seed=1, load_w=LOAD_W),
    )
    for site in house.plant.sites.values():
        for battery in site.batteries.values():
            battery.soc = soc
    house.feed(Started(at=house.now, epoch=1, version="test"))
    house.run_until(960.0)
    house.feed(Offered(at=house.now, plugin=LEVER, offers=offers))
    house.feed(Instructed(at=house.now, instruction=instruction(demand=Delta(regulation_w=w), scope=(A,))))
    assert house.answers[-1].opt == "in"
    return house


def import_w(house: House) -> float:
    meter = house.plant.sites[A].reading(house.now).meter
    assert meter is not None
    return meter.import_w


def watch(house: House, until: float) -> list[float]:
    """Import of tokyo-1 in each second."""
    found = []
    while house.now < until:
        house.run_until(house.now + 1.0)
        found.append(import_w(house))
    return found


def returned_at(house: House) -> list[float]:
    return [s.order.deadline_at - 5.0 for s in house.shifts if s.order.verb is ShiftVerb.ROLLBACK]


def batteries_w(house: House) -> list[float]:
    return [b.discharge_w for b in house.plant.sites[A].batteries.values()]


def socs(house: House) -> list[float]:
    return [b.soc for b in house.plant.sites[A].batteries.values()]


def seconds_above(course: Sequence[float], level_w: float) -> int:
    return sum(w > level_w + 1.0 for w in course)


def test_batteries_hold_the_site_at_its_baseline_while_work_comes_back() -> None:
    """12.5 kWh come back within 5 min: 150 kW on top of 400."""
    house = house_of(work("a", 150_000.0, 12_500.0), w=150_000.0)
    house.run_until(END_AT - 1.0)
    assert import_w(house) == pytest.approx(250_000.0, rel=0.01)
    course = watch(house, END_AT + BACK_S + 60.0)
    assert returned_at(house) == [END_AT], "a single one waits for nothing"
    assert seconds_above(course, LEVEL_W) <= 2, "the second in which it came back"
    assert max(course[5:]) == pytest.approx(LEVEL_W, rel=0.001)
    assert min(socs(house)) < 0.46
    house.run_until(house.now + 120.0)
    assert batteries_w(house) == [0.0, 0.0] and import_w(house) == pytest.approx(LOAD_W)
    assert not house.gateway.rebounds.holding or all(
        h.held_w == 0.0 for h in house.gateway.rebounds.holding.values()
    )


def test_without_it_the_site_has_its_peak() -> None:
    house = house_of(work("a", 150_000.0, 12_500.0), w=150_000.0, policy=Policy(hold_rebound=False))
    course = watch(house, END_AT + 60.0)
    assert max(course) == pytest.approx(550_000.0, rel=0.01)


def test_what_owes_nothing_is_not_held() -> None:
    """The load may rise for other reasons: nobody asked for that to be covered."""
    house = house_of(work("a", 150_000.0, 0.0), w=150_000.0)
    house.run_until(END_AT + 3.0)
    house.plant.sites[A].shift_w += 100_000.0
    course = watch(house, END_AT + 60.0)
    assert max(course) == pytest.approx(500_000.0, rel=0.01) and batteries_w(house) == [0.0, 0.0]


def test_little_energy_is_spread_over_all_that_comes_back() -> None:
    """Half of what is owed is in the batteries: the peak is halved from the first minute to the last."""
    house = house_of(work("a", 150_000.0, 12_500.0), w=150_000.0)
    house.run_until(END_AT - 1.0)
    low = min(b.soc_min for b in house.gateway.sites[A].site.batteries)
    for battery in house.plant.sites[A].batteries.values():
        battery.soc = low + 0.5 * 12.5 / 200.0 / 0.95
    course = watch(house, END_AT + BACK_S)
    flat = course[10:-15]
    assert max(flat) < LOAD_W + 0.55 * 150_000.0
    assert max(flat) - min(flat) < 15_000.0
    assert all(low <= soc < low + 0.006 for soc in socs(house))


FOUR = tuple(work(f"w{n}", 50_000.0, 5_000.0, cost=float(n), sustain_s=1200.0) for n in range(1, 5))


def test_several_return_one_after_the_other() -> None:
    """Each takes 30 kW on top for 5 min; batteries are empty. All at once: 120 kW of peak."""
    together = house_of(*FOUR, w=200_000.0, policy=Policy(return_within_s=0.0), soc=0.1)
    at_once = max(watch(together, END_AT + 60.0))
    assert at_once == pytest.approx(520_000.0, rel=0.01) and returned_at(together) == [END_AT] * 4
    house = house_of(*FOUR, w=200_000.0, soc=0.1)
    course = watch(house, END_AT + 299.0)
    assert max(course) < LEVEL_W + 1_000.0
    times = returned_at(house)
    assert times[0] == END_AT and times == sorted(times)
    assert 2 <= len(times) < 4, "three at 80 kW each fit under what two take off"
    course = watch(house, END_AT + 320.0)
    assert len(returned_at(house)) == 4 and max(returned_at(house)) <= END_AT + 301.0
    assert max(course) < at_once - 25_000.0, "the last two wait no longer, though 60 kW still come back"


def test_the_dearest_returns_first() -> None:
    house = house_of(*FOUR, w=200_000.0, soc=0.1)
    house.run_until(END_AT + 1.0)
    first = next(s for s in house.shifts if s.order.verb is ShiftVerb.ROLLBACK)
    assert first.order.offer == "w4"


def test_work_that_cannot_be_held_any_longer_does_not_wait() -> None:
    """Held for 20 s beyond the event at most."""
    offers = tuple(replace(one, sustain_s=620.0) for one in FOUR)
    house = house_of(*offers, w=200_000.0, soc=0.1)
    house.run_until(END_AT + 30.0)
    assert len(returned_at(house)) == 4 and max(returned_at(house)) <= END_AT + 22.0


def test_what_waits_serves_the_next_event_of_the_same_kind() -> None:
    house = house_of(*FOUR, w=200_000.0, soc=0.1)
    house.run_until(END_AT + 5.0)
    before = len(returned_at(house))
    assert before < 4
    more = instruction("EV-2", demand=Delta(regulation_w=40_000.0), scope=(A,), start_at=END_AT + 10.0)
    house.feed(
        Instructed(
            at=house.now, instruction=replace(more, phases=(replace(more.phases[0], end_at=END_AT + 310.0),))
        )
    )
    assert house.answers[-1].opt == "in"
    house.run_until(END_AT + 100.0)
    standing = list(house.gateway.shifts.standing())
    assert standing and {r.order.instruction for r in standing} == {InstructionId("tso/EV-2")}
    assert not [
        s for s in house.shifts if s.order.verb is ShiftVerb.COMMIT and s.order.deadline_at > END_AT + 10.0
    ]
    house.run_until(END_AT + 310.0 + 320.0)
    assert not list(house.gateway.shifts.standing())


def test_what_waits_returns_at_once_when_the_next_event_wants_the_opposite() -> None:
    house = house_of(*FOUR, w=200_000.0, soc=0.1)
    house.run_until(END_AT + 5.0)
    more = instruction("EV-2", demand=Delta(regulation_w=-50_000.0), scope=(A,), start_at=END_AT + 10.0)
    house.feed(Instructed(at=house.now, instruction=more))
    house.run_until(END_AT + 13.0)
    assert len(returned_at(house)) == 4


def test_a_cancelled_event_ends_the_same_way() -> None:
    house = house_of(work("a", 150_000.0, 12_500.0), w=150_000.0)
    house.run_until(1500.0)
    gone = Withdrawn(at=house.now, instruction=InstructionId("tso/EV-1"), modification=1, cause="cancelled")
    house.feed(gone)
    course = watch(house, 1700.0)
    assert seconds_above(course, LEVEL_W) <= 2 and max(batteries_w(house)) > 30_000.0


def test_what_armed_products_need_stays_in_the_batteries() -> None:
    house = house_of(work("a", 150_000.0, 12_500.0), w=150_000.0)
    house.run_until(END_AT + 10.0)
    free = house.gateway.rebounds.holding[A].held_w
    assert free == pytest.approx(150_000.0 - (LEVEL_W - LOAD_W), rel=0.01)
    ids = [battery.id for battery in house.gateway.sites[A].site.batteries]
    floors = {
        id: StoreBounds(id=id, discharge_w=0.0, floor_wh=100_000.0 * soc, ceiling_wh=100_000.0)
        for id, soc in zip(ids, socs(house), strict=True)
    }
    keep = Keep(stores=floors, others_w={}, held=frozenset(), lasts_s=30.0)
    steps = house.gateway.rebounds.steps((), keep, house.now)
    assert [step.discharge_w for step in steps[A]] == [0.0, 0.0]


def test_it_begins_no_baseline_and_no_recharge() -> None:
    """The next event is measured against what the site took before the first one."""
    rolling = RollingPolicy(wanted_soc=0.9, recharge_share=0.2)
    house = house_of(work("a", 150_000.0, 12_500.0), w=150_000.0, policy=Policy(rolling=rolling))
    house.run_until(END_AT + 100.0)
    window = house.gateway.sites[A].window.mean_w()
    assert window == pytest.approx(LOAD_W, rel=0.001)
    assert min(batteries_w(house)) > 0.0
    other = [b.discharge_w for b in house.plant.sites[SITES[1]].batteries.values()]
    assert max(other) < 0.0, "elsewhere they charge"
    house.run_until(END_AT + BACK_S + 30.0)
    assert max(batteries_w(house)) < 0.0, "and here once all has come back"


def test_a_limit_below_the_baseline_goes_first() -> None:
    house = house_of(work("a", 150_000.0, 12_500.0), w=150_000.0, power_w=200_000.0)
    house.run_until(END_AT + 10.0)
    limit = Limit(import_max_w=380_000.0, export_max_w=None)
    house.feed(
        Instructed(
            at=house.now,
            instruction=instruction("LIM", demand=limit, scope=(A,), start_at=house.now, duration_s=60.0),
        )
    )
    course = watch(house, house.now + 50.0)
    assert max(course[5:]) <= 380_000.0 * 1.01


def test_the_plan_of_the_hour_knows_what_is_owed() -> None:
    house = house_of(work("a", 150_000.0, 12_500.0), w=150_000.0)
    house.run_until(END_AT + 30.0)
    (debt,) = house.gateway.rebounds.debts.values()
    held_s = END_AT + 2.0 - 1000.0
    assert debt.owed_wh == pytest.approx(12_500.0 * held_s / 600.0, rel=0.02)
    assert debt.left_wh(house.now) == pytest.approx(debt.owed_wh * 0.9, rel=0.03)
    assert debt.left_wh(debt.since + 2 * BACK_S) == 0.0


def test_steps_end_by_themselves_when_the_centre_is_lost() -> None:
    house = house_of(work("a", 150_000.0, 12_500.0), w=150_000.0)
    house.run_until(END_AT + 10.0)
    schedule = house.plant.sites[A].schedule
    assert schedule is not None and {step.instruction for step in schedule.steps} == {REBOUND}
    assert all(s.end_at is not None and s.end_at <= house.now + 120.0 for s in schedule.steps)


def test_replay_gives_identical_orders_over_a_restart() -> None:
    house = house_of(*FOUR, w=200_000.0, soc=0.1)
    house.run_until(END_AT + 40.0)
    assert len(returned_at(house)) == 2
    house.feed(Started(at=house.now, epoch=2, version="test"))
    house.run_until(END_AT + 500.0)
    assert len(returned_at(house)) >= 4 and not list(house.gateway.shifts.standing())
    twin = Gateway(fleet(power_w=100_000.0), Policy(), {LEVER: A})
    for fact, now, commands in house.log:
        assert twin.step(fact, now) == commands


def test_the_operator_is_told_when_batteries_cannot_hold_it() -> None:
    house = house_of(work("a", 150_000.0, 12_500.0), w=150_000.0)
    house.run_until(END_AT + 10.0)
    assert not list(of_rebounds(house.gateway.rebounds.holding))
    for battery in house.plant.sites[A].batteries.values():
        battery.soc = 0.1
    house.run_until(END_AT + 13.0)
    ((code, severity, site, words),) = of_rebounds(house.gateway.rebounds.holding)
    assert (code, severity, site) == ("rebound", "warning", A)
    assert float(words["kw"]) == pytest.approx(146.0, abs=1.0) and words["held"] == "0"
    for lang in ("en", "ja"):
        assert words["kw"] in text("alarm.rebound", lang, **words)


@pytest.mark.parametrize(("held", "code"), [(True, "rebound.held"), (False, "rebound.owed")])
def test_the_record_tells_what_was_owed(held: bool, code: str) -> None:
    house = house_of(work("a", 150_000.0, 12_500.0), w=150_000.0, policy=Policy(hold_rebound=held))
    house.run_until(END_AT + 3.0)
    record = next(iter(house.gateway.account.records()))
    (said,) = [reason for reason in record.why if reason.code.startswith("rebound.")]
    assert said.code == code
    assert dict(said.values) == {"site": A, "kwh": "12.5", "minutes": "5"}
