"""The machine's clock, disciplined: setting it moves nothing until it is taken over."""

from __future__ import annotations

import pytest

from vpp_gateway.clock import SystemClock


class Machine:
    """The machine's two clocks, in the test's hands."""

    def __init__(self) -> None:
        self.wall, self.monotonic = 1_790_000_000.0, 500.0

    def clock(self) -> SystemClock:
        return SystemClock(lambda: self.wall, lambda: self.monotonic)

    def run(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


@pytest.mark.parametrize("set_by_s", [3600.0, -3600.0])
def test_a_set_wall_clock_is_told_but_not_followed(set_by_s: float) -> None:
    machine = Machine()
    clock = machine.clock()
    machine.run(10)
    machine.wall += set_by_s
    machine.run(5)
    assert clock.utc() == 1_790_000_015.0
    assert clock.step_s() == set_by_s
    clock.reanchor()
    assert (clock.utc(), clock.step_s()) == (machine.wall, 0.0)
    machine.run(7)
    assert clock.utc() == machine.wall


def test_an_agent_follows_the_centres_clock() -> None:
    machine = Machine()
    clock = machine.clock()
    clock.align(1_790_000_123.0)
    machine.run(2)
    assert clock.utc() == 1_790_000_125.0
    assert clock.step_s() == -123.0
