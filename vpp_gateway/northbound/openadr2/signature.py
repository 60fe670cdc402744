"""XML signatures of OpenADR 2.0b: sign, verify, and refuse what was signed too long ago or comes twice.

    oadrPayload
      ds:Signature
        SignedInfo     two references: #oadrSignedObject and #prop, SHA-256 over C14N
        KeyInfo        the signer's certificate
        ds:Object      Id="prop": dsp:ReplayProtect with timestamp and nonce
      oadrSignedObject Id="oadrSignedObject"

Wrapping attacks live from a verifier that finds the signed element by id somewhere in the document and a reader that
finds the message by position. Here the two references may only name the payload's own oadrSignedObject and the
signature's own ds:Object, and what is read afterwards is parsed anew from the very bytes that were digested.

Written by hand on lxml and cryptography because the private key is loaded once: a signed poll costs about a
millisecond; general libraries load and check the key for each message.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from lxml import etree

from vpp_gateway.clock import Rng
from vpp_gateway.errors import ConfigError
from vpp_gateway.northbound.openadr2.revocation import Revocations
from vpp_gateway.northbound.openadr2.trust import CHAIN_MAX, Trust, fingerprint_of, may_serve, strong
from vpp_gateway.northbound.openadr2.xml_intake import Limits, WireError, parse
from vpp_gateway.northbound.openadr2.xml_names import add, find, need, tag, text
from vpp_gateway.northbound.openadr2.xml_text import read_date, shown, write_date

C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
EXCLUSIVE_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
ECDSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
PROPERTIES_ID = "prop"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def fingerprint(cert_pem: bytes | str) -> str:
    """OpenADR fingerprint of a PEM certificate: last 10 bytes of SHA-256 over its DER, `AA:BB:...`."""
    pem = cert_pem.encode() if isinstance(cert_pem, str) else cert_pem
    return fingerprint_of(x509.load_pem_x509_certificate(pem))


def canonical(element: etree._Element, algorithm: str) -> bytes:
    """C14N bytes of an element in its context, comments left out.

    Raises:
        WireError: it has no canonical form (C14N 1.0 forbids relative namespace names).
    """
    exclusive = algorithm == EXCLUSIVE_C14N
    try:
        return etree.tostring(element, method="c14n", exclusive=exclusive, with_comments=False)
    except etree.LxmlError as error:
        raise WireError(f"signature: the message has no canonical form: {shown(str(error))}") from None


class Signer:
    """Signs our messages; holds the private key, loaded once.

    Args:
        key_pem: Private key, RSA of at least 2048 bits or an EC key of at least 224 bits (rule 68).
        cert_pem: The certificate that goes with it.

    Raises:
        ConfigError: The key is of another kind, too short, or does not belong to the certificate.
    """

    def __init__(self, *, key_pem: bytes, cert_pem: bytes, rng: Rng, password: bytes | None = None) -> None:
        self._key = _load_key(key_pem, password)
        certificate = x509.load_pem_x509_certificate(cert_pem)
        if _public_bytes(self._key.public_key()) != _public_bytes(certificate.public_key()):
            raise ConfigError("signing key and certificate do not belong together: their public keys differ")
        self.fingerprint = fingerprint_of(certificate)
        self._certificate_b64 = base64.encodebytes(
            certificate.public_bytes(serialization.Encoding.DER)
        ).decode()
        self._algorithm = RSA_SHA256 if isinstance(self._key, rsa.RSAPrivateKey) else ECDSA_SHA256
        self._rng = rng

    def sign(self, payload: etree._Element, now: float) -> None:
        """Put a ds:Signature in front of the oadrSignedObject of `payload`."""
        signed_object = need(payload, "oadr:oadrSignedObject")
        signature = add(payload, "ds:Signature")
        payload.insert(0, signature)
        info = add(signature, "ds:SignedInfo")
        value = add(signature, "ds:SignatureValue")
        x509_data = add(add(signature, "ds:KeyInfo"), "ds:X509Data")
        add(x509_data, "ds:X509Certificate", self._certificate_b64)
        properties = self._replay_protect(signature, now)
        add(info, "ds:CanonicalizationMethod").set("Algorithm", C14N)
        add(info, "ds:SignatureMethod").set("Algorithm", self._algorithm)
        _reference(info, signed_object.get(tag("oadr:Id")) or "", signed_object)
        _reference(info, PROPERTIES_ID, properties)
        value.text = base64.b64encode(self._raw(canonical(info, C14N))).decode()

    def _replay_protect(self, signature: etree._Element, now: float) -> etree._Element:
        properties = add(signature, "ds:Object")
        properties.set("Id", PROPERTIES_ID)
        single = add(add(properties, "ds:SignatureProperties"), "ds:SignatureProperty")
        single.set("Target", "#oadrSignedObject")
        protect = add(single, "dsp:ReplayProtect")
        add(protect, "dsp:timestamp", write_date(now))
        add(protect, "dsp:nonce", self._rng.token(16).hex())
        return properties

    def _raw(self, data: bytes) -> bytes:
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        size = (self._key.curve.key_size + 7) // 8
        r, s = decode_dss_signature(self._key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def _load_key(key_pem: bytes, password: bytes | None) -> PrivateKey:
    try:
        key = serialization.load_pem_private_key(key_pem, password)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"signing key: expected a PEM private key, found: {error}") from None
    if isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) and strong(key):
        return key
    raise ConfigError(
        f"signing key: expected RSA of at least 2048 bits or EC of at least 224 bits (OpenADR rule 68), "
        f"found {type(key).__name__} of {getattr(key, 'key_size', '?')} bits"
    )


def _public_bytes(key: object) -> bytes:
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise ConfigError(f"certificate: expected an RSA or EC key, found {type(key).__name__}")
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _reference(info: etree._Element, id: str, target: etree._Element) -> None:
    reference = add(info, "ds:Reference")
    reference.set("URI", f"#{id}")
    add(add(reference, "ds:Transforms"), "ds:Transform").set("Algorithm", C14N)
    add(reference, "ds:DigestMethod").set("Algorithm", SHA256)
    digest = hashlib.sha256(canonical(target, C14N)).digest()
    add(reference, "ds:DigestValue", base64.b64encode(digest).decode())


@dataclass(frozen=True, slots=True)
class Verified:
    """What a good signature vouches for."""

    signed_object: etree._Element
    """Parsed anew from the digested bytes; nothing else of the document may be used."""
    signed_at: float
    """UTC (Unix s)."""
    nonce: str
    fingerprint: str


class Verifier:
    """Checks a peer's signatures against a pin, a chain, or both.

    Args:
        pins: Fingerprints of the certificates that may sign; empty = any that the roots vouch for.
        roots_pem: PEM certificates (one or several) of the CAs that may have issued the signer's certificate.
        server: Without pins, the signer's certificate must be a server's: another VEN of the CA is no VTN.
        revocations: CRLs; a revoked certificate signs nothing.

    Raises:
        ConfigError: Neither pins nor roots: then everybody could sign.
    """

    def __init__(
        self,
        *,
        pins: Collection[str] = (),
        roots_pem: bytes = b"",
        limits: Limits | None = None,
        server: bool = False,
        revocations: Revocations | None = None,
    ) -> None:
        self._pins = frozenset(pin.strip().upper() for pin in pins)
        roots = x509.load_pem_x509_certificates(roots_pem) if roots_pem else []
        self._trust = Trust(roots, revocations=revocations)
        self._limits = limits or Limits()
        self._server = server
        if not self._pins and not roots:
            raise ConfigError("signature check: expected a peer fingerprint or a CA file, found neither")

    def verify(self, payload: etree._Element, now: float) -> Verified:
        """Verify the signature of a received oadrPayload. Raises WireError; says what did not hold."""
        signatures = payload.findall(tag("ds:Signature"))
        if len(signatures) != 1:
            raise WireError(
                f"expected one signature in oadrPayload, found {len(signatures)} (unsigned message)"
            )
        signature = signatures[0]
        certificate = self._signer(signature, now)
        info = need(signature, "ds:SignedInfo")
        _verify_value(info, text(signature, "ds:SignatureValue"), certificate)
        bodies = _verify_references(info, signature, need(payload, "oadr:oadrSignedObject"))
        protect = need(
            parse(bodies[1], self._limits),
            "ds:SignatureProperties",
            "ds:SignatureProperty",
            "dsp:ReplayProtect",
        )
        try:
            signed_at = read_date(text(protect, "dsp:timestamp"))
        except ValueError as error:
            raise WireError(f"ReplayProtect: {error}") from None
        return Verified(
            signed_object=parse(bodies[0], self._limits),
            signed_at=signed_at,
            nonce=text(protect, "dsp:nonce"),
            fingerprint=fingerprint_of(certificate),
        )

    def _signer(self, signature: etree._Element, now: float) -> x509.Certificate:
        data = need(signature, "ds:KeyInfo", "ds:X509Data")
        encoded = data.findall(tag("ds:X509Certificate"))
        if not 1 <= len(encoded) <= CHAIN_MAX:
            raise WireError(f"signature: expected 1 to {CHAIN_MAX} certificates, found {len(encoded)}")
        try:
            chain = [x509.load_der_x509_certificate(_decode(one.text or "")) for one in encoded]
        except ValueError as error:
            raise WireError(f"signature: expected an X.509 certificate, found: {shown(str(error))}") from None
        found = fingerprint_of(chain[0])
        if self._pins and found not in self._pins:
            raise WireError(
                f"signature: expected fingerprint {' or '.join(sorted(self._pins))}, found {found}"
            )
        certificate = self._trust.check(chain, now)
        if self._server and not self._pins and not may_serve(certificate):
            raise WireError(f"signature: certificate {found} is a client's, expected a VTN's")
        return certificate


def _decode(encoded: str) -> bytes:
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise WireError(f"signature: expected base64, found: {error}") from None


def _verify_value(info: etree._Element, encoded: str, certificate: x509.Certificate) -> None:
    c14n = need(info, "ds:CanonicalizationMethod").get("Algorithm") or ""
    if c14n not in (C14N, EXCLUSIVE_C14N):
        raise WireError(f"signature: expected C14N 1.0, found {shown(c14n)}")
    method = need(info, "ds:SignatureMethod").get("Algorithm") or ""
    value, data = _decode(encoded), canonical(info, c14n)
    try:
        key = certificate.public_key()
        if method == RSA_SHA256 and isinstance(key, rsa.RSAPublicKey):
            key.verify(value, data, padding.PKCS1v15(), hashes.SHA256())
        elif method == ECDSA_SHA256 and isinstance(key, ec.EllipticCurvePublicKey):
            half = len(value) // 2
            der = encode_dss_signature(
                int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big")
            )
            key.verify(der, data, ec.ECDSA(hashes.SHA256()))
        else:
            raise WireError(
                f"signature: expected rsa-sha256 or ecdsa-sha256 to fit the certificate, found {shown(method)}"
            )
    except UnsupportedAlgorithm as error:
        raise WireError(f"signature: key of the certificate: {shown(str(error))}") from None
    except (InvalidSignature, ValueError):
        raise WireError("signature: the value does not fit the certificate (altered on the way)") from None


def _verify_references(
    info: etree._Element, signature: etree._Element, signed_object: etree._Element
) -> tuple[bytes, bytes]:
    """Canonical bytes of (oadrSignedObject, ds:Object), each proved by its digest."""
    objects = signature.findall(tag("ds:Object"))
    references = info.findall(tag("ds:Reference"))
    if len(objects) != 1 or len(references) != 2:
        raise WireError(
            f"signature: expected 2 references and 1 object, found {len(references)} and {len(objects)}"
        )
    named = {f"#{signed_object.get(tag('oadr:Id'))}": signed_object, f"#{objects[0].get('Id')}": objects[0]}
    proved: dict[etree._Element, bytes] = {}
    for reference in references:
        target = named.get(reference.get("URI") or "")
        if target is None or target in proved:
            raise WireError(
                f"signature: expected references to oadrSignedObject and ReplayProtect, "
                f"found {shown(reference.get('URI'))}"
            )
        proved[target] = _digested(reference, target)
    return proved[signed_object], proved[objects[0]]


def _digested(reference: etree._Element, target: etree._Element) -> bytes:
    transforms = find(reference, "ds:Transforms")
    names = [] if transforms is None else [child.get("Algorithm") or "" for child in transforms]
    if len(names) > 1 or any(name not in (C14N, EXCLUSIVE_C14N) for name in names):
        raise WireError(f"signature: expected C14N as the only transform, found {shown(' '.join(names))}")
    digest = need(reference, "ds:DigestMethod").get("Algorithm") or ""
    if digest != SHA256:
        raise WireError(f"signature: expected SHA-256 digests, found {shown(digest)}")
    body = canonical(target, names[0] if names else C14N)
    if hashlib.sha256(body).digest() != _decode(text(reference, "ds:DigestValue")):
        raise WireError(f"signature: the digest of {reference.get('URI')} differs (altered on the way)")
    return body


class ReplayGuard:
    """Two-sided time window and a bounded memory of nonces.

    A nonce needs to be remembered only while its timestamp is inside the window; when more than `capacity` are,
    the oldest is forgotten and the window's past edge moves up to it, so that forgetting never lets a replay in.
    """

    def __init__(self, *, window_s: float, capacity: int = 4096) -> None:
        self._window_s = window_s
        self._capacity = capacity
        self._seen: OrderedDict[tuple[float, str], None] = OrderedDict()
        self._oldest = float("-inf")

    def check(self, signed_at: float, nonce: str, now: float) -> str:
        """Empty when fresh; otherwise why the message is refused, in words. Remembers nothing."""
        if abs(signed_at - now) > self._window_s:
            side = "ago" if signed_at < now else "ahead"
            return (
                f"signed {abs(signed_at - now):.0f} s {side}, allowed are {self._window_s:.0f} s either way; "
                "compare the clocks of both sides"
            )
        if not nonce:
            return "ReplayProtect without a nonce"
        if signed_at <= self._oldest or (signed_at, nonce) in self._seen:
            return "replayed: this nonce was used before"
        return ""

    def remember(self, signed_at: float, nonce: str) -> None:
        """Take a nonce as used."""
        self._seen[(signed_at, nonce)] = None
        while self._seen and next(iter(self._seen))[0] < signed_at - 2 * self._window_s:
            self._seen.popitem(last=False)
        while len(self._seen) > self._capacity:
            (forgotten_at, _), _ = self._seen.popitem(last=False)
            self._oldest = max(self._oldest, forgotten_at)
