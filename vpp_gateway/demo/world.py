"""The demo's world and the gateway in it, each in processes of their own.

this process       worker floor (real CPU-burning processes), observer, screen
field              batteries and meters on Modbus/TCP; site load follows the workers' CPU time (modelled)
vtn                openleadr's VTN: mutual TLS, signed messages, a CA made on the spot
vpp-gateway run    supervisor, centre, solver worker, three site agents, one plug-in
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from ruamel.yaml import YAML

from vpp_gateway.clock import SystemClock, SystemRng
from vpp_gateway.console.ask import ask
from vpp_gateway.demo import plan
from vpp_gateway.demo.child import Child
from vpp_gateway.demo.observer import Observer
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.errors import GatewayError, PeerError
from vpp_gateway.identity.certificate import fingerprint, read_certificate
from vpp_gateway.identity.dev_ca import DevCa, make_dev_ca
from vpp_gateway.sim.field import BatterySpec, FieldSpec, MeterSpec, SiteSpec
from vpp_gateway.sim.workers import WorkFloor
from vpp_gateway.southbound.modbus.client import Address

VEN_NAME = "demo-ven"
HOST = "127.0.0.1"
PORTS = (20_000, 32_000)
"""Below the range from which Linux gives ports to outgoing connections (ip_local_port_range, from 32768)."""
PORT_TRIES = 100


@dataclass(slots=True)
class World:
    """Everything that runs; the demo's acts steer it."""

    folder: Path
    clock: SystemClock
    floor: WorkFloor
    field: Child
    vtn: Child
    gateway: Child
    observer: Observer
    ports: Mapping[str, int]
    config: Path

    @property
    def state_dir(self) -> Path:
        return self.folder / "state"

    def page_url(self) -> str | None:
        """The page's address with its one-time token, once the centre has written it."""
        path = self.state_dir / "console.url"
        return path.read_text().strip() if path.exists() else None

    async def status(self) -> dict[str, Any] | None:
        """The gateway's own status; None while it does not answer."""
        try:
            return await asyncio.to_thread(ask, self.state_dir / "control.sock", {"get": "status"}, 2.0)
        except GatewayError:
            return None

    async def ready(self, timeout_s: float = 60.0) -> dict[str, Any]:
        """Wait until utility, sites, solver and plug-in are all in service.

        Raises:
            PeerError: not all came up; the text says which.
        """
        status: dict[str, Any] | None = None
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    status = await self.status()
                    if status and not missing(status):
                        return status
                    await asyncio.sleep(0.2)
        except TimeoutError:
            said = "; ".join(missing(status)) if status else "the gateway does not answer"
            raise PeerError(f"not ready after {timeout_s:g} s: {said}; logs are in {self.folder}") from None


def missing(status: dict[str, Any]) -> list[str]:
    """What of a status document is not in service yet, in words."""
    links = [row for row in status["links"] if row["health"] != "good"]
    devices = [row for site in status["sites"] for row in (site["meter"], *site["batteries"])]
    return [
        *(f"{row['name']} is {row['state']} {row['detail']}" for row in links),
        *(f"{row['id']} is {row['health']} {row['reason']}" for row in devices if row["health"] != "good"),
    ]


@asynccontextmanager
async def open_world(folder: Path, *, console_port: int, seed: int) -> AsyncIterator[World]:
    """Start everything; everything ends with the block."""
    clock = SystemClock()
    pki = make_dev_ca(folder / "certs", now=clock.utc(), vens=(VEN_NAME,))
    sites = tuple(row[0] for row in plan.SITES)
    floor = WorkFloor(
        folder / "floor",
        sites,
        jobs_per_site=plan.JOBS_PER_SITE,
        queued_per_site=plan.QUEUED_PER_SITE,
        declared_w=plan.JOB_W,
        duty=plan.DUTY,
    )
    spec_file = folder / "field.json"
    spec_file.write_text(field_spec(seed, floor.root).model_dump_json(indent=1))
    vtn_port = free_port()
    field = Child("the simulated field", ("vpp_gateway.sim.field", str(spec_file)), folder / "field.log")
    vtn = Child(
        "the VTN", ("vpp_gateway.sim.vtn_openleadr", *vtn_arguments(pki, vtn_port)), folder / "vtn.log"
    )
    config = folder / "gateway.yaml"
    gateway = Child(
        "the gateway", ("vpp_gateway.cli", "run", "--config", str(config)), folder / "gateway.log"
    )
    with floor:
        async with asyncio.TaskGroup() as group:
            children = (gateway, vtn, field)
            try:
                await field.start(group)
                await vtn.start(group)
                ports = (await field.expect("ready"))["ports"]
                write_config(config, ports, floor, pki, vtn_port, console_port)
                await gateway.start(group)
                observer = Observer(
                    meters={SiteId(s): Address(HOST, ports[f"{s}-meter"]) for s in sites},
                    batteries={SiteId(s): [Address(HOST, ports[id]) for id in battery_ids(s)] for s in sites},
                    clock=clock,
                    rng=SystemRng(),
                )
                watching = group.create_task(observer.run())
                yield World(folder, clock, floor, field, vtn, gateway, observer, ports, config)
                watching.cancel()
            finally:
                for child in children:
                    await child.stop()


