"""What can be offered, as one published document: `vpp-gateway capacity show --json`, schema `capacity.schema.json`.

control socket: {"get": "capacity", "product": ..., "area": ..., "direction": ..., "hours": ...}
    -> what is known is copied           a tenth of a millisecond
    -> computed and written in steps     of about a millisecond; the loop goes on between them (a thread would hold
                                         the interpreter's lock for 5 ms at a time)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from vpp_gateway.catalogue import Told
from vpp_gateway.console.status import View
from vpp_gateway.domain.product import Product
from vpp_gateway.engine import Engine
from vpp_gateway.portfolio.availability import SiteNow
from vpp_gateway.portfolio.capacity import (
    BLOCK_S,
    HOURS_MAX,
    Capacity,
    CapacityNow,
    CapacityPolicy,
    Cell,
    Series,
    Steps,
    Wanted,
    capacity_steps,
)
from vpp_gateway.portfolio.confidence import Kept, kept

SCHEMA_VERSION: Literal[1] = 1
BLOCKS_A_PIECE = 48


class CapacityProduct(View):
    """A product as it stands in the first block looked at."""

    name: str
    """Name of its profile."""
    title: str
    """What people call it, in English."""
    title_ja: str
    """What people call it, in Japanese."""
    trigger: Literal["setpoint", "event", "frequency"]
    """What calls it; `frequency` needs a response at the site that this gateway does not have."""
    response_s: float
    """s from the call to the full quantity."""
    sustain_s: float
    """s for which the full quantity must be held."""
    recovery_s: float
    """s of rest after a call."""
    block_s: float
    """s of one block that is bid for."""
    min_bid_w: float
    """W of the smallest bid."""
    step_w: float
    """W; bids are whole multiples of it, 0 = any quantity."""
    price_cap: float | None
    """Highest price that is accepted, in `price_unit`; null = none known."""
    price_unit: str
    """Currency, and for what."""
    verified: Literal["primary", "secondary", "unverified"]
    """Worst mark among the figures used: no bid should rest on anything but `primary`."""


class CapacityBlock(View):
    """One block of half an hour."""

    start_at: float
    """UTC (Unix s) of its beginning."""
    room_w: float
    """W that power, energy and limits allow, >= 0, in the direction of the series."""
    offer_w: float
    """W that can be offered: `room_w` by `factor`, in whole steps, 0 below the smallest bid."""
    limit: str
    """What holds the room down (power, soc, import, promised, ...); empty = nothing is there."""
    at: str
    """Id of the device, feeder, site or offer where it does."""
    members: dict[str, float]
    """Of a composite: W that each of its products could be; the room is the greatest of them."""


class CapacitySeries(View):
    """One product in one area and direction."""

    product: str
    """Name of its profile."""
    area: str
    """Grid area."""
    direction: Literal["down", "up", "both"]
    """down = regulation_w > 0, relieves the grid; up = takes more; both = one quantity that must be there either way."""
    factor: float
    """Share of the room that the past lets one count on at the confidence asked for (0..1); 1 without history."""
    events: int
    """Past deliveries that the factor rests on."""
    events_needed: int
    """Past deliveries that this confidence needs; with fewer there is no history."""
    blocks: tuple[CapacityBlock, ...]
    """In time order without gaps."""


class CapacityAward(View):
    """A quantity that is sold already."""

    product: str
    """Name of its profile."""
    area: str
    """Grid area."""
    direction: Literal["down", "up", "both"]
    """Of the quantity."""
    w: float
    """W that were awarded."""
    start_at: float
    """UTC (Unix s)."""
    end_at: float
    """UTC (Unix s)."""
    short_w: float
    """W of it that no battery of the area can carry, >= 0."""


class CapacityDoubt(View):
    """A device that gives nothing because what is known of it cannot be relied on."""

    device: str
    """Its id."""
    limit: str
    """reading = it cannot be read, or says what cannot be; settings = its settings cannot be true."""


class CapacityReply(View):
    """What can be offered from now on. Each quantity stands alone: what is sold becomes an award that all others see."""

    schema_version: Literal[1] = SCHEMA_VERSION
    """Version of the published shape."""
    at: float
    """UTC (Unix s) of the picture it rests on."""
    simulated: bool
    """True when devices or utility are simulated: nothing here is a real quantity."""
    block_s: float
    """s of one block."""
    confidence: float
    """How often at least what is offered is to be delivered in full, by the record of past deliveries (0..1)."""
    load_margin: float
    """Share by which the load at a grid connection may differ from the present one (0..1)."""
    products: tuple[CapacityProduct, ...]
    """Products looked at that exist in this time."""
    undefined: tuple[str, ...]
    """Names of products that do not exist in this time."""
    series: tuple[CapacitySeries, ...]
    """One per product, area and direction."""
    awards: tuple[CapacityAward, ...]
    """What is sold already."""
    doubts: tuple[CapacityDoubt, ...]
    """Devices that give nothing, and why."""


class CapacityAsk(BaseModel):
    """Which part of it; what is empty is not narrowed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    get: Literal["capacity"]
    product: str = ""
    area: str = ""
    direction: Literal["", "down", "up", "both"] = ""
    hours: Annotated[float, Field(ge=0.5, le=HOURS_MAX, allow_inf_nan=False)] = HOURS_MAX


