"""Random networks of sites with moves between them."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from vpp_gateway.optimise.network import Network

EASY, MOVES, DEAR_MOVES, REST = range(4)
"""Ranks: the easy part of batteries, moves of two SLA tiers, the part kept for bridging."""


def network(
    parent: Sequence[int],
    target: Sequence[int],
    asked: Sequence[float],
    resources: Sequence[tuple[int, int, float, float]],
    moves: Sequence[tuple[int, float, float, Sequence[tuple[int, float]]]],
    uses: Sequence[tuple[int, int, float]] = (),
    limit: Sequence[float] = (),
    down_max: Sequence[float] | None = None,
    up_max: Sequence[float] | None = None,
    least: Sequence[float] | None = None,
    downtime: Sequence[float] | None = None,
) -> Network:
    """From rows.

    Args:
        resources: (node, rank, room down, room up).
        moves: (rank, price, most, legs as (node, W)).
        uses: (move, coupling, W at full call).
    """

    def floats(values: Sequence[float]) -> np.ndarray:
        return np.array(values, dtype=float)

    def ints(values: Sequence[int]) -> np.ndarray:
        return np.array(values, dtype=np.intp)

    legs = [(m, node, w) for m, move in enumerate(moves) for node, w in move[3]]
    endless = [np.inf] * len(parent)
    return Network(
        parent=ints(parent),
        down_max=floats(endless if down_max is None else down_max),
        up_max=floats(endless if up_max is None else up_max),
        target=ints(target),
        asked=floats(asked),
        node=ints([r[0] for r in resources]),
        rank=ints([r[1] for r in resources]),
        down=floats([r[2] for r in resources]),
        up=floats([r[3] for r in resources]),
        leg_move=ints([leg[0] for leg in legs]),
        leg_node=ints([leg[1] for leg in legs]),
        leg_w=floats([leg[2] for leg in legs]),
        least=floats([0.0] * len(moves) if least is None else least),
        most=floats([m[2] for m in moves]),
        move_rank=ints([m[0] for m in moves]),
        price=floats([m[1] for m in moves]),
        downtime=floats([0.0] * len(moves) if downtime is None else downtime),
        use_move=ints([u[0] for u in uses]),
        use_row=ints([u[1] for u in uses]),
        use_w=floats([u[2] for u in uses]),
        limit=floats(limit),
    )


def random_network(seed: int, *, beyond: bool = False) -> Network:
    """2 to 5 sites in up to 3 areas, feeders, moves between sites at their PUE, links, rooms, pauses, commitments.

    Args:
        beyond: Targets are more than there is.
    """
    rng = random.Random(seed)
    sites = rng.randint(2, 5)
    areas = rng.randint(1, min(3, sites))
    area_of = [i if i < areas else rng.randrange(areas) for i in range(sites)]
    parent = [-1] * areas + area_of
    target = [-1] * areas + area_of
    feeders: dict[int, list[int]] = {}
    for site in range(sites):
        for _ in range(rng.choice([0, 0, 1, 2])):
            feeders.setdefault(site, []).append(len(parent))
            parent.append(areas + site)
            target.append(area_of[site])

    def value() -> float:
        return rng.choice([0.0, 10.0, 10.0, 20.0, rng.uniform(0.0, 100.0)])

    def bound() -> float:
        return rng.choice([np.inf, np.inf, 3 * value(), 150.0])

    resources = [
        (rng.choice([areas + site, *feeders.get(site, [])]), rng.choice([EASY, EASY, REST]), value(), value())
        for site in range(sites)
        for _ in range(rng.randint(1, 4))
    ]
    if beyond:  # every target has something that could help, were its room not used up
        resources += [(areas + site, EASY, value(), value()) for site in range(sites)]
    pue = [rng.choice([1.0, 1.2, rng.uniform(1.05, 1.6)]) for _ in range(sites)]
    moves: list[tuple[int, float, float, Sequence[tuple[int, float]]]] = []
    uses: list[tuple[int, int, float]] = []
    pairs = [(a, b) for a in range(sites) for b in range(sites) if a != b]
    rooms, links = range(sites), {pair: sites + i for i, pair in enumerate(pairs)}
    for a, b in pairs:
        for _ in range(rng.choice([0, 1, 1])):
            it = rng.choice([10.0, 20.0, rng.uniform(1.0, 80.0)])
            source = rng.choice([areas + a, *feeders.get(a, [])])
            legs = ((source, it * pue[a]), (areas + b, -it * pue[b]))
            uses += [(len(moves), rooms[b], it), (len(moves), links[a, b], it)]
            moves.append((rng.choice([MOVES, DEAR_MOVES]), it * rng.choice([1.0, 1.0, 2.0]), 1.0, legs))
    for site in range(sites):
        if rng.random() < 0.4:
            w = rng.uniform(1.0, 60.0) * rng.choice([1.0, -1.0])
            moves.append((rng.choice([MOVES, DEAR_MOVES]), abs(w), 1.0, ((areas + site, w),)))
    size = 300.0 if beyond else rng.choice([30.0, 100.0])
    asked = [rng.choice([0.0, 10.0, rng.uniform(-size, size)]) for _ in range(areas)]
    if beyond:
        asked[rng.randrange(areas)] = rng.choice([-1.0, 1.0]) * rng.uniform(1e3, 2e3)
    return network(
        parent,
        target,
        asked,
        resources,
        moves,
        uses,
        [rng.choice([np.inf, 0.0, 30.0, rng.uniform(0, 100)]) for _ in range(sites + len(pairs))],
        [bound() for _ in parent],
        [bound() for _ in parent],
        [rng.choice([0.0, 0.0, 0.0, rng.random()]) for _ in moves],
    )
