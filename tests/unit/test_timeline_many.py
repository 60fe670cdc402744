"""10 000 overlapping instructions: best effort for those that rule, the losers named, and no second that takes long."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from statistics import median
from time import thread_time

from tests.unit.fleets import SITES, fleet, instruction
from tests.unit.test_gateway import House
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.domain.fact import Fact, Instructed, Started
from vpp_gateway.domain.instruction import Delta, Demand, Instruction, InstructionId, Limit, Setpoint
from vpp_gateway.gateway import Gateway

MANY = 10_000
BY_FACT = 400
"""The last of them come as facts, judged beside all others."""
STEP_S = 0.05
DEVICES = tuple(battery.id for battery in fleet().batteries)


@dataclass
class Timed(House):
    """A house that takes the time of every fold, in seconds of its own thread."""

    took: list[float] = field(default_factory=list)

    def feed(self, fact: Fact) -> None:
        before = thread_time()
        commands = self.gateway.step(fact, self.now)
        self.took.append(thread_time() - before)
        for command in commands:
            self.obey(command)


def drawn(rng: random.Random, number: int) -> Instruction:
    demand: Demand = Delta(regulation_w=rng.uniform(-20_000.0, 20_000.0))
    scope = tuple(rng.sample(SITES, rng.randint(0, 3)))
    devices = tuple(rng.sample(DEVICES, 2)) if number % 5 == 0 else ()
    if number % 7 == 0:
        demand = Limit(import_max_w=rng.uniform(5e5, 1e6), export_max_w=None)
    elif number % 7 == 1 and not devices:
        demand = Setpoint(import_w=400_000.0 * (len(scope) or 3))
    one = instruction(
        f"E{number}",
        demand=demand,
        start_at=rng.uniform(961.0, 1030.0),
        duration_s=rng.uniform(20.0, 900.0),
        scope=() if devices else scope,
        rank=rng.randint(1, 50),
    )
    return replace(one, devices=devices)


def test_ten_thousand_overlap_and_each_second_is_short() -> None:
    rng = random.Random(4)
    house = Timed(gateway=Gateway(fleet(), Policy(opt_in_at_least=0.0), {}))
    house.feed(Started(at=house.now, epoch=1, version="test"))
    house.run_until(960.0)
    drawn_all = [drawn(rng, number) for number in range(MANY)]
    for one in drawn_all[:-BY_FACT]:
        house.gateway.account.instructed(one, "in", None, house.now)
        house.gateway.timeline.admit(one)
    house.took = []
    for one in drawn_all[-BY_FACT:]:
        house.feed(Instructed(at=house.now, instruction=one))
    assert len(list(house.gateway.timeline)) == MANY
    assert median(house.took) < STEP_S / 5, "each is judged beside thousands"

    urgent = instruction(
        "urgent", demand=Delta(regulation_w=60_000.0), rank=0, start_at=1010.0, duration_s=60.0
    )
    house.feed(Instructed(at=house.now, instruction=urgent))
    house.took = []
    house.run_until(1050.0)
    rows = house.gateway.timeline.at(house.now)
    assert [row.instruction.event_id for row in rows] == ["urgent"], "thousands are in force, one rules"
    assert len(house.gateway.timeline.competing(house.now)) > 1000
    delivery = house.gateway.account.delivery(InstructionId("tso/urgent"))
    assert delivery is not None and delivery.samples_within == delivery.samples > 20
    house.run_until(1090.0)
    assert median(house.took) < STEP_S

    begun = (house.gateway.account.delivery(one.id) for one in drawn_all)
    lost = [d for d in begun if d is not None and any(r.code == "timeline.lost" for r in d.why)]
    assert len(lost) > MANY / 2, "who lost its sites is told who has them"
