"""Random allocations with batteries that wear differently, and the same put to scipy purpose by purpose, many in one block.

    missing -> part kept for bridging -> own sun -> easy part by wear, the least wearing first -> bridging part by wear

Each purpose is a linear program of its own, on the optima of those before it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array

from tests.unit.test_feeders import random_tree, ways
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.plan import Problem, Resource, Target
from vpp_gateway.optimise.nested import allocate
from vpp_gateway.optimise.tree import compile_tree

WEARS = (0.0, 5.0, 5.0, 20.0)
SLACK = 1e-6
"""Of what an earlier purpose has reached, W: a solver's tolerance."""


def worn(case: Problem, seed: int, *, lasting: bool = False) -> Problem:
    """The problem with batteries that wear differently, with ties.

    Args:
        lasting: For some their energy carries only a part to the end.
    """
    rng = random.Random(f"wear {seed}")

    def part(room: float) -> float:
        return rng.choice([np.inf, 0.0, 10.0, room * rng.random()]) if lasting else np.inf

    return replace(
        case,
        resources=tuple(
            replace(
                r,
                wear_cost=rng.choice(WEARS),
                lasting_down_w=part(r.down_room_w),
                lasting_up_w=part(r.up_room_w),
            )
            for r in case.resources
        ),
    )


def random_worn(seed: int, *, lasting: bool = False, sun: bool = False) -> Problem:
    """Feeders, connections, ties and zeros as in `random_tree`; with `sun`, sites with spare sun, or none, or not known."""
    case = worn(random_tree(seed), seed, lasting=lasting)
    if not sun:
        return case
    rng = random.Random(f"sun {seed}")
    bounds = tuple(
        replace(b, spare_sun_w=rng.choice([None, 0.0, 10.0, rng.uniform(-60.0, 60.0)])) for b in case.bounds
    )
    return replace(case, bounds=bounds)


def by_ranks(case: Problem, asked: Target, taken_w: Mapping[SiteId, float] | None = None) -> dict[str, float]:
    """One target by `optimise.nested` with ranks (part, wear). Where all wear alike nobody asks what lasts.

    Args:
        taken_w: Per site what levers take of its connection in the direction asked for.
    """
    down, here, room, easy = ways(case, asked)
    sites, lines = list(asked.sites), [f for f in case.feeders if f.site in asked.sites]
    bounds, taken = {b.site: b for b in case.bounds}, taken_w or {}
    place = {f.id: 1 + len(sites) + at for at, f in enumerate(lines)}
    node = [1 + sites.index(r.site) if r.feeder is None else place[r.feeder] for r in here]
    parent = [-1] + [0] * len(sites) + [1 + sites.index(f.site) for f in lines]
    differ = len({r.wear_cost for r in here}) > 1
    lasting = [(r.lasting_down_w if down else r.lasting_up_w) if differ else np.inf for r in here]
    # Four parts of each battery: easy and kept for bridging, each of them as far as it lasts, and beyond.
    edges = [
        [min(e, last), e, max(e, min(w, last)), w] for e, w, last in zip(easy, room, lasting, strict=True)
    ]
    parts = np.diff(np.array(edges).reshape(-1, 4), axis=1, prepend=0.0).T
    wear = [[r.wear_cost for r in here], [0.0] * len(here)] * 2
    keys = np.column_stack([np.repeat(range(4), len(here)), np.concatenate(wear)])
    _, rank = np.unique(keys, axis=0, return_inverse=True)
    cap = [np.inf]
    cap += [(bounds[s].down_max_w if down else bounds[s].up_max_w) - taken.get(s, 0.0) for s in sites]
    cap += [f.down_max_w if down else f.up_max_w for f in lines]
    weight = [r.weight_down if down else r.weight_up for r in here]
    tree = compile_tree(parent, node * 4, rank.reshape(-1))
    answer = allocate(tree, abs(asked.regulation_w), parts.reshape(-1), weight * 4, cap)
    given = answer.x.reshape(4, -1).sum(axis=0)
    return dict(zip((r.id for r in here), (given if down else -given).tolist(), strict=True))


@dataclass(slots=True)
class Question:
    """One target of one problem. Columns: easy part and bridging part of each battery, own sun of each site, missing."""

    asked: Target
    here: list[Resource]
    easy: list[float]
    rest: list[float]
    cap: list[float]
    own: list[float]
    lines: list[tuple[list[int], float]]
    reached: dict[str, float] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return 2 * len(self.here) + len(self.cap) + 1

    def rows(self) -> Iterator[tuple[dict[int, float], float]]:
        """Connections, feeders, and own sun that is no more than what the site takes: coefficients and their limit."""
        n = len(self.here)
        for s, site in enumerate(self.asked.sites):
            at = [i for i, r in enumerate(self.here) if r.site == site]
            both = {c: 1.0 for i in at for c in (i, n + i)}
            yield both, self.cap[s]
            yield dict.fromkeys(both, -1.0) | {2 * n + s: 1.0}, 0.0
        for members, most in self.lines:
            yield {c: 1.0 for i in members for c in (i, n + i)}, most

    def cost(self, purpose: str, wear: float = 0.0) -> dict[int, float]:
        """What is minimised."""
        n = len(self.here)
        if purpose == "missing":
            return {self.size - 1: 1.0}
        if purpose == "bridging":
            return {n + i: 1.0 for i in range(n)}
        if purpose == "sun":
            return {2 * n + s: -1.0 for s in range(len(self.cap))}
        first = 0 if purpose == "easy" else n
        return {first + i: -1.0 for i, r in enumerate(self.here) if r.wear_cost == wear}


