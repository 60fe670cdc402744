"""The processes of this machine, as /proc shows them: who lives below whom."""

from __future__ import annotations

from pathlib import Path


def command_line(pid: int) -> tuple[str, ...]:
    """Words of a process's command line; nothing when it is gone."""
    try:
        return tuple(Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0"))
    except OSError:
        return ()


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and is not yet reaped does not."""
    return _stat(pid) not in (None, "Z")


def descendants(pid: int) -> list[int]:
    """All living processes below `pid`, nearest first."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and (parent := _parent(int(path.name))) is not None:
            parents.setdefault(parent, []).append(int(path.name))
    found, queue = [], [pid]
    while queue:
        children = parents.get(queue.pop(0), [])
        found += children
        queue += children
    return [each for each in found if alive(each)]


def _fields(pid: int) -> list[str]:
    try:
        # The name in brackets may hold anything; what follows the last bracket is plain.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _stat(pid: int) -> str | None:
    fields = _fields(pid)
    return fields[0] if fields else None


def _parent(pid: int) -> int | None:
    fields = _fields(pid)
    return int(fields[1]) if fields else None
