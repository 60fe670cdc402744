"""Forged, wrapped, borrowed and revoked signatures: each made by somebody who can do a little more than alter bytes,
and each refused; chains with intermediates and both canonical forms pass."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from lxml import etree

from tests.playbook.ven_stage import START, xsd
from vpp_gateway.clock import SeededRng
from vpp_gateway.errors import ConfigError
from vpp_gateway.identity.keys import PrivateKey, key_pem, make_key
from vpp_gateway.northbound.openadr2 import signature
from vpp_gateway.northbound.openadr2.codec import Codec
from vpp_gateway.northbound.openadr2.messages import Poll
from vpp_gateway.northbound.openadr2.revocation import Revocations
from vpp_gateway.northbound.openadr2.signature import (
    C14N,
    EXCLUSIVE_C14N,
    Signer,
    Verifier,
    canonical,
)
from vpp_gateway.northbound.openadr2.trust import CHAIN_MAX, Trust, fingerprint_of
from vpp_gateway.northbound.openadr2.xml_intake import WireError
from vpp_gateway.northbound.openadr2.xml_names import NAMESPACES, add, need, tag

MESSAGE = Poll(ven_id="VEN-1")
NOW = datetime.fromtimestamp(START, UTC)
DS = NAMESPACES["ds"]
MORE = "http://www.w3.org/2001/04/xmldsig-more#"


@dataclass(frozen=True)
class Paper:
    """A certificate and its key."""

    key: PrivateKey
    cert: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.cert.public_bytes(serialization.Encoding.PEM)

    @property
    def b64(self) -> str:
        return base64.b64encode(self.cert.public_bytes(serialization.Encoding.DER)).decode()


def issue(
    name: str, by: Paper | None = None, *, ca: bool = False, key: PrivateKey | None = None, days: float = 30.0,
    since: float = 1.0, server: bool = True,
) -> Paper:  # fmt: skip
    """A certificate by `by`, or by itself."""
    own = key or make_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
    usage = x509.KeyUsage(
        digital_signature=not ca, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=ca, crl_sign=ca, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if by is None else by.cert.subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=since))
        .not_valid_after(NOW + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(usage, critical=True)
    )
    if not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    return Paper(own, builder.sign(own if by is None else by.key, hashes.SHA256()))


ROOT = issue("root", ca=True)
VTN = issue("vtn", ROOT)
RSA_VTN = issue("vtn", ROOT, key=make_key("rsa2048"))
MIDDLE = issue("middle", ROOT, ca=True)
BELOW = issue("vtn", MIDDLE)
STRANGER_ROOT = issue("root", ca=True)
STRANGER = issue("vtn", STRANGER_ROOT)


def signed(paper: Paper = VTN) -> etree._Element:
    codec = Codec(
        schema=xsd(), signer=Signer(key_pem=key_pem(paper.key), cert_pem=paper.pem, rng=SeededRng(1))
    )
    return etree.fromstring(codec.encode(MESSAGE, START))


def seal(payload: etree._Element, paper: Paper, method: str = "") -> None:
    """Sign SignedInfo anew, as the key's owner could: digests and references stay as the forger put them."""
    info = payload.find(f".//{{{DS}}}SignedInfo")
    value = payload.find(f".//{{{DS}}}SignatureValue")
    assert info is not None and value is not None
    c14n = need(info, "ds:CanonicalizationMethod").get("Algorithm") or ""
    data = canonical(info, c14n)
    if isinstance(paper.key, rsa.RSAPrivateKey):
        raw = paper.key.sign(data, padding.PKCS1v15(), hashes.SHA1() if "sha1" in method else hashes.SHA256())
    else:
        raw = Signer(key_pem=key_pem(paper.key), cert_pem=paper.pem, rng=SeededRng(1))._raw(data)
    value.text = base64.b64encode(raw).decode()


def digest_again(payload: etree._Element) -> None:
    """Put the right digests for what the references name now, by the first element of that Id."""
    for reference in payload.iter(f"{{{DS}}}Reference"):
        id = (reference.get("URI") or "")[1:]
        target = next(e for e in payload.iter() if id in (e.get("Id"), e.get(tag("oadr:Id"))))
        names = [t.get("Algorithm") for t in reference.iter(f"{{{DS}}}Transform")]
        digest = hashlib.sha256(canonical(target, names[0] or C14N)).digest()
        need(reference, "ds:DigestValue").text = base64.b64encode(digest).decode()