def question(case: Problem, asked: Target) -> Question:
    """As the linear program sees it."""
    down, here, room, easy = ways(case, asked)
    bounds = {b.site: b for b in case.bounds}
    sign = 1.0 if down else -1.0
    spare = [bounds[s].spare_sun_w for s in asked.sites]
    first = [np.inf if w is None else max(0.0, -sign * w) for w in spare]
    if not down:
        first = [0.0 if w is None else own for w, own in zip(spare, first, strict=True)]
    return Question(
        asked=asked,
        here=here,
        easy=easy,
        rest=[w - e for w, e in zip(room, easy, strict=True)],
        cap=[bounds[s].down_max_w if down else bounds[s].up_max_w for s in asked.sites],
        own=first,
        lines=[
            ([i for i, r in enumerate(here) if r.feeder == f.id], f.down_max_w if down else f.up_max_w)
            for f in case.feeders
        ],
    )


PURPOSES: tuple[tuple[str, float], ...] = (
    ("missing", 0.0),
    ("bridging", 0.0),
    ("sun", 0.0),
    *(("easy", wear) for wear in sorted(set(WEARS))),
    *(("rest", wear) for wear in sorted(set(WEARS))),
)


def key(purpose: str, wear: float) -> str:
    return f"{purpose} {wear:g}"


def answered(questions: Sequence[Question]) -> None:
    """Solve all of them together, one purpose after the other; `reached` says what each of them comes to."""
    starts = np.cumsum([0, *(q.size for q in questions)])
    low, high = np.zeros(starts[-1]), np.full(starts[-1], np.inf)
    upper: list[dict[int, float]] = []
    limits: list[float] = []
    equal: list[dict[int, float]] = []
    for q, start in zip(questions, starts.tolist(), strict=False):
        n = len(q.here)
        high[start : start + q.size - 1] = [*q.easy, *q.rest, *q.own]
        for row, limit in q.rows():
            upper.append({start + c: w for c, w in row.items()})
            limits.append(limit)
        equal.append(dict.fromkeys((*range(start, start + 2 * n), start + q.size - 1), 1.0))
    for purpose, wear in PURPOSES:
        costs = [
            {start + c: w for c, w in q.cost(purpose, wear).items()}
            for q, start in zip(questions, starts.tolist(), strict=False)
        ]
        cost = np.zeros(starts[-1])
        for row in costs:
            cost[list(row)] = list(row.values())
        answer = linprog(
            cost,
            A_ub=_matrix(upper, len(cost)),
            b_ub=limits,
            A_eq=_matrix(equal, len(cost)),
            b_eq=[abs(q.asked.regulation_w) for q in questions],
            bounds=np.column_stack([low, high]),
            method="highs",
        )
        assert answer.status == 0, (purpose, wear, answer.message)
        for q, row in zip(questions, costs, strict=True):
            found = sum(w * answer.x[c] for c, w in row.items())
            q.reached[key(purpose, wear)] = abs(found)
            upper.append(row)
            limits.append(found + SLACK)


def _matrix(rows: Sequence[dict[int, float]], columns: int) -> csr_array:
    at = [r for r, row in enumerate(rows) for _ in row]
    return csr_array(
        ([w for row in rows for w in row.values()], (at, [c for row in rows for c in row])),
        shape=(len(rows), columns),
    )


def comes_to(q: Question, given: dict[str, float]) -> dict[str, float]:
    """The same of a plan: W per purpose."""
    x = [given[r.id] for r in q.here]
    easy = [min(w, e) for w, e in zip(x, q.easy, strict=True)]
    rest = [w - e for w, e in zip(x, easy, strict=True)]
    site = [sum(w for w, r in zip(x, q.here, strict=True) if r.site == s) for s in q.asked.sites]
    found = {
        key("missing", 0.0): abs(q.asked.regulation_w) - sum(x),
        key("bridging", 0.0): sum(rest),
        key("sun", 0.0): sum(min(w, own) for w, own in zip(site, q.own, strict=True)),
    }
    for wear in set(WEARS):
        alike = [r.wear_cost == wear for r in q.here]
        found[key("easy", wear)] = sum(w for w, one in zip(easy, alike, strict=True) if one)
        found[key("rest", wear)] = sum(w for w, one in zip(rest, alike, strict=True) if one)
    return found
