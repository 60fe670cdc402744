"""Area down and area up at the same time: work moves from one data centre to the other, batteries bridge."""

from __future__ import annotations

from pathlib import Path

from tests.house.day import assert_met, assert_quiet, play
from tests.house.house import House
from tests.house.world import JOB_W, JOBS, SITES
from vpp_gateway.domain.command import Shift
from vpp_gateway.domain.fleet import BATTERY, WORKLOAD
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.order import ShiftVerb
from vpp_gateway.sim.memory_work import Tempo

DOWN, IDLE, UP = SITES
W = 90_000.0
"""More than the unreserved half of a site's batteries (50 kW): the rest must come from the work."""
SLOW = Tempo(pause_s=8.0, resume_s=8.0, start_s=12.0, leave_s=8.0, arrive_s=4.0)


def test_work_moves_from_the_area_down_to_the_area_up(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        vtn, work = house.vtn, house.work
        assert work is not None
        at_home = work.running()
        down = house.event("down", after_s=20, duration_s=120, regulation_w=W, sites=(DOWN,))
        up = house.event("up", after_s=20, duration_s=120, regulation_w=-W, sites=(UP,))
        vtn.add_event(down)
        vtn.add_event(up)
        start, end = down.start_at, down.start_at + 120

        # In the first instant the batteries and the fast work carry it; the plan is made for the work.
        await house.until(start + 60)
        moved = {job for job, site in work.running().items() if site != at_home.get(job, site)}
        left = [at_home[job] for job in moved]
        came = [work.running()[job] for job in moved]
        assert left.count(DOWN) >= 2 and came.count(UP) >= 2 and came.count(DOWN) == left.count(UP) == 0
        assert left.count(IDLE) == came.count(IDLE), "the third site passes on what it takes"
        assert len(work.downtimes_s) == len(moved)
        tiers = {site.id: site.by_tier_w for site in house.status().sites}
        shifted = left.count(DOWN) * JOB_W
        for site, sign in ((DOWN, 1.0), (UP, -1.0)):
            extra = sign * tiers[site][WORKLOAD]
            assert extra >= shifted - 2000, f"{site}: the moved work shows at the meter"
            assert abs(sign * tiers[site][BATTERY] + extra - W) <= 0.05 * W, "batteries give what is left"
            assert sign * tiers[site][BATTERY] <= 60_000, "the batteries' reserve is free again"

        await house.until(end + 40)
        assert_met(house, start, end, W, (DOWN,))
        assert_met(house, start, end, -W, (UP,))
        assert_quiet(house, start, end, (IDLE,))
        assert_quiet(house, start + 3, end, SITES, off_w=6000)  # down and up cancel out in the portfolio
        for id in ("down", "up"):
            record = house.record(id)
            assert record.state == "completed" and record.samples_within == record.samples
            assert dict(record.by_tier_w).keys() == {BATTERY, WORKLOAD}

        # What was moved is back, and nothing is left of it.
        assert work.running() == at_home and len(at_home) == JOBS * len(SITES)
        assert_quiet(house, end + 5, house.clock.utc(), (DOWN,))
        assert_quiet(house, end + 5, house.clock.utc(), (UP,))
        verbs = [command.order.verb for command in house.commands if isinstance(command, Shift)]
        assert verbs.count(ShiftVerb.COMMIT) == verbs.count(ShiftVerb.ROLLBACK) > 0
        assert not house.engine.gateway.shifts.orders

    play(tmp_path, scene, vtn=True, work=True)


def test_batteries_bridge_a_slow_move_and_give_way_as_it_becomes_real(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        down = house.event("down", after_s=20, duration_s=120, regulation_w=W, sites=(DOWN,))
        up = house.event("up", after_s=20, duration_s=120, regulation_w=-W, sites=(UP,))
        house.vtn.add_event(down)
        house.vtn.add_event(up)
        shares: list[tuple[float, float]] = []
        await house.until(down.start_at + 2.5)
        while house.clock.utc() < down.start_at + 100:
            site = next(site for site in house.status().sites if site.id == SiteId(DOWN))
            shares.append((site.by_tier_w[BATTERY], site.by_tier_w[WORKLOAD]))
            await house.run_for(1)
        assert_met(house, down.start_at, down.start_at + 100, W, (DOWN,), but_s=4)
        assert_met(house, down.start_at, down.start_at + 100, -W, (UP,), but_s=4)
        assert shares[0][0] >= 0.9 * W, f"first the batteries carry it all, found {shares[0]}"
        assert shares[-1][0] <= 60_000 and shares[-1][1] >= 30_000, f"then the work, found {shares[-1]}"
        apart = [share for share in shares if abs(sum(share) - W) > 0.08 * W]
        assert len(apart) <= 2, f"together all the time but the second of the hand-over, found {apart}"

    play(tmp_path, scene, vtn=True, work=True, tempo=SLOW)
