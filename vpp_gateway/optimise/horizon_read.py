"""From the optimum of the horizon program back to words: the plan, what is handed to the allocation, and what bound."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vpp_gateway.domain.horizon import (
    Asked,
    ConnectionPlan,
    HorizonPlan,
    ReboundPlan,
    Series,
    Shortfall,
    StorePlan,
    TierCap,
    WorkPlan,
)
from vpp_gateway.domain.plan import Reason
from vpp_gateway.optimise.blocks import Floats, Index, Optimum, Rows
from vpp_gateway.optimise.horizon import Model
from vpp_gateway.optimise.horizon_stores import KILO

NOTHING_KW = 1e-6
"""Less than a milliwatt is the solver's tolerance."""
DEAR = 0.05
"""A marginal of this share of the price of the shortfall, or more, holds the shortfall up."""


def read(model: Model, optimum: Optimum, refused: tuple[Reason, ...]) -> HorizonPlan:
    """The plan of an optimum."""
    problem, x = model.problem, optimum.x
    floors, ceilings = _kept_back(model, x)
    return HorizonPlan(
        problem=problem.id,
        at=problem.at,
        lengths_s=problem.lengths_s,
        method="highs",
        stores=tuple(
            StorePlan(
                id=store.id,
                site=store.site,
                tier=store.tier,
                discharge_w=_series(x[model.stores.out[b]] - x[model.stores.into[b]]),
                stored_wh=_series(x[model.stores.stored[b]]),
                floor_wh=_series(floors[b]),
                ceiling_wh=_series(ceilings[b]),
            )
            for b, store in enumerate(problem.stores)
        ),
        works=tuple(
            WorkPlan(
                offer=work.offer,
                tier=work.tier,
                share=_series(_called(model, x)[w], 1.0),
            )
            for w, work in enumerate(problem.works)
        ),
        connections=tuple(_connections(model, x)),
        rebounds=tuple(
            ReboundPlan(
                site=site,
                offers=tuple(problem.works[w].offer for w in account.works),
                import_w=_series(x[account.back] * share),
            )
            for account in model.works.accounts
            for site, share in account.unit.items()
        ),
        caps=tuple(cap for asked in problem.asked for cap in _caps(model, x, asked)),
        shortfalls=tuple(
            Shortfall(instruction=asked.instruction, regulation_w=_series(short))
            for asked, short in zip(problem.asked, _shortfalls(model, x), strict=True)
        ),
        reserve_missing_w=tuple(_missing(model, x)),
        binding=tuple(_binding(model, optimum)),
        refused=refused,
        cost=optimum.cost + model.works.constant,
    )


def _series(values: Floats, unit: float = KILO) -> Series:
    """One value a step, rid of the solver's dust."""
    values = np.where(np.abs(values) < NOTHING_KW * 1e-3, 0.0, values)
    return tuple((values * unit).tolist())


def _called(model: Model, x: Floats) -> Floats:
    called: Floats = np.clip(x[model.works.called], 0.0, 1.0)
    return called


def _kept_back(model: Model, x: Floats) -> tuple[Floats, Floats]:
    """Floor and ceiling of each battery: its window, the shares of armed products, and its part of the bridges."""
    stores = model.stores
    shape = stores.out.shape
    floors = np.broadcast_to(stores.least[:, None], shape).copy()
    ceilings = np.broadcast_to(stores.most[:, None], shape).copy()
    of_step = model.cells.of_step
    for kept in stores.kept:
        factor = -1.0 / stores.out_efficiency if kept.down else stores.in_efficiency
        full = np.zeros((shape[0], model.cells.count))
        full[np.ix_(kept.batteries, kept.cells)] = x[kept.share] * kept.bridge_h
        back = full[:, of_step] * factor[:, None]
        floors, ceilings = (floors - back, ceilings) if kept.down else (floors, ceilings - back)
    for bridge in stores.bridges:
        # Nobody says which battery bridges: each its part of what they have. What is there already for a product
        # counts as well, the two are not called at once.
        need, down = np.zeros(model.cells.count), np.zeros(model.cells.count, dtype=bool)
        need[bridge.cells], down[bridge.cells] = bridge.need_kwh, bridge.down
        need, down = need[of_step], down[of_step]
        rows = bridge.batteries
        stored, least, most = x[stores.stored[rows]], stores.least[rows, None], stores.most[rows, None]
        out, into = stores.out_efficiency[rows, None], stores.in_efficiency[rows, None]
        room = np.maximum(0.0, np.where(down, (stored - least) * out, (most - stored) / into))
        total = room.sum(axis=0)
        share = np.minimum(1.0, need / np.where(total > 0, total, 1.0)) * room
        floors[rows] = np.maximum(floors[rows], np.where(down, least + share / out, least))
        ceilings[rows] = np.minimum(ceilings[rows], np.where(down, most, most - share * into))
    return floors, ceilings


def _connections(model: Model, x: Floats) -> Iterator[ConnectionPlan]:
    rows = model.connections
    for c, connection in enumerate(model.problem.connections):
        over_import, over_export = x[rows.beyond_import[c]], x[rows.beyond_export[c]]
        yield ConnectionPlan(
            site=connection.site,
            import_w=_series(x[rows.taken[c]] + over_import - x[rows.fed[c]] - over_export),
            curtailed_w=_series(x[rows.curtailed[c]]),
            over_limit_w=_series(over_import + over_export),
        )


