from __future__ import annotations

import math
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.unit.journal_facts import CODEC, T0, day, instructed, lost, obeyed, tick
from vpp_gateway.clock import SystemClock
from vpp_gateway.domain.fact import Tick
from vpp_gateway.errors import JournalError, MisuseError
from vpp_gateway.journal.chain import GENESIS, SCHEMA_VERSION, link
from vpp_gateway.journal.records import FactCodec
from vpp_gateway.journal.recover import VerifyResult
from vpp_gateway.journal.replay import replay
from vpp_gateway.journal.store import GROUP_ROWS, Journal

SMALL = 64 * 1024


def open_journal(path: Path, codec: FactCodec = CODEC) -> Journal:
    return Journal.open(path, codec, reserve_bytes=SMALL)


def facts_of(journal: Journal, after_seq: int = 0) -> list[Any]:
    return [record.fact for record in journal.records(after_seq)]


def after_a_crash(path: Path) -> list[Any]:
    """What a process would find that starts now, if the one that holds `path` were killed."""
    there = path.parent / "crashed"
    shutil.rmtree(there, ignore_errors=True)
    there.mkdir()
    for file in path.parent.glob("journal.*"):
        shutil.copy(file, there)
    with open_journal(there / path.name) as journal:
        assert journal.problem == ""
        return facts_of(journal)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with open_journal(path) as journal:
        yield journal


def test_facts_come_back_in_order_after_reopening(path: Path) -> None:
    facts = day(40)
    with open_journal(path) as journal:
        assert journal.head == (0, GENESIS)
        journal.append(facts[:25])
        journal.append(facts[25:])
    with open_journal(path) as journal:
        assert journal.problem == ""
        assert facts_of(journal) == facts
        assert [record.seq for record in journal.records()] == list(range(1, 41))
        assert [record.at for record in journal.records(after_seq=38)] == [T0 + 38, T0 + 39]
        assert journal.verify() == VerifyResult(good_until=40)


def test_each_hash_covers_the_record_and_all_before_it(journal: Journal) -> None:
    before = GENESIS
    for seq, fact in enumerate(day(6), 1):
        journal.append([fact])
        before = link(before, SCHEMA_VERSION, seq, fact.at, *CODEC.encode(fact))
        assert journal.head == (seq, before)


def test_every_part_of_a_record_goes_into_its_hash() -> None:
    base: tuple[Any, ...] = (GENESIS, 1, 7, T0, "Tick", b"{}")
    others = (b"\1" * 32, 2, 8, T0 + 1, "Lost", b"[]")
    changed = [link(*base[:n], others[n], *base[n + 1 :]) for n in range(len(base))]
    moved = link(GENESIS, 1, 7, T0, "Tick{", b"}")
    assert len({link(*base), moved, *changed}) == len(base) + 2


def test_a_durable_append_survives_a_crash(path: Path, journal: Journal) -> None:
    for count, fact in enumerate(day(12), 1):
        journal.append([fact])
        assert after_a_crash(path) == day(count)


def test_ticks_wait_for_the_next_durable_append(path: Path, journal: Journal) -> None:
    facts = day(4)
    journal.append([instructed(T0 - 1)])
    for fact in facts:
        journal.append([fact], durable=False)
    assert (journal.waiting, journal.head[0]) == (4, 1)
    assert after_a_crash(path) == [instructed(T0 - 1)]  # only trailing ticks are lost
    journal.append([lost(T0 + 4, 1)])
    assert (journal.waiting, journal.head[0]) == (0, 6)
    assert after_a_crash(path) == [instructed(T0 - 1), *facts, lost(T0 + 4, 1)]


def test_ticks_wait_for_flush_at_the_latest(path: Path, journal: Journal) -> None:
    journal.append([tick(T0)], durable=False)
    journal.flush()
    assert after_a_crash(path) == [tick(T0)]


def test_no_more_than_a_group_of_ticks_waits(path: Path, journal: Journal) -> None:
    ticks = [tick(T0 + n) for n in range(GROUP_ROWS)]
    for fact in ticks[:-1]:
        journal.append([fact], durable=False)
    assert after_a_crash(path) == []
    journal.append(ticks[-1:], durable=False)
    assert after_a_crash(path) == ticks


def test_closing_writes_what_waits(path: Path) -> None:
    with open_journal(path) as journal:
        journal.append([tick(T0)], durable=False)
    with open_journal(path) as journal:
        assert facts_of(journal) == [tick(T0)]


