"""Decimation and the feed: what a chart gets, and what a slow page loses."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.console_fake import START_S, World
from vpp_gateway.console.history import POINTS_MAX, RAW_S, HistoryPoint, decimate
from vpp_gateway.console.source import BEATS_MAX, Beat, Feed, Subscription

BEGIN = 1_800_000_000.0
WORLD = World(BEGIN)


def points(count: int, targets: dict[int, float | None] | None = None) -> list[HistoryPoint]:
    """`count` seconds; from second `n` on the order is `targets[n]`."""
    made: list[HistoryPoint] = []
    target: float | None = None
    for second in range(count):
        target = (targets or {}).get(second, target)
        made.append(
            HistoryPoint(
                at=float(second),
                import_w=float(second),
                baseline_import_w=0.0,
                target_regulation_w=target,
                regulation_w=0.0,
                by_tier_w={},
                by_site_w={},
            )
        )
    return made


def beat(second: float) -> Beat:
    at = BEGIN + second
    return Beat(status=WORLD.picture(at), point=WORLD.point(at))


@given(
    count=st.integers(0, 1500), limit=st.integers(2, 300), changes=st.sets(st.integers(0, 1499), max_size=20)
)
def test_decimation_keeps_order_limit_ends_and_invents_nothing(
    count: int, limit: int, changes: set[int]
) -> None:
    raw = points(count, {second: float(second) for second in changes})
    kept = decimate(raw, limit)
    assert len(kept) == min(count, limit)
    seconds = [point.at for point in kept]
    assert seconds == sorted(set(seconds))
    assert all(point is raw[int(point.at)] for point in kept)
    assert kept[-1:] == tuple(raw[-1:])


def test_first_minute_of_an_event_stays_raw() -> None:
    kept = {point.at for point in decimate(points(3600, {1800: 9e6, 3300: None}))}
    assert len(kept) == POINTS_MAX
    for start in (1800, 3300):
        assert {float(second) for second in range(start, start + int(RAW_S) + 1)} <= kept


def test_the_rest_is_thinned_evenly() -> None:
    kept = [point.at for point in decimate(points(3600))]
    gaps = [later - earlier for earlier, later in pairwise(kept)]
    assert max(gaps) <= 7.0


def test_newest_beat_wins_and_the_loss_is_told_once() -> None:
    subscription = Subscription()
    for second in range(BEATS_MAX + 5):
        subscription.put(beat(second))
    assert subscription.waiting == BEATS_MAX
    assert subscription.lost() == 5
    assert subscription.lost() == 0

    async def drain() -> list[float]:
        return [found.point.at - BEGIN for _ in range(BEATS_MAX) if (found := await subscription.get(1.0))]

    assert asyncio.run(drain()) == [float(second) for second in range(5, BEATS_MAX + 5)]


def test_feed_reaches_every_listener_until_it_leaves() -> None:
    feed = Feed()
    with feed.subscribe() as one, feed.subscribe() as two:
        assert feed.listeners == 2
        feed.publish(beat(0))
        assert (one.waiting, two.waiting) == (1, 1)
    assert feed.listeners == 0
    feed.publish(beat(1))
    assert one.waiting == 1


def test_closed_subscription_gives_what_it_has_and_then_nothing() -> None:
    async def run() -> None:
        subscription = Subscription()
        subscription.put(beat(0))
        subscription.close()
        assert await subscription.get(1.0) is not None
        assert await subscription.get(1.0) is None

    asyncio.run(run())


def test_silence_is_a_timeout() -> None:
    async def run() -> None:
        with pytest.raises(TimeoutError):
            await Subscription().get(0.001)

    asyncio.run(run())


def test_waiting_listener_is_woken() -> None:
    async def run() -> Beat | None:
        subscription = Subscription()
        asyncio.get_running_loop().call_soon(subscription.put, beat(START_S))
        return await subscription.get(5.0)

    assert asyncio.run(run()) is not None
