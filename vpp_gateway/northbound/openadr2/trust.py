"""Whom we believe: from a certificate that a peer shows up to a CA that the operator named.

A signed message may carry intermediate certificates beside the signer's. They help to build the chain and prove
nothing themselves: each must be a CA's, in its time, and issued by the next one up to a root of the CA file.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from vpp_gateway.identity import certificate as identity
from vpp_gateway.identity.keys import key_name
from vpp_gateway.northbound.openadr2.revocation import Revocations
from vpp_gateway.northbound.openadr2.xml_intake import WireError
from vpp_gateway.northbound.openadr2.xml_text import shown, write_date

CHAIN_MAX = 5
"""Certificates from the signer's to the root; more in one message are refused unread."""
RSA_BITS_MIN = 2048
EC_BITS_MIN = 224
"""Rule 68."""


def fingerprint_of(certificate: x509.Certificate) -> str:
    """OpenADR fingerprint of a loaded certificate."""
    return identity.fingerprint(certificate.public_bytes(serialization.Encoding.DER))


def strong(key: object) -> bool:
    """Whether a public or private key is of a kind and length that rule 68 allows."""
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        return key.key_size >= RSA_BITS_MIN
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        return key.key_size >= EC_BITS_MIN
    return False


def may_serve(certificate: x509.Certificate) -> bool:
    """Whether it may stand for a server: without a pin, another VEN of the same CA must not speak as the VTN."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return ExtendedKeyUsageOID.SERVER_AUTH in usage or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usage


class Trust:
    """The CAs of one connection and what they have revoked.

    Args:
        roots: Certificates of the CA file; none = the chain is not looked at (a pin stands alone).
        revocations: CRLs; also asked without roots.
    """

    def __init__(
        self, roots: Sequence[x509.Certificate] = (), *, revocations: Revocations | None = None
    ) -> None:
        self._roots = tuple(roots)
        self._revocations = revocations or Revocations()

    def check(self, shown_chain: Sequence[x509.Certificate], now: float) -> x509.Certificate:
        """The signer's certificate (the first), when all holds. Raises WireError."""
        if not 1 <= len(shown_chain) <= CHAIN_MAX:
            raise WireError(f"signature: expected 1 to {CHAIN_MAX} certificates, found {len(shown_chain)}")
        leaf, *others = shown_chain
        name = fingerprint_of(leaf)
        if fault := _out_of_time(leaf, now):
            raise WireError(f"signature: certificate {name} {fault}")
        if not _strong(leaf):
            raise WireError(
                f"signature: certificate {name}: expected RSA of at least {RSA_BITS_MIN} bits or EC of at least "
                f"{EC_BITS_MIN} (OpenADR rule 68), found {_kind(leaf)}"
            )
        if self._roots and not self._reaches_root(leaf, others, now):
            raise WireError(f"signature: certificate {name} was issued by none of the trusted CAs")
        if revoked := self._revocations.why_not(leaf, now):
            raise WireError(f"signature: {revoked}")
        return leaf

    def _reaches_root(self, leaf: x509.Certificate, others: list[x509.Certificate], now: float) -> bool:
        """Up the chain by the shown certificates, none twice."""
        current, left = leaf, others
        while True:
            if any(_issued(current, root) and not _out_of_time(root, now) for root in self._roots):
                return True
            above = next((other for other in left if _is_ca(other, now) and _issued(current, other)), None)
            if above is None:
                return False
            left = [other for other in left if other is not above]
            current = above


def _out_of_time(certificate: x509.Certificate, now: float) -> str:
    begins, ends = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    if begins <= now <= ends:
        return ""
    return f"is valid from {write_date(begins)} to {write_date(ends)}, not now"


def _is_ca(certificate: x509.Certificate, now: float) -> bool:
    try:
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return False
    except ValueError:  # an extension that cannot be read vouches for nothing
        return False
    return basic.ca and usage.key_cert_sign and not _out_of_time(certificate, now) and _strong(certificate)


def _strong(certificate: x509.Certificate) -> bool:
    try:
        return strong(certificate.public_key())
    except (ValueError, UnsupportedAlgorithm):
        return False


def _kind(certificate: x509.Certificate) -> str:
    try:
        return key_name(certificate.public_key())
    except (ValueError, UnsupportedAlgorithm) as error:
        return shown(str(error))


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
