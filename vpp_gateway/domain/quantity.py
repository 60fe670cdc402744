"""Signs, in one place.

Two bases only, both said in the name:

    regulation_w    > 0 relieves the grid   (less consumption, more discharge)   down-DR, 下げDR
    import_w        > 0 takes from the grid at the grid connection point (PCC)
    import_delta_w  change of import_w

    regulation_w = -import_delta_w

`discharge_w` > 0 leaves the battery. Inside the package: W, Wh, s, Hz, UTC as Unix seconds. MW, kW, %, JST live
at the edges (mapping, codec, views).
"""

from __future__ import annotations

import math


def regulation_of(import_delta_w: float) -> float:
    """regulation_w that a change of import means."""
    return 0.0 - import_delta_w


def import_delta_of(regulation_w: float) -> float:
    """Change of import that an amount of regulation means."""
    return 0.0 - regulation_w


def clamp(value: float, low: float, high: float) -> float:
    """`value` inside [low, high]. Raises ValueError on NaN or a crossed interval: never clamp nonsense in silence."""
    if not (math.isfinite(value) and low <= high):
        raise ValueError(f"cannot clamp {value!r} into [{low!r}, {high!r}]")
    return min(max(value, low), high)
