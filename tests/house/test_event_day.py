"""Events in virtual time over real Modbus sockets: met at the meters, and the same seed gives the same trace."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.house.house import open_house
from tests.unit.fleets import instruction
from vpp_gateway.clock import LoopClock
from vpp_gateway.domain.delivery import DeliveryRecord
from vpp_gateway.domain.instruction import Delta
from vpp_gateway.sim.loop import VirtualLoop, run

ORIGIN = 1_790_000_000.0


def play(folder: Path, seed: int = 1, sigma_w: float = 0.0) -> tuple[list[DeliveryRecord], str, float]:
    loop = VirtualLoop()
    clock = LoopClock(loop, ORIGIN)

    async def main() -> tuple[list[DeliveryRecord], str, float]:
        async with open_house(folder, clock=clock, seed=seed, sigma_w=sigma_w) as house:
            start = clock.utc()
            await house.until(start + 70.0)
            for n, (offset, w) in enumerate(((100.0, 120_000.0), (500.0, -90_000.0))):
                house.instruct(
                    instruction(
                        f"EV-{n}",
                        demand=Delta(regulation_w=w),
                        start_at=start + offset,
                        duration_s=300.0,
                        received_at=clock.utc(),
                    )
                )
            await house.until(start + 820.0)
            return list(house.engine.gateway.account.records()), house.trace.hexdigest(), house.imports_w()

    return run(main, loop=loop)


def test_down_and_up_are_met_at_the_meters(tmp_path: Path) -> None:
    began = time.perf_counter()
    records, _, imports_w = play(tmp_path)
    print("wall", time.perf_counter() - began)
    assert [record.state for record in records] == ["completed", "completed"]
    for record, w in zip(records, (120_000.0, -90_000.0), strict=True):
        print(record)
        assert record.opt == "in"
        assert record.samples_within >= 0.99 * record.samples >= 280
        assert record.delivered_regulation_w == pytest.approx(w, rel=0.02)
        watch = record.stopwatch
        assert watch.started_at and watch.reached_at and watch.first_setpoint_at and watch.all_setpoints_at
        assert watch.reached_at - watch.started_at <= 2.0
        assert watch.all_setpoints_at - watch.started_at <= 0.5
    assert imports_w == pytest.approx(1_200_000.0, rel=0.01)