def _caps(model: Model, x: Floats, asked: Asked) -> Iterator[TierCap]:
    """What each tier carries of one instruction."""
    problem, called = model.problem, _called(model, x)
    for tier in problem.tiers:
        total = np.zeros(len(model.hours))
        for b, store in enumerate(problem.stores):
            if store.tier == tier and store.site in asked.sites:
                total += x[model.stores.out[b]] - x[model.stores.into[b]]
        for w, (work, legs) in enumerate(zip(problem.works, model.works.legs, strict=True)):
            if work.tier == tier:
                kw = sum(value for site, value in legs.items() if site in asked.sites)
                total += kw * called[w]
        yield TierCap(instruction=asked.instruction, tier=tier, regulation_w=_series(total))


def _shortfalls(model: Model, x: Floats) -> Iterator[Floats]:
    """kW per instruction and step; where nothing is asked nothing is missing."""
    for rows in model.asked:
        short = np.zeros(len(model.hours))
        short[rows.steps] = x[rows.short] - x[rows.over]
        yield np.where(np.abs(short) < NOTHING_KW, 0.0, short)


def _missing(model: Model, x: Floats) -> Iterator[tuple[str, Series]]:
    """kW per product and step, the worse of its directions."""
    for reserve in model.problem.reserves:
        missing = np.zeros(len(model.hours))
        for kept in model.stores.kept:
            if kept.product == reserve.product:
                here = np.zeros(model.cells.count)
                here[kept.cells] = x[kept.missing]
                missing = np.maximum(missing, here[model.cells.of_step])
        yield reserve.product, _series(np.where(missing < NOTHING_KW, 0.0, missing))


def _binding(model: Model, optimum: Optimum) -> Iterator[Reason]:
    """What is missing, and what holds it up."""
    problem, x = model.problem, optimum.x
    begins = np.concatenate([[0.0], np.cumsum(model.hours * 3600.0)])
    any_short = False
    for asked, short in zip(problem.asked, _shortfalls(model, x), strict=True):
        at = np.nonzero(short)[0]
        if at.size:
            any_short = True
            yield _reason(
                "missing",
                w=f"{KILO * float(np.abs(short).max()):.0f}",
                instruction=asked.instruction,
                after_s=f"{begins[at[0]]:.0f}",
            )
            if not _any_resource(model, asked):
                yield _reason("no_resources", sites=", ".join(asked.sites))
    if any_short:
        yield from _limits(model, optimum)
    for product, missing in _missing(model, x):
        if any(missing):
            yield _reason("kept", w=f"{max(missing):.0f}", product=product)
    for bridge in model.stores.bridges:
        if (x[bridge.missing] > NOTHING_KW).any():
            yield _reason("bridge", instruction=bridge.asked.instruction)
    for account in model.works.accounts:
        if (x[account.late] > NOTHING_KW).any():
            offers = ", ".join(problem.works[w].offer for w in account.works)
            yield _reason("rebound", offers=offers)
    for plan in _connections(model, x):
        if max(plan.over_limit_w) > KILO * NOTHING_KW:
            yield _reason("beyond", site=plan.site, w=f"{max(plan.over_limit_w):.0f}")


def _any_resource(model: Model, asked: Asked) -> bool:
    legs = any(site in asked.sites for legs in model.works.legs for site in legs)
    return legs or any(store.site in asked.sites for store in model.problem.stores)


def _limits(model: Model, optimum: Optimum) -> Iterator[Reason]:
    """Bounds and rows whose marginal is of the size of the shortfall's price."""
    problem, stores, works = model.problem, model.stores, model.works
    energy = DEAR * model.ladder.asked
    power = energy * model.hours

    def upper(columns: Index, least: Floats | float) -> bool:
        return bool((-optimum.upper[columns] > least).any())

    def row(rows: Rows, least: Floats | float) -> bool:
        marginals = optimum.equal if rows.equal else optimum.at_most
        return bool((-marginals[rows.number] > least).any())

    for b, store in enumerate(problem.stores):
        if upper(stores.out[b], power):
            yield _reason("empty" if stores.only_in[b] else "discharge", device=store.id, site=store.site)
        if upper(stores.into[b], power):
            yield _reason("full" if stores.only_out[b] else "charge", device=store.id, site=store.site)
        if bool((optimum.lower[stores.stored[b]] > energy).any()):
            yield _reason("empty", device=store.id, site=store.site)
        if upper(stores.stored[b], energy):
            yield _reason("full", device=store.id, site=store.site)
        if b in stores.ramps and row(stores.ramps[b], float(power.min())):
            yield _reason("ramp", device=store.id, site=store.site)
    for w, work in enumerate(problem.works):
        size = float(works.size[w])
        if upper(works.called[w], power * size):
            yield _reason("called", offer=work.offer)
        if any(row(rows, float(power.min()) * size) for rows in works.times.get(w, ())):
            yield _reason("time", offer=work.offer)
        if w in works.budget and row(works.budget[w], energy * size):
            yield _reason("energy", offer=work.offer)
    for c, connection in enumerate(problem.connections):
        if upper(model.connections.taken[c], power):
            yield _reason("import", site=connection.site)
        if upper(model.connections.fed[c], power):
            yield _reason("export", site=connection.site)


def _reason(code: str, **values: str) -> Reason:
    return Reason(code=f"bind.{code}", values=tuple(values.items()))
