"""The whole house in one event loop: world, agents, centre; all real code and real sockets, time virtual or not.

async with House.open(tmp_path, clock=clock, seed=1) as house:
    house.instruct(...)
    await house.until(60.0)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from vpp_gateway.clock import Clock, SeededRng
from vpp_gateway.compose_centre import journal_types, policy_of
from vpp_gateway.compose_site import compose_agent
from vpp_gateway.domain.command import Command
from vpp_gateway.domain.fact import Instructed, Tick
from vpp_gateway.domain.instruction import Instruction, SiteId
from vpp_gateway.engine import Engine
from vpp_gateway.gateway import Gateway
from vpp_gateway.journal.records import FactCodec
from vpp_gateway.journal.store import Journal
from vpp_gateway.link.memory import MemoryAgent, MemoryCentre
from vpp_gateway.settings import Settings, fleet
from vpp_gateway.sim.field import BatterySpec, FieldSpec, MeterSpec, SimField, SiteSpec
from vpp_gateway.sim.trace import Trace
from vpp_gateway.site.agent import SiteAgent
from vpp_gateway.solver import InlineSolver
from vpp_gateway.southbound.workload.process import process_factory

SITES = ("tokyo-1", "tokyo-2", "kanagawa-1")
LOAD_W = 400_000.0
POWER_W = 50_000.0
ENERGY_WH = 100_000.0


def field_spec(seed: int, sigma_w: float = 0.0, batteries: int = 2) -> FieldSpec:
    """Three sites with their devices."""
    return FieldSpec(
        seed=seed,
        sites=tuple(
            SiteSpec(
                id=site,
                load_w=LOAD_W,
                sigma_w=sigma_w,
                meter=MeterSpec(id=f"{site}-meter"),
                batteries=tuple(
                    BatterySpec(
                        id=f"{site}-b{n}",
                        discharge_max_w=POWER_W,
                        charge_max_w=POWER_W,
                        energy_wh=ENERGY_WH,
                        ramp_w_per_s=2 * POWER_W,
                    )
                    for n in range(1, batteries + 1)
                ),
            )
            for site in SITES
        ),
    )


def settings_of(field: SimField, spec: FieldSpec, state_dir: Path, **more: object) -> Settings:
    """The operator's settings for a simulated field."""

    def device(id: str, profile: str) -> dict[str, object]:
        host, port = field.address(id)
        return {"id": id, "profile": profile, "host": host, "port": port}

    return Settings.model_validate(
        {
            "gateway": {"name": "house", "state_dir": state_dir, "simulated": True},
            "sites": [
                {
                    "id": site.id,
                    "name": site.id,
                    "name_ja": site.id,
                    "area": "tokyo",
                    "import_max_kw": 2000.0,
                    "export_max_kw": 0.0,
                    "meter": device(site.meter.id, "sunspec-meter"),
                    "batteries": [
                        {
                            **device(battery.id, "sunspec-700-battery"),
                            "discharge_max_kw": battery.discharge_max_w / 1000,
                            "charge_max_kw": battery.charge_max_w / 1000,
                            "energy_kwh": battery.energy_wh / 1000,
                        }
                        for battery in site.batteries
                    ],
                }
                for site in spec.sites
            ],
            "dispatch": {"baseline_window_s": 60.0},
            **more,
        }
    )


@dataclass
class House:
    """Everything that runs."""

    clock: Clock
    field: SimField
    settings: Settings
    engine: Engine
    agents: dict[SiteId, SiteAgent]
    centre: MemoryCentre
    trace: Trace
    commands: list[Command] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)

    def instruct(self, instruction: Instruction) -> None:
        """Hand an instruction in, as a northbound room would."""
        self.engine.take([Instructed(at=self.clock.utc(), instruction=instruction)])

    async def until(self, at: float) -> None:
        """Let time pass until `at` (UTC)."""
        await asyncio.sleep(max(0.0, at - self.clock.utc()))

    def imports_w(self) -> float:
        """True import of all sites now, from the simulated world."""
        truth = self.field.truth()
        return sum(truth[site]["import_w"] for site in SITES)


@asynccontextmanager
async def open_house(
    folder: Path, *, clock: Clock, seed: int = 1, sigma_w: float = 0.0, **more: object
) -> AsyncIterator[House]:
    """Start the house; everything ends with the block."""
    rng = SeededRng(seed)
    spec = field_spec(seed, sigma_w)
    async with SimField(spec, clock=clock) as world:
        settings = settings_of(world, spec, folder, **more)
        trace = Trace(clock.monotonic, keep=2000)
        gateway = Gateway(fleet(settings), policy_of(settings), {})
        with Journal.open(folder / "journal.db", FactCodec(journal_types(()))) as journal:
            engine = Engine(
                gateway=gateway,
                journal=journal,
                telemetry=None,
                clock=clock,
                version="test",
                on_fact=lambda fact: trace.add("fact", repr(fact)),
                on_command=lambda command: trace.add("command", repr(command)),
            )
            centre = MemoryCentre(
                epoch=lambda: gateway.epoch, on_message=engine.from_site, on_linked=engine.linked
            )
            solver = InlineSolver(engine.solved, rng.fork("solver"), clock)
            engine.connect(rooms={}, link=centre, solver=solver)
            agents = {}
            for site in settings.sites:
                id = SiteId(site.id)
                agent, hosts = compose_agent(
                    settings,
                    id,
                    state_dir=folder,
                    secret="-",
                    clock=clock,
                    rng=rng.fork(site.id),
                    plugin_transport=lambda _: process_factory(),
                )
                uplink = MemoryAgent(
                    centre=centre, hello=agent.hello, on_message=agent.on_message, on_linked=agent.on_linked
                )
                agent.connect(uplink, hosts)
                agents[id] = agent
            house = House(
                clock=clock,
                field=world,
                settings=settings,
                engine=engine,
                agents=agents,
                centre=centre,
                trace=trace,
            )
            async with asyncio.TaskGroup() as group:
                engine.start()
                tasks = [group.create_task(engine.run())]
                tasks += [group.create_task(agent.run()) for agent in agents.values()]
                try:
                    yield house
                finally:
                    for task in tasks:
                        task.cancel()
