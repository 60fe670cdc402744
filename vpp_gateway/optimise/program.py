"""Who gives what when moves couple sites: a linear program for scipy's HiGHS, built from arrays.

Moves, links and rooms cross the tree of limits, so there is no closed form (`optimise.network` has the values). Yet
resources of one node and one rank are alike to the program: they are one column per direction, whose amount
`optimise.nested` shares out afterwards. Hence the size is that of the network, not that of the fleet.

    columns   d_g, u_g   per (node, rank): regulation down and up, W        0 .. sum of rooms
              y_m        per move: share called                             least .. most
              short, over   per target                                      0 .. infinity
              n_k        per bounded node: what passes it, W                -up_max .. down_max
              r_c        per coupling (link, room): what it carries         .. limit
    rows      target     sum(d - u) + sum(leg * y) + short - over = asked
              node       sum over everything below it = n_k
              coupling   sum(use * y) = r_c

Lexicographic without any price being large: minimise short + over, then the use of the dearest rank, then of the
next. Between two steps the program is cut down to the face of its optima: a column whose reduced cost is not zero
has the same value in every optimum (complementary slackness), so it is fixed there. Limits are bounds of columns,
so this fixes tight rows too, and the reduced costs of the first step name the limits that cause a shortfall.

This module imports scipy; only the solver worker imports it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array

from vpp_gateway.errors import MisuseError
from vpp_gateway.optimise.nested import sound
from vpp_gateway.optimise.network import Limits, Network, callable_moves, folded, lifted, within_reach
from vpp_gateway.optimise.tree import Bools, Floats, Ints, sum_by

Matrix = Floats | csr_array
DENSE_MAX = 50_000
"""Entries up to which a full matrix costs scipy less than a sparse one."""
NONZERO = 1e-9
"""A reduced cost beyond this, prices being at most 1, is none by rounding."""
RELATIVE = 1e-9
"""A shortfall below this share of what is asked is rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An optimum."""

    share: Floats
    """Per move, 0..1."""
    node: Ints
    """Per group of resources: its node; what no move reaches into counts with the node above it."""
    rank: Ints
    """Per group: its rank."""
    down: Floats
    """Per group: what its resources give together, W."""
    up: Floats
    missing: Floats
    """Per target, signed: asked - given."""
    use: Floats
    """Per rank: W of its resources plus price of its moves."""
    steps: int
    """Programs solved."""


@dataclass(slots=True)
class _Program:
    """Columns and rows of a network; `low` and `high` narrow from step to step."""

    network: Network
    scale: float
    group: Ints
    first: dict[str, int]
    matrix: Matrix
    right: Floats
    low: Floats
    high: Floats
    bounded: Ints
    """Nodes that have a row."""
    at: Ints
    """Node of each group."""
    ranks: Ints
    """Rank of each group."""
    x: Floats = field(default_factory=lambda: np.zeros(0))
    pull: Floats = field(default_factory=lambda: np.zeros(0))
    """Reduced costs of the last step."""

    def part(self, name: str, values: Floats) -> Floats:
        """The columns of one kind."""
        names = list(self.first)
        after = names.index(name) + 1
        end = self.first[names[after]] if after < len(names) else len(self.low)
        return values[self.first[name] : end]

    def step(self, cost: Floats, time_limit_s: float) -> None:
        """Minimise, and keep only the optima. Raises ArithmeticError when HiGHS gives none."""
        answer = linprog(  # type: ignore[call-overload]  # the stubs refuse an array as bounds, scipy takes it
            cost / max(float(cost.max()), 1e-300),
            A_eq=self.matrix,
            b_eq=self.right,
            bounds=np.column_stack([self.low, self.high]),
            method="highs-ds",
            options={"time_limit": time_limit_s},
        )
        if answer.x is None or answer.status != 0:
            raise ArithmeticError(answer.message)
        self.x = np.clip(answer.x, self.low, self.high)
        self.pull = answer.lower.marginals + answer.upper.marginals
        below, above = self.pull > NONZERO, self.pull < -NONZERO
        self.high = np.where(below, self.low, self.high)
        self.low = np.where(above, self.high, self.low)

    def cost_of_missing(self) -> Floats:
        cost = np.zeros(len(self.low))
        self.part("short", cost)[:] = 1.0
        self.part("over", cost)[:] = 1.0
        return cost

    def costs_of(self, rank: int) -> Iterator[Floats]:
        """What of a rank is minimised: W and prices first, then downtime, then what is not own sun."""
        n, cost = self.network, np.zeros(len(self.low))
        self.part("down", cost)[:] = self.ranks == rank
        self.part("up", cost)[:] = self.ranks == rank
        self.part("share", cost)[:] = np.where(n.move_rank == rank, sound(n.price) / self.scale, 0.0)
        yield cost
        cost = np.zeros(len(self.low))
        self.part("share", cost)[:] = np.where(n.move_rank == rank, sound(n.downtime), 0.0)
        yield cost
        if len(n.sunless):
            cost = np.zeros(len(self.low))
            self.part("share", cost)[:] = np.where(n.move_rank == rank, sound(n.sunless) / self.scale, 0.0)
            yield cost


def solve(network: Network, time_limit_s: float = 1.0) -> Answer:
    """The lexicographic optimum, or that of its first steps where a later one finds no end in time.

    Args:
        time_limit_s: For all steps together.

    Raises:
        ArithmeticError: HiGHS gave no answer to the first step in time, or a target is not a number.
        MisuseError: the nodes are no forest.
    """
    program = _program(folded(network))
    ranks = sorted({*network.rank.tolist(), *network.move_rank.tolist()}, reverse=True)
    limit_s = time_limit_s / (1 + 3 * len(ranks))
    program.step(program.cost_of_missing(), limit_s)
    steps = 1
    for cost in (cost for rank in ranks for cost in program.costs_of(rank)):
        dear = cost > 0.0
        if float(cost[dear] @ (program.x[dear] - program.low[dear])) <= 0.0:
            program.high[dear] = program.low[dear]  # it is at its least already: nothing to solve
            continue
        try:
            program.step(cost, limit_s)
        except ArithmeticError:
            break
        steps += 1
    return _answer(program, steps)


def binding(network: Network, time_limit_s: float = 1.0) -> Iterator[Limits]:
    """The limits that keep targets from being met, the tightest first, each layer behind the one before.

    Lifting exactly these makes every target feasible; where a target has nothing in its scope that could help,
    there is no limit to lift and the answer ends. Made when somebody asks. Raises as `solve`.
    """
    if not np.isfinite(
        network.asked
    ).all():  # nothing meets an infinite target: as far as can be seen from here
        within = _program(network)
        network = replace(network, asked=within.right[: len(network.asked)] * within.scale)
    while True:
        program = _program(network)
        program.step(program.cost_of_missing(), time_limit_s)
        short = program.part("short", program.x) + program.part("over", program.x)
        if short.sum() <= RELATIVE * max(float(np.abs(program.right).sum()), RELATIVE):
            return
        limits = _limits(program)
        if not limits:
            return
        yield limits
        network = lifted(network, limits)


def _program(network: Network) -> _Program:
    n = network
    group_key, group = np.unique(n.node * (n.rank.max(initial=0) + 1) + n.rank, return_inverse=True)
    group = group.reshape(-1)
    at, ranks = np.divmod(group_key, n.rank.max(initial=0) + 1)
    down, up = (sum_by(group, sound(room), len(at)) for room in (n.down, n.up))
    counted = n.target[at] >= 0
    legs, uses, least, most = callable_moves(n)
    asked = within_reach(n, down, up, legs, most)
    scale = float(np.abs(asked).max(initial=0.0)) or float(np.abs(legs).max(initial=0.0)) or 1.0
    bounded = np.flatnonzero(
        np.isfinite(n.down_max) | np.isfinite(n.up_max) | np.isnan(n.down_max + n.up_max)
    )
    sizes = {
        "down": len(at),
        "up": len(at),
        "share": len(least),
        "short": len(asked),
        "over": len(asked),
        "node": len(bounded),
        "coupling": len(n.limit),
    }
    starts = np.cumsum([0, *sizes.values()])
    first = dict(zip(sizes, starts.tolist(), strict=False))
    of_node = _rows(n.parent, bounded)
    entries = [
        _entries(n.target[at], first["down"] + np.arange(len(at)), 1.0),
        _entries(n.target[at], first["up"] + np.arange(len(at)), -1.0),
        _entries(n.target[n.leg_node], first["share"] + n.leg_move, legs / scale),
        _entries(np.arange(len(asked)), first["short"] + np.arange(len(asked)), 1.0),
        _entries(np.arange(len(asked)), first["over"] + np.arange(len(asked)), -1.0),
    ]
    for row_of in of_node:
        rows = np.where(row_of >= 0, len(asked) + row_of, -1)
        entries += [
            _entries(rows[at], first["down"] + np.arange(len(at)), 1.0),
            _entries(rows[at], first["up"] + np.arange(len(at)), -1.0),
            _entries(rows[n.leg_node], first["share"] + n.leg_move, legs / scale),
        ]
    own = np.arange(len(bounded))
    entries.append(_entries(len(asked) + own, first["node"] + own, -1.0))
    after = len(asked) + len(bounded)
    lanes = np.arange(len(n.limit))
    entries.append(_entries(after + n.use_row, first["share"] + n.use_move, uses / scale))
    entries.append(_entries(after + lanes, first["coupling"] + lanes, -1.0))
    row, column, value = (np.concatenate(part) for part in zip(*entries, strict=True))
    shape = (after + len(lanes), int(starts[-1]))
    matrix: Matrix
    if shape[0] * shape[1] <= DENSE_MAX:
        matrix = np.zeros(shape)
        np.add.at(matrix, (row, column), value)
    else:
        matrix = csr_array((value, (row, column)), shape=shape)
    low, high = np.zeros(starts[-1]), np.full(starts[-1], np.inf)
    program = _Program(
        network=n,
        scale=scale,
        group=group,
        first=first,
        matrix=matrix,
        right=np.concatenate([asked / scale, np.zeros(len(bounded) + len(lanes))]),
        low=low,
        high=high,
        bounded=bounded,
        at=at,
        ranks=ranks,
    )
    program.part("down", high)[:] = np.where(counted, down / scale, 0.0)
    program.part("up", high)[:] = np.where(counted, up / scale, 0.0)
    program.part("share", low)[:], program.part("share", high)[:] = least, most
    # What is committed already may pass whatever the limits say, so that the program always has a solution.
    passes = (
        (matrix[:, first["share"] : first["short"]] @ least) if len(least) else np.zeros(after + len(lanes))
    )
    here, lane = passes[len(asked) : after], passes[after:]
    program.part("node", low)[:] = np.minimum(-sound(n.up_max, infinite=True)[bounded] / scale, here)
    program.part("node", high)[:] = np.maximum(sound(n.down_max, infinite=True)[bounded] / scale, here)
    program.part("coupling", low)[:] = -np.inf
    program.part("coupling", high)[:] = np.maximum(sound(n.limit, infinite=True) / scale, lane)
    return program


def _entries(row: Ints, column: Ints, value: Floats | float) -> tuple[Ints, Ints, Floats]:
    """Matrix entries of those rows that there are (>= 0)."""
    is_row = row >= 0
    values = np.broadcast_to(np.asarray(value, dtype=float), row.shape)
    return row[is_row], column[is_row], values[is_row]


def _rows(parent: Ints, bounded: Ints) -> list[Ints]:
    """Per node its own row, its parent's, its grandparent's ... (-1 = none)."""
    number = np.full(len(parent) + 1, -1)
    number[bounded] = np.arange(len(bounded))
    at = np.arange(len(parent))
    rows: list[Ints] = []
    while (at >= 0).any():
        if len(rows) > len(parent):
            raise MisuseError("the nodes go round in a circle")
        rows.append(number[at])
        at = np.where(at >= 0, parent[at], -1)
    return rows


def _answer(program: _Program, steps: int) -> Answer:
    n, x = program.network, program.x
    down, up, share = program.part("down", x), program.part("up", x), program.part("share", x)
    ranks = int(max(n.rank.max(initial=0), n.move_rank.max(initial=0))) + 1
    use = sum_by(program.ranks, (down + up) * program.scale, ranks)
    use += sum_by(n.move_rank, sound(n.price) * share, ranks)
    missing = (program.part("short", x) - program.part("over", x)) * program.scale
    return Answer(
        share=share,
        node=program.at,
        rank=program.ranks,
        down=down * program.scale,
        up=up * program.scale,
        missing=missing + (n.asked - program.right[: len(n.asked)] * program.scale),
        use=use,
        steps=steps,
    )


def _limits(program: _Program) -> Limits:
    """Where the first step's reduced costs say that a bound holds the shortfall up."""
    n, pull = program.network, program.pull

    def at(name: str, sign: float) -> Bools:
        return sign * program.part(name, pull) > NONZERO

    counted = n.target[n.node] >= 0
    return Limits(
        down=np.flatnonzero(at("down", -1.0)[program.group] & counted),
        up=np.flatnonzero(at("up", -1.0)[program.group] & counted),
        moves=np.flatnonzero(at("share", -1.0)),
        held=np.flatnonzero(at("share", 1.0) & (n.least > 0.0)),
        node_down=program.bounded[at("node", -1.0)],
        node_up=program.bounded[at("node", 1.0)],
        couplings=np.flatnonzero(at("coupling", -1.0)),
    )
