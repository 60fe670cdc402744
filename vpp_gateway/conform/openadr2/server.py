"""The literal VTN behind HTTP or HTTPS, in real and in virtual time.

    bytes -> tree -> signature -> Wire.heard -> vtn.hear -> Wire.said -> signature -> bytes

A message that is no XML, or whose signature does not hold where signatures are asked for, is a breach; the VEN gets
HTTP 400 or 403.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import formatdate

from aiohttp import web
from lxml import etree

from vpp_gateway.clock import Clock
from vpp_gateway.conform.openadr2.filters import Wire
from vpp_gateway.conform.openadr2.laws import Breach, of_request
from vpp_gateway.conform.openadr2.say import build
from vpp_gateway.conform.openadr2.vtn import Answer, LiteralVtn
from vpp_gateway.conform.openadr2.words import Scene
from vpp_gateway.conform.openadr2.xml import ProcedureError
from vpp_gateway.northbound.openadr2.signature import Signer, Verifier
from vpp_gateway.northbound.openadr2.xml_intake import Limits, WireError, parse

PATH = "/OpenADR2/Simple/2.0b"
SERVICES = ("EiRegisterParty", "EiEvent", "EiReport", "EiOpt", "OadrPoll")
BODY_MAX = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """What the VTN demands and shows."""

    tls: ssl.SSLContext | None = None
    signer: Signer | None = None
    verifier: Verifier | None = None


class Server:
    """Service addresses of one VTN."""

    def __init__(self, vtn: LiteralVtn, wire: Wire, clock: Clock, security: Security) -> None:
        self.vtn = vtn
        self.stirred = asyncio.Event()
        """Set when something was heard."""
        self.fault: ProcedureError | None = None
        """What the procedure asks for cannot be said."""
        self._wire = wire
        self._clock = clock
        self._security = security
        self._limits = Limits(bytes_max=BODY_MAX, elements_max=10**6, attributes_max=10**6)

    @asynccontextmanager
    async def serve(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """Listen during the block; yields the base URL."""
        app = web.Application(client_max_size=BODY_MAX)
        app.router.add_post(f"{PATH}/{{service}}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port, ssl_context=self._security.tls).start()
            scheme = "http" if self._security.tls is None else "https"
            yield f"{scheme}://{host}:{runner.addresses[0][1]}{PATH}"
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body, now = await request.read(), self._clock.utc()
        headers = {"Date": formatdate(now + self.vtn.clock_s, usegmt=True)}
        if self.vtn.down:
            return web.Response(status=503, headers=headers, text="down for maintenance")
        service = request.match_info["service"]
        if service not in SERVICES:
            self.vtn.breaches.append(Breach(rule="53", what=f"posted to {request.path}, not a service"))
            return web.Response(status=404, headers=headers)
        self.vtn.breaches.extend(of_request(request.headers))
        try:
            tree = self._taken(body, now)
        except WireError as error:
            self.vtn.breaches.append(Breach(rule="schema", what=str(error)))
            return web.Response(status=400, headers=headers, text=str(error))
        try:
            answer = self._answer(service, tree, now)
        except ProcedureError as error:
            self.fault = error
            answer = Answer(status=500)
        self.stirred.set()
        return web.Response(
            status=answer.status,
            body=answer.body if answer.tree is None else self._bytes(answer.tree, now),
            content_type="application/xml",
            headers=headers,
        )

    def _taken(self, body: bytes, now: float) -> etree._Element:
        tree = parse(body, self._limits)
        if self._security.verifier is not None:
            self._security.verifier.verify(tree, now)
        return tree

    def _answer(self, service: str, tree: etree._Element, now: float) -> Answer:
        arriving = self._wire.heard(tree)
        answer = Answer(tree=self._fine(now))
        for one in arriving:
            answer = self.vtn.hear(service, one, now)
        if answer.tree is None:
            return answer
        said = self._wire.said(answer.tree)
        return Answer(tree=self._fine(now) if said is None else said, status=answer.status)

    def _fine(self, now: float) -> etree._Element:
        scene = Scene(
            t0=now,
            now=now,
            vtn_id=self.vtn.vtn_id,
            ven_id=self.vtn.ven_id,
            registration_id=self.vtn.registered,
            request_id="",
            names={},
        )
        return build({"oadrResponse": {}}, scene)

    def _bytes(self, tree: etree._Element, now: float) -> bytes:
        if self._security.signer is not None:
            self._security.signer.sign(tree, now + self.vtn.clock_s)
        return etree.tostring(tree, encoding="UTF-8", xml_declaration=True)
