"""Registration: what the VTN's words on it mean. Every refusal ends in a retry with growing waits, never in silence."""

from __future__ import annotations

from vpp_gateway.domain.fact import Withdrawn
from vpp_gateway.northbound.openadr2.desk import Desk, Facts, Sent, reply_owed
from vpp_gateway.northbound.openadr2.facts import (
    EventDropped,
    Queried,
    Registered,
    Unregistered,
)
from vpp_gateway.northbound.openadr2.mapping import instruction_id
from vpp_gateway.northbound.openadr2.messages import (
    CancelPartyRegistration,
    CreatedPartyRegistration,
    CreatePartyRegistration,
    QueryRegistration,
)
from vpp_gateway.northbound.openadr2.state import Phase
from vpp_gateway.northbound.openadr2.xml_text import shown


def leave(desk: Desk, cause: str, detail: str, now: float) -> Facts:
    """The registration ends for good: every instruction of this room is withdrawn."""
    facts = withdrawals(desk, now)
    facts.append(
        Unregistered(at=now, room=desk.room, cause="vtn" if cause == "vtn" else "ven", detail=detail)
    )
    return facts


def unknown(desk: Desk, detail: str, now: float) -> Unregistered:
    """The site in use does not know us, or not under this registrationID or venID."""
    return Unregistered(at=now, room=desk.room, cause="unknown", detail=detail, registrar=desk.registrar)


def withdrawals(desk: Desk, now: float) -> Facts:
    """Every event is dropped and every instruction of this room taken back."""
    facts: Facts = []
    for event in desk.state.events.values():
        facts.append(
            EventDropped(
                at=now,
                room=desk.room,
                event_id=event.event_id,
                modification=event.modification,
                cause="unregistered",
            )
        )
        if event.running:
            facts.append(
                Withdrawn(
                    at=now,
                    instruction=instruction_id(desk.room, event.event_id),
                    modification=event.modification,
                    cause="unregistered",
                )
            )
    return facts


def created(desk: Desk, sent: Sent, said: CreatedPartyRegistration, now: float) -> Facts:
    """What oadrCreatedPartyRegistration means, by what it answers."""
    asked = sent.post.message
    expected = desk.program.vtn_id
    if not said.response.ok:
        desk.fail(now, f"registration refused: {said.response.code} {shown(said.response.description, 200)}")
        if isinstance(asked, CreatePartyRegistration) and (asked.registration_id or desk.membership.ven_id):
            return [unknown(desk, desk.pace.trouble, now)]
        return []
    if expected is not None and said.vtn_id != expected:
        desk.fail(now, f"registration: expected vtnID {shown(expected)}, found {shown(said.vtn_id)}")
        return []
    if "2.0b" not in said.profiles:
        desk.fail(now, f"registration: expected profile 2.0b, found {shown(', '.join(said.profiles))}")
        return []
    if isinstance(asked, QueryRegistration):
        return [Queried(at=now, room=desk.room, vtn_id=said.vtn_id, registrar=desk.registrar)]
    ven_id = said.ven_id or desk.name
    if not isinstance(asked, CreatePartyRegistration) or not said.registration_id or not ven_id:
        desk.fail(now, "registration refused: the VTN gave no registrationID or no venID")
        return []
    return _register(desk, said, said.registration_id, ven_id, now)


def _register(
    desk: Desk, said: CreatedPartyRegistration, registration_id: str, ven_id: str, now: float
) -> Facts:
    if desk.state.phase not in (Phase.UNREGISTERED, Phase.REGISTERING):
        desk.refuse("unexpected", "a registration came in after it was no longer wanted")
        return []
    pace = desk.pace
    pace.failures, pace.trouble, pace.refresh, pace.next_poll_at = 0, "", True, now
    pace.parcel, pace.report_failures, pace.report_hold_until = None, 0, 0.0
    return [
        Registered(
            at=now,
            room=desk.room,
            registration_id=registration_id,
            ven_id=ven_id,
            vtn_id=said.vtn_id,
            poll_s=None if said.poll_s is None else max(said.poll_s, 1.0),
            registrar=desk.registrar,
        )
    ]


def reregister(desk: Desk, now: float) -> Facts:
    """oadrRequestReregistration: confirm it, then register with the same registrationID."""
    if not desk.state.listening:
        desk.refuse("unexpected", "oadrRequestReregistration while not registered")
        return []
    desk.pace.relapses += 1
    if desk.pace.relapses > 1:
        desk.pace.hold_until = now + desk.backoff_s(desk.pace.relapses)
    detail = "the VTN asked for a new registration"
    return [
        Unregistered(at=now, room=desk.room, cause="reregister", detail=detail),
        reply_owed(desk, "response", "", now),
    ]


def cancelled_by_vtn(desk: Desk, said: CancelPartyRegistration, now: float) -> Facts:
    """oadrCancelPartyRegistration of the VTN; one for another registration is an error and changes nothing."""
    if said.registration_id != desk.membership.registration_id:
        text = f"registrationID: expected {shown(desk.membership.registration_id)}, found {shown(said.registration_id)}"
        desk.refuse("misaddressed", f"oadrCancelPartyRegistration: {text}")
        return [reply_owed(desk, "canceled-registration", said.request_id, now, "452", text)]
    facts = leave(desk, "vtn", "the VTN cancelled the registration; rejoin by hand", now)
    facts.append(reply_owed(desk, "canceled-registration", said.request_id, now))
    return facts
