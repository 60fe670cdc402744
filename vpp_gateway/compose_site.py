"""Composition of one site agent: settings and profiles -> drivers, plug-in hosts, link."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vpp_gateway.clock import Clock, Rng
from vpp_gateway.domain.instruction import DeviceId, SiteId
from vpp_gateway.domain.order import PluginName
from vpp_gateway.settings import DeviceSettings, PluginSettings, Settings, SiteSettings, fleet
from vpp_gateway.site.agent import Holding, SiteAgent
from vpp_gateway.site.store import AgentStore
from vpp_gateway.southbound.modbus.client import Address, BatteryClient, MeterClient, Timing
from vpp_gateway.southbound.modbus.profile import DeviceProfile
from vpp_gateway.southbound.modbus.shelf import load_device
from vpp_gateway.southbound.workload.host import PluginHost
from vpp_gateway.southbound.workload.spec import PluginSpec, TransportFactory
from vpp_gateway.southbound.workload.spec import Timing as PluginTiming

METER_BOUND = 3.0
"""A meter that says more than this many times what the connection can carry is not believed."""


def compose_agent(
    settings: Settings,
    site_id: SiteId,
    *,
    state_dir: Path,
    secret: str,
    clock: Clock,
    rng: Rng,
    plugin_transport: Callable[[PluginSettings], TransportFactory],
) -> tuple[SiteAgent, dict[PluginName, PluginHost]]:
    """One agent, not yet connected to a link.

    Raises:
        ConfigError: a profile is missing or wrong.
        JournalError: the agent's memory cannot be read.
    """
    own = next(site for site in settings.sites if site.id == site_id)
    site = fleet(settings).site(site_id)
    store = AgentStore(path=state_dir / f"site-{site_id}.json")
    store.load()
    # Devices report to the agent, the agent is made of the devices: outcomes find it when they come.
    agents: list[SiteAgent] = []
    timing = Timing(
        heartbeat_s=settings.timing.heartbeat_s,
        refresh_s=settings.timing.refresh_s,
        reversion_s=settings.timing.reversion_s,
    )
    agent = SiteAgent(
        site=site,
        batteries={
            battery.id: BatteryClient(
                battery=battery,
                address=Address(host=row.host, port=row.port),
                profile=_profile(settings, row),
                timing=timing,
                clock=clock,
                rng=rng,
                on_outcome=lambda outcome: agents[0].on_outcome(outcome),
            )
            for battery, row in zip(site.batteries, own.batteries, strict=True)
        },
        meter=_meter(settings, own, own.meter, timing, clock, rng),
        checks={
            DeviceId(row.check_meter.id): _meter(settings, row, row.check_meter, timing, clock, rng)
            for row in settings.sites
            if row.check_meter is not None and (row.check_meter.read_by or row.id) == site_id
        },
        pv_meter=None if own.pv_meter is None else _meter(settings, own, own.pv_meter, timing, clock, rng),
        store=store,
        holding=Holding(hold_s=settings.timing.hold_s, arm_lead_s=settings.timing.arm_lead_s),
        secret=secret,
        clock=clock,
        modelled=settings.gateway.simulated,
    )
    agents.append(agent)
    hosts = {
        PluginName(row.name): PluginHost(
            PluginSpec(
                name=PluginName(row.name),
                entry_point=row.plugin,
                sites=tuple(SiteId(id) for id in row.sites),
                config=dict(row.config),
                state_dir=str(_plugin_dir(state_dir, row.name)),
            ),
            plugin_transport(row),
            clock,
            rng,
            PluginTiming(),
            agent.on_offered,
            agent.on_shifted,
            open_orders=tuple(o for o in store.open_orders() if o.plugin == row.name),
            fence=store.memory.highest_epoch,
        )
        for row in settings.plugins
        if row.host_site == site_id
    }
    return agent, hosts


def _meter(
    settings: Settings, of: SiteSettings, meter: DeviceSettings, timing: Timing, clock: Clock, rng: Rng
) -> MeterClient:
    site = fleet(settings).site(SiteId(of.id))
    power_w = sum(b.discharge_max_w for b in site.batteries) + site.import_max_w + site.export_max_w
    return MeterClient(
        device=DeviceId(meter.id),
        address=Address(host=meter.host, port=meter.port),
        profile=_profile(settings, meter),
        timing=timing,
        clock=clock,
        rng=rng,
        bound_w=METER_BOUND * power_w,
    )


def _profile(settings: Settings, row: DeviceSettings) -> DeviceProfile:
    profile = load_device(row.profile, settings.gateway.profile_dirs)
    return profile.model_copy(update={"unit": row.unit})


def _plugin_dir(state_dir: Path, name: str) -> Path:
    folder = state_dir / "plugins" / name
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder
