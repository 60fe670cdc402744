"""A fleet's limits as a tree, compiled once so that each second is arithmetic on arrays.

    fleet                     depth 0, a root: has the target
     +- area A                depth 1
     |   +- site A1           depth 2     any depth, and resources may lie in any node
     |   |   +- feeder A1.1   depth 3
     |   +- site A2

Resources are put in an order in which every node's resources lie together. For each depth the tree holds the pairs
(node, rank) that occur, node by node and inside a node by rank, and where each pair's resources lie. Compiling takes
some tens of milliseconds for 10 000 resources; it is due when the fleet or the ranks change, not when numbers do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vpp_gateway.errors import MisuseError

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Level:
    """All nodes of one depth. A pair is a node with one rank that occurs in it; pairs lie by node, then rank."""

    node: Ints
    """Node of each segment of pairs."""
    own: Bools
    """Whether the segment is that node itself, and not a resource's shallow node carried down to this depth."""
    first: Ints
    """First pair of each segment."""
    pairs: Ints
    """How many pairs each segment has."""
    up: Ints | None
    """Pair here of each pair one level deeper; None at the deepest."""
    members: Ints | None
    """Resources (in the tree's order) sorted by pair; None where they lie so already."""
    start: Ints
    """First member of each pair."""
    count: Ints
    """Members of each pair."""
    of: Ints
    """Pair of each resource, in the tree's order."""


@dataclass(frozen=True, slots=True)
class Tree:
    """What of a fleet stays the same from second to second; made by `compile_tree`."""

    size: int
    """Resources."""
    nodes: int
    roots: Ints
    """The nodes that have targets, in ascending order."""
    order: Ints | None
    """Resources in the tree's own order; None = they came in it."""
    levels: tuple[Level, ...]
    """From the deepest to the roots."""
    distinct: bool
    """No two resources of a tree have the same rank: nothing is shared."""
    parent: Ints
    by_depth: tuple[Ints, ...]
    """The nodes of each depth, roots first."""
    node: Ints
    """Node of each resource, as given."""


def compile_tree(parent: ArrayLike, node: ArrayLike, rank: ArrayLike) -> Tree:
    """Prepare a fleet.

    Args:
        parent: Parent of each node; -1 = a root.
        node: The node in which each resource lies.
        rank: Rank of each resource, 0 first; equal ranks share.

    Raises:
        MisuseError: a number is out of range, or the nodes are no forest.
    """
    above, lies, by = (np.asarray(a, dtype=np.intp) for a in (parent, node, rank))
    depth = _depths(above)
    if (
        lies.shape != by.shape
        or lies.ndim != 1
        or np.any((lies < 0) | (lies >= len(above)))
        or np.any(by < 0)
    ):
        raise MisuseError("each resource needs a node of the tree and a rank from 0 up")
    deepest = int(depth[lies].max(initial=0))
    path = [lies] * (deepest + 1)
    for at in range(deepest - 1, -1, -1):
        path[at] = np.where(depth[path[at + 1]] > at, above[path[at + 1]], path[at + 1])
    order = np.lexsort((by, *reversed(path)))
    path, by = [row[order] for row in path], by[order]
    ranks = int(by.max(initial=0)) + 1
    levels: list[Level] = []
    pair_of = np.zeros(0, dtype=np.intp)
    for at in range(deepest, -1, -1):
        segment = np.cumsum(np.diff(path[at], prepend=path[at][:1]) != 0)
        keys, here = np.unique(segment * ranks + by, return_inverse=True)
        start = np.searchsorted(np.sort(here), np.arange(len(keys)))
        up = None
        if levels:
            up = np.zeros(len(levels[-1].start), dtype=np.intp)
            up[pair_of] = here
        sorts = np.argsort(here, kind="stable")
        first = np.flatnonzero(np.diff(keys // ranks, prepend=-1))
        label = path[at][np.flatnonzero(np.diff(segment, prepend=-1))]
        levels.append(
            Level(
                node=label,
                own=depth[label] == at,
                first=first,
                pairs=np.diff(first, append=len(keys)),
                up=up,
                members=None if _plain(sorts) else sorts,
                start=start,
                count=np.diff(start, append=len(here)),
                of=here,
            )
        )
        pair_of = here
    return Tree(
        size=len(lies),
        nodes=len(above),
        roots=np.flatnonzero(above < 0),
        order=None if _plain(order) else order,
        levels=tuple(levels),
        distinct=bool(np.all(levels[-1].count == 1)),
        parent=above,
        by_depth=by_depth(above),
        node=lies,
    )


def sum_by(group: Ints, values: Floats, groups: int) -> Floats:
    """Sum of the values of each group."""
    return np.bincount(group, values, groups).astype(float, copy=False)


def held_by_node(tree: Tree, x: Floats) -> Floats:
    """Sum of `x` over each node's resources, those of the nodes below it included."""
    total = sum_by(tree.node, x, tree.nodes)
    for at in tree.by_depth[:0:-1]:
        total += sum_by(tree.parent[at], total[at], tree.nodes)
    return total


def by_depth(parent: Ints) -> tuple[Ints, ...]:
    """The nodes of each depth, roots first. Raises MisuseError where the nodes are no forest."""
    depth = _depths(parent)
    return tuple(np.flatnonzero(depth == at) for at in range(int(depth.max()) + 1))


def _depths(parent: Ints) -> Ints:
    """Depth of each node, 0 at a root. Raises MisuseError where the nodes are no forest."""
    if parent.ndim != 1 or not len(parent) or np.any(parent >= len(parent)):
        raise MisuseError("each node's parent is a node, or -1")
    depth = np.zeros(len(parent), dtype=np.intp)
    at = parent.copy()
    for _ in range(len(parent) + 1):
        live = at >= 0
        if not live.any():
            return depth
        depth += live
        at[live] = parent[at[live]]
    raise MisuseError("the nodes go round in a circle")


def _plain(order: Ints) -> bool:
    return bool(np.array_equal(order, np.arange(len(order))))
