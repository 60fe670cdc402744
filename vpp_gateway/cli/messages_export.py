"""Messages on record as one file to hand on: raw bodies, index.json, and SHA-256 sums of all of it."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from vpp_gateway.catalogue import Told

if TYPE_CHECKING:
    from vpp_gateway.journal.messages import OnRecord

INDEX, SUMS = "index.json", "SHA256SUMS"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The oldest date of a zip: the same record gives the same bytes."""


def export(where: Path, rows: Iterable[OnRecord], plain: Callable[[OnRecord], dict[str, object]]) -> int:
    """Write the file; returns how many messages are in it.

    Args:
        where: Must not exist.

    Raises:
        Told: it exists, or cannot be written.
    """
    if where.exists():
        raise Told("messages.exists", where=where)
    draft = where.with_name(f".{where.name}.part")
    try:
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
            count = _fill(archive, rows, plain)
        draft.replace(where)
    except OSError as error:
        raise Told("messages.unwritable", where=where, why=error.strerror or error) from None
    finally:
        draft.unlink(missing_ok=True)
    return count


def _fill(
    archive: zipfile.ZipFile, rows: Iterable[OnRecord], plain: Callable[[OnRecord], dict[str, object]]
) -> int:
    index: list[dict[str, object]] = []
    sums: list[str] = []

    def put(name: str, content: bytes) -> None:
        archive.writestr(zipfile.ZipInfo(name, _EPOCH), content)
        sums.append(f"{hashlib.sha256(content).hexdigest()}  {name}\n")

    for row in rows:
        name = f"messages/{row.id:08d}-{row.direction}-{row.name or 'unreadable'}.xml"
        put(name, row.body)
        index.append({**plain(row), "file": name})
    put(INDEX, json.dumps(index, indent=1, ensure_ascii=False).encode())
    archive.writestr(zipfile.ZipInfo(SUMS, _EPOCH), "".join(sums))
    return len(index)
