"""The journal: the one durable authority. What is not in it has not happened.

    append(facts)                  COMMIT with fsync, then return: survives kill -9 and power cuts
    append(ticks, durable=False)   waits in RAM for the next durable append, flush() or the 64th waiting record

What can be lost, exactly:

- A crash or power cut loses the facts appended with `durable=False` since the last durable append or flush, and
  nothing else: trailing seconds of readings and acknowledgements, at most 64 records. Order is kept, without holes.
- Disk full, `continue_in_ram()` chosen: appended facts are kept in RAM in order, and `degraded` is True. Then
  durable means "until this process ends": a crash loses everything since `head`. The engine goes on because an event
  must be completed, and the operator sees `problem`. What the VTNs know is fetched again by re-registration; what
  the sites were ordered, their agents hold. As room returns, what waits is written and `degraded` falls.
- A damaged file: everything after the last good record (see `recover`). It is set aside, never read again.

Files beside `journal.db`: `-wal` (SQLite), `.lock`, `.head` (anchor), `.reserve`, and `journal.bad-*.db`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from vpp_gateway.errors import JournalError, MisuseError
from vpp_gateway.journal import anchor, database, recover
from vpp_gateway.journal.anchor import Anchor
from vpp_gateway.journal.chain import BRIDGE, GENESIS, Row, follow, forge
from vpp_gateway.journal.lock import WriterLock
from vpp_gateway.journal.records import Dated, FactCodec
from vpp_gateway.journal.recover import Survey, VerifyResult
from vpp_gateway.journal.reserve import RESERVE_BYTES, JournalFull, Reserve, is_full

GROUP_ROWS = 64
"""So many records wait in RAM at most, while the disk has room."""
HELD_BYTES_MAX = 256 * 1024 * 1024
"""So much is kept in RAM while the disk is full: about a day of readings of three sites."""
_DRAIN_ROWS = 1024
"""So much is written in one go when room has returned: about 20 ms, then the control loop has its turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A record that has been verified but not decoded."""

    seq: int
    at: float
    kind: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A fact as it stands in the journal."""

    seq: int
    """1, 2, 3 …; numbers of archived readings are missing."""
    at: float
    kind: str
    fact: Dated


