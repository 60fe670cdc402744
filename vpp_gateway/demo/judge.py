"""The demo's goals, and which of them a run missed.

Strict: what was not seen was not delivered. A second without a look counts as missed, an order without an event, a
pair of sites without its move and a run without reports are missed goals, never an empty list that held.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vpp_gateway.demo import plan
from vpp_gateway.demo.report import EventResult, MoveResult, after
from vpp_gateway.metering.delivery import SETTLE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Goals:
    """What the field trial asks for, and more."""

    reached_within_s: float = 2.0
    """From the start of an event until the meters show its target."""
    within_share: float = 0.95
    """Of the seconds from second 10 to the end."""
    report_gap_s: float = 10.0
    move_within_s: float = 10.0
    """From the order until the source is down, and until the destination is up."""
    downtime_s: float = 1.0
    whole_s: float = 120.0
    """Of the whole demo, start-up and shut-down included."""


GOALS = Goals()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """What the VTN saw of the telemetry during the acts."""

    count: int
    points: int
    longest_gap_s: float
    """Between two reports, or an edge of the acts and the next report."""


def reports_seen(news: Iterable[Mapping[str, Any]], since: float, until: float) -> Reports:
    """Count the reports that the VTN told of in [since, until].

    Args:
        news: Lines of the VTN process; one report tells a line per series.
        since: Start of the acts, UTC (Unix s).
        until: Their end.
    """
    lines = [line for line in news if line.get("saw") == "report" and since <= line["at"] <= until]
    series: dict[str, list[float]] = {}
    for line in lines:
        series.setdefault(line["r_id"], []).append(line["at"])
    times = max(series.values(), key=lambda at: len(at), default=[])
    gaps = (later - earlier for earlier, later in itertools.pairwise((since, *times, until)))
    return Reports(
        count=len(times), points=sum(len(line["points"]) for line in lines), longest_gap_s=max(gaps)
    )


def missed(
    acts: Sequence[plan.Act],
    pace: plan.Pace,
    events: Sequence[EventResult],
    moves: Sequence[MoveResult],
    reports: Reports,
    seconds: float,
    goals: Goals = GOALS,
) -> list[str]:
    """Goals that did not hold, in words; empty = all held.

    Args:
        acts: What was played.
        pace: How it was played; says how many seconds an event has to be seen.
        events: What became of the orders, in their order.
        moves: Work that moved.
        reports: What the VTN received meanwhile.
        seconds: What the whole demo took.
        goals: What to hold it against.
    """
    orders = [order for act in acts for order in act.orders]
    rows = [
        f"order {number} ({_words(order)}): no event with its target and site came of it"
        for number, (order, event) in enumerate(itertools.zip_longest(orders, events), start=1)
        if order is not None and not _answers(event, order)
    ]
    if len(events) > len(orders):
        rows.append(f"{len(events)} events came of {len(orders)} orders")
    for event in events:
        rows.extend(_missed_by_event(event, pace, goals))
    for pair in _pairs(acts):
        legs = [move for move in moves if (move.from_site, move.to_site) == pair]
        if not any(move.source_change_w < 0.0 < move.destination_change_w for move in legs):
            rows.append(f"no work moved {pair[0]} -> {pair[1]} so that both sites changed")
    for move in moves:
        rows.extend(_missed_by_move(move, goals))
    if reports.longest_gap_s > goals.report_gap_s:
        rows.append(
            f"{reports.count} reports, longest gap {reports.longest_gap_s:.1f} s, goal {goals.report_gap_s:g} s"
        )
    if seconds > goals.whole_s:
        rows.append(f"the demo took {seconds:.1f} s, goal {goals.whole_s:g} s")
    return rows


def _answers(event: EventResult | None, order: plan.Order) -> bool:
    return (
        event is not None
        and event.target_regulation_w == order.regulation_w
        and event.direction == order.direction
        and event.scope == order.scope
    )


def _words(order: plan.Order) -> str:
    return f"{order.direction} {abs(order.regulation_w) / 1000:g} kW, {order.scope}"


def _pairs(acts: Sequence[plan.Act]) -> list[tuple[str, str]]:
    """Sites between which an act makes work move: (ordered down, ordered up)."""
    return [
        (down.site, up.site)
        for act in acts
        for down, up in itertools.product(act.orders, repeat=2)
        if down.site is not None and up.site is not None and down.regulation_w > 0 > up.regulation_w
    ]


def _missed_by_event(event: EventResult, pace: plan.Pace, goals: Goals) -> list[str]:
    rows = []
    if event.t_reached_s is None or event.t_reached_s > goals.reached_within_s:
        rows.append(
            f"{event.id}: target reached {after(event.t_reached_s)}, goal {goals.reached_within_s:g} s"
        )
    seconds = round(pace.event_s - SETTLE_S)
    good = event.samples * event.within_10pct
    if seconds < 1 or good < goals.within_share * seconds:
        rows.append(
            f"{event.id}: {good:.0f} of {seconds} seconds within 10 % ({event.samples} were seen), "
            f"goal {goals.within_share:.0%}"
        )
    return rows


def _missed_by_move(move: MoveResult, goals: Goals) -> list[str]:
    name = f"move {move.from_site} -> {move.to_site}"
    # Where as much work came as went there is nothing to see at the meters.
    legs = [
        *([("source down", move.t_source_down_s)] if move.source_change_w < 0 else ()),
        *([("destination up", move.t_destination_up_s)] if move.destination_change_w > 0 else ()),
    ]
    rows = [
        f"{name}: {what} {after(value)}, goal {goals.move_within_s:g} s"
        for what, value in legs
        if value is None or value > goals.move_within_s
    ]
    if move.downtime_s > goals.downtime_s:
        rows.append(f"{name}: longest pause {move.downtime_s:.2f} s, goal {goals.downtime_s:g} s")
    if move.lost_steps or move.repeated_steps:
        rows.append(f"{name}: steps lost: {move.lost_steps}, repeated: {move.repeated_steps}")
    if not move.work_proven:
        rows.append(f"{name}: the output of its jobs is not the work they say they did")
    return rows
