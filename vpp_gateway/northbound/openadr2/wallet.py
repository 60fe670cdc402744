"""Certificates, key and CRLs of one connection as they lie on disk, and the next ones when they are renewed.

    files --stat before each exchange--> changed? --load, all together--> Credentials (TLS, signer, verifier)
                                             |
                                             +-> do not fit yet: the old ones stay, `trouble` says why

An authority's tools write certificate and key one after the other, so a pair that does not fit is looked at again
when a file changes, and until then the old pair goes on. A set is taken only when no file changed while it was read.
A new certificate has a new fingerprint: the VTN must know it, so the change is said in the log and in `notes`.
"""

from __future__ import annotations

import ssl
import stat
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import structlog
from cryptography import x509

from vpp_gateway.clock import Clock, Rng
from vpp_gateway.errors import ConfigError
from vpp_gateway.identity import IdentityError, read_certificate, read_key, same_key
from vpp_gateway.northbound.openadr2.revocation import Revocations, WhenStale, read_crls
from vpp_gateway.northbound.openadr2.signature import Signer, Verifier
from vpp_gateway.northbound.openadr2.tls import PeerCheck, listening_context, tls_context
from vpp_gateway.northbound.openadr2.trust import fingerprint_of
from vpp_gateway.northbound.openadr2.xml_intake import Limits
from vpp_gateway.northbound.openadr2.xml_text import write_date

log = structlog.get_logger()

