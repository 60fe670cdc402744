"""Instructions for single batteries beside one for their site: each watt delivered, and counted once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.fleets import SITES, fleet, instruction
from tests.unit.test_gateway import House, offer
from tests.unit.test_optimise import A, battery, pause
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.domain.delivery import DeliveryRecord
from vpp_gateway.domain.fact import Instructed, Offered, Started
from vpp_gateway.domain.fleet import DEFAULT_TIERS, FeederId
from vpp_gateway.domain.instruction import (
    Delta,
    Demand,
    DeviceId,
    Instruction,
    InstructionId,
    Limit,
    Multiplier,
    Setpoint,
)
from vpp_gateway.domain.plan import FeederBounds, Problem, Resource, SiteBounds, Target
from vpp_gateway.gateway import Gateway
from vpp_gateway.optimise.allocate import closed_form
from vpp_gateway.optimise.linear import shares as lp_shares
from vpp_gateway.sim.link_plant import LinkPlant

B1, B2 = DeviceId("tokyo-1/b1"), DeviceId("tokyo-1/b2")


def house_of(plant: LinkPlant | None = None) -> House:
    made = House() if plant is None else House(plant=plant)
    made.feed(Started(at=made.now, epoch=1, version="test"))
    made.run_until(960.0)
    return made


def alone(name: str, w: float, *devices: DeviceId, **more: object) -> Instruction:
    demand: Demand = Delta(regulation_w=w)
    return replace(instruction(name, demand=demand, rank=1, **more), devices=devices)  # type: ignore[arg-type]  # fields by name


def discharge_w(house: House) -> dict[DeviceId, float]:
    return {id: b.discharge_w for site in house.plant.sites.values() for id, b in site.batteries.items()}


def records(house: House) -> dict[str, DeliveryRecord]:
    return {r.instruction.removeprefix("tso/"): r for r in house.gateway.account.records()}


@pytest.mark.parametrize("device_w", [20_000.0, -20_000.0])
@pytest.mark.parametrize("site_w", [30_000.0, -30_000.0])
def test_a_device_and_its_site_deliver_both(device_w: float, site_w: float) -> None:
    house = house_of()
    house.feed(Instructed(at=house.now, instruction=alone("device", device_w, B1)))
    site = instruction("site", demand=Delta(regulation_w=site_w), scope=SITES[:1], rank=5)
    house.feed(Instructed(at=house.now, instruction=site))
    assert [answer.opt for answer in house.answers] == ["in", "in"]
    house.run_until(1300.0)
    given = discharge_w(house)
    assert given[B1] == pytest.approx(device_w, rel=0.01)
    assert given[B2] == pytest.approx(site_w, rel=0.01)
    assert not any(w for id, w in given.items() if id not in (B1, B2))
    house.run_until(1700.0)
    for name, w in (("device", device_w), ("site", site_w)):
        record = records(house)[name]
        assert record.samples_within == record.samples > 500, name
        assert record.delivered_regulation_w == pytest.approx(w, rel=0.01)
        assert dict(record.by_tier_w)["battery"] == pytest.approx(w, rel=0.01)
        assert dict(record.by_site_w) == {SITES[0]: pytest.approx(w, rel=0.01)}
    assert not any(discharge_w(house).values())


def test_a_device_that_begins_and_ends_inside_a_site_event_does_not_disturb_it() -> None:
    """The site's noise is its own: the device holds its word, and the site makes up for what it has lost."""
    house = house_of(LinkPlant(fleet(), seed=3, load_w=400_000.0, noise_w=3_000.0))
    house.feed(
        Instructed(at=house.now, instruction=instruction("all", demand=Delta(regulation_w=120_000.0), rank=5))
    )
    inside = alone("device", -30_000.0, B1, B2, start_at=1200.0, duration_s=200.0)
    house.feed(Instructed(at=house.now, instruction=inside))
    house.run_until(1300.0)
    given = discharge_w(house)
    assert given[B1] + given[B2] == pytest.approx(-30_000.0, rel=0.01)
    house.run_until(1500.0)
    given = discharge_w(house)
    assert given[B1] > 0 and given[B2] > 0
    house.run_until(1700.0)
    done = records(house)
    assert done["device"].samples_within == done["device"].samples > 150
    assert done["all"].samples - done["all"].samples_within <= 4
    assert not any(reason.code == "timeline.lost" for reason in done["device"].why)


