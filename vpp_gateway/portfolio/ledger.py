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
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.portfolio.asset import DIRECTIONS, Asset, Direction, Hold, give
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
    response_s: float | None = None
    """How soon after the call all of it must be there; None = however long it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The part of a promise that one battery would carry."""

    start_at: float
    end_at: float
    direction: Direction
    w: float
    wh: float


@dataclass(slots=True)
class _Lane:
    """The entries of one battery in one direction, with the deficits that they make, walked once in both ways."""

    energy_wh: float
    back_w: float
    rows: list[Entry] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    longest_s: float = 0.0
    owed: list[tuple[float, float]] = field(default_factory=lambda: [(0.0, -math.inf)])
    """After the first k entries: (Wh owed, when the last of them ends)."""
    allowed: list[float] = field(default_factory=list)
    """Most Wh that may be owed when the k-th entry begins, so that it and all later ones can be kept."""

    def add(self, entry: Entry) -> None:
        insort(self.rows, entry, key=lambda row: row.start_at)
        self.starts = [row.start_at for row in self.rows]
        self.longest_s = max(self.longest_s, entry.end_at - entry.start_at)
        self._walk()

    def _walk(self) -> None:
        owed, at = 0.0, -math.inf
        self.owed = [(owed, at)]
        for row in self.rows:
            owed = self._recovered(owed, at, row.start_at) + row.wh
            at = max(at, row.end_at)
            self.owed.append((owed, at))
        allowed, later = self.energy_wh, math.inf
        backwards: list[float] = []
        for row in reversed(self.rows):
            gap_s = max(0.0, later - row.end_at) if math.isfinite(later) else 0.0
            allowed = min(self.energy_wh, allowed + self.back_w * gap_s / 3600.0) - row.wh
            later = row.start_at
            backwards.append(allowed)
        self.allowed = backwards[::-1]

    def left_wh(self, since: float, until: float) -> float:
        """Energy for a question about [since, until)."""
        k = bisect_left(self.starts, until)
        owed, at = self.owed[k]
        owed = self._recovered(owed, at, since)
        allowed = self.energy_wh
        if k < len(self.rows):
            gap_s = self.starts[k] - until
            allowed = min(self.energy_wh, self.allowed[k] + self.back_w * gap_s / 3600.0)
        return max(0.0, allowed - owed)

    def taken_w(self, since: float, until: float) -> float:
        """The most that they take at one moment of [since, until)."""
        first, last = bisect_left(self.starts, since - self.longest_s), bisect_left(self.starts, until)
        rows = [row for row in self.rows[first:last] if since < row.end_at and row.w > 0]
        moments = {max(since, row.start_at) for row in rows}
        return max(
            (math.fsum(row.w for row in rows if row.start_at <= moment < row.end_at) for moment in moments),
            default=0.0,
        )

    def _recovered(self, owed: float, at: float, now: float) -> float:
        if not math.isfinite(at):
            return owed
        return max(0.0, owed - self.back_w * max(0.0, now - at) / 3600.0)


@dataclass(slots=True)
class Ledger:
    """All promises on the batteries of some sites.

    Args:
        sites: Every site, with its batteries.
        recharge_share: Share of a battery's power at which energy comes back between two promises (0..1).
    """

    sites: Sequence[SiteAssets]
    recharge_share: float = 0.0
    _lanes: dict[str, dict[Direction, _Lane]] = field(default_factory=dict)

    def spend(self, asset: Asset, direction: Direction, wh: float, start_at: float, end_at: float) -> None:
        """Energy that something else than a promise may take from a battery; its power is not held."""
        self._add(asset, Entry(start_at=start_at, end_at=end_at, direction=direction, w=0.0, wh=wh))

    def place(self, promise: Promise, spare_for_s: float) -> float:
        """Book a promise on the batteries where it costs least of what can be held for `spare_for_s` seconds.

        Returns:
            W that no battery can carry: the promise cannot be kept.
        """
        hold = Hold(
            start_at=promise.start_at,
            hold_s=promise.hold_s,
            response_s=promise.response_s,
            free_s=max(0.0, promise.end_at - promise.start_at),
        )
        left = promise.w
        caps = _Caps(self, promise)
        for _, asset, most in sorted(self._pieces(promise, hold, spare_for_s), key=_slow_and_cheap):
            w = min(left, most, caps.room_w(asset))
            if w > SMALL_W:
                caps.use(asset, w)
                wh = w * hold.seconds / 3600.0
                self._add(
                    asset,
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
        lanes = self._lanes.get(asset.id)
        if lanes is None:
            return Taken()
        return Taken(
            down_w=lanes["down"].taken_w(since, until),
            up_w=lanes["up"].taken_w(since, until),
            left_down_wh=lanes["down"].left_wh(since, until),
            left_up_wh=lanes["up"].left_wh(since, until),
        )

    def all_taken(self, sites: Iterable[SiteAssets], since: float, until: float) -> dict[str, Taken]:
        """`taken` of every battery that has promises."""
        return {
            asset.id: self.taken(asset, since, until)
            for one in sites
            for asset in one.batteries
            if asset.id in self._lanes
        }

    def _add(self, asset: Asset, entry: Entry) -> None:
        lanes = self._lanes.setdefault(
            asset.id,
            {
                direction: _Lane(
                    asset.energy_wh(direction), self.recharge_share * asset.recharge_w(direction)
                )
                for direction in DIRECTIONS
            },
        )
        lanes[entry.direction].add(entry)


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


def _slow_and_cheap(piece: tuple[float, Asset, float]) -> tuple[float, float]:
    """At the same price the slowest battery that is quick enough: the others can do what it cannot."""
    price, asset, _ = piece
    return price, -asset.response_s


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
