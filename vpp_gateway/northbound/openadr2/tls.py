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
        names: Without a pin, it must be for one of these hosts: whoever connects to us is known by nothing else, and
            the other VENs of the utility have certificates of the same CA. Empty = OpenSSL has asked already.
    """

    clock: Clock
    revocations: Revocations
    pin: str | None = None
    names: tuple[str, ...] = ()
    seen: x509.Certificate | None = None

    def look(self, der: bytes | None) -> str:
        """Empty when the peer's certificate (DER) may stay, otherwise why not."""
        if der is None:
            return "expected a certificate of the VTN, found none"
        found = identity.fingerprint(der)
        if self.pin is not None and found != self.pin:
            return f"expected TLS fingerprint {self.pin}, found {found}"
        certificate = x509.load_der_x509_certificate(der)
        if self.pin is None and self.names and not _is_for(certificate, self.names):
            return f"expected the VTN's certificate, for {' or '.join(self.names)}, found {found} for another"
        why = self.revocations.why_not(certificate, self.clock.utc())
        if not why:
            self.seen = certificate
        return why


def _is_for(certificate: x509.Certificate, names: tuple[str, ...]) -> bool:
    """Whether a subjectAltName is one of the hosts; a wildcard stands for the first label alone (RFC 6125)."""
    try:
        san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    found = {name.lower() for name in san.get_values_for_type(x509.DNSName)}
    found |= {str(address) for address in san.get_values_for_type(x509.IPAddress)}
    wanted = {name.lower() for name in names}
    return bool(found & (wanted | {f"*.{name.partition('.')[2]}" for name in wanted if name.count(".") > 1}))


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


def listening_context(
    *, ca_file: str, cert_file: str, key_file: str, ciphers: str | None, check: PeerCheck | None = None
) -> ssl.SSLContext:
    """A server context: TLS 1.2 or newer, our certificate; who connects shows one of `ca_file` that stands `check`.

    Raises:
        ConfigError: A file cannot be read, key and certificate do not fit, or the cipher list is empty.
    """
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(cert_file, key_file, password=_no_password)
        if ciphers is not None:
            context.set_ciphers(ciphers)
    except (OSError, ValueError, ssl.SSLError) as error:
        raise ConfigError(
            f"push: CA {ca_file}, certificate {cert_file}, key {key_file}, ciphers {ciphers}: {error}"
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
