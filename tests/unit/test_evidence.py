"""The judge of the kill tests can say no: a setpoint written twice for one sequence is found, what is in order is not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.wire.evidence import Setpoint, dispatched_twice
from vpp_gateway.domain.fact import Obeyed
from vpp_gateway.domain.instruction import DeviceId, InstructionId, SiteId

KILL = 50.0


def obeyed(at: float, w: float, seq: int, epoch: int = 1) -> Obeyed:
    return Obeyed(
        at=at,
        site=SiteId("tokyo"),
        device=DeviceId("b1"),
        epoch=epoch,
        seq=seq,
        instruction=InstructionId("EV"),
        discharge_w=w,
        acknowledged_at=at,
        confirmed_at=at,
    )


def writes(*rows: tuple[float, float]) -> list[Setpoint]:
    return [Setpoint(at=at, discharge_w=w) for at, w in rows]


@pytest.mark.parametrize(
    ("setpoints", "facts"),
    [
        (writes((9.0, 0.0), (10.0, 5.0), (11.0, 6.0)), [obeyed(10.0, 5.0, 1), obeyed(11.0, 6.0, 2)]),
        (writes((10.0, 5.0), (10.1, 6.0)), [obeyed(10.1, 6.0, 2)]),
        (writes((49.5, 5.0), (50.5, 5.0)), [obeyed(50.5, 5.0, 1, epoch=2)]),
        (writes((49.0, 5.0), (51.0, 7.0)), [obeyed(49.0, 5.0, 1), obeyed(51.0, 7.0, 1)]),
    ],
    ids=["one write each, arming before", "overtaken", "the outcome died with the centre", "an agent alone"],
)
def test_what_is_in_order(setpoints: Sequence[Setpoint], facts: Sequence[Obeyed]) -> None:
    assert dispatched_twice(setpoints, facts, [KILL]) == []


@pytest.mark.parametrize(
    ("setpoints", "facts"),
    [
        (writes((10.0, 5.0), (10.2, 5.0)), [obeyed(10.2, 5.0, 1)]),
        (writes((49.2, 5.0), (49.5, 5.0), (50.5, 5.0)), [obeyed(50.5, 5.0, 1, epoch=2)]),
        (writes((10.0, 5.0), (12.0, 7.0), (14.0, 6.0)), [obeyed(10.0, 5.0, 1), obeyed(14.0, 6.0, 2)]),
        (writes((10.0, 5.0)), [obeyed(10.0, 5.0, 1), obeyed(10.2, 5.0, 1)]),
        (writes((10.0, 5.0)), [obeyed(10.0, 6.0, 1)]),
        (writes((40.0, 5.0), (42.0, 7.0)), [obeyed(40.0, 5.0, 1), obeyed(42.0, 7.0, 1)]),
        (writes((49.0, 5.0), (51.0, 5.0)), [obeyed(49.0, 5.0, 1), obeyed(51.0, 5.0, 1)]),
        (writes((50.5, 5.0), (51.5, 7.0)), [obeyed(50.5, 5.0, 1, epoch=2), obeyed(51.5, 7.0, 1, epoch=2)]),
        (
            writes((49.0, 5.0), (50.5, 6.0), (51.5, 7.0)),
            [obeyed(49.0, 5.0, 1), obeyed(50.5, 6.0, 1, epoch=2), obeyed(51.5, 7.0, 1)],
        ),
    ],
    ids=[
        "twice",
        "twice before a kill",
        "for no sequence",
        "told twice",
        "another power",
        "moved beside a centre",
        "the same again by an agent alone",
        "by the successor",
        "after the successor",
    ],
)
def test_what_is_found(setpoints: Sequence[Setpoint], facts: Sequence[Obeyed]) -> None:
    assert dispatched_twice(setpoints, facts, [KILL])
