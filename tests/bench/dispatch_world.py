"""The processes around `dispatch_centre`: device servers, one site agent, the raw client; and their settings.

    device servers   batteries that answer after 30 ms, spread over processes        vpp_gateway.sim.field
    site agent       the real one, one process for all batteries                      vpp_gateway.app site
    raw client       the same writes without a gateway                                tests.bench.raw_client

The batteries hold their setpoint and give no power, so that no correction of a later second overlaps with the order
that is measured; the device profile is the shipped one but for the time after which that would be noticed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from vpp_gateway.app import prepare_state
from vpp_gateway.demo.child import Child
from vpp_gateway.profile import shipped_profiles
from vpp_gateway.settings import Settings, load_settings
from vpp_gateway.sim.field import BatterySpec, FieldSpec, MeterSpec, SiteSpec

SITE = "site-1"
POWER_W = 50_000.0
ENERGY_WH = 4 * POWER_W
DELAY_MS = 30.0
PER_PROCESS = 75
STANDING_W_PER_S = 1e-3
"""Ramp of a battery that does not move."""
PATIENCE_S = 86_400
READY_S = 60.0


@dataclass(frozen=True, slots=True)
class World:
    """What was started."""

    settings: Settings
    secret: str
    ports: dict[str, int]
    batteries: tuple[str, ...]
    fields: tuple[Child, ...]
    raw: Child

    def field_of(self, battery: str) -> Child:
        """The process that serves it."""
        return self.fields[self.batteries.index(battery) // PER_PROCESS]


def names(count: int) -> tuple[str, ...]:
    """Ids of the batteries."""
    return tuple(f"b{n:03d}" for n in range(1, count + 1))


def field_spec(batteries: tuple[str, ...], part: int, load_w: float) -> FieldSpec:
    """Batteries of one server process; the first one also serves the meter of the site."""
    return FieldSpec(
        seed=part,
        sites=(
            SiteSpec(
                id=f"part-{part}",
                load_w=load_w,
                meter=MeterSpec(id=f"meter-{part}", accuracy=0.0, delay_ms=DELAY_MS),
                batteries=tuple(
                    BatterySpec(
                        id=id,
                        discharge_max_w=POWER_W,
                        charge_max_w=POWER_W,
                        energy_wh=ENERGY_WH,
                        ramp_w_per_s=STANDING_W_PER_S,
                        delay_ms=DELAY_MS,
                    )
                    for id in batteries
                ),
            ),
        ),
    )


def write_profile(folder: Path) -> None:
    """The shipped battery profile, more patient with a battery whose power does not follow."""
    text = (shipped_profiles() / "devices" / "sunspec-700-battery.yaml").read_text(encoding="utf-8")
    changed = text.replace("name: sunspec-700-battery", "name: bench-battery")
    changed = changed.replace("settle_s: 10\n", f"settle_s: {PATIENCE_S}\n")
    assert f"settle_s: {PATIENCE_S}" in changed and "name: bench-battery" in changed
    (folder / "devices").mkdir(parents=True)
    (folder / "devices" / "bench-battery.yaml").write_text(changed, encoding="utf-8")


def write_settings(folder: Path, batteries: tuple[str, ...], ports: dict[str, int]) -> Path:
    """The operator's file (JSON is YAML)."""
    write_profile(folder / "profiles")

    def device(id: str, profile: str) -> dict[str, object]:
        return {"id": id, "profile": profile, "host": "127.0.0.1", "port": ports[id]}

    plate = {
        "discharge_max_kw": POWER_W / 1000,
        "charge_max_kw": POWER_W / 1000,
        "energy_kwh": ENERGY_WH / 1000,
    }
    document = {
        "gateway": {
            "name": "bench",
            "state_dir": str(folder / "state"),
            "simulated": True,
            "profile_dirs": [str(folder / "profiles")],
        },
        "sites": [
            {
                "id": SITE,
                "name": SITE,
                "name_ja": SITE,
                "area": "tokyo",
                "import_max_kw": 4 * len(batteries) * POWER_W / 1000,
                "export_max_kw": 0.0,
                "meter": device("meter-0", "sunspec-meter"),
                "batteries": [{**device(id, "bench-battery"), **plate} for id in batteries],
            }
        ],
        "dispatch": {"baseline_window_s": 60.0},
    }
    path = folder / "gateway.yaml"
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")
    return path


@asynccontextmanager
async def open_world(folder: Path, count: int) -> AsyncIterator[World]:
    """Start the device servers and the raw client, then the agent; everything ends with the block."""
    batteries = names(count)
    parts = [batteries[at : at + PER_PROCESS] for at in range(0, count, PER_PROCESS)]
    async with asyncio.TaskGroup() as group, AsyncExitStack() as stack:

        async def start(name: str, *arguments: str) -> Child:
            child = Child(name, arguments, folder / f"{name}.log")
            await child.start(group)
            stack.push_async_callback(child.stop)
            return child

        fields, ports = [], dict[str, int]()
        for part, mine in enumerate(parts):
            path = folder / f"field-{part}.json"
            spec = field_spec(mine, part, 2.0 * count * POWER_W if part == 0 else 0.0)
            path.write_text(spec.model_dump_json(), encoding="utf-8")
            fields.append(await start(f"devices-{part}", "vpp_gateway.sim.field", str(path)))
        for child in fields:
            ports |= (await child.expect("ready", READY_S))["ports"]
        config = write_settings(folder, batteries, ports)
        settings = load_settings(config)
        secret = prepare_state(settings)
        raw = await start("raw-client", "tests.bench.raw_client")
        raw.tell({"devices": [["127.0.0.1", ports[id]] for id in batteries]})
        await raw.expect("connected", READY_S)
        await start("agent", "vpp_gateway.app", "site", str(config), SITE)
        yield World(
            settings=settings,
            secret=secret,
            ports=ports,
            batteries=batteries,
            fields=tuple(fields),
            raw=raw,
        )
