"""Random events: one award of 15 min on three sites, noise, and one failure; all of it from one number."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vpp_gateway.clock import SeededRng
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.domain.fleet import Battery, Fleet, Site
from vpp_gateway.domain.instruction import Delta, DeviceId, SiteId
from vpp_gateway.sim.model_work import WorkSpec
from vpp_gateway.whatif.world import FAULTS, Asked, Fault, Play, SiteModel

SITES = (SiteId("tokyo"), SiteId("chubu"), SiteId("kansai"))
LOAD_W = 12e6
BATTERY_W, BATTERY_WH = 1.6e6, 3.2e6
BATTERIES = 2
AWARD_MIN_W, AWARD_MAX_W = 1e6, 4e6
"""Of 9.6 MW of batteries and about 6 MW of work that can be shifted."""
NOISE_SHARE, NOISE_TAU_S = 0.2, 120.0
KEPT = math.exp(-1.0 / NOISE_TAU_S)
"""What is left of the noise after a second, in the mean."""
KINDS = ("battery", "meter", "plug-in", "link", "site")
"""What fails, in turn."""
EVENT_S = 900.0
NOTICE_S = 30.0
RECOVERY_S = 120.0
"""An event without noise ends so long after its failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One event of the campaign."""

    seed: int
    play: Play
    fault: Fault
    award_w: float

    @property
    def asked(self) -> Asked:
        return self.play.asked[0]


def fleet(*, checked: bool = True) -> Fleet:
    """Three areas, one site each; with a check meter each that the agent of the next site reads, or without."""
    return Fleet(
        sites=tuple(
            Site(
                id=id,
                name=id,
                name_ja=id,
                area=id,
                meter=DeviceId(f"{id}-meter"),
                check_meter=DeviceId(f"{id}-check") if checked else None,
                batteries=tuple(
                    Battery(
                        id=DeviceId(f"{id}-battery-{n}"),
                        site=id,
                        discharge_max_w=BATTERY_W,
                        charge_max_w=BATTERY_W,
                        energy_wh=BATTERY_WH,
                    )
                    for n in range(1, BATTERIES + 1)
                ),
                import_max_w=20e6,
                export_max_w=0.0,
            )
            for id in SITES
        )
    )


def work() -> tuple[WorkSpec, ...]:
    """What can be shifted: caps within a second, pauses with rebound, moves round the sites, waiting jobs."""
    rows = []
    for id, to in zip(SITES, (*SITES[1:], SITES[0]), strict=True):
        rows += [
            WorkSpec(
                name=f"cap-{id}", kind="cap", site=id, w=0.8e6, latency_s=0.5, lag_s=0.3, cost=1.5, units=4
            ),
            WorkSpec(
                name=f"pause-{id}",
                kind="pause",
                site=id,
                w=1.0e6,
                latency_s=2.0,
                cost=2.0,
                units=5,
                rebound_share=0.6,
                rebound_within_s=900.0,
            ),
            WorkSpec(
                name=f"move-{id}",
                kind="move",
                site=id,
                to=to,
                w=0.6e6,
                latency_s=3.0,
                arrive_s=2.0,
                cost=1.0,
                units=3,
            ),
            WorkSpec(name=f"absorb-{id}", kind="absorb", site=id, w=1.2e6, latency_s=1.5, cost=1.0, units=6),
        ]
    return tuple(rows)


def draw(seed: int, *, noise: bool = True, checked: bool = True) -> Drawn:
    """Event number `seed`; without noise it is the same event, and ends soon after its failure."""
    rng = SeededRng(f"campaign/{seed}")
    sign = 1.0 if rng.uniform(0.0, 1.0) < 0.5 else -1.0
    award_w = sign * round(rng.uniform(AWARD_MIN_W, AWARD_MAX_W), -3)
    what = KINDS[seed % len(KINDS)]
    how = FAULTS[what][min(int(rng.uniform(0, len(FAULTS[what]))), len(FAULTS[what]) - 1)]
    site = SITES[min(int(rng.uniform(0, 3)), 2)]
    number = 1 + min(int(rng.uniform(0, BATTERIES)), BATTERIES - 1)
    at_s = NOTICE_S + round(rng.uniform(30.0, 700.0), 2)
    lasting, for_s = rng.uniform(0.0, 1.0) < 0.5, round(rng.uniform(20.0, 200.0), 2)
    soc = {id: rng.uniform(0.4, 0.7) for id in SITES}
    if not noise:
        at_s = NOTICE_S + 20.0 + (at_s - NOTICE_S) % 20.0
        lasting = True
    if how == "liar":
        at_s, lasting = NOTICE_S - 10.0, True
    where = {"battery": f"{site}-battery-{number}", "meter": f"{site}-meter", "plug-in": "work"}.get(
        what, site
    )
    fault = Fault(at_s=at_s, what=what, how=how, where=where, for_s=None if lasting else for_s)
    duration_s = EVENT_S if noise else max(at_s - NOTICE_S, 20.0) + RECOVERY_S
    noise_w = NOISE_SHARE * abs(award_w) / len(SITES) ** 0.5 if noise else 0.0
    asked = Asked(
        name=f"EV-{seed}",
        start_s=NOTICE_S,
        duration_s=round(duration_s),
        demand=Delta(regulation_w=award_w),
    )
    play = Play(
        name=f"campaign {seed}",
        fleet=fleet(checked=checked),
        policy=Policy(),
        sites={
            id: SiteModel(
                load=((0.0, LOAD_W),),
                noise_w=noise_w,
                noise_tau_s=NOISE_TAU_S,
                soc=soc[id],
                check_read_by=reader if checked else None,
            )
            for id, reader in zip(SITES, (*SITES[1:], SITES[0]), strict=True)
        },
        work=work(),
        asked=(asked,),
        faults=(fault,),
        seed=seed,
        after_s=2.0,
    )
    return Drawn(seed=seed, play=play, fault=fault, award_w=award_w)