class Journal:
    """Facts in order, durable and hash-chained. Open it with `Journal.open`; use it as a context manager."""

    def __init__(
        self, path: Path, codec: FactCodec, lock: WriterLock, connection: sqlite3.Connection, found: Survey
    ) -> None:
        self._path = path
        self._codec = codec
        self._lock = lock
        self._database = connection
        self._head = (found.last.seq, found.last.hash) if found.last else (0, GENESIS)
        self._anchored = -1
        self._waiting: list[Row] = []
        self._in_ram = False
        self._failure = ""
        self._verdict = ""
        self._found = found.result
        self._anchor_problem = ""
        self._reserve = Reserve(path.with_suffix(".reserve"), 0)
        self._held_bytes_max = HELD_BYTES_MAX

    @classmethod
    def open(
        cls,
        path: Path,
        codec: FactCodec,
        *,
        reserve_bytes: int = RESERVE_BYTES,
        held_bytes_max: int = HELD_BYTES_MAX,
    ) -> Journal:
        """Open or create the journal at `path`, verify all of it, and set aside what is bad.

        Damage does not raise: `problem` tells it, and the journal continues after its last good record.

        Args:
            path: `<state_dir>/journal.db`; its directory is made (0700) if it is missing.
            codec: Knows every fact type of this journal.
            reserve_bytes: Room kept back for a full disk; 0 = none.
            held_bytes_max: So many bytes of facts may be kept in RAM while the disk is full.

        Raises:
            JournalError: Another process writes it (the text names its pid), a newer version wrote it, the disk
                fails, or it is so full that not even an empty journal can be made.
        """
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = WriterLock(path.with_suffix(".lock"))
        except OSError as error:
            raise JournalError(f"the journal cannot be opened at {path}: {error}") from error
        try:
            journal = cls._open_locked(path, codec, lock, reserve_bytes)
        except (OSError, sqlite3.Error) as error:
            lock.release()
            raise JournalError(f"the journal cannot be opened at {path}: {error}") from error
        except BaseException:
            lock.release()
            raise
        journal._held_bytes_max = held_bytes_max
        return journal

    @classmethod
    def _open_locked(cls, path: Path, codec: FactCodec, lock: WriterLock, reserve_bytes: int) -> Journal:
        anchored = anchor.read(path.with_suffix(".head"))
        connection, found = recover.open_sound(path, anchored.seq if isinstance(anchored, Anchor) else 0)
        try:
            journal = cls(path, codec, lock, connection, found)
            journal._verdict = anchor.judge(anchored, found.result.good_until, found.watched_hash)
            journal._reserve = Reserve(path.with_suffix(".reserve"), reserve_bytes)
            journal.flush()
        except BaseException:
            connection.close()
            raise
        return journal

    # -- writing -------------------------------------------------------------------------------------------------

    def append(self, facts: Sequence[Dated], *, durable: bool = True) -> None:
        """Add facts in order; all of them or, when this raises, none.

        Args:
            facts: Of the codec's types.
            durable: True: return after they, and all that waited before them, are on the disk. False: they may
                wait in RAM (readings and acknowledgements only; see the head of this file).

        Raises:
            JournalFull: No room; `continue_in_ram` and append again, or stop.
            JournalError: A fact cannot be written or would not read back the same; or the disk failed, after which
                this journal writes nothing any more: restart, which recovers.
        """
        self._guard()
        rows = self._chain(facts)
        already = len(self._waiting)
        self._waiting += rows
        if not durable and not self._in_ram and len(self._waiting) < GROUP_ROWS:
            return
        try:
            self._settle()
        except JournalError:
            del self._waiting[already:]
            raise

    def flush(self) -> None:
        """Commit what waits, renew the anchor and the reserve; the engine calls it every few seconds.

        Raises:
            JournalFull: No room; what waits keeps waiting.
            JournalError: The disk failed.
        """
        self._guard()
        self._settle()
        try:
            if self._anchored != self._head[0]:
                anchor.write(self._path.with_suffix(".head"), Anchor(seq=self._head[0], hash=self._head[1]))
                self._anchored = self._head[0]
            self._reserve.lay_down()
            database.limit_log(self._database, short=self._reserve.missing)
            self._anchor_problem = ""
        except (
            OSError
        ) as error:  # the records themselves are safe; the operator learns that their guards are not
            self._anchor_problem = f"the files beside the journal cannot be written: {error}"

    def continue_in_ram(self) -> None:
        """The disk is full and control must go on: until there is room again, keep facts in RAM, in order."""
        self._in_ram = True

    # -- reading -------------------------------------------------------------------------------------------------

    @property
    def head(self) -> tuple[int, bytes]:
        """(seq, hash) of the last record on the disk; (0, 32 zero bytes) when there is none."""
        return self._head

    @property
    def path(self) -> Path:
        """Where the journal lies."""
        return self._path

    @property
    def connection(self) -> sqlite3.Connection:
        """The open file, for the other modules of this room alone."""
        return self._database

    @property
    def waiting(self) -> int:
        """Records in RAM that are not on the disk yet."""
        return len(self._waiting)

    @property
    def degraded(self) -> bool:
        """True while facts are kept in RAM because the disk is full: they would not survive a crash."""
        return self._in_ram

    @property
    def problem(self) -> str:
        """What the operator must know, in words; empty when all is well."""
        held = (
            f"disk full: {len(self._waiting)} records since {self._head[0]} are in RAM only"
            if self._in_ram
            else ""
        )
        reserve = "the disk-full reserve is used up: make room on this disk" if self._reserve.missing else ""
        opening = (self._found.problem, self._found.done, self._verdict)
        return "; ".join(filter(None, (self._failure, held, reserve, self._anchor_problem, *opening)))

    @property
    def damage(self) -> str:
        """What was wrong with the file when it was opened, in words, without what was done about it."""
        return "; ".join(filter(None, (self._found.problem, self._verdict)))

    @property
    def broken(self) -> bool:
        """Whether records were there, when it was opened, that could not be read."""
        return bool(self._found.problem)

    def entries(self, after_seq: int = 0) -> Iterator[Entry]:
        """Records on the disk after `after_seq`, each verified when it is reached, not decoded.

        Raises:
            JournalError: A record does not match its hash; nothing after it is handed out.
        """
        before = self._row_at(after_seq)
        try:
            for row in follow(database.rows(self._database, before[0]), *before):
                if row.kind != BRIDGE and row.seq > after_seq:
                    yield Entry(seq=row.seq, at=row.at, kind=row.kind, body=row.body)
        except sqlite3.Error as error:
            raise JournalError(f"{self._path} cannot be read: {error}") from error

    def records(self, after_seq: int = 0) -> Iterator[Record]:
        """Facts on the disk after `after_seq`, each verified and decoded when it is reached.

        Raises:
            JournalError: A record does not match its hash, or its kind is unknown; the text names it.
        """
        for entry in self.entries(after_seq):
            yield Record(seq=entry.seq, at=entry.at, kind=entry.kind, fact=self.decode(entry))

    def decode(self, entry: Entry) -> Dated:
        """The fact of a verified record.

        Raises:
            JournalError: Its kind is unknown or its body does not fit; the text names the record.
        """
        try:
            return self._codec.decode(entry.kind, entry.body)
        except JournalError as error:
            raise JournalError(f"record {entry.seq} of {self._path}: {error}") from error

    def verify(self) -> VerifyResult:
        """Read and check everything on the disk again; changes nothing.

        Raises:
            JournalError: The disk fails.
        """
        return recover.survey(self._database).result

    # -- opening and closing -------------------------------------------------------------------------------------

    def close(self) -> None:
        """Write what waits and let the next writer in; again is harmless.

        Raises:
            JournalError: What waited could not be written; it is lost with this process.
        """
        try:
            if not self._failure:
                self.flush()
                if self._waiting:
                    raise JournalFull(
                        f"no space left: {len(self._waiting)} records since {self._head[0]} could not be written to "
                        f"{self._path}"
                    )
        finally:
            self._failure = self._failure or "the journal is closed"
            self._waiting.clear()
            self._database.close()
            self._lock.release()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- the small hands -----------------------------------------------------------------------------------------

    def _guard(self) -> None:
        if self._failure:
            raise JournalError(self._failure)

    def _chain(self, facts: Sequence[Dated]) -> list[Row]:
        """The rows of new facts; checks that each will be read back as the fact it was."""
        seq, before = (self._waiting[-1].seq, self._waiting[-1].hash) if self._waiting else self._head
        rows: list[Row] = []
        for fact in facts:
            kind, body = self._codec.encode(fact)
            if self._codec.decode(kind, body) != fact:
                raise JournalError(f"fact {kind} at {fact.at!r} would not be read back the same: {body!r}")
            row = forge(before, seq := seq + 1, float(fact.at), kind, body)
            before = row.hash
            rows.append(row)
        return rows

    def _settle(self) -> None:
        """Write what waits, making room if need be."""
        if self._in_ram:
            self._drain()
        elif self._write_somehow(self._waiting):
            self._waiting.clear()
        else:
            raise JournalFull(f"disk full: the journal at {self._path} stands at record {self._head[0]}")

    def _drain(self) -> None:
        """Degraded: write piece by piece as far as there is room; the rest stays in RAM."""
        began_with = len(self._waiting)
        for _ in range(0, _DRAIN_ROWS, GROUP_ROWS):
            piece = self._waiting[:GROUP_ROWS]
            if not self._write_somehow(piece):
                break
            del self._waiting[: len(piece)]
        self._in_ram = bool(self._waiting)
        held = sum(len(row.body) for row in self._waiting)
        if held > self._held_bytes_max and len(self._waiting) == began_with:
            raise JournalFull(
                f"disk full since record {self._head[0]}, and RAM may hold {self._held_bytes_max} bytes, not {held}"
            )

    def _write_somehow(self, rows: Sequence[Row]) -> bool:
        """Write rows; when there is no room, shrink the log, then release the reserve, and try again each time."""
        if self._write(rows):
            return True
        database.shrink_log(self._database)
        if self._write(rows):
            return True
        if not self._reserve.release():
            return False
        database.limit_log(self._database, short=True)
        return self._write(rows)

    def _write(self, rows: Sequence[Row]) -> bool:
        """Commit rows in one transaction; False when there is no room, and then nothing of them is on the disk."""
        if not rows:
            return True
        try:
            self._database.execute("BEGIN IMMEDIATE")
            with self._database:  # COMMIT, or ROLLBACK when anything goes wrong
                self._database.executemany(database.INSERT, rows)
        except sqlite3.Error as error:
            if is_full(error):
                return False
            # After a failed fsync nobody knows what is on the disk; only reading it again from the start tells.
            self._failure = f"the journal failed after record {self._head[0]} and writes no more: {error}"
            raise JournalError(self._failure) from error
        self._head = (rows[-1].seq, rows[-1].hash)
        return True

    def _row_at(self, seq: int) -> tuple[int, bytes]:
        """(seq, hash) of the last row at or before `seq`."""
        if seq < 0:
            raise MisuseError(f"a journal has no record {seq}")
        row = self._database.execute(
            "SELECT seq, hash FROM record WHERE seq <= ? ORDER BY seq DESC LIMIT 1", (seq,)
        ).fetchone()
        return (row[0], row[1]) if row else (0, GENESIS)
