"""Rows from seconds written by hand: each change that matters is told once, with its reasons, in both languages."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vpp_gateway.catalogue import LANGS
from vpp_gateway.chronicle.look import BatteryLook, Look, OrderLook, SiteLook
from vpp_gateway.chronicle.rows import Chronicle, Row
from vpp_gateway.domain.instruction import Delta, DeviceId, InstructionId, Limit, Phase, SiteId
from vpp_gateway.domain.order import OrderId
from vpp_gateway.domain.plan import Reason
from vpp_gateway.optimise.explain import sentence

START = 1000.0
PHASE = Phase(start_at=START, end_at=START + 600.0, demand=Delta(regulation_w=200_000.0))
DEAR = Reason(
    code="lever.dearer",
    values=(("offer", "x"), ("cost", "3"), ("w", "100000"), ("other", "y"), ("other_cost", "1")),
)


def battery(name: str, w: float, room_w: float = 200_000.0, code: str = "proportional") -> BatteryLook:
    site = SiteId(name.partition("-")[0])
    values = (("site", site), ("w", f"{w:.0f}"), ("room_w", f"{room_w:.0f}"))
    return BatteryLook(
        id=DeviceId(name),
        site=site,
        regulation_w=w,
        room_w=room_w,
        energy_wh=100_000.0,
        soc=0.5,
        trouble="",
        reason=Reason(code=f"share.{code}", values=values),
    )


def dead(name: str) -> BatteryLook:
    return replace(battery(name, 0.0, 0.0, "no_room"), soc=None, trouble="no answer")


def site(name: str, cap_w: float = 1e6) -> SiteLook:
    return SiteLook(
        id=SiteId(name),
        linked=True,
        alone=False,
        trouble="",
        meter="",
        baseline_w=1e6,
        import_w=9e5,
        delivered_w=1e5,
        cap_w=cap_w,
    )


def second(at: float, **other: object) -> Look:
    """A second in which all is well."""
    well = Look(
        at=START + at,
        phase=PHASE,
        sites=(site("a"), site("b")),
        asked_w=200_000.0,
        delivered_w=200_000.0,
        battery_w=200_000.0,
        batteries=(battery("a-1", 100_000.0), battery("b-1", 100_000.0)),
    )
    return replace(well, **other)  # type: ignore[arg-type]  # names of Look's fields


def told(*looks: Look) -> list[Row]:
    chronicle = Chronicle()
    for look in looks:
        chronicle.see(look)
    return list(chronicle.rows())


def of_kind(rows: list[Row], kind: str) -> list[tuple[float, list[str]]]:
    """(Seconds after the start, codes) of the rows of a kind."""
    return [(row.at - START, [reason.code for reason in row.why]) for row in rows if row.kind == kind]


def said(row: Row) -> list[str]:
    for lang in LANGS:
        assert all(sentence(reason, lang) for reason in row.why)
    return [sentence(reason, "en") for reason in row.why]


def test_a_quiet_event_is_told_by_its_beginning_and_its_end() -> None:
    rows = told(*(second(at) for at in range(20)), Look(at=START + 600.0, phase=None))
    assert [row.kind for row in rows] == ["phase", "shares", "phase"]
    assert said(rows[0]) == ["From here on 200.0 kW down are asked of a, b."]
    assert said(rows[1])[0].startswith("a is ordered 100.0 of 200.0 kW: its batteries hold 50%")


def test_why_one_site_gives_less_than_another() -> None:
    look = second(
        0,
        sites=(site("a", cap_w=60_000.0), site("b"), site("c"), site("d")),
        batteries=(
            battery("a-1", 60_000.0),
            battery("b-1", 200_000.0, code="full"),
            battery("c-1", 0.0, 0.0, "no_room"),
            battery("d-1", 0.0, code="not_needed"),
        ),
    )
    (shares,) = (row for row in told(look) if row.kind == "shares")
    assert [reason.code for reason in shares.why] == ["site.export", "site.full", "site.none", "site.idle"]
    assert "its export limit binds, so other sites give the rest" in said(shares)[0]


def test_where_a_battery_is_spared_for_its_wear_no_site_gives_by_its_energy() -> None:
    look = second(
        0,
        sites=(site("a"), site("b"), site("c")),
        batteries=(
            battery("a-1", 200_000.0, code="full"),
            battery("b-1", 150_000.0, code="proportional"),
            battery("c-1", 0.0, code="wear"),
        ),
    )
    (shares,) = (row for row in told(look) if row.kind == "shares")
    assert [reason.code for reason in shares.why] == ["site.full", "site.wear", "site.wear"]
    assert "c is ordered 0.0 of 350.0 kW: batteries that wear less come first" in said(shares)[2]


def test_a_limit_that_binds_must_last_to_be_told_and_carries_its_first_second() -> None:
    tight = {"sites": (site("a", cap_w=100_000.0), site("b"))}
    blink = told(second(0), second(1, **tight), second(2), *(second(at) for at in range(3, 9)))
    assert of_kind(blink, "limit") == []
    rows = told(second(0), *(second(at, **tight) for at in range(1, 7)), *(second(at) for at in range(7, 12)))
    assert of_kind(rows, "limit") == [(1.0, ["limit.export"]), (7.0, ["limit.export_free"])]


def test_up_the_contracted_import_binds() -> None:
    up = Phase(start_at=START, end_at=None, demand=Delta(regulation_w=-200_000.0))
    looks = [
        second(
            at,
            phase=up,
            asked_w=-200_000.0,
            delivered_w=-200_000.0,
            sites=(site("a", cap_w=100_000.0), site("b")),
            batteries=(battery("a-1", -100_000.0), battery("b-1", -100_000.0)),
        )
        for at in range(5)
    ]
    rows = told(*looks)
    assert of_kind(rows, "limit") == [(0.0, ["limit.import"])]
    assert said(rows[0]) == ["From here on 200.0 kW up are asked of a, b."]


def test_a_lever_that_is_left_is_told_once_with_its_price() -> None:
    called = Reason(code="call.needed", values=(("offer", "y"), ("share", "1.00"), ("cost", "1")))
    later = replace(DEAR, values=(*DEAR.values[:2], ("w", "90000"), *DEAR.values[3:]))
    rows = told(second(0, called=(called,), rejected=(DEAR,)), second(5, called=(called,), rejected=(later,)))
    assert of_kind(rows, "plan") == [(0.0, ["call.needed", "lever.dearer"])]
    (plan,) = (row for row in rows if row.kind == "plan")
    assert said(plan)[1] == "x (100.0 kW, cost 3) is left: y is cheaper (cost 1) and suffices."


def test_a_battery_that_fails_is_told_at_once_with_who_takes_over() -> None:
    rows = told(
        second(0),
        second(1, batteries=(dead("a-1"), battery("b-1", 200_000.0, code="full"))),
        *(second(at) for at in range(2, 6)),
    )
    assert of_kind(rows, "failure") == [
        (1.0, ["battery.gone", "battery.taken_over"]),
        (2.0, ["battery.back"]),
    ]
    failure = next(row for row in rows if row.kind == "failure")
    assert said(failure) == [
        "a-1 at a cannot be used (no answer); it was ordered 100.0 kW.",
        "b-1: 100.0 kW more are ordered in its place.",
    ]
    assert (
        sentence(failure.why[0], "ja")
        == "a の a-1 は使えない(応答がない)。それまで 100.0 kW を命令していた。"
    )


@pytest.mark.parametrize(
    ("code", "w", "room_w", "expected"),
    [
        ("full", 200_000.0, 200_000.0, "battery.full"),
        ("bridging", 150_000.0, 200_000.0, "battery.bridging"),
        ("no_room", 0.0, 0.0, "battery.empty"),
    ],
)
def test_what_a_battery_has_left(code: str, w: float, room_w: float, expected: str) -> None:
    changed = (battery("a-1", w, room_w, code), battery("b-1", 100_000.0))
    rows = told(
        second(0),
        *(second(at, batteries=changed) for at in range(1, 6)),
        *(second(at) for at in range(6, 10)),
    )
    assert of_kind(rows, "battery") == [(1.0, [expected]), (6.0, ["battery.eased"])]
    assert all(said(row) for row in rows)


def test_a_shortfall_begins_and_ends_with_its_size_and_what_binds() -> None:
    binding = (
        Reason(code="bind.missing", values=(("w", "50000"),)),
        Reason(code="bind.export", values=(("site", "a"),)),
    )
    short = [
        second(at, short_w=w, delivered_w=150_000.0, binding=binding, rejected=(DEAR,))
        for at, w in ((1, 50_000.0), (2, 70_000.0), (3, 20_000.0))
    ]
    rows = told(second(0), *short, *(second(at) for at in range(4, 9)))
    assert of_kind(rows, "shortfall") == [
        (1.0, ["short.begun", "bind.export", "lever.dearer"]),
        (4.0, ["short.over"]),
    ]
    begun, over = (row for row in rows if row.kind == "shortfall")
    assert said(begun)[0] == "A shortfall begins: 50.0 of 200.0 kW cannot be had."
    assert said(over) == ["The shortfall is over; 70.0 kW were missing at most."]


def test_another_limit_during_a_shortfall() -> None:
    one, other = (Reason(code="bind.site_rooms", values=(("site", name),)) for name in ("a", "b"))
    first = [second(at, short_w=1e4, binding=(one,)) for at in range(5)]
    rows = told(*first, *(second(at, short_w=1e4, binding=(one, other)) for at in range(5, 10)))
    assert of_kind(rows, "shortfall") == [
        (0.0, ["short.begun", "bind.site_rooms"]),
        (5.0, ["bind.site_rooms", "bind.site_rooms"]),
    ]


def test_off_the_order_counts_from_the_tenth_second() -> None:
    rows = told(
        *(second(at, delivered_w=0.0) for at in range(10)),
        second(10),
        second(11, delivered_w=150_000.0),
        *(second(at) for at in range(12, 17)),
    )
    assert of_kind(rows, "shortfall") == [(11.0, ["band.off"]), (12.0, ["band.back"])]


def test_an_order_and_its_hand_over() -> None:
    order = OrderLook(
        id=OrderId("1-1"),
        name="work: pause a",
        state="ordered",
        share=1.0,
        cost=2.0,
        regulation_w=100_000.0,
        committed=True,
        taken_back=False,
    )
    active, back = replace(order, state="active"), replace(order, state="returning", taken_back=True)
    rows = told(
        second(0, orders=(order,)),
        second(1, orders=(active,)),
        second(2, orders=(active,), delivered_w=300_000.0),
        second(3, orders=(active,), battery_w=100_000.0),
        second(4, orders=(back,), battery_w=100_000.0),
        second(5),
    )
    assert of_kind(rows, "order") == [
        (0.0, ["order.ordered"]),
        (1.0, ["order.active"]),
        (4.0, ["order.back"]),
        (5.0, ["order.returned"]),
    ]
    assert of_kind(rows, "hand_over") == [(3.0, ["hand_over"])]
    (done,) = (row for row in rows if row.kind == "hand_over")
    assert said(done) == [
        "Hand-over of 100.0 kW done 3 s after the order: the meters show 100.0 kW more of work, "
        "the batteries are down to 100.0 kW."
    ]


def pause(number: int, w: float = 100_000.0) -> OrderLook:
    return OrderLook(
        id=OrderId(f"1-{number}"),
        name="work: pause a",
        state="active",
        share=0.5,
        cost=2.0,
        regulation_w=w,
        committed=True,
        taken_back=False,
    )


def test_orders_alike_are_counted_so_that_they_add_up() -> None:
    standing = (pause(1), pause(2), pause(3, w=40_000.0))
    back = tuple(replace(one, state="returning", taken_back=True, regulation_w=0.0) for one in standing)
    rows = told(
        second(0, orders=standing),
        Look(at=START + 600.0, phase=None, orders=back),
        Look(at=START + 601.0, phase=None),
    )
    codes = ["orders.back_at_end", "order.back_at_end"]
    assert of_kind(rows, "order")[-2:] == [(600.0, codes), (601.0, ["orders.returned", "order.returned"])]
    *_, end, last = (row for row in rows if row.kind == "order")
    assert said(end) == [
        "work: pause a is told to return (2 × 100.0 kW, cost 2): nothing is asked any more.",
        "work: pause a is told to return (40.0 kW, cost 2): nothing is asked any more.",
    ]
    assert said(last)[0] == "work: pause a is back (2 × 100.0 kW): its work runs as before."


def test_work_ordered_for_another_instruction_is_told_and_handed_over_here_too() -> None:
    moved = replace(pause(1), made_for=InstructionId("tso/EV-9"))
    rows = told(
        second(0, orders=(replace(moved, state="ordered"),)),
        second(1, orders=(moved,), battery_w=100_000.0),
        Look(at=START + 600.0, phase=None),
    )
    ordered = next(row for row in rows if row.kind == "order")
    assert said(ordered)[0].startswith("work: pause a, ordered for tso/EV-9, gives 100.0 kW here too")
    assert of_kind(rows, "hand_over") == [(1.0, ["hand_over"])]
    assert of_kind(rows, "order") == [(0.0, ["order.shared_ordered"]), (1.0, ["order.active"])]


def test_links_meters_and_plugins() -> None:
    away = replace(site("a"), linked=False, trouble="no readings from the site")
    blind = replace(site("b"), meter="stuck")
    rows = told(
        second(0),
        second(1, sites=(away, blind), plugins=(("work", "the plug-in has ended"),)),
        second(2),
    )
    assert of_kind(rows, "failure") == [
        (1.0, ["site.gone", "meter.stuck", "plugin.gone"]),
        (2.0, ["plugin.back", "site.back", "meter.back"]),
    ]
    assert all(said(row) for row in rows)


def test_an_agent_alone_and_a_check_meter() -> None:
    alone = replace(site("a"), linked=False, alone=True, trouble="no readings from the site")
    checked = replace(site("b"), meter="check")
    rows = told(second(0), second(1, sites=(alone, checked)), second(2, sites=(site("a"), checked)))
    assert of_kind(rows, "failure") == [(1.0, ["site.alone", "meter.check"]), (2.0, ["site.back"])]
    assert all(said(row) for row in rows)


def test_a_more_urgent_instruction_takes_a_site_and_gives_it_back() -> None:
    lost = ((SiteId("b"), InstructionId("tso/EV-2")),)
    rows = told(second(0), second(1, sites=(site("a"),), lost=lost), second(2))
    assert of_kind(rows, "phase") == [
        (0.0, ["phase.down"]),
        (1.0, ["phase.taken"]),
        (2.0, ["phase.given_back"]),
    ]


def test_a_limit_asks_for_nothing() -> None:
    limit = Phase(start_at=START, end_at=None, demand=Limit(import_max_w=5e5, export_max_w=0.0))
    rows = told(Look(at=START, phase=limit, sites=(site("a"),)), Look(at=START + 1, phase=limit))
    assert of_kind(rows, "phase") == [(0.0, ["phase.limit_import", "phase.limit_export"])]
    assert len(rows) == 1


def test_a_second_that_others_rule_is_neither_missing_nor_found_again() -> None:
    lost = tuple((SiteId(name), InstructionId("tso/EV-2")) for name in ("a", "b"))
    empty = {"sites": (), "batteries": (), "delivered_w": 0.0, "battery_w": 0.0, "lost": lost, "idle": True}
    order = ((InstructionId("tso/EV-2"), "received"),)
    looks = [
        *(second(at) for at in range(12)),
        *(second(at, **empty, order_of=order) for at in range(12, 20)),
        *(second(at) for at in range(20, 25)),
    ]
    rows = told(*looks)
    assert of_kind(rows, "shortfall") == []
    assert of_kind(rows, "phase") == [
        (0.0, ["phase.down"]),
        (12.0, ["phase.taken_received", "phase.taken_received"]),
        (20.0, ["phase.given_back", "phase.given_back"]),
    ]
    assert all(said(row) for row in rows)


def test_a_limit_that_is_passed_and_kept_again() -> None:
    limit = Phase(start_at=START, end_at=None, demand=Limit(import_max_w=9e5, export_max_w=None))
    over = replace(site("a"), import_w=9.5e5)
    chronicle = Chronicle()
    for at in range(30):
        there = over if 15 <= at < 20 else site("a")
        chronicle.see(Look(at=START + at, phase=limit, sites=(there,)))
    rows = list(chronicle.rows())
    assert of_kind(rows, "limit") == [(15.0, ["limit.passed"]), (20.0, ["limit.kept_again"])]
    assert said(rows[1]) == [
        "a passes its limit: import of 950.0 kW, 900.0 kW at most are allowed (50.0 kW too much)."
    ]
    assert chronicle.limit_held is False
