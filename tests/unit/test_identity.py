"""Keys, requests and the numbers made from certificates, against openssl and known values."""

from __future__ import annotations

import hashlib
import shutil
import ssl
import stat
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from vpp_gateway.identity import (
    IdentityError,
    facts,
    fingerprint,
    key_pem,
    lfdi,
    make_csr,
    make_dev_ca,
    make_key,
    read_certificate,
    read_key,
    same_key,
    sfdi,
    subject,
    write_private,
    write_public,
)

NOW = datetime(2026, 7, 1, tzinfo=UTC).timestamp()

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is the oracle")


def openssl(*arguments: str | Path) -> str:
    run = subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=30, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout + run.stderr


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("device", "short"),
    [
        ("3E4F45AB31EDFE5B67E343E5E4562E31984E23E5", "167261211391"),
        ("B95D0733F471FB1E270F52C7693BF9EE8DD08FFB", "497581064312"),
        ("0000000000000000000000000000000000000000", "00"),
        ("FFFFFFFFF0000000000000000000000000000000", "687194767357"),
    ],
)
def test_sfdi_of_known_lfdis(device: str, short: str) -> None:
    assert sfdi(device) == short
    assert sum(map(int, short)) % 10 == 0


def test_lfdi_and_fingerprint_are_the_two_ends_of_one_digest() -> None:
    der = b"any certificate"
    digest = hashlib.sha256(der).hexdigest().upper()
    assert lfdi(der) == digest[:40]
    assert fingerprint(der).replace(":", "") == digest[-20:]
    assert fingerprint(der, "sha1").replace(":", "") == hashlib.sha1(der).hexdigest().upper()[-20:]
    assert len(fingerprint(der)) == 29


@needs_openssl
def test_fingerprints_agree_with_openssl(tmp_path: Path) -> None:
    authority = make_dev_ca(tmp_path / "dev", now=NOW)
    said = facts(read_certificate(authority.ven_cert("ven")))
    whole = openssl("x509", "-in", authority.ven_cert("ven"), "-noout", "-fingerprint", "-sha256").strip()
    assert whole.endswith(":" + said.fingerprint)
    assert whole.partition("=")[2].replace(":", "").startswith(said.lfdi)
    old = openssl("x509", "-in", authority.ven_cert("ven"), "-noout", "-fingerprint", "-sha1").strip()
    assert old.endswith(":" + said.fingerprint_sha1)
    assert said.sfdi == sfdi(said.lfdi)
    serial = openssl("x509", "-in", authority.ven_cert("ven"), "-noout", "-serial").strip()
    assert int(serial.partition("=")[2], 16) == int(said.serial, 16)


def test_a_key_is_0600_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "identity" / "ven.key"
    write_private(path, key_pem(make_key()))
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    before = path.read_bytes()
    with pytest.raises(IdentityError, match="never overwritten without --force"):
        write_private(path, b"other")
    assert path.read_bytes() == before
    write_private(path, key_pem(make_key()), force=True)
    assert path.read_bytes() != before
    assert mode(path) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["ven.key"]


def test_force_does_not_follow_a_link_or_keep_an_open_mode(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"precious")
    path = tmp_path / "ven.key"
    path.symlink_to(elsewhere)
    write_private(path, b"secret", force=True)
    assert elsewhere.read_bytes() == b"precious"
    assert mode(path) == 0o600 and not path.is_symlink()


def test_places_that_cannot_be_written_are_told(tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match="cannot be written"):
        write_private(tmp_path / "a" / "b" / "ven.key", b"secret")
    with pytest.raises(IdentityError, match="is not an existing folder"):
        write_public(tmp_path / "a" / "ven.csr", b"request")


def test_kinds_of_keys(tmp_path: Path) -> None:
    assert isinstance(make_key(), ec.EllipticCurvePrivateKey)
    made = make_key("rsa2048")
    assert isinstance(made, rsa.RSAPrivateKey) and made.key_size == 2048
    write_private(tmp_path / "k", key_pem(made))
    assert read_key(tmp_path / "k").private_numbers() == made.private_numbers()


def test_keys_that_are_refused(tmp_path: Path) -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    other = ec.generate_private_key(ec.SECP384R1())
    locked = make_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    cases = {
        key_pem(weak): "is RSA 1024; allowed: EC P-256, RSA of 2048 bit or more",
        key_pem(other): "is EC secp384r1; allowed",
        locked: "is not an unencrypted EC P-256 or RSA private key in PEM form",
        b"nonsense": "is not an unencrypted EC P-256 or RSA private key in PEM form",
    }
    for number, (content, said) in enumerate(cases.items()):
        path = tmp_path / f"{number}.key"
        path.write_bytes(content)
        with pytest.raises(IdentityError, match=said):
            read_key(path)
    with pytest.raises(IdentityError, match="cannot be read: No such file"):
        read_key(tmp_path / "none.key")
    with pytest.raises(IdentityError, match="is not a certificate in PEM form"):
        read_certificate(tmp_path / "0.key")


