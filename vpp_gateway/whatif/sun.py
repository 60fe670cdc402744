"""What became of the sun: how much of it was used, and the most that anybody could have used.

    surplus = what PV could give beyond what the site takes anyway and may export
    used    = what PV gave beyond that, because batteries charged and work came
    bound   = the same for the best plan with perfect foresight: a linear program over the whole play

    maximise sum pv     pv <= sun     pv <= load + charge - discharge + work + export limit     per site and step
                        soc within the operating window     0 <= work <= its size, latencies left out

A battery does not discharge while there is a surplus: it would only burn energy. The bound knows every second beforehand
and moves work at once, so it cannot be reached; it is what physics allows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vpp_gateway.domain.fleet import Battery
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.whatif.course import Course, Second
from vpp_gateway.whatif.world import Play

STEP_S = 10
TIME_LIMIT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sun:
    """Energy over the whole play, Wh."""

    sun_wh: float
    used_wh: float
    surplus_wh: float
    surplus_used_wh: float
    surplus_bound_wh: float | None
    """None: the linear program gave no answer in its time."""


def sun_of(play: Play, course: Course) -> Sun | None:
    """What became of the sun; None where there is no PV."""
    if not any(model.pv for model in play.sites.values()):
        return None
    seconds = [s for s in course.seconds if s.at_s >= 0.0]
    sun = used = surplus = surplus_used = 0.0
    for second in seconds:
        for id, row in second.sites.items():
            plain = min(row.sun_w, max(0.0, row.load_w + play.fleet.site(id).export_max_w))
            sun, used = sun + row.sun_w, used + row.pv_w
            surplus += row.sun_w - plain
            surplus_used += max(0.0, row.pv_w - plain)
    plain_wh = (sun - surplus) / 3600.0
    bound_wh = _bound_wh(play, seconds)
    return Sun(
        sun_wh=sun / 3600.0,
        used_wh=used / 3600.0,
        surplus_wh=surplus / 3600.0,
        surplus_used_wh=surplus_used / 3600.0,
        surplus_bound_wh=None if bound_wh is None else bound_wh - plain_wh,
    )


@dataclass(slots=True)
class _Rows:
    """Rows `sum(coefficient * variable) <= bound`, collected one by one."""

    rows: list[int]
    columns: list[int]
    values: list[float]
    bounds: list[float]

    def add(self, terms: Sequence[tuple[int, float]], bound: float) -> None:
        at = len(self.bounds)
        for column, value in terms:
            self.rows.append(at)
            self.columns.append(column)
            self.values.append(value)
        self.bounds.append(bound)


def _bound_wh(play: Play, seconds: Sequence[Second]) -> float | None:
    """The most that PV can give, Wh; None: no answer."""
    import numpy as np
    from scipy.optimize import linprog
    from scipy.sparse import csr_array

    steps = [seconds[i : i + STEP_S] for i in range(0, len(seconds), STEP_S)]
    count = len(steps)
    lower: list[float] = []
    upper: list[float] = []

    def block(highs: Sequence[float]) -> int:
        first = len(upper)
        lower.extend(0.0 for _ in highs)
        upper.extend(highs)
        return first

    table = _Rows([], [], [], [])
    works = {spec.name: block([spec.w] * count) for spec in play.work}
    pv_at: dict[SiteId, int] = {}
    for site in play.fleet.sites:
        id = site.id
        suns = [_mean([s.sites[id].sun_w for s in step]) for step in steps]
        loads = [_mean([s.sites[id].load_w for s in step]) for step in steps]
        over = [sun_w > load_w + site.export_max_w for sun_w, load_w in zip(suns, loads, strict=True)]
        pv = pv_at[id] = block(suns)
        charge = [block([b.charge_max_w] * count) for b in site.batteries]
        discharge = [block([0.0 if much else b.discharge_max_w for much in over]) for b in site.batteries]
        for t, load_w in enumerate(loads):
            terms = [(pv + t, 1.0)]
            terms += [(first + t, -1.0) for first in charge] + [(first + t, 1.0) for first in discharge]
            terms += [
                (works[spec.name] + t, -_at_site(spec.kind, spec.site == id, spec.to == id))
                for spec in play.work
            ]
            table.add(terms, load_w + site.export_max_w)
        for battery, c, d in zip(site.batteries, charge, discharge, strict=True):
            _soc_rows(table, battery, play.sites[id].soc, c, d, [len(step) for step in steps])
    weight = np.zeros(len(upper))
    for first in pv_at.values():
        weight[first : first + count] = [-len(step) for step in steps]
    matrix = csr_array((table.values, (table.rows, table.columns)), shape=(len(table.bounds), len(upper)))
    found = linprog(  # type: ignore[call-overload]  # the stubs refuse sparse rows and an array as bounds, scipy takes them
        weight,
        A_ub=matrix,
        b_ub=np.asarray(table.bounds),
        bounds=np.column_stack([lower, upper]),
        method="highs",
        options={"time_limit": TIME_LIMIT_S},
    )
    return None if found.x is None else -float(found.fun) / 3600.0


def _soc_rows(
    table: _Rows, battery: Battery, soc: float, charge: int, discharge: int, lengths: Sequence[int]
) -> None:
    """The stored energy stays within the window (or where it began, if that is outside) after every sixth step."""
    full_wh = (max(battery.soc_max, soc) - soc) * battery.energy_wh
    spare_wh = (soc - min(battery.soc_min, soc)) * battery.energy_wh
    terms: list[tuple[int, float]] = []
    for t, length in enumerate(lengths):
        hours = length / 3600.0
        terms += [(charge + t, battery.efficiency * hours), (discharge + t, -hours / battery.efficiency)]
        if t % 6 == 5 or t == len(lengths) - 1:
            table.add(terms, full_wh)
            table.add([(column, -value) for column, value in terms], spare_wh)


def _at_site(kind: str, own: bool, destination: bool) -> float:
    """What a watt of called work adds to the load of a site."""
    if destination:
        return 1.0
    return (1.0 if kind == "absorb" else -1.0) if own else 0.0


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
