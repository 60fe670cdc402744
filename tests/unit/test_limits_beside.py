"""Limits beside everything else: weak batteries, devices of their own, recharge, feeders, later phases."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.fleets import SITES, fleet, instruction
from tests.unit.test_gateway import LEVER, House, offer
from tests.unit.test_gateway_limits import narrow
from vpp_gateway.dispatch.policy import Policy, RollingPolicy
from vpp_gateway.domain.fact import Instructed, Offered, Started, Withdrawn
from vpp_gateway.domain.fleet import Fleet
from vpp_gateway.domain.instruction import Delta, Demand, DeviceId, InstructionId, Limit, Phase, SiteId
from vpp_gateway.domain.order import ShiftVerb
from vpp_gateway.domain.plan import Reason
from vpp_gateway.gateway import Gateway
from vpp_gateway.sim.link_plant import LinkPlant

LOAD_W = 400_000.0
HELD, NEXT, THIRD = SITES
B1 = DeviceId(f"{HELD}/b1")
SLOWLY = Policy(rolling=RollingPolicy(recharge_share=0.1, wanted_soc=0.9))
CHARGING = Policy(rolling=RollingPolicy(recharge_share=0.5, wanted_soc=0.9))


def exporting() -> Fleet:
    return replace(fleet(), sites=tuple(replace(site, export_max_w=1e6) for site in fleet().sites))


def house(of: Fleet | None = None, policy: Policy | None = None, load_w: float = LOAD_W) -> House:
    of, policy = of or fleet(), policy or Policy()
    made = House(
        gateway=Gateway(of, policy, {LEVER: HELD}), plant=LinkPlant(of, seed=1, load_w=load_w, noise_w=0.0)
    )
    made.feed(Started(at=made.now, epoch=1, version="t"))
    made.run_until(960.0)
    return made


def ask(
    made: House,
    name: str,
    demand: Demand,
    *,
    scope: tuple[SiteId, ...] = (),
    devices: tuple[DeviceId, ...] = (),
    rank: int = 100,
    duration_s: float = 600.0,
) -> str:
    event = instruction(name, demand=demand, scope=scope, rank=rank, duration_s=duration_s)
    made.feed(Instructed(at=made.now, instruction=replace(event, devices=devices)))
    return made.answers[-1].opt


def import_limit(w: float) -> Limit:
    return Limit(import_max_w=w, export_max_w=None)


def gives(made: House, site: SiteId) -> float:
    return math.fsum(battery.discharge_w for battery in made.plant.sites[site].batteries.values())


def test_an_award_gets_from_the_others_what_a_weak_held_site_cannot_give() -> None:
    made = house()
    assert ask(made, "L", import_limit(300_000.0), scope=(HELD,)) == "in"
    assert ask(made, "A", Delta(regulation_w=100_000.0), scope=(HELD, NEXT)) == "in"
    made.run_until(1050.0)
    assert gives(made, HELD) == pytest.approx(100_000.0, rel=0.01) and gives(made, NEXT) == pytest.approx(
        0.0, abs=500
    )
    for battery in made.plant.sites[HELD].batteries.values():
        battery.dead = True
    made.run_until(1100.0)
    assert gives(made, NEXT) == pytest.approx(100_000.0, rel=0.01)


def test_a_load_that_the_limit_cannot_be_held_against_does_not_turn_the_award_round() -> None:
    made = house()
    ask(made, "L", import_limit(300_000.0), scope=(HELD,))
    ask(made, "A", Delta(regulation_w=90_000.0))
    made.run_until(1050.0)
    made.plant.sites[HELD].load_w = 550_000.0
    made.run_until(1100.0)
    assert gives(made, HELD) == pytest.approx(100_000.0, rel=0.01), "all it has"
    total = math.fsum(gives(made, site) for site in SITES) - 150_000.0
    assert total == pytest.approx(90_000.0, rel=0.02), "against the baseline, the risen load counted"


def test_a_device_that_gives_for_another_instruction_is_not_counted_for_the_award() -> None:
    made = house()
    ask(made, "L", import_limit(320_000.0), scope=(HELD,))
    ask(made, "D", Delta(regulation_w=40_000.0), devices=(B1,), rank=1)
    ask(made, "A", Delta(regulation_w=20_000.0), scope=(HELD, NEXT), rank=5)
    made.run_until(1050.0)
    assert gives(made, HELD) == pytest.approx(80_000.0, rel=0.01)
    assert made.plant.sites[HELD].batteries[B1].discharge_w == pytest.approx(40_000.0, rel=0.01)
    assert gives(made, HELD) - 40_000.0 + gives(made, NEXT) == pytest.approx(20_000.0, abs=500.0)


def regulation(made: House, name: str) -> float:
    account = made.gateway.account.delivery(InstructionId(f"tso/{name}"))
    assert account is not None and account.delivered_now_w is not None
    return account.delivered_now_w


@pytest.mark.parametrize("order", ["LDS", "DLS", "DSL"])
def test_a_limit_borrows_from_a_battery_that_another_rules_alone_and_each_has_his_own(order: str) -> None:
    """70 kW are demanded, the free battery has 50, the other gives 10 of its 50 for D: it lends 10 on top."""
    made = house()
    asks = {
        "L": lambda: ask(made, "L", import_limit(330_000.0), scope=(HELD,)),
        "D": lambda: ask(made, "D", Delta(regulation_w=10_000.0), devices=(B1,), rank=1),
        "S": lambda: ask(made, "S", Delta(regulation_w=100_000.0), scope=(HELD, NEXT), rank=5),
    }
    assert [asks[name]() for name in order] == ["in"] * 3
    made.run_until(1050.0)
    assert gives(made, HELD) == pytest.approx(70_000.0, rel=0.01)
    assert gives(made, HELD) - 10_000.0 + gives(made, NEXT) == pytest.approx(110_000.0, rel=0.01)
    assert regulation(made, "D") == pytest.approx(10_000.0, rel=0.02)
    assert regulation(made, "S") == pytest.approx(100_000.0, rel=0.02)
    account = made.gateway.account.delivery(InstructionId("tso/D"))
    assert account is not None
    assert Reason(code="held.limit", values=(("site", HELD), ("event", "tso/L"))) in account.why
    made.plant.sites[HELD].load_w = 370_000.0
    made.run_until(1070.0)
    assert made.plant.sites[HELD].batteries[B1].discharge_w == pytest.approx(10_000.0, rel=0.02), "given back"


def test_what_is_lent_follows_the_load_without_a_jump() -> None:
    """The limit demands what the free battery has, give or take: neither order goes to and fro."""
    made = house()
    ask(made, "L", import_limit(340_000.0), scope=(HELD,))
    ask(made, "D", Delta(regulation_w=10_000.0), devices=(B1,), rank=1)
    made.run_until(1020.0)
    seen = []
    for second in range(60):
        made.plant.sites[HELD].load_w = 400_000.0 + (500.0 if second % 2 else -500.0)
        made.run_until(1021.0 + second)
        seen.append(made.plant.sites[HELD].batteries[B1].discharge_w)
    assert max(abs(b - a) for a, b in itertools.pairwise(seen)) < 2_500.0
    assert min(seen) > 8_000.0 and max(seen) < 13_000.0


def test_an_order_that_the_limit_can_do_without_is_not_touched() -> None:
    made = house()
    b2 = DeviceId(f"{HELD}/b2")
    ask(made, "D1", Delta(regulation_w=45_000.0), devices=(B1,), rank=1)
    ask(made, "D2", Delta(regulation_w=5_000.0), devices=(b2,), rank=1)
    ask(made, "L", import_limit(340_000.0), scope=(HELD,))
    made.run_until(1050.0)
    batteries = made.plant.sites[HELD].batteries
    assert gives(made, HELD) == pytest.approx(60_000.0, rel=0.01)
    assert batteries[B1].discharge_w >= 45_000.0 * 0.99 and batteries[b2].discharge_w >= 5_000.0 * 0.99
    assert regulation(made, "D1") == pytest.approx(45_000.0, rel=0.02)
    assert regulation(made, "D2") == pytest.approx(5_000.0, rel=0.04)


def test_nothing_is_lent_through_a_feeder_that_is_full() -> None:
    made = house(narrow())
    ask(made, "D", Delta(regulation_w=14_000.0), devices=(B1,), rank=1)
    ask(made, "L", import_limit(395_000.0), scope=(HELD,))
    made.plant.sites[HELD].load_w = 460_000.0
    made.run_until(1050.0)
    assert gives(made, HELD) <= 15_000.0 * 1.01
    assert regulation(made, "D") == pytest.approx(14_000.0, rel=0.02)


def test_a_battery_that_holds_an_export_limit_is_not_recharged_meanwhile() -> None:
    made = house(exporting(), SLOWLY, load_w=-80_000.0)
    assert (
        ask(made, "L", Limit(import_max_w=None, export_max_w=50_000.0), scope=(HELD,), duration_s=7200.0)
        == "in"
    )
    made.run_until(1200.0)
    assert gives(made, HELD) == pytest.approx(-30_000.0, rel=0.01), (
        "the limit asks for more than the recharge"
    )
    assert gives(made, NEXT) == pytest.approx(-10_000.0, rel=0.01), (
        "a tenth of its rating, where no limit stands"
    )
    for steps in (made.plant.sites[site].schedule for site in SITES):
        assert steps is not None
        assert len({(step.device, step.start_at) for step in steps.steps}) == len(steps.steps)


def test_recharge_keeps_limits_of_single_batteries_and_of_feeders() -> None:
    made = house(policy=CHARGING)
    ask(made, "L", import_limit(5_000.0), devices=(B1,), duration_s=7200.0)
    made.run_until(1200.0)
    assert made.plant.sites[HELD].batteries[B1].discharge_w == pytest.approx(-5_000.0, rel=0.01)
    assert gives(made, HELD) == pytest.approx(-30_000.0, rel=0.01), "its neighbour is free"
    made = house(narrow(), CHARGING)
    made.run_until(1200.0)
    assert -15_000.0 * 1.01 <= gives(made, HELD) < 0.0, "the feeder carries 15 kW"


@pytest.mark.parametrize(
    ("loads", "demand"),
    [
        ({HELD: 600_000.0}, import_limit(400_000.0)),
        ({HELD: 600_000.0, NEXT: -400_000.0}, Limit(import_max_w=400_000.0, export_max_w=200_000.0)),
    ],
    ids=["batteries of other sites", "signs that cancel"],
)
def test_each_site_must_be_able_to_keep_a_limit_by_itself(loads: dict[SiteId, float], demand: Limit) -> None:
    made = house(exporting())
    for site, load_w in loads.items():
        made.plant.sites[site].load_w = load_w
    made.run_until(990.0)
    assert ask(made, "L", demand) == "out"


def test_no_workload_is_counted_on_for_a_limit() -> None:
    made = house()
    made.feed(Offered(at=made.now, plugin=LEVER, offers=(offer("pause", (0, -150_000.0)),)))
    assert ask(made, "L", import_limit(200_000.0), scope=(HELD,)) == "out"


def test_an_award_does_not_count_on_batteries_that_a_limit_of_their_own_holds() -> None:
    made = house()
    locked = tuple(battery.id for battery in fleet().site(HELD).batteries)
    ask(made, "L", Limit(import_max_w=None, export_max_w=0.0), devices=locked)
    assert ask(made, "A", Delta(regulation_w=90_000.0), scope=(HELD,)) == "out"


def phases(*rows: tuple[float, float, float]) -> Callable[[House], None]:
    """An event of phases (start, end, W)."""

    def give(made: House) -> None:
        event = replace(
            instruction("A"),
            phases=tuple(Phase(start_at=a, end_at=b, demand=Delta(regulation_w=w)) for a, b, w in rows),
        )
        made.feed(Instructed(at=made.now, instruction=event))

    return give


def test_what_is_prepared_for_a_later_phase_is_committed_when_it_begins() -> None:
    made = house()
    made.feed(Offered(at=made.now, plugin=LEVER, offers=(offer("pause", (0, -200_000.0)),)))
    phases((1000.0, 1300.0, 60_000.0), (1300.0, 1600.0, 280_000.0))(made)
    made.run_until(1299.0)
    assert [row.order.verb for row in made.shifts] == [ShiftVerb.PREPARE]
    made.run_until(1301.5)
    assert [row.order.verb for row in made.shifts] == [ShiftVerb.PREPARE, ShiftVerb.COMMIT]


def test_what_was_prepared_for_an_event_that_is_taken_back_is_given_back() -> None:
    made = house()
    made.feed(Offered(at=made.now, plugin=LEVER, offers=(offer("pause", (0, -200_000.0)),)))
    phases((1000.0, 1300.0, 280_000.0))(made)
    made.run_until(996.0)
    assert [row.order.verb for row in made.shifts] == [ShiftVerb.PREPARE]
    made.feed(Withdrawn(at=made.now, instruction=InstructionId("tso/A"), modification=1, cause="cancelled"))
    made.run_until(1010.0)
    assert made.shifts[-1].order.verb is ShiftVerb.ROLLBACK
