"""The horizon problem as a program: instructions and grid connections, and the blocks of batteries and workload.

This module imports numpy and scipy; only the planner's worker imports it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp_gateway.domain.horizon import HorizonProblem
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.optimise.blocks import Blocks, Floats, Index, Rows
from vpp_gateway.optimise.horizon_cells import Cells
from vpp_gateway.optimise.horizon_stores import KILO, Stores, add_bridges, add_reserves, add_stores
from vpp_gateway.optimise.horizon_works import Works, add_works


@dataclass(frozen=True, slots=True)
class Ladder:
    """Prices per kWh of one problem."""

    tiers: dict[str, float]
    kept: float
    """Reserves and bridges, and work that returns late."""
    asked: float
    hard: float
    """Limits of the connections, and jumps that a ramp does not allow."""


def ladder(problem: HorizonProblem) -> Ladder:
    """The prices, a factor apart."""
    factor, count = problem.prices.tier_factor, len(problem.tiers)
    return Ladder(
        tiers={tier: factor**i for i, tier in enumerate(problem.tiers)},
        kept=factor**count,
        asked=factor ** (count + 1),
        hard=10.0 * factor ** (count + 1),
    )


@dataclass(slots=True)
class AskedRows:
    """Rows of one instruction."""

    steps: Index
    short: Index
    over: Index


@dataclass(slots=True)
class ConnectionRows:
    """Columns of all grid connections, site x step."""

    taken: Index
    fed: Index
    curtailed: Index
    beyond_import: Index
    beyond_export: Index


@dataclass(slots=True)
class Model:
    """A problem as a program."""

    problem: HorizonProblem
    program: Blocks
    hours: Floats
    cells: Cells
    ladder: Ladder
    stores: Stores
    works: Works
    asked: list[AskedRows]
    connections: ConnectionRows


def build(problem: HorizonProblem, cells: Cells) -> Model:
    """The program of a problem that `horizon_checks.clean` has passed, one step a cell."""
    program, prices = Blocks(), ladder(problem)
    hours = np.array(problem.lengths_s, dtype=float) / 3600.0
    stores = add_stores(program, problem, hours, prices.tiers, prices.hard)
    works = add_works(program, problem, cells, prices.tiers, prices.kept)
    asked = _add_asked(program, problem, hours, stores, works, prices.asked)
    connections = _add_connections(program, problem, hours, stores, works, prices.hard)
    add_reserves(program, problem, stores, cells, prices.kept)
    add_bridges(program, problem, stores, cells, prices.kept)
    return Model(
        problem=problem,
        program=program,
        hours=hours,
        cells=cells,
        ladder=prices,
        stores=stores,
        works=works,
        asked=asked,
        connections=connections,
    )


def _add_asked(
    program: Blocks, problem: HorizonProblem, hours: Floats, stores: Stores, works: Works, price: float
) -> list[AskedRows]:
    found = []
    for asked in problem.asked:
        steps = np.array([t for t, w in enumerate(asked.regulation_w) if w is not None], dtype=np.int64)
        want = np.array([w for w in asked.regulation_w if w is not None]) / KILO
        rows = program.equal(want)
        short = program.columns((steps.size,), 0.0, np.inf, price * hours[steps])
        over = program.columns((steps.size,), 0.0, np.inf, price * hours[steps])
        program.put(rows, short, 1.0)
        program.put(rows, over, -1.0)
        _put_resources(program, rows, asked.sites, stores, works, steps, 1.0)
        found.append(AskedRows(steps=steps, short=short, over=over))
    return found


def _put_resources(
    program: Blocks,
    rows: Rows,
    sites: tuple[SiteId, ...],
    stores: Stores,
    works: Works,
    steps: Index,
    sign: float,
) -> None:
    """Regulation of all batteries and offers of some sites into one row a step."""
    batteries = stores.at(sites)
    if batteries.size:
        at = np.ix_(batteries, steps)
        program.put(rows, stores.out[at], sign)
        program.put(rows, stores.into[at], -sign)
    for w, legs in enumerate(works.legs):
        kw = sum(value for site, value in legs.items() if site in sites)
        if kw:
            program.put(rows, works.called[w][steps], sign * kw)
            if w in works.back:
                program.put(rows, works.back[w][steps], -sign * kw)


def _add_connections(
    program: Blocks, problem: HorizonProblem, hours: Floats, stores: Stores, works: Works, hard: float
) -> ConnectionRows:
    shape = (len(problem.connections), len(hours))

    def series(name: str) -> Floats:
        rows = [getattr(connection, name) for connection in problem.connections]
        return np.array(rows, dtype=float).reshape(shape) / KILO

    pv, surplus = series("pv_w"), problem.prices.surplus * hours
    columns = ConnectionRows(
        taken=program.columns(shape, 0.0, series("import_max_w")),
        fed=program.columns(shape, 0.0, series("export_max_w"), surplus),
        curtailed=program.columns(shape, 0.0, pv, surplus),
        beyond_import=program.columns(shape, 0.0, np.inf, hard * hours),
        beyond_export=program.columns(shape, 0.0, np.inf, hard * hours),
    )
    rows = program.equal(pv - series("load_w"))
    program.put(rows, columns.taken, -1.0)
    program.put(rows, columns.beyond_import, -1.0)
    program.put(rows, columns.fed, 1.0)
    program.put(rows, columns.beyond_export, 1.0)
    program.put(rows, columns.curtailed, 1.0)
    every = np.arange(shape[1])
    for c, connection in enumerate(problem.connections):
        _put_resources(program, rows[c], (connection.site,), stores, works, every, -1.0)
    return columns
