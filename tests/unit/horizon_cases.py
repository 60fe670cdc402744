"""Horizon problems for tests: parts with sensible defaults, and random ones from a seed."""

from __future__ import annotations

import random
from dataclasses import replace

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

A, B, C = SiteId("a"), SiteId("b"), SiteId("c")


def store(
    id: str, site: SiteId, w: float = 100e3, wh: float = 100e3, soc: float = 0.5, **more: object
) -> Store:
    """A battery with a window of 10 to 90 %."""
    plain = Store(
        id=DeviceId(id),
        site=site,
        tier=BATTERY,
        discharge_max_w=w,
        charge_max_w=w,
        stored_wh=soc * wh,
        stored_min_wh=0.1 * wh,
        stored_max_wh=0.9 * wh,
        stored_wanted_wh=0.5 * wh,
        discharge_efficiency=0.9,
        charge_efficiency=0.9,
    )
    return replace(plain, **more)  # type: ignore[arg-type]  # fields by name


def work(id: str, site: SiteId, w: float = 100e3, to: SiteId | None = None, **more: object) -> Work:
    """An offer to shed at `site`, or to move from there."""
    legs = [MoveLeg(site=site, regulation_w=w)]
    if to is not None:
        legs.append(MoveLeg(site=to, regulation_w=-w))
    plain = Work(offer=OfferId(id), tier=WORKLOAD, legs=tuple(legs))
    return replace(plain, **more)  # type: ignore[arg-type]  # fields by name


def connection(
    site: SiteId, steps: int, load: float = 1e6, pv: float = 0.0, most: float = 2e6, export: float = 0.0
) -> Connection:
    return Connection(
        site=site,
        load_w=(load,) * steps,
        pv_w=(pv,) * steps,
        import_max_w=(most,) * steps,
        export_max_w=(export,) * steps,
    )


def asked(name: str, sites: tuple[SiteId, ...], w: tuple[float | None, ...], bridge_s: float = 0.0) -> Asked:
    return Asked(instruction=InstructionId(name), sites=sites, regulation_w=w, bridge_s=bridge_s)


def problem(
    lengths_s: Series,
    asked: tuple[Asked, ...] = (),
    stores: tuple[Store, ...] = (),
    works: tuple[Work, ...] = (),
    connections: tuple[Connection, ...] | None = None,
    reserves: tuple[Reserve, ...] = (),
    prices: Prices | None = None,
) -> HorizonProblem:
    sites = {s.site for s in stores} | {leg.site for w in works for leg in w.legs}
    found = connections or tuple(connection(site, len(lengths_s)) for site in sorted(sites))
    return HorizonProblem(
        id="p",
        at=0.0,
        lengths_s=lengths_s,
        tiers=(BATTERY, WORKLOAD),
        asked=asked,
        stores=stores,
        works=works,
        connections=found,
        reserves=reserves,
        prices=prices or Prices(),
    )


def random_problem(seed: int, lengths_s: Series) -> HorizonProblem:
    """Any mixture: shortfalls, limits that bind, batteries outside their window, offers in mid-call."""
    rng, n = random.Random(seed), len(lengths_s)
    sites = (A, B)
    pick = rng.choice

    def batteries(site: SiteId) -> list[Store]:
        return [
            store(
                f"{site}{i}",
                site,
                w=pick([0.0, 50e3, 100e3, rng.uniform(1e3, 2e5)]),
                wh=pick([20e3, 100e3, 400e3]),
                soc=pick([0.05, 0.1, 0.5, 0.9, 0.97, rng.random()]),
                stored_wanted_wh=pick([0.0, 10e3, 50e3]),
                ramp_w_per_s=pick([None, None, 50.0, 500.0]),
                discharge_w=pick([0.0, 40e3, -40e3]),
                cost=pick([1.0, 2.0]),
            )
            for i in range(rng.randint(0, 2))
        ]

    def offers(site: SiteId) -> list[Work]:
        return [
            work(
                f"w{site}{i}",
                site,
                w=pick([-50e3, 50e3, 100e3, 300e3]),
                to=pick([None, None, None, B if site == A else A]),
                cost=pick([0.5, 1.0, 3.0]),
                latency_s=pick([0.0, 100.0, 600.0]),
                sustain_s=pick([None, 700.0, 1300.0, 5000.0]),
                dwell_s=pick([0.0, 500.0, 1000.0]),
                energy_wh=pick([None, None, 30e3]),
                ramp_s=pick([0.0, 0.0, 2000.0]),
                share=(share := pick([0.0, 0.0, 0.5, 1.0])),
                called_s=pick([0.0, 250.0, 800.0]) if share else 0.0,
                start_within_s=pick([None, None, 900.0]),
                share_max=pick([(), (), tuple(pick([0.0, 0.5, 1.0]) for _ in range(n))]),
                rebound=pick([0.0, 0.5, 1.0]),
                rebound_delay_s=pick([0.0, 400.0]),
                rebound_within_s=pick([700.0, 1500.0]),
                rebound_max=pick([0.5, 1.0]),
                owed_wh=pick([0.0, 0.0, 20e3]),
            )
            for i in range(rng.randint(0, 2))
        ]

    def course(least: float, most: float) -> tuple[float | None, ...]:
        level = rng.uniform(least, most)
        first, last = sorted((rng.randint(0, n), rng.randint(0, n)))
        return tuple(level if first <= t < last else None for t in range(n))

    scopes = pick([((A, B),), ((A,), (B,)), ((A,),)])
    return problem(
        lengths_s,
        tuple(
            asked(f"i{i}", scope, course(-3e5, 4e5), pick([0.0, 300.0, 900.0]))
            for i, scope in enumerate(scopes)
        ),
        tuple(s for site in sites for s in batteries(site)),
        tuple(w for site in sites for w in offers(site)),
        tuple(
            connection(
                site,
                n,
                load=rng.uniform(0, 1e6),
                pv=pick([0.0, 3e5, 1.2e6]),
                most=pick([5e5, 2e6]),
                export=pick([0.0, 2e5]),
            )
            for site in sites
        ),
        pick(
            [
                (),
                (
                    Reserve(
                        product="armed",
                        sites=pick([(A,), (A, B)]),
                        down_w=tuple(pick([0.0, 40e3, 150e3]) for _ in range(n)),
                        up_w=(pick([0.0, 60e3]),) * n,
                        bridge_s=pick([60.0, 900.0]),
                    ),
                ),
            ]
        ),
        Prices(stored=pick([0.0, 0.01]), ending=pick([0.0, 10.0]), surplus=pick([0.0, 3.0])),
    )
