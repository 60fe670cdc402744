"""Bytes <-> typed OpenADR 2.0b messages.

    bytes --xml_intake--> tree --schema--> oadrSignedObject --read--> message
    message --write--> oadrSignedObject --schema--> oadrPayload --(signature)--> bytes

The schema is handed in as a validator, so nothing here opens a file. Signatures are `signature.py`'s: it takes the
tree between the two halves of this module, and what is read is only what it verified.
"""

from __future__ import annotations

from collections.abc import Callable

from lxml import etree

from vpp_gateway.errors import MisuseError
from vpp_gateway.northbound.openadr2 import read_event, read_opt, read_report, write_message
from vpp_gateway.northbound.openadr2.messages import (
    CanceledPartyRegistration,
    CancelPartyRegistration,
    CreatedPartyRegistration,
    CreatePartyRegistration,
    Message,
    Poll,
    QueryRegistration,
    RequestEvent,
    RequestReregistration,
    Response,
    name_of,
)
from vpp_gateway.northbound.openadr2.validity import complaint
from vpp_gateway.northbound.openadr2.xml_intake import WireError
from vpp_gateway.northbound.openadr2.xml_names import find, local, need, optional, tag, text, texts
from vpp_gateway.northbound.openadr2.xml_text import read_bool, read_count, shown

PAYLOAD = tag("oadr:oadrPayload")
SIGNED_OBJECT = tag("oadr:oadrSignedObject")
_EVENT = tag("oadr:oadrEvent")
REFUSED_MAX = 1000
"""Events of one list that the schema may refuse one by one; with more it is refused as a whole."""


def write(message: Message, schema: etree.XMLSchema) -> etree._Element:
    """The schema-valid oadrPayload tree of a message, not yet signed.

    Raises:
        MisuseError: The message cannot be said in 2.0b; a fault of ours, never sent.
    """
    payload = write_message.payload(message)
    if wrong := complaint(payload, schema):
        raise MisuseError(f"{name_of(message)} is not valid 2.0b XML: {shown(wrong, 300)}")
    return payload


def check(payload: etree._Element, schema: etree.XMLSchema) -> dict[int, str]:
    """Hold a received tree against the schema.

    Returns:
        Events of an oadrDistributeEvent that the schema refused, by position; empty when all is well.

    Raises:
        WireError: The message as a whole is not valid.
    """
    if payload.tag != PAYLOAD:
        raise WireError(f"expected oadrPayload, found {shown(local(payload))}")
    whole = _wrong(payload, schema)
    if not whole:
        return {}
    distribute = find(payload, "oadr:oadrSignedObject", "oadr:oadrDistributeEvent")
    if distribute is None:
        raise WireError(f"expected schema-valid 2.0b XML, found: {whole}")
    return _check_events(payload, distribute, schema, whole)


def _check_events(
    payload: etree._Element, distribute: etree._Element, schema: etree.XMLSchema, whole: str
) -> dict[int, str]:
    """Which events spoil the message: validate it without any, then with each alone. Leaves the tree as it was."""
    events = distribute.findall(_EVENT)
    for event in events:
        distribute.remove(event)
    refused: dict[int, str] = {}
    shell_ok = not _wrong(payload, schema)
    for index, event in enumerate(events if shell_ok else ()):
        distribute.append(event)
        if wrong := _wrong(payload, schema):
            refused[index] = f"expected a schema-valid event, found: {wrong}"
        distribute.remove(event)
        if len(refused) > REFUSED_MAX:
            raise WireError(f"expected at most {REFUSED_MAX} events that are not valid, found more")
    for event in events:
        distribute.append(event)
    if not shell_ok:
        raise WireError(f"expected schema-valid 2.0b XML, found: {whole}")
    if not refused:  # valid one by one, invalid together: duplicate IDs or a misplaced event
        raise WireError(f"expected schema-valid 2.0b XML, found: {whole}")
    return refused


def _wrong(payload: etree._Element, schema: etree.XMLSchema) -> str:
    return shown(found, 300) if (found := complaint(payload, schema)) else ""


def read(signed_object: etree._Element, refused: dict[int, str] | None = None) -> Message:
    """The message inside an oadrSignedObject that passed `check`.

    Raises:
        WireError: A message this VEN does not know, or a value that cannot be used.
    """
    children = list(signed_object)
    if signed_object.tag != SIGNED_OBJECT or len(children) != 1:
        raise WireError("expected one oadrSignedObject with one message")
    element = children[0]
    name = local(element)
    if name == "oadrDistributeEvent":
        return read_event.distribute_event(element, refused)
    reader = _READERS.get(name)
    if reader is None:
        raise WireError(f"expected a message of the simple HTTP pull profile, found {shown(name)}")
    try:
        return reader(element)
    except ValueError as error:
        raise WireError(f"{name}: {error}") from None


