"""One question to the running gateway, from the command line: a Unix socket, a JSON line there, a JSON line back.

    {"get": "status"}                      -> {"ok": true, "reply": {...}}
    {"get": "event", "id": "tso/EV-1"}     -> {"ok": false, "error": "no event 'tso/EV-1'; known: ..."}
    {"do": "opt", "event": "EV-1", ...}    -> {"ok": true, "reply": {...}}

Imports nothing but the standard library and the error tree: `vpp-gateway status` must start at once.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path

from vpp_gateway.errors import GatewayError, PeerError

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None

REPLY_MAX_BYTES = 16 * 1024 * 1024


class NotRunning(GatewayError):
    """No gateway listens on this socket."""


class NotAllowed(GatewayError):
    """The socket belongs to somebody else."""


class Declined(GatewayError):
    """The gateway understood and said no; the text is its own.

    Args:
        code: key of the text in the catalogue, empty where it has none.
        values: fill the text's placeholders.
    """

    def __init__(self, text: str, code: str = "", values: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.values = dict(values or {})


def ask(path: Path, request: Mapping[str, Json], timeout_s: float = 5.0) -> dict[str, Json]:
    """Ask the gateway that listens on `path`.

    Args:
        path: its control socket, in the state directory of the settings.
        request: `{"get": "status"}`, `{"get": "events"}`, `{"get": "event", "id": ...}` or `{"do": VERB, ...}`.
        timeout_s: for each step: connecting, and every wait for bytes.

    Raises:
        NotRunning: there is no socket, or nobody listens.
        NotAllowed: this user may not talk to it.
        Declined: the gateway refused the request.
        PeerError: it did not answer in time, or with something else than a reply.
    """
    line = json.dumps(dict(request)).encode() + b"\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(path))
            connection.sendall(line)
            answer = _read_line(connection)
    except (FileNotFoundError, ConnectionRefusedError) as failure:
        raise NotRunning(
            f"no gateway is running here: nobody listens on {path}. "
            "Start it with `vpp-gateway run`, or name its settings file."
        ) from failure
    except PermissionError as failure:
        raise NotAllowed(
            f"no permission to talk to {path}: only the user who runs the gateway may (for instance `sudo -u USER`)"
        ) from failure
    except TimeoutError as failure:
        raise PeerError(f"the gateway on {path} did not answer within {timeout_s:g} s") from failure
    except OSError as failure:
        raise PeerError(f"the gateway on {path} cannot be asked: {failure.strerror or failure}") from failure
    return _reply(answer, path)


def _read_line(connection: socket.socket) -> bytes:
    """All bytes up to the end of the connection, at most REPLY_MAX_BYTES."""
    pieces: list[bytes] = []
    size = 0
    while size <= REPLY_MAX_BYTES and (piece := connection.recv(65536)):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def _reply(answer: bytes, path: Path) -> dict[str, Json]:
    try:
        parsed: Json = json.loads(answer)
    except ValueError as failure:
        raise PeerError(f"{path}: a JSON line was expected, {len(answer)} other bytes came") from failure
    match parsed:
        case {"ok": True, "reply": dict(reply)}:
            return reply
        case {"ok": False, "error": str(text), "code": str(code), "values": dict(values)}:
            raise Declined(text, code, {name: str(value) for name, value in values.items()})
        case {"ok": False, "error": str(text)}:
            raise Declined(text)
        case _:
            raise PeerError(f"{path}: neither a reply nor an error came")
