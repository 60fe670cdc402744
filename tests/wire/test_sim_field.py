"""The simulated field: read by an independent SunSpec client, steered as a process of its own, the same per seed."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest
from sunspec2.modbus.client import SunSpecModbusClientDeviceTCP

from tests.unit.modbus_playbook import BATTERY, battery_profile
from vpp_gateway.clock import LoopClock, SeededRng, SystemClock
from vpp_gateway.errors import ConfigError
from vpp_gateway.sim.field import BatterySpec, FieldSpec, MeterSpec, SimField, SiteSpec, load_factory
from vpp_gateway.sim.loop import run
from vpp_gateway.sim.plant import ConstantLoad
from vpp_gateway.southbound.modbus.client import Address, BatteryClient
from vpp_gateway.southbound.modbus.wire import DeviceOrder, Timing


def spec(**site: object) -> FieldSpec:
    battery = BatterySpec(id="b1", discharge_max_w=1e6, charge_max_w=8e5, energy_wh=2e6, soc=0.6)
    fields = {"id": "tokyo", "load_w": 2e6, "meter": MeterSpec(id="m1"), "batteries": (battery,), **site}
    return FieldSpec(seed=7, sites=(SiteSpec.model_validate(fields),))


def test_an_independent_sunspec_client_reads_and_steers_the_same_battery() -> None:
    def peer(port: int, meter_port: int) -> dict[str, object]:
        device = SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=port)
        device.scan()
        control = device.DERCtlAC[0]
        control.WSet.cvalue = 250_000
        control.WSetRvrtTms.cvalue = 30
        control.write()
        control.WSetEna.cvalue = 1
        control.write()
        control.read()
        found: dict[str, object] = {
            "models": [id for id in device.models if isinstance(id, int)],
            "maker": device.common[0].Mn.cvalue,
            "soc": device.DERStorageCapacity[0].SoC.cvalue,
            "rating": device.DERCapacity[0].WDisChaRteMaxRtg.cvalue,
            "remaining": control.WSetRvrtRem.cvalue,
        }
        device.close()
        meter = SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=meter_port)
        meter.scan()
        found["import_w"] = meter.models[213][0].W.cvalue
        meter.close()
        return found

    async def story() -> None:
        async with SimField(spec(), clock=SystemClock()) as field:
            found = await asyncio.to_thread(peer, field.address("b1")[1], field.address("m1")[1])
            assert found["models"] == [1, 701, 702, 704, 713, 715, 802]
            assert found["maker"] == "Simulated Storage"
            assert found["soc"] == pytest.approx(60)
            assert found["rating"] == 1e6
            assert found["remaining"] == 30
            assert found["import_w"] == pytest.approx(2e6, rel=0.15)  # on its way down to 1.75 MW
            assert field.batteries["b1"].enabled

    asyncio.run(story())


# --- as a process --------------------------------------------------------------------------------------------


@contextmanager
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    file = tmp_path / "world.json"
    file.write_text(spec().model_dump_json(), encoding="utf-8")
    command = [sys.executable, "-m", "vpp_gateway.sim.field", str(file)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def say(child: subprocess.Popen[str], **command: object) -> dict[str, object]:
    assert child.stdin is not None
    child.stdin.write(json.dumps(command) + "\n")
    child.stdin.flush()
    return listen(child)


def listen(child: subprocess.Popen[str]) -> dict[str, object]:
    assert child.stdout is not None
    answer = json.loads(child.stdout.readline())
    assert isinstance(answer, dict)
    return answer


def test_the_field_serves_as_a_process_and_obeys_its_control_channel(tmp_path: Path) -> None:
    with process(tmp_path) as child:
        ready = listen(child)
        assert ready["ready"] is True
        assert set(cast(dict[str, int], ready["ports"])) == {"b1", "m1"}
        assert say(child, cmd="set_load", site="tokyo", w=1e6) == {"ok": True}
        truth = cast(dict[str, dict[str, float]], say(child, cmd="truth")["truth"])
        assert truth["tokyo"] == {"import_w": 1e6, "load_w": 1e6}
        assert truth["b1"]["soc"] == 0.6
        path = "tests.wire.test_sim_field:a_load"
        assert say(child, cmd="load_module", site="tokyo", path=path, config={"w": 5000}) == {"ok": True}
        truth = cast(dict[str, dict[str, float]], say(child, cmd="truth")["truth"])
        assert truth["tokyo"]["import_w"] == 1005000
        for command in ("kill", "revive", "heal", "log"):
            assert say(child, cmd=command, device="b1")["ok"] is True
        assert say(child, cmd="fault", device="b1", fault="delay", value=30) == {"ok": True}
        assert say(child, cmd="stop") == {"ok": True, "stopping": True}
        assert child.wait(10) == 0


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ({"cmd": "kill", "device": "b9"}, "b9"),
        (
            {"cmd": "fault", "device": "b1", "fault": "sulk"},
            "no fault 'sulk' of this device; allowed: busy, clip",
        ),
        ({"cmd": "fault", "device": "b1", "fault": "delay"}, "takes a value"),
        ({"cmd": "log", "device": "m1"}, "nothing is ever written"),
        ({"cmd": "dance"}, "no command 'dance'"),
        ({"cmd": "load_module", "site": "tokyo", "path": "nowhere:x"}, "expected `package.module:factory`"),
        ({}, "cmd"),
    ],
)
def test_a_wrong_command_is_answered_with_the_reason(command: dict[str, object], reason: str) -> None:
    from vpp_gateway.sim.control import obey

    async def story() -> None:
        async with SimField(spec(), clock=SystemClock()) as field:
            answer = await obey(field, json.dumps(command).encode())
            assert answer["ok"] is False
            assert reason in str(answer["error"])

    asyncio.run(story())


def a_load(site: str, config: dict[str, object]) -> ConstantLoad:
    """A load source, named by its dotted path."""
    return ConstantLoad(float(str(config["w"])))


def test_a_load_that_cannot_be_found_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match=r"expected `package\.module:factory`"):
        load_factory("vpp_gateway.sim.plant:nothing")


def test_two_devices_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="'b1' occurs twice"):
        SimField(spec(meter=MeterSpec(id="b1")), clock=SystemClock())


# --- in virtual time -----------------------------------------------------------------------------------------


async def a_while(seed: int) -> tuple[list[object], float]:
    """A battery that is ordered about for ten minutes; every write, and what the meter showed."""
    clock = LoopClock(asyncio.get_running_loop(), 1.8e9)
    world = spec(sigma_w=1e4).model_copy(update={"seed": seed})
    async with SimField(world, clock=clock) as field:
        client = BatteryClient(
            battery=BATTERY,
            address=Address(*field.address("b1")),
            profile=battery_profile(),
            timing=Timing(),
            clock=clock,
            rng=SeededRng(seed),
            on_outcome=lambda outcome: None,
        )
        async with asyncio.TaskGroup() as group:
            task = group.create_task(client.run())
            for second in range(600):
                await asyncio.sleep(1.0)
                if second % 60 == 30:
                    order = DeviceOrder(
                        epoch=1, seq=second, discharge_w=1e3 * (second % 400), deadline_at=clock.utc() + 5
                    )
                    client.order(order)
                if second == 300:
                    field.batteries["b1"].fault("silent")
                if second == 310:
                    field.batteries["b1"].heal()
                await client.cycle(0.5)
            task.cancel()
        return list(field.batteries["b1"].log), field.meters["m1"].reading_w(clock.utc())


def test_in_virtual_time_the_same_seed_gives_the_same_course() -> None:
    first, second, other = run(a_while(3)), run(a_while(3)), run(a_while(4))
    assert first == second
    assert first[1] != other[1]
    assert len(first[0]) > 100
