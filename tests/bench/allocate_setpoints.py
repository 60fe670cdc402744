"""Rows `allocate_setpoints_N`: one second of the gateway in an event, from the snapshot to the sites' schedules."""

from __future__ import annotations

import time

from tests.bench.report import Check, Row, row
from tests.bench.samples import median
from tests.unit.fleets import fleet, instruction
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.domain.command import Arrange
from vpp_gateway.domain.fact import Instructed, Started, Tick
from vpp_gateway.domain.instruction import Delta
from vpp_gateway.gateway import Gateway
from vpp_gateway.sim.link_plant import LinkPlant

POWER_W = 50_000.0
SECONDS = 30


def measure(size: int) -> Row:
    """Time `Gateway.step` of a tick before and in an event."""
    each = -(-size // 3)
    plates = fleet(batteries=each, power_w=POWER_W)
    gateway, plant = Gateway(plates, Policy(), {}), LinkPlant(plates, seed=1, load_w=400_000.0)
    gateway.step(Started(at=900.0, epoch=1, version="bench"), 900.0)
    target = 0.3 * 3 * each * POWER_W
    event = instruction(demand=Delta(regulation_w=min(target, 900_000.0)), start_at=930.0)
    idle: list[float] = []
    busy: list[float] = []
    orders = 0
    for second in range(901, 930 + SECONDS):
        now = float(second)
        tick = Tick(at=now, snapshot=plant.second(now))
        began = time.perf_counter()
        commands = gateway.step(tick, now)
        took = 1000.0 * (time.perf_counter() - began)
        (busy if now >= event.phases[0].start_at else idle).append(took)
        for command in commands:
            if isinstance(command, Arrange):
                orders += 1
                plant.arrange(command.schedule)
        if second == 910:
            gateway.step(Instructed(at=now, instruction=event), now)
        if gateway.timeline.at(now):  # the load moves, so that every second has new setpoints
            for index, site in enumerate(plant.sites.values()):
                site.shift_w = 50_000.0 * ((second * (index + 3)) % 7 - 3)
    return row(
        f"allocate_setpoints_{size}",
        quantity="one second of the gateway in an event, snapshot in, schedules out, median",
        ours=median(busy),
        unit="ms",
        better="lower",
        against="the same gateway in a second without an event",
        theirs=median(idle),
        note=f"3 sites of {each} batteries, one event, load that moves each second: fold the snapshot, rooms from SoC, "
        f"allocate, setpoints, delivery at the meters; {len(busy)} seconds. For information.",
        origin="perf_counter of this process around Gateway.step",
        checks=(Check(what="two in three seconds gave a site a new schedule", true=orders >= 2 * SECONDS),),
    )
