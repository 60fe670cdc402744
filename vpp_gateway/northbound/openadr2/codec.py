"""Joins wire and signature: what the client calls to turn a message into bytes and bytes into a message.

Everything a peer can get wrong ends in `WireError`, with a text for the operator. Schema and keys are handed in.
"""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from vpp_gateway.northbound.openadr2 import wire
from vpp_gateway.northbound.openadr2.long_lists import LongLists
from vpp_gateway.northbound.openadr2.messages import Message
from vpp_gateway.northbound.openadr2.signature import Signer, Verifier
from vpp_gateway.northbound.openadr2.xml_intake import Limits, parse
from vpp_gateway.northbound.openadr2.xml_names import need


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """A message that passed intake, schema and (where required) signature."""

    message: Message
    signed_at: float | None = None
    nonce: str | None = None
    fingerprint: str | None = None


class Codec:
    """Bytes <-> messages of one connection.

    Args:
        schema: The 2.0b schema (`schema.load`).
        signer: Signs what we send; None = we send unsigned.
        verifier: Checks what we receive; None = signatures are not required, and then not looked at.
    """

    def __init__(
        self,
        *,
        schema: etree.XMLSchema,
        limits: Limits | None = None,
        signer: Signer | None = None,
        verifier: Verifier | None = None,
    ) -> None:
        self._schema = schema
        self.limits = limits or Limits()
        self._signer = signer
        self._verifier = verifier
        self._long_lists = LongLists(schema, self.limits)

    @property
    def signed_by(self) -> str | None:
        """Fingerprint of the certificate that signs what we send; None = it is not signed."""
        return None if self._signer is None else self._signer.fingerprint

    @property
    def verifies(self) -> bool:
        """Whether what we receive must be signed."""
        return self._verifier is not None

    def use(self, signer: Signer | None, verifier: Verifier | None) -> None:
        """Sign and check with these from now on: renewed certificates."""
        self._signer, self._verifier = signer, verifier

    def encode(self, message: Message, now: float) -> bytes:
        """Schema-valid bytes of `message`. Raises MisuseError when it cannot be said in 2.0b."""
        payload = wire.write(message, self._schema)
        if self._signer is not None:
            self._signer.sign(payload, now)
        return etree.tostring(payload, encoding="UTF-8", xml_declaration=True)

    def decode(self, body: bytes, now: float) -> Decoded:
        """The message in `body`. Raises WireError."""
        if self._verifier is None and (long_list := self._long_lists.read(body)) is not None:
            return Decoded(message=long_list)
        payload = parse(body, self.limits)
        refused = wire.check(payload, self._schema)
        if self._verifier is None:
            return Decoded(message=wire.read(need(payload, "oadr:oadrSignedObject"), refused))
        verified = self._verifier.verify(payload, now)
        return Decoded(
            message=wire.read(verified.signed_object, refused),
            signed_at=verified.signed_at,
            nonce=verified.nonce,
            fingerprint=verified.fingerprint,
        )
