"""The TLS of a VEN: 1.2 or newer, both sides with certificates, the cipher list as the program profile says.

What OpenSSL does not check by itself is asked at the end of each handshake, before a byte of ours is sent: the pin of
the VTN's certificate and its authority's CRL. OpenSSL's own CRL check is not used, because it knows no choice for a
list that is overdue and says nothing of the certificate that signs messages; see docs/decisions/0017.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509

from vpp_gateway.clock import Clock
from vpp_gateway.errors import ConfigError
from vpp_gateway.identity import certificate as identity
from vpp_gateway.northbound.openadr2.revocation import Revocations


@dataclass(slots=True)
class PeerCheck:
    """What the VTN's TLS certificate must stand, and the last one that did.

    Args:
        revocations: CRLs of its authority.
        pin: OpenADR fingerprint that it must have; None = any that the CA file vouches for.
    """

    clock: Clock
    revocations: Revocations
    pin: str | None = None
    seen: x509.Certificate | None = None

    def look(self, der: bytes | None) -> str:
        """Empty when the peer's certificate (DER) may stay, otherwise why not."""
        if der is None:
            return "expected a certificate of the VTN, found none"
        found = identity.fingerprint(der)
        if self.pin is not None and found != self.pin:
            return f"expected TLS fingerprint {self.pin}, found {found}"
        certificate = x509.load_der_x509_certificate(der)
        why = self.revocations.why_not(certificate, self.clock.utc())
        if not why:
            self.seen = certificate
        return why


def tls_context(
    *,
    ca_file: str,
    cert_file: str,
    key_file: str,
    ciphers: str | None,
    check_hostname: bool,
    check: PeerCheck | None = None,
) -> ssl.SSLContext:
    """A client context: TLS 1.2 or newer, our certificate, the server checked against `ca_file` and by `check`.

    Raises:
        ConfigError: A file cannot be read, key and certificate do not fit, or the cipher list is empty.
    """
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = check_hostname
        context.load_cert_chain(cert_file, key_file, password=_no_password)
        if ciphers is not None:
            context.set_ciphers(ciphers)
    except (OSError, ValueError, ssl.SSLError) as error:
        raise ConfigError(
            f"TLS: CA {ca_file}, certificate {cert_file}, key {key_file}, ciphers {ciphers}: {error}"
        ) from None
    if check is not None:
        context.sslobject_class = _checking(check.look)
    return context


def _no_password() -> str:
    raise ValueError(
        "the key is encrypted, expected one without a password: the service starts without a person"
    )


def _checking(look: Callable[[bytes | None], str]) -> type[ssl.SSLObject]:
    class Checked(ssl.SSLObject):
        """Ends the handshake when the peer's certificate does not stand the look."""

        def do_handshake(self) -> None:
            super().do_handshake()
            if why := look(self.getpeercert(binary_form=True)):
                raise ssl.SSLCertVerificationError(1, why)

    return Checked
