"""One writer: a lock that dies with its process."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from vpp_gateway.errors import JournalError


class JournalHeld(JournalError):
    """Another process writes the journal; it can be had when that process ends."""


class WriterLock:
    """An exclusive lock on a file that names the holder's pid; the kernel releases it when the process ends.

    Args:
        path: The lock file. It stays when the lock is released: removing it would let two processes lock two files
            of the same name.

    Raises:
        JournalHeld: Another process (or another journal object of this one) holds it; the text names its pid.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            raise JournalHeld(
                f"{path} is held by the process with pid {holder}: only one gateway may write a journal"
            ) from None
        # On a full disk the name may be missing; the lock itself holds all the same.
        with suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let the next writer in; again is harmless."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> WriterLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
