"""Offers of workload as blocks of the horizon program: latency, dwell, longest hold, energy, ramp, and the rebound.

Columns per offer and cell (steps taken together, `optimise.horizon_cells`): `called`, the share that is real at the
meter, and `begun`, the share that begins with the cell.

    called |         ______                 rises only by what begins:      called[k] - called[k-1] <= begun[k]
           |   _____|      |___             no part ends within its dwell:  called[k] >= sum of begun, a dwell back
           |__|                |____        no part stays too long:         called[k] <= sum of begun, a hold back
              |<dwell>|
              |<  longest hold >|           and each part is used once:     sum(begun) <= 1

Whole steps of an offer are the allocation's affair; here a share is a number between 0 and 1.

What was shifted comes back, in hours of the full legs:

    shifted[before the delay and the time to return] - what may still be held  <=  returned  <=  shifted[before the delay]
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vpp_gateway.domain.horizon import HorizonProblem, Work
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.optimise.blocks import Blocks, Floats, Index, Rows
from vpp_gateway.optimise.horizon_cells import Cells

KILO = 1000.0
COST_LEAST, COST_MOST = 0.1, 10.0
"""Relative costs beyond these would leave the tier."""

Mask = NDArray[np.bool_]


@dataclass(slots=True)
class Works:
    """Columns of all offers."""

    called: Index
    """Share that is real at the meter, offer x cell."""
    size: Floats
    """kW of the larger leg."""
    legs: list[dict[SiteId, float]]
    """kW of regulation per site and offer."""
    back: dict[int, Index] = field(default_factory=dict)
    """Number of an offer -> columns of its return, share of the legs, one a cell."""
    late: dict[int, Index] = field(default_factory=dict)
    """Number of an offer -> columns of what should have returned and has not."""
    times: dict[int, list[Rows]] = field(default_factory=dict)
    """Number of an offer -> its rows of dwell, longest hold and ramp."""
    budget: dict[int, Rows] = field(default_factory=dict)
    constant: float = 0.0
    """Part of the cost that no decision changes."""


def add_works(
    program: Blocks, problem: HorizonProblem, cells: Cells, tier_price: dict[str, float], late_price: float
) -> Works:
    """Offers with their bounds in time."""
    works = problem.works
    legs: list[dict[SiteId, float]] = []
    for work in works:
        here: dict[SiteId, float] = {}
        for leg in work.legs:
            here[leg.site] = here.get(leg.site, 0.0) + leg.regulation_w / KILO
        legs.append(here)
    size = np.array([max(abs(kw) for kw in here.values()) for here in legs])
    cost = np.clip(np.array([work.cost for work in works], dtype=float), COST_LEAST, COST_MOST)
    price = np.array([tier_price[work.tier] for work in works]) * cost * size
    must = [_must_stay(work, cells) for work in works]
    upper = np.array([_upper(work, cells, held) for work, held in zip(works, must, strict=True)])
    shape = (len(works), cells.count)
    called = program.columns(shape, 0.0, upper.reshape(shape), price[:, None] * cells.hours)
    made = Works(called=called, size=size, legs=legs)
    for w, work in enumerate(works):
        made.times[w] = _add_times(program, work, called[w], cells, must[w])
        if work.energy_wh is not None:
            held = float(cells.hours[must[w]].sum()) * work.share
            rows = made.budget[w] = program.at_most([max(work.energy_wh / KILO / float(size[w]), held)])
            program.put(rows, called[w], cells.hours)
        if work.rebound > 0 or work.owed_wh > 0:
            _add_rebound(program, problem, made, w, cells, late_price)
    return made


def _dwell_s(work: Work) -> float:
    return work.dwell_s if work.sustain_s is None else min(work.dwell_s, work.sustain_s)


def _must_stay(work: Work, cells: Cells) -> Mask:
    """Cells that begin before the share called now may end."""
    held: Mask = (cells.begin < _dwell_s(work) - work.called_s) & (work.share > 0)
    return held


def _upper(work: Work, cells: Cells, must: Mask) -> Floats:
    """Most that can be called per cell."""
    upper = np.ones(cells.count)
    if work.share_max:
        upper = np.minimum(upper, work.share_max)
    upper = np.where(must, np.maximum(upper, work.share), upper)
    return np.where(cells.begin < work.latency_s - 1e-9, np.minimum(upper, work.share), upper)


def _add_times(program: Blocks, work: Work, called: Index, cells: Cells, must: Mask) -> list[Rows]:
    """Dwell, longest hold, last start and ramp."""
    rows = [_add_ramp(program, work, called, cells)] if work.ramp_s > 0 else []
    whole = cells.end[-1] + work.called_s
    short = work.sustain_s is not None and work.sustain_s < whole
    if not (_dwell_s(work) > 0 or short or work.start_within_s is not None):
        return rows
    begin, end = cells.begin, cells.end
    may_begin = begin >= work.latency_s - 1e-9
    if work.start_within_s is not None:
        may_begin &= begin <= work.start_within_s
    begun = program.columns((cells.count,), 0.0, np.where(may_begin, 1.0, 0.0))
    rise = program.at_most(np.where(np.arange(cells.count) == 0, work.share, 0.0))
    program.put(rise, called, 1.0)
    program.put(rise[1:], called[:-1], -1.0)
    program.put(rise, begun, -1.0)
    rows.append(rise)
    # Row k, column j: a part that begins with cell j, looked at in cell k.
    past = begin[None, :] <= begin[:, None]
    can_hold = past if work.sustain_s is None else past & (end[:, None] - begin <= work.sustain_s + 1e-9)
    dwells = can_hold & (begin[:, None] < begin + _dwell_s(work) - 1e-9)
    # A cell as long as the dwell needs no row; nor does the longest hold where nothing can have been held so long.
    told = np.nonzero((dwells & ~np.eye(cells.count, dtype=bool)).any(axis=1) | must)[0]
    if told.size:
        k, j = np.nonzero(dwells[told])
        stay = program.at_most(np.where(must[told], -work.share, 0.0))
        program.put(stay, called[told], -1.0)
        program.put(stay[k], begun[j], 1.0)
        rows.append(stay)
    if work.sustain_s is not None and short:
        old = (end + work.called_s <= work.sustain_s + 1e-9) | must
        told = np.nonzero((can_hold != past).any(axis=1) | (~old & (work.share > 0)))[0]
        k, j = np.nonzero(can_hold[told])
        ends = program.at_most(np.where(old, work.share, 0.0)[told])
        program.put(ends, called[told], 1.0)
        program.put(ends[k], begun[j], -1.0)
        once = program.at_most([1.0 - work.share])
        program.put(once, begun, 1.0)
        rows += [ends, once]
    return rows


def _add_ramp(program: Blocks, work: Work, called: Index, cells: Cells) -> Rows:
    """Work takes its time to begin; it may end at once."""
    reach = cells.hours * 3600.0 / work.ramp_s
    binds = np.nonzero(reach < 1.0)[0]
    rows = program.at_most(reach[binds] + np.where(binds == 0, work.share, 0.0))
    program.put(rows, called[binds], 1.0)
    later = binds > 0
    program.put(rows[later], called[binds[later] - 1], -1.0)
    return rows


def _add_rebound(
    program: Blocks, problem: HorizonProblem, made: Works, w: int, cells: Cells, late_price: float
) -> None:
    """What was shifted returns."""
    work, called, size = problem.works[w], made.called[w], float(made.size[w])
    delay, within = work.rebound_delay_s, work.rebound_within_s
    owed = work.owed_wh / KILO / size
    at_end = np.zeros(cells.count)
    at_end[-1] = problem.prices.owed * size
    earliest = cells.ended_by(cells.end - delay)
    never = (earliest < 0) & (owed <= 0)
    shifted = program.columns((cells.count,), 0.0, np.inf, at_end * work.rebound)
    returned = program.columns((cells.count,), 0.0, np.inf, -at_end)
    back = made.back[w] = program.columns((cells.count,), 0.0, np.where(never, 0.0, work.rebound_max))
    made.constant += float(at_end[-1]) * owed
    for total, flow in ((shifted, called), (returned, back)):
        rows = program.equal(np.zeros(cells.count))
        program.put(rows, total, 1.0)
        program.put(rows[1:], total[:-1], -1.0)
        program.put(rows, flow, -cells.hours)
    open_cells = np.nonzero(~never)[0]
    not_before = program.at_most(np.full(open_cells.size, owed))
    program.put(not_before, returned[open_cells], 1.0)
    known = np.nonzero(earliest[open_cells] >= 0)[0]
    program.put(not_before[known], shifted[earliest[open_cells][known]], -work.rebound)
    # What must have returned: all that ended so long ago. Of what runs on after that moment, no part can have run
    # longer than its longest hold, nor than since it began.
    latest = cells.ended_by(cells.end - delay - within)
    old = (cells.end >= within) & (owed > 0)
    due = np.nonzero((latest >= 0) | old)[0]
    late = made.late[w] = program.columns((due.size,), 0.0, np.inf, late_price * size * cells.hours[due])
    must = program.at_most(np.where(old[due], -owed, 0.0))
    program.put(must, returned[due], -1.0)
    program.put(must, late, -1.0)
    known = np.nonzero(latest[due] >= 0)[0]
    at = latest[due][known]
    longest = np.inf if work.sustain_s is None else work.sustain_s
    since = cells.end[at] + (work.called_s if work.share > 0 else -work.latency_s)
    program.put(must[known], shifted[at], work.rebound)
    still = np.minimum(at + 1, cells.count - 1)
    program.put(must[known], called[still], -work.rebound * np.clip(since, 0.0, longest) / 3600.0)
