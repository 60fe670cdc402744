"""A journal read by somebody who is not its gateway: the file is copied first and only read, also while it is written.

    journal.db  -wal  .head  --copied until nothing moved--> a folder that is thrown away --Journal.open--> read

What is wrong with the journal is told of the journal itself: what opening does about it is done to the copy.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from vpp_gateway.catalogue import Lang, Told
from vpp_gateway.domain.fact import FACT_TYPES
from vpp_gateway.errors import JournalError, NotWhole
from vpp_gateway.journal.records import FactCodec
from vpp_gateway.journal.store import Journal

COPIES_MAX = 10
LOG_HEAD_BYTES = 32
"""SQLite's header of a write-ahead log: another one each time the log begins anew."""
SQLITE_HEAD = b"SQLite format 3\0"


class Damaged(Told, NotWhole):
    """What was asked is not in the part of a damaged journal that can be read.

    Args:
        path: Of the journal.
        why: What is wrong with it.
        rest: What could not be told.
    """

    def __init__(self, path: Path, why: str, rest: Told) -> None:
        self.rest = rest
        super().__init__("replay.not_whole", path=path, why=why)

    def say(self, lang: Lang) -> str:
        """First the damage, then what could not be told."""
        return f"{super().say(lang)}\n{self.rest.say(lang)}"


def refuse_other_files(path: Path) -> None:
    """Refuse a file that never was a journal: nothing of SQLite stands in it, and no anchor or log beside it.

    Raises:
        Told: It is no journal.
        JournalError: It cannot be read.
    """
    try:
        with path.open("rb") as opened:
            head = opened.read(len(SQLITE_HEAD))
    except OSError as error:
        raise JournalError(f"{path} cannot be read: {error}") from error
    if head != SQLITE_HEAD and not any(one.exists() for one in (path.with_suffix(".head"), _log(path))):
        raise Told("replay.not_a_journal", path=path)


@contextmanager
def journal_copy(path: Path) -> Iterator[Journal]:
    """A copy of the journal at `path`, open to be read; the original is only read, also while it is written.

    Raises:
        Told: It is no journal.
        JournalError: It cannot be read.
    """
    refuse_other_files(path)
    with tempfile.TemporaryDirectory(prefix="vppgw-replay-") as folder:
        copy = Path(folder) / "journal.db"
        _copy(path, copy)
        if _of_another_kind(copy):
            raise Told("replay.not_a_journal", path=path)
        with Journal.open(copy, FactCodec(FACT_TYPES), reserve_bytes=0) as journal:
            yield journal


def damage_of(journal: Journal) -> str:
    """What is wrong with the journal of which `journal` is a copy, in words; empty when nothing is."""
    if not journal.broken:
        return journal.damage
    last = journal.head[0]
    read = f"only its records up to {last} can be read" if last else "none of its records can be read"
    return f"{journal.damage}; {read}; the file itself was left as it is"


def _of_another_kind(copy: Path) -> bool:
    """Whether it is a sound SQLite file with other tables than a journal's."""
    try:
        with closing(sqlite3.connect(copy)) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
    except sqlite3.Error:
        return False  # damaged; opening it as a journal tells how
    return bool(tables) and "record" not in tables


def _copy(source: Path, target: Path) -> None:
    """A consistent copy with the anchor of its end, read first: a journal that is being written only grows past it.

    The writer locks its file against every other connection, so the files are copied as such. What is written goes
    to the end of the log beside it; only a checkpoint touches the file, and it shows: then everything is copied anew.

    Raises:
        JournalError: It cannot be read, or never stood still for so long.
    """
    log, log_copy = _log(source), _log(target)
    try:
        for _ in range(COPIES_MAX):
            before = _standing(source, log)
            for one, copy in (
                (source.with_suffix(".head"), target.with_suffix(".head")),
                (source, target),
                (log, log_copy),
            ):
                copy.unlink(missing_ok=True)
                if one.exists():
                    shutil.copyfile(one, copy)
            if _standing(source, log) == before:
                return
    except OSError as error:
        raise JournalError(f"{source} cannot be read: {error}") from error
    raise JournalError(f"{source} is written faster than it can be copied; try again")


def _standing(source: Path, log: Path) -> tuple[int, int, bytes]:
    """What changes with each checkpoint: the file's time and size, and the head of its log."""
    found = source.stat()
    head = b""
    if log.exists():
        with log.open("rb") as opened:
            head = opened.read(LOG_HEAD_BYTES)
    return found.st_mtime_ns, found.st_size, head


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")
