"""Several addresses of one utility: which one is in use.

    main --lost_after failures--> standby 1 --lost_after--> standby 2 ... --lost_after--> main
      ^                              |
      +-----------failback_s---------+      one try; if it fails, back to that standby at once

Pure; the choice is of the moment, so a restart begins at the main address. After each change the full list of events is
asked for before anything else, and what is owed goes to the address in use. The events that are known stay: one that
both sites tell (eventID and modification) is one event. A site that does not know us says so (463, 452) and gets a
registration of its own; the others keep theirs (`VenState.memberships`).
"""

from __future__ import annotations

from vpp_gateway.northbound.openadr2.desk import Desk
from vpp_gateway.northbound.openadr2.xml_text import write_date


def failed(desk: Desk, now: float) -> None:
    """The address in use brought no usable answer; called after the back-off was set."""
    pace, rules = desk.pace, desk.program.standby
    if len(desk.addresses) < 2:
        return
    pace.endpoint_failures += 1
    if pace.endpoint == 0 and pace.standby:  # the one try of the main site while a standby serves
        _use(desk, pace.standby)
        pace.main_again_at = now + rules.failback_s
        pace.hold_until = now
        return
    if pace.endpoint_failures < desk.program.polling.lost_after:
        return
    _use(desk, (pace.endpoint + 1) % len(desk.addresses))
    pace.standby = 0
    if pace.endpoint:  # all round: the back-off stands
        pace.hold_until = now
        pace.main_again_at = now + rules.failback_s


def answered(desk: Desk) -> None:
    """The address in use gave a usable answer: it is the one that serves."""
    desk.pace.endpoint_failures = 0
    desk.pace.standby = desk.pace.endpoint


def turn_back(desk: Desk, now: float) -> None:
    """Try the main site, when it is time to."""
    pace = desk.pace
    if pace.endpoint and pace.standby and now >= pace.main_again_at:
        _use(desk, 0)


def moments(desk: Desk) -> list[float]:
    """When `turn_back` has something to do (UTC, Unix s)."""
    pace = desk.pace
    waits = pace.endpoint and pace.standby and pace.in_flight is None
    return [max(pace.main_again_at, pace.hold_until)] if waits else []


def remarks(desk: Desk) -> list[str]:
    """Which address is in use, in words; nothing while it is the main one."""
    pace = desk.pace
    if not pace.endpoint:
        return []
    return [
        f"standby {pace.endpoint} of {len(desk.addresses) - 1} in use ({desk.addresses[pace.endpoint]}); "
        f"{desk.addresses[0]} is tried again at {write_date(pace.main_again_at)}"
    ]


def _use(desk: Desk, endpoint: int) -> None:
    desk.pace.endpoint, desk.pace.endpoint_failures = endpoint, 0
    desk.pace.refresh = True
