"""The network question once more, written by hand in the modelling language of highspy: rows as one says them.

Nothing of `vpp_gateway.optimise` is used. One variable per resource and direction, one row per limit, and the ranks
one after the other, each kept by a row that holds its optimum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import highspy

from vpp_gateway.optimise.network import Network

KEEP = 1e-9
"""How much a rank's optimum may be exceeded by the steps after it, as a share of the whole (rounding)."""


@dataclass(frozen=True, slots=True)
class Modelled:
    """The optimum."""

    missing: float
    """Sum over targets, W."""
    use: list[float]
    """Per rank: W of its resources plus price of its moves."""


def optimum(network: Network, ranks: int) -> Modelled:
    """Solve rank by rank; ranks beyond those that occur are used by nobody."""
    h = highspy.Highs()
    h.silent()
    endless = highspy.kHighsInf
    size = 1.0 + max((abs(w) for w in network.asked.tolist()), default=0.0)
    resources = range(len(network.node))
    counted = [int(network.target[network.node[i]]) for i in resources]
    down = [h.addVariable(0, float(network.down[i]) if counted[i] >= 0 else 0.0) for i in resources]
    up = [h.addVariable(0, float(network.up[i]) if counted[i] >= 0 else 0.0) for i in resources]
    call = [h.addVariable(float(a), float(b)) for a, b in zip(network.least, network.most, strict=True)]
    short = [h.addVariable(0, endless) for _ in network.asked]
    over = [h.addVariable(0, endless) for _ in network.asked]
    legs = list(
        zip(network.leg_move.tolist(), network.leg_node.tolist(), network.leg_w.tolist(), strict=True)
    )

    def total(nodes: set[int]) -> tuple[highspy.highs.highs_linear_expression, float]:
        """Regulation of these nodes, and what of it is committed."""
        expression, per_call = h.expr(), [0.0] * len(call)
        for i in resources:
            if network.node[i] in nodes:
                expression += down[i] - up[i]
        for m, node, w in legs:
            if node in nodes:
                per_call[m] += w
        for m, w in enumerate(per_call):
            if w:  # a move inside these nodes may net to nothing, and highspy takes no zero
                expression += w * call[m]
        return expression, sum(w * float(network.least[m]) for m, w in enumerate(per_call))

    for t, asked in enumerate(network.asked.tolist()):
        given, _ = total({k for k in range(len(network.parent)) if network.target[k] == t})
        h.addConstr(given + short[t] - over[t] == asked)
    for k in range(len(network.parent)):
        passing, committed = total({j for j in range(len(network.parent)) if k in _above(network, j)})
        if math.isfinite(network.down_max[k]):
            h.addConstr(passing <= max(float(network.down_max[k]), committed))
        if math.isfinite(network.up_max[k]):
            h.addConstr(passing >= min(-float(network.up_max[k]), committed))
    for c, limit in enumerate(network.limit.tolist()):
        carried, committed = h.expr(), 0.0
        for m, row, w in zip(network.use_move, network.use_row, network.use_w, strict=True):
            if row == c:
                carried += float(w) * call[m]
                committed += float(w) * float(network.least[m])
        if math.isfinite(limit):
            h.addConstr(carried <= max(limit, committed))

    def least(expression: highspy.highs.highs_linear_expression) -> float:
        h.minimize(expression)
        assert h.getModelStatus() == highspy.HighsModelStatus.kOptimal
        value = float(h.getObjectiveValue())
        h.addConstr(expression <= value + KEEP * size)
        return value

    gap = h.expr()
    for t in range(len(network.asked)):
        gap += short[t] + over[t]
    missing = least(gap)
    use = [0.0] * ranks
    for rank in range(ranks - 1, -1, -1):
        used = h.expr()
        for i in resources:
            if network.rank[i] == rank:
                used += down[i] + up[i]
        for m, price in enumerate(network.price.tolist()):
            if network.move_rank[m] == rank:
                used += price * call[m]
        use[rank] = least(used)
    return Modelled(missing=missing, use=use)


def _above(network: Network, node: int) -> set[int]:
    nodes = set()
    while node >= 0:
        nodes.add(node)
        node = int(network.parent[node])
    return nodes
