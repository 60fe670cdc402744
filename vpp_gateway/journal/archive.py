"""Retention: old readings leave the live journal, month by month, without breaking its chain.

    journal.db                                   journal.ticks-2026-04.db   (compressed, 0600)
    … fact ─ [bridge to m] ─ fact ─ tick …       ticks n+1 … m with their hashes

Only ticks move; every other fact stays in the live file for as long as the journal lives, because registrations and
nonces are rebuilt from them. First the archive is committed, then the live file forgets: a crash between the two
leaves the ticks in both, and the next call moves them again. An archive may be deleted or carried away by the
operator at any time; replay never reads it. `verify_archives` joins both files to the whole chain again.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from vpp_gateway.errors import JournalError
from vpp_gateway.journal import database
from vpp_gateway.journal.chain import BRIDGE, GENESIS, Broken, Row, bridge, bridged_from, follow
from vpp_gateway.journal.recover import VerifyResult
from vpp_gateway.journal.store import Journal

TICK = "Tick"
CHUNK_ROWS = 500
"""So many records are looked at in one call of `compact`: some tens of ms."""


class Retention:
    """Moves the ticks of one journal into archives beside it, a piece at a time.

    Args:
        journal: Open, and used by nobody else while `compact` runs.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._done: tuple[int, bytes] = (0, GENESIS)

    def compact(self, before: float) -> int:
        """Move ticks learnt before `before` (UTC, Unix s), at most `CHUNK_ROWS` records a call.

        It goes in the journal's order and stops at the first tick that is not older: one that a wrong clock dated
        into the future holds up those behind it until that date.

        Returns:
            Records looked at; 0 = nothing old is left. Call again while it is not 0.

        Raises:
            JournalError: A record does not match its hash, or the archive cannot be written.
        """
        live = self._journal.connection
        try:
            old = list(self._old(live, before))
            for after, run in _runs(old, self._done):
                _store(self._journal.path, run)
                _forget(live, after, run)
        except sqlite3.Error as error:
            raise JournalError(f"old readings of {self._journal.path} cannot be archived: {error}") from error
        if old:
            self._done = (old[-1].seq, old[-1].hash)
        return len(old)

    def _old(self, live: sqlite3.Connection, before: float) -> Iterator[Row]:
        """The next rows before the first young tick. The head stays: the next record is chained to it."""
        for count, row in enumerate(follow(database.rows(live, self._done[0]), *self._done), 1):
            is_young = row.kind == TICK and row.at >= before
            if is_young or row.seq >= self._journal.head[0] or count > CHUNK_ROWS:
                return
            yield row


def verify_archives(journal: Journal) -> VerifyResult:
    """Check the archived ticks against the bridges that stand for them.

    Returns:
        The last record up to which live file and archives together are one unbroken chain.
    """
    seq, before = 0, GENESIS
    try:
        for row in follow(database.rows(journal.connection)):
            if row.kind == BRIDGE:
                _verify_bridge(journal.path, row, seq, before)
            seq, before = row.seq, row.hash
    except (Broken, sqlite3.Error, zlib.error) as error:
        return VerifyResult(good_until=seq, problem=f"archive: {error}")
    return VerifyResult(good_until=seq)


def _verify_bridge(path: Path, row: Row, seq: int, before: bytes) -> None:
    last = (seq, before)
    for archived in follow(_archived(path, bridged_from(row), row.seq), seq, before):
        last = (archived.seq, archived.hash)
    if last != (row.seq, row.hash):
        raise Broken(f"archived records {last[0] + 1} to {row.seq} are missing")


def _runs(rows: Sequence[Row], start: tuple[int, bytes]) -> Iterator[tuple[bytes, list[Row]]]:
    """Runs of neighbouring ticks, each with the hash before its first."""
    before = start[1]
    for kind, group in groupby(rows, key=lambda row: row.kind):
        run = list(group)
        if kind == TICK:
            yield before, run
        before = run[-1].hash


def _store(path: Path, run: Iterable[Row]) -> None:
    for month, rows in groupby(run, key=lambda row: datetime.fromtimestamp(row.at, UTC).strftime("%Y-%m")):
        with closing(database.connect(path.with_name(f"{path.stem}.ticks-{month}{path.suffix}"))) as archive:
            archive.execute("BEGIN IMMEDIATE")
            with archive:
                archive.executemany(
                    "INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?, ?)",
                    (row._replace(body=zlib.compress(row.body, 1)) for row in rows),
                )


def _forget(live: sqlite3.Connection, before: bytes, run: Sequence[Row]) -> None:
    live.execute("BEGIN IMMEDIATE")
    with live:
        live.execute("DELETE FROM record WHERE seq BETWEEN ? AND ?", (run[0].seq, run[-1].seq))
        live.execute(database.INSERT, bridge(before, run[0].seq, run[-1]))


def _archived(path: Path, first_seq: int, last_seq: int) -> Iterator[Row]:
    """Archived rows of a range, in order, unchecked."""
    found: list[Row] = []
    for file in sorted(path.parent.glob(f"{path.stem}.ticks-*{path.suffix}")):
        with closing(database.connect(file)) as archive:
            for row in database.rows(archive, first_seq - 1):
                if row.seq > last_seq:
                    break
                found.append(row._replace(body=zlib.decompress(row.body)))
    return iter(sorted(found))
