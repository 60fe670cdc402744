"""The shell of push: our own HTTP(S) address that the VTN posts to. Knows sockets, TLS and deadlines, no protocol.

    POST {path}/{service} --read, decoded--> queue --run()--> deliver(room, Pushed)      engine: journal, then
    HTTP response         <------------------------------------ send(Reply)   <--------- the session's reply

    404 405    not one of our addresses, not POST           415    not XML by Content-Type
    408 413    the body came too slowly, is too long        400    not a message that we can read
    403        signature missing, wrong or used before      503    too many at once, or no reply in time

What the engine raises leaves `run()`, never an HTTP handler: a journal that cannot be written must stop the gateway.
Renewed certificates are taken within `RENEW_S`: the address is closed and opened again, connections that stand go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import structlog
from aiohttp import web

from vpp_gateway.clock import Clock
from vpp_gateway.domain.instruction import RoomName
from vpp_gateway.errors import MisuseError
from vpp_gateway.northbound.openadr2.client import OFF_LOOP_BYTES
from vpp_gateway.northbound.openadr2.codec import Codec, Decoded
from vpp_gateway.northbound.openadr2.door import Door
from vpp_gateway.northbound.openadr2.messages import Failed, Listening, Pushed, Received, Reply, Unreadable
from vpp_gateway.northbound.openadr2.record import Recorder, Scribe
from vpp_gateway.northbound.openadr2.visitors import LOOK_S, QUIET_S, VISITORS_MAX, Visitors
from vpp_gateway.northbound.openadr2.wallet import Wallet
from vpp_gateway.northbound.openadr2.xml_intake import WireError
from vpp_gateway.northbound.openadr2.xml_text import shown

log = structlog.get_logger()

PATH = "/OpenADR2/Simple/2.0b"
SERVICES = ("EiEvent", "EiReport", "EiRegisterParty", "EiOpt")
QUEUE = 64
"""Messages that wait for the engine; the next one is answered 503."""
RENEW_S = 10.0
BIND_AGAIN_S = 5.0
_CHUNK = 65536
_XML = ("application/xml", "text/xml")

Deliver = Callable[[RoomName, Pushed | Unreadable | Listening], Awaitable[str | None]]


class _Refusal(Exception):
    """An HTTP status and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class PushListener:
    """Takes what the VTN posts to one session.

    Args:
        port: 0 = any free one, for tests; ignored with `sock`.
        codec: Of this listener alone.
        tls: A server context that asks for the VTN's certificate; None = plain HTTP on loopback.
        wallet: Certificates of the address that may be renewed; takes the place of `tls`.
        signing: Certificates that sign; takes the place of the codec's keys.
        deliver: Takes each message; awaited before the next one.
        deadline_s: For the whole of a request's body.
        answer_s: For the session's reply.
        sock: A bound socket to listen on instead of host and port.
        most: Connections at a time.
        quiet_s: So long a connection may stand without a whole request.
        renew_s: How often the certificates are looked at.
    """

    def __init__(
        self,
        *,
        room: RoomName,
        codec: Codec,
        clock: Clock,
        deliver: Deliver,
        deadline_s: float,
        answer_s: float,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        wallet: Wallet | None = None,
        signing: Wallet | None = None,
        recorder: Recorder | None = None,
        sock: socket.socket | None = None,
        most: int = VISITORS_MAX,
        quiet_s: float = QUIET_S,
        renew_s: float = RENEW_S,
    ) -> None:
        self._room = room
        self._codec = codec
        self._clock = clock
        self._deliver = deliver
        self._deadline_s = deadline_s
        self._answer_s = answer_s
        self._host, self._port, self._sock = host, port, sock
        self._tls = tls
        self.wallet = wallet
        self._signing = signing
        self._signed_with = None if signing is None else signing.credentials
        if signing is not None:
            codec.use(signing.credentials.signer, signing.credentials.verifier)
        self._number = 0
        self._life = f"{clock.utc():.3f}"
        self._scribe = None if recorder is None else Scribe(recorder, room, verifies=codec.verifies)
        self._arrived: asyncio.Queue[Pushed | Unreadable | Listening] = asyncio.Queue(maxsize=QUEUE)
        self._replies: dict[int, asyncio.Future[Reply]] = {}
        self._reader: ThreadPoolExecutor | None = None
        self._renew_s = renew_s
        self._visitors = Visitors(most=most, quiet_s=quiet_s)

    def send(self, reply: Reply) -> None:
        """The session's word on one message; one that came too late is dropped."""
        waiting = self._replies.get(reply.number)
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)

    async def run(self) -> None:
        """Serve until cancelled."""
        app = web.Application(client_max_size=self._codec.limits.bytes_max)
        app.router.add_post(f"{PATH}/{{service}}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"push {self._room}")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen(runner))
                group.create_task(self._look_after(runner))
                while True:
                    await self._deliver(self._room, await self._arrived.get())
        finally:
            self._reader.shutdown(wait=False, cancel_futures=True)
            await runner.cleanup()

    async def _listen(self, runner: web.AppRunner) -> None:
        """Keep the address open, with the certificates that lie there now."""
        door: Door | None = None
        trouble: str | None = None
        try:
            while True:
                if door is None:
                    door, found = await self._open(runner)
                    if found != trouble:
                        trouble = found
                        await self._arrived.put(Listening(trouble=trouble))
                await asyncio.sleep(BIND_AGAIN_S if door is None else self._renew_s)
                if self._signing is not None:
                    self._signing.renew()
                if self.wallet is not None and self.wallet.renew() and door is not None:
                    door.close()
                    door = None
        finally:
            if door is not None:
                door.close()

    async def _look_after(self, runner: web.AppRunner) -> None:
        """See to it that nobody holds connections and says nothing."""
        assert runner.server is not None
        while True:
            await asyncio.sleep(LOOK_S)
            closed = self._visitors.look([one.transport for one in runner.server.connections])
            if closed:
                log.warning("push: connections without a request were closed", room=self._room, count=closed)

    async def _open(self, runner: web.AppRunner) -> tuple[Door | None, str]:
        tls = self._tls if self.wallet is None else self.wallet.credentials.tls
        assert runner.server is not None
        door = Door(runner.server, tls)
        try:
            await door.open(self._host, self._port, self._sock)
            return door, ""
        except OSError as error:
            log.error(
                "push: cannot listen", room=self._room, host=self._host, port=self._port, error=str(error)
            )
            return None, f"push: cannot listen on {self._host}:{self._port}: {error.strerror or error}"

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        with self._visitors.serving(request.transport):
            return await self._served(request)

    async def _served(self, request: web.Request) -> web.StreamResponse:
        self._number += 1
        number, service = self._number, request.match_info["service"]
        pair, url = f"{self._life}-push-{number}", request.path  # not the URL: its host is the peer's word
        if service not in SERVICES:
            return web.Response(status=404, text=f"expected one of {', '.join(SERVICES)}\n")
        body = bytearray()
        try:
            await self._read(request, body)
            arrived_at = self._clock.utc()
            decoded = await self._decoded(bytes(body))
        except _Refusal as refusal:
            failed = Failed(number=number, cause="refused", detail=str(refusal))
            self._note(failed, body, pair, url, at=self._clock.utc())
            self._tell(Unreadable(number=number, detail=f"posted to {service}: {refusal}"))
            return web.Response(status=refusal.status, text=f"{refusal}\n")
        heard = Received(number=number, message=decoded.message, fingerprint=decoded.fingerprint)
        pushed = Pushed(
            number=number,
            service=service,
            message=decoded.message,
            nonce=decoded.nonce,
            signed_at=decoded.signed_at,
            arrived_at=arrived_at,
        )
        refused = "it was not judged"
        try:
            reply = await self._reply(pushed)
            refused = reply.refused
        except _Refusal as late:
            refused = str(late)
            return web.Response(status=late.status, headers={"Retry-After": "5"}, text=f"{late}\n")
        finally:
            self._note(heard, body, pair, url, at=arrived_at, refused=refused)
        return self._written(reply, pair, url)

    async def _reply(self, pushed: Pushed) -> Reply:
        """Hand it over and wait for the session's word."""
        waiting: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._replies[pushed.number] = waiting
        try:
            self._arrived.put_nowait(pushed)
            async with asyncio.timeout(self._answer_s):
                return await waiting
        except asyncio.QueueFull:
            raise _Refusal(503, "too many at once") from None
        except TimeoutError:
            raise _Refusal(503, "no answer in time") from None
        finally:
            del self._replies[pushed.number]

    def _written(self, reply: Reply, pair: str, url: str) -> web.Response:
        if reply.message is None:
            return web.Response(status=reply.status, text=f"{reply.detail}\n")
        now = self._clock.utc()
        try:
            body = self._codec.encode(reply.message, now)
        except MisuseError as error:
            log.error("push: a reply cannot be written", room=self._room, error=str(error))
            return web.Response(status=500)
        if self._scribe is not None:
            self._scribe.said(
                reply.message,
                body,
                at=now,
                pair=pair,
                url=url,
                signed_by=self._codec.signed_by,
                status=reply.status,
            )
        return web.Response(status=reply.status, body=body, content_type="application/xml")

    async def _read(self, request: web.Request, body: bytearray) -> None:
        """The whole body, decompressed, within the cap and the deadline."""
        if request.content_type not in _XML:
            raise _Refusal(
                415, f"Content-Type: expected application/xml, found {shown(request.content_type)}"
            )
        most = self._codec.limits.bytes_max
        try:
            async with asyncio.timeout(self._deadline_s):
                async for chunk in request.content.iter_chunked(_CHUNK):
                    body += chunk
                    if len(body) > most:
                        raise _Refusal(413, f"expected at most {most} bytes, found more")
        except TimeoutError:
            raise _Refusal(408, f"expected the whole message within {self._deadline_s:g} s") from None
        except (OSError, web.RequestPayloadError) as error:
            raise _Refusal(400, f"the body broke off: {error}") from None

    async def _decoded(self, body: bytes) -> Decoded:
        if self._signing is not None and self._signing.credentials is not self._signed_with:
            self._signed_with = self._signing.credentials
            self._codec.use(self._signed_with.signer, self._signed_with.verifier)
        try:
            if len(body) < OFF_LOOP_BYTES:
                return self._codec.decode(body, self._clock.utc())
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._reader, self._codec.decode, body, self._clock.utc())
        except WireError as error:
            signature = self._codec.verifies and "signature" in str(error).lower()
            raise _Refusal(403 if signature else 400, str(error)) from None
        except Exception as error:  # the loop's boundary: one body costs itself, never the address
            log.exception("a posted body could not be read", room=self._room)
            raise _Refusal(400, "a message that cannot be read") from error

    def _note(
        self, heard: Received | Failed, body: bytearray, pair: str, url: str, *, at: float, refused: str = ""
    ) -> None:
        if self._scribe is not None:
            self._scribe.heard(heard, bytes(body), None, at=at, pair=pair, url=url, refused=refused)

    def _tell(self, word: Unreadable) -> None:
        """For the operator's eyes; one of many that come at once may be lost."""
        with contextlib.suppress(asyncio.QueueFull):
            self._arrived.put_nowait(word)
