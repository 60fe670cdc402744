"""The VTN is wrong in just the way that a procedure says: judged by OpenSSL and xmlsec1, never by our VEN."""

from __future__ import annotations

import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pytest
from cryptography import x509
from lxml import etree

from tests.outgoing import xmlsec1
from tests.playbook.ven_stage import xsd
from vpp_gateway.clock import SeededRng, SystemClock
from vpp_gateway.conform.openadr2.guise import Hand, Security, security_of
from vpp_gateway.conform.openadr2.papers import VEN, Papers, lay
from vpp_gateway.conform.openadr2.procedure import Procedure, SignWay, TlsWay, load
from vpp_gateway.conform.openadr2.run import play_own
from vpp_gateway.conform.openadr2.say import build
from vpp_gateway.conform.openadr2.words import Scene
from vpp_gateway.conform.openadr2.xml import ProcedureError, nodes, values

NOW = 1_767_225_600.0
Shake = Callable[..., tuple[str, str, x509.Certificate]]


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return lay(tmp_path_factory.mktemp("papers"), "p256")


@pytest.fixture(scope="module")
def security(papers: Papers) -> Security:
    return security_of(papers, signed=True, rng=SeededRng(1))


# -- TLS --------------------------------------------------------------------------------------------------------


class Listening:
    """One address that shakes hands in the way given."""

    def __init__(self, server: ssl.SSLContext) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._context = server
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        peer, _ = self._socket.accept()
        try:
            self._context.wrap_socket(peer, server_side=True).close()
        except OSError:
            peer.close()

    def close(self) -> None:
        self._thread.join(5)
        self._socket.close()


@pytest.fixture
def shake(papers: Papers, security: Security) -> Iterator[Shake]:
    """A handshake of a client that is as careful as OpenSSL is by itself; version, suite and peer's certificate."""
    opened: list[Listening] = []

    def one(way: TlsWay, **how: object) -> tuple[str, str, x509.Certificate]:
        assert security.tls is not None
        opened.append(Listening(security.contexts.get(way, security.tls)))
        client = ssl.create_default_context(cafile=str(papers.known.ca))
        client.load_cert_chain(papers.known.ven_cert(VEN), papers.known.ven_key(VEN))
        if how.get("careless"):
            client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        if how.get("ciphers"):
            client.set_ciphers(str(how["ciphers"]))
        if how.get("old"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                client.minimum_version = ssl.TLSVersion.TLSv1
            client.set_ciphers("DEFAULT:@SECLEVEL=0")
        with (
            socket.create_connection(("127.0.0.1", opened[-1].port), timeout=5) as line,
            client.wrap_socket(line, server_hostname="127.0.0.1") as shaken,
        ):
            shown = x509.load_der_x509_certificate(shaken.getpeercert(True) or b"")
            return shaken.version() or "", (shaken.cipher() or ("",))[0], shown

    yield one
    for listening in opened:
        listening.close()


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("stranger", "unable to get local issuer|self-signed certificate"),
        ("other-ven", "(?i)unsuitable certificate purpose|unsupported"),
        ("expired", "certificate has expired"),
        ("other-host", "IP address mismatch"),
        ("weak-key", "(?i)key too small|key too weak"),
        ("tls-1.1", "(?i)unsupported protocol|protocol version"),
        ("null-suite", "(?i)handshake failure|no shared cipher"),
    ],
)
def test_a_careful_client_refuses_it(shake: Shake, way: TlsWay, said: str) -> None:
    with pytest.raises(ssl.SSLError, match=said):
        shake(way)


@pytest.mark.parametrize(
    ("way", "how"),
    [
        ("stranger", {"careless": True}),
        ("other-ven", {"careless": True}),
        ("expired", {"careless": True}),
        ("other-host", {"careless": True}),
        ("weak-key", {"careless": True, "ciphers": "DEFAULT:@SECLEVEL=0"}),
        ("tls-1.1", {"old": True}),
        ("null-suite", {"careless": True, "ciphers": "ALL:eNULL:@SECLEVEL=0"}),
    ],
)
def test_a_careless_client_is_taken_in(shake: Shake, way: TlsWay, how: dict[str, object]) -> None:
    """So a VEN that does not connect has refused just this."""
    assert shake(way, **how)[0]


