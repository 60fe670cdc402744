"""Three sites with check meters, each read by the agent of the site before: seconds by hand, for tests of what is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tests.unit.fleets import SITES, fleet
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.dispatch.sites import SiteState
from vpp_gateway.domain.fact import Linked, Started, Tick
from vpp_gateway.domain.fleet import Fleet, Site
from vpp_gateway.domain.instruction import DeviceId, SiteId
from vpp_gateway.domain.reading import (
    BatteryReading,
    DeviceHealth,
    Health,
    MeterReading,
    SiteReading,
    Snapshot,
)
from vpp_gateway.gateway import Gateway

HERE, READER = SITES[0], SITES[2]
"""The site that tests look at, and the one whose agent reads its check meter."""
START = 1000.0


def checked_fleet() -> Fleet:
    return Fleet(sites=tuple(replace(s, check_meter=DeviceId(f"{s.id}/check")) for s in fleet().sites))


def load_w(at: float) -> float:
    """Import of every site: never the same twice, so that a meter that stands still is seen to."""
    return 400_000.0 + 3_000.0 * ((at * 7) % 11)


@dataclass
class Watched:
    """A gateway that is given one second after the other."""

    gateway: Gateway = field(default_factory=lambda: Gateway(checked_fleet(), Policy(), {}))
    now: float = START
    snapshot: Snapshot = field(default_factory=lambda: Snapshot(at=START, sites=()))

    def __post_init__(self) -> None:
        self.gateway.step(Started(at=START, epoch=1, version="t"), START)
        for site in SITES:
            self.gateway.step(Linked(at=START, site=site, up=True, reason=""), START)

    @property
    def state(self) -> SiteState:
        return self.gateway.sites[HERE]

    def cut(self, reason: str, *, silent: bool) -> None:
        """The link of the site is gone."""
        self.gateway.step(Linked(at=self.now, site=HERE, up=False, reason=reason, silent=silent), self.now)

    def seconds(
        self,
        count: int,
        *,
        meter_w: float | str | None = "true",
        check_w: float | str | None = "true",
        gone: tuple[SiteId, ...] = (),
    ) -> None:
        """Let time pass. `meter_w`, `check_w`: what the two at the site say, W; None = no answer; "true" = as it is,
        "reversed" = with the other sign. `gone`: sites whose agents say nothing."""
        for _ in range(count):
            self.now += 1.0
            said = {}
            for site in self.gateway.fleet.sites:
                here = site.id == HERE
                said[site.meter] = _said(self.now, meter_w if here else "true")
                said[_check(site)] = _said(self.now, check_w if here else "true")
            readings = (_reading(self.gateway.fleet, n, self.now, said) for n in range(len(SITES)))
            self.snapshot = Snapshot(at=self.now, sites=tuple(r for r in readings if r.site not in gone))
            self.gateway.step(Tick(at=self.now, snapshot=self.snapshot), self.now)


def _said(at: float, word: float | str | None) -> float | None:
    if isinstance(word, str):
        return -load_w(at) if word == "reversed" else load_w(at)
    return word


def _check(site: Site) -> DeviceId:
    assert site.check_meter is not None
    return site.check_meter


def _reading(fleet: Fleet, number: int, at: float, said: Mapping[DeviceId, float | None]) -> SiteReading:
    """All that one agent saw: its own site, and the check meter of the next one."""
    site, other = fleet.sites[number], fleet.sites[(number + 1) % len(fleet.sites)]
    own_w, check_w = said[site.meter], said[_check(other)]
    check = () if check_w is None else (MeterReading(device=_check(other), at=at, import_w=check_w),)
    return SiteReading(
        site=site.id,
        at=at,
        meter=None if own_w is None else MeterReading(device=site.meter, at=at, import_w=own_w),
        batteries=tuple(
            BatteryReading(
                device=b.id,
                at=at,
                discharge_w=0.0,
                soc=0.5,
                discharge_room_w=b.discharge_max_w,
                charge_room_w=b.charge_max_w,
            )
            for b in site.batteries
        ),
        health=(
            _health(site.meter, at, own_w),
            _health(_check(other), at, check_w),
            *(_health(b.id, at, 0.0) for b in site.batteries),
        ),
        checks=check,
    )


def _health(device: DeviceId, at: float, said_w: float | None) -> DeviceHealth:
    if said_w is None:
        return DeviceHealth(device=device, health=Health.LOST, reason="not connected", seen_at=START)
    return DeviceHealth(device=device, health=Health.GOOD, seen_at=at)