@needs_openssl
@pytest.mark.parametrize("kind", ["p256", "rsa2048"])
def test_requests_verify_with_openssl(kind: str, tmp_path: Path) -> None:
    key = make_key("p256" if kind == "p256" else "rsa2048")
    (tmp_path / "ven.csr").write_bytes(make_csr(key, subject("ven 東京", "Company", "JP")))
    said = openssl(
        "req", "-in", tmp_path / "ven.csr", "-noout", "-verify", "-subject", "-nameopt", "utf8,sep_comma_plus"
    )
    assert "verify OK" in said
    assert "C=JP,O=Company,CN=ven 東京" in said


@pytest.mark.parametrize(("name", "country"), [("x" * 65, "JP"), ("ven", "Japan"), ("", "JPN")])
def test_subjects_that_x509_does_not_take(name: str, country: str) -> None:
    with pytest.raises(IdentityError, match="the subject of the request cannot be made"):
        subject(name, "", country)


def test_the_development_authority_is_closed_and_says_what_it_is(tmp_path: Path) -> None:
    authority = make_dev_ca(tmp_path / "dev", now=NOW, vens=("ven", "other"))
    assert mode(authority.folder) == 0o700
    keys = sorted(authority.folder.glob("*.key"))
    assert [key.name for key in keys] == ["ca.key", "other.key", "ven.key", "vtn.key"]
    assert {mode(key) for key in keys} == {0o600}
    for certificate in authority.folder.glob("*.pem"):
        said = facts(read_certificate(certificate))
        assert "DEVELOPMENT ONLY" in said.subject and "DEVELOPMENT ONLY" in said.issuer
        assert said.key == "EC P-256"
        assert said.not_before == datetime(2020, 1, 1, tzinfo=UTC).timestamp()
        assert said.not_after > NOW + 9 * 365 * 86400
    assert "DEVELOPMENT ONLY" in (authority.folder / "DEVELOPMENT-ONLY.txt").read_text("utf-8")
    assert same_key(read_certificate(authority.ven_cert("ven")), read_key(authority.ven_key("ven")))
    assert not same_key(read_certificate(authority.ven_cert("ven")), read_key(authority.ven_key("other")))


def test_the_development_authority_is_not_made_twice(tmp_path: Path) -> None:
    authority = make_dev_ca(tmp_path / "dev", now=NOW)
    before = authority.ca.read_bytes()
    with pytest.raises(IdentityError, match="--force overwrites"):
        make_dev_ca(tmp_path / "dev", now=NOW)
    assert authority.ca.read_bytes() == before
    make_dev_ca(tmp_path / "dev", now=NOW, force=True)
    assert authority.ca.read_bytes() != before


@pytest.mark.parametrize("name", ["ca", "vtn", "../x", "a b", ""])
def test_names_of_vens_that_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match="VEN name"):
        make_dev_ca(tmp_path / "dev", now=NOW, vens=(name,))
    assert not (tmp_path / "dev").exists()


@needs_openssl
def test_openssl_takes_the_chain_strictly(tmp_path: Path) -> None:
    authority = make_dev_ca(tmp_path / "dev", now=NOW)
    strict = ("verify", "-x509_strict", "-CAfile", authority.ca)
    assert "OK" in openssl(*strict, "-purpose", "sslclient", authority.ven_cert("ven"))
    assert "OK" in openssl(*strict, "-purpose", "sslserver", "-verify_ip", "127.0.0.1", authority.vtn_cert)
    assert "OK" in openssl(
        *strict, "-purpose", "sslserver", "-verify_hostname", "localhost", authority.vtn_cert
    )


def test_a_tls_handshake_with_both_certificates(tmp_path: Path) -> None:
    authority = make_dev_ca(tmp_path / "dev", now=NOW)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.ca)
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_cert_chain(authority.vtn_cert, authority.vtn_key)
    client = ssl.create_default_context(cafile=authority.ca)
    client.load_cert_chain(authority.ven_cert("ven"), authority.ven_key("ven"))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    far = server.wrap_bio(to_server, to_client, server_side=True)
    near = client.wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    for _ in range(3):
        for side in (near, far):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    der = far.getpeercert(binary_form=True)
    assert der is not None
    ven = x509.load_der_x509_certificate(der)
    assert facts(ven).fingerprint == facts(read_certificate(authority.ven_cert("ven"))).fingerprint
