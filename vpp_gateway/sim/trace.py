"""A digest of what happened: the proof that two runs were the same."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable


class Trace:
    """A digest of everything that matters in a run: two runs are the same if their digests are.

    Args:
        now: virtual time, for instance `loop.time`.
        keep: how many of the last records to hold for comparing two runs; 0 holds none.
    """

    def __init__(self, now: Callable[[], float], keep: int = 0) -> None:
        self._now = now
        self._digest = hashlib.sha256()
        self._last: deque[tuple[float, str, str]] = deque(maxlen=keep)
        self.count = 0
        """Records so far."""

    def add(self, kind: str, text: str) -> None:
        """Record that `kind` happened now; `text` says what, without anything that differs between runs."""
        record = (round(self._now(), 6), kind, text)
        self._digest.update(json.dumps(record, separators=(",", ":")).encode() + b"\n")
        self._last.append(record)
        self.count += 1

    def hexdigest(self) -> str:
        """SHA-256 over all records so far, hexadecimal."""
        return self._digest.hexdigest()

    def last(self) -> tuple[tuple[float, str, str], ...]:
        """The records kept: (virtual time, kind, text), oldest first."""
        return tuple(self._last)
