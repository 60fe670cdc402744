"""What we know of a battery behind Modbus, as a table.

state          on           next         meaning
---------------------------------------------------------------------------------------------------
DOWN           connected    DISCOVERING  first time: the registers have to be found
DOWN           reconnected  UNKNOWN      known device: assert first, scan again afterwards
DISCOVERING    scanned      UNKNOWN
UNKNOWN, FREE  begin        ARMING       an order (or the wish to be armed) stands: configure, enable
UNKNOWN, FREE  release      RELEASING    none stands: release, even if nothing seems to be set
ARMED, HOLDING begin        WRITING      one write of the setpoint
WRITING        begin        WRITING      a newer order overtakes an unconfirmed one
ARMED, HOLDING release      RELEASING
ARMING         confirmed    HOLDING      or ARMED without an order: 0 W, enabled, countdown running
WRITING        confirmed    HOLDING
RELEASING      confirmed    FREE
any            denied       UNKNOWN      exception, or another value read back: again after a refresh period
any            strayed      UNKNOWN      holds something else than confirmed: asserted again at once
any            lost         DOWN         what it holds now is unknown until read back
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """What we know of the device."""

    DOWN = "down"
    DISCOVERING = "discovering"
    UNKNOWN = "unknown"
    FREE = "free"
    ARMING = "arming"
    ARMED = "armed"
    WRITING = "writing"
    HOLDING = "holding"
    RELEASING = "releasing"


IN_FLIGHT = (State.ARMING, State.WRITING)
"""An order was begun and is not yet confirmed."""
STEADY = (State.ARMED, State.HOLDING)
"""Enabled and confirmed: to be refreshed."""

_NEXT: Mapping[tuple[State, str], State] = {
    (State.DOWN, "connected"): State.DISCOVERING,
    (State.DOWN, "reconnected"): State.UNKNOWN,
    (State.DISCOVERING, "scanned"): State.UNKNOWN,
    (State.UNKNOWN, "begin"): State.ARMING,
    (State.FREE, "begin"): State.ARMING,
    (State.ARMED, "begin"): State.WRITING,
    (State.HOLDING, "begin"): State.WRITING,
    (State.WRITING, "begin"): State.WRITING,
    (State.UNKNOWN, "release"): State.RELEASING,
    (State.FREE, "release"): State.RELEASING,
    (State.ARMED, "release"): State.RELEASING,
    (State.HOLDING, "release"): State.RELEASING,
    (State.WRITING, "release"): State.RELEASING,
    (State.ARMING, "confirmed"): State.HOLDING,
    (State.ARMING, "confirmed idle"): State.ARMED,
    (State.WRITING, "confirmed"): State.HOLDING,
    (State.RELEASING, "confirmed"): State.FREE,
}
_FROM_ANYWHERE: Mapping[str, State] = {"denied": State.UNKNOWN, "strayed": State.UNKNOWN, "lost": State.DOWN}


def follow(state: State, event: str) -> State | None:
    """The state after `event`; None when it cannot happen in `state`."""
    return _FROM_ANYWHERE.get(event) or _NEXT.get((state, event))
