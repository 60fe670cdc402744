"""The control socket: the CLI's reads and the operator's acts, for the user who runs the gateway and nobody else.

A Unix socket in the state directory with mode 0600: the file system is the access control. One JSON line asks, one
JSON line answers, then the connection ends (`ask.py` is the other side). `get` reads, `capacity` computes step by step
(`capacity.py`); `do` is an act on a connection to a utility (`operator.py`). What is ordered of the sites comes by
instruction or by the settings file alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from vpp_gateway.catalogue import Told
from vpp_gateway.console.api import EventsReply
from vpp_gateway.console.capacity import Capacities, CapacityAsk
from vpp_gateway.console.operator import Acts, Do
from vpp_gateway.console.source import StatusSource
from vpp_gateway.console.status import View
from vpp_gateway.errors import ConfigError, GatewayError, MisuseError

SOCKET_NAME = "control.sock"
PATH_MAX_BYTES = 107
"""Linux: sizeof(sun_path) less the closing zero."""
LINE_MAX_BYTES = 65536
WAIT_S = 5.0
CAPACITY_WAIT_S = 60.0
CAPACITY = re.compile(rb'"get"\s*:\s*"capacity"')


class Request(BaseModel):
    """One question."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    get: Literal["status", "events", "event"]
    id: str = ""
    """Event id, for `event` alone."""


@asynccontextmanager
async def serve_control(
    source: StatusSource, state_dir: Path, acts: Acts | None = None, capacities: Capacities | None = None
) -> AsyncIterator[Path]:
    """Answer on `state_dir/control.sock` during the block; yields the path.

    Args:
        acts: Carries out `do`; None = this gateway only answers questions.
        capacities: Answers `capacity`; None = it cannot be asked here.

    Raises:
        ConfigError: the path is too long for a socket, or cannot be written.
        MisuseError: another gateway answers there already.
    """
    path = state_dir / SOCKET_NAME
    listener = _bind(path)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _serve_one(source, acts, capacities, reader, writer)

    server = await asyncio.start_unix_server(answer, sock=listener, limit=LINE_MAX_BYTES)
    try:
        yield path
    finally:
        server.close()
        await server.wait_closed()
        path.unlink(missing_ok=True)


def _bind(path: Path) -> socket.socket:
    """A listening-ready socket at `path`, 0600 from its first moment."""
    if len(os.fsencode(path)) > PATH_MAX_BYTES:
        raise ConfigError(
            f"control socket {path}: longer than {PATH_MAX_BYTES} bytes; choose a shorter state directory"
        )
    _clear_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o177)
    try:
        listener.bind(str(path))
    except OSError as failure:
        listener.close()
        raise ConfigError(f"control socket {path}: {failure.strerror or failure}") from failure
    finally:
        os.umask(umask)
    return listener


def _clear_stale(path: Path) -> None:
    """Remove the socket of a gateway that died; a living one is left alone."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        except OSError as failure:
            raise ConfigError(f"control socket {path}: {failure.strerror or failure}") from failure
        else:
            raise MisuseError(f"another gateway answers on {path}; stop it, or use another state directory")


async def _serve_one(
    source: StatusSource,
    acts: Acts | None,
    capacities: Capacities | None,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    try:
        async with asyncio.timeout(WAIT_S):
            line = await _line(reader)
        async with asyncio.timeout(WAIT_S if line is None or not CAPACITY.search(line) else CAPACITY_WAIT_S):
            writer.write(await _answer(source, acts, capacities, line))
            await writer.drain()
    except (TimeoutError, ConnectionError):
        writer.transport.abort()  # who asks and does not listen is not worth a log line
    finally:
        writer.close()


async def _line(reader: asyncio.StreamReader) -> bytes | None:
    """The question; None when it is too long."""
    try:
        return await reader.readline()
    except ValueError:
        return None


async def _answer(
    source: StatusSource, acts: Acts | None, capacities: Capacities | None, line: bytes | None
) -> bytes:
    if line is None:
        return _refuse(f"a request line is at most {LINE_MAX_BYTES} bytes long")
    act = acts is not None and b'"do"' in line
    try:
        if act and acts is not None:
            return _do(acts, Do.model_validate_json(line))
        if capacities is not None and CAPACITY.search(line):
            return await _capacity(capacities, CapacityAsk.model_validate_json(line))
        request = Request.model_validate_json(line)
    except ValidationError as failure:
        found = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'line'}: {item['msg']}" for item in failure.errors()
        )
        wanted = '{"do": "register" | ...}' if act else '{"get": "status" | "events" | "event", "id": ...}'
        return _refuse(f"expected {wanted}: {found}")
    return _read(source, request)


async def _capacity(capacities: Capacities, ask: CapacityAsk) -> bytes:
    """Computed step by step: the loop goes on between them."""
    try:
        pieces = capacities.prepare(ask)
    except GatewayError as refusal:
        return _refuse_told(refusal)
    reply = []
    for piece in pieces:
        reply.append(piece)
        await asyncio.sleep(0)
    return b'{"ok":true,"reply":' + "".join(reply).encode() + b"}\n"


def _do(acts: Acts, request: Do) -> bytes:
    """Carry out an act; a refusal goes back with its code, so that the asker can say it in his language."""
    try:
        told = acts.do(request)
    except GatewayError as refusal:
        return _refuse_told(refusal)
    return json.dumps({"ok": True, "reply": dict(told)}).encode() + b"\n"


def _read(source: StatusSource, request: Request) -> bytes:
    status = source.status()
    match request.get:
        case "status":
            return _grant(status)
        case "events":
            return _grant(EventsReply(events=status.events))
        case "event":
            for event in status.events:
                if event.id == request.id:
                    return _grant(event)
            known = ", ".join(event.id for event in status.events) or "none"
            return _refuse(f"no event {request.id!r}; known: {known}")


def _grant(view: View) -> bytes:
    return b'{"ok":true,"reply":' + view.model_dump_json().encode() + b"}\n"


def _refuse_told(refusal: GatewayError) -> bytes:
    """With its code where it has one."""
    if not isinstance(refusal, Told):
        return _refuse(str(refusal))
    values = {"code": refusal.code, "values": refusal.values}
    return json.dumps({"ok": False, "error": str(refusal), **values}).encode() + b"\n"


def _refuse(text: str) -> bytes:
    return json.dumps({"ok": False, "error": text}).encode() + b"\n"
