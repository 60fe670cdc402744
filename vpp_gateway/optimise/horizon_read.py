"""From the optimum of the horizon program back to words: the plan, what is handed to the allocation, and what bound."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vpp_gateway.domain.fleet import TierName
from vpp_gateway.domain.horizon import (
    Asked,
    ConnectionPlan,
    HorizonPlan,
    HorizonProblem,
    Series,
    Shortfall,
    StorePlan,
    TierCap,
    WorkPlan,
)
from vpp_gateway.domain.plan import Reason
from vpp_gateway.optimise.blocks import Floats, Index, Optimum, Rows
from vpp_gateway.optimise.horizon_model import Model
from vpp_gateway.optimise.horizon_stores import KILO

NOTHING_KW = 1e-6
"""Less than a milliwatt is the solver's tolerance."""
DEAR = 0.05
"""A marginal of this share of the price of the shortfall, or more, holds the shortfall up."""


def read(
    model: Model, optimum: Optimum, asked_for: HorizonProblem, refused: tuple[Reason, ...]
) -> HorizonPlan:
    """The plan of an optimum, spread from the cells of `model` over the steps of the problem that was asked."""
    problem, x, of_step = model.problem, optimum.x, model.cells.of_step

    def spread(values: Floats, unit: float = KILO) -> Series:
        """One value a step, rid of the solver's dust."""
        values = np.where(np.abs(values) < NOTHING_KW * 1e-3, 0.0, values)[..., of_step]
        return tuple((values * unit).tolist())

    floors, ceilings = _kept_back(model, x)
    stored = _stored(model, x)
    return HorizonPlan(
        problem=problem.id,
        at=problem.at,
        lengths_s=asked_for.lengths_s,
        method="highs",
        stores=tuple(
            StorePlan(
                id=store.id,
                site=store.site,
                tier=store.tier,
                discharge_w=spread(x[model.stores.out[b]] - x[model.stores.into[b]]),
                stored_wh=tuple((stored[b] * KILO).tolist()),
                floor_wh=spread(floors[b]),
                ceiling_wh=spread(ceilings[b]),
            )
            for b, store in enumerate(problem.stores)
        ),
        works=tuple(
            WorkPlan(
                offer=work.offer,
                tier=work.tier,
                share=spread(_called(model, x)[w], 1.0),
                rebound=spread(_back(model, x, w), 1.0),
            )
            for w, work in enumerate(problem.works)
        ),
        connections=tuple(_connections(model, x, asked_for)),
        caps=tuple(
            TierCap(
                instruction=asked.instruction,
                sites=asked.sites,
                tier=tier,
                regulation_w=tuple(
                    None if w is None else cap for w, cap in zip(asked.regulation_w, spread(kw), strict=True)
                ),
            )
            for asked in asked_for.asked
            for tier, kw in _carried(model, x, asked)
        ),
        shortfalls=tuple(
            Shortfall(instruction=asked.instruction, sites=asked.sites, regulation_w=spread(short))
            for asked, short in zip(problem.asked, _shortfalls(model, x), strict=True)
        ),
        reserve_missing_w=tuple((product, spread(kw)) for product, kw in _missing(model, x)),
        binding=tuple(_binding(model, optimum)),
        refused=refused,
        cost=optimum.cost + model.works.constant,
    )


def _stored(model: Model, x: Floats) -> Floats:
    """Energy of each battery at the end of each step, kWh: inside a cell it goes straight from end to end."""
    now = np.array([[store.stored_wh / KILO] for store in model.problem.stores]).reshape(-1, 1)
    ends = x[model.stores.stored]
    begins = np.concatenate([now, ends[:, :-1]], axis=1)
    of_step = model.cells.of_step
    stored: Floats = begins[:, of_step] + model.cells.part * (ends - begins)[:, of_step]
    return stored


def _called(model: Model, x: Floats) -> Floats:
    called: Floats = np.clip(x[model.works.called], 0.0, 1.0)
    return called


def _back(model: Model, x: Floats, w: int) -> Floats:
    return x[model.works.back[w]] if w in model.works.back else np.zeros(model.cells.count)


