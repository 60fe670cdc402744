"""The shell of the room: one HTTPS exchange after the other. Knows sockets, TLS and deadlines, nothing of the protocol.

    session --Post--> send() --queue--> run(): POST {base}/{service} --> deliver(room, Received | Failed)

The body is counted after decompression and cut off at the cap; the whole exchange, connection included, stands
under one deadline; redirects are not followed.

Small bodies are read in the loop. From `OFF_LOOP_BYTES` on a body is read in one thread of this client: libxml2 works
without the interpreter's lock and the rest hands it over every few milliseconds, so the loop goes on; what is
measured stands in the bench row `openadr2_parse`. There is one such thread, and its result is waited for before the
next exchange: order stays, and at most one body (of bounded size) is being read whose deadline has passed.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

import aiohttp
import structlog

from vpp_gateway.clock import Clock
from vpp_gateway.domain.instruction import RoomName
from vpp_gateway.errors import MisuseError
from vpp_gateway.northbound.openadr2.codec import Codec
from vpp_gateway.northbound.openadr2.messages import Failed, Post, Received
from vpp_gateway.northbound.openadr2.record import Recorder, Scribe
from vpp_gateway.northbound.openadr2.tls import tls_context
from vpp_gateway.northbound.openadr2.wallet import Wallet
from vpp_gateway.northbound.openadr2.xml_intake import WireError
from vpp_gateway.northbound.openadr2.xml_text import shown

__all__ = ["Deliver", "VenClient", "tls_context"]

log = structlog.get_logger()

Deliver = Callable[[RoomName, Received | Failed], Awaitable[str | None]]
"""Takes an outcome; why it, or a part of it, is not acted on, for the record."""
_CHUNK = 65536
OFF_LOOP_BYTES = 65536
"""A body of this size takes about 2 ms to read, with a signature about 5 ms."""
_QUEUE = 16
"""The session keeps one post under way; a full queue is a fault of the caller and raises."""
_WORDS = 300
_HEADERS = {"Content-Type": "application/xml"}


@dataclass(slots=True)
class _Answer:
    """What has come back so far."""

    body: bytearray = field(default_factory=bytearray)
    status: int | None = None


class VenClient:
    """Carries the posts of one session; implements `northbound.turn.Client`.

    Args:
        base_url: Up to and without the service, for instance `https://vtn.example/OpenADR2/Simple/2.0b`.
        tls: `tls_context(...)`; None = plain HTTP, for a test VTN only.
        deliver: Takes each outcome; awaited before the next post is sent.
        deadline_s: For one whole exchange.
        standby_urls: Further addresses of the same VTN; `Post.endpoint` counts them from 1.
        connector: Another way to connect, for instance over in-memory transports; owned by the caller.
        recorder: Keeps every message; None = nothing is kept.
        wallet: Certificates that may be renewed while we run; takes the place of `tls` and of the codec's keys.
    """

    def __init__(
        self,
        *,
        room: RoomName,
        base_url: str,
        codec: Codec,
        tls: ssl.SSLContext | None,
        clock: Clock,
        deliver: Deliver,
        deadline_s: float,
        standby_urls: Sequence[str] = (),
        connector: aiohttp.BaseConnector | None = None,
        recorder: Recorder | None = None,
        wallet: Wallet | None = None,
    ) -> None:
        self._room = room
        self._urls = [url.rstrip("/") for url in (base_url, *standby_urls)]
        self._codec = codec
        self._tls = tls
        self._clock = clock
        self._deliver = deliver
        self._deadline_s = deadline_s
        self._connector = connector
        self.wallet = wallet
        if wallet is not None:
            self._take(wallet)
        self._life = f"{clock.utc():.3f}"
        """Names the posts of this process among those of all."""
        self._scribe = None if recorder is None else Scribe(recorder, room, verifies=codec.verifies)
        self._posts: asyncio.Queue[Post] = asyncio.Queue(maxsize=_QUEUE)

    def send(self, request: Post) -> None:
        """Queue a post; the session keeps at most one under way."""
        self._posts.put_nowait(request)

    async def run(self) -> None:
        """Serve until cancelled."""
        reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"read {self._room}")
        try:
            post = await self._posts.get()
            while True:
                post = await self._serve(reader, post)
        finally:
            reader.shutdown(wait=False, cancel_futures=True)

    async def _serve(self, reader: ThreadPoolExecutor, post: Post) -> Post:
        """Carry posts over one set of connections until the certificates are renewed; the post that is next then."""
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._deadline_s),
            connector=self._connector,
            connector_owner=self._connector is None,
            cookie_jar=aiohttp.DummyCookieJar(),
        ) as http:
            while True:
                await self._carry(http, reader, post)
                post = await self._posts.get()
                if self.wallet is not None and self._outdated(self.wallet):
                    self._take(self.wallet)
                    return post

    def _outdated(self, wallet: Wallet) -> bool:
        """Another set is in use than the one we hold; the listener may have renewed it."""
        wallet.renew()
        return wallet.credentials.tls is not self._tls

    def _take(self, wallet: Wallet) -> None:
        now = wallet.credentials
        self._tls = now.tls
        self._codec.use(now.signer, now.verifier)

    async def _carry(self, http: aiohttp.ClientSession, reader: ThreadPoolExecutor, post: Post) -> None:
        """One exchange; both halves are on record whatever becomes of it."""
        answer = _Answer()
        outcome = await self._exchange(http, reader, post, answer)
        at = self._clock.utc()
        refused: str | None = ""
        try:
            refused = await self._deliver(self._room, outcome)
        finally:
            if self._scribe is not None:
                self._scribe.heard(
                    outcome,
                    bytes(answer.body),
                    answer.status,
                    at=at,
                    pair=f"{self._life}-{post.number}",
                    url=f"{self._urls[post.endpoint]}/{post.service}",
                    refused=refused or "",
                )

    async def _exchange(
        self, http: aiohttp.ClientSession, reader: ThreadPoolExecutor, post: Post, answer: _Answer
    ) -> Received | Failed:
        url = f"{self._urls[post.endpoint]}/{post.service}"
        try:
            now = self._clock.utc()
            body = self._codec.encode(post.message, now)
            if self._scribe is not None:
                pair = f"{self._life}-{post.number}"
                signed_by = self._codec.signed_by
                self._scribe.said(post.message, body, at=now, pair=pair, url=url, signed_by=signed_by)
            async with asyncio.timeout(self._deadline_s):
                return await self._post(http, reader, url, post, body, answer)
        except MisuseError as error:  # a fault of ours costs this message, not the connection
            return Failed(number=post.number, cause="refused", detail=str(error))
        except TimeoutError:
            return Failed(
                number=post.number, cause="timeout", detail=f"{url}: no answer within {self._deadline_s:g} s"
            )
        except (aiohttp.ClientError, OSError) as error:
            inner = _inner(error)
            tls = isinstance(error, aiohttp.ClientSSLError) or isinstance(inner, ssl.SSLError)
            detail = f"{url}: {'TLS: ' if tls else ''}{_reason(inner)}"
            return Failed(number=post.number, cause="tls" if tls else "unreachable", detail=detail)

    async def _post(
        self,
        http: aiohttp.ClientSession,
        reader: ThreadPoolExecutor,
        url: str,
        post: Post,
        body: bytes,
        answer: _Answer,
    ) -> Received | Failed:
        tls = True if self._tls is None else self._tls
        async with http.post(url, data=body, headers=_HEADERS, ssl=tls, allow_redirects=False) as reply:
            skew_s = self._skew_s(reply.headers.get("Date"))
            answer.status, found = reply.status, answer.body
            async for chunk in reply.content.iter_chunked(_CHUNK):
                found += chunk
                if len(found) > self._codec.limits.bytes_max:
                    reply.close()
                    detail = f"expected at most {self._codec.limits.bytes_max} bytes, found more"
                    return Failed(number=post.number, cause="refused", detail=detail, skew_s=skew_s)
        if reply.status != 200:
            detail = f"{url}: expected HTTP 200, found {reply.status} {shown(found[:80].decode('utf-8', 'replace'))}"
            return Failed(number=post.number, cause="http", detail=detail, skew_s=skew_s)
        said, arrived_at = bytes(found), self._clock.utc()
        if len(said) < OFF_LOOP_BYTES:
            return self._decoded(post, said, skew_s, arrived_at)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(reader, self._decoded, post, said, skew_s, arrived_at)

    def _decoded(self, post: Post, body: bytes, skew_s: float | None, arrived_at: float) -> Received | Failed:
        if not body.strip():
            return Received(number=post.number, message=None, skew_s=skew_s)
        try:
            decoded = self._codec.decode(body, self._clock.utc())
        except WireError as error:
            return Failed(number=post.number, cause="refused", detail=str(error), skew_s=skew_s)
        except Exception as error:  # the loop's boundary: one body costs itself, never the connection
            log.exception("a body could not be read", room=self._room)
            return Failed(number=post.number, cause="refused", detail=repr(error), skew_s=skew_s)
        return Received(
            number=post.number,
            message=decoded.message,
            skew_s=skew_s,
            nonce=decoded.nonce,
            signed_at=decoded.signed_at,
            fingerprint=decoded.fingerprint,
            arrived_at=arrived_at,
        )

    def _skew_s(self, date: str | None) -> float | None:
        """VTN's clock minus ours; None when the header is missing or no date."""
        if date is None:
            return None
        try:
            return (
                parsedate_to_datetime(date).timestamp() + 0.5 - self._clock.utc()
            )  # Date is cut to the second
        except (ValueError, OverflowError):
            return None


def _inner(error: Exception) -> BaseException:
    """What stopped a connection, without aiohttp's wrapping."""
    wrapped = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error.__cause__
    return wrapped if isinstance(wrapped, OSError) else error


def _reason(error: BaseException) -> str:
    """It in the words of the system or of OpenSSL, in one line: it may quote what the peer sent, at any length."""
    said = str(error)
    if isinstance(error, ssl.SSLError) and (reason := getattr(error, "reason", None)):
        verified = getattr(error, "verify_message", "")
        said = f"{reason}: {verified}" if verified else reason
    line = " ".join(said.split()) or type(error).__name__
    return "".join(char if char.isprintable() else "?" for char in line[:_WORDS])