T = TypeVar("T")
Stamp = tuple[tuple[int, int, int, int] | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Papers:
    """Where they lie and how they are used.

    Args:
        ca: CA certificates, PEM.
        cert: Our certificate and its intermediates, PEM.
        key: Our private key, PEM, mode 0600.
        crl: CRLs, PEM or DER.
        sign: Messages are signed and signatures are checked.
        pin: Fingerprint of the certificate that signs the VTN's messages.
        tls_pin: Fingerprint of the VTN's TLS certificate.
        ciphers: OpenSSL cipher list of the program.
    """

    ca: Path
    cert: Path
    key: Path
    crl: tuple[Path, ...] = ()
    sign: bool = False
    pin: str | None = None
    tls_pin: str | None = None
    ciphers: str | None = None
    check_hostname: bool = True
    stale_crl: WhenStale = "refuse"
    names: tuple[str, ...] = ()
    """Hosts of the VTN, one of which its certificate must be for when it connects to us; see `PeerCheck`."""
    listens: bool = False
    """True: these are of an address that we listen on; False: we connect with them."""

    def stamp(self) -> Stamp:
        """Changes whenever a file is written or replaced."""
        return tuple(_stamp(path) for path in (self.ca, self.cert, self.key, *self.crl))


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """One set that fits together."""

    tls: ssl.SSLContext
    signer: Signer | None
    verifier: Verifier | None
    fingerprint: str
    """Of our certificate."""
    check: PeerCheck
    revocations: Revocations
    own: x509.Certificate
    authorities: tuple[x509.Certificate, ...]


class Wallet:
    """The credentials in use. Args: rng gives nonces; clock judges CRLs. Raises ConfigError: the first set does not fit."""

    def __init__(self, papers: Papers, *, clock: Clock, rng: Rng, limits: Limits | None = None) -> None:
        self._papers = papers
        self._clock = clock
        self._rng = rng
        self._limits = limits
        self._tried = papers.stamp()
        self.credentials = self._load()
        self.trouble = ""
        """Why changed files are not in use yet; empty = what lies there is in use."""
        self.changed_from = ""
        """Fingerprint before the last renewal; the VTN may still expect it."""

    def renew(self) -> bool:
        """Look at the files; True when another set is in use from now on. Never raises."""
        found = self._papers.stamp()
        if found == self._tried:
            return False
        try:
            fresh = self._load()
            if self._papers.stamp() != found:
                return False  # written while it was read: looked at again next time
        except ConfigError as error:
            self._tried = found
            self.trouble = f"renewed certificates are not in use yet: {error}"
            log.warning("credentials not renewed", reason=str(error))
            return False
        self._tried = found
        old, self.credentials, self.trouble = self.credentials, fresh, ""
        fresh.check.seen = old.check.seen
        if fresh.fingerprint != old.fingerprint:
            self.changed_from = old.fingerprint
        log.info("credentials renewed", fingerprint=fresh.fingerprint, before=old.fingerprint)
        return True

    def ends(self) -> dict[str, float]:
        """What runs out when, UTC (Unix s): own, CA (the first), CRL (the first), VTN (as last seen)."""
        now = self.credentials
        ends = {
            "own": now.own.not_valid_after_utc.timestamp(),
            "CA": min(ca.not_valid_after_utc.timestamp() for ca in now.authorities),
        }
        if (crl := now.revocations.ends()) is not None:
            ends["CRL"] = crl
        if now.check.seen is not None:
            ends["VTN"] = now.check.seen.not_valid_after_utc.timestamp()
        return ends

    def notes(self) -> list[str]:
        """What the operator must know, in words."""
        at = self._clock.utc()
        own = self.credentials.own
        begins, ends = own.not_valid_before_utc.timestamp(), own.not_valid_after_utc.timestamp()
        notes = [self.trouble] if self.trouble else []
        if at < begins:
            notes.append(f"our certificate {self._papers.cert} is not valid before {write_date(begins)}")
        if at > ends:
            notes.append(f"our certificate {self._papers.cert} ran out {write_date(ends)}")
        notes += self.credentials.revocations.stale(at)
        if self.changed_from:
            notes.append(
                f"our certificate was renewed: fingerprint {self.credentials.fingerprint}, before "
                f"{self.changed_from}; the utility must know the new one"
            )
        return notes

    def _load(self) -> Credentials:
        papers = self._papers
        own = _told(lambda: read_certificate(papers.cert))
        _fit(papers, own)
        cert_pem, key_pem, ca_pem = (_read(path) for path in (papers.cert, papers.key, papers.ca))
        _unbroken(papers.cert, _certificates(papers.cert, cert_pem))
        authorities = _certificates(papers.ca, ca_pem)
        crls = [crl for path in papers.crl for crl in read_crls(_read(path), str(path))]
        revocations = Revocations(crls, authorities=authorities, when_stale=papers.stale_crl)
        check = PeerCheck(clock=self._clock, revocations=revocations, pin=papers.tls_pin, names=papers.names)
        signer = verifier = None
        if papers.sign:
            signer = Signer(key_pem=key_pem, cert_pem=cert_pem, rng=self._rng)
            pins = () if papers.pin is None else (papers.pin,)
            verifier = Verifier(
                pins=pins, roots_pem=ca_pem, limits=self._limits, server=True, revocations=revocations
            )
        files = {"ca_file": str(papers.ca), "cert_file": str(papers.cert), "key_file": str(papers.key)}
        if papers.listens:
            tls = listening_context(**files, ciphers=papers.ciphers, check=check)
        else:
            tls = tls_context(
                **files, ciphers=papers.ciphers, check_hostname=papers.check_hostname, check=check
            )
        return Credentials(
            tls=tls,
            signer=signer,
            verifier=verifier,
            fingerprint=fingerprint_of(own),
            check=check,
            revocations=revocations,
            own=own,
            authorities=tuple(authorities),
        )


def _stamp(path: Path) -> tuple[int, int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: expected a file that can be read, found: {error.strerror}") from None


def _told(read: Callable[[], T]) -> T:
    try:
        return read()
    except IdentityError as error:
        raise ConfigError(str(error)) from None


def _fit(papers: Papers, own: x509.Certificate) -> None:
    """Key and certificate are each usable and belong together; nobody else can read the key."""
    key = _told(lambda: read_key(papers.key))
    if not same_key(own, key):
        raise ConfigError(f"{papers.key} is not the key of the certificate {papers.cert}")
    mode = stat.S_IMODE(papers.key.stat().st_mode)
    if mode & 0o077:
        raise ConfigError(f"{papers.key}: expected mode 0600, found {mode:04o}: others can read or change it")


def _certificates(path: Path, pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise ConfigError(f"{path}: expected certificates in PEM form, found: {error}") from None


def _unbroken(path: Path, chain: list[x509.Certificate]) -> None:
    """Each certificate of the file is issued by the next one, so that the peer can follow."""
    for lower, upper in pairwise(chain):
        if lower.issuer != upper.subject:
            raise ConfigError(
                f"{path}: expected the certificate of {lower.issuer.rfc4514_string()} next, "
                f"found {upper.subject.rfc4514_string()}: the chain is not complete or not in order"
            )
