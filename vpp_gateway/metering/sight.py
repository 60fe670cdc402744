"""What is to be said of the meters of one site: which of them fails, and which one is followed meanwhile.

    meter      check meter    followed     said
    well       well           meter        -
    fails      well           check        stuck_checked, reversed_checked, apart_checked, silent_checked
    (agent)    well           check        away_checked: the site's own agent is not heard, another one reads the check meter
    well       fails          meter        check_stuck, check_reversed
    differ, nothing tells     meter        apart
    other signs, nothing tells  -          apart_unseen
    fails      none           -            stuck, reversed

What is seen through a check meter is said only when it lasts: a single reading that comes late is no failure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vpp_gateway.metering.two_meters import Parted, Sight, TwoMeters
from vpp_gateway.metering.watch import MeterDoubt

LASTS_S = 3.0
"""So long a state stands before it is said."""

SightDoubt = Literal[
    "",
    "stuck",
    "reversed",
    "apart",
    "apart_unseen",
    "stuck_checked",
    "reversed_checked",
    "apart_checked",
    "silent_checked",
    "away_checked",
    "check_stuck",
    "check_reversed",
]
"""Code of the sentence `why.meter.…`; "" = nothing is to be said."""
_FOLLOWED: dict[Parted, SightDoubt] = {
    "": "silent_checked",
    "stuck": "stuck_checked",
    "reversed": "reversed_checked",
    "apart": "apart_checked",
}
_ASTRAY: dict[Parted, SightDoubt] = {"stuck": "check_stuck", "reversed": "check_reversed"}


def doubt_of(*, sight: Sight, linked: bool, speaks: bool, meters: TwoMeters, alone: MeterDoubt) -> SightDoubt:
    """What is to be said of a site, by this second alone.

    Args:
        sight: Which of its meters is believed.
        linked: The site's own agent is heard.
        speaks: The meter says something usable.
        meters: How the two differ.
        alone: What the batteries say of the meter; it counts while no check meter says more.
    """
    if sight == "check":
        if not linked:
            return "away_checked"
        return _FOLLOWED[meters.parted] if speaks else "silent_checked"
    if sight == "meter":
        return "apart" if meters.parted == "apart" else _ASTRAY.get(meters.astray, "")
    return "apart_unseen" if meters.parted == "apart" and not alone else alone


@dataclass(slots=True)
class Lasting:
    """What is said: at once what the batteries have proved, for the rest what has stood for `LASTS_S`."""

    doubt: SightDoubt = ""
    """What is said now."""
    _now: SightDoubt = ""
    _since: float = 0.0

    def hear(self, at: float, doubt: SightDoubt) -> None:
        """What this second (UTC, Unix s) shows."""
        if doubt != self._now:
            self._now, self._since = doubt, at
        proved = doubt in ("stuck", "reversed")
        self.doubt = doubt if proved or at >= self._since + LASTS_S else ""