def verify(payload: etree._Element, verifier: Verifier | None = None) -> object:
    check = verifier or Verifier(pins=[fingerprint_of(VTN.cert)], roots_pem=ROOT.pem, server=True)
    return Codec(schema=xsd(), verifier=check).decode(etree.tostring(payload), START).message


def part(payload: etree._Element, name: str) -> etree._Element:
    found = payload.find(f".//{{{DS}}}{name}")
    assert found is not None
    return found


def moved(payload: etree._Element) -> None:
    """The signed message lies in ds:Object, another one in its place under another Id."""
    body = need(payload, "oadr:oadrSignedObject")
    forged = deepcopy(body)
    forged.set(tag("oadr:Id"), "other")
    part(payload, "Object").append(body)
    payload.append(forged)


def same_id(payload: etree._Element) -> None:
    body = need(payload, "oadr:oadrSignedObject")
    payload.append(deepcopy(body))


def two_signatures(payload: etree._Element) -> None:
    payload.insert(0, deepcopy(part(payload, "Signature")))


def foreign_reference(payload: etree._Element) -> None:
    part(payload, "Reference").set("URI", "http://127.0.0.1:1/signed")
    seal(payload, VTN)


def whole_document(payload: etree._Element) -> None:
    part(payload, "Reference").set("URI", "")
    seal(payload, VTN)


def xpointer(payload: etree._Element) -> None:
    part(payload, "Reference").set("URI", "#xpointer(id('oadrSignedObject'))")
    seal(payload, VTN)


def transform(algorithm: str) -> Callable[[etree._Element], None]:
    def forge(payload: etree._Element) -> None:
        part(payload, "Transform").set("Algorithm", algorithm)
        seal(payload, VTN)

    return forge


def two_transforms(payload: etree._Element) -> None:
    add(part(payload, "Transforms"), "ds:Transform").set("Algorithm", C14N)
    seal(payload, VTN)


def digest_method(algorithm: str, name: str) -> Callable[[etree._Element], None]:
    def forge(payload: etree._Element) -> None:
        part(payload, "DigestMethod").set("Algorithm", algorithm)
        found = hashlib.new(name, canonical(need(payload, "oadr:oadrSignedObject"), C14N)).digest()
        part(payload, "DigestValue").text = base64.b64encode(found).decode()
        seal(payload, VTN)

    return forge


def hmac_with_the_public_key(payload: etree._Element) -> None:
    """Everybody knows the public key: a verifier that lets the message choose HMAC would take it as the secret."""
    part(payload, "SignatureMethod").set("Algorithm", f"{MORE}hmac-sha256")
    spki = VTN.cert.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    value = hmac.new(spki, canonical(part(payload, "SignedInfo"), C14N), "sha256").digest()
    part(payload, "SignatureValue").text = base64.b64encode(value).decode()


def key_value_only(payload: etree._Element) -> None:
    info = part(payload, "KeyInfo")
    for child in list(info):
        info.remove(child)
    add(info, "ds:KeyName", "vtn")


def not_protected(payload: etree._Element) -> None:
    """The signature covers the message alone: timestamp and nonce could be made new."""
    references = list(payload.iter(f"{{{DS}}}Reference"))
    part(payload, "SignedInfo").remove(references[1])
    seal(payload, VTN)


def protect_twice(payload: etree._Element) -> None:
    references = list(payload.iter(f"{{{DS}}}Reference"))
    references[0].set("URI", references[1].get("URI") or "")
    digest_again(payload)
    seal(payload, VTN)


def no_protect(payload: etree._Element) -> None:
    part(payload, "Object").clear()
    part(payload, "Object").set("Id", "prop")
    digest_again(payload)
    seal(payload, VTN)


def unsigned(payload: etree._Element) -> None:
    payload.remove(part(payload, "Signature"))


def comments_c14n(payload: etree._Element) -> None:
    part(payload, "CanonicalizationMethod").set("Algorithm", f"{C14N}#WithComments")


def zeros(payload: etree._Element) -> None:
    """r = s = 0 fits any message in a careless ECDSA."""
    part(payload, "SignatureValue").text = base64.b64encode(bytes(64)).decode()


def no_value(payload: etree._Element) -> None:
    part(payload, "SignatureValue").text = ""


