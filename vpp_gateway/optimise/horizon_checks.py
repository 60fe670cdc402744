"""What of a horizon problem can be true. Pure, so that the caller can ask before it sends anything.

A frame that makes no sense (steps, prices, doubled names) is refused whole; a resource, site, instruction or product
that cannot be true is left out and named, and the rest is planned. Nothing that is not a number ever means unlimited.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass, replace

from vpp_gateway.domain.horizon import Asked, Connection, HorizonProblem, Reserve, Store, Work
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.plan import Reason

STEPS_MAX = 500
LENGTH_MAX_S = 7200.0
TIERS_MAX = 4
HUGE = 1e12
"""W, Wh or s beyond this are no quantities of a data centre."""

Part = Asked | Store | Work | Connection | Reserve


def check_frame(problem: HorizonProblem) -> None:
    """Refuse a problem that cannot be planned at all.

    Raises:
        ValueError: says which field, what is expected and what was found.
    """
    name = f"horizon problem {problem.id}"
    if not 1 <= len(problem.lengths_s) <= STEPS_MAX:
        raise ValueError(f"{name}: {len(problem.lengths_s)} steps; expected 1 to {STEPS_MAX}")
    if not math.isfinite(problem.at):
        raise ValueError(f"{name}: at is {problem.at!r}; expected a time")
    for t, length in enumerate(problem.lengths_s):
        if not 0.0 < length <= LENGTH_MAX_S:
            raise ValueError(f"{name}: lengths_s[{t}] is {length!r}; expected 0 < s <= {LENGTH_MAX_S:g}")
    if not 1 <= len(problem.tiers) <= TIERS_MAX:
        raise ValueError(f"{name}: {len(problem.tiers)} tiers; expected 1 to {TIERS_MAX}")
    for one in fields(problem.prices):
        price = getattr(problem.prices, one.name)
        least = 2.0 if one.name == "tier_factor" else 0.0
        if not least <= price <= 1e4:
            raise ValueError(f"{name}: prices.{one.name} is {price!r}; expected {least:g} to 10000")
    _once(name, "store", (store.id for store in problem.stores))
    _once(name, "work", (work.offer for work in problem.works))
    _once(name, "connection", (connection.site for connection in problem.connections))
    _once(name, "product", (reserve.product for reserve in problem.reserves))
    taken: set[tuple[SiteId, int]] = set()
    for asked in problem.asked:
        here = {(s, t) for s in asked.sites for t, w in enumerate(asked.regulation_w) if w is not None}
        for site, t in sorted(here & taken):
            raise ValueError(f"{name}: site {site!r} is asked by two instructions in step {t}")
        taken |= here


def _once(name: str, what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for one in names:
        if one in seen:
            raise ValueError(f"{name}: {what} {one!r} occurs twice")
        seen.add(one)


def clean(problem: HorizonProblem) -> tuple[HorizonProblem, tuple[Reason, ...]]:
    """The problem without what cannot be true, and why each part was left out.

    A site whose forecast is no number takes its batteries and offers with it: nobody can say what its grid connection
    carries.

    Raises:
        ValueError: the frame makes no sense, see `check_frame`.
    """
    check_frame(problem)
    steps, refused = len(problem.lengths_s), []
    tiers = frozenset(problem.tiers)
    connections = []
    for connection in problem.connections:
        if wrong := _connection_wrong(connection, steps):
            refused.append(_reason("site", connection.site, wrong))
        else:
            connections.append(connection)
    known = frozenset(connection.site for connection in connections)
    stores, works, asked, reserves = [], [], [], []
    for store in problem.stores:
        if wrong := _store_wrong(store, known, tiers):
            refused.append(_reason("battery", store.id, wrong))
        else:
            stores.append(store)
    for work in problem.works:
        if wrong := _work_wrong(work, steps, known, tiers):
            refused.append(_reason("offer", work.offer, wrong))
        else:
            works.append(work)
    for one in problem.asked:
        if wrong := _number_wrong(one, steps, ("regulation_w",), allow_none=True):
            refused.append(_reason("instruction", one.instruction, wrong))
        else:
            asked.append(one)
    for reserve in problem.reserves:
        if wrong := _number_wrong(reserve, steps, ("down_w", "up_w")) or _negative(reserve):
            refused.append(_reason("product", reserve.product, wrong))
        else:
            reserves.append(reserve)
    kept = replace(
        problem,
        connections=tuple(connections),
        stores=tuple(stores),
        works=tuple(works),
        asked=tuple(asked),
        reserves=tuple(reserves),
    )
    return kept, tuple(refused)


def _reason(kind: str, name: str, wrong: str) -> Reason:
    return Reason(code="refused.part", values=(("kind", kind), ("name", name), ("wrong", wrong)))


def _numbers(part: Part, allow_none: bool) -> Iterator[tuple[str, float]]:
    """Every number of a part with the name of its field."""
    for one in fields(part):
        value = getattr(part, one.name)
        rows = value if isinstance(value, tuple) else (value,)
        for i, row in enumerate(rows):
            name = f"{one.name}[{i}]" if isinstance(value, tuple) else one.name
            if isinstance(row, float | int):
                yield name, row
            elif is_dataclass(row) and hasattr(row, "regulation_w"):
                yield f"{name}.regulation_w", row.regulation_w
            elif row is None and isinstance(value, tuple) and not allow_none:
                yield name, math.nan


def _number_wrong(part: Part, steps: int, series: tuple[str, ...], allow_none: bool = False) -> str:
    """What number of a part cannot be true; empty when all can."""
    for name, value in _numbers(part, allow_none):
        if not abs(value) <= HUGE:
            return f"{name} is {value!r}"
    for name in series:
        found = len(getattr(part, name))
        if found != steps:
            return f"{name} has {found} values, the plan has {steps} steps"
    return ""


def _negative(part: Part, *without: str) -> str:
    for name, value in _numbers(part, True):
        if value < 0 and name.partition("[")[0] not in without:
            return f"{name} is {value!r}; expected >= 0"
    return ""


def _connection_wrong(connection: Connection, steps: int) -> str:
    series = ("load_w", "pv_w", "import_max_w", "export_max_w")
    return _number_wrong(connection, steps, series) or _negative(connection, "load_w")


def _store_wrong(store: Store, known: frozenset[SiteId], tiers: frozenset[str]) -> str:
    if wrong := _number_wrong(store, 0, ()) or _negative(store, "discharge_w"):
        return wrong
    for name in ("discharge_efficiency", "charge_efficiency"):
        if not 0.05 <= getattr(store, name) <= 1.0:
            return f"{name} is {getattr(store, name)!r}; expected 0.05 to 1"
    if not store.stored_min_wh <= store.stored_max_wh:
        return f"its window is empty: {store.stored_min_wh!r} to {store.stored_max_wh!r} Wh"
    return _placed(store.site, store.tier, known, tiers)


def _work_wrong(work: Work, steps: int, known: frozenset[SiteId], tiers: frozenset[str]) -> str:
    wrong = _number_wrong(work, steps, ("share_max",) if work.share_max else ()) or _negative(work, "legs")
    if wrong:
        return wrong
    if not work.legs or all(leg.regulation_w == 0 for leg in work.legs):
        return "it has no leg that does anything"
    if not work.share <= 1.0 or any(share > 1.0 for share in work.share_max):
        return "a share is above 1"
    if work.rebound > 5.0 or work.rebound_max > 5.0:
        return "more than five times of what is shifted would return"
    missing = [leg.site for leg in work.legs if leg.site not in known]
    return _placed(missing[0] if missing else work.legs[0].site, work.tier, known, tiers)


def _placed(site: SiteId, tier: str, known: frozenset[SiteId], tiers: frozenset[str]) -> str:
    if site not in known:
        return f"nothing is known of the grid connection of {site}"
    return "" if tier in tiers else f"tier {tier} is not among the tiers of the plan"
