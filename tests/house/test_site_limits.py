"""Limits inside a site hold in the whole house: what a feeder does not carry, the others give, and it is said."""

from __future__ import annotations

from pathlib import Path

from tests.house.day import assert_met, play
from tests.house.house import House
from tests.house.world import SITES
from vpp_gateway.optimise.explain import sentence

LINE_KW = 20.0
W = 150_000.0


def test_two_batteries_behind_a_narrow_feeder(tmp_path: Path) -> None:
    devices = [f"{SITES[0]}-b1", f"{SITES[0]}-b2"]
    line = {"id": "east", "devices": devices, "import_max_kw": LINE_KW, "export_max_kw": LINE_KW}

    async def scene(house: House) -> None:
        event = house.event("E", after_s=15, duration_s=60, regulation_w=W)
        house.vtn.add_event(event)
        most = 0.0
        while house.clock.utc() < event.start_at + 50:
            await house.run_for(1)
            here = house.status().sites[0].batteries
            most = max(most, sum(battery.discharge_w or 0.0 for battery in here))
        assert most <= 1000 * LINE_KW * 1.001, "the line carries no more"
        assert most >= 1000 * LINE_KW * 0.99, "and what it carries is used"
        assert_met(house, event.start_at, house.clock.utc(), W)
        (record,) = house.engine.gateway.account.records()
        told = [sentence(reason, "en") for reason in record.why]
        assert any(devices[0] in text and "feeder east binds" in text for text in told), told
        assert any("フィーダー east" in sentence(reason, "ja") for reason in record.why)

    play(tmp_path, scene, vtn=True, feeders={SITES[0]: [line]})
