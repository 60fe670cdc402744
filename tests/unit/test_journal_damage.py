"""Bit rot, cut tails, older copies, half-finished repairs: the journal never hands out a wrong fact."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.unit.journal_facts import T0, day, instructed, lost
from tests.unit.test_journal_store import facts_of, open_journal
from vpp_gateway.errors import JournalError
from vpp_gateway.journal.chain import SCHEMA_VERSION, link

FACTS = day(120)
FLIPS = 300


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a journal that was closed in order."""
    directory = tmp_path_factory.mktemp("sound")
    with open_journal(directory / "journal.db") as journal:
        journal.append(FACTS)
    return directory


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a journal whose process was killed: most records stand in the write-ahead log only."""
    directory = tmp_path_factory.mktemp("running")
    with open_journal(directory / "journal.db") as journal:
        for fact in FACTS:
            journal.append([fact])
        journal.flush()
        copy = tmp_path_factory.mktemp("crashed")
        shutil.copytree(directory, copy, dirs_exist_ok=True)
    return copy


def copy_of(directory: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(directory, to)
    return to / "journal.db"


def flip(file: Path, chance: random.Random, first_bytes: int | None = None) -> None:
    content = bytearray(file.read_bytes())
    place = chance.randrange((first_bytes or len(content)) * 8)
    content[place // 8] ^= 1 << place % 8
    file.write_bytes(content)


def rows_of(path: Path) -> list[tuple[Any, ...]] | None:
    """What SQLite alone would believe; None when even it sees damage."""
    try:
        with closing(sqlite3.connect(path)) as database:
            return database.execute("SELECT * FROM record ORDER BY seq").fetchall()
    except sqlite3.Error:
        return None


def outcome(path: Path) -> str:
    """Open a damaged journal and go on working with it; tells how the damage ended."""
    with open_journal(path) as journal:
        good = facts_of(journal)
        assert good == FACTS[: len(good)], "a wrong fact was handed out"
        problem = journal.problem
        assert problem or len(good) == len(FACTS), "facts are missing in silence"
        journal.append([lost(T0 + 1000, 1)])
    with open_journal(path) as journal:
        assert journal.problem == ""
        assert facts_of(journal) == [*good, lost(T0 + 1000, 1)]
    if not problem:
        return "harmless"
    return "cut" if len(good) < len(FACTS) else "repaired"


@pytest.mark.parametrize("part", range(3))
def test_a_flipped_bit_in_the_database_never_becomes_a_fact(sound: Path, tmp_path: Path, part: int) -> None:
    chance = random.Random(f"flips {part}")
    true_rows = rows_of(sound / "journal.db")
    ends: Counter[str] = Counter()
    changed = 0
    for _ in range(FLIPS // 3):
        path = copy_of(sound, tmp_path / "damaged")
        flip(path, chance)
        shutil.copy(path, tmp_path / "raw.db")
        end = outcome(path)
        ends[end] += 1
        if rows_of(tmp_path / "raw.db") != true_rows:
            changed += 1
            assert end != "harmless", "data changed and nobody noticed"
    assert changed >= FLIPS // 6
    assert ends["cut"] >= changed // 2, ends


def test_a_flipped_bit_in_the_header_never_becomes_a_fact(sound: Path, tmp_path: Path) -> None:
    chance = random.Random("header")
    ends: Counter[str] = Counter()
    for _ in range(60):
        path = copy_of(sound, tmp_path / "damaged")
        flip(path, chance, first_bytes=100)
        ends[outcome(path)] += 1
    assert ends["cut"] > 0, ends
    assert ends["repaired"] > 0, ends


def test_a_header_that_says_read_only_costs_no_fact(sound: Path, tmp_path: Path) -> None:
    path = copy_of(sound, tmp_path / "damaged")
    content = bytearray(path.read_bytes())
    content[18] = 3  # file format write version: only 1 and 2 may be written
    path.write_bytes(content)
    assert outcome(path) == "repaired"


def test_a_flipped_bit_in_the_write_ahead_log_never_becomes_a_fact(crashed: Path, tmp_path: Path) -> None:
    chance = random.Random("log")
    assert outcome(copy_of(crashed, tmp_path / "whole")) == "harmless"
    ends: Counter[str] = Counter()
    for _ in range(40):
        path = copy_of(crashed, tmp_path / "damaged")
        flip(path.with_name("journal.db-wal"), chance)
        ends[outcome(path)] += 1
    assert ends["cut"] > 0, ends


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_keeps_what_is_good(sound: Path, tmp_path: Path, share: float) -> None:
    path = copy_of(sound, tmp_path / "damaged")
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * share))
    assert outcome(path) == "cut"


def test_the_bad_file_is_set_aside_whole_and_the_problem_names_it(sound: Path, tmp_path: Path) -> None:
    path = copy_of(sound, tmp_path / "damaged")
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("UPDATE record SET at = at + 1 WHERE seq = 81")
    before = rows_of(path)
    with open_journal(path) as journal:
        assert journal.head[0] == 80
        assert "record 81 (" in journal.problem
        assert "does not match its hash; records up to 80 were kept" in journal.problem
        assert "set aside as journal.bad-80.db" in journal.problem
    assert rows_of(path.with_name("journal.bad-80.db")) == before


def test_a_second_damage_at_the_same_record_does_not_overwrite_the_first_evidence(
    tmp_path: Path, sound: Path
) -> None:
    path = copy_of(sound, tmp_path / "damaged")
    for _ in range(2):
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute("UPDATE record SET kind = 'Lost' WHERE seq = 81")
        with open_journal(path) as journal:
            journal.append([instructed(T0 + 80)])
    aside = {file.name for file in path.parent.glob("*bad*")}
    assert aside == {"journal.bad-80.db", "journal.bad-80-1.db"}


def test_a_missing_record_ends_the_trust(sound: Path, tmp_path: Path) -> None:
    path = copy_of(sound, tmp_path / "damaged")
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("DELETE FROM record WHERE seq = 30")
    with open_journal(path) as journal:
        assert facts_of(journal) == FACTS[:29]
        assert "record 30 is missing: record 31 stands in its place" in journal.problem


def test_damage_that_appears_while_running_stops_the_reader(sound: Path, tmp_path: Path) -> None:
    path = copy_of(sound, tmp_path / "damaged")
    with open_journal(path) as journal:
        journal.connection.execute(
            "UPDATE record SET body = CAST(replace(body, '007', '008') AS BLOB) WHERE seq = 5"
        )
        result = journal.verify()
        assert result.good_until == 4
        assert result.problem == "record 5 (Instructed) does not match its hash"
        with pytest.raises(JournalError, match="record 5"):
            facts_of(journal)


def test_an_older_copy_put_back_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with open_journal(path) as journal:
        journal.append(FACTS[:50])
    shutil.copy(path, tmp_path / "older")
    with open_journal(path) as journal:
        journal.append(FACTS[50:70])
    shutil.copy(tmp_path / "older", path)
    with open_journal(path) as journal:
        assert facts_of(journal) == FACTS[:50]
        assert "the journal ends at record 50, but record 70 was committed once" in journal.problem


def test_another_journal_put_in_its_place_is_noticed(sound: Path, tmp_path: Path) -> None:
    path = copy_of(sound, tmp_path / "here")
    with open_journal(tmp_path / "other" / "journal.db") as journal:
        journal.append([instructed(T0 + n, f"EV-{n}") for n in range(200)])
    shutil.copy(tmp_path / "other" / "journal.db", path)
    with open_journal(path) as journal:
        assert "record 120 is not the one that was committed once" in journal.problem


def test_a_deleted_journal_is_noticed(sound: Path, tmp_path: Path) -> None:
    path = copy_of(sound, tmp_path / "here")
    path.unlink()
    with open_journal(path) as journal:
        assert "ends at record 0, but record 120 was committed once" in journal.problem


def test_a_missing_or_damaged_anchor_is_told(sound: Path, tmp_path: Path) -> None:
    path = copy_of(sound, tmp_path / "here")
    path.with_suffix(".head").unlink()
    with open_journal(path) as journal:
        assert "journal.head is missing" in journal.problem
    path.with_suffix(".head").write_bytes(b"120 \xff\n")
    with open_journal(path) as journal:
        assert "journal.head cannot be read" in journal.problem
    path.with_suffix(".head").write_text("120 abc\n")
    with open_journal(path) as journal:
        assert (
            "journal.head is damaged: expected '<seq> <sha-256 hex>', found '120 abc\\n'" in journal.problem
        )
        assert facts_of(journal) == FACTS
    with open_journal(path) as journal:
        assert journal.problem == ""


def test_an_anchor_that_is_behind_is_no_problem(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with open_journal(path) as journal:
        journal.append(FACTS[:10])
        journal.flush()
        shutil.copy(path.with_suffix(".head"), tmp_path / "behind")
        journal.append(FACTS[10:20])
    shutil.copy(tmp_path / "behind", path.with_suffix(".head"))
    with open_journal(path) as journal:
        assert journal.problem == ""


def test_a_sound_record_of_a_newer_program_is_neither_read_nor_set_aside(sound: Path, tmp_path: Path) -> None:
    path = copy_of(sound, tmp_path / "newer")
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        (before,) = database.execute("SELECT hash FROM record WHERE seq = 120").fetchone()
        digest = link(before, SCHEMA_VERSION + 1, 121, T0, "Tick", b"{}")
        row = (121, SCHEMA_VERSION + 1, T0, "Tick", b"{}", digest)
        database.execute("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)", row)
    with pytest.raises(JournalError, match=r"record 121 has layout version 2, this program knows up to 1"):
        open_journal(path)
    assert rows_of(path) is not None
    assert not list(path.parent.glob("*bad*"))


def test_an_unfinished_repair_is_begun_again(sound: Path, tmp_path: Path) -> None:
    path = copy_of(sound, tmp_path / "cut")
    path.with_name("journal.db.new").write_bytes(b"half a copy")
    with open_journal(path) as journal:
        assert facts_of(journal) == FACTS
        assert journal.problem == ""
    assert not path.with_name("journal.db.new").exists()


def test_a_repair_cut_before_its_last_step_is_finished(sound: Path, crashed: Path, tmp_path: Path) -> None:
    path = copy_of(sound, tmp_path / "cut")
    path.rename(path.with_name("journal.db.new"))
    shutil.copy(
        crashed / "journal.db-wal", path.with_name("journal.db-wal")
    )  # the bad file's log, not renamed yet
    with open_journal(path) as journal:
        assert facts_of(journal) == FACTS
        assert journal.problem == ""
    assert path.with_name("journal.bad-cut.db-wal").exists()
