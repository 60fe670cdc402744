from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.journal_facts import day, lost, tick
from tests.unit.test_journal_store import facts_of, open_journal
from vpp_gateway.domain.fact import Tick
from vpp_gateway.journal.archive import Retention, verify_archives
from vpp_gateway.journal.recover import VerifyResult
from vpp_gateway.journal.store import Journal

NEW_YEAR = 1_798_761_600.0
"""2027-01-01 00:00 UTC."""
FACTS = day(100, NEW_YEAR - 40)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with open_journal(path) as journal:
        journal.append(FACTS)
        yield journal


def archives(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.glob("journal.ticks-*.db"))


def test_old_ticks_leave_and_everything_else_stays(path: Path, journal: Journal) -> None:
    head = journal.head
    retention = Retention(journal)
    assert retention.compact(NEW_YEAR + 20) == 60
    assert retention.compact(NEW_YEAR + 20) == 0
    kept = [fact for fact in FACTS if not isinstance(fact, Tick) or fact.at >= NEW_YEAR + 20]
    assert facts_of(journal) == kept
    assert len(kept) < 70
    assert journal.head == head
    assert journal.verify() == VerifyResult(good_until=100)
    assert archives(path) == ["journal.ticks-2026-12.db", "journal.ticks-2027-01.db"]


def test_the_chain_goes_on_over_the_gaps(path: Path, journal: Journal) -> None:
    Retention(journal).compact(NEW_YEAR + 20)
    journal.append([lost(NEW_YEAR + 100, 1)])
    journal.close()
    with open_journal(path) as again:
        assert again.problem == ""
        assert again.head[0] == 101
        assert verify_archives(again) == VerifyResult(good_until=101)
        in_a_gap = 12
        assert in_a_gap not in {record.seq for record in again.records()}
        assert [record.seq for record in again.records(in_a_gap)][:2] == [15, 20]
        # Of the first 60 records every run of four ticks is one bridge now.
        assert Retention(again).compact(NEW_YEAR + 40) == 60 // 5 * 2 + 20
        assert verify_archives(again) == VerifyResult(good_until=101)


def test_the_head_is_never_archived(journal: Journal) -> None:
    head = journal.head
    Retention(journal).compact(NEW_YEAR + 1e6)
    assert [record.seq for record in journal.records()][-1] == head[0]
    assert not [fact for fact in facts_of(journal)[:-1] if isinstance(fact, Tick)]


def test_a_piece_at_a_time(path: Path) -> None:
    with open_journal(path) as journal:
        journal.append(day(1201, NEW_YEAR))
        retention = Retention(journal)
        assert [retention.compact(NEW_YEAR + 2000) for _ in range(4)] == [500, 500, 200, 0]
        assert verify_archives(journal) == VerifyResult(good_until=1201)


def test_a_fact_from_a_wrong_clock_does_not_hold_up_the_ticks_behind_it(path: Path) -> None:
    with open_journal(path) as journal:
        journal.append([tick(NEW_YEAR), lost(NEW_YEAR + 1e9, 1), tick(NEW_YEAR + 1), lost(NEW_YEAR + 2, 2)])
        Retention(journal).compact(NEW_YEAR + 100)
        assert [record.kind for record in journal.records()] == ["Lost", "Lost"]
        assert verify_archives(journal) == VerifyResult(good_until=4)


def test_a_crash_between_archive_and_live_file_loses_nothing(path: Path, journal: Journal) -> None:
    with closing(sqlite3.connect(":memory:")) as memory:
        journal.connection.backup(memory)
        Retention(journal).compact(NEW_YEAR + 20)
        journal.connection.execute("DELETE FROM record")
        rows = memory.execute(
            "SELECT * FROM record"
        ).fetchall()  # the archive is committed, the live file is not
        journal.connection.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)", rows)
    assert facts_of(journal) == FACTS
    assert Retention(journal).compact(NEW_YEAR + 20) == 60
    assert verify_archives(journal) == VerifyResult(good_until=100)


def test_a_deleted_archive_harms_nothing_but_is_told(path: Path, journal: Journal) -> None:
    Retention(journal).compact(NEW_YEAR + 20)
    path.with_name("journal.ticks-2026-12.db").unlink()
    assert journal.verify() == VerifyResult(good_until=100)
    assert verify_archives(journal) == VerifyResult(
        good_until=0, problem="archive: archived records 1 to 4 are missing"
    )


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("UPDATE record SET at = at + 1 WHERE seq = 7", "record 7 (Tick) does not match its hash"),
        ("UPDATE record SET body = x'00' WHERE seq = 7", "while decompressing"),
        ("DELETE FROM record WHERE seq = 7", "record 7 is missing: record 8 stands in its place"),
    ],
)
def test_a_damaged_archive_is_told(path: Path, journal: Journal, change: str, problem: str) -> None:
    Retention(journal).compact(NEW_YEAR + 20)
    with closing(
        sqlite3.connect(path.with_name("journal.ticks-2026-12.db"), isolation_level=None)
    ) as archive:
        archive.execute(change)
    found = verify_archives(journal)
    assert found.good_until == 5
    assert problem in found.problem


@pytest.mark.parametrize(
    "change",
    [
        "version = version + 1",
        "at = at + 1",
        "body = zeroblob(length(body))",
        "hash = zeroblob(32)",
        "seq = seq - 1",
        "kind = 'Tick'",
    ],
)
def test_a_damaged_bridge_ends_the_trust(journal: Journal, change: str) -> None:
    Retention(journal).compact(NEW_YEAR + 20)
    journal.connection.execute(f"UPDATE record SET {change} WHERE seq = 9 AND kind = 'journal.bridge'")
    found = journal.verify()
    assert found.good_until == 5
    assert found.problem
