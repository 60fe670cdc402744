"""Why, told of the real gateway: each sentence here comes from what it saw and decided, none from seconds by hand."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import pytest

from tests.unit.fleets import SITES, fleet, instruction
from tests.unit.test_gateway import LEVER, House, offer
from vpp_gateway.chronicle.observe import look
from vpp_gateway.chronicle.rows import Chronicle
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.domain.command import Command, Conclude
from vpp_gateway.domain.fact import Instructed, Linked, Offered, Shifted, Started, Withdrawn
from vpp_gateway.domain.fleet import Fleet
from vpp_gateway.domain.instruction import Delta, Demand, InstructionId, Limit
from vpp_gateway.domain.order import Offer, ShiftState, ShiftVerb
from vpp_gateway.domain.plan import Reason
from vpp_gateway.gateway import Gateway
from vpp_gateway.optimise.explain import sentence
from vpp_gateway.sim.link_plant import LinkPlant

EVENT = InstructionId("tso/EV-1")
Cause = Literal["cancelled", "implied", "unregistered", "opted-out", "silence"]
FIRST, NEXT, _ = SITES
JAPANESE = re.compile(r"[ぁ-んァ-ヶ一-龠]")


@dataclass
class ToldHouse(House):
    """The house, with a chronicle of EV-1 that sees every second."""

    chronicle: Chronicle = field(default_factory=Chronicle)

    def obey(self, command: Command) -> None:
        super().obey(command)
        if isinstance(command, Conclude) and command.record.instruction == EVENT:
            self.chronicle.concluded(self.now, command.record)

    def run_until(self, until: float) -> None:
        while self.now < until:
            super().run_until(self.now + 1.0)
            self.chronicle.see(look(self.gateway, EVENT, self.now))

    def ask(self, demand: Demand, name: str = "EV-1", **more: object) -> None:
        event = instruction(name, demand=demand, **more)  # type: ignore[arg-type]  # fields by name
        self.feed(Instructed(at=self.now, instruction=event))
        if name == "EV-1":
            delivery = self.gateway.account.delivery(EVENT)
            why = None if delivery is None else delivery.opt_reason
            self.chronicle.answered(self.now, event, self.answers[-1].opt, why, 0.9)

    def withdraw(self, cause: Cause) -> None:
        fact = Withdrawn(at=self.now, instruction=EVENT, modification=1, cause=cause)
        self.feed(fact)
        self.chronicle.withdrawn(fact)

    def offers(self, *offers: Offer, reason: str = "") -> None:
        self.feed(Offered(at=self.now, plugin=LEVER, offers=offers, reason=reason))

    def reasons(self) -> list[Reason]:
        return [reason for row in self.chronicle.rows() for reason in row.why]

    def codes(self) -> set[str]:
        """Of all that was told; each can be said in both languages."""
        for reason in self.reasons():
            english, japanese = sentence(reason, "en"), sentence(reason, "ja")
            assert english.endswith(".") and not JAPANESE.search(english)
            assert japanese.endswith("。") and JAPANESE.search(japanese)
        return {reason.code for reason in self.reasons()}

    def said(self, code: str) -> set[tuple[str, str]]:
        """The sentences of a code, English and Japanese."""
        self.codes()
        return {(sentence(r, "en"), sentence(r, "ja")) for r in self.reasons() if r.code == code}


def told(of: Fleet | None = None, first_w: float = 400_000.0) -> ToldHouse:
    """In work; `first_w` is the load of the first site, W."""
    of = of or fleet()
    made = ToldHouse(
        gateway=Gateway(of, Policy(), {LEVER: FIRST}),
        plant=LinkPlant(of, seed=1, load_w=400_000.0, noise_w=0.0),
    )
    made.plant.sites[FIRST].load_w = first_w
    made.feed(Started(at=made.now, epoch=1, version="t"))
    made.run_until(960.0)
    return made


def pause(site: int, *, w: float = -60_000.0, latency_s: float = 0.1, **more: float) -> Offer:
    made = offer("pause", (site, w))
    legs = tuple(replace(leg, latency_s=latency_s) for leg in made.legs)
    return replace(made, legs=legs, **more)  # type: ignore[arg-type]  # fields by name


def down(w: float) -> Delta:
    return Delta(regulation_w=w)


# -- offers that are left, and why -----------------------------------------------------------------------------------


def test_an_offer_that_lasts_shorter_than_the_event_comes_after_one_that_lasts() -> None:
    made = told()
    made.offers(pause(0, sustain_s=60.0), pause(1, w=-200_000.0, cost=5.0))
    made.ask(down(240_000.0))
    made.run_until(1100.0)
    assert {row.order.offer for row in made.shifts} == {f"pause:{NEXT}"}
    assert made.said("lever.short") == {
        (
            "lever: pause tokyo-1 (60.0 kW, cost 1) is left: it can be held for 60 of the 600 s that are asked; "
            "lever: pause tokyo-2 (cost 5) lasts longer and suffices.",
            "lever: pause tokyo-1(60.0 kW、費用 1)は使わない: 要求は 600 秒続くが 60 秒しか維持できない。より長く続く "
            "lever: pause tokyo-2(費用 5)で足りる。",
        )
    }


def test_an_offer_that_lasts_shorter_is_called_where_nothing_else_is_left() -> None:
    made = told()
    made.offers(pause(0, sustain_s=60.0))
    made.ask(down(240_000.0))
    made.run_until(1620.0)
    assert "call.short_lived" in made.codes() and made.shifts


def test_an_offer_that_is_too_slow_for_the_event_is_not_called() -> None:
    made = told()
    made.offers(pause(0, latency_s=700.0))
    made.ask(down(240_000.0))
    made.run_until(1620.0)
    assert not made.shifts, "it would be real only when all is over"
    assert made.said("offer.slow") == {
        (
            "lever: pause tokyo-1 (60.0 kW, cost 1) is left: it needs 700 s to become real, and nothing is asked for "
            "so long any more.",
            "lever: pause tokyo-1(60.0 kW、費用 1)は使わない: 効くまでに 700 秒かかり、要求はそこまで続かない。",
        )
    }


def test_an_offer_that_time_overtakes_is_told_once() -> None:
    made = told()
    made.offers(pause(0, latency_s=300.0))
    made.ask(down(30_000.0))
    made.run_until(1620.0)
    assert "lever.batteries" in made.codes() and "offer.slow" not in made.codes(), "it was left before"


def test_an_offer_that_is_slow_is_called_for_an_event_without_an_end() -> None:
    made = told()
    made.offers(pause(0, latency_s=3000.0))
    made.ask(down(290_000.0), duration_s=None)
    made.run_until(1100.0)
    assert [row.order.verb for row in made.shifts] == [ShiftVerb.PREPARE, ShiftVerb.COMMIT]


def test_an_offer_that_has_run_out() -> None:
    made = told()
    made.offers(pause(0, valid_until=1100.0))
    made.ask(down(30_000.0))
    made.run_until(1200.0)
    (said,) = made.said("offer.expired")
    assert said[0] == "lever: pause tokyo-1 (60.0 kW, cost 1) is left: it has run out."


def test_a_plug_in_that_dies_over_an_order_is_not_called_for_a_while() -> None:
    made = told()
    made.offers(pause(0))
    made.ask(down(240_000.0))
    made.run_until(1010.0)
    order = made.shifts[0].order
    made.offers(reason="the plug-in has ended")
    made.feed(Shifted(at=made.now, order=order.id, plugin=LEVER, state=ShiftState.FAILED, reason="died"))
    made.run_until(1012.0)
    made.offers(pause(0))
    made.run_until(1100.0)
    assert {"order.failed", "plugin.gone", "offer.doubted", "plugin.back"} <= made.codes()


def test_an_order_that_is_late_is_told_with_what_takes_its_place() -> None:
    made = told()
    made.offers(pause(0), pause(1, cost=2.0))
    made.ask(down(240_000.0))
    made.run_until(1001.0)
    made.pending.clear()  # the plug-in hangs
    made.run_until(1030.0)
    made.offers(pause(0))
    made.run_until(1040.0)
    assert {
        "order.late",
        "order.ordered",
        "offer.doubted",
    } <= made.codes() and "order.back" not in made.codes()
    late = next(reason for reason in made.reasons() if reason.code == "order.late")
    assert sentence(late, "en") == (
        "lever: pause tokyo-1 is late: its 60.0 kW (cost 1) are not active 11 s after the order. It is told to return and "
        "not called for a while; the batteries give them, and the next plan looks for something else."
    )
    rows = [row for row in made.chronicle.rows() if late in row.why]
    assert [row.kind for row in rows] == ["failure"]


# -- orders ------------------------------------------------------------------------------------------------------------


def test_work_that_is_kept_and_work_that_is_taken_back() -> None:
    made = told()
    made.offers(pause(0, cost=1.0, min_dwell_s=10.0), pause(1, cost=2.0, min_dwell_s=10.0))
    made.ask(down(290_000.0), duration_s=1200.0)
    made.run_until(1500.0)
    assert {"order.ordered", "order.active", "hand_over"} <= made.codes()
    assert any(reason.code == "call.kept" for reason in look(made.gateway, EVENT, made.now).called)
    made.plant.sites[NEXT].load_w -= 200_000.0
    made.run_until(1700.0)
    assert {"order.back", "order.returned"} <= made.codes()


# -- sites, batteries and limits ---------------------------------------------------------------------------------------


def test_more_is_asked_than_there_is_once_a_site_is_lost() -> None:
    made = told()
    made.ask(down(250_000.0))
    made.run_until(1100.0)
    made.plant.sites[FIRST].lost = True
    made.feed(Linked(at=made.now, site=FIRST, up=False, reason="no readings from the site"))
    made.run_until(1150.0)
    made.plant.sites[FIRST].lost = False
    made.feed(Linked(at=made.now, site=FIRST, up=True))
    made.run_until(1200.0)
    assert {"site.gone", "site.back"} <= made.codes()


def test_a_battery_that_fails_leaves_a_shortfall_until_it_is_back() -> None:
    made = told()
    made.ask(down(280_000.0))
    made.run_until(1050.0)
    battery = next(iter(made.plant.sites[FIRST].batteries.values()))
    battery.dead = True
    made.run_until(1100.0)
    assert {"battery.gone", "battery.full", "short.begun", "bind.rooms"} <= made.codes()
    battery.dead = False
    made.run_until(1300.0)
    assert {"battery.back", "short.over", "battery.eased"} <= made.codes()


@pytest.mark.parametrize(("w", "code"), [(150_000.0, "battery.empty"), (-150_000.0, "battery.charged")])
def test_a_battery_without_room(w: float, code: str) -> None:
    made = told()
    made.ask(Delta(regulation_w=w))
    made.run_until(1050.0)
    for battery in made.plant.sites[FIRST].batteries.values():
        battery.soc = 0.0 if w > 0.0 else 1.0
    made.run_until(1100.0)
    assert code in made.codes()


def test_a_site_whose_batteries_are_empty_gives_nothing_from_the_start() -> None:
    made = told()
    for battery in made.plant.sites[FIRST].batteries.values():
        battery.soc = 0.0
    made.run_until(970.0)
    made.ask(Delta(regulation_w=-50_000.0))
    made.run_until(1010.0)
    assert "phase.up" in made.codes()
    made = told()
    for battery in made.plant.sites[FIRST].batteries.values():
        battery.soc = 0.0
    made.run_until(970.0)
    made.ask(down(50_000.0))
    made.run_until(1010.0)
    assert {"site.none", "site.share"} <= made.codes()


def test_all_that_the_batteries_have() -> None:
    made = told()
    made.ask(down(300_000.0))
    made.run_until(1010.0)
    assert {"site.full", "battery.full"} <= made.codes()


@pytest.mark.parametrize(("way", "w"), [("export", 150_000.0), ("import", -150_000.0)])
def test_a_grid_connection_that_binds_and_is_free_again(way: str, w: float) -> None:
    narrow = replace(fleet().site(FIRST), import_max_w=430_000.0)
    of = replace(fleet(), sites=(narrow, *fleet().sites[1:]))
    made = told(of, first_w=30_000.0 if way == "export" else 400_000.0)
    made.ask(Delta(regulation_w=w))
    made.run_until(1100.0)
    assert {f"site.{way}", f"limit.{way}"} <= made.codes()
    made.plant.sites[FIRST].load_w += 200_000.0 if way == "export" else -200_000.0
    made.run_until(1200.0)
    assert f"limit.{way}_free" in made.codes()


# -- beginnings and ends -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cause", get_args(Cause))
def test_an_event_that_is_taken_back(cause: Cause) -> None:
    made = told()
    made.ask(down(90_000.0))
    made.run_until(1100.0)
    made.withdraw(cause)
    made.run_until(1110.0)
    assert {f"withdrawn.{cause}", "over.cancelled", "phase.over"} <= made.codes()


def test_an_event_that_is_taken_back_before_it_begins() -> None:
    made = told()
    made.ask(down(90_000.0))
    made.withdraw("cancelled")
    made.run_until(1110.0)
    assert "over.cancelled_unmeasured" in made.codes()


@pytest.mark.parametrize(("w", "code"), [(60_000.0, "answer.in_again"), (900_000.0, "answer.out_again")])
def test_an_event_that_is_modified(w: float, code: str) -> None:
    made = told()
    made.ask(down(90_000.0))
    made.ask(down(w), modification=1)
    assert code in made.codes()


def test_an_event_that_a_more_urgent_one_takes_a_site_from() -> None:
    made = told()
    made.ask(down(60_000.0))
    made.ask(down(50_000.0), "EV-2", scope=(FIRST,), rank=1, start_at=1100.0, duration_s=100.0)
    made.run_until(1300.0)
    assert {"phase.taken", "phase.given_back"} <= made.codes()


def test_a_limit() -> None:
    made = told()
    made.ask(Limit(import_max_w=350_000.0, export_max_w=0.0), scope=(FIRST,))
    made.run_until(1010.0)
    assert {"phase.limit_import", "phase.limit_export"} <= made.codes()


def test_a_meter_that_falls_silent() -> None:
    made = told()
    made.ask(down(90_000.0))
    made.run_until(1050.0)
    made.plant.sites[FIRST].load_w = math.nan
    made.run_until(1100.0)
    assert "meter.lost" in made.codes()


def test_an_event_that_is_over_when_it_comes() -> None:
    made = told()
    made.ask(down(90_000.0), start_at=100.0)
    assert [reason.code for reason in made.reasons()] == ["answer.out", "opt.over"]
