"""The older SunSpec generation over real Modbus/TCP: an independent client reads and steers the simulated devices."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys

import pytest
from sunspec2.modbus.client import SunSpecModbusClientDeviceTCP

from tests.unit.modbus_playbook import profile
from vpp_gateway.clock import SystemClock
from vpp_gateway.commission.probe import Probe
from vpp_gateway.commission.scan import scan
from vpp_gateway.sim.faults import Faults
from vpp_gateway.sim.plant import BatteryPlate
from vpp_gateway.sim.served import Served, battery, meter
from vpp_gateway.southbound.modbus.transport import Address

PLATE = BatteryPlate(discharge_max_w=10e3, charge_max_w=8e3, energy_wh=20e3, ramp_w_per_s=1e9)
GEN24, OLDER, METER = (profile(name) for name in ("fronius-gen24", "sunspec-storage-legacy", "sunspec-meter"))


def client(port: int) -> SunSpecModbusClientDeviceTCP:
    device = SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=port)
    device.scan()
    return device


def steered(port: int) -> dict[str, object]:
    """As another implementation of SunSpec sees a hybrid, and what it shows once 2.5 kW of discharge are written."""
    device = client(port)
    storage = device.models[124][0]
    storage.InOutWRte_RvrtTms.cvalue = 60
    storage.OutWRte.cvalue = 25.0
    storage.InWRte.cvalue = -31.25
    storage.write()
    storage.StorCtl_Mod.cvalue = 3
    storage.write()
    inputs = device.models[160][0]
    inputs.read()
    storage.read()
    found: dict[str, object] = {
        "models": [number for number in device.models if isinstance(number, int)],
        "maker": device.common[0].Mn.cvalue,
        "soc": storage.ChaState.cvalue,
        "charge_max": storage.WChaMax.cvalue,
        "timer": storage.InOutWRte_RvrtTms.cvalue,
        "inputs": [one.DCW.cvalue for one in inputs.module[2:]],
        "count": inputs.N.cvalue,
        "rating": device.models[120][0].MaxDisChaRte.cvalue,
    }
    device.close()
    return found


def test_an_independent_client_reads_and_steers_a_simulated_hybrid() -> None:
    async def story() -> None:
        device, behaviour = battery(GEN24, PLATE, soc=0.5, clock=SystemClock(), faults=Faults())
        async with Served(device) as served:
            found = await asyncio.to_thread(steered, served.address[1])
            assert found == {
                "models": [1, 103, 120, 124, 160],
                "maker": "Fronius",
                "soc": pytest.approx(50.0, abs=0.1),
                "charge_max": 8000,
                "timer": 60,
                "inputs": [0, pytest.approx(2500)],
                "count": 4,
                "rating": 10_000,
            }
            assert behaviour.armed
            assert behaviour.plant.look(SystemClock().utc()) == pytest.approx(2500.0)

    asyncio.run(story())


def test_an_independent_client_reads_a_float_inverter_with_storage_as_we_do() -> None:
    def peer(port: int) -> tuple[list[int], float, float]:
        device = client(port)
        numbers = [number for number in device.models if isinstance(number, int)]
        return numbers, device.models[113][0].W.cvalue, device.models[802][0].SoC.cvalue

    async def story() -> None:
        device, _ = battery(
            OLDER,
            PLATE,
            soc=0.5,
            clock=SystemClock(),
            faults=Faults(),
            local_w=1234.0,
            models=(113, 124, 802),
        )
        async with Served(device) as served, Probe(Address(*served.address)) as probe:
            values = await probe.values(OLDER, await probe.meet(OLDER))
            assert values["discharge_w"] == pytest.approx(1234.0)
            assert values["charge_max_w"] == 8000.0
            models, w, _ = await asyncio.to_thread(peer, served.address[1])
            assert (models, w) == ([1, 113, 124, 802], pytest.approx(1234.0))

    asyncio.run(story())


@pytest.mark.parametrize("model", [201, 204, 212])
def test_an_independent_client_reads_a_simulated_meter(model: int) -> None:
    async def story() -> None:
        device = meter(METER, lambda now: -40e3, clock=SystemClock(), faults=Faults(), models=[model])
        async with Served(device) as served:
            found = await asyncio.to_thread(client, served.address[1])
            assert found.models[model][0].W.cvalue == -40e3
            assert found.models[model][0].Hz.cvalue == 50.0
            await asyncio.to_thread(found.close)

    asyncio.run(story())


def vpp_gateway(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vpp_gateway.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_simulator_has_the_models_that_it_is_told() -> None:
    command = [sys.executable, "-m", "vpp_gateway.cli", "device", "sim", "sunspec-meter", "--model", "203"]
    with subprocess.Popen([*command, "--kw", "70"], stdout=subprocess.PIPE, text=True) as served:
        try:
            assert served.stdout is not None
            (where,) = re.findall(r"127\.0\.0\.1\D+(\d+)", served.stdout.readline())
            done = vpp_gateway("device", "read", f"127.0.0.1:{where}", "--profile", "sunspec-meter", "--json")
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["values"]["import_w"] == 70e3
            done = vpp_gateway("device", "scan", f"127.0.0.1:{where}", "--json")
            assert json.loads(done.stdout)["devices"][0]["sunspec"] == [1, 203]
        finally:
            served.terminate()
    done = vpp_gateway("device", "sim", "sunspec-meter", "--model", "704")
    assert done.returncode != 0
    assert "no device with the models 704 is one of profile sunspec-meter" in done.stderr


def test_a_scan_names_what_fits_best_first() -> None:
    known = [
        profile(name)
        for name in (
            "sunspec-700-battery",
            "sunspec-battery",
            "sunspec-inverter",
            "sunspec-meter",
            "sunspec-storage-legacy",
            "fronius-gen24",
        )
    ]

    async def fitting(port: int) -> tuple[str, ...]:
        (found,) = [one async for one in scan([Address("127.0.0.1", port)], (1,), known, timeout_s=0.5)]
        return found.profiles

    async def story() -> None:
        clock = SystemClock()
        hybrid, _ = battery(GEN24, PLATE, soc=0.5, clock=clock, faults=Faults())
        older, _ = battery(OLDER, PLATE, soc=0.5, clock=clock, faults=Faults())
        counter = meter(METER, lambda now: 5e4, clock=clock, faults=Faults(), models=[203])
        async with Served(hybrid) as a, Served(older) as b, Served(counter) as c:
            generic = ("sunspec-battery", "sunspec-inverter", "sunspec-storage-legacy")
            assert await fitting(a.address[1]) == ("fronius-gen24", *generic)
            assert await fitting(b.address[1]) == generic
            assert await fitting(c.address[1]) == ("sunspec-meter",)
        assert hybrid.log == older.log == []

    asyncio.run(story())
