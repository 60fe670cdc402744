"""The literal VTN behind HTTP or HTTPS, in real and in virtual time.

    bytes -> tree -> Wire.signed -> signature -> Wire.heard -> vtn.hear -> Wire.said -> signature -> bytes

A message that is no XML, or whose signature does not hold where signatures are asked for, is a breach; the VEN gets
HTTP 400 or 403.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from email.utils import formatdate

import aiohttp
from aiohttp import web
from lxml import etree

from vpp_gateway.clock import Clock
from vpp_gateway.conform.openadr2 import laws
from vpp_gateway.conform.openadr2.filters import Arrival, Carried, Wire
from vpp_gateway.conform.openadr2.guise import Hand, Security, shifting
from vpp_gateway.conform.openadr2.laws import Breach, of_request
from vpp_gateway.conform.openadr2.say import build
from vpp_gateway.conform.openadr2.vtn import Answer, Heard, LiteralVtn, Script
from vpp_gateway.conform.openadr2.words import Scene
from vpp_gateway.conform.openadr2.xml import ProcedureError, name_of
from vpp_gateway.northbound.openadr2.signature import ReplayGuard
from vpp_gateway.northbound.openadr2.xml_intake import Limits, WireError, parse

PATH = "/OpenADR2/Simple/2.0b"
SERVICES = ("EiRegisterParty", "EiEvent", "EiReport", "EiOpt", "OadrPoll")
PUSH_S = 30.0
"""A VEN with push has so long to answer."""
BODY_MAX = 16 * 1024 * 1024
REPLAY_WINDOW_S = 30.0


class CannotListen(Exception):
    """The address cannot be listened on; args: the address, why."""


class _Refused(Exception):
    """A message of the VEN is not even heard."""

    def __init__(self, breach: Breach) -> None:
        super().__init__(breach.what)
        self.breach = breach


class Server:
    """Service addresses of one VTN."""

    def __init__(self, vtn: LiteralVtn, wire: Wire, clock: Clock, security: Security) -> None:
        self.vtn = vtn
        self.url = ""
        """Where it listens."""
        self.stirred = asyncio.Event()
        """Set when something was heard."""
        self.fault: ProcedureError | None = None
        """What the procedure asks for cannot be said."""
        self._wire = wire
        self._clock = clock
        self._security = security
        self._posting: set[asyncio.Task[None]] = set()
        self._hand = Hand(security)
        self._guard = ReplayGuard(window_s=REPLAY_WINDOW_S)
        self._limits = Limits(bytes_max=BODY_MAX, elements_max=10**6, attributes_max=10**6)

    @asynccontextmanager
    async def serve(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """Listen during the block; yields the base URL.

        Raises:
            CannotListen: The address is taken or not ours.
        """
        tls = None if self._security.tls is None else shifting(self._context)
        app = web.Application(client_max_size=BODY_MAX)
        app.router.add_post(f"{PATH}/{{service}}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, host, port, ssl_context=tls).start()
            except OSError as error:
                raise CannotListen(f"{host}:{port}", os.strerror(error.errno or 0)) from None
            scheme = "http" if tls is None else "https"
            self.url = f"{scheme}://{host}:{runner.addresses[0][1]}{PATH}"
            yield self.url
        finally:
            for task in self._posting:
                task.cancel()
            await asyncio.gather(*self._posting, return_exceptions=True)
            await runner.cleanup()

    def push(self) -> None:
        """Post what there is to say to a VEN that registered for push; several things go at once."""
        while self.vtn.push_to and self.fault is None:
            try:
                next_one = self.vtn.post(self._clock.utc())
            except ProcedureError as error:
                self.fault = error
                return
            if next_one is None:
                return
            task = asyncio.get_running_loop().create_task(self._post(*next_one))
            self._posting.add(task)
            task.add_done_callback(self._posted)

    def _posted(self, task: asyncio.Task[None]) -> None:
        """What fails unforeseen is the harness's own fault, never a verdict on the VEN."""
        self._posting.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fault = ProcedureError(f"posting to {self.vtn.push_to}: {error!r}")
            self.stirred.set()

    async def _post(self, script: Script, answer: Answer) -> None:
        body, service = answer.body or b"", script.service or "EiEvent"
        if answer.tree is not None:
            said = self._wire.said(answer.tree)
            if said is None:
                return
            service = script.service or laws.PUSHED_TO.get(name_of(said), "EiRegisterParty")
            body = self._dressed(replace(answer, tree=said), self._clock.utc()) or b""
        headers = {"Content-Type": script.content_type}
        url = f"{self.vtn.push_to}/{service}"
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PUSH_S)) as http,
                http.post(url, data=body, headers=headers, ssl=self._security.client or True) as reply,
            ):
                status, found = reply.status, await reply.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self.vtn.breaches.append(Breach(rule="37", what=f"posting to {url}: {error!r}"))
            return
        now = self._clock.utc()
        if status != 200 or not found:
            name = f"HTTP {status}"
            self.vtn.heard.append(Heard(at=now, service=service, name=name, tree=etree.Element("http")))
        else:
            self._replied(service, found, now)
        self.stirred.set()

    def _replied(self, service: str, body: bytes, now: float) -> None:
        try:
            arriving = self._taken(body, now)
        except _Refused as refused:
            self.vtn.breaches.append(refused.breach)
            return
        for tree in arriving:
            for one in self._wire.heard(tree):
                self.vtn.replied(service, one.tree, now)

    def lacks(self) -> str:
        """Why the VTN cannot show itself as it means to; empty when it can."""
        return self._security.lacks(self.vtn.tls, self.vtn.sign)

    def _context(self) -> ssl.SSLContext:
        usual = self._security.tls
        assert usual is not None
        return self._security.contexts.get(self._wire.shown(self.vtn.tls, "good"), usual)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body, now = await request.read(), self._clock.utc()
        headers = {"Date": formatdate(now + self.vtn.clock_s, usegmt=True)}
        if self.vtn.down:
            return web.Response(status=503, headers=headers, text="down for maintenance")
        service = request.match_info["service"]
        if service not in SERVICES:
            self.vtn.breaches.append(Breach(rule="53", what=f"posted to {request.path}, not a service"))
            return web.Response(status=404, headers=headers)
        carried = _carried(request, service)
        try:
            arriving = self._taken(body, now)
        except _Refused as refused:
            self.vtn.breaches.extend((*of_request(carried), refused.breach))
            status = 400 if refused.breach.rule == "schema" else 403
            return web.Response(status=status, headers=headers, text=refused.breach.what)
        try:
            answer = self._answer(carried, arriving, now)
            said = self._dressed(answer, now)
        except ProcedureError as error:
            self.fault = error
            answer, said = Answer(status=500), None
        self.stirred.set()
        response = web.Response(
            status=answer.status, body=said, content_type="application/xml", headers=headers
        )
        if self._security.contexts:
            response.force_close()  # each exchange has a handshake of its own
        return response

    def _taken(self, body: bytes, now: float) -> list[etree._Element]:
        try:
            arriving = self._wire.signed(parse(body, self._limits))
        except WireError as error:
            raise _Refused(Breach(rule="schema", what=str(error))) from None
        for tree in arriving:
            self._check(tree, now)
        return arriving

    def _check(self, tree: etree._Element, now: float) -> None:
        if self._security.verifier is None:
            return
        try:
            found = self._security.verifier.verify(tree, now)
        except WireError as error:
            raise _Refused(Breach(rule="V40", what=str(error))) from None
        if stale := self._guard.check(found.signed_at, found.nonce, now):
            raise _Refused(Breach(rule="V41", what=stale))
        self._guard.remember(found.signed_at, found.nonce)

    def _answer(self, carried: Carried, arriving: list[etree._Element], now: float) -> Answer:
        answer = Answer(tree=self._fine(now))
        for tree in arriving:
            for one in self._wire.heard(tree, carried):
                answer = self._heard(one, now)
        for one in self._wire.overdue():
            self._heard(one, now)
        if answer.tree is None:
            return answer
        said = self._wire.said(answer.tree)
        return Answer(tree=self._fine(now)) if said is None else replace(answer, tree=said)

    def _heard(self, one: Arrival, now: float) -> Answer:
        self.vtn.breaches.extend(of_request(one.carried))
        return self.vtn.hear(one.carried["service"], one.tree, now, one.carried)

    def _dressed(self, answer: Answer, now: float) -> bytes | None:
        """The answer's bytes, with what a procedure puts around them."""
        if answer.tree is None:
            return answer.body
        said = self._bytes(answer.tree, now)
        head, mark, rest = said.partition(b"?>")
        prolog = self._wire.shown(answer.prolog, "").encode()
        padding = self._wire.shown(answer.padding_kb, 0) * 1024
        return head + mark + prolog + rest + (b"<!--" + b"x" * padding + b"-->" if padding else b"")

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
        ahead_s = self.vtn.clock_s + self._wire.shown(self.vtn.signed_at_s, 0.0)
        return self._hand.bytes(tree, self._wire.shown(self.vtn.sign, "good"), now + ahead_s)


def _carried(request: web.Request, service: str) -> Carried:
    """How a message came."""
    carried = {"service": service}
    for name in ("Content-Type", "Content-Length", "Host"):
        if name in request.headers:
            carried[name] = request.headers[name]
    shaken: ssl.SSLObject | None = (
        None if request.transport is None else request.transport.get_extra_info("ssl_object")
    )
    if shaken is not None:
        carried |= {"tls": shaken.version() or "", "suite": (shaken.cipher() or ("",))[0]}
    return carried
