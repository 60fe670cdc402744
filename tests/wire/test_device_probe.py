"""Looking at simulated devices over real Modbus/TCP: the scan, the reading, and what does not answer."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.unit.idioms import SIGNED
from tests.unit.modbus_playbook import profile
from vpp_gateway.clock import SystemClock
from vpp_gateway.commission.probe import Probe
from vpp_gateway.commission.scan import Found, hosts, scan
from vpp_gateway.errors import MisuseError, Rejected
from vpp_gateway.sim.faults import Faults
from vpp_gateway.sim.plant import BatteryPlate
from vpp_gateway.sim.served import Served, battery, meter
from vpp_gateway.southbound.modbus.transport import Address

PLATE = BatteryPlate(discharge_max_w=100e3, charge_max_w=80e3, energy_wh=200e3, ramp_w_per_s=1e6)
SUNSPEC, METER = profile("sunspec-700-battery"), profile("sunspec-meter")
KNOWN = (SUNSPEC, METER, SIGNED)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


async def found_at(*ports: int, units: tuple[int, ...] = (1,)) -> list[Found]:
    targets = [Address("127.0.0.1", port) for port in ports]
    return [one async for one in scan(targets, units, KNOWN, timeout_s=0.5)]


def test_devices_are_found_with_what_they_say_and_the_profiles_that_fit() -> None:
    async def story() -> None:
        clock = SystemClock()
        one, _ = battery(SUNSPEC, PLATE, soc=0.5, clock=clock, faults=Faults())
        two, _ = battery(SIGNED, PLATE, soc=0.5, clock=clock, faults=Faults())
        three = meter(METER, lambda now: 5e4, clock=clock, faults=Faults())
        async with Served(one) as a, Served(two) as b, Served(three) as c:
            found = await found_at(a.address[1], b.address[1], c.address[1], free_port())
        by_port = {row.address.port: row for row in found}
        assert {port: row.profiles for port, row in by_port.items()} == {
            a.address[1]: ("sunspec-700-battery",),
            b.address[1]: ("signed",),
            c.address[1]: ("sunspec-meter",),
        }
        chain = by_port[a.address[1]].chain
        assert chain is not None
        assert [number for number, _, _ in chain.models] == [1, 701, 702, 704, 713, 715, 802]
        assert by_port[b.address[1]].chain is None

    asyncio.run(story())


def test_a_scan_writes_nothing_and_a_device_that_answers_nonsense_is_no_trouble() -> None:
    async def story() -> None:
        faults = Faults()
        one, _ = battery(SUNSPEC, PLATE, soc=0.5, clock=SystemClock(), faults=faults)
        async with Served(one) as served:
            for fault in (
                "silent",
                "garbage",
                "truncated",
                "foreign",
                "wrong_unit",
                "short_count",
                "wrong_length",
            ):
                faults.set(fault)
                assert await found_at(served.address[1]) == [], fault
                faults.heal()
            faults.set("exception", 2)
            (refusing,) = await found_at(served.address[1])
            assert (refusing.chain, refusing.profiles) == (None, ())
        assert one.log == []

    asyncio.run(story())


def test_all_roles_are_read_in_their_units() -> None:
    async def story() -> None:
        one, behaviour = battery(SIGNED, PLATE, soc=0.5, clock=SystemClock(), faults=Faults())
        async with Served(one) as served, Probe(Address(*served.address)) as probe:
            values = await probe.values(SIGNED, await probe.meet(SIGNED))
            assert values == {"discharge_w": 0.0, "soc": 50.0, "running": 1.0}
            with pytest.raises(Rejected, match="not a SunSpec device"):
                await probe.meet(SUNSPEC)
        assert behaviour.armed is False

    asyncio.run(story())


def test_a_network_is_its_hosts_and_a_huge_one_is_refused() -> None:
    assert hosts("10.0.0.8/30") == ("10.0.0.9", "10.0.0.10")
    assert hosts("battery.example") == ("battery.example",)
    with pytest.raises(MisuseError, match="at most 4096"):
        hosts("10.0.0.0/8")
    with pytest.raises(MisuseError, match="not a network"):
        hosts("10.0.0.999/24")
