"""What `docs/openadr.md` says that a failure looks like is what the VEN says: each row is played, in virtual time."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from io import StringIO
from threading import Thread
from typing import Any

import pytest
from aiohttp import web
from rich.console import Console

from tests.playbook.ven_stage import START, xsd
from tests.repository import ROOT
from tests.wire.ven_bench import Bench
from vpp_gateway.cli.status_view import draw_status
from vpp_gateway.clock import Clock, LoopClock, SeededRng, SystemClock
from vpp_gateway.identity.dev_ca import DevCa, make_dev_ca
from vpp_gateway.northbound.openadr2.codec import Codec
from vpp_gateway.northbound.openadr2.messages import (
    CreatePartyRegistration,
    Message,
    QueryRegistration,
    Service,
)
from vpp_gateway.northbound.openadr2.report_words import RegisterReport
from vpp_gateway.northbound.openadr2.signature import Signer, Verifier, fingerprint
from vpp_gateway.plain import View
from vpp_gateway.sim.loop import run
from vpp_gateway.sim.vtn import Vtn
from vpp_gateway.sim.vtn_http import VtnServer, server_tls

PAGE = ROOT / "docs" / "openadr.md"
PORT = 18444
WATCHED_S = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """What a scene plays with."""

    pki: DevCa
    stranger: DevCa
    clock: Clock

    def tls(self, ca: DevCa | None = None) -> ssl.SSLContext:
        """The VTN's, trusting the VENs of one authority."""
        return server_tls(
            ca_file=str((ca or self.pki).ca),
            cert_file=str(self.pki.vtn_cert),
            key_file=str(self.pki.vtn_key),
        )

    def vtn(
        self,
        vtn: Vtn | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        signs_as: str | None = "vtn",
        clock: Clock | None = None,
    ) -> VtnServer:
        """The scripted VTN, signed, behind HTTPS."""
        folder = self.pki.folder
        signer = signs_as and Signer(
            key_pem=(folder / f"{signs_as}.key").read_bytes(),
            cert_pem=(folder / f"{signs_as}.pem").read_bytes(),
            rng=SeededRng(2),
        )
        codec = Codec(
            schema=xsd(),
            signer=signer or None,
            verifier=Verifier(pins=[fingerprint(self.pki.ven_cert("ven").read_bytes())]),
        )
        script = vtn or Vtn(rng=SeededRng(1))
        return VtnServer(vtn=script, codec=codec, clock=clock or self.clock, tls=tls or self.tls())

    @asynccontextmanager
    async def answering(self, **reply: Any) -> AsyncIterator[None]:
        """Any server that says the same to everything."""

        async def handle(request: web.Request) -> web.StreamResponse:
            await request.read()
            await asyncio.sleep(reply.get("after_s", 0.0))
            return web.Response(
                status=reply.get("status", 200),
                text=reply.get("text", ""),
                content_type=reply.get("content_type", "text/plain"),
                headers={"Date": formatdate(self.clock.utc(), usegmt=True)},
            )

        app = web.Application()
        app.router.add_post("/{tail:.*}", handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", PORT, ssl_context=self.tls()).start()
            yield
        finally:
            await runner.cleanup()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One way to fail."""

    peer: Callable[[Stand], AbstractAsyncContextManager[Any]] | None
    ven: dict[str, Any] = field(default_factory=dict)
    """Changes of the program."""
    trusts_stranger: bool = False
    real: bool = False
    """On real sockets in real time: asyncio's own server closes without the TLS alert that other servers send."""
    act: Callable[[VtnServer], None] | None = None
    """From ten seconds on, four times a second."""


class Forgetful(Vtn):
    """Registers whoever asks, and forgets at once."""

    def answer(self, service: Service, message: Message, now: float) -> Message | None:
        if not isinstance(message, QueryRegistration | CreatePartyRegistration | RegisterReport):
            self.forget_ven()
        return super().answer(service, message, now)


def cipher_of_old(stand: Stand) -> ssl.SSLContext:
    context = stand.tls()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA256")
    return context


def served(make: Callable[[Stand], VtnServer]) -> Callable[[Stand], AbstractAsyncContextManager[Any]]:
    @asynccontextmanager
    async def serve(stand: Stand) -> AsyncIterator[VtnServer]:
        server = make(stand)
        async with server.serve(PORT):
            yield server

    return serve


@asynccontextmanager
async def alerting(tls: ssl.SSLContext) -> AsyncIterator[None]:
    """A server that shakes hands as OpenSSL does: with an alert when it cannot."""
    listener = socket.create_server(("127.0.0.1", PORT))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # closed: the scene is over
                return
            with connection, suppress(OSError):
                tls.wrap_socket(connection, server_side=True).close()

    thread = Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


LOGIN = "<!DOCTYPE html><html><body>Please log in</body></html>"
SCENES: dict[str, Scene] = {
    "nobody listens": Scene(peer=None),
    "no answer in time": Scene(peer=lambda stand: stand.answering(after_s=60.0)),
    "their certificate is of another CA": Scene(peer=served(lambda s: s.vtn()), trusts_stranger=True),
    "our certificate is not accepted": Scene(
        peer=lambda stand: alerting(stand.tls(stand.stranger)), real=True
    ),
    "no common cipher": Scene(
        peer=lambda stand: alerting(cipher_of_old(stand)),
        ven={"tls": {"ciphers": "ECDHE-ECDSA-AES256-GCM-SHA384"}},
        real=True,
    ),
    "wrong address": Scene(peer=lambda stand: stand.answering(status=404, text="404: Not Found")),
    "address that takes no POST": Scene(
        peer=lambda stand: stand.answering(status=405, text="405: Method Not Allowed")
    ),
    "we are not let in": Scene(peer=lambda stand: stand.answering(status=403, text="Forbidden")),
    "redirected": Scene(peer=lambda stand: stand.answering(status=302, text="Found")),
    "down for maintenance": Scene(peer=lambda stand: stand.answering(status=503, text="down")),
    "a login page": Scene(peer=lambda stand: stand.answering(text=LOGIN, content_type="text/html")),
    "an empty answer": Scene(peer=lambda stand: stand.answering()),
    "an unfinished answer": Scene(
        peer=served(lambda s: s.vtn()), act=lambda server: setattr(server, "spoil", lambda body: body[:-20])
    ),
    "venName not known": Scene(peer=served(lambda s: s.vtn(Vtn(rng=SeededRng(1), ven_name="other")))),
    "another VTN than expected": Scene(peer=served(lambda s: s.vtn()), ven={"vtn_id": "VTN-WEST"}),
    "forgotten by the VTN": Scene(peer=served(lambda s: s.vtn(Forgetful(rng=SeededRng(1))))),
    "signed by another than pinned": Scene(peer=served(lambda s: s.vtn(signs_as="other"))),
    "not signed": Scene(peer=served(lambda s: s.vtn(signs_as=None))),
    "clocks differ": Scene(
        peer=served(
            lambda s: s.vtn(
                clock=LoopClock(asyncio.get_running_loop(), START - asyncio.get_running_loop().time() + 60.0)
            )
        ),
    ),
    "clocks differ a little": Scene(
        peer=served(
            lambda s: s.vtn(
                clock=LoopClock(asyncio.get_running_loop(), START - asyncio.get_running_loop().time() + 12.0)
            )
        ),
    ),
}


def seen(pki: DevCa, stranger: DevCa, scene: Scene) -> set[str]:
    """Every detail that the status showed, with the parts that differ each time left out."""
    details: set[str] = set()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        stand = Stand(pki=pki, stranger=stranger, clock=LoopClock(loop, START - loop.time()))
        trusted = pki if not scene.trusts_stranger else Foreign(pki, stranger)
        bench = Bench(trusted, PORT, clock=stand.clock, **scene.ven)  # type: ignore[arg-type]
        async with served_or_not(scene, stand) as server, bench.running():
            for step in range(int(WATCHED_S / 0.25)):
                await asyncio.sleep(0.25)
                if step >= 40 and scene.act is not None:
                    scene.act(server)
                details.add(plain(bench.session.status().detail))

    if scene.real:
        asyncio.run(main_until_something_is_wrong(pki, stranger, scene, details))
    else:
        run(main, max_virtual_s=3600, wall_limit_s=60)
    return details


async def main_until_something_is_wrong(pki: DevCa, stranger: DevCa, scene: Scene, details: set[str]) -> None:
    """The same on real sockets, until the status says what is wrong."""
    stand = Stand(pki=pki, stranger=stranger, clock=SystemClock())
    bench = Bench(pki, PORT, **scene.ven)
    async with served_or_not(scene, stand), bench.running():
        await bench.until(lambda: bench.session.status().detail, "nothing was wrong")
        details.add(plain(bench.session.status().detail))


@asynccontextmanager
async def served_or_not(scene: Scene, stand: Stand) -> AsyncIterator[Any]:
    if scene.peer is None:
        yield None
        return
    async with scene.peer(stand) as server:
        yield server


class Foreign:
    """Our identity, with the CA file of somebody else."""

    def __init__(self, ours: DevCa, other: DevCa) -> None:
        self.ca, self.vtn_cert = other.ca, ours.vtn_cert
        self.ven_cert, self.ven_key = ours.ven_cert, ours.ven_key


def plain(detail: str) -> str:
    """What differs from one try to the next, by a letter."""
    detail = re.sub(r"https://127\.0\.0\.1:\d+/OpenADR2/Simple/2\.0b/\w+", "URL", detail)
    detail = re.sub(r"127\.0\.0\.1:\d+", "HOST", detail)
    detail = re.sub(r"[0-9A-F]{2}(:[0-9A-F]{2}){9}", "FINGERPRINT", detail)
    detail = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", detail)
    detail = re.sub(r"_ssl\.c:\d+", "_ssl.c", detail)
    detail = re.sub(r"line \d+, column \d+", "line N, column N", detail)
    detail = re.sub(r"attempt \d+", "attempt N", detail)
    detail = re.sub(r"\d+ messages refused, last: .*", "N messages refused, last: ...", detail)
    return re.sub(r"(is|signed) \d+ s", r"\1 N s", detail)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> DevCa:
    return make_dev_ca(tmp_path_factory.mktemp("pki") / "ca", now=time.time(), vens=("ven", "other"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> DevCa:
    return make_dev_ca(tmp_path_factory.mktemp("stranger") / "ca", now=time.time())


def told() -> dict[str, str]:
    """Name of the failure -> what the page says the status shows."""
    text = PAGE.read_text(encoding="utf-8")
    return dict(re.findall(r"^\| ([a-zA-Z0-9 ]+) \| `([^`]+)` \|", text, re.MULTILINE))


def test_a_registered_ven_shows_as_the_page_says() -> None:
    link = {
        "name": "tso",
        "kind": "openadr2",
        "state": "registered",
        "health": "good",
        "detail": "",
        "age_s": 1.0,
    }
    with StringIO() as screen:
        draw_status(Console(file=screen, width=80), View({"links": [link]}), "en", degraded=False)
        drawn = [line.rstrip() for line in screen.getvalue().splitlines()]
    (block,) = re.findall(
        r"^```text\n(Links\n.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    begin = drawn.index("Links")
    assert drawn[begin : begin + 4] == block.splitlines()


def test_the_page_tells_of_these_failures() -> None:
    assert list(told()) == list(SCENES)


@pytest.mark.parametrize("name", SCENES)
def test_failure_looks_as_the_page_says(name: str, pki: DevCa, stranger: DevCa) -> None:
    said = seen(pki, stranger, SCENES[name])
    assert any(told()[name] in detail for detail in said), "\n".join(sorted(said))


def test_nothing_is_amiss_when_all_is_well(pki: DevCa, stranger: DevCa) -> None:
    assert seen(pki, stranger, Scene(peer=served(lambda s: s.vtn()))) == {""}
