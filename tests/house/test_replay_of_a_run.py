"""The journal of a whole house, with Modbus, a VTN and a plug-in: the facts prove every decision of the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house.day import play
from tests.house.house import House
from tests.house.world import SITES
from vpp_gateway.compose_centre import host_of, policy_of
from vpp_gateway.domain.fact import FACT_TYPES
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.journal.archive import Retention
from vpp_gateway.journal.records import FactCodec
from vpp_gateway.journal.store import Journal
from vpp_gateway.settings import fleet
from vpp_gateway.whatif.keep import Ground
from vpp_gateway.whatif.replay import Replayed, replay_journal

W = 160_000.0


async def eventful(house: House) -> Ground:
    """Two events, a lost battery, and a centre that dies and comes back in mid-event."""
    first = house.event("E1", after_s=15, duration_s=60, regulation_w=W)
    second = house.event("E2", after_s=110, duration_s=60, regulation_w=-80_000.0)
    house.vtn.add_event(first)
    house.vtn.add_event(second)
    await house.until(first.start_at + 20)
    await house.field.kill(f"{SITES[0]}-b1")
    await house.run_for(10)
    await house.crash_centre()
    await house.run_for(2)
    await house.start_centre()
    await house.until(second.start_at + 70)
    assert {house.record(name).state for name in ("E1", "E2")} == {"completed"}
    settings = house.settings
    return Ground(fleet=fleet(settings), policy=policy_of(settings), hosts=host_of(settings))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ground]:
    folder = tmp_path_factory.mktemp("run")
    return folder / "journal.db", play(folder, eventful, vtn=True, work=True)


def replayed(run: tuple[Path, Ground]) -> Replayed:
    path, ground = run
    return replay_journal(path, ground, None)


def test_a_real_run_is_replayed_identically(run: tuple[Path, Ground]) -> None:
    found = replayed(run)
    assert found.difference is None, found.difference
    assert found.problem == "" and found.missing == 0
    assert found.compared > 100 and found.facts > 200


def test_a_fleet_that_was_another_one_is_noticed(run: tuple[Path, Ground]) -> None:
    path, ground = run
    others = Ground(
        fleet=ground.fleet,
        policy=ground.policy,
        hosts=dict.fromkeys(ground.hosts, SiteId(SITES[1])),
    )
    assert replay_journal(path, others, None).compared > 0
    weaker = Ground(
        fleet=ground.fleet,
        policy=type(ground.policy)(baseline_window_s=5.0),
        hosts=ground.hosts,
    )
    assert replay_journal(path, weaker, None).difference is not None


def test_archived_readings_leave_a_gap_and_the_rest_is_compared(
    run: tuple[Path, Ground], tmp_path: Path
) -> None:
    path, ground = run
    for suffix in (".db", ".head"):
        (tmp_path / "journal").with_suffix(suffix).write_bytes(path.with_suffix(suffix).read_bytes())
    copy = tmp_path / "journal.db"
    with Journal.open(copy, FactCodec(FACT_TYPES), reserve_bytes=0) as journal:
        first_at = next(journal.entries()).at
        retention = Retention(journal)
        while retention.compact(first_at + 30.0):
            assert journal.problem == ""
    found = replay_journal(copy, ground, None)
    assert found.difference is None, found.difference
    assert found.missing > 20 and found.resumed_seq > 20
    assert 20 < found.compared < replayed(run).compared
