"""What one thing can give, whatever it is: a battery or an offer of workload, in the same words.

    W     power, as far as its ramp carries it within the response time
    Wh    energy above its floor and below its ceiling; an offer has a time instead
    when  its blocked times, its validity, its shortest dwell

Magnitudes, one per direction. What is doubtful (NaN, negative, out of range) gives nothing and names itself.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from vpp_gateway.domain.fleet import BATTERY, WORKLOAD, Battery, Blocked, FeederId, Site, TierName
from vpp_gateway.domain.instruction import DeviceId, SiteId
from vpp_gateway.domain.order import Offer
from vpp_gateway.domain.quantity import regulation_of
from vpp_gateway.domain.reading import BatteryReading
from vpp_gateway.portfolio.envelope import battery_reach, nameplate_room

Direction = Literal["down", "up"]
"""`down`: regulation_w > 0, relieving the grid; `up`: regulation_w < 0."""
DIRECTIONS: tuple[Direction, Direction] = ("down", "up")
Limit = Literal[
    "power", "soc", "ramp", "response", "sustain", "dwell", "validity", "blocked", "reading", "settings", "promised",
    "offer", "feeder", "import", "export", "load",
]  # fmt: skip
"""What binds; the words for people are `word.limit.*`."""
HOLD_MIN_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A question: how much can be held from `start_at` on for `hold_s` seconds, from `response_s` after the call?"""

    start_at: float
    """UTC (Unix s)."""
    hold_s: float
    response_s: float | None = None
    """None = however long it takes."""
    free_s: float = 0.0
    """How long the thing must be free for it, if longer than the hold: the rest of the block, the recovery."""

    @property
    def seconds(self) -> float:
        """What energy is counted with."""
        return max(self.hold_s, HOLD_MIN_S) if math.isfinite(self.hold_s) else math.inf

    @property
    def until(self) -> float:
        """End of the time that is taken up."""
        return self.start_at + max(self.seconds, self.free_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """What held a room down, and where."""

    limit: Limit
    at: str
    """Id of the thing, feeder or site."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One thing that can give. All numbers are finite and >= 0."""

    id: str
    site: SiteId
    tier: TierName
    feeder: FeederId | None = None
    down_w: float = 0.0
    up_w: float = 0.0
    down_wh: float = math.inf
    """inf = its time bounds it instead (`sustain_s`)."""
    up_wh: float = math.inf
    recharge_down_w: float = 0.0
    """At most so fast comes back what was given in the down direction, Wh at the AC side per hour."""
    recharge_up_w: float = 0.0
    response_s: float = 0.0
    ramp_w_per_s: float | None = None
    sustain_s: float | None = None
    dwell_s: float = 0.0
    valid_until: float | None = None
    later_share: float = 0.0
    """Share of it that is taken to be there after its validity, too (0..1)."""
    blocked: tuple[Blocked, ...] = ()
    doubt: Limit | None = None
    """Why it gives nothing at all."""

    def power_w(self, direction: Direction) -> float:
        return self.down_w if direction == "down" else self.up_w

    def energy_wh(self, direction: Direction) -> float:
        return self.down_wh if direction == "down" else self.up_wh

    def recharge_w(self, direction: Direction) -> float:
        return self.recharge_down_w if direction == "down" else self.recharge_up_w


def give(
    asset: Asset, hold: Hold, direction: Direction, *, taken_w: float = 0.0, left_wh: float | None = None
) -> tuple[float, Limit]:
    """What it can hold in one direction, W, and what binds it.

    Args:
        taken_w: Power of it that is promised for some part of the same time.
        left_wh: Energy that promises leave; None = all it has.
    """
    if asset.doubt is not None:
        return 0.0, asset.doubt
    if not all(map(math.isfinite, (hold.start_at, hold.until, hold.response_s or 0.0))) or hold.hold_s < 0:
        return 0.0, "settings"
    limits = list(_when(asset, hold))
    power = asset.power_w(direction)
    reach, why = _in_time(asset, hold)
    limits.append((power, "power"))
    if reach < power:
        limits.append((reach, why))
    if taken_w > 0:
        limits.append((max(0.0, min(power, reach) - taken_w), "promised"))
    energy = asset.energy_wh(direction)
    if math.isfinite(energy):
        limits.append((3600.0 * energy / hold.seconds, "soc"))
        if left_wh is not None and left_wh < energy:
            limits.append((3600.0 * max(0.0, left_wh) / hold.seconds, "promised"))
    return min(limits, key=lambda limit: limit[0])


def _when(asset: Asset, hold: Hold) -> Iterator[tuple[float, Limit]]:
    """Bounds that come from the time asked about: nothing, or a part of it."""
    if any(row.holds(DeviceId(asset.id), hold.start_at, hold.until) for row in asset.blocked):
        yield 0.0, "blocked"
    if asset.sustain_s is not None and hold.seconds > asset.sustain_s:
        yield 0.0, "sustain"
    if asset.dwell_s > max(hold.seconds, hold.free_s):
        yield 0.0, "dwell"
    if asset.valid_until is not None and hold.start_at >= asset.valid_until:
        yield asset.later_share * max(asset.down_w, asset.up_w), "validity"


def _in_time(asset: Asset, hold: Hold) -> tuple[float, Limit]:
    """Power that is there `hold.response_s` after the call, W."""
    if hold.response_s is None:
        return math.inf, "ramp"
    ready_s = hold.response_s - asset.response_s
    if ready_s < 0:
        return 0.0, "response"
    return math.inf if asset.ramp_w_per_s is None else ready_s * asset.ramp_w_per_s, "ramp"


def battery_asset(site: Site, battery: Battery, reading: BatteryReading | None) -> Asset:
    """A battery as it stands now. A reading that cannot be true, or settings that cannot, give nothing."""
    feeder = site.feeder_of(battery.id)
    bare = Asset(
        id=battery.id,
        site=site.id,
        tier=BATTERY,
        feeder=None if feeder is None else feeder.id,
        response_s=battery.response_s,
        ramp_w_per_s=battery.ramp_w_per_s,
        blocked=site.blocked,
    )
    if not _sound(battery):
        return _doubted(bare, "settings")
    if reading is None or min(reading.discharge_room_w, reading.charge_room_w) < 0:
        return _doubted(bare, "reading")
    reach = battery_reach(battery, reading)
    if reach is None:
        return _doubted(bare, "reading")
    return _charged(bare, battery, reach.down_w, reach.up_w, reach.down_wh, reach.up_wh)


def nameplate_asset(site: Site, battery: Battery) -> Asset:
    """A battery by its nameplate at half charge: before its first reading has come."""
    bare = battery_asset(site, battery, None)
    if bare.doubt == "settings":
        return bare
    room = nameplate_room(battery, HOLD_MIN_S)
    return _charged(
        bare,
        battery,
        battery.discharge_max_w,
        battery.charge_max_w,
        room.energy_down_wh,
        room.energy_up_wh,
    )


def _charged(
    bare: Asset, battery: Battery, down_w: float, up_w: float, down_wh: float, up_wh: float
) -> Asset:
    return Asset(
        id=bare.id,
        site=bare.site,
        tier=bare.tier,
        feeder=bare.feeder,
        down_w=down_w,
        up_w=up_w,
        down_wh=down_wh,
        up_wh=up_wh,
        recharge_down_w=battery.charge_max_w * battery.efficiency**2,
        recharge_up_w=battery.discharge_max_w / battery.efficiency**2,
        response_s=bare.response_s,
        ramp_w_per_s=bare.ramp_w_per_s,
        blocked=bare.blocked,
    )


def work_assets(
    offers: Iterable[Offer], scope: Collection[SiteId], later_share: float = 0.0
) -> tuple[Asset, ...]:
    """Offers as seen from `scope`: what their legs there make together. A move inside the scope makes about nothing."""
    found = []
    for offer in offers:
        legs = [leg for leg in offer.legs if leg.site in scope]
        if not legs:
            continue
        net = math.fsum(regulation_of(leg.import_delta_w) for leg in legs) * (
            offer.steps[-1] if offer.steps else 0.0
        )
        latency = max(leg.latency_s for leg in legs)
        numbers = (net, latency, offer.sustain_s, offer.min_dwell_s, offer.valid_until)
        sound = all(map(math.isfinite, numbers)) and min(latency, offer.sustain_s, offer.min_dwell_s) >= 0
        largest = max(legs, key=lambda leg: regulation_of(leg.import_delta_w) * (1.0 if net >= 0 else -1.0))
        bare = Asset(id=offer.id, site=largest.site, tier=WORKLOAD)
        if not sound:
            found.append(_doubted(bare, "offer"))
            continue
        found.append(
            Asset(
                id=offer.id,
                site=largest.site,
                tier=WORKLOAD,
                down_w=max(0.0, net),
                up_w=max(0.0, -net),
                response_s=latency,
                sustain_s=offer.sustain_s,
                dwell_s=offer.min_dwell_s,
                valid_until=offer.valid_until,
                later_share=later_share,
            )
        )
    return tuple(found)


def _doubted(bare: Asset, why: Limit) -> Asset:
    return Asset(id=bare.id, site=bare.site, tier=bare.tier, feeder=bare.feeder, doubt=why)


def _sound(battery: Battery) -> bool:
    """Whether the settings of a battery can be true; `config check` sees to it, other ways in may not."""
    sizes = (battery.discharge_max_w, battery.charge_max_w, battery.energy_wh, battery.response_s)
    ramp = battery.ramp_w_per_s
    return (
        all(math.isfinite(size) and size >= 0 for size in sizes)
        and 0.0 < battery.efficiency <= 1.0
        and 0.0 <= battery.soc_min <= battery.soc_max <= 1.0
        and (ramp is None or (math.isfinite(ramp) and ramp > 0))
    )
