"""One Modbus/TCP connection to one device: pymodbus behind a facade that tells the truth about time.

What pymodbus leaves open is closed here: the deadline covers everything, one failing request ends the connection,
nothing is repeated, exceptions are typed, and no byte that the caller has given up on can reach the device later.

For the last, both measures are needed: `TCP_USER_TIMEOUT` makes the kernel drop unacknowledged data by itself; on a
timeout or cancellation `SO_LINGER(1, 0)` with abort() resets the connection and empties the send queue. A plain
close() or abort() would let the kernel go on delivering. What the device's own kernel has acknowledged already
cannot be called back: there only its reversion timer helps, and the first write after the reconnect.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusException

from vpp_gateway.errors import MisuseError, Unreachable
from vpp_gateway.southbound.modbus.codec import READ_MAX, WRITE_MAX
from vpp_gateway.southbound.modbus.point import Table

USER_TIMEOUT_MS = 500
"""How long the kernel may keep unacknowledged data before it resets the connection."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a device listens."""

    host: str
    port: int = 502

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: registers of a read (empty for a write), or an exception code."""

    registers: Sequence[int]
    exception: int = 0
    """0 = none."""


def quiet_pymodbus() -> None:
    """Keep pymodbus from logging what we report ourselves: it repeats whole frames at level ERROR."""
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)


class Transport:
    """A connection that may be opened again after it was killed. One task uses it; one request at a time."""

    def __init__(self, address: Address, *, unit: int, timeout_s: float, on_lost: Callable[[], None]) -> None:
        """
        Args:
            address: of the device.
            unit: Modbus unit id.
            timeout_s: of one request, and of one attempt to connect.
            on_lost: called when the connection breaks while nothing is asked.
        """
        self._address = address
        self._unit = unit
        self._timeout_s = timeout_s
        self._on_lost = on_lost
        self._client: AsyncModbusTcpClient | None = None

    @property
    def up(self) -> bool:
        """The connection stands, as far as we know."""
        return self._client is not None and self._client.connected

    async def open(self) -> None:
        """Connect.

        Raises:
            Unreachable: no connection within the timeout.
        """
        self.kill()
        client = AsyncModbusTcpClient(
            self._address.host,
            port=self._address.port,
            timeout=self._timeout_s,
            retries=0,
            reconnect_delay=0,  # reconnecting is ours, so that nobody writes before the re-assertion
            trace_connect=self._connection_changed,
        )
        self._client = client
        if not await client.connect():
            self.kill()
            raise Unreachable(f"{self._address}: no connection within {self._timeout_s:g} s")
        sock = client.ctx.transport.get_extra_info("socket")
        option = getattr(socket, "TCP_USER_TIMEOUT", None)
        if sock is not None and option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, USER_TIMEOUT_MS)

    async def read(self, address: int, count: int, table: Table = "holding") -> Answer:
        """Read registers: holding (FC3) or input (FC4).

        Raises:
            Unreachable: no answer in time; the connection is gone.
            MisuseError: more than one request can carry.
        """
        if not 1 <= count <= READ_MAX:
            raise MisuseError(f"a read of {count} registers; 1..{READ_MAX} are allowed")
        return await self._ask(address, count, None, 3 if table == "holding" else 4)

    async def write(self, address: int, registers: Sequence[int], function: Literal[6, 16] = 16) -> Answer:
        """Write registers: several (FC16) or a single one (FC6).

        Raises:
            Unreachable: the outcome is unknown; the connection is gone, so that it cannot be executed later.
            MisuseError: more than one request can carry (pymodbus would send it), or not a register value.
        """
        if not 1 <= len(registers) <= WRITE_MAX:
            raise MisuseError(f"a write of {len(registers)} registers; 1..{WRITE_MAX} are allowed")
        if any(not 0 <= register <= 0xFFFF for register in registers):
            raise MisuseError(f"{list(registers)} are not register values 0..65535")
        if function == 6 and len(registers) != 1:
            raise MisuseError(
                f"{len(registers)} registers in a single write; use `separate: true` in the profile"
            )
        return await self._ask(address, len(registers), registers, function)

    async def _ask(
        self, address: int, count: int, registers: Sequence[int] | None, function: Literal[3, 4, 6, 16]
    ) -> Answer:
        client = self._client
        if client is None or not client.connected:
            raise Unreachable(f"{self._address}: not connected")
        answered = False
        try:
            if registers is None:
                ask = client.read_holding_registers if function == 3 else client.read_input_registers
                reply = await ask(address, count=count, device_id=self._unit)
            elif function == 6:
                reply = await client.write_register(address, registers[0], device_id=self._unit)
            else:
                reply = await client.write_registers(address, list(registers), device_id=self._unit)
            answered = True
        except ConnectionException as error:
            raise Unreachable(f"{self._address}: the connection broke") from error
        except ModbusException as error:
            raise Unreachable(f"{self._address}: no answer within {self._timeout_s:g} s") from error
        finally:
            if not answered:  # timeout or cancellation alike
                self.kill()
        if reply.isError():
            return Answer((), reply.exception_code)
        if registers is None and len(reply.registers) != count:
            self.kill()
            raise Unreachable(f"{self._address}: {len(reply.registers)} registers instead of {count}")
        return Answer(reply.registers if registers is None else ())

    def kill(self) -> None:
        """Reset the connection and drop what is not yet sent; does nothing when there is none."""
        client, self._client = self._client, None
        if client is None:
            return
        transport = client.ctx.transport
        if transport is not None:
            sock = transport.get_extra_info("socket")
            if sock is not None and sock.fileno() >= 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            cast(asyncio.WriteTransport, transport).abort()
        client.close()

    def _connection_changed(self, up: bool) -> None:
        client = self._client
        if up or client is None:
            return
        # Without this a request that is under way would wait for its timeout on a connection that is gone.
        if not client.ctx.response_future.done():
            client.ctx.response_future.set_exception(ConnectionException("connection lost"))
            client.ctx.response_future.exception()  # retrieved: nobody may be waiting
        self._on_lost()
