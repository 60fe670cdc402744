"""The whole house in one event loop: utility, world, agents, centre; real code and real sockets, time virtual or not.

async with open_house(tmp_path, clock=clock, seed=1, vtn=True, work=True) as house:
    house.vtn.add_event(house.event("EV-1", after_s=60, duration_s=300, regulation_w=120_000))
    await house.run_for(400)

    field     batteries and meters over Modbus/TCP             vtn    sim/vtn over mutual TLS, signed    (vtn=True)
    agents    one per site, linked in memory                   work   jobs as objects, in-process lever  (work=True)
    centre    engine, rooms, journal, solver; can be crashed and started again on the same journal
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.house.utility import ROOM, Utility
from tests.house.world import (
    LOAD_W,
    SITES,
    SLOTS,
    field_spec,
    jobs,
    settings_of,
)
from tests.outgoing import Tap
from vpp_gateway.clock import Clock, SeededRng
from vpp_gateway.compose_centre import compose_rooms, host_of, journal_types, policy_of, wallets
from vpp_gateway.compose_site import compose_agent
from vpp_gateway.console.live import Identity, LiveSource
from vpp_gateway.console.status import AlarmView, EventView, LinkView, Status
from vpp_gateway.domain.command import Command
from vpp_gateway.domain.delivery import DeliveryRecord
from vpp_gateway.domain.fact import Instructed, Tick
from vpp_gateway.domain.instruction import Instruction, InstructionId, RoomName, SiteId
from vpp_gateway.domain.plan import Plan
from vpp_gateway.engine import Engine
from vpp_gateway.gateway import Gateway
from vpp_gateway.housekeeping import Expiry
from vpp_gateway.journal.records import FactCodec
from vpp_gateway.journal.store import Journal
from vpp_gateway.journal.telemetry import TelemetryStore
from vpp_gateway.link.memory import MemoryAgent, MemoryCentre
from vpp_gateway.northbound.openadr2.messages import Event
from vpp_gateway.planner import PLANNER
from vpp_gateway.settings import PluginSettings, Settings, fleet
from vpp_gateway.sim.field import SimField
from vpp_gateway.sim.memory_work import MemoryWork, Tempo, memory_lever
from vpp_gateway.sim.trace import Trace
from vpp_gateway.sim.vtn import Vtn, dispatch
from vpp_gateway.site.agent import SiteAgent
from vpp_gateway.solver import SOLVER
from vpp_gateway.southbound.workload.memory import Program, memory_factory, program_factory
from vpp_gateway.southbound.workload.process import process_factory
from vpp_gateway.southbound.workload.spec import TransportFactory
from vpp_gateway.worker import InlineWorker, OnAnswer

POLL_S = 5.0
WORK = "work"
WATCH_S = 0.5
MakeSolver = Callable[[OnAnswer[Plan], SeededRng, Clock], Any]
"""Makes the solver worker of one life of the centre."""
INLINE: MakeSolver = partial(InlineWorker, SOLVER)


@dataclass(kw_only=True)
class House:
    """Everything that runs. `engine` is the centre's present life; agents and field outlive it."""

    clock: Clock
    rng: SeededRng
    field: SimField
    settings: Settings
    trace: Trace
    centre: MemoryCentre
    make_solver: MakeSolver
    plugin_transport: Callable[[PluginSettings], TransportFactory]
    group: asyncio.TaskGroup
    utility: Utility | None = None
    work: MemoryWork | None = None
    agents: dict[SiteId, SiteAgent] = field(default_factory=dict)
    uplinks: dict[SiteId, MemoryAgent] = field(default_factory=dict)
    commands: list[Command] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)
    seen: list[tuple[float, dict[str, float]]] = field(default_factory=list)
    """(UTC, true import by site), twice a second: what an independent meter would have shown."""
    lives: int = 0
    _engine: Engine | None = None
    _source: LiveSource | None = None
    _centre_task: asyncio.Task[None] | None = None
    _centre_open: AsyncExitStack | None = None
    _agent_tasks: dict[SiteId, asyncio.Task[None]] = field(default_factory=dict)

    @property
    def engine(self) -> Engine:
        assert self._engine is not None, "the centre is down"
        return self._engine

    @property
    def alive(self) -> bool:
        """Whether the centre runs."""
        return self._engine is not None

    @property
    def vtn(self) -> Vtn:
        assert self.utility is not None, "opened without vtn=True"
        return self.utility.vtn

    # -- instructions ---------------------------------------------------------------------------------------

    def instruct(self, instruction: Instruction) -> None:
        """Hand an instruction in, as a northbound room would."""
        self.engine.take([Instructed(at=self.clock.utc(), instruction=instruction)])

    def event(
        self, id: str, *, after_s: float, duration_s: float, regulation_w: float, sites: tuple[str, ...] = ()
    ) -> Event:
        """An event of the VTN: regulation > 0 relieves the grid; starts on a whole second `after_s` from now."""
        start_at = float(int(self.clock.utc() + after_s))
        value = 0.0 - regulation_w
        return dispatch(id, start_at=start_at, duration_s=duration_s, value=value, resource_ids=sites)

    # -- time -----------------------------------------------------------------------------------------------

    async def until(self, at: float) -> None:
        """Let time pass until `at` (UTC)."""
        await asyncio.sleep(max(0.0, at - self.clock.utc()))

    async def run_for(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)

    # -- what is seen ---------------------------------------------------------------------------------------

    def imports_w(self) -> float:
        """True import of all sites now, from the simulated world."""
        truth = self.field.truth()
        return sum(truth[site]["import_w"] for site in SITES)

    def regulations_w(self, since: float, until: float, sites: tuple[str, ...] = SITES) -> list[float]:
        """True regulation of these sites against their undisturbed load, each half second in [since, until)."""
        return [
            sum(LOAD_W - imports[site] for site in sites) for at, imports in self.seen if since <= at < until
        ]

    def status(self) -> Status:
        """What the operator sees."""
        assert self._source is not None, "the centre is down"
        return self._source.status()

    def link(self, name: str) -> LinkView:
        """One connection as the operator sees it."""
        return next(link for link in self.status().links if link.name == name)

    def alarms(self, code: str) -> list[AlarmView]:
        """Standing alarms of one kind."""
        return [alarm for alarm in self.status().alarms if alarm.code == code]

    def view(self, event: str) -> EventView:
        """One event as the operator sees it."""
        return next(row for row in self.status().events if row.event_id == event)

    def record(self, event: str) -> DeliveryRecord:
        """The newest record of one event."""
        id = InstructionId(f"{ROOM}/{event}")
        return [row for row in self.engine.gateway.account.records() if row.instruction == id][-1]

    def seal(self) -> str:
        """Enter every register write of the batteries into the trace; its digest."""
        for id, battery in self.field.batteries.items():
            for write in battery.log:
                self.trace.add("write", f"{id} {write!r}")
        return self.trace.hexdigest()

    def note(self, kind: str, said: object) -> None:
        """Enter something into the trace; port numbers, which the kernel deals out, become device names."""
        text = repr(said)
        for device in (*self.field.batteries, *self.field.meters):
            host, port = self.field.address(device)
            text = text.replace(f"{host}:{port}", device)
        self.trace.add(kind, text)

    # -- the centre's lives ---------------------------------------------------------------------------------

    async def start_centre(self) -> None:
        """A new life of the centre, on the same journal."""
        self.lives += 1
        rng = self.rng.fork(f"centre-{self.lives}")
        folder = self.settings.gateway.state_dir

        async def deliver(room: RoomName, message: Any) -> str:
            return engine.receive(room, message)

        rooms = compose_rooms(self.settings, self.clock, rng.fork("rooms"), deliver, Tap())
        codec = FactCodec(journal_types(room.session for room in rooms.values()))
        self._centre_open = AsyncExitStack()
        journal = self._centre_open.enter_context(Journal.open(folder / "journal.db", codec))
        telemetry = self._centre_open.enter_context(
            TelemetryStore.open(folder / "telemetry.db", tuple(SiteId(site) for site in SITES))
        )
        engine = Engine(
            gateway=Gateway(fleet(self.settings), policy_of(self.settings), host_of(self.settings)),
            journal=journal,
            telemetry=telemetry,
            clock=self.clock,
            version="test",
            on_fact=lambda fact: self.note("fact", fact),
            on_command=self._commanded,
        )
        solver = self.make_solver(engine.solved, rng.fork("solver"), self.clock)
        # A stream of its own: whoever is drawn after it keeps its draws.
        planner = InlineWorker(PLANNER, engine.planned, SeededRng(f"planner-{self.lives}"), self.clock)
        engine.connect(rooms=rooms, link=self.centre, solver=solver, planner=planner)
        engine.recover()
        self._engine = engine
        identity = Identity(name="house", version="test", simulated=True)
        self._source = LiveSource(
            engine, identity, solver, credentials=Expiry({}, wallets(rooms)).notes, planner=planner
        )
        engine.on_second = self._source.beat
        engine.start()
        self._centre_task = self.group.create_task(engine.run())
        for uplink in self.uplinks.values():
            uplink.dial()

    async def crash_centre(self) -> None:
        """The centre dies: its connections break, nobody says goodbye."""
        await _end(self._centre_task)
        self._engine = self._source = None
        for site in self.uplinks:
            self.centre.detach(site, "the centre died")
        assert self._centre_open is not None
        await self._centre_open.aclose()

    def _commanded(self, command: Command) -> None:
        self.commands.append(command)
        self.note("command", command)

    # -- the agents' lives ----------------------------------------------------------------------------------

    def start_agent(self, site: SiteId) -> None:
        """A new life of one agent, on its own memory."""
        agent, hosts = compose_agent(
            self.settings,
            site,
            state_dir=self.settings.gateway.state_dir,
            secret="-",
            clock=self.clock,
            rng=self.rng.fork(site),
            plugin_transport=self.plugin_transport,
        )
        uplink = MemoryAgent(
            centre=self.centre, hello=agent.hello, on_message=agent.on_message, on_linked=agent.on_linked
        )
        agent.connect(uplink, hosts)
        self.agents[site], self.uplinks[site] = agent, uplink
        self._agent_tasks[site] = self.group.create_task(agent.run())

    async def kill_agent(self, site: SiteId) -> None:
        """An agent dies; nobody refreshes its devices any more."""
        await _end(self._agent_tasks.pop(site))
        self.centre.detach(site, "the site agent died")
        del self.agents[site], self.uplinks[site]

    async def watch(self) -> None:
        """Look at the true import, twice a second."""
        while True:
            await asyncio.sleep(WATCH_S - self.clock.utc() % WATCH_S)
            truth = self.field.truth()
            self.seen.append((self.clock.utc(), {site: truth[site]["import_w"] for site in SITES}))

    async def close(self) -> None:
        """End everything."""
        if self.alive:
            await self.crash_centre()
        for site in list(self._agent_tasks):
            await _end(self._agent_tasks.pop(site))


