"""Water-filling: share an amount in proportion to weights, each up to its cap, under one cap per group.

    x_i = min(cap_i, level_of_group(i) * weight_i),  level_of_group = min(common level, level that fills the group)

This is the fair point of the optimal face: resources of equal cost get equal shares of their headroom, where a
linear program would return an arbitrary vertex (some full, some empty) and jump between vertices as the target
moves. O(n log n), exact up to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

G = TypeVar("G", bound=Hashable)


def fill_level(amount: float, caps: Sequence[float], weights: Sequence[float]) -> float:
    """The level at which `sum(min(cap, level * weight)) == amount`; inf when the caps cannot hold it."""
    order = sorted(range(len(caps)), key=lambda i: caps[i] / weights[i])
    left, weight_left = amount, math.fsum(weights)
    for i in order:
        if weight_left <= 0.0:
            break
        level = left / weight_left
        if level * weights[i] <= caps[i]:
            return max(level, 0.0)
        left -= caps[i]
        weight_left -= weights[i]
    return math.inf


def share_out(
    amount: float,
    caps: Sequence[float],
    weights: Sequence[float],
    groups: Sequence[G],
    group_caps: Mapping[G, float],
) -> list[float]:
    """Share `amount` (>= 0) among items.

    Args:
        amount: What to place; what does not fit stays out (the caller compares the sum).
        caps: Per item, >= 0 and finite.
        weights: Per item, > 0.
        groups: Group (site) of each item.
        group_caps: Most that the items of a group may have together; a missing group is not capped.

    Returns:
        One share per item, sum <= amount.
    """
    effective = below(caps, weights, groups, group_caps)
    if math.fsum(effective) <= amount:
        return effective
    level = fill_level(amount, effective, weights)
    return [min(cap, level * weight) for cap, weight in zip(effective, weights, strict=True)]


def below(
    caps: Sequence[float], weights: Sequence[float], groups: Sequence[G], group_caps: Mapping[G, float]
) -> list[float]:
    """The caps that items have under those of their groups; done level by level, the deepest first, it fills a tree.

    Args: as `share_out`.
    """
    members: dict[G, list[int]] = {}
    for i, group in enumerate(groups):
        members.setdefault(group, []).append(i)
    effective = list(caps)
    for group, indices in members.items():
        cap = group_caps.get(group, math.inf)
        if math.fsum(caps[i] for i in indices) <= cap:
            continue
        level = fill_level(max(cap, 0.0), [caps[i] for i in indices], [weights[i] for i in indices])
        for i in indices:
            effective[i] = min(caps[i], level * weights[i])
    return effective
