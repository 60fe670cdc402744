"""Limits: kept by batteries whether or not anybody asks, promised only as far as they can be kept."""

from __future__ import annotations

import math

import pytest

from tests.unit.fleets import SITES, instruction
from tests.unit.test_gateway import House
from vpp_gateway.catalogue import LANGS
from vpp_gateway.chronicle.observe import look
from vpp_gateway.domain.fact import Instructed, Started
from vpp_gateway.domain.instruction import Delta, InstructionId, Limit
from vpp_gateway.domain.plan import Reason
from vpp_gateway.optimise.explain import sentence

LOAD_W = 400_000.0
POWER_W = 100_000.0
"""Of the batteries of each site."""


def house() -> House:
    made = House()
    made.feed(Started(at=made.now, epoch=1, version="t"))
    made.run_until(960.0)
    return made


def limit(
    import_max_w: float, *, name: str = "LIM", start_at: float = 1000.0, scope: tuple[str, ...] = ()
) -> Instructed:
    demand = Limit(import_max_w=import_max_w, export_max_w=None)
    return Instructed(
        at=960.0,
        instruction=instruction(
            name, demand=demand, start_at=start_at, duration_s=300.0, scope=scope, rank=0
        ),
    )


def award(w: float, start_at: float = 1000.0) -> Instructed:
    return Instructed(
        at=960.0,
        instruction=instruction("AWARD", demand=Delta(regulation_w=w), start_at=start_at, duration_s=300.0),
    )


def imports(made: House) -> list[float]:
    return [
        site.load_w - math.fsum(battery.discharge_w for battery in site.batteries.values())
        for site in made.plant.sites.values()
    ]


def opts(made: House) -> list[str]:
    return [answer.opt for answer in made.answers]


def test_a_limit_below_the_load_is_kept_by_the_batteries() -> None:
    made = house()
    made.feed(limit(LOAD_W - 60_000.0))
    made.run_until(1100.0)
    assert opts(made) == ["in"] and imports(made) == pytest.approx([LOAD_W - 60_000.0] * 3, abs=500.0)
    made.run_until(1310.0)
    assert imports(made) == pytest.approx([LOAD_W] * 3, abs=500.0)
    (record,) = made.gateway.account.records()
    assert record.samples > 250 and record.samples_within == record.samples


def test_a_limit_that_nothing_can_keep_is_refused() -> None:
    made = house()
    made.feed(limit(LOAD_W - 2 * POWER_W))
    assert opts(made) == ["out"]
    (record,) = made.gateway.account.records()
    assert isinstance(record.opt_reason, Reason) and record.opt_reason.code == "opt.short_down"


def test_an_award_is_judged_by_the_limits_that_stand() -> None:
    made = house()
    made.feed(limit(LOAD_W + 10_000.0))
    made.feed(award(-240_000.0))
    assert opts(made) == ["in", "out"]
    made.feed(award(-25_000.0))
    assert opts(made)[-1] == "in"


def test_a_site_at_its_limit_gives_what_that_demands_and_the_others_the_rest() -> None:
    made = house()
    made.feed(limit(LOAD_W - 80_000.0, scope=(SITES[0],)))
    made.feed(award(90_000.0))
    made.run_until(1100.0)
    assert opts(made) == ["in", "in"]
    first, *others = imports(made)
    assert first == pytest.approx(LOAD_W - 80_000.0, abs=500.0)
    assert 3 * LOAD_W - sum(imports(made)) == pytest.approx(90_000.0, abs=1000.0)
    assert all(w == pytest.approx(LOAD_W - 5_000.0, abs=1000.0) for w in others)


def test_the_limit_is_kept_even_when_the_award_is_smaller_than_it_demands() -> None:
    """The others give the difference back: the award is met as well."""
    made = house()
    made.feed(limit(LOAD_W - 80_000.0, scope=(SITES[0],)))
    made.feed(award(-60_000.0))
    made.run_until(1100.0)
    assert imports(made)[0] == pytest.approx(LOAD_W - 80_000.0, abs=500.0)
    assert 3 * LOAD_W - sum(imports(made)) == pytest.approx(-60_000.0, abs=1000.0)


