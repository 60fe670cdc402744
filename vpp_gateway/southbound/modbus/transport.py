"""One Modbus line to one or more devices: pymodbus behind a facade that tells the truth about time.

    Transport (unit 1) --+
    Transport (unit 2) --+-- Bus --- TCP, RTU over TCP, TLS, or a serial port         one request at a time
    Transport (unit 9) --+

What pymodbus leaves open is closed here: the deadline covers everything, one failing request ends the connection,
nothing is repeated, exceptions are typed, and no byte that the caller has given up on can reach the device later.

For the last, both measures are needed: `TCP_USER_TIMEOUT` makes the kernel drop unacknowledged data by itself; on a
timeout or cancellation `SO_LINGER(1, 0)` with abort() resets the connection and empties the send queue. A plain
close() or abort() would let the kernel go on delivering. What the device's own kernel has acknowledged already
cannot be called back: there only its reversion timer helps, and the first write after the reconnect. A serial port has
no such queue: what was written is on the line.

Devices behind one gateway or on one serial line share a bus, and fate: when it breaks, all of them are met anew.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from pymodbus import FramerType
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient, AsyncModbusTlsClient
from pymodbus.exceptions import ConnectionException, ModbusException

from vpp_gateway.errors import ConfigError, MisuseError, Unreachable
from vpp_gateway.southbound.modbus.codec import READ_MAX, WRITE_MAX
from vpp_gateway.southbound.modbus.point import Table

USER_TIMEOUT_MS = 500
"""How long the kernel may keep unacknowledged data before it resets the connection."""
_Client = AsyncModbusTcpClient | AsyncModbusTlsClient | AsyncModbusSerialClient


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Modbus/TCP Security: who we are, and whom we trust."""

    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Address:
    """Where a device, or a gateway to devices, listens."""

    host: str
    port: int = 502
    framing: Literal["tcp", "rtu"] = "tcp"
    """rtu: frames of the serial line, unchanged, over TCP."""
    tls: TlsFiles | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialAddress:
    """A serial line."""

    path: str
    baud: int = 9600
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: Literal[1, 2] = 1

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: registers of a read (empty for a write), or an exception code."""

    registers: Sequence[int]
    exception: int = 0
    """0 = none."""


def quiet_pymodbus() -> None:
    """Keep pymodbus from logging what we report ourselves: it repeats whole frames at level ERROR."""
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)


def tls_context(files: TlsFiles) -> ssl.SSLContext:
    """Mutual TLS 1.2 or later, as Modbus/TCP Security asks for. Raises ConfigError when a file is of no use."""
    try:
        context = ssl.create_default_context(cafile=str(files.ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(str(files.certificate), str(files.key))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"Modbus TLS: {files.ca}, {files.certificate}, {files.key}: {error}") from error
    return context


class Bus:
    """A line that may be opened again after it was killed; one request at a time, whoever asks.

    Args:
        address: of the device or gateway, or the serial port.
        timeout_s: of one request, and of one attempt to connect.
        pause_s: rest between two requests.
    """

    def __init__(self, address: Address | SerialAddress, *, timeout_s: float, pause_s: float = 0.0) -> None:
        self.address = address
        self._timeout_s, self._pause_s = timeout_s, pause_s
        self._client: _Client | None = None
        self._users: list[Callable[[], None]] = []
        self._turn = asyncio.Lock()

    @property
    def up(self) -> bool:
        """The line stands, as far as we know."""
        return self._client is not None and self._client.connected

    @property
    def connection(self) -> object:
        """Tells one connection from the next; None when there is none."""
        return self._client

    @property
    def shared(self) -> bool:
        """More than one device is on it."""
        return len(self._users) > 1

    def join(self, on_lost: Callable[[], None]) -> None:
        """Be told when the line breaks."""
        self._users.append(on_lost)

    async def open(self) -> None:
        """Connect, unless another user has done so.

        Raises:
            Unreachable: no connection within the timeout.
        """
        async with self._turn:
            if self.up:
                return
            self.kill()
            client = self._client = self._made()
            if not await self._connected(client):
                self.kill()
                raise Unreachable(f"{self.address}: no connection within {self._timeout_s:g} s")
            sock = client.ctx.transport.get_extra_info("socket")
            option = getattr(socket, "TCP_USER_TIMEOUT", None)
            if sock is not None and option is not None:
                sock.setsockopt(socket.IPPROTO_TCP, option, USER_TIMEOUT_MS)

    async def _connected(self, client: _Client) -> bool:
        try:
            return await client.connect()
        except OSError as error:  # a serial port that is not there
            self.kill()
            raise Unreachable(f"{self.address}: cannot be opened: {error.strerror or error}") from error

    def _made(self) -> _Client:
        address, timeout_s = self.address, self._timeout_s
        if isinstance(address, SerialAddress):
            return AsyncModbusSerialClient(
                address.path,
                baudrate=address.baud,
                parity=address.parity,
                stopbits=address.stop_bits,
                timeout=timeout_s,
                retries=0,
                reconnect_delay=0,
                trace_connect=self._changed,
            )
        if address.tls is not None:
            return AsyncModbusTlsClient(
                address.host,
                port=address.port,
                sslctx=tls_context(address.tls),
                timeout=timeout_s,
                retries=0,
                reconnect_delay=0,
                trace_connect=self._changed,
            )
        return AsyncModbusTcpClient(
            address.host,
            port=address.port,
            framer=FramerType.SOCKET if address.framing == "tcp" else FramerType.RTU,
            timeout=timeout_s,
            retries=0,
            reconnect_delay=0,  # reconnecting is ours, so that nobody writes before the re-assertion
            trace_connect=self._changed,
        )

    async def ask(
        self,
        unit: int,
        address: int,
        count: int,
        registers: Sequence[int] | None,
        function: Literal[3, 4, 6, 16],
    ) -> Answer:
        """One request and its answer.

        Raises:
            Unreachable: no answer in time; the connection is gone, so that nothing is executed later.
        """
        if self._turn.locked() or self._pause_s:
            async with self._turn:
                if self._pause_s:
                    await asyncio.sleep(self._pause_s)
                return await self._ask(unit, address, count, registers, function)
        await self._turn.acquire()
        try:
            return await self._ask(unit, address, count, registers, function)
        finally:
            self._turn.release()

    async def _ask(
        self,
        unit: int,
        address: int,
        count: int,
        registers: Sequence[int] | None,
        function: Literal[3, 4, 6, 16],
    ) -> Answer:
        client = self._client
        if client is None or not client.connected:
            raise Unreachable(f"{self.address}: not connected")
        answered = False
        try:
            if registers is None:
                ask = client.read_holding_registers if function == 3 else client.read_input_registers
                reply = await ask(address, count=count, device_id=unit)
            elif function == 6:
                reply = await client.write_register(address, registers[0], device_id=unit)
            else:
                reply = await client.write_registers(address, list(registers), device_id=unit)
            answered = True
        except ConnectionException as error:
            raise Unreachable(f"{self.address}: the connection broke") from error
        except ModbusException as error:
            raise Unreachable(f"{self.address}: no answer within {self._timeout_s:g} s") from error
        finally:
            if not answered:  # timeout or cancellation alike
                self.kill()
        if reply.isError():
            return Answer((), reply.exception_code)
        if registers is None and len(reply.registers) != count:
            self.kill()
            raise Unreachable(f"{self.address}: {len(reply.registers)} registers instead of {count}")
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
        self._tell()

    def _tell(self) -> None:
        for user in self._users:
            user()

    def _changed(self, up: bool) -> None:
        client = self._client
        if up or client is None:
            return
        # Without this a request that is under way would wait for its timeout on a connection that is gone.
        if not client.ctx.response_future.done():
            client.ctx.response_future.set_exception(ConnectionException("connection lost"))
            client.ctx.response_future.exception()  # retrieved: nobody may be waiting
        self._tell()


class Transport:
    """One device on a bus. One task uses it; one request at a time."""

    def __init__(
        self,
        line: Bus | Address | SerialAddress,
        *,
        unit: int,
        timeout_s: float,
        on_lost: Callable[[], None],
        pause_s: float = 0.0,
    ) -> None:
        """
        Args:
            line: a bus that it shares, or where the device is.
            unit: Modbus unit id.
            timeout_s: of one request, and of one attempt to connect, on a line of its own.
            on_lost: called when the connection breaks while nothing is asked.
            pause_s: rest between two requests, on a line of its own.
        """
        self._bus = line if isinstance(line, Bus) else Bus(line, timeout_s=timeout_s, pause_s=pause_s)
        self._unit = unit
        self._opened: object = None
        self._bus.join(on_lost)

    @property
    def up(self) -> bool:
        """The connection that this device was met on stands, as far as we know."""
        return self._bus.up and self._opened is self._bus.connection

    async def open(self) -> None:
        """Connect. Raises Unreachable when there is no connection within the timeout."""
        await self._bus.open()
        self._opened = self._bus.connection

    async def read(self, address: int, count: int, table: Table = "holding") -> Answer:
        """Read registers: holding (FC3) or input (FC4).

        Raises:
            Unreachable: no answer in time; the connection is gone.
            MisuseError: more than one request can carry.
        """
        if not 1 <= count <= READ_MAX:
            raise MisuseError(f"a read of {count} registers; 1..{READ_MAX} are allowed")
        return await self._bus.ask(self._unit, address, count, None, 3 if table == "holding" else 4)

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
        return await self._bus.ask(self._unit, address, len(registers), registers, function)

    def give_up(self) -> None:
        """This device is of no use now: reset the connection, but not one that others use and that works."""
        if self._bus.shared:
            self._opened = None
        else:
            self.kill()

    def kill(self) -> None:
        """Reset the connection that this device was met on, for all on its bus; does nothing when it is gone already."""
        if self._opened is not None and self._opened is self._bus.connection:
            self._bus.kill()
        self._opened = None
