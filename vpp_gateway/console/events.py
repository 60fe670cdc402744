"""Events as the console shows them: the delivery records of the account, newest first, with their reasons in words."""

from __future__ import annotations

from vpp_gateway.console.status import EventView, StagesView
from vpp_gateway.domain.delivery import DeliveryRecord
from vpp_gateway.domain.instruction import Delta, Instruction, Level
from vpp_gateway.gateway import Gateway
from vpp_gateway.metering.delivery import within
from vpp_gateway.optimise.explain import sentences, told

SHOWN_MAX = 50
"""Events in the status document; all others are in the journal."""


def event_views(gateway: Gateway) -> tuple[EventView, ...]:
    """The newest `SHOWN_MAX` events, newest first."""
    views = [_view(gateway, record) for record in gateway.account.newest(SHOWN_MAX)]
    return tuple(view for view in views if view is not None)


def _view(gateway: Gateway, record: DeliveryRecord) -> EventView | None:
    instruction = gateway.instruction(record.instruction)
    if instruction is None:
        return None
    watch = record.stopwatch
    target = record.target_regulation_w or _asked(instruction)
    measured = record.samples > 0
    return EventView(
        id=record.instruction,
        room=instruction.room,
        event_id=instruction.event_id,
        modification=instruction.modification,
        direction="down" if target >= 0 else "up",
        target_regulation_w=target,
        scope=gateway.timeline.scope_of(instruction),
        start_at=instruction.active_from,
        end_at=instruction.end_at,
        state=record.state,
        opt=record.opt,
        opt_reason=told(record.opt_reason, "en"),
        opt_reason_ja=told(record.opt_reason, "ja"),
        test=instruction.test,
        stages=StagesView(
            received_at=watch.received_at,
            answered_at=watch.answered_at,
            started_at=watch.started_at,
            first_setpoint_at=watch.first_setpoint_at,
            all_setpoints_at=watch.all_setpoints_at,
            reached_at=watch.reached_at,
            ended_at=watch.ended_at,
        ),
        delivered_regulation_w=record.delivered_regulation_w if measured else None,
        within_10pct=within(record.delivered_regulation_w, target) if measured else None,
        shortfall_w=record.shortfall_w,
        by_tier_w=dict(record.by_tier_w),
        by_site_w=dict(record.by_site_w),
        why=sentences(record.why, "en"),
        why_ja=sentences(record.why, "ja"),
    )


def _asked(instruction: Instruction) -> float:
    """What the first interval asks for, before anything was measured; 0 where only the meter can tell."""
    first = instruction.phase_at(instruction.active_from) or instruction.phases[0]
    demand = first.demand
    return demand.regulation_w if isinstance(demand, Delta | Level) else 0.0
