"""Opts: what is to be said of them next, repeated until the VTN has answered."""

from __future__ import annotations

from vpp_gateway.northbound.openadr2 import opt_schedule
from vpp_gateway.northbound.openadr2.desk import Desk, Facts, Sent
from vpp_gateway.northbound.openadr2.messages import Post
from vpp_gateway.northbound.openadr2.opt_facts import OptOver
from vpp_gateway.northbound.openadr2.opt_words import CancelOpt, CreateOpt
from vpp_gateway.northbound.openadr2.opts import HeldOpt
from vpp_gateway.northbound.turn import Telemetry


def next_at(desk: Desk) -> float | None:
    """When there is something to do about opts (UTC, Unix s), their own back-off counted."""
    opts = desk.state.opts
    times = [end for known in opts.held.values() if (end := known.end_at) is not None]
    if opts.to_say() is not None:
        times.append(desk.pace.opt_hold_until)
    if desk.program.opt.availability is not None:
        times.append(desk.pace.availability_at)
    return min(times, default=None)


def say(desk: Desk, now: float, telemetry: Telemetry) -> tuple[Facts, Sent | None]:
    """The next exchange about an opt, or facts that must be durable before it; neither when nothing is due."""
    over = desk.state.opts.over(now)
    if over:
        return [OptOver(at=now, room=desk.room, opt_id=id) for id in over], None
    facts = opt_schedule.renew(desk, now, telemetry)
    if facts:
        return facts, None
    known = desk.state.opts.to_say()
    if known is None or now < desk.pace.opt_hold_until:
        return [], None
    desk.pace.number += 1
    message = _message(desk, known)
    post = Post(number=desk.pace.number, service="EiOpt", message=message, endpoint=desk.pace.endpoint)
    return [], Sent(post=post, at=now, opt_id=known.created.opt_id)


def _message(desk: Desk, known: HeldOpt) -> CreateOpt | CancelOpt:
    made = known.created
    if known.standing == "cancelling":
        return CancelOpt(request_id=desk.new_id(), opt_id=made.opt_id, ven_id=desk.name)
    return CreateOpt(
        request_id=desk.new_id(),
        opt_id=made.opt_id,
        opt=made.opt,
        reason=made.reason,
        ven_id=desk.name,
        created_at=made.at,
        event_id=made.event_id,
        modification=made.modification,
        available=made.available,
        market_context=made.market_context,
        ven_ids=made.ven_ids,
        resource_ids=made.resource_ids,
        group_ids=made.group_ids,
        party_ids=made.party_ids,
        device_classes=made.device_classes,
    )
