"""What is kept of each message on the wire: the bytes, who said it, and what was judged of it.

    client, listener --Exchange--> Recorder (journal.messages)      evidence, not authority

An exchange has two entries, the request and its answer, tied by `pair`. Recording never fails an exchange.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from vpp_gateway.domain.instruction import RoomName
from vpp_gateway.northbound.openadr2.messages import Failed, Message, Received, name_of
from vpp_gateway.northbound.openadr2.rules import touched

Direction = Literal["out", "in"]

_OF_SIGNATURE = ("signature", "expected one signature", "ReplayProtect")
"""How the reasons of the signature check begin; it runs after the schema's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One message, or the failure to get one."""

    at: float
    """UTC (Unix s): before sending, or when the last byte was here."""
    room: RoomName
    direction: Direction
    pair: str
    """The same for a request and its answer."""
    url: str
    name: str
    """Element name of the message; empty when it could not be read."""
    body: bytes
    """As it stood on the wire, after decompression; cut off at the cap for a body that was too long."""
    status: int | None = None
    """HTTP status of an answer."""
    schema: str = ""
    """`valid`, or what is wrong; empty = not looked at."""
    signature: str = ""
    """`none`, `signed <fingerprint>`, `verified <fingerprint>`, or why it was refused."""
    failure: str = ""
    """Why there is no usable message: unreachable, timeout, http, ... and the detail; `judged` and the reason when
    the message, or a part of it, could be read and was not acted on."""
    rules: tuple[str, ...] = ()
    """Conformance rules that the message touches."""


class Recorder(Protocol):
    """Who keeps it."""

    def record(self, exchange: Exchange) -> None:
        """Take one; returns at once and never raises for the disk's sake."""
        ...


class LateRecorder:
    """Stands in until the record is open: a centre that stands by has none."""

    def __init__(self) -> None:
        self.recorder: Recorder | None = None

    def record(self, exchange: Exchange) -> None:
        """Pass it on, once there is somebody to take it."""
        if self.recorder is not None:
            self.recorder.record(exchange)


class Scribe:
    """Writes the two entries of each exchange of one connection.

    Args:
        verifies: Whether the other side must.
    """

    def __init__(self, recorder: Recorder, room: RoomName, *, verifies: bool) -> None:
        self._recorder = recorder
        self._room = room
        self._verifies = verifies

    def said(
        self,
        message: Message,
        body: bytes,
        *,
        at: float,
        pair: str,
        url: str,
        signed_by: str | None,
        status: int | None = None,
    ) -> None:
        """A message of ours, about to be sent; its schema was checked when it was written.

        Args:
            signed_by: Fingerprint of the certificate that signed it; None = unsigned.
        """
        self._recorder.record(
            Exchange(
                at=at,
                room=self._room,
                direction="out",
                pair=pair,
                url=url,
                name=name_of(message),
                body=body,
                status=status,
                schema="valid",
                signature="none" if signed_by is None else f"signed {signed_by}",
                rules=touched(message),
            )
        )

    def heard(
        self,
        outcome: Received | Failed,
        body: bytes,
        status: int | None,
        *,
        at: float,
        pair: str,
        url: str,
        refused: str = "",
    ) -> None:
        """What came back, or that nothing did. `refused`: the session's word on a message that could be read."""
        message = outcome.message if isinstance(outcome, Received) else None
        schema, signature = self._verdicts(outcome, body)
        self._recorder.record(
            Exchange(
                at=at,
                room=self._room,
                direction="in",
                pair=pair,
                url=url,
                name="" if message is None else name_of(message),
                body=body,
                status=status,
                schema=schema,
                signature=signature,
                failure=_failure(outcome, refused),
                rules=() if message is None else touched(message),
            )
        )

    def _verdicts(self, outcome: Received | Failed, body: bytes) -> tuple[str, str]:
        """(schema, signature) in words."""
        if isinstance(outcome, Received):
            if outcome.message is None:
                return "", ""
            return "valid", f"verified {outcome.fingerprint}" if self._verifies else "none"
        if outcome.cause != "refused" or not body:
            return "", ""
        if outcome.detail.startswith(_OF_SIGNATURE):
            return "valid", outcome.detail
        if outcome.detail.startswith("expected at most"):
            return "", ""  # cut off, so nobody looked at it
        return outcome.detail, ""


def _failure(outcome: Received | Failed, refused: str) -> str:
    if isinstance(outcome, Failed):
        return f"{outcome.cause}: {outcome.detail}"
    return f"judged: {refused}" if refused else ""