def test_an_append_that_fails_takes_nothing(journal: Journal) -> None:
    journal.append([tick(T0)], durable=False)
    with pytest.raises(JournalError, match="Obeyed at nan cannot be written"):
        journal.append([instructed(T0 + 1), obeyed(math.nan, 1)])
    assert (journal.waiting, journal.head) == (1, (0, GENESIS))
    journal.append([obeyed(T0 + 2, 1)])
    assert facts_of(journal) == [tick(T0), obeyed(T0 + 2, 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    metres: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Far:
    metres: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    at: float
    what: Near | Far = field(default_factory=lambda: Near(metres=0.0))


def test_a_fact_that_would_not_read_back_the_same_is_refused(path: Path) -> None:
    with open_journal(path, FactCodec([Seen])) as journal:
        journal.append([Seen(at=T0, what=Near(metres=1.0))])
        with pytest.raises(JournalError, match=r"fact Seen at .* would not be read back the same"):
            journal.append([Seen(at=T0, what=Far(metres=1.0))])  # nothing in the JSON tells Far from Near
        assert journal.head[0] == 1


def test_an_unknown_kind_is_named_with_its_record(path: Path) -> None:
    with open_journal(path) as journal:
        journal.append([tick(T0), instructed(T0 + 1)])
    with open_journal(path, FactCodec([Tick])) as journal:
        assert journal.verify() == VerifyResult(good_until=2)
        with pytest.raises(JournalError, match=r"record 2 of .*journal\.db: kind 'Instructed' is not known"):
            facts_of(journal)


def test_the_files_are_for_the_owner_alone(path: Path, journal: Journal) -> None:
    journal.append(day(3))
    journal.flush()
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert set(modes) == {f"journal.{ending}" for ending in ("db", "db-wal", "lock", "head", "reserve")}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_second_writer_is_refused_naming_the_first(path: Path, journal: Journal) -> None:
    script = (
        "import sys; from pathlib import Path; from vpp_gateway.errors import JournalError\n"
        "from vpp_gateway.journal.lock import WriterLock\n"
        "try: WriterLock(Path(sys.argv[1]))\n"
        "except JournalError as error: print(error)\n"
    )
    lock = path.with_suffix(".lock")
    said = subprocess.run(
        [sys.executable, "-c", script, lock], capture_output=True, text=True, check=True
    ).stdout
    pid = lock.read_text().strip()
    assert said.startswith(f"{lock} is held by the process with pid {pid}: only one gateway may write")
    with pytest.raises(JournalError, match=f"held by the process with pid {pid}"):
        open_journal(path)
    journal.append([tick(T0)])


def test_the_lock_is_free_after_closing(path: Path) -> None:
    open_journal(path).close()
    open_journal(path).close()


def test_a_closed_journal_says_so(path: Path) -> None:
    journal = open_journal(path)
    journal.close()
    journal.close()
    with pytest.raises(JournalError, match="the journal is closed"):
        journal.append([tick(T0)])


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match=r"cannot be opened at .*file/journal\.db"):
        open_journal(tmp_path / "file" / "journal.db")


def test_a_file_held_by_another_program_is_not_taken_for_damage(path: Path) -> None:
    with open_journal(path) as journal:
        journal.append(day(3))
    with closing(sqlite3.connect(path, isolation_level=None)) as foreign:
        foreign.execute("BEGIN EXCLUSIVE")
        with pytest.raises(JournalError, match="locked"):
            open_journal(path)
    with open_journal(path) as journal:
        assert facts_of(journal) == day(3)


def test_records_may_be_read_while_others_are_appended(journal: Journal) -> None:
    journal.append(day(3))
    seen = []
    for record in journal.records():
        seen.append(record.seq)
        if record.seq < 600:
            journal.append([lost(T0 + record.seq, record.seq)])
    assert seen == list(range(1, 603))


def test_there_is_no_record_before_the_first(journal: Journal) -> None:
    with pytest.raises(MisuseError, match="no record -1"):
        list(journal.records(after_seq=-1))


def test_replay_applies_every_fact_in_order(path: Path) -> None:
    facts = day(60)
    with open_journal(path) as journal:
        journal.append(facts)
        applied: list[Any] = []
        result = replay(journal, applied.append, clock=SystemClock())
    assert applied == facts
    assert (result.count, result.skipped, result.last_at) == (60, 0, T0 + 59)
    assert result.seconds > 0.0


def test_replay_may_skip_old_ticks_and_nothing_else(path: Path) -> None:
    facts = day(60)
    with open_journal(path) as journal:
        journal.append(facts)
        applied: list[Any] = []
        result = replay(journal, applied.append, clock=SystemClock(), skip_ticks_before=T0 + 50)
    assert applied == [fact for fact in facts if not isinstance(fact, Tick) or fact.at >= T0 + 50]
    assert result.count + result.skipped == 60
    assert result.skipped > 30


def test_replay_of_an_empty_journal(journal: Journal) -> None:
    result = replay(journal, lambda fact: pytest.fail("nothing to apply"), clock=SystemClock())
    assert (result.count, result.last_at) == (0, None)