def stranger_under_our_certificate(payload: etree._Element) -> None:
    seal(payload, Paper(STRANGER.key, STRANGER.cert))


def shown_beside(payload: etree._Element) -> None:
    """The stranger signs and shows the pinned certificate first, his own behind it."""
    add(part(payload, "X509Data"), "ds:X509Certificate", STRANGER.b64)
    seal(payload, STRANGER)


def many_certificates(payload: etree._Element) -> None:
    for _ in range(CHAIN_MAX):
        add(part(payload, "X509Data"), "ds:X509Certificate", VTN.b64)


FORGERIES: dict[str, Callable[[etree._Element], None]] = {
    "the signed message moved": moved,
    "the same id twice": same_id,
    "two signatures": two_signatures,
    "a reference elsewhere": foreign_reference,
    "a reference to the document": whole_document,
    "a reference by xpointer": xpointer,
    "transform xpath": transform("http://www.w3.org/TR/1999/REC-xpath-19991116"),
    "transform xpath filter 2": transform("http://www.w3.org/2002/06/xmldsig-filter2"),
    "transform xslt": transform("http://www.w3.org/TR/1999/REC-xslt-19991116"),
    "transform enveloped": transform(f"{DS}enveloped-signature"),
    "transform base64": transform(f"{DS}base64"),
    "two transforms": two_transforms,
    "digest sha-1": digest_method(f"{DS}sha1", "sha1"),
    "digest md5": digest_method(f"{MORE}md5", "md5"),
    "hmac with the public key": hmac_with_the_public_key,
    "a key without a certificate": key_value_only,
    "replay protect not signed": not_protected,
    "replay protect signed twice": protect_twice,
    "no replay protect": no_protect,
    "unsigned": unsigned,
    "canonical form with comments": comments_c14n,
    "a value of zeros": zeros,
    "no value": no_value,
    "a stranger's value": stranger_under_our_certificate,
    "a stranger behind the pinned certificate": shown_beside,
    "many certificates": many_certificates,
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_signature_is_refused(name: str) -> None:
    payload = signed()
    assert verify(payload) == MESSAGE
    FORGERIES[name](payload)
    with pytest.raises(WireError, match=r"signature|expected|ReplayProtect") as refused:
        verify(payload)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("algorithm", [C14N, EXCLUSIVE_C14N])
@pytest.mark.parametrize("paper", [VTN, RSA_VTN], ids=["p256", "rsa"])
def test_both_canonical_forms_pass(algorithm: str, paper: Paper) -> None:
    payload = signed(paper)
    for name in ("CanonicalizationMethod", "Transform"):
        for element in payload.iter(f"{{{DS}}}{name}"):
            element.set("Algorithm", algorithm)
    digest_again(payload)
    seal(payload, paper)
    assert verify(payload, Verifier(roots_pem=ROOT.pem, server=True)) == MESSAGE


def test_rsa_with_sha_1_is_refused() -> None:
    payload = signed(RSA_VTN)
    part(payload, "SignatureMethod").set("Algorithm", f"{DS}rsa-sha1")
    seal(payload, RSA_VTN, "sha1")
    with pytest.raises(WireError, match="expected rsa-sha256"):
        verify(payload, Verifier(roots_pem=ROOT.pem))


# -- certificates ---------------------------------------------------------------------------------------------------


def test_a_pin_alone_does_not_let_another_authority_in() -> None:
    """80 bits can be met by search: whoever finds such a certificate still has none of the trusted CA."""
    both = Verifier(pins=[fingerprint_of(STRANGER.cert)], roots_pem=ROOT.pem)
    with pytest.raises(WireError, match="none of the trusted CAs"):
        verify(signed(STRANGER), both)


@pytest.mark.parametrize(
    ("paper", "words"),
    [
        (issue("late", ROOT, days=-0.5), "is valid from"),
        (issue("early", ROOT, since=-0.5), "is valid from"),
        (issue("ven", ROOT, server=False), "is a client's"),
        (issue("weak", ROOT, key=rsa.generate_private_key(65537, 1024)), "rule 68"),
        (issue("weak", ROOT, key=ec.generate_private_key(ec.SECP192R1())), "rule 68"),
        (issue("by a leaf", VTN), "none of the trusted CAs"),
    ],
)
def test_a_certificate_that_may_not_sign(paper: Paper, words: str) -> None:
    try:
        payload = signed(paper)
    except ConfigError:  # our own signer takes no weak key: the certificate alone is put in
        payload = signed()
        part(payload, "X509Certificate").text = paper.b64
    with pytest.raises(WireError, match=words):
        verify(payload, Verifier(roots_pem=ROOT.pem, server=True))


def chained(*above: Paper, leaf: Paper = BELOW) -> etree._Element:
    payload = signed(leaf)
    for paper in above:
        add(part(payload, "X509Data"), "ds:X509Certificate", paper.b64)
    return payload


def test_a_chain_with_an_intermediate_passes_only_when_it_reaches_the_root() -> None:
    check = Verifier(roots_pem=ROOT.pem, server=True)
    assert verify(chained(MIDDLE), check) == MESSAGE
    assert verify(chained(STRANGER_ROOT, MIDDLE, ROOT), check) == MESSAGE
    late = issue("middle", ROOT, ca=True, key=MIDDLE.key, days=-0.5)
    leaf_of_leaf = issue("evil", VTN)
    for payload in (chained(), chained(STRANGER_ROOT), chained(late), chained(VTN, leaf=leaf_of_leaf)):
        with pytest.raises(WireError, match="none of the trusted CAs"):
            verify(payload, check)


def crl(by: Paper, *revoked: Paper, days: float = 1.0) -> x509.CertificateRevocationList:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(by.cert.subject)
        .last_update(NOW - timedelta(days=9))
        .next_update(NOW + timedelta(days=days))
    )
    for paper in revoked:
        row = x509.RevokedCertificateBuilder().serial_number(paper.cert.serial_number).revocation_date(NOW)
        builder = builder.add_revoked_certificate(row.build())
    return builder.sign(by.key, hashes.SHA256())


