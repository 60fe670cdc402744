"""The journal's SQLite file: how it is opened, its one table, and what its errors mean.

WAL with `synchronous=FULL`: COMMIT returns after fsync. `locking_mode=EXCLUSIVE`: one connection, no shared-memory
file, no foreign reader that could hold up a checkpoint. Pages of 8 KiB, because a second of readings is 2-3 KiB.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from vpp_gateway.journal.chain import Row

INSERT = "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)"
_TABLE = (
    "CREATE TABLE IF NOT EXISTS record (seq INTEGER PRIMARY KEY, version INTEGER NOT NULL, at REAL NOT NULL, "
    "kind TEXT NOT NULL, body BLOB NOT NULL, hash BLOB NOT NULL)"
)
_PAGE_BYTES = 8192
_LOG_PAGES = 512
"""The write-ahead log goes into the file at 4 MiB."""
_SHORT_LOG_PAGES = 4
_FETCH_ROWS = 500

_SURROUNDINGS = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}
"""Primary result codes that speak of the disk, memory or other processes, not of the file's content."""


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error met while reading says that the file's content is bad."""
    # Without a code it comes from the Python module: text that is not UTF-8, for instance.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF not in _SURROUNDINGS


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, made with mode 0600 if it is not there yet; says nothing about its content.

    Raises:
        OSError: It cannot be made.
        sqlite3.Error: It cannot be opened as a database; see `is_damage`.
    """
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    database = sqlite3.connect(path, isolation_level=None, timeout=1.0)
    try:
        database.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        limit_log(database, short=False)
        database.execute(f"PRAGMA journal_size_limit = {_LOG_PAGES * _PAGE_BYTES}")
        if not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            database.execute(_TABLE)
    except sqlite3.Error:
        database.close()
        raise
    return database


def rows(database: sqlite3.Connection, after_seq: int = 0) -> Iterator[Row]:
    """Rows in order, unchecked; read page by page so that appending meanwhile is allowed.

    Raises:
        sqlite3.Error: The file is damaged or the disk fails; the rows before that place have been handed out.
    """
    while True:
        page, failure = _page(database, after_seq)
        yield from page
        if failure is not None:
            raise failure
        if not page:
            return
        after_seq = page[-1].seq


def _page(database: sqlite3.Connection, after_seq: int) -> tuple[list[Row], sqlite3.Error | None]:
    page: list[Row] = []
    try:
        found = database.execute(
            "SELECT seq, version, at, kind, body, hash FROM record WHERE seq > ? ORDER BY seq LIMIT ?",
            (after_seq, _FETCH_ROWS),
        )
        page.extend(map(Row._make, found))
    except sqlite3.Error as error:
        return page, error
    return page, None


def limit_log(database: sqlite3.Connection, *, short: bool) -> None:
    """How long the write-ahead log may grow before it goes into the file.

    A commit takes a page or more in the log, but only its own bytes in the file. So on a nearly full disk the log is
    kept short: a long one would take the room that it needs itself to be moved into the file.
    """
    database.execute(f"PRAGMA wal_autocheckpoint = {_SHORT_LOG_PAGES if short else _LOG_PAGES}")


def shrink_log(database: sqlite3.Connection) -> None:
    """Move the write-ahead log into the file and cut it to nothing."""
    # Where even that finds no room, the log stays as it is, and the caller learns it from the write that follows.
    with suppress(sqlite3.OperationalError):
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def faults(database: sqlite3.Connection) -> str:
    """What SQLite itself finds wrong with the file's structure; empty when nothing. Changes nothing.

    Raises:
        sqlite3.Error: The file cannot be written into: its header may be damaged into "read only".
    """
    verdict = str(database.execute("PRAGMA quick_check(1)").fetchone()[0])
    database.execute("BEGIN IMMEDIATE")
    try:
        database.execute("DELETE FROM record WHERE seq < 0")  # nothing to delete: only a write can tell
    finally:
        database.rollback()
    return "" if verdict == "ok" else " ".join(verdict.split())
