"""The operator's acts, as they come over the control socket: which connection, which act, and what he is told.

    {"do": "opt", "room": "tso", "event": "EV-1", "opt": "optOut"}   ->  engine.operate  ->  session, journal

Acts change the registration and the opts of one connection; nothing here touches a device. Looks (`events`, `reports`,
`opts`, `status`) change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from vpp_gateway.catalogue import Told
from vpp_gateway.domain.instruction import RoomName
from vpp_gateway.engine import Engine
from vpp_gateway.northbound.openadr2.operate import VenRequest, Verb
from vpp_gateway.northbound.openadr2.opt_schedule import short_intervals
from vpp_gateway.northbound.openadr2.opt_words import Availability, Opt

Texts = Annotated[tuple[str, ...], Field(max_length=100)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Span(_Model):
    """One interval of a schedule."""

    start_at: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """UTC (Unix s)."""
    duration_s: Annotated[float, Field(gt=0, le=366 * 86400, allow_inf_nan=False)]


class FromCapacity(_Model):
    """Opt out where less than this can be held."""

    need_kw: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    direction: Literal["down", "up"] = "down"
    hours: Annotated[float, Field(gt=0, le=31 * 24)] = 24.0
    block_s: Annotated[float, Field(ge=60, le=86400)] = 1800.0


class Do(_Model):
    """One act or look."""

    do: Verb
    room: str = ""
    """Name of the connection; empty = the only one."""
    event: str = ""
    opt: Opt = "optOut"
    reason: str = ""
    opt_id: str = ""
    available: Annotated[tuple[Span, ...], Field(max_length=1000)] = ()
    from_capacity: FromCapacity | None = None
    market_context: str | None = None
    ven_ids: Texts = ()
    resource_ids: Texts = ()
    group_ids: Texts = ()
    party_ids: Texts = ()
    device_classes: Texts = ()
    stay: bool = False


class Acts(Protocol):
    """What the control socket may ask for beside reading."""

    def do(self, request: Do) -> Mapping[str, Any]:
        """Carry out one act; what the operator is told, in plain values.

        Raises:
            GatewayError: It is not possible now.
        """
        ...


class Operator:
    """The acts on the running engine; implements `Acts`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def do(self, request: Do) -> Mapping[str, Any]:
        """Carry out one act at once; what reaches the utility follows."""
        room = self._room(request.room)
        available = tuple(
            Availability(start_at=span.start_at, duration_s=span.duration_s) for span in request.available
        )
        if request.do == "create-opt" and request.from_capacity is not None:
            available = self._short(request.from_capacity)
            if not available:
                return {"room": room, "verb": request.do, "acted": False, "enough": True}
        return self._engine.operate(
            room,
            VenRequest(
                verb=request.do,
                event=request.event,
                opt=request.opt,
                reason=request.reason,
                opt_id=request.opt_id,
                available=available,
                market_context=request.market_context,
                ven_ids=request.ven_ids,
                resource_ids=request.resource_ids,
                group_ids=request.group_ids,
                party_ids=request.party_ids,
                device_classes=request.device_classes,
                stay=request.stay,
            ),
        )

    def _room(self, wanted: str) -> RoomName:
        known = ", ".join(self._engine.rooms) or "-"
        if wanted:
            if wanted not in self._engine.rooms:
                raise Told("ven.unknown_room", found=wanted, known=known)
            return RoomName(wanted)
        match list(self._engine.rooms):
            case []:
                raise Told("ven.no_room")
            case [only]:
                return only
            case _:
                raise Told("ven.room_needed", known=known)

    def _short(self, wanted: FromCapacity) -> tuple[Availability, ...]:
        now = self._engine.clock.utc()
        blocks = self._engine.history.spare(wanted.direction, now, wanted.block_s, wanted.hours * 3600.0)
        if not blocks:
            raise Told("ven.no_readings")
        return short_intervals(blocks, 1000.0 * wanted.need_kw)
