"""XML signatures: ours are good for others, others' are good for us, and nothing altered, old or foreign passes."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from signxml import XMLVerifier
from signxml.verifier import SignatureConfiguration

from tests.playbook.ven_stage import START, xsd
from vpp_gateway.clock import SeededRng
from vpp_gateway.errors import ConfigError
from vpp_gateway.identity.dev_ca import DevCa, make_dev_ca
from vpp_gateway.northbound.openadr2.codec import Codec
from vpp_gateway.northbound.openadr2.messages import DistributeEvent, Poll
from vpp_gateway.northbound.openadr2.signature import (
    EXCLUSIVE_C14N,
    ReplayGuard,
    Signer,
    Verifier,
    fingerprint,
)
from vpp_gateway.northbound.openadr2.xml_intake import WireError
from vpp_gateway.northbound.openadr2.xml_names import NAMESPACES
from vpp_gateway.sim.vtn import dispatch

MESSAGE = DistributeEvent(
    request_id="A&B", vtn_id="VTN-1", events=(dispatch("007", start_at=START, duration_s=60, value=-1),)
)


@dataclass(frozen=True)
class Party:
    """A signer and what belongs to it."""

    key: bytes
    cert: bytes
    ca: bytes

    def codec(self, *, pins: list[str] | None = None, roots: bytes = b"") -> Codec:
        pinned = [fingerprint(self.cert)] if pins is None else pins
        return Codec(
            schema=xsd(),
            signer=Signer(key_pem=self.key, cert_pem=self.cert, rng=SeededRng(1)),
            verifier=Verifier(pins=pinned, roots_pem=roots),
        )


def party(ca: DevCa, name: str = "ven") -> Party:
    return Party(
        key=ca.ven_key(name).read_bytes(), cert=ca.ven_cert(name).read_bytes(), ca=ca.ca.read_bytes()
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pki")


@pytest.fixture(scope="module", params=["p256", "rsa2048"])
def signer(request: pytest.FixtureRequest, folders: Path) -> Party:
    return party(make_dev_ca(folders / request.param, now=START, kind=request.param))


@pytest.fixture(scope="module")
def p256(folders: Path) -> DevCa:
    return make_dev_ca(folders / "two", now=START, vens=("ven", "other"))


# -- good signatures ----------------------------------------------------------------------------------------------


def test_round_trip(signer: Party) -> None:
    codec = signer.codec(roots=signer.ca)
    decoded = codec.decode(codec.encode(MESSAGE, START), START)
    assert decoded.message == MESSAGE
    assert (decoded.signed_at, decoded.fingerprint) == (START, fingerprint(signer.cert))
    assert decoded.nonce and len(decoded.nonce) == 32


def test_signxml_verifies_ours(signer: Party) -> None:
    tree = etree.fromstring(signer.codec().encode(MESSAGE, START))
    config = SignatureConfiguration(expect_references=2, location="./")
    signed = XMLVerifier().verify(tree, x509_cert=signer.cert.decode(), expect_config=config)
    assert {result.signed_xml.tag.rpartition("}")[2] for result in signed} == {"oadrSignedObject", "Object"}  # type: ignore[union-attr]


@pytest.mark.skipif(shutil.which("xmlsec1") is None, reason="xmlsec1 is not installed")
def test_xmlsec_verifies_ours(signer: Party, tmp_path: Path) -> None:
    (tmp_path / "m.xml").write_bytes(signer.codec().encode(MESSAGE, START))
    (tmp_path / "ca.pem").write_bytes(signer.ca)
    ids = [
        "--id-attr:Id",
        f"{NAMESPACES['oadr']}:oadrSignedObject",
        "--id-attr:Id",
        f"{NAMESPACES['ds']}:Object",
    ]
    run = subprocess.run(
        ["xmlsec1", "--verify", "--trusted-pem", tmp_path / "ca.pem", *ids, tmp_path / "m.xml"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr


def test_nonces_differ(signer: Party) -> None:
    codec = signer.codec()
    one, two = (codec.decode(codec.encode(MESSAGE, START), START).nonce for _ in range(2))
    assert one != two


def test_exclusive_canonical_form_is_accepted(p256: DevCa) -> None:
    """A peer that signs with exclusive C14N: made with signxml, in the 2.0b layout."""
    from signxml import CanonicalizationMethod, XMLSigner, methods

    ven = party(p256)
    codec = ven.codec()
    bare = Codec(schema=xsd()).encode(Poll(ven_id="VEN-1"), START)
    payload = etree.fromstring(bare)
    stamp = etree.fromstring(
        f'<dsp:ReplayProtect xmlns:dsp="{NAMESPACES["dsp"]}" Id="myid" Target="#mytarget">'
        f"<dsp:timestamp>2026-01-01T00:00:00Z</dsp:timestamp><dsp:nonce>n1</dsp:nonce></dsp:ReplayProtect>"
    )
    maker = XMLSigner(
        method=methods.detached,
        signature_algorithm="ecdsa-sha256",
        c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    )
    signature = maker.sign(
        payload[0],
        key=ven.key,
        cert=ven.cert.decode(),
        reference_uri="#oadrSignedObject",
        signature_properties=stamp,
    )
    payload.insert(0, signature)
    body = etree.tostring(payload)
    assert EXCLUSIVE_C14N.encode() in body
    assert codec.decode(body, START).message == Poll(ven_id="VEN-1")


# -- what must not pass --------------------------------------------------------------------------------------------


def spoil(body: bytes, found: str, instead: str) -> bytes:
    text = body.decode()
    assert found in text
    return text.replace(found, instead, 1).encode()


@pytest.mark.parametrize(
    ("found", "instead"),
    [
        ("<ei:value>-1</ei:value>", "<ei:value>-9</ei:value>"),
        (">007<", ">008<"),
        ("<dsp:timestamp>2026", "<dsp:timestamp>2027"),
        ("<dsp:nonce>", "<dsp:nonce>0"),
        ('URI="#prop"', 'URI="#oadrSignedObject"'),
        ('URI="#oadrSignedObject"', 'URI=""'),
        ('URI="#oadrSignedObject"', 'URI="http://127.0.0.1:1/x"'),
        ("xmlenc#sha256", "xmldsig#sha1"),
        ("xmldsig-more#ecdsa-sha256", "xmldsig-more#rsa-sha256"),
        ("xmldsig-more#ecdsa-sha256", "xmldsig#hmac-sha1"),
        ("2001/REC-xml-c14n-20010315", "1999/REC-xslt-19991116"),
        ("<ds:SignatureValue>", "<ds:SignatureValue>AAAA"),
        ("<ds:SignatureValue>", "<ds:SignatureValue>@"),
        ("<ds:DigestValue>", "<ds:DigestValue>AAAA"),
        ("<ds:X509Certificate>", "<ds:X509Certificate>AAAA"),
        ("<ds:Object Id=", "<ds:Object></ds:Object><ds:Object Id="),
        ("<ds:SignedInfo", '<ds:SignedInfo xmlns:relative="name"'),
        ("<ds:Signature>", '<ds:Signature xmlns:relative="name">'),
        ("<oadr:oadrSignedObject ", '<oadr:oadrSignedObject xmlns:relative="name" '),
    ],
)
def test_altered_message_is_refused(p256: DevCa, found: str, instead: str) -> None:
    codec = party(p256).codec()
    with pytest.raises(WireError):
        codec.decode(spoil(codec.encode(MESSAGE, START), found, instead), START)


def test_unsigned_message_is_refused(p256: DevCa) -> None:
    with pytest.raises(WireError, match="unsigned"):
        party(p256).codec().decode(Codec(schema=xsd()).encode(MESSAGE, START), START)


def test_stripped_signature_is_refused(p256: DevCa) -> None:
    codec = party(p256).codec()
    body = re.sub(rb"<ds:Signature>.*</ds:Signature>", b"", codec.encode(MESSAGE, START), flags=re.DOTALL)
    with pytest.raises(WireError, match="unsigned"):
        codec.decode(body, START)


def test_wrapping_is_refused(p256: DevCa) -> None:
    """The signed object is moved aside and another message put in its place: each of three ways."""
    codec = party(p256).codec()
    body = codec.encode(Poll(ven_id="VEN-1"), START).decode()
    signed = re.search(r"<oadr:oadrSignedObject.*</oadr:oadrSignedObject>", body, re.DOTALL)
    assert signed is not None
    forged = signed.group().replace("VEN-1", "VEN-2")
    other_id = forged.replace('oadr:Id="oadrSignedObject"', 'oadr:Id="forged"')
    into_object = body.replace(signed.group(), other_id).replace(
        "</ds:SignatureProperties>", f"</ds:SignatureProperties>{signed.group()}"
    )
    beside = body.replace(signed.group(), other_id + signed.group())
    no_id = body.replace(signed.group(), forged.replace(' oadr:Id="oadrSignedObject"', "")).replace(
        "</ds:Signature>", f"<ds:Object>{signed.group()}</ds:Object></ds:Signature>"
    )
    for wrapped in (into_object, beside, no_id, body.replace(signed.group(), forged)):
        with pytest.raises(WireError):
            codec.decode(wrapped.encode(), START)


def test_only_the_verified_part_is_read(p256: DevCa) -> None:
    codec = party(p256).codec()
    body = codec.encode(Poll(ven_id="VEN-1"), START)
    decoded = codec.decode(spoil(body, "<ei:venID>VEN-1", "<ei:venID>VEN<!-- not signed -->-1"), START)
    assert decoded.message == Poll(ven_id="VEN-1")


def test_certificate_of_somebody_else_is_refused(p256: DevCa) -> None:
    ven, other = party(p256), party(p256, "other")
    body = other.codec().encode(MESSAGE, START)
    with pytest.raises(WireError, match="expected fingerprint"):
        ven.codec().decode(body, START)
    assert ven.codec(pins=[], roots=ven.ca).decode(body, START).message == MESSAGE


def test_without_a_pin_another_ven_of_the_authority_is_no_vtn(p256: DevCa) -> None:
    ca = p256.ca.read_bytes()
    reader = Codec(schema=xsd(), verifier=Verifier(roots_pem=ca, server=True))
    vtn = Party(key=p256.vtn_key.read_bytes(), cert=p256.vtn_cert.read_bytes(), ca=ca)
    assert reader.decode(vtn.codec(roots=ca, pins=[]).encode(MESSAGE, START), START).message == MESSAGE
    with pytest.raises(WireError, match="is a client's"):
        reader.decode(party(p256, "other").codec(roots=ca, pins=[]).encode(MESSAGE, START), START)


def test_certificate_of_another_authority_is_refused(p256: DevCa, signer: Party) -> None:
    ven = party(p256)
    with pytest.raises(WireError, match="none of the trusted CAs"):
        ven.codec(pins=[], roots=signer.ca).decode(ven.codec().encode(MESSAGE, START), START)


@pytest.mark.parametrize("years", [-7, 11])
def test_certificate_out_of_its_time_is_refused(p256: DevCa, years: int) -> None:
    codec, then = party(p256).codec(), START + years * 366 * 86400
    with pytest.raises(WireError, match="is valid from"):
        codec.decode(codec.encode(MESSAGE, then), then)


# -- keys -----------------------------------------------------------------------------------------------------------


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def test_unfit_keys_are_named(p256: DevCa) -> None:
    ven, other = party(p256), party(p256, "other")
    for key in (rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP192R1()),
                ed25519.Ed25519PrivateKey.generate()):  # fmt: skip
        with pytest.raises(ConfigError, match="rule 68"):
            Signer(key_pem=pem(key), cert_pem=ven.cert, rng=SeededRng(1))
    with pytest.raises(ConfigError, match="do not belong together"):
        Signer(key_pem=other.key, cert_pem=ven.cert, rng=SeededRng(1))
    with pytest.raises(ConfigError, match="PEM"):
        Signer(key_pem=b"no key", cert_pem=ven.cert, rng=SeededRng(1))


def test_a_check_without_pin_and_without_authority_is_no_check() -> None:
    with pytest.raises(ConfigError, match="found neither"):
        Verifier()


def test_fingerprint_is_the_last_ten_bytes_of_sha256(p256: DevCa) -> None:
    certificate = x509.load_pem_x509_certificate(party(p256).cert)
    expected = certificate.fingerprint(hashes.SHA256())[-10:].hex(":").upper()
    assert fingerprint(party(p256).cert) == expected
    assert re.fullmatch(r"([0-9A-F]{2}:){9}[0-9A-F]{2}", expected)


# -- replay ---------------------------------------------------------------------------------------------------------


def test_window_has_two_sides() -> None:
    guard = ReplayGuard(window_s=30.0)
    assert guard.check(START, "n", START + 30) == "" == guard.check(START, "n", START - 30)
    assert "ago" in guard.check(START, "n", START + 31)
    assert "ahead" in guard.check(START, "n", START - 31)
    assert "without a nonce" in guard.check(START, "", START)


def test_a_nonce_counts_once() -> None:
    guard = ReplayGuard(window_s=30.0)
    guard.remember(START, "n")
    assert "replayed" in guard.check(START, "n", START + 1)
    assert guard.check(START, "m", START + 1) == ""


def test_forgetting_never_lets_a_replay_in() -> None:
    guard = ReplayGuard(window_s=1000.0, capacity=64)
    for index in range(200):
        guard.remember(START + index, f"n{index}")
    assert all(guard.check(START + index, f"n{index}", START + 200) for index in range(200))
    assert guard.check(START + 200, "new", START + 200) == ""


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 5)), max_size=60))
def test_no_replay_passes_whatever_the_order(messages: list[tuple[int, int]]) -> None:
    guard = ReplayGuard(window_s=20.0, capacity=64)
    accepted: set[tuple[int, int]] = set()
    now = 0.0
    for signed_at, nonce in messages:
        now = max(now, float(signed_at))
        if guard.check(float(signed_at), str(nonce), now) == "":
            assert (signed_at, nonce) not in accepted
            accepted.add((signed_at, nonce))
            guard.remember(float(signed_at), str(nonce))
