"""The rolling plan written a second time: variable by variable, in W, Wh and seconds, with other variables.

Workload is told by what has started and what has stopped so far (two rising curves), the return by a debt; the
package tells it by what begins and by running sums. Only for plans of equal steps of at least five minutes, where each
step is a cell and a look of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linprog

from vpp_gateway.domain.horizon import HorizonProblem, Reserve, Store, Work

Terms = Mapping[str, float]


@dataclass
class Program:
    """A linear program by names."""

    cost: dict[str, float] = field(default_factory=dict)
    bounds: dict[str, tuple[float, float]] = field(default_factory=dict)
    less: list[tuple[Terms, float]] = field(default_factory=list)
    same: list[tuple[Terms, float]] = field(default_factory=list)

    def var(self, name: str, low: float = 0.0, high: float = math.inf, cost: float = 0.0) -> str:
        self.cost[name], self.bounds[name] = cost, (low, high)
        return name

    def optimum(self) -> float:
        names = {name: i for i, name in enumerate(self.cost)}

        def dense(rows: list[tuple[Terms, float]]) -> tuple[np.ndarray, np.ndarray]:
            matrix = np.zeros((len(rows), len(names)))
            for r, (terms, _) in enumerate(rows):
                for name, value in terms.items():
                    matrix[r, names[name]] += value
            return matrix, np.array([rhs for _, rhs in rows])

        less, same = dense(self.less), dense(self.same)
        # A price per W and step may lie below HiGHS's usual tolerance (1e-7 a unit) and is not looked at then; with a
        # finer one it fails now and then. Each answer is a plan, so the cheaper one is nearer to the truth.
        answers = [
            linprog(
                list(self.cost.values()),
                A_ub=less[0],
                b_ub=less[1],
                A_eq=same[0],
                b_eq=same[1],
                bounds=list(self.bounds.values()),
                options=options,
            )
            for options in ({}, {"dual_feasibility_tolerance": 1e-10})
        ]
        assert answers[0].x is not None, answers[0].message
        return min(float(answer.fun) for answer in answers if answer.x is not None)


def least_cost(problem: HorizonProblem) -> float:
    """Cost of the best plan, in the same prices."""
    p, T = Program(), range(len(problem.lengths_s))
    dt = problem.lengths_s[0]
    assert dt >= 300 and set(problem.lengths_s) == {dt}
    n, factor = len(problem.tiers), problem.prices.tier_factor
    kwh = dt / 3.6e6
    kept, dear = factor**n * kwh, factor ** (n + 1) * kwh
    constant = 0.0
    for store in problem.stores:
        _battery(p, problem, store, kwh, dear)
    for work in problem.works:
        constant += _workload(p, problem, work, kwh, kept)
    for asked in problem.asked:
        for t in T:
            if asked.regulation_w[t] is None:
                continue
            terms = _resources(problem, asked.sites, t)
            terms[p.var(f"short {asked.instruction} {t}", cost=dear)] = 1.0
            terms[p.var(f"over {asked.instruction} {t}", cost=dear)] = -1.0
            p.same.append((terms, asked.regulation_w[t] or 0.0))
    for c in problem.connections:
        for t in T:
            taken = p.var(f"import {c.site} {t}", 0.0, c.import_max_w[t])
            fed = p.var(f"export {c.site} {t}", 0.0, c.export_max_w[t], problem.prices.surplus * kwh)
            lost = p.var(f"lost {c.site} {t}", 0.0, c.pv_w[t], problem.prices.surplus * kwh)
            more = p.var(f"more {c.site} {t}", cost=10 * dear)
            less = p.var(f"less {c.site} {t}", cost=10 * dear)
            terms = _resources(problem, (c.site,), t)
            p.same.append(
                ({**terms, taken: 1.0, more: 1.0, fed: -1.0, less: -1.0, lost: -1.0}, c.load_w[t] - c.pv_w[t])
            )
    _armed(p, problem, kept)
    _bridged(p, problem, kept)
    return p.optimum() + constant


def _resources(problem: HorizonProblem, sites: tuple[str, ...], t: int) -> dict[str, float]:
    terms = {}
    for store in problem.stores:
        if store.site in sites:
            terms[f"out {store.id} {t}"], terms[f"in {store.id} {t}"] = 1.0, -1.0
    for work in problem.works:
        w = sum(leg.regulation_w for leg in work.legs if leg.site in sites)
        terms[f"started {work.offer} {t}"], terms[f"stopped {work.offer} {t}"] = w, -w
        terms[f"back {work.offer} {t}"] = -w
    return terms


def _battery(p: Program, problem: HorizonProblem, s: Store, kwh: float, dear: float) -> None:
    price = problem.prices
    dt = problem.lengths_s[0]
    below, above = s.stored_wh < s.stored_min_wh, s.stored_wh > s.stored_max_wh
    most_out, most_in = (0.0 if below else s.discharge_max_w), (0.0 if above else s.charge_max_w)
    low, high = min(s.stored_min_wh, s.stored_wh), max(s.stored_max_wh, s.stored_wh)
    wish = min(max(s.stored_wanted_wh, low), high)
    tier = price.tier_factor ** problem.tiers.index(s.tier) * min(max(s.cost, 0.1), 10.0) * kwh
    now = min(max(s.discharge_w, -most_in), most_out)
    for t in range(len(problem.lengths_s)):
        out, into = p.var(f"out {s.id} {t}", 0, most_out, tier), p.var(f"in {s.id} {t}", 0, most_in, tier)
        e = p.var(f"stored {s.id} {t}", low, high)
        gain = {out: -dt / 3600 / s.discharge_efficiency, into: dt / 3600 * s.charge_efficiency, e: -1.0}
        if t:
            p.same.append(({**gain, f"stored {s.id} {t - 1}": 1.0}, 0.0))
        else:
            p.same.append((gain, -s.stored_wh))
        last = t + 1 == len(problem.lengths_s)
        lack = p.var(f"lack {s.id} {t}", cost=(price.stored * dt / 3600 + last * price.ending) / 1000)
        p.less.append(({lack: -1.0, e: -1.0}, -wish))
        if s.ramp_w_per_s is not None:
            reach = s.ramp_w_per_s * (dt if t else dt / 2)
            jump = {} if t else {p.var(f"jump {s.id}", cost=dear / kwh * 10 / 1000): -1.0}
            for sign in (1.0, -1.0):
                before = {f"out {s.id} {t - 1}": -sign, f"in {s.id} {t - 1}": sign} if t else {}
                p.less.append(
                    ({out: sign, into: -sign, **before, **jump}, reach + (0.0 if t else sign * now))
                )


def _workload(p: Program, problem: HorizonProblem, w: Work, kwh: float, kept: float) -> float:
    """Its rows; returns the part of the cost that is there anyhow."""
    dt, count = problem.lengths_s[0], len(problem.lengths_s)
    legs: dict[str, float] = {}
    for leg in w.legs:
        legs[leg.site] = legs.get(leg.site, 0.0) + leg.regulation_w
    size = max(map(abs, legs.values()))
    price = (
        problem.prices.tier_factor ** problem.tiers.index(w.tier) * min(max(w.cost, 0.1), 10.0) * kwh * size
    )
    sustain = math.inf if w.sustain_s is None else w.sustain_s
    dwell = min(w.dwell_s, sustain)
    limited = w.dwell_s > 0 or sustain < count * dt + w.called_s or w.start_within_s is not None
    used_once = sustain < count * dt + w.called_s
    for t in range(count):
        at, until = t * dt, (t + 1) * dt
        p.var(f"started {w.offer} {t}", w.share, math.inf, price)
        p.var(f"stopped {w.offer} {t}", 0.0, math.inf, -price)
        start, stop = f"started {w.offer} {t}", f"stopped {w.offer} {t}"
        must = w.share > 0 and at < dwell - w.called_s
        most = min(1.0, w.share_max[t] if w.share_max else 1.0)
        if must:
            most = max(most, w.share)
        if at < w.latency_s:
            most = min(most, w.share)
        p.less.append(({start: 1.0, stop: -1.0}, most))
        p.less.append(({start: -1.0, stop: 1.0}, 0.0))
        if used_once:
            p.less.append(({start: 1.0}, 1.0))
        for name in ("started", "stopped"):
            before = {f"{name} {w.offer} {t - 1}": 1.0} if t else {}
            p.less.append(
                ({f"{name} {w.offer} {t}": -1.0, **before}, 0.0 if t or name == "stopped" else -w.share)
            )
        late = w.start_within_s is not None and at > w.start_within_s
        if limited and (at < w.latency_s or late):
            p.less.append(
                ({start: 1.0, **({f"started {w.offer} {t - 1}": -1.0} if t else {})}, 0.0 if t else w.share)
            )
        # Stopped now may be only what began a dwell ago, or cannot be kept; what was called before and must stay, stays.
        old = [j for j in range(t + 1) if j * dt + dwell <= at]
        can_keep = [j for j in range(t + 1) if until - j * dt <= sustain]
        if dwell > 0:
            allowed = max((j for j in range(t + 1) if j in old or j not in can_keep), default=-1)
            if allowed < t or must:
                p.less.append(
                    (
                        {stop: 1.0, **({f"started {w.offer} {allowed}": -1.0} if allowed >= 0 else {})},
                        0.0 - must * w.share if allowed >= 0 else (0.0 if must else w.share),
                    )
                )
        gone = max((j for j in range(t + 1) if until - j * dt > sustain), default=-1)
        if gone >= 0:
            p.less.append(({stop: -1.0, f"started {w.offer} {gone}": 1.0}, w.share if must else 0.0))
        elif until + w.called_s > sustain and not must:
            p.less.append(({stop: -1.0}, -w.share))
        if w.ramp_s > 0 and dt < w.ramp_s:
            before = {f"started {w.offer} {t - 1}": -1.0, f"stopped {w.offer} {t - 1}": 1.0} if t else {}
            p.less.append(({start: 1.0, stop: -1.0, **before}, dt / w.ramp_s + (0.0 if t else w.share)))
    if w.energy_wh is not None:
        held = sum(w.share * dt for t in range(count) if w.share > 0 and t * dt < dwell - w.called_s)
        terms = {
            f"{name} {w.offer} {t}": sign * dt
            for t in range(count)
            for name, sign in (("started", 1.0), ("stopped", -1.0))
        }
        p.less.append((terms, max(w.energy_wh / size * 3600, held)))
    return _debt(p, problem, w, size, kept)


def _debt(p: Program, problem: HorizonProblem, w: Work, size: float, kept: float) -> float:
    dt, count = problem.lengths_s[0], len(problem.lengths_s)
    owed_s = w.owed_wh / size * 3600
    active = w.rebound > 0 or w.owed_wh > 0
    price = problem.prices.owed * size / 3.6e6
    ways = (("started", 1.0), ("stopped", -1.0))

    def shifted(until: float) -> dict[str, float]:
        return {
            f"{n} {w.offer} {j}": s * dt * w.rebound
            for j in range(count)
            if (j + 1) * dt <= until + 1e-6
            for n, s in ways
        }

    for t in range(count):
        until = (t + 1) * dt
        p.var(f"back {w.offer} {t}", 0.0, w.rebound_max if active else 0.0)
        if not active:
            continue
        returned = {f"back {w.offer} {j}": dt for j in range(t + 1)}
        p.less.append(
            ({**returned, **{n: -v for n, v in shifted(until - w.rebound_delay_s).items()}}, owed_s)
        )
        seen = until - w.rebound_delay_s - w.rebound_within_s
        old = owed_s if until >= w.rebound_within_s else 0.0
        if seen >= dt - 1e-6 or old:
            last = math.floor((seen + 1e-6) / dt) - 1
            terms = {**shifted(seen), **{n: -v for n, v in returned.items()}}
            if last >= 0:
                since = (last + 1) * dt + (w.called_s if w.share > 0 else -w.latency_s)
                hold = min(max(since, 0.0), math.inf if w.sustain_s is None else w.sustain_s)
                for n, s in ways:
                    name = f"{n} {w.offer} {min(last + 1, count - 1)}"
                    terms[name] = terms.get(name, 0.0) - s * w.rebound * hold
            terms[p.var(f"late {w.offer} {t}", cost=kept * size / 3600)] = -1.0
            p.less.append((terms, -old))
    if active:
        for n, v in shifted(count * dt).items():
            p.cost[n] += v * price
        for t in range(count):
            p.cost[f"back {w.offer} {t}"] -= dt * price
    return price * owed_s if active else 0.0


def _armed(p: Program, problem: HorizonProblem, kept: float) -> None:
    def part(r: Reserve, s: Store, t: int, down: bool) -> str:
        return f"part {r.product} {s.id} {t} {down}"

    for t in range(len(problem.lengths_s)):
        for down in (True, False):
            for r in problem.reserves:
                need = (r.down_w if down else r.up_w)[t]
                able = [s for s in problem.stores if s.site in r.sites and _may(s, down)]
                terms = {p.var(part(r, s, t, down), 0.0, math.inf if need > 0 else 0.0): 1.0 for s in able}
                terms[p.var(f"gap {r.product} {t} {down}", cost=kept)] = 1.0
                p.same.append((terms, max(need, 0.0)))
            for s in problem.stores:
                if not _may(s, down):
                    continue
                sign = 1.0 if down else -1.0
                parts = {part(r, s, t, down): r for r in problem.reserves if s.site in r.sites}
                p.less.append(
                    (
                        {f"out {s.id} {t}": sign, f"in {s.id} {t}": -sign, **dict.fromkeys(parts, 1.0)},
                        s.discharge_max_w if down else s.charge_max_w,
                    )
                )
                factor = 1 / s.discharge_efficiency if down else s.charge_efficiency
                energy = {name: r.bridge_s / 3600 * factor for name, r in parts.items()}
                low, high = min(s.stored_min_wh, s.stored_wh), max(s.stored_max_wh, s.stored_wh)
                p.less.append(({**energy, f"stored {s.id} {t}": -sign}, -low if down else high))


def _may(s: Store, down: bool) -> bool:
    return s.stored_wh >= s.stored_min_wh if down else s.stored_wh <= s.stored_max_wh


def _bridged(p: Program, problem: HorizonProblem, kept: float) -> None:
    dt, count = problem.lengths_s[0], len(problem.lengths_s)
    for asked in problem.asked:
        here = [s for s in problem.stores if s.site in asked.sites]
        if asked.bridge_s <= 0 or not here:
            continue
        for t in range(count):
            w = asked.regulation_w[t] or 0.0
            later = next((j for j in range(t + 1, count) if not asked.regulation_w[j]), None)
            left = asked.bridge_s if later is None else min(asked.bridge_s, (later - t - 1) * dt)
            need = abs(w) * left / 3600
            if need <= 0:
                continue
            terms, edge = {p.var(f"bridge {asked.instruction} {t}", cost=kept): -1.0}, 0.0
            for s in here:
                if not _may(s, w > 0):
                    continue
                low, high = min(s.stored_min_wh, s.stored_wh), max(s.stored_max_wh, s.stored_wh)
                value = s.discharge_efficiency if w > 0 else -1 / s.charge_efficiency
                terms[f"stored {s.id} {t}"] = -value
                edge += value * (low if w > 0 else high)
            p.less.append((terms, -need - edge))
