"""Certificates that are renewed, revoked or pinned, on real sockets: no poll is missed, and nothing unfit is taken."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.outgoing import Tap
from tests.playbook.ven_stage import ROOM, xsd
from tests.wire.ven_bench import free_port
from vpp_gateway.clock import SeededRng, SystemClock
from vpp_gateway.domain.instruction import RoomName
from vpp_gateway.errors import ConfigError
from vpp_gateway.identity import read_key
from vpp_gateway.identity.dev_ca import DevCa, make_dev_ca
from vpp_gateway.identity.keys import make_key, write_private
from vpp_gateway.northbound.openadr2.client import VenClient, tls_context
from vpp_gateway.northbound.openadr2.codec import Codec
from vpp_gateway.northbound.openadr2.listener import PATH, PushListener
from vpp_gateway.northbound.openadr2.messages import (
    Failed,
    Listening,
    Poll,
    Post,
    Pushed,
    Received,
    Reply,
    RequestReregistration,
    Response,
)
from vpp_gateway.northbound.openadr2.report_words import EiResponse
from vpp_gateway.northbound.openadr2.signature import Signer, Verifier, fingerprint
from vpp_gateway.northbound.openadr2.wallet import Papers, Wallet
from vpp_gateway.sim.vtn_http import server_tls

OK = Response(response=EiResponse(code="200", description="OK"))
POLL = Poll(ven_id="VEN-1")
Outcome = Received | Failed


@pytest.fixture
def pki(tmp_path: Path) -> DevCa:
    return make_dev_ca(
        tmp_path / "ca", now=time.time(), vens=("ven", "next", "other"), servers=("push", "push-next")
    )


@pytest.fixture
def papers(pki: DevCa, tmp_path: Path) -> Papers:
    folder = tmp_path / "identity"
    folder.mkdir()
    for source, name in (
        (pki.ca, "ca.pem"),
        (pki.ven_cert("ven"), "ven.pem"),
        (pki.ven_key("ven"), "ven.key"),
    ):
        shutil.copy(source, folder / name)
    return Papers(
        ca=folder / "ca.pem", cert=folder / "ven.pem", key=folder / "ven.key", sign=True,
        pin=fingerprint(pki.vtn_cert.read_bytes()),
    )  # fmt: skip


def put(source: Path, target: Path) -> None:
    """As renewal tools do: beside it, then in its place."""
    fresh = target.with_suffix(".new")
    shutil.copy(source, fresh)
    fresh.replace(target)


def wallet(papers: Papers) -> Wallet:
    return Wallet(papers, clock=SystemClock(), rng=SeededRng(3))


def make_crl(pki: DevCa, *serials: int, days: float = 30.0, der: bool = False) -> bytes:
    now = datetime.now(UTC)
    ca = x509.load_pem_x509_certificate(pki.ca.read_bytes())
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ca.subject)
        .last_update(now - timedelta(days=60))
        .next_update(now + timedelta(days=days))
    )
    for serial in serials:
        row = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
        builder = builder.add_revoked_certificate(row)
    crl = builder.sign(read_key(pki.folder / "ca.key"), hashes.SHA256())
    return crl.public_bytes(serialization.Encoding.DER if der else serialization.Encoding.PEM)


def serial(path: Path) -> int:
    return x509.load_pem_x509_certificate(path.read_bytes()).serial_number


class SigningVtn:
    """A VTN behind mutual TLS that signs; knows which certificates spoke to it, and over how many connections."""

    def __init__(self, pki: DevCa) -> None:
        self.heard: list[tuple[str, str]] = []
        """(TLS fingerprint, signature's fingerprint) of each poll."""
        self.connections: set[object] = set()
        self._codec = Codec(
            schema=xsd(),
            signer=Signer(
                key_pem=pki.vtn_key.read_bytes(), cert_pem=pki.vtn_cert.read_bytes(), rng=SeededRng(5)
            ),
            verifier=Verifier(roots_pem=pki.ca.read_bytes()),
        )
        self._tls = server_tls(ca_file=str(pki.ca), cert_file=str(pki.vtn_cert), key_file=str(pki.vtn_key))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        secure = request.transport.get_extra_info("ssl_object")
        decoded = self._codec.decode(await request.read(), time.time())
        shown = ssl.DER_cert_to_PEM_cert(secure.getpeercert(True))
        self.connections.add(request.transport)
        self.heard.append((fingerprint(shown), decoded.fingerprint or ""))
        return web.Response(body=self._codec.encode(OK, time.time()))

    async def during(self, scene: Callable[[str], Awaitable[None]]) -> None:
        app = web.Application()
        app.router.add_post("/oadr/OadrPoll", self.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self._tls).start()
            await scene(f"https://127.0.0.1:{runner.addresses[0][1]}/oadr")
        finally:
            await runner.cleanup()


def polls(
    vtn: SigningVtn, own: Wallet, count: int, before: Callable[[int], None] = lambda number: None
) -> list[Outcome]:
    """`count` polls, one after the other; `before(number)` happens between two of them."""
    outcomes: list[Outcome] = []

    async def scene(url: str) -> None:
        came: asyncio.Queue[Outcome] = asyncio.Queue()

        async def deliver(room: RoomName, outcome: Outcome) -> None:
            assert room == ROOM
            await came.put(outcome)

        client = VenClient(
            room=ROOM, base_url=url, codec=Codec(schema=xsd()), tls=None, clock=SystemClock(), deliver=deliver,
            deadline_s=5.0, wallet=own, recorder=Tap(),
        )  # fmt: skip
        async with asyncio.TaskGroup() as group:
            task = group.create_task(client.run())
            for number in range(count):
                before(number)
                client.send(Post(number=number, service="OadrPoll", message=POLL))
                outcomes.append(await came.get())
            task.cancel()

    asyncio.run(vtn.during(scene))
    return outcomes


def test_a_renewal_misses_no_poll(pki: DevCa, papers: Papers) -> None:
    vtn, own = SigningVtn(pki), wallet(papers)
    old, new = (fingerprint(pki.ven_cert(name).read_bytes()) for name in ("ven", "next"))
    troubles: list[str] = []

    def rotate(number: int) -> None:
        troubles.append(own.trouble)
        if number == 5:
            put(pki.ven_cert("next"), papers.cert)  # half of the pair
        if number == 10:
            put(pki.ven_key("next"), papers.key)

    outcomes = polls(vtn, own, 20, rotate)
    assert [type(outcome) for outcome in outcomes] == [Received] * 20, outcomes
    assert vtn.heard == [(old, old)] * 10 + [(new, new)] * 10
    assert len(vtn.connections) == 2, "the connection under the old certificate is not used again"
    assert [bool(trouble) for trouble in troubles] == [False] * 6 + [True] * 5 + [False] * 9
    assert "is not the key of the certificate" in troubles[6]
    (note,) = own.notes()
    assert new in note and old in note and "the utility must know" in note


def test_a_revoked_vtn_is_refused_from_the_next_exchange_on(
    pki: DevCa, papers: Papers, tmp_path: Path
) -> None:
    crl = tmp_path / "crl.pem"
    crl.write_bytes(make_crl(pki))
    own = wallet(replace(papers, crl=(crl,)))

    def revoke(number: int) -> None:
        if number == 2:
            crl.write_bytes(make_crl(pki, serial(pki.vtn_cert), der=True))

    outcomes = polls(SigningVtn(pki), own, 4, revoke)
    assert [type(outcome) for outcome in outcomes] == [Received, Received, Failed, Failed]
    assert isinstance(outcomes[2], Failed) and outcomes[2].cause == "tls"
    assert "revoked" in outcomes[2].detail


@pytest.mark.parametrize(("when_stale", "kind"), [("refuse", Failed), ("accept", Received)])
def test_an_overdue_crl(pki: DevCa, papers: Papers, tmp_path: Path, when_stale: str, kind: type) -> None:
    crl = tmp_path / "crl.pem"
    crl.write_bytes(make_crl(pki, days=-1.0))
    own = wallet(replace(papers, crl=(crl,), stale_crl=when_stale))  # type: ignore[arg-type]
    vtn = SigningVtn(pki)
    (outcome,) = polls(vtn, own, 1)
    assert isinstance(outcome, kind), outcome
    assert any("the next one was due" in note for note in own.notes())
    assert own.ends()["CRL"] < time.time()
    assert bool(vtn.heard) == (kind is Received), "nothing was sent before the certificate was looked at"


def test_the_pin_of_the_tls_certificate(pki: DevCa, papers: Papers) -> None:
    vtn = SigningVtn(pki)
    right = wallet(replace(papers, tls_pin=fingerprint(pki.vtn_cert.read_bytes())))
    assert isinstance(polls(vtn, right, 1)[0], Received)
    assert set(right.ends()) == {"own", "CA", "VTN"}
    (outcome,) = polls(vtn, wallet(replace(papers, tls_pin="00:" * 9 + "00")), 1)
    assert isinstance(outcome, Failed) and outcome.cause == "tls"
    assert "expected TLS fingerprint 00:00" in outcome.detail
    assert len(vtn.heard) == 1, "no message went to the wrong server"


def encrypted(papers: Papers) -> None:
    key = make_key()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"open"),
    )
    papers.key.unlink()
    write_private(papers.key, pem)


