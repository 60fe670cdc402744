"""Each phase is judged over its own length, with what those before it leave in the batteries; limits that cross."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.fleets import SITES, fleet, instruction
from tests.unit.test_gateway import House
from tests.unit.test_judge import HOUR, event, house, opt
from tests.unit.test_trim import phases
from vpp_gateway.console.events import event_views
from vpp_gateway.domain.fact import Instructed, Offered, Started
from vpp_gateway.domain.fleet import Blocked, Fleet
from vpp_gateway.domain.instruction import Instruction, Limit, Phase
from vpp_gateway.domain.order import Leg, Offer, OfferId, PluginName

# Six batteries of 100 kWh at half charge: 300 kW and 228 kWh above the floor, 284 kWh below the ceiling, at the AC side.


def steps(*asked: tuple[float, float], name: str = "EV-1") -> Instruction:
    """(hours, W) one after the other."""
    rows, start_at = [], 1000.0
    for hours, w in asked:
        rows.append((start_at, start_at + hours * HOUR, w))
        start_at = rows[-1][1]
    made = phases(*rows)
    return replace(made, id=type(made.id)(f"tso/{name}"), event_id=type(made.event_id)(name))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (((1 / 12, 200_000.0), (2.9, 10_000.0)), "in"),
        (((0.5, 250_000.0), (0.5, -250_000.0), (0.5, 250_000.0)), "in"),
        (((0.5, 250_000.0), (0.5, 200_000.0)), "in"),  # 125 + 100 kWh of 228
        (((0.5, 250_000.0), (0.5, 250_000.0)), "out"),  # 103 kWh are left for 125
        (((0.5, 250_000.0), (0.5, -100_000.0), (0.5, 290_000.0)), "in"),  # 103 + 45 kWh for 145
        (((0.5, 250_000.0), (0.5, -50_000.0), (0.5, 290_000.0)), "out"),  # 103 + 23 kWh for 145
        (((1.0, -250_000.0), (1.0, 290_000.0)), "in"),  # 228 + 226 kWh, so power binds
        (((1.0, -250_000.0), (0.2, -250_000.0)), "out"),  # 34 kWh are left for 50
        (((0.5, 250_000.0), (1.0, 0.0), (0.5, 250_000.0)), "out"),
    ],
)
def test_phases_draw_on_one_store(asked: tuple[tuple[float, float], ...], said: str) -> None:
    assert opt(house(), steps(*asked))[0] == said


def test_an_alternating_event_that_was_promised_is_delivered() -> None:
    made = House()
    made.feed(Started(at=made.now, epoch=1, version="test"))
    made.run_until(960.0)
    made.feed(
        Instructed(at=made.now, instruction=steps((0.4, 250_000.0), (0.4, -250_000.0), (0.4, 250_000.0)))
    )
    assert made.answers[-1].opt == "in"
    made.run_until(1000.0 + 1.2 * HOUR + 10.0)
    record = next(iter(made.gateway.account.records()))
    assert record.samples > 4300 and record.samples - record.samples_within <= 4, "the seconds of the edges"


def test_a_refusal_names_the_phase_that_is_short_and_what_is_left_for_it() -> None:
    gateway = house()
    said, reason = opt(gateway, steps((0.5, 250_000.0), (0.5, 250_000.0)))
    assert said == "out"
    assert reason == (
        "asked 250.0 kW down for 1800 s from 1800 s after its start on, only 206.0 kW can be held so long then"
    )
    assert event_views(gateway)[0].opt_reason_ja.startswith(
        "開始 1800 秒後から下げDR 250.0 kW を 1800 秒との指令"
    )
    _, reason = opt(gateway, steps((0.5, 900_000.0), (0.5, 1_000.0)))
    assert reason == "asked 900.0 kW down for 1800 s, only 300.0 kW can be held so long"
    _, reason = opt(gateway, steps((0.5, -250_000.0), (1.0, -250_000.0)))
    assert reason.startswith("asked 250.0 kW up for 3600 s from 1800 s after its start on, only 159")


def test_a_phase_that_is_over_is_not_judged_again() -> None:
    gateway = house()
    running = phases((800.0, 900.0, 900_000.0), (900.0, 1500.0, 30_000.0))
    assert opt(gateway, running)[0] == "in"


def test_an_uneven_pair_is_judged_by_the_battery_that_is_empty_first() -> None:
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
    )  # 110 kW each, 100 of them with 3.0 kWh: for 108 s
    assert opt(house(uneven), steps((0.025, 300_000.0)))[0] == "in"
    said, reason = opt(house(uneven), steps((0.025, 300_000.0), (0.025, 300_000.0)))
    assert said == "out" and "from 90 s after its start on" in reason


def test_energy_that_is_promised_to_others_is_counted_to_the_end_of_each_phase() -> None:
    gateway = house()
    assert opt(gateway, event("other", 150_000.0, 1.0, 1.0))[0] == "in"
    assert opt(gateway, steps((0.5, 100_000.0), (0.5, 250_000.0), name="before"))[0] == "in"
    gateway = house()
    assert opt(gateway, event("other", 150_000.0, 0.0, 1.0))[0] == "in"
    assert opt(gateway, steps((1.0, 10_000.0), (0.5, 100_000.0), name="after"))[0] == "in"
    assert opt(gateway, steps((1.0, 40_000.0), (0.5, 100_000.0), name="too much"))[0] == "out"


def test_a_battery_that_is_blocked_in_one_phase_counts_in_the_others() -> None:
    blocked = Blocked(since_at=1000.0 + HOUR, until_at=1000.0 + 2 * HOUR)
    of = fleet()
    closed: Fleet = replace(of, sites=tuple(replace(site, blocked=(blocked,)) for site in of.sites))
    assert opt(house(closed), steps((1.0, 90_000.0), (1.0, 0.0), (0.5, 90_000.0)))[0] == "in"
    assert opt(house(closed), steps((1.0, 90_000.0), (0.1, 10_000.0)))[0] == "out"


def test_work_counts_as_long_as_it_lasts_from_the_start_on() -> None:
    gateway = house()
    pause = Offer(
        id=OfferId("pause"),
        plugin=PluginName("lever"),
        kind="pause",
        legs=(Leg(site=SITES[0], import_delta_w=-200_000.0, latency_s=0.1),),
        steps=(1.0,),
        valid_until=1e9,
        sustain_s=HOUR,
    )
    gateway.step(Offered(at=960.0, plugin=pause.plugin, offers=(pause,)), 960.0)
    much = steps((0.5, 480_000.0), (0.5, 480_000.0), name="an hour")
    assert opt(gateway, much)[0] == "out", "280 kWh of 228 beside the work"
    assert opt(gateway, steps((0.5, 420_000.0), (0.5, 400_000.0), name="within"))[0] == "in"
    assert opt(gateway, steps((0.9, 200_000.0), (0.2, 400_000.0), name="longer"))[0] == "out"


# -- limits ---------------------------------------------------------------------------------------------------------


def limit(
    name: str,
    import_kw: float | None,
    export_kw: float | None,
    *,
    start_h: float = 0.0,
    hours: float = 1.0,
    scope: int | None = 0,
) -> Instruction:
    demand = Limit(
        import_max_w=None if import_kw is None else 1000.0 * import_kw,
        export_max_w=None if export_kw is None else 1000.0 * export_kw,
    )
    sites = () if scope is None else (SITES[scope],)
    return instruction(
        name, demand=demand, start_at=1000.0 + start_h * HOUR, duration_s=hours * HOUR, scope=sites
    )


def exporting() -> Fleet:
    of = fleet()
    return replace(of, sites=tuple(replace(site, export_max_w=500_000.0) for site in of.sites))


def test_a_limit_that_crosses_one_that_stands_is_refused_by_name() -> None:
    gateway = house(exporting(), load_w=20_000.0)
    assert opt(gateway, limit("L1", -50.0, None)) == ("in", "")
    said, reason = opt(gateway, limit("L2", None, 10.0, scope=None))
    assert said == "out"
    assert reason == (
        "with the limit of tso/L1 that stands, import at tokyo-1 would be limited to -50.0 kW and export to 10.0 kW: "
        "no flow keeps both"
    )
    view = next(v for v in event_views(gateway) if v.id == "tso/L2")
    assert view.opt_reason_ja.startswith("有効な tso/L1 の上限と合わせると、tokyo-1 の受電の上限は -50.0 kW")


@pytest.mark.parametrize(
    "other",
    [
        limit("L2", None, 10.0, start_h=1.0),
        limit("L2", None, 10.0, scope=1),
        limit("L2", None, 50.0),
        limit("L1", None, 10.0),
        event("L2", 1_000.0, 0.0, 1.0),
    ],
    ids=["after it", "elsewhere", "just met", "its own modification", "no limit"],
)
def test_what_does_not_cross_is_taken(other: Instruction) -> None:
    gateway = house(exporting(), load_w=20_000.0)
    assert opt(gateway, limit("L1", -50.0, None))[0] == "in"
    assert opt(gateway, replace(other, modification=1))[0] == "in"


def test_a_crossing_is_found_whichever_way_round() -> None:
    gateway = house(exporting(), load_w=20_000.0)
    assert opt(gateway, limit("L1", None, 10.0))[0] == "in"
    said, reason = opt(gateway, limit("L2", -50.0, None))
    assert said == "out" and "with the limit of tso/L1" in reason and "export to 10.0 kW" in reason


def test_limits_in_phases_are_held_by_what_is_left() -> None:
    """Each site has 100 kW and 76 kWh above the floor."""

    def held(*hours: float) -> str:
        start_at, rows = 1000.0, []
        for length in hours:
            demand = Limit(import_max_w=300_000.0, export_max_w=None)  # 100 kW against a load of 400 kW
            rows.append(Phase(start_at=start_at, end_at=start_at + length * HOUR, demand=demand))
            start_at += length * HOUR
        return opt(house(), replace(instruction(), phases=tuple(rows)))[0]

    assert held(0.5) == held(0.5, 0.25) == "in"
    assert held(0.5, 0.5) == held(1.0) == "out"
