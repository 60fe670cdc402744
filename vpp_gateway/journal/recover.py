"""Starting is recovering: judge the file, keep what is good, set the rest aside.

    survey ── sound ───────────────────────────────────────────────► open it
        └─── damaged after record n ─► good records 1 … n into a new file
                                       old file  -> journal.bad-<n>.db  (evidence, never read again)
                                       new file  -> journal.db

The old file is never repaired in place: SQLite cannot be trusted to write into a structure that is already wrong.
Every step may be cut by a power loss: as long as `journal.db` is there, a `journal.db.new` is an unfinished attempt
and is thrown away; once it has been renamed, the new file is whole and takes its place.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from vpp_gateway.errors import JournalError
from vpp_gateway.journal import database
from vpp_gateway.journal.chain import GENESIS, Broken, Row, follow


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyResult:
    """How far a journal can be trusted."""

    good_until: int
    """Last record of the unbroken chain; 0 = none."""
    problem: str = ""
    """What was found behind it, in words; empty when everything is good."""
    done: str = ""
    """What was done about it, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """One pass over all records."""

    result: VerifyResult
    last: Row | None
    """The last good record."""
    watched_hash: bytes | None
    """Hash of the record that was asked for, if it is among the good ones."""


def survey(connection: sqlite3.Connection, watch_seq: int = 0) -> Survey:
    """Follow the chain from its beginning to its end or first fault.

    Raises:
        JournalError: The disk failed, or the records are a newer version's: neither is damage.
    """
    last: Row | None = None
    watched: bytes | None = GENESIS if watch_seq == 0 else None
    problem = ""
    try:
        for row in follow(database.rows(connection)):
            last = row
            if row.seq == watch_seq:
                watched = row.hash
        problem = database.faults(connection)
    except Broken as error:
        problem = str(error)
    except sqlite3.Error as error:
        if not database.is_damage(error):
            raise JournalError(f"the journal cannot be read: {error}") from error
        problem = f"SQLite: {error}"
    good_until = last.seq if last else 0
    return Survey(
        result=VerifyResult(good_until=good_until, problem=problem), last=last, watched_hash=watched
    )


def open_sound(path: Path, watch_seq: int) -> tuple[sqlite3.Connection, Survey]:
    """Open the file with only good records in it; what was wrong with it stands in the survey.

    Raises:
        JournalError: The disk failed, another program holds the file, or a newer version wrote it.
    """
    _finish(path)
    try:
        connection = database.connect(path)
    except sqlite3.Error as error:
        if not database.is_damage(error):
            raise JournalError(f"{path} cannot be opened: {error}") from error
        aside = _set_aside(path, 0)
        done = f"the whole file was set aside as {aside.name}, nothing is left of it"
        result = VerifyResult(good_until=0, problem=f"SQLite: {error}", done=done)
        return database.connect(path), Survey(result=result, last=None, watched_hash=None)
    try:
        found = survey(connection, watch_seq)
    except BaseException:
        connection.close()
        raise
    if not found.result.problem:
        return connection, found
    return _rebuild(path, connection, found)


def _rebuild(path: Path, damaged: sqlite3.Connection, found: Survey) -> tuple[sqlite3.Connection, Survey]:
    good_until = found.result.good_until
    with closing(damaged):
        _copy_good(damaged, _beside(path, ".new"), good_until)
    aside = _set_aside(path, good_until)
    _finish(path)
    done = f"records up to {good_until} were kept, the file was set aside as {aside.name}"
    return database.connect(path), replace(found, result=replace(found.result, done=done))


def _copy_good(damaged: sqlite3.Connection, target: Path, good_until: int) -> None:
    _discard(target)
    with closing(database.connect(target)) as fresh:
        fresh.execute("BEGIN IMMEDIATE")
        with fresh:
            fresh.executemany(database.INSERT, _good(damaged, good_until))


def _good(damaged: sqlite3.Connection, good_until: int) -> Iterator[Row]:
    """The rows up to `good_until`, followed once more: in a damaged file bad rows may bear any number."""
    if good_until:
        for row in follow(database.rows(damaged)):
            yield row
            if row.seq == good_until:
                return


def _set_aside(path: Path, good_until: int) -> Path:
    """Rename the database and its write-ahead log to the first free `journal.bad-<n>.db`."""
    names = (f"{path.stem}.bad-{good_until}{f'-{n}' if n else ''}{path.suffix}" for n in count())
    aside = next(candidate for name in names if not (candidate := path.with_name(name)).exists())
    path.rename(aside)
    _sync(path.parent)
    _move_log(path, aside)
    return aside


def _finish(path: Path) -> None:
    """Carry a rebuilding that was cut through to its end, or throw an unfinished one away."""
    new = _beside(path, ".new")
    if path.exists():
        _discard(new)
    elif new.exists():
        _move_log(path, path.with_name(f"{path.stem}.bad-cut{path.suffix}"))
        new.rename(path)
    _sync(path.parent)


def _move_log(path: Path, aside: Path) -> None:
    """A write-ahead log belongs to the file it was written for; beside another one SQLite would play it in."""
    log = _beside(path, "-wal")
    if log.exists():
        log.rename(_beside(aside, "-wal"))
        _sync(path.parent)


def _discard(path: Path) -> None:
    path.unlink(missing_ok=True)
    _beside(path, "-wal").unlink(missing_ok=True)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
