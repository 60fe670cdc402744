"""How the VTN shows itself: well, or wrong on purpose, in TLS and in its signatures.

Certificates for our own VEN are made once a process, kept in memory, and laid into a folder for each procedure. Another
VEN's owner brings certificates of theirs; what cannot be shown with those makes a procedure not applicable.
"""

from __future__ import annotations

import ssl
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from lxml import etree

from vpp_gateway.clock import Rng, SystemClock
from vpp_gateway.conform.openadr2.procedure import SignWay, TlsWay
from vpp_gateway.conform.openadr2.xml import ProcedureError, name_of, nodes
from vpp_gateway.identity.dev_ca import DevCa, make_dev_ca
from vpp_gateway.identity.keys import KeyKind, write_private, write_public
from vpp_gateway.northbound.openadr2.signature import Signer, Verifier, fingerprint

VEN = "centre"
OTHER = "other"
"""Another VEN of the same authority: its certificate is good, and none of a VTN."""
OTHER_VTN = "other-vtn"
"""Another VTN of the same authority at the same address: good as long as no fingerprint is agreed."""
RSA_SUITE = "AES128-SHA256"
ECDSA_SUITE = "ECDHE-ECDSA-AES128-SHA256"


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """What the VTN demands and can show.

    Args:
        tls: Its usual context; None = HTTP.
        signer: Its usual signer; None = it signs nothing.
        verifier: Checks the VEN's signatures.
        client: To post to a VEN with push.
        contexts: Other ways of TLS.
        signers: Other keys.
    """

    tls: ssl.SSLContext | None = None
    signer: Signer | None = None
    verifier: Verifier | None = None
    client: ssl.SSLContext | None = None
    contexts: Mapping[TlsWay, ssl.SSLContext] = field(default_factory=dict)
    signers: Mapping[SignWay, Signer] = field(default_factory=dict)

    def lacks(self, tls: TlsWay, sign: SignWay) -> str:
        """Why it cannot show itself so; empty when it can."""
        if tls != "good" and tls not in self.contexts:
            return f"the VTN has no certificate to show TLS {tls}"
        if sign in ("other-ven", "other-vtn", "stranger") and sign not in self.signers:
            return f"the VTN has no key to sign as {sign}"
        return "" if sign == "good" or self.signer is not None else "the VTN signs nothing"


class Hand:
    """Signs the VTN's answers, one way or another."""

    def __init__(self, security: Security) -> None:
        self._security = security
        self._kept: bytes | None = None

    def bytes(self, tree: etree._Element, way: SignWay, at: float) -> bytes:
        """The answer as it is sent, signed at `at` (UTC, Unix s).

        Raises:
            ProcedureError: a replay is asked for, and nothing was said that could be replayed.
        """
        if self._security.signer is None or way == "none":
            return _bytes(tree)
        if way == "replayed":
            if self._kept is None:
                raise ProcedureError("sign: replayed: nothing was said yet that could be said again")
            return self._kept
        self._security.signers.get(way, self._security.signer).sign(tree, at)
        if way == "altered":
            for one in nodes(tree, "//oadr:oadrSignedObject//pyld:requestID"):
                one.text = f"{one.text or ''}x"
        said = _bytes(tree)
        if way == "good" and name_of(tree) != "oadrResponse":
            self._kept = said
        return said


def _bytes(tree: etree._Element) -> bytes:
    return etree.tostring(tree, encoding="UTF-8", xml_declaration=True)


class ShiftingContext(ssl.SSLContext):
    """A server context that is another one for each connection: as the VTN shows itself at that moment."""

    now: Callable[[], ssl.SSLContext]

    def wrap_bio(self, *args: object, **kwargs: object) -> ssl.SSLObject:
        """As in the context of the moment."""
        return self.now().wrap_bio(*args, **kwargs)  # type: ignore[arg-type]


