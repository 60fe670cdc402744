"""Certificates for procedures against our own VEN: good ones, and each of the bad ones that it must not take.

    known/     the authority that the VEN trusts: its VTN, its VENs, and VTN certificates that are wrong in one way
    stranger/  another authority with a VTN of the same name

Made once a process, kept in memory, and laid into a folder for each procedure. The clock of TLS is the machine's, also
in virtual time: `expired` ran out years ago, all others are good for years.
"""

from __future__ import annotations

import ipaddress
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from vpp_gateway.clock import SystemClock
from vpp_gateway.identity.dev_ca import DevCa, make_dev_ca
from vpp_gateway.identity.keys import (
    KeyKind,
    PrivateKey,
    key_pem,
    make_key,
    read_key,
    subject,
    write_private,
    write_public,
)

VEN = "centre"
OTHER = "other"
"""Another VEN of the same authority: its certificate is good, and none of a VTN."""
OTHER_VTN = "other-vtn"
"""Another VTN of the same authority at the same address: good as long as no fingerprint is agreed."""
EXPIRED: Final = "expired"
OTHER_HOST: Final = "other-host"
REVOKED: Final = "revoked"
WEAK_KEY: Final = "weak-key"
"""RSA of 1024 bits."""
BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
LIFE = timedelta(days=3650)


@dataclass(frozen=True, slots=True, kw_only=True)
class Papers:
    """Certificates of one procedure in files."""

    known: DevCa
    stranger: DevCa
    """An authority that the VEN does not know, with a VTN of the same name."""
    crl: Path
    """The known authority's list: REVOKED stands in it."""

    def vtn(self, name: str) -> tuple[Path, Path]:
        """Certificate and key of one of the known authority's VTNs."""
        return self.known.folder / f"{name}.pem", self.known.folder / f"{name}.key"


def lay(folder: Path, kind: KeyKind) -> Papers:
    """Write certificates and keys into `folder`; they are the same ones in each call of a process."""
    for name, content in _made(kind).items():
        path = folder / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        (write_private if path.suffix == ".key" else write_public)(path, content)
    return Papers(
        known=_ca(folder / "known"), stranger=_ca(folder / "stranger"), crl=folder / "known" / "crl.pem"
    )


def _ca(folder: Path) -> DevCa:
    return DevCa(
        folder=folder,
        ca=folder / "ca.pem",
        vtn_cert=folder / "vtn.pem",
        vtn_key=folder / "vtn.key",
        vens=(VEN, OTHER),
    )


@cache
def _made(kind: KeyKind) -> Mapping[str, bytes]:
    now = SystemClock().utc()
    with tempfile.TemporaryDirectory(prefix="vppgw-conform-ca-") as folder:
        for ca in ("known", "stranger"):
            make_dev_ca(Path(folder) / ca, now=now, vens=(VEN, OTHER), servers=(OTHER_VTN,), kind=kind)
        _Wrong(Path(folder) / "known", datetime.fromtimestamp(now, UTC)).make(kind)
        found = sorted(path for path in Path(folder).rglob("*") if path.suffix in (".pem", ".key"))
        return {str(path.relative_to(folder)): path.read_bytes() for path in found}


class _Wrong:
    """The known authority at work on certificates that are wrong in one way."""

    def __init__(self, folder: Path, now: datetime) -> None:
        self._folder = folder
        self._now = now
        self._ca = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
        self._key = read_key(folder / "ca.key")

    def make(self, kind: KeyKind) -> None:
        """All of them, and the list of what is revoked."""
        self._issue(EXPIRED, make_key(kind), ends=BEGIN + timedelta(days=365))
        self._issue(OTHER_HOST, make_key(kind), host=x509.DNSName("vtn.example.net"))
        self._issue(WEAK_KEY, rsa.generate_private_key(public_exponent=65537, key_size=1024))
        revoked = self._issue(REVOKED, make_key(kind))
        row = x509.RevokedCertificateBuilder().serial_number(revoked).revocation_date(BEGIN).build()
        crl = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._ca.subject)
            .last_update(BEGIN)
            .next_update(self._now + LIFE)
            .add_revoked_certificate(row)
            .sign(self._key, hashes.SHA256())
        )
        write_public(self._folder / "crl.pem", crl.public_bytes(Encoding.PEM))

    def _issue(
        self,
        name: str,
        key: PrivateKey,
        *,
        ends: datetime | None = None,
        host: x509.GeneralName | None = None,
    ) -> int:
        """Lay one certificate and its key; the serial number."""
        here = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        serial = x509.random_serial_number()
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject(name, "vpp-gateway DEVELOPMENT ONLY"))
            .issuer_name(self._ca.subject)
            .public_key(key.public_key())
            .serial_number(serial)
            .not_valid_before(BEGIN)
            .not_valid_after(ends or self._now + LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.SubjectAlternativeName([host or here]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        write_private(self._folder / f"{name}.key", key_pem(key))
        write_public(self._folder / f"{name}.pem", certificate.public_bytes(Encoding.PEM))
        return serial
