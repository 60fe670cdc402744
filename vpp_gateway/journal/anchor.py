"""Head of the chain, kept outside the database: shows a cut tail or an older copy put back.

`journal.head` holds one line, `<seq> <hash>`, of a record that was committed before the line was written. So a
sound journal reaches at least that record, with that hash. Copy the file elsewhere as well (monitoring, syslog): who
puts a whole old directory back puts the old anchor back too.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_LINE = re.compile(r"(\d{1,18}) ([0-9a-f]{64})\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A record known to have been committed."""

    seq: int
    hash: bytes


def read(path: Path) -> Anchor | str | None:
    """The anchor; None when there is no file; or in words why the file says nothing."""
    try:
        line = path.read_text("ascii")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        return f"{path.name} cannot be read ({error})"
    match = _LINE.fullmatch(line)
    if match is None:
        return f"{path.name} is damaged: expected '<seq> <sha-256 hex>', found {line[:80]!r}"
    return Anchor(seq=int(match[1]), hash=bytes.fromhex(match[2]))


def write(path: Path, anchor: Anchor) -> None:
    """Replace the anchor durably: a power cut leaves the old or the new line, never half of one.

    Raises:
        OSError: It could not be written; the old anchor stands.
    """
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, f"{anchor.seq} {anchor.hash.hex()}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    new.replace(path)


def judge(anchor: Anchor | str | None, head_seq: int, hash_there: bytes | None) -> str:
    """What the anchor says of a chain, in words; empty when they agree.

    Args:
        anchor: What `read` found.
        head_seq: Last record of the chain.
        hash_there: Hash that the chain has at the anchor's record; None if that record was archived.
    """
    if anchor is None:
        return "journal.head is missing: a cut tail would not have been noticed" if head_seq else ""
    if isinstance(anchor, str):
        return anchor
    if head_seq < anchor.seq:
        return (
            f"the journal ends at record {head_seq}, but record {anchor.seq} was committed once: its tail was cut or "
            "an older copy put back; what happened since must be fetched again from the VTNs"
        )
    if hash_there not in (None, anchor.hash):
        return f"record {anchor.seq} is not the one that was committed once: another journal was put in place"
    return ""
