"""Who gives what when the limits are nested: arrays in, arrays out, one direction per target.

Every resource lies in a node (feeder in site in area in fleet, of any depth), every node may have a cap, and the
root of each tree has a target. Such caps are laminar, so filling in order of rank, each resource up to the smallest
room that is left above it, is the optimum of the linear program: first the least shortfall, then as much as
possible of rank 0, then of rank 1, and so on. Resources of one rank cost the same; they share by water-filling,

    x_i = min(room_i, level * weight_i),    level = the lowest of the levels of the full nodes above i,

which is the one fair point of the optimal face where a solver returns an arbitrary vertex.

Two passes over the levels of the tree, from the deepest to the roots:

    amounts   per (node, rank): running sum by rank, cut at the node's cap; the cut falls into one rank at most
    levels    only for the rank that a cut falls into: sum(min(u_i, level * w_i)) = amount, by Newton's method. The
              sum is concave in the level, so the steps rise towards the root from below, and the last one is exact

Batteries that wear differently differ in rank: where (tier, wear) are the keys of each resource, most urgent first,

    _, rank = np.unique(np.column_stack([tier, wear]), axis=0, return_inverse=True)      rank.reshape(-1) to compile_tree

so wear orders inside a tier, and only resources of equal wear share by weight.

What does not change each second is compiled once (`optimise.tree`); rooms, weights, caps and targets come with each
call. Rounding aside the result does not depend on the order of resources.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from vpp_gateway.errors import MisuseError
from vpp_gateway.optimise.tree import Floats, Ints, Level, Tree, held_by_node, sum_by

LEAST_WEIGHT = 1e-9
"""What a weight counts that is zero, negative or not a number: last in its rank, but not left out."""


@dataclass(frozen=True, slots=True)
class Filled:
    """The answer."""

    x: Floats
    """Per resource, in the order and unit they were given in."""
    shortfall: Floats
    """Per root (`Tree.roots`): what of its target could not be had, >= 0."""
    over: Floats
    """Per root: what resources that must give a least amount give beyond the target, >= 0."""


def allocate(
    tree: Tree,
    amount: ArrayLike,
    room: ArrayLike,
    weight: ArrayLike,
    cap: ArrayLike,
    least: ArrayLike | None = None,
) -> Filled:
    """Share the targets out. Whatever the numbers are, there is an answer: what cannot be had is the shortfall.

    Args:
        tree: The compiled fleet.
        amount: Per root (or one for all), >= 0 in the direction asked for; may be infinite, NaN asks for nothing.
        room: Most that each resource can give; NaN, infinite or negative = 0 (`unsound` names them).
        weight: Share of each resource in a tie, for instance energy left for the rest of the event.
        cap: Per node; infinity = none, NaN or negative = 0.
        least: What each resource must give (at most its room is taken). It is given first and held against every
            cap; what is shared out is the rest.
    """
    wanted = np.zeros(tree.roots.shape) + sound(amount, infinite=True)
    limit, most, pull = sound(cap, infinite=True), sound(room), _weights(weight)
    if limit.shape != (tree.nodes,) or most.shape != (tree.size,) or pull.shape != (tree.size,):
        raise MisuseError(f"{tree.size} rooms and weights, {tree.nodes} caps are needed")
    spare, over, left, held = most, np.zeros(tree.roots.shape), wanted, None
    if least is not None:
        held = np.minimum(sound(least), most)
        kept = held_by_node(tree, held)
        spare, limit = most - held, np.maximum(limit - kept, 0.0)
        over = np.maximum(kept[tree.roots] - wanted, 0.0)
        left = np.maximum(wanted - kept[tree.roots], 0.0)
    limit = limit.copy() if limit is cap else limit
    limit[tree.roots] = np.minimum(limit[tree.roots], left)
    if tree.order is None:
        x, total = _fill(tree, spare.copy(), pull, limit)
    else:
        x = np.empty(tree.size)
        x[tree.order], total = _fill(tree, spare.take(tree.order), pull.take(tree.order), limit)
    return Filled(
        x=x if held is None else np.minimum(x + held, most),
        shortfall=np.maximum(left - total, 0.0),
        over=over,
    )


def sound(values: ArrayLike, *, infinite: bool = False) -> Floats:
    """Numbers that may be counted on: NaN and negative become 0, infinity too unless `infinite` means no limit."""
    given = np.asarray(values, dtype=float)
    if given.size and given.min() >= 0.0 and (infinite or given.max() < np.inf):
        return given  # min and max carry NaN along, and it fails both comparisons
    good = given >= 0.0 if infinite else (given >= 0.0) & (given < np.inf)
    return np.where(good, given, 0.0)


def unsound(values: ArrayLike, *, infinite: bool = False) -> Ints:
    """Indices of the values that `sound` makes 0."""
    given = np.asarray(values, dtype=float)
    good = given >= 0.0 if infinite else (given >= 0.0) & (given < np.inf)
    return np.flatnonzero(~good)


def _fill(tree: Tree, u: Floats, weight: Floats, limit: Floats) -> tuple[Floats, Floats]:
    """Cut `u` (in the tree's order, changed in place) down to the limits; also the sum per root."""
    if not tree.size:
        return u, np.zeros(tree.roots.shape)
    pairs = u
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for level in tree.levels:
            if level.up is not None:
                pairs = sum_by(level.up, pairs, len(level.start))
            elif len(level.start) < tree.size:
                pairs = sum_by(level.of, u, len(level.start))
            sums = np.add.reduceat(pairs, level.first)
            cap = limit.take(level.node)
            full = (sums > cap) & level.own
            if np.count_nonzero(full):
                cap[~full] = np.inf
                pairs = _cut(level, pairs, cap, u, None if tree.distinct else weight)
    last = tree.levels[-1]
    if tree.distinct:
        u = np.empty(tree.size)
        u[... if last.members is None else last.members] = pairs
    total = np.zeros(tree.roots.shape)
    total[np.searchsorted(tree.roots, last.node)] = np.add.reduceat(pairs, last.first)
    return u, total


def _cut(level: Level, pairs: Floats, cap: Floats, u: Floats, weight: Floats | None) -> Floats:
    """Amount per pair under the caps of this level, in order of rank; `u` follows unless `weight` is None."""
    running = pairs.cumsum()
    before = running - pairs
    free = (cap + before.take(level.first)).repeat(level.pairs)
    cut = (running > free).nonzero()[0]
    amount = np.maximum(free.take(cut) - before.take(cut), 0.0)
    if weight is not None:
        part = amount > 0.0
        if np.count_nonzero(part) < len(part):
            u[_members(level, cut[~part])] = 0.0
            _share(level, u, weight, cut[part], amount[part])
        else:
            _share(level, u, weight, cut, amount)
    kept = pairs.copy()
    kept[cut] = amount
    return kept


def _share(level: Level, u: Floats, weight: Floats, pairs: Ints, amount: Floats) -> None:
    """Water-filling: the members of each pair share its amount, which is less than they have room for."""
    if not len(pairs):
        return
    index = _members(level, pairs)
    room, pull = u[index], weight[index]
    if len(pairs) == 1:
        u[index] = np.minimum(room, _one_level(float(amount[0]), room, pull) * pull)
        return
    group = np.arange(len(pairs)).repeat(level.count.take(pairs))
    u[index] = np.minimum(room, _each_level(amount, room, pull, group).take(group) * pull)


def _members(level: Level, pairs: Ints) -> Ints | slice:
    """Where the members of these pairs (ascending) lie, pair by pair."""
    if len(pairs) == 1:
        one = slice(level.start[pairs[0]], level.start[pairs[0]] + level.count[pairs[0]])
        return one if level.members is None else level.members[one]
    chosen = np.zeros(len(level.start), dtype=bool)
    chosen[pairs] = True
    where = chosen.repeat(level.count)
    return where.nonzero()[0] if level.members is None else level.members[where]


def _one_level(amount: float, room: Floats, weight: Floats) -> float:
    """The level at which one group gives `amount`."""
    ratio, open_, full = room / weight, weight + 0j, room * 1j
    pull = float(np.add.reduce(weight))
    level, known = _guess(amount, float(np.add.reduce(room)), pull), -1
    while True:
        is_full = ratio <= level
        number = int(np.count_nonzero(is_full))
        if number == known:
            return level
        # Two sums in one pass: what is open pulls in the real part, what is full gives in the imaginary one.
        both = complex(np.add.reduce(np.where(is_full, full, open_)))
        if both.real:
            level, known = (amount - both.imag) / both.real, number
        elif known >= 0:
            return level
        else:
            level, known = amount / pull, len(room)


def _each_level(amount: Floats, room: Floats, weight: Floats, group: Ints) -> Floats:
    """The same for many groups; `group` of each member, ascending."""
    groups = len(amount)
    ratio = room / weight
    whole, pull = sum_by(group, room, groups), sum_by(group, weight, groups)
    level, low = _guesses(amount, whole, pull), amount / pull
    known, first = -1, True
    while True:
        is_full = ratio <= level.take(group)
        number = int(np.count_nonzero(is_full))
        if number == known:
            return level
        full = sum_by(group, room * is_full, groups)
        open_ = sum_by(group, weight * ~is_full, groups)
        risen = (amount - full) / open_
        np.copyto(risen, low if first else level, where=open_ == 0.0)
        # The first guess may lie above the level; from then on the steps only rise, and members only fill up.
        level, known, first = risen, -1 if first else number, False


def _guess(amount: float, whole: float, pull: float) -> float:
    """The level if rooms were spread evenly; any guess leads to the true one, this one in few steps."""
    return 2.0 * amount / (pull * (1.0 + math.sqrt(max(1.0 - amount / whole, 0.0))))


def _guesses(amount: Floats, whole: Floats, pull: Floats) -> Floats:
    return 2.0 * amount / (pull * (1.0 + np.sqrt(np.maximum(1.0 - amount / whole, 0.0))))


def _weights(weight: ArrayLike) -> Floats:
    given = np.asarray(weight, dtype=float)
    if given.size and given.min() > 0.0 and given.max() < np.inf:
        return given
    usable: Floats = np.where((given > 0.0) & (given < np.inf), given, LEAST_WEIGHT)
    return usable
