"""Rows `openadr2_sign_KIND`: signing and checking one oadrPoll, beside signxml on the same message and keys.

signxml is what openleadr signs with; as there, its key and certificate come as PEM text with each message.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from lxml import etree
from signxml import CanonicalizationMethod, SignatureConfiguration, XMLSigner, XMLVerifier, methods

from tests.bench.report import Check, Figure, Goal, Row, row
from tests.bench.samples import interleaved, median
from vpp_gateway.clock import SeededRng
from vpp_gateway.identity.dev_ca import DevCa, make_dev_ca
from vpp_gateway.identity.keys import KeyKind
from vpp_gateway.northbound.openadr2 import schema
from vpp_gateway.northbound.openadr2.codec import Codec
from vpp_gateway.northbound.openadr2.messages import Poll
from vpp_gateway.northbound.openadr2.signature import Signer, Verifier
from vpp_gateway.northbound.openadr2.xml_names import NAMESPACES

KINDS: dict[str, KeyKind] = {"p256": "p256", "rsa2048": "rsa2048"}
MESSAGE = Poll(ven_id="VEN-1")
ROUNDS = 15
EACH = 20
"""Messages a round: process_time counts in coarse steps."""
GOAL_MS = 5.0


def rows(wanted: frozenset[str]) -> Iterator[Row]:
    """Measure what is wanted."""
    for name, kind in KINDS.items():
        if f"openadr2_sign_{name}" in wanted:
            with TemporaryDirectory() as folder:
                yield measure(name, make_dev_ca(Path(folder) / "ca", now=time.time(), kind=kind))


def measure(name: str, pki: DevCa) -> Row:
    """Sign and check the same message by turns."""
    key, cert, ca = (path.read_bytes() for path in (pki.ven_key("ven"), pki.ven_cert("ven"), pki.ca))
    codec = Codec(
        schema=schema.load(),
        signer=Signer(key_pem=key, cert_pem=cert, rng=SeededRng(1)),
        verifier=Verifier(roots_pem=ca),
    )
    bare = Codec(schema=schema.load()).encode(MESSAGE, time.time())
    theirs = _Signxml(name, key, cert)

    def ours() -> None:
        now = time.time()
        assert codec.decode(codec.encode(MESSAGE, now), now).message == MESSAGE

    mine, other = interleaved(_timed(ours), _timed(lambda: theirs.check(theirs.sign(bare))), ROUNDS)
    alone = _timed(lambda: codec.encode(MESSAGE, time.time()))
    sign_ms = median([alone() for _ in range(ROUNDS)])
    now = time.time()
    return row(
        f"openadr2_sign_{name}",
        quantity="CPU time to write, sign, read and check one oadrPoll",
        ours=median(mine),
        unit="ms",
        better="lower",
        against="signxml",
        theirs=median(other),
        goal=(Goal(of="sign", at_most=GOAL_MS),),
        figures=(Figure(name="sign", value=sign_ms, unit="ms"),),
        checks=(Check(what="signxml accepts our signature", true=theirs.check(codec.encode(MESSAGE, now))),),
        note=f"median of {ROUNDS} rounds of {EACH} messages, by turns; ours also checks the schema both ways",
        origin="time.process_time around each round",
    )


def _timed(work: Callable[[], object]) -> Callable[[], float]:
    def sample() -> float:
        began = time.process_time()
        for _ in range(EACH):
            work()
        return (time.process_time() - began) * 1000.0 / EACH

    return sample


class _Signxml:
    """signxml used as openleadr uses it: detached, two references, exclusive C14N."""

    def __init__(self, name: str, key: bytes, cert: bytes) -> None:
        self._key, self._cert = key, cert.decode()
        self._signer = XMLSigner(
            method=methods.detached,
            signature_algorithm="ecdsa-sha256" if name == "p256" else "rsa-sha256",
            c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
        )

    def sign(self, bare: bytes) -> bytes:
        payload = etree.fromstring(bare)
        stamp = etree.fromstring(
            f'<dsp:ReplayProtect xmlns:dsp="{NAMESPACES["dsp"]}" Id="stamp" Target="#oadrSignedObject">'
            "<dsp:timestamp>2026-01-01T00:00:00Z</dsp:timestamp><dsp:nonce>n</dsp:nonce></dsp:ReplayProtect>"
        )
        signature = self._signer.sign(
            payload[0], key=self._key, cert=self._cert, reference_uri="#oadrSignedObject",
            signature_properties=stamp,
        )  # fmt: skip
        payload.insert(0, signature)
        return etree.tostring(payload)

    def check(self, body: bytes) -> bool:
        config = SignatureConfiguration(expect_references=2, location="./")
        XMLVerifier().verify(etree.fromstring(body), x509_cert=self._cert, expect_config=config)
        return True