def battery_ids(site: str) -> tuple[str, ...]:
    """Ids of the batteries of one site."""
    return tuple(f"{site}-b{n}" for n in range(1, plan.BATTERIES_PER_SITE + 1))


def field_spec(seed: int, floor: Path) -> FieldSpec:
    """The simulated field: devices by plan, load from the workers."""
    return FieldSpec(
        seed=seed,
        sites=tuple(
            SiteSpec(
                id=site,
                load_w=plan.BASE_W,
                sigma_w=plan.SIGMA_W,
                meter=MeterSpec(id=f"{site}-meter"),
                batteries=tuple(
                    BatterySpec(
                        id=id,
                        discharge_max_w=plan.BATTERY_W,
                        charge_max_w=plan.BATTERY_W,
                        energy_wh=plan.BATTERY_WH,
                        ramp_w_per_s=2 * plan.BATTERY_W,
                    )
                    for id in battery_ids(site)
                ),
                load_module="vpp_gateway.sim.workers:field_load",
                load_config={"root": str(floor), "window_s": plan.LOAD_WINDOW_S},
            )
            for site, *_ in plan.SITES
        ),
    )


def write_config(
    path: Path,
    ports: Mapping[str, int],
    floor: WorkFloor,
    pki: DevCa,
    vtn_port: int,
    console_port: int,
) -> None:
    """The gateway's settings, as an operator would write them."""

    def device(id: str, profile: str) -> dict[str, Any]:
        return {"id": id, "profile": profile, "host": HOST, "port": ports[id]}

    battery = {
        "discharge_max_kw": plan.BATTERY_W / 1000,
        "charge_max_kw": plan.BATTERY_W / 1000,
        "energy_kwh": plan.BATTERY_WH / 1000,
    }
    settings = {
        "gateway": {"name": "demo", "state_dir": "state", "simulated": True},
        "northbound": [
            {
                "protocol": "openadr2",
                "name": "tso",
                "program": "generic-2.0b",
                "vtn_url": f"https://{HOST}:{vtn_port}/OpenADR2/Simple/2.0b",
                "ven_name": VEN_NAME,
                "vtn_fingerprint": _pin(pki.vtn_cert),
                "sign": True,
                "tls": {
                    "ca": str(pki.ca),
                    "cert": str(pki.ven_cert(VEN_NAME)),
                    "key": str(pki.ven_key(VEN_NAME)),
                },
                "poll_s": plan.POLL_S,
            }
        ],
        "sites": [
            {
                "id": site,
                "name": name,
                "name_ja": name_ja,
                "area": area,
                "import_max_kw": plan.IMPORT_MAX_KW,
                "export_max_kw": plan.EXPORT_MAX_KW,
                "meter": device(f"{site}-meter", "sunspec-meter"),
                "batteries": [{**device(id, "sunspec-700-battery"), **battery} for id in battery_ids(site)],
            }
            for site, name, name_ja, area in plan.SITES
        ],
        "plugins": [
            {
                "name": "work",
                "plugin": "process-lever",
                "host_site": plan.SITES[0][0],
                "sites": [row[0] for row in plan.SITES],
                "config": floor.plugin_config(),
            }
        ],
        "console": {"enabled": True, "port": console_port},
        "timing": {"reversion_s": 15.0, "refresh_s": 5.0},
        "dispatch": {"baseline_window_s": plan.BASELINE_S, "replan_s": 2.0},
    }
    with path.open("w", encoding="utf-8") as file:
        YAML().dump(settings, file)


def _pin(path: Path) -> str:
    """OpenADR fingerprint of a certificate file."""
    return fingerprint(read_certificate(path).public_bytes(Encoding.DER))


def vtn_arguments(pki: DevCa, port: int) -> tuple[str, ...]:
    """Command line of the VTN process."""
    return (
        *("--port", str(port), "--cert", str(pki.vtn_cert), "--key", str(pki.vtn_key), "--ca", str(pki.ca)),
        *("--ven-name", VEN_NAME, "--ven-fingerprint", _pin(pki.ven_cert(VEN_NAME))),
        *("--poll-s", str(plan.POLL_S)),
        *("--granularity-s", str(plan.GRANULARITY_S), "--back-duration-s", str(plan.REPORT_S)),
    )


def free_port() -> int:
    """A loopback port that is free now and that no outgoing connection is given by the system meanwhile."""
    rng = SystemRng()
    for _ in range(PORT_TRIES):
        port = int(rng.uniform(*PORTS))
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        return port
    raise PeerError(f"no free port in {PORT_TRIES} tries between {PORTS[0]} and {PORTS[1]}")
