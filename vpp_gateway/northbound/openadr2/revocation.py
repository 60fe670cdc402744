"""Certificates that their authority has taken back: CRLs, and what one that is out of date costs.

    PEM or DER bytes -> Revocations -> why_not(certificate, now): "" or the cause, in words

Asked for the VTN's TLS certificate and for the certificate that signs its messages alike. Where CRLs are given, a
certificate whose issuer has none among them is refused: a list that is missing must not look like a list that is
empty. Only the leaf is looked up; the authorities themselves are the operator's own choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from vpp_gateway.errors import ConfigError
from vpp_gateway.northbound.openadr2.xml_text import write_date

WhenStale = Literal["refuse", "accept"]
PEM_MARK = b"-----BEGIN X509 CRL-----"


def read_crls(content: bytes, name: str) -> list[x509.CertificateRevocationList]:
    """The CRLs of one file: one in DER form, or one or several in PEM form. Raises ConfigError."""
    try:
        if PEM_MARK not in content:
            return [x509.load_der_x509_crl(content)]
        parts = content.split(PEM_MARK)[1:]
        return [x509.load_pem_x509_crl(PEM_MARK + part) for part in parts]
    except ValueError as error:
        raise ConfigError(f"CRL {name}: expected a CRL in PEM or DER form, found: {error}") from None


class Revocations:
    """The revocation lists of one connection.

    Args:
        crls: As their authorities gave them out.
        authorities: Certificates of the CAs; each CRL must be signed by one of them.
        when_stale: What a list costs whose next issue is overdue: `refuse` its issuer's certificates, or `accept`
            them as long as it does not name them. Either way it is named in `stale`.

    Raises:
        ConfigError: A CRL was signed by none of the authorities.
    """

    def __init__(
        self,
        crls: Sequence[x509.CertificateRevocationList] = (),
        *,
        authorities: Iterable[x509.Certificate] = (),
        when_stale: WhenStale = "refuse",
    ) -> None:
        self._when_stale = when_stale
        self._crls = tuple(crls)
        known = tuple(authorities)
        for crl in self._crls:
            if not any(_signed(crl, authority) for authority in known):
                raise ConfigError(
                    f"CRL of {crl.issuer.rfc4514_string()}: expected one that a CA of the CA file signed, found none"
                )

    def ends(self) -> float | None:
        """When the first of the lists is overdue, UTC (Unix s); None = there is none that says so."""
        ends = [crl.next_update_utc.timestamp() for crl in self._crls if crl.next_update_utc is not None]
        return min(ends, default=None)

    def stale(self, now: float) -> list[str]:
        """What is overdue, in words."""
        return [
            f"CRL of {crl.issuer.rfc4514_string()}: the next one was due {write_date(crl.next_update_utc.timestamp())}"
            for crl in self._crls
            if crl.next_update_utc is not None and crl.next_update_utc.timestamp() < now
        ]

    def why_not(self, certificate: x509.Certificate, now: float) -> str:
        """Empty when the certificate stands; otherwise why it does not."""
        if not self._crls:
            return ""
        of_issuer = [crl for crl in self._crls if crl.issuer == certificate.issuer]
        for crl in of_issuer:
            if crl.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None:
                return f"certificate {certificate.serial_number:X} is revoked by its authority's CRL"
        if not of_issuer:
            return f"no CRL of the certificate's issuer {certificate.issuer.rfc4514_string()}"
        if self._when_stale == "accept":
            return ""
        fresh = [crl for crl in of_issuer if _current(crl, now)]
        if fresh:
            return ""
        return next(iter(self.stale(now)), "the CRL of the certificate's issuer is not valid yet")


def _current(crl: x509.CertificateRevocationList, now: float) -> bool:
    begun = crl.last_update_utc.timestamp() <= now
    return begun and (crl.next_update_utc is None or now <= crl.next_update_utc.timestamp())


def _signed(crl: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    try:
        key = authority.public_key()
        if crl.issuer != authority.subject or not isinstance(
            key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey
        ):
            return False
        return crl.is_signature_valid(key)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