def weak(papers: Papers) -> None:
    pem = ec.generate_private_key(ec.SECP192R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    papers.key.unlink()
    write_private(papers.key, pem)


FAULTS: dict[str, tuple[Callable[[Papers, DevCa], object], str]] = {
    "encrypted key": (lambda papers, pki: encrypted(papers), "private key"),
    "weak key": (lambda papers, pki: weak(papers), "secp192r1"),
    "key of another": (lambda papers, pki: put(pki.ven_key("other"), papers.key), "is not the key of"),
    "key for all to read": (lambda papers, pki: papers.key.chmod(0o644), "expected mode 0600, found 0644"),
    "no key": (lambda papers, pki: papers.key.unlink(), "ven.key"),
    "no certificate": (lambda papers, pki: papers.cert.write_bytes(b""), "ven.pem"),
    "half a certificate": (
        lambda papers, pki: papers.cert.write_bytes(papers.cert.read_bytes()[:300]),
        "ven.pem",
    ),
    "chain in disorder": (
        lambda papers, pki: papers.cert.write_bytes(papers.cert.read_bytes() + pki.vtn_cert.read_bytes()),
        "chain is not complete",
    ),
    "no CA": (lambda papers, pki: papers.ca.write_bytes(b"nobody"), "ca.pem"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_papers_that_do_not_fit_are_named_and_the_old_ones_stay(
    pki: DevCa, papers: Papers, name: str
) -> None:
    spoil, words = FAULTS[name]
    running = wallet(papers)
    before = running.credentials
    secret = papers.key.read_text().split("\n")[1]
    spoil(papers, pki)
    with pytest.raises(ConfigError, match=words) as refused:
        wallet(papers)
    assert running.renew() is False
    assert running.credentials is before and words in running.trouble
    assert not running.renew(), "said once, not at each poll"
    for said in (str(refused.value), *running.notes()):
        assert secret not in said and "PRIVATE KEY" not in said


def test_a_crl_of_somebody_else_is_refused_at_the_start(pki: DevCa, papers: Papers, tmp_path: Path) -> None:
    stranger = make_dev_ca(tmp_path / "stranger", now=time.time())
    crl = tmp_path / "crl.pem"
    for content, words in ((make_crl(stranger), "signed, found none"), (b"no list", "expected a CRL")):
        crl.write_bytes(content)
        with pytest.raises(ConfigError, match=words):
            wallet(replace(papers, crl=(crl,)))


def test_an_expired_certificate_is_named_and_does_not_stop_the_gateway(papers: Papers) -> None:
    class Later(SystemClock):
        def utc(self) -> float:
            return super().utc() + 20 * 365 * 86400

    late = Wallet(papers, clock=Later(), rng=SeededRng(1))
    assert any("ran out" in note for note in late.notes())


def test_files_that_did_not_change_are_not_read(papers: Papers) -> None:
    own = wallet(papers)
    before = own.credentials
    assert not any(own.renew() for _ in range(10))
    assert own.credentials is before
    os.utime(papers.key, (1, 1))
    assert own.renew() and own.credentials is not before and own.changed_from == ""


def test_a_renewed_certificate_of_our_own_address_is_shown_and_no_post_is_lost(
    pki: DevCa, papers: Papers
) -> None:
    put(pki.ven_cert("push"), papers.cert)
    put(pki.ven_key("push"), papers.key)
    own = wallet(replace(papers, sign=False, pin=None, listens=True, names=("localhost",)))
    vtn = tls_context(
        ca_file=str(pki.ca),
        cert_file=str(pki.vtn_cert),
        key_file=str(pki.vtn_key),
        ciphers=None,
        check_hostname=False,
    )
    body = Codec(schema=xsd()).encode(RequestReregistration(ven_id="VEN-1"), time.time())
    shown: list[str] = []

    async def main() -> None:
        port, ready = free_port(), asyncio.Event()

        async def deliver(room: RoomName, word: object) -> None:
            if isinstance(word, Listening):
                ready.set()
            if isinstance(word, Pushed):
                listener.send(Reply(number=word.number, message=None, status=200))

        listener = PushListener(
            room=ROOM, codec=Codec(schema=xsd()), clock=SystemClock(), deliver=deliver, deadline_s=5.0, answer_s=1.0,
            port=port, wallet=own, renew_s=0.3,
        )  # fmt: skip

        async def post(http: aiohttp.ClientSession) -> None:
            url = f"https://127.0.0.1:{port}{PATH}/EiRegisterParty"
            async with http.post(
                url, data=body, headers={"Content-Type": "application/xml"}, ssl=vtn
            ) as reply:
                assert reply.status == 200, await reply.text()

        async def look() -> str:
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=vtn)
            secure = writer.get_extra_info("ssl_object")
            found = fingerprint(ssl.DER_cert_to_PEM_cert(secure.getpeercert(True)))
            writer.close()
            return found

        async with asyncio.TaskGroup() as group, aiohttp.ClientSession() as standing:
            serving = group.create_task(listener.run())
            await ready.wait()
            for number in range(30):
                if number == 5:
                    put(pki.ven_cert("push-next"), papers.cert)  # half of the pair
                if number == 15:
                    put(pki.ven_key("push-next"), papers.key)
                await post(standing)  # over a connection that stands since the beginning
                async with aiohttp.ClientSession() as fresh:
                    await post(fresh)
                shown.append(await look())
                await asyncio.sleep(0.1)
            serving.cancel()

    asyncio.run(main())
    old, new = (fingerprint(pki.ven_cert(name).read_bytes()) for name in ("push", "push-next"))
    assert shown[:15] == [old] * 15
    assert shown[-10:] == [new] * 10
    assert not own.trouble
