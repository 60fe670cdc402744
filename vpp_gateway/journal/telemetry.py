"""Raw samples: evidence for reports and curves, not authority. A file of its own, so that it can never harm the journal.

    append(at, {"dc1/import_w": 1.2e6, …})  ->  buffer of `BATCH_ROWS` seconds  ->  one transaction

One row is one second: the names of its series stand once in `layout`, the values are packed doubles beside `at`.
WAL with `synchronous=NORMAL`: COMMIT does not wait for the disk. `kill -9` loses at most the buffer (the last
`BATCH_ROWS` seconds); a power cut loses what was committed since the last checkpoint as well, and never corrupts.

Names are `<site>/import_w`, `<site>/modelled` (1 = no meter hardware behind the number), `<site>/pv_w` where a PV
meter is believed, and `<site>/<device>/discharge_w` and `…/soc`. With a check meter also `<site>/check_import_w`, what it says, and
`<site>/checked` (1 = the meter failed and the check meter is followed).
"""

from __future__ import annotations

import json
import math
import os
import shutil
import sqlite3
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType

from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.reading import SiteReading, Snapshot
from vpp_gateway.errors import JournalError, MisuseError
from vpp_gateway.journal.reserve import RESERVE_BYTES

BATCH_ROWS = 10
"""So many seconds are written together."""
BUFFER_ROWS_MAX = 3600
"""So many seconds are kept while the disk is full; then the oldest go, and `problem` counts them."""
KEEP_FREE_BYTES = 2 * RESERVE_BYTES
"""Telemetry stops writing below so much free room: what is left on a full disk is the journal's."""
FORGET_ROWS = 3600
"""So many seconds are deleted in one call of `forget`."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS layout (id INTEGER PRIMARY KEY, names TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS second (at REAL PRIMARY KEY, layout INTEGER NOT NULL, samples BLOB NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Measured import of one second; the same fields as a session's `UsageSample`."""

    at: float
    """UTC (Unix s), start of the second."""
    import_w: float
    modelled: bool = False
    checked: bool = False
    """By the check meter of a site whose meter failed."""


def is_checked(row: Mapping[str, float], site: SiteId) -> bool:
    """In this second the check meter of the site is followed."""
    return row.get(f"{site}/checked", 0.0) != 0.0


def believed_w(row: Mapping[str, float], site: SiteId) -> float | None:
    """Import of the site in one stored second by the meter that is followed, W; None where it is not known."""
    return row.get(f"{site}/check_import_w" if is_checked(row, site) else f"{site}/import_w")


def series_of(snapshot: Snapshot) -> dict[str, float]:
    """The samples of one process image, by name. A site without a trusted meter has no `import_w`."""
    series: dict[str, float] = {}
    for site in snapshot.sites:
        series.update(_series_of_site(site))
    return series


def _series_of_site(reading: SiteReading) -> Iterator[tuple[str, float]]:
    if reading.meter is not None:
        yield f"{reading.site}/import_w", reading.meter.import_w
        yield f"{reading.site}/modelled", float(reading.meter.modelled)
    for battery in reading.batteries:
        yield f"{reading.site}/{battery.device}/discharge_w", battery.discharge_w
        yield f"{reading.site}/{battery.device}/soc", battery.soc


