"""Program: events of the campaign on the whole house, with Modbus/TCP and the plug-in of the first party.

    python -m tests.campaign.whole_house FIRST COUNT [--seconds N]

Smaller than the campaign on formulas, because each second of it runs real protocol: it shows that the formulas hide
nothing. The same noise (20 % of the award, remembered for 120 s), the same kinds of failure, the same judgement.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.house.day import BASELINE_S, ORIGIN
from tests.house.house import House, open_house
from tests.house.world import SITES
from vpp_gateway.clock import LoopClock, SeededRng
from vpp_gateway.domain.instruction import (
    Delta,
    EventId,
    Instruction,
    InstructionId,
    Phase,
    Priority,
    RoomName,
    SiteId,
)
from vpp_gateway.metering.delivery import SETTLE_S, within
from vpp_gateway.sim.loop import VirtualLoop, run
from vpp_gateway.southbound.workload.levers import JobId
from vpp_gateway.whatif.quiet import quiet_log

NOISE_SHARE, NOISE_TAU_S = 0.2, 120.0
AWARD_MIN_W, AWARD_MAX_W = 40_000.0, 110_000.0
"""Of 300 kW of batteries and 180 kW of work."""
NOTICE_S = 10.0
EXCUSED_S = 2.0
KINDS = (
    ("battery", "kill"),
    ("battery", "stopped"),
    ("battery", "local"),
    ("meter", "kill"),
    ("meter", "frozen"),
    ("plug-in", "stubborn"),
    ("link", "cut"),
    ("site", "agent"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseOutcome:
    """One event on the whole house."""

    seed: int
    what: str
    how: str
    lasting: bool
    award_w: float
    opt: str
    samples: int
    within: int
    trouble: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawn:
    seed: int
    what: str
    how: str
    site: str
    award_w: float
    at_s: float
    """After the start."""
    for_s: float | None


def draw(seed: int, seconds: float) -> _Drawn:
    """Event number `seed`; each second failure lasts to the end."""
    rng = SeededRng(f"house/{seed}")
    what, how = KINDS[seed % len(KINDS)]
    sign = 1.0 if rng.uniform(0.0, 1.0) < 0.5 else -1.0
    award_w = sign * round(rng.uniform(AWARD_MIN_W, AWARD_MAX_W), -2)
    site = SITES[min(int(rng.uniform(0, 3)), 2)]
    at_s = round(rng.uniform(20.0, max(seconds - 60.0, 21.0)), 2)
    mends = what in ("meter", "link", "site") and rng.uniform(0.0, 1.0) < 0.5
    for_s = round(rng.uniform(4.0, 200.0), 2) if mends else None
    return _Drawn(seed=seed, what=what, how=how, site=site, award_w=award_w, at_s=at_s, for_s=for_s)


def play_one(seed: int, *, seconds: float = 900.0) -> HouseOutcome:
    """Play one event and judge it at the true import."""
    drawn = draw(seed, seconds)
    sigma_w = NOISE_SHARE * abs(drawn.award_w) / len(SITES) ** 0.5
    loop = VirtualLoop()
    clock = LoopClock(loop, ORIGIN)

    async def main() -> HouseOutcome:
        with tempfile.TemporaryDirectory(prefix="vppgw-campaign-") as folder:
            async with open_house(
                Path(folder),
                clock=clock,
                seed=seed,
                sigma_w=sigma_w,
                tau_s=NOISE_TAU_S,
                work=True,
                checked=True,
            ) as house:
                await house.run_for(BASELINE_S)
                return await _event(house, drawn, seconds)

    with quiet_log():
        return run(main, loop=loop)


async def _event(house: House, drawn: _Drawn, seconds: float) -> HouseOutcome:
    id = InstructionId(f"house/EV-{drawn.seed}")
    start_at = float(int(house.clock.utc() + NOTICE_S))
    house.instruct(
        Instruction(
            id=id,
            room=RoomName("house"),
            event_id=EventId(f"EV-{drawn.seed}"),
            modification=0,
            program="campaign",
            received_at=house.clock.utc(),
            phases=(
                Phase(
                    start_at=start_at,
                    end_at=start_at + seconds,
                    demand=Delta(regulation_w=drawn.award_w),
                ),
            ),
            scope=(),
            priority=Priority(rank=100),
        )
    )
    await house.until(start_at + 0.9)
    states = [house.engine.gateway.sites[SiteId(site)] for site in SITES]
    baseline_w = sum(house.engine.gateway.baselines.of(id, state) or 0.0 for state in states)
    failed_at = start_at + drawn.at_s
    await house.until(failed_at)
    await _fail(house, drawn)
    if drawn.for_s is not None:
        await house.until(min(failed_at + drawn.for_s, start_at + seconds - 1.0))
        await _mend(house, drawn)
    await house.until(start_at + seconds + 2.0)
    counted = [
        baseline_w - sum(imports.values())
        for at, imports in house.seen
        if start_at + SETTLE_S <= at < start_at + seconds
        and at == int(at)
        and not failed_at <= at <= failed_at + EXCUSED_S
    ]
    record = next(row for row in house.engine.gateway.account.records() if row.instruction == id)
    return HouseOutcome(
        seed=drawn.seed,
        what=drawn.what,
        how=drawn.how,
        lasting=drawn.for_s is None,
        award_w=drawn.award_w,
        opt=record.opt or "",
        samples=len(counted),
        within=sum(within(w, drawn.award_w) for w in counted),
        trouble="; ".join(house.engine.trouble.values()),
    )


async def _fail(house: House, drawn: _Drawn) -> None:
    match drawn.what, drawn.how:
        case "battery", "kill":
            await house.field.kill(f"{drawn.site}-b1")
        case "battery", how:
            house.field.batteries[f"{drawn.site}-b1"].fault(how)
        case "meter", "kill":
            await house.field.kill(f"{drawn.site}-meter")
        case "meter", how:
            house.field.meters[f"{drawn.site}-meter"].fault(how)
        case "plug-in", _:
            assert house.work is not None
            house.work.stubborn.update(JobId(f"{drawn.site}-job-{n}") for n in range(7))
        case "link", _:
            house.centre.detach(SiteId(drawn.site), "the link was cut", silent=True)
        case "site", _:
            await house.kill_agent(SiteId(drawn.site))


async def _mend(house: House, drawn: _Drawn) -> None:
    match drawn.what, drawn.how:
        case "meter", "kill":
            await house.field.revive(f"{drawn.site}-meter")
        case "meter", _:
            house.field.meters[f"{drawn.site}-meter"].heal()
        case "link", _:
            house.uplinks[SiteId(drawn.site)].dial()
        case "site", _:
            house.start_agent(SiteId(drawn.site))
    await asyncio.sleep(0)


def line(row: HouseOutcome) -> str:
    """One event for people."""
    share = row.within / max(row.samples, 1)
    return (
        f"{row.seed:4d} {row.what:8s} {row.how:9s} {row.award_w / 1000:+7.1f} kW {row.opt:3s} "
        f"within {share:7.2%} of {row.samples} {row.trouble}"
    )


def main(arguments: list[str]) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--seconds", type=float, default=900.0)
    given = parser.parse_args(arguments)
    rows = []
    for seed in range(given.first, given.first + given.count):
        rows.append(play_one(seed, seconds=given.seconds))
        print(line(rows[-1]), flush=True)
    samples = max(sum(row.samples for row in rows), 1)
    print(f"within {sum(row.within for row in rows) / samples:.2%} of {samples} samples")


if __name__ == "__main__":
    main(sys.argv[1:])