def _query_registration(element: etree._Element) -> QueryRegistration:
    return QueryRegistration(request_id=text(element, "pyld:requestID"))


def _create_party_registration(element: etree._Element) -> CreatePartyRegistration:
    pull = optional(element, "oadr:oadrHttpPullModel")
    return CreatePartyRegistration(
        request_id=text(element, "pyld:requestID"),
        registration_id=optional(element, "ei:registrationID"),
        ven_id=optional(element, "ei:venID"),
        ven_name=optional(element, "oadr:oadrVenName"),
        report_only=read_bool(text(element, "oadr:oadrReportOnly")),
        xml_signature=read_bool(text(element, "oadr:oadrXmlSignature")),
        http_pull=pull is not None and read_bool(pull),
        transport_address=optional(element, "oadr:oadrTransportAddress"),
    )


def _created_party_registration(element: etree._Element) -> CreatedPartyRegistration:
    profiles = need(element, "oadr:oadrProfiles").findall(tag("oadr:oadrProfile"))
    return CreatedPartyRegistration(
        response=read_event.response(element, "ei:eiResponse"),
        registration_id=optional(element, "ei:registrationID") or None,
        ven_id=optional(element, "ei:venID") or None,
        vtn_id=text(element, "ei:vtnID"),
        profiles=tuple(text(profile, "oadr:oadrProfileName").strip() for profile in profiles),
        poll_s=read_event.duration(element, "oadr:oadrRequestedOadrPollFreq"),
    )


def _cancel_party_registration(element: etree._Element) -> CancelPartyRegistration:
    return CancelPartyRegistration(
        request_id=text(element, "pyld:requestID"),
        registration_id=text(element, "ei:registrationID"),
        ven_id=optional(element, "ei:venID"),
    )


def _canceled_party_registration(element: etree._Element) -> CanceledPartyRegistration:
    return CanceledPartyRegistration(
        response=read_event.response(element, "ei:eiResponse"),
        registration_id=optional(element, "ei:registrationID"),
        ven_id=optional(element, "ei:venID"),
    )


def _request_event(element: etree._Element) -> RequestEvent:
    request = need(element, "pyld:eiRequestEvent")
    limit = texts(request, "pyld:replyLimit")
    return RequestEvent(
        request_id=text(request, "pyld:requestID"),
        ven_id=text(request, "ei:venID"),
        reply_limit=read_count(limit[0]) if limit else None,
    )


def _response(element: etree._Element) -> Response:
    return Response(
        response=read_event.response(element, "ei:eiResponse"), ven_id=optional(element, "ei:venID")
    )


_READERS: dict[str, Callable[[etree._Element], Message]] = {
    "oadrQueryRegistration": _query_registration,
    "oadrCreatePartyRegistration": _create_party_registration,
    "oadrCreatedPartyRegistration": _created_party_registration,
    "oadrCancelPartyRegistration": _cancel_party_registration,
    "oadrCanceledPartyRegistration": _canceled_party_registration,
    "oadrRequestReregistration": lambda element: RequestReregistration(ven_id=text(element, "ei:venID")),
    "oadrPoll": lambda element: Poll(ven_id=text(element, "ei:venID")),
    "oadrResponse": _response,
    "oadrRequestEvent": _request_event,
    "oadrCreatedEvent": read_event.created_event,
    "oadrRegisterReport": read_report.register_report,
    "oadrRegisteredReport": read_report.registered_report,
    "oadrCreateReport": read_report.create_report,
    "oadrCreatedReport": read_report.created_report,
    "oadrUpdateReport": read_report.update_report,
    "oadrUpdatedReport": read_report.updated_report,
    "oadrCancelReport": read_report.cancel_report,
    "oadrCanceledReport": read_report.canceled_report,
    "oadrCreateOpt": read_opt.create_opt,
    "oadrCreatedOpt": read_opt.created_opt,
    "oadrCancelOpt": read_opt.cancel_opt,
    "oadrCanceledOpt": read_opt.canceled_opt,
}
READABLE: frozenset[str] = frozenset(_READERS) | {"oadrDistributeEvent"}
"""Element names of every message that `read` knows."""
