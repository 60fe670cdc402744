"""Subjects that are not ours: openleadr's VEN in its own process, and any VEN that its owner points at the harness."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from vpp_gateway.conform.openadr2.procedure import Procedure
from vpp_gateway.conform.openadr2.subject import NotPossible

END_S = 5.0
"""A process that is told to end has so long."""


class OpenLeadrVen:
    """openleadr's client, a fresh process for each procedure; real time."""

    claims = frozenset({"pull", "reports", "operator"})

    def __init__(self) -> None:
        self.name = f"openleadr {version('openleadr')} (VEN)"

    @asynccontextmanager
    async def running(self, procedure: Procedure, vtn_url: str) -> AsyncIterator[Believes]:
        """The process during the block."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "vpp_gateway.sim.ven_openleadr",
            "--vtn-url",
            vtn_url,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield Believes(process)
        finally:
            await _end(process)


class AnyVen:
    """A VEN that runs elsewhere and is pointed at the harness by its owner.

    Args:
        claims: What it can do, as its owner says.
        operator: Who does what a human is asked to do at it.
    """

    def __init__(self, name: str, claims: frozenset[str], operator: NobodyThere | Command) -> None:
        self.name = name
        self.claims = claims | (set() if isinstance(operator, NobodyThere) else {"operator"})
        self._operator = operator

    @asynccontextmanager
    async def running(self, procedure: Procedure, vtn_url: str) -> AsyncIterator[NobodyThere | Command]:
        """It is running already; where it can be told, it is reset to factory state and told to register."""
        if isinstance(self._operator, Command):
            await self._operator.prompt("reset", {})
        yield self._operator


class Believes:
    """openleadr's process: it can be asked what it believes of its events, and nothing else."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def prompt(self, verb: str, give: Mapping[str, Any]) -> Mapping[str, Any]:
        """`events` alone."""
        if verb != "events" or self._process.stdin is None or self._process.stdout is None:
            raise NotPossible(f"{verb}: openleadr's VEN has no such act")
        self._process.stdin.write(b"events\n")
        async with asyncio.timeout(END_S):
            line = await self._process.stdout.readline()
        answer = json.loads(line or b"{}")
        return answer if isinstance(answer, dict) else {}


class NobodyThere:
    """Nobody can be asked."""

    async def prompt(self, verb: str, give: Mapping[str, Any]) -> Mapping[str, Any]:
        """Never possible."""
        raise NotPossible(f"{verb}: nobody operates this VEN here")


class Command:
    """A command line that does it: `{verb}` and `{give}` (JSON) are filled in; prints JSON.

    What is given stands on its standard input as well. Exit code 0 = done, another = it cannot do that.
    """

    def __init__(self, template: str, timeout_s: float = 30.0) -> None:
        self._template = template
        self._timeout_s = timeout_s

    async def prompt(self, verb: str, give: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run it."""
        words = [
            word.replace("{verb}", verb).replace("{give}", json.dumps(dict(give)))
            for word in shlex.split(self._template)
        ]
        try:
            process = await asyncio.create_subprocess_exec(
                *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
        except OSError as error:
            raise NotPossible(f"{words[0]} {verb}: {error.strerror}") from None
        try:
            async with asyncio.timeout(self._timeout_s):
                out, _ = await process.communicate(json.dumps(dict(give)).encode())
        except TimeoutError:
            await _end(process)
            raise NotPossible(f"{words[0]} {verb}: no end within {self._timeout_s:g} s") from None
        if process.returncode:
            raise NotPossible(f"{words[0]} {verb}: exit code {process.returncode}")
        try:
            answer = json.loads(out or b"{}")
        except ValueError:
            raise NotPossible(f"{words[0]} {verb}: expected JSON, found {out[:80]!r}") from None
        return answer if isinstance(answer, dict) else {"answer": answer}


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(END_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
