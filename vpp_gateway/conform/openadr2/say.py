"""What the literal VTN says: YAML words -> a tree in the order of the standard's schema.

    {oadrDistributeEvent: {events: [{id: E1, start: 600, duration: 900, value: -100, unit: kW}]}}

Numbers in time fields are seconds: of a date, from the procedure's start; of a duration, its length. A text stands in
the message as it is, right or wrong. What is not given has the value that a well-behaved VTN would give.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lxml import etree

from vpp_gateway.conform.openadr2 import say_event, say_report
from vpp_gateway.conform.openadr2.words import Fields, Scene, maybe, outcome, put, span
from vpp_gateway.conform.openadr2.xml import ProcedureError
from vpp_gateway.northbound.openadr2.xml_names import NAMESPACES, tag


def build(words: Mapping[str, Any], scene: Scene) -> etree._Element:
    """The oadrPayload of one message.

    Args:
        words: one key, the element's name, with its fields.

    Raises:
        ProcedureError: an unknown message or field.
    """
    if len(words) != 1:
        raise ProcedureError(f"expected one message, found {', '.join(words) or 'none'}")
    ((name, given),) = words.items()
    if name not in MESSAGES:
        raise ProcedureError(f"expected one of {', '.join(MESSAGES)}, found {name}")
    root = etree.Element(tag("oadr:oadrPayload"), nsmap=dict(NAMESPACES))
    signed = put(root, "oadr:oadrSignedObject")
    signed.set(tag("oadr:Id"), "oadrSignedObject")
    message = put(signed, f"oadr:{name}")
    message.set(tag("ei:schemaVersion"), "2.0b")
    fields = Fields(given or {}, name, scene)
    MESSAGES[name](message, fields)
    fields.done()
    return root


def _response(element: etree._Element, fields: Fields) -> None:
    outcome(element, fields)
    maybe(element, "ei:venID", fields.text("ven", fields.scene.ven_id or None))


def _created_registration(element: etree._Element, fields: Fields) -> None:
    outcome(element, fields)
    maybe(element, "ei:registrationID", fields.text("registration"))
    maybe(element, "ei:venID", fields.text("ven"))
    put(element, "ei:vtnID", fields.text("vtn", fields.scene.vtn_id))
    profiles = put(element, "oadr:oadrProfiles")
    for name in fields.take("profiles", ["2.0b"]):
        profile = put(profiles, "oadr:oadrProfile")
        put(profile, "oadr:oadrProfileName", name)
        transport = put(put(profile, "oadr:oadrTransports"), "oadr:oadrTransport")
        put(transport, "oadr:oadrTransportName", "simpleHttp")
    span(element, "oadr:oadrRequestedOadrPollFreq", fields.duration("poll"))


def _cancel_registration(element: etree._Element, fields: Fields) -> None:
    put(element, "pyld:requestID", fields.text("request", fields.scene.request_id))
    put(element, "ei:registrationID", fields.text("registration", fields.scene.registration_id))
    maybe(element, "ei:venID", fields.text("ven", fields.scene.ven_id))


def _canceled_registration(element: etree._Element, fields: Fields) -> None:
    outcome(element, fields)
    maybe(element, "ei:registrationID", fields.text("registration", fields.scene.registration_id))
    maybe(element, "ei:venID", fields.text("ven", fields.scene.ven_id))


def _reregister(element: etree._Element, fields: Fields) -> None:
    put(element, "ei:venID", fields.text("ven", fields.scene.ven_id))


def _request_event(element: etree._Element, fields: Fields) -> None:
    request = put(element, "pyld:eiRequestEvent")
    put(request, "pyld:requestID", fields.text("request", fields.scene.request_id))
    put(request, "ei:venID", fields.text("ven", fields.scene.ven_id))


def _created_opt(element: etree._Element, fields: Fields) -> None:
    outcome(element, fields)
    put(element, "ei:optID", fields.text("opt", "{opt}"))


MESSAGES: Mapping[str, Callable[[etree._Element, Fields], None]] = {
    "oadrResponse": _response,
    "oadrCreatedPartyRegistration": _created_registration,
    "oadrCancelPartyRegistration": _cancel_registration,
    "oadrCanceledPartyRegistration": _canceled_registration,
    "oadrRequestReregistration": _reregister,
    "oadrRequestEvent": _request_event,
    "oadrCreatedOpt": _created_opt,
    "oadrCanceledOpt": _created_opt,
    "oadrDistributeEvent": say_event.distribute,
    "oadrRegisteredReport": say_report.registered,
    "oadrCreateReport": say_report.create,
    "oadrUpdatedReport": say_report.updated,
    "oadrCancelReport": say_report.cancel,
    "oadrRegisterReport": say_report.register,
    "oadrUpdateReport": say_report.update,
}
"""Message -> who writes it."""
