"""Row `allocate_network`: 10 sites x 100 resources with moves between all pairs, beside the model of the tests."""

from __future__ import annotations

import random

import numpy as np

from tests.bench.report import Check, Goal, Row, row
from tests.bench.samples import best_of, interleaved, median
from tests.unit.network_cases import DEAR_MOVES, EASY, MOVES, REST, network
from tests.unit.network_model import optimum
from vpp_gateway.optimise.network import Network
from vpp_gateway.optimise.program import Answer, solve

SITES, FEEDERS, EACH, AREAS = 10, 10, 10, 3
ROUNDS, RANKS = 20, 4


def case(seed: int) -> Network:
    """Three areas asked for down, up and down; feeders, sites, links and rooms at the destination limited."""
    rng = random.Random(seed)
    area = [site % AREAS for site in range(SITES)]
    parent, target = [-1] * AREAS + area, [*range(AREAS), *area]
    resources = []
    for site in range(SITES):
        for _ in range(FEEDERS):
            for _ in range(EACH):
                w = rng.choice([0.0, 50e3, rng.uniform(1e3, 9e4)])
                resources.append((len(parent), rng.choice([EASY, EASY, REST]), w, w))
            parent.append(AREAS + site)
            target.append(area[site])
    pue = [rng.uniform(1.1, 1.6) for _ in range(SITES)]
    moves, uses = [], []
    for a in range(SITES):
        for b in range(SITES):
            if a == b:
                continue
            it = rng.uniform(1e5, 1e6)
            legs = ((AREAS + a, it * pue[a]), (AREAS + b, -it * pue[b]))
            uses += [(len(moves), b, it), (len(moves), SITES + len(moves), it)]
            moves.append((rng.choice([MOVES, DEAR_MOVES]), it * rng.choice([1.0, 2.0]), 1.0, legs))
    total = sum(resource[2] for resource in resources)
    bound = [np.inf] * AREAS
    bound += [rng.uniform(0.3, 1.2) * total / SITES + 1e6 for _ in range(SITES)]
    bound += [rng.uniform(0.3, 1.2) * total / SITES / FEEDERS for _ in range(SITES * FEEDERS)]
    limit = [rng.uniform(5e5, 3e6) for _ in range(SITES)] + [rng.uniform(2e5, 1e6) for _ in moves]
    asked = [0.4 * total, -0.25 * total, 0.1 * total]
    return network(parent, target, asked, resources, moves, uses, limit, bound, bound)


def measure() -> Row:
    """Time both in turn on the same networks."""
    cases = [case(seed) for seed in range(ROUNDS)]
    solve(cases[0])
    mine, theirs = iter(cases), iter(cases)
    answers: list[Answer] = []
    modelled: list[float] = []

    def ours() -> float:
        one = next(mine)
        answer, took = best_of(5, lambda: solve(one))
        answers.append(answer)
        return took

    def model() -> float:
        one = next(theirs)
        answer, took = best_of(1, lambda: optimum(one, RANKS))
        modelled.append(answer.missing)
        return took

    mine_ms, model_ms = interleaved(ours, model, ROUNDS)
    return row(
        "allocate_network",
        quantity="one allocation with moves between sites, arrays in, arrays out, median",
        ours=median(mine_ms),
        unit="ms",
        better="lower",
        against="highspy's modelling language, one variable per resource (HiGHS)",
        theirs=median(model_ms),
        goal=(Goal(of="ours", at_most=20.0),),
        note=f"{SITES} sites of {FEEDERS * EACH} resources on {FEEDERS} feeders, {SITES * (SITES - 1)} moves over as "
        f"many links, three areas down, up and down at once; {ROUNDS} networks, each the best of 5 (ours), 1 (model); "
        f"up to {max(answer.steps for answer in answers)} linear programs, rank after rank, in both.",
        origin="perf_counter of this process around one call",
        checks=(
            Check(
                what="both miss the same amount (1 W)",
                true=all(
                    abs(float(np.abs(answer.missing).sum()) - missing) <= 1.0
                    for answer, missing in zip(answers, modelled, strict=True)
                ),
            ),
        ),
    )
