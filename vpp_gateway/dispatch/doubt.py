"""Who is relied on: what failed or was late is not called for a while, and must then prove itself.

    an order FAILED or is late      -> its lever (plug-in, kind and sites of the offer) is not called for a minute,
                                       then two, four ... up to a quarter of an hour
    its plug-in is gone, or several
    of its levers and none works    -> all of the plug-in, in the same way
    that time is over               -> it can be called again, unproven: nothing that works is given back for it
    an order of it stood long
    enough, or came back when told  -> proven, all is forgotten

A lever and not its plug-in, so that one that is broken does not cost its healthy siblings. Nothing here looks at a
clock: times are those of the facts, so a replay comes to the same doubts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from vpp_gateway.dispatch.shift_record import lever_name
from vpp_gateway.domain.order import Offer, PluginName

DOUBT_FIRST_S, DOUBT_MAX_S = 60.0, 900.0
"""What is doubted is not called for so long; doubles each time until it is proven."""
PROVEN_S = 60.0
"""An order that has been active for so long proves its lever: one that fails a moment after is no better than before."""
LEVERS_MAX = 3
"""With so many of its levers doubted at once and none at work, a plug-in is doubted as a whole: else one that has many
would be tried lever by lever, while one that works waits."""

Why = Literal["failed", "late"]
_Key = tuple[PluginName, str]
"""Plug-in and name of the lever; "" = all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A lever, or a plug-in, that failed an order or was late with one."""

    plugin: PluginName
    lever: str
    """What people call it; "" = all levers of the plug-in."""
    until: float
    """UTC (Unix s): not called before."""
    last_s: float
    """How long that is."""
    why: Why

    @property
    def name(self) -> str:
        """What people call who is doubted."""
        return self.lever or self.plugin

    @property
    def said(self) -> str:
        """Why, in English; `catalogue_said` has it in Japanese."""
        return "it failed an order" if self.why == "failed" else "it was late with an order"


@dataclass(slots=True)
class Doubts:
    """All doubts of levers and plug-ins that have not proven themselves since."""

    _known: dict[_Key, Doubt] = field(default_factory=dict)

    def cast(self, offer: Offer, why: Why, now: float, *, gone: bool, works: bool) -> None:
        """An order of this offer failed, or is late.

        Args:
            gone: Its plug-in offers nothing now.
            works: An order of the same plug-in stands and is active.
        """
        self._cast(offer.plugin, lever_name(offer), why, now)
        doubted = sum(doubt.plugin == offer.plugin and bool(doubt.lever) for doubt in self.running(now))
        if gone or (doubted >= LEVERS_MAX and not works):
            self._cast(offer.plugin, "", why, now)

    def prove(self, offer: Offer) -> None:
        """An order of this offer went as it should: neither its lever nor its plug-in is doubted any more."""
        for key in _keys(offer):
            self._known.pop(key, None)

    def against(self, offer: Offer, now: float) -> Doubt | None:
        """Why it is not called now: the doubt that lasts longest; None = it can be called."""
        if not self._known:
            return None  # the usual case, for each offer each second
        running = [d for key in _keys(offer) if (d := self._known.get(key)) is not None and now < d.until]
        return max(running, key=lambda doubt: doubt.until, default=None)

    def unproven(self, offer: Offer) -> bool:
        """It failed or was late, and has not gone as it should since."""
        return bool(self._known) and any(key in self._known for key in _keys(offer))

    def running(self, now: float) -> Iterator[Doubt]:
        """Who is not called now."""
        return (doubt for doubt in self._known.values() if now < doubt.until)

    def _cast(self, plugin: PluginName, lever: str, why: Why, now: float) -> None:
        known = self._known.get((plugin, lever))
        if known is not None and now < known.until:
            return  # several orders that end of one cause are one
        last_s = DOUBT_FIRST_S if known is None else min(2 * known.last_s, DOUBT_MAX_S)
        self._known[plugin, lever] = Doubt(
            plugin=plugin, lever=lever, until=now + last_s, last_s=last_s, why=why
        )


def _keys(offer: Offer) -> tuple[_Key, _Key]:
    return (offer.plugin, lever_name(offer)), (offer.plugin, "")
