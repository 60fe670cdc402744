"""The wire of the plug-in contract, version 1: JSON lines over stdio, one message a line, UTF-8, both ways.

    host (site agent)                                   plug-in (own process)
      hello {config, state_dir, fence}   -------->
                                         <--------      capabilities {name, sites, fail_state, ...}
      recover {orders, fence}            -------->      (always, also when there are none)
                                         <--------      states
                                         <- - - - -     offers | shift | samples       (unasked, at any time)
      order {prepare|commit|rollback}    -------->
                                         <--------      ack                            (at once; `shift` follows)
      status | estop | heartbeat         -------->
                                         <--------      states | ack | beat

Every request carries an `id`; its reply carries the same. A plug-in that cannot answer says `error`. Orders are
idempotent by (order id, verb) and fenced: one with a lower fence than the plug-in has seen is refused.
The plug-in ends when its standard input ends. Whatever it prints beyond the wire belongs on standard error.

Corrupt data is worse than none: NaN, infinities, a key given twice, an unknown field, a wrong type or a line over
64 KiB is a `PeerError` whose text names the field and what is allowed; it costs the plug-in its offers. In an offer a
number that is none costs that offer alone (`check.py`), so there it passes the wire.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.order import Offer, OrderId, PluginName, ShiftOrder, ShiftState
from vpp_gateway.errors import MisuseError, PeerError

API_VERSION = 1
LINE_MAX_BYTES = 64 * 1024
ENTRY_POINT_GROUP = "vpp_gateway.site_plugins"
_DIGITS_MAX = 300
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """First word of the host; answered by `capabilities`."""

    type: Literal["hello"] = "hello"
    id: int
    api_version: int = API_VERSION
    name: PluginName
    """The operator's name for this plug-in; every offer carries it."""
    sites: tuple[SiteId, ...]
    """Sites it may speak for."""
    config: dict[str, Any]
    """The operator's settings for it, as in the site file."""
    state_dir: str
    """Folder that it may write to and that outlives it."""
    fence: int
    """Highest epoch the host has seen; orders with a lower one are refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Prepare, commit or roll back (the order's `verb`); answered by `ack`, the carrying out by `shift`."""

    type: Literal["order"] = "order"
    id: int
    order: ShiftOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusQuery:
    """Where does this order stand? Answered by `states` (empty when the plug-in does not know the order)."""

    type: Literal["status"] = "status"
    id: int
    order: OrderId


@dataclass(frozen=True, slots=True, kw_only=True)
class Recover:
    """After every hello: the orders the host holds open; answered by `states` of these and of any other held."""

    type: Literal["recover"] = "recover"
    id: int
    orders: tuple[ShiftOrder, ...]
    """The last verb given, one per order id."""
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyStop:
    """Give every order back and begin nothing until the next hello; answered by `ack` within 1 s. Repeatable."""

    type: Literal["estop"] = "estop"
    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """Are you there? Answered by `beat`."""

    type: Literal["heartbeat"] = "heartbeat"
    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """Answer to `hello`."""

    type: Literal["capabilities"] = "capabilities"
    id: int
    api_version: int
    name: PluginName
    sites: tuple[SiteId, ...]
    fail_state: Literal["hold", "revert"]
    """What becomes of committed orders when the plug-in loses its host."""
    revert_after_s: float | None = None
    """With `revert`: how long after the loss."""
    config_schema: dict[str, Any] = field(default_factory=dict)
    """JSON Schema of `config`, for the operator's editor and error texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """Taken over, or refused and why."""

    type: Literal["ack"] = "ack"
    id: int
    accepted: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderStatus:
    """Where one order stands."""

    order: OrderId
    state: ShiftState
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class States:
    """Answer to `status` and `recover`."""

    type: Literal["states"] = "states"
    id: int
    states: tuple[OrderStatus, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """Answer to `heartbeat`."""

    type: Literal["beat"] = "beat"
    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The request could not be answered; the reason in words."""

    type: Literal["error"] = "error"
    id: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """Unasked: all offers that stand now, replacing the earlier ones."""

    type: Literal["offers"] = "offers"
    offers: tuple[Offer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """Unasked: an order changed its state."""

    type: Literal["shift"] = "shift"
    order: OrderId
    state: ShiftState
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a site's workload takes, seen apart from the actuator."""

    at: float
    """UTC (Unix s)."""
    site: SiteId
    w: float
    """Power of the plug-in's workload at the site (>= 0)."""
    quality: Literal["measured", "modelled"]
    """`modelled` watts are never sold as metered."""
    source: str
    """In words: the instrument, or the model and its inputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Unasked: newest samples, at most one a site."""

    type: Literal["samples"] = "samples"
    samples: tuple[Sample, ...]


Request = Hello | Order | StatusQuery | Recover | EmergencyStop | Heartbeat
Reply = Capabilities | Ack | States | Beat | Failure
Notice = Offers | Shift | Samples
FromPlugin = Reply | Notice

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True)
_LENIENT = _STRICT | ConfigDict(allow_inf_nan=True, ser_json_inf_nan="constants")
_NOTICE: TypeAdapter[Notice] = TypeAdapter(Annotated[Notice, Field(discriminator="type")], config=_LENIENT)
_REQUEST: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="type")], config=_STRICT)
_FROM_PLUGIN: TypeAdapter[FromPlugin] = TypeAdapter(
    Annotated[FromPlugin, Field(discriminator="type")], config=_STRICT
)


