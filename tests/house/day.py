"""A day in the virtual house: plays a scene and judges what an independent meter saw."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from tests.house.house import House, open_house
from tests.house.world import SITES
from vpp_gateway.clock import LoopClock
from vpp_gateway.northbound.openadr2.messages import Event
from vpp_gateway.sim.loop import VirtualLoop, run

ORIGIN = 1_790_000_000.0
"""UTC at loop time zero, 2026-09-21: inside the life of the certificates."""
BASELINE_S = 75.0
"""From the opening until the baseline window is full."""
REACH_S = 3.0
"""From the start of an event, or a fault, until the meters agree again."""
TOLERANCE = 0.10
WALL_LIMIT_S = 120.0

T = TypeVar("T")


def play(
    folder: Path,
    scene: Callable[[House], Awaitable[T]],
    *,
    seed: int = 1,
    virtual_s: float = 4000.0,
    **more: Any,
) -> T:
    """Open a house in virtual time, let its baseline settle, and play the scene."""
    loop = VirtualLoop()
    clock = LoopClock(loop, ORIGIN)

    async def main() -> T:
        async with open_house(folder, clock=clock, seed=seed, **more) as house:
            await house.run_for(BASELINE_S)
            try:
                return await scene(house)
            except AssertionError as error:
                failed = error
        raise failed  # here, so that it is not wrapped in the group of the house's tasks

    return run(main, loop=loop, max_virtual_s=virtual_s, wall_limit_s=WALL_LIMIT_S)


def assert_met(
    house: House,
    since: float,
    until: float,
    regulation_w: float,
    sites: tuple[str, ...] = SITES,
    *,
    reach_s: float = REACH_S,
    tolerance: float = TOLERANCE,
    but_s: float = 0.0,
) -> None:
    """Every half second from `since + reach_s` to `until` the true regulation is within the tolerance.

    Args:
        but_s: so long, together, it may be outside: what happens between two readings is seen one second late.
    """
    seen = house.regulations_w(since + reach_s, until, sites)
    assert len(seen) >= (until - since - reach_s) * 2 - 2
    off = abs(regulation_w) * tolerance
    outside = [round(w) for w in seen if abs(w - regulation_w) > off]
    assert len(outside) <= but_s * 2, (
        f"expected {regulation_w:.0f} W within {off:.0f} W, found {outside[:40]}"
    )


def assert_quiet(
    house: House, since: float, until: float, sites: tuple[str, ...] = SITES, *, off_w: float = 3000.0
) -> None:
    """Nothing is delivered: the true regulation is about nothing all the time."""
    seen = house.regulations_w(since, until, sites)
    assert seen and max(abs(w) for w in seen) <= off_w, f"found {min(seen):.0f} .. {max(seen):.0f} W"


def assert_event_met(house: House, event: Event, regulation_w: float, sites: tuple[str, ...] = SITES) -> None:
    """An event of the VTN was met from its first seconds to its end, and nothing is left of it afterwards."""
    assert_met(house, event.start_at, event.start_at + event.duration_s, regulation_w, sites)
