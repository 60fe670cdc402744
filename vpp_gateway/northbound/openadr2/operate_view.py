"""What the operator sees of one connection: plain values, times as Unix seconds and as UTC text."""

from __future__ import annotations

from typing import TypeAlias

from vpp_gateway.northbound.openadr2.desk import Desk
from vpp_gateway.northbound.openadr2.facts import ResponseOwed
from vpp_gateway.northbound.openadr2.mapping import LOWEST_PRIORITY
from vpp_gateway.northbound.openadr2.opts import HeldOpt
from vpp_gateway.northbound.openadr2.state import Duty, HeldEvent
from vpp_gateway.northbound.openadr2.xml_text import write_date

Plain: TypeAlias = "str | int | float | bool | list[Plain] | dict[str, Plain] | None"
Shown = dict[str, Plain]


def status(desk: Desk, now: float) -> Shown:
    """Where the registration stands, and what waits."""
    state, pace = desk.state, desk.pace
    return {
        "room": str(desk.room),
        "state": state.phase.value,
        "detail": pace.trouble or state.detail,
        "registration_id": desk.membership.registration_id,
        "ven_id": desk.name or None,
        "ven_name": desk.ven_name,
        "vtn_id": desk.membership.vtn_id,
        "poll_s": desk.poll_period_s,
        "events": len(state.events),
        "opts": sum(1 for known in state.opts.held.values() if known.live),
        "reports": len(state.duties),
        "owed": len(state.owed) + (state.opts.to_say() is not None),
        "last_contact_at": pace.last_contact_at,
    }


def events(desk: Desk, now: float) -> Shown:
    """Every event that is known, in the order of their start."""
    held = sorted(desk.state.events.values(), key=lambda one: _start(desk, one) or one.held_at)
    rows: list[Plain] = [_event(desk, one, now) for one in held]
    return {"room": str(desk.room), "events": rows}


def opts(desk: Desk, now: float) -> Shown:
    """Every opt of EiOpt."""
    rows: list[Plain] = [_opt(known) for known in desk.state.opts.held.values()]
    return {"room": str(desk.room), "opts": rows}


def reports(desk: Desk, now: float) -> Shown:
    """Every report that the VTN has ordered and that runs."""
    rows: list[Plain] = [_report(duty) for duty in desk.state.duties.values()]
    return {"room": str(desk.room), "reports": rows}


def event_status(held: HeldEvent, now: float) -> str:
    """far | near | active | completed | cancelled by our clock; `none` for an event that was refused."""
    return held.status(now) if held.instructed or held.cancelled or held.opt == "optIn" else "none"


def _start(desk: Desk, held: HeldEvent) -> float | None:
    """dtstart, startafter included; of an older journal, when its instruction begins."""
    instruction = desk.state.instructions.get(held.event_id)
    if held.start_at is not None or instruction is None:
        return held.start_at
    return instruction.start_at


def _event(desk: Desk, held: HeldEvent, now: float) -> Shown:
    instruction, start_at = desk.state.instructions.get(held.event_id), _start(desk, held)
    owed = any(
        isinstance(one, ResponseOwed) and one.event_id == held.event_id for one in desk.state.owed.values()
    )
    said = desk.state.opts.of_event(held.event_id)
    rank = None if instruction is None else instruction.priority.rank
    return {
        "event": held.event_id,
        "modification": held.modification,
        "status": event_status(held, now),
        "start_at": start_at,
        "start": None if start_at is None else write_date(start_at),
        "offset_s": held.offset_s,
        "end_at": held.end_at,
        "end": None if held.end_at is None else write_date(held.end_at),
        "ending_at": held.ending_at,
        "opt": held.opt,
        "reason": held.reason,
        "comment": held.comment,
        "modified": None if held.modified_at is None else write_date(held.modified_at),
        "modification_reason": held.modification_reason,
        "priority": None if rank is None else (0 if rank == LOWEST_PRIORITY else rank + 1),
        "test": held.test or (instruction is not None and instruction.test),
        "told": not owed and not any(known.standing in ("pending", "cancelling") for known in said),
        "opt_ids": [known.created.opt_id for known in said if known.live],
    }


def _opt(known: HeldOpt) -> Shown:
    made = known.created
    spans: list[Plain] = [
        {"start": write_date(one.start_at), "end": write_date(one.end_at)} for one in made.available
    ]
    return {
        "opt_id": made.opt_id,
        "opt": made.opt,
        "reason": made.reason,
        "standing": known.standing,
        "detail": known.detail,
        "origin": made.origin,
        "event": made.event_id,
        "modification": made.modification,
        "available": spans,
        "market_context": made.market_context,
        "resource_ids": list(made.resource_ids),
        "device_classes": list(made.device_classes),
    }


def _report(duty: Duty) -> Shown:
    return {
        "request_id": duty.request_id,
        "specifier_id": duty.specifier_id,
        "r_ids": list(duty.r_ids),
        "granularity_s": duty.granularity_s,
        "back_duration_s": duty.back_duration_s,
        "start": write_date(duty.start_at),
        "end": None if duty.end_at is None else write_date(duty.end_at),
        "through": write_date(duty.through),
        "ending": duty.ending,
    }
