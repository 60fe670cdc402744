"""What can be offered: products share power and energy, a composite is its greatest member, the past discounts."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from tests.unit.envelopes import BLOCK_S, NOW, battery, feeder, heard, offer, product, reading, site
from tests.unit.fleets import instruction
from vpp_gateway.domain.delivery import DeliveryRecord, Stopwatch
from vpp_gateway.domain.fleet import Blocked, Site
from vpp_gateway.domain.instruction import Delta, InstructionId, Limit, SiteId
from vpp_gateway.domain.order import Offer
from vpp_gateway.domain.product import Award, Product, ProductName
from vpp_gateway.portfolio.asset import Hold
from vpp_gateway.portfolio.availability import SiteNow
from vpp_gateway.portfolio.capacity import (
    CELLS_A_STEP,
    Capacity,
    CapacityNow,
    CapacityPolicy,
    Series,
    Wanted,
    capacity,
    capacity_steps,
    offered_w,
)
from vpp_gateway.portfolio.confidence import Kept, confidence, kept
from vpp_gateway.portfolio.ledger import Ledger, Promise
from vpp_gateway.portfolio.rooms import scope_room
from vpp_gateway.portfolio.timeline import Timeline

A = SiteId("a")
HOUR = 3600.0


def now_with(
    *sites: Site,
    soc: float = 0.5,
    load_w: float = 0.0,
    offers: tuple[Offer, ...] = (),
    history: tuple[Kept, ...] = (),
    timeline: Timeline | None = None,
) -> CapacityNow:
    rows = tuple(
        SiteNow(site=of, load_w=load_w, usable={b.id: reading(b.id, soc) for b in of.batteries})
        for of in sites or (site(),)
    )
    return CapacityNow(
        at=NOW,
        sites=rows,
        timeline=timeline or Timeline(sites=tuple(row.site.id for row in rows)),
        offers=offers,
        history=history,
    )


def policy(*products: Product, awards: tuple[Award, ...] = (), **more: float) -> CapacityPolicy:
    known = {one.name: one for one in products}
    return CapacityPolicy(
        products=tuple(known),
        resolve=lambda name, _: known.get(name),
        awards=awards,
        **({"load_margin": 0.0} | more),  # type: ignore[arg-type]  # fields by name
    )


def award(w: float, start_s: float = 0.0, end_s: float = BLOCK_S, **more: object) -> Award:
    values: dict[str, object] = {"product": ProductName("p"), "area": "tokyo", "direction": "down"}
    return Award(w=w, start_at=NOW + start_s, end_at=NOW + end_s, **(values | more))  # type: ignore[arg-type]  # fields by name


def found(now: CapacityNow, of: CapacityPolicy, **wanted: object) -> Capacity:
    return capacity(now, of, Wanted(**({"hours": 2.0} | wanted)))  # type: ignore[arg-type]  # fields by name


def one(answer: Capacity, name: str = "p", side: str = "down", area: str = "tokyo") -> Series:
    (row,) = (s for s in answer.series if (s.product.name, s.side, s.area) == (name, side, area))
    return row


def room(answer: Capacity, name: str = "p", side: str = "down", area: str = "tokyo") -> list[float]:
    return [round(cell.room_w) for cell in one(answer, name, side, area).blocks]


# --- one product -----------------------------------------------------------------------------------------------------


def test_a_product_gets_what_can_be_held_for_its_time() -> None:
    answer = found(now_with(), policy(product(), product("long", sustain_s=HOUR)))
    assert room(answer) == [100_000] * 4
    assert room(answer, "long") == room(answer, "long", "up") == [50_000] * 4
    assert one(answer).blocks[0].start_at == NOW


def test_a_quick_product_asks_for_quick_things() -> None:
    slow = site(battery(response_s=2.0, ramp_w_per_s=10e3))
    quick, slower = product("q", response_s=1.0), product("s", response_s=5.0)
    answer = found(now_with(slow), policy(quick, slower, product()))
    assert [room(answer, name)[0] for name in ("q", "s", "p")] == [0, 30_000, 100_000]
    assert [bind.limit for bind in one(answer, "q").blocks[0].binds] == ["response"]


def test_a_symmetric_product_has_one_quantity_for_both_directions() -> None:
    both = product(directions="symmetric", sustain_s=HOUR)
    answer = found(now_with(soc=0.9), policy(both))
    assert room(answer, side="both") == [10_000] * 4
    assert [series.side for series in answer.series] == ["both"]


def test_a_bid_is_whole_steps_and_at_least_the_least() -> None:
    of = product(min_bid_w=50e3, step_w=30e3)
    assert offered_w(of, 100e3, 1.0) == 90e3
    assert offered_w(of, 100e3, 0.85) == 60e3
    assert offered_w(of, 59e3, 1.0) == 0.0
    assert offered_w(product(), 1234.5, 1.0) == 1234.5


def test_blocked_times_and_limits_in_force_bound_their_blocks() -> None:
    closed = site(blocked=(Blocked(since_at=NOW + BLOCK_S, until_at=NOW + 1.5 * BLOCK_S),))
    assert room(found(now_with(closed), policy(product()))) == [100_000, 0, 100_000, 100_000]
    timeline = Timeline(sites=(A,))
    limit = Limit(import_max_w=None, export_max_w=40e3)
    timeline.admit(instruction("L", demand=limit, start_at=NOW, duration_s=BLOCK_S))
    assert room(found(now_with(timeline=timeline), policy(product()))) == [40_000, 100_000, 100_000, 100_000]


def test_recovery_keeps_the_next_blocks_obligation_free() -> None:
    rests = product("rests", recovery_s=BLOCK_S, sustain_s=600.0)
    sold = award(80e3, BLOCK_S, 2 * BLOCK_S)
    of = policy(rests, product(), product("q", sustain_s=600.0), awards=(sold,))
    answer = found(now_with(soc=1.0), of)
    assert room(answer, "q") == [100_000, 20_000, 100_000, 100_000]
    assert room(answer, "rests") == [20_000, 20_000, 100_000, 100_000]


def test_an_accepted_instruction_rules_its_sites_and_keeps_its_energy_before_and_after() -> None:
    timeline = Timeline(sites=(A,))
    event = instruction("E", demand=Delta(regulation_w=80e3), start_at=NOW + BLOCK_S, duration_s=BLOCK_S)
    timeline.admit(event)
    answer = found(now_with(timeline=timeline), policy(product()))
    assert room(answer) == [20_000, 0, 20_000, 20_000]
    assert room(answer, side="up") == [100_000, 0, 100_000, 100_000]


def test_work_counts_while_its_offer_is_valid_and_then_by_the_operators_share() -> None:
    work = (offer(("a", -50e3), valid_until=NOW + BLOCK_S),)
    assert room(found(now_with(offers=work), policy(product()))) == [150_000, 100_000, 100_000, 100_000]
    trusting = policy(product(), workload_share=0.5)
    assert room(found(now_with(offers=work), trusting)) == [150_000, 125_000, 125_000, 125_000]


def test_areas_stand_apart_and_what_is_wanted_is_filtered() -> None:
    now = now_with(site(), site(id="b", area="kansai"))
    answer = found(now, policy(product(), product("q")), area="kansai", side="up", product="q", hours=0.5)
    ((series, (cell,)),) = ((series, series.blocks) for series in answer.series)
    assert (series.product.name, series.area, series.side, cell.room_w) == ("q", "kansai", "up", 100e3)
    assert len(one(found(now, policy(product()), hours=1e9)).blocks) == 7 * 48


def test_what_cannot_be_relied_on_is_named_and_what_does_not_exist_is_left_out() -> None:
    broken = now_with()
    rows = tuple(
        replace(row, usable={id: replace(r, soc=math.nan) for id, r in row.usable.items()})
        for row in broken.sites
    )
    answer = found(replace(broken, sites=rows), policy(product()))
    assert [(bind.limit, bind.at) for bind in answer.doubts] == [("reading", "a-1")]
    assert room(answer) == [0] * 4
    gone = CapacityPolicy(products=(ProductName("x"),), resolve=lambda name, at: None)
    assert found(now_with(), gone).undefined == ("x",)


# --- several products ------------------------------------------------------------------------------------------------


def test_awards_share_power_and_energy_with_what_is_offered_beside_them() -> None:
    """50 kWh and 100 kW: an award of 30 kW for half an hour takes 15 kWh for ever, and 30 kW in its block."""
    answer = found(now_with(), policy(product(), product("long", sustain_s=HOUR), awards=(award(30e3),)))
    assert room(answer) == [70_000, 70_000, 70_000, 70_000]
    assert room(answer, "long") == [35_000] * 4
    assert room(answer, side="up") == [100_000] * 4
    assert answer.awards[0].short_w == 0.0


def test_every_block_of_an_award_may_be_called() -> None:
    answer = found(now_with(), policy(product(), awards=(award(30e3, 0.0, 2 * BLOCK_S),)))
    assert room(answer) == [40_000, 40_000, 40_000, 40_000]


def test_energy_comes_back_between_promises_as_far_as_the_operator_says() -> None:
    """Sold full now; a tenth of 100 kW brings 5 kWh back each half hour."""
    of = policy(product(), awards=(award(100e3),), recharge_share=0.1)
    assert room(found(now_with(), of, hours=2.5)) == [0, 0, 10_000, 20_000, 30_000]
    ahead = policy(product(), awards=(award(100e3, 4 * BLOCK_S, 5 * BLOCK_S),), recharge_share=0.1)
    assert room(found(now_with(), ahead, hours=3.0)) == [30_000, 20_000, 10_000, 0, 0, 0]


def test_a_quick_award_takes_quick_batteries_and_a_slow_one_spares_them() -> None:
    two = site(battery("a-1", response_s=1.0, energy_wh=1e6), battery("a-2", response_s=60.0, energy_wh=1e6))
    quick, slow = product("quick", response_s=5.0), product("slow")
    for name, left in (("quick", [40_000, 140_000]), ("slow", [100_000, 140_000])):
        sold = award(60e3, product=ProductName(name))
        answer = found(now_with(two), policy(quick, slow, awards=(sold,)), hours=0.5)
        assert [room(answer, one_)[0] for one_ in ("quick", "slow")] == left
    too_quick = award(120e3, product=ProductName("quick"))
    assert found(now_with(two), policy(quick, awards=(too_quick,))).awards[0].short_w == pytest.approx(20e3)


def test_an_award_beyond_what_there_is_tells_what_is_missing() -> None:
    too_much = award(130e3)
    answer = found(now_with(), policy(product(), awards=(too_much, award(1.0, area="kansai"))))
    assert [round(row.short_w) for row in answer.awards] == [30_000, 1]
    assert room(answer)[0] == 0
    over = award(130e3, -2 * BLOCK_S, -BLOCK_S)
    assert found(now_with(), policy(product(), awards=(over,))).awards[0].short_w == 0.0


def test_a_symmetric_award_is_kept_in_both_directions() -> None:
    of = policy(product(directions="symmetric"), product("q"), awards=(award(40e3, direction="both"),))
    answer = found(now_with(), of)
    assert room(answer, side="both")[0] == room(answer, "q")[0] == room(answer, "q", "up")[0] == 60_000


def composite(*members: Product) -> Product:
    return product(
        "c", members=members, sustain_s=max(m.sustain_s for m in members), response_s=900.0, directions="each"
    )


def test_a_composite_is_its_greatest_member_and_not_their_sum() -> None:
    slow = battery("a-1", response_s=60.0, power_w=80e3, energy_wh=1e6)
    quick = battery("a-2", response_s=1.0, power_w=20e3, energy_wh=1e6)
    members = (
        product("fast", response_s=10.0, sustain_s=300.0, directions="symmetric"),
        product("middle", response_s=60.0),
        product("slow", response_s=900.0),
    )
    answer = found(now_with(site(slow, quick)), policy(composite(*members)))
    cell = one(answer, "c").blocks[0]
    assert cell.members == (("fast", 20e3), ("middle", 100e3), ("slow", 100e3))
    assert cell.room_w == 100e3


def test_a_composites_quick_member_is_held_as_long_as_the_slowest() -> None:
    members = (product("fast", response_s=10.0, sustain_s=300.0), product("slow", sustain_s=2 * HOUR))
    answer = found(now_with(), policy(composite(*members), *members))
    assert room(answer, "fast")[0] == 100_000
    assert one(answer, "c").blocks[0].members == (("fast", 25e3), ("slow", 25e3))


SIZE = st.floats(1e3, 1e6)


@given(
    batteries=st.lists(st.tuples(SIZE, SIZE), min_size=1, max_size=5),
    w=st.floats(1e3, 2e6),
    sold_s=st.sampled_from((60.0, 300.0, 1800.0, 7200.0)),
    asked_s=st.sampled_from((60.0, 300.0, 1800.0, 7200.0)),
    edge=st.floats(1e3, 3e6),
    line=st.none() | st.floats(0.0, 1e6),
)
def test_stacked_products_never_exceed_what_one_placement_can_give(
    batteries: list[tuple[float, float]],
    w: float,
    sold_s: float,
    asked_s: float,
    edge: float,
    line: float | None,
) -> None:
    """Against a linear program that places both at once; with one flat set of batteries the two agree."""
    of = site(
        *(battery(f"a-{n}", power_w=p, energy_wh=2 * e) for n, (p, e) in enumerate(batteries)),
        export_max_w=edge,
        feeders=() if line is None else (feeder("a-0", export_max_w=line),),
    )
    assets = heard(of)
    ledger = Ledger([assets])
    sold = Promise(
        name="p", sites=frozenset((A,)), direction="down", w=w, hold_s=sold_s, start_at=NOW, end_at=NOW + BLOCK_S
    )  # fmt: skip
    short = ledger.place(sold, asked_s)
    asked = Hold(start_at=NOW, hold_s=asked_s)
    taken = ledger.all_taken([assets], NOW, NOW + BLOCK_S)
    left = scope_room((assets,), (), asked, "down", taken=taken).w
    placed = w - short
    n = len(batteries)
    eye = np.eye(n)
    rows = [
        np.hstack((eye, eye)),
        np.hstack((eye * sold_s / HOUR, eye * asked_s / HOUR)),
        np.ones((1, 2 * n)),
    ]
    bounds = [p for p, _ in batteries] + [e for _, e in batteries] + [edge]
    if line is not None:
        rows.append(np.hstack((eye[:1], eye[:1])))
        bounds.append(line)
    best = linprog(
        np.concatenate((np.zeros(n), -np.ones(n))),
        A_ub=np.vstack(rows),
        b_ub=np.array(bounds),
        A_eq=np.concatenate((np.ones(n), np.zeros(n)))[None, :],
        b_eq=[placed],
    )
    assert best.status == 0, "what was placed can be placed"
    assert left <= -best.fun * (1 + 1e-7) + 1e-3
    if line is None and edge >= sum(p for p, _ in batteries):
        assert left == pytest.approx(-best.fun, rel=1e-6, abs=1e-2)


@given(
    first=st.floats(0, 3e5), more=st.floats(0, 3e5), soc=st.floats(0, 1), sustain_s=st.floats(60, 7200),
    share=st.floats(0, 1),
)  # fmt: skip
def test_selling_more_never_leaves_more(
    first: float, more: float, soc: float, sustain_s: float, share: float
) -> None:
    of = (product(), product("q", sustain_s=sustain_s))

    def rooms(w: float) -> tuple[bool, list[float]]:
        sold = () if w == 0 else (award(w, BLOCK_S, 3 * BLOCK_S),)
        answer = found(now_with(soc=soc), policy(*of, awards=sold, recharge_share=share))
        kept_all = all(row.short_w == 0 for row in answer.awards)
        return kept_all, [cell.room_w for name in ("p", "q") for cell in one(answer, name).blocks]

    few, (whole, many) = rooms(first)[1], rooms(first + more)
    assert min(many) >= 0
    if whole:  # what cannot be kept is not booked, and is told instead
        assert all(less <= much + 1e-3 for less, much in zip(many, few, strict=True))


# --- the past --------------------------------------------------------------------------------------------------------


def record(target_w: float, shortfall_w: float, samples: int = 600) -> DeliveryRecord:
    return DeliveryRecord(
        instruction=InstructionId("tso/E"),
        state="completed",
        opt="in",
        opt_reason=None,
        stopwatch=Stopwatch(received_at=NOW),
        target_regulation_w=target_w,
        samples=samples,
        samples_within=samples,
        delivered_regulation_w=target_w,
        by_tier_w=(),
        by_site_w=(),
        shortfall_w=shortfall_w,
        why=(),
    )


def test_what_was_kept_is_the_part_of_the_target_that_came() -> None:
    row = kept(record(-100e3, 20e3), (A,))
    assert row is not None and (row.direction, row.share) == ("up", 0.8)
    assert kept(record(100e3, 300e3), (A,)) == Kept(sites=frozenset((A,)), direction="down", share=0.0)
    for silent in (
        record(0.0, 0.0),
        record(1e5, 0.0, samples=3),
        record(math.nan, 0.0),
        record(1e5, math.nan),
    ):
        assert kept(silent, (A,)) is None


def test_without_enough_history_nothing_is_claimed() -> None:
    rows = [Kept(sites=frozenset((A,)), direction="down", share=0.5)] * 8
    few = confidence(rows, frozenset((A,)), "down", 0.9)
    assert (few.known, few.factor, few.events, few.needed) == (False, 1.0, 8, 9)
    enough = confidence([*rows, rows[0]], frozenset((A,)), "down", 0.9)
    assert (enough.known, enough.factor) == (True, 0.5)
    assert confidence(rows * 2, frozenset((A,)), "up", 0.9).events == 0
    assert confidence(rows * 2, frozenset((SiteId("b"),)), "down", 0.9).events == 0


@given(st.integers(0, 10_000))
def test_the_next_delivery_keeps_the_factor_as_often_as_asked(seed: int) -> None:
    """Whatever the distribution: over many draws the next one lies above the factor in nine of ten."""
    rng = np.random.default_rng(seed)
    draws = rng.beta(*rng.uniform(0.3, 5.0, 2), size=(400, 20))
    hits = 0
    for row in draws:
        past = [Kept(sites=frozenset((A,)), direction="down", share=float(x)) for x in row[:-1]]
        hits += row[-1] >= confidence(past, frozenset((A,)), "down", 0.9).factor
    assert hits / 400 >= 0.9 - 4 * math.sqrt(0.09 / 400)


def test_the_history_discounts_what_is_offered_and_not_the_room() -> None:
    rows = tuple(Kept(sites=frozenset((A,)), direction="down", share=0.7) for _ in range(9))
    answer = found(now_with(history=rows), policy(product()))
    cell = one(answer).blocks[0]
    assert (cell.room_w, round(cell.offer_w)) == (100e3, 70_000)
    assert one(answer, side="up").blocks[0].offer_w == 100e3
    both = found(now_with(history=rows), policy(product(directions="symmetric")))
    assert not one(both, side="both").confidence.known


# --- shape -----------------------------------------------------------------------------------------------------------


def test_the_loop_that_computes_it_is_let_go_on_every_few_blocks() -> None:
    of = policy(product(), awards=(award(1e3, 0.0, 48 * BLOCK_S),))
    pauses = sum(1 for _ in capacity_steps(now_with(), of, Wanted()))
    assert pauses >= 48 + 3 * 336 / CELLS_A_STEP - 3


def test_a_copy_of_the_timeline_does_not_follow_it() -> None:
    timeline = Timeline(sites=(A,))
    copy = timeline.copy()
    timeline.admit(instruction("E"))
    assert list(copy) == [] and len(list(timeline)) == 1