def _kept_back(model: Model, x: Floats) -> tuple[Floats, Floats]:
    """Floor and ceiling of each battery: its window, the shares of armed products, and its part of the bridges."""
    stores = model.stores
    shape = stores.out.shape
    floors = np.broadcast_to(stores.least[:, None], shape).copy()
    ceilings = np.broadcast_to(stores.most[:, None], shape).copy()
    look_of = np.searchsorted(stores.looks, np.arange(model.cells.count))
    for kept in stores.kept:
        factor = -1.0 / stores.out_efficiency if kept.down else stores.in_efficiency
        full = np.zeros((shape[0], len(stores.looks)))
        full[np.ix_(kept.batteries, kept.looks)] = x[kept.share] * kept.bridge_h
        back = full[:, look_of] * factor[:, None]
        floors, ceilings = (floors - back, ceilings) if kept.down else (floors, ceilings - back)
    for bridge in stores.bridges:
        # Nobody says which battery bridges: each its part of what they have. What is there already for a product
        # counts as well, the two are not called at once.
        need, down = np.zeros(len(stores.looks)), np.zeros(len(stores.looks), dtype=bool)
        need[bridge.looks], down[bridge.looks] = bridge.need_kwh, bridge.down
        need, down = need[look_of], down[look_of]
        rows = bridge.batteries
        stored, least, most = x[stores.stored[rows]], stores.least[rows, None], stores.most[rows, None]
        out, into = stores.out_efficiency[rows, None], stores.in_efficiency[rows, None]
        room = np.maximum(0.0, np.where(down, (stored - least) * out, (most - stored) / into))
        total = room.sum(axis=0)
        share = np.minimum(1.0, need / np.where(total > 0, total, 1.0)) * room
        floors[rows] = np.maximum(floors[rows], np.where(down, least + share / out, least))
        ceilings[rows] = np.minimum(ceilings[rows], np.where(down, most, most - share * into))
    return floors, ceilings


def _connections(model: Model, x: Floats, asked_for: HorizonProblem) -> Iterator[ConnectionPlan]:
    """What each connection carries; the forecast's course inside a cell is put back."""
    rows, of_step = model.connections, model.cells.of_step
    pairs = zip(model.problem.connections, asked_for.connections, strict=True)
    for c, (mean, fine) in enumerate(pairs):
        course = np.array(fine.load_w) - np.array(fine.pv_w)
        course -= (np.array(mean.load_w) - np.array(mean.pv_w))[of_step]
        beyond = x[rows.beyond_import[c]] + x[rows.beyond_export[c]]
        net = x[rows.taken[c]] - x[rows.fed[c]] + x[rows.beyond_import[c]] - x[rows.beyond_export[c]]
        yield ConnectionPlan(
            site=fine.site,
            import_w=tuple((KILO * net[of_step] + course).tolist()),
            curtailed_w=tuple((KILO * x[rows.curtailed[c]][of_step]).tolist()),
            over_limit_w=tuple((KILO * np.where(beyond < NOTHING_KW, 0.0, beyond)[of_step]).tolist()),
        )


def _carried(model: Model, x: Floats, asked: Asked) -> Iterator[tuple[TierName, Floats]]:
    """What each tier carries of one instruction, kW per cell; what returns is nobody's."""
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
        yield tier, total


def _shortfalls(model: Model, x: Floats) -> Iterator[Floats]:
    """kW per instruction and cell; where nothing is asked nothing is missing."""
    for rows in model.asked:
        short = np.zeros(len(model.hours))
        short[rows.steps] = x[rows.short] - x[rows.over]
        yield np.where(np.abs(short) < NOTHING_KW, 0.0, short)


def _missing(model: Model, x: Floats) -> Iterator[tuple[str, Floats]]:
    """kW per product and cell, the worse of its directions."""
    stores = model.stores
    look_of = np.searchsorted(stores.looks, np.arange(model.cells.count))
    for reserve in model.problem.reserves:
        missing = np.zeros(len(model.hours))
        for kept in stores.kept:
            if kept.product == reserve.product:
                here = np.zeros(len(stores.looks))
                here[kept.looks] = x[kept.missing]
                missing = np.maximum(missing, here[look_of])
        yield reserve.product, np.where(missing < NOTHING_KW, 0.0, missing)


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
        if missing.any():
            yield _reason("kept", w=f"{KILO * float(missing.max()):.0f}", product=product)
    for bridge in model.stores.bridges:
        if (x[bridge.missing] > NOTHING_KW).any():
            yield _reason("bridge", instruction=bridge.asked.instruction)
    for w, late in model.works.late.items():
        if (x[late] > NOTHING_KW).any():
            yield _reason("rebound", offer=problem.works[w].offer)
    rows = model.connections
    for c, connection in enumerate(problem.connections):
        beyond = float((x[rows.beyond_import[c]] + x[rows.beyond_export[c]]).max())
        if beyond > NOTHING_KW:
            yield _reason("beyond", site=connection.site, w=f"{KILO * beyond:.0f}")


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
