"""A process of the demo's outside world, steered by JSON lines."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vpp_gateway.errors import PeerError

START_S = 60.0
ASK_S = 10.0
LINE_MAX_BYTES = 4 * 1024 * 1024


class Child:
    """One child: lines out of it are kept as `news`, lines into it are commands.

    Args:
        name: For messages to the user.
        arguments: After `python -m`.
        log: File that takes its stderr.
    """

    def __init__(self, name: str, arguments: Sequence[str], log: Path) -> None:
        self.name, self._arguments, self._log = name, tuple(arguments), log
        self.news: deque[dict[str, Any]] = deque(maxlen=100_000)
        self._stirred = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def start(self, group: asyncio.TaskGroup) -> None:
        """Start it; its output is read in `group`."""
        with self._log.open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                *self._arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                limit=LINE_MAX_BYTES,
            )
        self._reader = group.create_task(self._read(), name=f"read {self.name}")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        while line := await self._process.stdout.readline():
            with contextlib.suppress(json.JSONDecodeError):
                self.news.append(json.loads(line))
                self._stirred.set()
        self._stirred.set()

    async def expect(self, key: str, timeout_s: float = START_S) -> dict[str, Any]:
        """The first line that has `key`; it is taken out of `news`.

        Raises:
            PeerError: the child ended or was silent; the text names its log.
        """
        assert self._process is not None
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    for line in list(self.news):
                        if key in line:
                            self.news.remove(line)
                            return line
                    if self._reader is not None and self._reader.done():
                        raise PeerError(f"{self.name} ended; its log is {self._log}")
                    self._stirred.clear()
                    await self._stirred.wait()
        except TimeoutError:
            raise PeerError(
                f"{self.name} did not say {key!r} within {timeout_s:g} s; its log is {self._log}"
            ) from None

    def tell(self, command: dict[str, Any]) -> None:
        """Write one command; what becomes of it is in `news`."""
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")

    async def ask(self, command: dict[str, Any], key: str = "ok") -> dict[str, Any]:
        """One command and its answer."""
        self.tell(command)
        return await self.expect(key, ASK_S)

    def pause(self, paused: bool) -> None:
        """SIGSTOP or SIGCONT: it keeps its sockets and says nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP if paused else signal.SIGCONT)

    async def stop(self, grace_s: float = 5.0) -> None:
        """SIGTERM, then SIGKILL."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
                process.send_signal(signal.SIGCONT)
            try:
                async with asyncio.timeout(grace_s):
                    await process.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