@pytest.mark.parametrize("w", [math.nan, math.inf])
def test_a_limit_that_is_no_number_is_refused_and_the_other_stands(w: float) -> None:
    made = house()
    made.feed(limit(LOAD_W - 30_000.0))
    made.feed(limit(w, name="BAD"))
    assert opts(made) == ["in", "out"]
    made.run_until(1100.0)
    assert imports(made) == pytest.approx([LOAD_W - 30_000.0] * 3, abs=500.0)
    bad = made.gateway.account.delivery(InstructionId("tso/BAD"))
    record = next(r for r in made.gateway.account.records() if r.instruction == "tso/BAD")
    assert bad is None or bad.state == "refused"
    assert isinstance(record.opt_reason, Reason) and record.opt_reason.code == "opt.no_number"
    assert ("field", "phases[0].import_max_w") in record.opt_reason.values


def test_a_limit_that_ends_gives_the_battery_back() -> None:
    made = house()
    made.feed(limit(LOAD_W - 60_000.0))
    made.run_until(1400.0)
    assert all(b.discharge_w == 0.0 for s in made.plant.sites.values() for b in s.batteries.values())
    assert made.gateway.battery.plan is None


def test_a_held_site_is_explained_in_the_record_and_in_the_chronicle() -> None:
    made = house()
    made.feed(limit(LOAD_W - 80_000.0, scope=(SITES[0],)))
    made.feed(award(90_000.0))
    made.run_until(1100.0)
    said = Reason(code="held.limit", values=(("site", SITES[0]), ("event", "tso/LIM")))
    account = made.gateway.account.delivery(InstructionId("tso/AWARD"))
    assert account is not None and said in account.why
    limited = made.gateway.account.delivery(InstructionId("tso/LIM"))
    assert limited is not None and limited.why == (), "a limit loses nothing to whom it bounds"
    seen = look(made.gateway, InstructionId("tso/AWARD"), made.now)
    assert said in seen.binding
    assert {battery.site for battery in seen.batteries} == set(SITES[1:]), "what T gives is the limit's"
    held = look(made.gateway, InstructionId("tso/LIM"), made.now)
    assert held.delivered_w == pytest.approx(80_000.0, rel=0.01) == held.battery_w
    assert math.fsum(b.regulation_w for b in held.batteries) == pytest.approx(80_000.0, rel=0.01)


def missed(made: House) -> set[tuple[str, str]]:
    """Why seconds of the limit were missed, and where."""
    (record,) = (r for r in made.gateway.account.records() if r.instruction == "tso/LIM")
    assert all(sentence(reason, lang) for reason in record.why for lang in LANGS)
    return {(r.code, dict(r.values)["site"]) for r in record.why if r.code in ("held.short", "held.late")}


@pytest.mark.parametrize("award_w", [0.0, 60_000.0])
def test_a_limit_that_comes_beyond_its_batteries_is_missed_with_a_reason(award_w: float) -> None:
    made = house()
    made.feed(limit(LOAD_W - 50_000.0, scope=(SITES[0],)))
    if award_w:
        made.feed(award(award_w))
    made.run_until(1100.0)
    assert missed(made) == set()
    made.plant.sites[SITES[0]].load_w += 200_000.0
    made.run_until(1150.0)
    assert imports(made)[0] == pytest.approx(LOAD_W + 200_000.0 - POWER_W)
    record = next(r for r in made.gateway.account.records() if r.instruction == "tso/LIM")
    assert record.samples - record.samples_within == pytest.approx(50, abs=2)
    assert missed(made) == {("held.short", SITES[0]), ("held.late", SITES[0])}, "late in the first second"


def test_a_limit_that_is_passed_until_the_batteries_have_followed_says_so_and_no_more() -> None:
    made = house()
    made.feed(limit(LOAD_W - 50_000.0))
    made.run_until(1100.0)
    assert missed(made) == set(), "the time to settle is no breach"
    made.plant.sites[SITES[1]].load_w += 40_000.0
    made.run_until(1150.0)
    (record,) = made.gateway.account.records()
    assert record.samples - record.samples_within == 1
    assert missed(made) == {("held.late", SITES[1])}
