"""Messages that are not for us, and the reply that fits each kind of message of a VTN (rule 21)."""

from __future__ import annotations

from vpp_gateway.northbound.openadr2 import hear
from vpp_gateway.northbound.openadr2.desk import Desk, Facts, Sent, reply_owed
from vpp_gateway.northbound.openadr2.facts import ReplyKind, ReplyOwed, ResponseOwed
from vpp_gateway.northbound.openadr2.messages import (
    CancelPartyRegistration,
    CreatePartyRegistration,
    Message,
    Poll,
    QueryRegistration,
    RequestEvent,
    RequestReregistration,
    name_of,
)
from vpp_gateway.northbound.openadr2.report_words import (
    CancelReport,
    CreateReport,
    RegisterReport,
    UpdateReport,
)
from vpp_gateway.northbound.openadr2.xml_text import shown

REPLIES: dict[type, ReplyKind] = {
    CreateReport: "created-report",
    CancelReport: "canceled-report",
    RegisterReport: "registered-report",
    UpdateReport: "updated-report",
    CancelPartyRegistration: "canceled-registration",
}
"""What a VTN's request is answered with; every other message with oadrResponse."""


def for_another(desk: Desk, message: Message) -> str:
    """Empty when the message is for us, otherwise why not.

    An empty venID is borne in an answer, and names nobody in what the VTN asks of us.
    """
    ven_id = getattr(message, "ven_id", None)
    if not ven_id and not _asks(message):
        ven_id = None
    expected = desk.name
    registration = isinstance(message, QueryRegistration | CreatePartyRegistration)
    if ven_id is None or not expected or ven_id == expected or registration or not desk.state.listening:
        return ""
    return f"{name_of(message)}: expected venID {shown(expected)}, found {shown(ven_id)}"


def _asks(message: Message) -> bool:
    """Whether it is a request of the VTN's own, and not an answer to one of ours."""
    return type(message) in REPLIES or isinstance(message, RequestReregistration)


def misheard(desk: Desk, sent: Sent, said: Message, reason: str, failures: int, now: float) -> Facts:
    """What follows when a message for another came as the answer to `sent`: what that carried was not taken.

    It is sent again with growing waits and given up as after any other answer that is none, for it stands before the
    polls. A poll carries nothing, so the next one keeps its time.

    Args:
        reason: Why it is not for us.
        failures: Exchanges in a row without a usable answer, before this one.
    """
    desk.refuse("misaddressed", reason)
    asked = sent.post.message
    if not isinstance(asked, Poll):
        desk.pace.failures = failures
    desk.fail(now, reason)
    facts: Facts = []
    if not isinstance(asked, Poll | RequestEvent):
        facts += hear.undelivered(desk, sent, reason, now, reached=True)
    if _asks(said):
        skip = sum(isinstance(fact, ResponseOwed) for fact in facts)
        facts.append(reply_to(desk, said, "452", reason, now, skip))
    return facts


def reply_to(desk: Desk, message: Message, code: str, text: str, now: float, skip: int = 0) -> ReplyOwed:
    """The reply that fits the message, with this code. `skip`: outbox numbers already taken in the same turn."""
    kind = REPLIES.get(type(message), "response")
    return reply_owed(desk, kind, getattr(message, "request_id", ""), now, code, text, skip)
