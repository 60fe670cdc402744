"""What can be offered: per product, area and block of half an hour, up and down, beside what is promised already.

    accepted instructions ---> their sites offer nothing meanwhile, and their energy is set aside for ever
    awards ------------------> power in their time, energy of a full call, placed on batteries     (`ledger`)
    limits in force, blocked times, the load with its margin                                       (`availability`)
        -> room for response, sustain and recovery of the product                                  (`rooms`)
        -> times what the past says about the next delivery                                        (`confidence`)
        -> down to the product's step; nothing below its least bid

Each quantity stands alone: one product, in one block, called once for as long as it may be. Two of them are not two
quantities: they share power and energy, and what is sold becomes an award, which all others then see. A composite is
one quantity for several products: the greatest of theirs, held as long as the longest, not their sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from vpp_gateway.domain.instruction import DeviceId, SiteId
from vpp_gateway.domain.order import Offer
from vpp_gateway.domain.product import Award, Product, ProductName
from vpp_gateway.portfolio.asset import Bind, Direction, Hold
from vpp_gateway.portfolio.availability import SiteNow, demands, limited_devices, limits_in, spends
from vpp_gateway.portfolio.awards import AwardRoom, book
from vpp_gateway.portfolio.confidence import Confidence, Kept, confidence
from vpp_gateway.portfolio.ledger import Ledger
from vpp_gateway.portfolio.rooms import SiteAssets, Taken, scope_room, site_assets
from vpp_gateway.portfolio.timeline import Timeline

BLOCK_S = 1800.0
HOURS_MAX = 7 * 24
CELLS_A_STEP = 8
Side = Literal["down", "up", "both"]
"""`both`: one quantity that must be there in either direction."""
Resolve = Callable[[ProductName, float], Product | None]
"""The product as it stands for a delivery at a time (UTC, Unix s); None = it does not exist then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityNow:
    """What is known at one moment; nothing in it changes any more."""

    at: float
    sites: tuple[SiteNow, ...]
    timeline: Timeline
    """A copy of its own."""
    offers: tuple[Offer, ...] = ()
    history: tuple[Kept, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityPolicy:
    """How the operator wants it computed; see the settings' section `capacity`."""

    products: tuple[ProductName, ...]
    resolve: Resolve
    confidence: float = 0.9
    load_margin: float = 0.1
    workload_share: float = 0.0
    recharge_share: float = 0.0
    awards: tuple[Award, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One block."""

    start_at: float
    room_w: float
    """What power, energy and limits allow."""
    offer_w: float
    """What can be offered: with the history's factor, in whole steps, not below the least bid."""
    binds: tuple[Bind, ...] = ()
    members: tuple[tuple[ProductName, float], ...] = ()
    """Of a composite: what each of its products could be, W."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One product in one area and direction."""

    product: Product
    """As it stands in the first block that it exists in."""
    area: str
    side: Side
    confidence: Confidence
    blocks: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """The answer."""

    at: float
    series: tuple[Series, ...]
    awards: tuple[AwardRoom, ...]
    doubts: tuple[Bind, ...]
    """Things that give nothing because what is known of them cannot be relied on."""
    undefined: tuple[ProductName, ...]
    """Products that do not exist in the time looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which part of it; empty = all."""

    product: str = ""
    area: str = ""
    side: Side | None = None
    hours: float = HOURS_MAX


Steps = Generator[None, None, Capacity]
"""A computation in steps of about a millisecond: a loop that has other things to do goes on between them."""


def capacity(now: CapacityNow, policy: CapacityPolicy, wanted: Wanted) -> Capacity:
    """What can be offered from `now` on."""
    steps = capacity_steps(now, policy, wanted)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            found: Capacity = done.value
            return found


def capacity_steps(now: CapacityNow, policy: CapacityPolicy, wanted: Wanted) -> Steps:
    """The same, step by step; the generator returns the answer."""
    return _Work(now, policy, wanted).steps()


def sides(product: Product) -> tuple[Side, ...]:
    """Directions that a bid for it can have."""
    return ("both",) if product.directions == "symmetric" else product.sides


def offered_w(product: Product, room_w: float, factor: float) -> float:
    """A room as a bid: whole steps of it, or nothing below the least one."""
    w = room_w * factor
    if product.step_w > 0:
        w = math.floor(w / product.step_w + 1e-9) * product.step_w
    return w if w > 0 and w >= product.min_bid_w - 1e-6 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Situation:
    """All that a block's rooms depend on; blocks in the same situation have the same rooms."""

    start_at: float = field(compare=False)
    """Of the first block in it: nothing but the fields below tells later ones from it."""
    area: str
    sites: tuple[SiteAssets, ...] = field(compare=False)
    limits: tuple[tuple[SiteId, float | None, float | None], ...]
    """Sites that may be used, with the limits in force."""
    taken: tuple[tuple[str, Taken], ...]
    blocked: tuple[str, ...]
    valid: tuple[bool, ...]
    """Of each offer."""


Found = tuple[float, tuple[Bind, ...], tuple[tuple[ProductName, float], ...]]


class _Work:
    """One computation."""

    def __init__(self, now: CapacityNow, policy: CapacityPolicy, wanted: Wanted) -> None:
        self._now, self._policy, self._wanted = now, policy, wanted
        self._first = math.floor(now.at / BLOCK_S)
        hours = min(max(wanted.hours, 0.5), HOURS_MAX)
        self._count = math.ceil(hours * 3600.0 / BLOCK_S)
        self._end = (self._first + self._count) * BLOCK_S
        self._sites: dict[tuple[SiteId, float | None, float | None, frozenset[DeviceId]], SiteAssets] = {}
        self._products: dict[tuple[ProductName, float], Product | None] = {}
        self._situations: dict[tuple[str, float, float], _Situation] = {}
        self._alike: dict[Product | _Situation, Product | _Situation] = {}
        """The first of those that are equal: looked up by identity from then on, which is quick."""
        self._found: dict[tuple[int, Side, int], Found] = {}
        self._ledger = Ledger([self._site(one, None, None) for one in now.sites], policy.recharge_share)

    def steps(self) -> Steps:
        self._spend()
        yield
        awards = []
        for award in self._policy.awards:
            awards.append((yield from self._award(award)))
        series: list[Series] = []
        undefined: list[ProductName] = []
        areas = tuple(dict.fromkeys(one.site.area for one in self._now.sites))
        for name in self._policy.products:
            if self._wanted.product not in ("", name):
                continue
            blocks: list[Product | None] = []
            for index in range(self._count):
                blocks.append(self._product(name, (self._first + index) * BLOCK_S))
                if index % CELLS_A_STEP == 0:
                    yield
            first = next((product for product in blocks if product is not None), None)
            if first is None:
                undefined.append(name)
                continue
            for area in areas:
                if self._wanted.area not in ("", area):
                    continue
                for side in sides(first):
                    if self._wanted.side in (None, side):
                        series.append((yield from self._series(first, blocks, area, side)))
        doubts = tuple(
            Bind(limit=asset.doubt, at=asset.id)
            for one in self._ledger.sites
            for asset in one.batteries
            if asset.doubt is not None
        )
        return Capacity(
            at=self._now.at,
            series=tuple(series),
            awards=tuple(awards),
            doubts=doubts,
            undefined=tuple(undefined),
        )

    # -- what is promised -----------------------------------------------------------------------------------

    def _spend(self) -> None:
        """Accepted instructions set energy aside, at each site in proportion to the power of its batteries."""
        until = max(self._end, self._now.at + HOURS_MAX * 3600.0)
        for one, assets in zip(self._now.sites, self._ledger.sites, strict=True):
            for spend in spends(one, self._now.sites, self._now.timeline, self._now.at, until):
                for direction in spend.directions:
                    powers = [asset.power_w(direction) for asset in assets.batteries]
                    whole = math.fsum(powers)
                    for asset, power in zip(assets.batteries, powers, strict=True):
                        wh = spend.wh * power / whole if whole else 0.0
                        self._ledger.spend(asset, direction, wh, spend.start_at, spend.end_at)

    def _award(self, award: Award) -> Generator[None, None, AwardRoom]:
        product = self._product(award.product, award.start_at)
        sites = frozenset(one.site.id for one in self._now.sites if one.site.area == award.area)
        return book(award, product, self._ledger, sites, self._now.at)

    # -- what is left ---------------------------------------------------------------------------------------

    def _series(
        self, first: Product, blocks: Sequence[Product | None], area: str, side: Side
    ) -> Generator[None, None, Series]:
        scope = frozenset(one.site.id for one in self._now.sites if one.site.area == area)
        known = self._confidence(scope, side)
        cells = []
        for index, product in enumerate(blocks):
            if index % CELLS_A_STEP == CELLS_A_STEP - 1:
                yield
            start_at = (self._first + index) * BLOCK_S
            if product is None:
                cells.append(Cell(start_at=start_at, room_w=0.0, offer_w=0.0))
                continue
            free_s = max(product.block_s, product.sustain_s) + product.recovery_s
            situation = self._situation(area, start_at, free_s)
            key = (id(product), side, id(situation))
            if key not in self._found:
                self._found[key] = self._room(product, side, situation)
            room_w, binds, members = self._found[key]
            cells.append(
                Cell(
                    start_at=start_at,
                    room_w=room_w,
                    offer_w=offered_w(product, room_w, known.factor),
                    binds=binds,
                    members=members,
                )
            )
        return Series(product=first, area=area, side=side, confidence=known, blocks=tuple(cells))

    def _confidence(self, scope: frozenset[SiteId], side: Side) -> Confidence:
        directions: tuple[Direction, ...] = ("down", "up") if side == "both" else (side,)
        found = [confidence(self._now.history, scope, d, self._policy.confidence) for d in directions]
        return min(found, key=lambda one: (one.known, one.factor))

    def _situation(self, area: str, start_at: float, free_s: float) -> _Situation:
        key = (area, start_at, free_s)
        if key not in self._situations:
            situation = self._look(area, start_at, free_s)
            first = self._alike.setdefault(situation, situation)
            assert isinstance(first, _Situation)
            self._situations[key] = first
        return self._situations[key]

    def _look(self, area: str, start_at: float, free_s: float) -> _Situation:
        until = start_at + free_s
        sites, limits = [], []
        idle: list[str] = []
        for one in self._now.sites:
            if one.site.area != area or self._ruled(one, start_at, until):
                continue
            most = limits_in(self._now.timeline, one.site.id, start_at, until)
            bounded = limited_devices(self._now.timeline, one.site.id, start_at, until)
            idle += sorted(bounded)
            sites.append(self._site(one, *most, bounded))
            limits.append((one.site.id, *most))
        return _Situation(
            start_at=start_at,
            area=area,
            sites=tuple(sites),
            limits=tuple(limits),
            taken=tuple(self._ledger.all_taken(sites, start_at, until).items()),
            blocked=(
                *idle,
                *(
                    asset.id
                    for one in sites
                    if one.site.blocked
                    for asset in one.batteries
                    if one.site.is_blocked(DeviceId(asset.id), start_at, until)
                ),
            ),
            valid=tuple(start_at < offer.valid_until for offer in self._now.offers),
        )

    def _ruled(self, one: SiteNow, since: float, until: float) -> bool:
        return any(True for _ in demands(self._now.timeline, one.site.id, since, until))

    def _room(self, product: Product, side: Side, situation: _Situation) -> Found:
        if not product.members:
            w, binds = self._alone(product, side, situation, product.sustain_s)
            return w, binds, ()
        found = [
            (
                member.name,
                *self._alone(
                    member,
                    "both" if member.directions == "symmetric" else side,
                    situation,
                    product.sustain_s,
                ),
            )
            for member in product.members
        ]
        _, most, binds = max(found, key=lambda row: row[1])
        return most, binds, tuple((name, w) for name, w, _ in found)

    def _alone(
        self, product: Product, side: Side, situation: _Situation, sustain_s: float
    ) -> tuple[float, tuple[Bind, ...]]:
        hold = Hold(
            start_at=situation.start_at,
            hold_s=sustain_s,
            response_s=product.response_s,
            free_s=max(product.block_s, sustain_s) + product.recovery_s,
        )
        directions: tuple[Direction, ...] = ("down", "up") if side == "both" else (side,)
        sums = [
            scope_room(
                situation.sites,
                self._now.offers,
                hold,
                direction,
                taken=dict(situation.taken),
                later_share=self._policy.workload_share,
            )
            for direction in directions
        ]
        least = min(sums, key=lambda one: one.w)
        return least.w, least.binds

    def _site(
        self,
        one: SiteNow,
        import_max_w: float | None,
        export_max_w: float | None,
        limited: frozenset[DeviceId] = frozenset(),
    ) -> SiteAssets:
        key = (one.site.id, import_max_w, export_max_w, limited)
        if key not in self._sites:
            self._sites[key] = site_assets(
                one.site,
                one.load_w,
                {device: reading for device, reading in one.usable.items() if device not in limited},
                import_max_w=import_max_w,
                export_max_w=export_max_w,
                margin=self._policy.load_margin,
            )
        return self._sites[key]

    def _product(self, name: ProductName, at: float) -> Product | None:
        day = math.floor(at / BLOCK_S)
        key = (name, float(day))
        if key not in self._products:
            product = self._policy.resolve(name, at)
            if product is not None:
                first = self._alike.setdefault(product, product)
                assert isinstance(first, Product)
                product = first
            self._products[key] = product
        return self._products[key]