def test_the_less_urgent_device_is_told_who_has_its_site() -> None:
    house = house_of()
    urgent = instruction(
        "site", demand=Delta(regulation_w=10_000.0), scope=SITES[:1], rank=0, duration_s=300.0
    )
    late = alone("device", 20_000.0, B1, start_at=1200.0, duration_s=400.0)
    house.feed(Instructed(at=house.now, instruction=late))
    house.feed(Instructed(at=house.now, instruction=urgent))
    assert [answer.opt for answer in house.answers] == ["in", "in"]
    house.run_until(1250.0)
    delivery = house.gateway.account.delivery(InstructionId("tso/device"))
    assert delivery is not None and delivery.state == "active" and delivery.samples == 0
    (reason,) = (r for r in delivery.why if r.code == "timeline.lost")
    assert dict(reason.values) == {"place": B1, "event": "tso/site"}
    house.run_until(1400.0)
    assert discharge_w(house)[B1] == pytest.approx(20_000.0, rel=0.01)


def test_what_a_more_urgent_one_holds_is_not_promised_again() -> None:
    house = house_of()
    house.feed(Instructed(at=house.now, instruction=alone("device", 20_000.0, B1)))
    much = instruction("site", demand=Delta(regulation_w=60_000.0), scope=SITES[:1], rank=5)
    house.feed(Instructed(at=house.now, instruction=much))
    assert house.answers[-1].opt == "out" and "only 50.0 kW" in house.answers[-1].reason
    house.feed(Instructed(at=house.now, instruction=alone("again", 20_000.0, B1, B2, received_at=950.0)))
    assert house.answers[-1].opt == "in"
    house.feed(Instructed(at=house.now, instruction=alone("more", 60_000.0, B1, B2, received_at=951.0)))
    assert house.answers[-1].opt == "out"


@pytest.mark.parametrize(
    ("demand", "devices", "named"),
    [
        (Setpoint(import_w=0.0), (B1,), B1),
        (Multiplier(factor=0.5), (B1,), B1),
        (Delta(regulation_w=1.0), (B1, DeviceId("atlantis/b9")), "atlantis/b9"),
    ],
)
def test_what_a_device_cannot_do_is_refused_by_name(
    demand: Demand, devices: tuple[DeviceId, ...], named: str
) -> None:
    house = house_of()
    house.feed(Instructed(at=house.now, instruction=replace(instruction(demand=demand), devices=devices)))
    assert house.answers[-1].opt == "out" and named in house.answers[-1].reason


def test_a_limit_on_a_device_bounds_its_room() -> None:
    house = house_of()
    limit = Limit(import_max_w=None, export_max_w=5_000.0)
    house.feed(
        Instructed(at=house.now, instruction=replace(instruction("bound", demand=limit), devices=(B1,)))
    )
    asked = instruction("all", demand=Delta(regulation_w=120_000.0))
    house.feed(Instructed(at=house.now, instruction=asked))
    house.run_until(1100.0)
    given = discharge_w(house)
    assert given[B1] == pytest.approx(5_000.0, rel=0.01)
    assert sum(given.values()) == pytest.approx(120_000.0, rel=0.01)


def test_a_lost_site_is_credited_to_whom_its_batteries_gave() -> None:
    house = house_of()
    house.feed(Instructed(at=house.now, instruction=alone("device", 20_000.0, B1)))
    everywhere = instruction("all", demand=Delta(regulation_w=100_000.0), rank=5)
    house.feed(Instructed(at=house.now, instruction=everywhere))
    house.run_until(1100.0)
    house.plant.sites[SITES[0]].lost = True
    house.run_until(1105.0)
    for name, w in (("device", 20_000.0), ("all", 100_000.0)):
        delivery = house.gateway.account.delivery(InstructionId(f"tso/{name}"))
        assert delivery is not None and delivery.delivered_now_w == pytest.approx(w, rel=0.02), name


