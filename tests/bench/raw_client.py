"""Program: the same setpoint writes without a gateway, over connections opened before. Steered by JSON lines.

    {"devices": [["127.0.0.1", 40123], ...]}      {"connected": 100}
    {"address": 40241, "registers": [[0, 30000], ...]}      {"acknowledged_s": 0.0312, "refused": 0}

One FC16 request per device, all sent at once; the time runs from before the first byte is written to the last reply.
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import time
from collections.abc import Callable, Sequence

HEADER = struct.Struct(">HHHB")


class Device(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._transaction = 0
        self._answered: Callable[[bool], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def write(self, address: int, registers: Sequence[int], answered: Callable[[bool], None]) -> None:
        """Send one FC16 request; `answered` is told whether it was taken."""
        assert self._transport is not None and self._answered is None
        self._answered = answered
        self._transaction = self._transaction % 0xFFFF + 1
        count = len(registers)
        body = struct.pack(f">BHHB{count}H", 16, address, count, 2 * count, *registers)
        self._transport.write(HEADER.pack(self._transaction, 0, len(body) + 1, 1) + body)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= HEADER.size:
            transaction, _, length, _ = HEADER.unpack_from(self._buffer)
            size = HEADER.size + length - 1
            if len(self._buffer) < size:
                return
            taken = transaction == self._transaction and self._buffer[HEADER.size] == 16
            del self._buffer[:size]
            answered, self._answered = self._answered, None
            if answered is not None:
                answered(taken)


async def write_all(
    devices: Sequence[Device], address: int, registers: Sequence[Sequence[int]]
) -> dict[str, object]:
    """Write to every device at once and wait for the last reply."""
    left, refused = len(devices), 0
    done = asyncio.get_running_loop().create_future()

    def answered(taken: bool) -> None:
        nonlocal left, refused
        left, refused = left - 1, refused + (not taken)
        if left == 0:
            done.set_result(time.perf_counter())

    began = time.perf_counter()
    for device, values in zip(devices, registers, strict=True):
        device.write(address, values, answered)
    async with asyncio.timeout(10.0):
        return {"acknowledged_s": await done - began, "refused": refused}


async def serve() -> None:
    """Obey stdin until it ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=2**22)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    devices: list[Device] = []
    while line := await reader.readline():
        command = json.loads(line)
        if "devices" in command:
            for host, port in command["devices"]:
                _, device = await loop.create_connection(Device, host, port)
                devices.append(device)
            answer: dict[str, object] = {"connected": len(devices)}
        else:
            answer = await write_all(devices, command["address"], command["registers"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(serve())
