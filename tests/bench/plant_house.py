"""Engine, gateway and journal of the real thing; agents and field are the plant model at the site link.

    plant --Readings, Obeyed ... as JSON--> engine.from_site      engine --Schedule, Shift as JSON--> plant, lever

No event loop: a clock steps from second to second and `second()` does what the engine's own tasks would do. Words of
the link are encoded and decoded on every way, as `link.memory` does. A workload plug-in is played here too: a shift
is real two seconds after its order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.domain.command import Command
from vpp_gateway.domain.fact import FACT_TYPES, Fact, Instructed, Obeyed, Offered, Shifted, Woke
from vpp_gateway.domain.fleet import Fleet
from vpp_gateway.domain.instruction import DeviceId, Instruction, SiteId
from vpp_gateway.domain.order import Offer, OfferId, OrderId, PluginName, ShiftOrder, ShiftState, ShiftVerb
from vpp_gateway.domain.plan import Problem
from vpp_gateway.engine import Engine
from vpp_gateway.gateway import Gateway
from vpp_gateway.journal.records import FactCodec
from vpp_gateway.journal.store import Journal
from vpp_gateway.journal.telemetry import TelemetryStore
from vpp_gateway.link.messages import (
    DOWN,
    UP,
    Down,
    ObeyedReport,
    OfferedReport,
    Readings,
    ScheduleOrder,
    ShiftCommand,
    ShiftedReport,
    Up,
    Welcome,
)
from vpp_gateway.northbound.turn import SessionFact
from vpp_gateway.optimise.linear import solve
from vpp_gateway.sim.link_plant import LinkPlant, PlantBattery

LEVER = PluginName("lever")
SHIFT_S = 2.0
ACKNOWLEDGED_S, CONFIRMED_S = 0.035, 0.070
"""After the order reached the site."""


@dataclass(slots=True)
class SteppingClock:
    """Time is what it was set to."""

    now: float

    def utc(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def step_s(self) -> float:
        return 0.0

    def reanchor(self) -> None:
        """There is no other clock."""

    def align(self, utc: float) -> None:
        self.now = utc


class InstantSolver:
    """Solves on the spot."""

    def __init__(self) -> None:
        self.solved: Callable[[str, object], None] | None = None

    def submit(self, problem: Problem) -> None:
        assert self.solved is not None
        self.solved(problem.id, solve(problem))

    async def run(self) -> None:
        raise AssertionError("there is no event loop here")


@dataclass(slots=True)
class Lever:
    """Offers of one plug-in and what its orders have done to the plant's load."""

    plant: LinkPlant
    offers: dict[OfferId, Offer] = field(default_factory=dict)
    open: dict[OrderId, tuple[Offer, float, bool]] = field(default_factory=dict)
    """(offer, share, whether the load has changed)"""

    def obey(self, order: ShiftOrder) -> ShiftState:
        """Carry out one order, now; what it has become."""
        offer = self.offers[order.offer]
        share = offer.steps[order.step]
        _, _, real = self.open.get(order.id, (offer, share, False))
        if order.verb is ShiftVerb.PREPARE:
            self.open[order.id] = (offer, share, real)
            return ShiftState.PREPARED
        if order.verb is ShiftVerb.COMMIT:
            if not real:
                self._load(offer, share)
            self.open[order.id] = (offer, share, True)
            return ShiftState.ACTIVE
        if real:
            self._load(offer, -share)
        self.open.pop(order.id, None)
        return ShiftState.RETURNED

    def _load(self, offer: Offer, share: float) -> None:
        for leg in offer.legs:
            self.plant.sites[leg.site].shift_w += leg.import_delta_w * share

    def left(self) -> tuple[Offer, ...]:
        """Offers that no order has taken."""
        taken = {offer.id for offer, _, _ in self.open.values()}
        return tuple(offer for offer in self.offers.values() if offer.id not in taken)