def test_levers_of_the_site_serve_the_site_alone_and_a_replay_decides_the_same() -> None:
    house = house_of()
    house.feed(
        Offered(
            at=house.now,
            plugin=next(iter(house.gateway.shifts.host_of)),
            offers=(offer("pause", (0, -60_000.0)),),
        )
    )
    house.feed(Instructed(at=house.now, instruction=alone("device", -20_000.0, B1)))
    site = instruction("site", demand=Delta(regulation_w=60_000.0), scope=SITES[:1], rank=5)
    house.feed(Instructed(at=house.now, instruction=site))
    house.run_until(1700.0)
    assert {shift.order.instruction for shift in house.shifts} == {"tso/site"}
    done = records(house)
    assert dict(done["device"].by_tier_w)["workload"] == pytest.approx(0.0, abs=1.0)
    assert dict(done["site"].by_tier_w)["workload"] > 20_000.0
    assert done["site"].delivered_regulation_w == pytest.approx(60_000.0, rel=0.02)
    twin = Gateway(fleet(), Policy(), dict(house.gateway.shifts.host_of))
    for fact, now, commands in house.log:
        assert twin.step(fact, now) == commands


# --- the allocation alone ------------------------------------------------------------------------------------------


def shared(device_w: float, site_w: float, down_max_w: float = 1e9, up_max_w: float = 1e9) -> Problem:
    """`a1` alone for one target, its site for another."""
    rows: tuple[Resource, ...] = (battery("a1", A, 100, 100), battery("a2", A, 100, 100))
    return Problem(
        id="p",
        at=0.0,
        tiers=DEFAULT_TIERS,
        targets=(
            Target(
                instruction=InstructionId("device"),
                sites=(),
                regulation_w=device_w,
                devices=(DeviceId("a1"),),
            ),
            Target(
                instruction=InstructionId("site"), sites=(A,), regulation_w=site_w, without=(DeviceId("a1"),)
            ),
        ),
        resources=rows,
        levers=(pause(A, 50.0),),
        bounds=(SiteBounds(site=A, down_max_w=down_max_w, up_max_w=up_max_w),),
    )


def test_both_share_the_connection_and_the_more_urgent_comes_first() -> None:
    plan = closed_form(shared(60.0, 60.0, down_max_w=80.0))
    assert {share.id: share.regulation_w for share in plan.shares} == {
        "a1": pytest.approx(60.0),
        "a2": pytest.approx(20.0),
    }
    assert dict(plan.shortfall_w) == {"device": 0.0, "site": pytest.approx(40.0)}
    assert "bind.export" in {reason.code for reason in plan.binding}


def test_what_one_charges_is_no_room_for_the_other_to_give() -> None:
    """A device that fails shall not break the limit for another that leans on it."""
    plan = closed_form(shared(-60.0, 60.0, down_max_w=40.0))
    assert {share.id: share.regulation_w for share in plan.shares} == {
        "a1": pytest.approx(-60.0),
        "a2": pytest.approx(40.0),
    }


@pytest.mark.parametrize(
    ("device_w", "site_w"), [(60.0, 130.0), (-60.0, 130.0), (60.0, -80.0), (150.0, 10.0)]
)
def test_the_network_misses_what_the_closed_form_misses(device_w: float, site_w: float) -> None:
    problem = shared(device_w, site_w)
    missing, _ = lp_shares(problem)
    plan = closed_form(problem)
    assert sum(abs(w) for _, w in plan.shortfall_w) == pytest.approx(missing, abs=1e-6)


@pytest.mark.parametrize(("device_w", "site_w"), [(60.0, 60.0), (-60.0, 60.0), (30.0, 90.0)])
def test_they_share_a_feeder_too(device_w: float, site_w: float) -> None:
    line = FeederId("line")
    problem = shared(device_w, site_w)
    problem = replace(
        problem,
        resources=tuple(replace(one, feeder=line) for one in problem.resources),
        feeders=(FeederBounds(id=line, site=A, down_max_w=70.0, up_max_w=70.0),),
        levers=(),
    )
    given = {share.id: share.regulation_w for share in closed_form(problem).shares}
    assert given["a1"] == pytest.approx(device_w)
    assert max(given["a1"], 0.0) + given["a2"] <= 70.0 + 1e-9
    missing, _ = lp_shares(problem)
    short = sum(abs(w) for _, w in closed_form(problem).shortfall_w)
    assert short == pytest.approx(missing if device_w > 0 else max(0.0, site_w - 70.0), abs=1e-6)
