"""Every message that our VEN sends in a test run, and two validators and xmlsec1 that look at them in the end.

    benches, stages, houses --Tap--> folder of this run <--messages.db of real processes
                                          |
                             tests/wire/test_outgoing.py, the last test of the run

Kept is what differs in structure (elements in their order, signed or not), so that a hundred thousand polls are one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from lxml import etree

from vpp_gateway.errors import JournalError
from vpp_gateway.journal.messages import FILE_NAME, read
from vpp_gateway.northbound.openadr2 import schema
from vpp_gateway.northbound.openadr2.record import Exchange
from vpp_gateway.northbound.openadr2.xml_names import NAMESPACES

ENVIRONMENT = "VPPGW_TESTS_OUTGOING"
"""The folder of this run; set by tests/conftest.py, seen by child processes too."""
SUMMARY: list[str] = []
"""What the end of the run tells; printed by tests/conftest.py."""
SIGNED_MAX = 8
"""Signed messages of one structure that are verified; each has a value of its own."""


class Tap:
    """A `Recorder` that keeps what our VEN sends."""

    def record(self, exchange: Exchange) -> None:
        if exchange.direction == "out":
            self.keep(exchange.body)

    def keep(self, body: bytes) -> None:
        """Keep one message, unless its like is kept."""
        folder = os.environ.get(ENVIRONMENT)
        if folder is not None:
            _keep(Path(folder), body)


def _keep(folder: Path, body: bytes) -> None:
    signed, digest = _structure(body)
    names = [f"{digest}-signed-{n}.xml" for n in range(SIGNED_MAX)] if signed else [f"{digest}.xml"]
    for name in names:
        if not (folder / name).exists():
            draft = folder / f"{name}.{os.getpid()}"
            draft.write_bytes(body)
            draft.replace(folder / name)
            return


def _structure(body: bytes) -> tuple[bool, str]:
    tags = b" ".join(str(element.tag).encode() for element in etree.fromstring(body).iter())
    return b"xmldsig#}Signature" in tags, hashlib.sha256(tags).hexdigest()[:20]


def from_records(folder: Path, roots: Iterable[Path]) -> int:
    """Take over what real processes have on record below `roots`; returns how many messages were looked at."""
    count = 0
    for root in roots:
        for file in root.rglob(FILE_NAME):
            if not file.with_name("journal.db").exists():
                continue  # of a test of the record itself, not of a gateway
            for body in _bodies(file):
                _keep(folder, body)
                count += 1
    return count


def _bodies(file: Path) -> Iterator[bytes]:
    try:
        yield from (row.body for row in read(file) if row.direction == "out")
    except JournalError:
        return  # a record that a test has damaged on purpose


@dataclass
class Verdict:
    """What the validators say."""

    kinds: Counter[str] = field(default_factory=Counter)
    signed: int = 0
    complaints: list[str] = field(default_factory=list)


def judge(bodies: Iterable[bytes], scratch: Path) -> Verdict:
    """lxml and xmlschema on each, xmlsec1 on each signed one."""
    verdict, libxml = Verdict(), schema.load()
    for body in bodies:
        tree = etree.fromstring(body)
        name = etree.QName(tree[-1][0]).localname
        verdict.kinds[name] += 1
        if not libxml.validate(tree):
            verdict.complaints.append(f"{name}: lxml: {libxml.error_log.last_error}")
        error = next(_second_opinion().iter_errors(etree.tostring(tree, encoding="unicode")), None)
        if error is not None:
            verdict.complaints.append(f"{name}: xmlschema: {error.reason} at {error.path}")
        if tree.find(f"{{{NAMESPACES['ds']}}}Signature") is not None:
            verdict.signed += 1
            complaint = xmlsec1(body, scratch)
            if complaint:
                verdict.complaints.append(f"{name}: xmlsec1: {complaint}")
    return verdict


@cache
def _second_opinion() -> Any:
    import xmlschema

    return xmlschema.XMLSchema10(str(schema.find()))


def xmlsec1(body: bytes, scratch: Path) -> str:
    """Empty when the signature holds against the certificate in the message."""
    file = scratch / "message.xml"
    file.write_bytes(body)
    certificate = scratch / "signer.pem"
    tree = etree.fromstring(body)
    encoded = tree.findtext(f".//{{{NAMESPACES['ds']}}}X509Certificate") or ""
    lines = "\n".join(encoded.split())
    certificate.write_text(f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n")
    command = shutil.which("xmlsec1") or "xmlsec1"
    done = subprocess.run(
        [
            command, "--verify", "--pubkey-cert-pem", str(certificate), "--enabled-key-data", "rsa,ec,ecdsa",
            "--id-attr:Id", f"{NAMESPACES['oadr']}:oadrSignedObject",
            "--id-attr:Id", f"{NAMESPACES['ds']}:Object",
            str(file),
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return "" if done.returncode == 0 else done.stderr.strip()[:300]