def test_a_revoked_certificate_signs_nothing() -> None:
    def check(*crls: x509.CertificateRevocationList, **how: str) -> Verifier:
        lists = Revocations(crls, authorities=[ROOT.cert, MIDDLE.cert], **how)  # type: ignore[arg-type]
        return Verifier(pins=[fingerprint_of(VTN.cert)], roots_pem=ROOT.pem, revocations=lists)

    assert verify(signed(), check(crl(ROOT))) == MESSAGE
    assert verify(signed(), check(crl(ROOT, BELOW))) == MESSAGE
    assert verify(signed(), check(crl(ROOT, days=-1.0), when_stale="accept")) == MESSAGE
    for verifier, words in (
        (check(crl(ROOT, VTN)), "is revoked"),
        (check(crl(ROOT, VTN, days=-1.0), when_stale="accept"), "is revoked"),
        (check(crl(ROOT, days=-1.0)), "the next one was due"),
        (check(crl(MIDDLE)), "no CRL of the certificate's issuer"),
    ):
        with pytest.raises(WireError, match=words):
            verify(signed(), verifier)


def test_a_chain_of_nothing_is_refused() -> None:
    with pytest.raises(WireError, match="expected 1 to 5 certificates, found 0"):
        Trust([ROOT.cert]).check([], START)


# -- cost -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("paper", [VTN, RSA_VTN], ids=["p256", "rsa"])
def test_a_signed_poll_costs_little(paper: Paper) -> None:
    """5 ms of CPU for signing with RSA 2048, the cheapest of some rounds; loading the key would cost far more."""
    signer = Signer(key_pem=key_pem(paper.key), cert_pem=paper.pem, rng=SeededRng(1))
    codec = Codec(schema=xsd(), signer=signer, verifier=Verifier(roots_pem=ROOT.pem))
    rounds = []
    for _ in range(10):
        began = time.process_time()
        for _ in range(20):
            body = codec.encode(MESSAGE, START)
        made = time.process_time()
        for _ in range(20):
            codec.decode(body, START)
        rounds.append(((made - began) / 20, (time.process_time() - made) / 20))
    assert min(sign for sign, _ in rounds) <= 0.005
    assert min(check for _, check in rounds) <= 0.005


def test_a_signer_says_nothing_of_its_key() -> None:
    signer = Signer(key_pem=key_pem(VTN.key), cert_pem=VTN.pem, rng=SeededRng(1))
    assert re.search(r"PRIVATE|BEGIN", repr(signer) + str(vars(signer))) is None
    assert signature.__doc__
