"""What is promised, thing by thing: so that products that are sold together share power and energy.

    promise (area, direction, W, seconds it may last, start, end)
        -> entries of the batteries that would carry it      a witness: each within its power, energy, feeder and site
        -> for a question about a time: power taken then, and energy that all promises leave

A concrete placement is what makes the sum safe: the power of one battery never stands for the energy of another. Which
battery carries a promise here is book-keeping for what else can be sold; dispatch decides anew when it is called.

Every promise may be called in full. Energy comes back between two promises only as far as the operator says
(`recharge_share`); then the deficit is walked through time, backwards for the promises that are still to come.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.portfolio.asset import Asset, Direction, Hold, give
from vpp_gateway.portfolio.rooms import SiteAssets, Taken, feeder_max_w

SMALL_W = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A quantity that must be there if it is called."""

    name: str
    sites: frozenset[SiteId]
    direction: Direction
    w: float
    hold_s: float
    """How long a call may last."""
    start_at: float
    end_at: float
    """End of the time in which it can be called, with the rest after a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The part of a promise that one battery would carry."""

    start_at: float
    end_at: float
    direction: Direction
    w: float
    wh: float


@dataclass(slots=True)
class Ledger:
    """All promises on the batteries of some sites.

    Args:
        sites: Every site, with its batteries.
        recharge_share: Share of a battery's power at which energy comes back between two promises (0..1).
    """

    sites: Sequence[SiteAssets]
    recharge_share: float = 0.0
    _entries: dict[str, list[Entry]] = field(default_factory=dict)

    def spend(self, asset: Asset, direction: Direction, wh: float, start_at: float, end_at: float) -> None:
        """Energy that something else than a promise may take from a battery; its power is not held."""
        self._add(asset.id, Entry(start_at=start_at, end_at=end_at, direction=direction, w=0.0, wh=wh))

    def place(self, promise: Promise, spare_for_s: float) -> float:
        """Book a promise on the batteries where it costs least of what can be held for `spare_for_s` seconds.

        Returns:
            W that no battery can carry: the promise cannot be kept.
        """
        hold = Hold(
            start_at=promise.start_at,
            hold_s=promise.hold_s,
            free_s=max(0.0, promise.end_at - promise.start_at),
        )
        left = promise.w
        caps = _Caps(self, promise)
        for _, asset, most in sorted(self._pieces(promise, hold, spare_for_s), key=lambda piece: piece[0]):
            w = min(left, most, caps.room_w(asset))
            if w > SMALL_W:
                caps.use(asset, w)
                wh = w * hold.seconds / 3600.0
                self._add(
                    asset.id,
                    Entry(
                        start_at=promise.start_at,
                        end_at=hold.until,
                        direction=promise.direction,
                        w=w,
                        wh=wh,
                    ),
                )
                left -= w
        return left if left > SMALL_W else 0.0

    def _pieces(
        self, promise: Promise, hold: Hold, spare_for_s: float
    ) -> Iterable[tuple[float, Asset, float]]:
        """(W of other room that one W costs, battery, W at that price), each battery in one or two pieces."""
        for one in self.sites:
            if one.site.id not in promise.sites:
                continue
            for asset in one.batteries:
                taken = self.taken(asset, promise.start_at, hold.until)
                most, _ = give(
                    asset,
                    hold,
                    promise.direction,
                    taken_w=taken.power_w(promise.direction),
                    left_wh=taken.left_wh(promise.direction),
                )
                power = asset.power_w(promise.direction) - taken.power_w(promise.direction)
                energy = min(asset.energy_wh(promise.direction), taken.left_wh(promise.direction))
                yield from _prices(asset, most, power, energy, hold.seconds, spare_for_s)

    def taken(self, asset: Asset, since: float, until: float) -> Taken:
        """What promises take of a battery for a question about [since, until)."""
        entries = self._entries.get(asset.id)
        if not entries:
            return Taken()
        overlapping = [entry for entry in entries if entry.start_at < until and since < entry.end_at]
        return Taken(
            down_w=_peak_w([entry for entry in overlapping if entry.direction == "down"], since),
            up_w=_peak_w([entry for entry in overlapping if entry.direction == "up"], since),
            left_down_wh=self._left_wh(asset, "down", entries, since, until),
            left_up_wh=self._left_wh(asset, "up", entries, since, until),
        )

    def all_taken(self, sites: Iterable[SiteAssets], since: float, until: float) -> dict[str, Taken]:
        """`taken` of every battery that has promises."""
        return {
            asset.id: self.taken(asset, since, until)
            for one in sites
            for asset in one.batteries
            if asset.id in self._entries
        }

    def _left_wh(
        self, asset: Asset, direction: Direction, entries: Sequence[Entry], since: float, until: float
    ) -> float:
        energy, back_w = asset.energy_wh(direction), self.recharge_share * asset.recharge_w(direction)
        rows = [entry for entry in entries if entry.direction == direction and entry.wh > 0]
        owed = 0.0
        """Deficit at `since`, those that overlap included."""
        at = -math.inf
        for entry in (row for row in rows if row.start_at < until):
            if math.isfinite(at):
                owed = max(0.0, owed - back_w * max(0.0, entry.start_at - at) / 3600.0)
            owed += entry.wh
            at = max(at, entry.end_at)
        if math.isfinite(at):
            owed = max(0.0, owed - back_w * max(0.0, since - at) / 3600.0)
        allowed, later = energy, math.inf
        """Most deficit that the promises still to come allow, seen from the next of them."""
        for entry in reversed([row for row in rows if row.start_at >= until]):
            gap_s = max(0.0, later - entry.end_at) if math.isfinite(later) else 0.0
            allowed = min(energy, allowed + back_w * gap_s / 3600.0) - entry.wh
            later = entry.start_at
        if math.isfinite(later):
            allowed = min(energy, allowed + back_w * max(0.0, later - until) / 3600.0)
        return max(0.0, allowed - owed)

    def _add(self, id: str, entry: Entry) -> None:
        rows = self._entries.setdefault(id, [])
        rows.append(entry)
        rows.sort(key=lambda row: row.start_at)


