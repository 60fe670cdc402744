"""A small world of real processes for the tests that kill them.

this process       utility (our VTN behind mutual TLS, signed messages) and an observer of its own at the meters
field              batteries and meters on Modbus/TCP; constant load with a little noise
vpp-gateway run    supervisor, centre, solver, planner, three site agents, a plug-in if asked for

Timers are short, so that a fall-back can be awaited.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.playbook.ven_stage import xsd
from tests.wire.process_table import command_line, descendants
from vpp_gateway.clock import SeededRng, SystemClock, SystemRng
from vpp_gateway.console.ask import ask
from vpp_gateway.demo.child import Child
from vpp_gateway.demo.observer import Observer, Sight
from vpp_gateway.demo.world import HOST, missing
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.errors import GatewayError
from vpp_gateway.identity.dev_ca import DevCa, make_dev_ca
from vpp_gateway.northbound.openadr2.codec import Codec
from vpp_gateway.northbound.openadr2.signature import Signer, Verifier, fingerprint
from vpp_gateway.sim.field import BatterySpec, FieldSpec, MeterSpec, SiteSpec
from vpp_gateway.sim.vtn import Vtn, dispatch
from vpp_gateway.sim.vtn_http import VtnServer, server_tls
from vpp_gateway.sim.workers import WorkFloor
from vpp_gateway.site.store import AgentStore
from vpp_gateway.southbound.modbus.client import Address

SITES = (SiteId("tokyo-1"), SiteId("tokyo-2"), SiteId("kanagawa-1"))
VEN = "centre"
LOAD_W = 300_000.0
SIGMA_W = 300.0
BATTERIES = 2
BATTERY_W = 40_000.0
BATTERY_WH = 80_000.0
BASELINE_S = 5.0
QUIET_S = 2.5
"""Before an event, from which its baseline is seen at the meters; nothing else may be in force then."""
PATIENCE_S = 40.0
LOOK_S = 0.02
"""How often a state of a process is looked at while it is awaited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timers:
    """What the operator would set, s."""

    reversion_s: float = 3.0
    refresh_s: float = 1.0
    agent_restart_s: float = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One event of the utility."""

    id: str
    start_at: float
    end_at: float
    regulation_w: float


@dataclass(slots=True)
class World:
    """Everything that runs."""

    folder: Path
    clock: SystemClock
    field: Child
    gateway: Child
    observer: Observer
    vtn: Vtn
    sent: list[Sent] = field(default_factory=list)

    @property
    def state_dir(self) -> Path:
        return self.folder / "state"

    # -- the utility ----------------------------------------------------------------------------------------

    def send(self, *, in_s: float, duration_s: float, regulation_w: float) -> Sent:
        """List an event that starts at the first whole second after `in_s` and lasts `duration_s`."""
        now = self.clock.utc()
        start_at = float(int(now + in_s) + 1)
        id = f"EV-{len(self.sent) + 1:03d}"
        self.vtn.add_event(
            dispatch(id, start_at=start_at, duration_s=duration_s, value=0.0 - regulation_w, created_at=now)
        )
        self.sent.append(
            Sent(id=id, start_at=start_at, end_at=start_at + duration_s, regulation_w=regulation_w)
        )
        return self.sent[-1]

    async def until(self, at: float) -> None:
        """Wait for a moment, UTC (Unix s)."""
        await asyncio.sleep(max(0.0, at - self.clock.utc()))

    async def eventually(
        self, what: str, so: Callable[[], Awaitable[object]], within_s: float = PATIENCE_S
    ) -> float:
        """Look at something outside until it is so; the moment, UTC (Unix s)."""
        try:
            async with asyncio.timeout(within_s):
                while not await so():  # noqa: ASYNC110  # it is outside: nothing tells us when it changes
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            raise AssertionError(f"not within {within_s:g} s: {what}; logs are in {self.folder}") from None
        return self.clock.utc()

    # -- the gateway ----------------------------------------------------------------------------------------

    async def status(self) -> dict[str, Any] | None:
        """The gateway's own word; None while it does not answer."""
        try:
            return await asyncio.to_thread(ask, self.state_dir / "control.sock", {"get": "status"}, 2.0)
        except GatewayError:
            return None

    async def ready(self) -> dict[str, Any]:
        """Wait until utility, sites and organs are all in service."""
        status: dict[str, Any] | None = None
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not status or missing(status):
                    await asyncio.sleep(0.1)
                    status = await self.status()
        except TimeoutError:
            said = "; ".join(missing(status)) if status else "the gateway does not answer"
            raise AssertionError(f"not ready: {said}; logs are in {self.folder}") from None
        return status

    def pid(self, *words: str) -> int | None:
        """The living process below the supervisor whose command line has all these words."""
        for pid in descendants(self.gateway.pid):
            line = command_line(pid)
            if all(word in line for word in words):
                return pid
        return None

    def kill(self, *words: str) -> float:
        """kill -9 of the process with these words; the moment, UTC (Unix s)."""
        pid = self.pid(*words)
        assert pid is not None, f"no process {' '.join(words)} is running"
        return self._kill(pid)

    def kill_centre(self) -> float:
        """kill -9 of the centre that writes the journal, not of the one that stands by; the moment."""
        pid = int((self.state_dir / "journal.lock").read_text())
        assert "centre" in command_line(pid) and pid in descendants(self.gateway.pid)
        return self._kill(pid)

    def _kill(self, pid: int) -> float:
        now = self.clock.utc()
        os.kill(pid, signal.SIGKILL)
        return now

    async def held_epochs(self) -> tuple[int, ...]:
        """Epoch of the schedule that each site agent holds, by its own memory."""
        epochs = []
        for site in SITES:
            store = AgentStore(path=self.state_dir / f"site-{site}.json")
            store.load()
            epochs.append(0 if store.memory.schedule is None else store.memory.schedule.epoch)
        return tuple(epochs)

    # -- the field ------------------------------------------------------------------------------------------

    async def truth(self) -> dict[str, dict[str, float]]:
        """What really is, by site and battery."""
        answer = await self.field.ask({"cmd": "truth"})
        return dict(answer["truth"])

    async def writes(self, device: str) -> list[dict[str, Any]]:
        """Every write that reached a battery."""
        answer = await self.field.ask({"cmd": "log", "device": device})
        return list(answer["log"])

    # -- the meters -----------------------------------------------------------------------------------------

    def baseline_w(self, event: Sent) -> float:
        """Mean import of the portfolio before an event."""
        sights = self.observer.between(event.start_at - QUIET_S, event.start_at)
        assert sights, "the observer saw nothing before the event"
        return sum(import_w(sight) for sight in sights) / len(sights)

    def deviations(self, event: Sent, since: float, until: float) -> list[tuple[float, float]]:
        """(moment, |delivered - asked| as a share of what is asked) at the meters."""
        base = self.baseline_w(event)
        return [
            (sight.at, abs(base - import_w(sight) - event.regulation_w) / abs(event.regulation_w))
            for sight in self.observer.between(since, until)
        ]