@pytest.mark.parametrize(
    ("way", "version", "suite"),
    [
        ("good", "TLSv1.3", ""),
        ("other-vtn", "TLSv1.3", ""),
        ("tls-1.3", "TLSv1.3", ""),
        ("ecdsa-suite", "TLSv1.2", "ECDHE-ECDSA-AES128-SHA256"),
    ],
)
def test_what_a_ven_must_take_is_sound(shake: Shake, way: TlsWay, version: str, suite: str) -> None:
    how = {"ciphers": suite} if suite else {}
    spoken = shake(way, **how)
    assert spoken[0] == version and suite in ("", spoken[1])


def test_the_revoked_certificate_is_sound_but_for_the_list(shake: Shake, papers: Papers) -> None:
    shown = shake("revoked")[2]
    crl = x509.load_pem_x509_crl(papers.crl.read_bytes())
    ca = x509.load_pem_x509_certificate(papers.known.ca.read_bytes())
    assert crl.is_signature_valid(ca.public_key())  # type: ignore[arg-type]  # an EC key, which signs
    assert crl.get_revoked_certificate_by_serial_number(shown.serial_number) is not None


def test_every_way_of_tls_can_be_shown(security: Security) -> None:
    assert {*security.contexts, "good"} == set(get_args(TlsWay))


# -- signatures -------------------------------------------------------------------------------------------------


def said(security: Security, way: SignWay) -> bytes:
    scene = Scene(
        t0=NOW, now=NOW, vtn_id="VTN-1", ven_id="VEN-1", registration_id="R", request_id="Q", names={}
    )
    tree = build({"oadrDistributeEvent": {"events": [{"id": "evil"}]}}, scene)
    return Hand(security).bytes(tree, way, SystemClock().utc())


@pytest.mark.parametrize("way", ["good", "other-ven", "other-vtn", "stranger", "expired", "revoked"])
def test_the_signature_itself_holds(security: Security, tmp_path: Path, way: SignWay) -> None:
    """Whose it is must be what the VEN minds."""
    assert xmlsec1(said(security, way), tmp_path) == ""


def test_an_altered_message_fails(security: Security, tmp_path: Path) -> None:
    assert "DIGEST" in xmlsec1(said(security, "altered"), tmp_path).upper()


def test_a_wrapped_message_has_a_good_signature_over_something_else(
    security: Security, tmp_path: Path
) -> None:
    body = said(security, "wrapped")
    assert xmlsec1(body, tmp_path) == ""
    tree = etree.fromstring(body)
    read = nodes(tree, "/oadr:oadrPayload/oadr:oadrSignedObject")
    assert [values(one, ".//ei:eventID") for one in read] == [["evil"]]
    covered = [uri.removeprefix("#") for uri in values(tree, "//ds:Reference/@URI")]
    assert read[0].get(f"{{{read[0].nsmap['oadr']}}}Id") not in covered
    assert values(tree, "//ds:Object//ei:eventID") == []


def test_two_signatures_are_two_of_the_same(security: Security) -> None:
    tree = etree.fromstring(said(security, "twice"))
    one, two = nodes(tree, "/oadr:oadrPayload/ds:Signature")
    assert etree.tostring(one) == etree.tostring(two)


def test_no_signature_and_none_to_repeat(security: Security) -> None:
    assert b"Signature" not in said(security, "none")
    with pytest.raises(ProcedureError, match="nothing was said yet"):
        said(security, "replayed")


# -- procedures -------------------------------------------------------------------------------------------------


def shown(one: Procedure) -> set[str]:
    steps = [getattr(step, key, None) for step in one.steps for key in ("tls", "sign")]
    return {way for way in (*steps, one.vtn.tls, one.vtn.sign) if way}


def test_every_way_is_played_by_a_procedure() -> None:
    played = set[str]().union(*(shown(one) for one in load()))
    assert played >= {*get_args(TlsWay), *get_args(SignWay)}


def test_a_ven_that_restarts_keeps_its_nonces_or_is_found_out() -> None:
    """The replay after a restart is a sound message: a VEN that has forgotten the nonce answers it."""
    one = next(one for one in load() if one.id == "Security-V41-replayed-after-restart")
    kept, forgot = (play_own(one, mutant, xsd()) for mutant in (None, one.mutants[0]))
    assert kept.verdict == "pass", kept.reason
    assert forgot.verdict == "fail" and forgot.acted and "expected no oadrCreatedEvent" in forgot.reason
