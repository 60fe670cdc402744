"""Which limits bind when a target cannot be met: made when somebody asks, never in the control loop.

What a tree can give is the smallest sum of limits that cuts all its resources off from its root (maximum flow =
minimum cut). The limits of that cut are the first answer: their values add up to exactly what is delivered. Lifting
them may only show the next limits behind, so the next cut is looked for as if they were lifted, until the target
fits. Hence lifting exactly the named limits makes the target feasible, and no limit is named that did not bind.

Where a node and all that lies below it are full at once, the node is named first: one site's export limit is a
shorter answer than its fifty batteries, which then follow in the next layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from vpp_gateway.optimise.nested import sound
from vpp_gateway.optimise.tree import Bools, Floats, Ints, Tree, held_by_node, sum_by

RELATIVE = 1e-9
"""A shortfall below this share of its target is rounding."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Limits that bind at once."""

    nodes: Ints
    """Nodes whose cap binds."""
    resources: Ints
    """Resources whose room binds; empty together with `nodes` never happens."""
    value: float
    """What the resources below these limits can give at most beyond their least amounts."""


def binding(
    tree: Tree, amount: ArrayLike, room: ArrayLike, cap: ArrayLike, least: ArrayLike | None = None
) -> tuple[Cut, ...]:
    """The limits that keep targets from being met, the tightest first; empty where all are met.

    Args: as `nested.allocate`. A root without any resource below it has no limit to lift, and adds none.
    """
    limit, most = sound(cap, infinite=True).copy(), sound(room).copy()
    wanted = np.zeros(tree.roots.shape) + sound(amount, infinite=True)
    if least is not None:
        held = np.minimum(sound(least), most)
        kept = held_by_node(tree, held)
        most, limit = most - held, np.maximum(limit - kept, 0.0)
        wanted = np.maximum(wanted - kept[tree.roots], 0.0)
    lies_in = held_by_node(tree, np.ones(tree.size)) > 0.0
    cuts: list[Cut] = []
    while True:
        offered, able = _able(tree, most, limit)
        short = able[tree.roots] < wanted * (1.0 - RELATIVE)
        cut = _below(tree, tree.roots[short], offered, limit, lies_in, most)
        if not (len(cut.nodes) or len(cut.resources)):
            return tuple(cuts)
        cuts.append(cut)
        limit[cut.nodes] = np.inf
        most[cut.resources] = np.inf


def _able(tree: Tree, room: Floats, cap: Floats) -> tuple[Floats, Floats]:
    """Per node: what comes from below, and what passes its cap."""
    offered = sum_by(tree.node, room, tree.nodes)
    able = np.zeros(tree.nodes)
    for depth, at in reversed(list(enumerate(tree.by_depth))):
        able[at] = np.minimum(offered[at], cap[at])
        if depth:
            np.add.at(offered, tree.parent[at], able[at])
    return offered, able


def _below(tree: Tree, roots: Ints, offered: Floats, cap: Floats, lies_in: Bools, room: Floats) -> Cut:
    """The minimum cut below these roots that lies nearest to them."""
    open_ = np.zeros(tree.nodes, dtype=bool)
    named = np.zeros(tree.nodes, dtype=bool)
    for depth, at in enumerate(tree.by_depth):
        reached = np.isin(at, roots) if depth == 0 else open_[tree.parent[at]]
        binds = reached & lies_in[at] & (cap[at] <= offered[at]) & (cap[at] < np.inf)
        named[at], open_[at] = binds, reached & ~binds
    nodes = np.flatnonzero(named)
    resources = np.flatnonzero(open_[tree.node] & (room < np.inf))
    value = float(cap[nodes].sum() + room[resources].sum())
    return Cut(nodes=nodes, resources=resources, value=value)
