"""Steps taken together: where nothing changes from step to step, the optimum need not change either.

    steps |-|-|-|-|--|--|---|----|-----|-------|---------|-----------|
    cells |  |     |          |        |       |         |           |
              ^ an offer's latency ends      ^ an instruction begins

Near now the steps are of seconds, so that latencies and starts fall on an edge. Between two such edges everything that
is asked is constant, and of any plan the mean over the cell is a plan as well, which costs the same: energies at the
cell's end are equal, those inside it lie between its ends, and every row is linear. So the program has one column a
cell, and the plan that it gives is spread over the steps again. Forecasts are averaged over the cell; a battery's ramp
is told from the middle of one cell to the middle of the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vpp_gateway.domain.horizon import Asked, Connection, HorizonProblem, Reserve, Series, Work
from vpp_gateway.optimise.blocks import Floats, Index

CELL_S = 120.0
"""Steps are taken together until a cell is so long; a longer step is a cell of its own."""
LOOK_S = 300.0
"""What is kept back is looked at so often, beside the edges of what is asked: stored energy is slow."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Which steps stand together."""

    of_step: Index
    """Cell of each step."""
    part: Floats
    """Share of its cell that has passed at the end of each step."""
    begin: Floats
    """Begin of each cell, seconds from the start of the plan."""
    end: Floats
    edge: NDArray[np.bool_]
    """Cells with which something begins or ends that is asked or armed."""

    @property
    def count(self) -> int:
        return len(self.begin)

    @property
    def hours(self) -> Floats:
        hours: Floats = (self.end - self.begin) / 3600.0
        return hours

    def ended_by(self, moment: Floats) -> Index:
        """The last cell that has ended by each moment; -1 where none has."""
        return np.searchsorted(self.end, moment + 1e-9, side="right") - 1

    def looks(self, look_s: float = LOOK_S) -> Index:
        """Cells at whose end reserves and bridges are looked at."""
        chosen, since = [], 0.0
        for k in range(self.count):
            if k + 1 == self.count or self.edge[k + 1] or self.end[k] - since >= look_s:
                chosen.append(k)
                since = float(self.end[k])
        return np.array(chosen, dtype=np.int64)


def together(problem: HorizonProblem, cell_s: float = CELL_S) -> tuple[HorizonProblem, Cells]:
    """The same problem with one step a cell, and which steps these are."""
    lengths = np.array(problem.lengths_s, dtype=float)
    edges = np.concatenate([[0.0], np.cumsum(lengths)])
    edge = _edges(problem)
    first = edge.copy()
    latencies = np.array([work.latency_s for work in problem.works])
    soonest = np.searchsorted(edges, latencies - 1e-9)
    first[soonest[soonest < len(lengths)]] = True
    of_step = np.zeros(len(lengths), dtype=np.int64)
    cell, since = -1, 0.0
    for t in range(len(lengths)):
        if t == 0 or first[t] or edges[t + 1] - since > cell_s + 1e-9:
            cell, since = cell + 1, edges[t]
        of_step[t] = cell
    starts = np.nonzero(np.append(True, of_step[1:] != of_step[:-1]))[0]
    begin, end = edges[starts], np.append(edges[starts[1:]], edges[-1])
    cells = Cells(
        of_step=of_step,
        part=(edges[1:] - begin[of_step]) / (end - begin)[of_step],
        begin=begin,
        end=end,
        edge=edge[starts],
    )
    if cells.count == len(lengths):
        return problem, cells
    return _lumped(problem, cells, lengths, starts), cells


def _lumped(problem: HorizonProblem, cells: Cells, lengths: Floats, starts: Index) -> HorizonProblem:
    weight = lengths / (cells.end - cells.begin)[cells.of_step]

    def mean(row: Sequence[float]) -> Series:
        return tuple(np.add.reduceat(weight * np.array(row), starts).tolist())

    def connection(one: Connection) -> Connection:
        return replace(
            one,
            load_w=mean(one.load_w),
            pv_w=mean(one.pv_w),
            import_max_w=mean(one.import_max_w),
            export_max_w=mean(one.export_max_w),
        )

    def work(one: Work) -> Work:
        least = np.minimum.reduceat(np.array(one.share_max), starts) if one.share_max else None
        return one if least is None else replace(one, share_max=tuple(least.tolist()))

    def asked(one: Asked) -> Asked:
        return replace(one, regulation_w=tuple(one.regulation_w[t] for t in starts.tolist()))

    def reserve(one: Reserve) -> Reserve:
        pick = starts.tolist()
        return replace(one, down_w=tuple(one.down_w[t] for t in pick), up_w=tuple(one.up_w[t] for t in pick))

    return replace(
        problem,
        lengths_s=tuple((cells.end - cells.begin).tolist()),
        connections=tuple(map(connection, problem.connections)),
        works=tuple(map(work, problem.works)),
        asked=tuple(map(asked, problem.asked)),
        reserves=tuple(map(reserve, problem.reserves)),
    )


def _edges(problem: HorizonProblem) -> NDArray[np.bool_]:
    """Steps with which something changes that is asked or armed."""
    edge = np.zeros(len(problem.lengths_s), dtype=bool)
    rows = [
        *([np.nan if w is None else w for w in asked.regulation_w] for asked in problem.asked),
        *(row for reserve in problem.reserves for row in (reserve.down_w, reserve.up_w)),
    ]
    for row in rows:
        values = np.array(row)
        same = (values[1:] == values[:-1]) | (np.isnan(values[1:]) & np.isnan(values[:-1]))
        edge[1:] |= ~same
    return edge