class PlantHouse:
    """The centre and its plant, second by second.

    Args:
        journal: open for writing.
        obeyed_every_s: a battery whose setpoint is merely corrected tells so at most this often.
    """

    def __init__(
        self,
        journal: Journal,
        fleet: Fleet,
        *,
        start_at: float,
        seed: int,
        load_w: float,
        noise_w: float,
        obeyed_every_s: float = 0.0,
        telemetry: TelemetryStore | None = None,
        on_fact: Callable[[Fact | SessionFact], None] | None = None,
        on_command: Callable[[Command], None] | None = None,
    ) -> None:
        self.clock = SteppingClock(start_at)
        self.plant = LinkPlant(fleet, seed=seed, load_w=load_w, noise_w=noise_w)
        self.lever = Lever(self.plant)
        self.gateway = new_gateway(fleet)
        self.engine = Engine(
            gateway=self.gateway,
            journal=journal,
            telemetry=telemetry,
            clock=self.clock,
            version="bench",
            on_fact=on_fact,
            on_command=on_command,
        )
        solver = InstantSolver()
        solver.solved = self.engine.solved
        self.engine.connect(rooms={}, link=self, solver=solver)
        self.ticks = 0
        self._obeyed_every_s = obeyed_every_s
        self._told: dict[DeviceId, tuple[object, float]] = {}
        self._due: list[tuple[float, ShiftOrder]] = []
        self.engine.start()
        for site in fleet.sites:
            self.engine.linked(site.id, True)

    # -- the link -------------------------------------------------------------------------------------------

    def send(self, site: SiteId, message: Down) -> bool:
        """The engine's way down."""
        heard = DOWN.validate_json(DOWN.dump_json(message))
        match heard:
            case Welcome():
                pass  # one clock for all here
            case ScheduleOrder():
                self.plant.arrange(heard.schedule)
            case ShiftCommand():
                self._due.append((self.clock.now + SHIFT_S, heard.order))
        return True

    async def run(self) -> None:
        """There is no event loop here."""
        raise AssertionError("driven by second()")

    def say(self, site: SiteId, message: Up) -> None:
        """The site's way up."""
        self.engine.from_site(site, UP.validate_json(UP.dump_json(message)))

    # -- what happens ---------------------------------------------------------------------------------------

    def instruct(self, instruction: Instruction) -> None:
        """As a northbound room would."""
        self.engine.take([Instructed(at=self.clock.now, instruction=instruction)])

    def offer(self, *offers: Offer) -> None:
        """The plug-in offers these from now on."""
        self.lever.offers = {offer.id: offer for offer in offers}
        self._publish()

    def _publish(self) -> None:
        fact = Offered(at=self.clock.now, plugin=LEVER, offers=self.lever.left())
        self.say(next(iter(self.plant.sites)), OfferedReport(fact=fact))

    def second(self) -> None:
        """One second: wake, shifts that become real, readings, outcomes, tick."""
        until = self.clock.now + 1.0
        due = self.gateway.next_wake(self.clock.now)
        if due is not None and due <= until:
            self.clock.now = due
            self.engine.take([Woke(at=due)])
        self.clock.now = until
        self._shift()
        snapshot = self.plant.second(until)
        for reading in snapshot.sites:
            self.say(reading.site, Readings(reading=reading))
        self._tell_outcomes()
        self.engine.tick()
        self.ticks += 1

    def _shift(self) -> None:
        due, now = [row for row in self._due if row[0] <= self.clock.now], self.clock.now
        if not due:
            return
        self._due = [row for row in self._due if row[0] > now]
        site = next(iter(self.plant.sites))
        for _, order in due:
            state = self.lever.obey(order)
            fact = Shifted(at=now, order=order.id, plugin=LEVER, state=state)
            self.say(site, ShiftedReport(fact=fact))
        self._publish()

    def _tell_outcomes(self) -> None:
        for id, site in self.plant.sites.items():
            if site.schedule is None or site.lost:
                continue
            for step in site.schedule.steps:
                battery = site.batteries[step.device]
                if battery.setpoint_w is not None and battery.setpoint_w == step.discharge_w:
                    self._tell(id, battery, site.schedule.seq, step.instruction, step.start_at)

    def _tell(self, site: SiteId, battery: PlantBattery, seq: int, instruction: object, since: float) -> None:
        schedule = self.plant.sites[site].schedule
        assert schedule is not None and battery.setpoint_w is not None
        key, device, now = (instruction, battery.setpoint_w), battery.battery.id, self.clock.now
        told, told_at = self._told.get(device, ((None, None), float("-inf")))
        assert isinstance(told, tuple)
        if key == told or (told[0] == instruction and now < told_at + self._obeyed_every_s):
            return
        self._told[device] = (key, now)
        ordered_at = max(schedule.issued_at, since)
        fact = Obeyed(
            at=now,
            site=site,
            device=device,
            epoch=schedule.epoch,
            seq=seq,
            instruction=key[0],  # type: ignore[arg-type]  # the step's own
            discharge_w=battery.setpoint_w,
            acknowledged_at=ordered_at + ACKNOWLEDGED_S,
            confirmed_at=ordered_at + CONFIRMED_S,
        )
        self.say(site, ObeyedReport(fact=fact))


def new_gateway(fleet: Fleet) -> Gateway:
    """The gateway of this house, before any fact."""
    return Gateway(fleet, Policy(), {LEVER: fleet.sites[0].id})


def open_journal(folder: Path) -> Journal:
    """The journal of this house, on the disk."""
    return Journal.open(folder / "journal.db", FactCodec(FACT_TYPES))
