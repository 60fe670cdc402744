"""The house of a play: the real engine, gateway, journal and site agents in virtual time; below the agents, formulas.

Asked -> engine -> gateway -> link -> SiteAgent -> ModelBattery, ModelMeter, ModelWork -> SitePhysics
  |                                                                                          |
  +--------------------------------- Course <---- looked at each whole second ---------------+
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

from vpp_gateway import __version__
from vpp_gateway.chronicle.hand_over import HandOverWatch
from vpp_gateway.chronicle.observe import look_at_work
from vpp_gateway.clock import LoopClock, SeededRng
from vpp_gateway.dispatch.measured import spoken_of
from vpp_gateway.domain.command import Answer, Command, Shift
from vpp_gateway.domain.fact import FACT_TYPES, Fact, Instructed
from vpp_gateway.domain.horizon import HorizonPlan, HorizonProblem
from vpp_gateway.domain.instruction import (
    DeviceId,
    EventId,
    Instruction,
    InstructionId,
    Phase,
    Priority,
    RoomName,
    SiteId,
)
from vpp_gateway.domain.order import PluginName
from vpp_gateway.engine import Engine
from vpp_gateway.gateway import Gateway
from vpp_gateway.journal.records import FactCodec
from vpp_gateway.journal.store import Journal
from vpp_gateway.link.memory import MemoryAgent, MemoryCentre
from vpp_gateway.northbound.turn import SessionFact
from vpp_gateway.planner import PLANNER
from vpp_gateway.sim.loop import VirtualLoop, run
from vpp_gateway.sim.model_site import ModelBattery, ModelMeter, SitePhysics, noise_of, plant_of
from vpp_gateway.sim.model_work import ModelWork
from vpp_gateway.sim.plant import NoisyLoad
from vpp_gateway.site.agent import Holding, SiteAgent
from vpp_gateway.site.store import AgentStore
from vpp_gateway.solver import SOLVER
from vpp_gateway.whatif.course import Belief, Course, HandOver, Mark, Second, SiteSecond
from vpp_gateway.whatif.world import WORK, Asked, Fault, Play
from vpp_gateway.worker import InlineWorker

ROOM = RoomName("what-if")
ORIGIN = 1_790_000_000.0
"""UTC at which every play begins: a play depends on nothing but itself."""
LOOP_START = 1000.0
ARM_LEAD_S = 10.0
LIMITER_SHARE, LIMITER_TAU_S = 0.002, 3.0
"""Of the largest PV power: how far an export limiter stays clear of its limit, and how quickly that changes."""


def instruction_id(asked: Asked) -> InstructionId:
    """Under what name the gateway knows an event."""
    return InstructionId(f"{ROOM}/{asked.name}")


def play_out(
    play: Play, journal_at: Path | None = None, on_second: Callable[[float], None] | None = None
) -> Course:
    """Play it; some hundred simulated seconds a second.

    Args:
        journal_at: A new file for the journal of the run; without it the journal is thrown away.
        on_second: Told the simulated second, for a progress bar.
    """
    with tempfile.TemporaryDirectory(prefix="vppgw-whatif-") as folder:
        path = journal_at or Path(folder) / "journal.db"
        with Journal.open(path, FactCodec(FACT_TYPES), reserve_bytes=0) as journal:
            loop = VirtualLoop(start=LOOP_START)
            house = _House(play, Path(folder), loop, journal, on_second)
            return run(house.play, loop=loop)


def policy_hosts(play: Play) -> dict[PluginName, SiteId]:
    """The site that hosts the modelled plug-in."""
    return {PluginName(WORK): play.fleet.sites[0].id} if play.work else {}


class _House:
    """Everything that runs during a play."""

    def __init__(
        self,
        play: Play,
        folder: Path,
        loop: VirtualLoop,
        journal: Journal,
        on_second: Callable[[float], None] | None,
    ) -> None:
        self._play, self._folder, self._loop, self._on_second = play, folder, loop, on_second
        self._clock = LoopClock(loop, ORIGIN - LOOP_START)
        self._begin = ORIGIN + play.warm_up_s
        self._rng = SeededRng(play.seed)
        self._course = Course()
        self._hand_overs = {instruction_id(asked): HandOverWatch() for asked in play.asked}
        self._group: asyncio.TaskGroup | None = None
        self._agent_tasks: dict[SiteId, asyncio.Task[None]] = {}
        self._gateway = Gateway(play.fleet, play.policy, policy_hosts(play))
        self._engine = Engine(
            gateway=self._gateway,
            journal=journal,
            telemetry=None,
            clock=self._clock,
            version=__version__,
            on_fact=self._fact,
            on_command=self._command,
        )
        self._centre = MemoryCentre(
            clock=self._clock,
            epoch=lambda: self._gateway.epoch,
            on_message=self._engine.from_site,
            on_linked=self._engine.linked,
        )
        self._physics = {site: self._make_physics(site) for site in (s.id for s in play.fleet.sites)}
        self._batteries: dict[str, ModelBattery] = {}
        self._meters: dict[str, ModelMeter] = {}
        self._work: ModelWork | None = None
        self._planner: InlineWorker[HorizonProblem, HorizonPlan] | None = None
        self._agents: dict[SiteId, SiteAgent] = {}
        self._uplinks: dict[SiteId, MemoryAgent] = {}

    # -- making it ------------------------------------------------------------------------------------------

    def _make_physics(self, id: SiteId) -> SitePhysics:
        site, model = self._play.fleet.site(id), self._play.sites[id]
        rng = self._rng.fork(f"noise {id}")
        return SitePhysics(
            site=site,
            base=tuple((self._begin + at, w) for at, w in model.load),
            noise=noise_of(model.noise_w, model.noise_tau_s, rng, ORIGIN),
            pv=tuple((self._begin + at, w) for at, w in model.pv),
            limiter=self._limiter(id),
            plants={
                battery.id: plant_of(battery, model.soc, ORIGIN, self._play.ramp_share_per_s)
                for battery in site.batteries
            },
        )

    def _limiter(self, id: SiteId) -> NoisyLoad | None:
        pv = self._play.sites[id].pv
        if not pv:
            return None
        sigma_w = LIMITER_SHARE * max(w for _, w in pv)
        return noise_of(sigma_w, LIMITER_TAU_S, self._rng.fork(f"limiter {id}"), ORIGIN)

    def _make_agent(self, id: SiteId) -> None:
        site, physics = self._play.fleet.site(id), self._physics[id]
        store = AgentStore(path=self._folder / f"site-{id}.json")
        store.load()
        made: list[SiteAgent] = []
        for battery in site.batteries:
            self._batteries[battery.id] = ModelBattery(
                battery,
                physics.plants[battery.id],
                clock=self._clock,
                reversion_s=self._play.policy.reversion_s,
                on_outcome=lambda outcome: made[0].on_outcome(outcome),
            )
        self._meters[site.meter] = ModelMeter(physics, self._clock)
        agent = SiteAgent(
            site=site,
            batteries={b.id: self._batteries[b.id] for b in site.batteries},
            meter=self._meters[site.meter],
            store=store,
            holding=Holding(hold_s=self._play.refresh_hold_s, arm_lead_s=ARM_LEAD_S),
            secret="-",
            clock=self._clock,
            modelled=True,
            checks=self._make_checks(id),
            pv_meter=self._make_pv_meter(id),
        )
        made.append(agent)
        uplink = MemoryAgent(
            centre=self._centre, hello=agent.hello, on_message=agent.on_message, on_linked=agent.on_linked
        )
        plugins = {}
        if policy_hosts(self._play).get(PluginName(WORK)) == id:
            self._work = self._work or ModelWork(
                PluginName(WORK),
                self._play.work,
                self._physics,
                clock=self._clock,
                rng=self._rng.fork("work"),
                on_offered=lambda offered: self._agents[id].on_offered(offered),
                on_shifted=lambda shifted: self._agents[id].on_shifted(shifted),
            )
            plugins[PluginName(WORK)] = self._work
        agent.connect(uplink, plugins)
        self._agents[id], self._uplinks[id] = agent, uplink
        assert self._group is not None
        self._agent_tasks[id] = self._group.create_task(agent.run())

    def _make_checks(self, reader: SiteId) -> dict[DeviceId, ModelMeter]:
        """The check meters that the agent of one site reads."""
        made = {}
        for site in self._play.fleet.sites:
            by = self._play.sites[site.id].check_read_by or site.id
            if site.check_meter is not None and by == reader:
                made[site.check_meter] = ModelMeter(self._physics[site.id], self._clock, site.check_meter)
        return made

    def _make_pv_meter(self, id: SiteId) -> ModelMeter | None:
        """The meter of the site's PV plant, as the settings have it."""
        physics, meter = self._physics[id], self._play.fleet.site(id).pv_meter
        if meter is None:
            return None
        return ModelMeter(physics, self._clock, meter, shows=lambda now: 0.0 - physics.pv_w(now))

    # -- playing --------------------------------------------------------------------------------------------

    async def play(self) -> Course:
        """From the warm-up to the end."""
        solver = InlineWorker(SOLVER, self._engine.solved, self._rng.fork("solver"), self._clock)
        self._planner = InlineWorker(
            PLANNER, self._engine.planned, SeededRng(self._play.seed).fork("planner"), self._clock
        )
        self._engine.connect(rooms={}, link=self._centre, solver=solver, planner=self._planner)
        self._engine.recover()
        self._engine.start()
        self._engine.on_second = self._believe
        async with asyncio.TaskGroup() as group:
            self._group = group
            running = group.create_task(self._engine.run())
            for site in self._play.fleet.sites:
                self._make_agent(site.id)
            for asked in self._play.asked:
                self._loop.call_at(self._when(asked.received_s), self._ask, asked)
            for fault in self._play.faults:
                self._loop.call_at(self._when(fault.at_s), self._fail, fault, True)
                if fault.for_s is not None:
                    self._loop.call_at(self._when(fault.at_s + fault.for_s), self._fail, fault, False)
            await self._watch()
            running.cancel()
            for task in self._agent_tasks.values():
                task.cancel()
        self._course.trouble = "; ".join(self._engine.trouble.values())
        self._course.records = {row.instruction: row for row in self._gateway.account.records()}
        return self._course

    def _when(self, at_s: float) -> float:
        """Loop time of a second of the play."""
        return LOOP_START + self._play.warm_up_s + at_s

    def _at_s(self) -> float:
        return self._clock.utc() - self._begin

    def _ask(self, asked: Asked) -> None:
        start_at = self._begin + asked.start_s
        instruction = Instruction(
            id=instruction_id(asked),
            room=ROOM,
            event_id=EventId(asked.name),
            modification=0,
            program="what-if",
            received_at=self._clock.utc(),
            phases=(Phase(start_at=start_at, end_at=start_at + asked.duration_s, demand=asked.demand),),
            scope=asked.scope,
            priority=Priority(rank=asked.rank),
        )
        self._engine.take([Instructed(at=self._clock.utc(), instruction=instruction)])

    def _fail(self, fault: Fault, begins: bool) -> None:
        how, site = (fault.how if begins else ""), SiteId(fault.where)
        match fault.what:
            case "battery":
                self._batteries[fault.where].fail(how)
            case "meter":
                self._meters[fault.where].fault = how
            case "planner":
                if self._planner is not None:
                    self._planner.fail(how)
            case "plug-in":
                if self._work is not None:
                    self._work.fail(how)
            case "link" if begins:
                self._centre.detach(site, "the link was cut", silent=True)
            case "link" if site in self._agent_tasks:
                self._uplinks[site].dial()
            case "site" if begins:
                self._agent_tasks.pop(site).cancel()
                # A machine without power closes nothing: to the centre it looks like a link that was cut.
                self._centre.detach(site, "the site agent died", silent=fault.how == "power")
            case "site":
                self._make_agent(site)

    async def _watch(self) -> None:
        """Look at every whole second, until the end."""
        while self._at_s() < self._play.end_s:
            now = self._clock.utc()
            await asyncio.sleep(1.0 - now % 1.0)
            self._look(self._clock.utc())

    # -- looking --------------------------------------------------------------------------------------------

    def _look(self, now: float) -> None:
        sites, soc, power = {}, {}, {}
        for id, physics in self._physics.items():
            battery_w = physics.battery_w(now)
            sites[id] = SiteSecond(
                import_w=physics.import_w(now),
                load_w=physics.undisturbed_w(now),
                shift_w=physics.shift_w(now),
                rebound_w=physics.rebound_w(now),
                battery_w=battery_w,
                pv_w=physics.pv_w(now),
                sun_w=physics.sun_w(now),
            )
            for device, plant in physics.plants.items():
                soc[DeviceId(device)], power[DeviceId(device)] = plant.soc, plant.discharge_w
        second = Second(
            at_s=round(now - self._begin, 3), sites=sites, soc=soc, battery_w=power, beliefs={}, doubts=()
        )
        self._course.seconds.append(second)
        if self._on_second is not None:
            self._on_second(second.at_s)

    def _believe(self) -> None:
        """After the engine's tick: what it makes of the readings of this second."""
        if not self._course.seconds:
            return
        last = self._course.seconds[-1]
        beliefs = {}
        for row in self._gateway.timeline.at(self._clock.utc()):
            id = row.instruction.id
            account = self._gateway.account.delivery(id)
            if account is not None and account.delivered_now_w is not None:
                beliefs[id] = Belief(target_w=account.target_w, delivered_w=account.delivered_now_w)
            for state in (self._gateway.sites[site] for site in spoken_of(row)):
                baseline = self._gateway.baselines.of(id, state)
                if baseline is not None:
                    self._course.baselines.setdefault(id, {}).setdefault(state.site.id, baseline)
        doubts = tuple(state.site.id for state in self._gateway.sites if not state.sight)
        self._course.seconds[-1] = Second(
            at_s=last.at_s,
            sites=last.sites,
            soc=last.soc,
            battery_w=last.battery_w,
            beliefs=beliefs,
            doubts=doubts,
        )
        self._watch_hand_overs(self._clock.utc())

    def _watch_hand_overs(self, now: float) -> None:
        """With the eyes of `events why`, so that both tell the same."""
        for id, watch in self._hand_overs.items():
            over = watch.see(look_at_work(self._gateway, id, now))
            if over is not None:
                times = {
                    "ordered_s": round(over.ordered_at - self._begin, 3),
                    "real_s": round(over.real_at - self._begin, 3),
                }
                self._course.hand_overs.setdefault(id, []).append(HandOver(**times, work_w=over.work_w))

    def _fact(self, fact: Fact | SessionFact) -> None:
        self._course.facts += 1

    def _command(self, command: Command) -> None:
        self._course.commands.append((self._at_s(), command))
        match command:
            case Answer():
                self._course.opts[command.instruction] = (command.opt, command.reason)
            case Shift():
                order = command.order
                self._course.marks.append(
                    Mark(at_s=self._at_s(), verb=order.verb, offer=order.offer, instruction=order.instruction)
                )
