"""Standard output that cannot be written is an error of its own: one line on stderr, exit code 1, for every command.

A full disk behind `> file` shows only at the write, wherever a command stands just then, and as the same OSError as
a fault of its own files. So it is told apart where the bytes leave. A closed pipe (`| head -1`) stays what it is and
ends the command quietly, as click and rich do it.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vpp_gateway.catalogue import Lang, text
from vpp_gateway.errors import leaves

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

FAILED = 1


class Unwritable(Exception):
    """Standard output takes nothing.

    Args:
        why: the operating system's reason.
    """

    def __init__(self, why: str) -> None:
        self.why = why
        self.lang: Lang = "en"
        """The language in which it is told; whoever knows it sets it on the way."""
        super().__init__(why)


class _Out(io.FileIO):
    """The bytes' way out."""

    silent = False
    """What is still in a buffer after the error was told is dropped."""

    def write(self, said: ReadableBuffer) -> int:
        if self.silent:
            return memoryview(said).nbytes
        try:
            return super().write(said)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise Unwritable(error.strerror or str(error)) from error


class _Closed(io.RawIOBase):
    """Stands for a standard output that was closed by the caller (`>&-`): what is said fails, saying nothing does not."""

    silent = False

    def writable(self) -> bool:
        return True

    def write(self, said: ReadableBuffer) -> int:
        if self.silent:
            return memoryview(said).nbytes
        raise Unwritable(os.strerror(errno.EBADF))


@contextmanager
def watched_output() -> Iterator[None]:
    """Within it, a standard output that cannot be written ends the process as `Unwritable` is told: exit code 1."""
    # mypy holds sys.stdout for always there; it is None when the caller closed it
    given: io.TextIOWrapper | None = sys.stdout  # type: ignore[assignment]
    out: _Out | _Closed = _Closed() if given is None else _Out(given.fileno(), "w", closefd=False)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(out),
        encoding="utf-8" if given is None else given.encoding,
        errors="backslashreplace" if given is None else given.errors,
        line_buffering=given is not None and given.line_buffering,
        write_through=given is not None and given.write_through,
    )
    try:
        try:
            yield
        except BaseException as error:
            if lost := _lost(error):
                raise lost from None
            sys.stdout.flush()
            raise
        sys.stdout.flush()
    except Unwritable as lost:
        out.silent = True
        print(f"vpp-gateway: {text('cli.stdout', lost.lang, why=lost.why)}", file=sys.stderr)
        sys.exit(FAILED)
    except BrokenPipeError:
        out.silent = True
        sys.exit(FAILED)


def _lost(error: BaseException) -> Unwritable | None:
    """The lost output in an error, also in one of a group of tasks."""
    if isinstance(error, BaseExceptionGroup):
        return next((one for one in leaves(error) if isinstance(one, Unwritable)), None)
    return error if isinstance(error, Unwritable) else None
