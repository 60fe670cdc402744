"""Batteries and what is kept back in them, as blocks of the horizon program. kW, kWh and hours.

Columns per battery and step:

    out   in       AC power, each way (>= 0); both cost, so that never both run
    stored         energy at the end of the step

    stored[t] = stored[t-1] - hours * out / efficiency + hours * in * efficiency

At some moments, and at the end, what it lacks of its wanted charge has a price: that makes it ready again early, and
lets work take over early. A battery that stands outside its window may only go back in: below, it gives nothing, above,
it takes nothing. So the window is never elastic and never infeasible.

Armed products take a share of each battery, in power and energy, look by look (`optimise.horizon_cells`):

    out - in + share <= out_max          stored >= least + share * bridge / efficiency        sum(share) = reserve
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vpp_gateway.domain.horizon import Asked, HorizonProblem, Reserve
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.optimise.blocks import Blocks, Floats, Index, Rows
from vpp_gateway.optimise.horizon_cells import Cells

KILO = 1000.0
LOOKS = 8
"""So many times in a plan the charge of a battery is compared with the wanted one."""

Mask = NDArray[np.bool_]


@dataclass(slots=True)
class Kept:
    """Shares of one product in one direction."""

    product: str
    down: bool
    batteries: Index
    """Numbers of the batteries that can take part."""
    looks: Index
    """Numbers of the looks at which it is armed."""
    share: Index
    """Columns, battery x look."""
    missing: Index
    """Columns, one a look."""
    bridge_h: float


@dataclass(slots=True)
class Bridge:
    """Energy that the batteries of an instruction keep together while it lasts."""

    asked: Asked
    batteries: Index
    looks: Index
    need_kwh: Floats
    """AC energy, one a look."""
    missing: Index
    down: Mask
    """One a look: the regulation relieves the grid."""


@dataclass(slots=True)
class Stores:
    """Columns of all batteries and their numbers."""

    out: Index
    into: Index
    stored: Index
    out_max: Floats
    in_max: Floats
    least: Floats
    most: Floats
    """Bounds of the stored energy, kWh."""
    out_efficiency: Floats
    in_efficiency: Floats
    site: list[SiteId]
    only_in: Mask
    """True for a battery below its window."""
    only_out: Mask
    ramps: dict[int, Rows] = field(default_factory=dict)
    """Number of a battery -> its ramp rows, where a ramp can bind."""
    looks: Index = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """Cells at whose end what is kept back is looked at."""
    kept: list[Kept] = field(default_factory=list)
    bridges: list[Bridge] = field(default_factory=list)

    def at(self, sites: tuple[SiteId, ...]) -> Index:
        """Numbers of the batteries at these sites."""
        return np.array([i for i, site in enumerate(self.site) if site in sites], dtype=np.int64)

    def look_hours(self, cells: Cells) -> Floats:
        """Hours that each look speaks for."""
        hours: Floats = np.diff(np.append(0.0, cells.end[self.looks])) / 3600.0
        return hours

    def able(self, batteries: Index, down: bool) -> Index:
        """Those that may move in a direction."""
        return batteries[~(self.only_in if down else self.only_out)[batteries]]


def add_stores(
    program: Blocks, problem: HorizonProblem, hours: Floats, tier_price: dict[str, float], hard_price: float
) -> Stores:
    """Batteries with windows, losses and ramps.

    Args:
        hours: Length of each step.
        tier_price: Price per kWh of each tier.
        hard_price: Price per kW of a jump in the first step that the ramp would not allow.
    """
    stores, steps = problem.stores, len(hours)

    def column(name: str, unit: float = KILO) -> Floats:
        return np.array([getattr(store, name) for store in stores], dtype=float) / unit

    stored, low, high = column("stored_wh"), column("stored_min_wh"), column("stored_max_wh")
    only_in, only_out = stored < low - 1e-9, stored > high + 1e-9
    least, most = np.minimum(low, stored), np.maximum(high, stored)
    out_max = np.where(only_in, 0.0, column("discharge_max_w"))
    in_max = np.where(only_out, 0.0, column("charge_max_w"))
    price = np.array([tier_price[store.tier] for store in stores]) * np.clip(column("cost", 1.0), 0.1, 10.0)
    moved = price[:, None] * hours
    shape = (len(stores), steps)
    made = Stores(
        out=program.columns(shape, 0.0, out_max[:, None], moved),
        into=program.columns(shape, 0.0, in_max[:, None], moved),
        stored=program.columns(shape, least[:, None], most[:, None]),
        out_max=out_max,
        in_max=in_max,
        least=least,
        most=most,
        out_efficiency=column("discharge_efficiency", 1.0),
        in_efficiency=column("charge_efficiency", 1.0),
        site=[store.site for store in stores],
        only_in=only_in,
        only_out=only_out,
    )
    start = np.zeros(shape)
    start[:, 0] = stored
    balance = program.equal(start)
    program.put(balance, made.out, hours / made.out_efficiency[:, None])
    program.put(balance, made.into, -hours * made.in_efficiency[:, None])
    program.put(balance, made.stored, 1.0)
    program.put(balance[:, 1:], made.stored[:, :-1], -1.0)
    _add_wish(program, problem, made, hours, np.clip(column("stored_wanted_wh"), least, most))
    _add_ramps(program, problem, made, hours, hard_price)
    return made


def _add_wish(program: Blocks, problem: HorizonProblem, made: Stores, hours: Floats, wish: Floats) -> None:
    """What a battery lacks of its wanted charge, looked at some times only: every step would cost more than it says."""
    ends = np.cumsum(hours)
    looks = np.searchsorted(ends, ends[-1] * np.arange(1, LOOKS + 1) / LOOKS - 1e-9)
    looks = np.unique(np.minimum(looks, len(hours) - 1))
    price = problem.prices.stored * np.diff(np.append(0.0, ends[looks]))
    price[-1] += problem.prices.ending
    seen = (wish > made.least)[:, None] & (price > 0)
    battery, look = np.nonzero(seen)
    lacks = program.columns((battery.size,), 0.0, np.inf, price[look])
    rows = program.at_most(-wish[battery])
    program.put(rows, made.stored[battery, looks[look]], -1.0)
    program.put(rows, lacks, -1.0)


def _add_ramps(
    program: Blocks,
    problem: HorizonProblem,
    made: Stores,
    hours: Floats,
    hard_price: float,
) -> None:
    """Rows only where a ramp can bind: a battery that turns round within a step needs none."""
    seconds = hours * 3600.0
    between = np.concatenate([seconds[:1] / 2.0, (seconds[:-1] + seconds[1:]) / 2.0])
    ramp = np.array([np.inf if s.ramp_w_per_s is None else s.ramp_w_per_s / KILO for s in problem.stores])
    if not problem.stores or not np.isfinite(ramp).any():
        return
    now = np.clip(np.array([s.discharge_w for s in problem.stores]) / KILO, -made.in_max, made.out_max)
    span = made.out_max + made.in_max
    reach = np.where(np.isfinite(ramp), ramp, 0.0)[:, None] * between
    binds = np.isfinite(ramp)[:, None] & (reach < span[:, None])
    battery, step = np.nonzero(binds)
    first = step == 0
    begun = np.where(first, now[battery], 0.0)
    jump = program.columns((int(first.sum()),), 0.0, np.inf, hard_price)
    both: list[Rows] = []
    for sign in (1.0, -1.0):
        rows = program.at_most(reach[battery, step] + sign * begun)
        program.put(rows, made.out[battery, step], sign)
        program.put(rows, made.into[battery, step], -sign)
        later = np.nonzero(~first)[0]
        program.put(rows[later], made.out[battery[later], step[later] - 1], -sign)
        program.put(rows[later], made.into[battery[later], step[later] - 1], sign)
        program.put(rows[np.nonzero(first)[0]], jump, -1.0)
        both.append(rows)
    for b in np.unique(battery).tolist():
        here = np.concatenate([rows.number[battery == b] for rows in both])
        made.ramps[b] = Rows(here, False)


def add_reserves(program: Blocks, problem: HorizonProblem, made: Stores, cells: Cells, price: float) -> None:
    """What armed products keep back, product by product and direction by direction; elastic at `price` per kWh."""
    made.looks = cells.looks()
    for reserve in problem.reserves:
        for down in (True, False):
            _share_out(program, made, reserve, down, cells, price)
    for down in (True, False):
        kept = [one for one in made.kept if one.down is down and one.batteries.size]
        if kept:
            _add_room(program, made, kept, down, cells)


def _share_out(
    program: Blocks, made: Stores, reserve: Reserve, down: bool, cells: Cells, price: float
) -> None:
    need = np.array(reserve.down_w if down else reserve.up_w)[made.looks] / KILO
    armed = np.nonzero(need > 0)[0]
    if not armed.size:
        return
    batteries = made.able(made.at(reserve.sites), down)
    share = program.columns((batteries.size, armed.size))
    missing = program.columns((armed.size,), 0.0, np.inf, price * made.look_hours(cells)[armed])
    enough = program.equal(need[armed])
    program.put(enough, missing, 1.0)
    if batteries.size:
        program.put(enough, share, 1.0)
    made.kept.append(
        Kept(
            product=reserve.product,
            down=down,
            batteries=batteries,
            looks=armed,
            share=share,
            missing=missing,
            bridge_h=reserve.bridge_s / 3600.0,
        )
    )


def _add_room(program: Blocks, made: Stores, kept: list[Kept], down: bool, cells: Cells) -> None:
    """Power and energy of all products of one direction fit into each battery together, at each look."""
    used = np.zeros((len(made.site), made.looks.size), dtype=bool)
    for one in kept:
        used[np.ix_(one.batteries, one.looks)] = True
    battery, look = np.nonzero(used)
    place = np.full(used.shape, -1)
    place[battery, look] = np.arange(battery.size)
    step = made.looks[look]
    power = program.at_most((made.out_max if down else made.in_max)[battery])
    sign = 1.0 if down else -1.0
    program.put(power, made.out[battery, step], sign)
    program.put(power, made.into[battery, step], -sign)
    energy = program.at_most(-made.least[battery] if down else made.most[battery])
    program.put(energy, made.stored[battery, step], -sign)
    factor = 1.0 / made.out_efficiency if down else made.in_efficiency
    for one in kept:
        at = place[np.ix_(one.batteries, one.looks)]
        program.put(power[at], one.share, 1.0)
        program.put(energy[at], one.share, one.bridge_h * factor[one.batteries][:, None])


def add_bridges(program: Blocks, problem: HorizonProblem, made: Stores, cells: Cells, price: float) -> None:
    """While an instruction lasts, its batteries keep what carries it alone for its `bridge_s`; elastic."""
    for asked in problem.asked:
        batteries = made.at(asked.sites)
        steps = made.looks
        if asked.bridge_s <= 0 or not batteries.size:
            continue
        wanted = np.array([0.0 if w is None else w for w in asked.regulation_w])[steps] / KILO
        lasts = asked.bridge_s / 3600.0
        need = np.abs(wanted) * np.minimum(lasts, _until_end(wanted, cells.end[steps] / 3600.0, lasts))
        found = np.nonzero(need > 0)[0]
        # A bridge that is missing is weighed as the energy it lacks, held until the next look.
        missing = program.columns((found.size,), 0.0, np.inf, price * made.look_hours(cells)[found])
        down = wanted[found] > 0
        for one in (True, False):
            chosen = np.nonzero(down == one)[0]
            able = made.able(batteries, one)
            factor = made.out_efficiency[able] if one else 1.0 / made.in_efficiency[able]
            edge = made.least[able] if one else made.most[able]
            sign = 1.0 if one else -1.0
            rows = program.at_most(-need[found[chosen]] - sign * float((factor * edge).sum()))
            program.put(rows, missing[chosen], -1.0)
            if able.size and chosen.size:
                at = np.ix_(able, steps[found[chosen]])
                program.put(rows, made.stored[at], -sign * factor[:, None])
        made.bridges.append(
            Bridge(
                asked=asked,
                batteries=batteries,
                looks=found,
                need_kwh=need[found],
                missing=missing,
                down=down,
            )
        )


def _until_end(wanted: Floats, ends: Floats, beyond: float) -> Floats:
    """Hours from each look until nothing is asked any more; a demand at the plan's end goes on."""
    left = np.zeros(len(ends))
    until = ends[-1] + beyond
    for k in range(len(ends) - 1, -1, -1):
        if k + 1 < len(ends) and wanted[k + 1] == 0:
            until = ends[k]
        left[k] = max(0.0, until - ends[k])
    return left
