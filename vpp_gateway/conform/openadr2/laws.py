"""What must hold of every message that a VEN sends, whatever the procedure; each breach names its rule."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lxml import etree

from vpp_gateway.conform.openadr2.xml import name_of, nodes, values

SERVICE_OF: Mapping[str, str] = {
    "oadrQueryRegistration": "EiRegisterParty",
    "oadrCreatePartyRegistration": "EiRegisterParty",
    "oadrCancelPartyRegistration": "EiRegisterParty",
    "oadrCanceledPartyRegistration": "EiRegisterParty",
    "oadrPoll": "OadrPoll",
    "oadrRequestEvent": "EiEvent",
    "oadrCreatedEvent": "EiEvent",
    "oadrRegisterReport": "EiReport",
    "oadrRegisteredReport": "EiReport",
    "oadrCreateReport": "EiReport",
    "oadrCreatedReport": "EiReport",
    "oadrUpdateReport": "EiReport",
    "oadrUpdatedReport": "EiReport",
    "oadrCancelReport": "EiReport",
    "oadrCanceledReport": "EiReport",
    "oadrCreateOpt": "EiOpt",
    "oadrCancelOpt": "EiOpt",
}
"""Where a VEN must post each message; oadrResponse goes where its request came from."""
PUSHED_TO: Mapping[str, str] = {
    "oadrDistributeEvent": "EiEvent",
    "oadrRegisterReport": "EiReport",
    "oadrCreateReport": "EiReport",
    "oadrCancelReport": "EiReport",
    "oadrRequestReregistration": "EiRegisterParty",
    "oadrCancelPartyRegistration": "EiRegisterParty",
}
"""Where a VTN posts each message to a VEN with push."""
REPLY_TO: Mapping[str, str] = {
    "oadrDistributeEvent": "oadrCreatedEvent",
    "oadrRegisterReport": "oadrRegisteredReport",
    "oadrCreateReport": "oadrCreatedReport",
    "oadrUpdateReport": "oadrUpdatedReport",
    "oadrCancelReport": "oadrCanceledReport",
    "oadrRequestReregistration": "oadrResponse",
    "oadrCancelPartyRegistration": "oadrCanceledPartyRegistration",
}
"""What a VEN owes to what it fetched with a poll."""
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_DURATION = re.compile(r"[+-]?P(?!$)(\d+Y)?(\d+M)?(\d+D)?(T(?!$)(\d+H)?(\d+M)?(\d+S)?)?")


LAWS: Mapping[str, str] = {
    "schema": "every message is valid by the 2.0b schema",
    "1": "every date is UTC, with Z",
    "12": "an event is answered only when an answer was asked for",
    "21": "venID and vtnID are those of the registration",
    "25": "a failed eventResponse leaves eiResponse at 200",
    "35": "oadrCreatedEvent holds eventResponses unless eiResponse is an error",
    "42": "every eventResponse repeats the requestID received, that of eiResponse is empty",
    "45": "no schemaLocation",
    "46": "no optional element with a placeholder",
    "48": "logical errors have codes of the class 4xx, and no optIn to what is refused",
    "53": "simple HTTP: headers, content type, the service's own address",
    "54": "no poll faster than the VTN asked for",
    "64": "what a poll brought is answered before the next poll",
    "V8": "durations in the form of the standard",
}
"""Rule -> what holds of every message, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A rule that does not hold."""

    rule: str
    what: str


def of_request(headers: Mapping[str, str]) -> Iterator[Breach]:
    """Rule 53: the three headers of simple HTTP."""
    if headers.get("Content-Type", "").split(";")[0].strip() != "application/xml":
        yield Breach(rule="53", what=f"Content-Type {headers.get('Content-Type')!r}, not application/xml")
    if "Content-Length" not in headers:
        yield Breach(rule="53", what="no Content-Length")
    if not headers.get("Host"):
        yield Breach(rule="53", what="no Host")


def of_message(
    payload: etree._Element, service: str, schema: etree.XMLSchema, ven_id: str, vtn_id: str
) -> Iterator[Breach]:
    """What holds of the message itself."""
    name = name_of(payload)
    if not schema.validate(payload):
        said = str(schema.error_log).partition("\n")[0]
        yield Breach(rule="schema", what=f"{name}: {said.rpartition(': ')[2] or said}")
        return
    expected = SERVICE_OF.get(name)
    if expected is not None and expected != service:
        yield Breach(rule="53", what=f"{name} was posted to {service}, not {expected}")
    for element in payload.iter():
        if any(str(key).endswith("schemaLocation") for key in element.attrib):
            yield Breach(rule="45", what=f"{name}: schemaLocation")
    for text in values(payload, "//xcal:date-time | //ei:createdDateTime"):
        if not _UTC.fullmatch(text):
            yield Breach(rule="1", what=f"{name}: date {text!r}, not UTC with Z")
    for text in values(payload, "//xcal:duration[not(*)] | //oadr:oadrMinPeriod | //oadr:oadrMaxPeriod"):
        if not _DURATION.fullmatch(text):
            yield Breach(rule="V8", what=f"{name}: duration {text!r}")
    yield from _ids(payload, name, ven_id, vtn_id)
    if name == "oadrCreatedEvent":
        yield from _created_event(payload)


def _ids(payload: etree._Element, name: str, ven_id: str, vtn_id: str) -> Iterator[Breach]:
    if name in ("oadrCreatePartyRegistration", "oadrQueryRegistration"):
        for text in values(payload, "//oadr:oadrTransportAddress"):
            if text in ("", "None", "none", "null"):
                yield Breach(rule="46", what=f"{name}: oadrTransportAddress is the placeholder {text!r}")
        return
    for text in values(payload, "/oadr:oadrPayload/oadr:oadrSignedObject/*//ei:venID"):
        if text != ven_id:
            yield Breach(rule="21", what=f"{name}: venID {text!r}, not {ven_id!r}")
    for text in values(payload, "//ei:vtnID"):
        if text != vtn_id:
            yield Breach(rule="21", what=f"{name}: vtnID {text!r}, not {vtn_id!r}")


def _created_event(payload: etree._Element) -> Iterator[Breach]:
    responses = nodes(payload, "//ei:eventResponse")
    overall = values(payload, "//pyld:eiCreatedEvent/ei:eiResponse/ei:responseCode")
    if not responses and overall and overall[0].startswith("2"):
        yield Breach(rule="35", what="oadrCreatedEvent without eventResponses and without an error")
    if responses and values(payload, "//pyld:eiCreatedEvent/ei:eiResponse/pyld:requestID") != [""]:
        yield Breach(rule="42", what="eiResponse/requestID is not empty beside eventResponses")
    if responses and overall and not overall[0].startswith("2"):
        yield Breach(rule="25", what=f"eiResponse {overall[0]} beside eventResponses; expected 200")
    for response in responses:
        code, opt = values(response, "ei:responseCode"), values(response, "ei:optType")
        if code and not code[0].startswith(("2", "4")):
            yield Breach(rule="48", what=f"eventResponse code {code[0]}, expected the class 2xx or 4xx")
        if code and opt and code[0].startswith("4") and opt[0] == "optIn" and code[0] not in ("450", "454"):
            yield Breach(rule="48", what=f"eventResponse {code[0]} together with optIn")
