"""The PV plant of the simulator: a plausible day, the same from the same seed, and its meter."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest
from pymodbus.client import AsyncModbusTcpClient

from vpp_gateway.clock import LoopClock, SeededRng
from vpp_gateway.errors import ConfigError
from vpp_gateway.sim.field import FieldSpec, MeterSpec, PvSpec, SimField, SiteSpec
from vpp_gateway.sim.plant import ConstantLoad, SitePlant
from vpp_gateway.sim.sun import PvPlant, PvPlate

PLATE = PvPlate(peak_w=1e6)


def jst(text: str) -> float:
    return datetime.fromisoformat(f"{text}:00+09:00").timestamp()


def plant(at: float, seed: int = 1, plate: PvPlate = PLATE) -> PvPlant:
    return PvPlant(plate, rng=SeededRng(seed), start_at=at)


def test_a_day_in_tokyo() -> None:
    midnight = jst("2026-06-21T00:00")
    clear = [plant(midnight).clear_w(midnight + 600 * n) for n in range(144)]
    assert clear[0] == clear[20] == 0.0, "the sun rises after four"
    noon = max(range(144), key=lambda n: clear[n])
    assert 11.5 <= noon / 6 <= 12.0, "east of its meridian noon comes before twelve"
    assert 0.9e6 < clear[noon] <= 1e6
    december = plant(midnight).clear_w(jst("2026-12-21T11:40"))
    assert 0.3e6 < december < 0.6e6, "half of it in winter"


def test_clouds_take_their_part_and_depend_on_the_seed_alone() -> None:
    noon = jst("2026-06-21T12:00")
    one, other = plant(noon), plant(noon)
    seen = [one.power_w(noon + s) for s in range(0, 3600, 7)]
    assert other.power_w(noon + 3597.0) == one.power_w(noon + 3597.0), "whoever looks when"
    assert all(0.0 <= w <= one.clear_w(noon) * 1.001 for w in seen) and len({round(w) for w in seen}) > 100
    assert plant(noon, seed=2).power_w(noon + 60) != plant(noon).power_w(noon + 60)


def test_no_such_plant() -> None:
    with pytest.raises(ValueError, match="no such PV plant"):
        plant(0.0, plate=PvPlate(peak_w=-1.0))


def test_the_site_takes_less_by_what_it_generates() -> None:
    noon = jst("2026-06-21T12:00")
    sun = plant(noon)
    site = SitePlant(load=ConstantLoad(2e6), pv=(sun,))
    assert site.import_w(noon) == pytest.approx(2e6 - sun.power_w(noon))
    assert site.generated_w(noon) == sun.power_w(noon)


def test_its_meter_speaks_modbus_and_says_that_it_is_modelled() -> None:
    async def main() -> None:
        noon = jst("2026-06-21T12:00")
        clock = LoopClock(asyncio.get_running_loop(), noon - asyncio.get_running_loop().time())
        spec = FieldSpec(
            sites=(
                SiteSpec(
                    id="a",
                    load_w=2e6,
                    meter=MeterSpec(id="m"),
                    pv=PvSpec(peak_w=1e6, meter=MeterSpec(id="pv")),
                ),
            )
        )
        async with SimField(spec, clock=clock) as field:
            truth = field.truth()["a"]
            assert truth["import_w"] == pytest.approx(2e6 - truth["pv_w"], rel=1e-6)
            assert truth["pv_w"] > 1e5
            shown = field.meters["pv"].reading_w(clock.utc())
            assert shown == pytest.approx(-field.truth()["a"]["pv_w"], rel=0.01)
            host, port = field.address("pv")
            client = AsyncModbusTcpClient(host, port=port)
            assert await client.connect()
            # Model 1 begins two registers after the marker and its header; Md is its second text of 16 registers.
            answer = await client.read_holding_registers(40004 + 16, count=16, device_id=1)
            text = b"".join(word.to_bytes(2, "big") for word in answer.registers).rstrip(b"\0").decode()
            assert text == "SM-213 modelled PV"
            client.close()

    asyncio.run(main())


def test_a_pv_meter_needs_a_name_of_its_own() -> None:
    async def main() -> None:
        clock = LoopClock(asyncio.get_running_loop(), 0.0)
        spec = FieldSpec(
            sites=(SiteSpec(id="a", meter=MeterSpec(id="m"), pv=PvSpec(peak_w=1.0, meter=MeterSpec(id="m"))),)
        )
        with pytest.raises(ConfigError, match="occurs twice"):
            SimField(spec, clock=clock)

    asyncio.run(main())
