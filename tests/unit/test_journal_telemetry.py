from __future__ import annotations

import math
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.journal_facts import T0, tick
from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.reading import SiteReading, Snapshot
from vpp_gateway.errors import JournalError, MisuseError
from vpp_gateway.journal.telemetry import (
    BATCH_ROWS,
    BUFFER_ROWS_MAX,
    FORGET_ROWS,
    TelemetryStore,
    Usage,
    series_of,
)

SITES = (SiteId("dc0"), SiteId("dc1"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "telemetry.db"


@pytest.fixture
def store(path: Path) -> Iterator[TelemetryStore]:
    with TelemetryStore.open(path, SITES) as store:
        yield store


def both(n: int) -> dict[str, float]:
    return {
        "dc0/import_w": 100.0 + n,
        "dc0/modelled": 0.0,
        "dc1/import_w": 1000.0,
        "dc1/modelled": float(n >= 20),
    }


def seconds_after_a_crash(path: Path) -> list[float]:
    there = path.parent / "crashed"
    shutil.rmtree(there, ignore_errors=True)
    there.mkdir()
    for name in ("telemetry.db", "telemetry.db-wal"):
        shutil.copy(path.with_name(name), there)
    with TelemetryStore.open(there / path.name, SITES) as store:
        return [at for at, _ in store.seconds(-math.inf, math.inf)]


def test_the_usage_of_one_site_and_of_all(store: TelemetryStore) -> None:
    for n in range(25):
        store.append(T0 + n, both(n))
    assert store.usage(SITES[0], T0 + 19, T0 + 21) == [
        Usage(at=T0 + 19, import_w=119.0),
        Usage(at=T0 + 20, import_w=120.0),
    ]
    assert store.usage(None, T0 + 19, T0 + 21) == [
        Usage(at=T0 + 19, import_w=1119.0, modelled=False),
        Usage(at=T0 + 20, import_w=1120.0, modelled=True),
    ]
    assert store.usage(SiteId("dc9"), T0, T0 + 100) == []


def test_a_second_in_which_a_site_is_silent_has_no_sum(store: TelemetryStore) -> None:
    store.append(T0, both(0))
    store.append(T0 + 1, {"dc1/import_w": 1000.0})
    store.append(T0 + 2, both(2))
    assert [usage.at for usage in store.usage(None, T0, T0 + 10)] == [T0, T0 + 2]
    assert [usage.at for usage in store.usage(SITES[1], T0, T0 + 10)] == [T0, T0 + 1, T0 + 2]


def test_samples_come_back_after_reopening_in_time_order(path: Path) -> None:
    with TelemetryStore.open(path, SITES) as store:
        for n in (3, 1, 2, 0):
            store.append(T0 + n, both(n))
    with TelemetryStore.open(path, SITES) as store:
        store.append(T0 + 4, {"dc0/import_w": 1.0, "dc0/bat/soc": 0.5})
        found = list(store.seconds(T0, T0 + 5))
    assert found == [
        *((T0 + n, both(n)) for n in range(4)),
        (T0 + 4, {"dc0/import_w": 1.0, "dc0/bat/soc": 0.5}),
    ]


@pytest.mark.parametrize("between", [0, BATCH_ROWS])
def test_a_second_that_comes_again_replaces_the_first(store: TelemetryStore, between: int) -> None:
    store.append(T0, {"dc0/import_w": 1.0})
    for n in range(between):
        store.append(T0 + 10 + n, {"dc0/import_w": 7.0})
    store.append(T0, {"dc0/import_w": 2.0})
    assert store.usage(SITES[0], T0, T0 + 1) == [Usage(at=T0, import_w=2.0)]
    store.flush()
    assert store.usage(SITES[0], T0, T0 + 1) == [Usage(at=T0, import_w=2.0)]


def test_a_crash_loses_the_last_batch_at_most(path: Path, store: TelemetryStore) -> None:
    for n in range(2 * BATCH_ROWS + 3):
        store.append(T0 + n, both(n))
    assert seconds_after_a_crash(path) == [T0 + n for n in range(2 * BATCH_ROWS)]


def test_old_seconds_are_forgotten_a_piece_at_a_time(store: TelemetryStore) -> None:
    for n in range(FORGET_ROWS + 100):
        store.append(T0 + n, {"dc0/import_w": 1.0})
    store.flush()
    assert [store.forget(T0 + FORGET_ROWS + 50) for _ in range(3)] == [FORGET_ROWS, 50, 0]
    assert len(store.usage(SITES[0], T0, T0 + 1e6)) == 50


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_number_that_is_none_is_refused(store: TelemetryStore, number: float) -> None:
    with pytest.raises(MisuseError, match="holds a value that is no number"):
        store.append(T0, {"dc0/import_w": number})
    with pytest.raises(MisuseError):
        store.append(number, {"dc0/import_w": 1.0})
    assert list(store.seconds(-math.inf, math.inf)) == []


def test_the_series_of_a_process_image() -> None:
    snapshot = tick(T0, sites=2).snapshot
    dark = SiteReading(site=SiteId("dark"), at=T0, meter=None, batteries=())
    series = series_of(Snapshot(at=T0, sites=(*snapshot.sites, dark)))
    assert series == {
        **{f"dc{n}/import_w": 12_345_678.9 for n in range(2)},
        **{f"dc{n}/modelled": 0.0 for n in range(2)},
        **{f"dc{n}/dc{n}-bat{m}/discharge_w": 123_456.789 for n in range(2) for m in range(2)},
        **{f"dc{n}/dc{n}-bat{m}/soc": 0.5123 for n in range(2) for m in range(2)},
    }


def test_the_file_is_for_the_owner_alone(path: Path, store: TelemetryStore) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert store.problem == ""


def test_a_damaged_file_is_set_aside_and_a_new_one_begun(path: Path) -> None:
    path.parent.mkdir()
    for name in ("telemetry.bad.db", "telemetry.bad-1.db"):
        path.write_bytes(b"this is no database, whatever its name says" * 100)
        with TelemetryStore.open(path, SITES) as store:
            assert f"set aside as {name}" in store.problem
            store.append(T0, both(0))
        assert path.with_name(name).exists()
    with TelemetryStore.open(path, SITES) as store:
        assert store.problem == ""
        assert len(store.usage(None, T0, T0 + 1)) == 1


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match=r"telemetry cannot be opened at .*telemetry\.db"):
        TelemetryStore.open(tmp_path / "file" / "telemetry.db", SITES)


def test_on_a_nearly_full_disk_it_leaves_the_room_to_the_journal(path: Path) -> None:
    with TelemetryStore.open(path, SITES, keep_free_bytes=2**62) as store:
        for n in range(BUFFER_ROWS_MAX + 25):
            store.append(T0 + n, both(n))
        assert "telemetry is not written: the disk is nearly full" in store.problem
        assert "20 seconds of telemetry were dropped" in store.problem
        assert len(store.usage(None, T0, T0 + 1e6)) == BUFFER_ROWS_MAX + 5
    with TelemetryStore.open(path, SITES) as store:
        assert store.usage(None, T0, T0 + 1e6) == []
