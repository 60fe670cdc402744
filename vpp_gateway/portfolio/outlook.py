"""What is known of the coming hour, as a problem for the rolling plan.

timeline   what is asked of which sites, step by step, and the limits in force
readings   where each battery stands
offers     what work can be shifted, and what is shifted already
forecasts  what the sites will take and generate; where nobody knows, as now
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from vpp_gateway.domain.fleet import BATTERY, WORKLOAD, Battery, TierName
from vpp_gateway.domain.horizon import Asked, Connection, HorizonProblem, Prices, Reserve, Store, Work
from vpp_gateway.domain.instruction import InstructionId, SiteId
from vpp_gateway.domain.order import Offer
from vpp_gateway.domain.plan import MoveLeg
from vpp_gateway.domain.quantity import regulation_of
from vpp_gateway.domain.reading import BatteryReading
from vpp_gateway.portfolio.availability import SiteNow
from vpp_gateway.portfolio.forecast import ForecastSource, course_w
from vpp_gateway.portfolio.timeline import Bound, InForce, Timeline
from vpp_gateway.portfolio.wear import wear_prices

AskedOf = Callable[[InForce], float | None]
"""A demand as regulation against the baseline, W; None while that cannot be known (`dispatch.allocation.asked_of_w`)."""
MARK_LEAST_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Armed:
    """A product that may be called at any moment of its time."""

    product: str
    sites: tuple[SiteId, ...]
    start_at: float
    """UTC (Unix s)."""
    end_at: float
    down_w: float
    up_w: float
    bridge_s: float
    """10 for a primary reserve, 300 for a secondary one: so long batteries carry it alone."""


def work_of(
    offer: Offer,
    now: float,
    *,
    share: float = 0.0,
    called_s: float = 0.0,
    owed_wh: float = 0.0,
    dwell_s: float | None = None,
    renewed: bool = False,
) -> Work:
    """An offer as the rolling plan sees it.

    Args:
        offer: As its plug-in promises it.
        now: UTC (Unix s).
        share: Of it that is real at the meter, 0..1.
        called_s: How long that share stands.
        owed_wh: What earlier shifts of it still owe, Wh at the larger leg.
        dwell_s: How long it stays at least, s; None = by the word of its plug-in.
        renewed: Its plug-in is taken to offer it again and again; else it can begin only while it is valid.
    """
    legs = tuple(MoveLeg(site=leg.site, regulation_w=regulation_of(leg.import_delta_w)) for leg in offer.legs)
    shifted_wh = max((abs(leg.regulation_w) for leg in legs), default=0.0) * offer.sustain_s / 3600.0
    return Work(
        offer=offer.id,
        tier=WORKLOAD,
        legs=legs,
        cost=offer.cost,
        latency_s=max((leg.latency_s for leg in offer.legs), default=0.0),
        sustain_s=offer.sustain_s,
        dwell_s=offer.min_dwell_s if dwell_s is None else dwell_s,
        share=share,
        called_s=called_s,
        start_within_s=None if renewed else max(0.0, offer.valid_until - now),
        rebound=offer.rebound_wh / shifted_wh if shifted_wh > 0 else 0.0,
        rebound_within_s=offer.rebound_within_s,
        owed_wh=owed_wh,
    )


def marks_s(
    timeline: Timeline, latencies_s: Iterable[float], armed: Iterable[Armed], now: float, until: float
) -> tuple[float, ...]:
    """Moments from now on at which something changes: edges for `optimise.step_grid.step_lengths`, s.

    Args:
        latencies_s: Of the work.
        until: UTC (Unix s): what instructions change later is left out.
    """
    moments = [*timeline.changes_in(now, until)]
    moments += [moment for product in armed for moment in (product.start_at, product.end_at)]
    found = {moment - now for moment in moments if moment > now} | set(latencies_s)
    return tuple(sorted(mark for mark in found if mark >= MARK_LEAST_S))


def middles(now: float, lengths_s: Sequence[float]) -> Iterator[float]:
    """The middle of each step, UTC (Unix s): what rules and binds there is taken to do so in all of it."""
    for length in lengths_s:
        yield now + length / 2.0
        now += length


def outlook(
    id: str,
    now: float,
    lengths_s: Sequence[float],
    *,
    sites: Iterable[SiteNow],
    timeline: Timeline,
    asked_w: AskedOf,
    forecasts: ForecastSource,
    works: Sequence[Work] = (),
    armed: Sequence[Armed] = (),
    tiers: tuple[TierName, ...],
    bridge_s: float = 300.0,
    wanted_soc: float = 0.5,
    ramp_w_per_s: Mapping[str, float] | None = None,
    prices: Prices | None = None,
) -> HorizonProblem:
    """The problem of the coming `lengths_s`.

    Args:
        id: Of the problem.
        now: UTC (Unix s): the first step begins.
        lengths_s: Of the steps.
        sites: What is known of each site now.
        timeline: Accepted instructions; a battery that one of them rules alone meanwhile is not planned with.
        asked_w: What a demand asks of the sites that it rules.
        forecasts: Asked first; a site without a forecast goes on as now, one that is not heard either is left out.
        works: Offers, see `work_of`.
        armed: Products that may be called.
        tiers: Order of call.
        bridge_s: How long the batteries of an instruction could carry it alone at any time.
        wanted_soc: Where batteries should stand after the plan, 0..1.
        ramp_w_per_s: Of batteries that are slower than a step, by device.
        prices: What is weighed.
    """
    known = tuple(sites)
    moments = tuple(middles(now, lengths_s))
    ramps = ramp_w_per_s or {}
    wear = wear_prices(battery for site in known for battery in site.site.batteries)
    apart = {device for at in moments for row in timeline.at(at) for device in row.devices}
    limits = [timeline.bounds_at(at) for at in moments]
    return HorizonProblem(
        id=id,
        at=now,
        lengths_s=tuple(lengths_s),
        tiers=tiers,
        asked=tuple(_asked(timeline, moments, asked_w, bridge_s)),
        stores=tuple(
            _store(
                site.site.id, battery, reading, wanted_soc, ramps.get(battery.id), wear.get(battery.id, 1.0)
            )
            for site in known
            for battery in site.site.batteries
            if battery.id not in apart
            if (reading := site.usable.get(battery.id)) is not None
        ),
        works=tuple(works),
        connections=tuple(
            connection
            for site in known
            if (connection := _connection(site, limits, now, lengths_s, forecasts)) is not None
        ),
        reserves=tuple(_reserve(product, moments) for product in armed),
        prices=prices or Prices(),
    )


def _asked(
    timeline: Timeline, moments: Sequence[float], asked_w: AskedOf, bridge_s: float
) -> Iterator[Asked]:
    """One row per instruction and set of sites that it rules."""
    rows: dict[tuple[InstructionId, tuple[SiteId, ...]], list[float | None]] = {}
    for t, at in enumerate(moments):
        for row in timeline.at(at):
            if row.sites:
                key = (row.instruction.id, row.sites)
                rows.setdefault(key, [None] * len(moments))[t] = asked_w(row)
    for (instruction, sites), course in rows.items():
        if any(w is not None for w in course):
            yield Asked(instruction=instruction, sites=sites, regulation_w=tuple(course), bridge_s=bridge_s)


def _store(
    site: SiteId,
    battery: Battery,
    reading: BatteryReading,
    wanted_soc: float,
    ramp: float | None,
    cost: float,
) -> Store:
    floor, ceiling = max(battery.soc_min, reading.soc_min), min(battery.soc_max, reading.soc_max)
    return Store(
        id=battery.id,
        site=site,
        tier=BATTERY,
        discharge_max_w=min(battery.discharge_max_w, max(reading.discharge_room_w, 0.0)),
        charge_max_w=min(battery.charge_max_w, max(reading.charge_room_w, 0.0)),
        stored_wh=reading.soc * battery.energy_wh,
        stored_min_wh=floor * battery.energy_wh,
        stored_max_wh=ceiling * battery.energy_wh,
        stored_wanted_wh=wanted_soc * battery.energy_wh,
        discharge_efficiency=battery.efficiency,
        charge_efficiency=battery.efficiency,
        discharge_w=reading.discharge_w,
        ramp_w_per_s=ramp,
        cost=cost,
    )


def _connection(
    site: SiteNow,
    limits: Sequence[Sequence[Bound]],
    now: float,
    lengths_s: Sequence[float],
    forecasts: ForecastSource,
) -> Connection | None:
    place = site.site
    load = course_w(forecasts, place.id, "load", now, lengths_s)
    pv = course_w(forecasts, place.id, "pv", now, lengths_s)
    if load is None:
        # What the meter shows without our batteries has the sun in it already.
        if site.load_w is None or not math.isfinite(site.load_w):
            return None
        load, pv = (site.load_w,) * len(limits), None
    imports, exports = [], []
    for in_force in limits:
        bounds = [b for b in in_force if (b.site, b.device) == (place.id, None)]
        imports.append(
            min([place.import_max_w, *(b.import_max_w for b in bounds if b.import_max_w is not None)])
        )
        exports.append(
            min([place.export_max_w, *(b.export_max_w for b in bounds if b.export_max_w is not None)])
        )
    return Connection(
        site=place.id,
        load_w=load,
        pv_w=pv or (0.0,) * len(limits),
        import_max_w=tuple(imports),
        export_max_w=tuple(exports),
    )


def _reserve(product: Armed, moments: Sequence[float]) -> Reserve:
    def course(w: float) -> tuple[float, ...]:
        return tuple(w if product.start_at <= at < product.end_at else 0.0 for at in moments)

    return Reserve(
        product=product.product,
        sites=product.sites,
        down_w=course(product.down_w),
        up_w=course(product.up_w),
        bridge_s=product.bridge_s,
    )
