"""Local renewables first: a site's own surplus is taken up before a site without one is charged.

A surplus is no property of a resource, since it is used up. So every class of equal disruption is filled in two
passes over the same tree,

    local    each site up to what is left of its surplus
    rest     each site up to its caps

which is exact: the first pass takes as much surplus as can be taken, and no pass changes how much a class gives
together (any feasible filling of a class can be completed to a largest one). Ranks inside a class (degradation) and
SoC sharing hold in both passes. Costs two calls of `nested.allocate` per class; used where there is a surplus.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from vpp_gateway.optimise.nested import Filled, allocate, sound
from vpp_gateway.optimise.tree import Bools, Floats, Tree, held_by_node


def allocate_local(
    tree: Tree,
    amount: ArrayLike,
    room: ArrayLike,
    weight: ArrayLike,
    cap: ArrayLike,
    group: ArrayLike,
    surplus: ArrayLike,
) -> Filled:
    """Share the targets out, and take up local surplus where that disturbs nobody more.

    Args:
        group: Class of disruption of each resource, 0 first: `rank.ranked` of tier, SLA tier, cost and downtime.
            The ranks that the tree was compiled with decide inside a class.
        surplus: Per node, in the direction asked for: what its own renewables have to spare, W. Infinity = the node
            does not count it, NaN or negative = 0.

    The other arguments, units and the answer are those of `nested.allocate`.
    """
    left = np.zeros(tree.roots.shape) + sound(amount, infinite=True)
    most, limit, spare = sound(room).copy(), sound(cap, infinite=True), sound(surplus, infinite=True)
    classes, counted = np.asarray(group, dtype=np.intp), _counted(tree, spare)
    x = np.zeros(tree.size)
    for number in np.unique(classes):
        for local in (True, False):
            here = np.where((classes == number) & (counted | (not local)), most, 0.0)
            more = allocate(tree, left, here, weight, np.minimum(limit, spare) if local else limit).x
            passed = held_by_node(tree, more)
            x, most = x + more, np.maximum(most - more, 0.0)
            limit, spare = np.maximum(limit - passed, 0.0), np.maximum(spare - passed, 0.0)
            left = np.maximum(left - passed[tree.roots], 0.0)
    return Filled(x=np.minimum(x, sound(room)), shortfall=left, over=np.zeros(tree.roots.shape))


def _counted(tree: Tree, surplus: Floats) -> Bools:
    """Resources that lie in or below a node whose surplus counts."""
    counts = np.isfinite(surplus)
    for at in tree.by_depth[1:]:
        counts[at] |= counts[tree.parent[at]]
    return counts[tree.node]
