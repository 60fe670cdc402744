"""A small site in virtual time: Modbus devices and a utility behind mutual TLS, all real libraries and sockets.

Run as a program it prints the digest of its trace and what the run cost, for comparing processes:

    python -m tests.house.virtual_site SEED SECONDS DEVICES
"""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import logging
import ssl
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientSession, ClientTimeout, TCPConnector, web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from vpp_gateway.clock import SeededRng
from vpp_gateway.sim.loop import Trace, VirtualLoop, run

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pki:
    """A CA and one certificate that serves both ends, as files."""

    ca: Path
    cert: Path
    key: Path

    def server(self) -> ssl.SSLContext:
        """Context of a server that demands a client certificate."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.ca))
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(self.cert, self.key)
        return context

    def client(self) -> ssl.SSLContext:
        """Context of a client that shows its certificate."""
        context = self.stranger()
        context.load_cert_chain(self.cert, self.key)
        return context

    def stranger(self) -> ssl.SSLContext:
        """Context of a client without a certificate."""
        return ssl.create_default_context(cafile=str(self.ca))


def _usage(ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


@contextmanager
def pki() -> Iterator[Pki]:
    """A fresh CA and end certificate, valid today by the machine's clock: OpenSSL knows no virtual time."""
    today = datetime.datetime.now(datetime.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))])

    def issue(name: str, public: ec.EllipticCurvePublicKey, ca: bool) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")]))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(today - datetime.timedelta(days=1))
            .not_valid_after(today + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(signer, critical=False)
            .add_extension(_usage(ca), critical=True)
            .add_extension(here, critical=False)
            .sign(ca_key, hashes.SHA256())
        )

    with tempfile.TemporaryDirectory() as folder:
        made = Pki(ca=Path(folder, "ca.pem"), cert=Path(folder, "cert.pem"), key=Path(folder, "key.pem"))
        pem = serialization.Encoding.PEM
        made.ca.write_bytes(issue("Test CA", ca_key.public_key(), True).public_bytes(pem))
        made.cert.write_bytes(issue("end", key.public_key(), False).public_bytes(pem))
        made.key.write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        yield made


class Device:
    """A Modbus device whose register 0 counts reads and whose register 10 can be written."""

    def __init__(self) -> None:
        self.reads = 0
        block = SimData(0, count=40, datatype=DataType.REGISTERS)
        self.server = ModbusTcpServer(SimDevice(1, simdata=[block], action=self._act), address=(HOST, 0))

    async def _act(
        self,
        function: int,
        _start: int,
        _address: int,
        _count: int,
        registers: list[int],
        _values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        if function == 3:
            self.reads += 1
            registers[0] = self.reads & 0xFFFF
        return None

    async def start(self) -> int:
        """Listen; the port."""
        await self.server.serve_forever(background=True)
        return int(self.server.transport.sockets[0].getsockname()[1])


async def start_utility(stack: AsyncExitStack, pki: Pki, trace: Trace) -> int:
    """A utility that demands client certificates and answers polls; the port."""

    async def poll(request: web.Request) -> web.Response:
        peer = dict(part[0] for part in request.transport.get_extra_info("peercert")["subject"])
        trace.add("utility", f"{peer['commonName']} {await request.text()}")
        return web.json_response({"poll": request.query["n"]})

    app = web.Application()
    app.router.add_post("/poll", poll)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, HOST, 0, ssl_context=pki.server())
    await site.start()
    return int(runner.addresses[0][1])


async def poll_utility(pki: Pki, port: int, trace: Trace, seconds: float, period_s: float) -> None:
    """Poll until `seconds` have passed."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    timeout = ClientTimeout(total=5)
    async with ClientSession(connector=TCPConnector(ssl=pki.client()), timeout=timeout) as session:
        n = 0
        while loop.time() < end:
            async with session.post(f"https://{HOST}:{port}/poll?n={n}", data=f"body {n}") as reply:
                trace.add("gateway", f"{reply.status} {await reply.json()}")
            n += 1
            await asyncio.sleep(period_s)


async def poll_device(
    name: str, port: int, trace: Trace, seconds: float, period_s: float, rng: SeededRng | None
) -> None:
    """Read 30 registers and write one, every period (jittered by `rng`), until `seconds` have passed."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    client = AsyncModbusTcpClient(HOST, port=port, timeout=1, retries=0)
    assert await client.connect()
    try:
        turn = 0
        while loop.time() < end:
            read = await client.read_holding_registers(0, count=30, device_id=1)
            trace.add(name, f"read {read.registers[0]} {read.registers[10]}")
            await client.write_register(10, turn & 0xFFFF, device_id=1)
            trace.add(name, f"wrote {turn}")
            turn += 1
            await asyncio.sleep(period_s + (rng.uniform(0, 0.2) if rng else 0))
    finally:
        client.close()


async def site(trace: Trace, seed: int, seconds: float, devices: int, jitter: bool = True) -> None:
    """Devices at 1 Hz (read and write) and a TLS poll each 10 s."""
    rng = SeededRng(seed)
    async with AsyncExitStack() as stack:
        made = stack.enter_context(pki())
        utility = await start_utility(stack, made, trace)
        async with asyncio.TaskGroup() as group:
            group.create_task(poll_utility(made, utility, trace, seconds, 10))
            for number in range(devices):
                device = Device()
                stack.push_async_callback(device.server.shutdown)
                port = await device.start()
                fork = rng.fork(str(number)) if jitter else None
                group.create_task(poll_device(f"device {number}", port, trace, seconds, 1.0, fork))


def main(seed: int, seconds: float, devices: int, jitter: bool = True) -> dict[str, object]:
    """One run; what it gave and what it cost."""
    logging.disable(logging.CRITICAL)
    loop = VirtualLoop()
    trace = Trace(loop.time, keep=20)
    real, cpu = time.perf_counter(), time.process_time()
    run(lambda: site(trace, seed, seconds, devices, jitter), loop=loop, wall_limit_s=300)
    return {
        "digest": trace.hexdigest(),
        "records": trace.count,
        "end": round(loop.time(), 6),
        "jumps": loop.jumps,
        "late": loop.delivery.late,
        "stalled": loop.delivery.stalled,
        "real_s": time.perf_counter() - real,
        "cpu_s": time.process_time() - cpu,
    }


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))))
