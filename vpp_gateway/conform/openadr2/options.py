"""What a run is asked for, and whether that can be had: judged before anything is played."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vpp_gateway.catalogue import Told
from vpp_gateway.conform.openadr2.procedure import Claim

LISTEN = "127.0.0.1:8080"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The command line; see `cli.conform`."""

    cases: tuple[str, ...] = ()
    folder: Path | None = None
    mutants: bool = False
    against: str = "own"
    listen: str | None = None
    cert: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    signed: bool = False
    ven_fingerprint: str | None = None
    claims: tuple[Claim, ...] = ()
    """What the VEN's owner says that it can do, beside pull and TELEMETRY_USAGE."""
    prompt_command: str | None = None
    poll_s: float = 1.0
    longest_s: float = 300.0
    """In real time: what takes longer is not applicable."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of `listen`. Raises Told."""
        found = self.listen or LISTEN
        host, _, port = found.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise Told("conform.listen", found=found)
        return host.removeprefix("[").removesuffix("]"), int(port)


def check(options: Options, reports: Iterable[Path | None] = ()) -> None:
    """Whether it all can be had; nothing is left out in silence.

    Args:
        reports: Files that are to be written.

    Raises:
        Told: Something is missing, does not fit, or cannot be written.
    """
    given = {
        "--listen": options.listen,
        "--cert": options.cert,
        "--key": options.key,
        "--ca": options.ca,
        "--signed": options.signed,
        "--ven-fingerprint": options.ven_fingerprint,
        "--claim": options.claims,
        "--prompt-command": options.prompt_command,
    }
    if options.against != "other" and (idle := [name for name, value in given.items() if value]):
        raise Told("conform.only_other", options=", ".join(idle))
    papers = ("--cert", "--key", "--ca")
    missing = [name for name in papers if not given[name]]
    if len(missing) < len(papers) and missing:
        raise Told("conform.papers", missing=", ".join(missing))
    if missing and options.signed:
        raise Told("conform.signed_without", missing=", ".join(missing))
    if options.ven_fingerprint and not options.signed:
        raise Told("conform.fingerprint_without")
    _ = options.address
    if options.prompt_command is not None:
        _operable(options.prompt_command)
    for file in reports:
        if file is not None:
            writable(file)


def _operable(command: str) -> None:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise Told("conform.prompt_command", found=command, why=str(error)) from None
    if not any("{verb}" in word for word in words):
        raise Told("conform.prompt_without_verb", found=command)
    if shutil.which(words[0]) is None:
        raise Told("conform.prompt_command", found=command, why=f"{words[0]}: No such file or directory")


def writable(file: Path) -> None:
    """Whether `file` can be written. Raises Told."""
    folder = file.parent
    if not folder.is_dir():
        raise Told("conform.unwritable", file=file, why=f"{folder}: No such directory")
    if not os.access(file if file.exists() else folder, os.W_OK):
        raise Told("conform.unwritable", file=file, why="Permission denied")


def write(file: Path, content: str) -> None:
    """Write a report. Raises Told."""
    try:
        file.write_text(content, encoding="utf-8")
    except OSError as error:
        raise Told("conform.unwritable", file=file, why=error.strerror or str(error)) from None
