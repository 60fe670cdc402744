"""What keeps the targets of a problem with moves from being met, as reasons with names.

Only the solver worker imports it (`optimise.program` brings scipy).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vpp_gateway.domain.fleet import FeederId
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.plan import Problem, Reason
from vpp_gateway.optimise.network import Limits, Network
from vpp_gateway.optimise.program import binding
from vpp_gateway.optimise.steps import coupling_reason
from vpp_gateway.optimise.tree import Ints


def named(
    problem: Problem,
    network: Network,
    places: tuple[tuple[SiteId, FeederId | None], ...],
    lane_site: dict[int, tuple[str, SiteId]],
    time_limit_s: float,
) -> tuple[Reason, ...]:
    """Every limit whose lifting lets all targets be met, the tightest first.

    Args:
        network: The problem as a network.
        places: Site of each of its nodes, and its feeder where it is one.
        lane_site: For couplings that stand for a grid connection: their reason and site.

    Raises:
        ArithmeticError: HiGHS gave no answer in time.
    """
    rows: dict[Reason, None] = {}
    for limits in binding(network, time_limit_s):
        rows.update(dict.fromkeys(_reasons(problem, network, places, lane_site, limits)))
    return tuple(rows)


def _reasons(
    problem: Problem,
    network: Network,
    places: tuple[tuple[SiteId, FeederId | None], ...],
    lane_site: dict[int, tuple[str, SiteId]],
    limits: Limits,
) -> Iterator[Reason]:
    for code, nodes in (("bind.export", limits.node_down), ("bind.import", limits.node_up)):
        yield from (_at(code, *places[node]) for node in nodes)
    for lane in limits.couplings.tolist():
        if lane in lane_site:
            yield _at(*lane_site[lane])
        else:
            yield coupling_reason(problem.couplings[lane])
    full: Ints = np.unique(network.node[np.concatenate([limits.down, limits.up])])
    yield from (_at("bind.site_rooms", places[node][0]) for node in full)
    for code, moves in (("bind.offer", limits.moves), ("bind.held", limits.held)):
        levers = (problem.levers[move] for move in moves)
        yield from (Reason(code=code, values=(("offer", v.name or v.offer),)) for v in levers)


def _at(code: str, site: SiteId, feeder: FeederId | None = None) -> Reason:
    if feeder is not None:
        return Reason(code="bind.feeder", values=(("feeder", feeder), ("site", site)))
    return Reason(code=code, values=(("site", site),))
