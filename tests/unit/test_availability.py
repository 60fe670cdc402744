"""What could be held in the coming hours: low, and never more than batteries, grid connection and promises leave."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpp_gateway.domain.fleet import Battery, Site
from vpp_gateway.domain.instruction import (
    Delta,
    Demand,
    DeviceId,
    EventId,
    Instruction,
    InstructionId,
    Limit,
    Phase,
    Priority,
    RoomName,
    Setpoint,
    SiteId,
)
from vpp_gateway.domain.reading import BatteryReading
from vpp_gateway.portfolio.availability import BLOCKS_MAX, LOAD_MARGIN, SiteNow, blocks
from vpp_gateway.portfolio.timeline import Timeline

BLOCK_S = 1800.0
NOW = 1_000_000 * BLOCK_S
A, B = SiteId("a"), SiteId("b")


def now_at(
    id: SiteId = A,
    *,
    soc: float = 0.5,
    load_w: float | None = 1e6,
    energy_wh: float = 1e6,
    import_max_w: float = 5e6,
    export_max_w: float = 0.0,
) -> SiteNow:
    battery = Battery(
        id=DeviceId(f"{id}-b"), site=id, discharge_max_w=500e3, charge_max_w=400e3, energy_wh=energy_wh,
        soc_min=0.1, soc_max=0.9, efficiency=1.0,
    )  # fmt: skip
    site = Site(
        id=id, name=id, name_ja=id, area="x", meter=DeviceId(f"{id}-m"), batteries=(battery,),
        import_max_w=import_max_w, export_max_w=export_max_w,
    )  # fmt: skip
    reading = BatteryReading(
        device=battery.id, at=NOW, discharge_w=0.0, soc=soc, discharge_room_w=500e3, charge_room_w=400e3
    )
    return SiteNow(site=site, load_w=load_w, usable={battery.id: reading})


def instructed(
    demand: Demand, start_s: float, end_s: float | None, scope: tuple[SiteId, ...] = ()
) -> Instruction:
    end_at = None if end_s is None else NOW + end_s
    return Instruction(
        id=InstructionId("tso/EV"), room=RoomName("tso"), event_id=EventId("EV"), modification=0, program="p",
        received_at=NOW, phases=(Phase(start_at=NOW + start_s, end_at=end_at, demand=demand),), scope=scope,
        priority=Priority(rank=1),
    )  # fmt: skip


def rooms(
    *sites: SiteNow, accepted: Instruction | None = None, count: int = 4, direction: str = "down"
) -> list[float]:
    timeline = Timeline(sites=tuple(one.site.id for one in sites))
    if accepted is not None:
        timeline.admit(accepted)
    found = blocks(sites, timeline, NOW, block_s=BLOCK_S, horizon_s=count * BLOCK_S)
    assert [block.start_at for block in found] == [NOW + i * BLOCK_S for i in range(count)]
    return [round(block.room_w("down" if direction == "down" else "up")) for block in found]


def test_free_battery_holds_its_power_or_its_energy() -> None:
    assert rooms(now_at()) == [500_000] * 4
    assert rooms(now_at(), direction="up") == [400_000] * 4
    assert rooms(now_at(soc=0.15)) == [100_000] * 4  # 50 kWh over half an hour
    assert rooms(now_at(soc=0.85), direction="up") == [100_000] * 4
    assert rooms(now_at(A), now_at(B)) == [1_000_000] * 4


def test_accepted_event_rules_its_sites_and_its_energy_is_gone_afterwards() -> None:
    event = instructed(Delta(regulation_w=400e3), BLOCK_S, 2 * BLOCK_S)
    assert rooms(now_at(), accepted=event) == [500_000, 0, 400_000, 400_000]
    assert rooms(now_at(), accepted=event, direction="up") == [400_000, 0, 400_000, 400_000]
    late = now_at(soc=0.2)
    assert rooms(late, accepted=event) == [200_000, 0, 0, 0]


def test_event_elsewhere_leaves_the_site_alone() -> None:
    event = instructed(Delta(regulation_w=400e3), 0, 4 * BLOCK_S, scope=(B,))
    assert rooms(now_at(A), now_at(B), accepted=event) == [500_000] * 4


def test_event_is_shared_by_the_power_of_its_sites() -> None:
    event = instructed(Delta(regulation_w=200e3), 0, BLOCK_S)
    low = now_at(A, soc=0.2), now_at(B, soc=0.2)  # 100 kWh each, 50 kWh each are promised
    assert rooms(*low, accepted=event) == [0, 200_000, 200_000, 200_000]


def test_setpoint_takes_all_since_the_load_to_come_is_unknown() -> None:
    event = instructed(Setpoint(import_w=1e6), 0, BLOCK_S)
    assert rooms(now_at(soc=0.5), accepted=event) == [0, 300_000, 300_000, 300_000]


def test_open_end_rules_for_ever() -> None:
    assert rooms(now_at(), accepted=instructed(Delta(regulation_w=1.0), BLOCK_S, None)) == [500_000, 0, 0, 0]


def test_grid_connection_bounds_with_a_margin_of_the_load() -> None:
    assert rooms(now_at(load_w=100e3)) == [round(100e3 * (1 - LOAD_MARGIN))] * 4
    assert rooms(now_at(load_w=100e3, export_max_w=50e3)) == [140_000] * 4
    assert rooms(now_at(load_w=1e6, import_max_w=1.2e6), direction="up") == [100_000] * 4
    assert rooms(now_at(load_w=None)) == [0] * 4


def test_limit_in_force_bounds_and_rules_nobody() -> None:
    limit = instructed(Limit(import_max_w=1.15e6, export_max_w=None), BLOCK_S, 2 * BLOCK_S)
    assert rooms(now_at(load_w=1e6), accepted=limit, direction="up") == [400_000, 50_000, 400_000, 400_000]
    assert rooms(now_at(load_w=1e6), accepted=limit) == [500_000] * 4


@pytest.mark.parametrize("broken", [float("nan"), -0.1, 1.1])
def test_doubt_is_no_room(broken: float) -> None:
    one = now_at()
    reading = next(iter(one.usable.values()))
    assert rooms(replace(one, usable={reading.device: replace(reading, soc=broken)})) == [0] * 4
    assert rooms(replace(one, usable={})) == [0] * 4


def test_blocks_are_bounded_and_hold_now() -> None:
    timeline = Timeline(sites=(A,))
    found = blocks((now_at(),), timeline, NOW + 100, block_s=60, horizon_s=31 * 86400)
    assert len(found) == BLOCKS_MAX
    assert found[0].start_at <= NOW + 100 < found[0].end_at


@given(
    soc=st.floats(0, 1),
    load_w=st.floats(0, 6e6),
    asked_w=st.floats(-1e6, 1e6),
    start_s=st.floats(0, 7200),
    length_s=st.floats(1, 7200),
)
def test_more_promises_never_leave_more_room(
    soc: float, load_w: float, asked_w: float, start_s: float, length_s: float
) -> None:
    one = now_at(soc=soc, load_w=load_w)
    event = instructed(Delta(regulation_w=asked_w), start_s, start_s + length_s)
    for direction in ("down", "up"):
        free, owing = rooms(one, direction=direction), rooms(one, accepted=event, direction=direction)
        assert all(0 <= less <= more <= 500_000 for less, more in zip(owing, free, strict=True))


def test_a_limit_on_a_battery_leaves_that_battery_out() -> None:
    """And is none of its site: what bounds 50 kW of charging is no bound on the import of a data centre."""
    other = Battery(id=DeviceId("a-b2"), site=A, discharge_max_w=100e3, charge_max_w=100e3, energy_wh=1e6)
    one = now_at()
    (reading,) = one.usable.values()
    usable = {**one.usable, other.id: replace(reading, device=other.id)}
    one = replace(one, site=replace(one.site, batteries=(*one.site.batteries, other)), usable=usable)
    limit = instructed(Limit(import_max_w=50e3, export_max_w=None), BLOCK_S, 2 * BLOCK_S)
    timeline = Timeline(sites=(A,), home={battery.id: A for battery in one.site.batteries})
    timeline.admit(replace(limit, devices=(other.id,)))
    found = blocks((one,), timeline, NOW, block_s=BLOCK_S, horizon_s=4 * BLOCK_S)
    assert [round(block.room_w("down")) for block in found] == [600_000, 500_000, 600_000, 600_000]
