"""Facts of opts and of the operator's acts, journalled before anything is sent.

An opt lives as its facts say: created -> taken -> cancel wanted -> cancelled; a refusal or its last interval ends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from vpp_gateway.domain.instruction import RoomName
from vpp_gateway.northbound.openadr2.opt_words import Availability, Opt

Origin = Literal["operator", "gateway", "capacity"]
"""Who made an opt: a person, the judgement of an instruction, or the spare capacity by the clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptCreated:
    """An oadrCreateOpt is to be sent, until the VTN has answered it."""

    at: float
    room: RoomName
    opt_id: str
    opt: Opt
    reason: str
    """optReason."""
    origin: Origin
    event_id: str | None = None
    modification: int | None = None
    before: Opt | None = None
    """What was said of the event before; counts again when this opt is cancelled."""
    available: tuple[Availability, ...] = ()
    market_context: str | None = None
    ven_ids: tuple[str, ...] = ()
    resource_ids: tuple[str, ...] = ()
    group_ids: tuple[str, ...] = ()
    party_ids: tuple[str, ...] = ()
    device_classes: tuple[str, ...] = ()
    covers_until: float | None = None
    """A schedule from capacity looked ahead so far (UTC, Unix s)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptTaken:
    """The VTN confirmed an opt."""

    at: float
    room: RoomName
    opt_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OptRefused:
    """The VTN did not take an opt, or could not be brought to answer it."""

    at: float
    room: RoomName
    opt_id: str
    code: str
    """Its response code; empty when it gave none."""
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OptCancelWanted:
    """An oadrCancelOpt is to be sent, until the VTN has answered it."""

    at: float
    room: RoomName
    opt_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OptCancelled:
    """The opt is gone at the VTN, or was never there."""

    at: float
    room: RoomName
    opt_id: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOver:
    """The last interval of a schedule has ended."""

    at: float
    room: RoomName
    opt_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operated:
    """Somebody acted on this connection; for the reader of the journal."""

    at: float
    room: RoomName
    who: str
    verb: str
    what: str = ""
    """On which event or opt, and how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FactoryReset:
    """Everything learnt from the VTN is forgotten: registration, events, opts, reports, what was owed."""

    at: float
    room: RoomName
    stay: bool
    """True: stay out until the operator registers; False: register afresh."""


OptFact = OptCreated | OptTaken | OptRefused | OptCancelWanted | OptCancelled | OptOver
OperatorFact = Operated | FactoryReset
OPT_FACT_TYPES: tuple[type, ...] = (*get_args(OptFact), *get_args(OperatorFact))
