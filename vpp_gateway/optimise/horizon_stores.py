"""Batteries and what is kept back in them, as blocks of the horizon program. kW, kWh and hours.

Columns per battery and step:

    out   in          AC power, each way (>= 0); both cost, so that never both run
    wanted  above     stored energy at the end of the step, in two pieces: up to the wanted charge, and above it

    stored[t] = stored[t-1] - hours * out / efficiency + hours * in * efficiency

A battery that stands outside its window may only go back in: below, it gives nothing, above, it takes nothing. So the
window is never elastic and never infeasible. Armed products take a share of each battery, in power and energy:

    out - in + share <= out_max          stored >= least + share * bridge / efficiency        sum(share) = reserve
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vpp_gateway.domain.horizon import Asked, HorizonProblem, Reserve
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.optimise.blocks import Blocks, Floats, Index, Rows

KILO = 1000.0


@dataclass(slots=True)
class Kept:
    """Shares of one product in one direction."""

    product: str
    down: bool
    batteries: Index
    """Numbers of the batteries that can take part."""
    steps: Index
    """Numbers of the steps in which it is armed."""
    share: Index
    """Columns, battery x step."""
    missing: Index
    """Columns, one a step."""
    bridge_h: float


@dataclass(slots=True)
class Bridge:
    """Energy that the batteries of an instruction keep together while it lasts."""

    asked: Asked
    batteries: Index
    steps: Index
    need_kwh: Floats
    """AC energy."""
    missing: Index
    down: Floats
    """1 where the regulation is down, 0 where it is up; one a step."""


@dataclass(slots=True)
class Stores:
    """Columns of all batteries and their numbers."""

    out: Index
    into: Index
    wanted: Index
    above: Index
    least: Floats
    most: Floats
    """Bounds of the stored energy, kWh."""
    out_efficiency: Floats
    in_efficiency: Floats
    site: list[SiteId]
    only_in: Floats
    """True for a battery below its window."""
    only_out: Floats
    constant: float = 0.0
    """Part of the cost that no decision changes."""
    ramps: dict[int, Rows] = field(default_factory=dict)
    """Number of a battery -> its ramp rows, where a ramp can bind."""
    kept: list[Kept] = field(default_factory=list)
    bridges: list[Bridge] = field(default_factory=list)

    def at(self, sites: tuple[SiteId, ...]) -> Index:
        """Numbers of the batteries at these sites."""
        return np.array([i for i, site in enumerate(self.site) if site in sites], dtype=np.int64)


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
    wish = np.clip(column("stored_wanted_wh"), least, most)
    price = np.array([tier_price[store.tier] for store in stores]) * np.clip(column("cost", 1.0), 0.1, 10.0)
    moved = price[:, None] * hours
    shape = (len(stores), steps)
    out = program.columns(shape, 0.0, out_max[:, None], moved)
    into = program.columns(shape, 0.0, in_max[:, None], moved)
    reward = problem.prices.stored * hours
    reward[-1] += problem.prices.ending
    wanted = program.columns(shape, least[:, None], wish[:, None], -reward)
    above = program.columns(shape, 0.0, (most - wish)[:, None])
    made = Stores(
        out=out,
        into=into,
        wanted=wanted,
        above=above,
        least=least,
        most=most,
        out_efficiency=column("discharge_efficiency", 1.0),
        in_efficiency=column("charge_efficiency", 1.0),
        site=[store.site for store in stores],
        only_in=only_in,
        only_out=only_out,
        constant=float((wish[:, None] * reward).sum()),
    )
    start = np.zeros(shape)
    start[:, 0] = stored
    balance = program.equal(start)
    program.put(balance, out, hours / made.out_efficiency[:, None])
    program.put(balance, into, -hours * made.in_efficiency[:, None])
    for piece in (wanted, above):
        program.put(balance, piece, 1.0)
        program.put(balance[:, 1:], piece[:, :-1], -1.0)
    _add_ramps(program, problem, made, hours, out_max, in_max, hard_price)
    return made


def _add_ramps(
    program: Blocks,
    problem: HorizonProblem,
    made: Stores,
    hours: Floats,
    out_max: Floats,
    in_max: Floats,
    hard_price: float,
) -> None:
    """Rows only where a ramp can bind: a battery that turns round within a step needs none."""
    seconds = hours * 3600.0
    between = np.concatenate([seconds[:1] / 2.0, (seconds[:-1] + seconds[1:]) / 2.0])
    ramp = np.array([np.inf if s.ramp_w_per_s is None else s.ramp_w_per_s / KILO for s in problem.stores])
    if not problem.stores or not np.isfinite(ramp).any():
        return
    now = np.clip(np.array([s.discharge_w for s in problem.stores]) / KILO, -in_max, out_max)
    span = out_max + in_max
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


def add_reserves(
    program: Blocks, problem: HorizonProblem, made: Stores, hours: Floats, price: float
) -> None:
    """What armed products keep back, product by product and direction by direction; elastic at `price` per kWh."""
    out_max = np.array([s.discharge_max_w for s in problem.stores]) / KILO
    in_max = np.array([s.charge_max_w for s in problem.stores]) / KILO
    for reserve in problem.reserves:
        for down in (True, False):
            _share_out(program, made, reserve, down, hours, price)
    for down in (True, False):
        kept = [one for one in made.kept if one.down is down and one.batteries.size]
        if kept:
            _add_room(program, made, kept, down, len(hours), out_max if down else in_max)


def _share_out(
    program: Blocks, made: Stores, reserve: Reserve, down: bool, hours: Floats, price: float
) -> None:
    need = np.array(reserve.down_w if down else reserve.up_w) / KILO
    steps = np.nonzero(need > 0)[0]
    if not steps.size:
        return
    batteries = made.at(reserve.sites)
    batteries = batteries[~(made.only_in if down else made.only_out)[batteries].astype(bool)]
    share = program.columns((batteries.size, steps.size))
    missing = program.columns((steps.size,), 0.0, np.inf, price * hours[steps])
    enough = program.equal(need[steps])
    program.put(enough, missing, 1.0)
    if batteries.size:
        program.put(enough, share, 1.0)
    made.kept.append(
        Kept(
            product=reserve.product,
            down=down,
            batteries=batteries,
            steps=steps,
            share=share,
            missing=missing,
            bridge_h=reserve.bridge_s / 3600.0,
        )
    )


def _add_room(
    program: Blocks, made: Stores, kept: list[Kept], down: bool, steps: int, power_max: Floats
) -> None:
    """Power and energy of all products of one direction fit into each battery together."""
    used = np.zeros((len(made.site), steps), dtype=bool)
    for one in kept:
        used[np.ix_(one.batteries, one.steps)] = True
    battery, step = np.nonzero(used)
    place = np.full(used.shape, -1)
    place[battery, step] = np.arange(battery.size)
    power = program.at_most(power_max[battery])
    sign = 1.0 if down else -1.0
    program.put(power, made.out[battery, step], sign)
    program.put(power, made.into[battery, step], -sign)
    energy = program.at_most(-made.least[battery] if down else made.most[battery])
    for piece in (made.wanted, made.above):
        program.put(energy, piece[battery, step], -sign)
    for one in kept:
        at = place[np.ix_(one.batteries, one.steps)]
        program.put(power[at], one.share, 1.0)
        factor = 1.0 / made.out_efficiency if down else made.in_efficiency
        program.put(energy[at], one.share, one.bridge_h * factor[one.batteries][:, None])


def add_bridges(
    program: Blocks, problem: HorizonProblem, made: Stores, hours: Floats, price: float
) -> None:
    """While an instruction lasts, its batteries keep what carries it alone for its `bridge_s`; elastic."""
    ends = np.cumsum(hours)
    for asked in problem.asked:
        if asked.bridge_s <= 0:
            continue
        regulation = np.array([0.0 if w is None else w for w in asked.regulation_w]) / KILO
        lasts = asked.bridge_s / 3600.0
        left = np.minimum(lasts, _until_end(asked.regulation_w, ends, lasts))
        need = np.abs(regulation) * left
        steps = np.nonzero(need > 0)[0]
        batteries = made.at(asked.sites)
        if not steps.size or not batteries.size:
            continue
        down = (regulation[steps] > 0).astype(float)
        # A bridge that is missing is weighed as the energy it lacks, held for the step.
        missing = program.columns((steps.size,), 0.0, np.inf, price * hours[steps])
        for one in np.unique(down):
            chosen = np.nonzero(down == one)[0]
            blocked = (made.only_in if one else made.only_out)[batteries].astype(bool)
            able = batteries[~blocked]
            factor = made.out_efficiency[able] if one else 1.0 / made.in_efficiency[able]
            edge = made.least[able] if one else made.most[able]
            sign = 1.0 if one else -1.0
            rows = program.at_most(-need[steps[chosen]] - sign * float((factor * edge).sum()))
            program.put(rows, missing[chosen], -1.0)
            for piece in (made.wanted, made.above):
                program.put(rows, piece[np.ix_(able, steps[chosen])], -sign * factor[:, None])
        made.bridges.append(
            Bridge(
                asked=asked, batteries=batteries, steps=steps, need_kwh=need[steps], missing=missing, down=down
            )
        )


def _until_end(asked: tuple[float | None, ...], ends: Floats, beyond: float) -> Floats:
    """Hours from the end of each step until nothing is asked any more; a demand at the plan's end goes on."""
    left = np.zeros(len(ends))
    until = ends[-1] + beyond
    for t in range(len(ends) - 1, -1, -1):
        if t + 1 < len(ends) and not asked[t + 1]:
            until = ends[t]
        left[t] = max(0.0, until - ends[t])
    return left


__all__ = ["Bridge", "Kept", "Rows", "Stores", "add_bridges", "add_reserves", "add_stores"]
