"""Raw messages on record: every message in and out, bounded, in a file of its own. Evidence, not authority.

    record(entry) -> queue -> a thread of its own: batches, compressed, one transaction each -> messages.db

Nothing here can hold up or fail an exchange: a full queue or disk costs entries, which `problem` counts. WAL with
`synchronous=NORMAL`: `kill -9` loses at most what waits in the queue. The oldest entries go when the file is larger
or older than allowed.
"""

from __future__ import annotations

import os
import queue
import shutil
import sqlite3
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Protocol

from vpp_gateway.errors import JournalError
from vpp_gateway.journal.reserve import RESERVE_BYTES

FILE_NAME = "messages.db"
QUEUE_MAX = 20_000
"""Entries that may wait for the disk."""
BATCH_MAX = 500
BATCH_S = 0.5
"""An entry waits so long for others before it is written."""
KEEP_FREE_BYTES = 2 * RESERVE_BYTES
"""Nothing is written below so much free room: what is left on a full disk is the journal's."""
DAY_S = 86400.0
_ROW_BYTES = 200
"""What an entry takes beside its body, roughly."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, room TEXT NOT NULL, direction TEXT NOT NULL, pair TEXT NOT NULL,
    url TEXT NOT NULL, name TEXT NOT NULL, status INTEGER, verdict_schema TEXT NOT NULL, verdict_signature TEXT NOT NULL,
    failure TEXT NOT NULL, rules TEXT NOT NULL, size INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS message_at ON message (at);
"""
_COLUMNS = "id, at, room, direction, pair, url, name, status, verdict_schema, verdict_signature, failure, rules, size, body"


