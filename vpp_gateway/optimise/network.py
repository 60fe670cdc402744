"""A network of sites as values: what they can give, the moves between them, and which limits can be lifted.

A move takes load from one node and puts it into another, each at its own PUE, over a link of some capacity, into a
room of some size. Such rows cross the tree of `optimise.tree`; `optimise.program` solves them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from vpp_gateway.optimise.nested import sound
from vpp_gateway.optimise.tree import Bools, Floats, Ints, by_depth, sum_by

TABLE_MAX = 1_000_000
"""Nodes times ranks beyond which subtrees are not folded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Sites, what they can give, and the moves between them; W everywhere."""

    parent: Ints
    """Parent of each node (feeder, site, area); -1 = none."""
    down_max: Floats
    """Most regulation down that each node can pass; infinity = no limit, NaN or negative = 0."""
    up_max: Floats
    """The same for regulation up, >= 0."""
    target: Ints
    """Which target counts what is given in each node; -1 = none."""
    asked: Floats
    """Per target, signed: > 0 is down."""
    node: Ints
    """Per resource: where it lies."""
    rank: Ints
    """Per resource: 0 is used first."""
    down: Floats
    """Per resource: room down; NaN, infinite or negative = 0."""
    up: Floats
    leg_move: Ints
    """Per leg: which move it belongs to."""
    leg_node: Ints
    leg_w: Floats
    """Per leg: regulation that it gives at its node at full call, signed."""
    least: Floats
    """Per move: share that is committed, 0..1."""
    most: Floats
    """Per move: share that can be called, `least`..1."""
    move_rank: Ints
    """Per move: in the same order as the resources' ranks."""
    price: Floats
    """Per move: what a full call costs, W times a factor relative to the others of its rank."""
    downtime: Floats
    """Per move: what decides where prices are equal, in any unit."""
    sunless: Floats = field(default_factory=lambda: np.zeros(0))
    """Per move: W of a full call, less what is taken from own sun, >= 0: decides where downtimes are equal too; empty =
    nobody has any."""
    use_move: Ints
    """Per use of a coupling: by which move."""
    use_row: Ints
    """Per use: which coupling (link, room at the destination)."""
    use_w: Floats
    """Per use: how much a full call takes; < 0 gives back what others take."""
    limit: Floats
    """Per coupling: how much it carries; infinity = no limit, NaN or negative = 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits that bind at once, as indices into the network."""

    down: Ints
    """Resources whose room down is used up."""
    up: Ints
    moves: Ints
    """Moves that are called as far as they can be."""
    held: Ints
    """Moves that are committed and too much."""
    node_down: Ints
    node_up: Ints
    couplings: Ints

    def __bool__(self) -> bool:
        rows = (self.down, self.up, self.moves, self.held, self.node_down, self.node_up, self.couplings)
        return any(len(row) for row in rows)


def lifted(network: Network, limits: Limits) -> Network:
    """The network without these limits; what is lifted gives as much as all targets ask, and no less than before."""
    enough = 2.0 * float(np.abs(network.asked).sum()) + float(np.abs(network.leg_w).sum())

    def raised(values: Floats, at: Ints, to: float) -> Floats:
        result = values.astype(float)
        result[at] = np.maximum(np.nan_to_num(result[at]), to)
        return result

    least = network.least.astype(float)
    least[limits.held] = 0.0
    return replace(
        network,
        down=raised(network.down, limits.down, enough),
        up=raised(network.up, limits.up, enough),
        most=raised(network.most, limits.moves, 1e6),
        least=least,
        down_max=raised(network.down_max, limits.node_down, np.inf),
        up_max=raised(network.up_max, limits.node_up, np.inf),
        limit=raised(network.limit, limits.couplings, np.inf),
    )


def callable_moves(n: Network) -> tuple[Floats, Floats, Floats, Floats]:
    """Legs, uses, least and most calls; a move with a leg or use that is no number is not called."""
    broken = np.zeros(len(n.least), dtype=bool)
    broken[n.leg_move[~np.isfinite(n.leg_w)]] = True
    broken[n.use_move[~np.isfinite(n.use_w)]] = True
    legs = np.where(broken[n.leg_move], 0.0, n.leg_w)
    uses = np.where(broken[n.use_move], 0.0, n.use_w)
    least = np.minimum(sound(n.least), 1.0)
    most = np.maximum(np.where(broken, 0.0, sound(n.most)), least)
    return legs, uses, least, most


def within_reach(n: Network, down: Floats, up: Floats, legs: Floats, most: Floats) -> Floats:
    """Targets no further off than twice what everything together could do: numbers a solver can work with."""
    if np.isnan(n.asked).any():
        raise ArithmeticError("a target is not a number")
    reach = 2.0 * float(down.sum() + up.sum() + np.abs(legs * most[n.leg_move]).sum()) + 1.0
    return np.clip(n.asked, -reach, reach)


def folded(network: Network) -> Network:
    """The same question with fewer rows and columns; nodes and moves keep their numbers, what is folded in is lifted.

    Subtrees that no move reaches into become resources of the node above: inside them limits are nested, so what
    they give up to any amount is known, by rank and cut at each cap (`optimise.nested`). A coupling that one move
    alone uses becomes that move's bound.
    """
    n = _without_single_uses(network)
    kept = _kept(n)
    ranks, rank = np.unique(n.rank, return_inverse=True)
    if kept.all() or len(ranks) * len(n.parent) > TABLE_MAX:
        return n
    cell = n.node * len(ranks) + rank.reshape(-1)
    down, up = (
        sum_by(cell, sound(room), len(ranks) * len(n.parent)).reshape(-1, len(ranks))
        for room in (n.down, n.up)
    )
    for at in by_depth(n.parent)[:0:-1]:
        here = at[~kept[at]]
        for table, cap in ((down, n.down_max), (up, n.up_max)):
            amounts = np.minimum(table[here].cumsum(axis=1), sound(cap, infinite=True)[here, None])
            np.add.at(table, n.parent[here], np.diff(amounts, axis=1, prepend=0.0))
            table[here] = 0.0
    node, column = np.nonzero((down + up) > 0.0)
    return replace(
        n,
        node=node,
        rank=ranks[column],
        down=down[node, column],
        up=up[node, column],
        down_max=np.where(kept, n.down_max, np.inf),
        up_max=np.where(kept, n.up_max, np.inf),
    )


def _without_single_uses(n: Network) -> Network:
    uses = np.bincount(n.use_row, minlength=len(n.limit))
    single = (uses[n.use_row] == 1) & (n.use_w > 0.0) & np.isfinite(n.use_w)
    if not single.any():
        return n
    most = sound(n.most).copy()
    np.minimum.at(
        most, n.use_move[single], sound(n.limit, infinite=True)[n.use_row[single]] / n.use_w[single]
    )
    stays = np.ones(len(n.limit), dtype=bool)
    stays[n.use_row[single]] = False
    number = np.cumsum(stays) - 1
    return replace(
        n,
        most=np.maximum(most, n.least),
        use_move=n.use_move[~single],
        use_row=number[n.use_row[~single]],
        use_w=n.use_w[~single],
        limit=n.limit[stays],
    )


def _kept(n: Network) -> Bools:
    """Nodes that cannot be folded: roots, with a leg in them, of another target than above, and all above such."""
    kept = n.parent < 0
    kept[n.leg_node] = True
    kept |= n.target != n.target[n.parent]
    for at in by_depth(n.parent)[:0:-1]:
        kept[n.parent[at[kept[at]]]] = True
    return kept
