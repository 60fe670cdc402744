"""Offers of workload as blocks of the horizon program: latency, dwell, longest hold, energy, ramp, and the rebound.

    1 |          ________started________
      |         /     ______stopped_____           called = started - stopped
      |        /     /
    0 |_______/_____/____________________>
             |<dwell>|   no part stops sooner:       stopped[t] <= started[t - dwell]
             |< sustain >| no part stays longer:     stopped[t] >= started[t - sustain]

`started` and `stopped` only ever rise, so an offer is used once in a plan, whole or in parts. Whole steps of an offer
are the allocation's affair; here a share is a number between 0 and 1.

What was shifted comes back: `returned` follows `shifted` after the delay at the earliest, and what has ended must have
returned within its time. Both are energies in hours of the full legs:

    rebound * (shifted - what may still be held)[t - delay - within]  <=  returned[t]  <=  rebound * shifted[t - delay]
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vpp_gateway.domain.horizon import HorizonProblem, Work
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.optimise.blocks import Blocks, Floats, Index, Rows

KILO = 1000.0
COST_LEAST, COST_MOST = 0.1, 10.0
"""Relative costs beyond these would leave the tier."""


@dataclass(slots=True)
class Works:
    """Columns of all offers."""

    called: Index
    """Share that is real at the meter, offer x step."""
    size: Floats
    """kW of the largest leg."""
    legs: list[dict[SiteId, float]]
    """kW of regulation per site and offer."""
    back: dict[int, Index] = field(default_factory=dict)
    """Number of an offer -> columns of its return, share of the legs per step."""
    late: dict[int, Index] = field(default_factory=dict)
    times: dict[int, list[Rows]] = field(default_factory=dict)
    """Number of an offer -> its rows of dwell, longest hold and ramp."""
    budget: dict[int, Rows] = field(default_factory=dict)
    """Number of an offer -> its energy row."""
    constant: float = 0.0


def size_kw(work: Work) -> float:
    """Power of the larger leg."""
    return max(abs(leg.regulation_w) for leg in work.legs) / KILO


def add_works(
    program: Blocks,
    problem: HorizonProblem,
    hours: Floats,
    tier_price: dict[str, float],
    late_price: float,
) -> Works:
    """Offers with their bounds in time."""
    works, steps = problem.works, len(hours)
    edges = np.concatenate([[0.0], np.cumsum(hours * 3600.0)])
    size = np.array([size_kw(work) for work in works])
    cost = np.clip(np.array([work.cost for work in works], dtype=float), COST_LEAST, COST_MOST)
    price = np.array([tier_price[work.tier] for work in works]) * cost * size
    upper = np.ones((len(works), steps))
    must = np.zeros((len(works), steps), dtype=bool)
    for w, work in enumerate(works):
        must[w] = _must_stay(work, edges)
        upper[w] = _upper(work, edges, must[w])
    called = program.columns((len(works), steps), 0.0, upper, price[:, None] * hours)
    legs: list[dict[SiteId, float]] = []
    for work in works:
        here: dict[SiteId, float] = {}
        for leg in work.legs:
            here[leg.site] = here.get(leg.site, 0.0) + leg.regulation_w / KILO
        legs.append(here)
    made = Works(called=called, size=size, legs=legs)
    for w, work in enumerate(works):
        if _timed(work, edges):
            made.times[w] = _add_times(program, work, called[w], edges, must[w])
        made.times.setdefault(w, []).append(_add_ramp(program, work, called[w], hours))
        if work.energy_wh is not None:
            held = float(hours[must[w]].sum()) * work.share
            rows = made.budget[w] = program.at_most([max(work.energy_wh / KILO / size[w], held)])
            program.put(rows, called[w], hours)
        if work.rebound > 0 or work.owed_wh > 0:
            _add_rebound(program, problem, made, w, edges, late_price)
    return made


def _must_stay(work: Work, edges: Floats) -> np.ndarray:
    """Steps that begin before the share called now may end."""
    dwell = min(work.dwell_s, np.inf if work.sustain_s is None else work.sustain_s)
    held: np.ndarray = (edges[:-1] < dwell - work.called_s) & (work.share > 0)
    return held


def _upper(work: Work, edges: Floats, must: np.ndarray) -> Floats:
    """Most that can be called per step."""
    upper = np.ones(len(edges) - 1)
    if work.share_max:
        upper = np.minimum(upper, work.share_max)
    upper = np.where(must, np.maximum(upper, work.share), upper)
    return np.where(edges[:-1] < work.latency_s - 1e-9, np.minimum(upper, work.share), upper)


def _timed(work: Work, edges: Floats) -> bool:
    """Whether anything depends on when a part was started."""
    short = work.sustain_s is not None and work.sustain_s < edges[-1] + work.called_s
    return work.dwell_s > 0 or short or work.start_within_s is not None


def _add_times(program: Blocks, work: Work, called: Index, edges: Floats, must: np.ndarray) -> list[Rows]:
    """Dwell, longest hold and last start, by the share started so far."""
    steps = len(edges) - 1
    share = work.share
    begin, end = edges[:-1], edges[1:]
    too_early = begin < work.latency_s - 1e-9
    lower = np.full(steps, share)
    started = program.columns((steps,), lower, np.where(too_early, share, 1.0))
    # started rises; so does stopped = started - called
    if steps > 1:
        rises = program.at_most(np.zeros(steps - 1))
        program.put(rises, started[1:], -1.0)
        program.put(rises, started[:-1], 1.0)
        stops = program.at_most(np.zeros(steps - 1))
        program.put(stops, started[1:], -1.0)
        program.put(stops, started[:-1], 1.0)
        program.put(stops, called[1:], 1.0)
        program.put(stops, called[:-1], -1.0)
    bound: list[Rows] = []
    if work.start_within_s is not None:
        late = np.nonzero(begin > work.start_within_s)[0]
        over = program.at_most(np.where(late > 0, 0.0, share))
        program.put(over, started[late], 1.0)
        program.put(over[late > 0], started[late[late > 0] - 1], -1.0)
        bound.append(over)
    # No part may have stopped that had not started a dwell before this step; dwell 0: called >= 0 says it all.
    dwell = min(work.dwell_s, np.inf if work.sustain_s is None else work.sustain_s)
    since = np.searchsorted(edges, begin - dwell + 1e-9, side="right") - 1
    old = (since < 0) & (begin - dwell >= -work.called_s - 1e-9)
    stay = program.at_most(np.where(old, share, 0.0))
    program.put(stay, started, 1.0)
    program.put(stay, called, -1.0)
    known = np.nonzero(since >= 0)[0]
    program.put(stay[known], started[since[known]], -1.0)
    if work.sustain_s is None:
        return [*bound, stay]
    # Whatever was started so long before the end of this step has stopped when the step begins.
    since = np.minimum(np.searchsorted(edges, end - work.sustain_s - 1e-9, side="left") - 1, np.arange(steps))
    old = (since < 0) & (end > work.sustain_s - work.called_s + 1e-9) & ~must
    gone = np.nonzero(((since >= 0) & ~must) | old)[0]
    end_it = program.at_most(np.where(since[gone] < 0, -share, 0.0))
    program.put(end_it, started[gone], -1.0)
    program.put(end_it, called[gone], 1.0)
    known = np.nonzero(since[gone] >= 0)[0]
    program.put(end_it[known], started[since[gone][known]], 1.0)
    return [*bound, stay, end_it]


def _add_ramp(program: Blocks, work: Work, called: Index, hours: Floats) -> Rows:
    """Work takes its time to begin; it may end at once."""
    rise = np.inf if work.ramp_s <= 0 else 1.0 / work.ramp_s
    reach = hours * 3600.0 * rise
    binds = np.nonzero(reach < 1.0)[0]
    rows = program.at_most(reach[binds] + np.where(binds == 0, work.share, 0.0))
    program.put(rows, called[binds], 1.0)
    later = binds > 0
    program.put(rows[later], called[binds[later] - 1], -1.0)
    return rows


def _add_rebound(
    program: Blocks, problem: HorizonProblem, made: Works, w: int, edges: Floats, late_price: float
) -> None:
    """What was shifted returns."""
    work, called, size = problem.works[w], made.called[w], float(made.size[w])
    hours = np.diff(edges) / 3600.0
    steps, end = len(hours), edges[1:]
    owed = work.owed_wh / KILO / size
    price = problem.prices.owed * size
    last = np.zeros(steps)
    last[-1] = price
    shifted = program.columns((steps,), 0.0, np.inf, work.rebound * last)
    earliest = np.searchsorted(edges, end - work.rebound_delay_s + 1e-9, side="right") - 2
    nothing = (earliest < 0) & (owed <= 0)
    back = program.columns((steps,), 0.0, np.where(nothing, 0.0, work.rebound_max))
    returned = program.columns((steps,), 0.0, np.inf, -last)
    made.back[w] = back
    made.constant += price * owed
    for total, flow in ((shifted, called), (returned, back)):
        rows = program.equal(np.zeros(steps))
        program.put(rows, total, 1.0)
        program.put(rows[1:], total[:-1], -1.0)
        program.put(rows, flow, -hours)
    not_before = program.at_most(np.full(steps, owed))
    program.put(not_before, returned, 1.0)
    known = np.nonzero(earliest >= 0)[0]
    program.put(not_before[known], shifted[earliest[known]], -work.rebound)
    # What must have returned by now: all that ended `within` and the delay ago. Of what still ran then, no part can
    # have run longer than its longest hold, nor than since it began.
    latest = (
        np.searchsorted(edges, end - work.rebound_delay_s - work.rebound_within_s + 1e-9, side="right") - 2
    )
    due = np.nonzero((latest >= 0) | (end >= work.rebound_within_s))[0]
    if not due.size:
        return
    late = made.late[w] = program.columns((due.size,), 0.0, np.inf, late_price * size * hours[due])
    must = program.at_most(np.where(end[due] >= work.rebound_within_s, -owed, 0.0))
    program.put(must, returned[due], -1.0)
    program.put(must, late, -1.0)
    known = np.nonzero(latest[due] >= 0)[0]
    at = latest[due][known]
    longest = np.inf if work.sustain_s is None else work.sustain_s
    hold = np.minimum(longest, end[at] + (work.called_s if work.share > 0 else 0.0)) / 3600.0
    program.put(must[known], shifted[at], work.rebound)
    program.put(must[known], called[at], -work.rebound * hold)
