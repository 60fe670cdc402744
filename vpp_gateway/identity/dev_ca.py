"""A certificate authority for development and tests, in one folder. Never trust it with anything real.

    DEVELOPMENT-ONLY.txt   says so
    ca.pem ca.key          the root
    vtn.pem vtn.key        server certificate for 127.0.0.1, ::1 and localhost
    <ven>.pem <ven>.key    one client certificate per VEN

The folder has mode 0700, keys 0600. Every certificate is valid from 2020-01-01, so that worlds in simulated time
find them valid too, and for ten years from the making.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from vpp_gateway.identity.keys import (
    IdentityError,
    KeyKind,
    PrivateKey,
    key_pem,
    make_key,
    subject,
    write_private,
    write_public,
)

ORGANIZATION = "vpp-gateway DEVELOPMENT ONLY"
NOT_BEFORE = datetime(2020, 1, 1, tzinfo=UTC)
LIFE = timedelta(days=3650)
WARNING = """\
DEVELOPMENT ONLY

The certificate authority in this folder was made by `vpp-gateway identity dev-ca`. Its private key lies next to
it, so anybody who can read this folder can make certificates that are trusted by whoever trusts ca.pem.
Never install ca.pem in a system or browser, never use these files towards a utility, never commit them.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DevCa:
    """Where the files lie."""

    folder: Path
    ca: Path
    vtn_cert: Path
    vtn_key: Path
    vens: tuple[str, ...]

    def ven_cert(self, ven: str) -> Path:
        """Certificate of one VEN."""
        return self.folder / f"{ven}.pem"

    def ven_key(self, ven: str) -> Path:
        """Private key of one VEN."""
        return self.folder / f"{ven}.key"


def make_dev_ca(
    folder: Path,
    *,
    now: float,
    vens: Sequence[str] = ("ven",),
    servers: Sequence[str] = (),
    kind: KeyKind = "p256",
    force: bool = False,
) -> DevCa:
    """Make the authority and its certificates in `folder`.

    Args:
        folder: made with mode 0700 when it is not there.
        now: UTC, Unix s; the certificates run out ten years later.
        vens: names of the VENs; file names and common names.
        servers: names of further servers beside `vtn`, for the same addresses.
        kind: kind of all keys.
        force: overwrite what is there.

    Raises:
        IdentityError: a name is taken or no file name, files are there already, or the folder cannot be written.
    """
    for ven in (*vens, *servers):
        if ven in ("ca", "vtn") or not ven.replace("-", "").replace("_", "").isalnum():
            raise IdentityError("identity.ven_name", found=ven)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise IdentityError("identity.unwritable", file=folder, reason=error.strerror) from None
    ca_key = make_key(kind)
    ca = _root(ca_key, now)
    write_public(folder / "DEVELOPMENT-ONLY.txt", WARNING.encode(), force=force)
    _keep(folder, "ca", ca, ca_key, force)
    issue = _Issue(ca=ca, ca_key=ca_key, now=now)
    for server in ("vtn", *servers):
        key = make_key(kind)
        _keep(folder, server, issue.leaf(server, key, server=True), key, force)
    for ven in vens:
        key = make_key(kind)
        _keep(folder, ven, issue.leaf(ven, key, server=False), key, force)
    return DevCa(
        folder=folder,
        ca=folder / "ca.pem",
        vtn_cert=folder / "vtn.pem",
        vtn_key=folder / "vtn.key",
        vens=tuple(vens),
    )


def _keep(folder: Path, name: str, certificate: x509.Certificate, key: PrivateKey, force: bool) -> None:
    write_private(folder / f"{name}.key", key_pem(key), force=force)
    write_public(folder / f"{name}.pem", certificate.public_bytes(Encoding.PEM), force=force)


def _builder(name: x509.Name, issuer: x509.Name, key: PrivateKey, now: float) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(datetime.fromtimestamp(now, UTC) + LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _root(key: PrivateKey, now: float) -> x509.Certificate:
    name = subject("development root", ORGANIZATION)
    return (
        _builder(name, name, key, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Issue:
    """The root at work."""

    ca: x509.Certificate
    ca_key: PrivateKey
    now: float

    def leaf(self, name: str, key: PrivateKey, *, server: bool) -> x509.Certificate:
        both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        purposes = (
            both if server else [ExtendedKeyUsageOID.CLIENT_AUTH]
        )  # with push each side is server and client
        ca_id = self.ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        builder = (
            _builder(subject(name, ORGANIZATION), self.ca.subject, key, self.now)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca_id), critical=False
            )
        )
        if server:
            builder = builder.add_extension(_here(), critical=False)
        return builder.sign(self.ca_key, hashes.SHA256())


def _here() -> x509.SubjectAlternativeName:
    addresses = [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]
    return x509.SubjectAlternativeName([x509.DNSName("localhost"), *addresses])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
