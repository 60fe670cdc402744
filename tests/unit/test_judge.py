"""Opt by feasibility: energy that is promised already, the grid connection, more urgent events, an unheard site."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.fleets import SITES, fleet, instruction
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.domain.command import Answer
from vpp_gateway.domain.fact import Instructed, Started, Tick
from vpp_gateway.domain.fleet import Fleet
from vpp_gateway.domain.instruction import Delta, Instruction, Setpoint
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
    )  # type: ignore[arg-type]


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
    assert (said, "only 100000 W" in reason) == ("out", True)
    assert opt(gateway, event("more urgent", 150_000.0, 0.5, 0.1, rank=0))[0] == "in"


def test_a_setpoint_is_not_judged_while_a_site_is_unheard_of() -> None:
    gateway = house(silent=True)
    wanted = replace(
        event("s", 0.0, 0.0, 1.0),
        phases=(replace(event("s", 0.0, 0.0, 1.0).phases[0], demand=Setpoint(import_w=900_000.0)),),
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
