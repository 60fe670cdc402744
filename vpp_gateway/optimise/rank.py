"""Merit order: several keys in the order in which they matter become one rank per resource.

The order of the house, the first key weighing more than all that follow:

    tier          batteries before workloads
    SLA tier      the least promised workload first
    cost
    downtime
    degradation   what a use wears off

Where all keys are equal, ranks are equal too, and such resources share (`optimise.nested`). Use of local renewables
is no key of a resource, since a site's surplus is used up: `optimise.local` puts it between downtime and
degradation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from vpp_gateway.optimise.tree import Ints


def ranked(*keys: ArrayLike) -> Ints:
    """Rank of each resource, from 0 up without gaps; a key that is not a number comes last."""
    rows = [np.nan_to_num(np.asarray(key, dtype=float), nan=np.inf, posinf=np.inf) for key in keys]
    table = np.stack(rows, axis=1)
    return np.unique(table, axis=0, return_inverse=True)[1].reshape(-1)
