"""The operator's acts on one connection: what a person decides, and the facts that follow.

    register     join again after a cancellation           opt          opt in or out of an event
    cancel       end the registration                      create-opt   oadrCreateOpt for an event or a schedule
    reregister   register anew with the registrationID     cancel-opt   oadrCancelOpt
    reset        forget everything learnt                  events, reports, status   only look

Pure: `operate` gives a turn and what the operator is told. The turn of an act begins with `Operated`, so the journal
says who did what. What reaches the VTN is said by the session's next wakes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from vpp_gateway.catalogue import Told
from vpp_gateway.northbound.openadr2 import operate_opt, operate_view
from vpp_gateway.northbound.openadr2.desk import Desk, Facts
from vpp_gateway.northbound.openadr2.facts import EventDropped, JoinWanted, LeaveWanted, Unregistered
from vpp_gateway.northbound.openadr2.hear_party import withdrawals
from vpp_gateway.northbound.openadr2.operate_view import Shown
from vpp_gateway.northbound.openadr2.opt_facts import FactoryReset, Operated, Origin
from vpp_gateway.northbound.openadr2.opt_words import Availability, Opt
from vpp_gateway.northbound.openadr2.state import Phase
from vpp_gateway.northbound.turn import Turn

Verb = Literal[
    "register",
    "cancel",
    "reregister",
    "opt",
    "create-opt",
    "cancel-opt",
    "reset",
    "events",
    "reports",
    "opts",
    "status",
]
VERBS: tuple[str, ...] = get_args(Verb)


@dataclass(frozen=True, slots=True, kw_only=True)
class VenRequest:
    """One act, or one look."""

    verb: Verb
    event: str = ""
    """eventID, for `opt` and for `create-opt` of an event."""
    opt: Opt = "optOut"
    reason: str = ""
    """optReason; empty = the usual one."""
    opt_id: str = ""
    """For `cancel-opt`."""
    available: tuple[Availability, ...] = ()
    """For `create-opt` of a schedule."""
    market_context: str | None = None
    ven_ids: tuple[str, ...] = ()
    resource_ids: tuple[str, ...] = ()
    group_ids: tuple[str, ...] = ()
    party_ids: tuple[str, ...] = ()
    device_classes: tuple[str, ...] = ()
    stay: bool = False
    """For `reset`: stay out until told to register."""
    who: str = "operator"
    origin: Origin = "operator"


class Operable(Protocol):
    """What an act needs of a session."""

    @property
    def desk(self) -> Desk:
        """Its working table."""
        ...


def operate(session: Operable, request: VenRequest, now: float) -> tuple[Turn, Shown]:
    """Decide one act.

    Returns:
        The turn, empty where there is nothing to do, and plain values for the operator.

    Raises:
        Told: The act is not possible now; says what was expected and what was found.
    """
    desk = session.desk
    looks: dict[Verb, Callable[[Desk, float], Shown]] = {
        "events": operate_view.events,
        "reports": operate_view.reports,
        "opts": operate_view.opts,
        "status": operate_view.status,
    }
    if request.verb in looks:
        return Turn(), looks[request.verb](desk, now)
    facts, shown = _ACTS[request.verb](desk, request, now)
    shown = {"room": str(desk.room), "verb": request.verb, "acted": bool(facts), **shown}
    if not facts:
        return Turn(), shown
    what = " ".join(part for part in (request.event or request.opt_id, str(shown.get("opt", ""))) if part)
    done = Operated(at=now, room=desk.room, who=request.who, verb=request.verb, what=what)
    return Turn(facts=(done, *facts)), shown


def _register(desk: Desk, request: VenRequest, now: float) -> tuple[Facts, Shown]:
    if desk.state.phase in (Phase.CANCELLED, Phase.LEAVING):
        _hurry(desk)
        return [JoinWanted(at=now, room=desk.room)], {}
    if not desk.state.listening:
        _hurry(desk)
    return [], {}


def _cancel(desk: Desk, request: VenRequest, now: float) -> tuple[Facts, Shown]:
    if desk.state.phase in (Phase.CANCELLED, Phase.LEAVING):
        return [], {}
    _hurry(desk)
    return [LeaveWanted(at=now, room=desk.room)], {}


def _reregister(desk: Desk, request: VenRequest, now: float) -> tuple[Facts, Shown]:
    if not desk.state.listening:
        raise Told("ven.not_registered", room=desk.room, found=f"word.ven.{desk.state.phase.value}")
    _hurry(desk)
    detail = "the operator asked for a new registration"
    return [Unregistered(at=now, room=desk.room, cause="reregister", detail=detail)], {}


def _reset(desk: Desk, request: VenRequest, now: float) -> tuple[Facts, Shown]:
    facts: Facts = withdrawals(desk, now)
    dropped = sum(1 for fact in facts if isinstance(fact, EventDropped))
    facts.append(FactoryReset(at=now, room=desk.room, stay=request.stay))
    desk.pace.begin_anew()
    return facts, {"events": dropped, "stay": request.stay}


def _opt(desk: Desk, request: VenRequest, now: float) -> tuple[Facts, Shown]:
    return operate_opt.opt(desk, request.event, request.opt, request.reason, now)


def _create_opt(desk: Desk, request: VenRequest, now: float) -> tuple[Facts, Shown]:
    if request.event:
        return operate_opt.create_for_event(desk, request.event, request.opt, request.reason, now)
    draft = operate_opt.Draft(
        opt=request.opt,
        reason=request.reason,
        available=request.available,
        market_context=request.market_context,
        ven_ids=request.ven_ids,
        resource_ids=request.resource_ids,
        group_ids=request.group_ids,
        party_ids=request.party_ids,
        device_classes=request.device_classes,
        origin=request.origin,
    )
    return operate_opt.create_schedule(desk, draft, now)


def _cancel_opt(desk: Desk, request: VenRequest, now: float) -> tuple[Facts, Shown]:
    return operate_opt.cancel(desk, request.opt_id, now)


_ACTS: dict[str, Callable[[Desk, VenRequest, float], tuple[Facts, Shown]]] = {
    "register": _register,
    "cancel": _cancel,
    "reregister": _reregister,
    "reset": _reset,
    "opt": _opt,
    "create-opt": _create_opt,
    "cancel-opt": _cancel_opt,
}


def _hurry(desk: Desk) -> None:
    """A person waits: the next exchange does not wait for the back-off."""
    desk.pace.hold_until = 0.0
