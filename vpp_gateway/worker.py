"""A worker process that answers lines: one question a line in, one answer a line out, one at a time.

    ask -> (newest waits) -> stdin of the worker ... stdout -> answered
                              silent past its deadline, or ended: killed, the asker is told, started again

The control loop neither imports what the worker imports nor waits for it. `LineWorker` is the asker's end, `serve`
the worker's, and `line_of` what both write.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import structlog
from pydantic import TypeAdapter, ValidationError

LINE_MAX_BYTES = 16 * 1024 * 1024
WARM_UP_S = 60.0
"""The first line, by which a worker says that it is ready, may wait for its imports."""
FIRST_PAUSE_S, LAST_PAUSE_S = 0.1, 5.0
"""Before a worker that ended is started again; doubles while it answers nothing."""

Q = TypeVar("Q")
A = TypeVar("A")
T = TypeVar("T")
READY = b'"ready"\n'
log = structlog.get_logger()


def line_of(adapter: TypeAdapter[T], value: T) -> bytes:
    """One line of JSON without its end, with NaN and infinity by name: `dump_json` would write null, and the other side refuse it."""
    return json.dumps(adapter.dump_python(value, mode="json")).encode()


def serve(
    decode: Callable[[bytes], Q],
    answer: Callable[[Q], bytes],
    refuse: Callable[[str], bytes],
    read: Callable[[], bytes] | None = None,
    write: Callable[[bytes], None] | None = None,
) -> None:
    """The worker's end: say that it is ready, then one answer a line for one question a line, until stdin ends.

    Args:
        decode: A question from its line; a ValidationError is answered, too.
        answer: The line of the answer, without its end.
        refuse: The line that says why a question cannot be read.
        read: Instead of stdin: the next line, empty at its end.
        write: Instead of stdout.
    """
    read = read or sys.stdin.buffer.readline
    write = write or _say
    write(READY)
    while line := read():
        try:
            question = decode(line)
        except ValidationError as error:
            write(refuse(str(error)) + b"\n")
            continue
        write(answer(question) + b"\n")


def _say(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


class LineWorker(Generic[Q, A]):
    """Runs a worker process and talks to it.

    Args:
        name: For the log.
        command: How to start the worker.
        deadline_s: Longest wait for one answer.
        encode: A question as one line, without its end.
        decode: An answer from its line; a ValueError is as bad as no answer.
        answered: Takes each answer; it may ask at once.
        failed: Told of each question that got no answer, and why.
        loading: What the worker does before it is ready, in words.
    """

    def __init__(
        self,
        *,
        name: str,
        command: Sequence[str],
        deadline_s: float,
        encode: Callable[[Q], bytes],
        decode: Callable[[bytes], A],
        answered: Callable[[A], None],
        failed: Callable[[Q, str], None],
        loading: str,
    ) -> None:
        self._name, self._command, self._deadline_s = name, tuple(command), deadline_s
        self._encode, self._decode, self._answered, self._failed = encode, decode, answered, failed
        self._next: Q | None = None
        self._stirred = asyncio.Event()
        self.state, self.reason = "starting", loading
        self.pid: int | None = None
        self.restarts = -1
        self._served = False
        """This life of the worker has answered at least once."""

    def ask(self, question: Q) -> None:
        """Answer as soon as possible; replaces a question that still waits."""
        if self.state != "ready":
            self._failed(question, f"{self._name} {self.state}: {self.reason}")
            return
        self._next = question
        self._stirred.set()

    async def run(self) -> None:
        """Keep a worker alive until cancelled."""
        delay_s = FIRST_PAUSE_S
        while True:
            self.restarts += 1
            try:
                await self._life()
            except (OSError, ValidationError, ValueError, TimeoutError, EOFError) as error:
                self.state, self.reason = "down", f"{type(error).__name__}: {error}"
                log.warning(f"{self._name} worker down", reason=self.reason)
                delay_s = FIRST_PAUSE_S if self._served else delay_s
                waiting, self._next = self._next, None
                if waiting is not None:
                    self._failed(waiting, self.reason)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, LAST_PAUSE_S)

    async def _life(self) -> None:
        self._served = False
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_MAX_BYTES,
        )
        self.pid = process.pid
        assert process.stdin is not None and process.stdout is not None
        try:
            async with asyncio.timeout(WARM_UP_S):
                if not await process.stdout.readline():
                    raise EOFError("the worker ended while starting")
            self.state, self.reason = "ready", ""
            while True:
                await self._stirred_or_ended(process)
                self._stirred.clear()
                question, self._next = self._next, None
                if question is not None:
                    await self._one(process.stdin, process.stdout, question)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def _stirred_or_ended(self, process: asyncio.subprocess.Process) -> None:
        """Wait for work; a worker that ends meanwhile is noticed at once, not at the next question."""
        async with asyncio.TaskGroup() as group:
            ended = group.create_task(process.wait())
            stirred = group.create_task(self._stirred.wait())
            await asyncio.wait((ended, stirred), return_when=asyncio.FIRST_COMPLETED)
            over = ended.done()
            ended.cancel()
            stirred.cancel()
        if over:
            raise EOFError(f"the worker ended with {process.returncode}")

    async def _one(self, stdin: asyncio.StreamWriter, stdout: asyncio.StreamReader, question: Q) -> None:
        self._next = question  # still owed, should the worker die
        async with asyncio.timeout(self._deadline_s):
            stdin.write(self._encode(question) + b"\n")
            await stdin.drain()
            line = await stdout.readline()
        if not line:
            raise EOFError("the worker ended")
        answer = self._decode(line)
        if self._next is question:
            self._next = None
        self._served = True
        self._answered(answer)
