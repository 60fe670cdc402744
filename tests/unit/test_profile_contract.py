"""Every shipped profile, driven by our session on a simulated device of it."""

from __future__ import annotations

import pytest

from tests.unit.modbus_playbook import PROFILES, profile
from tests.unit.profile_contract import ContractBench
from vpp_gateway.domain.fact import Obeyed
from vpp_gateway.southbound.modbus.profile import DeviceProfile
from vpp_gateway.southbound.modbus.states import State

ALL = [profile(path.stem) for path in sorted(PROFILES.glob("*.yaml"))]
BATTERIES = [pytest.param(one, id=one.name) for one in ALL if one.kind == "battery"]


@pytest.mark.parametrize("shipped", BATTERIES)
def test_it_is_met_armed_ordered_both_ways_and_released(shipped: DeviceProfile) -> None:
    bench = ContractBench(shipped).connect()
    assert bench.session.state is State.FREE, bench.session.health(bench.clock.now).reason
    bench.session.arm()
    bench.settle()
    assert bench.session.state is State.ARMED, bench.session.health(bench.clock.now).reason
    for w in (5000.0, -4000.0, 0.0, 10_000.0, -8_000.0):
        bench.told.clear()
        bench.order(w)
        bench.cycle()
        (told,) = bench.told
        assert isinstance(told, Obeyed), told
        assert told.discharge_w == pytest.approx(w, abs=100)
        assert bench.given_w == pytest.approx(told.discharge_w, abs=1)
        assert bench.session.reading is not None
        assert bench.session.reading.discharge_w == pytest.approx(w, abs=150)
    bench.order(None).cycle()
    assert bench.session.state is State.FREE
    assert bench.given_w == 0.0
