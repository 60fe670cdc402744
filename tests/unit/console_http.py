"""A served console over the made-up gateway, for the tests that speak HTTP to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientSession, ClientTimeout, CookieJar
from aiohttp.test_utils import TestServer

from tests.unit.console_fake import START_S, FakeSource, ToyClock, World
from vpp_gateway.clock import SeededRng
from vpp_gateway.console.access import Access
from vpp_gateway.console.web import console_app

BEGIN = 1_800_000_000.0
BEARER = "b" * 32
HOLDER = {"Authorization": f"Bearer {BEARER}"}
EVENT = "tso/EV-2026-0117"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A console that listens on a loopback port."""

    url: str
    source: FakeSource
    clock: ToyClock
    access: Access
    client: ClientSession


@asynccontextmanager
async def served(static: Path, into_s: float = 30.0) -> AsyncIterator[Served]:
    """Serve a console `into_s` seconds into the event; `static` is the folder of the page."""
    clock = ToyClock(BEGIN + START_S + into_s)
    source = FakeSource(World(BEGIN), clock)
    access = Access(clock, SeededRng(7), BEARER)
    server = TestServer(console_app(source, access, clock, static=static))
    jar = CookieJar(unsafe=True)  # cookies for an address, not a name
    async with server, ClientSession(cookie_jar=jar, timeout=ClientTimeout(total=10)) as client:
        yield Served(
            url=f"http://127.0.0.1:{server.port}", source=source, clock=clock, access=access, client=client
        )
