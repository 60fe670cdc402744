"""Store and forward: days without the VTN, then every report in order, none lost, none twice; the VEN restarted inside.

The plant model stands at the site link; engine, history, telemetry store and session are the real things. One point a
minute. The full 72 hours are a long campaign (`soak`); a shorter outage of the same kind is played in each run.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.bench.plant_house import PlantHouse
from tests.playbook.ven_stage import Stage, program
from tests.unit.fleets import fleet
from vpp_gateway.clock import SeededRng
from vpp_gateway.domain.fact import FACT_TYPES
from vpp_gateway.journal.records import FactCodec
from vpp_gateway.journal.store import Journal
from vpp_gateway.journal.telemetry import TelemetryStore
from vpp_gateway.northbound.openadr2.messages import Poll
from vpp_gateway.sim.vtn import Vtn

PERIOD_S = 60.0
POLL_S = 10.0


def play(folder: Path, hours: float) -> Stage:
    """An outage of so many hours, in the middle of which the VEN is a new process."""
    portfolio = fleet()
    ids = tuple(site.id for site in portfolio.sites)
    vtn = Vtn(rng=SeededRng("vtn"), order=(PERIOD_S, PERIOD_S), poll_s=POLL_S)
    stage = Stage(vtn=vtn, program=program(), sites=ids)
    with (
        Journal.open(folder / "journal.db", FactCodec(FACT_TYPES), reserve_bytes=0) as journal,
        TelemetryStore.open(folder / "telemetry.db", ids, keep_free_bytes=0) as store,
    ):
        house = PlantHouse(
            journal, portfolio, start_at=stage.now, seed=1, load_w=4e5, noise_w=2e3, telemetry=store
        )
        stage.meter = house.engine.history  # type: ignore[assignment]  # the stage's telemetry is the real history

        def seconds(count: float) -> None:
            for _ in range(int(count)):
                house.second()
                stage.run(house.clock.now - stage.now)

        seconds(180)
        stage.down = "unreachable"
        seconds(hours * 1800)
        stage.restart()
        seconds(hours * 1800)
        stage.down = ""
        seconds(900)
    return stage


def judge(stage: Stage, hours: float) -> None:
    starts = [(heard.point.start_at or 0.0) for heard in stage.vtn.points if heard.point.r_id == "portfolio"]
    assert {b - a for a, b in pairwise(starts)} == {PERIOD_S}  # in order, none lost, none twice
    assert starts[-1] - starts[0] >= hours * 3600
    for site in ("tokyo-1", "tokyo-2", "kanagawa-1"):
        mine = [heard.point.start_at for heard in stage.vtn.points if heard.point.r_id == site]
        assert mine == starts
    assert len(stage.sent(Poll)) > 50


def test_hours_without_the_vtn(tmp_path: Path) -> None:
    judge(play(tmp_path, 3.0), 3.0)


@pytest.mark.soak
def test_seventy_two_hours_without_the_vtn(tmp_path: Path) -> None:
    judge(play(tmp_path, 72.0), 72.0)
