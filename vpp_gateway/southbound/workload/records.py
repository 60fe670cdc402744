"""What a lever must not forget when it is killed: its orders, the highest fence, how long things took.

The record of an order is written before the first hand moves, so that after a SIGKILL at any moment the next life
knows what was meant and can finish it:

    prepared --commit--> ramping --> active --rollback--> returning --> returned
                            |                                 ^
                            +--- failed on the way (failure) --+------> failed      nothing of it remains
"""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from pydantic import TypeAdapter, ValidationError

from vpp_gateway.domain.instruction import SiteId
from vpp_gateway.domain.order import OrderId, ShiftOrder, ShiftState
from vpp_gateway.errors import JournalError
from vpp_gateway.southbound.workload.levers import JobId, JobState

CLOSED = (ShiftState.RETURNED, ShiftState.FAILED)
_CLOSED_KEPT = 200
_TIMES_KEPT = 21


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One job of an order."""

    job: JobId
    was: JobState
    """Its state before the order; where rollback brings it back to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One order as the lever keeps it."""

    order: ShiftOrder
    """With its last verb."""
    kind: str
    """cap | pause | absorb | move"""
    source: SiteId
    destination: SiteId | None
    """Of a move."""
    parts: tuple[Part, ...]
    state: ShiftState
    begun: bool = False
    """Committed at least once: there may be something to undo."""
    reason: str = ""
    failure: str = ""
    """Why it is being undone, when not by a rollback; it then ends FAILED."""
    share: float | None = None
    """Of a cap: what it leaves of each job's usual duty."""

    @property
    def open(self) -> bool:
        return self.state not in CLOSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """All that is remembered. A value: every change makes a new one, and is saved before it counts."""

    fence: int = 0
    records: dict[OrderId, Record] = field(default_factory=dict)
    times_s: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """Last durations by name (cap, pause, resume, start, move, leave, downtime)."""

    def with_record(self, record: Record) -> Book:
        """The book with this record in its newest form, the oldest closed ones forgotten."""
        records = {**self.records, record.order.id: record}
        closed = [id for id, kept in records.items() if not kept.open]
        for id in closed[: max(len(closed) - _CLOSED_KEPT, 0)]:
            del records[id]
        return replace(self, records=records, fence=max(self.fence, record.order.fence))

    def with_time(self, name: str, seconds: float) -> Book:
        """The book with one more measured duration."""
        times = (*self.times_s.get(name, ()), seconds)[-_TIMES_KEPT:]
        return replace(self, times_s={**self.times_s, name: times})

    def median_s(self, name: str, default_s: float) -> float:
        """Median of the measured durations; `default_s` before the first."""
        times = self.times_s.get(name)
        return statistics.median(times) if times else default_s


class Ledger(Protocol):
    """Where a book is kept."""

    def load(self) -> Book: ...

    def save(self, book: Book) -> None:
        """Durable when it returns."""
        ...


class MemoryLedger:
    """Outlives the lever but not the process: for virtual time."""

    def __init__(self) -> None:
        self._book = Book()

    def load(self) -> Book:
        return self._book

    def save(self, book: Book) -> None:
        self._book = book


_BOOK: TypeAdapter[Book] = TypeAdapter(Book)


class FileLedger:
    """A file replaced as a whole: temporary file, fsync, rename, fsync of the folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Book:
        """The book; empty when there is no file. Raises JournalError when the file cannot be read."""
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return Book()
        try:
            return _BOOK.validate_json(text)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            raise JournalError(
                f"{self._path}: not a book of orders: {fault['msg']} at {fault['loc']}; "
                "check which jobs run, then remove the file"
            ) from error

    def save(self, book: Book) -> None:
        replace_file(self._path, _BOOK.dump_json(book), durable=True)


def replace_file(path: Path, content: bytes, *, durable: bool) -> None:
    """Replace a file so that a reader sees the old or the new content, never a part.

    Args:
        path: the file.
        content: its new content.
        durable: also survive a power loss; without it only a kill of this process.
    """
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    temporary.replace(path)
    if durable:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
