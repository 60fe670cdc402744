"""Availability by the clock: the spare capacity becomes a schedule of opting out, renewed when it has changed.

    spare capacity   ####..####......    (# = at least need_kw can be held in the direction)
    schedule              --    ------   optOut; nothing where there is enough

What can be held is computed outside (`Telemetry.spare`); here it is only cut into intervals and compared with what the
VTN was told last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vpp_gateway.northbound.openadr2.desk import Desk, Facts
from vpp_gateway.northbound.openadr2.opt_facts import OptCancelWanted, OptCreated
from vpp_gateway.northbound.openadr2.opt_words import Availability
from vpp_gateway.northbound.turn import SpareBlock, Telemetry

SETTLE_S = 30.0
"""After a start the sites come one after another: the first look waits for them."""
UNKNOWN_AGAIN_S = 30.0
"""While no site can be read, capacity is asked for again so soon."""


def short_intervals(blocks: Iterable[SpareBlock], need_w: float) -> tuple[Availability, ...]:
    """Blocks in which less than `need_w` can be held, neighbours merged."""
    spans: list[list[float]] = []
    for block in blocks:
        if block.regulation_w >= need_w:
            continue
        if spans and spans[-1][1] == block.start_at:
            spans[-1][1] = block.end_at
        else:
            spans.append([block.start_at, block.end_at])
    return tuple(Availability(start_at=start, duration_s=end - start) for start, end in spans)


def renew(desk: Desk, now: float, telemetry: Telemetry) -> Facts:
    """Facts of a changed schedule; none when it is not time, or nothing has changed."""
    rule = desk.program.opt.availability
    if rule is None or now < desk.pace.availability_at:
        return []
    if not desk.pace.availability_at:
        desk.pace.availability_at = now + min(SETTLE_S, rule.every_s)
        return []
    blocks = telemetry.spare(rule.direction, now, rule.block_s, rule.horizon_s)
    if not blocks:
        desk.pace.availability_at = now + min(UNKNOWN_AGAIN_S, rule.every_s)
        return []
    desk.pace.availability_at = now + rule.every_s
    wanted = short_intervals(blocks, 1000.0 * rule.need_kw)
    old = desk.state.opts.from_capacity()
    if old is None and not wanted:
        return []
    if old is not None and _same(old.created, wanted, now, blocks[-1].end_at, rule.horizon_s):
        return []
    facts: Facts = []
    if old is not None:
        facts.append(OptCancelWanted(at=now, room=desk.room, opt_id=old.created.opt_id))
    if wanted:
        facts.append(
            OptCreated(
                at=now,
                room=desk.room,
                opt_id=desk.new_id(),
                opt="optOut",
                reason=rule.reason,
                origin="capacity",
                available=wanted,
                covers_until=blocks[-1].end_at,
            )
        )
    return facts


def _same(
    old: OptCreated, wanted: Sequence[Availability], now: float, until: float, horizon_s: float
) -> bool:
    """Whether the VTN's schedule still says the same, as far as both look, and looks far enough."""
    known_until = old.covers_until or now
    if known_until < now + horizon_s / 2:
        return False
    end = min(known_until, until)
    return _cut(old.available, now, end) == _cut(wanted, now, end)


def _cut(spans: Iterable[Availability], since: float, until: float) -> list[tuple[float, float]]:
    cut = ((max(one.start_at, since), min(one.end_at, until)) for one in spans)
    return [(start, end) for start, end in cut if start < end]
