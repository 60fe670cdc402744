"""The hash chain: every record carries the hash of all that came before it.

    hash(n) = SHA-256( hash(n-1) ‖ version ‖ seq ‖ at ‖ kind ‖ body ),   hash(0) = 32 zero bytes

A flipped bit, a missing, doubled or moved record breaks the chain at that record, and nothing after it is trusted.
What a chain cannot see is a cut tail or an older copy put back; for that there is `anchor`.

Old readings leave the live file for an archive. One row per run stays in their place and bridges the chain:

    … n ─ [n+1 … m are in the archive; hash(n) -> hash(m)] ─ m+1 …

It is checked against hash(n) on its left by its own seal, and its hash(m) by record m+1 on its right.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import NamedTuple

from vpp_gateway.errors import JournalError

SCHEMA_VERSION = 1
"""Version of the record layout that is written; every record says its own."""
GENESIS = bytes(32)
"""Hash before the first record."""
BRIDGE = "journal.bridge"
"""Kind of the row that stands for records moved to the archive."""

_FRAME = struct.Struct(">32sBQdH")
_FIRST = struct.Struct(">Q")


class Row(NamedTuple):
    """One row of the table `record`; a NamedTuple because it goes to and comes from SQLite as it is."""

    seq: int
    version: int
    at: float
    kind: str
    body: bytes
    hash: bytes


class Broken(JournalError):
    """A record does not follow from those before it."""


class Newer(JournalError):
    """A sound record was written by a newer version of this program."""


def link(before: bytes, version: int, seq: int, at: float, kind: str, body: bytes) -> bytes:
    """Hash of a record that follows the hash `before`."""
    name = kind.encode()
    return sha256(b"".join((_FRAME.pack(before, version, seq, at, len(name)), name, body))).digest()


def forge(before: bytes, seq: int, at: float, kind: str, body: bytes) -> Row:
    """The row of a new record that follows the hash `before`."""
    return Row(seq, SCHEMA_VERSION, at, kind, body, link(before, SCHEMA_VERSION, seq, at, kind, body))


def bridge(before: bytes, first_seq: int, last: Row) -> Row:
    """The row that stands for the records from `first_seq` to `last`, of which the first follows `before`."""
    first = _FIRST.pack(first_seq)
    seal = link(before, last.version, last.seq, last.at, BRIDGE, first + last.hash)
    return Row(last.seq, last.version, last.at, BRIDGE, first + seal, last.hash)


def bridged_from(row: Row) -> int:
    """Sequence of the first record that a bridge stands for."""
    return int.from_bytes(row.body[: _FIRST.size], "big")


def follow(rows: Iterable[Row], seq: int = 0, before: bytes = GENESIS) -> Iterator[Row]:
    """The rows, each checked before it is handed on; `seq` and `before` are the record before the first.

    Raises:
        Broken: A row does not follow; the text names it.
        Newer: A row follows but has a layout that this version does not know.
    """
    for row in rows:
        _check(row, seq, before)
        seq, before = row.seq, row.hash
        yield row


def _check(row: Row, seq: int, before: bytes) -> None:
    if not _typed(row):
        raise Broken(f"record {seq + 1} has columns of a wrong type")
    is_bridge = row.kind == BRIDGE
    if (bridged_from(row) if is_bridge else row.seq) != seq + 1:
        raise Broken(f"record {seq + 1} is missing: record {row.seq} stands in its place")
    body, found = (row.body[:8] + row.hash, row.body[8:]) if is_bridge else (row.body, row.hash)
    if link(before, row.version, row.seq, row.at, row.kind, body) != found:
        raise Broken(f"record {row.seq} ({row.kind}) does not match its hash")
    if row.version > SCHEMA_VERSION:
        raise Newer(
            f"record {row.seq} has layout version {row.version}, this program knows up to {SCHEMA_VERSION}: "
            "start the newer program, or move the journal aside"
        )


def _typed(row: Row) -> bool:
    """Damage can change a column's type, whatever the schema says."""
    return (
        type(row.version) is int
        and 0 <= row.version < 256
        and type(row.at) is float
        and type(row.kind) is str
        and len(row.kind) < 256
        and type(row.body) is bytes
        and type(row.hash) is bytes
        and row.seq > 0
    )
