"""The VEN's client against servers that misbehave below the protocol; time is virtual where waiting is the point."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from tests.outgoing import Tap
from tests.playbook.ven_stage import ROOM, xsd
from vpp_gateway.clock import LoopClock
from vpp_gateway.domain.instruction import RoomName
from vpp_gateway.errors import ConfigError
from vpp_gateway.identity.dev_ca import DevCa, make_dev_ca
from vpp_gateway.northbound.openadr2.client import VenClient, tls_context
from vpp_gateway.northbound.openadr2.codec import Codec
from vpp_gateway.northbound.openadr2.messages import Failed, Poll, Post, Received, Response
from vpp_gateway.northbound.openadr2.report_words import EiResponse, Point, Report, UpdateReport
from vpp_gateway.northbound.openadr2.xml_intake import Limits
from vpp_gateway.sim.loop import run
from vpp_gateway.sim.vtn_http import server_tls

Outcome = Received | Failed
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
POLL = Post(number=7, service="OadrPoll", message=Poll(ven_id="VEN-1"))
OK = Response(response=EiResponse(code="200", description="OK"))
DEADLINE_S = 10.0


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> DevCa:
    return make_dev_ca(tmp_path_factory.mktemp("pki") / "ca", now=time.time(), vens=("ven", "other"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> DevCa:
    return make_dev_ca(tmp_path_factory.mktemp("stranger") / "ca", now=time.time())


def context(
    pki: DevCa, ca: DevCa | None = None, *, ciphers: str | None = None, name: bool = True
) -> ssl.SSLContext:
    return tls_context(
        ca_file=str((ca or pki).ca),
        cert_file=str(pki.ven_cert("ven")),
        key_file=str(pki.ven_key("ven")),
        ciphers=ciphers,
        check_hostname=name,
    )


async def exchange(
    url: str, post: Post = POLL, *, tls: ssl.SSLContext | None = None, bytes_max: int = 100_000
) -> tuple[Outcome, float]:
    """One exchange; the outcome, and how long it took."""
    loop = asyncio.get_running_loop()
    outcomes: asyncio.Queue[Outcome] = asyncio.Queue()

    async def deliver(room: RoomName, message: Outcome) -> None:
        assert room == ROOM
        await outcomes.put(message)

    client = VenClient(
        room=ROOM,
        base_url=url,
        codec=Codec(schema=xsd(), limits=Limits(bytes_max=bytes_max)),
        tls=tls,
        clock=LoopClock(loop, 1_767_225_600.0 - loop.time()),
        deliver=deliver,
        deadline_s=DEADLINE_S,
        recorder=Tap(),
    )
    began = loop.time()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(client.run())
        client.send(post)
        outcome = await outcomes.get()
        task.cancel()
    return outcome, loop.time() - began


def against(handler: Handler, **options: object) -> tuple[Outcome, float]:
    """One exchange with an aiohttp server, in virtual time."""

    async def main() -> tuple[Outcome, float]:
        app = web.Application()
        app.router.add_post("/oadr/OadrPoll", handler)
        app.router.add_post("/oadr/EiReport", handler)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 18081).start()
            return await exchange("http://127.0.0.1:18081/oadr/", **options)  # type: ignore[arg-type]
        finally:
            await runner.cleanup()

    return run(main, wall_limit_s=60)


def answering(body: bytes = b"", status: int = 200, **headers: str) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.Response(body=body, status=status, headers=headers)

    return handle


def ok_bytes() -> bytes:
    return Codec(schema=xsd()).encode(OK, 0.0)


def test_answer_and_skew() -> None:
    outcome, _ = against(answering(ok_bytes(), Date="Thu, 01 Jan 2026 00:01:00 GMT"))
    assert isinstance(outcome, Received)
    assert (outcome.number, outcome.message) == (7, OK)
    assert outcome.skew_s == pytest.approx(60.5, abs=0.6)


@pytest.mark.parametrize("date", ["yesterday", "Thu, 99 Foo 2026 00:00:00 GMT"])
def test_a_date_that_is_none_costs_nothing(date: str) -> None:
    outcome, _ = against(answering(ok_bytes(), Date=date))
    assert isinstance(outcome, Received) and outcome.skew_s is None


def test_request_is_plain_http_with_xml() -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        assert request.headers["Content-Type"] == "application/xml"
        assert int(request.headers["Content-Length"]) == len(body)  # rule 53: no chunks
        assert Codec(schema=xsd()).decode(body, 0.0).message == POLL.message
        return web.Response(body=ok_bytes())

    assert isinstance(against(handle)[0], Received)


@pytest.mark.parametrize("body", [b"", b"  \n"])
def test_empty_body_is_no_message(body: bytes) -> None:
    outcome, _ = against(answering(body))
    assert isinstance(outcome, Received) and outcome.message is None


@pytest.mark.parametrize(
    ("handler", "cause", "words"),
    [
        (answering(b"down", 503), "http", "found 503 'down'"),
        (answering(b"", 302, Location="http://127.0.0.1:18081/elsewhere"), "http", "found 302"),
        (answering(b"<html/>"), "refused", "expected oadrPayload"),
        (answering(b"<x>" * 40_000), "refused", "at most"),
        (
            answering(gzip.compress(b"<x/>" * 5_000_000), **{"Content-Encoding": "gzip"}),
            "refused",
            "at most 100000",
        ),
        (answering(b"no gzip", **{"Content-Encoding": "gzip"}), "unreachable", ""),
    ],
)
def test_unusable_answers(handler: Handler, cause: str, words: str) -> None:
    outcome, _ = against(handler)
    assert isinstance(outcome, Failed)
    assert (outcome.number, outcome.cause) == (7, cause)
    assert words in outcome.detail


def test_silence_and_dripping_end_at_the_deadline() -> None:
    async def silent(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(3600)
        return web.Response()

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(1000):
            await response.write(b" ")
            await asyncio.sleep(1.0)
        return response

    for handler in (silent, drip):
        outcome, took_s = against(handler)
        assert isinstance(outcome, Failed) and outcome.cause == "timeout"
        assert took_s == pytest.approx(DEADLINE_S, abs=0.5)
        assert "no answer within 10 s" in outcome.detail


def test_message_that_cannot_be_said_does_not_end_the_client() -> None:
    point = Point(r_id="tokyo", value=float("nan"))
    report = Report(request_id="1", specifier_id="u", created_at=0.0, points=(point,))
    post = Post(number=8, service="EiReport", message=UpdateReport(request_id="r", reports=(report,)))
    outcome, _ = against(answering(ok_bytes()), post=post)
    assert isinstance(outcome, Failed) and "not valid 2.0b XML" in outcome.detail


def test_nobody_listens() -> None:
    outcome, _ = asyncio.run(exchange("http://127.0.0.1:9/oadr"))
    assert isinstance(outcome, Failed) and outcome.cause == "unreachable"


# -- TLS ------------------------------------------------------------------------------------------------------------


def over_tls(server: ssl.SSLContext, client: ssl.SSLContext, host: str = "127.0.0.1") -> Outcome:
    async def main() -> Outcome:
        app = web.Application()
        app.router.add_post("/oadr/OadrPoll", answering(ok_bytes()))
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server).start()
            port = runner.addresses[0][1]
            return (await exchange(f"https://{host}:{port}/oadr", tls=client))[0]
        finally:
            await runner.cleanup()

    return asyncio.run(main())


def serving(pki: DevCa) -> ssl.SSLContext:
    return server_tls(ca_file=str(pki.ca), cert_file=str(pki.vtn_cert), key_file=str(pki.vtn_key))


def test_mutual_tls(pki: DevCa) -> None:
    assert isinstance(over_tls(serving(pki), context(pki)), Received)


def test_server_of_another_authority_is_refused(pki: DevCa, stranger: DevCa) -> None:
    outcome = over_tls(serving(stranger), context(pki))
    assert isinstance(outcome, Failed) and outcome.cause == "tls"


def test_our_certificate_is_refused_by_a_server_that_does_not_know_it(pki: DevCa, stranger: DevCa) -> None:
    outcome = over_tls(serving(stranger), context(pki, stranger))
    assert isinstance(outcome, Failed) and outcome.cause in ("tls", "unreachable")


def test_the_servers_name_is_checked_as_the_profile_says(pki: DevCa) -> None:
    named = serving(pki)
    named.load_cert_chain(str(pki.ven_cert("other")), str(pki.ven_key("other")))  # no name for this address
    strict = over_tls(named, context(pki))
    assert isinstance(strict, Failed) and strict.cause == "tls"


def test_tls_1_1_is_refused(pki: DevCa) -> None:
    old = serving(pki)
    with pytest.warns(DeprecationWarning):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    outcome = over_tls(old, context(pki))
    assert isinstance(outcome, Failed) and outcome.cause in ("tls", "unreachable")


def test_the_profiles_cipher_list_reaches_the_handshake(pki: DevCa) -> None:
    """Rule 67, the ECDSA suite: offered by the shipped profiles' list."""
    only = serving(pki)
    only.maximum_version = ssl.TLSVersion.TLSv1_2
    only.set_ciphers("ECDHE-ECDSA-AES128-SHA256")
    profile = "DEFAULT:AES128-SHA256:ECDHE-ECDSA-AES128-SHA256"
    assert isinstance(over_tls(only, context(pki, ciphers=profile)), Received)
    assert "AES128-SHA256" in {cipher["name"] for cipher in context(pki, ciphers=profile).get_ciphers()}


