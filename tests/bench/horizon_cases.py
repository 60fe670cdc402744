"""Problems for the rows `horizon*`: three sites of ten resources each, from a seed."""

from __future__ import annotations

import random

import numpy as np

from vpp_gateway.domain.fleet import BATTERY, WORKLOAD
from vpp_gateway.domain.horizon import (
    Asked,
    Connection,
    HorizonProblem,
    Prices,
    Reserve,
    Series,
    Store,
    Work,
)
from vpp_gateway.domain.instruction import DeviceId, InstructionId, SiteId
from vpp_gateway.domain.order import OfferId
from vpp_gateway.domain.plan import MoveLeg
from vpp_gateway.optimise.step_grid import step_lengths

SITES = tuple(SiteId(f"dc{n}") for n in range(3))
STEPS, HORIZON_S = 48, 5400.0
KINDS = (
    # name, latency, longest hold, dwell, share that returns, cost
    ("pause-a", 1.0, 1200.0, 300.0, 0.5, 1.0),
    ("pause-b", 1.0, 1200.0, 300.0, 0.5, 1.0),
    ("cap-a", 10.0, 3600.0, 60.0, 0.0, 1.5),
    ("cap-b", 10.0, 3600.0, 60.0, 0.0, 1.5),
    ("shed", 60.0, 1800.0, 300.0, 0.0, 2.0),
    ("move", 30.0, 3600.0, 300.0, 0.0, 1.2),
)


def portfolio(seed: int) -> HorizonProblem:
    """Everything at once: an hour of relief at two sites beside an up-call at the third, an armed product both ways,
    slow and fast batteries, six offers a site with their times and returns, sun; some calls are more than can be had.
    """
    rng = random.Random(seed)
    lengths = step_lengths(HORIZON_S, STEPS, (1.0, 10.0, 30.0, 60.0, 600.0, 2400.0, 3600.0))
    middle = np.cumsum(lengths) - np.array(lengths) / 2
    stores = _stores(rng, ramps=(1.0, 5.0, 20.0))
    works = []
    for n, site in enumerate(SITES):
        for name, latency, hold, dwell, rebound, cost in KINDS:
            w = rng.uniform(50e3, 300e3)
            legs = [MoveLeg(site=site, regulation_w=w)]
            if name == "move":
                legs.append(MoveLeg(site=SITES[(n + 1) % 3], regulation_w=-w))
            works.append(
                Work(
                    offer=OfferId(f"{name}:{site}"),
                    tier=WORKLOAD,
                    legs=tuple(legs),
                    cost=cost * rng.uniform(0.8, 1.25),
                    latency_s=latency,
                    sustain_s=hold,
                    dwell_s=dwell,
                    rebound=rebound,
                    rebound_delay_s=60.0 if rebound else 0.0,
                    rebound_within_s=1200.0,
                )
            )
    power_w = sum(store.discharge_max_w for store in stores)

    def call(name: str, sites: tuple[SiteId, ...], since: float, until: float, w: float) -> Asked:
        course = tuple(w if since <= at < until else None for at in middle)
        return Asked(instruction=InstructionId(name), sites=sites, regulation_w=course, bridge_s=300.0)

    return HorizonProblem(
        id=f"portfolio-{seed}",
        at=0.0,
        lengths_s=lengths,
        tiers=(BATTERY, WORKLOAD),
        asked=(
            call("relief", SITES[:2], 60.0 * (seed % 2), 3600.0, rng.uniform(0.2, 0.5) * power_w),
            call("absorb", SITES[2:], 600.0, 2400.0, -rng.uniform(0.05, 0.2) * power_w),
        ),
        stores=stores,
        works=tuple(works),
        connections=_connections(middle),
        reserves=(
            Reserve(
                product="primary", sites=SITES, down_w=(1e5,) * STEPS, up_w=(1e5,) * STEPS, bridge_s=300.0
            ),
        ),
    )


def common(seed: int) -> HorizonProblem:
    """What FlexMeasures can state as well: equal steps, windows, losses, energy budgets, limits, one demand."""
    rng = random.Random(seed)
    lengths = (120.0,) * STEPS
    middle = np.cumsum(lengths) - 60.0
    stores = _stores(rng, ramps=())
    works = []
    for site in SITES:
        for n in range(6):
            w = rng.uniform(50e3, 300e3)
            works.append(
                Work(
                    offer=OfferId(f"w{n}:{site}"),
                    tier=WORKLOAD,
                    legs=(MoveLeg(site=site, regulation_w=w),),
                    cost=rng.uniform(0.5, 2.0),
                    energy_wh=w * rng.uniform(0.2, 0.8),
                )
            )
    power_w = rng.uniform(0.2, 0.6) * sum(store.discharge_max_w for store in stores)
    course = power_w * np.where(middle < 3600.0, 1.0, 0.1) * (1.0 + 0.2 * np.sin(middle / 700.0))
    return HorizonProblem(
        id=f"common-{seed}",
        at=0.0,
        lengths_s=lengths,
        tiers=(BATTERY, WORKLOAD),
        asked=(Asked(instruction=InstructionId("relief"), sites=SITES, regulation_w=tuple(course.tolist())),),
        stores=stores,
        works=tuple(works),
        connections=_connections(middle),
        prices=Prices(stored=0.0, surplus=0.0, ending=0.0, owed=0.0),
    )


def _stores(rng: random.Random, ramps: tuple[float, ...]) -> tuple[Store, ...]:
    found = []
    for site in SITES:
        for n in range(4):
            w = rng.uniform(200e3, 500e3)
            wh = w * rng.uniform(0.4, 1.0)
            found.append(
                Store(
                    id=DeviceId(f"{site}-b{n}"),
                    site=site,
                    tier=BATTERY,
                    discharge_max_w=w,
                    charge_max_w=w,
                    stored_wh=wh * rng.uniform(0.3, 0.8),
                    stored_min_wh=0.1 * wh,
                    stored_max_wh=0.95 * wh,
                    stored_wanted_wh=0.6 * wh,
                    discharge_efficiency=0.95,
                    charge_efficiency=0.95,
                    ramp_w_per_s=w / rng.choice(ramps) if ramps else None,
                )
            )
    return tuple(found)


def _connections(middle: np.ndarray) -> tuple[Connection, ...]:
    def series(values: np.ndarray) -> Series:
        return tuple(values.tolist())

    return tuple(
        Connection(
            site=site,
            load_w=series(2e6 + 1e5 * np.sin(middle / 900.0 + n)),
            pv_w=series(np.maximum(0.0, 5e5 * np.sin(middle / 2000.0))),
            import_max_w=(3e6,) * len(middle),
            export_max_w=(0.0,) * len(middle),
        )
        for n, site in enumerate(SITES)
    )