def import_w(sight: Sight) -> float:
    """Import of the portfolio, W."""
    return sum(sight.import_w.values())


def battery_ids(site: str) -> tuple[str, ...]:
    """Ids of the batteries of one site."""
    return tuple(f"{site}-b{n}" for n in range(1, BATTERIES + 1))


ALL_BATTERIES = tuple(id for site in SITES for id in battery_ids(site))


# -- opening ------------------------------------------------------------------------------------------------


@asynccontextmanager
async def open_world(
    folder: Path, timers: Timers | None = None, *, seed: int = 1, floor: WorkFloor | None = None
) -> AsyncIterator[World]:
    """Start everything; everything ends with the block.

    Args:
        timers: The gateway's; None = the short ones.
        seed: Of the load's noise.
        floor: Workers that a plug-in at the first site moves; None = no plug-in.
    """
    clock = SystemClock()
    pki = make_dev_ca(folder / "certs", now=clock.utc(), vens=(VEN,))
    spec = folder / "field.json"
    spec.write_text(field_spec(seed, floor).model_dump_json())
    config = folder / "gateway.yaml"
    field = Child("the simulated field", ("vpp_gateway.sim.field", str(spec)), folder / "field.log")
    gateway = Child(
        "the gateway", ("vpp_gateway.cli", "run", "--config", str(config)), folder / "gateway.log"
    )
    vtn = Vtn(rng=SeededRng(seed), ven_name=VEN, poll_s=1.0, order=(1.0, 2.0))
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        url = await stack.enter_async_context(vtn_server(vtn, pki, clock).serve())
        try:
            await field.start(group)
            ports = (await field.expect("ready"))["ports"]
            with config.open("w", encoding="utf-8") as file:
                YAML().dump(settings(ports, pki, url, timers or Timers(), floor), file)
            await gateway.start(group)
            observer = Observer(
                meters={site: Address(HOST, ports[f"{site}-meter"]) for site in SITES},
                batteries={site: [Address(HOST, ports[id]) for id in battery_ids(site)] for site in SITES},
                clock=clock,
                rng=SystemRng(),
            )
            watching = group.create_task(observer.run())
            yield World(folder, clock, field, gateway, observer, vtn)
            watching.cancel()
        finally:
            await gateway.stop()
            await field.stop()