class _Caps:
    """What feeders and grid connections still carry during one promise."""

    def __init__(self, ledger: Ledger, promise: Promise) -> None:
        self._left: dict[str, float] = {}
        self._of: dict[str, tuple[str, ...]] = {}
        for one in ledger.sites:
            down = promise.direction == "down"
            self._left[f"site/{one.site.id}"] = one.down_max_w if down else one.up_max_w
            for feeder in one.site.feeders:
                self._left[f"feeder/{feeder.id}"] = feeder_max_w(feeder, promise.direction)
            for asset in one.batteries:
                own = (f"site/{one.site.id}",)
                self._of[asset.id] = own if asset.feeder is None else (*own, f"feeder/{asset.feeder}")
                taken = ledger.taken(asset, promise.start_at, promise.end_at)
                self.use(asset, taken.power_w(promise.direction))

    def room_w(self, asset: Asset) -> float:
        return max(0.0, min(self._left[node] for node in self._of[asset.id]))

    def use(self, asset: Asset, w: float) -> None:
        for node in self._of[asset.id]:
            self._left[node] -= w


def _peak_w(entries: Sequence[Entry], since: float) -> float:
    """The most that they take at one moment from `since` on."""
    moments = {max(since, entry.start_at) for entry in entries}
    return max(
        (math.fsum(e.w for e in entries if e.start_at <= moment < e.end_at) for moment in moments),
        default=0.0,
    )


def _prices(
    asset: Asset, most: float, power_w: float, energy_wh: float, hold_s: float, spare_for_s: float
) -> Iterable[tuple[float, Asset, float]]:
    """What a promise of `hold_s` on one battery costs of what it can hold for `spare_for_s`.

    room(a) = min(power - a, (energy - a * hold) / spare)      concave: first the cheaper piece, then the dearer
    """
    if most <= SMALL_W:
        return
    by_energy = hold_s / spare_for_s
    seen_by_energy = 3600.0 * energy_wh / spare_for_s
    if math.isclose(by_energy, 1.0):
        yield 1.0, asset, most
        return
    # Where the two lines cross: power - a = seen - a * by_energy
    cross = (seen_by_energy - power_w) / (by_energy - 1.0)
    first, then = (1.0, by_energy) if by_energy > 1.0 else (by_energy, 1.0)
    cheap = min(most, max(0.0, cross))
    if cheap > SMALL_W:
        yield first, asset, cheap
    if most - cheap > SMALL_W:
        yield then, asset, most - cheap
