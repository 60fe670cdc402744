"""The demo's own witness: reads the site meters and batteries over Modbus, on connections of its own.

It shares no process and no socket with the gateway, so what it says of delivery is not the gateway's word. Batteries
are read like meters (SunSpec 701 `W`); nothing is ever written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vpp_gateway.clock import Clock, Rng
from vpp_gateway.domain.instruction import DeviceId, SiteId
from vpp_gateway.profile import load_profile
from vpp_gateway.southbound.modbus.client import Address, MeterClient, Timing
from vpp_gateway.southbound.modbus.profile import DeviceProfile

PERIOD_S = 0.25
BOUND_W = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What one look saw, per site, W."""

    at: float
    import_w: Mapping[SiteId, float]
    """At the PCC."""
    battery_w: Mapping[SiteId, float]
    """discharge_w of the site's batteries together; one that did not answer counts as giving nothing."""
    unsure: frozenset[SiteId] = frozenset()
    """Sites where a battery did not answer: what their load is, nobody knows."""

    def load_w(self, site: SiteId) -> float:
        """Import without the batteries: the work and everything else."""
        return self.import_w[site] + self.battery_w[site]


@dataclass(slots=True)
class Observer:
    """Looks four times a second and keeps everything.

    Args:
        meters: Address of each site's meter.
        batteries: Addresses of each site's batteries.
    """

    meters: Mapping[SiteId, Address]
    batteries: Mapping[SiteId, Sequence[Address]]
    clock: Clock
    rng: Rng
    sights: list[Sight] = field(default_factory=list)

    async def run(self) -> None:
        """Look until cancelled."""
        meter = load_profile("devices", "sunspec-meter", DeviceProfile)
        battery = load_profile("devices", "sunspec-battery-witness", DeviceProfile)
        eyes = {site: self._eye(meter, address) for site, address in self.meters.items()}
        hands = {
            site: [self._eye(battery, address) for address in addresses]
            for site, addresses in self.batteries.items()
        }
        clients = [*eyes.values(), *(client for row in hands.values() for client in row)]
        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(client.run())
            while True:
                await asyncio.sleep(PERIOD_S - self.clock.utc() % PERIOD_S)
                at = self.clock.utc()
                await asyncio.gather(*(client.cycle(PERIOD_S) for client in clients))
                self._keep(at, eyes, hands)

    def _eye(self, profile: DeviceProfile, address: Address) -> MeterClient:
        return MeterClient(
            device=DeviceId(str(address)),
            address=address,
            profile=profile,
            timing=Timing(),
            clock=self.clock,
            rng=self.rng,
            bound_w=BOUND_W,
        )

    def _keep(
        self, at: float, eyes: Mapping[SiteId, MeterClient], hands: Mapping[SiteId, Sequence[MeterClient]]
    ) -> None:
        """Keep this look if every meter answered in it."""
        imports = {site: client.reading for site, client in eyes.items()}
        if not all(reading is not None and reading.at >= at for reading in imports.values()):
            return
        batteries, unsure = {}, set()
        for site, clients in hands.items():
            readings = [c.reading for c in clients if c.reading is not None and c.reading.at >= at]
            batteries[site] = 0.0 - sum(reading.import_w for reading in readings)
            if len(readings) < len(clients):
                unsure.add(site)
        self.sights.append(
            Sight(
                at=at,
                import_w={site: r.import_w for site, r in imports.items() if r is not None},
                battery_w=batteries,
                unsure=frozenset(unsure),
            )
        )

    def between(self, since: float, until: float) -> list[Sight]:
        """Looks in [since, until)."""
        return [sight for sight in self.sights if since <= sight.at < until]
