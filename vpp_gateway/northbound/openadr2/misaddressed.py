"""Messages that are not for us, and the reply that fits each kind of message of a VTN (rule 21)."""

from __future__ import annotations

from vpp_gateway.northbound.openadr2.desk import Desk, reply_owed
from vpp_gateway.northbound.openadr2.facts import ReplyKind, ReplyOwed
from vpp_gateway.northbound.openadr2.messages import (
    CancelPartyRegistration,
    CreatePartyRegistration,
    Message,
    QueryRegistration,
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
    """Empty when the message is for us, otherwise why not."""
    ven_id = getattr(message, "ven_id", None)
    expected = desk.name
    registration = isinstance(message, QueryRegistration | CreatePartyRegistration)
    if not ven_id or not expected or ven_id == expected or registration or not desk.state.listening:
        return ""
    return f"{name_of(message)}: expected venID {shown(expected)}, found {shown(ven_id)}"


def reply_to(desk: Desk, message: Message, code: str, text: str, now: float) -> ReplyOwed:
    """The reply that fits the message, with this code."""
    kind = REPLIES.get(type(message), "response")
    return reply_owed(desk, kind, getattr(message, "request_id", ""), now, code, text)