class Capacities(Protocol):
    """Where the control socket gets it."""

    def prepare(self, ask: CapacityAsk) -> Iterator[str]:
        """Copy what is known now; what is returned computes the answer step by step, as pieces of a `CapacityReply` in JSON.

        Raises:
            GatewayError: the question names what there is not, or a product profile is wrong.
        """
        ...


class LiveCapacity:
    """Over the running engine.

    Args:
        policy: Reads the product profiles; called at the first question, so that a wrong profile of the operator's
            costs this answer and not the start of the gateway.
    """

    def __init__(self, engine: Engine, policy: Callable[[], CapacityPolicy], *, simulated: bool) -> None:
        self._engine, self._read, self._simulated = engine, policy, simulated
        self._policy: CapacityPolicy | None = None

    def prepare(self, ask: CapacityAsk) -> Iterator[str]:
        """Copy what is known now, to be computed step by step."""
        if self._policy is None:
            self._policy = self._read()
        policy, gateway = self._policy, self._engine.gateway
        _known("product", ask.product, policy.products)
        _known("area", ask.area, tuple(dict.fromkeys(site.area for site in gateway.fleet.sites)))
        at = self._engine.clock.utc()
        now = CapacityNow(
            at=at,
            sites=tuple(
                SiteNow(
                    site=state.site,
                    load_w=state.load_w if state.fresh else None,
                    usable=dict(state.readable),
                )
                for state in gateway.sites
            ),
            timeline=gateway.timeline.copy(),
            offers=tuple(gateway.shifts.callable_offers(at)),
            history=tuple(self._history()),
        )
        wanted = Wanted(
            product=ask.product, area=ask.area, side=ask.direction or None, hours=float(ask.hours)
        )
        return _pieces(capacity_steps(now, policy, wanted), policy, simulated=self._simulated)

    def _history(self) -> Sequence[Kept]:
        gateway = self._engine.gateway
        found = []
        for record in gateway.account.records():
            instruction = gateway.instruction(record.instruction)
            if instruction is not None and record.state in ("completed", "cancelled"):
                found.append(kept(record, gateway.timeline.scope_of(instruction)))
        return [row for row in found if row is not None]


def _known(what: Literal["product", "area"], found: str, known: Sequence[str]) -> None:
    if found and found not in known:
        raise Told(f"capacity.unknown_{what}", found=found, known=", ".join(known) or "-")


def _pieces(steps: Steps, policy: CapacityPolicy, *, simulated: bool) -> Iterator[str]:
    """The reply in JSON, in pieces that each take about a millisecond; empty ones are pauses."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            found: Capacity = done.value
            break
        yield ""
    head = _head(found, policy, simulated=simulated).model_dump_json(exclude={"series"})
    yield head.removesuffix("}") + ',"series":['
    for number, series in enumerate(found.series):
        comma = "," if number else ""
        yield (comma + _series(series).model_dump_json(exclude={"blocks"}).removesuffix("}") + ',"blocks":[')
        for first in range(0, len(series.blocks), BLOCKS_A_PIECE):
            some = series.blocks[first : first + BLOCKS_A_PIECE]
            yield ("," if first else "") + ",".join(_block(cell).model_dump_json() for cell in some)
        yield "]}"
    yield "]}"


def _head(found: Capacity, policy: CapacityPolicy, *, simulated: bool) -> CapacityReply:
    products = {series.product.name: series.product for series in found.series}
    return CapacityReply(
        at=found.at,
        simulated=simulated,
        block_s=BLOCK_S,
        confidence=policy.confidence,
        load_margin=policy.load_margin,
        products=tuple(_product(product) for product in products.values()),
        undefined=found.undefined,
        series=(),
        awards=tuple(
            CapacityAward(
                product=row.award.product,
                area=row.award.area,
                direction=row.award.direction,
                w=row.award.w,
                start_at=row.award.start_at,
                end_at=row.award.end_at,
                short_w=row.short_w,
            )
            for row in found.awards
        ),
        doubts=tuple(CapacityDoubt(device=bind.at, limit=bind.limit) for bind in found.doubts),
    )


def _product(product: Product) -> CapacityProduct:
    return CapacityProduct(
        name=product.name,
        title=product.title,
        title_ja=product.title_ja,
        trigger=product.trigger,
        response_s=product.response_s,
        sustain_s=product.sustain_s,
        recovery_s=product.recovery_s,
        block_s=product.block_s,
        min_bid_w=product.min_bid_w,
        step_w=product.step_w,
        price_cap=product.price_cap,
        price_unit=product.price_unit,
        verified=product.verified,
    )


def _series(series: Series) -> CapacitySeries:
    return CapacitySeries(
        product=series.product.name,
        area=series.area,
        direction=series.side,
        factor=series.confidence.factor,
        events=series.confidence.events,
        events_needed=series.confidence.needed,
        blocks=(),
    )


def _block(cell: Cell) -> CapacityBlock:
    first = cell.binds[0] if cell.binds else None
    return CapacityBlock(
        start_at=cell.start_at,
        room_w=round(cell.room_w, 3),
        offer_w=round(cell.offer_w, 3),
        limit="" if first is None else first.limit,
        at="" if first is None else first.at,
        members={name: round(w, 3) for name, w in cell.members},
    )
