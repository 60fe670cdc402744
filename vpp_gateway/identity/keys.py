"""Private keys and requests for certificates.

A key is made where it is used, is written once with mode 0600 and never leaves; what travels is the request (CSR)
and the certificate. A new key means a new fingerprint and LFDI, hence a new registration: so nothing here overwrites
a key unless it is told to. The bits come from the operating system's random source inside `cryptography`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from vpp_gateway.catalogue import Told

KeyKind = Literal["p256", "rsa2048", "rsa3072", "rsa4096"]
"""OpenADR 2.0b rule 68 asks for RSA of 2048 bit or more, or ECC of 224 or more; IEEE 2030.5 takes P-256 only."""
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

RSA_BITS_MIN = 2048


class IdentityError(Told):
    """A key or certificate cannot be read, made or written as asked."""


def make_key(kind: KeyKind = "p256") -> PrivateKey:
    """A new private key."""
    if kind == "p256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=int(kind.removeprefix("rsa")))


def key_pem(key: PrivateKey) -> bytes:
    """PKCS #8 in PEM form, not encrypted: the service starts without a person."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def read_key(path: Path) -> PrivateKey:
    """The key at `path`.

    Raises:
        IdentityError: it cannot be read, is encrypted, no PEM, or not of an allowed kind.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise IdentityError("identity.unreadable", file=path, reason=error.strerror) from None
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise IdentityError(
            "identity.not_pem", file=path, expected="found.private_key", reason=reason
        ) from None
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= RSA_BITS_MIN:
        return key
    raise IdentityError("identity.key_kind", file=path, found=key_name(key.public_key()))


def key_name(key: object) -> str:
    """`EC P-256`, `RSA 2048`, or the name of what else it is."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "EC P-256" if isinstance(key.curve, ec.SECP256R1) else f"EC {key.curve.name}"
    return f"RSA {key.key_size}" if isinstance(key, rsa.RSAPublicKey) else type(key).__name__


def subject(common_name: str, organization: str = "", country: str = "") -> x509.Name:
    """A distinguished name, its empty parts left out.

    Raises:
        IdentityError: a part is too long for X.509, or the country is not two letters.
    """
    parts = (
        (NameOID.COUNTRY_NAME, country),
        (NameOID.ORGANIZATION_NAME, organization),
        (NameOID.COMMON_NAME, common_name),
    )
    try:
        return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts if value])
    except ValueError as error:
        raise IdentityError("identity.subject_wrong", reason=error) from None


def make_csr(key: PrivateKey, name: x509.Name) -> bytes:
    """A certificate request (PKCS #10, PEM) for `name`, signed with `key` and SHA-256."""
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(Encoding.PEM)


def write_private(path: Path, content: bytes, *, force: bool = False) -> None:
    """Write a secret with mode 0600 from the first byte on, whole or not at all; makes its folder (mode 0700).

    Raises:
        IdentityError: there is one already and `force` is not set, or it cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise IdentityError("identity.unwritable", file=path, reason=error.strerror) from None
    _write(path, content, 0o600, "identity.key_exists", force)


def write_public(path: Path, content: bytes, *, force: bool = False) -> None:
    """Write a certificate or request with mode 0644.

    Raises:
        IdentityError: there is one already and `force` is not set, or it cannot be written.
    """
    _write(path, content, 0o644, "identity.file_exists", force)


def _write(path: Path, content: bytes, mode: int, exists: str, force: bool) -> None:
    if not path.parent.is_dir():
        raise IdentityError("identity.no_folder", folder=path.parent)
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        try:
            if force:
                fresh.replace(path)
            else:
                os.link(fresh, path)  # fails when there is one, whoever made it meanwhile
        finally:
            fresh.unlink(missing_ok=True)
    except FileExistsError:
        raise IdentityError(exists, file=path) from None
    except OSError as error:
        raise IdentityError("identity.unwritable", file=path, reason=error.strerror) from None
