"""Disk full: a little room kept back, and the word for when even that is gone.

    full  ->  release the reserve, try again  ->  still full  ->  JournalFull
                                                                   the engine may continue in RAM (store.py)
    room returned  ->  the reserve is laid down again

The reserve is an allocated file beside the journal. It buys time (4 MiB hold half an hour of readings, or thousands
of instructions), not safety: the operator must be told as soon as it is released.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

from vpp_gateway.errors import JournalError

RESERVE_BYTES = 4 * 1024 * 1024


class JournalFull(JournalError):
    """No room for the facts of this call, even after the reserve was released; none of them was taken."""


def is_full(error: sqlite3.Error) -> bool:
    """Whether the disk takes no more writes, and the transaction is undone for certain.

    SQLite says FULL for ENOSPC alone; an exhausted quota or file-size limit comes as a failed write. A failed fsync
    is not among them: after it nobody knows what is on the disk.
    """
    code = getattr(error, "sqlite_errorcode", None)
    return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE)


class Reserve:
    """The allocated file beside the journal.

    Args:
        path: Where it lies.
        size: Its size in bytes; 0 = none is kept.
    """

    def __init__(self, path: Path, size: int = RESERVE_BYTES) -> None:
        self._path = path
        self._size = size

    @property
    def missing(self) -> bool:
        """True while there should be a reserve and is none."""
        return self._size > 0 and not self._path.exists()

    def lay_down(self) -> None:
        """Allocate it if it is missing and the disk has twice its room; otherwise it stays missing."""
        if not self.missing or shutil.disk_usage(self._path.parent).free < 2 * self._size:
            return
        descriptor = os.open(self._path, os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, self._size)
        except OSError:  # somebody else took the room meanwhile: half a reserve would only hide that
            self._path.unlink()
        finally:
            os.close(descriptor)

    def release(self) -> bool:
        """Give the room back; False if there was none to give."""
        try:
            self._path.unlink()
        except FileNotFoundError:
            return False
        return True
