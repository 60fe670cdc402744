"""Opt by feasibility: energy that is promised already, the grid connection, more urgent events, an unheard site."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.fleets import SITES, fleet, instruction
from vpp_gateway.console.events import event_views
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.domain.command import Answer
from vpp_gateway.domain.fact import Instructed, Offered, Started, Tick
from vpp_gateway.domain.fleet import Blocked, Feeder, FeederId, Fleet
from vpp_gateway.domain.instruction import Delta, Demand, Instruction, Multiplier, Phase, Setpoint
from vpp_gateway.domain.order import Leg, Offer, OfferId, PluginName
from vpp_gateway.domain.reading import Snapshot
from vpp_gateway.gateway import Gateway
from vpp_gateway.sim.link_plant import LinkPlant

HOUR = 3600.0


def house(of: Fleet | None = None, load_w: float = 400_000.0, silent: bool = False) -> Gateway:
    """A gateway past its grace whose sites (all but the first when `silent`) have been heard for a minute."""
    of = of or fleet()
    gateway = Gateway(of, Policy(), {})
    plant = LinkPlant(of, seed=1, load_w=load_w)
    gateway.step(Started(at=900.0, epoch=1, version="t"), 900.0)
    for second in range(901, 961):
        seen = plant.second(float(second))
        sites = tuple(s for s in seen.sites if not (silent and s.site == SITES[0]))
        gateway.step(Tick(at=float(second), snapshot=Snapshot(at=float(second), sites=sites)), float(second))
    return gateway


def opt(gateway: Gateway, event: Instruction) -> tuple[str, str]:
    commands = gateway.step(Instructed(at=960.0, instruction=event), 960.0)
    (answer,) = (c for c in commands if isinstance(c, Answer))
    return answer.opt, answer.reason


def event(name: str, w: float, start_h: float, hours: float, **more: object) -> Instruction:
    return instruction(
        name, demand=Delta(regulation_w=w), start_at=1000.0 + start_h * HOUR, duration_s=hours * HOUR, **more
    )


def test_energy_promised_already_is_not_promised_twice() -> None:
    # Six batteries of 100 kWh at half charge: 228 kWh above the floor at the grid side.
    gateway = house()
    assert opt(gateway, event("one", 200_000.0, 0.0, 1.0))[0] == "in"
    said, reason = opt(gateway, event("two", 200_000.0, 1.0, 1.0))
    assert said == "out"
    assert "only 28" in reason
    assert opt(gateway, event("three", -100_000.0, 2.0, 1.0))[0] == "in"


def test_the_grid_connection_bounds_what_is_promised() -> None:
    gateway = house(load_w=30_000.0)  # export is not allowed: each site can give its 30 kW of load
    assert opt(gateway, event("all", 150_000.0, 0.0, 0.1))[0] == "out"
    assert opt(gateway, event("load", 90_000.0, 0.0, 0.1))[0] == "in"


def test_sites_that_a_more_urgent_event_rules_count_for_nothing() -> None:
    gateway = house()
    assert opt(gateway, event("urgent", 50_000.0, 0.0, 1.0, scope=SITES[:2], rank=1))[0] == "in"
    said, reason = opt(gateway, event("late", 150_000.0, 0.5, 0.1, rank=50))
    assert (said, "only 100.0 kW" in reason) == ("out", True)
    assert opt(gateway, event("more urgent", 150_000.0, 0.5, 0.1, rank=0))[0] == "in"


@pytest.mark.parametrize(
    ("w", "start_h", "said"),
    [(30_000.0, 0.0, "out"), (15_000.0, 0.0, "in"), (-30_000.0, 0.0, "in"), (45_000.0, 0.5, "in")],
    ids=["more than is left", "what is left", "the other way", "after it"],
)
def test_the_connection_that_a_more_urgent_order_to_a_battery_uses_is_not_promised_again(
    w: float, start_h: float, said: str
) -> None:
    """Export is not allowed: each site can give its 60 kW of load, whoever asks, through 100 kW of batteries."""
    gateway = house(load_w=60_000.0)
    own = event("own", 40_000.0, 0.0, 0.1, rank=1)
    device = fleet().site(SITES[0]).batteries[0].id
    assert opt(gateway, replace(own, devices=(device,)))[0] == "in"
    assert opt(gateway, event("site", w, start_h, 0.1, scope=(SITES[0],)))[0] == said


def test_orders_to_batteries_count_where_and_when_they_are() -> None:
    """Two sites of 60 kW of load and no export; 40 kW of one order lie on both, two others follow each other."""
    at_both = tuple(fleet().site(site).batteries[0].id for site in SITES[:2])
    gateway = house(load_w=60_000.0)
    assert opt(gateway, replace(event("both", 40_000.0, 0.0, 0.1, rank=1), devices=at_both))[0] == "in"
    assert opt(gateway, event("more", 90_000.0, 0.0, 0.1, scope=SITES[:2]))[0] == "out"
    assert opt(gateway, event("rest", 79_000.0, 0.0, 0.1, scope=SITES[:2]))[0] == "in"
    gateway = house(fleet(batteries=3), load_w=60_000.0)
    for number, battery in enumerate(fleet().site(SITES[0]).batteries):
        alone = event(f"alone {number}", 30_000.0, 0.1 * number, 0.1, rank=1)
        assert opt(gateway, replace(alone, devices=(battery.id,)))[0] == "in"
    assert opt(gateway, event("too much", 35_000.0, 0.0, 0.2, scope=(SITES[0],)))[0] == "out"
    assert opt(gateway, event("fits", 29_000.0, 0.0, 0.2, scope=(SITES[0],)))[0] == "in"


def test_the_power_of_one_battery_does_not_carry_the_energy_of_another() -> None:
    """10 kW with 400 kWh beside 100 kW with 8 kWh: together 110 kW for minutes, some 13 kW for an hour."""
    of = fleet()
    uneven = replace(
        of,
        sites=tuple(
            replace(
                site,
                batteries=(
                    replace(site.batteries[0], discharge_max_w=10_000.0, energy_wh=400_000.0),
                    replace(site.batteries[1], discharge_max_w=100_000.0, energy_wh=8_000.0),
                ),
            )
            for site in of.sites
        ),
    )
    said, reason = opt(house(uneven), event("hour", 300_000.0, 0.0, 1.0))
    assert said == "out" and "only 39" in reason
    assert opt(house(uneven), event("minute", 300_000.0, 0.0, 1 / 60))[0] == "in"


def test_a_feeder_bounds_what_the_batteries_behind_it_are_promised_for() -> None:
    of = fleet()
    lined = replace(
        of,
        sites=tuple(
            replace(
                site,
                feeders=(
                    Feeder(
                        id=FeederId(f"{site.id}/f"),
                        devices=tuple(battery.id for battery in site.batteries),
                        import_max_w=1e6,
                        export_max_w=20_000.0,
                    ),
                ),
            )
            for site in of.sites
        ),
    )
    assert opt(house(lined), event("much", 90_000.0, 0.0, 0.1))[0] == "out"
    assert opt(house(lined), event("little", 60_000.0, 0.0, 0.1))[0] == "in"
    assert opt(house(lined), event("up", -90_000.0, 0.0, 0.1))[0] == "in"


def test_blocked_batteries_are_neither_promised_nor_ordered() -> None:
    of = fleet()
    blocked = Blocked(since_at=1000.0 + HOUR, until_at=1000.0 + 2 * HOUR)
    closed = replace(of, sites=tuple(replace(site, blocked=(blocked,)) for site in of.sites))
    gateway = house(closed)
    assert opt(gateway, event("before", 90_000.0, 0.0, 0.5))[0] == "in"
    assert opt(gateway, event("meanwhile", 90_000.0, 1.2, 0.1))[0] == "out"
    assert opt(gateway, event("across", 30_000.0, 0.8, 0.5))[0] == "out"
    assert opt(gateway, event("after", 90_000.0, 2.0, 0.1))[0] == "in"
    now = replace(
        of, sites=tuple(replace(s, blocked=(Blocked(until_at=970.0, since_at=0.0),)) for s in of.sites)
    )
    later = house(now)
    assert not any(state.usable for state in later.sites)
    assert all(state.readable for state in later.sites)
    assert opt(later, event("soon", 90_000.0, 0.0, 0.5))[0] == "in"


def test_work_counts_only_where_and_for_whom_it_can_be_called() -> None:
    gateway = house()
    pause = Offer(
        id=OfferId("pause"),
        plugin=PluginName("lever"),
        kind="pause",
        legs=(Leg(site=SITES[0], import_delta_w=-200_000.0, latency_s=0.1),),
        steps=(1.0,),
        valid_until=1e9,
        sustain_s=2 * HOUR,
    )
    gateway.step(Offered(at=960.0, plugin=pause.plugin, offers=(pause,)), 960.0)
    assert opt(gateway, event("urgent", 20_000.0, 0.0, 1.0, scope=SITES[:1], rank=1))[0] == "in"
    late = event("late", 150_000.0, 0.2, 0.5, scope=SITES[:1], rank=50)
    said, reason = opt(gateway, late)
    assert (said, "only 0.0 kW" in reason) == ("out", True)
    assert opt(gateway, event("later", 150_000.0, 2.0, 0.5, scope=SITES[:1], rank=50))[0] == "in"


@pytest.mark.parametrize("demand", [Setpoint(import_w=900_000.0), Multiplier(factor=0.9)])
def test_a_setpoint_is_not_judged_while_a_site_is_unheard_of(demand: Demand) -> None:
    gateway = house(silent=True)
    wanted = replace(
        event("s", 0.0, 0.0, 1.0),
        phases=(replace(event("s", 0.0, 0.0, 1.0).phases[0], demand=demand),),
    )
    said, reason = opt(gateway, wanted)
    assert said == "out" and "not known" in reason


def test_an_unknown_load_asks_nothing_of_the_batteries() -> None:
    gateway = house(silent=True)
    gateway.timeline.admit(
        instruction("s", demand=Setpoint(import_w=900_000.0), start_at=950.0, duration_s=600.0)
    )
    row = gateway.timeline.at(960.0)[0]
    assert gateway.battery.asked_w(row) == 0.0
    gateway.battery.schedules(960.0, measured=True)
    plan = gateway.battery.plan
    assert plan is not None
    assert [share.regulation_w for share in plan.shares] == pytest.approx([0.0] * 6)


def test_a_refusal_is_told_in_the_language_of_its_reader() -> None:
    gateway = house()
    said, reason = opt(gateway, event("much", 900_000.0, 0.0, 1.0))
    (view,) = event_views(gateway)
    assert (said, view.opt, view.opt_reason) == ("out", "out", reason)
    assert reason.startswith("asked 900.0 kW down for 3600 s, only ")
    assert view.opt_reason_ja.startswith("下げDR 900.0 kW を 3600 秒との指令に対し、")
    assert opt(gateway, event("elsewhere", 1.0, 0.0, 1.0, scope=("atlantis",)))[0] == "out"
    assert event_views(gateway)[0].opt_reason_ja == "対象範囲にこのゲートウェイの拠点がない"
    assert opt(gateway, event("little", 9_000.0, 0.0, 1.0)) == ("in", "")
    assert (event_views(gateway)[0].opt_reason, event_views(gateway)[0].opt_reason_ja) == ("", "")


def test_a_ramp_moves_neither_what_people_call_the_start_nor_the_order() -> None:
    gateway = house()
    ramped = replace(
        event("ramped", 20_000.0, 0.0, 1.0),
        phases=(
            Phase(start_at=1000.0, end_at=1060.0, demand=Delta(regulation_w=2_000.0)),
            Phase(start_at=1060.0, end_at=1120.0, demand=Delta(regulation_w=20_000.0)),
        ),
        activated_at=1060.0,
    )
    assert opt(gateway, ramped)[0] == "in"
    (view,) = event_views(gateway)
    assert (view.start_at, view.target_regulation_w) == (1060.0, 20_000.0)
