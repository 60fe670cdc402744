"""What a certificate says, and the numbers that utilities make from it.

    DER -> SHA-256 -> last 10 bytes, hex with colons     OpenADR 2.0b fingerprint (the VTN checks it at registration)
                   -> first 20 bytes, 40 hex digits      LFDI, IEEE 2030.5-2018 clause 6.3
                   -> first 36 bits + check digit        SFDI, IEEE 2030.5-2018 clause 6.3
    DER -> SHA-1   -> last 10 bytes                      the fingerprint that some older VTNs show

A renewed certificate changes them all, so a renewal is a new registration.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from vpp_gateway.identity.keys import IdentityError, PrivateKey, key_name

EXPIRY_DAYS = (60, 30, 14, 7, 1)
"""Days before its end at which a certificate is named anew: a utility takes weeks to issue the next one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """A certificate in an operator's words."""

    subject: str
    issuer: str
    serial: str
    """Hex."""
    key: str
    """`EC P-256` or `RSA 2048`."""
    not_before: float
    """UTC, Unix s."""
    not_after: float
    """UTC, Unix s."""
    fingerprint: str
    """OpenADR, by SHA-256."""
    fingerprint_sha1: str
    lfdi: str
    sfdi: str
    """With check digit; text, because it is an identifier."""


def read_certificate(path: Path) -> x509.Certificate:
    """The first certificate of a PEM file: the leaf, where a chain follows.

    Raises:
        IdentityError: it cannot be read, or holds no certificate.
    """
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        certificate.public_key()  # a key of an unknown kind is found here, not at its first use
    except OSError as error:
        raise IdentityError("identity.unreadable", file=path, reason=error.strerror) from None
    except (ValueError, UnsupportedAlgorithm) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise IdentityError(
            "identity.not_pem", file=path, expected="found.certificate", reason=reason
        ) from None
    return certificate


def facts(certificate: x509.Certificate) -> CertificateFacts:
    """What `certificate` says."""
    der = certificate.public_bytes(Encoding.DER)
    device = lfdi(der)
    return CertificateFacts(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        serial=f"{certificate.serial_number:X}",
        key=key_name(certificate.public_key()),
        not_before=certificate.not_valid_before_utc.timestamp(),
        not_after=certificate.not_valid_after_utc.timestamp(),
        fingerprint=fingerprint(der),
        fingerprint_sha1=fingerprint(der, "sha1"),
        lfdi=device,
        sfdi=sfdi(device),
    )


def expiry_step(days_left: float) -> int | None:
    """Which of `EXPIRY_DAYS` has been reached, the last one also after the end; None = none yet."""
    return min((step for step in EXPIRY_DAYS if days_left < step), default=None)


def fingerprint(der: bytes, digest: str = "sha256") -> str:
    """OpenADR fingerprint of a certificate in DER form: last 10 bytes of the digest, `12:AB:…`."""
    return hashlib.new(digest, der).digest()[-10:].hex(":").upper()


def lfdi(der: bytes) -> str:
    """Long-form device identifier of a certificate in DER form: 40 upper-case hex digits."""
    return hashlib.sha256(der).hexdigest()[:40].upper()


def sfdi(lfdi: str) -> str:
    """Short-form device identifier: the LFDI's first 36 bits as a decimal number, then a digit that makes the digit
    sum a multiple of 10."""
    number = str(int(lfdi[:9], 16))
    return number + str(-sum(map(int, number)) % 10)


def same_key(certificate: x509.Certificate, key: PrivateKey) -> bool:
    """Whether `key` is the private half of the certificate's key."""
    return certificate.public_key() == key.public_key()
