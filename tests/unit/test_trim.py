"""The trim mends what lasts and no more: a phase, a direction or a modification later it stays in proportion, and room
that was missing for a while is not paid back on top."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.fleets import SITES, fleet, instruction
from tests.unit.test_gateway import House
from vpp_gateway.dispatch.trim import TRIM_REACH, Trims
from vpp_gateway.domain.fact import Instructed, Started
from vpp_gateway.domain.fleet import Fleet
from vpp_gateway.domain.instruction import Delta, Instruction, InstructionId, Phase
from vpp_gateway.domain.reading import Snapshot
from vpp_gateway.portfolio.timeline import InForce
from vpp_gateway.sim.link_plant import LinkPlant

LARGE_W = 240_000.0
CAP_W = 33_000.0
"""Of each of the six batteries: 198 kW together."""


class OffPlant(LinkPlant):
    """A plant whose batteries have less room for a while, or give only a share of what they are told."""

    def __init__(self, of: Fleet, *, gain: float = 1.0) -> None:
        super().__init__(of, seed=1, load_w=400_000.0)
        self.room_w = 1e9
        self.gain = gain

    def second(self, now: float) -> Snapshot:
        snapshot = super().second(now)
        for plant in self.sites.values():
            for battery in plant.batteries.values():
                battery.discharge_w *= self.gain
        sites = (plant.reading(now) for plant in self.sites.values()) if self.gain != 1.0 else snapshot.sites
        return replace(
            snapshot,
            sites=tuple(
                replace(
                    site,
                    batteries=tuple(
                        replace(b, discharge_room_w=min(b.discharge_room_w, self.room_w))
                        for b in site.batteries
                    ),
                )
                for site in sites
            ),
        )


def house(of: Fleet | None = None, *, gain: float = 1.0) -> tuple[House, OffPlant]:
    plant = OffPlant(of or fleet(), gain=gain)
    made = House(plant=plant)
    made.feed(Started(at=made.now, epoch=1, version="test"))
    made.run_until(960.0)
    return made, plant


def phases(*asked: tuple[float, float, float]) -> Instruction:
    """(start, end, W) each."""
    rows = tuple(Phase(start_at=a, end_at=b, demand=Delta(regulation_w=w)) for a, b, w in asked)
    return replace(instruction(), phases=rows)


def order(made: House, event: Instruction) -> None:
    made.feed(Instructed(at=made.now, instruction=event))
    assert made.answers[-1].opt == "in"


def given_w(made: House) -> float:
    delivery = made.gateway.account.delivery(InstructionId("tso/EV-1"))
    assert delivery is not None and delivery.delivered_now_w is not None
    return delivery.delivered_now_w


@pytest.mark.parametrize("then_w", [30_000.0, 90_000.0, -30_000.0, 0.0])
def test_a_phase_that_could_not_be_met_leaves_nothing_to_the_next(then_w: float) -> None:
    made, plant = house()
    order(made, phases((1000.0, 1200.0, LARGE_W), (1200.0, 1400.0, then_w)))
    made.run_until(1030.0)
    plant.room_w = CAP_W
    made.run_until(1199.0)
    assert given_w(made) == pytest.approx(6 * CAP_W)
    plant.room_w = 1e9
    for second in range(1202, 1400, 7):
        made.run_until(float(second))
        assert given_w(made) == pytest.approx(then_w, rel=0.01, abs=1.0)


def test_room_that_comes_back_brings_what_is_asked_and_no_more() -> None:
    made, plant = house()
    order(made, instruction(demand=Delta(regulation_w=LARGE_W)))
    made.run_until(1030.0)
    plant.room_w = CAP_W
    made.run_until(1130.0)
    assert given_w(made) == pytest.approx(6 * CAP_W)
    plant.room_w = 1e9
    made.run_until(1131.0)
    for _ in range(25):
        made.run_until(made.now + 1.0)
        assert given_w(made) == pytest.approx(LARGE_W, rel=0.005)


@pytest.mark.parametrize("w", [30_000.0, -30_000.0, 200_000.0])
def test_what_batteries_give_too_little_is_learned_and_kept_in_proportion(w: float) -> None:
    made, _ = house(gain=0.94)
    order(made, phases((1000.0, 1200.0, LARGE_W), (1200.0, 1500.0, w)))
    made.run_until(1199.0)
    assert given_w(made) == pytest.approx(LARGE_W, rel=0.005)
    made.run_until(1203.0)
    assert given_w(made) == pytest.approx(w, rel=0.07), "the other direction learns anew"
    made.run_until(1250.0)
    assert given_w(made) == pytest.approx(w, rel=0.02)


def test_a_smaller_modification_takes_its_share_of_the_trim() -> None:
    made, _ = house(gain=0.94)
    order(made, instruction(demand=Delta(regulation_w=LARGE_W)))
    made.run_until(1200.0)
    order(made, instruction(demand=Delta(regulation_w=30_000.0), modification=1))
    made.run_until(1203.0)
    assert given_w(made) == pytest.approx(30_000.0, rel=0.02)


def row(w: float) -> InForce:
    one = instruction(demand=Delta(regulation_w=w))
    return InForce(instruction=one, phase=one.phases[0], sites=SITES, lost=())


def learned(trims: Trims, w: float, error_w: float, *, since: float, short_w: float = 0.0) -> float:
    """What is added to `w` after a hundred seconds of one error."""
    for second in range(100):
        trims.learn(row(w), w, error_w, short_w, since + second)
    return trims.trimmed_w(row(w).instruction.id, w) - w


def test_the_trim_is_bounded_in_both_directions_and_dies_with_its_instruction() -> None:
    trims = Trims(batteries={})
    assert learned(trims, 1000.0, 90.0, since=0.0) == pytest.approx(TRIM_REACH * 1000.0)
    assert learned(trims, -1000.0, 90.0, since=200.0) == pytest.approx(TRIM_REACH * 1000.0)
    assert learned(trims, -1000.0, -90.0, since=400.0) == pytest.approx(-TRIM_REACH * 1000.0)
    assert trims.trimmed_w(row(1.0).instruction.id, 0.0) == 0.0
    assert learned(trims, 0.0, 10.0, since=600.0) == 0.0, "where nothing is asked nothing is learned"
    trims.keep_only(())
    assert trims.trimmed_w(row(1.0).instruction.id, 1000.0) == 1000.0


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_what_is_short_is_not_wound_up_but_may_be_unlearned(sign: float) -> None:
    trims = Trims(batteries={})
    w, error_w = sign * 1000.0, sign * 90.0
    assert learned(trims, w, error_w, since=0.0, short_w=sign) == 0.0
    assert learned(trims, w, -error_w, since=200.0, short_w=sign) == pytest.approx(-TRIM_REACH * w)


def test_nothing_is_learned_while_a_slow_battery_follows() -> None:
    slow = {b.id: replace(b, response_s=5.0, ramp_w_per_s=5_000.0) for b in fleet().batteries}
    trims = Trims(batteries=slow)  # 5 s, 100 kW at 5 kW/s, and a second until it is read
    id = row(1.0).instruction.id
    for second in range(26):
        trims.learn(row(1000.0), 1000.0, 90.0, 0.0, float(second))
        assert trims.trimmed_w(id, 1000.0) == 1000.0
    trims.learn(row(1000.0), 1000.0, 90.0, 0.0, 26.0)
    assert trims.trimmed_w(id, 1000.0) > 1000.0
    assert learned(trims, 900.0, 90.0, since=27.0) > 0.0
    before = trims.trimmed_w(id, 1000.0)
    trims.learn(row(1000.0), 1000.0, -90.0, 0.0, 200.0)
    assert trims.trimmed_w(id, 1000.0) == before, "asked anew: it waits again"
