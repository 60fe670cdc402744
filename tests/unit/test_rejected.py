"""What a plan leaves uncalled: the reason and the price of each lever."""

from __future__ import annotations

from dataclasses import replace

from vpp_gateway.domain.fleet import BATTERY, DEFAULT_TIERS, WORKLOAD
from vpp_gateway.domain.instruction import DeviceId, InstructionId, SiteId
from vpp_gateway.domain.order import OfferId
from vpp_gateway.domain.plan import (
    Coupling,
    Lever,
    MoveLeg,
    Plan,
    Problem,
    Reason,
    Resource,
    SiteBounds,
    Target,
    Use,
)
from vpp_gateway.optimise.allocate import closed_form
from vpp_gateway.optimise.explain import sentence
from vpp_gateway.optimise.rejected import not_called

A, B = SiteId("a"), SiteId("b")


def lever(
    name: str,
    w: float = 100_000.0,
    *,
    cost: float = 1.0,
    site: SiteId = A,
    sla: int = 0,
    downtime_s: float = 0.0,
    steps: tuple[float, ...] = (0.5, 1.0),
) -> Lever:
    return Lever(
        offer=OfferId(name),
        tier=WORKLOAD,
        legs=(MoveLeg(site=site, regulation_w=w),),
        steps=steps,
        cost=cost,
        name=name,
        sla_tier=sla,
        downtime_s=downtime_s,
    )


def problem(
    *levers: Lever,
    asked_w: float = 300_000.0,
    easy_w: float = 200_000.0,
    export_w: float = 1e6,
    couplings: tuple[Coupling, ...] = (),
) -> Problem:
    """One battery at site a, and levers."""
    battery = Resource(
        id=DeviceId("a-b1"),
        site=A,
        tier=BATTERY,
        down_room_w=400_000.0,
        up_room_w=400_000.0,
        easy_down_w=easy_w,
        easy_up_w=easy_w,
        weight_down=1.0,
        weight_up=1.0,
    )
    return Problem(
        id="1",
        at=0.0,
        tiers=DEFAULT_TIERS,
        targets=(Target(instruction=InstructionId("tso/EV-1"), sites=(A,), regulation_w=asked_w),),
        resources=(battery,),
        levers=levers,
        bounds=(
            SiteBounds(site=A, down_max_w=export_w, up_max_w=1e6),
            SiteBounds(site=B, down_max_w=1e6, up_max_w=30_000.0),
        ),
        couplings=couplings,
    )


def left(asked: Problem, plan: Plan | None = None) -> dict[str, Reason]:
    """Lever -> why it, or a part of it, is left."""
    return {dict(r.values)["offer"]: r for r in not_called(asked, plan or closed_form(asked), (A,))}


def codes(asked: Problem) -> dict[str, str]:
    return {offer: reason.code for offer, reason in left(asked).items()}


def test_what_is_called_in_full_is_not_left() -> None:
    assert codes(problem(lever("one"))) == {}


def test_the_batteries_come_first() -> None:
    asked = problem(lever("one", cost=2.0), asked_w=150_000.0)
    assert codes(asked) == {"one": "lever.batteries"}
    said = sentence(left(asked)["one"], "en")
    assert said.startswith("one (100.0 kW, cost 2) is left: the batteries come first")


def test_the_dearer_one_is_left_with_both_prices() -> None:
    asked = problem(lever("dear", cost=3.0), lever("cheap", cost=1.5))
    assert codes(asked) == {"dear": "lever.dearer"}
    assert "dear (100.0 kW, cost 3)" in sentence(left(asked)["dear"], "en")
    assert "cheap is cheaper (cost 1.5)" in sentence(left(asked)["dear"], "en")
    assert "費用 1.5" in sentence(left(asked)["dear"], "ja")


def test_service_level_before_cost_and_downtime_after_it() -> None:
    asked = problem(lever("gold", cost=0.1, sla=2), lever("best-effort", cost=9.0))
    assert codes(asked) == {"gold": "lever.service"}
    asked = problem(lever("stops", downtime_s=30.0), lever("runs"))
    assert codes(asked) == {"stops": "lever.downtime"}
    assert codes(problem(lever("x"), lever("y"))) == {"y": "lever.equal"}


def test_a_part_that_is_enough() -> None:
    reason = left(problem(lever("one"), asked_w=250_000.0))["one"]
    assert reason.code == "lever.enough"
    assert ("share", "50%") in reason.values and ("w", "50000") in reason.values


def test_the_wrong_way() -> None:
    assert codes(problem(lever("absorb", -100_000.0))) == {"absorb": "lever.wrong_way"}


def test_a_step_that_does_not_fit_the_grid_connection() -> None:
    reason = left(problem(lever("one", steps=(1.0,)), export_w=90_000.0))["one"]
    assert reason.code == "lever.export"
    assert ("step_w", "100000") in reason.values and ("room_w", "90000") in reason.values
    assert "逆潮流上限" in sentence(reason, "ja")


def test_a_destination_without_room() -> None:
    move = Lever(
        offer=OfferId("move"),
        tier=WORKLOAD,
        legs=(MoveLeg(site=A, regulation_w=100_000.0), MoveLeg(site=B, regulation_w=-100_000.0)),
        steps=(1.0,),
        cost=1.0,
        name="move a > b",
    )
    reason = left(problem(move))["move a > b"]
    assert reason.code == "lever.import" and ("site", "b") in reason.values


def test_a_limit_that_offers_share() -> None:
    link = Coupling(name="link a > b", uses=(Use(offer=OfferId("one"), w=100_000.0),), limit_w=10_000.0)
    reason = left(problem(lever("one"), couplings=(link,)))["one"]
    assert reason.code == "lever.coupling" and "link a > b" in sentence(reason, "en")


def test_an_order_that_the_plan_does_without_is_taken_back() -> None:
    standing = lever("order:1-1", steps=(1.0,))
    assert codes(problem(standing, asked_w=100_000.0)) == {"order:1-1": "lever.back"}


def test_beside_work_that_is_shifted_already() -> None:
    standing = lever("order:1-1", steps=(1.0,))
    assert codes(problem(standing, lever("more", cost=5.0))) == {"more": "lever.standing"}


def test_a_cheaper_one_that_the_plan_over_all_sites_does_without() -> None:
    asked = problem(lever("dear", cost=3.0), lever("cheap", cost=1.5))
    plan = closed_form(asked, {OfferId("dear"): 1.0, OfferId("cheap"): 0.0})
    assert left(asked, plan)["cheap"].code == "lever.optimum"


def test_levers_elsewhere_are_not_spoken_of() -> None:
    assert codes(problem(lever("far", site=B))) == {}


def test_one_that_must_prove_itself_is_left_while_others_work() -> None:
    """It is the cheapest, and last all the same; alone it would be called."""
    stands = replace(lever("order:1-1", 150_000.0, cost=2.5, steps=(1.0,)), stands=True)
    doubtful = replace(lever("cheap", 150_000.0, cost=1.0), unproven=True)
    asked = problem(stands, doubtful)
    plan = closed_form(asked)
    assert {call.offer: call.share for call in plan.calls} == {"order:1-1": 1.0, "cheap": 0.0}
    (reason,) = not_called(asked, plan, (A,))
    assert reason.code == "lever.unproven"
    alone = problem(doubtful)
    assert closed_form(alone).calls[0].share > 0.0