def encode(message: Request | FromPlugin) -> bytes:
    """One line, newline included. Raises MisuseError when it would break the contract (too long, not finite)."""
    adapter: TypeAdapter[Any] = _REQUEST if isinstance(message, Request) else _FROM_PLUGIN
    if isinstance(message, Offers):
        adapter = _NOTICE
    try:
        line = adapter.dump_json(message, warnings=False) + b"\n"
    except PydanticSerializationError as error:
        raise MisuseError(f"{message.type}: not JSON: {error}") from error
    if len(line) > LINE_MAX_BYTES:
        raise MisuseError(f"{message.type}: line of {len(line)} bytes, allowed are {LINE_MAX_BYTES}")
    try:
        # dump_json writes NaN as null and trusts types; reading it back finds both before the peer does.
        adapter.validate_json(line)
    except ValidationError as error:
        raise MisuseError(f"{message.type}: {_in_words(error)}") from error
    return line


def decode_request(line: bytes) -> Request:
    """What the host says. Raises PeerError."""
    return _decode(line, _REQUEST)


def decode_from_plugin(line: bytes) -> FromPlugin:
    """What a plug-in says; numbers in its offers may be none. Raises PeerError."""
    try:
        return _decode(line, _FROM_PLUGIN)
    except PeerError:
        offers = _offers_with_any_number(line)
        if offers is None:
            raise
        return offers


def _offers_with_any_number(line: bytes) -> Offers | None:
    """The offers of a line that is right but for numbers that are none."""
    try:
        notice = _decode(line, _NOTICE, finite=False)
    except PeerError:
        return None
    return notice if isinstance(notice, Offers) else None


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of every message, published as docs/schemas/plugin-messages.schema.json."""
    adapter: TypeAdapter[Any] = TypeAdapter(
        Annotated[Request | FromPlugin, Field(discriminator="type")], config=_STRICT
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"vpp-gateway site plug-in messages, version {API_VERSION}",
        **adapter.json_schema(),
    }


def _decode(line: bytes, adapter: TypeAdapter[_T], *, finite: bool = True) -> _T:
    if len(line) > LINE_MAX_BYTES:
        raise PeerError(f"line of {len(line)} bytes, allowed are {LINE_MAX_BYTES}")
    try:
        json.loads(
            line,
            object_pairs_hook=_no_double_keys,
            parse_constant=_no_constant if finite else None,
            parse_float=_finite if finite else None,
            parse_int=_short_int,
        )
        return adapter.validate_json(line)
    except ValidationError as error:
        raise PeerError(_in_words(error)) from error
    except RecursionError as error:
        raise PeerError("nested too deeply") from error
    except ValueError as error:
        raise PeerError(f"not a message: {error}; it began {line[:60]!r}") from error


def _no_double_keys(pairs: list[tuple[str, object]]) -> None:
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        double = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {double[:60]!r} given twice")


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not a number here; only finite numbers are")


def _finite(text: str) -> None:
    if not math.isfinite(float(text)):
        raise ValueError(f"{text[:40]} is not finite")


def _short_int(text: str) -> None:
    if len(text) > _DIGITS_MAX:
        raise ValueError(f"a number of {len(text)} digits")


def _in_words(error: ValidationError) -> str:
    """The first three faults: where, what is allowed, what was found (cut short)."""
    faults = error.errors(include_url=False, include_context=False)
    told = [
        f"{'.'.join(str(part) for part in fault['loc']) or 'message'}: {fault['msg']}, found {_short(fault['input'])}"
        for fault in faults[:3]
    ]
    more = f" (and {len(faults) - 3} more)" if len(faults) > 3 else ""
    return "; ".join(told) + more


def _short(found: object) -> str:
    text = repr(found)
    return text if len(text) <= 60 else text[:57] + "..."
