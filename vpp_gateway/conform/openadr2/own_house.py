"""The house around our own VEN under test: engine, gateway and journal of the real thing, the sites as a plant model.

    literal VTN <--HTTP--> VenClient, VenSession -> engine -> journal, gateway -> schedules -> plant model at the site link

All on one event loop; in virtual time an hour takes a few seconds. Every power is modelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from vpp_gateway import __version__
from vpp_gateway.clock import Clock
from vpp_gateway.compose_centre import journal_types
from vpp_gateway.dispatch.policy import Policy
from vpp_gateway.domain.fact import Obeyed
from vpp_gateway.domain.fleet import Battery, Fleet, Site
from vpp_gateway.domain.instruction import DeviceId, RoomName, SiteId
from vpp_gateway.domain.plan import Problem
from vpp_gateway.engine import Engine
from vpp_gateway.gateway import Gateway
from vpp_gateway.journal.records import FactCodec
from vpp_gateway.journal.store import Journal
from vpp_gateway.journal.telemetry import TelemetryStore
from vpp_gateway.link.messages import Down, ObeyedReport, Readings, ScheduleOrder
from vpp_gateway.shells import Room
from vpp_gateway.sim.link_plant import LinkPlant
from vpp_gateway.solver import SOLVER
from vpp_gateway.worker import answer_to

SITES = (SiteId("tokyo"), SiteId("chubu"), SiteId("kansai"))
LOAD_W, NOISE_W = 400_000.0, 1_000.0
CONFIRM_S = 0.05
"""A battery confirms a setpoint so long after its order."""


def fleet() -> Fleet:
    """Three data centres with two batteries of 100 kW, 200 kWh each."""
    return Fleet(
        sites=tuple(
            Site(
                id=site,
                name=site,
                name_ja=site,
                area=site,
                meter=DeviceId(f"{site}-meter"),
                batteries=tuple(
                    Battery(
                        id=DeviceId(f"{site}-battery-{n}"),
                        site=site,
                        discharge_max_w=100_000.0,
                        charge_max_w=100_000.0,
                        energy_wh=200_000.0,
                    )
                    for n in (1, 2)
                ),
                import_max_w=2_000_000.0,
                export_max_w=0.0,
            )
            for site in SITES
        )
    )


class PlantLink:
    """The engine's link to the plant model: readings each second, schedules obeyed at once."""

    def __init__(self, plant: LinkPlant, clock: Clock) -> None:
        self.engine: Engine | None = None
        self._plant = plant
        self._clock = clock

    def send(self, site: SiteId, message: Down) -> bool:
        """The engine's way down."""
        if isinstance(message, ScheduleOrder) and self.engine is not None:
            self._plant.arrange(message.schedule)
        return True

    async def run(self) -> None:
        """The sites' way up, until cancelled."""
        assert self.engine is not None
        for site in SITES:
            self.engine.linked(site, True)
        while True:
            now = self._clock.utc()
            for reading in self._plant.second(now).sites:
                self.engine.from_site(reading.site, Readings(reading=reading))
            self._confirm(now)
            await asyncio.sleep(1.0 - now % 1.0)

    def _confirm(self, now: float) -> None:
        assert self.engine is not None
        for id, site in self._plant.sites.items():
            if site.schedule is None:
                continue
            for step in site.schedule.steps:
                battery = site.batteries[step.device]
                if battery.setpoint_w is None or battery.setpoint_w != step.discharge_w:
                    continue
                at = max(site.schedule.issued_at, step.start_at) + CONFIRM_S
                fact = Obeyed(
                    at=now,
                    site=id,
                    device=step.device,
                    epoch=site.schedule.epoch,
                    seq=site.schedule.seq,
                    instruction=step.instruction,
                    discharge_w=battery.setpoint_w,
                    acknowledged_at=at,
                    confirmed_at=at,
                )
                self.engine.from_site(id, ObeyedReport(fact=fact))


class InlineSolver:
    """Solves in the loop: there are no processes in virtual time."""

    def __init__(self, clock: Clock) -> None:
        self.engine: Engine | None = None
        self._clock = clock

    def submit(self, problem: Problem) -> None:
        """Solve; the answer follows as a fact."""
        assert self.engine is not None
        answer = answer_to(SOLVER, problem, self._clock)
        self.engine.solved(answer.problem, answer.plan, answer.reason)

    async def run(self) -> None:
        """Nothing goes on beside `submit`."""
        await asyncio.Event().wait()


@asynccontextmanager
async def house(
    folder: Path, clock: Clock, rooms: Callable[[Callable[..., Any]], Mapping[RoomName, Room]]
) -> AsyncIterator[Engine]:
    """The house at work during the block.

    Args:
        rooms: Makes the northbound rooms; gets the client's `deliver`.
    """
    engines: list[Engine] = []

    async def deliver(room: RoomName, message: Any) -> str:
        return engines[0].receive(room, message)

    made = rooms(deliver)
    portfolio = fleet()
    codec = FactCodec(journal_types(room.session for room in made.values()))
    with (
        Journal.open(folder / "journal.db", codec, reserve_bytes=0) as journal,
        TelemetryStore.open(folder / "telemetry.db", SITES, keep_free_bytes=0) as telemetry,
    ):
        gateway = Gateway(portfolio, Policy(), {})
        engine = Engine(
            gateway=gateway, journal=journal, telemetry=telemetry, clock=clock, version=__version__
        )
        engines.append(engine)
        link = PlantLink(LinkPlant(portfolio, seed=1, load_w=LOAD_W, noise_w=NOISE_W), clock)
        solver = InlineSolver(clock)
        link.engine = solver.engine = engine
        engine.connect(rooms=made, link=link, solver=solver)
        engine.recover()
        engine.start()
        async with asyncio.TaskGroup() as group:
            running = group.create_task(engine.run())
            try:
                yield engine
            finally:
                running.cancel()
