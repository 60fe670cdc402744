"""Words of EiOpt: the VEN departs for a while from what was agreed, for one event or by a schedule.

    VEN (we)                              VTN (utility)
    CreateOpt (event or schedule)   ->    CreatedOpt
    CancelOpt                       ->    CanceledOpt

An opt names either one event (qualifiedEventID) or the intervals of a vavailability, never both at once here. Its
optID is the VEN's own; nothing but a cancellation ends it before its last interval is over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from vpp_gateway.northbound.openadr2.report_words import EiResponse

Opt = Literal["optIn", "optOut"]
KnownReason = Literal[
    "economic",
    "emergency",
    "mustRun",
    "notParticipating",
    "outageRunStatus",
    "overrideStatus",
    "participating",
    "x-schedule",
]
OPT_REASONS: tuple[str, ...] = get_args(KnownReason)
"""optReason of the schema; beside these only `x-` and a word of one's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """One `available` of a vavailability: the opt holds in it."""

    start_at: float
    """UTC (Unix s)."""
    duration_s: float
    """Whole seconds on the wire."""

    @property
    def end_at(self) -> float:
        """UTC (Unix s)."""
        return self.start_at + self.duration_s


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateOpt:
    """oadrCreateOpt."""

    request_id: str
    opt_id: str
    opt: Opt
    reason: str
    """One of `OPT_REASONS`, or `x-...`."""
    ven_id: str
    created_at: float
    event_id: str | None = None
    modification: int | None = None
    """Of the event; given exactly when `event_id` is."""
    available: tuple[Availability, ...] = ()
    market_context: str | None = None
    ven_ids: tuple[str, ...] = ()
    """eiTarget; with the next three: nothing named = the VEN itself."""
    resource_ids: tuple[str, ...] = ()
    group_ids: tuple[str, ...] = ()
    party_ids: tuple[str, ...] = ()
    device_classes: tuple[str, ...] = ()
    """oadrDeviceClass: mRIDs of endDeviceAsset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedOpt:
    """oadrCreatedOpt: the VTN took the opt, or did not (its response code)."""

    response: EiResponse
    opt_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOpt:
    """oadrCancelOpt."""

    request_id: str
    opt_id: str
    ven_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CanceledOpt:
    """oadrCanceledOpt."""

    response: EiResponse
    opt_id: str | None = None


def valid_reason(reason: str) -> bool:
    """Whether the schema takes this optReason."""
    return reason in OPT_REASONS or (reason.startswith("x-") and len(reason) > 2 and not reason[2].isspace())
