"""The repository as a set of files, for tests that judge the repository itself."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEXT = frozenset(
    {
        ".cfg",
        ".css",
        ".html",
        ".ini",
        ".json",
        ".md",
        ".py",
        ".sh",
        ".toml",
        ".ts",
        ".tsx",
        ".txt",
        ".yaml",
        ".yml",
    }
)


@cache
def files() -> tuple[Path, ...]:
    """Every file that is, or would be, under version control; in an unpacked sdist every file."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listing.returncode == 0:
        paths = [ROOT / name.decode() for name in listing.stdout.split(b"\0") if name]
    else:
        skipped = {".venv", "node_modules", "__pycache__", "static", "dist"}
        paths = [path for path in ROOT.rglob("*") if not skipped.intersection(path.parts)]
    return tuple(sorted(path for path in paths if path.is_file()))


def under(folder: str, *suffixes: str) -> tuple[Path, ...]:
    """Files below `folder` whose name ends in one of `suffixes`."""
    return tuple(path for path in files() if path.is_relative_to(ROOT / folder) and path.suffix in suffixes)


def texts() -> tuple[Path, ...]:
    """Files that are read by people: known text endings and files without any, such as Makefile."""
    return tuple(path for path in files() if path.suffix in TEXT or not path.suffix)


def shown(path: Path, line: int | None = None) -> str:
    """`path`, relative to the root, as an editor jumps to it."""
    name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
    return name if line is None else f"{name}:{line}"