class Entry(Protocol):
    """What is recorded; `northbound.openadr2.record.Exchange` is one."""

    @property
    def at(self) -> float: ...
    @property
    def room(self) -> str: ...
    @property
    def direction(self) -> str: ...
    @property
    def pair(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def status(self) -> int | None: ...
    @property
    def schema(self) -> str: ...
    @property
    def signature(self) -> str: ...
    @property
    def failure(self) -> str: ...
    @property
    def rules(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OnRecord:
    """One entry as it was kept."""

    id: int
    at: float
    """UTC (Unix s)."""
    room: str
    direction: str
    """in | out."""
    pair: str
    """Ties a request and its answer."""
    url: str
    name: str
    status: int | None
    schema: str
    signature: str
    failure: str
    rules: tuple[str, ...]
    body: bytes

    @property
    def refused(self) -> bool:
        """It, or a part of it, was not acted on."""
        return bool(self.failure)


class MessageStore:
    """The record. Open it with `MessageStore.open`; use it as a context manager.

    `record` may be called from any thread.
    """

    def __init__(
        self, path: Path, connection: sqlite3.Connection, bounds: tuple[int, float, int], problem: str
    ) -> None:
        max_bytes, max_days, keep_free_bytes = bounds
        self._path = path
        self._connection = connection
        self._held = _held(connection)
        self._max_bytes = max_bytes
        self._max_s = max_days * DAY_S
        self._keep_free_bytes = keep_free_bytes
        self._opening_problem = problem
        self._write_problem = ""
        self._dropped = 0
        self._queue: queue.Queue[Entry | None] = queue.Queue(maxsize=QUEUE_MAX)
        self._written = threading.Condition()
        self._waiting = 0
        self._worker = threading.Thread(target=self._work, name="messages", daemon=True)
        self._worker.start()

    @classmethod
    def open(
        cls, path: Path, *, max_bytes: int, max_days: float, keep_free_bytes: int = KEEP_FREE_BYTES
    ) -> MessageStore:
        """Open or create `<state_dir>/messages.db` (0600); a damaged file is set aside and a new one begun.

        Args:
            path: The file; its directory is made (0700) if it is missing.
            max_bytes: Of bodies and entries together; the oldest go first.
            max_days: Older entries go.
            keep_free_bytes: Free room on the disk below which nothing is written.

        Raises:
            JournalError: It cannot be opened.
        """
        problem = ""
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                connection = _connect(path)
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF not in (
                    sqlite3.SQLITE_CORRUPT,
                    sqlite3.SQLITE_NOTADB,
                ):
                    raise
                problem = f"the message record was damaged ({error}) and set aside as {_set_aside(path).name}"
                connection = _connect(path)
        except (OSError, sqlite3.Error) as error:
            raise JournalError(f"the message record cannot be opened at {path}: {error}") from error
        return cls(path, connection, (max_bytes, max_days, keep_free_bytes), problem)

    @property
    def problem(self) -> str:
        """What the operator must know, in words; empty when all is well."""
        dropped = f"{self._dropped} messages were not recorded" if self._dropped else ""
        return "; ".join(filter(None, (self._write_problem, dropped, self._opening_problem)))

    def record(self, exchange: Entry) -> None:
        """Take one; returns at once."""
        with self._written:
            self._waiting += 1
        try:
            self._queue.put_nowait(exchange)
        except queue.Full:
            self._done(1)
            self._dropped += 1

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until everything taken so far is written (or dropped); False when it took too long."""
        with self._written:
            return self._written.wait_for(lambda: self._waiting == 0, timeout_s)

    def close(self) -> None:
        """Write what waits and close."""
        self._queue.put(None)
        self._worker.join()

    def __enter__(self) -> MessageStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- the thread -----------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            going_on = True
            while going_on:
                batch, going_on = self._batch()
                if batch:
                    self._write(self._connection, batch)
                    self._done(len(batch))
        finally:
            self._connection.close()

    def _batch(self) -> tuple[list[Entry], bool]:
        """What has come in; False beside it when the store is being closed."""
        first = self._queue.get()
        if first is None:
            return [], False
        batch = [first]
        wait_s = BATCH_S
        while len(batch) < BATCH_MAX:
            try:
                one = self._queue.get(timeout=wait_s)
            except queue.Empty:
                break
            if one is None:
                return batch, False
            batch.append(one)
            wait_s = 0.01
        return batch, True

    def _write(self, connection: sqlite3.Connection, batch: Sequence[Entry]) -> None:
        try:
            rows = [_row(one) for one in batch]
            if shutil.disk_usage(self._path.parent).free < self._keep_free_bytes:
                raise OSError("the disk is nearly full, and what is left is the journal's")
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                connection.executemany(
                    "INSERT INTO message (at, room, direction, pair, url, name, status, verdict_schema, "
                    "verdict_signature, failure, rules, size, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    rows,
                )
                held = self._held + sum(len(row[12]) + _ROW_BYTES for row in rows)
                held -= self._forget(connection, held, max(one.at for one in batch))
        except (OSError, ValueError, sqlite3.Error) as error:  # ValueError: text that is no Unicode
            self._write_problem = f"messages are not recorded: {error}"
            self._dropped += len(batch)
        else:
            self._held = held
            self._write_problem = _shrink(connection)

    def _forget(self, connection: sqlite3.Connection, held: int, now: float) -> int:
        """Let the oldest go, by age and then by size; returns the bytes freed."""
        old = connection.execute(
            f"DELETE FROM message WHERE at < ? RETURNING size + {_ROW_BYTES}", (now - self._max_s,)
        ).fetchall()
        freed: int = sum(size for (size,) in old)
        while held - freed > self._max_bytes:
            gone = connection.execute(
                "DELETE FROM message WHERE id IN (SELECT id FROM message ORDER BY id LIMIT 100) "
                f"RETURNING size + {_ROW_BYTES}"
            ).fetchall()
            if not gone:
                break
            freed += sum(size for (size,) in gone)
        return freed

    def _done(self, entries: int) -> None:
        with self._written:
            self._waiting -= entries
            self._written.notify_all()


def read(
    path: Path,
    *,
    room: str | None = None,
    since: float | None = None,
    until: float | None = None,
    name: str | None = None,
    refused: bool = False,
    id: int | None = None,
    limit: int | None = None,
) -> Iterator[OnRecord]:
    """Entries of a record, also of a running gateway's, oldest first; with `limit`, the newest so many.

    Args:
        since: UTC (Unix s), inclusive.
        until: UTC (Unix s), exclusive.
        name: Element name, for instance `oadrDistributeEvent`.
        refused: Only what was not acted on, as a whole or in part.

    Raises:
        JournalError: There is no record, or it cannot be read.
    """
    conditions = {
        "room = ?": room,
        "at >= ?": since,
        "at < ?": until,
        "name = ?": name,
        "id = ?": id,
    }
    chosen = {condition: value for condition, value in conditions.items() if value is not None}
    where = " AND ".join([*chosen, *(["failure != ''"] if refused else [])]) or "1"
    sql = f"SELECT {_COLUMNS} FROM message WHERE {where} ORDER BY id DESC LIMIT ?"
    if not path.is_file():
        raise JournalError(f"no message record at {path}")
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5.0) as connection:
            rows = connection.execute(
                f"SELECT * FROM ({sql}) ORDER BY id", (*chosen.values(), -1 if limit is None else limit)
            )
            for row in rows:
                yield _on_record(row)
        connection.close()
    except (sqlite3.Error, zlib.error, ValueError) as error:
        raise JournalError(f"the message record at {path} cannot be read: {error}") from error


_Row = tuple[float, str, str, str, str, str, int | None, str, str, str, str, int, bytes]


def _row(one: Entry) -> _Row:
    packed = zlib.compress(one.body, 3)
    return (
        one.at, one.room, one.direction, one.pair, one.url, one.name, one.status,
        one.schema, one.signature, one.failure, " ".join(one.rules), len(packed), packed,
    )  # fmt: skip


def _on_record(row: Sequence[object]) -> OnRecord:
    id, at, room, direction, pair, url, name, status, schema, signature, failure, rules, _size, body = row
    assert isinstance(id, int) and isinstance(at, float) and isinstance(body, bytes)
    assert status is None or isinstance(status, int)
    return OnRecord(
        id=id,
        at=at,
        room=str(room),
        direction=str(direction),
        pair=str(pair),
        url=str(url),
        name=str(name),
        status=status,
        schema=str(schema),
        signature=str(signature),
        failure=str(failure),
        rules=tuple(str(rules).split()),
        body=zlib.decompress(body),
    )


def _connect(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, timeout=1.0, check_same_thread=False)
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before WAL, which writes the header
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(_SCHEMA)
        _held(connection)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _held(connection: sqlite3.Connection) -> int:
    """Bytes that the bound counts; walks the whole table, so damage shows here."""
    return int(connection.execute(f"SELECT coalesce(sum(size + {_ROW_BYTES}), 0) FROM message").fetchone()[0])


def _shrink(connection: sqlite3.Connection) -> str:
    """Give pages back once a quarter of the file stands empty; fewer are soon filled again. What failed, or ""."""
    try:
        (free,), (pages,) = (
            connection.execute(f"PRAGMA {what}").fetchone() for what in ("freelist_count", "page_count")
        )
        if free > pages / 4:
            connection.executescript("PRAGMA incremental_vacuum")  # `execute` steps once: one page
    except sqlite3.Error as error:
        return f"the message record does not shrink: {error}"
    return ""


def _set_aside(path: Path) -> Path:
    names = (f"{path.stem}.bad{f'-{n}' if n else ''}{path.suffix}" for n in count())
    aside = next(candidate for name in names if not (candidate := path.with_name(name)).exists())
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return aside