async def _end(task: asyncio.Task[None] | None) -> None:
    assert task is not None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def open_house(
    folder: Path,
    *,
    clock: Clock,
    seed: int = 1,
    sigma_w: float = 0.0,
    tau_s: float = 60.0,
    checked: bool = False,
    pv_profile: str = "",
    vtn: bool = False,
    listening: bool = True,
    order: tuple[float, float] | None = None,
    program: str = "generic-2.0b",
    work: bool = False,
    tempo: Tempo | None = None,
    programs: Mapping[str, Program] | None = None,
    solver: MakeSolver = INLINE,
    **more: object,
) -> AsyncIterator[House]:
    """Start the house; everything ends with the block.

    Args:
        folder: state of the centre and of the agents.
        seed: all chance.
        sigma_w: standard deviation of each site's load.
        tau_s: how long its noise remembers.
        pv_profile: device profile by which the PV meter of the first site is read; "" = there is no PV.
        vtn: with a utility; without it instructions come by `House.instruct`.
        listening: whether the VTN is there from the start.
        order: (granularity, back duration) in s of the report that the VTN orders.
        program: profile of the utility's program.
        work: with jobs and the plug-in that moves them.
        tempo: how long its acts take.
        programs: further plug-ins by name, as what stands for their process.
        solver: makes the solver worker.
        more: further sections of the settings.
    """
    rng = SeededRng(seed)
    spec = field_spec(seed, sigma_w, work=work, tau_s=tau_s, checked=checked, sunny=bool(pv_profile))
    memory_work = MemoryWork(jobs(), clock, tempo=tempo) if work else None
    loads = {} if memory_work is None else {site: memory_work.load(SiteId(site), 0.0) for site in SITES}
    factories: dict[str, TransportFactory] = {
        name: program_factory(program) for name, program in (programs or {}).items()
    }
    if memory_work is not None:
        lever = memory_lever(memory_work, {SiteId(site): SLOTS for site in SITES})
        factories[WORK] = memory_factory(lever, clock)
    async with AsyncExitStack() as stack:
        field = await stack.enter_async_context(SimField(spec, clock=clock, loads=loads))
        utility = None
        if vtn:
            utility = Utility(
                folder / "pki", clock=clock, rng=rng.fork("utility"), poll_s=POLL_S, order=order
            )
            stack.push_async_callback(utility.silence)
            more = {"northbound": [utility.settings(program)], **more}
        if factories:
            row = {"plugin": "process-lever", "host_site": SITES[0], "sites": SITES}
            more = {"plugins": [{"name": name, **row} for name in factories], **more}
        async with asyncio.TaskGroup() as group:
            house = House(
                clock=clock,
                rng=rng,
                field=field,
                settings=settings_of(field, spec, folder, pv_profile=pv_profile, **more),
                trace=Trace(clock.monotonic, keep=4000),
                centre=MemoryCentre(
                    clock=clock,
                    epoch=lambda: house.engine.gateway.epoch,
                    on_message=lambda site, message: (
                        house.engine.from_site(site, message) if house.alive else None
                    ),
                    on_linked=lambda site, up, why, silent: (
                        house.engine.linked(site, up, why, silent) if house.alive else None
                    ),
                ),
                make_solver=solver,
                plugin_transport=lambda row: factories.get(row.name) or process_factory(),
                group=group,
                utility=utility,
                work=memory_work,
            )
            watch = group.create_task(house.watch())
            try:
                if utility is not None and listening:
                    await utility.listen()
                await house.start_centre()
                for site in SITES:
                    house.start_agent(SiteId(site))
                yield house
            finally:
                watch.cancel()
                await house.close()