class TelemetryStore:
    """Seconds of samples by time. Open it with `TelemetryStore.open`; use it as a context manager."""

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        sites: Sequence[SiteId],
        keep_free_bytes: int,
        problem: str,
    ) -> None:
        self._path = path
        self._keep_free_bytes = keep_free_bytes
        self._database = connection
        self._sites = tuple(sites)
        self._opening_problem = problem
        self._write_problem = ""
        self._dropped = 0
        self._buffer: list[tuple[float, int, bytes]] = []
        self._ids: dict[tuple[str, ...], int] = {}
        self._names: dict[int, tuple[str, ...]] = {}

    @classmethod
    def open(
        cls, path: Path, sites: Sequence[SiteId], *, keep_free_bytes: int = KEEP_FREE_BYTES
    ) -> TelemetryStore:
        """Open or create `<state_dir>/telemetry.db` (0600); a damaged file is set aside and a new one begun.

        Args:
            path: The file; its directory is made (0700) if it is missing.
            sites: The sites of the portfolio, which `usage(None, …)` sums.
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
                problem = f"telemetry was damaged ({error}) and set aside as {_set_aside(path).name}"
                connection = _connect(path)
        except (OSError, sqlite3.Error) as error:
            raise JournalError(f"telemetry cannot be opened at {path}: {error}") from error
        return cls(path, connection, sites, keep_free_bytes, problem)

    @property
    def problem(self) -> str:
        """What the operator must know, in words; empty when all is well."""
        dropped = f"{self._dropped} seconds of telemetry were dropped" if self._dropped else ""
        return "; ".join(filter(None, (self._write_problem, dropped, self._opening_problem)))

    def append(self, at: float, series: Mapping[str, float]) -> None:
        """Take the samples of one second; every tenth call writes. Never raises for the disk's sake.

        Args:
            at: UTC (Unix s); a second that is there already is replaced.
            series: Value by name, W or share as the name says.

        Raises:
            MisuseError: A value is NaN or infinite.
        """
        values = tuple(series.values())
        if not (math.isfinite(at) and all(map(math.isfinite, values))):
            raise MisuseError(f"telemetry at {at!r} holds a value that is no number: {dict(series)!r}")
        try:
            layout = self._layout(tuple(series))
        except sqlite3.Error as error:
            self._write_problem = f"telemetry is not written: {error}"
            self._dropped += 1
            return
        self._buffer.append((at, layout, struct.pack(f"<{len(values)}d", *values)))
        if len(self._buffer) % BATCH_ROWS == 0:
            self.flush()

    def flush(self) -> None:
        """Write the buffer; when the disk refuses, keep it (bounded) and say so in `problem`."""
        try:
            if shutil.disk_usage(self._path.parent).free < self._keep_free_bytes:
                raise OSError("the disk is nearly full, and what is left is the journal's")
            self._database.execute("BEGIN IMMEDIATE")
            with self._database:
                self._database.executemany("INSERT OR REPLACE INTO second VALUES (?, ?, ?)", self._buffer)
        except (OSError, sqlite3.Error) as error:
            self._write_problem = f"telemetry is not written: {error}"
            surplus = max(0, len(self._buffer) - BUFFER_ROWS_MAX)
            del self._buffer[:surplus]
            self._dropped += surplus
        else:
            self._write_problem = ""
            self._buffer.clear()

    def usage(self, site: SiteId | None, since: float, until: float) -> Sequence[Usage]:
        """Measured import in [since, until), in time order, by the meter that was followed.

        Args:
            site: One site, or None for the sum of all; a second in which any site lacks its sample has no sum and
                is left out.
            since: UTC (Unix s).
            until: UTC (Unix s).

        Raises:
            JournalError: The file cannot be read.
        """
        sites = self._sites if site is None else (site,)
        found = []
        for at, row in self.seconds(since, until):
            values = [believed_w(row, one) for one in sites]
            known = [value for value in values if value is not None]
            if sites and len(known) == len(values):
                modelled = any(row.get(f"{one}/modelled", 0.0) != 0.0 for one in sites)
                checked = any(is_checked(row, one) for one in sites)
                found.append(Usage(at=at, import_w=sum(known), modelled=modelled, checked=checked))
        return found

    def seconds(self, since: float, until: float) -> Iterator[tuple[float, Mapping[str, float]]]:
        """All samples in [since, until), second by second in time order, buffered ones included.

        Raises:
            JournalError: The file cannot be read.
        """
        late = sorted(
            row for row in {row[0]: row for row in self._buffer}.values() if since <= row[0] < until
        )
        renewed = {row[0] for row in late}
        try:
            stored = self._database.execute(
                "SELECT at, layout, samples FROM second WHERE at >= ? AND at < ? ORDER BY at", (since, until)
            ).fetchall()
            rows = sorted([*(row for row in stored if row[0] not in renewed), *late])
            for at, layout, samples in rows:
                names = self._names_of(layout)
                yield at, dict(zip(names, struct.unpack(f"<{len(names)}d", samples), strict=True))
        except (sqlite3.Error, struct.error, ValueError, TypeError) as error:
            raise JournalError(f"telemetry cannot be read: {error}") from error

    def forget(self, before: float) -> int:
        """Delete seconds before `before` (UTC, Unix s), at most `FORGET_ROWS`; returns how many. Repeat until 0.

        Raises:
            JournalError: The file cannot be written.
        """
        try:
            return self._database.execute(
                "DELETE FROM second WHERE at IN (SELECT at FROM second WHERE at < ? ORDER BY at LIMIT ?)",
                (before, FORGET_ROWS),
            ).rowcount
        except sqlite3.Error as error:
            raise JournalError(f"old telemetry cannot be deleted: {error}") from error

    def close(self) -> None:
        """Write the buffer and close."""
        self.flush()
        self._database.close()

    def __enter__(self) -> TelemetryStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _layout(self, names: tuple[str, ...]) -> int:
        """Number of the layout with these names, in this order; a new one is stored at once."""
        if names not in self._ids:
            text = json.dumps(names)
            self._database.execute("INSERT OR IGNORE INTO layout (names) VALUES (?)", (text,))
            found = self._database.execute("SELECT id FROM layout WHERE names = ?", (text,)).fetchone()
            self._ids[names] = int(found[0])
        return self._ids[names]

    def _names_of(self, layout: int) -> tuple[str, ...]:
        if layout not in self._names:
            found = self._database.execute("SELECT names FROM layout WHERE id = ?", (layout,)).fetchone()
            if found is None:
                raise ValueError(f"layout {layout} is missing")
            self._names[layout] = tuple(json.loads(found[0]))
        return self._names[layout]


def _connect(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, timeout=1.0)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint = 256")  # small checkpoints: each waits for the disk
        connection.executescript(_SCHEMA)
        connection.execute("SELECT count(*) FROM layout").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _set_aside(path: Path) -> Path:
    names = (f"{path.stem}.bad{f'-{n}' if n else ''}{path.suffix}" for n in count())
    aside = next(candidate for name in names if not (candidate := path.with_name(name)).exists())
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return aside