def shifting(now: Callable[[], ssl.SSLContext]) -> ShiftingContext:
    """A context that asks `now` at each handshake."""
    context = ShiftingContext(ssl.PROTOCOL_TLS_SERVER)
    context.now = now
    return context


@dataclass(frozen=True, slots=True, kw_only=True)
class Papers:
    """Certificates of one procedure in files."""

    known: DevCa
    stranger: DevCa
    """An authority that the VEN does not know, with a VTN of the same name."""


@cache
def _made(kind: KeyKind) -> Mapping[str, bytes]:
    with tempfile.TemporaryDirectory(prefix="vppgw-conform-ca-") as folder:
        for ca in ("known", "stranger"):
            make_dev_ca(
                Path(folder) / ca, now=SystemClock().utc(), vens=(VEN, OTHER), servers=(OTHER_VTN,), kind=kind
            )
        found = sorted(path for path in Path(folder).rglob("*") if path.suffix in (".pem", ".key"))
        return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def lay(folder: Path, kind: KeyKind) -> Papers:
    """Write certificates and keys into `folder`; they are the same ones in each call of a process."""
    for name, content in _made(kind).items():
        path = folder / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        (write_private if path.suffix == ".key" else write_public)(path, content)
    return Papers(known=_ca(folder / "known"), stranger=_ca(folder / "stranger"))


def _ca(folder: Path) -> DevCa:
    return DevCa(
        folder=folder,
        ca=folder / "ca.pem",
        vtn_cert=folder / "vtn.pem",
        vtn_key=folder / "vtn.key",
        vens=(VEN, OTHER),
    )


def security_of(papers: Papers, *, signed: bool, rng: Rng) -> Security:
    """All that a VTN needs to show itself well and wrong to our own VEN."""
    known, stranger = papers.known, papers.stranger
    other = known.ven_cert(OTHER), known.ven_key(OTHER)
    other_vtn = known.folder / f"{OTHER_VTN}.pem", known.folder / f"{OTHER_VTN}.key"
    contexts: dict[TlsWay, ssl.SSLContext] = {
        "stranger": context_of(known.ca, stranger.vtn_cert, stranger.vtn_key),
        "other-ven": context_of(known.ca, *other),
        "other-vtn": context_of(known.ca, *other_vtn),
        "tls-1.1": context_of(known.ca, known.vtn_cert, known.vtn_key),
        "rsa-suite": context_of(known.ca, known.vtn_cert, known.vtn_key, RSA_SUITE),
        "ecdsa-suite": context_of(known.ca, known.vtn_cert, known.vtn_key, ECDSA_SUITE),
    }
    _only_1_1(contexts["tls-1.1"])
    tls = context_of(known.ca, known.vtn_cert, known.vtn_key)
    if not signed:
        return Security(tls=tls, contexts=contexts)
    pin = fingerprint(known.ven_cert(VEN).read_bytes())
    return Security(
        tls=tls,
        contexts=contexts,
        signer=_signer(known.vtn_cert, known.vtn_key, rng),
        signers={
            "other-ven": _signer(*other, rng),
            "other-vtn": _signer(*other_vtn, rng),
            "stranger": _signer(stranger.vtn_cert, stranger.vtn_key, rng),
        },
        verifier=Verifier(pins=(pin,), roots_pem=known.ca.read_bytes()),
    )


def _signer(cert: Path, key: Path, rng: Rng) -> Signer:
    return Signer(key_pem=key.read_bytes(), cert_pem=cert.read_bytes(), rng=rng)


def context_of(ca: Path, cert: Path, key: Path, suite: str = "") -> ssl.SSLContext:
    """A server context that demands a client certificate of `ca`; with `suite`, TLS 1.2 and that suite alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ca)
    context.load_cert_chain(cert, key)
    if suite:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(suite)
    return context


def _only_1_1(context: ssl.SSLContext) -> None:
    with warnings.catch_warnings():  # that it is out of date is the point
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
