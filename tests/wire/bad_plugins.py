"""Programs that misbehave as plug-ins, for both transports.

In memory the host's transport runs the coroutine; as a process: `python -I -S bad_plugins.py MODE`. They use the
standard library alone and write the wire by hand, because the contract's own code would not let them be wrong.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable

Lines = AsyncIterator[bytes]
Write = Callable[[bytes], None]

OFFER = {
    "id": "bad/1",
    "plugin": "lever",
    "kind": "pause",
    "legs": [{"site": "tokyo1", "import_delta_w": -1000.0, "latency_s": 0.1}],
    "steps": [1.0],
    "sustain_s": 60.0,
}


def line(message: dict[str, object]) -> bytes:
    return json.dumps(message).encode() + b"\n"


def offers(offer: dict[str, object] | None = None, *more: dict[str, object]) -> bytes:
    rows = [{**OFFER, "valid_until": time.time() + 60.0, **row} for row in (offer or {}, *more)]
    return line({"type": "offers", "offers": rows})


def beside_a_good_one(**change: object) -> bytes:
    """One offer with a change that makes it untrue, one without."""
    return offers(change, {"id": "bad/2"})


def answer(request: dict[str, object]) -> bytes:
    """What a good plug-in would say; on recover it claims that whatever was committed is active."""
    id = request["id"]
    match request["type"]:
        case "hello":
            return line(
                {
                    "type": "capabilities",
                    "id": id,
                    "api_version": 1,
                    "name": request["name"],
                    "sites": request["sites"],
                    "fail_state": "hold",
                }
            )
        case "recover":
            states = [{"order": order["id"], "state": "active"} for order in request["orders"]]  # type: ignore[attr-defined]
            return line({"type": "states", "id": id, "states": states})
        case "heartbeat":
            return line({"type": "beat", "id": id})
        case _:
            return line({"type": "ack", "id": id, "accepted": True})


async def behave(lines: Lines, write: Write, then: bytes = b"") -> None:
    """Introduce itself, offer, then say `then`, and go on answering."""
    async for raw in lines:
        request = json.loads(raw)
        write(answer(request))
        if request["type"] == "recover":
            write(offers() + then)


async def never_hello(lines: Lines, write: Write) -> None:
    async for _ in lines:
        await asyncio.Event().wait()


async def hang(lines: Lines, write: Write) -> None:
    """Ready once, then deaf."""
    async for raw in lines:
        request = json.loads(raw)
        write(answer(request))
        if request["type"] == "recover":
            write(offers())
            await asyncio.Event().wait()


async def crash(lines: Lines, write: Write) -> None:
    async for raw in lines:
        request = json.loads(raw)
        write(answer(request))
        if request["type"] == "recover":
            write(offers())
        if request["type"] == "heartbeat":
            raise RuntimeError("crash on purpose")


async def dies_in_commit(lines: Lines, write: Write) -> None:
    async for raw in lines:
        request = json.loads(raw)
        if request["type"] == "order" and request["order"]["verb"] == "commit":
            raise RuntimeError("died in commit")
        write(answer(request))
        if request["type"] == "recover":
            write(offers())


async def flood(lines: Lines, write: Write) -> None:
    async for raw in lines:
        request = json.loads(raw)
        write(answer(request))
        if request["type"] == "recover":
            while True:
                write(offers())


def saying(then: Callable[[], bytes]) -> Callable[[Lines, Write], object]:
    async def program(lines: Lines, write: Write) -> None:
        await behave(lines, write, then())

    return program


MODES: dict[str, Callable[..., object]] = {
    "never_hello": never_hello,
    "hang": hang,
    "crash": crash,
    "dies_in_commit": dies_in_commit,
    "flood": flood,
    "garbage": saying(lambda: b"\x00\xff\xfe this is not a message\n"),
    "not_a_number": saying(lambda: beside_a_good_one(sustain_s=float("nan"))),
    "infinite": saying(lambda: beside_a_good_one().replace(b'"sustain_s": 60.0', b'"sustain_s": 1e999', 1)),
    "oversize": saying(lambda: b'{"type": "' + b"x" * 200_000 + b'"}\n'),
    "endless_line": saying(lambda: b"x" * 200_000),
    "double_key": saying(lambda: b'{"type": "offers", "type": "offers", "offers": []}\n'),
    "wrong_type": saying(lambda: offers({"cost": "cheap"})),
    "unknown_field": saying(lambda: offers({"import_detla_w": 3})),
    "deep": saying(lambda: b"[" * 60_000 + b"\n"),
    "wrong_sign": saying(
        lambda: beside_a_good_one(legs=[{"site": "tokyo1", "import_delta_w": 5.0, "latency_s": 0.1}])
    ),
    "foreign_site": saying(
        lambda: beside_a_good_one(legs=[{"site": "osaka", "import_delta_w": -5.0, "latency_s": 0.1}])
    ),
    "expired": saying(lambda: beside_a_good_one(valid_until=5.0)),
    "unasked_answer": saying(lambda: line({"type": "beat", "id": 10_000})),
}


async def stdin_lines() -> Lines:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    while raw := await reader.readline():
        yield raw


def write_all(piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(1, view) :]


if __name__ == "__main__":
    asyncio.run(MODES[sys.argv[1]](stdin_lines(), write_all))  # type: ignore[arg-type]
