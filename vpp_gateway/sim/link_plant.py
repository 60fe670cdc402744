"""A plant model at the site link: what site agents and their devices would report, without Modbus.

For long campaigns: the gateway's own code runs unchanged, only agents and field are replaced by formulas. One call
a second; batteries ramp and keep their SoC, the load is a constant plus Ornstein-Uhlenbeck noise, shifts change the
load after their latency.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from vpp_gateway.clock import SeededRng
from vpp_gateway.domain.fleet import Battery, Fleet, Site
from vpp_gateway.domain.instruction import DeviceId, SiteId
from vpp_gateway.domain.order import SiteSchedule
from vpp_gateway.domain.reading import (
    BatteryReading,
    DeviceHealth,
    Health,
    MeterReading,
    SiteReading,
    Snapshot,
)
from vpp_gateway.sim.sun import PvPlant


@dataclass(slots=True)
class PlantBattery:
    """One battery: follows its setpoint with a ramp, keeps its SoC."""

    battery: Battery
    soc: float = 0.5
    discharge_w: float = 0.0
    setpoint_w: float | None = None
    ramp_share_per_s: float = 2.0
    """Change per second as a share of the rating: 2 = full reversal within a second."""
    dead: bool = False

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        wanted = 0.0 if self.setpoint_w is None or self.dead else self.setpoint_w
        battery = self.battery
        wanted = max(-battery.charge_max_w, min(battery.discharge_max_w, wanted))
        if (wanted > 0 and self.soc <= battery.soc_min) or (wanted < 0 and self.soc >= battery.soc_max):
            wanted = 0.0
        step = self.ramp_share_per_s * max(battery.discharge_max_w, battery.charge_max_w) * seconds
        self.discharge_w += max(-step, min(step, wanted - self.discharge_w))
        loss = battery.efficiency if self.discharge_w < 0 else 1.0 / battery.efficiency
        self.soc -= self.discharge_w * loss * seconds / 3600.0 / battery.energy_wh
        self.soc = max(0.0, min(1.0, self.soc))


@dataclass(slots=True)
class PlantSite:
    """One site: load, batteries, meter."""

    site: Site
    rng: SeededRng
    load_w: float
    noise_w: float = 0.0
    """Standard deviation of the load, W."""
    noise_tau_s: float = 120.0
    shift_w: float = 0.0
    """Change of load by workload shifts that are real now, W of import."""
    pv: PvPlant | None = None
    """Local generation, modelled as all of this plant."""
    lost: bool = False
    schedule: SiteSchedule | None = None
    batteries: dict[DeviceId, PlantBattery] = field(default_factory=dict)
    _noise: float = 0.0

    def advance(self, now: float, seconds: float) -> None:
        decay = math.exp(-seconds / self.noise_tau_s)
        gauss = sum(self.rng.uniform(-1.0, 1.0) for _ in range(3))
        self._noise = self._noise * decay + self.noise_w * math.sqrt(1.0 - decay * decay) * gauss
        for plant in self.batteries.values():
            plant.setpoint_w = None
        if self.schedule is not None:
            for step in self.schedule.steps:
                if step.start_at <= now and (step.end_at is None or now < step.end_at):
                    self.batteries[step.device].setpoint_w = step.discharge_w
        for plant in self.batteries.values():
            plant.advance(seconds)

    def reading(self, now: float) -> SiteReading:
        """What the agent of this site would report."""
        discharge = math.fsum(plant.discharge_w for plant in self.batteries.values())
        sun = 0.0 if self.pv is None else self.pv.power_w(now)
        return SiteReading(
            site=self.site.id,
            at=now,
            meter=MeterReading(
                device=self.site.meter,
                at=now,
                import_w=self.load_w + self.shift_w + self._noise - discharge - sun,
                modelled=True,
            ),
            batteries=tuple(
                BatteryReading(
                    device=id,
                    at=now,
                    discharge_w=plant.discharge_w,
                    soc=plant.soc,
                    discharge_room_w=plant.battery.discharge_max_w,
                    charge_room_w=plant.battery.charge_max_w,
                    armed=plant.setpoint_w is not None,
                    setpoint_w=plant.setpoint_w,
                )
                for id, plant in self.batteries.items()
                if not plant.dead
            ),
            health=tuple(
                DeviceHealth(device=id, health=Health.LOST, reason="no answer")
                for id, plant in self.batteries.items()
                if plant.dead
            ),
            applied_seq=0 if self.schedule is None else self.schedule.seq,
        )


class LinkPlant:
    """All sites of a fleet behind the link.

    Args:
        fleet: What is modelled.
        load_w: Constant load of each site, W.
        noise_w: Standard deviation of each site's load, W.
    """

    def __init__(self, fleet: Fleet, *, seed: int, load_w: float, noise_w: float = 0.0) -> None:
        rng = SeededRng(seed)
        self.sites: dict[SiteId, PlantSite] = {
            site.id: PlantSite(
                site=site,
                rng=rng.fork(site.id),
                load_w=load_w,
                noise_w=noise_w,
                batteries={b.id: PlantBattery(battery=b) for b in site.batteries},
            )
            for site in fleet.sites
        }

    def arrange(self, schedule: SiteSchedule) -> None:
        """A schedule arrives at its site."""
        held = self.sites[schedule.site].schedule
        if held is None or (schedule.epoch, schedule.seq) > (held.epoch, held.seq):
            self.sites[schedule.site].schedule = schedule

    def second(self, now: float) -> Snapshot:
        """Let one second pass up to `now` and read everything."""
        for site in self.sites.values():
            site.advance(now, 1.0)
        return Snapshot(
            at=now, sites=tuple(site.reading(now) for site in self.sites.values() if not site.lost)
        )
