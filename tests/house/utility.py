"""The utility's side of the virtual house: a CA of its own, the scripted VTN behind mutual TLS, and its bad days."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from lxml import etree

from tests.playbook.ven_stage import xsd
from tests.wire.ven_bench import free_port
from vpp_gateway.clock import Clock, SeededRng
from vpp_gateway.identity.dev_ca import make_dev_ca
from vpp_gateway.northbound.openadr2.codec import Codec
from vpp_gateway.northbound.openadr2.messages import Message
from vpp_gateway.northbound.openadr2.signature import Signer, Verifier, fingerprint
from vpp_gateway.northbound.openadr2.xml_names import tag
from vpp_gateway.sim.vtn import Vtn
from vpp_gateway.sim.vtn_http import PATH, VtnServer, server_tls

VEN_NAME = "house-ven"
STRANGER = "stranger"
ROOM = "tso"
HOST = "127.0.0.1"


class Utility:
    """One VTN that listens, goes away, comes back on the same port, and can be made to say anything.

    Args:
        folder: where its certificates are made.
        order: (granularity, back duration) in s of the report it orders; None = none.
    """

    def __init__(
        self, folder: Path, *, clock: Clock, rng: SeededRng, poll_s: float, order: tuple[float, float] | None
    ) -> None:
        self.pki = make_dev_ca(folder, now=clock.utc(), vens=(VEN_NAME, STRANGER))
        self._clock, self._rng = clock, rng
        self._port = free_port()
        self._open: AsyncExitStack | None = None
        self.vtn = Vtn(rng=rng.fork("vtn"), ven_name=VEN_NAME, poll_s=poll_s, order=order)
        pin = fingerprint(self.pki.ven_cert(VEN_NAME).read_bytes())
        self._own = self._signer(self.pki.vtn_key, self.pki.vtn_cert)
        codec = Codec(schema=xsd(), signer=self._own, verifier=Verifier(pins=[pin]))
        tls = server_tls(
            ca_file=str(self.pki.ca), cert_file=str(self.pki.vtn_cert), key_file=str(self.pki.vtn_key)
        )
        self.server = VtnServer(vtn=self.vtn, codec=codec, clock=clock, tls=tls)
        self._codecs = {
            "as always": codec,
            "unsigned": Codec(schema=xsd()),
            "by a stranger": Codec(
                schema=xsd(), signer=self._signer(self.pki.ven_key(STRANGER), self.pki.ven_cert(STRANGER))
            ),
        }

    def _signer(self, key: Path, cert: Path) -> Signer:
        return Signer(key_pem=key.read_bytes(), cert_pem=cert.read_bytes(), rng=self._rng.fork(key.name))

    def settings(self, program: str) -> dict[str, object]:
        """The operator's `northbound` row for this utility."""
        return {
            "protocol": "openadr2",
            "name": ROOM,
            "program": program,
            "vtn_url": f"https://{HOST}:{self._port}{PATH}",
            "ven_name": VEN_NAME,
            "vtn_fingerprint": fingerprint(self.pki.vtn_cert.read_bytes()),
            "sign": True,
            "tls": {
                "ca": str(self.pki.ca),
                "cert": str(self.pki.ven_cert(VEN_NAME)),
                "key": str(self.pki.ven_key(VEN_NAME)),
            },
        }

    async def listen(self) -> None:
        """Be there; nothing when it is."""
        if self._open is None:
            self._open = AsyncExitStack()
            await self._open.enter_async_context(self.server.serve(self._port, HOST))

    async def silence(self) -> None:
        """Go away: connections end, the port is closed. What it knows stays."""
        if self._open is not None:
            leaving, self._open = self._open, None
            await leaving.aclose()

    def say(self, answer: bytes | Callable[[bytes], bytes]) -> None:
        """Give these bytes for the next answer, whatever was asked; a function gets the right answer's bytes."""

        def once(right: bytes) -> bytes:
            self.server.spoil = None
            return answer(right) if callable(answer) else answer

        self.server.spoil = once

    def written(self, message: Message, how: str = "as always") -> bytes:
        """Bytes of a message: signed `as always`, `unsigned`, or signed `by a stranger` of the same CA."""
        return self._codecs[how].encode(message, self._clock.utc())

    def signed_again(self, right: bytes, old: bytes, new: bytes) -> bytes:
        """The right answer with some of its bytes exchanged, and signed as if it had always been so."""
        payload = etree.fromstring(right)
        for signature in payload.findall(tag("ds:Signature")):
            payload.remove(signature)
        plain = etree.tostring(payload)
        assert old in plain, "there is nothing to exchange"
        spoilt = etree.fromstring(plain.replace(old, new))
        self._own.sign(spoilt, self._clock.utc())
        return etree.tostring(spoilt, encoding="UTF-8", xml_declaration=True)
