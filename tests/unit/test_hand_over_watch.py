"""When work has taken over from the batteries: by seconds written by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vpp_gateway.chronicle.hand_over import GIVEN_UP_S, HandedOver, HandOverWatch
from vpp_gateway.chronicle.look import Look, OrderLook
from vpp_gateway.domain.instruction import Delta, InstructionId, Phase
from vpp_gateway.domain.order import OrderId

ASKED_W, WORK_W = 1_000_000.0, 200_000.0


def order(name: str, state: str = "ordered", w: float = WORK_W) -> OrderLook:
    return OrderLook(
        id=OrderId(name),
        name="work: pause a",
        state=state,
        share=1.0,
        cost=1.0,
        regulation_w=w,
        committed=True,
        taken_back=False,
    )


def second(at: float, work_w: float, *orders: OrderLook, asked_w: float = ASKED_W) -> Look:
    """A second in which the delivery is as asked, `work_w` of it not by batteries."""
    return Look(
        at=at,
        phase=Phase(start_at=0.0, end_at=None, demand=Delta(regulation_w=asked_w)),
        asked_w=asked_w,
        delivered_w=asked_w,
        battery_w=asked_w - work_w,
        orders=orders,
    )


def seen(*looks: Look) -> list[HandedOver]:
    watch = HandOverWatch()
    return [over for over in map(watch.see, looks) if over is not None]


def test_it_is_done_when_the_meters_show_it_and_not_by_the_plug_ins_word() -> None:
    (over,) = seen(
        second(0, 0.0),
        second(1, 0.0, order("a")),
        second(2, 0.0, order("a", "active")),
        second(3, 0.95 * WORK_W, order("a", "active")),
        second(4, 0.95 * WORK_W, order("a", "active")),
    )
    assert (over.ordered_at, over.real_at, over.lasted_s) == (1, 3, 2)
    assert over.work_w == WORK_W and over.shown_w == pytest.approx(0.95 * WORK_W)
    assert over.battery_w == pytest.approx(ASKED_W - 0.95 * WORK_W)


def test_the_batteries_must_be_down() -> None:
    late = second(3, WORK_W, order("a", "active"))
    both = replace(late, delivered_w=ASKED_W + WORK_W, battery_w=ASKED_W)
    (over,) = seen(second(1, 0.0, order("a")), both, replace(late, at=4))
    assert over.real_at == 4


def test_orders_of_one_moment_are_one_and_a_later_one_is_another() -> None:
    first = (order("a", "active"), order("b", "active", w=100_000.0))
    overs = seen(
        second(0, 0.0, order("a"), order("b", w=100_000.0)),
        second(9, WORK_W, first[0], order("b", w=100_000.0)),
        second(12, 300_000.0, *first),
        second(14, 300_000.0, *first, order("c")),
        second(27, 500_000.0, *first, order("c", "active")),
    )
    assert [(over.ordered_at, over.real_at, over.work_w) for over in overs] == [
        (0, 12, 300_000.0),
        (14, 27, WORK_W),
    ]


def test_a_sun_that_rises_under_work_that_starts_hides_nothing() -> None:
    """The delivery of PV grows all the time, the other way."""
    work = order("a", w=-WORK_W)
    ramp = [second(at, 5_000.0 * at, work, asked_w=-ASKED_W) for at in range(1, 31)]
    active = replace(work, state="active")
    (over,) = seen(
        second(0, 0.0, asked_w=-ASKED_W), *ramp, second(31, 155_000.0 - WORK_W, active, asked_w=-ASKED_W)
    )
    assert over.real_at == 31 and over.shown_w == pytest.approx(-WORK_W, rel=0.05)


def test_what_the_meters_never_show_delays_no_later_order() -> None:
    liar = order("a", "active")
    later = GIVEN_UP_S + 10.0
    overs = seen(
        second(0, 0.0, order("a")),
        second(2, 0.0, liar),
        second(later - 1.0, 0.0, liar),
        second(later, 0.0, liar, order("b")),
        second(later + 3.0, WORK_W, liar, order("b", "active")),
    )
    assert [(over.ordered_at, over.work_w) for over in overs] == [(later, WORK_W)]


def test_work_that_is_taken_back_meanwhile_does_not_count_against_it() -> None:
    old = order("a", "active")
    back = replace(old, state="returning", taken_back=True)
    overs = seen(
        second(0, 0.0, order("a")),
        second(3, WORK_W, old),
        second(10, WORK_W, old, order("b")),
        second(11, WORK_W, back, order("b")),
        second(14, WORK_W, order("b", "active")),
    )
    assert [(over.ordered_at, over.real_at) for over in overs] == [(0, 3), (10, 14)]


def test_what_was_ordered_for_another_counts_where_it_helps() -> None:
    other = replace(order("a", "active"), made_for=InstructionId("tso/EV-9"))
    assert len(seen(second(0, 0.0, other), second(1, WORK_W, other))) == 1
    against = replace(other, regulation_w=-WORK_W)
    assert seen(second(0, 0.0, against), second(1, -WORK_W, against)) == []


def test_work_committed_before_the_start_is_awaited_and_the_end_ends_it() -> None:
    early = Look(at=0, phase=None, orders=(order("a", "active"),))
    (over,) = seen(early, second(1, WORK_W, order("a", "active")))
    assert over.ordered_at == 0
    over_again = Look(at=9, phase=None, orders=(order("a"),))
    assert seen(second(0, 0.0, order("a")), over_again, second(10, WORK_W, order("a", "active"))) == []
