"""Puts the scripted VTN behind HTTP or HTTPS with client certificates; runs on a real or a virtual loop alike.

Faults are switches: `down` answers 503, `spoil` alters the bytes of an answer on its way out.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import get_args

from aiohttp import web

from vpp_gateway.clock import Clock
from vpp_gateway.northbound.openadr2.codec import Codec
from vpp_gateway.northbound.openadr2.messages import Service
from vpp_gateway.northbound.openadr2.signature import ReplayGuard
from vpp_gateway.northbound.openadr2.xml_intake import WireError
from vpp_gateway.sim.vtn import Vtn

PATH = "/OpenADR2/Simple/2.0b"
_WINDOW_S = 30.0


def server_tls(*, ca_file: str, cert_file: str, key_file: str) -> ssl.SSLContext:
    """A server context that asks for, and checks, a client certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ca_file)
    context.load_cert_chain(cert_file, key_file)
    return context


class VtnServer:
    """The VTN's four service addresses."""

    def __init__(self, *, vtn: Vtn, codec: Codec, clock: Clock, tls: ssl.SSLContext | None = None) -> None:
        self.vtn = vtn
        self.down = False
        self.spoil: Callable[[bytes], bytes] | None = None
        self.refused: list[str] = []
        """Messages of the VEN that did not pass, in words."""
        self._codec = codec
        self.clock = clock
        self._tls = tls
        self._guard = ReplayGuard(window_s=_WINDOW_S)

    @asynccontextmanager
    async def serve(self, port: int = 0, host: str = "127.0.0.1") -> AsyncIterator[str]:
        """Listen while the block runs; yields the base URL."""
        app = web.Application()
        for service in get_args(Service):
            app.router.add_post(f"{PATH}/{service}", self._handler(service))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, port, ssl_context=self._tls)
            await site.start()
            bound = runner.addresses[0][1]
            yield f"{'https' if self._tls else 'http'}://{host}:{bound}{PATH}"
        finally:
            await runner.cleanup()

    def _handler(self, service: Service) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            return self._respond(service, await request.read())

        return handle

    def _respond(self, service: Service, body: bytes) -> web.Response:
        now = self.clock.utc()
        headers = {"Date": formatdate(now, usegmt=True)}
        if self.down:
            return web.Response(status=503, headers=headers, text="down for maintenance")
        try:
            decoded = self._codec.decode(body, now)
        except WireError as error:
            self.refused.append(str(error))
            return web.Response(status=400, headers=headers, text=str(error))
        if decoded.nonce is not None and decoded.signed_at is not None:
            stale = self._guard.check(decoded.signed_at, decoded.nonce, now)
            if stale:
                self.refused.append(stale)
                return web.Response(status=403, headers=headers, text=stale)
            self._guard.remember(decoded.signed_at, decoded.nonce)
        said = self.vtn.answer(service, decoded.message, now)
        answer = b"" if said is None else self._codec.encode(said, now)
        if self.spoil is not None:
            answer = self.spoil(answer)
        return web.Response(body=answer, content_type="application/xml", headers=headers)
