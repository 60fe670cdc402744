"""Disk full: first the reserve, then RAM, never silence."""

from __future__ import annotations

import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.unit.journal_facts import CODEC, T0, day, instructed, lost, tick
from tests.unit.test_journal_store import facts_of, open_journal
from vpp_gateway.errors import JournalError
from vpp_gateway.journal.reserve import JournalFull, Reserve
from vpp_gateway.journal.store import Journal

DISK_BYTES = 2 * 1024 * 1024
RESERVE_BYTES = 256 * 1024


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """No file may grow past `size`, as under a quota; works without privileges."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs needs privileges; the tests with a file-size limit stand in")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def fill(disk: Path) -> Path:
    """A file of somebody else that takes all room."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (4096, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
    return filler


def append_until_full(journal: Journal, count: int = 10_000) -> int:
    """Append one durable fact at a time; returns how many were acknowledged before the journal was full."""
    for n in range(count):
        try:
            journal.append([instructed(T0 + n)])
        except JournalFull:
            return n
    pytest.fail("the disk was never full")


def test_an_append_that_finds_no_room_raises_and_takes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with open_journal(path) as journal:
        with files_limited_to(256 * 1024):
            done = append_until_full(journal)
            assert done > 5
            assert journal.head[0] == done
            with pytest.raises(JournalFull, match=f"disk full: the journal at .* stands at record {done}"):
                journal.append([lost(T0, 1)])
            assert (journal.waiting, journal.degraded) == (0, False)
        journal.append([lost(T0, 2)])  # room again: it simply goes on
    with open_journal(path) as journal:
        assert journal.problem == ""
        assert facts_of(journal) == [*(instructed(T0 + n) for n in range(done)), lost(T0, 2)]


def test_ticks_that_waited_keep_waiting(tmp_path: Path) -> None:
    with open_journal(tmp_path / "journal.db") as journal:
        with files_limited_to(128 * 1024):
            done = append_until_full(journal)
            journal.append([tick(T0 + 1)], durable=False)
            with pytest.raises(JournalFull):
                journal.flush()
            with pytest.raises(JournalFull):
                journal.append([lost(T0 + 2, 2)])
            assert journal.waiting == 1
        journal.append([lost(T0 + 3, 3)])
        assert facts_of(journal)[done:] == [tick(T0 + 1), lost(T0 + 3, 3)]


def test_control_goes_on_from_ram_and_is_written_in_order_when_room_returns(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    facts = day(300)
    with open_journal(path) as journal:
        with files_limited_to(128 * 1024):
            done = append_until_full(journal)
            journal.continue_in_ram()
            for fact in facts:
                journal.append([fact])
            journal.flush()
            assert journal.degraded
            assert journal.waiting > 200
            kept = journal.head[0]
            assert journal.waiting == done + len(facts) - kept
            assert f"{journal.waiting} records since {kept} are in RAM only" in journal.problem
        journal.flush()
        assert (journal.degraded, journal.waiting, journal.problem) == (False, 0, "")
    with open_journal(path) as journal:
        assert facts_of(journal)[done:] == facts
        assert journal.problem == ""


def test_a_long_backlog_is_written_in_pieces(tmp_path: Path) -> None:
    with open_journal(tmp_path / "journal.db") as journal:
        with files_limited_to(64 * 1024):
            done = append_until_full(journal)
            journal.continue_in_ram()
            journal.append([lost(T0 + n, n) for n in range(3000)])
        sizes = []
        while journal.degraded:
            journal.flush()
            sizes.append(journal.waiting)
        assert sizes == sorted(sizes, reverse=True)
        assert len(sizes) >= 2
        assert facts_of(journal)[done:] == [lost(T0 + n, n) for n in range(3000)]


def test_ram_is_not_endless(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    long = lost(T0, 1, "x" * 100_000)
    with Journal.open(path, CODEC, reserve_bytes=0, held_bytes_max=1_000_000) as journal:
        with files_limited_to(64 * 1024):
            done = append_until_full(journal)
            journal.continue_in_ram()
            for _ in range(9):
                journal.append([long])
            with pytest.raises(JournalFull, match="RAM may hold 1000000 bytes, not 10"):
                journal.append([long])
            assert (journal.waiting, journal.degraded) == (9, True)
            journal.append([lost(T0 + 1, 2)])
        journal.flush()
        assert facts_of(journal)[done:] == [*[long] * 9, lost(T0 + 1, 2)]


def test_closing_while_degraded_says_what_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = open_journal(path)
    with files_limited_to(64 * 1024):
        done = append_until_full(journal)
        journal.continue_in_ram()
        journal.append([lost(T0, 1), lost(T0, 2)])
        with pytest.raises(JournalFull, match=f"2 records since {done} could not be written"):
            journal.close()
    with open_journal(path) as journal:
        assert journal.head[0] == done


def test_on_a_full_disk_the_reserve_is_released_before_anything_fails(small_disk: Path) -> None:
    with Journal.open(small_disk / "journal.db", CODEC, reserve_bytes=RESERVE_BYTES) as journal:
        assert (small_disk / "journal.reserve").stat().st_size == RESERVE_BYTES
        filler = fill(small_disk)
        done = append_until_full(journal)
        assert not (small_disk / "journal.reserve").exists()
        assert done > 300, "the reserve bought too little"
        assert "the disk-full reserve is used up" in journal.problem
        assert not journal.degraded
        filler.unlink()
        journal.flush()
        assert journal.problem == ""
        assert (small_disk / "journal.reserve").stat().st_size == RESERVE_BYTES


def test_an_event_is_completed_on_a_full_disk(small_disk: Path) -> None:
    path = small_disk / "journal.db"
    facts = day(400)
    with Journal.open(path, CODEC, reserve_bytes=RESERVE_BYTES) as journal:
        filler = fill(small_disk)
        for fact in facts:
            try:
                journal.append([fact])
            except JournalFull:
                journal.continue_in_ram()
                journal.append([fact])
        assert journal.degraded
        assert journal.verify().problem == ""
        filler.unlink()
        journal.flush()
        assert not journal.degraded
    with Journal.open(path, CODEC, reserve_bytes=RESERVE_BYTES) as journal:
        assert facts_of(journal) == facts
        assert journal.problem == ""


def test_a_journal_opens_on_a_full_disk(small_disk: Path) -> None:
    path = small_disk / "journal.db"
    with Journal.open(path, CODEC, reserve_bytes=RESERVE_BYTES) as journal:
        journal.append(day(20))
    fill(small_disk)
    journal = Journal.open(path, CODEC, reserve_bytes=RESERVE_BYTES)
    assert facts_of(journal) == day(20)
    journal.append([lost(T0 + 30, 1)])  # the reserve pays
    assert journal.head[0] == 21
    journal.close()


def test_no_journal_can_be_made_on_a_full_disk(small_disk: Path) -> None:
    fill(small_disk)
    with pytest.raises(JournalError, match="cannot be opened"):
        open_journal(small_disk / "journal.db")


def test_a_reserve_is_only_laid_down_where_there_is_room(small_disk: Path) -> None:
    reserve = Reserve(small_disk / "reserve", DISK_BYTES)
    reserve.lay_down()
    assert reserve.missing
    assert not reserve.release()
    reserve = Reserve(small_disk / "reserve", RESERVE_BYTES)
    reserve.lay_down()
    assert not reserve.missing
    assert reserve.release()
    assert reserve.missing


def test_no_reserve_may_be_wanted(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.db", CODEC, reserve_bytes=0) as journal:
        assert journal.problem == ""
    assert not (tmp_path / "journal.reserve").exists()
