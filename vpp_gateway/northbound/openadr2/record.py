"""What is kept of each message on the wire: the bytes, who said it, and what was judged of it.

    client, listener --Exchange--> Recorder (journal.messages)      evidence, not authority

An exchange has two entries, the request and its answer, tied by `pair`. Recording never fails an exchange.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from vpp_gateway.domain.instruction import RoomName

Direction = Literal["out", "in"]


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
    """`none`, `signed`, `verified <fingerprint>`, or why it was refused."""
    failure: str = ""
    """Why there is no usable message: unreachable, timeout, http, ... and the detail."""
    rules: tuple[str, ...] = ()
    """Conformance rules that the message touches."""


class Recorder(Protocol):
    """Who keeps it."""

    def record(self, exchange: Exchange) -> None:
        """Take one; returns at once and never raises for the disk's sake."""
        ...