def vtn_server(vtn: Vtn, pki: DevCa, clock: SystemClock) -> VtnServer:
    """The utility behind mutual TLS; both sides sign."""
    return VtnServer(
        vtn=vtn,
        codec=Codec(
            schema=xsd(),
            signer=Signer(
                key_pem=pki.vtn_key.read_bytes(), cert_pem=pki.vtn_cert.read_bytes(), rng=SystemRng()
            ),
            verifier=Verifier(
                pins=[fingerprint(pki.ven_cert(VEN).read_bytes())], roots_pem=pki.ca.read_bytes()
            ),
        ),
        clock=clock,
        tls=server_tls(ca_file=str(pki.ca), cert_file=str(pki.vtn_cert), key_file=str(pki.vtn_key)),
    )


def field_spec(seed: int, floor: WorkFloor | None) -> FieldSpec:
    """The simulated field."""
    return FieldSpec(
        seed=seed,
        sites=tuple(
            SiteSpec(
                id=site,
                load_w=LOAD_W,
                sigma_w=SIGMA_W,
                meter=MeterSpec(id=f"{site}-meter"),
                batteries=tuple(
                    BatterySpec(
                        id=id,
                        discharge_max_w=BATTERY_W,
                        charge_max_w=BATTERY_W,
                        energy_wh=BATTERY_WH,
                        ramp_w_per_s=4 * BATTERY_W,
                    )
                    for id in battery_ids(site)
                ),
                load_module=None if floor is None else "vpp_gateway.sim.workers:field_load",
                load_config={} if floor is None else {"root": str(floor.root)},
            )
            for site in SITES
        ),
    )


def settings(
    ports: Mapping[str, int], pki: DevCa, url: str, timers: Timers, floor: WorkFloor | None
) -> dict[str, Any]:
    """The gateway's settings, as an operator would write them."""

    def device(id: str, profile: str) -> dict[str, Any]:
        return {"id": id, "profile": profile, "host": HOST, "port": ports[id]}

    battery = {
        "discharge_max_kw": BATTERY_W / 1000,
        "charge_max_kw": BATTERY_W / 1000,
        "energy_kwh": BATTERY_WH / 1000,
    }
    return {
        "gateway": {"name": "kill", "state_dir": "state", "simulated": True},
        "northbound": [
            {
                "protocol": "openadr2",
                "name": "tso",
                "program": "generic-2.0b",
                "vtn_url": url,
                "ven_name": VEN,
                "vtn_fingerprint": fingerprint(pki.vtn_cert.read_bytes()),
                "sign": True,
                "tls": {"ca": str(pki.ca), "cert": str(pki.ven_cert(VEN)), "key": str(pki.ven_key(VEN))},
                "poll_s": 1,
            }
        ],
        "sites": [
            {
                "id": site,
                "name": site,
                "name_ja": site,
                "area": "tokyo",
                "import_max_kw": 800.0,
                "export_max_kw": 0.0,
                "meter": device(f"{site}-meter", "sunspec-meter"),
                "batteries": [{**device(id, "sunspec-700-battery"), **battery} for id in battery_ids(site)],
            }
            for site in SITES
        ],
        "plugins": []
        if floor is None
        else [
            {
                "name": "work",
                "plugin": "process-lever",
                "host_site": SITES[0],
                "sites": list(SITES),
                "config": floor.plugin_config(),
            }
        ],
        "timing": {
            "reversion_s": timers.reversion_s,
            "refresh_s": timers.refresh_s,
            "agent_restart_s": timers.agent_restart_s,
            "arm_lead_s": 2.0,
        },
        "dispatch": {"baseline_window_s": BASELINE_S, "prepare_lead_s": 1.0, "replan_s": 2.0},
    }
