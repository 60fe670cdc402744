"""The last test of a run: every message that our VEN sent in it is valid by two validators, every signature by xmlsec1.

Run alone, it sends some messages first.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from lxml import etree

from tests.outgoing import ENVIRONMENT, SUMMARY, Tap, from_records, judge
from tests.playbook.ven_stage import Stage, registered, xsd
from vpp_gateway.clock import SeededRng
from vpp_gateway.identity.dev_ca import make_dev_ca
from vpp_gateway.identity.keys import KeyKind
from vpp_gateway.northbound.openadr2.codec import Codec
from vpp_gateway.northbound.openadr2.messages import Poll
from vpp_gateway.northbound.openadr2.signature import Signer

START = 1_767_225_600.0


def signed(folder: Path, kind: KeyKind) -> bytes:
    pki = make_dev_ca(folder / kind, now=START, vens=("ven",), kind=kind)
    signer = Signer(
        key_pem=pki.ven_key("ven").read_bytes(), cert_pem=pki.ven_cert("ven").read_bytes(), rng=SeededRng(1)
    )
    return Codec(schema=xsd(), signer=signer).encode(Poll(ven_id="VEN-1"), START)


def test_a_wrong_message_does_not_pass(tmp_path: Path) -> None:
    """The judge itself can say no: by schema, in both ways, and by signature."""
    good = signed(tmp_path, "p256")
    assert judge([good], tmp_path).complaints == []
    tree = etree.fromstring(good)
    tree[-1][0].remove(tree[-1][0][0])
    complaints = " ".join(judge([etree.tostring(tree)], tmp_path).complaints)
    assert "lxml" in complaints and "xmlschema" in complaints and "xmlsec1" in complaints
    altered = judge([good.replace(b"VEN-1", b"VEN-2")], tmp_path).complaints
    assert len(altered) == 1 and altered[0].startswith("oadrPoll: xmlsec1")


@pytest.mark.last
def test_every_message_of_the_run(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    registered(Stage())
    for kind in ("p256", "rsa2048"):
        Tap().keep(signed(tmp_path, kind))  # type: ignore[arg-type]
    folder = Path(os.environ[ENVIRONMENT])
    from_records(folder, [tmp_path_factory.getbasetemp()])
    files = sorted(folder.glob("*.xml"))
    verdict = judge((file.read_bytes() for file in files), tmp_path)
    kinds = ", ".join(f"{count} {name}" for name, count in sorted(verdict.kinds.items()))
    SUMMARY.append(
        f"{len(files)} structures of outgoing messages ({verdict.signed} signed) judged by lxml, xmlschema and "
        f"xmlsec1: {kinds}"
    )
    assert verdict.complaints == []
    assert {"oadrPoll", "oadrCreatePartyRegistration"} <= set(verdict.kinds) and verdict.signed >= 2