def test_files_that_do_not_fit_are_named(pki: DevCa, tmp_path: Path) -> None:
    nothing = tmp_path / "none.pem"
    for ca, cert, key, ciphers in (
        (nothing, pki.ven_cert("ven"), pki.ven_key("ven"), None),
        (pki.ca, nothing, pki.ven_key("ven"), None),
        (pki.ca, pki.ven_cert("ven"), pki.ven_key("other"), None),
        (pki.ca, pki.ven_cert("ven"), pki.ven_key("ven"), "NO-SUCH-CIPHER"),
    ):
        with pytest.raises(ConfigError, match="TLS"):
            tls_context(
                ca_file=str(ca), cert_file=str(cert), key_file=str(key), ciphers=ciphers, check_hostname=True
            )


def test_the_rsa_suite_is_spoken_with_an_rsa_certificate(tmp_path: Path) -> None:
    """Rule 67, TLS_RSA_WITH_AES_128_CBC_SHA256: a VTN that offers nothing else."""
    pki = make_dev_ca(tmp_path / "ca", now=time.time(), kind="rsa2048")
    only = serving(pki)
    only.maximum_version = ssl.TLSVersion.TLSv1_2
    only.set_ciphers("AES128-SHA256")
    assert isinstance(over_tls(only, context(pki, ciphers="DEFAULT:AES128-SHA256")), Received)
    without = over_tls(only, context(pki, ciphers="ECDHE-ECDSA-AES128-SHA256"))
    assert isinstance(without, Failed) and without.cause in ("tls", "unreachable")
