"""Steps taken together: what needs no resolution of seconds is decided once a cell.

    steps |-|-|-|-|--|--|---|----|-----|-------|---------|-----------|
    cells |  |     |          |        |       |         |           |
              ^ a mark: a latency ends, an instruction begins

Near now the steps are of seconds, for the batteries. Workload, reserves and bridges are decided in cells of a minute or
so, which halves the program. A cell never crosses a mark, so an offer can begin as soon as its latency allows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp_gateway.domain.horizon import HorizonProblem
from vpp_gateway.optimise.blocks import Floats, Index

CELL_S = 60.0


@dataclass(frozen=True, slots=True)
class Cells:
    """Some steps together."""

    of_step: Index
    """Cell of each step."""
    begin: Floats
    """Seconds from the start of the plan."""
    end: Floats
    last: Index
    """Last step of each cell."""

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


def cells(problem: HorizonProblem, cell_s: float = CELL_S) -> Cells:
    """The cells of a problem's steps, each of `cell_s` seconds or a little more, or of one longer step."""
    lengths = np.array(problem.lengths_s, dtype=float)
    edges = np.concatenate([[0.0], np.cumsum(lengths)])
    first = _marks(problem, edges)
    first[0] = True
    of_step = np.zeros(len(lengths), dtype=np.int64)
    cell, since = -1, 0.0
    for t in range(len(lengths)):
        if first[t] or edges[t] - since >= cell_s - 1e-9:
            cell, since = cell + 1, edges[t]
        of_step[t] = cell
    last = np.nonzero(np.append(of_step[1:] != of_step[:-1], True))[0]
    end = edges[last + 1]
    return Cells(of_step=of_step, begin=np.append(0.0, end[:-1]), end=end, last=last)


def _marks(problem: HorizonProblem, edges: Floats) -> np.ndarray:
    """Steps with which a cell must begin."""
    steps = len(edges) - 1
    marks = np.zeros(steps + 1, dtype=bool)
    latencies = np.array([work.latency_s for work in problem.works])
    marks[np.searchsorted(edges, latencies - 1e-9)[latencies <= edges[-1]]] = True
    for asked in problem.asked:
        wanted = [w is not None and w != 0 for w in asked.regulation_w]
        marks[1:steps] |= np.diff(np.array(wanted, dtype=int)) != 0
    for reserve in problem.reserves:
        for row in (reserve.down_w, reserve.up_w):
            marks[1:steps] |= np.diff(np.array(row)) != 0
    return marks[:steps]
