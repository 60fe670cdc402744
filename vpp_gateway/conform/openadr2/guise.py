"""How the VTN shows itself: well, or wrong on purpose, in TLS and in its signatures.

Certificates for our own VEN are those of `papers`. Another VEN's owner brings certificates of theirs; what cannot be
shown with those makes a procedure not applicable.
"""

from __future__ import annotations

import copy
import ssl
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lxml import etree

from vpp_gateway.clock import Rng
from vpp_gateway.conform.openadr2.papers import (
    EXPIRED,
    OTHER,
    OTHER_HOST,
    OTHER_VTN,
    REVOKED,
    VEN,
    WEAK_KEY,
    Papers,
)
from vpp_gateway.conform.openadr2.procedure import SignWay, TlsWay
from vpp_gateway.conform.openadr2.xml import ProcedureError, name_of, nodes
from vpp_gateway.northbound.openadr2.signature import Signer, Verifier, fingerprint
from vpp_gateway.northbound.openadr2.xml_names import tag

RSA_SUITE = "AES128-SHA256"
ECDSA_SUITE = "ECDHE-ECDSA-AES128-SHA256"
NULL_SUITE = "ECDHE-ECDSA-NULL-SHA:NULL-SHA256:@SECLEVEL=0"
"""Signed and in the clear."""


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
        if sign in ("other-ven", "other-vtn", "stranger", EXPIRED, REVOKED) and sign not in self.signers:
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
        signer = self._security.signers.get(way, self._security.signer)
        if way == "wrapped":
            return _bytes(_wrapped(tree, signer, at))
        signer.sign(tree, at)
        if way == "twice":
            tree.insert(0, copy.deepcopy(tree[0]))
        if way == "altered":
            for one in nodes(tree, "//oadr:oadrSignedObject//pyld:requestID"):
                one.text = f"{one.text or ''}x"
        said = _bytes(tree)
        if way == "good" and name_of(tree) != "oadrResponse":
            self._kept = said
        return said


def _wrapped(tree: etree._Element, signer: Signer, at: float) -> etree._Element:
    """What is said stands where it is read; what was signed is an oadrResponse hidden in the signature."""
    honest = copy.deepcopy(tree)
    kept = nodes(honest, "/oadr:oadrPayload/oadr:oadrSignedObject")[0]
    for child in list(kept):
        kept.remove(child)
    signer.sign(honest, at)
    signature, kept = honest
    hidden = etree.SubElement(signature, tag("ds:Object"))
    hidden.append(kept)
    nodes(tree, "/oadr:oadrPayload/oadr:oadrSignedObject")[0].set(tag("oadr:Id"), "said")
    tree.insert(0, signature)
    return tree


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


def security_of(papers: Papers, *, signed: bool, rng: Rng) -> Security:
    """All that a VTN needs to show itself well and wrong to our own VEN."""
    known, stranger = papers.known, papers.stranger
    other = known.ven_cert(OTHER), known.ven_key(OTHER)
    contexts: dict[TlsWay, ssl.SSLContext] = {
        "stranger": context_of(known.ca, stranger.vtn_cert, stranger.vtn_key),
        "other-ven": context_of(known.ca, *other),
        "other-vtn": context_of(known.ca, *papers.vtn(OTHER_VTN)),
        EXPIRED: context_of(known.ca, *papers.vtn(EXPIRED)),
        OTHER_HOST: context_of(known.ca, *papers.vtn(OTHER_HOST)),
        REVOKED: context_of(known.ca, *papers.vtn(REVOKED)),
        WEAK_KEY: context_of(known.ca, *papers.vtn(WEAK_KEY), "DEFAULT:@SECLEVEL=0"),
        "tls-1.1": context_of(known.ca, known.vtn_cert, known.vtn_key),
        "tls-1.3": context_of(known.ca, known.vtn_cert, known.vtn_key),
        "null-suite": context_of(known.ca, known.vtn_cert, known.vtn_key, NULL_SUITE),
        "rsa-suite": context_of(known.ca, known.vtn_cert, known.vtn_key, RSA_SUITE),
        "ecdsa-suite": context_of(known.ca, known.vtn_cert, known.vtn_key, ECDSA_SUITE),
    }
    _only_1_1(contexts["tls-1.1"])
    contexts["tls-1.3"].minimum_version = ssl.TLSVersion.TLSv1_3
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
            "other-vtn": _signer(*papers.vtn(OTHER_VTN), rng),
            EXPIRED: _signer(*papers.vtn(EXPIRED), rng),
            REVOKED: _signer(*papers.vtn(REVOKED), rng),
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
    if suite:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(suite)
    context.load_cert_chain(cert, key)
    return context


def _only_1_1(context: ssl.SSLContext) -> None:
    with warnings.catch_warnings():  # that it is out of date is the point
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
